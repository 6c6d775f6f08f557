/* config_commands.c - CONFIG: what settings the node has, as Redis names them (local_commands.h). Nearly all of them
 * are the config file's alone: setting one to what it is already is fine, anything else is refused. */
#include "serve/local_commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "serve/number.h"
#include "serve/session_state.h"

#define VALUE_MAX             320 /* bytes of a value, the final zero included */
#define CLIENT_TIMEOUT_MS_MAX (60 * 60 * 1000)

struct setting {
    const char *name;
    const char *fixed; /* its value; NULL: `tell` tells it */
    void (*tell)(const struct sessions *sessions, char text[VALUE_MAX]);
    /* Why a value is none; NULL: it is one. Where it can be changed: ... */
    const char *(*check)(struct text value);
    void (*set)(struct sessions *sessions, struct text value); /* ... to what has been checked */
};

/* ---- Values ---- */

static void tell_bind(const struct sessions *sessions, char text[VALUE_MAX])
{
    snprintf(text, VALUE_MAX, "%s", sessions->config.client.host);
}

static void tell_port(const struct sessions *sessions, char text[VALUE_MAX])
{
    snprintf(text, VALUE_MAX, "%u", (unsigned)sessions->config.client.port);
}

static void tell_connections(const struct sessions *sessions, char text[VALUE_MAX])
{
    snprintf(text, VALUE_MAX, "%zu", sessions->config.connections_max);
}

static void tell_memory(const struct sessions *sessions, char text[VALUE_MAX])
{
    snprintf(text, VALUE_MAX, "%zu", sessions->config.memory_bytes_max);
}

static void tell_request_bytes(const struct sessions *sessions, char text[VALUE_MAX])
{
    snprintf(text, VALUE_MAX, "%zu", sessions->config.request_bytes_max);
}

static void tell_debug(const struct sessions *sessions, char text[VALUE_MAX])
{
    snprintf(text, VALUE_MAX, "%s", sessions->config.debug_commands ? "yes" : "no");
}

static void tell_client_timeout(const struct sessions *sessions, char text[VALUE_MAX])
{
    snprintf(text, VALUE_MAX, "%" PRId64, sessions->config.client_timeout_us / 1000);
}

static const char *check_client_timeout(struct text value)
{
    int64_t number;
    if (!number_read(value, &number))
        return "argument couldn't be parsed into an integer";
    if (number < 1 || number > CLIENT_TIMEOUT_MS_MAX)
        return "argument must be between 1 and 3600000 inclusive";
    return NULL;
}

static void set_client_timeout(struct sessions *sessions, struct text value)
{
    int64_t number = 0;
    number_read(value, &number);
    sessions->config.client_timeout_us = number * 1000;
}

/* Redis's names mean ours, too. */
static bool read_log_level(struct text value, enum log_level *level)
{
    static const struct {
        const char *name;
        enum log_level level;
    } ALIASES[] = {{"verbose", LOG_DEBUG}, {"notice", LOG_INFO}, {"warning", LOG_WARN}};
    for (size_t i = 0; i < sizeof ALIASES / sizeof *ALIASES; i++)
        if (text_is(value, ALIASES[i].name)) {
            *level = ALIASES[i].level;
            return true;
        }
    for (int i = LOG_ERROR; i <= LOG_TRACE; i++)
        if (text_is(value, LOG_LEVEL_NAMES[i])) {
            *level = (enum log_level)i;
            return true;
        }
    return false;
}

static void tell_log_level(const struct sessions *sessions, char text[VALUE_MAX])
{
    snprintf(text, VALUE_MAX, "%s", LOG_LEVEL_NAMES[log_level(sessions->log)]);
}

static const char *check_log_level(struct text value)
{
    enum log_level level;
    return read_log_level(value, &level) ? NULL
                                         : "argument(s) must be one of the following: error, warn, info, debug, trace";
}

static void set_log_level(struct sessions *sessions, struct text value)
{
    enum log_level level = LOG_INFO;
    read_log_level(value, &level);
    log_set_level(sessions->log, level);
}

/* What clients ask about, by name. */
static const struct setting SETTINGS[] = {
    {"appendfsync", .fixed = "always"},
    {"appendonly", .fixed = "yes"},
    {"bind", .tell = tell_bind},
    {"client-timeout-ms", .tell = tell_client_timeout, .check = check_client_timeout, .set = set_client_timeout},
    {"cluster-enabled", .fixed = "no"},
    {"databases", .fixed = "1"},
    {"enable-debug-command", .tell = tell_debug},
    {"loglevel", .tell = tell_log_level, .check = check_log_level, .set = set_log_level},
    {"maxclients", .tell = tell_connections},
    {"maxmemory", .tell = tell_memory},
    {"maxmemory-policy", .fixed = "noeviction"},
    {"notify-keyspace-events", .fixed = ""},
    {"port", .tell = tell_port},
    {"proto-max-bulk-len", .tell = tell_request_bytes},
    {"requirepass", .fixed = ""},
    {"save", .fixed = ""},
    {"timeout", .fixed = "0"},
};

#define SETTINGS_COUNT (sizeof SETTINGS / sizeof *SETTINGS)

static const char *value_of(const struct setting *setting, const struct sessions *sessions, char text[VALUE_MAX])
{
    if (setting->fixed)
        return setting->fixed;
    setting->tell(sessions, text);
    return text;
}

static const struct setting *setting_of(struct text name)
{
    for (size_t i = 0; i < SETTINGS_COUNT; i++)
        if (text_is(name, SETTINGS[i].name))
            return &SETTINGS[i];
    return NULL;
}

/* ---- GET ---- */

static bool is_named(const struct setting *setting, const struct text *patterns, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (name_matches(setting->name, patterns[i]))
            return true;
    return false;
}

void run_config_get(struct session *session, const struct text *arguments, size_t count)
{
    struct mailraft_buffer found = {0};
    size_t found_count = 0;
    for (size_t i = 0; i < SETTINGS_COUNT; i++) {
        char text[VALUE_MAX];
        if (!is_named(&SETTINGS[i], arguments + 2, count - 2))
            continue;
        resp_put_text(&found, SETTINGS[i].name);
        resp_put_text(&found, value_of(&SETTINGS[i], session_sessions(session), text));
        found_count++;
    }
    resp_put_map(session_reply(session), found_count, session_is_resp3(session));
    mailraft_buffer_put(session_reply(session), found.bytes, found.size);
    buffer_fini(&found);
}

/* ---- SET: all that is named, or nothing ---- */

static const char *why_not(const struct setting *setting, const struct sessions *sessions, struct text value)
{
    char text[VALUE_MAX];
    if (setting->check)
        return setting->check(value);
    const char *present = value_of(setting, sessions, text);
    bool same = value.size == strlen(present) && memcmp(value.bytes, present, value.size) == 0;
    return same ? NULL : "can't set immutable config";
}

/* pairs: names and values. False: an error was put. */
static bool check_pairs(struct session *session, const struct text *pairs, size_t count)
{
    struct mailraft_buffer *reply = session_reply(session);
    bool named[SETTINGS_COUNT] = {false};
    for (size_t i = 0; i < count; i += 2) {
        const struct setting *setting = setting_of(pairs[i]);
        if (!setting) {
            resp_put_error(reply, "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                           (int)pairs[i].size, (const char *)pairs[i].bytes);
            return false;
        }
        bool again = named[setting - SETTINGS];
        named[setting - SETTINGS] = true;
        const char *why = again ? "duplicate parameter" : why_not(setting, session_sessions(session), pairs[i + 1]);
        if (why) {
            resp_put_error(reply, "ERR CONFIG SET failed (possibly related to argument '%s') - %s", setting->name, why);
            return false;
        }
    }
    return true;
}

void run_config_set(struct session *session, const struct text *arguments, size_t count)
{
    if (count % 2 != 0) {
        resp_put_error(session_reply(session), "ERR syntax error");
        return;
    }
    if (!check_pairs(session, arguments + 2, count - 2))
        return;
    for (size_t i = 2; i < count; i += 2) {
        const struct setting *setting = setting_of(arguments[i]);
        if (setting->set)
            setting->set(session_sessions(session), arguments[i + 1]);
    }
    resp_put_simple(session_reply(session), "OK");
}

void run_config_resetstat(struct session *session, const struct text *arguments, size_t count)
{
    (void)arguments, (void)count;
    session_sessions(session)->commands = 0;
    resp_put_simple(session_reply(session), "OK");
}

void run_config_rewrite(struct session *session, const struct text *arguments, size_t count)
{
    (void)arguments, (void)count;
    resp_put_error(session_reply(session), "ERR The server is running without a config file");
}
