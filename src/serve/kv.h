/* kv.h - the key-value store as a state machine (mailraft/machine.h): strings, keys, their expiry, transactions. Answers
 * are RESP, as Redis 7.0 gives them, so that nobody has to translate them.
 *
 * Requests:  what a session asks, and what is logged; numbers are little-endian.
 *
 *                 0  u8   flags: KV_RESP3, KV_TRANSACTION, KV_SETTLED
 *                 settled, that is, logged:
 *                    u64  KV_LIMIT: bytes that the state may take; an operation that would grow it beyond is answered
 *                         with -OOM, on every node alike. What is known before logging is refused before
 *                    u64  random bits for what wants them
 *                    16   a secret (keyspace.h) where the one who settled it knew of none; zeros
 *                 u32  watches; each: u32 bytes of key, u64 version, key
 *                 u32  operations; each: u16 op (enum kv_op), u32 arguments; each argument: u32 bytes, argument
 *
 *            Arguments are those behind the command's name, as the client sent them. A transaction is answered with an
 *            array of the answers to its operations, or null where a watched key has another version by now; any other
 *            request has one operation, no watches.
 *            What is malformed is answered with -ERR.
 * Reads:     one operation that changes nothing (kv_op_is_read) is asked by `read`, all else is logged.
 * Answers:   at most half a GiB together; the operation whose answer would not fit is carried out and answered with -ERR.
 *
 * Threads:   as machine.h has it; kv_prepare looks at nothing but the secret's being known, atomically. */
#ifndef SERVE_KV_H
#define SERVE_KV_H

#include "mailraft/machine.h"
#include "serve/keyspace.h"

/* Numbers are part of the log's format: never used twice. */
enum kv_op {
    KV_GET = 1, KV_SET = 2, KV_SETNX = 3, KV_SETEX = 4, KV_PSETEX = 5, KV_GETSET = 6, KV_GETDEL = 7, KV_GETEX = 8,
    KV_APPEND = 9, KV_STRLEN = 10, KV_GETRANGE = 11, KV_SETRANGE = 12, KV_INCR = 13, KV_DECR = 14, KV_INCRBY = 15,
    KV_DECRBY = 16, KV_INCRBYFLOAT = 17, KV_MGET = 18, KV_MSET = 19, KV_MSETNX = 20,
    KV_DEL = 21, KV_UNLINK = 22, KV_EXISTS = 23, KV_EXPIRE = 24, KV_PEXPIRE = 25, KV_EXPIREAT = 26, KV_PEXPIREAT = 27,
    KV_EXPIRETIME = 28, KV_PEXPIRETIME = 29, KV_TTL = 30, KV_PTTL = 31, KV_PERSIST = 32, KV_TYPE = 33, KV_KEYS = 34,
    KV_SCAN = 35, KV_RENAME = 36, KV_RENAMENX = 37, KV_COPY = 38, KV_TOUCH = 39, KV_RANDOMKEY = 40, KV_DBSIZE = 41,
    KV_FLUSHDB = 42, KV_FLUSHALL = 43, KV_OBJECT = 44,
    KV_TIME = 45,     /* the wall clock, by the cluster's time */
    KV_LITERAL = 46,  /* its only argument is the answer: what a session answers by itself, within a transaction */
    KV_VERSIONS = 47, /* arguments: keys; the answer: a u64 for each, its version. Not RESP */
    KV_STATE = 48,    /* the answer: u64 keys, u64 keys with an expiry, u64 bytes. Not RESP */
    KV_OP_LAST = KV_STATE
};

enum kv_flag {
    KV_RESP3 = 1,       /* the client speaks RESP3 */
    KV_TRANSACTION = 2, /* answered as EXEC is */
    KV_SETTLED = 4      /* `prepare` has been there */
};

/* Builds a request: begin, then the watches, then kv_request_op for each operation with its arguments behind it. */
struct kv_request {
    struct mailraft_buffer *bytes; /* the caller's; put behind what is there */
    size_t watches_at, ops_at;     /* where the counts stand */
};

void kv_request_begin(struct kv_request *request, struct mailraft_buffer *bytes, unsigned flags);
void kv_request_watch(struct kv_request *request, struct text key, uint64_t version);
void kv_request_ops(struct kv_request *request); /* after the last watch */
void kv_request_op(struct kv_request *request, enum kv_op op, const struct text *arguments, size_t count);

bool kv_op_is_read(enum kv_op op);

struct kv;

struct kv *kv_new(size_t memory_bytes_max); /* what the state may take, where this node leads */
void kv_free(struct kv *kv);                /* NULL is fine */
struct mailraft_machine kv_machine(struct kv *kv);

#endif
