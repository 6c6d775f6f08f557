#include "raft/cluster_time.h"

void cluster_time_begin(struct cluster_time *time, int64_t entry_time_us, int64_t now_us)
{
    *time = (struct cluster_time){entry_time_us, now_us, entry_time_us};
}

bool cluster_time_known(const struct cluster_time *time)
{
    return time->heard_time_us > 0;
}

/* The leader's word counts also where it is a little behind our own count: clocks that run at different rates would
 * otherwise drift apart without end, and the time with the fastest of them. */
void cluster_time_hear(struct cluster_time *time, int64_t time_us, int64_t now_us)
{
    time->heard_time_us = time_us;
    time->heard_us = now_us;
}

void cluster_time_entry(struct cluster_time *time, int64_t time_us)
{
    if (time_us > time->entry_time_us)
        time->entry_time_us = time_us;
}

int64_t cluster_time_now(const struct cluster_time *time, int64_t now_us)
{
    int64_t passed_us = now_us - time->heard_us;
    if (time->heard_time_us > CLUSTER_TIME_MAX - passed_us) /* what others tell may be anything */
        return CLUSTER_TIME_MAX;
    int64_t time_us = time->heard_time_us + passed_us;
    return time_us > time->entry_time_us ? time_us : time->entry_time_us;
}
