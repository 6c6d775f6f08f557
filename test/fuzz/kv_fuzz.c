/* kv_fuzz.c - what clients and other members ask of the store, and what stands in the log. Two stores are given the
 * same entries: one with clients that wait for answers and that read, the other without, or with a snapshot of the
 * first. In the end their data are the same, so what is only read changes nothing; and every answer is one reply.
 *
 * Input: deeds, each u8 and what it takes. A request is u8 flags, u8 how many watches and, in the upper half,
 *        operations beside the first; a watch is u8 size, u64 version, key; an operation is u8 op, u8 how many
 *        arguments, of each u8 size, bytes. */
#include "fuzz.h"

#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/memory.h"
#include "replies.h"
#include "serve/kv.h"
#include "serve/kv_ops.h"
#include "serve/kv_request.h"

#define MEMORY_MAX (1024 * 1024)
#define WORDS_MAX  16
#define OPS_MAX    8

enum deed { ASK, READ, ASK_RAW, LOGGED_RAW, READ_RAW, PASS_TIME, TAKE_SNAPSHOT, DEEDS };

FUZZ_MARK(logged, "a command that is logged");
FUZZ_MARK(transacted, "a transaction");
FUZZ_MARK(replied, "an answer that is a value");
FUZZ_MARK(failed, "an answer that is an error");
FUZZ_MARK(malformed, "a command of the log that is malformed");
FUZZ_MARK(full, "a command that finds no room");
FUZZ_MARK(expired, "time that removes keys");
FUZZ_MARK(copied, "a snapshot of several keys");

static struct kv *stores[2];
static struct mailraft_machine machines[2];
static uint64_t index_now;
static int64_t time_us, wall_offset_us;
static size_t memory_bytes;
static bool has_copied; /* a snapshot, which takes its time: one an input */

/* ---- The state ---- */

static struct mailraft_buffer snapshot_of(int store)
{
    struct mailraft_buffer bytes = {.bytes = NULL};
    uint64_t portion = 0;

    while (machines[store].write_snapshot(machines[store].context, portion++, &bytes))
        ;
    return bytes;
}

static void check_same_state(void)
{
    struct mailraft_buffer one = snapshot_of(0), other = snapshot_of(1);

    assert(one.size == other.size && memcmp(one.bytes, other.bytes, one.size) == 0);
    buffer_fini(&one);
    buffer_fini(&other);
}

static void take_snapshot(void)
{
    struct mailraft_buffer bytes = snapshot_of(0);
    struct mailraft_error err;
    size_t half = bytes.size / 2;

    has_copied = true;

    assert(machines[1].read_snapshot(machines[1].context, 0, bytes.bytes, half, false, &err));
    assert(machines[1].read_snapshot(machines[1].context, 1, bytes.bytes + half, bytes.size - half, true, &err));
    if (bytes.size > 44 + 8 * KEYSPACE_PARTS + 2 * 26 + 8)
        fuzz_reach(copied);
    buffer_fini(&bytes);
}

/* ---- Answers ---- */

/* Answers of these are for sessions alone, and the first is what the request says. */
static bool is_plain(enum kv_op op)
{
    return op != KV_LITERAL && op != KV_VERSIONS && op != KV_STATE;
}

static void check_answer(const struct mailraft_buffer *answer, bool plain)
{
    assert(answer->size > 0 || !plain);
    if (plain)
        assert(replies_count(answer->bytes, answer->size) == 1);
    if (answer->size > 4 && memcmp(answer->bytes, "-OOM", 4) == 0)
        fuzz_reach(full);
    else if (answer->size > 0 && answer->bytes[0] == '-')
        fuzz_reach(failed);
    else
        fuzz_reach(replied);
}

/* ---- Entries ---- */

/* plain: the answer is a reply, or there is none. */
static void apply(const void *command, size_t size, bool plain)
{
    struct mailraft_standing standings[2];
    struct mailraft_buffer reply = {.bytes = NULL};
    struct mailraft_entry entry = {.index = ++index_now,
                                   .time_us = time_us,
                                   .wall_offset_us = wall_offset_us,
                                   .command = command,
                                   .size = size,
                                   .reply = &reply};

    machines[0].apply(machines[0].context, &entry, 1, &standings[0]);
    entry.reply = NULL;
    machines[1].apply(machines[1].context, &entry, 1, &standings[1]);
    if (command != NULL)
        check_answer(&reply, plain);
    assert(standings[0].deadline_us == standings[1].deadline_us);
    assert(standings[0].memory_bytes == standings[1].memory_bytes);
    assert(standings[0].deadline_us > time_us);
    if (command == NULL && standings[0].memory_bytes < memory_bytes)
        fuzz_reach(expired);
    memory_bytes = standings[0].memory_bytes;
    buffer_fini(&reply);
}

/* A request, which is logged where it is sound. */
static void ask(const struct mailraft_buffer *request, bool plain)
{
    struct mailraft_buffer command = {.bytes = NULL};
    struct mailraft_proposal proposal = {.request = request->bytes,
                                         .size = request->size,
                                         .time_us = time_us,
                                         .wall_offset_us = wall_offset_us,
                                         .memory_bytes = memory_bytes,
                                         .random = "random bits, of which these are"};

    if (machines[0].prepare(machines[0].context, &proposal, &command)) {
        struct kv_contents contents;
        assert(kv_contents_read(&contents, command.bytes, command.size, true));
        fuzz_reach(logged);
        if (contents.flags & KV_TRANSACTION)
            fuzz_reach(transacted);
        apply(command.bytes, command.size, plain);
    } else {
        check_answer(&command, true);
    }
    buffer_fini(&command);
}

static void read_state(const struct mailraft_buffer *query, bool plain)
{
    struct mailraft_buffer reply = {.bytes = NULL};

    machines[0].read(machines[0].context, query->bytes, query->size, time_us, &reply);
    check_answer(&reply, plain);
    buffer_fini(&reply);
}

/* ---- What the input says ---- */

static struct text take_word(struct fuzz_input *input)
{
    size_t size = (size_t)fuzz_take(input, 1);
    const uint8_t *bytes = fuzz_take_bytes(input, &size);

    return (struct text){bytes, size};
}

/* Numbers above the last are operations, too: no byte is lost. */
static enum kv_op take_op(struct fuzz_input *input, struct kv_request *request)
{
    struct text words[WORDS_MAX];
    enum kv_op op = (enum kv_op)(1 + fuzz_take(input, 1) % KV_OP_LAST);
    size_t count = (size_t)fuzz_take(input, 1) % (WORDS_MAX + 1);

    for (size_t i = 0; i < count; i++)
        words[i] = take_word(input);
    kv_request_op(request, op, words, count);
    return op;
}

/* *plain: its answer is a reply. */
static struct mailraft_buffer take_request(struct fuzz_input *input, bool *plain)
{
    struct mailraft_buffer bytes = {.bytes = NULL};
    struct kv_request request;
    unsigned flags = (unsigned)fuzz_take(input, 1) & (KV_RESP3 | KV_TRANSACTION);
    size_t counts = (size_t)fuzz_take(input, 1), watches = counts % 4, ops = 1 + counts / 16 % OPS_MAX;

    *plain = true;
    kv_request_begin(&request, &bytes, flags);
    for (size_t i = 0; (flags & KV_TRANSACTION) != 0 && i < watches; i++) {
        uint64_t version = fuzz_take(input, 8);
        kv_request_watch(&request, take_word(input), version);
    }
    kv_request_ops(&request);
    for (size_t i = 0; i < ((flags & KV_TRANSACTION) != 0 ? ops : 1); i++)
        *plain &= is_plain(take_op(input, &request));
    return bytes;
}

static struct mailraft_buffer take_raw(struct fuzz_input *input)
{
    size_t size = (size_t)fuzz_take(input, 2);
    const uint8_t *bytes = fuzz_take_bytes(input, &size);

    return (struct mailraft_buffer){fuzz_copy(bytes, size), size, size};
}

/* Whether a request that may be sound has an answer that is a reply. */
static bool raw_is_plain(const struct mailraft_buffer *request, bool settled)
{
    struct kv_contents contents;
    bool plain = true;

    if (!kv_contents_read(&contents, request->bytes, request->size, settled))
        return true;
    struct text *words = memory_new((contents.arguments_max + 1) * sizeof *words);
    for (size_t i = 0; i < contents.ops; i++) {
        size_t count;
        plain &= is_plain(kv_contents_take_op(&contents, words, &count));
    }
    memory_free(words);
    return plain;
}

/* What is logged says how much the state may take: here no more than the machine that fuzzes has. */
static void apply_raw(struct mailraft_buffer *command)
{
    struct kv_contents contents;

    if (command->size >= 9 && bytes_get_u64(command->bytes + 1) > MEMORY_MAX)
        bytes_put_u64(command->bytes + 1, MEMORY_MAX);
    if (!kv_contents_read(&contents, command->bytes, command->size, true))
        fuzz_reach(malformed);
    apply(command->bytes, command->size, raw_is_plain(command, true));
}

static void pass_time(struct fuzz_input *input)
{
    int64_t span_us = (int64_t)(fuzz_take(input, 5)), limit_us = INT64_MAX / 64;

    wall_offset_us = (int64_t)fuzz_take(input, 8) % limit_us;
    time_us = time_us < INT64_MAX - 1 - span_us ? time_us + span_us : time_us;
    apply(NULL, 0, true);
}

static void do_next(struct fuzz_input *input)
{
    enum deed deed = (enum deed)(fuzz_take(input, 1) % DEEDS);
    struct mailraft_buffer bytes = {.bytes = NULL};
    bool plain;

    switch (deed) {
    case ASK:
        bytes = take_request(input, &plain);
        ask(&bytes, plain);
        break;
    case READ:
        bytes = take_request(input, &plain);
        read_state(&bytes, plain);
        break;
    case ASK_RAW:
        bytes = take_raw(input);
        ask(&bytes, raw_is_plain(&bytes, false));
        break;
    case LOGGED_RAW:
        bytes = take_raw(input);
        apply_raw(&bytes);
        break;
    case READ_RAW:
        bytes = take_raw(input);
        read_state(&bytes, raw_is_plain(&bytes, false));
        break;
    case PASS_TIME:
        pass_time(input);
        break;
    case TAKE_SNAPSHOT:
    case DEEDS:
        if (!has_copied)
            take_snapshot();
        break;
    }
    buffer_fini(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fuzz_input input = {bytes, size};

    fuzz_seam_reset();
    for (int i = 0; i < 2; i++) {
        stores[i] = kv_new(MEMORY_MAX);
        machines[i] = kv_machine(stores[i]);
    }
    index_now = 0;
    time_us = INT64_C(1800000000000000);
    wall_offset_us = 0;
    memory_bytes = 0;
    has_copied = false;
    while (input.left > 0)
        do_next(&input);
    check_same_state();
    kv_free(stores[0]);
    kv_free(stores[1]);
    return 0;
}
