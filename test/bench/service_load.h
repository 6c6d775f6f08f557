/* service_load.h - writes and linearizable reads a second of three nodes that serve clients, beside a redis-server that
 * stands alone and syncs, and beside three nodes of etcd. All are up all the time; they are loaded by turns, so that
 * what else happens on the machine happens to all. */
#ifndef BENCH_SERVICE_LOAD_H
#define BENCH_SERVICE_LOAD_H

#include "figures.h"
#include "load.h"

#define SERVICE_ROWS 10

enum side { OURS, REDIS, ETCD, SIDE_COUNT };

struct service_row {
    const char *name;
    struct load load;                                             /* on us and on redis */
    long etcd_requests;                                           /* which is slower; 0: it is not asked */
    bool through_follower;                                        /* our clients are with one that does not lead */
    bool with_floor;                                              /* beside the floor program, too (floor_trio.h) */
    struct figures per_second[SIDE_COUNT], median_ms[SIDE_COUNT]; /* a sample a run */
    struct figures cpu_seconds[SIDE_COUNT];                       /* of all nodes, for 100,000 requests */
    struct figures ratio[SIDE_COUNT];                             /* ours a second / theirs, run by run */
    struct figures floor_ms, floor_ratio;                         /* its median; ours / its */
};

struct service_load {
    int runs;
    int share; /* a run makes one in so many of the requests */
    struct service_row rows[SERVICE_ROWS];
    int repeated; /* loads that were put again, since a request had failed in them */
};

void service_load_measure(struct service_load *service, const struct workplace *workplace);
void service_load_print(struct service_load *service);

#endif
