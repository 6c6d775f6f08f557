#include "check.h"

#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "sim/sim.h"
#include "storage/segment.h"

#define FOLDER "/data"
#define FIRST  FOLDER "/log/00000001.seg"
#define BYTES  (600 * 1024) /* of a small file: not a multiple of what is written at once */

static const struct segment_header OURS = {
    .data_id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}},
    .number = 0x0102030405060708,
    .salt = 0x1112131415161718,
    .size = 0x2122232425262728,
};

static const struct frame_head HEAD = {
    .salt = 0x0102030405060708,
    .number = 0x1112131415161718,
    .builds_on = 0x2122232425262728,
    .first = 0x3132333435363738,
    .count = 0x41424344,
    .length = 0x51525354,
    .body_checksum = 0x6162636465666768,
};

/* ---- Names and sizes ---- */

Test(segment, a_file_is_named_by_its_number)
{
    char path[DISK_PATH_MAX];
    cr_assert_str_eq(segment_path("/var/lib", 1, path), "/var/lib/log/00000001.seg");
    cr_assert_str_eq(segment_path("/var/lib", 1234567890, path), "/var/lib/log/1234567890.seg");
}

Test(segment, a_name_tells_its_number)
{
    uint64_t number = 0;
    cr_assert(segment_number("00000001.seg", &number));
    cr_assert_eq(number, 1);
    cr_assert(segment_number("1234567890.seg", &number));
    cr_assert_eq(number, 1234567890);
}

Test(segment, a_name_that_no_file_of_the_log_has_is_told)
{
    static const char *const OTHERS[] = {
        "",
        "1.seg",
        "000000001.seg",
        "00000000.seg",
        "00000001",
        "0000001.se",
        "00000001.seg.",
        "00000001.seg.tmp",
        "-0000001.seg",
        "+0000001.seg",
        " 0000001.seg",
        "0x000001.seg",
        "00000001.SEG",
        "x0000001.seg",
        "99999999999999999999999.seg",
    };
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++) {
        uint64_t number = 77;
        cr_assert_not(segment_number(OTHERS[i], &number), "%s", OTHERS[i]);
        cr_assert_eq(number, 77);
    }
}

Test(segment, each_file_is_twice_as_large_as_the_one_before_up_to_the_limit)
{
    static const uint64_t MIB[] = {4, 8, 16, 32, 64, 64, 64};
    for (uint64_t i = 0; i < sizeof MIB / sizeof *MIB; i++)
        cr_assert_eq(segment_size(i + 1, 64 << 20, 1000), MIB[i] << 20);
    cr_assert_eq(segment_size(UINT64_MAX, 64 << 20, 1000), 64 << 20);
    cr_assert_eq(segment_size(5, 50 << 20, 1000), 50 << 20);
}

Test(segment, a_file_has_room_for_the_largest_entry_and_a_size_on_a_border)
{
    cr_assert_eq(segment_size(1, 1, 1), 12288);
    cr_assert_eq(segment_size(1, 1, 4096 - FRAME_HEAD_BYTES), 12288);
    cr_assert_eq(segment_size(1, 1, 4096 - FRAME_HEAD_BYTES + 1), 16384);
    cr_assert_eq(segment_size(1, 50000, 1000), 53248);
    cr_assert_geq(segment_size(1, 64 << 20, ENTRY_BYTES_MAX), SEGMENT_DATA_OFFSET + frame_bytes(ENTRY_BYTES_MAX));
}

Test(segment, a_frame_takes_whole_sectors)
{
    cr_assert_eq(frame_bytes(0), 512);
    cr_assert_eq(frame_bytes(512 - FRAME_HEAD_BYTES), 512);
    cr_assert_eq(frame_bytes(512 - FRAME_HEAD_BYTES + 1), 1024);
    cr_assert_eq(frame_bytes(UINT32_MAX), (1ull << 32) + 512);
}

/* ---- Header of a file ---- */

Test(segment, a_header_has_the_bytes_that_are_told)
{
    static const uint8_t EXPECTED[52] = {
        'S',  'G',  'M',  'T',  1,    0,    0,    0,                                   /* magic, version */
        1,    2,    3,    4,    5,    6,    7,    8,    9, 10, 11, 12, 13, 14, 15, 16, /* data id */
        8,    7,    6,    5,    4,    3,    2,    1,                                   /* number */
        0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11,                                /* salt */
        0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21,                                /* size */
    };
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    segment_header_encode(bytes, &OURS);
    cr_assert_arr_eq(bytes, EXPECTED, sizeof EXPECTED);
    cr_assert_eq(bytes_get_u64(bytes + 52), bytes_checksum(bytes, 52));
}

Test(segment, a_header_that_is_written_is_read_again)
{
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    struct segment_header found;
    struct mailraft_error err;
    segment_header_encode(bytes, &OURS);
    cr_assert(segment_header_decode(bytes, &found, &err), "%s", err.message);
    cr_assert_arr_eq(found.data_id.bytes, OURS.data_id.bytes, DATA_ID_SIZE);
    cr_assert_eq(found.number, OURS.number);
    cr_assert_eq(found.salt, OURS.salt);
    cr_assert_eq(found.size, OURS.size);
}

Test(segment, a_damaged_byte_anywhere_in_a_header_is_noticed)
{
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    struct segment_header found;
    struct mailraft_error err;
    segment_header_encode(bytes, &OURS);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] ^= 0x40;
        cr_assert_not(segment_header_decode(bytes, &found, &err), "byte %d", (int)i);
        cr_assert_eq(err.class, &DAMAGED_ERROR);
        cr_assert_str_eq(err.message, "it has no sound header; " SEGMENT_ADVICE);
        bytes[i] ^= 0x40;
    }
}

Test(segment, a_newer_version_is_told_from_damage)
{
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    struct segment_header found;
    struct mailraft_error err;
    segment_header_encode(bytes, &OURS);
    bytes_put_u32(bytes + 4, 2);
    bytes_put_u64(bytes + 52, bytes_checksum(bytes, 52));
    cr_assert_not(segment_header_decode(bytes, &found, &err));
    cr_assert_eq(err.class, &DAMAGED_ERROR);
    cr_assert_not_null(strstr(err.message, "newer mailraft: its format is version 2"), "%s", err.message);
}

/* ---- Making a file ---- */

/* What one life on the machine makes. */
struct life {
    struct segment_header header;
    bool good;
    struct mailraft_error err;
};

static void live(void *context)
{
    struct life *life = context;
    life->good = disk_make_folder(FOLDER "/log", &life->err) && disk_sync_folder(FOLDER, &life->err) &&
                 segment_make(FOLDER, &life->header, &life->err);
}

static struct life life_of(uint64_t size)
{
    struct life life = {.header = OURS};
    life.header.number = 1;
    life.header.size = size;
    return life;
}

static struct sim *machine(uint64_t seed)
{
    struct sim *sim = sim_new(seed);
    sim_add_machine(sim, 1);
    return sim;
}

/* A whole file, or none: both copies of the header, and nothing but zeros. */
static void expect_whole(struct sim *sim, uint64_t salt, bool salt_known)
{
    uint8_t *bytes = memory_new(BYTES + 1), *zeros = memory_new(BYTES);
    struct segment_header found;
    struct mailraft_error err;
    cr_assert_eq(sim_disk_read(sim, 1, FIRST, 0, bytes, BYTES + 1), BYTES);
    cr_assert(segment_header_decode(bytes, &found, &err), "%s", err.message);
    cr_assert_eq(found.number, 1);
    cr_assert_eq(found.size, BYTES);
    cr_assert(!salt_known || found.salt == salt);
    cr_assert_arr_eq(bytes, bytes + SEGMENT_HEADER_COPY, SEGMENT_HEADER_COPY);
    cr_assert_arr_eq(bytes + SEGMENT_HEADER_BYTES, zeros, SEGMENT_HEADER_COPY - SEGMENT_HEADER_BYTES);
    cr_assert_arr_eq(bytes + SEGMENT_DATA_OFFSET, zeros, BYTES - SEGMENT_DATA_OFFSET);
    memory_free(bytes);
    memory_free(zeros);
}

Test(segment, a_new_file_is_zeroed_behind_two_copies_of_its_header_and_durable)
{
    struct sim *sim = machine(0);
    struct life life = life_of(BYTES);
    cr_assert(sim_run_on(sim, 1, live, &life));
    cr_assert(life.good, "%s", life.err.message);
    expect_whole(sim, life.header.salt, true);
    cr_assert_not(sim_disk_exists(sim, 1, FIRST ".tmp"));
    sim_power_cut(sim, 1);
    expect_whole(sim, life.header.salt, true);
    sim_free(sim);
}

Test(segment, a_file_that_is_made_again_has_another_salt)
{
    struct sim *sim = machine(0);
    struct life first = life_of(BYTES), second = life_of(BYTES);
    cr_assert(sim_run_on(sim, 1, live, &first));
    sim_disk_flip(sim, 1, FIRST, BYTES - 1);
    cr_assert(sim_run_on(sim, 1, live, &second));
    cr_assert(second.good, "%s", second.err.message);
    cr_assert_neq(first.header.salt, second.header.salt);
    expect_whole(sim, second.header.salt, true);
    sim_free(sim);
}

/* False where the life makes fewer calls. */
static bool ends_whole_or_unnamed(uint64_t call, enum sim_end end)
{
    struct sim *sim = machine(call);
    struct life life = life_of(BYTES);
    sim_end_at_call(sim, 1, call, end);
    bool ended_early = !sim_run_on(sim, 1, live, &life);
    if (ended_early && sim_disk_exists(sim, 1, FIRST))
        expect_whole(sim, 0, false);
    sim_power_cut(sim, 1);
    if (!ended_early || sim_disk_exists(sim, 1, FIRST))
        expect_whole(sim, life.header.salt, !ended_early);
    sim_free(sim);
    return ended_early;
}

Test(segment, a_crash_at_any_call_leaves_a_whole_file_or_none_of_that_name)
{
    for (int end = SIM_PROCESS_DEATH; end <= SIM_POWER_CUT; end++) {
        uint64_t calls = 0;
        while (ends_whole_or_unnamed(calls + 1, (enum sim_end)end))
            calls++;
        cr_assert_geq(calls, 9);
    }
}

Test(segment, a_file_for_which_there_is_no_space_leaves_nothing_behind)
{
    struct sim *sim = machine(0);
    struct life life = life_of(BYTES);
    sim_disk_fail_write(sim, 1, true);
    cr_assert(sim_run_on(sim, 1, live, &life));
    cr_assert_not(life.good);
    cr_assert_eq(life.err.class, &FULL_ERROR);
    cr_assert_not_null(strstr(life.err.message, FIRST ".tmp"), "%s", life.err.message);
    cr_assert_not(sim_disk_exists(sim, 1, FIRST ".tmp"));
    cr_assert_not(sim_disk_exists(sim, 1, FIRST));
    sim_free(sim);
}

static void look(void *context)
{
    bool *unused = context;
    struct mailraft_error err;
    cr_assert(segment_is_unused(FIRST, unused, &err), "%s", err.message);
}

Test(segment, any_byte_behind_the_header_shows_that_a_file_was_used)
{
    static const uint64_t PLACES[] = {SEGMENT_DATA_OFFSET, SEGMENT_DATA_OFFSET + 256 * 1024, BYTES / 2, BYTES - 1};
    struct sim *sim = machine(0);
    struct life life = life_of(BYTES);
    bool unused;
    cr_assert(sim_run_on(sim, 1, live, &life));
    for (size_t i = 0; i < sizeof PLACES / sizeof *PLACES; i++) {
        cr_assert(sim_run_on(sim, 1, look, &unused));
        cr_assert(unused);
        sim_disk_flip(sim, 1, FIRST, PLACES[i]);
        cr_assert(sim_run_on(sim, 1, look, &unused));
        cr_assert_not(unused);
        sim_disk_flip(sim, 1, FIRST, PLACES[i]);
    }
    sim_free(sim);
}

/* ---- Head of a frame ---- */

Test(segment, a_frames_head_has_the_bytes_that_are_told)
{
    static const uint8_t EXPECTED[56] = {
        'F',  'R',  'M',  'E',  0x54, 0x53, 0x52, 0x51, /* magic, length */
        8,    7,    6,    5,    4,    3,    2,    1,    /* salt */
        0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, /* number */
        0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21, /* builds on */
        0x38, 0x37, 0x36, 0x35, 0x34, 0x33, 0x32, 0x31, /* first */
        0x44, 0x43, 0x42, 0x41, 0,    0,    0,    0,    /* count */
        0x68, 0x67, 0x66, 0x65, 0x64, 0x63, 0x62, 0x61, /* checksum of the entries */
    };
    uint8_t bytes[FRAME_HEAD_BYTES];
    frame_head_encode(bytes, &HEAD);
    cr_assert_arr_eq(bytes, EXPECTED, sizeof EXPECTED);
    cr_assert_eq(bytes_get_u64(bytes + 56), bytes_checksum(bytes, 56));
}

Test(segment, a_frames_head_that_is_written_is_read_again)
{
    uint8_t bytes[FRAME_HEAD_BYTES], again[FRAME_HEAD_BYTES];
    struct frame_head found;
    frame_head_encode(bytes, &HEAD);
    cr_assert(frame_head_decode(bytes, &found));
    frame_head_encode(again, &found);
    cr_assert_arr_eq(bytes, again, sizeof bytes);
}

Test(segment, a_damaged_byte_anywhere_in_a_frames_head_is_noticed)
{
    uint8_t bytes[FRAME_HEAD_BYTES];
    struct frame_head found;
    frame_head_encode(bytes, &HEAD);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] ^= 1;
        cr_assert_not(frame_head_decode(bytes, &found), "byte %d", (int)i);
        bytes[i] ^= 1;
    }
}

Test(segment, zeros_are_no_head_of_a_frame)
{
    uint8_t bytes[FRAME_HEAD_BYTES] = {0};
    struct frame_head found;
    cr_assert_not(frame_head_decode(bytes, &found));
}
