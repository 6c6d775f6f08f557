/* kv_keys.h - operations on keys, whatever their values, and on all of them; and what sessions ask for themselves.
 *
 * Reading leaves no trace: so nobody knows when a key was read last, and OBJECT IDLETIME says 0. */
#ifndef SERVE_KV_KEYS_H
#define SERVE_KV_KEYS_H

#include "serve/kv_ops.h"

void kv_del(struct kv_call *call);
void kv_unlink(struct kv_call *call);
void kv_exists(struct kv_call *call);
void kv_touch(struct kv_call *call);
void kv_type(struct kv_call *call);
void kv_rename(struct kv_call *call);
void kv_renamenx(struct kv_call *call);
void kv_copy(struct kv_call *call);
void kv_dbsize(struct kv_call *call);
void kv_flushdb(struct kv_call *call);
void kv_flushall(struct kv_call *call);
void kv_object(struct kv_call *call); /* the first argument is the subcommand */

void kv_time(struct kv_call *call);
void kv_literal(struct kv_call *call);
void kv_versions(struct kv_call *call);
void kv_state(struct kv_call *call);

#endif
