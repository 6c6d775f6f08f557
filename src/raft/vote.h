/* vote.h - the voter: whether to grant a vote or a pre-vote, whatever the own role is (Figure 2, RequestVote RPC,
 * "Receiver implementation"; dissertation, sections 4.2.3 and 9.6). */
#ifndef RAFT_VOTE_H
#define RAFT_VOTE_H

#include "raft/server.h"

/* Whether we count as hearing a leader: we lead and a majority answers, or the leader of our term spoke to us within
 * the minimum election timeout and has not closed its connection since. */
bool vote_leader_lives(const struct server *server);

/* Answers server->message, a REQUEST_PRE_VOTE. Changes no term and no vote; on a hint, to grant one puts our own
 * standing off. */
void vote_answer_pre_vote(struct server *server);

/* Why server->message, a REQUEST_VOTE, would disrupt a living leader: reason enough to refuse it without adopting its
 * term. REFUSAL_NONE when it would not, or when it is part of a hand-over. detail: as in struct message. */
enum refusal vote_disruption(const struct server *server, int64_t *detail);

/* Why server->message, a REQUEST_VOTE, gets no vote from us once we are in its term; REFUSAL_NONE when it does.
 * voted_for: whom we chose in that term. detail: as in struct message. */
enum refusal vote_refusal(const struct server *server, raft_id voted_for, int64_t *detail);

/* One line: "Sent mail to 3 vote granted: 0 reason=...". deed: "Sent mail to" or "Reading mail from"; what: "vote" or
 * "pre-vote". */
void vote_log(const struct server *server, enum log_level level, const char *deed, raft_id peer, const char *what,
              const struct message *answer);

/* Answers server->message, a REQUEST_VOTE, with a refusal. */
void vote_refuse(struct server *server, enum refusal refusal, int64_t detail);

/* Answers server->message, a REQUEST_VOTE of our term. A new vote is saved first: the message is then kept and read
 * again. True when the vote was granted and the answer has left. */
bool vote_answer(struct server *server);

#endif
