/* timer.h - when a server stands for election: the randomised timeout of the paper's section 5.2, and the hint that a
 * leader's closed connection gives.
 *
 * The hint: when the process of a leader dies, its sockets close at once, and each follower learns it long before its
 * timeout. It then counts as not hearing a leader, until that leader speaks again, and stands after a wait that is
 * drawn from 0 to a span: four times what an election step costs here (the last ballot sync and the largest round trip
 * that the leader told; 1 ms to a quarter of the minimum timeout). Whoever loses draws again from twice the span, up
 * to the election timeout. When the leader lives after all, the pre-vote is refused for that, which ends the hint. */
#ifndef RAFT_TIMER_H
#define RAFT_TIMER_H

#include "raft/server.h"

/* Draws a new timeout from [min, max) and restarts the election deadline with it. */
void timer_restart(struct server *server);

/* One line: how long until we stand. */
void timer_tell(struct server *server);

/* The leader we follow closed its newest connection. */
void timer_leader_closed(struct server *server);

/* The leader spoke: it is heard, and there is no hint any more. */
void timer_leader_spoke(struct server *server);

/* A candidate begins to ask: how long it waits for answers before it counts the round as failed. */
void timer_start_round(struct server *server);

/* A candidate's round failed: the next draws come from twice the span. */
void timer_round_failed(struct server *server);

/* A round cannot be won any more. On a hint, the rest of its time is not waited for. */
void timer_round_lost(struct server *server);

/* A pre-vote was lost because a leader lives: the hint was a false alarm. */
void timer_false_alarm(struct server *server);

/* We granted a pre-vote. On a hint whoever got it has time to win before we stand ourselves: two that stand within one
 * step of each other split the votes. */
void timer_yield(struct server *server);

#endif
