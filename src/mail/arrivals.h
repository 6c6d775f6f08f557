/* arrivals.h - the connections that others have opened to us: which there are, and which of them count.
 *
 * A peer has at most one connection a channel that counts. A newer one of the same process replaces it, an older one is
 * refused, and so is one of another process of the same id while any of the old one's is open: of two processes with
 * one id, only one is heard.
 *
 * Threads:   the listener awaits room, starts and sweeps; each reader admits and leaves; shut and free by whoever stops
 *            the mailbox.
 * Ownership: an arrival belongs to its reader, and its stream with it, until it leaves; the next sweep joins the thread
 *            and frees it. */
#ifndef MAIL_ARRIVALS_H
#define MAIL_ARRIVALS_H

#include "base/thread.h"
#include "mail/office.h"

#define ARRIVALS_STRANGERS_MAX 64 /* connections that have not said a good hello yet */

struct arrivals;

struct arrival {
    struct arrival *next; /* the list's */
    struct arrivals *arrivals;
    struct office *office;
    struct stream *stream;
    struct thread thread;
    bool admitted;
    struct link link; /* once admitted, with the position of its peer among the members */
    int position;
};

struct arrivals *arrivals_new(struct office *office);
void arrivals_free(struct arrivals *arrivals); /* after shut, and when the listener has ended: joins every reader */

/* Waits until there may be one more stranger. Where there are as many as there may be, the oldest is shut down at once,
 * so that whoever comes next finds room: those that say nothing must not hold up a member, which says its hello at
 * once. False when the arrivals were shut. */
bool arrivals_await_room(struct arrivals *arrivals);

/* Starts a thread for a new connection, a stranger, which it takes: main is given its arrival. Where that fails the
 * stream is closed. */
bool arrivals_start(struct arrivals *arrivals, struct stream *stream, void (*main)(void *arrival),
                    struct mailraft_error *err);

/* Joins and frees whoever has left. */
void arrivals_sweep(struct arrivals *arrivals);

/* Whether a connection counts from here on, by its hello, which hello_check let pass. PROTOCOL_ERROR otherwise. */
bool arrivals_admit(struct arrival *arrival, const struct hello *hello, struct mailraft_error *err);

/* Shuts down the older connections that an admitted one replaces. Called when the server has been told of the newer
 * one: of the end of the older it hears only then, or it would take a leader that connects again for one that died. */
void arrivals_replace(struct arrival *arrival);

/* A reader's last call: closes its stream. */
void arrivals_leave(struct arrival *arrival);

/* Shuts every connection down, now and later, so that every reader ends. */
void arrivals_shut(struct arrivals *arrivals);

#endif
