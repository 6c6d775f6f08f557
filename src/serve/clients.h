/* clients.h - the clients' sockets: a listener and all connections, on one thread that waits with epoll(7). It knows no
 * commands: what bytes mean is for whoever it calls. One of the headers that the simulator replaces.
 *
 * Threads:   the calls below marked (thread) come from the clients' thread, and so must whatever they are answered
 *            with: connection_send and its kin. open, start, stop and free: from whoever made it.
 * Order:     in rounds: the letters that have come, then what the sockets have brought, then `gathered`; then all that
 *            was sent leaves, in one call for each connection.
 * Bounds:    each connection buffers at most what a request takes and, of what it does not read, output_bytes_max and
 *            a reply; all of them together input_bytes_max and output_total_max. One that does not read its replies is not read from
 *            (OUTPUT_PAUSE_BYTES); where it takes nothing for client_stall_us, or passes a bound, it is closed, with a
 *            line in the log. Where all together pass input_bytes_max, requests that have not come whole wait, but for
 *            the one that has waited longest, and are closed after client_stall_us; where they pass output_total_max,
 *            the one with most is closed.
 * Trouble:   where descriptors run out, accepting waits until one is free; nothing spins. */
#ifndef SERVE_CLIENTS_H
#define SERVE_CLIENTS_H

#include "base/log.h"
#include "base/member.h"
#include "base/pile.h"

#define OUTPUT_PAUSE_BYTES (1024 * 1024)

struct clients;
struct connection;

/* What the thread calls. context is the first argument of those that get no session. */
struct clients_calls {
    void *context;
    /* A client has connected, from `peer` to `local` ("127.0.0.1:50322"). Returns its session, which `closed` ends. */
    void *(*opened)(void *context, struct connection *connection, const char *peer, const char *local);
    /* Bytes have come: those not used yet and new ones. Returns how many are used up; the rest comes again with more
     * behind it, or when the session has been unpaused. Not called while the connection is paused or closing.
     * *wanted: how many bytes it takes at least before it can use more (0: it does not know). */
    size_t (*bytes)(void *session, const uint8_t *bytes, size_t size, size_t *wanted);
    /* The client says nothing more, but may still listen (a half-closed connection): the session closes the connection
     * when it has answered all. NULL: it is closed at once. */
    void (*ended)(void *session);
    /* The client has read of what filled its connection (connection_send): there is room again. NULL: nobody asks. */
    void (*drained)(void *session);
    void (*closed)(void *session); /* the connection is gone; its last call */
    /* A letter has come on the thread's pile: its receiver frees it. */
    void (*letter)(void *context, struct letter *letter);
    /* All that was ready has been handled: whatever was gathered leaves. Called before each wait. */
    void (*gathered)(void *context);
    /* When `due` wants to be called next (clock_now_us); CLOCK_NEVER. */
    int64_t (*deadline_us)(void *context);
    void (*due)(void *context, int64_t now_us);
    void (*stopping)(void *context); /* nothing is read any more (clients_stop): the last word can be said. NULL: none */
};

struct clients_config {
    struct address listen;
    size_t connections_max;  /* one more is told "-ERR max number of clients reached" and closed */
    size_t output_bytes_max; /* of one connection */
    size_t output_total_max;
    size_t input_bytes_max;  /* of all connections: above it, only those that have nothing buffered are read from */
    int64_t client_stall_us;
};

/* Binds and listens. calls: copied. pile: the thread's own, borrowed until clients_free; log too. NULL and BIND_ERROR or
 * NETWORK_ERROR otherwise. */
struct clients *clients_open(const struct clients_config *config, const struct clients_calls *calls, struct pile *pile,
                             struct log *log, struct mailraft_error *err);
bool clients_start(struct clients *clients, struct mailraft_error *err); /* SERVER_ERROR */
/* Takes no more clients and reads no more; handles the letters that are on the pile, and says `stopping`; waits until
 * every client has heard what was sent and closed its end, for at most wait_us; closes every connection (`closed` is
 * called) and joins the thread. What was not started is not stopped. */
void clients_stop(struct clients *clients, int64_t wait_us);
void clients_free(struct clients *clients); /* NULL is fine */

size_t clients_count(const struct clients *clients); /* (thread) connections that are open */

/* (thread) Bytes for the client, copied. Nothing happens to a connection that is closing. False: it is full, more should
 * be sent only once it has drained. */
bool connection_send(struct connection *connection, const void *bytes, size_t size);
void connection_pause(struct connection *connection, bool paused); /* (thread) whether to read on */
void connection_close(struct connection *connection); /* (thread) when all that was sent has left; reads nothing more */

#endif
