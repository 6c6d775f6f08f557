/* commit.h - the commit index, and the way of what is committed to the state machine ("If commitIndex > lastApplied:
 * increment lastApplied, apply log[lastApplied] to state machine", Figure 2, All Servers).
 *
 * Entries go to the applier in order, at most COMMIT_AHEAD_BYTES more than it has applied; those that have left memory
 * are read again by the log reader. */
#ifndef RAFT_COMMIT_H
#define RAFT_COMMIT_H

#include "raft/server.h"

#define COMMIT_AHEAD_BYTES (1024 * 1024)
#define COMMIT_BATCH_BYTES (256 * 1024)

/* Everything up to index, which the log has, is committed. Less than was known before changes nothing. */
void commit_advance(struct server *server, raft_index index);

/* LETTER_ENTRIES_READ, where the applier waits for it: takes the letter's entries. */
void commit_read(struct server *server);

/* LETTER_APPLIED. */
void commit_applied(struct server *server);

#endif
