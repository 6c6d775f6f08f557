#include "serve/kv_ops.h"

#include "serve/kv_expiry.h"
#include "serve/kv_keys.h"
#include "serve/kv_scan.h"
#include "serve/kv_strings.h"

const struct kv_function KV_FUNCTIONS[KV_OP_LAST + 1] = {
    [KV_GET] = {.run = kv_get, .read = true},
    [KV_SET] = {.run = kv_set, .grows = true},
    [KV_SETNX] = {.run = kv_setnx, .grows = true},
    [KV_SETEX] = {.run = kv_setex, .grows = true},
    [KV_PSETEX] = {.run = kv_psetex, .grows = true},
    [KV_GETSET] = {.run = kv_getset, .grows = true},
    [KV_GETDEL] = {.run = kv_getdel},
    [KV_GETEX] = {.run = kv_getex},
    [KV_APPEND] = {.run = kv_append, .grows = true},
    [KV_STRLEN] = {.run = kv_strlen, .read = true},
    [KV_GETRANGE] = {.run = kv_getrange, .read = true},
    [KV_SETRANGE] = {.run = kv_setrange, .grows = true},
    [KV_INCR] = {.run = kv_incr, .grows = true},
    [KV_DECR] = {.run = kv_decr, .grows = true},
    [KV_INCRBY] = {.run = kv_incrby, .grows = true},
    [KV_DECRBY] = {.run = kv_decrby, .grows = true},
    [KV_INCRBYFLOAT] = {.run = kv_incrbyfloat, .grows = true},
    [KV_MGET] = {.run = kv_mget, .read = true},
    [KV_MSET] = {.run = kv_mset, .grows = true},
    [KV_MSETNX] = {.run = kv_msetnx, .grows = true},
    [KV_DEL] = {.run = kv_del},
    [KV_UNLINK] = {.run = kv_unlink},
    [KV_EXISTS] = {.run = kv_exists, .read = true},
    [KV_EXPIRE] = {.run = kv_expire},
    [KV_PEXPIRE] = {.run = kv_pexpire},
    [KV_EXPIREAT] = {.run = kv_expireat},
    [KV_PEXPIREAT] = {.run = kv_pexpireat},
    [KV_EXPIRETIME] = {.run = kv_expiretime, .read = true},
    [KV_PEXPIRETIME] = {.run = kv_pexpiretime, .read = true},
    [KV_TTL] = {.run = kv_ttl, .read = true},
    [KV_PTTL] = {.run = kv_pttl, .read = true},
    [KV_PERSIST] = {.run = kv_persist},
    [KV_TYPE] = {.run = kv_type, .read = true},
    [KV_KEYS] = {.run = kv_keys, .read = true},
    [KV_SCAN] = {.run = kv_scan, .read = true},
    [KV_RENAME] = {.run = kv_rename},
    [KV_RENAMENX] = {.run = kv_renamenx},
    [KV_COPY] = {.run = kv_copy, .grows = true},
    [KV_TOUCH] = {.run = kv_touch, .read = true},
    [KV_RANDOMKEY] = {.run = kv_randomkey, .read = true},
    [KV_DBSIZE] = {.run = kv_dbsize, .read = true},
    [KV_FLUSHDB] = {.run = kv_flushdb},
    [KV_FLUSHALL] = {.run = kv_flushall},
    [KV_OBJECT] = {.run = kv_object, .read = true},
    [KV_TIME] = {.run = kv_time, .read = true},
    [KV_LITERAL] = {.run = kv_literal, .read = true},
    [KV_VERSIONS] = {.run = kv_versions, .read = true},
    [KV_STATE] = {.run = kv_state, .read = true},
};

bool kv_may_grow(struct kv_call *call, size_t bytes)
{
    size_t held = keyspace_bytes(call->keyspace);

    if (held <= call->limit && bytes <= call->limit - held)
        return true;
    resp_put_error(call->out, "OOM command not allowed when used memory > 'maxmemory'.");
    return false;
}
