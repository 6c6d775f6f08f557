/* clock.h - the time. One of the headers that the simulator replaces.
 *
 * Every decision uses the monotonic clock; the wall clock only dates lines of the state log. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define CLOCK_NEVER INT64_MAX /* a deadline that does not come */

int64_t clock_now_us(void);  /* CLOCK_MONOTONIC, microseconds */
int64_t clock_wall_us(void); /* CLOCK_REALTIME, microseconds since 1970 */

/* What the process has used of the processors so far, for itself and in the kernel; only to be told. */
void clock_cpu_us(int64_t *user_us, int64_t *system_us);

#endif
