/* snapshot_fuzz.c - the store's data as bytes (serve/kv_snapshot.h). What is accepted is written, and read again, as
 * the same data, and time may pass over it.
 *
 * Input: u8 flags, u8 how much is cut off at the end, the first 44 bytes of the head, u8 how many parts have a version
 *        (of each u16 part, u64 version), i64 a time, keys. */
#include "fuzz.h"

#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/memory.h"
#include "serve/kv_snapshot.h"

#define FIXED_BYTES 44
#define KEYS_AT     (FIXED_BYTES + 8 * KEYSPACE_PARTS)

enum { MEND = 1, CUT = 2, COUNT = 4 };

FUZZ_MARK(accepted, "data that are read");
FUZZ_MARK(filled, "several keys");
FUZZ_MARK(expiring, "a key that expires");
FUZZ_MARK(refused, "keys that cannot be");
FUZZ_MARK(damaged, "a snapshot that is damaged");

/* As many as there are, where they read. */
static uint64_t count_keys(const uint8_t *bytes, size_t size)
{
    uint64_t count = 0;

    while (size >= 26) {
        uint64_t taken = (uint64_t)26 + bytes_get_u32(bytes) + bytes_get_u32(bytes + 4);
        if (taken > size)
            break;
        bytes += taken;
        size -= (size_t)taken;
        count++;
    }
    return count;
}

static void lay_head(uint8_t *snapshot, struct fuzz_input *input)
{
    size_t size = FIXED_BYTES;
    const uint8_t *fixed = fuzz_take_bytes(input, &size);

    if (size > 0)
        memcpy(snapshot, fixed, size);
    for (uint64_t count = fuzz_take(input, 1); count > 0; count--) {
        uint64_t part = fuzz_take(input, 2) % KEYSPACE_PARTS;
        bytes_put_u64(snapshot + FIXED_BYTES + 8 * part, fuzz_take(input, 8));
    }
}

static struct mailraft_buffer encode(const struct keyspace *keyspace, int64_t wall_offset_us)
{
    struct mailraft_buffer bytes = {.bytes = NULL};

    kv_snapshot_encode(&bytes, keyspace, wall_offset_us);
    return bytes;
}

static void check_again(const struct keyspace *keyspace, int64_t wall_offset_us)
{
    struct mailraft_buffer first = encode(keyspace, wall_offset_us);
    struct mailraft_error err;
    int64_t offset_again_us;
    struct keyspace *again = kv_snapshot_decode(first.bytes, first.size, &offset_again_us, &err);

    assert(again != NULL && offset_again_us == wall_offset_us);
    assert(keyspace_count(again) == keyspace_count(keyspace));
    assert(keyspace_bytes(again) == keyspace_bytes(keyspace));
    assert(keyspace_expiring(again) == keyspace_expiring(keyspace));
    assert(keyspace_deadline_us(again, wall_offset_us) == keyspace_deadline_us(keyspace, wall_offset_us));
    struct mailraft_buffer second = encode(again, offset_again_us);
    assert(first.size == second.size && memcmp(first.bytes, second.bytes, first.size) == 0);
    keyspace_free(again);
    buffer_fini(&first);
    buffer_fini(&second);
}

/* What is due goes, and nothing else. */
static void let_pass(struct keyspace *keyspace, int64_t time_us, int64_t wall_offset_us)
{
    int64_t deadline_us = keyspace_deadline_us(keyspace, wall_offset_us);
    size_t count = keyspace_count(keyspace);

    keyspace_expire(keyspace, time_us, wall_offset_us, 1);
    assert((keyspace_count(keyspace) < count) == (deadline_us <= time_us));
    assert(keyspace_deadline_us(keyspace, wall_offset_us) > time_us);
}

static void check_accepted(struct keyspace *keyspace, int64_t wall_offset_us, int64_t time_us)
{
    fuzz_reach(accepted);
    if (keyspace_count(keyspace) > 1)
        fuzz_reach(filled);
    if (keyspace_expiring(keyspace) > 0)
        fuzz_reach(expiring);
    check_again(keyspace, wall_offset_us);
    let_pass(keyspace, time_us, wall_offset_us);
    check_again(keyspace, wall_offset_us);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fuzz_input input = {bytes, size};
    uint64_t flags = fuzz_take(&input, 1), cut = fuzz_take(&input, 1);
    uint8_t *snapshot = memory_new(KEYS_AT + size + 8);
    struct mailraft_error err;
    int64_t wall_offset_us, time_us;

    lay_head(snapshot, &input);
    time_us = (int64_t)(fuzz_take(&input, 8) & INT64_MAX);
    if (input.left > 0)
        memcpy(snapshot + KEYS_AT, input.at, input.left);
    if (flags & COUNT)
        bytes_put_u64(snapshot + 36, count_keys(input.at, input.left));
    size_t whole = KEYS_AT + input.left + 8;
    if (flags & CUT)
        whole -= cut;
    if (flags & MEND)
        bytes_put_u64(snapshot + whole - 8, bytes_checksum(snapshot, whole - 8));
    uint64_t count = bytes_get_u64(snapshot + 36);
    struct keyspace *keyspace = kv_snapshot_decode(snapshot, whole, &wall_offset_us, &err);
    memory_free(snapshot);
    if (keyspace != NULL) {
        assert(keyspace_count(keyspace) == count);
        check_accepted(keyspace, wall_offset_us, time_us);
        keyspace_free(keyspace);
        return 0;
    }
    assert(error_is(&err, &DAMAGED_ERROR));
    if (strstr(err.message, "cannot be") != NULL)
        fuzz_reach(refused);
    else
        fuzz_reach(damaged);
    return 0;
}
