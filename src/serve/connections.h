/* connections.h - the clients' connections: what each has brought and is to be sent, and the bounds that all of them
 * share. clients.h tells what holds for them; clients.c accepts them and waits for their sockets.
 *
 * Reading:   each is read from once a round, into memory that all share; only what is left of a request that has not
 *            come whole is kept by the connection, in a buffer that grows as bytes arrive and is gone when it is empty.
 * epoll:     level-triggered, so that a connection that is read from once a round comes again in the next, and nobody
 *            has to keep account of what a socket may still hold. What cannot be used is left out of what epoll watches
 *            only when it tells of it: a client that waits for its reply costs no call.
 * Ending:    a connection that is to be closed lasts until the end of the round. One that its session closes is shut for
 *            writing first, and what its client still says is thrown away until it has closed its end, or for a while:
 *            otherwise a reset could overtake the last words.
 * Threads:   the clients'. */
#ifndef SERVE_CONNECTIONS_H
#define SERVE_CONNECTIONS_H

#include <sys/queue.h>

#include "mail/complaints.h"
#include "mail/stream.h"
#include "serve/clients.h"

TAILQ_HEAD(connection_list, connection);
STAILQ_HEAD(connection_queue, connection);

struct connections {
    /* Set at the start. */
    struct clients_config config;
    struct clients_calls calls;
    struct log *log;
    int epoll; /* the connection's address comes with its events */
    struct complaints complaints;
    uint8_t *scratch; /* where sockets are read into */

    int64_t now_us;                   /* when the round began */
    bool deaf;                        /* nothing is read any more */
    size_t count;                     /* of those that have a session */
    size_t input_bytes, output_bytes; /* that all of them buffer */
    struct connection_list all;
    struct connection_list partial; /* a part of a request is there; in the order in which they came to wait for more */
    struct connection_list slow;    /* the socket takes no more; the one that has taken nothing for longest first */
    struct connection_list leaving; /* they have no session any more; by the time when they began to */
    struct connection_queue touched; /* to be looked at before the round ends */
    struct connection_queue resumed; /* unpaused: what they hold can be used */
};

void connections_init(struct connections *connections, const struct clients_config *config,
                      const struct clients_calls *calls, int epoll, struct log *log);
void connections_fini(struct connections *connections); /* after connections_close */

/* A client has connected; the socket is taken. Where there are too many, it is told so, and closed. */
void connections_add(struct connections *connections, int socket, const struct endpoint *peer);

/* The parts of a round. */
void connections_begin(struct connections *connections, int64_t now_us);
void connections_take(struct connection *connection, uint32_t events); /* that epoll has told of */
void connections_resume(struct connections *connections);              /* those that were unpaused use what they hold */
void connections_check(struct connections *connections);               /* who has been slow for too long is closed */
void connections_flush(struct connections *connections); /* all that was sent leaves; what is to be closed is closed */

bool connections_busy(const struct connections *connections);           /* there is something to do before any event */
int64_t connections_deadline_us(const struct connections *connections); /* when connections_check has something to do */

void connections_deafen(struct connections *connections); /* from here on nothing is read */
void connections_close(struct connections *connections);  /* all of them, as they are */

#endif
