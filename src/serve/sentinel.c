/* sentinel.c - SENTINEL: where the leader and the other members are, told as Redis Sentinel 7.0 tells it
 * (local_commands.h). The cluster is the one master that is watched, by the cluster's name; whoever leads is where it
 * is, and each member that serves clients is a sentinel.
 *
 * Replicas:  the members that do not lead. Whoever reads from one reads nothing stale: it asks the leader. They are
 *            listed for clients that do not read at all where there are none (node-redis with a pool of replicas). */
#include "serve/local_commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "serve/session_state.h"

#define FAILOVER_TIMEOUT_MS 180000 /* Sentinel's default; nobody waits for it here */

/* ---- Members ---- */

const struct address *client_address_of(const struct sessions *sessions, raft_id id)
{
    const struct members *members = &sessions->config.members;
    int at = members_find(members, id);
    return at >= 0 && members->list[at].client.port != 0 ? &members->list[at].client : NULL;
}

const char *identity_of(const struct sessions *sessions, raft_id id, char text[IDENTITY_TEXT_BYTES])
{
    char digits[64], name[CLUSTER_NAME_MAX + 32];
    size_t size = 0;
    for (int part = 0; part < 3; part++) {
        int length = snprintf(name, sizeof name, "%d %" PRId32 " %s", part, id, sessions->config.cluster_name);
        size +=
            (size_t)snprintf(digits + size, sizeof digits - size, "%016" PRIx64, bytes_checksum(name, (size_t)length));
    }
    snprintf(text, IDENTITY_TEXT_BYTES, "%.40s", digits);
    return text;
}

/* Where the leader serves clients. One that does not is reached through this node, as every leader is. */
static const struct address *master_address(const struct session *session)
{
    const struct sessions *sessions = session_sessions(session);
    const struct address *address = client_address_of(sessions, session_status(session)->leader_id);
    return address ? address : &sessions->config.client;
}

static bool is_connected(const struct session *session, raft_id id)
{
    const struct status *status = session_status(session);
    if (id == session_sessions(session)->config.id)
        return true;
    for (int i = 0; i < status->member_count; i++)
        if (status->members[i].id == id)
            return status->members[i].connected;
    return false;
}

/* Members that serve clients, but for one. */
static int count_others(const struct session *session, raft_id but)
{
    const struct sessions *sessions = session_sessions(session);
    int count = 0;
    for (int i = 0; i < sessions->config.members.count; i++) {
        raft_id id = sessions->config.members.list[i].id;
        count += id != but && client_address_of(sessions, id);
    }
    return count;
}

static int quorum_of(const struct session *session)
{
    return session_sessions(session)->config.members.count / 2 + 1;
}

/* ---- What is told of an instance: a map of names and texts ---- */

struct facts {
    struct mailraft_buffer bytes;
    size_t count;
};

static void put_text(struct facts *facts, const char *name, const char *text)
{
    resp_put_text(&facts->bytes, name);
    resp_put_text(&facts->bytes, text);
    facts->count++;
}

static void put_number(struct facts *facts, const char *name, int64_t number)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, number);
    put_text(facts, name, text);
}

static void put_facts(struct session *session, struct facts *facts)
{
    resp_put_map(session_reply(session), facts->count, session_is_resp3(session));
    mailraft_buffer_put(session_reply(session), facts->bytes.bytes, facts->bytes.size);
    buffer_fini(&facts->bytes);
}

/* What is told of all kinds. kind: "master", "slave" or "sentinel". */
static void put_instance(struct facts *facts, const struct session *session, const char *name, raft_id id,
                         const struct address *address, const char *kind)
{
    const struct sessions *sessions = session_sessions(session);
    bool down = id != session_status(session)->leader_id && !is_connected(session, id);
    char identity[IDENTITY_TEXT_BYTES], flags[64];
    snprintf(flags, sizeof flags, "%s%s%s", down ? "s_down," : "", kind, down ? ",disconnected" : "");
    put_text(facts, "name", name);
    put_text(facts, "ip", address->host);
    put_number(facts, "port", address->port);
    put_text(facts, "runid", identity_of(sessions, id, identity));
    put_text(facts, "flags", flags);
    put_number(facts, "link-pending-commands", 0);
    put_number(facts, "link-refcount", 1);
    put_number(facts, "last-ping-sent", 0);
    put_number(facts, "last-ok-ping-reply", 0);
    put_number(facts, "last-ping-reply", 0);
    if (down)
        put_number(facts, "s-down-time", 0);
    put_number(facts, "down-after-milliseconds", sessions->config.client_timeout_us / 1000);
}

static void put_master(struct session *session)
{
    struct facts facts = {0};
    raft_id leader_id = session_status(session)->leader_id;
    put_instance(&facts, session, session_sessions(session)->config.cluster_name, leader_id, master_address(session),
                 "master");
    put_number(&facts, "info-refresh", 0);
    put_text(&facts, "role-reported", "master");
    put_number(&facts, "role-reported-time", 0);
    put_number(&facts, "config-epoch", (int64_t)session_status(session)->term);
    put_number(&facts, "num-slaves", count_others(session, leader_id));
    put_number(&facts, "num-other-sentinels", count_others(session, session_sessions(session)->config.id));
    put_number(&facts, "quorum", quorum_of(session));
    put_number(&facts, "failover-timeout", FAILOVER_TIMEOUT_MS);
    put_number(&facts, "parallel-syncs", 1);
    put_facts(session, &facts);
}

static void put_replica(struct session *session, raft_id id, const struct address *address)
{
    struct facts facts = {0};
    char name[ADDRESS_TEXT_MAX];
    bool connected = is_connected(session, id);
    put_instance(&facts, session, address_format(address, name, sizeof name), id, address, "slave");
    put_number(&facts, "info-refresh", 0);
    put_text(&facts, "role-reported", "slave");
    put_number(&facts, "role-reported-time", 0);
    put_number(&facts, "master-link-down-time", 0);
    put_text(&facts, "master-link-status", connected ? "ok" : "err");
    put_text(&facts, "master-host", master_address(session)->host);
    put_number(&facts, "master-port", master_address(session)->port);
    put_number(&facts, "slave-priority", 100);
    put_number(&facts, "slave-repl-offset", (int64_t)session_status(session)->commit_index);
    put_number(&facts, "replica-announced", 1);
    put_facts(session, &facts);
}

static void put_sentinel(struct session *session, raft_id id, const struct address *address)
{
    struct facts facts = {0};
    char name[IDENTITY_TEXT_BYTES];
    put_instance(&facts, session, identity_of(session_sessions(session), id, name), id, address, "sentinel");
    put_number(&facts, "last-hello-message", 0);
    put_text(&facts, "voted-leader", "?");
    put_number(&facts, "voted-leader-epoch", 0);
    put_facts(session, &facts);
}

static void put_others(struct session *session, raft_id but,
                       void (*put)(struct session *session, raft_id id, const struct address *address))
{
    const struct sessions *sessions = session_sessions(session);
    resp_put_array(session_reply(session), (size_t)count_others(session, but));
    for (int i = 0; i < sessions->config.members.count; i++) {
        raft_id id = sessions->config.members.list[i].id;
        const struct address *address = client_address_of(sessions, id);
        if (id != but && address)
            put(session, id, address);
    }
}

/* ---- The commands ---- */

static bool is_master(const struct session *session, struct text name)
{
    const char *ours = session_sessions(session)->config.cluster_name;
    return name.size == strlen(ours) && memcmp(name.bytes, ours, name.size) == 0;
}

/* False: there is no master of that name; an error was put. */
static bool check_master(struct session *session, struct text name)
{
    if (is_master(session, name))
        return true;
    resp_put_error(session_reply(session), "ERR No such master with that name");
    return false;
}

static void finish_masters(struct session *session)
{
    resp_put_array(session_reply(session), 1);
    put_master(session);
}

void run_sentinel_masters(struct session *session, const struct text *arguments, size_t count)
{
    (void)arguments, (void)count;
    session_await_leader(session, finish_masters);
}

void run_sentinel_master(struct session *session, const struct text *arguments, size_t count)
{
    (void)count;
    if (check_master(session, arguments[2]))
        session_await_leader(session, put_master);
}

static void finish_address(struct session *session)
{
    char port[8];
    const struct address *address = master_address(session);
    snprintf(port, sizeof port, "%u", (unsigned)address->port);
    resp_put_array(session_reply(session), 2);
    resp_put_text(session_reply(session), address->host);
    resp_put_text(session_reply(session), port);
}

void run_sentinel_get_master_addr_by_name(struct session *session, const struct text *arguments, size_t count)
{
    (void)count;
    if (is_master(session, arguments[2]))
        session_await_leader(session, finish_address);
    else
        resp_put_null_array(session_reply(session), session_is_resp3(session));
}

/* Who is connected is asked for when it is told: a status comes by itself only when the way to the leader changes. */
static void finish_replicas(struct session *session, void *context, const uint8_t *bytes, size_t size)
{
    (void)context, (void)bytes, (void)size;
    put_others(session, session_status(session)->leader_id, put_replica);
}

static void ask_replicas(struct session *session)
{
    session_ask_status(session, finish_replicas, NULL, NULL);
}

void run_sentinel_replicas(struct session *session, const struct text *arguments, size_t count)
{
    (void)count;
    if (check_master(session, arguments[2]))
        session_await_leader(session, ask_replicas);
}

static void finish_sentinels(struct session *session, void *context, const uint8_t *bytes, size_t size)
{
    (void)context, (void)bytes, (void)size;
    put_others(session, session_sessions(session)->config.id, put_sentinel);
}

void run_sentinel_sentinels(struct session *session, const struct text *arguments, size_t count)
{
    (void)count;
    if (check_master(session, arguments[2]))
        session_ask_status(session, finish_sentinels, NULL, NULL);
}

static void finish_quorum(struct session *session, void *context, const uint8_t *bytes, size_t size)
{
    (void)context, (void)bytes, (void)size;
    const struct members *members = &session_sessions(session)->config.members;
    int usable = 0;
    for (int i = 0; i < members->count; i++)
        usable += is_connected(session, members->list[i].id);
    char text[128];
    snprintf(text, sizeof text, "OK %d usable Sentinels. Quorum and failover authorization can be reached", usable);
    if (usable >= quorum_of(session))
        resp_put_simple(session_reply(session), text);
    else
        resp_put_error(session_reply(session),
                       "NOQUORUM %d usable Sentinels. Not enough available Sentinels to reach the majority and "
                       "authorize a failover",
                       usable);
}

void run_sentinel_ckquorum(struct session *session, const struct text *arguments, size_t count)
{
    (void)count;
    if (check_master(session, arguments[2]))
        session_ask_status(session, finish_quorum, NULL, NULL);
}

void run_sentinel_myid(struct session *session, const struct text *arguments, size_t count)
{
    (void)arguments, (void)count;
    char text[IDENTITY_TEXT_BYTES];
    resp_put_text(session_reply(session),
                  identity_of(session_sessions(session), session_sessions(session)->config.id, text));
}
