/* wait.h - WAIT numreplicas timeout: on how many other members what this client has written is durable.
 *
 * The leader is asked when it is the command's turn, and again every few milliseconds, until there are enough or the
 * time is over. Within a transaction the first count is the answer, as in Redis.
 *
 * Threads:   the clients' thread. */
#ifndef SERVE_WAIT_H
#define SERVE_WAIT_H

#include "serve/session.h"

struct place;

void wait_run(struct session *session, const struct text *arguments, size_t count); /* for the table of commands */

/* A place of kind COUNT is the first of its queue; its count has come; it has not; its time has. */
void wait_take_turn(struct place *place);
void wait_counted(struct place *place, uint64_t members);
void wait_again(struct place *place);
void wait_due(struct place *place, int64_t now_us);

#endif
