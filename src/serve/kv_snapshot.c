#include "serve/kv_snapshot.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"

#define MAGIC          0x4e53564bu /* "KVSN" */
#define VERSION        1
#define FIXED_BYTES    44
#define HEAD_BYTES     (FIXED_BYTES + KEYSPACE_PARTS * 8)
#define KEY_HEAD_BYTES 26
#define SUM_BYTES      8

/* ---- Encoding ---- */

static void encode_head(struct mailraft_buffer *bytes, const struct keyspace *keyspace, int64_t wall_offset_us)
{
    const uint8_t *secret = keyspace_secret(keyspace);
    uint8_t fixed[FIXED_BYTES] = {0}, version[8];

    bytes_put_u32(fixed, MAGIC);
    bytes_put_u32(fixed + 4, VERSION);
    bytes_put_u64(fixed + 8, (uint64_t)wall_offset_us);
    bytes_put_u32(fixed + 16, secret != NULL);
    if (secret != NULL)
        memcpy(fixed + 20, secret, KEYSPACE_SECRET_BYTES);
    bytes_put_u64(fixed + 36, keyspace_count(keyspace));
    mailraft_buffer_put(bytes, fixed, sizeof fixed);
    for (size_t i = 0; i < KEYSPACE_PARTS; i++) {
        bytes_put_u64(version, keyspace_part_version(keyspace, i));
        mailraft_buffer_put(bytes, version, sizeof version);
    }
}

static bool encode_key(void *context, struct key *key)
{
    struct mailraft_buffer *bytes = context;
    struct text name = key_name(key), value = key_value(key);
    struct expiry expiry = key_expiry(key);
    uint8_t head[KEY_HEAD_BYTES];

    bytes_put_u32(head, (uint32_t)name.size);
    bytes_put_u32(head + 4, (uint32_t)value.size);
    bytes_put_u64(head + 8, key_version(key));
    bytes_put_u64(head + 16, (uint64_t)expiry.at_us);
    head[24] = (uint8_t)expiry.clock;
    head[25] = key_is_raw(key);
    mailraft_buffer_put(bytes, head, sizeof head);
    mailraft_buffer_put(bytes, name.bytes, name.size);
    mailraft_buffer_put(bytes, value.bytes, value.size);
    return true;
}

void kv_snapshot_encode(struct mailraft_buffer *bytes, const struct keyspace *keyspace, int64_t wall_offset_us)
{
    uint8_t sum[SUM_BYTES];

    assert(bytes->size == 0);
    encode_head(bytes, keyspace, wall_offset_us);
    keyspace_walk(keyspace, 0, encode_key, bytes);
    bytes_put_u64(sum, bytes_checksum(bytes->bytes, bytes->size));
    mailraft_buffer_put(bytes, sum, sizeof sum);
}

/* ---- Decoding ---- */

static void decode_head(const uint8_t *bytes, struct keyspace *keyspace, int64_t *wall_offset_us)
{
    *wall_offset_us = (int64_t)bytes_get_u64(bytes + 8);
    if (bytes_get_u32(bytes + 16) != 0)
        keyspace_set_secret(keyspace, bytes + 20);
    for (size_t i = 0; i < KEYSPACE_PARTS; i++)
        keyspace_set_part_version(keyspace, i, bytes_get_u64(bytes + FIXED_BYTES + 8 * i));
}

static void add_key(struct keyspace *keyspace, const uint8_t *head, struct text name, struct text value)
{
    uint64_t version = bytes_get_u64(head + 8);
    struct expiry expiry = {(enum clock_kind)head[24], (int64_t)bytes_get_u64(head + 16)};

    if (head[25] == 0) {
        keyspace_put(keyspace, name, value, false, version);
    } else {
        uint8_t *room = keyspace_resize(keyspace, name, value.size, version);
        if (value.size > 0)
            memcpy(room, value.bytes, value.size);
    }
    if (expiry.clock != CLOCK_NONE)
        keyspace_set_expiry(keyspace, keyspace_find(keyspace, name), expiry, version);
}

/* How many bytes the key took; 0: there is none that could be. */
static size_t decode_key(const uint8_t *bytes, size_t size, struct keyspace *keyspace)
{
    size_t name_size, value_size;

    if (size < KEY_HEAD_BYTES || bytes[24] > CLOCK_FAR || bytes[25] > 1)
        return 0;
    name_size = bytes_get_u32(bytes);
    value_size = bytes_get_u32(bytes + 4);
    if (name_size > KEYSPACE_VALUE_MAX || value_size > KEYSPACE_VALUE_MAX ||
        name_size + value_size > size - KEY_HEAD_BYTES)
        return 0;
    struct text name = {bytes + KEY_HEAD_BYTES, name_size};
    add_key(keyspace, bytes, name, (struct text){name.bytes + name_size, value_size});
    return KEY_HEAD_BYTES + name_size + value_size;
}

/* False where they are not as many different ones as the head tells. */
static bool decode_keys(const uint8_t *bytes, size_t size, uint64_t count, struct keyspace *keyspace)
{
    if (size > 0 && keyspace_secret(keyspace) == NULL)
        return false;
    while (size > 0) {
        size_t taken = decode_key(bytes, size, keyspace);
        if (taken == 0)
            return false;
        bytes += taken;
        size -= taken;
    }
    return keyspace_count(keyspace) == count;
}

static bool is_whole(const uint8_t *bytes, size_t size)
{
    return size >= HEAD_BYTES + SUM_BYTES && bytes_get_u32(bytes) == MAGIC &&
           bytes_get_u64(bytes + size - SUM_BYTES) == bytes_checksum(bytes, size - SUM_BYTES);
}

struct keyspace *kv_snapshot_decode(const uint8_t *bytes, size_t size, int64_t *wall_offset_us,
                                    struct mailraft_error *err)
{
    struct keyspace *keyspace;

    if (!is_whole(bytes, size)) {
        error_raise(err, &DAMAGED_ERROR, "A snapshot of the data is damaged (%zu bytes)", size);
        return NULL;
    }
    if (bytes_get_u32(bytes + 4) != VERSION) {
        error_raise(err, &DAMAGED_ERROR, "A snapshot of the data has version %u, and %d is known here",
                    bytes_get_u32(bytes + 4), VERSION);
        return NULL;
    }
    keyspace = keyspace_new();
    decode_head(bytes, keyspace, wall_offset_us);
    if (decode_keys(bytes + HEAD_BYTES, size - HEAD_BYTES - SUM_BYTES, bytes_get_u64(bytes + 36), keyspace))
        return keyspace;
    error_raise(err, &DAMAGED_ERROR, "A snapshot of the data holds keys that cannot be (%zu bytes)", size);
    keyspace_free(keyspace);
    return NULL;
}
