/* real_redis.h - a redis-server 7.0, to compare ours with. Debian's redis-tools has the same program under another name,
 * redis-check-rdb, so no daemon is installed.
 *
 * It keeps nothing and ends with the test. */
#ifndef UNIT_REAL_REDIS_H
#define UNIT_REAL_REDIS_H

#include <sys/types.h>

struct real_redis {
    pid_t pid;
    char folder[64], path[96]; /* of its socket */
};

/* Skips the test, with the reason, where there is no such program or it is not 7.0. */
void real_redis_start(struct real_redis *redis);
int real_redis_connect(const struct real_redis *redis); /* a connected socket */
void real_redis_stop(struct real_redis *redis);

#endif
