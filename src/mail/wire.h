/* wire.h - messages as bytes. A frame, all numbers little-endian:
 *
 *     0   u32  bytes that follow
 *     4   u32  bytes of RaftMessage
 *     8   u32  flags; bit 0: droppable. The others are 0
 *     12       RaftMessage (raft_message.proto)
 *              entries: what is left. No type carries any so far
 *
 * What comes from outside is checked here as far as its form goes: lengths, ranges, types; who says it and whether it
 * makes sense is for others. PROTOCOL_ERROR for what does not pass, and UNEXPECTED_MESSAGE_ERROR for a type that has
 * no place there. Reading allocates nothing. */
#ifndef MAIL_WIRE_H
#define MAIL_WIRE_H

#include "mail/hello.h"

#define WIRE_HEAD_BYTES 12
#define WIRE_URGENT_BYTES_MAX (64 * 1024) /* of a whole frame */
#define WIRE_HELLO_BYTES_MAX 4096         /* the same: whoever has not said who it is gets little of our memory */

struct frame { /* one that is to be sent */
    struct frame *next; /* the outbox's */
    size_t sent;        /* the outbox's: so many of its bytes have left */
    bool droppable;
    size_t size;
    uint8_t bytes[];
};

/* Freed with memory_free. */
struct frame *wire_write_message(const struct message *message, bool droppable);
struct frame *wire_write_hello(const struct hello *hello);

/* The first WIRE_HEAD_BYTES of a frame. *body_bytes: what follows them. frame_bytes_max: of the whole frame. */
bool wire_read_head(const uint8_t *head, size_t frame_bytes_max, size_t *body_bytes, struct mailraft_error *err);

/* The rest of it. sender: whose connection it came over. */
bool wire_read_message(const uint8_t *body, size_t size, raft_id sender, struct message *message,
                       struct mailraft_error *err);
bool wire_read_hello(const uint8_t *body, size_t size, struct hello *hello, struct mailraft_error *err);

#endif
