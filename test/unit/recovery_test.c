#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "sim/sim.h"
#include "storage/recovery.h"

#define DATA_DIR   "/data"
#define FILE_BYTES (SEGMENT_DATA_OFFSET + 8 * FRAME_BORDER)
#define SALT       0x1234567800000000 /* plus the file's number */
#define WHOLE      (1 << 20)          /* a cache that holds all entries */
#define FILES_MAX  3

static const struct data_id OURS = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

/* ---- A log, laid on the disk byte by byte ---- */

static const char *path_of(uint64_t file)
{
    static char paths[FILES_MAX + 1][DISK_PATH_MAX];
    return segment_path(DATA_DIR, file, paths[file]);
}

static void make_folder(void *context)
{
    struct mailraft_error err;
    (void)context;
    cr_assert(disk_make_folder(DATA_DIR "/log", &err) && disk_sync_folder(DATA_DIR, &err), "%s", err.message);
}

static struct sim *machine(uint64_t seed)
{
    struct sim *sim = sim_new(seed);
    sim_add_machine(sim, 1);
    cr_assert(sim_run_on(sim, 1, make_folder, NULL));
    return sim;
}

static void put_header(struct sim *sim, const struct segment_header *header, uint64_t file)
{
    uint8_t bytes[FILE_BYTES] = {0};
    segment_header_encode(bytes, header);
    segment_header_encode(bytes + SEGMENT_HEADER_COPY, header);
    sim_disk_put(sim, 1, path_of(file), 0, bytes, sizeof bytes);
}

static struct segment_header header_of(uint64_t file)
{
    return (struct segment_header){.data_id = OURS, .number = file, .salt = SALT + file, .size = FILE_BYTES};
}

static void put_file(struct sim *sim, uint64_t file)
{
    struct segment_header header = header_of(file);
    put_header(sim, &header, file);
}

/* Entries first to last, of one term, each with such a payload; last 0: a witness. */
struct frame {
    raft_index first, last;
    raft_term term;
    size_t payload_size;

    uint64_t file, offset; /* from here on: laid down by the log; 0: where the next one goes */
    uint64_t number, builds_on;
    uint64_t size; /* of head and entries */
};

static struct entry *entry_of(raft_index index, raft_term term, size_t payload_size)
{
    uint8_t payload[3000];
    memset(payload, (int)(index * 16 + term), sizeof payload);
    return entry_new(index % 4 == 1 ? ENTRY_CONFIG : ENTRY_COMMAND, term, index, 1000 + (int64_t)index, payload,
                     payload_size);
}

/* Returns how many bytes it takes, all of them in `bytes`. */
static size_t encode_frame(const struct frame *frame, uint8_t bytes[FILE_BYTES])
{
    struct frame_head head = {
        .salt = SALT + frame->file, .number = frame->number, .builds_on = frame->builds_on, .first = frame->first};
    memset(bytes, 0, FILE_BYTES);
    for (raft_index index = frame->first; frame->last > 0 && index <= frame->last; index++) {
        struct entry *entry = entry_of(index, frame->term, frame->payload_size);
        memcpy(bytes + FRAME_HEAD_BYTES + head.length, entry->bytes, entry->size);
        head.length += entry->size;
        head.count++;
        entry_drop(entry);
    }
    head.body_checksum = bytes_checksum(bytes + FRAME_HEAD_BYTES, head.length);
    frame_head_encode(bytes, &head);
    return (size_t)frame_bytes(head.length);
}

static void put_frame(struct sim *sim, const struct frame *frame)
{
    uint8_t bytes[FILE_BYTES];
    size_t size = encode_frame(frame, bytes);
    sim_disk_put(sim, 1, path_of(frame->file), frame->offset, bytes, size);
}

/* Numbers frames, gives them their places, and lays them down, in as many files as they need. Returns how many. */
static uint64_t put_log(struct sim *sim, struct frame *frames, size_t count)
{
    uint64_t file = 1, offset = SEGMENT_DATA_OFFSET;
    put_file(sim, 1);
    for (size_t i = 0; i < count; i++) {
        struct frame *frame = &frames[i];
        size_t entries = frame->last == 0 ? 0 : (size_t)(frame->last - frame->first) + 1;
        frame->size = FRAME_HEAD_BYTES + entries * (ENTRY_HEAD_BYTES + frame->payload_size);
        if (offset + frame_bytes(frame->size - FRAME_HEAD_BYTES) > FILE_BYTES) {
            put_file(sim, ++file);
            offset = SEGMENT_DATA_OFFSET;
        }
        frame->file = file;
        frame->offset = offset;
        frame->number = i + 1;
        frame->builds_on = i;
        put_frame(sim, frame);
        offset += frame_bytes(frame->size - FRAME_HEAD_BYTES);
    }
    return file;
}

/* Two files: the third frame replaces the last two entries; the fifth fits only into the second file. */
enum { SMALL_COUNT = 6 };
static const struct frame SMALL[SMALL_COUNT] = {
    {.first = 1, .last = 2, .term = 1, .payload_size = 20},   {.first = 3, .last = 5, .term = 1, .payload_size = 200},
    {.first = 4, .last = 4, .term = 3, .payload_size = 10},   {.first = 5, .last = 6, .term = 3, .payload_size = 50},
    {.first = 7, .last = 7, .term = 4, .payload_size = 1900}, {.first = 8, .last = 0},
};
#define SMALL_TEXT          "1@1 2@1 3@1 4@3 5@3 6@3 7@4"
#define SMALL_TEXT_LESS_ONE "1@1 2@1 3@1 4@3 5@3 6@3"

/* The first `count` frames of it. */
static struct sim *small_log(struct frame frames[SMALL_COUNT], size_t count)
{
    struct sim *sim = machine(0);
    memcpy(frames, SMALL, sizeof SMALL);
    put_log(sim, frames, count);
    return sim;
}

/* ---- What one life finds ---- */

struct life {
    size_t cache_bytes;

    bool good;
    struct mailraft_error err;
    char entries[400]; /* of the tail: "1@1 2@1", index and term */
    raft_index last_index;
    size_t config_count;
    uint64_t frames, files, bytes_read, bytes_cut;
    uint64_t file, offset, frame_number; /* where the next frame goes */
};

static void check_entry(const struct storage_opened *opened, const struct entry *entry)
{
    struct entry *made = entry_of(entry->index, entry->term, entry_payload_size(entry));
    const struct run *run = catalog_find(&opened->catalog, entry->index);
    cr_assert_eq(entry->size, made->size);
    cr_assert_arr_eq(entry->bytes, made->bytes, made->size);
    cr_assert_eq(terms_at(&opened->terms, entry->index), entry->term);
    cr_assert_not_null(run);
    entry_drop(made);
}

/* The parts fit together: every entry has a place, and the configs are those that are among the entries. */
static void check_opened(const struct storage_opened *opened, bool whole)
{
    size_t configs = 0;
    const struct batch *tail = opened->tail;
    cr_assert_eq(tail == NULL ? 0 : tail->list[tail->count - 1]->index, opened->terms.last_index);
    for (size_t i = 0; tail != NULL && i < tail->count; i++) {
        check_entry(opened, tail->list[i]);
        if (whole && tail->list[i]->kind == ENTRY_CONFIG) {
            cr_assert_lt(configs, opened->config_count);
            cr_assert_eq(opened->configs[configs]->index, tail->list[i]->index);
            cr_assert_eq(opened->configs[configs++]->term, tail->list[i]->term);
        }
    }
    cr_assert(!whole || configs == opened->config_count);
    cr_assert(!whole || tail == NULL || tail->list[0]->index == 1);
}

static void describe(const struct batch *tail, char *text, size_t size)
{
    size_t length = 0;
    text[0] = '\0';
    for (size_t i = 0; tail != NULL && i < tail->count; i++)
        length += (size_t)snprintf(text + length, size - length, "%s%d@%d", i == 0 ? "" : " ",
                                   (int)tail->list[i]->index, (int)tail->list[i]->term);
}

static void live(void *context)
{
    struct life *life = context;
    struct recovery_config config = {.data_dir = DATA_DIR, .data_id = OURS, .cache_bytes = life->cache_bytes};
    struct storage_opened *opened = memory_new(sizeof *opened);
    struct tail tail;
    life->good = recovery_run(&config, opened, &tail, &life->err);
    life->bytes_read = opened->bytes_read;
    if (life->good) {
        check_opened(opened, life->cache_bytes == WHOLE);
        describe(opened->tail, life->entries, sizeof life->entries);
        life->last_index = tail.last_index;
        life->config_count = opened->config_count;
        life->frames = opened->frames;
        life->files = opened->files;
        life->bytes_cut = opened->bytes_cut;
        life->file = tail.header.number;
        life->offset = tail.offset;
        life->frame_number = tail.frame_number;
        cr_assert_eq(tail.last_index, opened->terms.last_index);
        disk_close(tail.file);
    }
    storage_opened_free(opened);
}

static struct life look_with(struct sim *sim, size_t cache_bytes)
{
    struct life life = {.cache_bytes = cache_bytes};
    cr_assert(sim_run_on(sim, 1, live, &life));
    return life;
}

static struct life look(struct sim *sim)
{
    return look_with(sim, WHOLE);
}

static struct life expect_found(struct sim *sim, const char *entries)
{
    struct life life = look(sim);
    cr_assert(life.good, "%s", life.err.message);
    cr_assert_str_eq(life.entries, entries);
    return life;
}

/* What stands in the files, to see that a refusal changes nothing, and to lay it down again. */
struct platters {
    size_t sizes[FILES_MAX];
    uint8_t bytes[FILES_MAX][FILE_BYTES];
};

static struct platters *platters_read(struct sim *sim)
{
    struct platters *platters = memory_new(sizeof *platters);
    for (uint64_t i = 0; i < FILES_MAX; i++)
        platters->sizes[i] = sim_disk_read(sim, 1, path_of(i + 1), 0, platters->bytes[i], FILE_BYTES);
    return platters;
}

static void platters_put(struct sim *sim, const struct platters *platters)
{
    for (uint64_t i = 0; i < FILES_MAX; i++)
        if (platters->sizes[i] > 0)
            sim_disk_put(sim, 1, path_of(i + 1), 0, platters->bytes[i], platters->sizes[i]);
}

/* Refused as damage, with these texts in the message, and nothing is changed. */
static void expect_refused(struct sim *sim, const char *file, const char *message)
{
    struct platters *before = platters_read(sim);
    struct life life = look(sim);
    struct platters *after = platters_read(sim);
    cr_assert_not(life.good);
    cr_assert_eq(life.err.class, &DAMAGED_ERROR, "%s", life.err.message);
    cr_assert_not_null(strstr(life.err.message, file), "%s", life.err.message);
    cr_assert_not_null(strstr(life.err.message, message), "%s", life.err.message);
    cr_assert_arr_eq(before, after, sizeof *before);
    memory_free(before);
    memory_free(after);
}

/* ---- Reading ---- */

Test(recovery, an_empty_log_is_one_file_without_frames)
{
    struct sim *sim = machine(0);
    put_file(sim, 1);
    struct life life = expect_found(sim, "");
    cr_assert_eq(life.last_index, 0);
    cr_assert_eq(life.frames, 0);
    cr_assert_eq(life.files, 1);
    cr_assert_eq(life.bytes_cut, 0);
    cr_assert_eq(life.file, 1);
    cr_assert_eq(life.offset, SEGMENT_DATA_OFFSET);
    cr_assert_eq(life.frame_number, 0);
    sim_free(sim);
}

Test(recovery, a_log_of_two_files_with_a_truncation_is_read)
{
    struct frame frames[SMALL_COUNT];
    struct sim *sim = small_log(frames, SMALL_COUNT);
    struct life life = expect_found(sim, SMALL_TEXT);
    cr_assert_eq(life.last_index, 7);
    cr_assert_eq(life.config_count, 2); /* 1 and 5; not the 5 that was replaced */
    cr_assert_eq(life.frames, 6);
    cr_assert_eq(life.files, 2);
    cr_assert_eq(life.bytes_cut, 0);
    cr_assert_eq(life.file, 2);
    cr_assert_eq(life.offset, SEGMENT_DATA_OFFSET + 5 * FRAME_BORDER);
    cr_assert_eq(life.frame_number, 6);
    sim_free(sim);
}

Test(recovery, every_byte_is_read_once_but_for_the_tail)
{
    struct frame frames[SMALL_COUNT];
    struct sim *sim = small_log(frames, SMALL_COUNT);
    uint64_t once = 2 * (FILE_BYTES - SEGMENT_DATA_OFFSET), witness = FRAME_BORDER, first_file = 5 * FRAME_BORDER;
    cr_assert_eq(look_with(sim, 0).bytes_read, once + witness); /* the last entry is still in memory */
    cr_assert_eq(look_with(sim, WHOLE).bytes_read, once + witness + first_file);
    sim_free(sim);
}

Test(recovery, a_truncation_may_replace_everything)
{
    struct frame frames[] = {{.first = 1, .last = 3, .term = 2}, {.first = 1, .last = 1, .term = 5}};
    struct sim *sim = machine(0);
    put_log(sim, frames, 2);
    cr_assert_eq(expect_found(sim, "1@5").config_count, 1);
    sim_free(sim);
}

/* Figure 8 of the paper: an entry of a later term gives way to one of an earlier term. */
Test(recovery, what_replaces_an_entry_may_be_of_an_earlier_term)
{
    struct frame frames[] = {
        {.first = 1, .last = 1, .term = 1}, {.first = 2, .last = 3, .term = 3}, {.first = 2, .last = 2, .term = 2}};
    struct sim *sim = machine(0);
    put_log(sim, frames, 3);
    expect_found(sim, "1@1 2@2");
    sim_free(sim);
}

Test(recovery, what_was_replaced_is_not_found_whatever_its_term)
{
    struct frame frames[] = {{.first = 1, .last = 3, .term = 1, .payload_size = 10},
                             {.first = 2, .last = 2, .term = 1, .payload_size = 20}};
    struct sim *sim = machine(0);
    put_log(sim, frames, 2);
    expect_found(sim, "1@1 2@1");
    struct life life = look_with(sim, ENTRY_HEAD_BYTES + 20); /* only the newer one has so many bytes */
    cr_assert_str_eq(life.entries, "2@1");
    sim_free(sim);
}

Test(recovery, a_file_may_have_been_too_small_for_what_came)
{
    struct frame frames[] = {{.first = 1, .last = 1, .term = 1}, {.first = 2, .last = 2, .term = 1}};
    struct sim *sim = machine(0);
    put_log(sim, frames, 1);
    put_file(sim, 2);
    put_file(sim, 3);
    frames[1] = (struct frame){
        .first = 2, .last = 2, .term = 1, .file = 3, .offset = SEGMENT_DATA_OFFSET, .number = 2, .builds_on = 1};
    put_frame(sim, &frames[1]);
    cr_assert_eq(expect_found(sim, "1@1 2@1").file, 3);
    sim_free(sim);
}

Test(recovery, the_tail_holds_as_many_of_the_newest_entries_as_the_cache_has_bytes_for)
{
    static const struct {
        size_t cache_bytes;
        const char *entries;
    } CASES[] = {
        {0, "7@4"},
        {1940 + 89, "7@4"},
        {1940 + 90, "6@3 7@4"},
        {1940 + 2 * 90 + 49, "5@3 6@3 7@4"},
        {1940 + 2 * 90 + 50, "4@3 5@3 6@3 7@4"},
        {1940 + 2 * 90 + 50 + 240, "3@1 4@3 5@3 6@3 7@4"},
        {1940 + 2 * 90 + 50 + 240 + 60, "2@1 3@1 4@3 5@3 6@3 7@4"},
        {1940 + 2 * 90 + 50 + 240 + 120, SMALL_TEXT},
    };
    struct frame frames[SMALL_COUNT];
    struct sim *sim = small_log(frames, SMALL_COUNT);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct life life = look_with(sim, CASES[i].cache_bytes);
        cr_assert(life.good, "%s", life.err.message);
        cr_assert_str_eq(life.entries, CASES[i].entries);
        cr_assert_eq(life.last_index, 7);
        cr_assert_eq(life.config_count, 2);
    }
    sim_free(sim);
}

/* Each frame replaces the last entry of the one before it, and so begins a run of its own. Eight fill a file. */
Test(recovery, the_tail_of_many_runs_is_whole_and_no_run_is_read_in_vain)
{
    enum { COUNT = 15 };
    struct frame frames[COUNT];
    struct sim *sim = machine(0);
    char all[400] = "";
    size_t length = 0;
    for (raft_index i = 0; i < COUNT; i++) {
        frames[i] = (struct frame){.first = 2 * i + 1, .last = 2 * i + 3, .term = i + 1, .payload_size = 60};
        for (raft_index index = 2 * i + 1; index <= 2 * i + (i + 1 < COUNT ? 2 : 3); index++)
            length += (size_t)snprintf(all + length, sizeof all - length, " %d@%d", (int)index, (int)i + 1);
    }
    cr_assert_eq(put_log(sim, frames, COUNT), 2);
    uint64_t once = 2 * (FILE_BYTES - SEGMENT_DATA_OFFSET), renewed = FRAME_BORDER;
    expect_found(sim, all + 1);
    for (size_t kept = 1; kept <= 2 * COUNT + 1; kept++) {
        struct life life = look_with(sim, kept * 100);
        const char *from = all + strlen(all);
        size_t runs = kept <= 3 ? 1 : 1 + (kept - 2) / 2, second_file = COUNT - 8; /* which is still in memory */
        for (size_t i = 0; i < kept; i++)
            while (*--from != ' ')
                ;
        cr_assert(life.good, "%s", life.err.message);
        cr_assert_str_eq(life.entries, from + 1);
        cr_assert_eq(life.bytes_read,
                     once + renewed + (runs > second_file ? runs - second_file : 0) * FRAME_BORDER, "%zu", kept);
    }
    sim_free(sim);
}

/* ---- Damage ---- */

static bool is_durable_part(const struct frame *frames, size_t count, uint64_t file, uint64_t offset)
{
    for (size_t i = 0; i < count; i++)
        if (frames[i].file == file && offset >= frames[i].offset && offset < frames[i].offset + frames[i].size)
            return true;
    return false;
}

/* With a witness behind them, what any byte of the frames before it says is refused when it is damaged; no other byte
 * matters. Without one, the last frame is cut off when it is damaged. */
static void flip_each_byte(size_t count, const char *entries, const char *entries_less_one)
{
    struct frame frames[SMALL_COUNT];
    struct sim *sim = small_log(frames, count);
    struct platters *whole = platters_read(sim);
    for (uint64_t file = 1; file <= 2; file++)
        for (uint64_t offset = 0; offset < FILE_BYTES; offset += CHECK_STRIDE) {
            sim_disk_flip(sim, 1, path_of(file), offset);
            bool refused = is_durable_part(frames, count - 1, file, offset);
            bool cut = is_durable_part(frames + count - 1, 1, file, offset);
            if (refused) {
                expect_refused(sim, path_of(file), "is damaged at offset");
            } else {
                struct life life = expect_found(sim, cut ? entries_less_one : entries);
                bool behind = offset >= frames[count - 1].offset && file == frames[count - 1].file;
                cr_assert_eq(life.bytes_cut > 0, cut || (behind && offset >= life.offset), "byte %d", (int)offset);
                cr_assert_eq(expect_found(sim, life.entries).bytes_cut, 0);
            }
            platters_put(sim, whole);
        }
    memory_free(whole);
    sim_free(sim);
}

Test(recovery, a_damaged_byte_before_a_witness_is_refused_or_changes_nothing, .timeout = 300)
{
    flip_each_byte(SMALL_COUNT, SMALL_TEXT, SMALL_TEXT);
}

Test(recovery, a_damaged_byte_in_a_last_frame_without_a_witness_cuts_it_off, .timeout = 300)
{
    flip_each_byte(SMALL_COUNT - 1, SMALL_TEXT, SMALL_TEXT_LESS_ONE);
}

Test(recovery, a_refusal_names_place_and_index_and_says_what_to_do)
{
    struct frame frames[SMALL_COUNT];
    struct sim *sim = small_log(frames, SMALL_COUNT);
    sim_disk_flip(sim, 1, path_of(1), frames[3].offset + 70);
    struct life life = look(sim);
    cr_assert_str_eq(
        life.err.message,
        "/data/log/00000001.seg is damaged at offset 10240, where the log goes on behind entry 4: frame 5, "
        "at offset 8192 of file 2, builds on frame 4, and the last one that can be read is 3; "
        "restore that file, or, while the other members have a leader, remove the data_dir and start this "
        "node with --rejoin-empty");
    sim_free(sim);
}

Test(recovery, frames_that_are_zeroed_or_whose_file_is_are_missed)
{
    static const uint8_t ZEROS[FILE_BYTES];
    for (size_t i = 0; i < SMALL_COUNT - 1; i++) {
        struct frame frames[SMALL_COUNT];
        struct sim *sim = small_log(frames, SMALL_COUNT);
        size_t size = (size_t)frame_bytes(frames[i].size - FRAME_HEAD_BYTES);
        sim_disk_put(sim, 1, path_of(frames[i].file), frames[i].offset, ZEROS, size);
        expect_refused(sim, path_of(frames[i].file), "is damaged at offset");
        sim_free(sim);
    }
    struct frame frames[SMALL_COUNT];
    struct sim *sim = small_log(frames, SMALL_COUNT);
    sim_disk_put(sim, 1, path_of(1), 0, ZEROS, sizeof ZEROS);
    expect_refused(sim, path_of(1), "no sound header");
    sim_free(sim);
}

Test(recovery, one_copy_of_a_header_is_enough_and_the_other_is_written_again)
{
    for (uint64_t i = 0; i < 4; i++) {
        uint64_t file = 1 + i / 2, copy = i % 2 * SEGMENT_HEADER_COPY;
        struct frame frames[SMALL_COUNT];
        struct sim *sim = small_log(frames, SMALL_COUNT);
        sim_disk_flip(sim, 1, path_of(file), copy + 30);
        expect_found(sim, SMALL_TEXT);
        sim_power_cut(sim, 1);
        sim_disk_flip(sim, 1, path_of(file), SEGMENT_HEADER_COPY - copy + 30);
        expect_found(sim, SMALL_TEXT);
        sim_disk_flip(sim, 1, path_of(file), 30);
        sim_disk_flip(sim, 1, path_of(file), SEGMENT_HEADER_COPY + 30);
        expect_refused(sim, path_of(file), "no sound header; restore that file");
        sim_free(sim);
    }
}

/* ---- Files ---- */

static void make_file(void *path)
{
    struct mailraft_error err;
    struct disk_file *file = disk_open(path, DISK_CREATE, &err);
    cr_assert_not_null(file, "%s", err.message);
    cr_assert(disk_sync_folder(DATA_DIR "/log", &err));
    disk_close(file);
}

static void make(struct sim *sim, const char *path)
{
    char copy[100];
    cr_assert(sim_run_on(sim, 1, make_file, strcpy(copy, path)));
}

Test(recovery, a_missing_file_is_refused_by_name)
{
    struct frame frames[SMALL_COUNT];
    struct sim *sim = small_log(frames, SMALL_COUNT);
    put_file(sim, 3);
    sim_disk_remove(sim, 1, path_of(2));
    expect_refused(sim, path_of(2), "is missing before 00000003.seg; restore that file");
    sim_disk_remove(sim, 1, path_of(3));
    sim_disk_remove(sim, 1, path_of(1));
    expect_refused(sim, path_of(1), "is missing, and so are all other files");
    put_file(sim, 2);
    expect_refused(sim, path_of(1), "is missing before 00000002.seg");
    sim_free(sim);
}

Test(recovery, a_name_that_does_not_belong_there_is_refused)
{
    static const char *const NAMES[] = {"notes", "00000001.seg.bak", "1.seg", "00000003.SEG", "x.tmp", ".seg.tmp"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        struct frame frames[SMALL_COUNT];
        struct sim *sim = small_log(frames, SMALL_COUNT);
        char path[100];
        snprintf(path, sizeof path, DATA_DIR "/log/%s", NAMES[i]);
        make(sim, path);
        expect_refused(sim, NAMES[i], "is no file of the log");
        cr_assert(sim_disk_exists(sim, 1, path));
        sim_free(sim);
    }
}

Test(recovery, a_file_that_was_being_made_is_removed)
{
    struct frame frames[SMALL_COUNT];
    struct sim *sim = small_log(frames, SMALL_COUNT);
    make(sim, DATA_DIR "/log/00000003.seg.tmp");
    make(sim, DATA_DIR "/log/00000004.seg.tmp");
    expect_found(sim, SMALL_TEXT);
    sim_power_cut(sim, 1);
    cr_assert_not(sim_disk_exists(sim, 1, DATA_DIR "/log/00000003.seg.tmp"));
    cr_assert_not(sim_disk_exists(sim, 1, DATA_DIR "/log/00000004.seg.tmp"));
    sim_free(sim);
}

Test(recovery, files_behind_the_newest_frame_are_removed)
{
    struct frame frames[SMALL_COUNT];
    struct sim *sim = small_log(frames, 2);
    put_file(sim, 2);
    put_file(sim, 3);
    cr_assert_eq(expect_found(sim, "1@1 2@1 3@1 4@1 5@1").file, 1);
    sim_power_cut(sim, 1);
    cr_assert_not(sim_disk_exists(sim, 1, path_of(2)));
    cr_assert_not(sim_disk_exists(sim, 1, path_of(3)));
    sim_free(sim);
}

Test(recovery, files_that_have_changed_places_are_refused)
{
    struct frame frames[SMALL_COUNT];
    struct sim *sim = small_log(frames, SMALL_COUNT);
    struct platters *platters = platters_read(sim);
    sim_disk_put(sim, 1, path_of(1), 0, platters->bytes[1], FILE_BYTES);
    sim_disk_put(sim, 1, path_of(2), 0, platters->bytes[0], FILE_BYTES);
    expect_refused(sim, path_of(1), "has the wrong name: it was written as file 2 of the log");
    platters_put(sim, platters);
    sim_disk_put(sim, 1, path_of(3), 0, platters->bytes[1], FILE_BYTES); /* an extra one */
    expect_refused(sim, path_of(3), "has the wrong name: it was written as file 2 of the log");
    memory_free(platters);
    sim_free(sim);
}

Test(recovery, a_file_of_another_data_dir_is_refused)
{
    struct frame frames[SMALL_COUNT];
    struct sim *sim = small_log(frames, SMALL_COUNT);
    struct segment_header header = header_of(2);
    header.data_id.bytes[3]++;
    put_header(sim, &header, 2);
    expect_refused(sim, path_of(2), "belongs to another data_dir");
    sim_free(sim);
}

Test(recovery, a_file_of_the_same_number_made_at_another_time_is_missed)
{
    struct frame frames[SMALL_COUNT];
    struct sim *sim = small_log(frames, SMALL_COUNT);
    struct segment_header header = header_of(1);
    struct platters *platters = platters_read(sim);
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    header.salt++;
    segment_header_encode(bytes, &header);
    sim_disk_put(sim, 1, path_of(1), 0, bytes, sizeof bytes);
    sim_disk_put(sim, 1, path_of(1), SEGMENT_HEADER_COPY, bytes, sizeof bytes);
    expect_refused(sim, path_of(1), "is damaged at offset 8192");
    platters_put(sim, platters);
    memory_free(platters);
    expect_found(sim, SMALL_TEXT);
    sim_free(sim);
}

Test(recovery, a_newer_version_is_refused)
{
    struct frame frames[SMALL_COUNT];
    struct sim *sim = small_log(frames, SMALL_COUNT);
    struct segment_header header = header_of(2);
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    segment_header_encode(bytes, &header);
    bytes_put_u32(bytes + 4, 2);
    bytes_put_u64(bytes + 52, bytes_checksum(bytes, 52));
    sim_disk_put(sim, 1, path_of(2), 0, bytes, sizeof bytes);
    sim_disk_put(sim, 1, path_of(2), SEGMENT_HEADER_COPY, bytes, sizeof bytes);
    expect_refused(sim, path_of(2), "newer mailraft");
    sim_free(sim);
}

static uint64_t resize_to;

static void resize(void *path)
{
    struct mailraft_error err;
    struct disk_file *file = disk_open(path, DISK_OPEN, &err);
    cr_assert_not_null(file, "%s", err.message);
    cr_assert(disk_truncate(file, resize_to, &err) && disk_sync(file, &err), "%s", err.message);
    disk_close(file);
}

Test(recovery, a_file_of_another_size_is_refused)
{
    static const uint64_t SIZES[] = {0, 59, 60, 4096, SEGMENT_DATA_OFFSET, FILE_BYTES - 1, FILE_BYTES + 1};
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++)
        for (uint64_t number = 1; number <= 2; number++) {
            struct frame frames[SMALL_COUNT];
            struct sim *sim = small_log(frames, SMALL_COUNT);
            char path[DISK_PATH_MAX];
            segment_path(DATA_DIR, number, path);
            resize_to = SIZES[i];
            cr_assert(sim_run_on(sim, 1, resize, path));
            expect_refused(sim, path, SIZES[i] < 60 ? "no sound header" : "bytes, and it was made with 12288");
            sim_free(sim);
        }
}

Test(recovery, a_header_that_tells_of_a_size_that_no_file_has_is_refused)
{
    static const uint64_t SIZES[] = {0, 4096, SEGMENT_DATA_OFFSET, FILE_BYTES - 1};
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        struct sim *sim = machine(0);
        struct segment_header header = header_of(1);
        char path[DISK_PATH_MAX];
        header.size = resize_to = SIZES[i];
        put_header(sim, &header, 1);
        if (resize_to > SEGMENT_HEADER_BYTES) /* else its header would go with it */
            cr_assert(sim_run_on(sim, 1, resize, (void *)segment_path(DATA_DIR, 1, path)));
        expect_refused(sim, path_of(1), "no file of the log has so many");
        sim_free(sim);
    }
}

/* ---- What a frame tells ---- */

/* The last of the frames is laid down again as `other`; its checksums fit. */
static void expect_content_refused(struct frame *frames, size_t count, struct frame other, const char *message)
{
    struct sim *sim = machine(0);
    put_log(sim, frames, count);
    other.file = frames[count - 1].file;
    other.offset = frames[count - 1].offset;
    put_frame(sim, &other);
    expect_refused(sim, path_of(other.file), message);
    sim_free(sim);
}

Test(recovery, holes_in_the_indexes_or_the_numbers_are_refused)
{
    struct frame frames[] = {{.first = 1, .last = 2, .term = 2}, {.first = 3, .last = 3, .term = 2}};
    static const struct {
        struct frame other;
        const char *message;
    } CASES[] = {
        {{.first = 4, .last = 4, .term = 2, .number = 2, .builds_on = 1}, "the entries before it are missing"},
        {{.first = 4, .last = 0, .number = 2, .builds_on = 1}, "the entries before it are missing"},
        {{.first = 0, .last = 0, .term = 2, .number = 2, .builds_on = 1}, "the entries before it are missing"},
        {{.first = 2, .last = 0, .number = 2, .builds_on = 1}, "it has no entries"},
        {{.first = 3, .last = 3, .term = 1, .number = 2, .builds_on = 1}, "a term goes back"},
        {{.first = 3, .last = 3, .term = 2, .number = 3, .builds_on = 2}, "builds on frame 2"},
        {{.first = 3, .last = 3, .term = 2, .number = 2, .builds_on = 0}, "that of an earlier frame"},
        {{.first = 3, .last = 3, .term = 2, .number = 1, .builds_on = 1}, "that of an earlier frame"},
        {{.first = 3, .last = 3, .term = 2, .number = INT64_MAX, .builds_on = 1}, "its number is out of range"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        expect_content_refused(frames, 2, CASES[i].other, CASES[i].message);
}

Test(recovery, a_term_that_goes_back_across_a_truncation_is_refused)
{
    struct frame frames[] = {{.first = 1, .last = 2, .term = 2}, {.first = 2, .last = 2, .term = 3}};
    expect_content_refused(frames, 2, (struct frame){.first = 2, .last = 2, .term = 1, .number = 2, .builds_on = 1},
                           "a term goes back");
}

/* A frame of these bytes as entries. */
static void expect_body_refused(const uint8_t *body, uint32_t length, raft_index first, uint32_t count,
                                const char *message)
{
    struct frame_head head = {.salt = SALT + 1,
                              .number = 1,
                              .first = first,
                              .count = count,
                              .length = length,
                              .body_checksum = bytes_checksum(body, length)};
    uint8_t bytes[FRAME_HEAD_BYTES];
    struct sim *sim = machine(0);
    put_file(sim, 1);
    frame_head_encode(bytes, &head);
    sim_disk_put(sim, 1, path_of(1), SEGMENT_DATA_OFFSET, bytes, sizeof bytes);
    sim_disk_put(sim, 1, path_of(1), SEGMENT_DATA_OFFSET + sizeof bytes, body, length);
    expect_refused(sim, path_of(1), message);
    sim_free(sim);
}

Test(recovery, a_frame_whose_entries_are_not_what_its_head_tells_is_refused)
{
    struct entry *first = entry_of(1, 1, 10), *third = entry_of(3, 1, 10);
    uint8_t body[200];
    memcpy(body, first->bytes, first->size);
    memcpy(body + first->size, third->bytes, third->size);
    expect_body_refused(body, first->size + third->size, 1, 2, "do not follow one another");
    expect_body_refused(body, first->size + third->size, 1, 1, "longer than its entries");
    expect_body_refused(body, first->size, 1, 2, "an entry of 0 bytes");
    expect_body_refused(body, first->size, 1, 0, "longer than its entries");
    expect_body_refused(body + first->size, third->size, 1, 1, "do not follow one another");
    expect_body_refused(body, first->size - 1, 1, 1, "length");
    body[first->size - 1] ^= 1;
    expect_body_refused(body, first->size, 1, 1, "checksum");
    entry_drop(first);
    entry_drop(third);
}

Test(recovery, a_frame_that_does_not_follow_directly_is_refused)
{
    struct frame frames[] = {{.first = 1, .last = 1, .term = 1}, {.first = 2, .last = 2, .term = 1}};
    struct sim *sim = machine(0);
    put_log(sim, frames, 1);
    frames[1] = (struct frame){.first = 2,
                               .last = 2,
                               .term = 1,
                               .file = 1,
                               .offset = SEGMENT_DATA_OFFSET + 2 * FRAME_BORDER,
                               .number = 2,
                               .builds_on = 1};
    put_frame(sim, &frames[1]);
    expect_refused(sim, path_of(1), "is damaged at offset 8704");
    sim_free(sim);
}

/* ---- Writes in flight ---- */

/* The next frame is laid where this life found the end, and read again. */
static void expect_goes_on(struct sim *sim, const struct life *life)
{
    struct frame next = {.first = life->last_index + 1,
                         .last = life->last_index + 1,
                         .term = 9,
                         .file = life->file,
                         .offset = life->offset,
                         .number = life->frame_number + 1,
                         .builds_on = life->frame_number};
    char entries[sizeof life->entries + 32];
    snprintf(entries, sizeof entries, "%s%s%d@9", life->entries, life->last_index > 0 ? " " : "",
             (int)life->last_index + 1);
    if (next.offset == FILE_BYTES) {
        put_file(sim, ++next.file);
        next.offset = SEGMENT_DATA_OFFSET;
    }
    put_frame(sim, &next);
    cr_assert_eq(expect_found(sim, entries).bytes_cut, 0);
}

/* The last of the frames with each combination of its sectors: it counts where all are there. */
static void tear(const struct frame *log, size_t count, const char *entries, const char *entries_less_one)
{
    static const uint8_t ZEROS[FRAME_BORDER];
    struct frame frames[SMALL_COUNT];
    size_t sectors = 1;
    for (unsigned there = 0; there < 1u << sectors; there++) {
        struct sim *sim = machine(there);
        memcpy(frames, log, count * sizeof *log);
        put_log(sim, frames, count);
        const struct frame *last = &frames[count - 1];
        sectors = (size_t)(frame_bytes(last->size - FRAME_HEAD_BYTES) / FRAME_BORDER);
        bool whole = there == (1u << sectors) - 1;
        for (size_t i = 0; i < sectors; i++)
            if ((there & 1u << i) == 0)
                sim_disk_put(sim, 1, path_of(last->file), last->offset + i * FRAME_BORDER, ZEROS, sizeof ZEROS);
        struct life life = expect_found(sim, whole ? entries : entries_less_one);
        cr_assert_eq(life.bytes_cut, whole ? 0 : (uint64_t)__builtin_popcount(there) * FRAME_BORDER);
        sim_power_cut(sim, 1);
        cr_assert_eq(expect_found(sim, life.entries).bytes_cut, 0);
        expect_goes_on(sim, &life);
        sim_free(sim);
    }
    cr_assert_geq(sectors, 3);
}

Test(recovery, a_torn_frame_is_cut_off_whichever_of_its_sectors_are_there)
{
    static const struct frame LOG[] = {{.first = 1, .last = 2, .term = 1},
                                       {.first = 2, .last = 5, .term = 2, .payload_size = 500}};
    tear(LOG, 2, "1@1 2@2 3@2 4@2 5@2", "1@1 2@1");
}

Test(recovery, a_torn_first_frame_of_all_is_cut_off)
{
    static const struct frame LOG[] = {{.first = 1, .last = 3, .term = 1, .payload_size = 500}};
    tear(LOG, 1, "1@1 2@1 3@1", "");
}

Test(recovery, a_torn_frame_at_a_files_end_is_cut_off)
{
    static const struct frame LOG[] = {{.first = 1, .last = 1, .term = 1, .payload_size = 2400},
                                       {.first = 2, .last = 2, .term = 1, .payload_size = 1400}};
    tear(LOG, 2, "1@1 2@1", "1@1");
}

Test(recovery, a_torn_frame_that_begins_a_file_goes_with_the_file)
{
    static const struct frame LOG[] = {{.first = 1, .last = 1, .term = 1, .payload_size = 2400},
                                       {.first = 2, .last = 2, .term = 1, .payload_size = 2400}};
    tear(LOG, 2, "1@1 2@1", "1@1");
}

Test(recovery, garbage_behind_the_newest_frame_is_zeroed_and_told)
{
    static const uint8_t GARBAGE[FILE_BYTES] = {[FILE_BYTES - 1] = 1};
    struct frame frames[SMALL_COUNT];
    struct segment_header larger = header_of(2);
    struct sim *sim = small_log(frames, 2);
    uint64_t end = frames[1].offset + frame_bytes(frames[1].size - FRAME_HEAD_BYTES);
    uint8_t bytes[2 * FILE_BYTES];
    larger.size = 2 * FILE_BYTES;
    put_header(sim, &larger, 2);
    sim_disk_put(sim, 1, path_of(2), FILE_BYTES, GARBAGE, sizeof GARBAGE);
    sim_disk_flip(sim, 1, path_of(1), end + FRAME_BORDER + 7);
    sim_disk_flip(sim, 1, path_of(1), end + 3 * FRAME_BORDER);
    cr_assert_eq(expect_found(sim, "1@1 2@1 3@1 4@1 5@1").bytes_cut, 3 * FRAME_BORDER);
    sim_power_cut(sim, 1);
    size_t size = sim_disk_read(sim, 1, path_of(1), end, bytes, sizeof bytes);
    cr_assert_eq(size, FILE_BYTES - end);
    cr_assert(bytes_are_zero(bytes, size));
    sim_free(sim);
}

/* ---- Crashes and failures ---- */

/* Written and not synced, in whole or, where it is to be torn, all but its second sector. */
struct write {
    struct frame frame;
    bool torn;
};

static void write_unsynced(void *context)
{
    const struct write *write = context;
    struct mailraft_error err;
    uint8_t bytes[FILE_BYTES];
    size_t size = encode_frame(&write->frame, bytes);
    struct disk_file *file = disk_open(path_of(write->frame.file), DISK_OPEN, &err);
    cr_assert_not_null(file, "%s", err.message);
    cr_assert(disk_write(file, write->frame.offset, bytes, FRAME_BORDER, &err));
    size_t from = write->torn ? 2 * FRAME_BORDER : FRAME_BORDER;
    cr_assert(disk_write(file, write->frame.offset + from, bytes + from, size - from, &err));
    disk_close(file);
}

/* What a process that died leaves, with everything that recovery has to do: a frame that was not synced, a file made
 * ahead and one half made, and a damaged copy of a header. */
static struct sim *left_behind(uint64_t seed, bool torn)
{
    struct frame frames[] = {{.first = 1, .last = 2, .term = 1}, {.first = 3, .last = 3, .term = 1}};
    struct write write = {.frame = {.first = 3,
                                    .last = 4,
                                    .term = 2,
                                    .payload_size = 700,
                                    .file = 1,
                                    .number = 3,
                                    .builds_on = 2,
                                    .offset = SEGMENT_DATA_OFFSET + 2 * FRAME_BORDER},
                          .torn = torn};
    struct sim *sim = machine(seed);
    put_log(sim, frames, 2);
    put_file(sim, 2);
    put_file(sim, 3);
    make(sim, DATA_DIR "/log/00000004.seg.tmp");
    sim_disk_flip(sim, 1, path_of(1), SEGMENT_HEADER_COPY);
    cr_assert(sim_run_on(sim, 1, write_unsynced, &write));
    return sim;
}

/* The life that reads the log ends at that call. The next one finds what was durable, with or without the frame that
 * was not; and what it found stays. False where the life makes fewer calls. */
static bool survives_end_at(uint64_t seed, bool torn, uint64_t call, enum sim_end end)
{
    struct sim *sim = left_behind(seed, torn);
    struct life life = {.cache_bytes = WHOLE};
    sim_end_at_call(sim, 1, call, end);
    bool ended_early = !sim_run_on(sim, 1, live, &life);
    cr_assert(ended_early || life.good, "%s", life.err.message);
    if (ended_early) {
        struct life next = look(sim);
        cr_assert(next.good, "seed %d, call %d: %s", (int)seed, (int)call, next.err.message);
        bool has_all = strcmp(next.entries, "1@1 2@1 3@2 4@2") == 0;
        cr_assert(has_all ? !torn : strcmp(next.entries, "1@1 2@1 3@1") == 0, "%s", next.entries);
        sim_power_cut(sim, 1);
        cr_assert_eq(expect_found(sim, next.entries).bytes_cut, 0);
        cr_assert_not(sim_disk_exists(sim, 1, DATA_DIR "/log/00000004.seg.tmp"));
        expect_goes_on(sim, &next);
    }
    sim_free(sim);
    return ended_early;
}

Test(recovery, a_crash_at_any_call_changes_nothing_that_counts, .timeout = 60)
{
    for (uint64_t seed = 0; seed < 5; seed++)
        for (int torn = 0; torn < 2; torn++)
            for (int end = SIM_PROCESS_DEATH; end <= SIM_POWER_CUT; end++) {
                uint64_t calls = 0;
                while (survives_end_at(seed, torn == 1, calls + 1, (enum sim_end)end))
                    calls++;
                cr_assert_geq(calls, 25);
            }
}

Test(recovery, what_was_read_without_having_been_synced_is_durable_afterwards)
{
    for (uint64_t seed = 0; seed < 5; seed++) {
        struct sim *sim = left_behind(seed, false);
        struct life life = expect_found(sim, "1@1 2@1 3@2 4@2");
        sim_power_cut(sim, 1);
        expect_found(sim, life.entries);
        sim_free(sim);
    }
}

/* The system takes for durable what a failed sync has lost; reading shows it until the power goes. */
static void write_and_fail(void *context)
{
    const struct write *write = context;
    struct mailraft_error err;
    write_unsynced(context);
    struct disk_file *file = disk_open(path_of(write->frame.file), DISK_OPEN, &err);
    cr_assert_not(disk_sync(file, &err));
    disk_close(file);
}

Test(recovery, what_a_failed_sync_has_lost_is_written_again)
{
    struct write write = {.frame = {.first = 3,
                                    .last = 4,
                                    .term = 2,
                                    .payload_size = 700,
                                    .file = 1,
                                    .number = 2,
                                    .builds_on = 1,
                                    .offset = SEGMENT_DATA_OFFSET + FRAME_BORDER}};
    struct frame frames[] = {{.first = 1, .last = 2, .term = 1}};
    struct sim *sim = machine(0);
    put_log(sim, frames, 1);
    sim_disk_fail_sync(sim, 1);
    cr_assert(sim_run_on(sim, 1, write_and_fail, &write));
    expect_found(sim, "1@1 2@1 3@2 4@2");
    sim_power_cut(sim, 1);
    expect_found(sim, "1@1 2@1 3@2 4@2");
    sim_free(sim);
}

Test(recovery, a_failed_sync_or_write_is_told_and_does_no_harm)
{
    for (int kind = 0; kind < 3; kind++) {
        struct sim *sim = left_behind(0, true);
        if (kind == 0)
            sim_disk_fail_sync(sim, 1);
        else
            sim_disk_fail_write(sim, 1, kind == 1);
        struct life life = look(sim);
        cr_assert_not(life.good);
        cr_assert_eq(life.err.class, kind == 1 ? &FULL_ERROR : &STORAGE_ERROR);
        expect_found(sim, "1@1 2@1 3@1");
        sim_free(sim);
    }
}
