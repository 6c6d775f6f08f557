/* outbox.h - the frames that are to go to one peer over one channel: a pile whose mutex also guards its socket.
 *
 * Threads:   send from the server; nudge from any; the rest from the outbox's writer alone, which opens and closes the
 *            socket.
 * Sending never waits: it tries the socket at once, and what does not fit stays for the writer. Nobody blocks while
 *            holding the mutex.
 * Bounds:    as many bytes as outbox_new was told, and without a connection the newest OUTBOX_UNCONNECTED_MAX droppable
 *            frames. Above that the oldest droppable frame goes that was not begun. Frames that are not droppable are
 *            never dropped: who sends them bounds them.
 * Delivery:  when a connection ends, the frame that was begun and all droppable ones go with it. */
#ifndef MAIL_OUTBOX_H
#define MAIL_OUTBOX_H

#include "mail/stream.h"
#include "mail/wire.h"

#define OUTBOX_UNCONNECTED_MAX 16

struct outbox;

/* bytes_max: of all frames that wait, entries included. SERVER_ERROR where no descriptor is left. */
struct outbox *outbox_new(size_t bytes_max, struct mailraft_error *err);
void outbox_free(struct outbox *outbox); /* not while it is open; NULL is fine */

void outbox_send(struct outbox *outbox, struct frame *frame); /* takes the frame */
void outbox_nudge(struct outbox *outbox); /* the peer is there: connect to it now, not when it is due */

/* Rung by a nudge, and when frames wait for the socket of an open outbox. The writer silences it. */
const struct bell *outbox_bell(const struct outbox *outbox);

/* From here on sending uses the stream, which is borrowed until outbox_close. */
void outbox_open(struct outbox *outbox, struct stream *stream);
/* Sends what the socket takes at once. *waiting: whether frames are left. False when the stream has failed, here or in
 * outbox_send. */
bool outbox_flush(struct outbox *outbox, bool *waiting, struct mailraft_error *err);
void outbox_close(struct outbox *outbox);

#endif
