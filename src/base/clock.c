#include "base/clock.h"

#include <assert.h>
#include <sys/resource.h>
#include <time.h>

static int64_t clock_read_us(clockid_t id)
{
    struct timespec now;
    int result = clock_gettime(id, &now);

    assert(result == 0);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_now_us(void)
{
    return clock_read_us(CLOCK_MONOTONIC);
}

int64_t clock_wall_us(void)
{
    return clock_read_us(CLOCK_REALTIME);
}

static int64_t clock_timeval_us(struct timeval time)
{
    return (int64_t)time.tv_sec * 1000000 + time.tv_usec;
}

void clock_cpu_us(int64_t *user_us, int64_t *system_us)
{
    struct rusage usage;
    int result = getrusage(RUSAGE_SELF, &usage);

    assert(result == 0);
    *user_us = clock_timeval_us(usage.ru_utime);
    *system_us = clock_timeval_us(usage.ru_stime);
}
