/* commits.h - a cluster of three that commits: how long one proposal takes beside the floor (floor_trio.h), and how
 * many come through when many are on their way at once. The proposals are made within the leader's process
 * (proposerd.c), so what a client's own connection costs is not in them. */
#ifndef BENCH_COMMITS_H
#define BENCH_COMMITS_H

#include "base/message.h"
#include "figures.h"
#include "nodes.h"

#define COMMIT_NODES 3

/* One proposal at a time. The floor and ours take turns, a short slice each. */
struct commit_latency {
    int slices, slice_ms;

    struct figures our_us, floor_us; /* floor: as its client sees it */
    struct figures floor_inside_us;  /* the floor without its client's connection: within its leader */
    struct commit_cost {
        double thread_changes, cpu_us;
    } ours, floor; /* of a commit, over the three processes */
};

/* So many proposals on their way at once. */
struct commit_load {
    int at_once;
    int slices, slice_ms;
    raft_index until; /* go on until the log has so many entries; 0: only the slices */

    struct figures per_second; /* entries, one sample a slice */
    struct figures us;         /* of each proposal */
    raft_index last;           /* the log's last entry after it */
    double cpu_seconds_100k;   /* over all nodes, for 100,000 entries */
    double thread_changes;     /* an entry, over all nodes */
    double entries_per_frame_leader, entries_per_frame_follower;
    double frame_bytes; /* written into files of the log for an entry, by each node */
    double page_bytes;  /* the same in whole pages, as the disk gets them */
};

/* Opens the nodes, which run proposerd, starts them and waits for their leader. */
int commits_start(struct nodes *nodes, const struct workplace *workplace);

/* Both fill in what they are given; the caller gives the figures back. */
void commits_measure_latency(struct commit_latency *latency, struct nodes *nodes, int leader,
                             const struct workplace *workplace);
void commits_measure_load(struct commit_load *load, struct nodes *nodes, int leader);

/* Has a node propose, and reads until it has told the outcome. Adds what each proposal took to us (NULL: nobody wants
 * to know). Ends the benchmark where one was lost. */
struct proposed {
    double applied, seconds;
    raft_index first, last;
};
struct proposed commits_propose(struct nodes *nodes, int id, int at_once, int ms, struct figures *us);

const char *commits_data_dir(const struct nodes *nodes, int id, char path[PATH_MAX]);

#endif
