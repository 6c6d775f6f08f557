#include "serve/kv_snapshot.h"

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"
#include "check.h"

#define KEYS_AT (44 + 8 * KEYSPACE_PARTS)

static struct keyspace *keyspace, *decoded;
static struct mailraft_buffer bytes, again;
static int64_t wall_offset_us;
static struct mailraft_error err;

static void make(void)
{
    keyspace = keyspace_new();
}

static void clean(void)
{
    keyspace_free(keyspace);
    keyspace_free(decoded);
    buffer_fini(&bytes);
    buffer_fini(&again);
}

TestSuite(kv_snapshot, .init = make, .fini = clean);

static struct text text(const char *chars)
{
    return (struct text){(const uint8_t *)chars, strlen(chars)};
}

static void put(const char *name, const char *value, enum clock_kind clock, int64_t at_us, uint64_t index)
{
    struct key *key = keyspace_put(keyspace, text(name), text(value), false, index);

    if (clock != CLOCK_NONE)
        keyspace_set_expiry(keyspace, key, (struct expiry){clock, at_us}, index);
}

static void fill(void)
{
    keyspace_set_secret(keyspace, (const uint8_t *)"sixteen letters!");
    put("plain", "value", CLOCK_NONE, 0, 3);
    put("", "", CLOCK_NONE, 0, 4);
    put("soon", "x", CLOCK_CLUSTER, 123456, 5);
    put("early", "y", CLOCK_WALL, -7, 6);
    put("far", "w", CLOCK_FAR, 9300000000000000, 6);
    put("gone", "z", CLOCK_NONE, 0, 7);
    keyspace_remove(keyspace, text("gone"), 8);
    memcpy(keyspace_resize(keyspace, text("raw"), 3, 9), "123", 3);
}

static void encode(void)
{
    kv_snapshot_encode(&bytes, keyspace, -55);
}

static bool decode(void)
{
    decoded = kv_snapshot_decode(bytes.bytes, bytes.size, &wall_offset_us, &err);
    return decoded != NULL;
}

static void assert_refused(const char *message)
{
    cr_assert_not(decode());
    cr_assert(error_is(&err, &DAMAGED_ERROR));
    cr_assert_not_null(strstr(err.message, message), "%s", err.message);
}

/* After a change on purpose. */
static void sum_again(void)
{
    bytes_put_u64(bytes.bytes + bytes.size - 8, bytes_checksum(bytes.bytes, bytes.size - 8));
}

/* ---- Encoding ---- */

Test(kv_snapshot, stands_as_the_format_says)
{
    static const uint8_t key[] = {1, 0, 0, 0, 2, 0, 0, 0, 9, 0, 0, 0,   0,   0,  0,
                                  0, 5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 'k', 'v', 'v'};

    keyspace_set_secret(keyspace, (const uint8_t *)"sixteen letters!");
    put("k", "vv", CLOCK_CLUSTER, 5, 9);
    encode();
    cr_assert_eq(bytes.size, KEYS_AT + sizeof key + 8);
    cr_assert_arr_eq(bytes.bytes, "KVSN\1\0\0\0", 8);
    cr_assert_eq((int64_t)bytes_get_u64(bytes.bytes + 8), -55);
    cr_assert_arr_eq(bytes.bytes + 16, "\1\0\0\0sixteen letters!", 20);
    cr_assert_eq(bytes_get_u64(bytes.bytes + 36), 1);
    cr_assert_arr_eq(bytes.bytes + KEYS_AT, key, sizeof key);
    cr_assert_eq(bytes_get_u64(bytes.bytes + bytes.size - 8), bytes_checksum(bytes.bytes, bytes.size - 8));
}

Test(kv_snapshot, equal_data_make_equal_bytes_whatever_came_before)
{
    struct keyspace *other = keyspace_new();
    char name[20];

    fill();
    encode();
    keyspace_free(keyspace);
    keyspace = keyspace_new();
    fill();
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "passing %d", i);
        put(name, "some value", CLOCK_NONE, 0, 100);
    }
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "passing %d", i);
        keyspace_remove(keyspace, text(name), 0);
    }
    for (size_t i = 0; i < KEYSPACE_PARTS; i++)
        keyspace_set_part_version(keyspace, i, bytes_get_u64(bytes.bytes + 44 + 8 * i));
    kv_snapshot_encode(&again, keyspace, -55);
    cr_assert_eq(again.size, bytes.size);
    cr_assert_arr_eq(again.bytes, bytes.bytes, bytes.size);
    keyspace_free(other);
}

/* ---- Decoding ---- */

static void assert_equal_key(const char *name)
{
    struct key *is = keyspace_find(decoded, text(name)), *was = keyspace_find(keyspace, text(name));

    cr_assert_not_null(is);
    cr_assert_eq(key_value(is).size, key_value(was).size);
    cr_assert_arr_eq(key_value(is).bytes, key_value(was).bytes, key_value(was).size);
    cr_assert_eq(key_version(is), key_version(was));
    cr_assert_eq(key_is_raw(is), key_is_raw(was));
    cr_assert_eq(key_expiry(is).clock, key_expiry(was).clock);
    cr_assert_eq(key_expiry(is).at_us, key_expiry(was).at_us);
}

Test(kv_snapshot, what_was_written_is_read)
{
    fill();
    encode();
    cr_assert(decode());
    cr_assert_eq(wall_offset_us, -55);
    cr_assert_arr_eq(keyspace_secret(decoded), "sixteen letters!", KEYSPACE_SECRET_BYTES);
    cr_assert_eq(keyspace_count(decoded), 6);
    cr_assert_eq(keyspace_expiring(decoded), 3);
    cr_assert_eq(keyspace_bytes(decoded), keyspace_bytes(keyspace));
    cr_assert_eq(keyspace_deadline_us(decoded, 0), -7);
    cr_assert_eq(keyspace_version(decoded, text("gone")), 8);
    for (size_t i = 0; i < 6; i++)
        assert_equal_key((const char *[]){"plain", "", "soon", "early", "far", "raw"}[i]);
}

Test(kv_snapshot, of_nothing_is_nothing)
{
    encode();
    cr_assert(decode());
    cr_assert_null(keyspace_secret(decoded));
    cr_assert_eq(keyspace_count(decoded), 0);
}

Test(kv_snapshot, every_damaged_byte_is_noticed)
{
    fill();
    encode();
    for (size_t i = 0; i < bytes.size; i += i < 100 || i > KEYS_AT - 100 ? 1 : 997) {
        bytes.bytes[i] ^= 0x10;
        assert_refused("damaged");
        bytes.bytes[i] ^= 0x10;
    }
    cr_assert(decode());
}

Test(kv_snapshot, one_that_is_cut_or_longer_is_refused)
{
    fill();
    encode();
    for (size_t cut = 1; cut <= bytes.size; cut += cut < 100 ? 1 : 991) {
        decoded = kv_snapshot_decode(bytes.bytes, bytes.size - cut, &wall_offset_us, &err);
        cr_assert_null(decoded);
    }
    mailraft_buffer_put(&bytes, "", 1);
    assert_refused("damaged");
}

Test(kv_snapshot, another_version_is_refused_by_its_number)
{
    encode();
    bytes.bytes[4] = 2;
    sum_again();
    assert_refused("version 2");
}

Test(kv_snapshot, less_than_a_key_behind_the_last_one_is_refused)
{
    static const uint8_t zeros[20 + 8];

    fill();
    encode();
    bytes.size -= 8;
    mailraft_buffer_put(&bytes, zeros, sizeof zeros);
    sum_again();
    assert_refused("keys that cannot be");
}

/* What no mailraft wrote, though its checksum is right. */
static void assert_impossible(size_t at, uint8_t value)
{
    uint8_t was = bytes.bytes[at];

    bytes.bytes[at] = value;
    sum_again();
    assert_refused("keys that cannot be");
    bytes.bytes[at] = was;
    sum_again();
}

Test(kv_snapshot, keys_that_cannot_be_are_refused)
{
    keyspace_set_secret(keyspace, (const uint8_t *)"sixteen letters!");
    put("k", "vv", CLOCK_CLUSTER, 5, 9);
    put("l", "ww", CLOCK_CLUSTER, 5, 9);
    encode();
    assert_impossible(16, 0);             /* keys without a secret */
    assert_impossible(36, 3);             /* another number of them */
    assert_impossible(KEYS_AT, 200);      /* longer than what is there */
    assert_impossible(KEYS_AT + 3, 0xff); /* and than any */
    assert_impossible(KEYS_AT + 7, 0xff);
    assert_impossible(KEYS_AT + 24, 4); /* no clock */
    assert_impossible(KEYS_AT + 25, 2);
    assert_impossible(KEYS_AT + 26, bytes.bytes[KEYS_AT + 29 + 26]); /* twice the same */
    cr_assert(decode());
}
