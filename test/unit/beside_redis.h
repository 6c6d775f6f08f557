/* beside_redis.h - the same lines of commands to a session of a desk (desk.h) and to a real redis-server. */
#ifndef TEST_BESIDE_REDIS_H
#define TEST_BESIDE_REDIS_H

#include "unit/desk.h"
#include "unit/real_redis.h"

/* What Redis answers to lines, each ended by CRLF, of a client of its own. The caller frees it. */
char *redis_answers(const struct real_redis *redis, const char *lines);

/* All that ours answers to them by itself; borrowed until the next call. */
const char *desk_answers(const char *lines);

/* The number behind each "id" of an answer to HELLO becomes 0, for connections have different ones. */
void hide_ids(char *answer);

/* Asserts that both answer the same, but for ids. */
void assert_same_as_redis(const struct real_redis *redis, const char *lines);

#endif
