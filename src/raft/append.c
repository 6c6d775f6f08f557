#include "raft/append.h"

#include "raft/commit.h"
#include "raft/membership.h"

/* ---- Answers ---- */

static raft_index acknowledgeable(const struct server *server)
{
    raft_index durable = server->raft_log.durable_index;
    return durable < server->proven_index ? durable : server->proven_index;
}

static void name_request(struct message *answer, const struct link *link)
{
    answer->type_of_message = RESPONSE_APPEND_ENTRIES;
    answer->request_incarnation = link->incarnation;
    answer->request_connection = link->connection;
    answer->request_channel = (uint32_t)link->channel;
}

void append_refuse(struct server *server)
{
    struct message answer = {.curr_term = server->current_term};
    name_request(&answer, &server->letter->link);
    server_answer(server, &answer);
}

/* Section 5.3: "the follower can include the term of the conflicting entry and the first index it stores for that
 * term". */
static void reject(struct server *server)
{
    const struct raft_log *log = &server->raft_log;
    raft_index prev_index = server->message->prev_index;
    struct message answer = {.curr_term = server->current_term,
                             .match_index = acknowledgeable(server),
                             .rejected_index = prev_index,
                             .conflict_term = raft_log_term_at(log, prev_index),
                             .conflict_index = raft_log_last_index(log) + 1};
    if (answer.conflict_term > 0)
        answer.conflict_index = terms_first_of(&log->terms, prev_index);
    name_request(&answer, &server->letter->link);
    server_answer(server, &answer);
}

static void acknowledge(struct server *server, raft_id to, const struct link *link, uint64_t round)
{
    struct message answer = {.curr_term = server->current_term,
                             .entries_appended = true,
                             .match_index = acknowledgeable(server),
                             .round = round};
    name_request(&answer, link);
    server_send(server, to, &answer);
    if (answer.match_index >= server->proven_index)
        server->answer_owed = false;
}

void append_saved(struct server *server)
{
    if (server->answer_owed && server->role == FOLLOWER && server->leader_id != NO_ONE && !server->waiting)
        acknowledge(server, server->leader_id, &server->append_link, 0);
}

/* ---- Entries ---- */

/* What is committed stays, and so does what this leader has proven to be in its own log, which it only appends to. */
static bool contradicts(struct server *server, raft_index index)
{
    bool committed = index <= server->commit_index;
    if (!committed && index > server->proven_index)
        return false;
    if (server_may_warn(server, &server->nonsense_due_us))
        log_error(server->log, "Refused REQUEST_APPEND_ENTRIES of %d: it contradicts the %s entry %llu of term %llu",
                  server->message->server_id, committed ? "committed" : "proven", (unsigned long long)index,
                  (unsigned long long)raft_log_term_at(&server->raft_log, index));
    return true;
}

static bool is_sound(const struct entry *entry)
{
    struct configuration configuration;
    struct mailraft_error err;
    return entry->kind != ENTRY_CONFIG || configuration_decode(entry, &configuration, &err);
}

/* Entries come from outside: what the rest of the server relies on is checked before the first of them counts. */
static bool are_sound(struct server *server, const struct batch *entries)
{
    const struct message *request = server->message;
    raft_index expected = request->prev_index;
    raft_term term = request->prev_term;
    for (size_t i = 0; i < entries->count; i++) {
        const struct entry *entry = entries->list[i];
        if (entry->index != ++expected || entry->term < term || entry->term > request->curr_term || !is_sound(entry)) {
            if (server_may_warn(server, &server->nonsense_due_us))
                log_error(server->log, "Refused REQUEST_APPEND_ENTRIES of %d: its entry %llu is not sound",
                          request->server_id, (unsigned long long)entry->index);
            return false;
        }
        term = entry->term;
    }
    return true;
}

static void append(struct server *server, struct entry *entry)
{
    bool cuts = entry->index <= raft_log_last_index(&server->raft_log);
    raft_log_append(&server->raft_log, entry_hold(entry));
    cluster_time_entry(&server->time, entry->time_us);
    entry_wall_offset(entry, &server->wall_offset_us);
    if (cuts || entry->kind == ENTRY_CONFIG)
        membership_adopt(server);
}

/* "If an existing entry conflicts with a new one (same index but different terms), delete the existing entry and all
 * that follow it; append any new entries not already in the log." */
static bool store(struct server *server, const struct batch *entries)
{
    for (size_t i = 0; entries != NULL && i < entries->count; i++) {
        struct entry *entry = entries->list[i];
        if (raft_log_term_at(&server->raft_log, entry->index) == entry->term)
            continue;
        if (contradicts(server, entry->index))
            return false;
        append(server, entry);
    }
    return true;
}

/* "Reply false if log doesn't contain an entry at prevLogIndex whose term matches prevLogTerm." */
static bool has_previous(const struct server *server)
{
    const struct message *request = server->message;
    return request->prev_index == 0 ||
           (request->prev_index <= raft_log_last_index(&server->raft_log) &&
            raft_log_term_at(&server->raft_log, request->prev_index) == request->prev_term);
}

void append_take(struct server *server)
{
    const struct message *request = server->message;
    const struct batch *entries = server->letter->entries;
    if (!has_previous(server)) {
        reject(server);
        return;
    }
    if (entries != NULL && (!are_sound(server, entries) || !store(server, entries)))
        return;
    raft_index proven = request->prev_index + (entries == NULL ? 0 : entries->count);
    if (proven > server->proven_index)
        server->proven_index = proven;
    /* "If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last new entry)" - the last that
     * this leader has proven to match: beyond it we may have what it has not. */
    commit_advance(server,
                   request->commit_index < server->proven_index ? request->commit_index : server->proven_index);
    if (entries != NULL && server->raft_log.durable_index < proven) {
        server->answer_owed = true;
        server->append_link = server->letter->link;
    } else {
        acknowledge(server, request->server_id, &server->letter->link, request->round);
    }
}
