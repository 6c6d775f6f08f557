#include "check.h"

#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "sim/sim.h"
#include "storage/appender.h"

#define FOLDER     SIM_DATA_DIR
#define FIRST      FOLDER "/log/00000001.seg"
#define SECOND     FOLDER "/log/00000002.seg"
#define FILE_BYTES (16u * 1024)

static const struct data_id OURS = {{7, 7, 7}};

/* What a life on the machine does with an appender at the beginning of the first of two files. */
struct scene {
    struct sim *sim;
    void (*play)(struct scene *scene);
    struct appender appender;
    struct run places[40];
    size_t place_count;
    struct mailraft_error err;
};

static struct entry *make_entry(raft_index index, raft_term term, size_t payload_bytes)
{
    uint8_t *payload = memory_new(payload_bytes);
    memset(payload, (int)index, payload_bytes);
    struct entry *entry = entry_new(ENTRY_COMMAND, term, index, 0, payload, payload_bytes);
    memory_free(payload);
    return entry;
}

static struct batch *make_batch(raft_index first, size_t count, raft_term term, size_t payload_bytes)
{
    struct batch *batch = batch_new();
    for (size_t i = 0; i < count; i++)
        batch_add(batch, make_entry(first + i, term, payload_bytes));
    return batch;
}

static bool write_batch(struct scene *scene, raft_index first, size_t count, raft_term term, size_t payload_bytes)
{
    struct batch *entries = make_batch(first, count, term, payload_bytes);
    bool written = appender_write(&scene->appender, entries->list, entries->count, &scene->places[scene->place_count],
                                  &scene->err);
    scene->place_count += written;
    batch_free(entries);
    return written;
}

static struct segment_header make_file(uint64_t number, const struct data_id *data_id)
{
    struct mailraft_error err;
    struct segment_header header = {.data_id = *data_id, .number = number, .size = FILE_BYTES};
    cr_assert(disk_make_folder(FOLDER "/log", &err), "%s", err.message);
    cr_assert(segment_make(FOLDER, &header, &err), "%s", err.message);
    return header;
}

static void live(void *context)
{
    struct scene *scene = context;
    struct tail tail = {.header = make_file(1, &OURS), .offset = SEGMENT_DATA_OFFSET};
    make_file(2, &OURS);
    tail.file = disk_open(FIRST, DISK_OPEN, &scene->err);
    appender_open(&scene->appender, &tail);
    scene->play(scene);
    appender_close(&scene->appender);
    appender_close(&scene->appender);
}

static struct scene play(void (*part)(struct scene *))
{
    struct scene scene = {.sim = sim_new(0), .play = part};
    sim_add_machine(scene.sim, 1);
    cr_assert(sim_run_on(scene.sim, 1, live, &scene));
    return scene;
}

/* ---- What stands in the file ---- */

static struct frame_head head_at(const struct scene *scene, const char *path, uint64_t offset)
{
    uint8_t bytes[FRAME_HEAD_BYTES];
    struct frame_head head;
    cr_assert_eq(sim_disk_read(scene->sim, 1, path, offset, bytes, sizeof bytes), sizeof bytes);
    cr_assert(frame_head_decode(bytes, &head), "no frame at %d of %s", (int)offset, path);
    return head;
}

static void expect_head(struct frame_head head, uint64_t number, raft_index first, uint32_t count, uint32_t length)
{
    cr_assert_eq(head.number, number);
    cr_assert_eq(head.builds_on, number - 1);
    cr_assert_eq(head.first, first);
    cr_assert_eq(head.count, count);
    cr_assert_eq(head.length, length);
}

static void expect_place(const struct run *place, raft_index first, raft_index last, uint64_t file, uint64_t offset,
                         uint64_t bytes)
{
    cr_assert_eq(place->first, first);
    cr_assert_eq(place->last, last);
    cr_assert_eq(place->file, file);
    cr_assert_eq(place->offset, offset);
    cr_assert_eq(place->bytes, bytes);
}

static void write_two(struct scene *scene)
{
    cr_assert(write_batch(scene, 1, 3, 1, 60));
    cr_assert(write_batch(scene, 4, 1, 2, 500));
}

Test(appender, a_frame_holds_the_entries_as_they_came_and_zeros_up_to_the_border)
{
    struct scene scene = play(write_two);
    uint8_t bytes[FRAME_BORDER], zeros[FRAME_BORDER] = {0};
    struct frame_head head = head_at(&scene, FIRST, SEGMENT_DATA_OFFSET);
    expect_head(head, 1, 1, 3, 300);
    cr_assert_eq(head.salt, scene.appender.tail.header.salt);
    sim_disk_read(scene.sim, 1, FIRST, SEGMENT_DATA_OFFSET, bytes, sizeof bytes);
    cr_assert_eq(head.body_checksum, bytes_checksum(bytes + FRAME_HEAD_BYTES, 300));
    for (raft_index index = 1; index <= 3; index++) {
        struct entry *expected = make_entry(index, 1, 60);
        cr_assert_arr_eq(bytes + FRAME_HEAD_BYTES + (index - 1) * 100, expected->bytes, 100);
        entry_drop(expected);
    }
    cr_assert_arr_eq(bytes + FRAME_HEAD_BYTES + 300, zeros, FRAME_BORDER - FRAME_HEAD_BYTES - 300);
    sim_free(scene.sim);
}

Test(appender, frames_stand_one_behind_the_other_and_each_builds_on_the_one_before)
{
    struct scene scene = play(write_two);
    expect_place(&scene.places[0], 1, 3, 1, SEGMENT_DATA_OFFSET, 512);
    expect_place(&scene.places[1], 4, 4, 1, SEGMENT_DATA_OFFSET + 512, 1024);
    expect_head(head_at(&scene, FIRST, SEGMENT_DATA_OFFSET + 512), 2, 4, 1, 540);
    cr_assert_eq(scene.appender.tail.offset, SEGMENT_DATA_OFFSET + 1536);
    cr_assert_eq(scene.appender.tail.last_index, 4);
    sim_free(scene.sim);
}

Test(appender, a_frame_is_durable_when_it_is_written)
{
    struct scene scene = play(write_two);
    sim_power_cut(scene.sim, 1);
    expect_head(head_at(&scene, FIRST, SEGMENT_DATA_OFFSET), 1, 1, 3, 300);
    expect_head(head_at(&scene, FIRST, SEGMENT_DATA_OFFSET + 512), 2, 4, 1, 540);
    sim_free(scene.sim);
}

static void write_long_and_short(struct scene *scene)
{
    cr_assert(write_batch(scene, 1, 1, 1, 3000));
    cr_assert(write_batch(scene, 2, 1, 1, 1));
}

Test(appender, nothing_of_a_longer_frame_stands_behind_a_shorter_one)
{
    struct scene scene = play(write_long_and_short);
    uint8_t bytes[FILE_BYTES] = {0}, zeros[FILE_BYTES] = {0};
    uint64_t end = scene.places[1].offset + FRAME_HEAD_BYTES + ENTRY_HEAD_BYTES + 1;
    expect_place(&scene.places[1], 2, 2, 1, SEGMENT_DATA_OFFSET + 3584, 512);
    sim_disk_read(scene.sim, 1, FIRST, end, bytes, FILE_BYTES - end);
    cr_assert_arr_eq(bytes, zeros, FILE_BYTES - end);
    sim_free(scene.sim);
}

static void replace_the_second(struct scene *scene)
{
    cr_assert(write_batch(scene, 1, 3, 1, 10));
    cr_assert(write_batch(scene, 2, 1, 2, 10));
    cr_assert_eq(scene->appender.tail.last_index, 2);
    cr_assert(write_batch(scene, 3, 1, 2, 10));
}

Test(appender, a_frame_that_replaces_entries_begins_with_the_first_of_them)
{
    struct scene scene = play(replace_the_second);
    expect_head(head_at(&scene, FIRST, scene.places[1].offset), 2, 2, 1, 50);
    expect_head(head_at(&scene, FIRST, scene.places[2].offset), 3, 3, 1, 50);
    sim_free(scene.sim);
}

/* ---- What fits ---- */

static void count_what_fits(struct scene *scene)
{
    struct appender *appender = &scene->appender;
    struct batch *entries = make_batch(1, 9, 1, 960); /* each of 1000 bytes; there are 8192 */
    cr_assert_eq(appender_count_fitting(appender, entries->list, 9), 8);
    cr_assert_eq(appender_count_fitting(appender, entries->list, 5), 5);
    cr_assert(appender_write(appender, entries->list, 5, &scene->places[0], &scene->err)); /* takes 5120 */
    cr_assert_eq(appender_count_fitting(appender, entries->list + 5, 4), 3);
    cr_assert(appender_write(appender, entries->list + 5, 3, &scene->places[0], &scene->err)); /* takes 3072 */
    cr_assert_eq(appender_count_fitting(appender, entries->list + 8, 1), 0);
    cr_assert(appender_is_full(appender));
    batch_free(entries);
}

Test(appender, it_tells_how_many_entries_fit_into_the_file)
{
    sim_free(play(count_what_fits).sim);
}

static void fill_to_the_last_byte(struct scene *scene)
{
    struct batch *entries = make_batch(1, 1, 1, 8192 - FRAME_HEAD_BYTES - ENTRY_HEAD_BYTES);
    struct batch *larger = make_batch(1, 1, 1, 8192 - FRAME_HEAD_BYTES - ENTRY_HEAD_BYTES + 1);
    cr_assert_eq(appender_count_fitting(&scene->appender, larger->list, 1), 0);
    cr_assert_eq(appender_count_fitting(&scene->appender, entries->list, 1), 1);
    cr_assert_not(appender_is_full(&scene->appender));
    cr_assert(appender_write(&scene->appender, entries->list, 1, &scene->places[0], &scene->err));
    cr_assert(appender_is_full(&scene->appender));
    batch_free(entries);
    batch_free(larger);
}

Test(appender, a_file_can_be_filled_to_its_last_byte_and_no_further)
{
    struct scene scene = play(fill_to_the_last_byte);
    expect_place(&scene.places[0], 1, 1, 1, SEGMENT_DATA_OFFSET, 8192);
    cr_assert_eq(sim_disk_read(scene.sim, 1, FIRST, FILE_BYTES, (uint8_t[1]){0}, 1), 0);
    sim_free(scene.sim);
}

/* ---- Witness ---- */

static void witness(struct scene *scene)
{
    cr_assert(appender_write_witness(&scene->appender, &scene->err));
    cr_assert(write_batch(scene, 1, 3, 1, 60));
    cr_assert(appender_write_witness(&scene->appender, &scene->err));
    cr_assert(write_batch(scene, 4, 1, 1, 60));
}

Test(appender, a_witness_builds_on_the_frame_before_it_and_holds_no_entries)
{
    struct scene scene = play(witness);
    struct frame_head head = head_at(&scene, FIRST, SEGMENT_DATA_OFFSET + 1024);
    expect_head(head_at(&scene, FIRST, SEGMENT_DATA_OFFSET), 1, 1, 0, 0);
    expect_head(head_at(&scene, FIRST, SEGMENT_DATA_OFFSET + 512), 2, 1, 3, 300);
    expect_head(head, 3, 4, 0, 0);
    cr_assert_eq(head.body_checksum, bytes_checksum("", 0));
    expect_head(head_at(&scene, FIRST, SEGMENT_DATA_OFFSET + 1536), 4, 4, 1, 100);
    sim_free(scene.sim);
}

/* ---- The next file ---- */

static void go_on_in_the_next_file(struct scene *scene)
{
    cr_assert(write_batch(scene, 1, 3, 1, 60));
    cr_assert(appender_begin_file(&scene->appender, FOLDER, &scene->err), "%s", scene->err.message);
    cr_assert(write_batch(scene, 4, 2, 1, 60));
}

Test(appender, the_next_file_goes_on_with_frames_of_its_own_salt)
{
    struct scene scene = play(go_on_in_the_next_file);
    struct frame_head first = head_at(&scene, FIRST, SEGMENT_DATA_OFFSET);
    struct frame_head second = head_at(&scene, SECOND, SEGMENT_DATA_OFFSET);
    expect_place(&scene.places[1], 4, 5, 2, SEGMENT_DATA_OFFSET, 512);
    expect_head(second, 2, 4, 2, 200);
    cr_assert_neq(first.salt, second.salt);
    sim_free(scene.sim);
}

static void begin_a_missing_file(struct scene *scene)
{
    cr_assert(disk_unlink(SECOND, &scene->err));
    cr_assert_not(appender_begin_file(&scene->appender, FOLDER, &scene->err));
    cr_assert_not_null(strstr(scene->err.message, SECOND), "%s", scene->err.message);
    cr_assert_eq(scene->err.class, &STORAGE_ERROR);
    cr_assert(write_batch(scene, 1, 1, 1, 60)); /* the present one is still there */
}

Test(appender, a_next_file_that_is_missing_is_told)
{
    sim_free(play(begin_a_missing_file).sim);
}

static void begin_a_file_of_another_log(struct scene *scene)
{
    static const struct data_id OTHER = {{8}};
    make_file(2, &OTHER);
    cr_assert_not(appender_begin_file(&scene->appender, FOLDER, &scene->err));
    cr_assert_eq(scene->err.class, &DAMAGED_ERROR);
    cr_assert_not_null(strstr(scene->err.message, SECOND), "%s", scene->err.message);
    make_file(3, &OURS);
    cr_assert(disk_rename(FOLDER "/log/00000003.seg", SECOND, &scene->err));
    cr_assert_not(appender_begin_file(&scene->appender, FOLDER, &scene->err));
    cr_assert_eq(scene->err.class, &DAMAGED_ERROR);
}

Test(appender, a_next_file_that_belongs_elsewhere_is_not_written_to)
{
    struct scene scene = play(begin_a_file_of_another_log);
    cr_assert_eq(scene.appender.tail.header.number, 1);
    sim_free(scene.sim);
}

static void begin_a_file_without_header(struct scene *scene)
{
    sim_disk_flip(scene->sim, 1, SECOND, 30);
    cr_assert_not(appender_begin_file(&scene->appender, FOLDER, &scene->err));
    cr_assert_eq(scene->err.class, &DAMAGED_ERROR);
}

Test(appender, a_next_file_without_a_sound_header_is_not_written_to)
{
    sim_free(play(begin_a_file_without_header).sim);
}

/* ---- Failures ---- */

static void fail_to_write(struct scene *scene)
{
    sim_disk_fail_write(scene->sim, 1, true);
    cr_assert_not(write_batch(scene, 1, 3, 1, 60));
}

Test(appender, a_full_disk_is_told_with_the_files_name)
{
    struct scene scene = play(fail_to_write);
    cr_assert_eq(scene.err.class, &FULL_ERROR);
    cr_assert_not_null(strstr(scene.err.message, FIRST), "%s", scene.err.message);
    sim_free(scene.sim);
}

static void fail_to_sync(struct scene *scene)
{
    sim_disk_fail_sync(scene->sim, 1);
    cr_assert_not(write_batch(scene, 1, 3, 1, 60));
    cr_assert_eq(scene->appender.tail.last_index, 0);
}

Test(appender, a_failed_sync_is_told_and_nothing_counts)
{
    struct scene scene = play(fail_to_sync);
    cr_assert_eq(scene.err.class, &STORAGE_ERROR);
    cr_assert_not_null(strstr(scene.err.message, FIRST), "%s", scene.err.message);
    sim_free(scene.sim);
}
