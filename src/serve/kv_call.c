#include "serve/kv_call.h"

#include <string.h>
#include <strings.h>

#include "serve/number.h"

bool kv_check_count(struct kv_call *call, const char *command, size_t least, size_t most)
{
    if (call->count >= least && call->count <= most)
        return true;
    kv_put_count_error(call, command);
    return false;
}

void kv_put_count_error(struct kv_call *call, const char *command)
{
    resp_put_error(call->out, "ERR wrong number of arguments for '%s' command", command);
}

bool kv_read_integer(struct kv_call *call, struct text argument, int64_t *number)
{
    if (number_read(argument, number))
        return true;
    resp_put_error(call->out, "ERR value is not an integer or out of range");
    return false;
}

bool kv_is_option(struct text argument, const char *option)
{
    size_t size = strlen(option);

    if (argument.size < size || (argument.size > size && argument.bytes[size] != '\0'))
        return false;
    return strncasecmp((const char *)argument.bytes, option, size) == 0;
}

void kv_put_syntax_error(struct kv_call *call)
{
    resp_put_error(call->out, "ERR syntax error");
}

void kv_put_value(struct kv_call *call, const struct key *key)
{
    if (key == NULL) {
        resp_put_null(call->out, call->resp3);
        return;
    }
    struct text value = key_value(key);
    resp_put_bulk(call->out, value.bytes, value.size);
}

bool kv_expires(const struct key *key)
{
    return key != NULL && key_expiry(key).clock != CLOCK_NONE;
}

size_t kv_bytes(const struct key *key)
{
    return key != NULL ? keyspace_bytes_of(key_name(key).size, key_value(key).size, kv_expires(key)) : 0;
}

bool kv_may_hold(struct kv_call *call, struct text name, size_t value_size, bool expires)
{
    size_t wanted = keyspace_bytes_of(name.size, value_size, expires);
    size_t held = keyspace_bytes(call->keyspace);

    /* Mostly there is room for another key, so that this one need not be looked for. */
    if (held <= call->limit && wanted <= call->limit - held)
        return true;
    size_t present = kv_bytes(keyspace_find(call->keyspace, name));
    return wanted <= present || kv_may_grow(call, wanted - present);
}
