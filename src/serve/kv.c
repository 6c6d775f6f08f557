#include "serve/kv.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"
#include "serve/kv_ops.h"
#include "serve/kv_request.h"
#include "serve/kv_snapshot.h"

#define PORTION_BYTES      (64 * 1024)
#define SCRATCH_BYTES_KEPT (1024 * 1024)

struct kv {
    size_t memory_bytes_max;
    atomic_bool has_secret; /* the keyspace's; the machine's thread writes it, prepare reads it */

    /* The machine's thread's. */
    struct keyspace *keyspace;
    int64_t wall_offset_us; /* as the last entry told it */
    uint64_t random;        /* the state of next_random */
    struct text *arguments; /* of the operation that is carried out */
    size_t arguments_room;
    struct mailraft_buffer scratch;                         /* for answers that nobody waits for */
    struct mailraft_buffer snapshot_written, snapshot_read; /* those that are under way */
};

bool kv_op_is_read(enum kv_op op)
{
    return (unsigned)op <= KV_OP_LAST && KV_FUNCTIONS[op].read;
}

/* What a session never makes, so its wording is nobody's but ours. */
static void put_malformed(struct mailraft_buffer *out)
{
    resp_put_error(out, "ERR this is no sound request to the store");
}

/* ---- Preparing: what is random, or relative to this node, is settled ---- */

static struct kv_settled settle(const struct kv *kv, const struct mailraft_proposal *proposal)
{
    static const uint8_t none[KEYSPACE_SECRET_BYTES];

    _Static_assert(MAILRAFT_RANDOM_BYTES >= 8 + KEYSPACE_SECRET_BYTES, "bits for both");
    return (struct kv_settled){.limit = kv->memory_bytes_max,
                               .random = bytes_get_u64(proposal->random),
                               .secret = atomic_load(&kv->has_secret) ? none : proposal->random + 8};
}

static bool prepare(void *context, const struct mailraft_proposal *proposal, struct mailraft_buffer *command)
{
    const struct kv *kv = context;
    struct kv_contents contents;
    struct kv_settled settled;

    if (!kv_contents_read(&contents, proposal->request, proposal->size, false)) {
        put_malformed(command);
        return false;
    }
    if (contents.grows && (proposal->memory_bytes > kv->memory_bytes_max ||
                           proposal->size > kv->memory_bytes_max - proposal->memory_bytes)) {
        resp_put_error(command, "OOM command not allowed when used memory > 'maxmemory'.");
        return false;
    }
    settled = settle(kv, proposal);
    kv_request_settle(proposal->request, proposal->size, &settled, command);
    return true;
}

/* ---- Carrying out ---- */

static void make_room(struct kv *kv, size_t arguments)
{
    if (arguments <= kv->arguments_room)
        return;
    kv->arguments = memory_resize(kv->arguments, arguments * sizeof *kv->arguments);
    kv->arguments_room = arguments;
}

/* Many large values, asked for at once, may be more than a process can hold. */
static void bound_answer(struct mailraft_buffer *out, size_t began)
{
    if (out->size <= KV_ANSWER_BYTES_MAX)
        return;
    out->size = began;
    resp_put_error(out, "ERR the answer is larger than %u bytes", KV_ANSWER_BYTES_MAX);
}

/* call: all but the operation's arguments. */
static void run_next(struct kv *kv, struct kv_contents *contents, struct kv_call *call)
{
    enum kv_op op = kv_contents_take_op(contents, kv->arguments, &call->count);
    size_t began = call->out->size;

    call->arguments = kv->arguments;
    KV_FUNCTIONS[op].run(call);
    bound_answer(call->out, began);
}

static bool watched_are_unchanged(const struct kv *kv, struct kv_contents *contents)
{
    bool unchanged = true;

    for (size_t i = 0; i < contents->watches; i++) {
        uint64_t version;
        struct text key = kv_contents_take_watch(contents, &version);
        unchanged &= keyspace_version(kv->keyspace, key) == version;
    }
    return unchanged;
}

/* SplitMix64 (Steele, Lea, Flood). */
static uint64_t split_mix(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void run_all(struct kv *kv, struct kv_contents *contents, struct kv_call *call)
{
    make_room(kv, contents->arguments_max);
    if ((contents->flags & KV_TRANSACTION) == 0) {
        run_next(kv, contents, call);
        return;
    }
    if (!watched_are_unchanged(kv, contents)) {
        resp_put_null_array(call->out, call->resp3);
        return;
    }
    uint64_t random = call->random;
    resp_put_array(call->out, contents->ops);
    for (size_t i = 0; i < contents->ops; i++) {
        call->random = split_mix(&random);
        run_next(kv, contents, call);
        if (call->out == &kv->scratch)
            buffer_clear(call->out);
    }
}

/* ---- Applying ---- */

/* Of those that were suggested, the first in the log is the one. False: there is none, and none was suggested. */
static bool take_secret(struct kv *kv, const uint8_t secret[KEYSPACE_SECRET_BYTES])
{
    if (keyspace_secret(kv->keyspace) != NULL)
        return true;
    if (bytes_are_zero(secret, KEYSPACE_SECRET_BYTES))
        return false;
    keyspace_set_secret(kv->keyspace, secret);
    atomic_store(&kv->has_secret, true);
    return true;
}

static void execute(struct kv *kv, const struct mailraft_entry *entry, struct mailraft_buffer *out)
{
    struct kv_contents contents;

    if (!kv_contents_read(&contents, entry->command, entry->size, true) || !take_secret(kv, contents.settled.secret)) {
        put_malformed(out);
        return;
    }
    struct kv_call call = {.keyspace = kv->keyspace,
                           .out = out,
                           .resp3 = (contents.flags & KV_RESP3) != 0,
                           .index = entry->index,
                           .time_us = entry->time_us,
                           .wall_offset_us = entry->wall_offset_us,
                           .limit = contents.settled.limit,
                           .random = contents.settled.random};
    run_all(kv, &contents, &call);
}

/* Entries that nobody waits for are executed like those of others: what they answer is thrown away. */
static void apply_one(struct kv *kv, const struct mailraft_entry *entry)
{
    kv->wall_offset_us = entry->wall_offset_us;
    keyspace_expire(kv->keyspace, entry->time_us, entry->wall_offset_us, entry->index);
    if (entry->command == NULL)
        return;
    execute(kv, entry, entry->reply != NULL ? entry->reply : &kv->scratch);
    if (kv->scratch.room > SCRATCH_BYTES_KEPT)
        buffer_fini(&kv->scratch);
    buffer_clear(&kv->scratch);
}

static void apply(void *context, const struct mailraft_entry *entries, size_t count, struct mailraft_standing *standing)
{
    struct kv *kv = context;

    for (size_t i = 0; i < count; i++)
        apply_one(kv, &entries[i]);
    *standing = (struct mailraft_standing){.deadline_us = keyspace_deadline_us(kv->keyspace, kv->wall_offset_us),
                                           .memory_bytes = keyspace_bytes(kv->keyspace)};
}

/* ---- Reading ---- */

/* Begun at random: reads need not be the same on every node. */
static uint64_t next_random(struct kv *kv)
{
    if (kv->random == 0)
        random_bytes(&kv->random, sizeof kv->random);
    return split_mix(&kv->random);
}

static void read_one(void *context, const void *query, size_t size, int64_t time_us, struct mailraft_buffer *reply)
{
    struct kv *kv = context;
    struct kv_contents contents;

    if (!kv_contents_read(&contents, query, size, false) || contents.changes ||
        (contents.flags & KV_TRANSACTION) != 0) {
        put_malformed(reply);
        return;
    }
    struct kv_call call = {.keyspace = kv->keyspace,
                           .out = reply,
                           .resp3 = (contents.flags & KV_RESP3) != 0,
                           .time_us = time_us,
                           .wall_offset_us = kv->wall_offset_us,
                           .random = next_random(kv)};
    run_all(kv, &contents, &call);
}

/* ---- Snapshots ---- */

static bool write_snapshot(void *context, uint64_t portion, struct mailraft_buffer *bytes)
{
    struct kv *kv = context;
    size_t at = (size_t)portion * PORTION_BYTES, left;

    if (portion == 0) {
        buffer_fini(&kv->snapshot_written);
        kv_snapshot_encode(&kv->snapshot_written, kv->keyspace, kv->wall_offset_us);
    }
    assert(at < kv->snapshot_written.size); /* its last portion was the end */
    left = kv->snapshot_written.size - at;
    mailraft_buffer_put(bytes, kv->snapshot_written.bytes + at, left < PORTION_BYTES ? left : PORTION_BYTES);
    if (left > PORTION_BYTES)
        return true;
    buffer_fini(&kv->snapshot_written);
    return false;
}

static void take_state(struct kv *kv, struct keyspace *keyspace)
{
    keyspace_free(kv->keyspace);
    kv->keyspace = keyspace;
    atomic_store(&kv->has_secret, keyspace_secret(keyspace) != NULL);
}

static bool read_snapshot(void *context, uint64_t portion, const void *bytes, size_t size, bool last,
                          struct mailraft_error *err)
{
    struct kv *kv = context;
    struct keyspace *keyspace;

    if (portion == 0) {
        take_state(kv, keyspace_new());
        buffer_clear(&kv->snapshot_read);
    }
    mailraft_buffer_put(&kv->snapshot_read, bytes, size);
    if (!last)
        return true;
    keyspace = kv_snapshot_decode(kv->snapshot_read.bytes, kv->snapshot_read.size, &kv->wall_offset_us, err);
    buffer_fini(&kv->snapshot_read);
    if (keyspace == NULL)
        return false;
    take_state(kv, keyspace);
    return true;
}

/* ---- The whole ---- */

struct kv *kv_new(size_t memory_bytes_max)
{
    struct kv *kv = memory_new(sizeof *kv);

    kv->memory_bytes_max = memory_bytes_max;
    atomic_init(&kv->has_secret, false);
    kv->keyspace = keyspace_new();
    return kv;
}

void kv_free(struct kv *kv)
{
    if (kv == NULL)
        return;
    keyspace_free(kv->keyspace);
    memory_free(kv->arguments);
    buffer_fini(&kv->scratch);
    buffer_fini(&kv->snapshot_written);
    buffer_fini(&kv->snapshot_read);
    memory_free(kv);
}

struct mailraft_machine kv_machine(struct kv *kv)
{
    return (struct mailraft_machine){kv, prepare, apply, read_one, write_snapshot, read_snapshot};
}
