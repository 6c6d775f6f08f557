/* Machines, and how lives on them begin and end. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "sim/cable.h"

struct sim *the_sim;

/* ---- The simulation ---- */

struct sim *sim_new(uint64_t seed)
{
    struct sim *sim = calloc(1, sizeof *sim);

    assert(sim != NULL && the_sim == NULL);
    sim->seed = seed;
    sim->random = seed;
    sim->log_level = LOG_INFO;
    sim->network = (struct sim_network){.delay_min_us = 100, .delay_max_us = 200};
    network_init(sim);
    the_sim = sim;
    return sim;
}

static void life_forget(struct sim *sim, struct life *life)
{
    threads_forget(sim, life);
    memory_forget(life);
    free(life);
}

void sim_free(struct sim *sim)
{
    for (int i = 0; i < sim->machine_count; i++) {
        struct machine *machine = sim->machines[i];

        if (machine->life != NULL)
            sim_kill(sim, machine->id);
        sim_forget_sent(sim, machine->id);
        disk_fini(&machine->disk);
    }
    cables_fini(sim);
    network_fini(sim);
    check_fini(sim);
    for (int i = 0; i < sim->machine_count; i++) {
        free(sim->machines[i]->log);
        free(sim->machines[i]->text);
        free(sim->machines[i]);
    }
    coroutine_stable_empty(&sim->stable);
    free(sim->heap);
    free(sim);
    the_sim = NULL;
}

int64_t sim_now_us(const struct sim *sim)
{
    return sim->now_us;
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
uint64_t sim_random(struct sim *sim)
{
    uint64_t z = sim->random += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

int64_t sim_draw(struct sim *sim, int64_t low, int64_t high)
{
    return high <= low ? low : low + (int64_t)(sim_random(sim) % (uint64_t)(high - low));
}

bool sim_chance(struct sim *sim, double share)
{
    return share > 0 && (double)(sim_random(sim) >> 11) < share * 9007199254740992.0; /* 2^53 */
}

bool sim_flip_coin(void)
{
    return (sim_random(the_sim) >> 32 & 1) != 0;
}

/* ---- Machines ---- */

struct machine *sim_find_machine(const struct sim *sim, raft_id id)
{
    for (int i = 0; i < sim->machine_count; i++)
        if (sim->machines[i]->id == id)
            return sim->machines[i];
    return NULL;
}

struct machine *sim_machine(const struct sim *sim, raft_id id)
{
    struct machine *machine = sim_find_machine(sim, id);

    if (machine == NULL)
        sim_fail("there is no machine %d", id);
    return machine;
}

void sim_add_machine(struct sim *sim, raft_id id)
{
    struct machine *machine = calloc(1, sizeof *machine);

    assert(machine != NULL && sim->machine_count < MEMBERS_MAX && sim_find_machine(sim, id) == NULL);
    machine->id = id;
    machine->position = sim->machine_count;
    machine->disk.sync_min_us = machine->disk.sync_max_us = 100;
    machine->ghost.durable.voted_for = NO_ONE;
    machine->log = log_of_machine(machine);
    sim->machines[sim->machine_count++] = machine;
    network_add_machine(sim, machine);
}

void sim_configure(struct node_config *config, raft_id id, int count)
{
    *config = (struct node_config){
        .id = id,
        .cluster_name = "simulated",
        .data_dir = SIM_DATA_DIR,
        .election_timeout_min_us = 150000,
        .election_timeout_max_us = 300000,
        .heartbeat_us = 50000,
        .disk_stall_us = 1000000,
        .segment_bytes = 32 * 1024,
        .log_cache_bytes = 8 * 1024,
        .entry_bytes_max = 4 * 1024,
        .fast_failover = true,
        .about = "version=simulated",
    };
    config->pid = id;
    config->members.count = count;
    for (int i = 0; i < count; i++) {
        struct member *member = &config->members.list[i];

        member->id = i + 1;
        snprintf(member->peer.host, sizeof member->peer.host, "node%d", i + 1);
        member->peer.port = 7100;
        if (member->id == id)
            config->listen = member->peer;
    }
}

/* ---- How a life begins ---- */

void life_enter(struct sim *sim, struct life *life)
{
    assert(sim->life == NULL);
    sim->life = life;
}

void life_leave(struct sim *sim)
{
    sim->life = NULL;
}

static struct life *life_begin(struct sim *sim, struct machine *machine, void (*main)(void *context))
{
    struct life *life = calloc(1, sizeof *life);

    assert(life != NULL && machine->life == NULL);
    life->machine = machine;
    life->number = ++sim->lives;
    life->clock_offset_us = sim_draw(sim, 1000000, 1000000000000);
    life->clock_drift = sim_draw(sim, -sim->clock_drift_max, sim->clock_drift_max + 1);
    life->resumed_us = sim->now_us;
    machine->life = life;
    machine->end_now = false;
    machine->disk.failed = machine->refused = false;
    check_life_began(machine);
    life->first = thread_spawn(sim, life, "main", main, life);
    sim_trace(sim, "life %llu begins on %d", (unsigned long long)life->number, machine->id);
    return life;
}

static void node_main(void *context)
{
    struct life *life = context;
    struct machine *machine = life->machine;

    if (the_sim->counting)
        client_start(life);
    if (the_sim->serving)
        serving_begin(life);
    life->node = node_new(&machine->config, machine->log);
    if (life->service != NULL)
        serving_start(life);
    machine->ended_err.class = NULL;
    machine->ended_well = node_run(life->node, &machine->ended_err);
    if (life->service != NULL)
        serving_stop(life);
    node_free(life->node);
    life->node = NULL;
    if (life->client_pile != NULL)
        client_stop(life);
    if (life->service != NULL)
        serving_end(life);
}

void sim_restart(struct sim *sim, raft_id id)
{
    struct machine *machine = sim_machine(sim, id);

    assert(machine->is_node);
    life_begin(sim, machine, node_main);
}

void sim_add_node(struct sim *sim, const struct node_config *config)
{
    struct machine *machine;

    sim_add_machine(sim, config->id);
    machine = sim_machine(sim, config->id);
    machine->config = *config;
    machine->is_node = true;
    sim_restart(sim, config->id);
}

void sim_add_cluster(struct sim *sim, int count)
{
    struct node_config config;

    for (raft_id id = 1; id <= count; id++) {
        sim_configure(&config, id, count);
        sim_add_node(sim, &config);
    }
}

/* ---- How a life ends ---- */

static void life_end(struct sim *sim, struct life *life, bool silently)
{
    struct machine *machine = life->machine;

    sim_trace(sim, "life %llu ends on %d", (unsigned long long)life->number, machine->id);
    network_life_ended(sim, life, silently);
    cables_life_ended(sim, life, silently);
    machine->life = NULL;
    life_forget(sim, life);
    disk_process_ended(machine);
    check_life_ended(machine);
    memset(machine->links, 0, sizeof machine->links);
    memset(machine->reached, 0, sizeof machine->reached);
}

/* It may, where its disk has failed it, or refuse one that has decayed. */
static void check_gave_up(struct machine *machine)
{
    machine->refused = machine->disk.decayed && error_is(&machine->ended_err, &DAMAGED_ERROR);
    if (!machine->disk.failed && !machine->disk.damaged && !machine->refused)
        sim_fail("node %d could not go on: %s", machine->id, machine->ended_err.message);
}

/* The first thread has returned. A thread that was abandoned (a scribe that is stuck in the disk) ends with its
 * process, and so does what it uses, also when it came back from the disk meanwhile; otherwise nothing may be left. */
static void life_ended_by_itself(struct sim *sim, struct life *life)
{
    if (life->threads != NULL && !life->threads->abandoned)
        sim_fail("machine %d ended and left its thread %s behind", life->machine->id, life->threads->name);
    if (!life->abandoned && memory_count(life) > 0)
        sim_fail("machine %d ended and left %zu blocks of memory behind", life->machine->id, memory_count(life));
    if (life->machine->is_node && !life->machine->ended_well)
        check_gave_up(life->machine);
    life_end(sim, life, false);
}

void sim_kill(struct sim *sim, raft_id id)
{
    life_end(sim, sim_machine(sim, id)->life, false);
}

void sim_power_cut(struct sim *sim, raft_id id)
{
    struct machine *machine = sim_machine(sim, id);

    if (machine->life != NULL)
        life_end(sim, machine->life, true);
    disk_power_cut(machine);
}

void sim_stop(struct sim *sim, raft_id id)
{
    struct machine *machine = sim_machine(sim, id);

    if (machine->life == NULL || machine->life->node == NULL)
        return; /* nobody is there yet to be told */
    sim_trace(sim, "stop %d", id);
    machine->ghost.stop_asked = true;
    life_enter(sim, machine->life);
    node_stop(machine->life->node);
    life_leave(sim);
}

void sim_pause(struct sim *sim, raft_id id)
{
    struct machine *machine = sim_machine(sim, id);

    sim_trace(sim, "pause %d", id);
    if (machine->life != NULL)
        machine->life->paused = true;
}

void sim_resume(struct sim *sim, raft_id id)
{
    struct life *life = sim_machine(sim, id)->life;
    struct event *event;

    if (life == NULL || !life->paused)
        return;
    sim_trace(sim, "resume %d", id);
    life->paused = false;
    life->resumed_us = sim->now_us;
    while ((event = events_take(&life->postponed_threads)) != NULL)
        event_schedule(sim, event, sim->now_us);
    network_resume(sim, life);
}

bool sim_lives(const struct sim *sim, raft_id id)
{
    return sim_machine(sim, id)->life != NULL;
}

bool sim_ended_well(const struct sim *sim, raft_id id, struct mailraft_error *err)
{
    const struct machine *machine = sim_machine(sim, id);

    if (err != NULL)
        *err = machine->ended_err;
    return machine->ended_well;
}

/* ---- Threads run ---- */

static void check_server(const struct life *life)
{
    const struct server *server = life->node != NULL ? node_server(life->node) : NULL;

    if (server == NULL)
        return;
    if (!server->stopping)
        server_check(server);
    check_ballot_step(life->machine, server);
    check_log_step(life->machine, server);
    if (the_sim->life_bytes_max > 0 && life->bytes > the_sim->life_bytes_max)
        sim_fail("%d takes %zu bytes of memory", life->machine->id, life->bytes);
}

static void thread_run(struct sim *sim, struct sim_thread *thread)
{
    life_enter(sim, thread->life);
    sim->thread = thread;
    coroutine_resume(thread->coroutine);
    sim->thread = NULL;
    life_leave(sim);
}

void thread_fire(struct event *event)
{
    struct sim_thread *thread = (struct sim_thread *)event;
    struct life *life = thread->life;
    struct machine *machine = life->machine;

    if (life->paused) {
        events_postpone(&life->postponed_threads, event);
        return;
    }
    thread_run(the_sim, thread);
    if (thread->ended && (thread == life->first || thread->abandoned))
        thread_reap(the_sim, thread);
    if (machine->end_now) {
        machine->end_now = false;
        if (machine->disk.end_how == SIM_POWER_CUT)
            sim_power_cut(the_sim, machine->id);
        else
            sim_kill(the_sim, machine->id);
    } else if (life->first == NULL) {
        life_ended_by_itself(the_sim, life);
    } else {
        check_server(life);
    }
}

/* ---- Functions of the test ---- */

static void function_main(void *context)
{
    struct life *life = context;

    life->function(life->context);
    life->machine->ended_well = true;
}

static bool has_no_life(struct sim *sim, void *machine)
{
    (void)sim;
    return ((struct machine *)machine)->life == NULL;
}

bool sim_run_on(struct sim *sim, raft_id id, void (*function)(void *context), void *context)
{
    struct machine *machine = sim_machine(sim, id);
    struct life *life = life_begin(sim, machine, function_main);

    life->function = function;
    life->context = context;
    machine->ended_well = false;
    if (!sim_run_until(sim, 3600000000, has_no_life, machine))
        sim_fail("the function on machine %d has not returned within an hour", id);
    return machine->ended_well;
}

/* ---- Looking at nodes ---- */

struct server *sim_server(struct sim *sim, raft_id id)
{
    const struct life *life = sim_machine(sim, id)->life;

    return life != NULL && life->node != NULL ? (struct server *)node_server(life->node) : NULL; // NOLINT
}

static int count_followers(struct sim *sim, const struct server *leader)
{
    int followers = 0;

    for (int i = 0; i < sim->machine_count; i++) {
        const struct server *server = sim_server(sim, sim->machines[i]->id);

        if (server != NULL && server->current_term == leader->current_term && server->leader_id == leader->config.id)
            followers++;
    }
    return followers;
}

raft_id sim_leader(struct sim *sim)
{
    const struct server *leader = NULL;
    int living = 0;

    for (int i = 0; i < sim->machine_count; i++) {
        const struct server *server = sim_server(sim, sim->machines[i]->id);

        if (server == NULL)
            continue;
        living++;
        if (server->role == LEADER && (leader == NULL || server->current_term > leader->current_term))
            leader = server;
    }
    return leader != NULL && 2 * count_followers(sim, leader) > living ? leader->config.id : NO_ONE;
}
