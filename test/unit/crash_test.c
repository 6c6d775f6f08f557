/* The scribe and its helper end in the midst of their work, and start again: at every single call of the disk, by the
 * death of their process and by a power cut, in their work and in the start itself. What they had answered must be
 * there, in the order in which it was asked for; and nothing must be there that nobody asked for. */
#include "check.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "sim/sim.h"
#include "storage/log_reader.h"
#include "storage/scribe.h"

#define SEGMENT_BYTES (16u * 1024) /* half of it is header: a file holds but a few frames */
#define ENTRY_BYTES   2000
#define STEPS_MAX     40
#define LOG_MAX       400
#define REST_US       30000 /* long enough for a witness */
#define SEEDS         CHECK_MANY(10)

/* ---- What is asked for ---- */

enum step_kind { SAVE_BALLOT, SAVE_ENTRIES, SAVE_UUID, AWAIT, REST };

struct step {
    enum step_kind kind;
    raft_term term;
    raft_id voted_for;
    raft_index first;
    raft_index last;
    size_t bytes; /* of each entry */
};

/* Terms change, batches of 1 to 8 entries fill four files, some entries are replaced, in the present file and in one
 * before it; some wait for each other and some are asked for at once. */
static const struct step SCRIPT[] = {
    {SAVE_BALLOT, .term = 1, .voted_for = NO_ONE},
    {SAVE_BALLOT, .term = 1, .voted_for = 1},
    {SAVE_ENTRIES, .term = 1, .first = 1, .last = 1, .bytes = 100},
    {.kind = AWAIT},
    {SAVE_ENTRIES, .term = 1, .first = 2, .last = 9, .bytes = 70},
    {SAVE_ENTRIES, .term = 1, .first = 10, .last = 12, .bytes = 500},
    {SAVE_ENTRIES, .term = 1, .first = 13, .last = 13, .bytes = 600},
    {.kind = SAVE_UUID},
    {.kind = AWAIT},
    {.kind = REST},
    {SAVE_BALLOT, .term = 3, .voted_for = 2},
    {SAVE_ENTRIES, .term = 3, .first = 11, .last = 14, .bytes = 400},
    {SAVE_ENTRIES, .term = 3, .first = 15, .last = 22, .bytes = 700},
    {SAVE_ENTRIES, .term = 3, .first = 23, .last = 23, .bytes = ENTRY_BYTES},
    {.kind = AWAIT},
    {SAVE_ENTRIES, .term = 3, .first = 24, .last = 24, .bytes = 41},
    {SAVE_ENTRIES, .term = 4, .first = 24, .last = 24, .bytes = 41},
    {SAVE_BALLOT, .term = 5, .voted_for = NO_ONE},
    {SAVE_ENTRIES, .term = 5, .first = 25, .last = 32, .bytes = 900},
    {.kind = AWAIT},
    {SAVE_ENTRIES, .term = 5, .first = 33, .last = 33, .bytes = 300},
    {.kind = AWAIT},
    {SAVE_BALLOT, .term = 6, .voted_for = 3},
    {SAVE_ENTRIES, .term = 6, .first = 18, .last = 19, .bytes = 1200},
    {.kind = AWAIT},
    {.kind = REST},
    {SAVE_ENTRIES, .term = 6, .first = 20, .last = 27, .bytes = 150},
    {SAVE_ENTRIES, .term = 6, .first = 28, .last = 30, .bytes = ENTRY_BYTES},
};

/* ---- A life ---- */

/* What a start finds. */
struct found {
    bool opened;
    struct data_id data_id;
    struct ballot ballot;
    struct cluster_uuid uuid;
    raft_index last;
    uint64_t checksums[LOG_MAX]; /* by index */
};

struct life {
    struct sim *sim;
    unsigned generation; /* so that no two lives ask for the same entries */
    const struct step *steps;
    size_t step_count;
    void (*before_step)(struct sim *sim); /* the test's doing, before step trouble_at; NULL: none */
    size_t trouble_at;

    /* Written as it goes, so that it tells also what a life had heard that ended early. */
    struct found found;
    size_t asked; /* steps that have begun */
    uint64_t entries_asked, entries_told, ballots_asked, ballots_told;
    raft_index last_asked, last_told; /* of the entries of the last letter */
    bool uuid_told;
    int warnings;
    struct mailraft_error failure; /* class: NULL: none */
};

static const struct cluster_uuid UUID = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

static struct entry *make_entry(const struct life *life, const struct step *step, raft_index index)
{
    uint8_t payload[ENTRY_BYTES] = {0};
    payload[0] = (uint8_t)(step - life->steps + 1);
    memset(payload + 1, (int)life->generation + 1, step->bytes - ENTRY_HEAD_BYTES - 1);
    return entry_new(ENTRY_COMMAND, step->term, index, (int64_t)index, payload, step->bytes - ENTRY_HEAD_BYTES);
}

static struct batch *make_batch(const struct life *life, const struct step *step)
{
    struct batch *batch = batch_new();
    for (raft_index index = step->first; index <= step->last; index++)
        batch_add(batch, make_entry(life, step, index));
    return batch;
}

/* The log, as terms, catalog and the newest entries (here: all of them) tell it. */
static void note_log(struct found *found, const struct storage_opened *opened)
{
    found->last = opened->terms.last_index;
    cr_assert_lt(found->last, LOG_MAX);
    cr_assert_eq(opened->tail == NULL ? 0 : opened->tail->count, found->last);
    for (raft_index index = 1; index <= found->last; index++) {
        const struct entry *entry = opened->tail->list[index - 1];
        cr_assert_eq(entry->index, index);
        cr_assert_eq(terms_at(&opened->terms, index), entry->term);
        cr_assert_not_null(catalog_find(&opened->catalog, index));
        found->checksums[index] = entry_checksum(entry);
    }
}

/* What the catalog says of the disk is so. */
static void read_by_catalog(const struct found *found, const struct catalog *catalog)
{
    struct mailraft_error err;
    struct pile *pile = pile_new();
    struct log_reader *reader = log_reader_start(SIM_DATA_DIR, pile, &err);
    int64_t now_us;
    for (size_t i = 0; i < catalog->count; i++) {
        const struct run *run = &catalog->list[i];
        log_reader_read(reader, i, run, SIZE_MAX);
        struct letter *letter = pile_take(pile, LANE_INNER, CLOCK_NEVER, &now_us);
        cr_assert_eq(letter->kind, LETTER_ENTRIES_READ);
        cr_assert_eq(letter->entries->count, run->last - run->first + 1);
        for (size_t j = 0; j < letter->entries->count; j++)
            cr_assert_eq(entry_checksum(letter->entries->list[j]), found->checksums[run->first + j]);
        letter_free(letter);
    }
    log_reader_close(reader);
    letter_free(pile_take(pile, LANE_CONTROL, CLOCK_NEVER, &now_us));
    log_reader_join(reader);
    pile_free(pile);
}

static void note_opened(struct life *life, const struct storage_opened *opened)
{
    struct found *found = &life->found;
    found->opened = true;
    found->data_id = opened->data_id;
    found->ballot = opened->ballot;
    found->uuid = opened->cluster_uuid;
    note_log(found, opened);
    if (life->step_count == 0)
        read_by_catalog(found, &opened->catalog);
    life->last_asked = life->last_told = found->last;
}

static void note(struct life *life, const struct letter *letter)
{
    switch (letter->kind) {
    case LETTER_STORAGE_OPENED:
        note_opened(life, letter->opened);
        break;
    case LETTER_BALLOT_SAVED:
        cr_assert_eq(letter->number, life->ballots_told + 1);
        life->ballots_told = letter->number;
        break;
    case LETTER_ENTRIES_SAVED:
        cr_assert_geq(letter->number, life->entries_told);
        cr_assert_leq(letter->number, life->entries_asked);
        life->entries_told = letter->number;
        life->last_told = letter->place.last;
        break;
    case LETTER_UUID_SAVED:
        life->uuid_told = true;
        break;
    case LETTER_STORAGE_WARNED:
        life->warnings++;
        break;
    case LETTER_STORAGE_FAILED:
        life->failure = *letter->error;
        break;
    default: /* LETTER_SCRIBE_ENDED */
        break;
    }
}

/* Takes one letter; false when none came until the deadline. */
static bool hear(struct life *life, struct pile *pile, int64_t deadline_us, enum letter_kind *kind)
{
    int64_t now_us;
    struct letter *letter = pile_take(pile, LANE_CONTROL, deadline_us, &now_us);
    if (letter == NULL)
        return false;
    *kind = letter->kind;
    note(life, letter);
    letter_free(letter);
    return true;
}

static bool is_all_told(const struct life *life)
{
    return life->entries_told == life->entries_asked && life->last_told == life->last_asked &&
           life->ballots_told == life->ballots_asked;
}

static void take_step(struct life *life, struct scribe *scribe, struct pile *pile, const struct step *step)
{
    enum letter_kind kind;
    int64_t rested_us = clock_now_us() + REST_US;
    switch (step->kind) {
    case SAVE_BALLOT:
        scribe_save_ballot(scribe, ++life->ballots_asked, (struct ballot){step->term, step->voted_for});
        break;
    case SAVE_ENTRIES:
        life->last_asked = step->last;
        scribe_save_entries(scribe, ++life->entries_asked, make_batch(life, step));
        break;
    case SAVE_UUID:
        scribe_save_uuid(scribe, &UUID);
        break;
    case AWAIT:
        while (life->failure.class == NULL && !is_all_told(life))
            hear(life, pile, CLOCK_NEVER, &kind);
        break;
    case REST:
        while (hear(life, pile, rested_us, &kind))
            ;
        break;
    }
}

static void live(void *context)
{
    struct life *life = context;
    struct mailraft_error err;
    enum letter_kind kind = LETTER_STOP;
    struct scribe_config *config = memory_new(sizeof *config);
    struct pile *pile = pile_new();
    *config = (struct scribe_config){.data_dir = SIM_DATA_DIR,
                                     .id = 1,
                                     .cluster_name = "orders",
                                     .segment_bytes = SEGMENT_BYTES,
                                     .entry_bytes_max = ENTRY_BYTES,
                                     .cache_bytes = 1024 * 1024};
    struct scribe *scribe = scribe_start(config, pile, &err);
    memory_free(config);
    hear(life, pile, CLOCK_NEVER, &kind);
    while (life->failure.class == NULL && life->asked < life->step_count) {
        const struct step *step = &life->steps[life->asked++];
        if (life->before_step != NULL && life->asked == life->trouble_at)
            life->before_step(life->sim);
        take_step(life, scribe, pile, step);
    }
    scribe_close(scribe);
    while (kind != LETTER_SCRIBE_ENDED)
        hear(life, pile, CLOCK_NEVER, &kind);
    scribe_join(scribe);
    pile_free(pile);
}

static struct sim *machine(uint64_t seed)
{
    struct sim *sim = sim_new(seed);
    sim_add_machine(sim, 1);
    return sim;
}

static struct life life_of(struct sim *sim, const struct step *steps, size_t step_count)
{
    return (struct life){
        .sim = sim, .steps = steps, .step_count = step_count, .found = {.ballot = {.term = 0, .voted_for = NO_ONE}}};
}

static struct life life_of_script(struct sim *sim)
{
    return life_of(sim, SCRIPT, sizeof SCRIPT / sizeof *SCRIPT);
}

/* ---- What may be found ---- */

static bool same_ballot(struct ballot left, struct ballot right)
{
    return left.term == right.term && left.voted_for == right.voted_for;
}

/* The ballot that was answered last, or one that was asked for after it. */
static bool may_find_ballot(const struct life *life, struct ballot found)
{
    struct ballot ballot = life->found.ballot;
    uint64_t number = 0;
    if (life->ballots_told == 0 && same_ballot(found, ballot))
        return true;
    for (size_t i = 0; i < life->asked; i++)
        if (life->steps[i].kind == SAVE_BALLOT) {
            ballot = (struct ballot){life->steps[i].term, life->steps[i].voted_for};
            if (++number >= life->ballots_told && same_ballot(found, ballot))
                return true;
        }
    return false;
}

static bool may_find_uuid(const struct life *life, const struct cluster_uuid *found)
{
    bool asked = false;
    for (size_t i = 0; i < life->asked; i++)
        asked = asked || life->steps[i].kind == SAVE_UUID;
    if (asked && memcmp(found, &UUID, sizeof UUID) == 0)
        return true;
    return !life->uuid_told && memcmp(found, &life->found.uuid, sizeof *found) == 0;
}

static bool same_log(const uint64_t *checksums, raft_index last, const struct found *found)
{
    return last == found->last && memcmp(checksums + 1, found->checksums + 1, last * sizeof *checksums) == 0;
}

/* The log as the letter that was answered last left it, or one that was asked for after it; of the last one as many of
 * its first entries as there may be, but those that were answered. */
static bool may_find_log(const struct life *life, const struct found *found)
{
    uint64_t checksums[LOG_MAX], number = 0;
    memcpy(checksums, life->found.checksums, sizeof checksums);
    if (life->entries_told == 0 && same_log(checksums, life->found.last, found))
        return true;
    for (size_t i = 0; i < life->asked; i++) {
        const struct step *step = &life->steps[i];
        if (step->kind != SAVE_ENTRIES)
            continue;
        number++;
        for (raft_index index = step->first; index <= step->last; index++) {
            struct entry *entry = make_entry(life, step, index);
            bool may_be_last =
                number > life->entries_told || (number == life->entries_told && index >= life->last_told);
            checksums[index] = entry_checksum(entry);
            entry_drop(entry);
            if (may_be_last && same_log(checksums, index, found))
                return true;
        }
    }
    return false;
}

static struct found start(struct sim *sim, const char *when)
{
    struct life looks = life_of(sim, NULL, 0);
    cr_assert(sim_run_on(sim, 1, live, &looks));
    cr_assert(looks.found.opened, "%s: %s", when, looks.failure.message);
    cr_assert_null(looks.failure.class, "%s: %s", when, looks.failure.message);
    return looks.found;
}

/* What the next start finds fits what the life had been answered, and the one after that finds the same, whatever
 * comes. */
static struct found expect_kept(const struct life *life, const char *when)
{
    struct found first = start(life->sim, when);
    cr_assert(may_find_log(life, &first), "%s: the last of %d entries is none that may be there; %d@%d was answered",
              when, (int)first.last, (int)life->last_told, (int)life->entries_told);
    cr_assert(may_find_ballot(life, first.ballot), "%s: term %d after %d answers", when, (int)first.ballot.term,
              (int)life->ballots_told);
    cr_assert(may_find_uuid(life, &first.uuid), "%s", when);
    if (life->found.opened)
        cr_assert_arr_eq(&first.data_id, &life->found.data_id, sizeof first.data_id, "%s", when);
    sim_power_cut(life->sim, 1);
    struct found second = start(life->sim, when);
    cr_assert(same_log(first.checksums, first.last, &second), "%s: %d entries became %d", when, (int)first.last,
              (int)second.last);
    cr_assert(same_ballot(first.ballot, second.ballot), "%s", when);
    cr_assert_arr_eq(&first.uuid, &second.uuid, sizeof first.uuid, "%s", when);
    cr_assert_arr_eq(&first.data_id, &second.data_id, sizeof first.data_id, "%s", when);
    return second;
}

/* ---- Without trouble ---- */

Test(crash, the_script_fills_several_files_and_all_of_it_is_found_again, .timeout = 60)
{
    struct sim *sim = machine(0);
    struct life life = life_of_script(sim);
    cr_assert(sim_run_on(sim, 1, live, &life));
    cr_assert_null(life.failure.class, "%s", life.failure.message);
    cr_assert(is_all_told(&life));
    cr_assert(life.uuid_told);
    cr_assert(sim_disk_exists(sim, 1, SIM_DATA_DIR "/log/00000004.seg"));
    struct found found = expect_kept(&life, "at the end");
    cr_assert_eq(found.last, 30);
    cr_assert(same_ballot(found.ballot, (struct ballot){6, 3}));
    sim_free(sim);
}

/* ---- An end at any call ---- */

static const char *describe(uint64_t seed, enum sim_end end, uint64_t call, uint64_t call_of_start)
{
    static char text[100];
    snprintf(text, sizeof text, "seed %d, %s at call %d, then at call %d of the start", (int)seed,
             end == SIM_POWER_CUT ? "power cut" : "process death", (int)call, (int)call_of_start);
    return text;
}

/* The script ends in that call. False where it makes fewer. */
static bool survives_end_at(uint64_t seed, enum sim_end end, uint64_t call)
{
    struct sim *sim = machine(seed);
    struct life life = life_of_script(sim);
    sim_end_at_call(sim, 1, call, end);
    bool ended_early = !sim_run_on(sim, 1, live, &life);
    if (ended_early)
        expect_kept(&life, describe(seed, end, call, 0));
    sim_free(sim);
    return ended_early;
}

static void survives_any_end(enum sim_end end)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        uint64_t calls = 0;
        while (survives_end_at(seed, end, calls + 1))
            calls++;
        cr_assert_geq(calls, 150);
    }
}

Test(crash, what_was_answered_outlasts_the_process_at_every_call, .timeout = 300)
{
    survives_any_end(SIM_PROCESS_DEATH);
}

Test(crash, what_was_answered_outlasts_a_power_cut_at_every_call, .timeout = 300)
{
    survives_any_end(SIM_POWER_CUT);
}

/* The script ends in one call, and the start after it in another; each of the two may be the death of the process
 * or a power cut. False where the start makes fewer. */
static bool survives_end_of_start(uint64_t seed, enum sim_end end, uint64_t call, uint64_t call_of_start)
{
    struct sim *sim = machine(seed);
    struct life life = life_of_script(sim), starts = life_of(sim, NULL, 0);
    sim_end_at_call(sim, 1, call, (enum sim_end)(seed % 2));
    bool ended_early = !sim_run_on(sim, 1, live, &life);
    sim_end_at_call(sim, 1, call_of_start, end);
    ended_early = ended_early && !sim_run_on(sim, 1, live, &starts);
    if (ended_early) {
        expect_kept(&life, describe(seed, end, call, call_of_start));
        if (starts.found.opened) /* it had spoken: from then on it counts */
            expect_kept(&starts, describe(seed, end, call, call_of_start));
    }
    sim_free(sim);
    return ended_early;
}

static void survives_any_end_of_start(enum sim_end end)
{
    for (uint64_t call = 3; survives_end_of_start(call, end, call, 1); call += 3 * CHECK_STRIDE) {
        uint64_t calls = 1;
        while (survives_end_of_start(call, end, call, calls + 1))
            calls++;
        cr_assert_geq(calls, 30);
    }
}

Test(crash, a_start_after_a_crash_may_end_at_every_call, .timeout = 300)
{
    survives_any_end_of_start(SIM_PROCESS_DEATH);
    survives_any_end_of_start(SIM_POWER_CUT);
}

/* ---- One life after the other ---- */

static uint64_t draw(struct sim *sim, uint64_t low, uint64_t high)
{
    return low + sim_random(sim) % (high - low + 1);
}

static struct step draw_entries(struct sim *sim, raft_index *last, raft_term term)
{
    struct step step = {SAVE_ENTRIES, .term = term, .first = *last + 1};
    if (*last > 0 && draw(sim, 0, 3) == 0)
        step.first = draw(sim, *last > 20 ? *last - 20 : 1, *last);
    step.last = step.first + draw(sim, 0, 7);
    step.bytes = draw(sim, 0, 5) == 0 ? ENTRY_BYTES : draw(sim, ENTRY_HEAD_BYTES + 1, 300);
    *last = step.last;
    return step;
}

static struct step draw_step(struct sim *sim, raft_index *last, raft_term *term)
{
    uint64_t which = draw(sim, 0, 9);
    if (which == 0)
        return (struct step){SAVE_BALLOT, .term = ++*term, .voted_for = (raft_id)draw(sim, 1, 3)};
    if (which == 1)
        return (struct step){.kind = SAVE_UUID};
    if (which < 5)
        return (struct step){.kind = which == 2 ? REST : AWAIT};
    return draw_entries(sim, last, *term);
}

/* A life goes on where the last one was found to have got to, and does something else. */
static struct life draw_life(struct sim *sim, const struct found *found, struct step *steps, unsigned generation)
{
    raft_index last = found->last;
    raft_term term = found->ballot.term + 1;
    steps[0] = (struct step){SAVE_BALLOT, .term = term, .voted_for = 1};
    for (size_t i = 1; i < STEPS_MAX; i++)
        steps[i] = draw_step(sim, &last, &term);
    struct life life = life_of(sim, steps, STEPS_MAX);
    life.generation = generation;
    return life;
}

Test(crash, a_log_survives_one_crash_after_the_other, .timeout = 300)
{
    for (uint64_t seed = 0; seed < CHECK_MANY(100); seed++) {
        struct sim *sim = machine(seed);
        struct found found = start(sim, "at first");
        for (unsigned generation = 0; generation < 5 && found.last < LOG_MAX - 8 * STEPS_MAX; generation++) {
            struct step steps[STEPS_MAX];
            struct life life = draw_life(sim, &found, steps, generation);
            enum sim_end end = draw(sim, 0, 1) == 0 ? SIM_PROCESS_DEATH : SIM_POWER_CUT;
            uint64_t call = draw(sim, 1, 250);
            sim_end_at_call(sim, 1, call, end);
            if (sim_run_on(sim, 1, live, &life)) /* it made fewer calls */
                cr_assert_null(life.failure.class, "%s", life.failure.message);
            sim_end_at_call(sim, 1, UINT32_MAX, end); /* not in the next one */
            life.found = life.found.opened ? life.found : found;
            found = expect_kept(&life, describe(seed, end, call, generation));
        }
        sim_free(sim);
    }
}

/* ---- A disk that fails ---- */

static void fill_disk(struct sim *sim)
{
    sim_disk_fail_write(sim, 1, true);
}

static void fail_sync(struct sim *sim)
{
    sim_disk_fail_sync(sim, 1);
}

/* Trouble before each step. Where it hits the making of a file ahead, it passes with a warning; where it does not, the
 * work ends. What was answered before is there in any case. */
static void survives_trouble(void (*trouble)(struct sim *), const struct mailraft_error_class *class)
{
    int failures = 0;
    for (size_t at = 1; at <= sizeof SCRIPT / sizeof *SCRIPT; at++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            struct sim *sim = machine(seed);
            struct life life = life_of_script(sim);
            life.before_step = trouble;
            life.trouble_at = at;
            cr_assert(sim_run_on(sim, 1, live, &life));
            if (life.failure.class != NULL) {
                cr_assert_eq(life.failure.class, class, "%s", life.failure.message);
                failures++;
            }
            cr_assert(life.failure.class != NULL || life.warnings == 1, "step %d: nothing was told", (int)at);
            if (seed % 2 == 0) /* or the next start reads what no sync has made durable */
                sim_power_cut(sim, 1);
            expect_kept(&life, "after a failure");
            sim_free(sim);
        }
    cr_assert_geq(failures, 5 * SEEDS);
}

Test(crash, a_full_disk_ends_the_work_and_loses_nothing_that_was_answered, .timeout = 120)
{
    survives_trouble(fill_disk, &FULL_ERROR);
}

Test(crash, a_failed_sync_ends_the_work_and_loses_nothing_that_was_answered, .timeout = 120)
{
    survives_trouble(fail_sync, &STORAGE_ERROR);
}
