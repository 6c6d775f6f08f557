#include "serve/keyspace.h"

#include <Judy.h>
#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "mailraft/machine.h"

#define PLACE_SHIFT (64 - KEYSPACE_PLACE_BITS)
#define PART_SHIFT  50 /* so that the upper bits of a hash number its part */
#define SIZE_BITS   30

/* What Judy takes for one more entry: from 18 to 28 bytes as their number grows and it reshapes itself, seen at a thousand
 * to ten million hashes, and 26 at evenly spaced times. What all keys take is so told within 10 % for values of 8 bytes,
 * 3 % for 256. */
#define JUDY_ENTRY_BYTES 26

#define MALLOC_HEAD_BYTES 8
#define MALLOC_STEP_BYTES 16
#define MALLOC_MAP_BYTES  (128 * 1024) /* from this size on a block has pages of its own */
#define PAGE_BYTES        4096

_Static_assert(sizeof(Word_t) == 8, "a hash is an index of a Judy array");
_Static_assert(KEYSPACE_PARTS == 1 << (64 - PART_SHIFT), "the upper bits of a hash number its part");
_Static_assert(KEYSPACE_VALUE_MAX < 1u << SIZE_BITS, "every size fits");

/* One allocation: this, the name, the value and, for a key that has an expiry, a due on the next 8-byte border. */
struct key {
    void *next; /* the struct key of the same hash, which is next to none; NULL */
    uint64_t version;
    uint32_t name_size : SIZE_BITS, raw : 1;
    uint32_t value_size : SIZE_BITS, clock : 2; /* enum clock_kind */
    uint8_t bytes[];
};

struct due {
    int64_t at_us;
    struct key *before, *after; /* of those that are due at the same time */
};

struct keyspace {
    void *keys;            /* JudyL: hash -> the first struct key of that hash */
    void *dues[CLOCK_FAR]; /* JudyL each: time -> the first struct key that is due then; by enum clock_kind, less 1 */
    bool has_secret;
    uint8_t secret[KEYSPACE_SECRET_BYTES];
    size_t count, expiring, bytes;
    uint64_t parts[KEYSPACE_PARTS]; /* each one's version */
};

/* ---- Records ---- */

static size_t border(size_t size)
{
    return (size + _Alignof(struct due) - 1) & ~(_Alignof(struct due) - 1);
}

static size_t record_size(size_t name_size, size_t value_size, bool expires)
{
    size_t size = sizeof(struct key) + name_size + value_size;

    return expires ? border(size) + sizeof(struct due) : size;
}

static struct due *due_of(struct key *key)
{
    assert(key->clock != CLOCK_NONE);
    return (struct due *)((uint8_t *)key + border(record_size(key->name_size, key->value_size, false))); // NOLINT
}

/* As malloc(3) rounds it. */
static size_t block_bytes(size_t size)
{
    size_t step = size < MALLOC_MAP_BYTES ? MALLOC_STEP_BYTES : PAGE_BYTES;

    return (size + MALLOC_HEAD_BYTES + step - 1) / step * step;
}

static size_t key_bytes(const struct key *key)
{
    return keyspace_bytes_of(key->name_size, key->value_size, key->clock != CLOCK_NONE);
}

/* From outside the bytes of nothing may be NULL, which the C library's functions do not take. */
static void copy(uint8_t *to, const uint8_t *from, size_t size)
{
    if (size > 0)
        memmove(to, from, size);
}

static void set_value_size(struct key *key, size_t size)
{
    assert(size <= KEYSPACE_VALUE_MAX);
    key->value_size = size & ((1u << SIZE_BITS) - 1);
}

static struct key *record_new(struct text name, size_t value_size, enum clock_kind clock)
{
    struct key *key = memory_resize(NULL, record_size(name.size, value_size, clock != CLOCK_NONE));

    assert(name.size <= KEYSPACE_VALUE_MAX);
    *key = (struct key){.name_size = name.size & ((1u << SIZE_BITS) - 1), .clock = clock & 3u};
    set_value_size(key, value_size);
    copy(key->bytes, name.bytes, name.size);
    return key;
}

static uint8_t *value_of(struct key *key)
{
    return key->bytes + key->name_size;
}

static bool has_name(const struct key *key, struct text name)
{
    return key->name_size == name.size && (name.size == 0 || memcmp(key->bytes, name.bytes, name.size) == 0);
}

/* ---- Tables ---- */

static uint64_t hash_of(const struct keyspace *keyspace, struct text name)
{
    static const uint8_t nothing[1];
    uint8_t hash[crypto_shorthash_BYTES];

    crypto_shorthash(hash, name.size > 0 ? name.bytes : nothing, name.size, keyspace->secret);
    return bytes_get_u64(hash);
}

/* Where the pointer to a key stands, until a key is added or removed; NULL: absent. */
static void **find_link(const struct keyspace *keyspace, uint64_t hash, struct text name)
{
    void **link = JudyLGet(keyspace->keys, hash, PJE0);

    while (link != NULL && *link != NULL && !has_name(*link, name))
        link = &((struct key *)*link)->next;
    return link != NULL && *link != NULL ? link : NULL;
}

/* Out of memory does not come back from it (judy_memory.c). */
static void **judy_insert(void **array, Word_t index)
{
    void **slot = JudyLIns(array, index, PJE0);

    assert(slot != NULL && slot != PPJERR);
    return slot;
}

static void judy_delete(void **array, Word_t index)
{
    int deleted = JudyLDel(array, index, PJE0);

    assert(deleted == 1);
}

/* Times stand in order as unsigned numbers, too. */
static Word_t time_to_index(int64_t at_us)
{
    return (Word_t)at_us ^ (Word_t)1 << 63;
}

static int64_t index_to_time(Word_t index)
{
    return (int64_t)(index ^ (Word_t)1 << 63);
}

static void **dues_of(struct keyspace *keyspace, enum clock_kind clock)
{
    return &keyspace->dues[clock - 1];
}

static void due_link(struct keyspace *keyspace, struct key *key)
{
    struct due *due = due_of(key);
    void **first = judy_insert(dues_of(keyspace, (enum clock_kind)key->clock), time_to_index(due->at_us));

    due->before = NULL;
    due->after = *first;
    if (due->after != NULL)
        due_of(due->after)->before = key;
    *first = key;
    keyspace->expiring++;
}

static void due_unlink(struct keyspace *keyspace, struct key *key)
{
    const struct due *due = due_of(key);
    void **dues = dues_of(keyspace, (enum clock_kind)key->clock);

    if (due->after != NULL)
        due_of(due->after)->before = due->before;
    if (due->before != NULL)
        due_of(due->before)->after = due->after;
    else if (due->after != NULL)
        *JudyLGet(*dues, time_to_index(due->at_us), PJE0) = due->after;
    else
        judy_delete(dues, time_to_index(due->at_us));
    keyspace->expiring--;
}

/* ---- The whole ---- */

struct keyspace *keyspace_new(void)
{
    struct keyspace *keyspace = memory_new(sizeof *keyspace);

    keyspace->bytes = sizeof *keyspace;
    return keyspace;
}

static void free_keys(struct keyspace *keyspace)
{
    Word_t hash = 0;

    for (void **slot = JudyLFirst(keyspace->keys, &hash, PJE0); slot != NULL;
         slot = JudyLNext(keyspace->keys, &hash, PJE0))
        for (struct key *key = *slot, *next; key != NULL; key = next) {
            next = key->next;
            memory_free(key);
        }
    JudyLFreeArray(&keyspace->keys, PJE0);
    JudyLFreeArray(dues_of(keyspace, CLOCK_CLUSTER), PJE0);
    JudyLFreeArray(dues_of(keyspace, CLOCK_WALL), PJE0);
    JudyLFreeArray(dues_of(keyspace, CLOCK_FAR), PJE0);
}

void keyspace_free(struct keyspace *keyspace)
{
    if (keyspace == NULL)
        return;
    free_keys(keyspace);
    memory_free(keyspace);
}

void keyspace_set_secret(struct keyspace *keyspace, const uint8_t secret[KEYSPACE_SECRET_BYTES])
{
    assert(!keyspace->has_secret);
    assert(keyspace->count == 0);
    memcpy(keyspace->secret, secret, KEYSPACE_SECRET_BYTES);
    keyspace->has_secret = true;
}

const uint8_t *keyspace_secret(const struct keyspace *keyspace)
{
    return keyspace->has_secret ? keyspace->secret : NULL;
}

size_t keyspace_count(const struct keyspace *keyspace)
{
    return keyspace->count;
}

size_t keyspace_expiring(const struct keyspace *keyspace)
{
    return keyspace->expiring;
}

size_t keyspace_bytes(const struct keyspace *keyspace)
{
    return keyspace->bytes;
}

size_t keyspace_bytes_of(size_t key_size, size_t value_size, bool expires)
{
    return block_bytes(record_size(key_size, value_size, expires)) + JUDY_ENTRY_BYTES +
           (expires ? JUDY_ENTRY_BYTES : 0);
}

uint64_t keyspace_part_version(const struct keyspace *keyspace, size_t part)
{
    assert(part < KEYSPACE_PARTS);
    return keyspace->parts[part];
}

void keyspace_set_part_version(struct keyspace *keyspace, size_t part, uint64_t version)
{
    assert(part < KEYSPACE_PARTS);
    keyspace->parts[part] = version;
}

/* ---- Looking ---- */

struct key *keyspace_find(const struct keyspace *keyspace, struct text name)
{
    void **link = find_link(keyspace, hash_of(keyspace, name), name);

    return link != NULL ? *link : NULL;
}

/* As long as there is no secret all parts have the same version, and no key is there. */
uint64_t keyspace_version(const struct keyspace *keyspace, struct text name)
{
    uint64_t hash = keyspace->has_secret ? hash_of(keyspace, name) : 0;
    void **link = find_link(keyspace, hash, name);

    return link != NULL ? key_version(*link) : keyspace->parts[hash >> PART_SHIFT];
}

struct text key_name(const struct key *key)
{
    return (struct text){key->bytes, key->name_size};
}

struct text key_value(const struct key *key)
{
    return (struct text){key->bytes + key->name_size, key->value_size};
}

uint64_t key_version(const struct key *key)
{
    return key->version;
}

struct expiry key_expiry(const struct key *key)
{
    if (key->clock == CLOCK_NONE)
        return (struct expiry){CLOCK_NONE, 0};
    return (struct expiry){(enum clock_kind)key->clock, due_of((struct key *)key)->at_us};
}

bool key_is_raw(const struct key *key)
{
    return key->raw;
}

uint64_t keyspace_walk(const struct keyspace *keyspace, uint64_t place, bool (*each)(void *context, struct key *key),
                       void *context)
{
    Word_t hash = place << PLACE_SHIFT;
    bool more = true;

    if (place >> KEYSPACE_PLACE_BITS != 0)
        return 0; /* there is no such place */
    for (void **slot = JudyLFirst(keyspace->keys, &hash, PJE0); slot != NULL;
         slot = JudyLNext(keyspace->keys, &hash, PJE0)) {
        if (!more && hash >> PLACE_SHIFT != place)
            return place + 1;
        place = hash >> PLACE_SHIFT;
        for (struct key *key = *slot; key != NULL; key = key->next)
            more &= each(context, key);
    }
    return 0;
}

/* ---- Changing ---- */

static struct key *add_key(struct keyspace *keyspace, uint64_t hash, struct text name, size_t value_size)
{
    struct key *key = record_new(name, value_size, CLOCK_NONE);
    void **first = judy_insert(&keyspace->keys, hash);

    key->next = *first;
    *first = key;
    keyspace->count++;
    keyspace->bytes += key_bytes(key);
    return key;
}

/* A record with room for another value takes the place of the one at the link. */
static struct key *exchange_key(struct keyspace *keyspace, void **link, size_t value_size, struct expiry expiry)
{
    struct key *old = *link, *key = record_new(key_name(old), value_size, expiry.clock);

    key->next = old->next;
    *link = key;
    if (old->clock != CLOCK_NONE)
        due_unlink(keyspace, old);
    if (key->clock != CLOCK_NONE) {
        due_of(key)->at_us = expiry.at_us;
        due_link(keyspace, key);
    }
    keyspace->bytes -= key_bytes(old);
    keyspace->bytes += key_bytes(key);
    return key;
}

struct key *keyspace_put(struct keyspace *keyspace, struct text name, struct text value, bool keep_expiry,
                         uint64_t index)
{
    assert(keyspace->has_secret);
    uint64_t hash = hash_of(keyspace, name);
    void **link = find_link(keyspace, hash, name);
    struct key *old = link != NULL ? *link : NULL, *key = old;
    struct expiry expiry = old != NULL && keep_expiry ? key_expiry(old) : (struct expiry){CLOCK_NONE, 0};

    if (old == NULL)
        key = add_key(keyspace, hash, name, value.size);
    else if (old->value_size != value.size || old->clock != expiry.clock)
        key = exchange_key(keyspace, link, value.size, expiry);
    copy(value_of(key), value.bytes, value.size);
    key->version = index;
    key->raw = false;
    if (key != old)
        memory_free(old); /* only now: name and value may have been its own */
    return key;
}

/* Gives the record at the link another size, and keeps what fits: so a large one need not be copied. */
static struct key *resize_key(struct keyspace *keyspace, void **link, size_t value_size, struct expiry expiry)
{
    struct key *key = *link;
    bool expires = expiry.clock != CLOCK_NONE;

    if (key->clock != CLOCK_NONE)
        due_unlink(keyspace, key);
    keyspace->bytes -= key_bytes(key);
    if (record_size(key->name_size, key->value_size, key->clock != CLOCK_NONE) !=
        record_size(key->name_size, value_size, expires))
        key = memory_resize(key, record_size(key->name_size, value_size, expires));
    *link = key;
    set_value_size(key, value_size);
    key->clock = expiry.clock & 3u;
    keyspace->bytes += key_bytes(key);
    if (!expires)
        return key;
    due_of(key)->at_us = expiry.at_us;
    due_link(keyspace, key);
    return key;
}

uint8_t *keyspace_resize(struct keyspace *keyspace, struct text name, size_t size, uint64_t index)
{
    assert(keyspace->has_secret);
    uint64_t hash = hash_of(keyspace, name);
    void **link = find_link(keyspace, hash, name);
    struct key *key = link != NULL ? *link : NULL;
    size_t old_size = key != NULL ? key->value_size : 0;

    if (key == NULL)
        key = add_key(keyspace, hash, name, size);
    else if (size != old_size)
        key = resize_key(keyspace, link, size, key_expiry(key));
    if (size > old_size)
        memset(value_of(key) + old_size, 0, size - old_size);
    key->version = index;
    key->raw = true;
    return value_of(key);
}

void keyspace_set_expiry(struct keyspace *keyspace, struct key *key, struct expiry expiry, uint64_t index)
{
    void **link = find_link(keyspace, hash_of(keyspace, key_name(key)), key_name(key));

    assert(link != NULL && *link == key);
    key = resize_key(keyspace, link, key->value_size, expiry);
    key->version = index;
}

static void remove_key(struct keyspace *keyspace, uint64_t hash, void **link, uint64_t index)
{
    struct key *key = *link;

    if (key->clock != CLOCK_NONE)
        due_unlink(keyspace, key);
    keyspace->bytes -= key_bytes(key);
    keyspace->count--;
    keyspace->parts[hash >> PART_SHIFT] = index;
    *link = key->next;
    if (*JudyLGet(keyspace->keys, hash, PJE0) == NULL)
        judy_delete(&keyspace->keys, hash);
    memory_free(key);
}

bool keyspace_remove(struct keyspace *keyspace, struct text name, uint64_t index)
{
    uint64_t hash = hash_of(keyspace, name);
    void **link = find_link(keyspace, hash, name);

    if (link == NULL)
        return false;
    remove_key(keyspace, hash, link, index);
    return true;
}

void keyspace_clear(struct keyspace *keyspace, uint64_t index)
{
    free_keys(keyspace);
    keyspace->count = keyspace->expiring = 0;
    keyspace->bytes = sizeof *keyspace;
    for (size_t i = 0; i < KEYSPACE_PARTS; i++)
        keyspace->parts[i] = index;
}

/* ---- Time ---- */

static void expire_until(struct keyspace *keyspace, enum clock_kind clock, int64_t time_us, uint64_t index)
{
    Word_t at = 0;

    for (void **first; (first = JudyLFirst(*dues_of(keyspace, clock), &at, PJE0)) != NULL; at = 0) {
        if (index_to_time(at) > time_us)
            return;
        uint64_t hash = hash_of(keyspace, key_name(*first));
        remove_key(keyspace, hash, find_link(keyspace, hash, key_name(*first)), index);
    }
}

/* Far times stay far. */
static int64_t sum(int64_t a, int64_t b)
{
    int64_t result;

    if (!__builtin_add_overflow(a, b, &result))
        return result;
    return a < 0 ? INT64_MIN : INT64_MAX;
}

void keyspace_expire(struct keyspace *keyspace, int64_t time_us, int64_t wall_offset_us, uint64_t index)
{
    expire_until(keyspace, CLOCK_CLUSTER, time_us, index);
    expire_until(keyspace, CLOCK_WALL, sum(time_us, wall_offset_us), index);
}

static int64_t first_due_us(const struct keyspace *keyspace, enum clock_kind clock)
{
    Word_t at = 0;

    return JudyLFirst(keyspace->dues[clock - 1], &at, PJE0) != NULL ? index_to_time(at) : MAILRAFT_NO_DEADLINE;
}

int64_t keyspace_deadline_us(const struct keyspace *keyspace, int64_t wall_offset_us)
{
    int64_t cluster_us = first_due_us(keyspace, CLOCK_CLUSTER), wall_us = first_due_us(keyspace, CLOCK_WALL);

    if (wall_us != MAILRAFT_NO_DEADLINE)
        wall_us = sum(wall_us, wall_offset_us == INT64_MIN ? INT64_MAX : -wall_offset_us);
    return cluster_us < wall_us ? cluster_us : wall_us;
}
