#include "sim/swarm.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "raft/configuration.h"
#include "sim/users.h"
#include "sim/world.h"

/* After the last fault, so long and two timeouts may pass before the clock of the liveness check begins to run:
 * connections are opened again, and who only seems to lead or follow finds out. */
#define SETTLING_US 100000

#define CLOCK_DRIFT_MAX 50000 /* millionths: far more than any real clock's */

enum fault {
    KILL,
    POWER_CUT,
    POWER_CUT_OF_ALL,
    END_IN_CALL, /* process death or power cut within one of the next calls of the disk */
    FAIL_SYNC,
    FAIL_WRITE,
    FILL, /* the disk is full, until there is room again */
    HANG,
    SLOW,  /* syncs take very long */
    EMPTY, /* the folder is lost */
    PAUSE,
    STOP,
    ISOLATE,
    PARTITION,
    ONE_WAY,
    BREAK,
    HANG_UP, /* a client closes its connection, where there are any */
    FAULT_COUNT
};

static const char *const FAULT_NAMES[FAULT_COUNT] = {
    "kill",  "power_cut", "power_cut_of_all", "end_in_call", "fail_sync", "fail_write", "fill", "hang", "slow", "empty",
    "pause", "stop",      "isolate",          "partition",   "one_way",   "break",      "hang_up",
};

struct repair { /* of a machine that is down, paused or hanging */
    struct event event;
    struct swarm *swarm;
    struct machine *machine;
};

struct swarm {
    struct event next_fault;
    struct event heal;
    struct event next_proposal;
    struct sim *sim;
    struct users *users; /* NULL: the machine is a counter, and they propose to it directly */
    int count;
    int64_t timeout_us; /* the maximum election timeout: the unit of all times here */
    int64_t delay_mended_us;
    bool on[FAULT_COUNT];
    int64_t fault_every_us;
    int64_t propose_every_us;
    int64_t sync_max_us[MEMBERS_MAX];
    struct repair repairs[MEMBERS_MAX];
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

/* ---- What goes wrong ---- */

static void repair_later(struct swarm *swarm, struct machine *machine)
{
    event_schedule(swarm->sim, &swarm->repairs[machine->position].event,
                   swarm->sim->now_us + draw_times(swarm, 0.05, 4));
}

static void repair_fire(struct event *event)
{
    const struct repair *repair = (const struct repair *)event;
    struct machine *machine = repair->machine;
    struct sim *sim = repair->swarm->sim;

    sim_disk_fill(sim, machine->id, false);
    sim_disk_sync_us(sim, machine->id, 50, repair->swarm->sync_max_us[machine->position]);
    if (machine->disk.hangs) {
        if (machine->life != NULL && sim_flip_coin())
            sim_kill(sim, machine->id);
        sim_disk_hang(sim, machine->id, false);
    }
    if (machine->life == NULL)
        sim_restart(sim, machine->id);
    else
        sim_resume(sim, machine->id);
}

/* Leaders are hit as often as all others together: most of what can go wrong has to do with them. */
static struct machine *draw_victim(struct swarm *swarm)
{
    struct sim *sim = swarm->sim;

    if (sim_flip_coin())
        for (int i = 0; i < swarm->count; i++)
            if (sim->machines[i]->ghost.leads)
                return sim->machines[i];
    return sim->machines[sim_draw(sim, 0, swarm->count)];
}

static void cut_randomly(struct swarm *swarm, double share)
{
    struct sim *sim = swarm->sim;

    for (int i = 0; i < swarm->count; i++)
        for (int j = 0; j < swarm->count; j++)
            if (i != j && sim_chance(sim, share))
                sim_cut(sim, sim->machines[i]->id, sim->machines[j]->id);
}

static void part(struct swarm *swarm)
{
    struct sim *sim = swarm->sim;
    bool side[MEMBERS_MAX];

    for (int i = 0; i < swarm->count; i++)
        side[i] = sim_flip_coin();
    for (int i = 0; i < swarm->count; i++)
        for (int j = 0; j < swarm->count; j++)
            if (side[i] != side[j])
                sim_cut(sim, sim->machines[i]->id, sim->machines[j]->id);
}

static void break_randomly(struct swarm *swarm, raft_id id)
{
    struct sim *sim = swarm->sim;

    for (int i = 0; i < swarm->count; i++)
        for (int channel = 0; channel < CHANNELS; channel++)
            if (sim_flip_coin())
                sim_break_channel(sim, id, sim->machines[i]->id, (enum channel)channel);
}

static void heal_later(struct swarm *swarm)
{
    event_schedule(swarm->sim, &swarm->heal, swarm->sim->now_us + draw_times(swarm, 0.1, 8));
}

static void heal_fire(struct event *event)
{
    (void)event;
    sim_heal(the_sim);
}

/* Two draws, one after the other: within one call it would be up to the compiler which comes first. */
static void end_in_call(struct sim *sim, const struct machine *machine)
{
    enum sim_end how = sim_flip_coin() ? SIM_POWER_CUT : SIM_PROCESS_DEATH;

    sim_end_at_call(sim, machine->id, (uint64_t)sim_draw(sim, 1, 50), how);
}

/* The newest committed CONFIG; NULL: the cluster is not born. */
static const struct known *committed_config(const struct sim *sim)
{
    for (raft_index i = sim->chosen_count; i > 0; i--)
        if (check_chosen(sim, i)->entry->kind == ENTRY_CONFIG)
            return check_chosen(sim, i)->entry;
    return NULL;
}

static void decode_config(const struct known *known, struct configuration *configuration)
{
    struct mailraft_error err;
    struct entry *entry =
        entry_new(known->kind, known->term, known->index, known->time_us, known->payload, known->payload_size);

    if (!configuration_decode(entry, configuration, &err))
        sim_fail("the committed CONFIG %llu cannot be read: %s", (unsigned long long)known->index, err.message);
    entry_drop(entry);
}

/* Whether the cluster knows its folder, and that knows the cluster. */
static bool is_known(struct machine *machine, const struct known *config, const struct configuration *configuration)
{
    char path[DISK_PATH_MAX + 16];
    struct data_id data_id;

    snprintf(path, sizeof path, "%s/identity", machine->config.data_dir);
    return durable_holds(machine, config) &&
           disk_peek(&machine->disk, path, true, 16, &data_id, sizeof data_id) == sizeof data_id &&
           data_id_equal(&data_id, &configuration->data_ids[machine->position]);
}

/* How many machines are strangers to the cluster: their folders are new, or nobody has met them yet. All, before its
 * birth. */
static int count_strangers(struct swarm *swarm)
{
    const struct known *config = committed_config(swarm->sim);
    struct configuration *configuration;
    int strangers = 0;

    if (config == NULL)
        return swarm->count;
    configuration = memory_new(sizeof *configuration);
    decode_config(config, configuration);
    for (int i = 0; i < swarm->count; i++)
        strangers += !is_known(swarm->sim->machines[i], config, configuration);
    memory_free(configuration);
    return strangers;
}

/* A minority at most has forgotten what it promised, and all others know of the cluster: more it cannot bear (README,
 * "Limits"). */
static void empty_folder(struct swarm *swarm, struct machine *machine)
{
    if (count_strangers(swarm) + 1 > (swarm->count - 1) / 2)
        return;
    if (machine->life != NULL)
        sim_kill(swarm->sim, machine->id);
    sim_disk_empty(swarm->sim, machine->id);
    machine->config.rejoin_empty = sim_flip_coin();
}

static void do_fault_to_machine(struct swarm *swarm, enum fault fault, struct machine *machine)
{
    struct sim *sim = swarm->sim;

    if (machine->life == NULL && fault != POWER_CUT)
        return;
    switch (fault) {
    case KILL:
        sim_kill(sim, machine->id);
        break;
    case POWER_CUT:
        sim_power_cut(sim, machine->id);
        break;
    case END_IN_CALL:
        end_in_call(sim, machine);
        break;
    case FAIL_SYNC:
        sim_disk_fail_sync(sim, machine->id);
        break;
    case FAIL_WRITE:
        sim_disk_fail_write(sim, machine->id, sim_flip_coin());
        break;
    case FILL:
        sim_disk_fill(sim, machine->id, true);
        break;
    case HANG:
        sim_disk_hang(sim, machine->id, true);
        break;
    case SLOW:
        sim_disk_sync_us(sim, machine->id, swarm->timeout_us / 20, swarm->timeout_us);
        break;
    case EMPTY:
        empty_folder(swarm, machine);
        break;
    case PAUSE:
        sim_pause(sim, machine->id);
        break;
    default:
        sim_stop(sim, machine->id);
        break;
    }
    repair_later(swarm, machine);
}

static void do_fault(struct swarm *swarm, enum fault fault)
{
    struct machine *victim = draw_victim(swarm);

    sim_trace(swarm->sim, "fault %s (%d)", FAULT_NAMES[fault], victim->id);
    switch (fault) {
    case POWER_CUT_OF_ALL:
        for (int i = 0; i < swarm->count; i++)
            do_fault_to_machine(swarm, POWER_CUT, swarm->sim->machines[i]);
        break;
    case ISOLATE:
        sim_isolate(swarm->sim, victim->id);
        heal_later(swarm);
        break;
    case PARTITION:
        part(swarm);
        heal_later(swarm);
        break;
    case ONE_WAY:
        cut_randomly(swarm, 0.3);
        heal_later(swarm);
        break;
    case BREAK:
        break_randomly(swarm, victim->id);
        break;
    case HANG_UP:
        if (swarm->users != NULL)
            users_break(swarm->users);
        break;
    default:
        do_fault_to_machine(swarm, fault, victim);
        break;
    }
}

static void fault_fire(struct event *event)
{
    struct swarm *swarm = (struct swarm *)event;
    enum fault fault = (enum fault)sim_draw(swarm->sim, 0, FAULT_COUNT);

    if (swarm->on[fault])
        do_fault(swarm, fault);
    for (int i = 0; i < swarm->count; i++) /* those that ended by themselves */
        if (swarm->sim->machines[i]->life == NULL && swarm->repairs[i].event.place == 0)
            repair_later(swarm, swarm->sim->machines[i]);
    event_schedule(swarm->sim, event, swarm->sim->now_us + sim_draw(swarm->sim, 0, swarm->fault_every_us));
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

/* At leaders as often as at all others together; sometimes many at once. */
static void propose_some(struct swarm *swarm)
{
    struct sim *sim = swarm->sim;
    int64_t count = sim_chance(sim, 0.1) ? sim_draw(sim, 2, 40) : 1;
    raft_id id = draw_victim(swarm)->id;
    char request[40];

    while (count-- > 0) {
        draw_request(swarm, request);
        sim_propose(sim, id, request);
    }
}

static void proposal_fire(struct event *event)
{
    struct swarm *swarm = (struct swarm *)((char *)event - offsetof(struct swarm, next_proposal)); // NOLINT
    struct sim *sim = swarm->sim;

    if (swarm->users != NULL)
        users_call(swarm->users);
    else
        propose_some(swarm);
    event_schedule(sim, event, sim->now_us + sim_draw(sim, 0, swarm->propose_every_us));
}

/* ---- The draw ---- */

static void draw_network(struct swarm *swarm, int64_t delay_max_us)
{
    struct sim *sim = swarm->sim;
    struct sim_network *network = sim_network(sim);

    network->delay_min_us = 50;
    network->delay_max_us = sim_draw(sim, 51, delay_max_us);
    if (sim_flip_coin()) {
        network->tail = 0.1;
        network->tail_max_us = draw_times(swarm, 0.05, 1);
    }
    if (sim_flip_coin())
        network->loss = 0.1;
    if (sim_flip_coin())
        network->duplication = 0.05;
    network->reordering = sim_flip_coin();
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
        swarm->repairs[id - 1] = (struct repair){{.fire = repair_fire}, swarm, sim_machine(swarm->sim, id)};
    }
    free(config);
}

/* Either there are clients of the service, or proposals to a counter. Nodes wait long enough for all that has to be sent
 * to and fro; some clients give up before they do. */
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

/* What a first start leaves half made is made again. */
static void end_first_lives(struct swarm *swarm)
{
    for (int i = 0; i < swarm->count; i++)
        if (sim_flip_coin())
            do_fault_to_machine(swarm, END_IN_CALL, swarm->sim->machines[i]);
}

static void trace_swarm(const struct swarm *swarm)
{
    char on[200] = "";

    for (int i = 0; i < FAULT_COUNT; i++)
        if (swarm->on[i])
            strcat(strcat(on, " "), FAULT_NAMES[i]);
    sim_trace(swarm->sim,
              "seed=%llu machine=%s nodes=%d timeout_max_us=%lld loss=%.2f duplication=%.2f tail_us=%lld reordering=%d"
              " fault_every_us=%lld propose_every_us=%lld faults:%s",
              (unsigned long long)swarm->sim->seed, swarm->users != NULL ? "store" : "counter", swarm->count, (long long)swarm->timeout_us,
              swarm->sim->network.loss, swarm->sim->network.duplication, (long long)swarm->sim->network.tail_max_us,
              swarm->sim->network.reordering, (long long)swarm->fault_every_us, (long long)swarm->propose_every_us, on);
}

static void swarm_draw(struct swarm *swarm)
{
    struct sim *sim = swarm->sim;
    const struct timeouts *timeouts = &TIMEOUTS[sim_draw(sim, 0, LENGTH(TIMEOUTS))];

    swarm->count = COUNTS[sim_draw(sim, 0, LENGTH(COUNTS))];
    swarm->timeout_us = timeouts->max_us;
    swarm->delay_mended_us = timeouts->delay_mended_us;
    swarm->next_fault.fire = fault_fire;
    swarm->heal.fire = heal_fire;
    swarm->next_proposal.fire = proposal_fire;
    for (int i = 0; i < FAULT_COUNT; i++)
        swarm->on[i] = sim_flip_coin();
    swarm->fault_every_us = draw_times(swarm, 0.2, 3);
    swarm->propose_every_us = draw_times(swarm, 0.02, 1);
    sim->wake_max_us = sim_draw(sim, 0, 50);
    sim->clock_drift_max = sim_flip_coin() ? CLOCK_DRIFT_MAX : 0;
    draw_network(swarm, timeouts->delay_max_us);
    draw_clients(swarm);
    add_nodes(swarm, timeouts, !sim_chance(sim, 0.25));
    draw_disks(swarm, timeouts->min_us / 4);
    trace_swarm(swarm);
    if (swarm->on[END_IN_CALL])
        end_first_lives(swarm);
}

/* ---- The faults end ---- */

static bool must_rejoin(const struct machine *machine)
{
    return machine->ghost.emptied && !machine->config.rejoin_empty;
}

static void mend_machine(struct swarm *swarm, struct machine *machine)
{
    struct sim *sim = swarm->sim;

    event_cancel(sim, &swarm->repairs[machine->position].event);
    machine->disk.end_at_call = 0;
    machine->disk.fail_sync = false;
    machine->disk.fail_write = NULL;
    sim_disk_fill(sim, machine->id, false);
    if (machine->life != NULL && (machine->ghost.stop_asked || machine->disk.failed || must_rejoin(machine)))
        sim_kill(sim, machine->id); /* it is about to end, or has to begin anew */
    machine->config.rejoin_empty = machine->ghost.emptied;
    sim_disk_hang(sim, machine->id, false);
    sim_resume(sim, machine->id);
    if (machine->life == NULL)
        sim_restart(sim, machine->id);
}

/* A majority is enough: in half of the runs, others stay dead or cut off; but not where some are strangers, who cannot
 * make up for them. */
static void leave_some_out(struct swarm *swarm)
{
    struct sim *sim = swarm->sim;
    int64_t count = sim_flip_coin() ? sim_draw(sim, 0, (swarm->count + 1) / 2) : 0;
    bool dead = sim_flip_coin();

    if (count_strangers(swarm) != 0)
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
    event_cancel(sim, &swarm->next_fault);
    event_cancel(sim, &swarm->heal);
    sim->network = (struct sim_network){.delay_min_us = 50, .delay_max_us = swarm->delay_mended_us};
    draw_disks(swarm, swarm->timeout_us / 50);
    sim_heal(sim);
    for (int i = 0; i < swarm->count; i++)
        mend_machine(swarm, sim->machines[i]);
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
            mend_machine(swarm, sim->machines[i]);
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
    event_schedule(sim, &swarm->next_proposal, sim->now_us);
}

static void check_liveness(struct swarm *swarm)
{
    check_leader_comes(swarm);
    check_leader_stays(swarm);
    check_agreement(swarm);
    check_return(swarm);
    check_leader_stays(swarm);
    check_agreement(swarm);
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
        sim_fail("clients have no answers, though nothing goes wrong: %zu lost their connection, %zu gave up, %zu calls "
                 "were uncertain, %zu refused",
                 after.lost - before.lost, after.gave_up - before.gave_up, after.uncertain - before.uncertain,
                 after.refused - before.refused);
    if (!history_check(users_history(swarm->users), calm_us))
        sim_fail("what clients were told is not linearizable");
    sim_trace(sim, "%zu calls are linearizable; %zu times clients lost their connection, %zu they gave up, %zu were "
                   "uncertain and %zu refused",
              history_count(users_history(swarm->users)), after.lost, after.gave_up, after.uncertain, after.refused);
}

static struct swarm_result result_of(const struct swarm *swarm)
{
    const struct sim *sim = swarm->sim;

    return (struct swarm_result){
        .elections = sim->elections,
        .commands = sim->commands,
        .calls = swarm->users != NULL ? history_count(users_history(swarm->users)) : 0,
        .simulated_us = sim->now_us,
    };
}

struct swarm_result swarm_run(uint64_t seed, FILE *trace)
{
    struct swarm *swarm = calloc(1, sizeof *swarm);
    struct swarm_result result;

    assert(swarm != NULL);
    swarm->sim = sim_new(seed);
    sim_trace_to(swarm->sim, trace);
    swarm_draw(swarm);
    event_schedule(swarm->sim, &swarm->next_fault, draw_times(swarm, 0, 4));
    event_schedule(swarm->sim, &swarm->next_proposal, 0);
    sim_run_us(swarm->sim, draw_times(swarm, 10, 60));
    mend(swarm);
    check_liveness(swarm);
    if (swarm->users != NULL)
        check_reads(swarm);
    result = result_of(swarm);
    if (swarm->users != NULL)
        users_free(swarm->users);
    sim_free(swarm->sim);
    free(swarm);
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
