/* forward.h - what this node's clients want goes to the leader that it follows, and the answers come back (FORWARD and
 * FORWARDED over the bulk channel; base/requests.h).
 *
 * Certainty: a FORWARD names the term in which its receiver is meant to lead: nobody takes it in another one, and
 *            nobody sends it on. Answers name the connection over which it came. When that connection, the one that
 *            answers come over, or the leader's process is gone, a command is uncertain; a query has done nothing. While
 *            both stand, the answer to a command is waited for, also of one who does not lead any more: it learns the
 *            truth. When another leads, and it does not answer within an election timeout, it may be paused.
 * Bounds:    FORWARD_WINDOW_BYTES on their way; above that, mail of clients waits. What is to be answered to one
 *            member and has not left is bounded by FORWARD_WAITING_MAX and an answer: above it they go without their
 *            bytes, but for small ones, so that others do not pay for who asked for much. */
#ifndef RAFT_FORWARD_H
#define RAFT_FORWARD_H

#include "raft/server.h"

#define FORWARD_WINDOW_BYTES (4 * 1024 * 1024)
#define FORWARD_WAITING_MAX  (64 * 1024 * 1024)
#define FORWARD_GATHER_BYTES (48 * 1024)
#define FORWARD_SMALL_BYTES  256

/* ---- Asking ---- */

/* server->letter, of a client here, goes to the leader that we follow, with the next forward_flush. */
void forward_ask(struct server *server, enum request_kind kind);

/* FORWARDED. */
void forward_answered(struct server *server);

/* The connections with a member may have changed: what was on its way over others is not answered any more. */
void forward_check(struct server *server, int position);

/* The way has changed: queries can be asked anew, and the time runs for commands. */
void forward_leave_behind(struct server *server);
void forward_tend(struct server *server); /* it may be over */

/* ---- Answering ---- */

/* FORWARD of our term: logs and reads where we lead, refuses otherwise. */
void forward_take(struct server *server);

/* FORWARD of a lower term. */
void forward_refuse(struct server *server);

/* LETTER_REPLY to what a member has forwarded: it leaves with the next forward_flush. */
void forward_reply(struct server *server);

/* ---- Both ---- */

bool forward_has_gathered(const struct server *server);
bool forward_is_full(const struct server *server); /* no more of what has gathered should be waited for */
void forward_flush(struct server *server);
void forward_fini(struct server *server); /* nobody here will learn what becomes of what is on its way */

#endif
