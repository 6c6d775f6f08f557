/* cluster_time.h - the cluster's time: what entries carry, and what expires for clients expires by.
 *
 * It starts at the first leader's wall clock and only grows along the log. The leader tells it with each message; every
 * node goes on from what it last heard by its own monotonic clock, so that it survives a change of leader. It stands
 * still while the whole cluster is down. No decision of Raft uses it.
 *
 * Threads:   the server's alone. Times in microseconds since 1970, clocks as clock_now_us. */
#ifndef RAFT_CLUSTER_TIME_H
#define RAFT_CLUSTER_TIME_H

#include <stdbool.h>
#include <stdint.h>

#define CLUSTER_TIME_MAX (INT64_MAX - 1) /* what an entry can carry; time stands still there */

struct cluster_time {
    int64_t heard_time_us; /* what it was ... */
    int64_t heard_us;      /* ... at this moment of our clock */
    int64_t entry_time_us; /* that of the newest entry: no later one may have less. 0: none */
};

/* entry_time_us: of the last entry in the log; 0: none, and nobody has told us the time yet. */
void cluster_time_begin(struct cluster_time *time, int64_t entry_time_us, int64_t now_us);

/* Whether there is a time at all. */
bool cluster_time_known(const struct cluster_time *time);

void cluster_time_hear(struct cluster_time *time, int64_t time_us, int64_t now_us); /* the leader told it */
void cluster_time_entry(struct cluster_time *time, int64_t time_us); /* an entry of that time was appended */

int64_t cluster_time_now(const struct cluster_time *time, int64_t now_us);

#endif
