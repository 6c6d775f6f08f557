#include "serve/subscriptions.h"

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "serve/glob.h"
#include "serve/local_commands.h"
#include "serve/queue.h"

#define KINDS 2

struct subscriptions {
    size_t counts[KINDS];                        /* by enum subscription_kind */
    struct text names[KINDS][SUBSCRIPTIONS_MAX]; /* their bytes are owned */
};

size_t subscriptions_count(const struct session *session, enum subscription_kind kind)
{
    return session->subscriptions ? session->subscriptions->counts[kind] : 0;
}

static size_t count_all(const struct session *session)
{
    return subscriptions_count(session, SUBSCRIPTION_CHANNEL) + subscriptions_count(session, SUBSCRIPTION_PATTERN);
}

/* ---- The list of one kind ---- */

static size_t find(const struct session *session, enum subscription_kind kind, struct text name)
{
    size_t at = 0, count = subscriptions_count(session, kind);
    for (; at < count; at++) {
        struct text each = session->subscriptions->names[kind][at];
        if (each.size == name.size && (name.size == 0 || memcmp(each.bytes, name.bytes, name.size) == 0))
            break;
    }
    return at;
}

static void add(struct session *session, enum subscription_kind kind, struct text name)
{
    if (!session->subscriptions)
        session->subscriptions = memory_new(sizeof *session->subscriptions);
    struct subscriptions *subscriptions = session->subscriptions;
    uint8_t *bytes = memory_new(name.size + 1);
    memcpy(bytes, name.bytes, name.size);
    subscriptions->names[kind][subscriptions->counts[kind]++] = (struct text){bytes, name.size};
}

static void take_out(struct session *session, enum subscription_kind kind, size_t at)
{
    struct subscriptions *subscriptions = session->subscriptions;
    struct text *names = subscriptions->names[kind];
    memory_free((void *)names[at].bytes);
    memmove(names + at, names + at + 1, (--subscriptions->counts[kind] - at) * sizeof *names);
    if (count_all(session) > 0)
        return;
    memory_free(subscriptions);
    session->subscriptions = NULL;
}

void subscriptions_forget(struct session *session)
{
    while (subscriptions_count(session, SUBSCRIPTION_CHANNEL) > 0)
        take_out(session, SUBSCRIPTION_CHANNEL, 0);
    while (subscriptions_count(session, SUBSCRIPTION_PATTERN) > 0)
        take_out(session, SUBSCRIPTION_PATTERN, 0);
}

/* ---- The commands ---- */

/* What subscribers get beside answers: RESP3 tells it apart. */
static void put_head(struct mailraft_buffer *out, int count, bool resp3)
{
    char head[8];
    mailraft_buffer_put(out, head, (size_t)snprintf(head, sizeof head, "%c%d\r\n", resp3 ? '>' : '*', count));
}

/* name: NULL: none. */
static void confirm(struct session *session, const char *command, const struct text *name)
{
    struct mailraft_buffer *reply = session_reply(session);
    put_head(reply, 3, session_is_resp3(session));
    resp_put_text(reply, command);
    if (name)
        resp_put_bulk(reply, name->bytes, name->size);
    else
        resp_put_null(reply, session_is_resp3(session));
    resp_put_integer(reply, (int64_t)count_all(session));
}

static void subscribe(struct session *session, enum subscription_kind kind, const struct text *names, size_t count,
                      const char *command)
{
    for (size_t i = 0; i < count; i++) {
        bool is_new = find(session, kind, names[i]) == subscriptions_count(session, kind);
        if (is_new && (count_all(session) == SUBSCRIPTIONS_MAX || names[i].size > SUBSCRIPTION_BYTES_MAX)) {
            resp_put_error(session_reply(session), "ERR too many subscriptions, or too long a name");
            return;
        }
        if (is_new)
            add(session, kind, names[i]);
        confirm(session, command, &names[i]);
    }
}

static void unsubscribe_all(struct session *session, enum subscription_kind kind, const char *command)
{
    if (subscriptions_count(session, kind) == 0)
        confirm(session, command, NULL);
    while (subscriptions_count(session, kind) > 0) {
        uint8_t bytes[SUBSCRIPTION_BYTES_MAX];
        struct text name = session->subscriptions->names[kind][0];
        memcpy(bytes, name.bytes, name.size);
        name.bytes = bytes;
        take_out(session, kind, 0);
        confirm(session, command, &name);
    }
}

static void unsubscribe(struct session *session, enum subscription_kind kind, const struct text *names, size_t count,
                        const char *command)
{
    if (count == 0)
        unsubscribe_all(session, kind, command);
    for (size_t i = 0; i < count; i++) {
        size_t at = find(session, kind, names[i]);
        if (at < subscriptions_count(session, kind))
            take_out(session, kind, at);
        confirm(session, command, &names[i]);
    }
}

void run_subscribe(struct session *session, const struct text *arguments, size_t count)
{
    subscribe(session, SUBSCRIPTION_CHANNEL, arguments + 1, count - 1, "subscribe");
}

void run_psubscribe(struct session *session, const struct text *arguments, size_t count)
{
    subscribe(session, SUBSCRIPTION_PATTERN, arguments + 1, count - 1, "psubscribe");
}

void run_unsubscribe(struct session *session, const struct text *arguments, size_t count)
{
    unsubscribe(session, SUBSCRIPTION_CHANNEL, arguments + 1, count - 1, "unsubscribe");
}

void run_punsubscribe(struct session *session, const struct text *arguments, size_t count)
{
    unsubscribe(session, SUBSCRIPTION_PATTERN, arguments + 1, count - 1, "punsubscribe");
}

bool subscriptions_allow(struct session *session, const struct command *command)
{
    static const char *const ALLOWED[] = {"psubscribe", "subscribe", "punsubscribe", "unsubscribe",
                                          "ping",       "quit",      "reset"};
    char name[COMMAND_NAME_MAX];
    if (!session->subscriptions || session_is_resp3(session))
        return true;
    for (size_t i = 0; i < sizeof ALLOWED / sizeof *ALLOWED; i++)
        if (strcmp(command_full_name(command, name, sizeof name), ALLOWED[i]) == 0)
            return true;
    resp_put_error(
        session_reply(session),
        "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in "
        "this context",
        name);
    return false;
}

/* ---- News ---- */

static void put_text(struct mailraft_buffer *out, struct text text)
{
    resp_put_bulk(out, text.bytes, text.size);
}

static struct text text_of(const char *word)
{
    return (struct text){(const uint8_t *)word, strlen(word)};
}

/* Once for its channel and once for each pattern that matches it, behind the answers that the client waits for. */
static void publish_to(struct session *session, const char *channel, const char *news)
{
    struct mailraft_buffer out = {0};
    bool resp3 = session_is_resp3(session);
    if (find(session, SUBSCRIPTION_CHANNEL, text_of(channel)) < subscriptions_count(session, SUBSCRIPTION_CHANNEL)) {
        put_head(&out, 3, resp3);
        resp_put_text(&out, "message");
        resp_put_text(&out, channel);
        resp_put_text(&out, news);
    }
    for (size_t i = 0; i < subscriptions_count(session, SUBSCRIPTION_PATTERN); i++) {
        struct text pattern = session->subscriptions->names[SUBSCRIPTION_PATTERN][i];
        if (!glob_match(pattern, text_of(channel)))
            continue;
        put_head(&out, 4, resp3);
        resp_put_text(&out, "pmessage");
        put_text(&out, pattern);
        resp_put_text(&out, channel);
        resp_put_text(&out, news);
    }
    if (out.size > 0)
        queue_answer_here(session, &out);
    buffer_fini(&out);
}

static void publish(struct sessions *sessions, const char *channel, const char *news)
{
    for (struct session *each = sessions->all.first; each; each = each->next)
        if (each->subscriptions && !each->closing)
            publish_to(each, channel, news);
}

void subscriptions_tell(struct sessions *sessions)
{
    char news[4 * ADDRESS_TEXT_MAX + CLUSTER_NAME_MAX], name[ADDRESS_TEXT_MAX];
    raft_id was = sessions->told_leader_id, is = sessions->status.leader_id;
    if (is == NO_ONE || is == was || !sessions->status.open)
        return;
    sessions->told_leader_id = is;
    const struct address *from = client_address_of(sessions, was), *to = client_address_of(sessions, is);
    if (!from || !to)
        return;
    snprintf(news, sizeof news, "%s %s %u %s %u", sessions->config.cluster_name, from->host, (unsigned)from->port,
             to->host, (unsigned)to->port);
    publish(sessions, "+switch-master", news);
    snprintf(news, sizeof news, "slave %s %s %u @ %s %s %u", address_format(from, name, sizeof name), from->host,
             (unsigned)from->port, sessions->config.cluster_name, to->host, (unsigned)to->port);
    publish(sessions, "+slave", news);
}
