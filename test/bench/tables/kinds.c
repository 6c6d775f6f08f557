#include "table.h"

#include <glib.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "serve/keyspace.h"

static const uint8_t SECRET[KEYSPACE_SECRET_BYTES] = "sixteen letters";

static uint64_t hash_of(const void *key)
{
    uint8_t hash[crypto_shorthash_BYTES];
    crypto_shorthash(hash, key, TABLE_KEY_BYTES, SECRET);
    return bytes_get_u64(hash);
}

#define HASH_FUNCTION(Key, Size, Hash) (Hash) = (unsigned)hash_of(Key)
#define HASH_KEYCMP(A, B, Size)        memcmp(A, B, Size)
#define uthash_malloc(Size)            memory_resize(NULL, Size)
#define uthash_free(Memory, Size)      memory_free(Memory)
#include <uthash.h>

/* ---- The keyspace ---- */

static void *keyspace_open(void)
{
    struct keyspace *keyspace = keyspace_new();
    keyspace_set_secret(keyspace, SECRET);
    return keyspace;
}

static struct text name_of(const uint8_t *key)
{
    return (struct text){key, TABLE_KEY_BYTES};
}

static void keyspace_insert(void *table, const uint8_t *key, const uint8_t *value)
{
    keyspace_put(table, name_of(key), (struct text){value, TABLE_VALUE_BYTES}, false, 1);
}

static bool keyspace_has(const void *table, const uint8_t *key)
{
    return keyspace_find(table, name_of(key)) != NULL;
}

static bool keyspace_drop(void *table, const uint8_t *key)
{
    return keyspace_remove(table, name_of(key), 2);
}

const struct table_kind TABLE_KEYSPACE = {"keyspace (Judy)", keyspace_open, keyspace_insert, keyspace_has,
                                          keyspace_drop};

/* ---- A hash table of records ---- */

/* As the keyspace's, but for what chains keys of equal hash. */
struct record {
    uint64_t version;
    uint32_t name_size, value_size;
    uint8_t key[TABLE_KEY_BYTES];
    uint8_t value[TABLE_VALUE_BYTES];
};

static void fill(struct record *record, const uint8_t *key, const uint8_t *value)
{
    record->version = 1;
    record->name_size = TABLE_KEY_BYTES;
    record->value_size = TABLE_VALUE_BYTES;
    memcpy(record->key, key, TABLE_KEY_BYTES);
    memcpy(record->value, value, TABLE_VALUE_BYTES);
}

/* ---- uthash ---- */

struct hashed {
    UT_hash_handle hh;
    struct record record;
};

struct uthash {
    struct hashed *first;
};

static void *uthash_open(void)
{
    return memory_new(sizeof(struct uthash));
}

static void uthash_insert(void *table, const uint8_t *key, const uint8_t *value)
{
    struct uthash *uthash = table;
    struct hashed *hashed = memory_resize(NULL, sizeof *hashed);
    fill(&hashed->record, key, value);
    HASH_ADD_KEYPTR(hh, uthash->first, hashed->record.key, TABLE_KEY_BYTES, hashed);
}

static struct hashed *uthash_get(const struct uthash *uthash, const uint8_t *key)
{
    struct hashed *hashed;
    HASH_FIND(hh, uthash->first, key, TABLE_KEY_BYTES, hashed);
    return hashed;
}

static bool uthash_find(const void *table, const uint8_t *key)
{
    return uthash_get(table, key) != NULL;
}

static bool uthash_remove(void *table, const uint8_t *key)
{
    struct uthash *uthash = table;
    struct hashed *hashed = uthash_get(uthash, key);
    if (hashed == NULL)
        return false;
    HASH_DELETE(hh, uthash->first, hashed);
    memory_free(hashed);
    return true;
}

const struct table_kind TABLE_UTHASH = {"uthash", uthash_open, uthash_insert, uthash_find, uthash_remove};

/* ---- GHashTable, as a set of records: what it does with the least memory ---- */

static const struct record *to_record(const void *member)
{
    return member;
}

static guint ghash_hash(const void *member)
{
    return (guint)hash_of(to_record(member)->key);
}

static gboolean ghash_same(const void *a, const void *b)
{
    return memcmp(to_record(a)->key, to_record(b)->key, TABLE_KEY_BYTES) == 0;
}

static void *ghash_open(void)
{
    return g_hash_table_new_full(ghash_hash, ghash_same, memory_free, NULL);
}

static void ghash_insert(void *table, const uint8_t *key, const uint8_t *value)
{
    struct record *record = memory_resize(NULL, sizeof *record);
    fill(record, key, value);
    g_hash_table_add(table, record);
}

/* It is asked with what it holds: a record, of which it looks at the key. */
static bool ghash_find(const void *table, const uint8_t *key)
{
    struct record question;
    memcpy(question.key, key, TABLE_KEY_BYTES);
    return g_hash_table_contains((GHashTable *)table, &question);
}

static bool ghash_remove(void *table, const uint8_t *key)
{
    struct record question;
    memcpy(question.key, key, TABLE_KEY_BYTES);
    return g_hash_table_remove(table, &question);
}

const struct table_kind TABLE_GHASH = {"GHashTable", ghash_open, ghash_insert, ghash_find, ghash_remove};
