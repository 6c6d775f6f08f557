#include "raft/members.h"

#include <assert.h>

int members_quorum(const struct members *members)
{
    return members->count / 2 + 1;
}

bool members_is_quorum(const struct members *members, uint32_t set)
{
    return __builtin_popcount(set) >= members_quorum(members);
}

int64_t members_quorum_reached(const struct members *members, const int64_t *values)
{
    /* Few enough to count for each value how many have reached it: no sorting, no copy. */
    int64_t reached = INT64_MIN;
    for (int i = 0; i < members->count; i++) {
        int at_least = 0;
        for (int j = 0; j < members->count; j++)
            at_least += values[j] >= values[i];
        if (at_least >= members_quorum(members) && values[i] > reached)
            reached = values[i];
    }
    assert(reached != INT64_MIN || members->count == 0);
    return reached;
}
