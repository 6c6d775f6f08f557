/* kv_ops.h - what the store's operations are, between kv.c, which carries requests out, and those who do one operation:
 * kv_strings.c, kv_expiry.c, kv_keys.c, kv_scan.c.
 *
 * An operation puts exactly one answer. It is deterministic: all that it may look at is in the call. */
#ifndef SERVE_KV_OPS_H
#define SERVE_KV_OPS_H

#include "serve/kv.h"
#include "serve/resp.h"

/* Of one request: above it an operation's answer is thrown away, and it need not put any more. A largest value fits. */
#define KV_ANSWER_BYTES_MAX (KEYSPACE_VALUE_MAX + 1024)

struct kv_call {
    struct keyspace *keyspace;
    const struct text *arguments; /* behind the command's name; borrowed, from outside: anything may stand there */
    size_t count;
    struct mailraft_buffer *out;
    bool resp3;
    uint64_t index;         /* of the entry; 0: a read, which changes nothing */
    int64_t time_us;        /* the cluster's time of the entry or the read */
    int64_t wall_offset_us; /* the wall clock's lead over it */
    uint64_t limit;         /* bytes that the state may take after an operation that grows it */
    uint64_t random;        /* bits, the same on every node */
};

struct kv_function {
    void (*run)(struct kv_call *call); /* NULL: there is no such operation */
    bool read;                         /* changes nothing: may be asked by a query */
    bool grows;                        /* makes the state larger as a rule: refused before it is logged where the state
                                        * is full. Others find out when they run */
};

extern const struct kv_function KV_FUNCTIONS[KV_OP_LAST + 1]; /* by enum kv_op */

/* For operations that grow the state by so many bytes: false where that is more than it may take; -OOM is put then. */
bool kv_may_grow(struct kv_call *call, size_t bytes);

#endif
