/* kv_snapshot.h - the store's data as bytes, to be given to whoever has none.
 *
 * Format:    numbers are little-endian, one field after the other, without gaps.
 *
 *                 0  u32  magic, the bytes "KVSN"
 *                 4  u32  version, 1
 *                 8  i64  the wall clock's lead over the cluster's time, as entries told it last
 *                16  u32  1: there is a secret; 0: none
 *                20  16   the secret (keyspace.h); zeros
 *                36  u64  keys
 *                44       u64 for each of the KEYSPACE_PARTS parts: its version
 *             then for each key, in their order:
 *                 0  u32  bytes of its name
 *                 4  u32  bytes of its value
 *                 8  u64  version
 *                16  i64  when it expires, microseconds since 1970; 0
 *                24  u8   by which clock: 0 never, 1 the cluster's, 2 the wall clock, 3 it in milliseconds (CLOCK_FAR)
 *                25  u8   1: its value was built in place (key_is_raw); 0
 *                26       name, value
 *             and at the end u64, XXH3-64 of all before it.
 *
 * Equal data make equal bytes.
 * Errors:    what is damaged, cut, or of another version is refused, and nothing of it is kept. */
#ifndef SERVE_KV_SNAPSHOT_H
#define SERVE_KV_SNAPSHOT_H

#include "mailraft/error.h"
#include "mailraft/machine.h"
#include "serve/keyspace.h"

void kv_snapshot_encode(struct mailraft_buffer *bytes, const struct keyspace *keyspace, int64_t wall_offset_us);

/* The keyspace, the caller's; NULL and DAMAGED_ERROR where it is no sound snapshot. */
struct keyspace *kv_snapshot_decode(const uint8_t *bytes, size_t size, int64_t *wall_offset_us,
                                    struct mailraft_error *err);

#endif
