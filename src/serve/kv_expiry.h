/* kv_expiry.h - operations on when keys expire, and what those that set values (kv_strings.h) need of it.
 *
 * Relative times count from the call's time, by the cluster's clock. Absolute ones are kept as the client gave them, by
 * the wall clock: EXPIRETIME answers them to the millisecond. A relative one it tells by the wall clock's lead over the
 * cluster's time as it is then. What is left is rounded up to whole milliseconds, and from those, as in Redis, to the
 * nearest second. */
#ifndef SERVE_KV_EXPIRY_H
#define SERVE_KV_EXPIRY_H

#include "serve/kv_ops.h"

/* How a client says when. */
struct kv_unit {
    bool absolute;
    int64_t ms; /* 1 or 1000 */
};

#define KV_EX   ((struct kv_unit){false, 1000})
#define KV_PX   ((struct kv_unit){false, 1})
#define KV_EXAT ((struct kv_unit){true, 1000})
#define KV_PXAT ((struct kv_unit){true, 1})

/* The time behind such an option of a command that sets a value: above zero. False: an error was put. */
bool kv_read_expiry(struct kv_call *call, const char *command, struct text argument, struct kv_unit unit,
                    struct expiry *expiry);

/* Whether there is room for an expiry. */
bool kv_may_expire(struct kv_call *call, const struct key *key, struct expiry expiry);

/* Lets the key of that name expire then: at once, where that has passed. */
void kv_set_expiry(struct kv_call *call, struct text name, struct key *key, struct expiry expiry);

void kv_expire(struct kv_call *call);
void kv_pexpire(struct kv_call *call);
void kv_expireat(struct kv_call *call);
void kv_pexpireat(struct kv_call *call);
void kv_expiretime(struct kv_call *call);
void kv_pexpiretime(struct kv_call *call);
void kv_ttl(struct kv_call *call);
void kv_pttl(struct kv_call *call);
void kv_persist(struct kv_call *call);

#endif
