/* Disks that decay: whoever starts with one refuses it, or has lost nothing; and no cluster gets more than it bears. */
#include "counting.h"

#include <signal.h>
#include <string.h>

#include "base/disk.h"
#include "sim/damage.h"
#include "storage/segment.h"

#define LOG_FILE SIM_DATA_DIR "/log/00000001.seg"

/* A follower of a cluster that has rested: the newest frame of its log is a witness. */
static struct machine *resting(struct sim *sim)
{
    struct machine *machine = counting_follower(sim);

    cr_assert(machine->ghost.log.frame_is_witness);
    sim_kill(sim, machine->id);
    return machine;
}

static bool starts(struct sim *sim, struct machine *machine)
{
    sim_restart(sim, machine->id);
    sim_run_us(sim, SECOND);
    return machine->life != NULL;
}

static void decay(struct machine *machine, const char *path, uint64_t offset)
{
    cr_assert(disk_flip_bit(&machine->disk, path, offset, 0));
    machine->disk.decayed = true;
}

Test(damage, every_flip_is_refused_or_has_hurt_nothing)
{
    int refused = 0, unhurt = 0;

    for (uint64_t seed = 0; seed < 40; seed++) {
        struct sim *sim = counting_cluster();
        struct machine *machine = resting(sim);

        sim->random = seed;
        while (!damage_flip(sim, machine))
            ;
        if (starts(sim, machine)) {
            unhurt++;
            cr_assert_not(machine->disk.decayed);
            cr_assert_eq(sim_counter(sim, machine->id)->value, 6);
        } else {
            refused++;
            cr_assert(machine->refused);
        }
        sim_free(sim);
    }
    cr_assert_gt(refused, 5);
    cr_assert_gt(unhurt, 5);
}

Test(damage, every_file_that_vanishes_is_missed_or_held_nothing)
{
    int refused = 0;

    for (uint64_t seed = 0; seed < 20; seed++) {
        struct sim *sim = counting_cluster();
        struct machine *machine = resting(sim);

        sim->random = seed;
        while (!damage_vanish(sim, machine))
            ;
        refused += !starts(sim, machine);
        cr_assert(machine->life != NULL || machine->refused);
        sim_free(sim);
    }
    cr_assert_gt(refused, 10);
}

Test(damage, nothing_flips_in_the_midst_of_a_start)
{
    struct sim *sim = counting_cluster();
    struct machine *machine = resting(sim);

    sim_restart(sim, machine->id);
    for (int i = 0; i < 20; i++)
        cr_assert_not(damage_flip(sim, machine));
    sim_run_us(sim, SECOND);
    while (!damage_flip(sim, machine))
        ;
    cr_assert(machine->disk.decayed);
    sim_free(sim);
}

Test(damage, what_is_behind_the_log_hurts_nothing)
{
    struct sim *sim = counting_cluster();
    struct machine *machine = resting(sim);

    decay(machine, LOG_FILE, machine->ghost.log.offset + 700);
    cr_assert(starts(sim, machine));
    sim_free(sim);
}

Test(damage, the_witness_may_be_lost)
{
    struct sim *sim = counting_cluster();
    struct machine *machine = resting(sim);

    decay(machine, LOG_FILE, machine->ghost.log.frame_offset);
    cr_assert(starts(sim, machine));
    sim_free(sim);
}

Test(damage, entries_may_not_be_lost)
{
    struct sim *sim = counting_cluster();
    struct machine *machine = resting(sim);

    decay(machine, LOG_FILE, machine->ghost.log.frame_offset - 512);
    cr_assert_not(starts(sim, machine));
    cr_assert(machine->refused);
    sim_free(sim);
}

/* The last frame and the witness behind it: that looks like a write in flight, and a node that starts has lost what was
 * durable. The checker knows. */
Test(damage, a_start_that_has_lost_entries_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct machine *machine = resting(sim);

    decay(machine, LOG_FILE, machine->ghost.log.frame_offset);
    decay(machine, LOG_FILE, machine->ghost.log.frame_offset - 512);
    starts(sim, machine);
}

Test(damage, a_refusal_for_another_reason_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct machine *machine = resting(sim);

    machine->disk.decayed = true;
    strcpy(machine->config.cluster_name, "another");
    starts(sim, machine);
}

Test(damage, no_more_than_a_minority_is_damaged)
{
    struct sim *sim = counting_cluster();
    struct machine *machine = resting(sim), *leader = counting_leader(sim);

    cr_assert(damage_can_be_borne(sim, machine));
    cr_assert(damage_can_be_borne(sim, leader));
    decay(machine, LOG_FILE, SEGMENT_DATA_OFFSET);
    cr_assert_not(damage_can_be_borne(sim, machine), "once is enough");
    cr_assert_not(damage_can_be_borne(sim, leader));
    sim_disk_empty(sim, machine->id);
    cr_assert_not(damage_can_be_borne(sim, leader), "a stranger is no better");
    machine->config.rejoin_empty = true;
    cr_assert(starts(sim, machine));
    cr_assert_eq(damage_count_strangers(sim), 0);
    cr_assert(damage_can_be_borne(sim, leader));
    sim_free(sim);
}

Test(damage, none_is_borne_before_the_birth)
{
    struct sim *sim = sim_new(1);

    sim_add_cluster(sim, 3);
    cr_assert_not(damage_can_be_borne(sim, sim_machine(sim, 1)));
    sim_free(sim);
}
