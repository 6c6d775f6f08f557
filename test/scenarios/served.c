#include "scenarios/served.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "scenarios/caller.h"

struct sim *served_cluster(uint64_t seed, int count)
{
    return served_cluster_patient(seed, count, SECOND);
}

struct sim *served_cluster_patient(uint64_t seed, int count, int64_t client_timeout_us)
{
    struct sim *sim = sim_new(seed);
    sim_log_keep(sim);
    sim_serve(sim, client_timeout_us);
    sim_add_cluster(sim, count);
    served_settle(sim);
    return sim;
}

int64_t sim_draw_us(struct sim *sim, int64_t below_us)
{
    return (int64_t)(sim_random(sim) % (uint64_t)below_us);
}

static bool is_settled(struct sim *sim, void *context)
{
    const struct server *leader = sim_leader(sim) != NO_ONE ? sim_server(sim, sim_leader(sim)) : NULL;
    (void)context;
    if (leader == NULL || leader->commit_index == 0 || leader->commit_index != raft_log_last_index(&leader->raft_log))
        return false;
    for (int i = 0; i < leader->config.members.count; i++) {
        raft_id id = leader->config.members.list[i].id;
        const struct server *server = sim_server(sim, id);
        if (sim_lives(sim, id) &&
            (server == NULL || server->leader_id != leader->config.id || server->current_term != leader->current_term ||
             !server->way.open || server->commit_index != leader->commit_index))
            return false;
    }
    return true;
}

void served_settle(struct sim *sim)
{
    cr_assert(sim_run_until(sim, 60 * SECOND, is_settled, NULL), "no leader whom all follow");
}

struct further {
    raft_id id;
    raft_index index;
};

static bool has_committed_further(struct sim *sim, void *context)
{
    const struct further *further = context;
    const struct server *server = sim_server(sim, further->id);
    return server != NULL && server->commit_index > further->index;
}

bool served_run_until_committed_further(struct sim *sim, raft_id id)
{
    struct further further = {id, sim_server(sim, id)->commit_index};
    return sim_run_until(sim, SECOND, has_committed_further, &further);
}

long served_count(struct sim *sim, const char *key)
{
    const struct server *leader;
    long value = -1;
    served_settle(sim);
    leader = sim_server(sim, sim_leader(sim));
    for (int i = 0; i < leader->config.members.count; i++) {
        raft_id id = leader->config.members.list[i].id;
        if (!sim_lives(sim, id))
            continue;
        struct caller *caller = caller_open(sim, id);
        const char *answer = caller_ask(caller, "GET %s", key);
        long count = strcmp(answer, "nil") == 0 ? 0 : strtol(answer + 1, NULL, 10);
        cr_assert(answer[0] == '"' || strcmp(answer, "nil") == 0, "%s", answer);
        cr_assert(value < 0 || count == value, "node %d tells %ld, another one %ld", id, count, value);
        value = count;
        caller_close(caller);
    }
    return value;
}
