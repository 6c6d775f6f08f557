#include "scenarios/hands.h"

#include <stdlib.h>

#include "sim/world.h"

#define RULES_MAX 32

struct rules {
    struct rule {
        raft_id from, to;
        int kind;
    } list[RULES_MAX];
    int count;
};

/* A test is a process of its own. */
static struct rules losing, keeping;
static struct parcels kept;
static int lost;
static raft_id last_lost_to;

/* ---- Rules ---- */

static void add_rule(struct rules *rules, raft_id from, raft_id to, int kind)
{
    cr_assert_lt(rules->count, RULES_MAX);
    rules->list[rules->count++] = (struct rule){from, to, kind};
}

static bool is_of_kind(const struct message *message, int kind)
{
    if (kind == ENTRIES)
        return message->type_of_message == REQUEST_APPEND_ENTRIES && message->entry_count > 0;
    return kind == ANYTHING || (int)message->type_of_message == kind;
}

static bool fits(const struct rules *rules, raft_id from, const struct parcel *parcel)
{
    for (int i = 0; i < rules->count; i++) {
        const struct rule *rule = &rules->list[i];
        if ((rule->from == ANYBODY || rule->from == from) && (rule->to == ANYBODY || rule->to == parcel->to) &&
            is_of_kind(&parcel->message, rule->kind))
            return true;
    }
    return false;
}

static bool lets_pass(struct sim *sim, const struct machine *from, const struct parcel *parcel)
{
    (void)sim;
    if (fits(&keeping, from->id, parcel))
        parcels_put(&kept, parcel_copy(parcel));
    if (!fits(&losing, from->id, parcel))
        return true;
    lost++;
    last_lost_to = parcel->to;
    return false;
}

void hands_lose(raft_id from, raft_id to, int kind)
{
    add_rule(&losing, from, to, kind);
}

void hands_lose_nothing(void)
{
    losing.count = 0;
}

int hands_lost(void)
{
    return lost;
}

raft_id hands_last_lost_to(void)
{
    return last_lost_to;
}

void hands_keep(raft_id from, raft_id to, int kind)
{
    add_rule(&keeping, from, to, kind);
}

void hands_keep_nothing(void)
{
    keeping.count = 0;
}

int hands_kept(void)
{
    return kept.count;
}

/* ---- The cluster ---- */

struct sim *hands_open_with(uint64_t seed, int count, void (*change)(struct node_config *config))
{
    static struct node_config config;
    struct sim *sim = sim_new(seed);
    losing.count = keeping.count = lost = 0;
    sim_log_keep(sim);
    sim_count(sim);
    sim->lets_pass = lets_pass;
    for (raft_id id = 1; id <= count; id++) {
        sim_configure(&config, id, count);
        if (change != NULL)
            change(&config);
        sim_add_node(sim, &config);
    }
    cr_assert(hands_run_until_all_follow(sim, 10 * SECOND));
    sim_run_us(sim, SECOND); /* all are listed */
    return sim;
}

struct sim *hands_open(uint64_t seed, int count)
{
    return hands_open_with(seed, count, NULL);
}

void hands_close(struct sim *sim)
{
    parcels_empty(&kept);
    sim_free(sim);
}

static bool is_leading(struct sim *sim, void *context)
{
    const struct server *server = sim_server(sim, *(raft_id *)context);
    return server != NULL && server->role == LEADER;
}

void hands_elect(struct sim *sim, raft_id id)
{
    struct rules before = losing;
    for (raft_id other = 1; other <= sim->machine_count; other++)
        if (other != id) {
            hands_lose(other, ANYBODY, REQUEST_PRE_VOTE);
            hands_lose(other, ANYBODY, REQUEST_VOTE);
        }
    cr_assert(sim_run_until(sim, 10 * SECOND, is_leading, &id), "%d does not lead", id);
    losing = before;
}

static bool is_one_more_applied(struct sim *sim, void *context)
{
    return sim_outcomes(sim, OUTCOME_APPLIED) > *(uint64_t *)context;
}

void hands_write(struct sim *sim, raft_id leader, const char *request)
{
    uint64_t before = sim_outcomes(sim, OUTCOME_APPLIED);
    cr_assert(sim_propose(sim, leader, request));
    cr_assert(sim_run_until(sim, 5 * SECOND, is_one_more_applied, &before), "\"%s\" is not applied", request);
}

raft_id hands_next(raft_id id, int steps, int count)
{
    return (id - 1 + steps) % count + 1;
}

bool hands_all_follow(struct sim *sim, raft_id leader)
{
    if (leader == NO_ONE)
        return false;
    for (int i = 0; i < sim->machine_count; i++) {
        const struct server *server = sim_server(sim, sim->machines[i]->id);
        if (sim->machines[i]->life != NULL && (server == NULL || server->leader_id != leader))
            return false;
    }
    return true;
}

static bool do_all_follow(struct sim *sim, void *context)
{
    (void)context;
    return hands_all_follow(sim, sim_leader(sim));
}

bool hands_run_until_all_follow(struct sim *sim, int64_t us)
{
    return sim_run_until(sim, us, do_all_follow, NULL);
}

raft_term hands_term(struct sim *sim, raft_id id)
{
    return sim_server(sim, id)->current_term;
}

raft_index hands_last_index(struct sim *sim, raft_id id)
{
    return raft_log_last_index(&sim_server(sim, id)->raft_log);
}

/* ---- Mail by hand ---- */

/* Over the connection of that channel that the receiver takes for the sender's present one. */
static void arrive(struct sim *sim, raft_id to, const struct parcel *parcel)
{
    raft_id from = parcel->message.server_id;
    const struct server *server = sim_server(sim, to);
    if (server == NULL)
        return;
    const struct peer *peer = &server->peers[members_find(&server->config.members, from)];
    struct link link = {.peer = from,
                        .channel = parcel->channel,
                        .incarnation = peer->incarnation,
                        .connection = peer->connection[parcel->channel]};
    mailbox_arrive(sim, sim_machine(sim, to)->life, LETTER_MESSAGE, &link, parcel, NULL);
}

void hands_deliver_kept(struct sim *sim)
{
    for (const struct parcel *parcel = kept.first; parcel != NULL; parcel = parcel->next)
        arrive(sim, parcel->to, parcel);
    sim_settle(sim);
}

void hands_deliver(struct sim *sim, raft_id to, const struct message *message)
{
    struct parcel *parcel = parcel_new(CHANNEL_URGENT, message, NULL);
    arrive(sim, to, parcel);
    free(parcel);
    sim_settle(sim);
}

void hands_append(struct sim *sim, raft_id leader, raft_id to, raft_index first, raft_index last)
{
    const struct raft_log *log = &sim_server(sim, leader)->raft_log;
    struct message message = {.type_of_message = REQUEST_APPEND_ENTRIES,
                              .server_id = leader,
                              .curr_term = hands_term(sim, leader),
                              .prev_index = first - 1,
                              .prev_term = raft_log_term_at(log, first - 1),
                              .entry_count = (uint32_t)(last - first + 1)};
    struct batch *entries = batch_new();
    for (raft_index index = first; index <= last; index++)
        batch_add(entries, entry_hold(raft_log_at(log, index)));
    struct parcel *parcel = parcel_new(CHANNEL_BULK, &message, entries);
    arrive(sim, to, parcel);
    free(parcel);
    batch_free(entries);
    sim_settle(sim);
}
