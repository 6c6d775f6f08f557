/* failover.h - how long a cluster of five is without a leader: from the SIGKILL of one to the next one's Leader!.
 *
 * The leader is killed when all have followed it for two heartbeats, at an evenly drawn moment of the third. The dead
 * one is then started again, and the next kill waits until every node follows the new leader, it included. */
#ifndef BENCH_FAILOVER_H
#define BENCH_FAILOVER_H

#include "figures.h"
#include "nodes.h"

struct failover {
    const struct settings *settings;
    int times;
    bool flowing; /* every node has 10 proposals on their way, whenever it leads */

    struct figures ms;
    struct figures flowing_ms; /* flowing: until a proposal was applied again */
    int unforced;              /* changes of leader that no kill caused */
    int discarded;             /* kills that came when a change had begun already: they say nothing about failover */
    char slowest_path[PATH_MAX / 4 + 100];
};

/* Measures; the caller gives the figures back (figures_fini). */
void failover_measure(struct failover *failover, const struct workplace *workplace);

#endif
