/* load.h - clients that load a server: redis-benchmark, and h2load for etcd, which gets the same writes and reads as
 * gRPC says them, over HTTP/2 in the clear. Keys of 16 bytes, values of 256; redis-benchmark draws its keys from
 * LOAD_KEYS, h2load has but one. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>

#include "bench.h"

#define LOAD_KEYS        100000
#define LOAD_VALUE_BYTES 256

struct load {
    bool writes; /* otherwise reads */
    int clients;
    int pipeline; /* requests of each client on their way at once */
    long requests;
};

struct loaded {
    double per_second, median_ms;
};

/* False where an answer was not what it should be, with a line on stderr. */
bool load_redis(struct loaded *loaded, const struct load *load, int port, const struct workplace *workplace);
bool load_etcd(struct loaded *loaded, const struct load *load, int port, const struct workplace *workplace);

/* Sets so many keys, one after the other. */
void load_fill(long keys, int port);

#endif
