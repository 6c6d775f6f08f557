#include "sim/faults.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "sim/damage.h"

#define FLAPPING_MAX  (MEMBERS_MAX * (MEMBERS_MAX - 1)) /* ways */
#define START_CALLS   100                               /* of the disk, that a start takes at most, more or less */
#define STARTS_TO_END 5                                 /* in a row */

struct repair { /* of a machine that is down, paused or hanging */
    struct event event;
    struct faults *faults;
    struct machine *machine;
    int starts_to_end; /* so many of its next starts end early */
};

struct flapping {
    struct event event;
    struct faults *faults;
    struct {
        raft_id from, to;
    } ways[FLAPPING_MAX];
    int count;
    bool cut; /* now */
    int64_t pace_us, end_us;
};

struct faults {
    struct event next;
    struct event heal;
    struct flapping flapping;
    struct sim *sim;
    const struct plan *plan;
    struct faults_config config;
    bool on[FAULT_COUNT];
    double every; /* timeouts between two, at most */
    struct faults_count count;
    struct repair repairs[MEMBERS_MAX];
};

#define LENGTH(array) ((int64_t)(sizeof(array) / sizeof *(array)))

static int64_t draw_times(struct faults *faults, double min, double max) /* of the timeout */
{
    double timeout_us = (double)faults->config.timeout_us;

    return sim_draw(faults->sim, (int64_t)(min * timeout_us), (int64_t)(max * timeout_us));
}

/* ---- Repair ---- */

static void repair_after(struct faults *faults, const struct machine *machine, double min, double max)
{
    event_schedule(faults->sim, &faults->repairs[machine->position].event,
                   faults->sim->now_us + draw_times(faults, min, max));
}

/* Soon, where nothing is to be repaired but a start that has failed. */
static void repair_later(struct faults *faults, const struct machine *machine)
{
    if (faults->repairs[machine->position].starts_to_end > 0)
        repair_after(faults, machine, 0.02, 0.5);
    else
        repair_after(faults, machine, 0.05, 4);
}

/* Two draws, one after the other: within one call it would be up to the compiler which comes first. */
static void end_in_call(struct sim *sim, const struct machine *machine, int64_t calls_max)
{
    enum sim_end how = sim_flip_coin() ? SIM_POWER_CUT : SIM_PROCESS_DEATH;

    sim_end_at_call(sim, machine->id, (uint64_t)sim_draw(sim, 1, calls_max), how);
}

/* What an operator does, as the message says that refuses a damaged folder. */
static void begin_anew(struct sim *sim, struct machine *machine)
{
    sim_disk_empty(sim, machine->id);
    machine->config.rejoin_empty = true;
}

static void start(struct faults *faults, struct machine *machine)
{
    struct repair *repair = &faults->repairs[machine->position];

    if (machine->refused)
        begin_anew(faults->sim, machine);
    sim_restart(faults->sim, machine->id);
    if (repair->starts_to_end == 0)
        return;
    repair->starts_to_end--;
    end_in_call(faults->sim, machine, START_CALLS);
    repair_later(faults, machine);
}

static void repair_fire(struct event *event)
{
    struct repair *repair = (struct repair *)event;
    struct machine *machine = repair->machine;
    struct sim *sim = repair->faults->sim;

    sim_disk_fill(sim, machine->id, false);
    sim_disk_sync_us(sim, machine->id, 50, repair->faults->config.sync_max_us[machine->position]);
    if (machine->disk.hangs) {
        if (machine->life != NULL && sim_flip_coin())
            sim_kill(sim, machine->id);
        sim_disk_hang(sim, machine->id, false);
    }
    if (machine->life == NULL)
        start(repair->faults, machine);
    else
        sim_resume(sim, machine->id);
}

static void heal_later(struct faults *faults)
{
    event_schedule(faults->sim, &faults->heal, faults->sim->now_us + draw_times(faults, 0.1, 8));
}

static void heal_fire(struct event *event)
{
    (void)event;
    sim_heal(the_sim);
}

/* ---- What goes wrong with the network ---- */

/* Leaders are hit as often as all others together: most of what can go wrong has to do with them. */
static struct machine *draw_victim(struct sim *sim)
{
    if (sim_flip_coin())
        for (int i = 0; i < sim->machine_count; i++)
            if (sim->machines[i]->ghost.leads)
                return sim->machines[i];
    return sim->machines[sim_draw(sim, 0, sim->machine_count)];
}

static void cut_randomly(struct sim *sim, double share)
{
    for (int i = 0; i < sim->machine_count; i++)
        for (int j = 0; j < sim->machine_count; j++)
            if (i != j && sim_chance(sim, share))
                sim_cut(sim, sim->machines[i]->id, sim->machines[j]->id);
}

/* Two halves. bridge: whom both still reach; NULL: nobody. */
static void part(struct sim *sim, const struct machine *bridge)
{
    bool side[MEMBERS_MAX];

    for (int i = 0; i < sim->machine_count; i++)
        side[i] = sim_flip_coin();
    for (int i = 0; i < sim->machine_count; i++)
        for (int j = 0; j < sim->machine_count; j++)
            if (side[i] != side[j] && sim->machines[i] != bridge && sim->machines[j] != bridge)
                sim_cut(sim, sim->machines[i]->id, sim->machines[j]->id);
}

static void draw_order(struct sim *sim, const struct machine *order[MEMBERS_MAX])
{
    for (int i = 0; i < sim->machine_count; i++) {
        int64_t place = sim_draw(sim, 0, i + 1);

        order[i] = order[place];
        order[place] = sim->machines[i];
    }
}

/* Each reaches its neighbours alone; in a chain, the first and the last are no neighbours. */
static void make_ring(struct sim *sim)
{
    const struct machine *order[MEMBERS_MAX];
    bool chain = sim_flip_coin() || sim->machine_count == 3;
    int count = sim->machine_count;

    draw_order(sim, order);
    for (int i = 0; i < count; i++)
        for (int j = 0; j < count; j++) {
            int apart = i < j ? j - i : i - j;

            if (apart > 1 && (chain || apart < count - 1))
                sim_cut(sim, order[i]->id, order[j]->id);
        }
}

static void break_randomly(struct sim *sim, raft_id id)
{
    for (int i = 0; i < sim->machine_count; i++)
        for (int channel = 0; channel < CHANNELS; channel++)
            if (sim_flip_coin())
                sim_break_channel(sim, id, sim->machines[i]->id, (enum channel)channel);
}

static void straggle_randomly(struct faults *faults, raft_id id)
{
    struct sim *sim = faults->sim;

    for (int i = 0; i < sim->machine_count; i++)
        for (int channel = 0; channel < CHANNELS; channel++)
            if (sim_flip_coin())
                sim_straggle(sim, id, sim->machines[i]->id, (enum channel)channel, draw_times(faults, 0, 2));
}

/* ---- Ways that are cut again and again ---- */

static void flap_again(struct flapping *flapping)
{
    int64_t pace_us = sim_draw(flapping->faults->sim, flapping->pace_us / 2, 2 * flapping->pace_us);

    event_schedule(flapping->faults->sim, &flapping->event, flapping->faults->sim->now_us + pace_us);
}

static void flap_fire(struct event *event)
{
    struct flapping *flapping = (struct flapping *)event;
    struct sim *sim = flapping->faults->sim;

    flapping->cut = !flapping->cut && sim->now_us < flapping->end_us;
    for (int i = 0; i < flapping->count; i++)
        if (flapping->cut)
            sim_cut(sim, flapping->ways[i].from, flapping->ways[i].to);
        else
            sim_heal_way(sim, flapping->ways[i].from, flapping->ways[i].to);
    if (sim->now_us < flapping->end_us)
        flap_again(flapping);
}

static void add_flapping(struct flapping *flapping, const struct machine *from, const struct machine *to)
{
    flapping->ways[flapping->count].from = from->id;
    flapping->ways[flapping->count++].to = to->id;
}

/* Some ways from and to one machine; in half of the cases, both ways of each. */
static bool flap(struct faults *faults, const struct machine *victim)
{
    struct flapping *flapping = &faults->flapping;
    struct sim *sim = faults->sim;
    bool both = sim_flip_coin();

    if (flapping->event.place != 0)
        return false;
    flapping->pace_us = draw_times(faults, 0.02, 1);
    flapping->end_us = sim->now_us + draw_times(faults, 1, 8);
    flapping->count = 0;
    flapping->cut = false;
    for (int i = 0; i < sim->machine_count; i++) {
        bool out = sim_flip_coin(), in = sim_flip_coin();

        if (sim->machines[i] == victim)
            continue;
        if (out)
            add_flapping(flapping, victim, sim->machines[i]);
        if (both ? out : in)
            add_flapping(flapping, sim->machines[i], victim);
    }
    flap_again(flapping);
    return flapping->count > 0;
}

/* ---- What goes wrong with machines ---- */

static void kill_or_cut(struct sim *sim, const struct machine *machine)
{
    if (sim_flip_coin())
        sim_kill(sim, machine->id);
    else
        sim_power_cut(sim, machine->id);
}

static bool empty_folder(struct sim *sim, struct machine *machine)
{
    bool rejoin_empty = sim_flip_coin();

    if (machine->life == NULL || !damage_can_be_borne(sim, machine))
        return false;
    sim_kill(sim, machine->id);
    sim_disk_empty(sim, machine->id);
    machine->config.rejoin_empty = rejoin_empty;
    return true;
}

/* Of one that lives on, or that finds it when it starts next. */
static bool damage(struct sim *sim, enum fault fault, struct machine *machine)
{
    bool at_rest = fault == VANISH || sim_chance(sim, 0.7), ends = at_rest && machine->life != NULL;

    if (!damage_can_be_borne(sim, machine))
        return false;
    if (ends)
        kill_or_cut(sim, machine);
    return (fault == FLIP ? damage_flip(sim, machine) : damage_vanish(sim, machine)) || ends;
}

static bool end_at_start(struct faults *faults, const struct machine *machine)
{
    faults->repairs[machine->position].starts_to_end = (int)sim_draw(faults->sim, 1, STARTS_TO_END + 1);
    kill_or_cut(faults->sim, machine);
    return true;
}

static void to_living(struct faults *faults, enum fault fault, struct machine *machine)
{
    struct sim *sim = faults->sim;

    switch (fault) {
    case KILL:
        sim_kill(sim, machine->id);
        break;
    case END_IN_CALL:
        end_in_call(sim, machine, 50);
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
        sim_disk_sync_us(sim, machine->id, faults->config.timeout_us / 20, faults->config.timeout_us);
        break;
    case SLOW_CALL:
        sim_disk_delay(sim, machine->id, draw_times(faults, 0.05, 3));
        break;
    case PAUSE:
        sim_pause(sim, machine->id);
        break;
    default:
        sim_stop(sim, machine->id);
        break;
    }
}

static bool do_to_machine(struct faults *faults, enum fault fault, struct machine *machine)
{
    bool done = true;

    if (fault == FLIP || fault == VANISH)
        done = damage(faults->sim, fault, machine);
    else if (fault == POWER_CUT)
        sim_power_cut(faults->sim, machine->id);
    else if (machine->life == NULL)
        return false;
    else if (fault == EMPTY)
        done = empty_folder(faults->sim, machine);
    else if (fault == END_AT_START)
        done = end_at_start(faults, machine);
    else
        to_living(faults, fault, machine);
    if (fault == PAUSE && sim_chance(faults->sim, 0.2))
        repair_after(faults, machine, 4, 20); /* by when all others have long gone on without it */
    else
        repair_later(faults, machine);
    return done;
}

static bool cut_all(struct faults *faults)
{
    for (int i = 0; i < faults->sim->machine_count; i++)
        do_to_machine(faults, POWER_CUT, faults->sim->machines[i]);
    return true;
}

/* ---- One fault after the other ---- */

static bool do_to_ways(struct faults *faults, enum fault fault, const struct machine *victim)
{
    struct sim *sim = faults->sim;

    switch (fault) {
    case ISOLATE:
        sim_isolate(sim, victim->id);
        break;
    case PARTITION:
        part(sim, NULL);
        break;
    case BRIDGE:
        part(sim, victim);
        break;
    case RING:
        make_ring(sim);
        break;
    default:
        cut_randomly(sim, 0.3);
        break;
    }
    heal_later(faults);
    return sim->machine_count > 1;
}

static bool hang_up(const struct faults *faults)
{
    if (faults->config.users != NULL)
        users_break(faults->config.users);
    return faults->config.users != NULL;
}

/* False: nothing has come of it. */
static bool do_fault(struct faults *faults, enum fault fault)
{
    struct machine *victim = draw_victim(faults->sim);

    sim_trace(faults->sim, "fault #%llu %s (%d)", (unsigned long long)faults->count.number, FAULT_NAMES[fault],
              victim->id);
    switch (fault) {
    case POWER_CUT_OF_ALL:
        return cut_all(faults);
    case ISOLATE:
    case PARTITION:
    case BRIDGE:
    case RING:
    case ONE_WAY:
        return do_to_ways(faults, fault, victim);
    case FLAP:
        return flap(faults, victim);
    case BREAK:
        break_randomly(faults->sim, victim->id);
        return true;
    case STRAGGLE:
        straggle_randomly(faults, victim->id);
        return true;
    case HANG_UP:
        return hang_up(faults);
    default:
        return do_to_machine(faults, fault, victim);
    }
}

static uint64_t begin_stream(uint64_t seed, uint64_t number)
{
    uint8_t bytes[16];

    bytes_put_u64(bytes, seed);
    bytes_put_u64(bytes + 8, number);
    return bytes_checksum(bytes, sizeof bytes);
}

static void fault_fire(struct event *event)
{
    struct faults *faults = (struct faults *)event;
    struct sim *sim = faults->sim;
    uint64_t random = sim->random;
    enum fault fault;

    sim->random = begin_stream(sim->seed, ++faults->count.number);
    event_schedule(sim, event, sim->now_us + draw_times(faults, 0, faults->every));
    fault = (enum fault)sim_draw(sim, 0, FAULT_EVENTS);
    if (faults->on[fault] && plan_has(faults->plan, fault, faults->count.number))
        faults->count.done += do_fault(faults, fault);
    sim->random = random;
    for (int i = 0; i < sim->machine_count; i++) /* those that ended by themselves */
        if (sim->machines[i]->life == NULL && faults->repairs[i].event.place == 0)
            repair_later(faults, sim->machines[i]);
}

/* ---- The beginning and the end ---- */

struct faults *faults_new(struct sim *sim, const struct plan *plan)
{
    struct faults *faults = calloc(1, sizeof *faults);

    assert(faults != NULL);
    faults->sim = sim;
    faults->plan = plan;
    for (int i = 0; i < FAULT_COUNT; i++)
        faults->on[i] = sim_flip_coin() && !plan->without_kind[i];
    faults->every = (double)sim_draw(sim, 20, 300) / 100;
    faults->next.fire = fault_fire;
    faults->heal.fire = heal_fire;
    faults->flapping.event.fire = flap_fire;
    faults->flapping.faults = faults;
    return faults;
}

void faults_free(struct faults *faults)
{
    free(faults);
}

bool faults_include(const struct faults *faults, enum fault fault)
{
    return faults->on[fault];
}

int64_t faults_next_us(const struct faults *faults)
{
    return faults->next.due_us;
}

/* What a first start leaves half made is made again. */
static void end_first_lives(struct faults *faults)
{
    for (int i = 0; i < faults->sim->machine_count; i++)
        if (sim_flip_coin() && faults->on[END_IN_CALL])
            end_in_call(faults->sim, faults->sim->machines[i], 50);
}

void faults_begin(struct faults *faults, const struct faults_config *config)
{
    struct sim *sim = faults->sim;

    faults->config = *config;
    for (int i = 0; i < sim->machine_count; i++)
        faults->repairs[i] = (struct repair){{.fire = repair_fire}, faults, sim->machines[i], 0};
    end_first_lives(faults);
    event_schedule(sim, &faults->next, draw_times(faults, 0, 4));
}

void faults_end(struct faults *faults)
{
    event_cancel(faults->sim, &faults->next);
    event_cancel(faults->sim, &faults->heal);
    event_cancel(faults->sim, &faults->flapping.event);
    sim_heal(faults->sim);
}

/* Its folder is lost, and it was not told that it may come back without it. */
static bool must_rejoin(const struct machine *machine)
{
    return machine->disk.decayed || (machine->ghost.emptied && !machine->config.rejoin_empty);
}

void faults_mend(struct faults *faults, struct machine *machine)
{
    struct sim *sim = faults->sim;

    event_cancel(sim, &faults->repairs[machine->position].event);
    faults->repairs[machine->position].starts_to_end = 0;
    sim_disk_mend(sim, machine->id);
    if (machine->life != NULL && (machine->ghost.stop_asked || machine->disk.failed || must_rejoin(machine)))
        sim_kill(sim, machine->id); /* it is about to end, or has to begin anew */
    if (machine->disk.decayed)
        begin_anew(sim, machine);
    machine->config.rejoin_empty = machine->ghost.emptied;
    sim_disk_hang(sim, machine->id, false);
    sim_resume(sim, machine->id);
    if (machine->life == NULL)
        sim_restart(sim, machine->id);
}

struct faults_count faults_count(const struct faults *faults)
{
    return faults->count;
}

void faults_trace(const struct faults *faults)
{
    char on[400] = "";

    for (int i = 0; i < FAULT_COUNT; i++)
        if (faults->on[i])
            strcat(strcat(on, " "), FAULT_NAMES[i]);
    sim_trace(faults->sim, "a fault within %.2f timeouts:%s", faults->every, on);
}
