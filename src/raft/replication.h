/* replication.h - a leader's log reaches its followers, and what a majority has durable is committed (Figure 2, "Rules
 * for Servers", Leaders, and AppendEntries RPC).
 *
 * The leader writes to its own disk and to its followers at the same time (dissertation, section 10.2.1). A new entry
 * leaves at once when nothing is on its way to that follower; otherwise when an answer arrives, or when
 * REPLICATION_GATHER_BYTES have come together. Entries that have left memory are read again by the log reader, for that
 * follower alone. */
#ifndef RAFT_REPLICATION_H
#define RAFT_REPLICATION_H

#include "raft/server.h"

#define REPLICATION_GATHER_BYTES (64 * 1024)

/* A new leader: nothing is known of anybody's log. Appends the term's first entry. */
void replication_begin(struct server *server);

/* "Append entry to local log": it leaves, to the disk and to the followers, with the next server_flush. Returns its
 * index. */
raft_index replication_append(struct server *server, enum entry_kind kind, const void *payload, size_t size);

/* A no-op or a time entry: its payload is the wall clock's lead over the cluster's time. */
void replication_append_time(struct server *server, enum entry_kind kind);

/* Sends what may leave to everybody. */
void replication_send(struct server *server);

/* Whether server->message, a RESPONSE_APPEND_ENTRIES, answers what we said in an earlier life or over an earlier
 * connection, or was said by an earlier process of its sender: it counts for nothing. */
bool replication_is_of_the_past(const struct server *server);

/* A RESPONSE_APPEND_ENTRIES of our term, which is not of the past. */
void replication_answered(struct server *server);

/* Our own disk, or whose word counts, has changed: commits what a majority has. */
void replication_count(struct server *server);

/* LETTER_ENTRIES_READ, where a follower waits for it: the letter keeps its entries. */
void replication_read(struct server *server);

/* A member has come with another folder: what it had acknowledged is gone. */
void replication_forget(struct server *server, int position);

/* Our bulk connection to a member stands, or is gone. */
void replication_reached(struct server *server, int position);
void replication_lost(struct server *server, int position);

#endif
