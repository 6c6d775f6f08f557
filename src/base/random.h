/* random.h - unpredictable numbers. One of the headers that the simulator replaces.
 *
 * They come from the kernel, so no two nodes and no two lives of one node draw the same timeouts. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *bytes, size_t size);

/* Evenly drawn from [low, high); low where the range is empty. */
int64_t random_between(int64_t low, int64_t high);

#endif
