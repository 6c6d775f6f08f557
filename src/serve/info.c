/* info.c - INFO and ROLE: how the node is (local_commands.h).
 *
 * INFO asks for the server's status first, then for what is known of the keys, of the leader alone. Neither is waited
 * for longer than it takes: without a leader there are no numbers of keys, and all else is told. */
#include "serve/local_commands.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/memory.h"
#include "serve/session_state.h"

#define FACT_BYTES_MAX (ADDRESS_TEXT_MAX * 2 + 128)

/* What INFO is told of. */
struct report {
    const struct session *session;
    const struct sessions *sessions;
    const struct status *status;
    bool keys_known; /* KV_STATE has been answered: */
    uint64_t keys, expiring;
    struct mailraft_buffer text;
};

__attribute__((format(printf, 2, 3))) static void put(struct report *report, const char *format, ...)
{
    char line[FACT_BYTES_MAX];
    va_list values;
    va_start(values, format);
    int size = vsnprintf(line, sizeof line, format, values);
    va_end(values);
    mailraft_buffer_put(&report->text, line, (size_t)size < sizeof line ? (size_t)size : sizeof line - 1);
    mailraft_buffer_put(&report->text, "\r\n", 2);
}

/* "1.50M", as Redis shows bytes to people. */
static const char *human(uint64_t bytes, char text[32])
{
    static const char UNITS[] = "BKMGTP";
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1024 && unit + 1 < sizeof UNITS - 1; unit++)
        value /= 1024;
    if (unit == 0)
        snprintf(text, 32, "%" PRIu64 "B", bytes);
    else
        snprintf(text, 32, "%.2f%c", value, UNITS[unit]);
    return text;
}

/* ---- Sections ---- */

static void put_server(struct report *report)
{
    const struct sessions *sessions = report->sessions;
    char identity[IDENTITY_TEXT_BYTES];
    int64_t up_s = (clock_now_us() - sessions->started_us) / 1000000;
    put(report, "redis_version:" REDIS_VERSION);
    put(report, "mailraft_version:" MAILRAFT_VERSION);
    put(report, "redis_git_sha1:00000000");
    put(report, "redis_git_dirty:0");
    put(report, "redis_mode:standalone");
    put(report, "arch_bits:%zu", sizeof(void *) * 8);
    put(report, "multiplexing_api:epoll");
    put(report, "process_id:%" PRId32, sessions->config.pid);
    put(report, "run_id:%s", identity_of(sessions, sessions->config.id, identity));
    put(report, "tcp_port:%u", (unsigned)sessions->config.client.port);
    put(report, "server_time_usec:%" PRId64, clock_wall_us());
    put(report, "uptime_in_seconds:%" PRId64, up_s);
    put(report, "uptime_in_days:%" PRId64, up_s / (24 * 60 * 60));
}

static void put_clients(struct report *report)
{
    size_t blocked = 0;
    for (const struct session *each = report->sessions->all.first; each; each = each->next)
        blocked += each->blocking != NULL;
    put(report, "connected_clients:%zu", report->sessions->count);
    put(report, "cluster_connections:0");
    put(report, "maxclients:%zu", report->sessions->config.connections_max);
    put(report, "blocked_clients:%zu", blocked);
}

static void put_memory(struct report *report)
{
    char text[32];
    size_t used = report->status->memory_bytes, most = report->sessions->config.memory_bytes_max;
    put(report, "used_memory:%zu", used);
    put(report, "used_memory_human:%s", human(used, text));
    put(report, "maxmemory:%zu", most);
    put(report, "maxmemory_human:%s", human(most, text));
    put(report, "maxmemory_policy:noeviction");
}

static void put_persistence(struct report *report)
{
    put(report, "loading:0");
    put(report, "async_loading:0");
    put(report, "rdb_changes_since_last_save:0");
    put(report, "rdb_bgsave_in_progress:0");
    put(report, "aof_enabled:1");
    put(report, "aof_rewrite_in_progress:0");
    put(report, "aof_last_write_status:ok");
}

static void put_stats(struct report *report)
{
    put(report, "total_connections_received:%" PRIu64, report->sessions->ids);
    put(report, "total_commands_processed:%" PRIu64, report->sessions->commands);
    put(report, "evicted_keys:0");
}

static void put_replication(struct report *report)
{
    char identity[IDENTITY_TEXT_BYTES];
    put(report, "role:master");
    put(report, "connected_slaves:0");
    put(report, "master_failover_state:no-failover");
    put(report, "master_replid:%s", identity_of(report->sessions, 0, identity)); /* of the cluster: nobody's */
    put(report, "master_repl_offset:%" PRIu64, report->status->commit_index);
}

static void put_cpu(struct report *report)
{
    int64_t user_us, system_us;
    clock_cpu_us(&user_us, &system_us);
    put(report, "used_cpu_sys:%" PRId64 ".%06d", system_us / 1000000, (int)(system_us % 1000000));
    put(report, "used_cpu_user:%" PRId64 ".%06d", user_us / 1000000, (int)(user_us % 1000000));
}

static void put_cluster(struct report *report)
{
    put(report, "cluster_enabled:0");
}

static void put_keyspace(struct report *report)
{
    if (report->keys_known && report->keys > 0)
        put(report, "db0:keys=%" PRIu64 ",expires=%" PRIu64 ",avg_ttl=0", report->keys, report->expiring);
}

static const char *address_text(const struct address *address, char text[ADDRESS_TEXT_MAX])
{
    return address && address->port != 0 ? address_format(address, text, ADDRESS_TEXT_MAX) : "";
}

static void put_member(struct report *report, int number, const struct member *member)
{
    const struct status *status = report->status;
    char peer[ADDRESS_TEXT_MAX], client[ADDRESS_TEXT_MAX];
    bool connected = member->id == report->sessions->config.id;
    raft_index match_index = 0;
    for (int i = 0; i < status->member_count; i++)
        if (status->members[i].id == member->id) {
            connected |= status->members[i].connected;
            match_index = status->members[i].match_index;
        }
    put(report, "raft_member%d:id=%" PRId32 ",peer=%s,client=%s,connected=%d,match_index=%" PRIu64, number, member->id,
        address_text(&member->peer, peer), address_text(&member->client, client), connected, match_index);
}

static void put_raft(struct report *report)
{
    const struct status *status = report->status;
    const struct members *members = &report->sessions->config.members;
    char text[ADDRESS_TEXT_MAX];
    put(report, "raft_node_id:%" PRId32, report->sessions->config.id);
    put(report, "raft_role:%s", status->role ? status->role : "");
    put(report, "raft_term:%" PRIu64, status->term);
    put(report, "raft_leader_id:%" PRId32, status->leader_id);
    put(report, "raft_leader_addr:%s", address_text(client_address_of(report->sessions, status->leader_id), text));
    put(report, "raft_last_index:%" PRIu64, status->last_index);
    put(report, "raft_commit_index:%" PRIu64, status->commit_index);
    put(report, "raft_applied_index:%" PRIu64, status->applied_index);
    put(report, "raft_members:%d", members->count);
    for (int i = 0; i < members->count; i++)
        put_member(report, i, &members->list[i]);
}

/* In the order in which they are told. */
static const struct section {
    const char *title, *name;
    void (*put)(struct report *report);
} SECTIONS[] = {
    {"Server", "server", put_server},
    {"Clients", "clients", put_clients},
    {"Memory", "memory", put_memory},
    {"Persistence", "persistence", put_persistence},
    {"Stats", "stats", put_stats},
    {"Replication", "replication", put_replication},
    {"CPU", "cpu", put_cpu},
    {"Cluster", "cluster", put_cluster},
    {"Keyspace", "keyspace", put_keyspace},
    {"Raft", "raft", put_raft},
};

#define SECTIONS_COUNT (sizeof SECTIONS / sizeof *SECTIONS)

/* ---- INFO ---- */

struct wanted {
    bool sections[SECTIONS_COUNT];
};

static void want(struct wanted *wanted, struct text name)
{
    bool all = text_is(name, "all") || text_is(name, "default") || text_is(name, "everything");
    for (size_t i = 0; i < SECTIONS_COUNT; i++)
        wanted->sections[i] |= all || text_is(name, SECTIONS[i].name);
}

static bool wants(const struct wanted *wanted, void (*section)(struct report *report))
{
    for (size_t i = 0; i < SECTIONS_COUNT; i++)
        if (wanted->sections[i] && SECTIONS[i].put == section)
            return true;
    return false;
}

/* bytes: of the keyspace's answer; NULL: there is none. */
static void put_info(struct session *session, const struct wanted *wanted, const uint8_t *bytes, size_t size)
{
    struct report report = {session, session_sessions(session), session_status(session), .keys_known = size >= 16};
    if (report.keys_known) {
        report.keys = bytes_get_u64(bytes);
        report.expiring = bytes_get_u64(bytes + 8);
    }
    for (size_t i = 0; i < SECTIONS_COUNT; i++) {
        if (!wanted->sections[i])
            continue;
        if (report.text.size > 0)
            mailraft_buffer_put(&report.text, "\r\n", 2);
        put(&report, "# %s", SECTIONS[i].title);
        SECTIONS[i].put(&report);
    }
    resp_put_verbatim(session_reply(session), report.text.bytes, report.text.size, session_is_resp3(session));
    buffer_fini(&report.text);
}

static struct wanted *copy_of(const struct wanted *wanted)
{
    struct wanted *copy = memory_new(sizeof *copy);
    *copy = *wanted;
    return copy;
}

static void finish_with_keys(struct session *session, void *context, const uint8_t *bytes, size_t size)
{
    put_info(session, context, bytes, size);
}

static void finish_with_status(struct session *session, void *context, const uint8_t *bytes, size_t size)
{
    (void)bytes, (void)size;
    if (!wants(context, put_keyspace)) {
        put_info(session, context, NULL, 0);
        return;
    }
    struct mailraft_buffer query = {0};
    struct kv_request request;
    kv_request_begin(&request, &query, 0);
    kv_request_ops(&request);
    kv_request_op(&request, KV_STATE, NULL, 0);
    session_try_query(session, &query, finish_with_keys, memory_free, copy_of(context));
    buffer_fini(&query);
}

void run_info(struct session *session, const struct text *arguments, size_t count)
{
    struct wanted wanted = {{false}};
    if (count == 1)
        want(&wanted, (struct text){(const uint8_t *)"default", 7});
    for (size_t i = 1; i < count; i++)
        want(&wanted, arguments[i]);
    session_ask_status(session, finish_with_status, memory_free, copy_of(&wanted));
}

/* ---- ROLE ---- */

static void finish_role(struct session *session, void *context, const uint8_t *bytes, size_t size)
{
    (void)context, (void)bytes, (void)size;
    struct mailraft_buffer *reply = session_reply(session);
    resp_put_array(reply, 3);
    resp_put_text(reply, "master");
    resp_put_integer(reply, (int64_t)session_status(session)->commit_index);
    resp_put_array(reply, 0);
}

void run_role(struct session *session, const struct text *arguments, size_t count)
{
    (void)arguments, (void)count;
    session_ask_status(session, finish_role, NULL, NULL);
}
