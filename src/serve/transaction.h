/* transaction.h - MULTI, EXEC, DISCARD, WATCH and UNWATCH: what a session gathers until the log has it as one entry.
 *
 * What the store answers becomes an operation of one request (kv.h, KV_TRANSACTION). What the session answers by itself
 * is answered when EXEC comes, before the request is sent, and is a literal in it.
 *
 * Threads:   the clients' thread. */
#ifndef SERVE_TRANSACTION_H
#define SERVE_TRANSACTION_H

#include "serve/session.h"

/* For the table of commands. */
void transaction_multi(struct session *session, const struct text *arguments, size_t count);
void transaction_exec(struct session *session, const struct text *arguments, size_t count);
void transaction_discard(struct session *session, const struct text *arguments, size_t count);
void transaction_watch(struct session *session, const struct text *arguments, size_t count);
void transaction_unwatch(struct session *session, const struct text *arguments, size_t count);

#endif
