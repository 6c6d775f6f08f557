/* log_count.h - what a node's files of the log hold, counted frame by frame. */
#ifndef BENCH_LOG_COUNT_H
#define BENCH_LOG_COUNT_H

#include "base/message.h"
#include "bench.h"

struct log_count {
    long entries, frames;
    double bytes;      /* of the frames, with what fills their last sectors */
    double page_bytes; /* of the pages that they lie in: what reaches the disk, a page again for each frame in it */
};

/* Adds the frames whose first entry lies from `first` to `last`; witnesses do not count. data_dir: of a node that may
 * run, but writes no such frames now. */
void log_count_add(struct log_count *count, const char *data_dir, raft_index first, raft_index last);

/* The files of the log, in order: paths[i], while i < the result. */
int log_paths(const char *data_dir, char paths[][PATH_MAX], int room);

#endif
