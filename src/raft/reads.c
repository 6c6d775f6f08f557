#include "raft/reads.h"

#include "raft/membership.h"
#include "raft/replication.h"
#include "raft/route.h"

/* ---- Gathering ---- */

static raft_index least_index(const struct server *server, bool behind)
{
    if (behind)
        return raft_log_last_index(&server->raft_log);
    return server->commit_index > server->term_begin_index ? server->commit_index : server->term_begin_index;
}

static void gather(struct server *server, struct letter *query, bool behind)
{
    query->index = least_index(server, behind);
    letter_list_add(&server->reads_gathered, query);
}

void reads_take(struct server *server)
{
    struct letter *query = server->letter;
    server->letter = NULL;
    gather(server, query, query->behind);
}

void reads_take_forwarded(struct server *server, const void *query, size_t size, const struct proposer *proposer,
                          bool behind)
{
    struct letter *letter = letter_new(LETTER_READ);
    mailraft_buffer_put(&letter->request, query, size);
    letter->proposer = *proposer;
    gather(server, letter, behind);
}

/* ---- Rounds ---- */

bool reads_want_round(const struct server *server)
{
    return server->reads_gathered.first != NULL && server->reads_confirming.first == NULL;
}

void reads_begin_round(struct server *server)
{
    struct letter *query;
    while ((query = letter_list_take(&server->reads_gathered)) != NULL) {
        query->number = server->heartbeat_round;
        letter_list_add(&server->reads_confirming, query);
    }
    reads_count(server); /* alone, we are the majority */
}

void reads_count(struct server *server)
{
    int64_t rounds[MEMBERS_MAX];
    if (server->reads_confirming.first == NULL)
        return;
    for (int i = 0; i < server->config.members.count; i++)
        rounds[i] = (int64_t)server->peers[i].answered_round;
    rounds[server->self] = (int64_t)server->heartbeat_round;
    int64_t answered = membership_quorum_reached(server, rounds);
    while (server->reads_confirming.first != NULL && (int64_t)server->reads_confirming.first->number <= answered)
        letter_list_add(&server->reads_confirmed, letter_list_take(&server->reads_confirming));
    reads_hand_over(server);
}

/* ---- Handing over ---- */

/* What one client asks for twice must not show it an older state the second time: so none overtakes those that the
 * applier has given back. */
void reads_hand_over(struct server *server)
{
    struct letter_list ready = {0}, early = {0};
    struct letter *query;
    if (server->reads_early_index > server->handed_index)
        return;
    while ((query = letter_list_take(&server->reads_confirmed)) != NULL)
        letter_list_add(query->index <= server->handed_index ? &ready : &early, query);
    server->reads_confirmed = early;
    for (query = ready.first; query != NULL; query = query->next) {
        query->kind = LETTER_QUERY;
        query->number = server->reads_early_count;
        if (query->time_us == 0)
            query->time_us = cluster_time_now(&server->time, server->now_us);
    }
    applier_query(server->applier, &ready);
}

/* It was confirmed before; what it waits for is the time. */
void reads_take_early(struct server *server)
{
    struct letter *query = server->letter;
    server->reads_early_count++;
    if (server->role != LEADER) {
        route_refuse(server, &query->proposer);
        return;
    }
    server->letter = NULL;
    if (server->time.entry_time_us < query->time_us)
        replication_append_time(server, ENTRY_TIME);
    query->index = server->reads_early_index = raft_log_last_index(&server->raft_log);
    letter_list_add(&server->reads_confirmed, query);
    reads_hand_over(server);
}

static void refuse_all(struct server *server, struct letter_list *queries)
{
    struct letter *query;
    while ((query = letter_list_take(queries)) != NULL) {
        route_refuse(server, &query->proposer);
        letter_free(query);
    }
}

void reads_abandon(struct server *server)
{
    refuse_all(server, &server->reads_gathered);
    refuse_all(server, &server->reads_confirming);
    refuse_all(server, &server->reads_confirmed);
    server->reads_early_index = 0;
}
