#include "serve/kv_scan.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/buffer.h"
#include "serve/glob.h"
#include "serve/kv_call.h"

#define SCAN_COUNT 10 /* keys that are looked at where the client does not say how many */

/* A walk under way: which keys are wanted, and those that were found. */
struct walk {
    struct text pattern; /* "*": all, also the one without a name */
    bool none;           /* no key is wanted */
    size_t left;         /* how many more to look at */
    size_t found;
    struct mailraft_buffer names; /* of those found, as bulks, ... */
    size_t names_max;             /* ... above whose size the answer is thrown away, and no more of them are wanted */
};

static bool is_everything(struct text pattern)
{
    return pattern.size == 1 && pattern.bytes[0] == '*';
}

static bool visit(void *context, struct key *key)
{
    struct walk *walk = context;
    struct text name = key_name(key);

    if (!walk->none && (is_everything(walk->pattern) || glob_match(walk->pattern, name))) {
        resp_put_bulk(&walk->names, name.bytes, name.size);
        walk->found++;
    }
    walk->left -= walk->left > 0;
    return walk->left > 0 && walk->names.size <= walk->names_max;
}

static size_t names_max(const struct kv_call *call)
{
    return call->out->size < KV_ANSWER_BYTES_MAX ? KV_ANSWER_BYTES_MAX - call->out->size : 0;
}

static void put_found(struct kv_call *call, struct walk *walk)
{
    resp_put_array(call->out, walk->found);
    mailraft_buffer_put(call->out, walk->names.bytes, walk->names.size);
    buffer_fini(&walk->names);
}

void kv_keys(struct kv_call *call)
{
    if (!kv_check_count(call, "keys", 1, 1))
        return;
    struct walk walk = {.pattern = call->arguments[0], .left = SIZE_MAX, .names_max = names_max(call)};
    keyspace_walk(call->keyspace, 0, visit, &walk);
    put_found(call, &walk);
}

/* ---- SCAN ---- */

/* As strtoul reads it, without spaces and up to the first zero byte: a sign, and nothing at all, pass in Redis too. */
static bool cursor_of(struct text argument, uint64_t *cursor)
{
    bool sign = argument.size > 0 && (argument.bytes[0] == '-' || argument.bytes[0] == '+');
    size_t at = sign;

    *cursor = 0;
    for (; at < argument.size && argument.bytes[at] != '\0'; at++) {
        uint8_t digit = argument.bytes[at];
        if (digit < '0' || digit > '9' || __builtin_mul_overflow(*cursor, 10, cursor) ||
            __builtin_add_overflow(*cursor, digit - '0', cursor))
            return false;
    }
    if (sign && argument.bytes[0] == '-')
        *cursor = -*cursor;
    return !sign || at > 1;
}

static bool read_cursor(struct kv_call *call, struct text argument, uint64_t *cursor)
{
    if (cursor_of(argument, cursor))
        return true;
    resp_put_error(call->out, "ERR invalid cursor");
    return false;
}

/* One option with its argument. */
static bool read_scan_option(struct kv_call *call, struct text option, struct text argument, struct walk *walk)
{
    int64_t count;

    if (kv_is_option(option, "MATCH")) {
        walk->pattern = argument;
        return true;
    }
    if (kv_is_option(option, "TYPE")) {
        walk->none = !kv_is_option(argument, "string");
        return true;
    }
    if (kv_is_option(option, "COUNT")) {
        if (!kv_read_integer(call, argument, &count))
            return false;
        walk->left = (size_t)count;
        if (count >= 1)
            return true;
    }
    kv_put_syntax_error(call);
    return false;
}

static void put_cursor(struct kv_call *call, uint64_t cursor)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, cursor);
    resp_put_text(call->out, text);
}

void kv_scan(struct kv_call *call)
{
    struct walk walk = {.pattern = {(const uint8_t *)"*", 1}, .left = SCAN_COUNT, .names_max = names_max(call)};
    uint64_t cursor;

    if (!kv_check_count(call, "scan", 1, SIZE_MAX) || !read_cursor(call, call->arguments[0], &cursor))
        return;
    for (size_t i = 1; i < call->count; i += 2) {
        if (i + 1 == call->count) {
            kv_put_syntax_error(call);
            return;
        }
        if (!read_scan_option(call, call->arguments[i], call->arguments[i + 1], &walk))
            return;
    }
    cursor = keyspace_walk(call->keyspace, cursor, visit, &walk);
    resp_put_array(call->out, 2);
    put_cursor(call, cursor);
    put_found(call, &walk);
}

/* ---- RANDOMKEY ---- */

/* Keys from a place on, of which one is taken: the first alone would be the likelier, the wider the gap before it. */
struct sample {
    const struct key *keys[16];
    size_t count;
};

static bool take(void *context, struct key *key)
{
    struct sample *sample = context;

    sample->keys[sample->count++] = key;
    return sample->count < sizeof sample->keys / sizeof *sample->keys;
}

void kv_randomkey(struct kv_call *call)
{
    struct sample sample = {.count = 0};

    if (!kv_check_count(call, "randomkey", 0, 0))
        return;
    keyspace_walk(call->keyspace, call->random >> (64 - KEYSPACE_PLACE_BITS), take, &sample);
    if (sample.count == 0) /* behind the last one stands the first */
        keyspace_walk(call->keyspace, 0, take, &sample);
    if (sample.count == 0) {
        resp_put_null(call->out, call->resp3);
        return;
    }
    struct text name = key_name(sample.keys[call->random % sample.count]);
    resp_put_bulk(call->out, name.bytes, name.size);
}
