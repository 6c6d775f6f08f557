/* client_commands.c - CLIENT: connections, as their clients see and name them (local_commands.h). */
#include "serve/local_commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "serve/number.h"
#include "serve/queue.h"
#include "serve/subscriptions.h"

#define CLIENT_TEXT_MAX 512 /* bytes of a name, or of what a library tells of itself */
#define LIST_IDS_MAX    4096
#define FACTS_BYTES_MAX 512 /* of what is told of a client, names and addresses apart */

static void put_syntax_error(struct session *session)
{
    resp_put_error(session_reply(session), "ERR syntax error");
}

/* ---- Names ---- */

/* Printable and without spaces, so that CLIENT LIST can be read; and no longer than many connections may have. False:
 * it is not; an error was put. */
static bool check_text(struct session *session, struct text what, struct text text)
{
    const char *trouble = text.size > CLIENT_TEXT_MAX ? "be longer than 512 bytes" : NULL;
    for (size_t i = 0; i < text.size && !trouble; i++)
        if (text.bytes[i] < '!' || text.bytes[i] > '~')
            trouble = "contain spaces, newlines or special characters";
    if (trouble)
        resp_put_error(session_reply(session), "ERR %.*s cannot %s.", (int)what.size, (const char *)what.bytes,
                       trouble);
    return !trouble;
}

bool client_set_name(struct session *session, struct text name)
{
    static const char WHAT[] = "Client names";
    if (!check_text(session, (struct text){(const uint8_t *)WHAT, sizeof WHAT - 1}, name))
        return false;
    session_set_text(&session->name, name.bytes, name.size);
    return true;
}

void run_client_setname(struct session *session, const struct text *arguments, size_t count)
{
    (void)count;
    if (client_set_name(session, arguments[2]))
        resp_put_simple(session_reply(session), "OK");
}

void run_client_getname(struct session *session, const struct text *arguments, size_t count)
{
    (void)arguments, (void)count;
    if (session->name)
        resp_put_text(session_reply(session), session->name);
    else
        resp_put_null(session_reply(session), session_is_resp3(session));
}

void run_client_setinfo(struct session *session, const struct text *arguments, size_t count)
{
    (void)count;
    struct mailraft_buffer *reply = session_reply(session);
    struct text attribute = arguments[2];
    char **slot = text_is(attribute, "lib-name")  ? &session->lib_name
                  : text_is(attribute, "lib-ver") ? &session->lib_version
                                                  : NULL;
    if (!slot) {
        resp_put_error(reply, "ERR Unrecognized option '%.*s'", (int)attribute.size, (const char *)attribute.bytes);
    } else if (check_text(session, attribute, arguments[3])) {
        session_set_text(slot, arguments[3].bytes, arguments[3].size);
        resp_put_simple(reply, "OK");
    }
}

void run_client_id(struct session *session, const struct text *arguments, size_t count)
{
    (void)arguments, (void)count;
    resp_put_integer(session_reply(session), (int64_t)session->id);
}

/* ---- INFO and LIST ---- */

static void put_text(struct mailraft_buffer *out, const char *name, const char *text)
{
    mailraft_buffer_put(out, name, strlen(name));
    mailraft_buffer_put(out, text ? text : "", text ? strlen(text) : 0);
}

static bool is_subscriber(const struct session *session)
{
    return session->subscriptions != NULL;
}

/* The letters with which Redis tells what a client is and does. */
static const char *flags_of(const struct session *session, char text[8])
{
    size_t size = 0;
    if (is_subscriber(session))
        text[size++] = 'P';
    if (session->blocking)
        text[size++] = 'b';
    if (session->closing)
        text[size++] = 'c';
    if (session_multi_count(session) >= 0)
        text[size++] = 'x';
    if (session->no_evict)
        text[size++] = 'e';
    if (size == 0)
        text[size++] = 'N';
    text[size] = 0;
    return text;
}

/* One client's line: the fields of Redis in its order. What a session does not know, of its socket and of buffers, is
 * -1 or 0. */
static void put_client(struct mailraft_buffer *out, const struct session *session, int64_t now_us)
{
    char id[32], facts[FACTS_BYTES_MAX], flags[8], command[COMMAND_NAME_MAX] = "NULL";
    if (session->command)
        command_full_name(session->command, command, sizeof command);
    snprintf(id, sizeof id, "%" PRIu64, session->id);
    snprintf(facts, sizeof facts,
             " age=%" PRId64 " idle=%" PRId64
             " flags=%s db=0 sub=%zu psub=%zu ssub=0 multi=%d watch=%zu qbuf=0 qbuf-free=0 "
             "argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=%zu events=r cmd=%s user=default redir=-1 "
             "resp=%d",
             (now_us - session->opened_us) / 1000000, (now_us - session->active_us) / 1000000, flags_of(session, flags),
             subscriptions_count(session, SUBSCRIPTION_CHANNEL), subscriptions_count(session, SUBSCRIPTION_PATTERN),
             session_multi_count(session), session_watch_count(session), session->counted, command, session->protocol);
    put_text(out, "id=", id);
    put_text(out, " addr=", session->peer);
    put_text(out, " laddr=", session->local);
    put_text(out, " fd=-1 name=", session->name);
    put_text(out, facts, NULL);
    put_text(out, " lib-name=", session->lib_name);
    put_text(out, " lib-ver=", session->lib_version);
    put_text(out, "\n", NULL);
}

static void put_lines(struct session *session, struct mailraft_buffer *lines)
{
    resp_put_verbatim(session_reply(session), lines->bytes, lines->size, session_is_resp3(session));
    buffer_fini(lines);
}

void run_client_info(struct session *session, const struct text *arguments, size_t count)
{
    (void)arguments, (void)count;
    struct mailraft_buffer lines = {0};
    put_client(&lines, session, clock_now_us());
    put_lines(session, &lines);
}

static const struct session *session_of(const struct sessions *sessions, int64_t id)
{
    for (const struct session *each = sessions->all.first; each; each = each->next)
        if ((int64_t)each->id == id)
            return each;
    return NULL;
}

enum client_type { TYPE_ANY, TYPE_NORMAL, TYPE_PUBSUB, TYPE_REPLICA, TYPE_UNKNOWN }; /* no client is a replica */

static bool is_of_type(const struct session *session, enum client_type type)
{
    return type == TYPE_ANY || type == (is_subscriber(session) ? TYPE_PUBSUB : TYPE_NORMAL);
}

static enum client_type type_of(struct session *session, struct text type)
{
    if (text_is(type, "normal"))
        return TYPE_NORMAL;
    if (text_is(type, "pubsub"))
        return TYPE_PUBSUB;
    if (text_is(type, "master") || text_is(type, "slave") || text_is(type, "replica"))
        return TYPE_REPLICA;
    resp_put_error(session_reply(session), "ERR Unknown client type '%.*s'", (int)type.size, (const char *)type.bytes);
    return TYPE_UNKNOWN;
}

static void list_by_type(struct session *session, enum client_type type)
{
    struct mailraft_buffer lines = {0};
    int64_t now_us = clock_now_us();
    for (const struct session *each = session_sessions(session)->all.first; each; each = each->next)
        if (is_of_type(each, type))
            put_client(&lines, each, now_us);
    put_lines(session, &lines);
}

static void list_by_id(struct session *session, const struct text *ids, size_t count)
{
    struct mailraft_buffer lines = {0};
    int64_t now_us = clock_now_us();
    if (count > LIST_IDS_MAX) {
        resp_put_error(session_reply(session), "ERR too many client IDs");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        int64_t id;
        if (!number_read(ids[i], &id)) {
            buffer_fini(&lines);
            resp_put_error(session_reply(session), "ERR Invalid client ID");
            return;
        }
        const struct session *found = session_of(session_sessions(session), id);
        if (found)
            put_client(&lines, found, now_us);
    }
    put_lines(session, &lines);
}

void run_client_list(struct session *session, const struct text *arguments, size_t count)
{
    if (count == 2) {
        list_by_type(session, TYPE_ANY);
    } else if (count == 4 && text_is(arguments[2], "type")) {
        enum client_type type = type_of(session, arguments[3]);
        if (type != TYPE_UNKNOWN)
            list_by_type(session, type);
    } else if (count > 3 && text_is(arguments[2], "id")) {
        list_by_id(session, arguments + 3, count - 3);
    } else {
        put_syntax_error(session);
    }
}

/* ---- KILL ---- */

struct victims {             /* those that have all that was named */
    int64_t id;              /* 0: any */
    struct text peer, local; /* without bytes: any */
    enum client_type type;
    bool spare_self;
};

static bool is_text(struct text text, const char *other)
{
    return text.size == strlen(other) && memcmp(text.bytes, other, text.size) == 0;
}

/* One filter of KILL. False: an error was put. */
static bool take_filter(struct session *session, struct victims *victims, struct text filter, struct text value)
{
    if (text_is(filter, "id")) {
        if (number_read(value, &victims->id) && victims->id > 0)
            return true;
        resp_put_error(session_reply(session), "ERR client-id should be greater than 0");
        return false;
    }
    if (text_is(filter, "type")) {
        victims->type = type_of(session, value);
        return victims->type != TYPE_UNKNOWN;
    }
    if (text_is(filter, "user")) {
        if (is_text(value, "default"))
            return true;
        resp_put_error(session_reply(session), "ERR No such user '%.*s'", (int)value.size, (const char *)value.bytes);
        return false;
    }
    if (text_is(filter, "addr"))
        victims->peer = value;
    else if (text_is(filter, "laddr"))
        victims->local = value;
    else if (text_is(filter, "skipme") && (text_is(value, "yes") || text_is(value, "no")))
        victims->spare_self = text_is(value, "yes");
    else {
        put_syntax_error(session);
        return false;
    }
    return true;
}

static int64_t kill_all(struct session *self, const struct victims *victims)
{
    int64_t killed = 0;
    for (struct session *each = session_sessions(self)->all.first; each; each = each->next) {
        if (each->closing || (victims->spare_self && each == self) || !is_of_type(each, victims->type))
            continue;
        if ((victims->id && (int64_t)each->id != victims->id) ||
            (victims->peer.bytes && !is_text(victims->peer, each->peer)) ||
            (victims->local.bytes && !is_text(victims->local, each->local)))
            continue;
        session_quit(each);
        if (each != self)
            queue_flush(each);
        killed++;
    }
    return killed;
}

void run_client_kill(struct session *session, const struct text *arguments, size_t count)
{
    struct victims victims = {.spare_self = true};
    if (count == 3) { /* as before Redis 2.8.12: one address, one's own too */
        victims = (struct victims){.peer = arguments[2]};
        if (kill_all(session, &victims) > 0)
            resp_put_simple(session_reply(session), "OK");
        else
            resp_put_error(session_reply(session), "ERR No such client");
        return;
    }
    if (count % 2 != 0) {
        put_syntax_error(session);
        return;
    }
    for (size_t i = 2; i < count; i += 2)
        if (!take_filter(session, &victims, arguments[i], arguments[i + 1]))
            return;
    resp_put_integer(session_reply(session), kill_all(session, &victims));
}

/* ---- How a client is served ---- */

void run_client_no_evict(struct session *session, const struct text *arguments, size_t count)
{
    (void)count;
    bool on = text_is(arguments[2], "on");
    if (!on && !text_is(arguments[2], "off")) {
        put_syntax_error(session);
        return;
    }
    session->no_evict = on;
    resp_put_simple(session_reply(session), "OK");
}

/* Nothing is touched by reading here, so there is nothing to remember. */
void run_client_no_touch(struct session *session, const struct text *arguments, size_t count)
{
    (void)count;
    if (text_is(arguments[2], "on") || text_is(arguments[2], "off"))
        resp_put_simple(session_reply(session), "OK");
    else
        put_syntax_error(session);
}

void run_client_reply(struct session *session, const struct text *arguments, size_t count)
{
    (void)count;
    if (text_is(arguments[2], "on")) {
        session->reply_mode = REPLY_ON;
        resp_put_simple(session_reply(session), "OK");
    } else if (text_is(arguments[2], "off")) {
        session->reply_mode = REPLY_OFF;
    } else if (text_is(arguments[2], "skip")) {
        if (session->reply_mode != REPLY_OFF)
            session->reply_mode = REPLY_SKIP_NEXT;
    } else {
        put_syntax_error(session);
    }
}
