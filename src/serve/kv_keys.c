#include "serve/kv_keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "serve/kv_call.h"
#include "serve/number.h"

#define US_PER_S           1000000
#define EMBEDDED_BYTES_MAX 44 /* of a value that Redis keeps beside its header */

/* ---- Any number of keys ---- */

static void remove_all(struct kv_call *call, const char *command)
{
    int64_t removed = 0;

    if (!kv_check_count(call, command, 1, SIZE_MAX))
        return;
    for (size_t i = 0; i < call->count; i++)
        removed += keyspace_remove(call->keyspace, call->arguments[i], call->index);
    resp_put_integer(call->out, removed);
}

void kv_del(struct kv_call *call)
{
    remove_all(call, "del");
}

void kv_unlink(struct kv_call *call)
{
    remove_all(call, "unlink");
}

/* One that is named twice counts twice. */
static void count_all(struct kv_call *call, const char *command)
{
    int64_t found = 0;

    if (!kv_check_count(call, command, 1, SIZE_MAX))
        return;
    for (size_t i = 0; i < call->count; i++)
        found += keyspace_find(call->keyspace, call->arguments[i]) != NULL;
    resp_put_integer(call->out, found);
}

void kv_exists(struct kv_call *call)
{
    count_all(call, "exists");
}

void kv_touch(struct kv_call *call)
{
    count_all(call, "touch");
}

void kv_type(struct kv_call *call)
{
    if (kv_check_count(call, "type", 1, 1))
        resp_put_simple(call->out, keyspace_find(call->keyspace, call->arguments[0]) != NULL ? "string" : "none");
}

/* ---- From one key to another ---- */

static bool same_text(struct text a, struct text b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.bytes, b.bytes, a.size) == 0);
}

/* Puts what a key holds, its expiry too, under another name. */
static void put_copy(struct kv_call *call, const struct key *from, struct text name)
{
    struct expiry expiry = key_expiry(from);
    size_t size = key_value(from).size;
    bool raw = key_is_raw(from);

    struct key *to = keyspace_put(call->keyspace, name, key_value(from), false, call->index);
    if (raw) {
        keyspace_resize(call->keyspace, name, size, call->index);
        to = keyspace_find(call->keyspace, name);
    }
    if (expiry.clock != CLOCK_NONE)
        keyspace_set_expiry(call->keyspace, to, expiry, call->index);
}

/* A longer name takes more. */
static bool may_move(struct kv_call *call, const struct key *from, struct text name)
{
    size_t wanted = keyspace_bytes_of(name.size, key_value(from).size, kv_expires(from));
    size_t freed = kv_bytes(from) + kv_bytes(keyspace_find(call->keyspace, name));

    return wanted <= freed || kv_may_grow(call, wanted - freed);
}

/* False: a key of the new name is in the way, or there was an error. */
static bool rename_key(struct kv_call *call, const char *command, bool replace, bool *answered)
{
    *answered = true;
    if (!kv_check_count(call, command, 2, 2))
        return false;
    struct text name = call->arguments[1];
    const struct key *from = keyspace_find(call->keyspace, call->arguments[0]);
    if (from == NULL) {
        resp_put_error(call->out, "ERR no such key");
        return false;
    }
    *answered = false;
    if (same_text(call->arguments[0], name))
        return replace;
    if (!replace && keyspace_find(call->keyspace, name) != NULL)
        return false;
    *answered = !may_move(call, from, name);
    if (*answered)
        return false;
    put_copy(call, from, name);
    keyspace_remove(call->keyspace, call->arguments[0], call->index);
    return true;
}

void kv_rename(struct kv_call *call)
{
    bool answered;

    rename_key(call, "rename", true, &answered);
    if (!answered)
        resp_put_simple(call->out, "OK");
}

void kv_renamenx(struct kv_call *call)
{
    bool answered;
    bool renamed = rename_key(call, "renamenx", false, &answered);

    if (!answered)
        resp_put_integer(call->out, renamed);
}

/* There is one database, of number 0. */
static bool read_database(struct kv_call *call, struct text argument)
{
    int64_t number;

    if (!kv_read_integer(call, argument, &number))
        return false;
    if (number < INT32_MIN || number > INT32_MAX)
        resp_put_error(call->out, "ERR value is out of range, value must between %" PRId32 " and %" PRId32, INT32_MIN,
                       INT32_MAX);
    else if (number != 0)
        resp_put_error(call->out, "ERR DB index is out of range");
    else
        return true;
    return false;
}

static bool read_copy_options(struct kv_call *call, bool *replace)
{
    *replace = false;
    for (size_t i = 2; i < call->count; i++) {
        if (kv_is_option(call->arguments[i], "REPLACE")) {
            *replace = true;
        } else if (kv_is_option(call->arguments[i], "DB") && i + 1 < call->count) {
            if (!read_database(call, call->arguments[++i]))
                return false;
        } else {
            kv_put_syntax_error(call);
            return false;
        }
    }
    return true;
}

void kv_copy(struct kv_call *call)
{
    bool replace;

    if (!kv_check_count(call, "copy", 2, SIZE_MAX) || !read_copy_options(call, &replace))
        return;
    struct text name = call->arguments[1];
    if (same_text(call->arguments[0], name)) {
        resp_put_error(call->out, "ERR source and destination objects are the same");
        return;
    }
    const struct key *from = keyspace_find(call->keyspace, call->arguments[0]);
    bool copied = from != NULL && (replace || keyspace_find(call->keyspace, name) == NULL);
    if (copied && !kv_may_hold(call, name, key_value(from).size, kv_expires(from)))
        return;
    if (copied)
        put_copy(call, from, name);
    resp_put_integer(call->out, copied);
}

/* ---- All keys ---- */

void kv_dbsize(struct kv_call *call)
{
    if (kv_check_count(call, "dbsize", 0, 0))
        resp_put_integer(call->out, (int64_t)keyspace_count(call->keyspace));
}

/* ASYNC or SYNC, it is done when it is answered. */
static void flush(struct kv_call *call)
{
    bool wanted =
        call->count == 0 ||
        (call->count == 1 && (kv_is_option(call->arguments[0], "ASYNC") || kv_is_option(call->arguments[0], "SYNC")));

    if (!wanted) {
        kv_put_syntax_error(call);
        return;
    }
    keyspace_clear(call->keyspace, call->index);
    resp_put_simple(call->out, "OK");
}

void kv_flushdb(struct kv_call *call)
{
    flush(call);
}

void kv_flushall(struct kv_call *call)
{
    flush(call);
}

/* ---- OBJECT ---- */

static void put_encoding(struct kv_call *call, const struct key *key)
{
    struct text value = key_value(key);
    int64_t number;

    if (key_is_raw(key))
        resp_put_text(call->out, "raw");
    else if (number_read(value, &number))
        resp_put_text(call->out, "int");
    else
        resp_put_text(call->out, value.size <= EMBEDDED_BYTES_MAX ? "embstr" : "raw");
}

static void put_frequency(struct kv_call *call, const struct key *key)
{
    (void)key;
    resp_put_error(call->out, "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note "
                              "that when switching between policies at runtime LRU and LFU data will take some time to "
                              "adjust.");
}

static void put_idle_time(struct kv_call *call, const struct key *key)
{
    (void)key;
    resp_put_integer(call->out, 0);
}

static void put_references(struct kv_call *call, const struct key *key)
{
    (void)key;
    resp_put_integer(call->out, 1);
}

static void put_help(struct kv_call *call)
{
    static const char *const LINES[] = {
        "OBJECT <subcommand> [<key>]. Subcommands are:",
        "ENCODING <key>",
        "    How the value is kept: int, embstr or raw.",
        "FREQ <key>",
        "    How often the key is used. That is not counted here.",
        "IDLETIME <key>",
        "    For how many seconds nobody has used the key. Always 0: reading leaves no trace.",
        "REFCOUNT <key>",
        "    How many keys share the value. Always 1.",
        "HELP",
        "    These lines.",
    };

    resp_put_array(call->out, sizeof LINES / sizeof *LINES);
    for (size_t i = 0; i < sizeof LINES / sizeof *LINES; i++)
        resp_put_simple(call->out, LINES[i]);
}

static const struct subcommand {
    const char *name, *full_name;
    void (*put)(struct kv_call *call, const struct key *key); /* NULL: HELP, of no key */
} SUBCOMMANDS[] = {
    {"encoding", "object|encoding", put_encoding},
    {"freq", "object|freq", put_frequency},
    {"idletime", "object|idletime", put_idle_time},
    {"refcount", "object|refcount", put_references},
    {"help", "object|help", NULL},
};

static const struct subcommand *find_subcommand(struct text name)
{
    for (size_t i = 0; i < sizeof SUBCOMMANDS / sizeof *SUBCOMMANDS; i++)
        if (name.size == strlen(SUBCOMMANDS[i].name) && kv_is_option(name, SUBCOMMANDS[i].name))
            return &SUBCOMMANDS[i];
    return NULL;
}

void kv_object(struct kv_call *call)
{
    if (!kv_check_count(call, "object", 1, SIZE_MAX))
        return;
    struct text name = call->arguments[0];
    const struct subcommand *subcommand = find_subcommand(name);
    if (subcommand == NULL) {
        resp_put_error(call->out, "ERR unknown subcommand '%.*s'. Try OBJECT HELP.",
                       name.size < 128 ? (int)name.size : 128, (const char *)name.bytes);
        return;
    }
    size_t count = subcommand->put != NULL ? 2 : 1;
    if (!kv_check_count(call, subcommand->full_name, count, count))
        return;
    if (subcommand->put == NULL) {
        put_help(call);
        return;
    }
    const struct key *key = keyspace_find(call->keyspace, call->arguments[1]);
    if (key == NULL)
        resp_put_null(call->out, call->resp3);
    else
        subcommand->put(call, key);
}

/* ---- For sessions ---- */

static void put_decimal(struct kv_call *call, int64_t number)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRId64, number);
    resp_put_text(call->out, text);
}

void kv_time(struct kv_call *call)
{
    int64_t wall_us;

    if (!kv_check_count(call, "time", 0, 0))
        return;
    if (__builtin_add_overflow(call->time_us, call->wall_offset_us, &wall_us) || wall_us < 0)
        wall_us = 0; /* a wall clock that nobody has */
    resp_put_array(call->out, 2);
    put_decimal(call, wall_us / US_PER_S);
    put_decimal(call, wall_us % US_PER_S);
}

void kv_literal(struct kv_call *call)
{
    if (kv_check_count(call, "literal", 1, 1))
        mailraft_buffer_put(call->out, call->arguments[0].bytes, call->arguments[0].size);
}

static void put_u64(struct kv_call *call, uint64_t number)
{
    uint8_t bytes[8];

    bytes_put_u64(bytes, number);
    mailraft_buffer_put(call->out, bytes, sizeof bytes);
}

void kv_versions(struct kv_call *call)
{
    for (size_t i = 0; i < call->count; i++)
        put_u64(call, keyspace_version(call->keyspace, call->arguments[i]));
}

void kv_state(struct kv_call *call)
{
    put_u64(call, keyspace_count(call->keyspace));
    put_u64(call, keyspace_expiring(call->keyspace));
    put_u64(call, keyspace_bytes(call->keyspace));
}
