/* The store, asked as Raft asks it: what is prepared is applied, on two copies that must stay equal. What each operation
 * answers is for the tests of the files that do them. */
#include "serve/kv.h"

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/thread.h"
#include "check.h"
#include "serve/kv_request.h"

#define LIMIT (64 * 1024 * 1024)

static struct kv *kv, *twin; /* the twin never has anyone who waits */
static struct mailraft_machine machine, twin_machine;
static struct mailraft_standing standing;
static struct mailraft_buffer request, command, reply;
static struct kv_request building;
static struct mailraft_proposal proposal;
static int64_t time_us, wall_offset_us;
static uint64_t last_index;

static void make(void)
{
    kv = kv_new(LIMIT);
    twin = kv_new(2 * LIMIT);
    machine = kv_machine(kv);
    twin_machine = kv_machine(twin);
    time_us = 1000000;
    memcpy(proposal.random, "8 bytes.and the secret.....", 24);
}

static void clean(void)
{
    kv_free(kv);
    kv_free(twin);
    kv_free(NULL);
    buffer_fini(&request);
    buffer_fini(&command);
    buffer_fini(&reply);
}

TestSuite(kv, .init = make, .fini = clean);

/* ---- Asking ---- */

static struct text text(const char *chars)
{
    return (struct text){(const uint8_t *)chars, strlen(chars)};
}

static void begin(unsigned flags)
{
    buffer_clear(&request);
    kv_request_begin(&building, &request, flags);
}

/* arguments: one word after the other. */
static void add_op(enum kv_op op, const char *arguments)
{
    struct text list[10];
    size_t count = 0;

    for (const char *at = arguments; *at != '\0'; at += strspn(at, " ")) {
        list[count++] = (struct text){(const uint8_t *)at, strcspn(at, " ")};
        at += strcspn(at, " ");
    }
    kv_request_op(&building, op, list, count);
}

static bool prepare(void)
{
    proposal.request = request.bytes;
    proposal.size = request.size;
    proposal.time_us = time_us;
    proposal.wall_offset_us = wall_offset_us;
    buffer_clear(&command);
    return machine.prepare(machine.context, &proposal, &command);
}

static void apply(const void *bytes, size_t size)
{
    struct mailraft_entry entry = {++last_index, time_us, wall_offset_us, bytes, size, &reply};

    buffer_clear(&reply);
    entry.reply = NULL;
    twin_machine.apply(twin_machine.context, &entry, 1, &standing);
    entry.reply = &reply;
    machine.apply(machine.context, &entry, 1, &standing);
}

static const char *text_of(struct mailraft_buffer *buffer)
{
    mailraft_buffer_put(buffer, "", 1);
    return (const char *)buffer->bytes;
}

static const char *answer(void)
{
    if (!prepare())
        return text_of(&command);
    apply(command.bytes, command.size);
    return text_of(&reply);
}

static const char *ask(enum kv_op op, const char *arguments)
{
    begin(0);
    kv_request_ops(&building);
    add_op(op, arguments);
    return answer();
}

static const char *read_request(int64_t at_us)
{
    buffer_clear(&reply);
    machine.read(machine.context, request.bytes, request.size, at_us, &reply);
    return text_of(&reply);
}

static const char *query(enum kv_op op, const char *arguments)
{
    begin(0);
    kv_request_ops(&building);
    add_op(op, arguments);
    return read_request(time_us);
}

static uint64_t version_of(const char *name)
{
    query(KV_VERSIONS, name);
    return bytes_get_u64(reply.bytes);
}

static void assert_begins(const char *text, const char *beginning)
{
    cr_assert_arr_eq(text, beginning, strlen(beginning), "%s", text);
}

static void pass_time(int64_t us)
{
    time_us += us;
    apply(NULL, 0);
}

static void snapshot_of(struct mailraft_machine from, struct mailraft_buffer *bytes)
{
    for (uint64_t portion = 0; from.write_snapshot(from.context, portion, bytes); portion++)
        ;
}

/* Equal in every byte of what can be asked of them. */
static void assert_twins(void)
{
    struct mailraft_buffer one = {0}, other = {0};

    snapshot_of(machine, &one);
    snapshot_of(twin_machine, &other);
    cr_assert_eq(one.size, other.size);
    cr_assert_arr_eq(one.bytes, other.bytes, one.size);
    buffer_fini(&one);
    buffer_fini(&other);
}

/* ---- The operations ---- */

Test(kv, only_what_changes_nothing_is_a_read)
{
    cr_assert(kv_op_is_read(KV_GET));
    cr_assert(kv_op_is_read(KV_VERSIONS));
    cr_assert_not(kv_op_is_read(KV_SET));
    cr_assert_not(kv_op_is_read(KV_GETEX));
    cr_assert_not(kv_op_is_read((enum kv_op)0));
    cr_assert_not(kv_op_is_read((enum kv_op)(KV_OP_LAST + 1)));
}

/* ---- Preparing ---- */

Test(kv, prepare_settles_limit_and_random_bits)
{
    struct kv_contents contents;

    ask(KV_SET, "a 1");
    cr_assert(kv_contents_read(&contents, command.bytes, command.size, true));
    cr_assert_eq(contents.settled.limit, LIMIT);
    cr_assert_eq(contents.settled.random, bytes_get_u64((const uint8_t *)"8 bytes."));
}

Test(kv, prepare_suggests_a_secret_until_there_is_one)
{
    static const uint8_t zeros[KEYSPACE_SECRET_BYTES];
    struct kv_contents contents;

    for (int i = 0; i < 2; i++) {
        ask(KV_SET, "a 1");
        cr_assert(kv_contents_read(&contents, command.bytes, command.size, true));
        cr_assert_arr_eq(contents.settled.secret, i == 0 ? (const uint8_t *)"and the secret.." : zeros,
                         KEYSPACE_SECRET_BYTES);
    }
}

Test(kv, prepare_refuses_what_is_malformed)
{
    ask(KV_SET, "a 1");
    request.bytes[0] = KV_SETTLED;
    cr_assert_not(prepare());
    assert_begins(text_of(&command), "-ERR ");
    request.size = 0;
    cr_assert_not(prepare());
    assert_begins(text_of(&command), "-ERR ");
}

static void assert_refused_from(size_t memory_bytes)
{
    static const char refusal[] = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";

    proposal.memory_bytes = memory_bytes;
    cr_assert_not(prepare());
    cr_assert_str_eq(text_of(&command), refusal);
    proposal.memory_bytes = SIZE_MAX;
    cr_assert_not(prepare());
    proposal.memory_bytes = memory_bytes - 1;
    cr_assert(prepare());
    proposal.memory_bytes = 0;
}

Test(kv, prepare_refuses_what_grows_the_state_beyond_its_limit)
{
    ask(KV_SET, "a 1");
    assert_refused_from(LIMIT - request.size + 1);
}

Test(kv, prepare_refuses_a_transaction_of_which_one_operation_grows_it)
{
    begin(KV_TRANSACTION);
    kv_request_ops(&building);
    add_op(KV_DEL, "a");
    add_op(KV_APPEND, "a 1");
    add_op(KV_DBSIZE, "");
    assert_refused_from(LIMIT - request.size + 1);
}

Test(kv, prepare_lets_pass_what_frees_memory_however_little_there_is)
{
    proposal.memory_bytes = 2 * LIMIT;
    cr_assert_str_eq(ask(KV_DEL, "a"), ":0\r\n");
    cr_assert_str_eq(ask(KV_FLUSHALL, ""), "+OK\r\n");
}

static void prepare_many(void *context)
{
    struct mailraft_buffer prepared = {0};

    (void)context;
    for (int i = 0; i < 1000; i++) {
        buffer_clear(&prepared);
        cr_assert(machine.prepare(machine.context, &proposal, &prepared));
    }
    buffer_fini(&prepared);
}

Test(kv, prepare_runs_while_entries_are_applied)
{
    struct mailraft_error err;
    struct thread server;

    begin(0);
    kv_request_ops(&building);
    add_op(KV_INCR, "a");
    cr_assert(prepare());
    cr_assert(thread_start(&server, "server", prepare_many, NULL, &err));
    for (int i = 0; i < 1000; i++)
        apply(command.bytes, command.size);
    thread_join(&server);
    cr_assert_str_eq(query(KV_GET, "a"), "$4\r\n1000\r\n");
}

/* ---- Applying ---- */

Test(kv, a_command_is_answered)
{
    cr_assert_str_eq(ask(KV_SET, "a 1"), "+OK\r\n");
    cr_assert_str_eq(ask(KV_INCRBY, "a 41"), ":42\r\n");
    cr_assert_str_eq(query(KV_GET, "a"), "$2\r\n42\r\n");
    assert_twins();
}

Test(kv, resp3_is_spoken_to_who_speaks_it)
{
    begin(KV_RESP3);
    kv_request_ops(&building);
    add_op(KV_GET, "a");
    cr_assert_str_eq(read_request(time_us), "_\r\n");
    begin(KV_RESP3);
    kv_request_ops(&building);
    add_op(KV_GETDEL, "a");
    cr_assert_str_eq(answer(), "_\r\n");
    cr_assert_str_eq(ask(KV_GETDEL, "a"), "$-1\r\n");
}

Test(kv, what_is_logged_and_malformed_is_answered_so)
{
    apply("nonsense", 8);
    assert_begins(text_of(&reply), "-ERR ");
    begin(0);
    kv_request_ops(&building);
    add_op(KV_SET, "a 1");
    apply(request.bytes, request.size);
    assert_begins(text_of(&reply), "-ERR ");
    cr_assert_str_eq(query(KV_DBSIZE, ""), ":0\r\n");
}

Test(kv, a_command_without_a_secret_is_refused_where_there_is_none)
{
    struct kv_settled settled = {LIMIT, 1, (const uint8_t[KEYSPACE_SECRET_BYTES]){0}};

    begin(0);
    kv_request_ops(&building);
    add_op(KV_SET, "a 1");
    kv_request_settle(request.bytes, request.size, &settled, &command);
    apply(command.bytes, command.size);
    assert_begins(text_of(&reply), "-ERR ");
}

Test(kv, the_first_secret_in_the_log_is_the_one)
{
    begin(0);
    kv_request_ops(&building);
    add_op(KV_SET, "a 1");
    cr_assert(prepare());
    apply(command.bytes, command.size);
    command.bytes[17] ^= 1; /* one that was prepared before the other was applied */
    apply(command.bytes, command.size);
    buffer_clear(&request);
    snapshot_of(machine, &request);
    cr_assert_arr_eq(request.bytes + 20, "and the secret..", KEYSPACE_SECRET_BYTES);
    assert_twins();
}

Test(kv, the_limit_of_the_leader_counts_on_every_node)
{
    struct kv_settled settled = {keyspace_bytes_of(1, 1, false), 1, (const uint8_t *)"sixteen letters!"};

    begin(0);
    kv_request_ops(&building);
    add_op(KV_SET, "a 1");
    kv_request_settle(request.bytes, request.size, &settled, &command);
    apply(command.bytes, command.size);
    assert_begins(text_of(&reply), "-OOM ");
    assert_twins();
}

Test(kv, an_entry_without_a_command_only_lets_time_pass)
{
    ask(KV_SET, "a 1 PX 30");
    cr_assert_eq(standing.deadline_us, time_us + 30000);
    pass_time(29999);
    cr_assert_eq(reply.size, 0);
    cr_assert_str_eq(query(KV_DBSIZE, ""), ":1\r\n");
    pass_time(1);
    cr_assert_str_eq(query(KV_DBSIZE, ""), ":0\r\n");
    cr_assert_eq(standing.deadline_us, MAILRAFT_NO_DEADLINE);
    assert_twins();
}

Test(kv, what_is_due_goes_before_the_entry_is_carried_out)
{
    ask(KV_SET, "a 1 PX 30");
    time_us += 30000;
    cr_assert_str_eq(ask(KV_INCR, "a"), ":1\r\n");
}

Test(kv, a_wall_clock_that_was_set_moves_what_is_due_by_it)
{
    ask(KV_SET, "a 1 PXAT 2000"); /* milliseconds since 1970, where it is one second now */
    cr_assert_eq(standing.deadline_us, 2000000);
    wall_offset_us = 400000;
    pass_time(0);
    cr_assert_eq(standing.deadline_us, 1600000);
    pass_time(600000);
    cr_assert_str_eq(query(KV_DBSIZE, ""), ":0\r\n");
}

Test(kv, standing_tells_what_the_state_takes)
{
    ask(KV_DEL, "a");
    size_t empty = standing.memory_bytes;
    ask(KV_SET, "name value");
    cr_assert_eq(standing.memory_bytes, empty + keyspace_bytes_of(4, 5, false));
}

Test(kv, a_batch_is_applied_in_its_order)
{
    struct mailraft_buffer replies[2] = {{0}, {0}};

    begin(0);
    kv_request_ops(&building);
    add_op(KV_INCR, "a");
    cr_assert(prepare());
    struct mailraft_entry entries[3] = {{1, time_us, 0, command.bytes, command.size, &replies[0]},
                                        {2, time_us, 0, command.bytes, command.size, NULL},
                                        {3, time_us, 0, command.bytes, command.size, &replies[1]}};
    machine.apply(machine.context, entries, 3, &standing);
    cr_assert_str_eq(text_of(&replies[0]), ":1\r\n");
    cr_assert_str_eq(text_of(&replies[1]), ":3\r\n");
    buffer_fini(&replies[0]);
    buffer_fini(&replies[1]);
}

/* ---- Transactions ---- */

Test(kv, a_transaction_is_answered_with_all_answers)
{
    begin(KV_TRANSACTION);
    kv_request_ops(&building);
    add_op(KV_SET, "a 1");
    add_op(KV_INCR, "a");
    add_op(KV_SETRANGE, "a");
    add_op(KV_GET, "a");
    cr_assert_str_eq(answer(),
                     "*4\r\n+OK\r\n:2\r\n-ERR wrong number of arguments for 'setrange' command\r\n$1\r\n2\r\n");
    assert_twins();
}

Test(kv, a_transaction_of_nothing_is_answered_with_nothing)
{
    begin(KV_TRANSACTION);
    kv_request_ops(&building);
    cr_assert_str_eq(answer(), "*0\r\n");
}

static const char *exec_watching(const char *name, uint64_t version, unsigned flags)
{
    uint64_t untouched = version_of("untouched");

    begin(KV_TRANSACTION | flags);
    kv_request_watch(&building, text("untouched"), untouched);
    kv_request_watch(&building, text(name), version);
    kv_request_watch(&building, text("untouched"), untouched);
    kv_request_ops(&building);
    add_op(KV_SET, "done 1");
    return answer();
}

Test(kv, a_transaction_whose_watches_are_unchanged_is_carried_out)
{
    ask(KV_SET, "a 1");
    uint64_t version = version_of("a");
    ask(KV_SET, "b 1");
    query(KV_GET, "a");
    cr_assert_str_eq(exec_watching("a", version, 0), "*1\r\n+OK\r\n");
}

Test(kv, a_transaction_is_not_carried_out_after_a_watched_key_has_changed)
{
    ask(KV_SET, "a 1");
    uint64_t version = version_of("a");
    ask(KV_SET, "a 1");
    cr_assert_str_eq(exec_watching("a", version, 0), "*-1\r\n");
    cr_assert_str_eq(exec_watching("a", version, KV_RESP3), "_\r\n");
    cr_assert_str_eq(query(KV_EXISTS, "done"), ":0\r\n");
}

Test(kv, nor_after_it_has_come_or_gone)
{
    uint64_t absent = version_of("a");
    ask(KV_SET, "a 1");
    cr_assert_str_eq(exec_watching("a", absent, 0), "*-1\r\n");
    uint64_t present = version_of("a");
    ask(KV_DEL, "a");
    cr_assert_str_eq(exec_watching("a", present, 0), "*-1\r\n");
    cr_assert_str_eq(exec_watching("a", absent, 0), "*-1\r\n");
    ask(KV_SET, "a 1");
    cr_assert_str_eq(exec_watching("a", present, 0), "*-1\r\n");
    cr_assert_str_eq(query(KV_EXISTS, "done"), ":0\r\n");
}

Test(kv, nor_after_it_has_expired_at_that_very_entry)
{
    ask(KV_SET, "a 1 PX 30");
    uint64_t version = version_of("a");
    time_us += 30000;
    cr_assert_str_eq(exec_watching("a", version, 0), "*-1\r\n");
}

/* ---- Answers ---- */

static void set_large(size_t size)
{
    char arguments[40];

    snprintf(arguments, sizeof arguments, "large %zu x", size - 1);
    buffer_clear(&command);
    ask(KV_SETRANGE, arguments);
}

static void apply_prepared(void)
{
    struct mailraft_entry entry = {++last_index, time_us, 0, command.bytes, command.size, &reply};

    cr_assert(prepare());
    entry.command = command.bytes;
    entry.size = command.size;
    buffer_clear(&reply);
    machine.apply(machine.context, &entry, 1, &standing);
}

static void assert_ends(const char *end)
{
    size_t size = strlen(end);

    cr_assert_geq(reply.size, size);
    cr_assert_arr_eq(reply.bytes + reply.size - size, end, size);
}

Test(kv, an_operation_whose_answer_does_not_fit_any_more_is_carried_out_without_it)
{
    set_large(LIMIT / 2);
    begin(KV_TRANSACTION);
    kv_request_ops(&building);
    for (int i = 0; i < 16; i++)
        add_op(KV_GET, "large");
    add_op(KV_GETDEL, "large");
    add_op(KV_EXISTS, "large");
    apply_prepared();
    assert_ends("-ERR the answer is larger than 536871936 bytes\r\n:0\r\n");
    cr_assert_leq(reply.size, KEYSPACE_VALUE_MAX + 2048);
}

Test(kv, a_value_asked_for_many_times_at_once_is_not_answered)
{
    set_large(LIMIT / 2);
    begin(0);
    kv_request_ops(&building);
    struct text keys[1000];
    for (int i = 0; i < 1000; i++)
        keys[i] = text("large");
    kv_request_op(&building, KV_MGET, keys, 1000); /* 31 GiB */
    read_request(time_us);
    cr_assert_str_eq((char *)reply.bytes, "-ERR the answer is larger than 536871936 bytes\r\n");
}

/* ---- Reading ---- */

Test(kv, a_read_changes_nothing_and_a_change_is_no_read)
{
    ask(KV_SET, "a 1");
    assert_begins(query(KV_DEL, "a"), "-ERR ");
    cr_assert_str_eq(query(KV_GET, "a"), "$1\r\n1\r\n");
    assert_twins();
}

Test(kv, a_malformed_read_is_answered_so)
{
    ask(KV_SET, "a 1");
    begin(0);
    assert_begins(read_request(time_us), "-ERR ");
    request.size = 0;
    assert_begins(read_request(time_us), "-ERR ");
    begin(KV_TRANSACTION);
    kv_request_ops(&building);
    add_op(KV_GET, "a");
    assert_begins(read_request(time_us), "-ERR ");
    cr_assert(prepare());
    buffer_clear(&reply);
    machine.read(machine.context, command.bytes, command.size, time_us, &reply);
    assert_begins(text_of(&reply), "-ERR ");
}

Test(kv, before_the_first_key_everything_can_be_read)
{
    cr_assert_str_eq(query(KV_GET, "a"), "$-1\r\n");
    cr_assert_str_eq(query(KV_DBSIZE, ""), ":0\r\n");
    cr_assert_str_eq(query(KV_RANDOMKEY, ""), "$-1\r\n");
    cr_assert_eq(version_of("a"), 0);
}

Test(kv, a_read_sees_its_own_time)
{
    ask(KV_SET, "a 1 PX 30");
    begin(0);
    kv_request_ops(&building);
    add_op(KV_PTTL, "a");
    cr_assert_str_eq(read_request(time_us + 10000), ":20\r\n");
}

Test(kv, reads_draw_other_random_bits_each_time)
{
    bool seen[3] = {false};

    ask(KV_SET, "0 x");
    ask(KV_SET, "1 x");
    ask(KV_SET, "2 x");
    for (int i = 0; i < 1000 && !(seen[0] && seen[1] && seen[2]); i++)
        seen[query(KV_RANDOMKEY, "")[4] - '0'] = true;
    cr_assert(seen[0] && seen[1] && seen[2]);
}

Test(kv, the_operations_of_a_transaction_draw_random_bits_of_their_own)
{
    static const int COUNT = 64;
    bool seen[2] = {false};

    ask(KV_SET, "0 x");
    ask(KV_SET, "1 x");
    begin(KV_TRANSACTION);
    kv_request_ops(&building);
    for (int i = 0; i < COUNT; i++)
        add_op(KV_RANDOMKEY, "");
    const char *at = answer() + strlen("*64\r\n");
    for (int i = 0; i < COUNT; i++, at += strlen("$1\r\n0\r\n"))
        seen[at[4] - '0'] = true;
    cr_assert(seen[0] && seen[1]);
    assert_twins();
}

/* ---- Snapshots ---- */

static void fill(int count)
{
    char arguments[100];

    for (int i = 0; i < count; i++) {
        snprintf(arguments, sizeof arguments, "key-%d a-value-of-some-length-%d PX %d", i, i, 1000 + i);
        ask(KV_SET, arguments);
    }
    ask(KV_SET, "far 1 PXAT 9000000000000");
    ask(KV_DEL, "key-7");
}

/* Into another copy, which had other data; portions of that many bytes. */
static bool read_into_twin(const struct mailraft_buffer *bytes, size_t portion_bytes, struct mailraft_error *err)
{
    bool fine = true;
    uint64_t portion = 0;

    for (size_t at = 0; fine && at < bytes->size; at += portion_bytes) {
        size_t left = bytes->size - at, size = left < portion_bytes ? left : portion_bytes;
        fine = twin_machine.read_snapshot(twin_machine.context, portion++, bytes->bytes + at, size, size == left, err);
    }
    return fine;
}

/* One that has other data, with another secret. */
static void make_other_twin(void)
{
    kv_free(twin);
    twin = kv_new(LIMIT);
    twin_machine = kv_machine(twin);
    begin(0);
    kv_request_ops(&building);
    add_op(KV_SET, "nobody has-this");
    cr_assert(prepare());
    command.bytes[17] = 'x';
    apply(command.bytes, command.size);
}

Test(kv, a_snapshot_brings_another_copy_into_the_same_state)
{
    struct mailraft_buffer bytes = {0};
    struct mailraft_error err;

    fill(2000);
    make_other_twin();
    snapshot_of(machine, &bytes);
    cr_assert(read_into_twin(&bytes, 10000, &err));
    assert_twins();
    pass_time(3000000);
    ask(KV_SET, "after 1");
    assert_twins();
    cr_assert_str_eq(query(KV_DBSIZE, ""), ":3\r\n");
    buffer_fini(&bytes);
}

Test(kv, the_first_portion_of_a_snapshot_throws_the_state_away)
{
    struct mailraft_buffer bytes = {0};
    struct mailraft_error err;

    ask(KV_SET, "a 1");
    machine.write_snapshot(machine.context, 0, &bytes);
    cr_assert(machine.read_snapshot(machine.context, 0, bytes.bytes, bytes.size, false, &err));
    cr_assert_str_eq(query(KV_DBSIZE, ""), ":0\r\n");
    buffer_fini(&bytes);
}

Test(kv, a_snapshot_comes_in_portions_of_64_kib)
{
    struct mailraft_buffer bytes = {0};
    uint64_t portion = 0;

    fill(2000);
    while (machine.write_snapshot(machine.context, portion, &bytes)) {
        cr_assert_eq(bytes.size, 65536);
        buffer_clear(&bytes);
        portion++;
    }
    cr_assert_eq(portion, 3);
    cr_assert_leq(bytes.size, 65536);
    buffer_fini(&bytes);
}

Test(kv, what_is_applied_between_portions_does_not_show)
{
    struct mailraft_buffer whole = {0}, bytes = {0};

    fill(2000);
    snapshot_of(machine, &whole);
    for (uint64_t portion = 0; machine.write_snapshot(machine.context, portion, &bytes); portion++)
        ask(KV_INCR, "between");
    cr_assert_eq(bytes.size, whole.size);
    cr_assert_arr_eq(bytes.bytes, whole.bytes, whole.size);
    buffer_fini(&whole);
    buffer_fini(&bytes);
}

Test(kv, a_snapshot_can_begin_again)
{
    struct mailraft_buffer bytes = {0}, abandoned = {0};
    struct mailraft_error err;

    fill(2000);
    machine.write_snapshot(machine.context, 0, &abandoned);
    snapshot_of(machine, &bytes);
    cr_assert(twin_machine.read_snapshot(twin_machine.context, 0, abandoned.bytes, abandoned.size, false, &err));
    cr_assert(read_into_twin(&bytes, 65536, &err));
    assert_twins();
    machine.write_snapshot(machine.context, 0, &abandoned); /* and need not end */
    buffer_fini(&abandoned);
    buffer_fini(&bytes);
}

Test(kv, a_damaged_snapshot_is_refused)
{
    struct mailraft_buffer bytes = {0};
    struct mailraft_error err;

    fill(100);
    snapshot_of(machine, &bytes);
    bytes.bytes[bytes.size / 2] ^= 1;
    cr_assert_not(read_into_twin(&bytes, 65536, &err));
    cr_assert(error_is(&err, &DAMAGED_ERROR));
    bytes.bytes[bytes.size / 2] ^= 1;
    cr_assert(read_into_twin(&bytes, 65536, &err));
    assert_twins();
    buffer_fini(&bytes);
}

Test(kv, after_a_snapshot_the_secret_is_known)
{
    static const uint8_t zeros[KEYSPACE_SECRET_BYTES];
    struct mailraft_buffer bytes = {0};
    struct kv_contents contents;
    struct mailraft_error err;

    ask(KV_SET, "a 1");
    kv_free(twin);
    twin = kv_new(LIMIT);
    twin_machine = kv_machine(twin);
    snapshot_of(machine, &bytes);
    cr_assert(read_into_twin(&bytes, 65536, &err));
    begin(0);
    kv_request_ops(&building);
    add_op(KV_SET, "a 1");
    proposal.request = request.bytes;
    proposal.size = request.size;
    buffer_clear(&command);
    cr_assert(twin_machine.prepare(twin_machine.context, &proposal, &command));
    cr_assert(kv_contents_read(&contents, command.bytes, command.size, true));
    cr_assert_arr_eq(contents.settled.secret, zeros, KEYSPACE_SECRET_BYTES);
    buffer_fini(&bytes);
}
