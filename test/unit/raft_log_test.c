#include "raft/raft_log.h"

#include <string.h>

#include "base/memory.h"
#include "check.h"

#define CACHE 1000 /* bytes */
#define SIZE  100  /* of an entry as put() makes it: so ten of them fill the cache */

static struct raft_log entries; /* the log */
static uint64_t offset;         /* in the only file, of the next frame */

static void begin_with(struct storage_opened *opened)
{
    raft_log_init(&entries, opened, CACHE);
    raft_log_check(&entries);
}

static void begin_empty(void)
{
    begin_with(&(struct storage_opened){.made = true});
}

static void end(void)
{
    raft_log_check(&entries);
    raft_log_fini(&entries);
}

TestSuite(raft_log, .init = begin_empty, .fini = end);

static struct entry *make(enum entry_kind kind, raft_index index, raft_term term)
{
    static const uint8_t PAYLOAD[SIZE - ENTRY_HEAD_BYTES];
    return entry_new(kind, term, index, 0, PAYLOAD, sizeof PAYLOAD);
}

static void put(raft_index index, raft_term term)
{
    raft_log_append(&entries, make(ENTRY_COMMAND, index, term));
    raft_log_check(&entries);
}

static void put_up_to(raft_index last, raft_term term)
{
    while (raft_log_last_index(&entries) < last)
        put(raft_log_last_index(&entries) + 1, term);
}

/* Takes what is unsaved, which must be the entries first to last. Returns the letter's number. */
static uint64_t take(raft_index first, raft_index last)
{
    uint64_t number = 0;
    struct batch *batch = raft_log_take_unsaved(&entries, &number);
    cr_assert_not_null(batch);
    cr_assert_eq(batch->count, last - first + 1);
    cr_assert_eq(batch->list[0]->index, first);
    cr_assert_eq(batch->list[batch->count - 1]->index, last);
    size_t bytes = 0;
    for (size_t i = 0; i < batch->count; i++)
        bytes += batch->list[i]->size;
    cr_assert_eq(batch->bytes, bytes);
    batch_free(batch);
    return number;
}

/* The scribe has written one frame. */
static void saved(uint64_t number, raft_index first, raft_index last)
{
    struct run place = {.first = first, .last = last, .file = 1, .offset = offset, .bytes = 512};
    offset += 512;
    raft_log_saved(&entries, number, &place);
    raft_log_check(&entries);
}

static void save(raft_index first, raft_index last)
{
    saved(take(first, last), first, last);
}

/* ---- Beginning ---- */

Test(raft_log, an_empty_log_has_nothing)
{
    cr_assert_eq(raft_log_last_index(&entries), 0);
    cr_assert_eq(raft_log_last_term(&entries), 0);
    cr_assert_eq(raft_log_term_at(&entries, 0), 0);
    cr_assert_eq(raft_log_term_at(&entries, 1), 0);
    cr_assert_eq(entries.durable_index, 0);
    cr_assert_not(raft_log_has(&entries, 0));
    cr_assert_not(raft_log_has(&entries, 1));
    cr_assert_null(raft_log_config(&entries));
    uint64_t number;
    cr_assert_null(raft_log_take_unsaved(&entries, &number));
    cr_assert_eq(raft_log_unsaved_bytes(&entries), 0);
}

/* Entries 1 to 100 on the disk, the last 80 in memory: more than a ring begins with. */
static struct storage_opened *opened_with_tail(void)
{
    struct storage_opened *opened = memory_new(sizeof *opened);
    opened->tail = batch_new();
    for (raft_index i = 1; i <= 100; i++)
        terms_add(&opened->terms, i, i <= 50 ? 3 : 4);
    for (raft_index i = 21; i <= 100; i++)
        batch_add(opened->tail, make(ENTRY_COMMAND, i, i <= 50 ? 3 : 4));
    for (raft_index i = 1; i <= 100; i += 10)
        catalog_add(&opened->catalog, &(struct run){i, i + 9, 1, 8192 + 512 * i, 512});
    opened->configs = memory_new(sizeof *opened->configs);
    opened->configs[0] = make(ENTRY_CONFIG, 1, 3);
    opened->config_count = 1;
    return opened;
}

static void begin_with_tail(void)
{
    struct storage_opened *opened = opened_with_tail();
    end();
    begin_with(opened);
    storage_opened_free(opened); /* with what is left in it: nothing of the log's */
}

Test(raft_log, what_the_storage_held_is_taken_over_and_durable)
{
    begin_with_tail();
    cr_assert_eq(raft_log_last_index(&entries), 100);
    cr_assert_eq(raft_log_last_term(&entries), 4);
    cr_assert_eq(raft_log_term_at(&entries, 50), 3);
    cr_assert_eq(raft_log_term_at(&entries, 51), 4);
    cr_assert_eq(entries.durable_index, 100);
    cr_assert_not(raft_log_has(&entries, 20));
    for (raft_index i = 21; i <= 100; i++)
        cr_assert_eq(raft_log_at(&entries, i)->index, i);
    cr_assert_eq(raft_log_config(&entries)->index, 1);
    uint64_t number;
    cr_assert_null(raft_log_take_unsaved(&entries, &number));
}

Test(raft_log, goes_on_behind_what_the_storage_held)
{
    begin_with_tail();
    put_up_to(110, 5);
    cr_assert_eq(entries.durable_index, 100);
    save(101, 110);
    cr_assert_eq(entries.durable_index, 110);
}

/* ---- Appending ---- */

Test(raft_log, an_entry_appended_is_the_last_one)
{
    put(1, 2);
    put(2, 5);
    cr_assert_eq(raft_log_last_index(&entries), 2);
    cr_assert_eq(raft_log_last_term(&entries), 5);
    cr_assert_eq(raft_log_term_at(&entries, 1), 2);
    cr_assert_eq(raft_log_term_at(&entries, 3), 0);
    cr_assert_eq(raft_log_at(&entries, 2)->term, 5);
    cr_assert_not(raft_log_has(&entries, 3));
}

Test(raft_log, one_that_is_there_already_is_replaced_together_with_all_after_it)
{
    put_up_to(6, 1);
    put(3, 2);
    cr_assert_eq(raft_log_last_index(&entries), 3);
    cr_assert_eq(raft_log_last_term(&entries), 2);
    cr_assert_eq(raft_log_at(&entries, 3)->term, 2);
    cr_assert_eq(raft_log_term_at(&entries, 2), 1);
    cr_assert_eq(raft_log_term_at(&entries, 4), 0);
    cr_assert_not(raft_log_has(&entries, 4));
    cr_assert_eq(entries.window_bytes, 3 * SIZE);
}

Test(raft_log, the_first_entry_can_be_replaced)
{
    put_up_to(3, 1);
    put(1, 2);
    cr_assert_eq(raft_log_last_index(&entries), 1);
    cr_assert_eq(raft_log_last_term(&entries), 2);
}

Test(raft_log, holds_more_than_the_ring_began_with_in_whatever_place_it_begins)
{
    put_up_to(50, 1);
    save(1, 50); /* 41 leave: the ring begins in its middle */
    put_up_to(400, 2);
    for (raft_index i = entries.window_first; i <= 400; i++) {
        cr_assert_eq(raft_log_at(&entries, i)->index, i);
        cr_assert_eq(raft_log_at(&entries, i)->term, i <= 50 ? 1 : 2);
    }
}

/* ---- What the scribe gets ---- */

Test(raft_log, what_is_unsaved_is_given_once_under_numbers_that_count_up)
{
    put_up_to(3, 1);
    cr_assert_eq(raft_log_unsaved_bytes(&entries), 3 * SIZE);
    cr_assert_eq(take(1, 3), 1);
    cr_assert_eq(raft_log_unsaved_bytes(&entries), 0);
    uint64_t number = 0;
    cr_assert_null(raft_log_take_unsaved(&entries, &number));
    put_up_to(5, 1);
    cr_assert_eq(take(4, 5), 2);
}

Test(raft_log, what_was_replaced_before_the_scribe_got_it_never_reaches_it)
{
    put_up_to(6, 1);
    put(4, 2);
    cr_assert_eq(raft_log_unsaved_bytes(&entries), 4 * SIZE);
    save(1, 4);
    cr_assert_eq(entries.durable_index, 4);
}

Test(raft_log, what_replaces_entries_that_the_scribe_has_begins_a_letter_that_truncates)
{
    put_up_to(6, 1);
    uint64_t before = take(1, 6);
    put_up_to(8, 1);
    put(3, 2);
    put(4, 2);
    uint64_t cut = take(3, 4); /* 7 and 8 have gone with the rest */
    saved(before, 1, 6);
    cr_assert_eq(entries.durable_index, 0);
    saved(cut, 3, 4);
    cr_assert_eq(entries.durable_index, 4);
}

Test(raft_log, a_truncation_stays_one_when_part_of_its_letter_is_replaced_again)
{
    put_up_to(6, 1);
    uint64_t before = take(1, 6);
    put(3, 2);
    put(4, 2);
    put(5, 2);
    put(5, 3); /* within the letter */
    uint64_t cut = take(3, 5);
    saved(before, 1, 6);
    cr_assert_eq(entries.durable_index, 0);
    saved(cut, 3, 5);
    cr_assert_eq(entries.durable_index, 5);
}

Test(raft_log, a_second_truncation_below_the_first_one_is_the_letter_that_truncates)
{
    put_up_to(6, 1);
    uint64_t before = take(1, 6);
    put(5, 2);
    put(2, 3);
    uint64_t cut = take(2, 2);
    saved(before, 1, 6);
    cr_assert_eq(entries.durable_index, 0);
    saved(cut, 2, 2);
    cr_assert_eq(entries.durable_index, 2);
}

/* ---- Durable ---- */

Test(raft_log, an_answer_makes_durable_what_it_names)
{
    put_up_to(4, 1);
    uint64_t first = take(1, 4);
    put_up_to(6, 1);
    uint64_t second = take(5, 6);
    cr_assert_eq(entries.durable_index, 0);
    saved(first, 1, 4);
    cr_assert_eq(entries.durable_index, 4);
    saved(second, 5, 6);
    cr_assert_eq(entries.durable_index, 6);
}

Test(raft_log, a_letter_that_was_written_in_two_frames_is_answered_in_parts)
{
    put_up_to(4, 1);
    uint64_t number = take(1, 4);
    saved(number, 1, 2);
    cr_assert_eq(entries.durable_index, 2);
    saved(number, 3, 4);
    cr_assert_eq(entries.durable_index, 4);
}

Test(raft_log, the_last_part_of_the_last_letter_answers_all_that_the_scribe_was_asked_for)
{
    put_up_to(4, 1);
    uint64_t first = take(1, 4);
    cr_assert_not(raft_log_is_saved(&entries, &(struct letter){.number = first, .place = {.first = 1, .last = 3}}));
    cr_assert(raft_log_is_saved(&entries, &(struct letter){.number = first, .place = {.first = 4, .last = 4}}));
    put_up_to(6, 1);
    cr_assert(raft_log_is_saved(&entries, &(struct letter){.number = first, .place = {.first = 4, .last = 4}}),
              "it has not been asked for more");
    uint64_t second = take(5, 6);
    cr_assert_not(raft_log_is_saved(&entries, &(struct letter){.number = first, .place = {.first = 4, .last = 4}}));
    cr_assert_not(raft_log_is_saved(&entries, &(struct letter){.number = second, .place = {.first = 5, .last = 5}}));
    cr_assert(raft_log_is_saved(&entries, &(struct letter){.number = second, .place = {.first = 6, .last = 6}}));
}

Test(raft_log, one_of_before_a_truncation_does_not_though_it_ends_at_the_same_entry)
{
    put_up_to(4, 1);
    uint64_t number = take(1, 4);
    put(4, 2);
    take(4, 4);
    cr_assert_not(raft_log_is_saved(&entries, &(struct letter){.number = number, .place = {.first = 1, .last = 4}}));
}

Test(raft_log, a_truncation_lowers_what_is_durable_at_once)
{
    put_up_to(6, 1);
    save(1, 6);
    put(4, 2);
    cr_assert_eq(entries.durable_index, 3);
    put(5, 2);
    put(3, 3);
    cr_assert_eq(entries.durable_index, 2);
    save(3, 3);
    cr_assert_eq(entries.durable_index, 3);
}

Test(raft_log, a_truncation_of_what_is_not_durable_leaves_the_durable_index)
{
    put_up_to(3, 1);
    save(1, 3);
    put_up_to(6, 1);
    uint64_t before = take(4, 6);
    put(5, 2);
    cr_assert_eq(entries.durable_index, 3);
    uint64_t cut = take(5, 5);
    saved(before, 4, 6);
    saved(cut, 5, 5);
    cr_assert_eq(entries.durable_index, 5);
}

/* The answer to a letter from before a truncation is on its way when the truncation is made: before it is given to the
 * scribe, after that, and when the log is longer again than it was. */
Test(raft_log, an_answer_from_before_a_truncation_never_raises_what_is_durable)
{
    for (int moment = 0; moment < 3; moment++) {
        put_up_to(6, 1 + 10 * (raft_term)moment);
        uint64_t before = take(1, 6), cut = 0;
        put(3, 2 + 10 * (raft_term)moment);
        if (moment == 2)
            put_up_to(9, 2 + 10 * (raft_term)moment);
        if (moment > 0)
            cut = take(3, raft_log_last_index(&entries));
        saved(before, 1, 6);
        cr_assert_eq(entries.durable_index, 0);
        if (moment == 0)
            cut = take(3, 3);
        saved(cut, 3, raft_log_last_index(&entries));
        cr_assert_eq(entries.durable_index, raft_log_last_index(&entries));
        put(1, 9 + 10 * (raft_term)moment); /* and all from the start */
        save(1, 1);
        end();
        begin_empty();
    }
}

Test(raft_log, an_answer_to_the_first_of_two_truncations_raises_nothing)
{
    put_up_to(9, 1);
    save(1, 9);
    put(7, 2);
    uint64_t first = take(7, 7);
    put(5, 3);
    uint64_t second = take(5, 5);
    saved(first, 7, 7);
    cr_assert_eq(entries.durable_index, 4);
    saved(second, 5, 5);
    cr_assert_eq(entries.durable_index, 5);
}

/* ---- The window ---- */

Test(raft_log, the_oldest_entries_leave_memory_when_there_are_too_many)
{
    put_up_to(30, 1);
    save(1, 30);
    cr_assert_eq(entries.window_bytes, CACHE);
    cr_assert_not(raft_log_has(&entries, 20));
    cr_assert(raft_log_has(&entries, 21));
    cr_assert(raft_log_has(&entries, 30));
    cr_assert_not(raft_log_has(&entries, 31));
    cr_assert_eq(raft_log_term_at(&entries, 1), 1, "their terms are known");
}

Test(raft_log, only_durable_entries_leave_memory)
{
    put_up_to(30, 1);
    uint64_t number = take(1, 30);
    cr_assert_eq(entries.window_first, 1, "none is durable");
    saved(number, 1, 15);
    cr_assert_eq(entries.window_first, 15);
    cr_assert_eq(entries.window_bytes, 16 * SIZE);
    put_up_to(40, 1);
    cr_assert_eq(entries.window_first, 15);
}

Test(raft_log, an_answer_from_before_a_truncation_lets_nothing_leave)
{
    put_up_to(30, 1);
    uint64_t before = take(1, 30);
    put(25, 2);
    saved(before, 1, 30);
    cr_assert_eq(entries.window_first, 1);
    save(25, 25);
    cr_assert_eq(entries.window_first, 16);
    for (raft_index i = 16; i <= 25; i++)
        cr_assert_eq(raft_log_at(&entries, i)->index, i);
}

Test(raft_log, the_last_entry_stays_however_large)
{
    static const uint8_t LARGE[3 * CACHE];
    put(1, 1);
    raft_log_append(&entries, entry_new(ENTRY_COMMAND, 1, 2, 0, LARGE, sizeof LARGE));
    save(1, 2);
    cr_assert_not(raft_log_has(&entries, 1));
    cr_assert(raft_log_has(&entries, 2));
}

Test(raft_log, a_truncation_below_the_window_begins_a_new_one)
{
    put_up_to(30, 1);
    save(1, 30);
    put(5, 2);
    cr_assert_eq(entries.window_first, 5);
    cr_assert_eq(entries.window_bytes, SIZE);
    cr_assert_eq(entries.durable_index, 4);
    cr_assert_eq(raft_log_at(&entries, 5)->term, 2);
    cr_assert_eq(raft_log_term_at(&entries, 4), 1);
    save(5, 5);
    put_up_to(20, 2);
    save(6, 20);
    cr_assert_eq(entries.window_first, 11);
}

/* ---- Looking ---- */

static void expect_slice(raft_index first, raft_index last, size_t bytes_max, size_t count)
{
    struct batch *slice = raft_log_slice(&entries, first, last, bytes_max);
    cr_assert_eq(slice->count, count);
    cr_assert_eq(slice->bytes, count * SIZE);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(slice->list[i], raft_log_at(&entries, first + i), "shared, not copied");
    batch_free(slice);
}

Test(raft_log, a_slice_holds_what_fits_and_one_at_least)
{
    put_up_to(9, 1);
    expect_slice(1, 9, 10 * SIZE, 9);
    expect_slice(1, 9, 9 * SIZE, 9);
    expect_slice(1, 9, 9 * SIZE - 1, 8);
    expect_slice(3, 5, 10 * SIZE, 3);
    expect_slice(3, 9, 2 * SIZE, 2);
    expect_slice(3, 9, 1, 1);
    expect_slice(9, 9, 0, 1);
}

Test(raft_log, entries_of_a_slice_outlive_their_place_in_the_log)
{
    put_up_to(9, 1);
    struct batch *slice = raft_log_slice(&entries, 4, 9, SIZE * 9);
    put(2, 2);
    save(1, 2);
    cr_assert_eq(slice->list[5]->index, 9);
    cr_assert_eq(slice->list[5]->term, 1);
    batch_free(slice);
}

static void expect_place(raft_index first, raft_index last, raft_index place_last, uint64_t place_offset)
{
    struct run place = raft_log_place(&entries, first, last);
    cr_assert_eq(place.first, first);
    cr_assert_eq(place.last, place_last);
    cr_assert_eq(place.offset, place_offset);
}

Test(raft_log, tells_where_entries_lie_that_are_not_in_memory)
{
    put_up_to(10, 1);
    save(1, 10);
    offset += 512; /* another file's worth away */
    offset += CATALOG_RUN_BYTES;
    put_up_to(40, 1);
    save(11, 40);
    expect_place(1, 40, 10, 0);
    expect_place(4, 6, 6, 0);
    expect_place(10, 40, 10, 0);
    expect_place(11, 25, 25, 1024 + CATALOG_RUN_BYTES);
}

/* The frames on the disk still hold what was replaced, until what replaces it is durable. */
Test(raft_log, the_place_of_old_entries_ends_where_those_in_memory_begin)
{
    put_up_to(30, 1);
    save(1, 30);
    expect_place(15, 30, 20, 0);
    put(10, 2); /* in the middle of what is not in memory, and of one frame */
    put_up_to(30, 2);
    expect_place(5, 30, 9, 0);
    save(10, 30);
    expect_place(5, 30, 9, 0);
    expect_place(10, 30, 20, 512);
}

/* ---- Configs ---- */

static void put_config(raft_index index, raft_term term)
{
    raft_log_append(&entries, make(ENTRY_CONFIG, index, term));
    raft_log_check(&entries);
}

Test(raft_log, the_newest_config_counts)
{
    put_config(1, 1);
    cr_assert_eq(raft_log_config(&entries)->index, 1);
    put_up_to(4, 1);
    put_config(5, 1);
    cr_assert_eq(raft_log_config(&entries)->index, 5);
}

Test(raft_log, a_config_that_is_cut_off_gives_way_to_the_one_before)
{
    put_config(1, 1);
    put_up_to(4, 1);
    for (raft_index i = 5; i <= 20; i++)
        put_config(i, 1);
    put(21, 1);
    put(21, 2);
    cr_assert_eq(raft_log_config(&entries)->index, 20);
    put(7, 3);
    cr_assert_eq(raft_log_config(&entries)->index, 6);
    put_config(6, 4);
    cr_assert_eq(raft_log_config(&entries)->index, 6);
    cr_assert_eq(raft_log_config(&entries)->term, 4);
    put(2, 5);
    cr_assert_eq(raft_log_config(&entries)->index, 1);
    put(1, 6);
    cr_assert_null(raft_log_config(&entries));
}

Test(raft_log, configs_stay_though_their_entries_leave_memory)
{
    put_config(1, 1);
    put_up_to(30, 1);
    save(1, 30);
    cr_assert_not(raft_log_has(&entries, 1));
    cr_assert_eq(raft_log_config(&entries)->index, 1);
    cr_assert_eq(entry_payload_size(raft_log_config(&entries)), SIZE - ENTRY_HEAD_BYTES);
}
