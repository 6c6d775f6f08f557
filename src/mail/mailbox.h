/* mailbox.h - mail between members: a listener, a reader thread for each connection that a peer opens to us, and for
 * each peer an outbox whose writer thread keeps a connection to it. One of the headers that the simulator replaces.
 *
 * Threads:   send from the owner of the pile alone (the server); start and stop from whoever made it.
 * Delivery:  at most once, in order within a connection. LETTER_CONNECTED comes before the first message of a
 *            connection and LETTER_DISCONNECTED after its last. Nothing is sent again after a connection broke.
 * Sending never waits: what the socket does not take at once waits in the outbox (OUTBOX_BYTES_MAX bytes; while there
 *            is no connection, the newest OUTBOX_UNCONNECTED_MAX droppable frames), and is sent by the writer thread.
 *            A full outbox drops its oldest unsent droppable frame.
 * What comes from outside is checked; what does not pass closes that one connection, with one log line that says
 *            which and from where (at most a line a second for each cause). */
#ifndef MAIL_MAILBOX_H
#define MAIL_MAILBOX_H

#include "base/log.h"
#include "base/member.h"
#include "base/pile.h"

struct mailbox;

struct mailbox_config {
    char cluster_name[CLUSTER_NAME_MAX];
    raft_id id;               /* ours, one of the members */
    struct members members;
    struct address listen;    /* where to bind; port 0 is not allowed */
    struct data_id data_id;   /* ours */

    /* Whether whoever opens it has something better to do: asked several times a second while mailbox_open waits for a
     * name server, by its own thread. NULL: never. */
    bool (*interrupted)(void *context);
    void *context; /* interrupted's */
};

/* Binds and listens: peers can connect, and wait. The pile and the log are borrowed until mailbox_stop, which is owed
 * from here on. NULL and BIND_ERROR or NETWORK_ERROR otherwise, also when it was interrupted. */
struct mailbox *mailbox_open(const struct mailbox_config *config, struct pile *pile, struct log *log,
                             struct mailraft_error *err);

/* Starts the threads: from here on mail comes and goes. SERVER_ERROR where one cannot be started. */
bool mailbox_start(struct mailbox *mailbox, struct mailraft_error *err);

/* Hands a message to the outbox of a member. droppable: may be thrown away when the outbox is full. */
void mailbox_send(struct mailbox *mailbox, raft_id to, const struct message *message, bool droppable);

/* Closes every socket, joins every thread. Frames that a socket would take at once have been sent. The struct lives
 * on until mailbox_free, since letters on the pile refer to its credit: stop, free the pile, free the mailbox. */
void mailbox_stop(struct mailbox *mailbox);
void mailbox_free(struct mailbox *mailbox); /* NULL is fine */

#endif
