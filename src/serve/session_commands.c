/* session_commands.c - the commands about the connection itself (local_commands.h). */
#include "serve/local_commands.h"

#include <limits.h>

#include "base/clock.h"
#include "serve/number.h"
#include "serve/session_state.h"

#define SLEEP_S_MAX (24 * 60 * 60) /* DEBUG SLEEP */

void run_ping(struct session *session, const struct text *arguments, size_t count)
{
    struct mailraft_buffer *reply = session_reply(session);
    if (count > 2) {
        resp_put_error(reply, "ERR wrong number of arguments for 'ping' command");
    } else if (session->subscriptions && !session_is_resp3(session)) { /* in the shape of what subscribers get */
        resp_put_array(reply, 2);
        resp_put_text(reply, "pong");
        resp_put_bulk(reply, count == 2 ? arguments[1].bytes : (const uint8_t *)"", count == 2 ? arguments[1].size : 0);
    } else if (count == 2) {
        resp_put_bulk(reply, arguments[1].bytes, arguments[1].size);
    } else {
        resp_put_simple(reply, "PONG");
    }
}

void run_echo(struct session *session, const struct text *arguments, size_t count)
{
    (void)count;
    resp_put_bulk(session_reply(session), arguments[1].bytes, arguments[1].size);
}

void run_select(struct session *session, const struct text *arguments, size_t count)
{
    (void)count;
    struct mailraft_buffer *reply = session_reply(session);
    int64_t number;
    if (!number_read(arguments[1], &number))
        resp_put_error(reply, "ERR value is not an integer or out of range");
    else if (number < INT_MIN || number > INT_MAX)
        resp_put_error(reply, "ERR value is out of range, value must between %d and %d", INT_MIN, INT_MAX);
    else if (number != 0)
        resp_put_error(reply, "ERR DB index is out of range");
    else
        resp_put_simple(reply, "OK");
}

void run_quit(struct session *session, const struct text *arguments, size_t count)
{
    (void)arguments, (void)count;
    resp_put_simple(session_reply(session), "OK");
    session_quit(session);
}

void run_reset(struct session *session, const struct text *arguments, size_t count)
{
    (void)arguments, (void)count;
    session_reset(session);
    resp_put_simple(session_reply(session), "RESET");
}

/* ---- Who a client is: there are no passwords, so the default user may give any ---- */

static bool may_be(struct text user)
{
    return user.size == 7 && text_is(user, "default") && user.bytes[0] == 'd';
}

static void put_wrong_password(struct mailraft_buffer *reply)
{
    resp_put_error(reply, "WRONGPASS invalid username-password pair or user is disabled.");
}

void run_auth(struct session *session, const struct text *arguments, size_t count)
{
    struct mailraft_buffer *reply = session_reply(session);
    if (count > 3)
        resp_put_error(reply, "ERR syntax error");
    else if (count == 2)
        resp_put_error(reply, "ERR AUTH <password> called without any password configured for the default user. Are "
                              "you sure your configuration is correct?");
    else if (!may_be(arguments[1]))
        put_wrong_password(reply);
    else
        resp_put_simple(reply, "OK");
}

/* ---- HELLO ---- */

static bool take_version(struct session *session, struct text text)
{
    int64_t version;
    if (!number_read(text, &version)) {
        resp_put_error(session_reply(session), "ERR Protocol version is not an integer or out of range");
        return false;
    }
    if (version != 2 && version != 3) {
        resp_put_error(session_reply(session), "NOPROTO unsupported protocol version");
        return false;
    }
    return true;
}

/* Does what the options say, each before the next one is looked at, as Redis does. False: an error was put. */
static bool take_options(struct session *session, const struct text *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t behind = count - 1 - i;
        if (text_is(options[i], "auth") && behind >= 2) {
            if (!may_be(options[i + 1])) {
                put_wrong_password(session_reply(session));
                return false;
            }
            i += 2;
        } else if (text_is(options[i], "setname") && behind >= 1) {
            if (!client_set_name(session, options[++i]))
                return false;
        } else {
            resp_put_error(session_reply(session), "ERR Syntax error in HELLO option '%.*s'", (int)options[i].size,
                           (const char *)options[i].bytes);
            return false;
        }
    }
    return true;
}

static void put_fact(struct mailraft_buffer *reply, const char *name, const char *value)
{
    resp_put_text(reply, name);
    resp_put_text(reply, value);
}

static void put_number(struct mailraft_buffer *reply, const char *name, int64_t value)
{
    resp_put_text(reply, name);
    resp_put_integer(reply, value);
}

void run_hello(struct session *session, const struct text *arguments, size_t count)
{
    if (count > 1) {
        if (!take_version(session, arguments[1]) || !take_options(session, arguments + 2, count - 2))
            return;
        session->protocol = arguments[1].bytes[0] - '0';
    }
    struct mailraft_buffer *reply = session_reply(session);
    resp_put_map(reply, 7, session->protocol == 3);
    put_fact(reply, "server", "redis");
    put_fact(reply, "version", REDIS_VERSION);
    put_number(reply, "proto", session->protocol);
    put_number(reply, "id", (int64_t)session->id);
    put_fact(reply, "mode", "standalone");
    put_fact(reply, "role", "master");
    resp_put_text(reply, "modules");
    resp_put_array(reply, 0);
}

/* ---- DEBUG ---- */

static void slept(struct session *session)
{
    resp_put_simple(session_reply(session), "OK");
}

/* This client alone sleeps: the thread serves all the others. */
static void sleep_for(struct session *session, struct text text)
{
    long double seconds;
    if (!number_read_float(text, &seconds) || seconds < 0)
        seconds = 0;
    if (seconds > SLEEP_S_MAX)
        seconds = SLEEP_S_MAX;
    session_await_time(session, clock_now_us() + (int64_t)(seconds * 1000000), slept);
}

static void put_debug_help(struct mailraft_buffer *reply)
{
    static const char *const LINES[] = {
        "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "SLEEP <seconds>",
        "    This client is not served for so long; fractions are allowed.",
        "HELP",
        "    Tells the subcommands of DEBUG.",
    };
    resp_put_array(reply, sizeof LINES / sizeof *LINES);
    for (size_t i = 0; i < sizeof LINES / sizeof *LINES; i++)
        resp_put_simple(reply, LINES[i]);
}

void run_debug(struct session *session, const struct text *arguments, size_t count)
{
    struct mailraft_buffer *reply = session_reply(session);
    if (!session_sessions(session)->config.debug_commands)
        resp_put_error(reply, "ERR DEBUG command not allowed. It has to be allowed by this node's config");
    else if (count == 3 && text_is(arguments[1], "sleep"))
        sleep_for(session, arguments[2]);
    else if (count == 2 && text_is(arguments[1], "help"))
        put_debug_help(reply);
    else
        resp_put_error(reply, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try DEBUG HELP.",
                       (int)(arguments[1].size < 128 ? arguments[1].size : 128), (const char *)arguments[1].bytes);
}
