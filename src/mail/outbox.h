/* outbox.h - the frames that are to go to one peer over one channel: a pile whose mutex also guards its socket.
 *
 * Threads:   send from the server; nudge from any; the rest from the outbox's writer alone, which opens and closes the
 *            socket.
 * Sending never waits: it tries the socket at once, and what does not fit stays for the writer. Nobody blocks while
 *            holding the mutex.
 * Bounds:    droppable frames: as many bytes as outbox_new was told, and without a connection the newest
 *            OUTBOX_UNCONNECTED_MAX of them. Above that the oldest of them goes that was not begun. Frames that are not
 *            droppable are never dropped while there is a connection, and take no room from those that are: who sends
 *            them bounds them (outbox_waiting_bytes). Without a connection they are not taken.
 * Delivery:  when a connection ends, all frames go with it. */
#ifndef MAIL_OUTBOX_H
#define MAIL_OUTBOX_H

#include "mail/stream.h"
#include "mail/wire.h"

#define OUTBOX_UNCONNECTED_MAX 16

struct outbox;

/* bytes_max: of the droppable frames that wait, entries included. SERVER_ERROR where no descriptor is left. */
struct outbox *outbox_new(size_t bytes_max, struct mailraft_error *err);
void outbox_free(struct outbox *outbox); /* not while it is open; NULL is fine */

void outbox_send(struct outbox *outbox, struct frame *frame); /* takes the frame */
void outbox_nudge(struct outbox *outbox); /* the peer is there: connect to it now, not when it is due */

/* Rung by a nudge, and when frames wait for the socket of an open outbox. The writer silences it. */
const struct bell *outbox_bell(const struct outbox *outbox);

size_t outbox_waiting_bytes(struct outbox *outbox); /* that have not left; from any thread */

/* There is a connection: the stream is borrowed until outbox_close. Nothing leaves before the first outbox_flush, so
 * that others can be told of it first. */
void outbox_open(struct outbox *outbox, struct stream *stream);
/* Sends what the socket takes at once. *waiting: whether frames are left. False when the stream has failed, here or in
 * outbox_send. */
bool outbox_flush(struct outbox *outbox, bool *waiting, struct mailraft_error *err);
void outbox_close(struct outbox *outbox);

#endif
