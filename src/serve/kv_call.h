/* kv_call.h - what operations (kv_ops.h) ask of the arguments that they were called with, and of the room there is.
 * Where the answer is no, Redis's error has been put. */
#ifndef SERVE_KV_CALL_H
#define SERVE_KV_CALL_H

#include "serve/kv_ops.h"

/* From `least` to `most` arguments? command: its name as errors tell it, in lower case. */
bool kv_check_count(struct kv_call *call, const char *command, size_t least, size_t most);

void kv_put_count_error(struct kv_call *call, const char *command);

bool kv_read_integer(struct kv_call *call, struct text argument, int64_t *number);

/* In any case, and up to the argument's first zero byte, as Redis looks at options. */
bool kv_is_option(struct text argument, const char *option);

void kv_put_syntax_error(struct kv_call *call);
void kv_put_value(struct kv_call *call, const struct key *key); /* or null: there is none */

bool kv_expires(const struct key *key); /* false for NULL */
size_t kv_bytes(const struct key *key); /* what it takes; 0 for NULL */

/* Whether there may be a key of that name with a value of that size, and an expiry, in place of the present one. */
bool kv_may_hold(struct kv_call *call, struct text name, size_t value_size, bool expires);

#endif
