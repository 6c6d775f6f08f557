/* The simulated disk: what stays of what was written, for each way in which a life can end. */
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/disk.h"
#include "sim/world.h"

#define FOLDER  "/d"
#define FILE_A  "/d/a"
#define FILE_B  "/d/b"
#define SECTORS 8
#define SEEDS   200

static const struct sim *the_test_sim; /* for functions that run on a machine */

static struct sim *machine(uint64_t seed)
{
    struct sim *sim = sim_new(seed);

    sim_add_machine(sim, 1);
    the_test_sim = sim;
    return sim;
}

static void must(bool done, const struct mailraft_error *err)
{
    cr_assert(done, "%s", err->message);
}

/* Sectors full of '1', synced under a synced name; then of '2', not synced, and a further sector of '2'. */
static void write_over(void *context)
{
    struct mailraft_error err;
    struct disk_file *file;
    char bytes[(SECTORS + 1) * DISK_SECTOR];

    (void)context;
    must(disk_make_folder(FOLDER, &err), &err);
    must(disk_sync_folder("/", &err), &err);
    file = disk_open(FILE_A, DISK_CREATE, &err);
    must(file != NULL, &err);
    memset(bytes, '1', sizeof bytes);
    must(disk_write(file, 0, bytes, SECTORS * DISK_SECTOR, &err), &err);
    must(disk_sync(file, &err), &err);
    must(disk_sync_folder(FOLDER, &err), &err);
    memset(bytes, '2', sizeof bytes);
    must(disk_write(file, 0, bytes, sizeof bytes, &err), &err);
    disk_close(file);
}

/* How many sectors read '2'; each must be whole. */
static int count_new_sectors(struct sim *sim)
{
    char bytes[(SECTORS + 1) * DISK_SECTOR] = "";
    size_t size = sim_disk_read(sim, 1, FILE_A, 0, bytes, sizeof bytes);
    int new = 0;

    for (size_t sector = 0; sector < size / DISK_SECTOR; sector++) {
        const char *at = bytes + sector * DISK_SECTOR;

        for (size_t i = 1; i < DISK_SECTOR; i++)
            cr_assert_eq(at[i], at[0], "a sector is old or new, never both");
        new += at[0] == '2';
    }
    return new;
}

Test(sim_disk, what_was_written_outlives_the_process)
{
    struct sim *sim = machine(1);

    cr_assert(sim_run_on(sim, 1, write_over, NULL));
    cr_assert_eq(count_new_sectors(sim), SECTORS + 1);
    sim_free(sim);
}

Test(sim_disk, a_power_cut_leaves_each_unsynced_sector_old_or_new)
{
    int none = 0, some = 0, sizes[2] = {0, 0};

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct sim *sim = machine(seed);
        char last;
        int new;

        cr_assert(sim_run_on(sim, 1, write_over, NULL));
        sim_power_cut(sim, 1);
        new = count_new_sectors(sim);
        none += new == 0;
        some += new > 0 && new < SECTORS;
        sizes[sim_disk_read(sim, 1, FILE_A, SECTORS * DISK_SECTOR, &last, 1)]++;
        sim_free(sim);
    }
    cr_assert_lt(none, SEEDS / 10);
    cr_assert_gt(some, SEEDS / 2);
    cr_assert_gt(sizes[0], SEEDS / 4, "the size is old in some");
    cr_assert_gt(sizes[1], SEEDS / 4, "and new in others");
}

static void write_and_sync(void *context)
{
    struct mailraft_error err;
    struct disk_file *file = disk_open(FILE_A, DISK_OPEN, &err);
    char bytes[SECTORS * DISK_SECTOR];

    (void)context;
    must(file != NULL, &err);
    memset(bytes, '2', sizeof bytes);
    must(disk_write(file, 0, bytes, sizeof bytes, &err), &err);
    must(disk_sync(file, &err), &err);
    disk_close(file);
}

Test(sim_disk, what_was_synced_outlives_a_power_cut)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct sim *sim = machine(seed);

        cr_assert(sim_run_on(sim, 1, write_over, NULL));
        cr_assert(sim_run_on(sim, 1, write_and_sync, NULL));
        sim_power_cut(sim, 1);
        cr_assert_geq(count_new_sectors(sim), SECTORS);
        sim_free(sim);
    }
}

static void sync_that_fails_and_one_that_works(void *context)
{
    struct mailraft_error err;
    struct disk_file *file = disk_open(FILE_A, DISK_OPEN, &err);

    (void)context;
    must(file != NULL, &err);
    cr_assert_not(disk_sync(file, &err));
    cr_assert(error_is(&err, &STORAGE_ERROR));
    cr_assert_eq(err.os_errno, EIO);
    must(disk_sync(file, &err), &err);
    disk_close(file);
}

Test(sim_disk, what_a_failed_sync_gave_up_is_read_until_the_power_goes_whatever_is_synced_later)
{
    struct sim *sim = machine(1);

    cr_assert(sim_run_on(sim, 1, write_over, NULL));
    sim_disk_fail_sync(sim, 1);
    cr_assert(sim_run_on(sim, 1, sync_that_fails_and_one_that_works, NULL));
    cr_assert_eq(count_new_sectors(sim), SECTORS + 1);
    sim_power_cut(sim, 1);
    cr_assert_eq(count_new_sectors(sim), 0);
    sim_free(sim);
}

static void rename_unsynced(void *context)
{
    struct mailraft_error err;

    (void)context;
    must(disk_rename(FILE_A, FILE_B, &err), &err);
}

Test(sim_disk, a_power_cut_leaves_each_unsynced_name_old_or_new)
{
    int seen[2][2] = {{0}};

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct sim *sim = machine(seed);

        cr_assert(sim_run_on(sim, 1, write_over, NULL));
        cr_assert(sim_run_on(sim, 1, rename_unsynced, NULL));
        cr_assert_not(sim_disk_exists(sim, 1, FILE_A));
        cr_assert(sim_disk_exists(sim, 1, FILE_B));
        sim_power_cut(sim, 1);
        seen[sim_disk_exists(sim, 1, FILE_A)][sim_disk_exists(sim, 1, FILE_B)]++;
        sim_free(sim);
    }
    for (int i = 0; i < 4; i++)
        cr_assert_gt(seen[i / 2][i % 2], SEEDS / 10, "in any combination");
}

Test(sim_disk, a_write_in_which_the_process_dies_is_done_in_part)
{
    int part = 0;

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct sim *sim = machine(seed);
        int new;

        cr_assert(sim_run_on(sim, 1, write_over, NULL));
        sim_power_cut(sim, 1);
        new = count_new_sectors(sim);
        sim_end_at_call(sim, 1, 2, SIM_PROCESS_DEATH); /* open, write */
        cr_assert_not(sim_run_on(sim, 1, write_and_sync, NULL));
        cr_assert_geq(count_new_sectors(sim), new);
        part += count_new_sectors(sim) > new &&count_new_sectors(sim) < SECTORS;
        sim_free(sim);
    }
    cr_assert_gt(part, SEEDS / 4);
}

static void sync_twice(void *context)
{
    int64_t *took_us = context;
    struct mailraft_error err;
    struct disk_file *file = disk_open(FILE_A, DISK_OPEN, &err);
    int64_t began_us = sim_now_us(the_test_sim);

    must(file != NULL, &err);
    must(disk_sync(file, &err), &err);
    must(disk_sync(file, &err), &err);
    *took_us = sim_now_us(the_test_sim) - began_us;
    disk_close(file);
}

Test(sim_disk, a_sync_takes_the_time_that_the_test_says)
{
    struct sim *sim = machine(1);
    int64_t took_us = 0;

    cr_assert(sim_run_on(sim, 1, write_over, NULL));
    sim_disk_sync_us(sim, 1, 700, 700);
    cr_assert(sim_run_on(sim, 1, sync_twice, &took_us));
    cr_assert_eq(took_us, 1400);
    sim_free(sim);
}

static void list(void *context)
{
    struct mailraft_error err;
    struct disk_names *names = context;

    must(disk_list(FOLDER, names, &err), &err);
    cr_assert_eq(names->count, 1);
    cr_assert_str_eq(names->names[0], "a");
    disk_names_free(names);
}

Test(sim_disk, a_folder_lists_the_names_in_it)
{
    struct sim *sim = machine(1);
    struct disk_names names;

    cr_assert(sim_run_on(sim, 1, write_over, NULL));
    cr_assert(sim_run_on(sim, 1, list, &names));
    sim_free(sim);
}

static void fill(void *context)
{
    struct mailraft_error err;
    struct disk_file *file = disk_open(FILE_A, DISK_OPEN, &err);

    (void)context;
    must(file != NULL, &err);
    cr_assert_not(disk_write(file, 0, "x", 1, &err));
    cr_assert(error_is(&err, &FULL_ERROR));
    must(disk_write(file, 0, "x", 1, &err), &err);
    disk_close(file);
}

Test(sim_disk, a_write_to_a_full_disk_raises_full_error)
{
    struct sim *sim = machine(1);

    cr_assert(sim_run_on(sim, 1, write_over, NULL));
    sim_disk_fail_write(sim, 1, true);
    cr_assert(sim_run_on(sim, 1, fill, NULL));
    sim_free(sim);
}

Test(sim_disk, a_single_call_takes_longer)
{
    struct sim *sim = machine(1);
    int64_t took_us = 0;

    cr_assert(sim_run_on(sim, 1, write_over, NULL));
    sim_disk_sync_us(sim, 1, 700, 700);
    sim_disk_delay(sim, 1, 5000);
    cr_assert(sim_run_on(sim, 1, sync_twice, &took_us));
    cr_assert_eq(took_us, 1400, "it was not the sync, but the open before it");
    cr_assert_geq(sim_now_us(sim), 5000);
    sim_free(sim);
}

Test(sim_disk, a_mended_disk_does_what_it_is_told)
{
    struct sim *sim = machine(1);
    int64_t took_us = 0;

    cr_assert(sim_run_on(sim, 1, write_over, NULL));
    sim_end_at_call(sim, 1, 1, SIM_POWER_CUT);
    sim_disk_fail_sync(sim, 1);
    sim_disk_fail_write(sim, 1, false);
    sim_disk_fill(sim, 1, true);
    sim_disk_mend(sim, 1);
    cr_assert(sim_run_on(sim, 1, write_over, NULL));
    cr_assert(sim_run_on(sim, 1, sync_twice, &took_us));
    sim_free(sim);
}

Test(sim_disk, a_bit_that_flips_changes_what_is_read_and_what_lasts_and_nothing_else)
{
    struct sim *sim = machine(1);
    struct disk *disk = &sim_machine(sim, 1)->disk;
    char bytes[SECTORS * DISK_SECTOR];

    cr_assert(sim_run_on(sim, 1, write_over, NULL));
    cr_assert(disk_flip_bit(disk, FILE_A, 1000, 3));
    sim_disk_read(sim, 1, FILE_A, 0, bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        cr_assert_eq(bytes[i], i == 1000 ? '2' ^ 8 : '2');
    disk_peek(disk, FILE_A, true, 0, bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        cr_assert_eq(bytes[i], i == 1000 ? '1' ^ 8 : '1', "what was not synced is not synced by that");
    cr_assert_not(disk_flip_bit(disk, FILE_A, SECTORS * DISK_SECTOR, 0), "there is no such byte for good");
    cr_assert_not(disk_flip_bit(disk, FILE_B, 0, 0));
    sim_free(sim);
}
