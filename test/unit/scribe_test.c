#include "check.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "sim/sim.h"
#include "storage/scribe.h"
#include "storage/segment.h"

#define BALLOT        SIM_DATA_DIR "/ballot"
#define BALLOT_SLOT   4096
#define LETTERS_MAX   20
#define SEEDS         5
#define SEGMENT_BYTES (16u * 1024) /* half of it is for frames */
#define ENTRY_BYTES   2000
#define CACHE_BYTES   (16u * 1024)
#define HELPER_US     10000 /* in which the helper has made a file, and no witness is written yet */
#define WITNESS_US    (SCRIBE_WITNESS_US + HELPER_US)

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
    struct storage_opened found;   /* what STORAGE_OPENED told, without what it owned */
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

/* So that the test's doing concerns the scribe alone. */
static void let_helper_finish(struct pile *pile)
{
    int64_t now_us;
    cr_assert_null(pile_take(pile, LANE_CONTROL, clock_now_us() + HELPER_US, &now_us));
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
        if (kind == LETTER_STORAGE_OPENED && (life->before_asking != NULL || life->after_answer != NULL))
            let_helper_finish(pile);
        letter_free(letter);
        if (answer(scribe, life, kind))
            scribe_close(scribe);
    }
}

static struct scribe *start_scribe(raft_id id, uint64_t segment_bytes, struct pile *pile)
{
    struct mailraft_error err;
    struct scribe_config *config = memory_new(sizeof *config);
    *config = (struct scribe_config){.data_dir = SIM_DATA_DIR,
                                     .id = id,
                                     .cluster_name = "orders",
                                     .pid = 4711,
                                     .segment_bytes = segment_bytes,
                                     .entry_bytes_max = ENTRY_BYTES,
                                     .cache_bytes = CACHE_BYTES};
    struct scribe *scribe = scribe_start(config, pile, &err);
    memory_free(config);
    return scribe;
}

static void live(void *context)
{
    struct life *life = context;
    struct pile *pile = pile_new();
    struct scribe *scribe = start_scribe(life->id, SEGMENT_BYTES, pile);
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
    run(sim, &life);
    expect_heard(&life, "opened ended");
    cr_assert_eq(life.opened.term, 0);
    cr_assert_eq(life.opened.voted_for, NO_ONE);
    cr_assert_geq(life.found.sync_us, 100); /* as long as a sync takes here */
    cr_assert(life.found.made);
    cr_assert_eq(life.found.damaged, -1);
    cr_assert(!data_id_is_none(&life.found.data_id));
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

/* ---- Entries ---- */

/* A life that plays: what it is told is compared, letter by letter. */
struct scene {
    struct sim *sim;
    void (*play)(struct scene *scene);
    uint64_t segment_bytes;
    struct pile *pile;
    struct scribe *scribe;
    struct run place;              /* of the last letter that had one */
    struct mailraft_error trouble; /* what the last letter that had one told */
    bool abandoned;
};

static void describe(struct scene *scene, const struct letter *letter, char *text, size_t size)
{
    switch (letter->kind) {
    case LETTER_STORAGE_OPENED:
        snprintf(text, size, "opened");
        break;
    case LETTER_BALLOT_SAVED:
        snprintf(text, size, "ballot %d", (int)letter->number);
        break;
    case LETTER_ENTRIES_SAVED:
        scene->place = letter->place;
        cr_assert_geq(letter->took_us, 100); /* as long as a sync takes here */
        snprintf(text, size, "entries %d: %d-%d", (int)letter->number, (int)letter->place.first,
                 (int)letter->place.last);
        break;
    case LETTER_UUID_SAVED:
        snprintf(text, size, "uuid %02x", letter->cluster_uuid.bytes[0]);
        break;
    case LETTER_STORAGE_WARNED:
    case LETTER_STORAGE_FAILED:
        scene->trouble = *letter->error;
        snprintf(text, size, "%s", letter->kind == LETTER_STORAGE_WARNED ? "warned" : "failed");
        break;
    default:
        snprintf(text, size, "%s", letter->kind == LETTER_SCRIBE_ENDED ? "ended" : "another");
    }
}

static void expect(struct scene *scene, const char *expected)
{
    char text[100];
    int64_t now_us;
    struct letter *letter = pile_take(scene->pile, LANE_CONTROL, CLOCK_NEVER, &now_us);
    describe(scene, letter, text, sizeof text);
    letter_free(letter);
    cr_assert_str_eq(text, expected);
}

static void expect_nothing(struct scene *scene, int64_t us)
{
    int64_t now_us;
    cr_assert_null(pile_take(scene->pile, LANE_CONTROL, clock_now_us() + us, &now_us));
}

static struct entry *make_entry(raft_index index, raft_term term, size_t bytes)
{
    uint8_t *payload = memory_new(bytes - ENTRY_HEAD_BYTES);
    memset(payload, (int)index, bytes - ENTRY_HEAD_BYTES);
    struct entry *entry = entry_new(ENTRY_COMMAND, term, index, 0, payload, bytes - ENTRY_HEAD_BYTES);
    memory_free(payload);
    return entry;
}

static void save(struct scene *scene, uint64_t number, raft_index first, raft_index last, raft_term term, size_t bytes)
{
    struct batch *batch = batch_new();
    for (raft_index index = first; index <= last; index++)
        batch_add(batch, make_entry(index, term, bytes));
    scribe_save_entries(scene->scribe, number, batch);
}

static void end(struct scene *scene)
{
    scribe_close(scene->scribe);
    expect(scene, "ended");
}

static void live_scene(void *context)
{
    struct scene *scene = context;
    scene->pile = pile_new();
    scene->scribe = start_scribe(1, scene->segment_bytes, scene->pile);
    scene->play(scene);
    if (scene->abandoned)
        return;
    scribe_join(scene->scribe);
    pile_free(scene->pile);
}

/* Another life on the same machine. */
static void play_on(struct scene *scene, void (*part)(struct scene *))
{
    scene->play = part;
    scene->abandoned = false;
    cr_assert(sim_run_on(scene->sim, 1, live_scene, scene));
}

static struct scene play_with(uint64_t segment_bytes, void (*part)(struct scene *))
{
    struct scene scene = {.sim = machine(0), .segment_bytes = segment_bytes};
    play_on(&scene, part);
    return scene;
}

static struct scene play(void (*part)(struct scene *))
{
    return play_with(SEGMENT_BYTES, part);
}

/* The frames of a file, "FIRST-LAST" each, or "witness". */
static void expect_frames(const struct scene *scene, uint64_t file, const char *expected)
{
    char path[DISK_PATH_MAX], text[400] = "";
    uint8_t bytes[FRAME_HEAD_BYTES];
    struct frame_head head;
    uint64_t offset = SEGMENT_DATA_OFFSET;
    segment_path(SIM_DATA_DIR, file, path);
    while (sim_disk_read(scene->sim, 1, path, offset, bytes, sizeof bytes) == sizeof bytes &&
           frame_head_decode(bytes, &head)) {
        size_t length = strlen(text);
        if (head.count == 0)
            snprintf(text + length, sizeof text - length, " witness");
        else
            snprintf(text + length, sizeof text - length, " %d-%d", (int)head.first,
                     (int)(head.first + head.count - 1));
        offset += frame_bytes(head.length);
    }
    cr_assert_str_eq(text[0] == ' ' ? text + 1 : text, expected);
}

static void save_two(struct scene *scene)
{
    expect(scene, "opened");
    save(scene, 1, 1, 3, 1, 100);
    expect(scene, "entries 1: 1-3");
    cr_assert_eq(scene->place.file, 1);
    cr_assert_eq(scene->place.offset, SEGMENT_DATA_OFFSET);
    cr_assert_eq(scene->place.bytes, 512);
    save(scene, 2, 4, 4, 1, 600);
    expect(scene, "entries 2: 4-4");
    cr_assert_eq(scene->place.offset, SEGMENT_DATA_OFFSET + 512);
    cr_assert_eq(scene->place.bytes, 1024);
    end(scene);
}

Test(scribe, entries_are_answered_with_their_number_and_their_place)
{
    struct scene scene = play(save_two);
    expect_frames(&scene, 1, "1-3 4-4 witness");
    sim_free(scene.sim);
}

static void expect_first_three(struct scene *scene)
{
    int64_t now_us;
    struct letter *letter = pile_take(scene->pile, LANE_CONTROL, CLOCK_NEVER, &now_us);
    const struct storage_opened *opened = letter->opened;
    cr_assert_eq(letter->kind, LETTER_STORAGE_OPENED);
    cr_assert_eq(opened->terms.last_index, 4);
    cr_assert_eq(opened->tail->count, 4);
    for (raft_index index = 1; index <= 4; index++) {
        struct entry *expected = make_entry(index, 1, index < 4 ? 100 : 600);
        cr_assert_eq(entry_checksum(opened->tail->list[index - 1]), entry_checksum(expected));
        entry_drop(expected);
    }
    letter_free(letter);
    end(scene);
}

Test(scribe, the_next_life_finds_the_entries_after_a_power_cut)
{
    struct scene scene = play(save_two);
    sim_power_cut(scene.sim, 1);
    play_on(&scene, expect_first_three);
    sim_free(scene.sim);
}

static void save_three_at_once(struct scene *scene)
{
    save(scene, 1, 1, 3, 1, 100); /* it has not opened yet */
    save(scene, 2, 4, 4, 1, 100);
    save(scene, 3, 5, 6, 2, 100);
    expect(scene, "opened");
    expect(scene, "entries 3: 1-6");
    end(scene);
}

Test(scribe, what_has_gathered_on_the_pile_goes_into_one_frame_and_has_one_answer)
{
    struct scene scene = play(save_three_at_once);
    expect_frames(&scene, 1, "1-6 witness");
    sim_free(scene.sim);
}

static void save_around_a_ballot(struct scene *scene)
{
    save(scene, 1, 1, 1, 1, 100);
    save(scene, 2, 2, 2, 1, 100);
    scribe_save_ballot(scene->scribe, 1, (struct ballot){2, 1});
    save(scene, 3, 3, 3, 1, 100);
    scribe_save_uuid(scene->scribe, &(struct cluster_uuid){{0xab}});
    save(scene, 4, 4, 4, 1, 100);
    expect(scene, "opened");
    expect(scene, "entries 2: 1-2");
    expect(scene, "ballot 1");
    expect(scene, "entries 3: 3-3");
    expect(scene, "uuid ab");
    expect(scene, "entries 4: 4-4");
    end(scene);
}

Test(scribe, everything_is_done_in_the_order_in_which_it_was_asked_for)
{
    struct scene scene = play(save_around_a_ballot);
    expect_frames(&scene, 1, "1-2 3-3 4-4 witness");
    sim_free(scene.sim);
}

static void truncate_at_once(struct scene *scene)
{
    save(scene, 1, 1, 3, 1, 100);
    save(scene, 2, 4, 5, 1, 100);
    save(scene, 3, 3, 3, 2, 100);
    save(scene, 4, 4, 4, 2, 100);
    save(scene, 5, 1, 1, 3, 100);
    expect(scene, "opened");
    expect(scene, "entries 2: 1-5");
    expect(scene, "entries 4: 3-4");
    expect(scene, "entries 5: 1-1");
    end(scene);
}

Test(scribe, entries_that_replace_others_begin_a_frame_of_their_own)
{
    struct scene scene = play(truncate_at_once);
    expect_frames(&scene, 1, "1-5 3-4 1-1 witness");
    sim_free(scene.sim);
}

static void save_many(struct scene *scene)
{
    for (uint64_t number = 1; number <= 6; number++)
        save(scene, number, number * 300 - 299, number * 300, 1, 1024);
    expect(scene, "opened");
    expect(scene, "entries 4: 1-1200");
    expect(scene, "entries 6: 1201-1800");
    end(scene);
}

Test(scribe, it_gathers_no_more_than_a_mebibyte_and_one_letter)
{
    sim_free(play_with(64u << 20, save_many).sim);
}

/* ---- Files ---- */

static void save_beyond_the_file(struct scene *scene)
{
    save(scene, 1, 1, 3, 1, 1000); /* 8192 bytes have room for 8 of them */
    save(scene, 2, 4, 6, 1, 1000);
    save(scene, 3, 7, 18, 1, 1000);
    save(scene, 4, 19, 20, 1, 1000);
    expect(scene, "opened");
    expect(scene, "entries 3: 1-8");
    cr_assert_eq(scene->place.file, 1);
    expect(scene, "entries 3: 9-16");
    cr_assert_eq(scene->place.file, 2);
    cr_assert_eq(scene->place.offset, SEGMENT_DATA_OFFSET);
    expect(scene, "entries 4: 17-20");
    cr_assert_eq(scene->place.file, 3);
    end(scene);
}

Test(scribe, a_batch_is_cut_at_the_files_end_and_each_frame_answered)
{
    struct scene scene = play(save_beyond_the_file);
    expect_frames(&scene, 1, "1-8");
    expect_frames(&scene, 2, "9-16");
    expect_frames(&scene, 3, "17-20 witness");
    sim_free(scene.sim);
}

static void save_what_does_not_fit(struct scene *scene)
{
    expect(scene, "opened");
    save(scene, 1, 1, 4, 1, 1700);
    expect(scene, "entries 1: 1-4");
    save(scene, 2, 5, 5, 1, 1700);
    expect(scene, "entries 2: 5-5");
    save(scene, 3, 6, 6, 1, 100);
    expect(scene, "entries 3: 6-6");
    end(scene);
}

Test(scribe, an_entry_that_does_not_fit_into_what_is_left_goes_into_the_next_file)
{
    struct scene scene = play(save_what_does_not_fit);
    expect_frames(&scene, 1, "1-4");
    expect_frames(&scene, 2, "5-5 6-6 witness");
    sim_free(scene.sim);
}

static bool has_file(const struct scene *scene, uint64_t number)
{
    char path[DISK_PATH_MAX];
    return sim_disk_exists(scene->sim, 1, segment_path(SIM_DATA_DIR, number, path));
}

static void look_for_the_next_file(struct scene *scene)
{
    expect(scene, "opened");
    expect_nothing(scene, HELPER_US);
    cr_assert(has_file(scene, 2));
    cr_assert_not(has_file(scene, 3));
    save(scene, 1, 1, 9, 1, 1000);
    expect(scene, "entries 1: 1-8");
    expect(scene, "entries 1: 9-9");
    expect_nothing(scene, HELPER_US);
    cr_assert(has_file(scene, 3));
    cr_assert_not(has_file(scene, 4));
    end(scene);
}

Test(scribe, the_next_file_is_made_as_soon_as_the_last_one_is_begun)
{
    sim_free(play(look_for_the_next_file).sim);
}

static void expect_opened_and_end(struct scene *scene);

static void save_what_is_larger_than_a_file(struct scene *scene)
{
    expect(scene, "opened");
    save(scene, 1, 1, 1, 1, 100);
    expect(scene, "entries 1: 1-1");
    save(scene, 2, 2, 2, 1, 300000);
    expect(scene, "entries 2: 2-2");
    save(scene, 3, 3, 3, 1, 100);
    expect(scene, "entries 3: 3-3");
    end(scene);
}

Test(scribe, an_entry_of_a_leader_that_allows_larger_ones_gets_a_file_of_its_size)
{
    struct scene scene = play(save_what_is_larger_than_a_file);
    expect_frames(&scene, 1, "1-1");
    expect_frames(&scene, 2, "");
    expect_frames(&scene, 3, "2-2 3-3 witness");
    play_on(&scene, expect_opened_and_end);
    sim_free(scene.sim);
}

static void fail_ahead_and_not_again(struct scene *scene)
{
    expect(scene, "opened");
    sim_disk_fail_write(scene->sim, 1, true);
    expect(scene, "warned");
    cr_assert_eq(scene->trouble.class, &FULL_ERROR);
    save(scene, 1, 1, 3, 1, 1000);
    expect(scene, "entries 1: 1-3"); /* nobody needs it yet */
    cr_assert_not(has_file(scene, 2));
    expect_nothing(scene, 1000000);
    save(scene, 2, 4, 8, 1, 1000);
    expect(scene, "entries 2: 4-7");
    expect(scene, "entries 2: 8-8");
    end(scene);
}

Test(scribe, a_file_that_cannot_be_made_ahead_is_told_once_and_tried_again_when_it_is_needed)
{
    struct scene scene = play(fail_ahead_and_not_again);
    expect_frames(&scene, 1, "1-3 witness 4-7");
    expect_frames(&scene, 2, "8-8 witness");
    sim_free(scene.sim);
}

static void fail_ahead_and_again(struct scene *scene)
{
    expect(scene, "opened");
    sim_disk_fail_write(scene->sim, 1, true);
    expect(scene, "warned");
    save(scene, 1, 1, 8, 1, 1000);
    expect(scene, "entries 1: 1-8"); /* the file is full */
    sim_disk_fail_write(scene->sim, 1, true);
    save(scene, 2, 9, 9, 1, 1000);
    save(scene, 3, 10, 10, 1, 1000);
    expect(scene, "failed");
    cr_assert_eq(scene->trouble.class, &FULL_ERROR);
    cr_assert_not_null(strstr(scene->trouble.message, "00000002.seg"), "%s", scene->trouble.message);
    end(scene);
}

static void expect_opened_and_end(struct scene *scene)
{
    expect(scene, "opened");
    end(scene);
}

Test(scribe, a_file_that_cannot_be_made_when_it_is_needed_ends_the_work)
{
    struct scene scene = play(fail_ahead_and_again);
    play_on(&scene, expect_opened_and_end); /* there is space again */
    expect_frames(&scene, 1, "1-8");
    expect_frames(&scene, 2, "witness");
    sim_free(scene.sim);
}

/* ---- Witness ---- */

static void wait_long(struct scene *scene)
{
    expect(scene, "opened");
    expect_nothing(scene, WITNESS_US);
    expect_frames(scene, 1, "witness");
    save(scene, 1, 1, 1, 1, 100);
    expect(scene, "entries 1: 1-1");
    expect_nothing(scene, SCRIBE_WITNESS_US - 1000);
    save(scene, 2, 2, 2, 1, 100);
    expect(scene, "entries 2: 2-2");
    expect_nothing(scene, SCRIBE_WITNESS_US - 1000);
    expect_frames(scene, 1, "witness 1-1 2-2");
    expect_nothing(scene, 1000000);
    expect_frames(scene, 1, "witness 1-1 2-2 witness");
    end(scene);
}

Test(scribe, a_witness_is_written_once_when_nothing_has_come_for_a_while)
{
    struct scene scene = play(wait_long);
    expect_frames(&scene, 1, "witness 1-1 2-2 witness");
    sim_free(scene.sim);
}

static void fail_and_end(struct scene *scene)
{
    expect(scene, "opened");
    expect_nothing(scene, HELPER_US);
    save(scene, 1, 1, 1, 1, 100);
    expect(scene, "entries 1: 1-1");
    sim_disk_fail_sync(scene->sim, 1);
    save(scene, 2, 2, 2, 1, 100);
    expect(scene, "failed");
    cr_assert_eq(scene->trouble.class, &STORAGE_ERROR);
    save(scene, 3, 3, 3, 1, 100);
    expect_nothing(scene, 1000000);
    end(scene);
}

Test(scribe, after_a_failure_no_witness_is_written)
{
    struct scene scene = play(fail_and_end);
    expect_frames(&scene, 1, "1-1 2-2"); /* the second one as far as reading goes */
    sim_free(scene.sim);
}

/* ---- The uuid ---- */

static void save_uuid(struct scene *scene)
{
    expect(scene, "opened");
    scribe_save_uuid(scene->scribe, &(struct cluster_uuid){{0xab, 0xcd}});
    expect(scene, "uuid ab");
    end(scene);
}

Test(scribe, the_next_life_finds_the_uuid)
{
    struct scene scene = play(save_uuid);
    struct life looks = life_of(0);
    sim_power_cut(scene.sim, 1);
    run(scene.sim, &looks);
    cr_assert_eq(looks.found.cluster_uuid.bytes[0], 0xab);
    cr_assert_eq(looks.found.cluster_uuid.bytes[1], 0xcd);
    sim_free(scene.sim);
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

static void hang_while_a_file_is_made(struct scene *scene)
{
    expect(scene, "opened");
    sim_disk_hang(scene->sim, 1, true);
    save(scene, 1, 1, 9, 1, 1000);
    scribe_close(scene->scribe);
    expect_nothing(scene, 1000000);
    scribe_abandon(scene->scribe);
    scene->abandoned = true;
}

Test(scribe, its_helper_can_be_left_alone_with_it)
{
    struct scene scene = play(hang_while_a_file_is_made);
    sim_disk_hang(scene.sim, 1, false);
    play_on(&scene, expect_opened_and_end);
    sim_free(scene.sim);
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
