/* The counter machine, asked as Raft asks it: what is prepared is applied. */
#include "check.h"

#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "counter.h"

static struct counter counter; /* a test is a process of its own */
static struct mailraft_machine machine;
static struct mailraft_standing standing;
static struct mailraft_buffer reply;
static int64_t time_us, wall_offset_us;
static uint64_t last_index;

static void open(void)
{
    counter_init(&counter);
    machine = counter_machine(&counter);
    time_us = 1000000;
}

static void close(void)
{
    buffer_fini(&reply);
}

TestSuite(counter, .init = open, .fini = close);

static const char *text_of(struct mailraft_buffer *buffer)
{
    mailraft_buffer_put(buffer, "", 1);
    return (const char *)buffer->bytes;
}

static bool prepare(const char *request, struct mailraft_buffer *command, uint8_t random)
{
    struct mailraft_proposal proposal = {.request = request,
                                         .size = strlen(request),
                                         .time_us = time_us,
                                         .wall_offset_us = wall_offset_us,
                                         .random = {random}};

    return machine.prepare(machine.context, &proposal, command);
}

static void apply(const void *command, size_t size)
{
    struct mailraft_entry entry = {++last_index, time_us, wall_offset_us, command, size, &reply};

    buffer_clear(&reply);
    machine.apply(machine.context, &entry, 1, &standing);
}

/* What a request is answered with. */
static const char *answer_with(const char *request, uint8_t random)
{
    struct mailraft_buffer command = {0};

    if (prepare(request, &command, random)) {
        apply(command.bytes, command.size);
    } else {
        buffer_clear(&reply);
        mailraft_buffer_put(&reply, command.bytes, command.size);
    }
    buffer_fini(&command);
    return text_of(&reply);
}

static const char *answer(const char *request)
{
    return answer_with(request, 0);
}

static const char *query_at(const char *query, int64_t at_us)
{
    buffer_clear(&reply);
    machine.read(machine.context, query, strlen(query), at_us, &reply);
    return text_of(&reply);
}

/* ---- Preparing ---- */

Test(counter, what_is_random_is_drawn_when_it_is_prepared)
{
    struct mailraft_buffer command = {0};

    cr_assert(prepare("roll", &command, 9));
    cr_assert_str_eq(text_of(&command), "add 4");
    buffer_fini(&command);
}

Test(counter, what_is_relative_to_now_is_settled_when_it_is_prepared)
{
    struct mailraft_buffer command = {0};

    cr_assert(prepare("expire 20", &command, 0));
    cr_assert_str_eq(text_of(&command), "deadline 1020000");
    buffer_fini(&command);
}

Test(counter, what_is_no_request_is_refused_and_told_why)
{
    static const char *const WRONG[] = {"",          "add",    "add ",       "add x",
                                        "add 1 ",    "add  1", "add 1x",     "add +1",
                                        "get 1",     "roll 1", "expire",     "ADD 1",
                                        "expire -1", "until",  "deadline 1", "expire 2147483648",
                                        "add 1 2",   "add -",  "add 1-2",    "add 9223372036854775808"};

    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
        cr_assert_eq(strncmp(answer(WRONG[i]), "ERR ", 4), 0, "\"%s\" was answered with %s", WRONG[i], reply.bytes);
    cr_assert_eq(last_index, 0, "nothing was logged");
}

/* ---- Applying ---- */

Test(counter, additions_are_answered_with_their_sum)
{
    cr_assert_str_eq(answer("add 5"), "5");
    cr_assert_str_eq(answer("add -7"), "-2");
    cr_assert_str_eq(answer_with("roll", 2), "1");
    cr_assert_str_eq(answer("get"), "1");
}

Test(counter, an_addition_that_does_not_fit_changes_nothing)
{
    cr_assert_str_eq(answer("add 9223372036854775807"), "9223372036854775807");
    cr_assert_str_eq(answer("add 1"), "ERR the counter would overflow");
    cr_assert_str_eq(answer("get"), "9223372036854775807");
}

Test(counter, what_was_logged_and_is_no_command_is_answered_so_and_counts_as_applied)
{
    apply("nonsense", 8);
    cr_assert_str_eq(text_of(&reply), "ERR what was logged is no command");
    cr_assert_eq(counter.index, 1);
}

Test(counter, an_entry_that_nobody_waits_for_is_applied_all_the_same)
{
    struct mailraft_entry entry = {1, time_us, 0, "add 5", 5, NULL};

    machine.apply(machine.context, &entry, 1, &standing);
    cr_assert_eq(counter.value, 5);
}

Test(counter, it_returns_to_zero_when_an_entry_of_its_deadline_is_applied)
{
    answer("add 5");
    cr_assert_eq(standing.deadline_us, MAILRAFT_NO_DEADLINE);
    answer("expire 20");
    cr_assert_eq(standing.deadline_us, 1020000);
    time_us = 1019999;
    cr_assert_str_eq(answer("get"), "5");
    time_us = 1020000;
    apply(NULL, 0);
    cr_assert_eq(counter.value, 0);
    cr_assert_eq(standing.deadline_us, MAILRAFT_NO_DEADLINE);
}

Test(counter, it_returns_to_zero_when_the_wall_clock_shows_its_deadline)
{
    wall_offset_us = 300;
    answer("add 5");
    answer("until 1000400");
    cr_assert_eq(standing.deadline_us, 1000100, "by the cluster's time");
    wall_offset_us = 350; /* the wall clock was set */
    cr_assert_str_eq(answer("get"), "5");
    cr_assert_eq(standing.deadline_us, 1000050);
    time_us = 1000050;
    cr_assert_str_eq(answer("get"), "0");
}

Test(counter, equal_hashes_mean_that_the_same_was_applied_in_the_same_order)
{
    uint64_t hashes[3];
    const char *first[] = {"add 1", "add 2", "add 1"}, *second[] = {"add 2", "add 1", "add 2"};

    for (int i = 0; i < 3; i++) {
        counter_init(&counter);
        last_index = 0;
        answer(first[i]);
        answer(second[i]);
        hashes[i] = counter.hash;
    }
    cr_assert_neq(hashes[0], hashes[1]);
    cr_assert_eq(hashes[0], hashes[2]);
}

Test(counter, the_standing_tells_how_much_memory_it_takes)
{
    answer("get");
    cr_assert_eq(standing.memory_bytes, sizeof(struct counter));
}

/* ---- Reading ---- */

Test(counter, a_query_is_answered_from_the_state_and_leaves_it_as_it_is)
{
    answer("add 5");
    answer("expire 20");
    cr_assert_str_eq(query_at("get", 1019999), "5");
    cr_assert_str_eq(query_at("get", 1020000), "0", "as it is at that time");
    cr_assert_str_eq(query_at("get", 1019999), "5");
    cr_assert_str_eq(query_at("add 1", 0), "ERR get is expected");
    cr_assert_eq(counter.value, 5);
}

/* ---- Snapshots ---- */

#define PORTIONS 4

static void write_portions(struct mailraft_buffer portions[PORTIONS])
{
    for (uint64_t i = 0; i < PORTIONS; i++) {
        cr_assert_eq(machine.write_snapshot(machine.context, i, &portions[i]), i + 1 < PORTIONS);
        answer("add 1"); /* applying goes on */
    }
}

static bool read_portions(struct mailraft_buffer portions[PORTIONS], int count, struct mailraft_error *err)
{
    for (int i = 0; i < count; i++)
        if (!machine.read_snapshot(machine.context, (uint64_t)i, portions[i].bytes, portions[i].size, i + 1 == count,
                                   err))
            return false;
    return true;
}

static void free_portions(struct mailraft_buffer portions[PORTIONS])
{
    for (int i = 0; i < PORTIONS; i++)
        buffer_fini(&portions[i]);
}

Test(counter, a_snapshot_brings_back_the_state_as_it_was_when_it_was_begun)
{
    struct mailraft_buffer portions[PORTIONS] = {0};
    struct mailraft_error err;
    struct counter before;

    answer("add 5");
    answer("expire 20");
    before = counter;
    write_portions(portions);
    cr_assert_eq(counter.value, 9);
    cr_assert(read_portions(portions, PORTIONS, &err));
    cr_assert_eq(counter.value, 5);
    cr_assert_eq(counter.deadline_us, before.deadline_us);
    cr_assert_eq(counter.until_us, before.until_us);
    cr_assert_eq(counter.index, before.index);
    cr_assert_eq(counter.hash, before.hash);
    free_portions(portions);
}

Test(counter, a_snapshot_with_any_byte_changed_is_refused)
{
    struct mailraft_buffer portions[PORTIONS] = {0};
    struct mailraft_error err;

    write_portions(portions);
    for (size_t i = 0; i < COUNTER_SNAPSHOT_BYTES; i++) {
        uint8_t *byte = &portions[i / COUNTER_PORTION_BYTES].bytes[i % COUNTER_PORTION_BYTES];

        *byte ^= 1;
        cr_assert_not(read_portions(portions, PORTIONS, &err), "byte %zu", i);
        cr_assert(error_is(&err, &DAMAGED_ERROR));
        *byte ^= 1;
    }
    cr_assert(read_portions(portions, PORTIONS, &err));
    free_portions(portions);
}

Test(counter, a_snapshot_that_is_too_short_or_too_long_is_refused)
{
    struct mailraft_buffer portions[PORTIONS] = {0};
    struct mailraft_error err;

    write_portions(portions);
    cr_assert_not(read_portions(portions, PORTIONS - 1, &err));
    cr_assert(error_is(&err, &DAMAGED_ERROR));
    mailraft_buffer_put(&portions[PORTIONS - 1], "x", 1);
    cr_assert_not(read_portions(portions, PORTIONS, &err));
    cr_assert(error_is(&err, &DAMAGED_ERROR));
    free_portions(portions);
}

Test(counter, a_snapshot_that_is_begun_anew_throws_the_unfinished_one_away)
{
    struct mailraft_buffer portions[PORTIONS] = {0}, unfinished = {0};
    struct mailraft_error err;

    answer("add 5");
    machine.write_snapshot(machine.context, 0, &unfinished);
    answer("add 5");
    write_portions(portions);
    cr_assert(machine.read_snapshot(machine.context, 0, unfinished.bytes, unfinished.size, false, &err));
    cr_assert(read_portions(portions, PORTIONS, &err));
    cr_assert_eq(counter.value, 10);
    buffer_fini(&unfinished);
    free_portions(portions);
}
