/* service_memory.h - what a node holds that serves clients: at rest, and with many keys, beside a redis-server. */
#ifndef BENCH_SERVICE_MEMORY_H
#define BENCH_SERVICE_MEMORY_H

#include "bench.h"

struct holding {
    long resident_kib, anonymous_kib; /* VmRSS, and what of it is its own (RssAnon); of nodes the most that one holds */
};

struct service_memory {
    long keys;

    struct holding ours_at_rest, ours_full;
    struct holding redis_at_rest, redis_full;
};

void service_memory_measure(struct service_memory *memory, const struct workplace *workplace);
void service_memory_print(const struct service_memory *memory);

#endif
