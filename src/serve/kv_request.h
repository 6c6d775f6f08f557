/* kv_request.h - reads what kv.h's builder made: requests of sessions on this node and of other members, and commands of
 * the log. All of them come from outside.
 *
 * Strict:    kv_contents_read looks at every byte first; what it lets through is whole, every operation exists and has
 *            RESP_ARGUMENTS_MAX arguments at most. Then watches and operations are taken, once, in their order.
 * Ownership: everything points into the request's bytes. */
#ifndef SERVE_KV_REQUEST_H
#define SERVE_KV_REQUEST_H

#include "serve/kv.h"

struct kv_settled { /* what `prepare` adds */
    uint64_t limit, random;
    const uint8_t *secret; /* KEYSPACE_SECRET_BYTES, maybe zeros */
};

struct kv_contents {
    unsigned flags;
    struct kv_settled settled;       /* zeros where the request is not */
    size_t watches, ops;             /* how many there are */
    size_t arguments_max;            /* of one operation */
    bool grows;                      /* one of the operations may make the state larger */
    bool changes;                    /* one of them is none that `read` may carry out */
    const uint8_t *watch_at, *op_at; /* the next one to be taken */
};

#define KV_SETTLED_BYTES (8 + 8 + KEYSPACE_SECRET_BYTES)

/* False where it is no sound request, or one that is settled where it should not be, or the other way round. */
bool kv_contents_read(struct kv_contents *contents, const void *bytes, size_t size, bool settled);

struct text kv_contents_take_watch(struct kv_contents *contents, uint64_t *version); /* watches times */
/* arguments: room for arguments_max. The operation; ops times. */
enum kv_op kv_contents_take_op(struct kv_contents *contents, struct text *arguments, size_t *count);

/* Puts a sound request that is not settled, settled. */
void kv_request_settle(const void *bytes, size_t size, const struct kv_settled *settled,
                       struct mailraft_buffer *command);

#endif
