/* append.h - a follower's log (Figure 2, AppendEntries RPC, "Receiver implementation").
 *
 * It acknowledges the lower of what is durable here and of what the present leader has proven to match: entries are
 * answered for when the disk has them. Duplicates, late and reordered messages change nothing: only an entry that
 * conflicts cuts anything off. */
#ifndef RAFT_APPEND_H
#define RAFT_APPEND_H

#include "raft/server.h"

/* A REQUEST_APPEND_ENTRIES of our term, from its leader, whom we follow. */
void append_take(struct server *server);

/* The answer to one that is refused: of an earlier term, or of a second leader in ours. */
void append_refuse(struct server *server);

/* More of the log is durable: acknowledges what is owed. */
void append_saved(struct server *server);

#endif
