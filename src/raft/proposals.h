/* proposals.h - what clients of this node propose, and who waits for what becomes of it.
 *
 * Only a leader logs anything. What it has logged is answered when its index is committed: applied where the entry is
 * its own, never executed where another leader's stands there, or where the log has gone on in a later term before it.
 * Until then, a leader that steps down keeps the question: it hears the truth from its successor. When it has to stand
 * for election again, or its disk hangs, it does not wait any longer. */
#ifndef RAFT_PROPOSALS_H
#define RAFT_PROPOSALS_H

#include "raft/server.h"

/* LETTER_PROPOSE, or what a member has forwarded, at a leader: prepares and logs it, or answers why not. */
void proposals_take(struct server *server);
void proposals_take_forwarded(struct server *server, const void *request, size_t size, const struct proposer *proposer);

/* Answers on how many other members that count an entry is durable. */
void proposals_count(struct server *server, raft_index index, const struct proposer *proposer);

/* Those who wait for entries of a batch that is committed, by index: the caller's, NULL where nobody does. Answers
 * those whose entry was never executed. */
struct wait *proposals_settle(struct server *server, const struct batch *entries, size_t *wait_count);

/* Nobody here will learn what becomes of what is pending. */
void proposals_abandon(struct server *server);

#endif
