/* idle.h - what a cluster costs that has nothing to do but its heartbeats. */
#ifndef BENCH_IDLE_H
#define BENCH_IDLE_H

#include "nodes.h"

struct idle {
    int count; /* nodes */
    int seconds; /* how long they are watched */

    double leader_cpu, follower_cpu; /* seconds of CPU time an hour; of the followers the mean */
    long resident_kib, anonymous_kib; /* the most that a node holds: VmRSS, and what of it is its own (RssAnon) */
};

void idle_measure(struct idle *idle, const struct workplace *workplace);

#endif
