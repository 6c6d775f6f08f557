/* leader.h - what others ask of the leader's part: how well it is heard, and to whom it can hand over. */
#ifndef RAFT_LEADER_H
#define RAFT_LEADER_H

#include "raft/server.h"

/* When the newest round of heartbeats left that a majority, ourselves included, has answered. Answers that we read
 * late (after a pause) count from then too, so a leader that was away does not take old answers for new ones. */
int64_t leader_quorum_heard_us(const struct server *server);

/* Whether our disk owes an answer for longer than a leader may wait for one. */
bool leader_disk_hangs(const struct server *server);

/* Chooses one member to take over: the most up to date of those that are connected and answered within the minimum
 * election timeout. It is told to when it has our whole log (dissertation, section 3.10). False where there is none. */
bool leader_begin_hand_over(struct server *server);

/* Queries that have gathered begin a round of heartbeats, unless one for others is on its way. */
void leader_confirm_reads(struct server *server);

#endif
