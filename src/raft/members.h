/* members.h - what a majority is: the one place that says so. */
#ifndef RAFT_MEMBERS_H
#define RAFT_MEMBERS_H

#include "base/member.h"

/* How many members make a quorum: more than half of them. */
int members_quorum(const struct members *members);

/* Whether a set of members (one bit a position) is a quorum. */
bool members_is_quorum(const struct members *members, uint32_t set);

/* The value that a quorum has reached or passed: with values sorted downwards, the one at the quorum's place. values:
 * one a member, by position. */
int64_t members_quorum_reached(const struct members *members, const int64_t *values);

#endif
