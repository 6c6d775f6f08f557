#include "sim/swarm.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim/damage.h"
#include "sim/faults.h"

/* After the last fault, so long and two timeouts may pass before the clock of the liveness check begins to run:
 * connections are opened again, and who only seems to lead or follow finds out. */
#define SETTLING_US 100000

/* A node takes so much at most, with all that these clients and peers can have under way at once. */
#define LIFE_BYTES_MAX (3 * 1024 * 1024)

#define HASTE 10 /* of clients, while two lead */

#define CLOCK_DRIFT_MAX 50000 /* millionths: far more than any real clock's */

struct swarm {
    struct event next_proposal;
    struct sim *sim;
    const struct plan *plan;
    struct swarm_result *result;
    struct faults *faults;
    struct users *users; /* NULL: the machine is a counter, and they propose to it directly */
    int count;
    int64_t timeout_us; /* the maximum election timeout: the unit of all times here */
    int64_t delay_mended_us;
    int64_t propose_every_us;
    int64_t sync_max_us[MEMBERS_MAX];
    bool left_out[MEMBERS_MAX]; /* a minority that stays away when the faults end */
};

/* Where delays are long, they stay when the faults end. */
struct timeouts {
    int64_t min_us, max_us, heartbeat_us;
    int64_t delay_max_us, delay_mended_us; /* of a message, at most: while things fail, and afterwards */
};

static const struct timeouts TIMEOUTS[] = {
    {150000, 300000, 50000, 1000, 300},
    {150000, 200000, 50000, 1000, 300},
    {12000, 24000, 4000, 1000, 300},
    {50000, 100000, 20000, 1000, 300},
    {25000, 30000, 12500, 1000, 300},
    {50000, 100000, 1000, 40000, 40000}, /* an answer comes dozens of heartbeats later */
};

static const int COUNTS[] = {1, 2, 3, 3, 3, 4, 5, 5, 5, 7};

#define LENGTH(array) ((int64_t)(sizeof(array) / sizeof *(array)))

static int64_t draw_times(struct swarm *swarm, double min, double max) /* of the timeout */
{
    return sim_draw(swarm->sim, (int64_t)(min * (double)swarm->timeout_us), (int64_t)(max * (double)swarm->timeout_us));
}

/* ---- What clients want meanwhile ---- */

/* Nearly all proposals add their own number, so that each is told from all others. */
static void draw_request(struct swarm *swarm, char request[40])
{
    static const char *const OTHERS[] = {"get", "expire 0", "expire 20", "expire 300", "multiply 2"};
    struct sim *sim = swarm->sim;

    if (sim_chance(sim, 0.05))
        snprintf(request, 40, "%s", OTHERS[sim_draw(sim, 0, LENGTH(OTHERS))]);
    else
        snprintf(request, 40, "add %zu", sim->proposal_count + 1);
}

static raft_id draw_node(struct swarm *swarm)
{
    struct sim *sim = swarm->sim;

    if (sim_flip_coin())
        for (int i = 0; i < swarm->count; i++)
            if (sim->machines[i]->ghost.leads)
                return sim->machines[i]->id;
    return sim->machines[sim_draw(sim, 0, swarm->count)]->id;
}

/* At leaders as often as at all others together; sometimes many at once. */
static void propose_some(struct swarm *swarm)
{
    struct sim *sim = swarm->sim;
    int64_t count = sim_chance(sim, 0.1) ? sim_draw(sim, 2, 40) : 1;
    raft_id id = draw_node(swarm);
    char request[40];

    while (count-- > 0) {
        draw_request(swarm, request);
        sim_propose(sim, id, request);
    }
}

/* While two lead, each must answer with care: clients make the most of that short time. */
static int64_t propose_every_us(const struct swarm *swarm)
{
    bool two = swarm->users != NULL && users_see_two_leaders(swarm->users);

    return swarm->propose_every_us / (two ? HASTE : 1);
}

/* Often right before something may go wrong, so that it goes wrong with what clients want. */
static int64_t next_proposal_us(struct swarm *swarm)
{
    struct sim *sim = swarm->sim;
    int64_t due_us = sim->now_us + sim_draw(sim, 0, propose_every_us(swarm));
    int64_t before_us = faults_next_us(swarm->faults) - sim_draw(sim, 0, 4 * sim->network.delay_max_us);

    return sim_flip_coin() && before_us > sim->now_us && before_us < due_us ? before_us : due_us;
}

static void proposal_fire(struct event *event)
{
    struct swarm *swarm = (struct swarm *)event;

    if (swarm->users != NULL)
        users_call(swarm->users);
    else
        propose_some(swarm);
    event_schedule(swarm->sim, event, next_proposal_us(swarm));
}

/* ---- The draw ---- */

/* What is left out is drawn all the same, like everything. */
static void draw_network(struct swarm *swarm, int64_t delay_max_us)
{
    struct sim *sim = swarm->sim;
    struct sim_network *network = sim_network(sim);
    int64_t tail_max_us;

    network->delay_min_us = 50;
    network->delay_max_us = sim_draw(sim, 51, delay_max_us);
    tail_max_us = draw_times(swarm, 0.05, 1);
    if (faults_include(swarm->faults, DELAY)) {
        network->tail = 0.1;
        network->tail_max_us = tail_max_us;
    }
    if (faults_include(swarm->faults, LOSS))
        network->loss = 0.1;
    if (faults_include(swarm->faults, DUPLICATION))
        network->duplication = 0.05;
    network->reordering = faults_include(swarm->faults, REORDERING);
}

static void draw_disks(struct swarm *swarm, int64_t max_us)
{
    for (int i = 0; i < swarm->count; i++) {
        swarm->sync_max_us[i] = sim_draw(swarm->sim, 50, max_us);
        sim_disk_sync_us(swarm->sim, swarm->sim->machines[i]->id, 50, swarm->sync_max_us[i]);
    }
}

static void add_nodes(struct swarm *swarm, const struct timeouts *timeouts, bool fast_failover)
{
    struct node_config *config = calloc(1, sizeof *config);
    bool birth_all = sim_chance(swarm->sim, 0.2) && 10 * timeouts->delay_mended_us < timeouts->min_us;

    assert(config != NULL); /* birth_all: where nobody may vote for another, votes must not be under way for long */
    for (raft_id id = 1; id <= swarm->count; id++) {
        sim_configure(config, id, swarm->count);
        config->birth_all = birth_all;
        config->disk_stall_us = draw_times(swarm, 1, 4);
        config->election_timeout_min_us = timeouts->min_us;
        config->election_timeout_max_us = timeouts->max_us;
        config->heartbeat_us = timeouts->heartbeat_us;
        config->fast_failover = fast_failover;
        sim_add_node(swarm->sim, config);
    }
    free(config);
}

/* Either there are clients of the service, or proposals to a counter. Nodes wait long enough for all that has to be
 * sent to and fro; some clients give up before they do. */
static void draw_clients(struct swarm *swarm)
{
    struct sim *sim = swarm->sim;
    int64_t timeout_us = 20 * swarm->delay_mended_us + draw_times(swarm, 1, 20), longer_us = draw_times(swarm, 1, 4);

    if (sim->seed % 2 == 1) {
        sim_count(sim);
        sim->telling = true;
        return;
    }
    sim_serve(sim, timeout_us);
    swarm->users = users_new(sim, (int)sim_draw(sim, 1, 9), swarm->count,
                             timeout_us * (sim_chance(sim, 0.8) ? 1 : 0) + 20 * swarm->delay_mended_us + longer_us);
}

static void trace_swarm(const struct swarm *swarm)
{
    const struct sim *sim = swarm->sim;

    sim_trace(swarm->sim,
              "seed=%llu machine=%s nodes=%d timeout_max_us=%lld loss=%.2f duplication=%.2f tail_us=%lld reordering=%d"
              " drift=%lld wake_us=%lld propose_every_us=%lld",
              (unsigned long long)sim->seed, swarm->users != NULL ? "store" : "counter", swarm->count,
              (long long)swarm->timeout_us, sim->network.loss, sim->network.duplication,
              (long long)sim->network.tail_max_us, sim->network.reordering, (long long)sim->clock_drift_max,
              (long long)sim->wake_max_us, (long long)swarm->propose_every_us);
    faults_trace(swarm->faults);
}

static void begin_faults(struct swarm *swarm)
{
    struct faults_config config = {.users = swarm->users, .timeout_us = swarm->timeout_us};

    memcpy(config.sync_max_us, swarm->sync_max_us, sizeof config.sync_max_us);
    faults_begin(swarm->faults, &config);
}

static void swarm_draw(struct swarm *swarm)
{
    struct sim *sim = swarm->sim;
    const struct timeouts *timeouts = &TIMEOUTS[sim_draw(sim, 0, LENGTH(TIMEOUTS))];

    swarm->count = COUNTS[sim_draw(sim, 0, LENGTH(COUNTS))];
    swarm->timeout_us = timeouts->max_us;
    swarm->delay_mended_us = timeouts->delay_mended_us;
    swarm->next_proposal.fire = proposal_fire;
    swarm->faults = faults_new(sim, swarm->plan);
    swarm->propose_every_us = draw_times(swarm, 0.02, 1);
    sim->life_bytes_max = LIFE_BYTES_MAX;
    sim->wake_max_us = sim_draw(sim, 0, 50);
    sim->clock_drift_max = faults_include(swarm->faults, DRIFT) ? CLOCK_DRIFT_MAX : 0;
    draw_network(swarm, timeouts->delay_max_us);
    draw_clients(swarm);
    add_nodes(swarm, timeouts, !sim_chance(sim, 0.25));
    draw_disks(swarm, timeouts->min_us / 4);
    trace_swarm(swarm);
    begin_faults(swarm);
}

/* ---- The faults end ---- */

/* A majority is enough: in half of the runs, others stay dead or cut off; but not where some are strangers, who cannot
 * make up for them. */
static void leave_some_out(struct swarm *swarm)
{
    struct sim *sim = swarm->sim;
    int64_t count = sim_flip_coin() ? sim_draw(sim, 0, (swarm->count + 1) / 2) : 0;
    bool dead = sim_flip_coin();

    if (damage_count_strangers(sim) != 0)
        return;
    while (count-- > 0) {
        struct machine *machine = sim->machines[sim_draw(sim, 0, swarm->count)];

        swarm->left_out[machine->position] = true;
        if (dead && machine->life != NULL)
            sim_kill(sim, machine->id);
        else
            sim_isolate(sim, machine->id);
    }
}

static void mend(struct swarm *swarm)
{
    struct sim *sim = swarm->sim;

    sim_trace(sim, "the faults end");
    faults_end(swarm->faults);
    sim->network = (struct sim_network){.delay_min_us = 50, .delay_max_us = swarm->delay_mended_us};
    draw_disks(swarm, swarm->timeout_us / 50);
    for (int i = 0; i < swarm->count; i++)
        faults_mend(swarm->faults, sim->machines[i]);
    leave_some_out(swarm);
}

/* All nodes but those left out, and none is about to change its term. */
static bool all_follow(struct sim *sim, void *context)
{
    const struct swarm *swarm = context;
    raft_id leader = sim_leader(sim);

    if (leader == NO_ONE)
        return false;
    for (int i = 0; i < sim->machine_count; i++) {
        if (swarm->left_out[i])
            continue;
        const struct server *server = sim_server(sim, sim->machines[i]->id);

        if (server == NULL || server->waiting || server->leader_id != leader ||
            server->role != (server->config.id == leader ? LEADER : FOLLOWER) ||
            server->current_term != sim_server(sim, leader)->current_term)
            return false;
    }
    return true;
}

static void check_leader_comes(struct swarm *swarm)
{
    struct sim *sim = swarm->sim;

    sim_run_us(sim, SETTLING_US + 2 * swarm->timeout_us);
    if (!sim_run_until(sim, 20 * swarm->timeout_us, all_follow, swarm))
        sim_fail("no leader whom all follow within 20 timeouts after the last fault");
    sim_trace(sim, "all follow %d", sim_leader(sim));
}

static void check_leader_stays(struct swarm *swarm)
{
    struct sim *sim = swarm->sim;
    uint64_t elections = sim->elections;

    sim_run_us(sim, 20 * swarm->timeout_us);
    if (sim->elections != elections || !all_follow(sim, swarm))
        sim_fail("the leader did not stay, though nothing went wrong");
}

/* Whether one of those left out was about to stand when the faults ended: its higher term ends the present one. */
static bool is_higher_term_out(const struct swarm *swarm)
{
    struct sim *sim = swarm->sim;
    raft_term term = check_written_term(sim_machine(sim, sim_leader(sim)));

    for (int i = 0; i < swarm->count; i++)
        if (swarm->left_out[i] && check_written_term(sim->machines[i]) > term)
            return true;
    return false;
}

/* Those left out come back, and depose nobody (dissertation, section 9.6). */
static void check_return(struct swarm *swarm)
{
    struct sim *sim = swarm->sim;
    uint64_t elections = sim->elections;
    bool disturbs = is_higher_term_out(swarm);

    sim_trace(sim, "those left out come back");
    sim_heal(sim);
    for (int i = 0; i < swarm->count; i++)
        if (swarm->left_out[i])
            faults_mend(swarm->faults, sim->machines[i]);
    memset(swarm->left_out, 0, sizeof swarm->left_out);
    check_leader_comes(swarm);
    if (sim->elections != elections && !disturbs)
        sim_fail("a node that came back deposed the leader");
}

/* ---- All agree ---- */

static bool has_all(const struct sim *sim, const struct machine *machine)
{
    const struct known *last = check_chosen(sim, sim->chosen_count)->entry;

    return machine->life != NULL && durable_holds(machine, last) && machine->ghost.log.last_index == last->index &&
           machine->ghost.applied_index == last->index && machine->life->not_answered == 0 &&
           (!sim->counting || machine->life->counter.value == check_chosen(sim, last->index)->count.value);
}

static bool all_agree(struct sim *sim, void *context)
{
    const struct swarm *swarm = context;

    for (int i = 0; i < swarm->count; i++)
        if (!swarm->left_out[i] && (sim->chosen_count == 0 || !has_all(sim, sim->machines[i])))
            return false;
    return swarm->users == NULL || users_are_answered(swarm->users);
}

static void tell_who_lacks(struct swarm *swarm)
{
    struct sim *sim = swarm->sim;

    if (swarm->users != NULL && !users_are_answered(swarm->users))
        sim_trace(sim, "some client is not answered");
    for (int i = 0; i < swarm->count; i++) {
        const struct machine *machine = sim->machines[i];

        sim_trace(sim, "%d%s holds %llu of %zu committed entries, has applied %llu; %d proposals are not answered",
                  machine->id, swarm->left_out[i] ? ", left out," : "",
                  (unsigned long long)machine->ghost.log.last_index, sim->chosen_count,
                  (unsigned long long)machine->ghost.applied_index,
                  machine->life != NULL ? machine->life->not_answered : 0);
    }
}

/* Clients of nodes that are cut off are answered only when their time is over, which begins when there is room for what
 * they want. */
static int64_t agreement_us(const struct swarm *swarm)
{
    return 20 * swarm->timeout_us + 4 * swarm->sim->client_timeout_us;
}

/* Nobody proposes any more: then all logs are equal, everything in them is applied, and every proposal answered. */
static void check_agreement(struct swarm *swarm)
{
    struct sim *sim = swarm->sim;

    event_cancel(sim, &swarm->next_proposal);
    if (!sim_run_until(sim, agreement_us(swarm), all_agree, swarm)) {
        tell_who_lacks(swarm);
        sim_fail("the logs are not equal, applied and answered within 20 timeouts after the last proposal");
    }
    sim_trace(sim, "all agree on %zu entries", sim->chosen_count);
}

/* ---- New requests are served ---- */

static bool is_applied(struct sim *sim, void *applied)
{
    return sim_outcomes(sim, OUTCOME_APPLIED) >= *(const uint64_t *)applied;
}

/* What is proposed to the leader now is applied. */
static void check_proposal_is_applied(struct swarm *swarm)
{
    struct sim *sim = swarm->sim;
    uint64_t applied = sim_outcomes(sim, OUTCOME_APPLIED) + 1;
    char request[40];

    snprintf(request, sizeof request, "add %zu", sim->proposal_count + 1);
    if (!sim_propose(sim, sim_leader(sim), request) ||
        !sim_run_until(sim, 20 * swarm->timeout_us, is_applied, &applied))
        sim_fail("what was proposed when all agreed is not applied within 20 timeouts");
}

struct served {
    const struct users *users;
    uint64_t wanted;
};

static bool is_served(struct sim *sim, void *context)
{
    const struct served *served = context;

    (void)sim;
    return users_served(served->users) >= served->wanted;
}

/* What is wanted from each node now is done. */
static void check_clients_are_served(struct swarm *swarm)
{
    struct served served = {swarm->users, users_served(swarm->users)};

    served.wanted += (uint64_t)users_call_all(swarm->users, swarm->left_out);
    if (!sim_run_until(swarm->sim, 20 * swarm->timeout_us, is_served, &served))
        sim_fail("what clients wanted when all agreed is not done within 20 timeouts");
}

static void check_serves(struct swarm *swarm)
{
    if (swarm->users == NULL)
        check_proposal_is_applied(swarm);
    else
        check_clients_are_served(swarm);
    event_schedule(swarm->sim, &swarm->next_proposal, swarm->sim->now_us);
}

static void check_liveness(struct swarm *swarm)
{
    check_leader_comes(swarm);
    check_leader_stays(swarm);
    check_agreement(swarm);
    check_serves(swarm);
    check_return(swarm);
    check_leader_stays(swarm);
    check_agreement(swarm);
    check_serves(swarm);
}

/* ---- What clients were told ---- */

/* Long enough that whatever expires has done so. */
#define EXPIRED_US 3000000

/* All nodes serve, and nothing is left of what was meant to expire: so says everybody. */
static void check_reads(struct swarm *swarm)
{
    struct sim *sim = swarm->sim;
    int64_t calm_us = sim->now_us;
    struct users_unanswered before = users_unanswered(swarm->users), after;

    event_cancel(sim, &swarm->next_proposal);
    sim_run_us(sim, EXPIRED_US);
    users_read_all(swarm->users, swarm->left_out);
    if (!sim_run_until(sim, 20 * swarm->timeout_us, all_agree, swarm))
        sim_fail("what clients read last is not answered");
    after = users_unanswered(swarm->users);
    if (memcmp(&before, &after, sizeof before) != 0)
        sim_fail("clients have no answers, though nothing goes wrong: %zu lost their connection, %zu gave up, "
                 "%zu calls were uncertain, %zu refused",
                 after.lost - before.lost, after.gave_up - before.gave_up, after.uncertain - before.uncertain,
                 after.refused - before.refused);
    if (!history_check(users_history(swarm->users), calm_us))
        sim_fail("what clients were told is not linearizable");
    sim_trace(sim, "%zu calls are linearizable; %zu times clients lost their connection, %zu they gave up, %zu were "
                   "uncertain and %zu refused",
              history_count(users_history(swarm->users)), after.lost, after.gave_up, after.uncertain, after.refused);
}

/* ---- The run ---- */

/* After each step while faults happen, so that it is known also of a run that does not come to its end. */
static bool note_result(struct sim *sim, void *context)
{
    const struct swarm *swarm = context;
    struct faults_count count = faults_count(swarm->faults);

    swarm->result->elections = sim->elections;
    swarm->result->commands = sim->commands;
    swarm->result->calls = swarm->users != NULL ? history_count(users_history(swarm->users)) : 0;
    swarm->result->simulated_us = sim->now_us;
    swarm->result->faults = count.done;
    swarm->result->faults_number = count.number;
    return false;
}

static int64_t least(int64_t left, int64_t right)
{
    return left < right ? left : right;
}

void swarm_run_plan(uint64_t seed, const struct plan *plan, FILE *trace, struct swarm_result *result)
{
    struct swarm *swarm = calloc(1, sizeof *swarm);

    assert(swarm != NULL);
    swarm->sim = sim_new(seed);
    swarm->plan = plan;
    swarm->result = result;
    sim_trace_to(swarm->sim, trace);
    swarm_draw(swarm);
    for (int i = 0; i < FAULT_COUNT; i++)
        result->kinds[i] = faults_include(swarm->faults, (enum fault)i);
    event_schedule(swarm->sim, &swarm->next_proposal, 0);
    sim_run_until(swarm->sim, least(draw_times(swarm, 10, 60), plan->until_us), note_result, swarm);
    mend(swarm);
    check_liveness(swarm);
    if (swarm->users != NULL)
        check_reads(swarm);
    note_result(swarm->sim, swarm);
    if (swarm->users != NULL)
        users_free(swarm->users);
    sim_free(swarm->sim);
    faults_free(swarm->faults);
    free(swarm);
}

struct swarm_result swarm_run(uint64_t seed, FILE *trace)
{
    struct plan *plan = malloc(sizeof *plan);
    struct swarm_result result;

    assert(plan != NULL);
    plan_init(plan);
    swarm_run_plan(seed, plan, trace, &result);
    free(plan);
    return result;
}

/* ---- What is measured ---- */

struct swarm_result swarm_run_failovers(uint64_t seed, int count, uint64_t elections)
{
    struct sim *sim = sim_new(seed);
    struct swarm_result result;

    sim_network(sim)->loss = 0.1;
    sim_network(sim)->duplication = 0.05;
    sim_add_cluster(sim, count);
    while (sim->elections < elections) {
        raft_id leader;

        if (!sim_run_until_leader(sim, 60000000))
            sim_fail("no leader within a minute");
        sim_run_us(sim, sim_draw(sim, 100000, 500000));
        leader = sim_leader(sim);
        if (leader == NO_ONE)
            continue;
        sim_kill(sim, leader);
        sim_restart(sim, leader);
    }
    result = (struct swarm_result){.elections = sim->elections, .commands = sim->commands, .simulated_us = sim->now_us};
    sim_free(sim);
    return result;
}
