/* redis.h - the peer for what one machine can do alone: a redis-server that syncs before it answers. Debian's
 * redis-tools holds the program under another name. */
#ifndef BENCH_REDIS_H
#define BENCH_REDIS_H

#include <sys/types.h>

#include "bench.h"
#include "port.h"

struct redis {
    pid_t pid;
    struct port port;
    char folder[PATH_MAX / 2];
};

void redis_start(struct redis *redis, const struct workplace *workplace); /* returns when it serves */
void redis_stop(struct redis *redis);                                     /* with its data */

#endif
