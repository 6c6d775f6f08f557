/* kv_strings.h - operations on values. A value is a string of bytes, and a number where it reads as one (number.h). */
#ifndef SERVE_KV_STRINGS_H
#define SERVE_KV_STRINGS_H

#include "serve/kv_ops.h"

void kv_get(struct kv_call *call);
void kv_set(struct kv_call *call);
void kv_setnx(struct kv_call *call);
void kv_setex(struct kv_call *call);
void kv_psetex(struct kv_call *call);
void kv_getset(struct kv_call *call);
void kv_getdel(struct kv_call *call);
void kv_getex(struct kv_call *call);
void kv_append(struct kv_call *call);
void kv_strlen(struct kv_call *call);
void kv_getrange(struct kv_call *call);
void kv_setrange(struct kv_call *call);
void kv_incr(struct kv_call *call);
void kv_decr(struct kv_call *call);
void kv_incrby(struct kv_call *call);
void kv_decrby(struct kv_call *call);
void kv_incrbyfloat(struct kv_call *call);
void kv_mget(struct kv_call *call);
void kv_mset(struct kv_call *call);
void kv_msetnx(struct kv_call *call);

#endif
