/* reads.h - what a leader's clients read, without the log: ReadIndex (dissertation, section 6.4).
 *
 * A query waits for two things. That we still lead: one round of heartbeats, begun after it came, is answered by a
 * majority; all that have gathered meanwhile share the next round. And that what was committed when it came has been
 * applied: the commit index, at least the first entry of our term (a new leader does not know before that what is
 * committed), and every command that its own proposer has asked for before. Then the applier answers it.
 *
 * Where something is due by the cluster's time, and no entry has told so, the applier gives the query back: it waits
 * for an entry of that time, so that nobody sees a key gone that another node would still show. No other one is
 * answered before it, or who asks twice over one connection could be shown an older state the second time. */
#ifndef RAFT_READS_H
#define RAFT_READS_H

#include "raft/server.h"

/* LETTER_READ, at a leader: keeps the letter. */
void reads_take(struct server *server);

/* A query that a member has forwarded. */
void reads_take_forwarded(struct server *server, const void *query, size_t size, const struct proposer *proposer,
                          bool behind);

/* LETTER_READ_EARLY. */
void reads_take_early(struct server *server);

/* Whether queries wait for a round to begin, and none is on its way. */
bool reads_want_round(const struct server *server);

/* A round of heartbeats begins: those that have gathered wait for it. */
void reads_begin_round(struct server *server);

/* Rounds may have been answered. */
void reads_count(struct server *server);

/* Entries have been handed to the applier. */
void reads_hand_over(struct server *server);

/* We do not lead any more, or stop: none of them has been answered, and none will be. */
void reads_abandon(struct server *server);

#endif
