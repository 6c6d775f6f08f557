/* service_failover.h - how long clients are without a leader: from the SIGKILL of the one that leads to the
 * acknowledgement of the next write. One client writes, a millisecond between two writes; the kill comes at a random
 * moment of one. What counts is a write that began after it. */
#ifndef BENCH_SERVICE_FAILOVER_H
#define BENCH_SERVICE_FAILOVER_H

#include "bench.h"
#include "figures.h"

struct service_failover {
    int times, etcd_times;

    struct figures elsewhere_ms; /* the client is with a node that lives on */
    struct figures at_leader_ms; /* it is with the one that dies, and has the addresses of the others */
    struct figures etcd_ms;      /* with a node that lives on */
};

void service_failover_measure(struct service_failover *failover, const struct workplace *workplace);
void service_failover_print(struct service_failover *failover);

/* From the start of three nodes on empty folders to the first write that is acknowledged, to a client that knows all
 * three and does not give up. */
struct service_start {
    int times, etcd_times;
    struct figures ms, etcd_ms;
};

void service_start_measure(struct service_start *start, const struct workplace *workplace);
void service_start_print(struct service_start *start);

#endif
