/* table.h - what holds the store's records, and what could hold them instead: the keyspace (Judy arrays), and two hash
 * tables, uthash and GLib's GHashTable. Every one copies key and value into one allocation with a version, and hashes with
 * the same keyed SipHash. */
#ifndef BENCH_TABLE_H
#define BENCH_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#define TABLE_KEY_BYTES   16
#define TABLE_VALUE_BYTES 256

struct table_kind {
    const char *name;
    void *(*open)(void);
    void (*insert)(void *table, const uint8_t *key, const uint8_t *value); /* that is not there */
    bool (*find)(const void *table, const uint8_t *key);
    bool (*remove)(void *table, const uint8_t *key);
};

extern const struct table_kind TABLE_KEYSPACE, TABLE_UTHASH, TABLE_GHASH;

#endif
