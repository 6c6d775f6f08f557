/* kv_call.h - what operations (kv_ops.h) ask of the arguments that they were called with, and of the room that there is.
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

/* How many bytes a key of that name takes more with a value of that size than it takes now. */
size_t kv_growth(const struct kv_call *call, struct text name, size_t value_size);

/* Whether the key's value may become that large. */
bool kv_may_hold(struct kv_call *call, struct text name, size_t value_size);

#endif
