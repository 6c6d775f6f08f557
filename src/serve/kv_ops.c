#include "serve/kv_ops.h"

#include "serve/kv_expiry.h"
#include "serve/kv_keys.h"
#include "serve/kv_scan.h"
#include "serve/kv_strings.h"

const struct kv_function KV_FUNCTIONS[KV_OP_LAST + 1] = {
    [KV_GET] = {kv_get, .read = true},
    [KV_SET] = {kv_set, .grows = true},
    [KV_SETNX] = {kv_setnx, .grows = true},
    [KV_SETEX] = {kv_setex, .grows = true},
    [KV_PSETEX] = {kv_psetex, .grows = true},
    [KV_GETSET] = {kv_getset, .grows = true},
    [KV_GETDEL] = {kv_getdel},
    [KV_GETEX] = {kv_getex},
    [KV_APPEND] = {kv_append, .grows = true},
    [KV_STRLEN] = {kv_strlen, .read = true},
    [KV_GETRANGE] = {kv_getrange, .read = true},
    [KV_SETRANGE] = {kv_setrange, .grows = true},
    [KV_INCR] = {kv_incr, .grows = true},
    [KV_DECR] = {kv_decr, .grows = true},
    [KV_INCRBY] = {kv_incrby, .grows = true},
    [KV_DECRBY] = {kv_decrby, .grows = true},
    [KV_INCRBYFLOAT] = {kv_incrbyfloat, .grows = true},
    [KV_MGET] = {kv_mget, .read = true},
    [KV_MSET] = {kv_mset, .grows = true},
    [KV_MSETNX] = {kv_msetnx, .grows = true},
    [KV_DEL] = {kv_del},
    [KV_UNLINK] = {kv_unlink},
    [KV_EXISTS] = {kv_exists, .read = true},
    [KV_EXPIRE] = {kv_expire},
    [KV_PEXPIRE] = {kv_pexpire},
    [KV_EXPIREAT] = {kv_expireat},
    [KV_PEXPIREAT] = {kv_pexpireat},
    [KV_EXPIRETIME] = {kv_expiretime, .read = true},
    [KV_PEXPIRETIME] = {kv_pexpiretime, .read = true},
    [KV_TTL] = {kv_ttl, .read = true},
    [KV_PTTL] = {kv_pttl, .read = true},
    [KV_PERSIST] = {kv_persist},
    [KV_TYPE] = {kv_type, .read = true},
    [KV_KEYS] = {kv_keys, .read = true},
    [KV_SCAN] = {kv_scan, .read = true},
    [KV_RENAME] = {kv_rename},
    [KV_RENAMENX] = {kv_renamenx},
    [KV_COPY] = {kv_copy, .grows = true},
    [KV_TOUCH] = {kv_touch, .read = true},
    [KV_RANDOMKEY] = {kv_randomkey, .read = true},
    [KV_DBSIZE] = {kv_dbsize, .read = true},
    [KV_FLUSHDB] = {kv_flushdb},
    [KV_FLUSHALL] = {kv_flushall},
    [KV_OBJECT] = {kv_object, .read = true},
    [KV_TIME] = {kv_time, .read = true},
    [KV_LITERAL] = {kv_literal, .read = true},
    [KV_VERSIONS] = {kv_versions, .read = true},
    [KV_STATE] = {kv_state, .read = true},
};

bool kv_may_grow(struct kv_call *call, size_t bytes)
{
    size_t held = keyspace_bytes(call->keyspace);

    if (held <= call->limit && bytes <= call->limit - held)
        return true;
    resp_put_error(call->out, "OOM command not allowed when used memory > 'maxmemory'.");
    return false;
}
