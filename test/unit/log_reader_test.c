#include "check.h"

#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "sim/sim.h"
#include "storage/appender.h"
#include "storage/log_reader.h"
#include "storage/segment.h"

#define FOLDER     SIM_DATA_DIR
#define FIRST      FOLDER "/log/00000001.seg"
#define SECOND     FOLDER "/log/00000002.seg"
#define FILE_BYTES (256u * 1024)
#define ALL        SIZE_MAX

static const struct data_id OURS = {{7, 7, 7}};

/* A life on a machine whose log holds, when it begins to play, the entries 1 to 9 of term 1 in frames of three, with a
 * witness behind each; each entry has 100 bytes. */
struct scene {
    struct sim *sim;
    void (*play)(struct scene *scene);
    struct appender appender;
    struct catalog catalog;
    struct pile *pile;
    struct log_reader *reader;
    uint64_t number; /* of the last wish */
    struct mailraft_error failure;
    bool abandons; /* what it uses stays behind */
};

static void make_file(uint64_t number, uint64_t bytes, struct segment_header *header)
{
    struct mailraft_error err;
    *header = (struct segment_header){.data_id = OURS, .number = number, .size = bytes};
    cr_assert(disk_make_folder(FOLDER "/log", &err), "%s", err.message);
    cr_assert(segment_make(FOLDER, header, &err), "%s", err.message);
}

static struct entry *make_entry(raft_index index, raft_term term, size_t bytes)
{
    uint8_t *payload = memory_new(bytes - ENTRY_HEAD_BYTES);
    memset(payload, (int)index, bytes - ENTRY_HEAD_BYTES);
    struct entry *entry = entry_new(ENTRY_COMMAND, term, index, 0, payload, bytes - ENTRY_HEAD_BYTES);
    memory_free(payload);
    return entry;
}

static void append(struct scene *scene, raft_index first, size_t count, raft_term term, size_t bytes)
{
    struct mailraft_error err;
    struct batch *batch = batch_new();
    struct run place;
    for (size_t i = 0; i < count; i++)
        batch_add(batch, make_entry(first + i, term, bytes));
    cr_assert(appender_write(&scene->appender, batch->list, count, &place, &err), "%s", err.message);
    catalog_add(&scene->catalog, &place);
    batch_free(batch);
}

static void append_witness(struct scene *scene)
{
    struct mailraft_error err;
    cr_assert(appender_write_witness(&scene->appender, &err), "%s", err.message);
}

static void begin_second_file(struct scene *scene, uint64_t bytes)
{
    struct segment_header header;
    struct mailraft_error err;
    make_file(2, bytes, &header);
    cr_assert(appender_begin_file(&scene->appender, FOLDER, &err), "%s", err.message);
}

static void live(void *context)
{
    struct scene *scene = context;
    struct mailraft_error err;
    struct tail tail = {.offset = SEGMENT_DATA_OFFSET};
    make_file(1, FILE_BYTES, &tail.header);
    tail.file = disk_open(FIRST, DISK_OPEN, &err);
    appender_open(&scene->appender, &tail);
    catalog_init(&scene->catalog);
    for (raft_index first = 1; first <= 7; first += 3) {
        append(scene, first, 3, 1, 100);
        append_witness(scene);
    }
    scene->pile = pile_new();
    scene->reader = log_reader_start(FOLDER, scene->pile, &err);
    scene->play(scene);
    appender_close(&scene->appender);
    catalog_fini(&scene->catalog);
    if (!scene->abandons)
        pile_free(scene->pile);
}

static struct scene play(void (*part)(struct scene *))
{
    struct scene scene = {.sim = sim_new(0), .play = part};
    sim_add_machine(scene.sim, 1);
    cr_assert(sim_run_on(scene.sim, 1, live, &scene));
    return scene;
}

static void ask_place(struct scene *scene, const struct run *place, size_t bytes_max)
{
    log_reader_read(scene->reader, ++scene->number, place, bytes_max);
}

static void ask(struct scene *scene, raft_index first, raft_index last, size_t bytes_max)
{
    struct run place = *catalog_find(&scene->catalog, first);
    cr_assert_leq(last, place.last);
    place.first = first;
    place.last = last;
    ask_place(scene, &place, bytes_max);
}

static struct letter *next_letter(struct scene *scene)
{
    int64_t now_us;
    return pile_take(scene->pile, LANE_INNER, CLOCK_NEVER, &now_us);
}

/* The answer to the last wish holds just these entries. */
static void expect_entries(struct scene *scene, raft_index first, raft_index last, raft_term term, size_t bytes)
{
    struct letter *letter = next_letter(scene);
    cr_assert_eq(letter->kind, LETTER_ENTRIES_READ);
    cr_assert_eq(letter->number, scene->number);
    cr_assert_eq(letter->entries->count, last - first + 1);
    for (raft_index index = first; index <= last; index++) {
        struct entry *expected = make_entry(index, term, bytes), *found = letter->entries->list[index - first];
        cr_assert_eq(found->index, index);
        cr_assert_eq(found->size, expected->size);
        cr_assert_arr_eq(found->bytes, expected->bytes, expected->size);
        entry_drop(expected);
    }
    letter_free(letter);
}

static void end(struct scene *scene)
{
    log_reader_close(scene->reader);
    struct letter *letter = next_letter(scene);
    cr_assert_eq(letter->kind, LETTER_LOG_READER_ENDED);
    letter_free(letter);
    log_reader_join(scene->reader);
}

/* ---- What it reads ---- */

static void read_all(struct scene *scene)
{
    ask(scene, 1, 9, ALL);
    expect_entries(scene, 1, 9, 1, 100);
    end(scene);
}

Test(log_reader, it_reads_all_frames_of_a_run_and_skips_witnesses)
{
    sim_free(play(read_all).sim);
}

static void read_parts(struct scene *scene)
{
    ask(scene, 5, 9, ALL);
    expect_entries(scene, 5, 9, 1, 100);
    ask(scene, 4, 4, ALL);
    expect_entries(scene, 4, 4, 1, 100);
    ask(scene, 2, 6, ALL);
    expect_entries(scene, 2, 6, 1, 100);
    end(scene);
}

Test(log_reader, it_gives_what_is_wanted_and_nothing_around_it)
{
    sim_free(play(read_parts).sim);
}

static void read_portions(struct scene *scene)
{
    ask(scene, 1, 9, 400);
    expect_entries(scene, 1, 4, 1, 100);
    ask(scene, 5, 9, 399);
    expect_entries(scene, 5, 7, 1, 100);
    ask(scene, 8, 9, 99);
    expect_entries(scene, 8, 8, 1, 100);
    ask(scene, 9, 9, 0);
    expect_entries(scene, 9, 9, 1, 100);
    end(scene);
}

Test(log_reader, it_gives_as_much_as_is_allowed_and_the_first_entry_always)
{
    sim_free(play(read_portions).sim);
}

static void read_replaced(struct scene *scene)
{
    append(scene, 6, 2, 2, 200);
    ask(scene, 1, 5, ALL);
    expect_entries(scene, 1, 5, 1, 100);
    ask(scene, 6, 7, ALL);
    expect_entries(scene, 6, 7, 2, 200);
    end(scene);
}

Test(log_reader, entries_that_were_replaced_stay_behind)
{
    sim_free(play(read_replaced).sim);
}

static void read_grown(struct scene *scene)
{
    ask(scene, 9, 9, ALL);
    expect_entries(scene, 9, 9, 1, 100);
    append(scene, 10, 2, 1, 300);
    ask(scene, 10, 11, ALL);
    expect_entries(scene, 10, 11, 1, 300);
    end(scene);
}

Test(log_reader, a_run_that_has_grown_is_read_again)
{
    sim_free(play(read_grown).sim);
}

static void read_two_files(struct scene *scene)
{
    begin_second_file(scene, FILE_BYTES);
    append(scene, 10, 4, 3, 5000);
    ask(scene, 10, 13, ALL);
    expect_entries(scene, 10, 13, 3, 5000);
    ask(scene, 1, 9, ALL);
    expect_entries(scene, 1, 9, 1, 100);
    ask(scene, 12, 12, ALL);
    expect_entries(scene, 12, 12, 3, 5000);
    end(scene);
}

Test(log_reader, it_goes_from_file_to_file)
{
    sim_free(play(read_two_files).sim);
}

static void read_large(struct scene *scene)
{
    append(scene, 10, 3, 1, 50000); /* one frame, more than a run has otherwise */
    ask(scene, 10, 12, 50000);
    expect_entries(scene, 10, 10, 1, 50000);
    uint64_t calls = sim_disk_calls(scene->sim, 1);
    ask(scene, 11, 12, 50000);
    expect_entries(scene, 11, 11, 1, 50000);
    ask(scene, 12, 12, 50000);
    expect_entries(scene, 12, 12, 1, 50000);
    cr_assert_eq(sim_disk_calls(scene->sim, 1), calls);
    end(scene);
}

Test(log_reader, a_large_frame_is_read_once_for_all_its_portions)
{
    sim_free(play(read_large).sim);
}

static void expect_disk_calls(struct scene *scene, raft_index index, size_t bytes, bool calls)
{
    uint64_t before = sim_disk_calls(scene->sim, 1);
    ask(scene, index, index, ALL);
    expect_entries(scene, index, index, 1, bytes);
    cr_assert_eq(sim_disk_calls(scene->sim, 1) > before, calls, "%d", (int)index);
}

/* The entries 10 to 15 in runs of their own: they are too large to be joined. */
static void append_large(struct scene *scene, size_t bytes)
{
    begin_second_file(scene, 7 * bytes);
    for (raft_index index = 10; index < 16; index++)
        append(scene, index, 1, 1, bytes);
}

static void read_in_turn(struct scene *scene)
{
    append_large(scene, 70000);
    for (raft_index index = 10; index < 14; index++)
        expect_disk_calls(scene, index, 70000, true);
    for (raft_index index = 10; index < 14; index++)
        expect_disk_calls(scene, index, 70000, false);
    expect_disk_calls(scene, 10, 70000, false);
    expect_disk_calls(scene, 14, 70000, true); /* in the place of 11, which was not used for longest */
    expect_disk_calls(scene, 10, 70000, false);
    expect_disk_calls(scene, 12, 70000, false);
    expect_disk_calls(scene, 13, 70000, false);
    expect_disk_calls(scene, 11, 70000, true);
    end(scene);
}

Test(log_reader, askers_in_turn_find_the_runs_that_were_used_last)
{
    sim_free(play(read_in_turn).sim);
}

static void read_much_in_turn(struct scene *scene)
{
    append_large(scene, LOG_READER_BYTES_MAX / 2);
    for (int i = 0; i < 2; i++) {
        expect_disk_calls(scene, 10, LOG_READER_BYTES_MAX / 2, i == 0);
        expect_disk_calls(scene, 11, LOG_READER_BYTES_MAX / 2, i == 0);
    }
    expect_disk_calls(scene, 1, 100, true);
    expect_disk_calls(scene, 11, LOG_READER_BYTES_MAX / 2, false);
    expect_disk_calls(scene, 10, LOG_READER_BYTES_MAX / 2, true);
    end(scene);
}

Test(log_reader, what_it_keeps_has_an_end)
{
    sim_free(play(read_much_in_turn).sim);
}

static void ask_and_close(struct scene *scene)
{
    ask(scene, 1, 9, ALL);
    end(scene); /* its last letter comes by the control lane, before the answer */
    expect_entries(scene, 1, 9, 1, 100);
}

Test(log_reader, what_it_was_asked_for_is_answered_before_it_ends)
{
    sim_free(play(ask_and_close).sim);
}

/* ---- What it refuses ---- */

/* The last wish fails, and nothing is answered any more. */
static void expect_failure(struct scene *scene, const struct mailraft_error_class *class)
{
    struct letter *letter = next_letter(scene);
    cr_assert_eq(letter->kind, LETTER_STORAGE_FAILED);
    scene->failure = *letter->error;
    cr_assert_eq(scene->failure.class, class, "%s", scene->failure.message);
    letter_free(letter);
    ask(scene, 1, 3, ALL);
    end(scene);
}

static void read_damaged(struct scene *scene)
{
    sim_disk_flip(scene->sim, 1, FIRST, SEGMENT_DATA_OFFSET + 1024 + FRAME_HEAD_BYTES + 150);
    ask(scene, 1, 9, ALL);
    expect_failure(scene, &DAMAGED_ERROR);
}

Test(log_reader, a_damaged_frame_is_told_with_file_and_offset_and_nothing_of_it_is_given)
{
    struct scene scene = play(read_damaged);
    cr_assert_str_eq(scene.failure.message,
                     FIRST " is damaged at offset 9216; " SEGMENT_ADVICE ": the checksum of the frame 3 does not fit");
    sim_free(scene.sim);
}

static void read_damaged_head(struct scene *scene)
{
    sim_disk_flip(scene->sim, 1, FIRST, SEGMENT_DATA_OFFSET + 40);
    ask(scene, 4, 9, ALL);
    expect_failure(scene, &DAMAGED_ERROR);
}

Test(log_reader, a_damaged_head_is_told_with_file_and_offset)
{
    struct scene scene = play(read_damaged_head);
    cr_assert_str_eq(scene.failure.message, FIRST " is damaged at offset 8192; " SEGMENT_ADVICE ": no whole frame stands there");
    sim_free(scene.sim);
}

static void read_each_damaged_byte(struct scene *scene)
{
    struct mailraft_error err;
    for (uint64_t at = 0; at < FRAME_HEAD_BYTES + 300; at++) {
        sim_disk_flip(scene->sim, 1, FIRST, SEGMENT_DATA_OFFSET + 1024 + at);
        ask(scene, 4, 6, ALL);
        expect_failure(scene, &DAMAGED_ERROR);
        sim_disk_flip(scene->sim, 1, FIRST, SEGMENT_DATA_OFFSET + 1024 + at);
        scene->reader = log_reader_start(FOLDER, scene->pile, &err);
    }
    read_all(scene);
}

Test(log_reader, damage_to_any_byte_of_a_frame_is_found)
{
    sim_free(play(read_each_damaged_byte).sim);
}

/* A frame that is sound, with an entry that is not. */
static void read_damaged_entry(struct scene *scene)
{
    struct mailraft_error err;
    struct entry *entry = make_entry(10, 1, 100);
    struct run place;
    entry->bytes[50]++;
    cr_assert(appender_write(&scene->appender, &entry, 1, &place, &err));
    catalog_add(&scene->catalog, &place);
    entry_drop(entry);
    ask(scene, 10, 10, ALL);
    expect_failure(scene, &DAMAGED_ERROR);
}

Test(log_reader, an_entry_whose_checksum_does_not_fit_is_told)
{
    struct scene scene = play(read_damaged_entry);
    cr_assert_not_null(strstr(scene.failure.message, "an entry's checksum does not fit"), "%s", scene.failure.message);
    sim_free(scene.sim);
}

static void read_beyond_the_file(struct scene *scene)
{
    struct run place = *catalog_find(&scene->catalog, 1);
    place.bytes = FILE_BYTES;
    ask_place(scene, &place, ALL);
    expect_failure(scene, &DAMAGED_ERROR);
}

Test(log_reader, a_file_that_ends_early_is_told)
{
    struct scene scene = play(read_beyond_the_file);
    cr_assert_str_eq(scene.failure.message, FIRST " is damaged at offset 11264; " SEGMENT_ADVICE ": no whole frame stands there");
    sim_free(scene.sim);
}

static void read_what_is_not_there(struct scene *scene)
{
    struct run place = *catalog_find(&scene->catalog, 1);
    place.last = 10;
    ask(scene, 1, 9, ALL);
    expect_entries(scene, 1, 9, 1, 100);
    ask_place(scene, &place, ALL);
    expect_failure(scene, &DAMAGED_ERROR);
}

Test(log_reader, entries_that_do_not_stand_in_the_run_are_told)
{
    struct scene scene = play(read_what_is_not_there);
    cr_assert_str_eq(scene.failure.message, FIRST " is damaged at offset 8192: the entries 1 to 10 do not stand there; " SEGMENT_ADVICE);
    sim_free(scene.sim);
}

static void read_a_missing_file(struct scene *scene)
{
    begin_second_file(scene, FILE_BYTES);
    append(scene, 10, 1, 1, 100);
    sim_disk_remove(scene->sim, 1, SECOND);
    ask(scene, 10, 10, ALL);
    expect_failure(scene, &DAMAGED_ERROR);
}

Test(log_reader, a_missing_file_is_told_by_its_name)
{
    struct scene scene = play(read_a_missing_file);
    cr_assert_not_null(strstr(scene.failure.message, SECOND), "%s", scene.failure.message);
    sim_free(scene.sim);
}

/* ---- A disk that hangs ---- */

static void abandon_while_stuck(struct scene *scene)
{
    int64_t now_us;
    sim_disk_hang(scene->sim, 1, true);
    ask(scene, 1, 9, ALL);
    cr_assert_null(pile_take(scene->pile, LANE_INNER, clock_now_us() + 1000000, &now_us));
    sim_disk_hang(scene->sim, 1, false);
    log_reader_close(scene->reader);
    log_reader_abandon(scene->reader);
    scene->abandons = true;
}

Test(log_reader, it_can_be_left_alone_while_the_disk_hangs)
{
    sim_free(play(abandon_while_stuck).sim);
}
