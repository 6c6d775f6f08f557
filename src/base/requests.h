/* requests.h - what clients of one member want of another, and what became of it, packed into the body of a FORWARD or a
 * FORWARDED message. Numbers are little-endian, one record after the other, without gaps.
 *
 *     A request   0  u32  kind (enum request_kind)
 *                 4  u32  bytes of its own, behind this head
 *                 8  u64  its number, which the reply repeats
 *                16  u64  COUNT: index of the entry; 0 otherwise
 *                24       the command or the query
 *
 *     A reply     0  u32  outcome (letter.h); bit 31: more of this answer follows, in the next record of its number
 *                 4  u32  bytes of this part
 *                 8  u64  the request's number
 *                16  u64  index
 *                24  i32  leader_id
 *                28  u32  zero
 *                32       the answer
 *
 * An answer of more than REPLY_PART_BYTES comes in parts, so that no message is longer than its channel allows: a body
 * of more than BODY_PORTION_BYTES is sent in portions, which are cut between records.
 *
 * Threads:   plain bytes; whoever holds them. */
#ifndef BASE_REQUESTS_H
#define BASE_REQUESTS_H

#include "base/letter.h"

#define REQUEST_HEAD_BYTES 24
#define REPLY_HEAD_BYTES   32
#define BODY_PORTION_BYTES (64 * 1024)
#define REPLY_PART_BYTES   (BODY_PORTION_BYTES / 2 - REPLY_HEAD_BYTES) /* two fill a portion */

enum request_kind {
    REQUEST_COMMAND = 1,
    REQUEST_QUERY = 2,
    REQUEST_QUERY_BEHIND = 3, /* one that sees every command before it */
    REQUEST_COUNT = 4,
    REQUEST_KIND_LAST = REQUEST_COUNT
};

struct request {
    enum request_kind kind;
    uint64_t number;
    raft_index index;
    const uint8_t *bytes; /* borrowed */
    size_t size;
};

struct reply {
    enum outcome outcome;
    bool more;
    uint64_t number;
    raft_index index;
    raft_id leader_id;
    const uint8_t *bytes; /* borrowed */
    size_t size;
};

void requests_put(struct mailraft_buffer *body, const struct request *request);
/* In as many parts as it takes; `more` is not looked at. */
void replies_put(struct mailraft_buffer *body, const struct reply *reply);

/* The record at *at, which moves behind it. False at the end, or where the bytes are not sound: *at < size then. */
bool requests_next(const struct mailraft_buffer *body, size_t *at, struct request *request);
bool replies_next(const struct mailraft_buffer *body, size_t *at, struct reply *reply);

/* Where the portion ends that begins with the record at `at`: at most BODY_PORTION_BYTES, or one larger record. What is
 * not sound is not cut. */
size_t requests_portion_end(const struct mailraft_buffer *body, size_t at);
size_t replies_portion_end(const struct mailraft_buffer *body, size_t at);

/* Whether all of it is sound records. PROTOCOL_ERROR. */
bool requests_check(const struct mailraft_buffer *body, struct mailraft_error *err);
bool replies_check(const struct mailraft_buffer *body, struct mailraft_error *err);

#endif
