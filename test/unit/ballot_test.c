#include "check.h"

#include <signal.h>
#include <string.h>

#include "base/bytes.h"
#include "sim/sim.h"
#include "storage/ballot.h"

#define PATH         "/ballot"
#define RECORD_BYTES 40
#define SEEDS        5

static const struct ballot NONE = {.term = 0, .voted_for = NO_ONE};

/* What one life on the machine does with the file, and finds. */
struct life {
    bool makes, renews, copies; /* copies: the second slot follows each save, as it should */
    struct ballot saves[3];
    int save_count;

    bool good; /* nothing failed */
    struct mailraft_error err;
    struct ballot found;
    int damaged;
    int saved; /* how many saves had returned */
};

static bool same(struct ballot left, struct ballot right)
{
    return left.term == right.term && left.voted_for == right.voted_for;
}

static bool save_all(struct ballot_file *file, struct life *life)
{
    for (int i = 0; i < life->save_count; i++) {
        if (!ballot_save(file, life->saves[i], &life->err))
            return false;
        life->saved++;
        if (life->copies && !ballot_copy(file, &life->err))
            return false;
    }
    return true;
}

static void live(void *context)
{
    struct life *life = context;
    struct ballot_file file;
    if (life->makes && (!ballot_make(PATH, &life->err) || !disk_sync_folder("/", &life->err)))
        return;
    if (!ballot_open(&file, PATH, &life->err))
        return;
    life->found = file.ballot;
    life->damaged = file.damaged;
    life->good = (!life->renews || ballot_renew(&file, &life->err)) && save_all(&file, life);
    ballot_close(&file);
}

static struct sim *machine(uint64_t seed)
{
    struct sim *sim = sim_new(seed);
    sim_add_machine(sim, 1);
    return sim;
}

/* A machine on which a file was made, and then saved to as the life says. */
static struct sim *machine_with(struct life life)
{
    struct sim *sim = machine(0);
    life.makes = true;
    cr_assert(sim_run_on(sim, 1, live, &life));
    cr_assert(life.good, "%s", life.err.message);
    return sim;
}

static struct life look(struct sim *sim)
{
    struct life life = {0};
    cr_assert(sim_run_on(sim, 1, live, &life));
    return life;
}

static void expect_found(struct sim *sim, struct ballot ballot, int damaged)
{
    struct life life = look(sim);
    cr_assert(life.good, "%s", life.err.message);
    cr_assert(same(life.found, ballot));
    cr_assert_eq(life.damaged, damaged);
}

static void expect_refused(struct sim *sim, const char *message)
{
    struct life life = look(sim);
    cr_assert_not(life.good);
    cr_assert(error_is(&life.err, &DAMAGED_ERROR));
    cr_assert_not_null(strstr(life.err.message, PATH));
    cr_assert_not_null(strstr(life.err.message, message), "%s", life.err.message);
}

/* Lays a record into a slot, with the checksum that it should have. */
static void put_numbers(struct sim *sim, int slot, uint32_t version, uint64_t sequence, uint64_t term,
                        uint64_t voted_for)
{
    uint8_t bytes[RECORD_BYTES] = {'B', 'L', 'L', 'T'};
    bytes_put_u32(bytes + 4, version);
    bytes_put_u64(bytes + 8, sequence);
    bytes_put_u64(bytes + 16, term);
    bytes_put_u64(bytes + 24, voted_for);
    bytes_put_u64(bytes + 32, bytes_checksum(bytes, 32));
    sim_disk_put(sim, 1, PATH, (uint64_t)slot * BALLOT_SLOT_BYTES, bytes, sizeof bytes);
}

static void put_record(struct sim *sim, int slot, uint32_t version, uint64_t sequence, struct ballot ballot)
{
    put_numbers(sim, slot, version, sequence, ballot.term, (uint64_t)(int64_t)ballot.voted_for);
}

/* ---- Format ---- */

Test(ballot, a_new_file_holds_term_0_and_no_vote_in_both_slots)
{
    struct sim *sim = machine_with((struct life){0});
    uint8_t bytes[BALLOT_FILE_BYTES + 1];
    expect_found(sim, NONE, -1);
    cr_assert_eq(sim_disk_read(sim, 1, PATH, 0, bytes, sizeof bytes), BALLOT_FILE_BYTES);
    cr_assert_arr_eq(bytes, bytes + BALLOT_SLOT_BYTES, BALLOT_SLOT_BYTES);
    sim_free(sim);
}

Test(ballot, a_record_has_the_bytes_that_the_header_tells)
{
    static const uint8_t BYTES[32] = {
        'B',  'L',  'L',  'T',  1, 0, 0, 0, /* magic, version */
        2,    0,    0,    0,    0, 0, 0, 0, /* sequence number */
        8,    7,    6,    5,    4, 3, 2, 1, /* term */
        0x78, 0x56, 0x34, 0x12, 0, 0, 0, 0,
    };
    struct ballot ballot = {.term = 0x0102030405060708, .voted_for = 0x12345678};
    struct sim *sim = machine_with((struct life){.saves = {ballot}, .save_count = 1});
    uint8_t bytes[RECORD_BYTES];
    cr_assert_eq(sim_disk_read(sim, 1, PATH, 0, bytes, sizeof bytes), sizeof bytes);
    cr_assert_arr_eq(bytes, BYTES, sizeof BYTES);
    cr_assert_eq(bytes_get_u64(bytes + 32), bytes_checksum(BYTES, sizeof BYTES));
    sim_free(sim);
}

Test(ballot, what_is_saved_is_found_again)
{
    struct ballot first = {.term = 3, .voted_for = 2}, second = {.term = INT64_MAX - 1, .voted_for = INT32_MAX};
    struct sim *sim = machine_with((struct life){.copies = true, .saves = {first}, .save_count = 1});
    struct life more = {.copies = true, .saves = {second}, .save_count = 1};
    expect_found(sim, first, -1);
    cr_assert(sim_run_on(sim, 1, live, &more));
    expect_found(sim, second, -1);
    sim_free(sim);
}

Test(ballot, a_save_leaves_the_second_slot_to_the_copy)
{
    struct ballot ballot = {.term = 1, .voted_for = 1};
    struct life saves = {.saves = {ballot}, .save_count = 1};
    uint8_t before[RECORD_BYTES], after[RECORD_BYTES];
    struct sim *sim = machine_with((struct life){0});
    sim_disk_read(sim, 1, PATH, BALLOT_SLOT_BYTES, before, sizeof before);
    cr_assert(sim_run_on(sim, 1, live, &saves));
    sim_disk_read(sim, 1, PATH, BALLOT_SLOT_BYTES, after, sizeof after);
    cr_assert_arr_eq(before, after, sizeof before);
    expect_found(sim, ballot, -1); /* the newer of two sound slots */

    saves.copies = true; /* the same once more: harmless */
    cr_assert(sim_run_on(sim, 1, live, &saves));
    sim_disk_read(sim, 1, PATH, 0, before, sizeof before);
    sim_disk_read(sim, 1, PATH, BALLOT_SLOT_BYTES, after, sizeof after);
    cr_assert_arr_eq(before, after, sizeof before);
    sim_free(sim);
}

/* ---- Damage ---- */

Test(ballot, a_damaged_byte_anywhere_in_the_file_loses_nothing)
{
    struct ballot ballot = {.term = 7, .voted_for = 3};
    struct sim *sim = machine_with((struct life){.copies = true, .saves = {{1, 1}, ballot}, .save_count = 2});
    for (int offset = 0; offset < BALLOT_FILE_BYTES; offset++) {
        bool in_record = offset % BALLOT_SLOT_BYTES < RECORD_BYTES;
        sim_disk_flip(sim, 1, PATH, (uint64_t)offset);
        expect_found(sim, ballot, in_record ? offset / BALLOT_SLOT_BYTES : -1);
        sim_disk_flip(sim, 1, PATH, (uint64_t)offset);
    }
    sim_free(sim);
}

Test(ballot, with_both_slots_damaged_the_file_is_refused_and_left_as_it_is)
{
    struct sim *sim = machine_with((struct life){.copies = true, .saves = {{7, 3}}, .save_count = 1});
    uint8_t before[BALLOT_FILE_BYTES], after[BALLOT_FILE_BYTES];
    for (uint64_t at = 0; at < RECORD_BYTES; at++) {
        sim_disk_flip(sim, 1, PATH, at);
        sim_disk_flip(sim, 1, PATH, BALLOT_SLOT_BYTES + RECORD_BYTES - 1 - at);
        sim_disk_read(sim, 1, PATH, 0, before, sizeof before);
        expect_refused(sim, "damaged in both its slots");
        sim_disk_read(sim, 1, PATH, 0, after, sizeof after);
        cr_assert_arr_eq(before, after, sizeof before);
        sim_disk_flip(sim, 1, PATH, at);
        sim_disk_flip(sim, 1, PATH, BALLOT_SLOT_BYTES + RECORD_BYTES - 1 - at);
    }
    sim_free(sim);
}

static void shorten(void *context)
{
    const uint64_t *size = context;
    struct mailraft_error err;
    struct disk_file *file = disk_open(PATH, DISK_OPEN, &err);
    cr_assert_not_null(file);
    cr_assert(disk_truncate(file, *size, &err));
    disk_close(file);
}

Test(ballot, what_a_short_file_lacks_is_damaged)
{
    static const struct {
        uint64_t size;
        bool sound;
        int damaged;
    } CASES[] = {
        {4136, true, -1}, {4135, true, 1}, {4096, true, 1}, {40, true, 1}, {39, false, 0}, {0, false, 0},
    };
    struct ballot ballot = {.term = 7, .voted_for = 3};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct sim *sim = machine_with((struct life){.copies = true, .saves = {ballot}, .save_count = 1});
        uint64_t size = CASES[i].size;
        cr_assert(sim_run_on(sim, 1, shorten, &size));
        if (CASES[i].sound)
            expect_found(sim, ballot, CASES[i].damaged);
        else
            expect_refused(sim, "damaged in both its slots");
        sim_free(sim);
    }
}

Test(ballot, a_renewed_file_has_two_sound_slots_again)
{
    struct ballot ballot = {.term = 7, .voted_for = 3};
    for (uint64_t slot = 0; slot < 2; slot++) {
        struct life renews = {.renews = true};
        struct sim *sim = machine_with((struct life){.copies = true, .saves = {ballot}, .save_count = 1});
        sim_disk_flip(sim, 1, PATH, slot * BALLOT_SLOT_BYTES);
        cr_assert(sim_run_on(sim, 1, live, &renews));
        cr_assert(renews.good);
        cr_assert_eq(renews.damaged, (int)slot);
        expect_found(sim, ballot, -1);
        sim_disk_flip(sim, 1, PATH, (1 - slot) * BALLOT_SLOT_BYTES);
        expect_found(sim, ballot, (int)(1 - slot));
        sim_free(sim);
    }
}

static bool slots_are_equal(struct sim *sim)
{
    uint8_t first[RECORD_BYTES], second[RECORD_BYTES];
    sim_disk_read(sim, 1, PATH, 0, first, sizeof first);
    sim_disk_read(sim, 1, PATH, BALLOT_SLOT_BYTES, second, sizeof second);
    return memcmp(first, second, sizeof first) == 0;
}

Test(ballot, a_renewed_file_has_the_newest_save_in_both_slots)
{
    struct life renews = {.renews = true};
    struct sim *sim = machine_with((struct life){.saves = {{7, 3}}, .save_count = 1});
    cr_assert_not(slots_are_equal(sim));
    cr_assert(sim_run_on(sim, 1, live, &renews));
    cr_assert(slots_are_equal(sim));
    sim_free(sim);
}

/* Renewing writes a damaged slot first, so that the sound one is never at risk as long as it is the only one; otherwise
 * the first, as a save does. */
Test(ballot, the_only_sound_slot_is_renewed_last)
{
    enum { SYNC_OF_THE_FIRST_WRITE = 5 }; /* after an open, two reads and a write */
    for (int damaged = -1; damaged < 2; damaged++) {
        struct life renews = {.renews = true};
        struct sim *sim = machine_with((struct life){.saves = {{7, 3}}, .save_count = 1});
        if (damaged >= 0)
            sim_disk_flip(sim, 1, PATH, (uint64_t)damaged * BALLOT_SLOT_BYTES);
        sim_end_at_call(sim, 1, SYNC_OF_THE_FIRST_WRITE, SIM_PROCESS_DEATH);
        cr_assert_not(sim_run_on(sim, 1, live, &renews));
        cr_assert_eq(look(sim).damaged, -1);
        cr_assert_eq(slots_are_equal(sim), damaged >= 0, "slot %d was damaged", damaged);
        sim_free(sim);
    }
}

Test(ballot, a_record_of_a_newer_version_is_refused_and_not_taken_for_damage)
{
    for (int slot = 0; slot < 2; slot++) {
        struct sim *sim = machine_with((struct life){0});
        put_record(sim, slot, 2, 5, (struct ballot){.term = 4, .voted_for = 1});
        expect_refused(sim, "newer mailraft");
        sim_free(sim);
    }
}

Test(ballot, a_record_that_cannot_have_been_saved_is_damaged_though_its_checksum_fits)
{
    static const struct {
        uint32_t version;
        uint64_t sequence, term, voted_for;
    } CASES[] = {
        {0, 6, 5, 2},          {1, INT64_MAX, 5, 2}, {1, 6, INT64_MAX, 2},
        {1, 6, UINT64_MAX, 2}, {1, 6, 5, 0},         {1, 6, 5, (uint64_t)INT32_MAX + 1},
        {1, 6, 5, UINT64_MAX - 1}, {1, 6, 5, (UINT64_C(1) << 32) + 2},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct sim *sim = machine_with((struct life){0});
        put_record(sim, 1, 1, 5, (struct ballot){.term = 4, .voted_for = 1});
        put_numbers(sim, 0, CASES[i].version, CASES[i].sequence, CASES[i].term, CASES[i].voted_for);
        expect_found(sim, (struct ballot){.term = 4, .voted_for = 1}, 0);
        sim_free(sim);
    }
}

Test(ballot, slots_that_contradict_each_other_are_refused)
{
    struct sim *sim = machine_with((struct life){0});
    put_record(sim, 0, 1, 5, (struct ballot){.term = 4, .voted_for = 1}); /* two votes in one save */
    put_record(sim, 1, 1, 5, (struct ballot){.term = 4, .voted_for = 2});
    expect_refused(sim, "term 4 and term 4");
    put_record(sim, 0, 1, 6, (struct ballot){.term = 3, .voted_for = 1}); /* a term that went back */
    expect_refused(sim, "term 4 and term 3");
    put_record(sim, 0, 1, 6, (struct ballot){.term = 4, .voted_for = 1}); /* a vote that changed */
    expect_refused(sim, "term 4 and term 4");
    put_record(sim, 0, 1, 6, (struct ballot){.term = 4, .voted_for = NO_ONE}); /* or was taken back */
    expect_refused(sim, "term 4 and term 4");
    sim_free(sim);
}

Test(ballot, of_two_sound_slots_the_newer_counts_however_old_the_other_is)
{
    struct sim *sim = machine_with((struct life){0});
    put_record(sim, 1, 1, 5, (struct ballot){.term = 4, .voted_for = NO_ONE});
    put_record(sim, 0, 1, 6, (struct ballot){.term = 4, .voted_for = 2});
    expect_found(sim, (struct ballot){.term = 4, .voted_for = 2}, -1);
    put_record(sim, 0, 1, 9, (struct ballot){.term = 7, .voted_for = NO_ONE});
    expect_found(sim, (struct ballot){.term = 7, .voted_for = NO_ONE}, -1);
    sim_free(sim);
}

Test(ballot, a_missing_file_is_no_empty_one)
{
    struct sim *sim = machine(0);
    struct life life = look(sim);
    cr_assert_not(life.good);
    cr_assert(error_is(&life.err, &STORAGE_ERROR));
    cr_assert_not(sim_disk_exists(sim, 1, PATH));
    sim_free(sim);
}

/* ---- Promises ---- */

static void save_on_a_new_file(struct ballot first, struct ballot second)
{
    machine_with((struct life){.copies = true, .saves = {first, second}, .save_count = 2});
}

Test(ballot, a_term_that_goes_back_is_a_bug, .signal = SIGABRT)
{
    save_on_a_new_file((struct ballot){5, NO_ONE}, (struct ballot){4, NO_ONE});
}

Test(ballot, a_second_vote_in_a_term_is_a_bug, .signal = SIGABRT)
{
    save_on_a_new_file((struct ballot){5, 1}, (struct ballot){5, 2});
}

Test(ballot, a_vote_taken_back_is_a_bug, .signal = SIGABRT)
{
    save_on_a_new_file((struct ballot){5, 1}, (struct ballot){5, NO_ONE});
}

/* ---- Crashes ---- */

static const struct life VOTES = {
    .renews = true, .copies = true, .saves = {{1, NO_ONE}, {1, 2}, {4, 3}}, .save_count = 3};

/* What may be found after a life that ended early: what it had saved, or what it was just saving. */
static bool may_be_found(const struct life *life, struct ballot found)
{
    struct ballot saved = life->saved > 0 ? life->saves[life->saved - 1] : NONE;
    return same(found, saved) || (life->saved < life->save_count && same(found, life->saves[life->saved]));
}

/* The life ends at that call; the file is then read, renewed, and read again after a power cut. False where the life
 * makes fewer calls. */
static bool survives_end_at(uint64_t seed, uint64_t call, enum sim_end end)
{
    struct sim *sim = machine(seed);
    struct life makes = {.makes = true}, votes = VOTES, renews = {.renews = true};
    cr_assert(sim_run_on(sim, 1, live, &makes));
    sim_end_at_call(sim, 1, call, end);
    bool ended_early = !sim_run_on(sim, 1, live, &votes);
    if (ended_early) {
        cr_assert(sim_run_on(sim, 1, live, &renews));
        cr_assert(renews.good, "seed %d, call %d: %s", (int)seed, (int)call, renews.err.message);
        cr_assert(may_be_found(&votes, renews.found), "seed %d, call %d: term %d after %d saves", (int)seed, (int)call,
                  (int)renews.found.term, votes.saved);
        sim_power_cut(sim, 1);
        expect_found(sim, renews.found, -1);
    }
    sim_free(sim);
    return ended_early;
}

Test(ballot, a_crash_at_any_call_loses_no_save_that_has_returned, .timeout = 60)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        uint64_t calls = 0;
        while (survives_end_at(seed, calls + 1, SIM_PROCESS_DEATH) && survives_end_at(seed, calls + 1, SIM_POWER_CUT))
            calls++;
        cr_assert_geq(calls, 18, "open, two reads, close or not, and eight times a write and a sync");
    }
}
