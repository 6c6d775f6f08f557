/* mailbox.h - mail between members: a listener, a reader thread for each connection that a peer opens to us, and for
 * each peer and channel an outbox whose writer thread keeps a connection to it. One of the headers that the simulator
 * replaces.
 *
 * Channels:  *urgent* carries elections, heartbeats and answers, *bulk* entries, so that no load delays a heartbeat.
 * Threads:   send from the owner of the pile alone (the server); set_uuid from any; start and stop from whoever made
 *            it.
 * Delivery:  at most once, in order within a connection. LETTER_CONNECTED comes before the first message of a
 *            connection that a peer opened and LETTER_DISCONNECTED after its last; LETTER_REACHED before anything
 *            leaves over a connection that we opened, and LETTER_LOST when it has ended. Nothing is sent again after
 *            that, and nothing that an outbox had before it ended goes over the next one.
 * Sending never waits: what the socket does not take at once waits in the outbox (while there is no connection, the
 *            newest OUTBOX_UNCONNECTED_MAX messages), and is sent by the writer thread. A full outbox drops its oldest
 *            message that has not begun to leave; that of the bulk channel holds MAILBOX_BULK_BYTES and a largest
 *            entry, so who keeps below that on its way loses nothing while a connection stands. What is forwarded has
 *            no part in this: it is never dropped while a connection stands, and takes no room from others.
 * What comes from outside is checked; what does not pass closes that one connection, with one log line that says
 *            which and from where (at most a line a second for each cause). */
#ifndef MAIL_MAILBOX_H
#define MAIL_MAILBOX_H

#include "base/log.h"
#include "base/member.h"
#include "base/pile.h"

#define MAILBOX_BULK_BYTES (2 * 1024 * 1024)
#define MAILBOX_ENTRY_BYTES_MAX (64 * 1024 * 1024) /* no config's max_entry_bytes is larger */

struct mailbox;

struct mailbox_config {
    char cluster_name[CLUSTER_NAME_MAX];
    raft_id id;               /* ours, one of the members */
    struct members members;
    struct address listen;    /* where to bind; port 0 is not allowed */
    struct data_id data_id;   /* ours */
    struct cluster_uuid cluster_uuid; /* zeros: none yet */
    bool rejoin_empty;        /* told in every hello (struct introduction) */
    size_t entry_bytes_max;   /* of an entry that comes in */

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

/* Hands a message to the outbox of a member. entries: those of a REQUEST_APPEND_ENTRIES on the bulk channel, borrowed
 * (the outbox takes references of its own); NULL: none. droppable: may be thrown away when the outbox is full; what may
 * not is thrown away where there is no connection. */
void mailbox_send(struct mailbox *mailbox, raft_id to, enum channel channel, const struct message *message,
                  const struct batch *entries, bool droppable);

/* A FORWARD or FORWARDED over the bulk channel, with its body, sound records (requests.h), which is copied. One of more
 * than BODY_PORTION_BYTES goes as several messages, in order, cut between records; of none, as no message. No record has
 * more bytes than the receiver's entry_bytes_max. It goes with its connection, and is never dropped before: who sends
 * them bounds them. Where there is no connection it is thrown away at once. */
void mailbox_forward(struct mailbox *mailbox, raft_id to, const struct message *message,
                     const struct mailraft_buffer *body);
size_t mailbox_waiting_bytes(struct mailbox *mailbox, raft_id to, enum channel channel); /* that have not left */

uint64_t mailbox_incarnation(const struct mailbox *mailbox); /* ours: random, never 0 */

/* The cluster's uuid, which was not known before: every hello from here on shows it. */
void mailbox_set_uuid(struct mailbox *mailbox, const struct cluster_uuid *uuid);

/* Closes every socket, joins every thread. Frames that a socket would take at once have been sent. The struct lives
 * on until mailbox_free, since letters on the pile refer to its credit: stop, free the pile, free the mailbox. */
void mailbox_stop(struct mailbox *mailbox);
void mailbox_free(struct mailbox *mailbox); /* NULL is fine */

#endif
