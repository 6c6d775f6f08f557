/* frame.h - a frame that is to be sent: the bytes of its own, and behind them entries, which it shares with whoever
 * else holds them. Nobody copies an entry to send it.
 *
 * Threads:   none of its own; whoever holds it may touch it. */
#ifndef MAIL_FRAME_H
#define MAIL_FRAME_H

#include <sys/uio.h>

#include "base/entry.h"

#define FRAME_PARTS_MAX 1024 /* pieces of memory that one call may send: as many as the kernel takes (IOV_MAX) */

struct frame {
    struct frame *next; /* the outbox's */
    size_t sent;        /* the outbox's: so many of its bytes have left */
    bool droppable;
    size_t size;           /* of the whole frame, its entries included */
    struct batch *entries; /* NULL: none */
    size_t own_size;       /* of bytes */
    uint8_t bytes[];       /* what goes before the entries */
};

/* With room for own_size bytes. entries: borrowed, the frame takes references of its own; NULL: none. */
struct frame *frame_new(size_t own_size, const struct batch *entries, bool droppable);
void frame_free(struct frame *frame); /* NULL is fine */

/* Where the bytes stand that have not left: the first of them, where they are in more than FRAME_PARTS_MAX pieces.
 * *count: of the parts. How many bytes they have. */
size_t frame_rest(const struct frame *frame, struct iovec parts[FRAME_PARTS_MAX], size_t *count);

#endif
