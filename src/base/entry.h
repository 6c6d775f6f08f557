/* entry.h - one entry of the replicated log: encoded once, by the leader that proposes it. Those bytes are what is
 * sent, what is written and what is read again at start; nobody encodes them anew, and everybody checks their checksum.
 *
 * Format:    numbers are little-endian.
 *
 *                 0  u64  XXH3-64 of everything after it
 *                 8  u32  length of the whole entry, this head included
 *                12  u32  kind
 *                16  u64  term
 *                24  u64  index
 *                32  i64  the cluster's time when it was proposed, microseconds since 1970
 *                40       payload
 *
 * Threads:   any; an entry never changes. Only its count of references does, atomically.
 * Ownership: an entry lives until the last reference is dropped. A batch owns one reference to each of its entries. */
#ifndef BASE_ENTRY_H
#define BASE_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/message.h"

#define ENTRY_HEAD_BYTES 40
#define ENTRY_BYTES_MAX  (1u << 30) /* no config allows more */

enum entry_kind {
    ENTRY_NO_OP = 1,   /* a new leader's first entry; payload: the wall clock's lead over the cluster's time, i64 */
    ENTRY_CONFIG = 2,  /* who belongs to the cluster (raft/configuration.h) */
    ENTRY_COMMAND = 3, /* for the state machine */
    ENTRY_TIME = 4,    /* time passes; payload as that of a no-op */
    ENTRY_KIND_LAST = ENTRY_TIME
};

struct entry {
    unsigned references; /* only touched by entry_hold and entry_drop */
    enum entry_kind kind;
    raft_term term;
    raft_index index;
    int64_t time_us;
    uint32_t size; /* of bytes */
    uint8_t bytes[];
};

/* A new entry, with one reference. The payload is copied. */
struct entry *entry_new(enum entry_kind kind, raft_term term, raft_index index, int64_t time_us, const void *payload,
                        size_t payload_size);

/* An entry from the first bytes of what somebody else encoded, with one reference. NULL and PROTOCOL_ERROR where they
 * do not hold a whole, sound entry: the caller gives the error the class that suits where they came from. bytes_max: of
 * one entry. */
struct entry *entry_decode(const uint8_t *bytes, size_t size, size_t bytes_max, struct mailraft_error *err);

struct entry *entry_hold(struct entry *entry); /* one more reference; returns entry */
void entry_drop(struct entry *entry);          /* one less; NULL is fine */

const uint8_t *entry_payload(const struct entry *entry);
size_t entry_payload_size(const struct entry *entry);
uint64_t entry_checksum(const struct entry *entry);

/* Whether it tells the wall clock's lead over the cluster's time (ENTRY_NO_OP, ENTRY_TIME): microseconds, either way,
 * of no more than a few thousand years; others are not believed. */
bool entry_wall_offset(const struct entry *entry, int64_t *wall_offset_us);

/* Entries that follow one another in the log: each index is one more than that before it. */
struct batch {
    size_t count, room;
    size_t bytes; /* of all of them */
    struct entry **list;
};

struct batch *batch_new(void);
void batch_free(struct batch *batch);                       /* drops its references; NULL is fine */
void batch_add(struct batch *batch, struct entry *entry);   /* takes the caller's reference */
void batch_move(struct batch *batch, struct batch *behind); /* empties one that continues it into it */

/* The entries that `size` bytes hold, one after the other; they must follow one another. NULL and PROTOCOL_ERROR
 * otherwise. An empty batch for no bytes. */
struct batch *batch_decode(const uint8_t *bytes, size_t size, size_t entry_bytes_max, struct mailraft_error *err);

#endif
