#include "serve/kv_strings.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "serve/kv_call.h"
#include "serve/kv_expiry.h"
#include "serve/number.h"

static struct key *find(const struct kv_call *call)
{
    return keyspace_find(call->keyspace, call->arguments[0]);
}

/* ---- Options of SET and GETEX ---- */

enum option {
    NX = 1 << 0,
    XX = 1 << 1,
    GET = 1 << 2,
    KEEPTTL = 1 << 3,
    PERSIST = 1 << 4,
    EX = 1 << 5,
    PX = 1 << 6,
    EXAT = 1 << 7,
    PXAT = 1 << 8
};

#define TIMES         (EX | PX | EXAT | PXAT)
#define SET_OPTIONS   (NX | XX | GET | KEEPTTL | TIMES)
#define GETEX_OPTIONS (PERSIST | TIMES)

static const struct known_option {
    const char *name;
    unsigned option, excludes; /* the others that may not stand before it */
} KNOWN_OPTIONS[] = {
    {"NX", NX, XX},
    {"XX", XX, NX},
    {"GET", GET, 0},
    {"KEEPTTL", KEEPTTL, PERSIST | TIMES},
    {"PERSIST", PERSIST, KEEPTTL | TIMES},
    {"EX", EX, KEEPTTL | PERSIST | (TIMES & ~EX)},
    {"PX", PX, KEEPTTL | PERSIST | (TIMES & ~PX)},
    {"EXAT", EXAT, KEEPTTL | PERSIST | (TIMES & ~EXAT)},
    {"PXAT", PXAT, KEEPTTL | PERSIST | (TIMES & ~PXAT)},
};

struct options {
    unsigned given;   /* enum option */
    struct text time; /* the argument of the last one that takes a time */
};

static const struct known_option *find_option(struct text argument)
{
    for (size_t i = 0; i < sizeof KNOWN_OPTIONS / sizeof *KNOWN_OPTIONS; i++)
        if (kv_is_option(argument, KNOWN_OPTIONS[i].name))
            return &KNOWN_OPTIONS[i];
    return NULL;
}

/* Those from `at` on. */
static bool read_options(struct kv_call *call, size_t at, unsigned permitted, struct options *options)
{
    *options = (struct options){.given = 0};
    for (size_t i = at; i < call->count; i++) {
        const struct known_option *known = find_option(call->arguments[i]);
        bool takes_time = known != NULL && (known->option & TIMES) != 0;
        if (known == NULL || (known->option & permitted) == 0 || (known->excludes & options->given) != 0 ||
            (takes_time && i + 1 == call->count)) {
            kv_put_syntax_error(call);
            return false;
        }
        options->given |= known->option;
        if (takes_time)
            options->time = call->arguments[++i];
    }
    return true;
}

/* Only where a time was given. */
static bool read_time(struct kv_call *call, const char *command, const struct options *options, struct expiry *expiry)
{
    struct kv_unit unit = {
        .absolute = (options->given & (EXAT | PXAT)) != 0,
        .ms = (options->given & (EX | EXAT)) != 0 ? 1000 : 1,
    };

    return (options->given & TIMES) == 0 || kv_read_expiry(call, command, options->time, unit, expiry);
}

/* ---- Whole values ---- */

void kv_get(struct kv_call *call)
{
    if (kv_check_count(call, "get", 1, 1))
        kv_put_value(call, find(call));
}

void kv_set(struct kv_call *call)
{
    struct options options;
    struct expiry expiry;

    if (!kv_check_count(call, "set", 2, SIZE_MAX) || !read_options(call, 2, SET_OPTIONS, &options) ||
        !read_time(call, "set", &options, &expiry))
        return;
    struct text name = call->arguments[0];
    struct text value = call->arguments[1];
    const struct key *present = (options.given & (NX | XX | GET)) != 0 ? find(call) : NULL;
    bool wanted = (options.given & (present != NULL ? NX : XX)) == 0;
    bool keeps = (options.given & KEEPTTL) != 0;
    bool expires = (options.given & TIMES) != 0 || (keeps && kv_expires(find(call)));
    if (wanted && !kv_may_hold(call, name, value.size, expires))
        return;
    if ((options.given & GET) != 0)
        kv_put_value(call, present);
    else if (!wanted)
        resp_put_null(call->out, call->resp3);
    else
        resp_put_simple(call->out, "OK");
    if (!wanted)
        return;
    struct key *key = keyspace_put(call->keyspace, name, value, keeps, call->index);
    if ((options.given & TIMES) != 0)
        kv_set_expiry(call, name, key, expiry);
}

void kv_setnx(struct kv_call *call)
{
    if (!kv_check_count(call, "setnx", 2, 2))
        return;
    bool wanted = find(call) == NULL;
    if (wanted && !kv_may_hold(call, call->arguments[0], call->arguments[1].size, false))
        return;
    if (wanted)
        keyspace_put(call->keyspace, call->arguments[0], call->arguments[1], false, call->index);
    resp_put_integer(call->out, wanted);
}

static void set_expiring(struct kv_call *call, const char *command, struct kv_unit unit)
{
    struct expiry expiry;

    if (!kv_check_count(call, command, 3, 3) || !kv_read_expiry(call, command, call->arguments[1], unit, &expiry) ||
        !kv_may_hold(call, call->arguments[0], call->arguments[2].size, true))
        return;
    struct key *key = keyspace_put(call->keyspace, call->arguments[0], call->arguments[2], false, call->index);
    kv_set_expiry(call, call->arguments[0], key, expiry);
    resp_put_simple(call->out, "OK");
}

void kv_setex(struct kv_call *call)
{
    set_expiring(call, "setex", KV_EX);
}

void kv_psetex(struct kv_call *call)
{
    set_expiring(call, "psetex", KV_PX);
}

void kv_getset(struct kv_call *call)
{
    if (!kv_check_count(call, "getset", 2, 2) || !kv_may_hold(call, call->arguments[0], call->arguments[1].size, false))
        return;
    kv_put_value(call, find(call));
    keyspace_put(call->keyspace, call->arguments[0], call->arguments[1], false, call->index);
}

void kv_getdel(struct kv_call *call)
{
    if (!kv_check_count(call, "getdel", 1, 1))
        return;
    kv_put_value(call, find(call));
    keyspace_remove(call->keyspace, call->arguments[0], call->index);
}

/* A key that is absent is answered before a time that is none. */
void kv_getex(struct kv_call *call)
{
    struct options options;
    struct expiry expiry;

    if (!kv_check_count(call, "getex", 1, SIZE_MAX) || !read_options(call, 1, GETEX_OPTIONS, &options))
        return;
    struct key *key = find(call);
    bool timed = key != NULL && (options.given & TIMES) != 0;
    if (timed && (!read_time(call, "getex", &options, &expiry) || !kv_may_expire(call, key, expiry)))
        return;
    kv_put_value(call, key);
    if (timed)
        kv_set_expiry(call, call->arguments[0], key, expiry);
    else if ((options.given & PERSIST) != 0 && kv_expires(key))
        keyspace_set_expiry(call->keyspace, key, (struct expiry){.clock = CLOCK_NONE}, call->index);
}

/* ---- Parts of values ---- */

/* A value of so many bytes and so many more: is that small enough, and is there room? key: the present one, or NULL. */
static bool may_become(struct kv_call *call, const struct key *key, size_t size, size_t more)
{
    if (size > KEYSPACE_VALUE_MAX || more > KEYSPACE_VALUE_MAX - size) {
        resp_put_error(call->out, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
        return false;
    }
    return kv_may_hold(call, call->arguments[0], size + more, kv_expires(key));
}

/* Writes into the value from a place on, and makes it `size` bytes large. */
static void put_part(struct kv_call *call, size_t place, struct text part, size_t size)
{
    uint8_t *bytes = keyspace_resize(call->keyspace, call->arguments[0], size, call->index);

    if (part.size > 0)
        memcpy(bytes + place, part.bytes, part.size);
}

void kv_append(struct kv_call *call)
{
    if (!kv_check_count(call, "append", 2, 2))
        return;
    struct text name = call->arguments[0];
    struct text more = call->arguments[1];
    const struct key *key = find(call);
    size_t size = key != NULL ? key_value(key).size : 0;
    if (!may_become(call, key, size, more.size))
        return;
    if (key == NULL)
        keyspace_put(call->keyspace, name, more, false, call->index);
    else
        put_part(call, size, more, size + more.size);
    resp_put_integer(call->out, (int64_t)(size + more.size));
}

void kv_strlen(struct kv_call *call)
{
    if (!kv_check_count(call, "strlen", 1, 1))
        return;
    const struct key *key = find(call);
    resp_put_integer(call->out, key != NULL ? (int64_t)key_value(key).size : 0);
}

/* A place counted from the end, if it is below zero; not before the first byte. */
static int64_t place_in(int64_t place, int64_t size)
{
    if (place < 0)
        place += size;
    return place < 0 ? 0 : place;
}

void kv_getrange(struct kv_call *call)
{
    int64_t first, last;

    if (!kv_check_count(call, "getrange", 3, 3) || !kv_read_integer(call, call->arguments[1], &first) ||
        !kv_read_integer(call, call->arguments[2], &last))
        return;
    const struct key *key = find(call);
    struct text value = key != NULL ? key_value(key) : (struct text){NULL, 0};
    int64_t size = (int64_t)value.size;
    bool backwards = first < 0 && last < 0 && first > last;
    first = place_in(first, size);
    last = place_in(last, size);
    if (last >= size)
        last = size - 1;
    if (backwards || first > last)
        resp_put_bulk(call->out, "", 0);
    else
        resp_put_bulk(call->out, value.bytes + first, (size_t)(last - first + 1));
}

void kv_setrange(struct kv_call *call)
{
    int64_t offset;

    if (!kv_check_count(call, "setrange", 3, 3) || !kv_read_integer(call, call->arguments[1], &offset))
        return;
    if (offset < 0) {
        resp_put_error(call->out, "ERR offset is out of range");
        return;
    }
    struct text part = call->arguments[2];
    const struct key *key = find(call);
    size_t size = key != NULL ? key_value(key).size : 0;
    if (part.size > 0) {
        if (!may_become(call, key, (size_t)offset, part.size))
            return;
        if (size < (size_t)offset + part.size)
            size = (size_t)offset + part.size;
        put_part(call, (size_t)offset, part, size);
    }
    resp_put_integer(call->out, (int64_t)size);
}

/* ---- Numbers ---- */

/* key: the present one, whose expiry stays, or NULL. */
static bool put_number(struct kv_call *call, const struct key *key, const char *text, size_t size)
{
    if (!kv_may_hold(call, call->arguments[0], size, kv_expires(key)))
        return false;
    keyspace_put(call->keyspace, call->arguments[0], (struct text){(const uint8_t *)text, size}, true, call->index);
    return true;
}

static void add(struct kv_call *call, int64_t increment)
{
    const struct key *key = find(call);
    int64_t number = 0;
    char text[24];

    if (key != NULL && !kv_read_integer(call, key_value(key), &number))
        return;
    if (__builtin_add_overflow(number, increment, &number)) {
        resp_put_error(call->out, "ERR increment or decrement would overflow");
        return;
    }
    if (put_number(call, key, text, (size_t)snprintf(text, sizeof text, "%lld", (long long)number)))
        resp_put_integer(call->out, number);
}

void kv_incr(struct kv_call *call)
{
    if (kv_check_count(call, "incr", 1, 1))
        add(call, 1);
}

void kv_decr(struct kv_call *call)
{
    if (kv_check_count(call, "decr", 1, 1))
        add(call, -1);
}

void kv_incrby(struct kv_call *call)
{
    int64_t increment;

    if (kv_check_count(call, "incrby", 2, 2) && kv_read_integer(call, call->arguments[1], &increment))
        add(call, increment);
}

void kv_decrby(struct kv_call *call)
{
    int64_t decrement;

    if (!kv_check_count(call, "decrby", 2, 2) || !kv_read_integer(call, call->arguments[1], &decrement))
        return;
    if (decrement == INT64_MIN)
        resp_put_error(call->out, "ERR decrement would overflow");
    else
        add(call, -decrement);
}

static bool read_float(struct kv_call *call, struct text argument, long double *number)
{
    if (number_read_float(argument, number))
        return true;
    resp_put_error(call->out, "ERR value is not a valid float");
    return false;
}

void kv_incrbyfloat(struct kv_call *call)
{
    long double number = 0, increment;
    char text[NUMBER_FLOAT_MAX];

    if (!kv_check_count(call, "incrbyfloat", 2, 2))
        return;
    const struct key *key = find(call);
    if ((key != NULL && !read_float(call, key_value(key), &number)) ||
        !read_float(call, call->arguments[1], &increment))
        return;
    number += increment;
    if (!isfinite(number)) {
        resp_put_error(call->out, "ERR increment would produce NaN or Infinity");
        return;
    }
    size_t size = number_write_float(text, number);
    if (put_number(call, key, text, size))
        resp_put_bulk(call->out, text, size);
}

/* ---- Several keys ---- */

void kv_mget(struct kv_call *call)
{
    if (!kv_check_count(call, "mget", 1, SIZE_MAX))
        return;
    resp_put_array(call->out, call->count);
    for (size_t i = 0; i < call->count && call->out->size <= KV_ANSWER_BYTES_MAX; i++)
        kv_put_value(call, keyspace_find(call->keyspace, call->arguments[i]));
}

static bool check_pairs(struct kv_call *call, const char *command)
{
    if (call->count > 0 && call->count % 2 == 0)
        return true;
    kv_put_count_error(call, command);
    return false;
}

/* All of them, or none. */
static bool put_pairs(struct kv_call *call)
{
    size_t wanted = 0, present = 0;

    for (size_t i = 0; i < call->count; i += 2) {
        wanted += keyspace_bytes_of(call->arguments[i].size, call->arguments[i + 1].size, false);
        present += kv_bytes(keyspace_find(call->keyspace, call->arguments[i]));
    }
    if (wanted > present && !kv_may_grow(call, wanted - present))
        return false;
    for (size_t i = 0; i < call->count; i += 2)
        keyspace_put(call->keyspace, call->arguments[i], call->arguments[i + 1], false, call->index);
    return true;
}

void kv_mset(struct kv_call *call)
{
    if (check_pairs(call, "mset") && put_pairs(call))
        resp_put_simple(call->out, "OK");
}

void kv_msetnx(struct kv_call *call)
{
    if (!check_pairs(call, "msetnx"))
        return;
    for (size_t i = 0; i < call->count; i += 2)
        if (keyspace_find(call->keyspace, call->arguments[i]) != NULL) {
            resp_put_integer(call->out, 0);
            return;
        }
    if (put_pairs(call))
        resp_put_integer(call->out, 1);
}
