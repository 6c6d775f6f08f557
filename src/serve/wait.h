/* wait.h - WAIT numreplicas timeout: on how many other members what this client has written is durable.
 *
 * Threads:   the clients' thread. */
#ifndef SERVE_WAIT_H
#define SERVE_WAIT_H

#include "serve/session.h"

void wait_run(struct session *session, const struct text *arguments, size_t count); /* for the table of commands */

#endif
