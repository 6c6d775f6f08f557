/* sessions.h - what all clients of this node share: the way to the leader, what is on its way there, and the clock.
 *
 * A session (session.h) turns a client's bytes into requests and replies. What it does not answer by itself it hands to
 * its sessions, who put it on the server's pile, and bring the reply back.
 *
 * Threads:   all on the clients' thread (clients.h), whose calls sessions_calls are.
 * Order:     a session's commands are answered in the order in which they came. They go to one leader at a time: while
 *            one is on its way over another view, the next ones are held. Commands are not sent while a query of the
 *            same session is on its way, so that none overtakes it.
 * Large answers: of what a session asks, no more is on its way than the size of its latest answers lets expect to be of
 *            use, and nothing is sent for it while its client does not read. Time that it waits so does not count for
 *            its end.
 * Certainty: what was not executed for certain is held and sent again, over the next way to a leader, until
 *            client_timeout_us after it came; then it is answered with -CLUSTERDOWN. So is a query whatever became of
 *            it. A command of which it is not certain is answered with -UNCERTAIN, at once or at that time. */
#ifndef SERVE_SESSIONS_H
#define SERVE_SESSIONS_H

#include "base/log.h"
#include "base/member.h"
#include "serve/clients.h"

struct sessions;

struct sessions_config {
    raft_id id;
    char cluster_name[CLUSTER_NAME_MAX];
    struct members members;   /* whose `client` addresses are told */
    struct address client;    /* where this node serves clients */
    int64_t client_timeout_us;
    size_t request_bytes_max; /* of one request */
    size_t memory_bytes_max;  /* of the data; told by INFO and CONFIG */
    size_t connections_max;   /* the same */
    size_t connections_wanted; /* so many the operator wants; 0: no more than that */
    uint64_t files_max;        /* that this process may have open: why there are fewer */
    size_t flight_bytes_max;  /* of all requests that have no reply yet: above it, clients are not read from */
    bool debug_commands;      /* DEBUG SLEEP */
    int32_t pid;
};

/* What a session does with its connection: connection_send, connection_pause and connection_close (clients.h), where
 * those are linked. */
struct connection_calls {
    bool (*send)(struct connection *connection, const void *bytes, size_t size);
    void (*pause)(struct connection *connection, bool paused);
    void (*close)(struct connection *connection);
};

/* ask: puts letters on the server's pile (node_ask), and empties the list. connection: copied. pile: the clients'
 * own, where replies come. log: borrowed. */
struct sessions *sessions_new(const struct sessions_config *config, const struct connection_calls *connection,
                              struct pile *pile, void (*ask)(void *context, struct letter_list *letters), void *context,
                              struct log *log);
void sessions_free(struct sessions *sessions); /* after the last session has ended; NULL is fine */

struct clients_calls sessions_calls(struct sessions *sessions);

/* The node has stopped: what is on its way or held is answered by what is known of it, nothing is asked any more. From
 * the clients' thread, or after it has ended. */
void sessions_end(struct sessions *sessions);

#endif
