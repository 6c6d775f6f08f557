#include "serve/kv_expiry.h"

#include "serve/kv_call.h"

#define US_PER_MS 1000

static int64_t add_saturated(int64_t a, int64_t b)
{
    int64_t sum;

    if (__builtin_add_overflow(a, b, &sum))
        return b > 0 ? INT64_MAX : INT64_MIN;
    return sum;
}

/* Whole milliseconds of two times together, which may be more than microseconds can tell; rounded down. */
static int64_t sum_to_ms(int64_t a_us, int64_t b_us)
{
    int64_t rest_us = a_us % US_PER_MS + b_us % US_PER_MS;

    return a_us / US_PER_MS + b_us / US_PER_MS + rest_us / US_PER_MS - (rest_us % US_PER_MS < 0);
}

static int64_t wall_now_us(const struct kv_call *call)
{
    return add_saturated(call->time_us, call->wall_offset_us);
}

static int64_t wall_now_ms(const struct kv_call *call)
{
    return sum_to_ms(call->time_us, call->wall_offset_us);
}

static int64_t wall_ms(const struct kv_call *call, struct expiry expiry)
{
    if (expiry.clock == CLOCK_FAR)
        return expiry.at_us;
    return sum_to_ms(expiry.at_us, expiry.clock == CLOCK_CLUSTER ? call->wall_offset_us : 0);
}

static bool is_due(const struct kv_call *call, struct expiry expiry)
{
    int64_t now_us = expiry.clock == CLOCK_WALL ? wall_now_us(call) : call->time_us;

    return expiry.clock != CLOCK_FAR && expiry.at_us <= now_us;
}

/* The time that a number of units tells; false: it is later or earlier than milliseconds can tell. */
static bool find_expiry(const struct kv_call *call, int64_t number, struct kv_unit unit, struct expiry *expiry)
{
    int64_t ms, us, far_ms;

    if (__builtin_mul_overflow(number, unit.ms, &ms) ||
        __builtin_add_overflow(ms, unit.absolute ? 0 : wall_now_ms(call), &far_ms))
        return false;
    *expiry = (struct expiry){unit.absolute ? CLOCK_WALL : CLOCK_CLUSTER, unit.absolute ? 0 : call->time_us};
    if (__builtin_mul_overflow(ms, US_PER_MS, &us) || __builtin_add_overflow(expiry->at_us, us, &expiry->at_us))
        *expiry = ms > 0 ? (struct expiry){CLOCK_FAR, far_ms} : (struct expiry){CLOCK_WALL, INT64_MIN};
    return true;
}

static void put_invalid_expiry(struct kv_call *call, const char *command)
{
    resp_put_error(call->out, "ERR invalid expire time in '%s' command", command);
}

bool kv_read_expiry(struct kv_call *call, const char *command, struct text argument, struct kv_unit unit,
                    struct expiry *expiry)
{
    int64_t number;

    if (!kv_read_integer(call, argument, &number))
        return false;
    if (number > 0 && find_expiry(call, number, unit, expiry))
        return true;
    put_invalid_expiry(call, command);
    return false;
}

bool kv_may_expire(struct kv_call *call, const struct key *key, struct expiry expiry)
{
    if (is_due(call, expiry) || kv_expires(key))
        return true;
    return kv_may_hold(call, key_name(key), key_value(key).size, true);
}

void kv_set_expiry(struct kv_call *call, struct text name, struct key *key, struct expiry expiry)
{
    if (is_due(call, expiry))
        keyspace_remove(call->keyspace, name, call->index);
    else
        keyspace_set_expiry(call->keyspace, key, expiry, call->index);
}

/* ---- EXPIRE and its like ---- */

struct conditions {
    bool nx, xx, gt, lt;
};

static bool read_conditions(struct kv_call *call, struct conditions *conditions)
{
    *conditions = (struct conditions){.nx = false};
    for (size_t i = 2; i < call->count; i++) {
        struct text argument = call->arguments[i];
        bool *condition = kv_is_option(argument, "NX")   ? &conditions->nx
                          : kv_is_option(argument, "XX") ? &conditions->xx
                          : kv_is_option(argument, "GT") ? &conditions->gt
                          : kv_is_option(argument, "LT") ? &conditions->lt
                                                         : NULL;
        if (condition == NULL) {
            resp_put_error(call->out, "ERR Unsupported option %.*s", (int)argument.size, (const char *)argument.bytes);
            return false;
        }
        *condition = true;
    }
    if (conditions->nx && (conditions->xx || conditions->gt || conditions->lt))
        resp_put_error(call->out, "ERR NX and XX, GT or LT options at the same time are not compatible");
    else if (conditions->gt && conditions->lt)
        resp_put_error(call->out, "ERR GT and LT options at the same time are not compatible");
    else
        return true;
    return false;
}

/* What never expires counts as expiring later than anything. */
static bool conditions_hold(const struct kv_call *call, struct conditions conditions, struct expiry present,
                            struct expiry wanted)
{
    if (present.clock == CLOCK_NONE)
        return !conditions.xx && !conditions.gt;
    int64_t present_ms = wall_ms(call, present);
    int64_t wanted_ms = wall_ms(call, wanted);
    return !conditions.nx && (!conditions.gt || wanted_ms > present_ms) && (!conditions.lt || wanted_ms < present_ms);
}

static void expire(struct kv_call *call, const char *command, struct kv_unit unit)
{
    struct conditions conditions;
    struct expiry wanted;
    int64_t number;

    if (!kv_check_count(call, command, 2, SIZE_MAX) || !read_conditions(call, &conditions) ||
        !kv_read_integer(call, call->arguments[1], &number))
        return;
    if (!find_expiry(call, number, unit, &wanted)) {
        put_invalid_expiry(call, command);
        return;
    }
    struct key *key = keyspace_find(call->keyspace, call->arguments[0]);
    bool expires = key != NULL && conditions_hold(call, conditions, key_expiry(key), wanted);
    if (expires && !kv_may_expire(call, key, wanted))
        return;
    if (expires)
        kv_set_expiry(call, call->arguments[0], key, wanted);
    resp_put_integer(call->out, expires);
}

void kv_expire(struct kv_call *call)
{
    expire(call, "expire", KV_EX);
}

void kv_pexpire(struct kv_call *call)
{
    expire(call, "pexpire", KV_PX);
}

void kv_expireat(struct kv_call *call)
{
    expire(call, "expireat", KV_EXAT);
}

void kv_pexpireat(struct kv_call *call)
{
    expire(call, "pexpireat", KV_PXAT);
}

/* ---- Asking ---- */

static int64_t left_ms(const struct kv_call *call, struct expiry expiry)
{
    if (expiry.clock == CLOCK_FAR)
        return add_saturated(expiry.at_us, -wall_now_ms(call));
    if (is_due(call, expiry))
        return 0;
    int64_t now_us = expiry.clock == CLOCK_WALL ? wall_now_us(call) : call->time_us;
    uint64_t left_us = (uint64_t)expiry.at_us - (uint64_t)now_us;
    return (int64_t)(left_us / US_PER_MS + (left_us % US_PER_MS > 0));
}

static int64_t round_to(int64_t ms, int64_t unit_ms)
{
    return ms / unit_ms + (ms % unit_ms >= (unit_ms + 1) / 2 ? 1 : 0);
}

static void tell(struct kv_call *call, const char *command, int64_t (*ms_of)(const struct kv_call *, struct expiry),
                 int64_t unit_ms)
{
    if (!kv_check_count(call, command, 1, 1))
        return;
    const struct key *key = keyspace_find(call->keyspace, call->arguments[0]);
    struct expiry expiry = key != NULL ? key_expiry(key) : (struct expiry){.clock = CLOCK_NONE};
    if (expiry.clock == CLOCK_NONE)
        resp_put_integer(call->out, key != NULL ? -1 : -2);
    else
        resp_put_integer(call->out, round_to(ms_of(call, expiry), unit_ms));
}

void kv_expiretime(struct kv_call *call)
{
    tell(call, "expiretime", wall_ms, 1000);
}

void kv_pexpiretime(struct kv_call *call)
{
    tell(call, "pexpiretime", wall_ms, 1);
}

void kv_ttl(struct kv_call *call)
{
    tell(call, "ttl", left_ms, 1000);
}

void kv_pttl(struct kv_call *call)
{
    tell(call, "pttl", left_ms, 1);
}

void kv_persist(struct kv_call *call)
{
    if (!kv_check_count(call, "persist", 1, 1))
        return;
    struct key *key = keyspace_find(call->keyspace, call->arguments[0]);
    bool expires = kv_expires(key);
    if (expires)
        keyspace_set_expiry(call->keyspace, key, (struct expiry){.clock = CLOCK_NONE}, call->index);
    resp_put_integer(call->out, expires);
}
