/* keyspace.h - the data of the key-value store: keys, their values, versions and expiries, in memory.
 *
 * Order:     keys stand in the order of a hash that is keyed with a secret (SipHash-2-4, libsodium): so walks over them
 *            (SCAN, KEYS, RANDOMKEY) take the same way on every node that has the same secret, and nobody can choose
 *            keys that collide. A place is the upper KEYSPACE_PLACE_BITS of a hash: small enough for clients that keep
 *            cursors in a double.
 * Versions:  each key has the index of the entry that changed it last. That of an absent key is the index of the entry
 *            that last removed any key of its part of the keyspace (one of KEYSPACE_PARTS): so a key that came and went
 *            has another version than before, and now and then one that was never there has too.
 * Expiry:    by the cluster's time or, where a client gave an absolute time, by the wall clock, which is the cluster's
 *            time and an offset that entries tell.
 * Memory:    keyspace_bytes counts what keys, values and tables take, by a formula of their sizes alone, so that it is
 *            the same on every node. What is refused for lack of room depends on it: like the format of the log, it
 *            must be the same in all versions that share a cluster.
 *
 * Threads:   one at a time. Ownership: keys and values are copied in, from anywhere, another key included; what is looked
 *            up is borrowed until the next change, to which a key that was found is given. */
#ifndef SERVE_KEYSPACE_H
#define SERVE_KEYSPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYSPACE_SECRET_BYTES 16
#define KEYSPACE_PLACE_BITS   52
#define KEYSPACE_PARTS        16384
#define KEYSPACE_VALUE_MAX    (512u * 1024 * 1024) /* bytes, as in Redis (proto-max-bulk-len) */

struct keyspace;
struct key; /* one that is there, with its value */

struct text { /* borrowed bytes */
    const uint8_t *bytes;
    size_t size;
};

enum clock_kind {
    CLOCK_NONE,
    CLOCK_CLUSTER,
    CLOCK_WALL,
    CLOCK_FAR /* by the wall clock in milliseconds, later than microseconds can tell: it is never due */
};

struct expiry {
    enum clock_kind clock; /* CLOCK_NONE: never */
    int64_t at_us;         /* microseconds since 1970, or milliseconds: CLOCK_FAR */
};

struct keyspace *keyspace_new(void);
void keyspace_free(struct keyspace *keyspace); /* NULL is fine */

/* Without a secret nothing can be put. Set once, before the first key. */
void keyspace_set_secret(struct keyspace *keyspace, const uint8_t secret[KEYSPACE_SECRET_BYTES]);
const uint8_t *keyspace_secret(const struct keyspace *keyspace); /* NULL: none yet */

size_t keyspace_count(const struct keyspace *keyspace);
size_t keyspace_expiring(const struct keyspace *keyspace); /* keys with an expiry */
size_t keyspace_bytes(const struct keyspace *keyspace);
size_t keyspace_bytes_of(size_t key_size, size_t value_size, bool expires); /* what one more key would take */

/* ---- Looking ---- */

struct key *keyspace_find(const struct keyspace *keyspace, struct text name); /* NULL: absent */
uint64_t keyspace_version(const struct keyspace *keyspace, struct text name);
struct text key_name(const struct key *key);
struct text key_value(const struct key *key);
uint64_t key_version(const struct key *key);
struct expiry key_expiry(const struct key *key);
bool key_is_raw(const struct key *key); /* its value was built in place (APPEND, SETRANGE): OBJECT ENCODING says raw */

/* Keys in their order, from a place on: calls for each until `each` returns false or there are none left. Returns the
 * place to go on from, behind the last key for which it was called and all others of that key's place; 0: the end. */
uint64_t keyspace_walk(const struct keyspace *keyspace, uint64_t place,
                       bool (*each)(void *context, struct key *key), void *context);

/* ---- Changing: `index` is that of the entry that does it ---- */

/* Sets a value; makes the key where it is absent. keep_expiry: an expiry stays; otherwise there is none afterwards. */
struct key *keyspace_put(struct keyspace *keyspace, struct text name, struct text value, bool keep_expiry,
                         uint64_t index);
/* A value of `size` bytes: its first ones stay, new ones are zeros; the expiry stays. Makes the key where it is absent.
 * The bytes, to be written to before the next call. */
uint8_t *keyspace_resize(struct keyspace *keyspace, struct text name, size_t size, uint64_t index);
void keyspace_set_expiry(struct keyspace *keyspace, struct key *key, struct expiry expiry, uint64_t index);
bool keyspace_remove(struct keyspace *keyspace, struct text name, uint64_t index); /* false: it was absent */
void keyspace_clear(struct keyspace *keyspace, uint64_t index); /* every version changes; the secret stays */

/* The version of a part: what a copy of the keyspace needs beside its keys. */
uint64_t keyspace_part_version(const struct keyspace *keyspace, size_t part);
void keyspace_set_part_version(struct keyspace *keyspace, size_t part, uint64_t version);

/* ---- Time ---- */

/* Removes what is due at that time. */
void keyspace_expire(struct keyspace *keyspace, int64_t time_us, int64_t wall_offset_us, uint64_t index);
/* When the next key is due, by the cluster's time; MAILRAFT_NO_DEADLINE: none. */
int64_t keyspace_deadline_us(const struct keyspace *keyspace, int64_t wall_offset_us);

#endif
