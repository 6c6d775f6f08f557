/* floor_trio.h - the floor of a commit: three bare processes, one thread each, that do what no replicated log can do
 * without, and nothing else. The client (this process) sends an entry to the leader; the leader sends it to two
 * followers over loopback TCP, and writes and syncs it itself meanwhile; each follower writes, syncs and answers;
 * with the first follower's answer a majority has it, and the client gets its own. One entry at a time. */
#ifndef BENCH_FLOOR_TRIO_H
#define BENCH_FLOOR_TRIO_H

#include <stdint.h>
#include <sys/types.h>

#include "bench.h"

struct floor_trio {
    pid_t pids[3]; /* the leader first */
    int client;    /* our connection to the leader */
    size_t entry_bytes;
    uint64_t number; /* of the last entry */
};

/* entry_bytes: of each entry on the wire; frame_bytes: what each process writes for it. */
void floor_trio_start(struct floor_trio *trio, const struct workplace *workplace, size_t entry_bytes,
                      size_t frame_bytes);
void floor_trio_stop(struct floor_trio *trio);

/* Commits one entry. Returns how long it took within the leader, from the entry's arrival to the answer's leaving:
 * without the client's own connection. Ends the benchmark where it fails. */
int64_t floor_trio_commit(struct floor_trio *trio);

#endif
