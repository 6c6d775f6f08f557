#include "check.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "sim/sim.h"
#include "storage/scribe.h"

#define BALLOT      SIM_DATA_DIR "/ballot"
#define BALLOT_SLOT 4096
#define LETTERS_MAX 20
#define SEEDS       5

/* What one life on the machine asks of its scribe, and hears from it. Written as it goes, so that it tells also what a
 * life had heard that ended early. */
struct life {
    raft_id id;
    struct ballot asks[4];
    int ask_count;
    bool one_by_one;                     /* the next is asked for when the last one was answered */
    void (*before_asking)(struct sim *); /* the test's doing when STORAGE_OPENED came */
    void (*after_answer)(struct sim *);  /* and when the first BALLOT_SAVED came: the second slot is not written yet */
    struct sim *sim;
    int64_t patience_us; /* when to give up waiting for a letter, and abandon the scribe; 0: never */

    struct letter heard[LETTERS_MAX];
    struct storage_opened found; /* what STORAGE_OPENED told, without what it owned */
    struct mailraft_error failure; /* what the failed one among them points to */
    int heard_count;
    struct ballot opened; /* as STORAGE_OPENED told it */
    int saved_count;
    bool abandoned;
};

static struct life life_of(int ask_count)
{
    return (struct life){.id = 1, .asks = {{1, NO_ONE}, {1, 2}, {4, 3}, {5, NO_ONE}}, .ask_count = ask_count};
}

static void ask(struct scribe *scribe, const struct life *life, int from, int upto)
{
    for (int i = from; i < upto && i < life->ask_count; i++)
        scribe_save_ballot(scribe, (uint64_t)i + 1, life->asks[i]);
}

/* Whether nothing more is to be asked for or answered. */
static bool answer(struct scribe *scribe, struct life *life, enum letter_kind kind)
{
    switch (kind) {
    case LETTER_STORAGE_OPENED:
        life->opened = life->found.ballot;
        if (life->before_asking != NULL)
            life->before_asking(life->sim);
        ask(scribe, life, 0, life->one_by_one ? 1 : life->ask_count);
        return life->ask_count == 0;
    case LETTER_BALLOT_SAVED:
        if (life->saved_count++ == 0 && life->after_answer != NULL)
            life->after_answer(life->sim);
        if (life->one_by_one)
            ask(scribe, life, life->saved_count, life->saved_count + 1);
        return life->saved_count == life->ask_count;
    case LETTER_STORAGE_FAILED:
        ask(scribe, life, 0, life->ask_count); /* thrown away */
        return true;
    default:
        return false;
    }
}

static void hear(struct scribe *scribe, struct pile *pile, struct life *life)
{
    enum letter_kind kind = LETTER_STOP;
    while (kind != LETTER_SCRIBE_ENDED) {
        int64_t now_us, deadline_us = life->patience_us > 0 ? clock_now_us() + life->patience_us : CLOCK_NEVER;
        struct letter *letter = pile_take(pile, LANE_CONTROL, deadline_us, &now_us);
        if (letter == NULL) {
            life->abandoned = true;
            return;
        }
        life->heard[life->heard_count] = *letter;
        if (letter->kind == LETTER_STORAGE_OPENED)
            life->found = *letter->opened;
        if (letter->kind == LETTER_STORAGE_FAILED) {
            life->failure = *letter->error;
            life->heard[life->heard_count].error = &life->failure;
        }
        life->heard_count++;
        kind = letter->kind;
        letter_free(letter);
        if (answer(scribe, life, kind))
            scribe_close(scribe);
    }
}

static void live(void *context)
{
    struct life *life = context;
    struct mailraft_error err;
    struct scribe_config *config = memory_new(sizeof *config);
    struct pile *pile = pile_new();
    *config = (struct scribe_config){.data_dir = SIM_DATA_DIR, .id = life->id, .cluster_name = "orders", .pid = 4711};
    struct scribe *scribe = scribe_start(config, pile, &err);
    memory_free(config);
    hear(scribe, pile, life);
    if (life->abandoned) {
        scribe_close(scribe);
        scribe_abandon(scribe);
        return; /* it may still use the pile */
    }
    scribe_join(scribe);
    pile_free(pile);
}

static struct sim *machine(uint64_t seed)
{
    struct sim *sim = sim_new(seed);
    sim_add_machine(sim, 1);
    return sim;
}

static void run(struct sim *sim, struct life *life)
{
    life->sim = sim;
    cr_assert(sim_run_on(sim, 1, live, life));
}

/* The kinds of all letters that came, a word each. */
static void expect_heard(const struct life *life, const char *expected)
{
    static const char *const WORDS[] = {[LETTER_STORAGE_OPENED] = "opened",
                                        [LETTER_BALLOT_SAVED] = "saved",
                                        [LETTER_STORAGE_FAILED] = "failed",
                                        [LETTER_SCRIBE_ENDED] = "ended"};
    char text[200] = "";
    for (int i = 0; i < life->heard_count; i++) {
        size_t length = strlen(text);
        snprintf(text + length, sizeof text - length, "%s%s", i > 0 ? " " : "", WORDS[life->heard[i].kind]);
    }
    cr_assert_str_eq(text, expected);
}

static const struct letter *first_of(const struct life *life, enum letter_kind kind)
{
    for (int i = 0; i < life->heard_count; i++)
        if (life->heard[i].kind == kind)
            return &life->heard[i];
    cr_assert_fail("no such letter came");
    return NULL;
}

static bool same(struct ballot left, struct ballot right)
{
    return left.term == right.term && left.voted_for == right.voted_for;
}

/* ---- Letters ---- */

Test(scribe, it_tells_what_it_opened_and_then_ends_when_it_is_closed)
{
    struct sim *sim = machine(0);
    struct life life = life_of(0);
    static const struct data_id NONE;
    run(sim, &life);
    expect_heard(&life, "opened ended");
    cr_assert_eq(life.opened.term, 0);
    cr_assert_eq(life.opened.voted_for, NO_ONE);
    cr_assert_geq(life.found.sync_us, 100); /* as long as a sync takes here */
    cr_assert(life.found.made);
    cr_assert_eq(life.found.damaged, -1);
    cr_assert(memcmp(&life.found.data_id, &NONE, sizeof NONE) != 0);
    sim_free(sim);
}

Test(scribe, it_answers_each_save_in_order)
{
    struct sim *sim = machine(0);
    struct life life = life_of(4);
    run(sim, &life);
    expect_heard(&life, "opened saved saved saved saved ended");
    for (int i = 0; i < 4; i++) {
        const struct letter *saved = &life.heard[1 + i];
        cr_assert_eq(saved->number, (uint64_t)i + 1);
        cr_assert(same(saved->ballot, life.asks[i]));
        cr_assert_geq(saved->took_us, 100);
    }
    sim_free(sim);
}

Test(scribe, the_next_life_finds_what_was_saved_and_the_same_data_id)
{
    struct sim *sim = machine(0);
    struct life saves = life_of(3), looks = life_of(0);
    run(sim, &saves);
    sim_power_cut(sim, 1);
    run(sim, &looks);
    cr_assert(same(looks.opened, saves.asks[2]));
    cr_assert_not(looks.found.made);
    cr_assert_arr_eq(&looks.found.data_id, &saves.found.data_id, sizeof(struct data_id));
    sim_free(sim);
}

Test(scribe, once_it_has_ended_any_one_slot_is_enough)
{
    for (uint64_t slot = 0; slot < 2; slot++) {
        struct sim *sim = machine(0);
        struct life saves = life_of(3), looks = life_of(0);
        run(sim, &saves);
        sim_disk_flip(sim, 1, BALLOT, slot * BALLOT_SLOT + 18);
        run(sim, &looks);
        cr_assert(same(looks.opened, saves.asks[2]));
        cr_assert_eq(looks.found.damaged, (int)slot);
        sim_free(sim);
    }
}

/* ---- Failures ---- */

Test(scribe, a_folder_that_is_refused_is_told_and_nothing_else_is_done)
{
    struct sim *sim = machine(0);
    struct life owner = life_of(0), other = life_of(3), looks = life_of(0);
    run(sim, &owner);
    other.id = 2;
    run(sim, &other);
    expect_heard(&other, "failed ended");
    cr_assert(error_is(other.heard[0].error, &LOCKED_ERROR), "%s", other.heard[0].error->message);
    run(sim, &looks);
    cr_assert_eq(looks.opened.term, 0);
    sim_free(sim);
}

Test(scribe, a_damaged_ballot_is_told_by_its_name)
{
    struct sim *sim = machine(0);
    struct life saves = life_of(3), looks = life_of(0);
    run(sim, &saves);
    sim_disk_flip(sim, 1, BALLOT, 18);
    sim_disk_flip(sim, 1, BALLOT, BALLOT_SLOT + 18);
    run(sim, &looks);
    expect_heard(&looks, "failed ended");
    cr_assert(error_is(looks.heard[0].error, &DAMAGED_ERROR));
    cr_assert_not_null(strstr(looks.heard[0].error->message, BALLOT), "%s", looks.heard[0].error->message);
    sim_free(sim);
}

static void fail_sync(struct sim *sim)
{
    sim_disk_fail_sync(sim, 1);
}

static void fail_write(struct sim *sim)
{
    sim_disk_fail_write(sim, 1, false);
}

static void fill_disk(struct sim *sim)
{
    sim_disk_fail_write(sim, 1, true);
}

static void expect_failed_save(void (*trouble)(struct sim *), const struct mailraft_error_class *class)
{
    struct sim *sim = machine(0);
    struct life fails = life_of(3), looks = life_of(0);
    fails.before_asking = trouble;
    run(sim, &fails);
    expect_heard(&fails, "opened failed ended"); /* the two saves behind it, and those asked for later, are lost */
    const struct letter *failed = first_of(&fails, LETTER_STORAGE_FAILED);
    cr_assert_eq(failed->error->class, class);
    cr_assert_not_null(strstr(failed->error->message, BALLOT), "%s", failed->error->message);
    run(sim, &looks);
    cr_assert_leq(looks.opened.term, 1);
    sim_free(sim);
}

Test(scribe, after_a_failed_sync_nothing_is_answered_any_more)
{
    expect_failed_save(fail_sync, &STORAGE_ERROR);
}

Test(scribe, after_a_failed_write_nothing_is_answered_any_more)
{
    expect_failed_save(fail_write, &STORAGE_ERROR);
}

Test(scribe, a_full_disk_is_told_as_such)
{
    expect_failed_save(fill_disk, &FULL_ERROR);
}

Test(scribe, a_failed_sync_of_the_second_slot_comes_after_the_answer_and_ends_the_work)
{
    struct sim *sim = machine(0);
    struct life fails = life_of(3), looks = life_of(0);
    fails.after_answer = fail_sync;
    run(sim, &fails);
    expect_heard(&fails, "opened saved failed ended");
    sim_power_cut(sim, 1);
    run(sim, &looks);
    cr_assert(same(looks.opened, fails.asks[0]));
    sim_free(sim);
}

Test(scribe, a_failed_sync_while_opening_is_told)
{
    struct sim *sim = machine(0);
    struct life fails = life_of(0), looks = life_of(0);
    sim_disk_fail_sync(sim, 1);
    run(sim, &fails);
    expect_heard(&fails, "failed ended");
    cr_assert_eq(fails.heard[0].error->class, &STORAGE_ERROR);
    run(sim, &looks);
    expect_heard(&looks, "opened ended");
    sim_free(sim);
}

/* ---- A disk that hangs ---- */

static void hang(struct sim *sim)
{
    sim_disk_hang(sim, 1, true);
}

Test(scribe, while_the_disk_hangs_nothing_is_answered_and_it_can_be_left_alone)
{
    struct sim *sim = machine(0);
    struct life stuck = life_of(2);
    stuck.before_asking = hang;
    stuck.patience_us = 1000000;
    run(sim, &stuck);
    expect_heard(&stuck, "opened");
    cr_assert(stuck.abandoned);

    struct life looks = life_of(0);
    sim_disk_hang(sim, 1, false);
    sim_power_cut(sim, 1);
    run(sim, &looks);
    cr_assert_leq(looks.opened.term, 1);
    sim_free(sim);
}

Test(scribe, it_can_be_left_alone_while_opening_hangs)
{
    struct sim *sim = machine(0);
    struct life stuck = life_of(0);
    stuck.patience_us = 1000000;
    sim_disk_hang(sim, 1, true);
    run(sim, &stuck);
    cr_assert(stuck.abandoned);
    expect_heard(&stuck, "");
    sim_free(sim);
}

/* ---- Crashes ---- */

/* Whether a ballot is what was answered last, or one that was asked for after it. */
static bool may_be_found(const struct life *life, struct ballot found)
{
    for (int i = life->saved_count; i <= life->ask_count; i++)
        if (same(found, i == 0 ? (struct ballot){0, NO_ONE} : life->asks[i - 1]))
            return true;
    return false;
}

/* What the next life is told fits what this one was answered, and then holds, whatever comes. */
static void expect_kept(struct sim *sim, const struct life *life, uint64_t seed, uint64_t call)
{
    struct life first = life_of(0), second = life_of(0);
    run(sim, &first);
    cr_assert(first.heard[0].kind == LETTER_STORAGE_OPENED, "seed %d, call %d: %s", (int)seed, (int)call,
              first.heard[0].error->message);
    cr_assert(may_be_found(life, first.opened), "seed %d, call %d: term %d after %d answers", (int)seed, (int)call,
              (int)first.opened.term, life->saved_count);
    if (life->heard_count > 0)
        cr_assert_arr_eq(&first.found.data_id, &life->found.data_id, sizeof(struct data_id));
    sim_power_cut(sim, 1);
    run(sim, &second);
    cr_assert(same(first.opened, second.opened), "seed %d, call %d", (int)seed, (int)call);
    cr_assert_arr_eq(&first.found.data_id, &second.found.data_id, sizeof(struct data_id));
}

/* The life ends in that call. False where it makes fewer calls. */
static bool survives_end_at(uint64_t seed, uint64_t call, enum sim_end end, bool one_by_one)
{
    struct sim *sim = machine(seed);
    struct life life = life_of(4);
    life.one_by_one = one_by_one;
    life.sim = sim;
    sim_end_at_call(sim, 1, call, end);
    bool ended_early = !sim_run_on(sim, 1, live, &life);
    if (ended_early)
        expect_kept(sim, &life, seed, call);
    sim_free(sim);
    return ended_early;
}

static void survives_any_end(enum sim_end end, bool one_by_one)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        uint64_t calls = 0;
        while (survives_end_at(seed, calls + 1, end, one_by_one))
            calls++;
        cr_assert_geq(calls, 36);
    }
}

Test(scribe, what_was_answered_outlasts_the_process, .timeout = 60)
{
    survives_any_end(SIM_PROCESS_DEATH, true);
    survives_any_end(SIM_PROCESS_DEATH, false);
}

Test(scribe, what_was_answered_outlasts_a_power_cut, .timeout = 60)
{
    survives_any_end(SIM_POWER_CUT, true);
    survives_any_end(SIM_POWER_CUT, false);
}
