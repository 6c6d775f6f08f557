/* session.h - one client: its bytes become requests, and the replies to them bytes again, in order. It knows no socket
 * (clients.h) and no data (kv.h).
 *
 * Threads:   the clients' thread. Ownership: made by sessions (sessions.h), which it outlives not. */
#ifndef SERVE_SESSION_H
#define SERVE_SESSION_H

#include "serve/commands.h"
#include "serve/sessions.h"

/* ---- For the commands that a session carries out by itself (session_commands.c, info.c, sentinel.c, ...) ---- */

/* The answer to the command that is being carried out: bytes put here are its reply. */
struct mailraft_buffer *session_reply(struct session *session);
bool session_is_resp3(const struct session *session);
struct sessions *session_sessions(const struct session *session);

/* Each of the following, once for a command, and `finish` may ask for something else in turn instead of answering.
 *
 * Instead of an answer now: `finish` is called when the query's answer has come (bytes; valid until it returns), and
 * puts the reply into session_reply. Queries are held, sent again and timed out as all are; what was no answer never
 * reaches finish. context: borrowed, or freed by `drop`, which is called in any case (NULL: not). */
void session_ask_query(struct session *session, const struct mailraft_buffer *query,
                       void (*finish)(struct session *session, void *context, const uint8_t *bytes, size_t size),
                       void (*drop)(void *context), void *context);
/* The same for what is of use without the query's answer: where none comes over the present way to the leader, or there
 * is no way, it is not held: finish is called without bytes (NULL). */
void session_try_query(struct session *session, const struct mailraft_buffer *query,
                       void (*finish)(struct session *session, void *context, const uint8_t *bytes, size_t size),
                       void (*drop)(void *context), void *context);
/* The same with the server's present status (session_status afterwards), which needs no leader; no bytes. */
void session_ask_status(struct session *session,
                        void (*finish)(struct session *session, void *context, const uint8_t *bytes, size_t size),
                        void (*drop)(void *context), void *context);
/* The same once there is a way to a leader; after client_timeout_us the command is answered with -CLUSTERDOWN. */
void session_await_leader(struct session *session, void (*finish)(struct session *session));

/* The same once the clock says until_us (clock_now_us). What the client gives after it is not read before. */
void session_await_time(struct session *session, int64_t until_us, void (*finish)(struct session *session));

const struct status *session_status(const struct session *session); /* the newest that has come; zeros: none yet */

#endif
