/* wire.h - messages as bytes. A frame, all numbers little-endian:
 *
 *     0   u32  bytes that follow
 *     4   u32  bytes of RaftMessage
 *     8   u32  flags; bit 0: droppable. The others are 0
 *     12       RaftMessage (raft_message.proto)
 *              cargo: what is left. Only on the bulk channel, and only of REQUEST_APPEND_ENTRIES: entries
 *              (base/entry.h), one after the other; of FORWARD and FORWARDED, which never go without: requests or
 *              replies (base/requests.h)
 *
 * What comes from outside is checked here as far as its form goes: lengths, ranges, types, whether entries continue the
 * log where their message says, and whether requests and replies are sound; who says it and whether it makes sense is
 * for others. PROTOCOL_ERROR for what does not pass, and UNEXPECTED_MESSAGE_ERROR for a type that has no place there.
 * Reading a message allocates nothing but its cargo. */
#ifndef MAIL_WIRE_H
#define MAIL_WIRE_H

#include "base/requests.h"
#include "mail/frame.h"
#include "mail/hello.h"

#define WIRE_HEAD_BYTES 12
#define WIRE_URGENT_BYTES_MAX (64 * 1024) /* of a whole frame */
#define WIRE_HELLO_BYTES_MAX 4096         /* the same: whoever has not said who it is gets little of our memory */

/* The same: 64 KiB of entries or one larger one, behind a head and a RaftMessage. Requests and replies need no more
 * (BODY_PORTION_BYTES), as long as no request has more bytes than an entry may. */
#define WIRE_BULK_BYTES_MAX(entry_bytes_max) (64 * 1024 + (entry_bytes_max) + 1024)

struct wire_rules { /* what a connection may bring */
    raft_id sender;         /* whose it is */
    size_t frame_bytes_max; /* of a whole frame */
    size_t entry_bytes_max; /* of one entry; 0: there is no cargo here */
};

struct wire_sizes { /* of what follows a head */
    size_t message;
    size_t cargo; /* behind the message */
};

/* What a member may say after its hello. entry_bytes_max: on the bulk channel. */
struct wire_rules wire_rules_of(raft_id sender, enum channel channel, size_t entry_bytes_max);
extern const struct wire_rules WIRE_HELLO_RULES;

/* Freed with frame_free. entries: as many as the message tells, from the one after its prev_index on; borrowed, and
 * NULL where there are none. */
struct frame *wire_write_message(const struct message *message, const struct batch *entries, bool droppable);
/* A FORWARD or FORWARDED with a portion of its body, copied: sound records, one at least. Never droppable. */
struct frame *wire_write_body(const struct message *message, const uint8_t *body, size_t size);
struct frame *wire_write_hello(const struct hello *hello);

/* The first WIRE_HEAD_BYTES of a frame. */
bool wire_read_head(const uint8_t *head, const struct wire_rules *rules, struct wire_sizes *sizes,
                    struct mailraft_error *err);

/* The rest of it. *entries, *body: the caller's from here on; NULL and empty: it has none, or it is refused. */
bool wire_read_message(const uint8_t *rest, const struct wire_sizes *sizes, const struct wire_rules *rules,
                       struct message *message, struct batch **entries, struct mailraft_buffer *body,
                       struct mailraft_error *err);
bool wire_read_hello(const uint8_t *rest, size_t size, struct hello *hello, struct mailraft_error *err);

#endif
