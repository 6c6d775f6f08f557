/* transaction.h - MULTI, EXEC, DISCARD, WATCH and UNWATCH: what a session gathers until the log has it as one entry.
 *
 * What the store answers becomes an operation of one request (kv.h, KV_TRANSACTION). What the session answers by itself
 * is answered when EXEC comes, before the request is sent, and is a literal in it. A watched key is remembered with the
 * version that the store told, which EXEC's request names: so a watch outlives a change of leader.
 *
 * Threads:   the clients' thread. */
#ifndef SERVE_TRANSACTION_H
#define SERVE_TRANSACTION_H

#include "serve/session.h"

struct place;
struct transaction;
struct watches;

/* For the table of commands. */
void transaction_multi(struct session *session, const struct text *arguments, size_t count);
void transaction_exec(struct session *session, const struct text *arguments, size_t count);
void transaction_discard(struct session *session, const struct text *arguments, size_t count);
void transaction_watch(struct session *session, const struct text *arguments, size_t count);
void transaction_unwatch(struct session *session, const struct text *arguments, size_t count);

/* Between MULTI and EXEC: whether a command is queued rather than carried out; queueing it, with its answer; noting that
 * one could not be, which ends in EXECABORT; and that EXEC itself was wrong: session_reply holds why, and gets Redis's
 * words. */
bool transaction_takes(const struct session *session, const struct command *command);
void transaction_queue(struct session *session, const struct command *command, const struct text *arguments,
                       size_t count);
void transaction_spoil(struct session *session);
void transaction_abort(struct session *session);

/* EXEC's place: session_reply holds the answer of the command that was being carried out. */
void transaction_go_on(struct place *place);
/* It is about to be sent: its request is put into its bytes. False: it was answered with null instead, as if a watched
 * key had changed, since a WATCH had no answer. */
bool transaction_finish(struct place *place);

void transaction_forget(struct session *session);       /* MULTI and WATCH, as if they had not been given */
void transaction_free(struct transaction *transaction); /* NULL is fine */

#endif
