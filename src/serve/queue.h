/* queue.h - a session's requests in the order in which they came: each has a place until its answer has left. What
 * sessions.h promises of order and certainty is kept here.
 *
 *     HELD ── queue_send ──> FLYING ── queue_reply ──> ANSWERED ── its turn ──> gone
 *      ^                        │                          ^
 *      └──── not executed ──────┘      queue_time_out ─────┘
 *
 * Nothing of a session is sent while something of it is on its way over another view, or while what was sent after it
 * is: so whatever comes back unexecuted is sent again in its order.
 *
 * Threads:   the clients' thread. Ownership: places are the session's; they are used again. */
#ifndef SERVE_QUEUE_H
#define SERVE_QUEUE_H

#include "serve/session_state.h"

/* A place at the end of the queue, for what queue_await then says. */
struct place *queue_put(struct session *session);
/* That of the command that the session carries out by itself, which needs one since it asks for something. */
struct place *queue_place(struct session *session);
/* What its answer waits for from now on: COMMAND and QUERY for a way to send what is in its bytes (queue_send does),
 * all others for what their names say. */
void queue_await(struct place *place, enum place_kind kind);
void queue_wake_at(struct place *place, int64_t wake_us); /* TIME, COUNT */
void queue_send(struct session *session);                 /* whatever may be sent now */
bool queue_may_try(const struct session *session);        /* a query at the end of the queue could be sent now */
uint64_t queue_launch(struct place *place);               /* it is on its way from now on, under this number */

/* Its answer; the bytes are taken out of it, or left to be thrown away. Sent at once where it is its turn. */
void queue_answer(struct place *place, struct mailraft_buffer *answer);
void queue_answer_here(struct session *session, struct mailraft_buffer *answer); /* to what has no place yet */
/* What the command that has it asked for is there: the command goes on, or is answered. */
void queue_finish(struct place *place, const uint8_t *bytes, size_t size);
/* Sends answers whose turn has come; closes the connection when it is time to; reads on. */
void queue_flush(struct session *session);
void queue_clear(struct session *session); /* nobody waits for any of it */

void queue_reply(struct sessions *sessions, struct letter *letter);
void queue_time_out(struct place *place, int64_t now_us);            /* client_timeout_us have passed */
void queue_end(struct place *place);                                 /* this node stops */
void queue_recall(struct sessions *sessions, struct letter *letter); /* it has not left, and will not */

bool queue_is_full(const struct session *session); /* nothing more is read for now */

/* Of the places that nobody needs any more, so many are kept to be used again. Not from within any of the above. */
void queue_keep_free(struct sessions *sessions, size_t most);

void session_list_add(struct sessions *sessions, struct session *session, enum session_lists which);
void session_list_remove(struct sessions *sessions, struct session *session, enum session_lists which);

#endif
