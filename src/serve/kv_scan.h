/* kv_scan.h - operations that walk over all keys. They take the keys in their order in the keyspace; a cursor of SCAN
 * is a place in it, so it is good on every node, for as long as one likes. A key that is there from the first to the
 * last call of a scan is told once. */
#ifndef SERVE_KV_SCAN_H
#define SERVE_KV_SCAN_H

#include "serve/kv_ops.h"

void kv_keys(struct kv_call *call);
void kv_scan(struct kv_call *call);
void kv_randomkey(struct kv_call *call);

#endif
