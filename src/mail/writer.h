/* writer.h - keeps a connection to one peer on one channel: the thread that connects, reconnects with a growing,
 * jittered backoff, and sends what the outbox could not send at once. Nobody but it opens and closes that socket.
 *
 * What it says: "Connected to 2 at host:port" and "Lost connection to 2 at host:port: reason" each time, and once,
 * until the peer is reached or the reason is another, "Can't reach 2 at host:port: reason". Of the bulk channel all of
 * it is told at debug, with channel=bulk: one line a peer is enough for an operator.
 * What it puts on the server's pile: LETTER_REACHED before anything leaves over a connection, and LETTER_LOST when
 * nothing more does: one pair a connection at most, which needs no credit. */
#ifndef MAIL_WRITER_H
#define MAIL_WRITER_H

#include "base/thread.h"
#include "mail/office.h"

#define WRITER_BACKOFF_MIN_US 20000
#define WRITER_BACKOFF_MAX_US 1000000
#define WRITER_CONNECT_US 1000000 /* how long one address is tried */

struct writer {
    struct office *office;
    const struct member *peer;
    enum channel channel;
    struct outbox *outbox;
    struct thread thread;
    char name[ADDRESS_TEXT_MAX]; /* the peer's address */

    /* Its thread's. */
    uint64_t connection;  /* the number of the last one, counted up from 1 */
    int64_t backoff_us;   /* before the next attempt */
    const char *told_file; /* where the reason was raised that was told last; NULL: none since the peer was reached */
    int told_line;
    int told_errno;        /* its errno: one place may fail for many reasons */
};

/* For the member at a position in the office's list, which has an outbox for this channel. It runs until the office's
 * stop bell rings; join its thread then. */
bool writer_start(struct writer *writer, struct office *office, int position, enum channel channel,
                  struct mailraft_error *err);

#endif
