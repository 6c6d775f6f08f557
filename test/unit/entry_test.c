#include "base/entry.h"

#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "base/thread.h"
#include "check.h"

TestSuite(entry, .timeout = 60);

static const char PAYLOAD[] = "INCR counter";

static struct entry *command(raft_term term, raft_index index)
{
    return entry_new(ENTRY_COMMAND, term, index, 1700000000000000, PAYLOAD, sizeof PAYLOAD);
}

static void assert_same(const struct entry *a, const struct entry *b)
{
    cr_assert_eq(a->kind, b->kind);
    cr_assert_eq(a->term, b->term);
    cr_assert_eq(a->index, b->index);
    cr_assert_eq(a->time_us, b->time_us);
    cr_assert_eq(a->size, b->size);
    cr_assert_arr_eq(a->bytes, b->bytes, a->size);
}

/* That these bytes are refused with this reason. */
static void assert_refused(const uint8_t *bytes, size_t size, size_t bytes_max, const char *reason)
{
    struct mailraft_error err = {0};
    struct entry *entry = entry_decode(bytes, size, bytes_max, &err);
    cr_assert_null(entry);
    cr_assert(error_is(&err, &PROTOCOL_ERROR));
    cr_assert_str_eq(err.message, reason);
}

/* ---- One entry ---- */

/* What is on disks was written so: it can never become another format. */
Test(entry, its_bytes_are_those_of_the_format)
{
    static const uint8_t BYTES[] = {
        44,  0,   0,   0,             /* length */
        3,   0,   0,   0,             /* kind */
        8,   7,   6,   5, 4, 3, 2, 1, /* term */
        9,   0,   0,   0, 0, 0, 0, 0, /* index */
        2,   1,   0,   0, 0, 0, 0, 0, /* time */
        'a', 'b', 'c', 0,             /* payload */
    };
    struct entry *entry = entry_new(ENTRY_COMMAND, 0x0102030405060708, 9, 0x102, "abc", 4);
    cr_assert_eq(entry->size, 44);
    cr_assert_arr_eq(entry->bytes + 8, BYTES, sizeof BYTES);
    cr_assert_eq(bytes_get_u64(entry->bytes), bytes_checksum(BYTES, sizeof BYTES));
    entry_drop(entry);
}

Test(entry, a_new_one_holds_what_it_was_made_of)
{
    struct entry *entry = command(3, 17);
    cr_assert_eq(entry->kind, ENTRY_COMMAND);
    cr_assert_eq(entry->term, 3);
    cr_assert_eq(entry->index, 17);
    cr_assert_eq(entry->time_us, 1700000000000000);
    cr_assert_eq(entry_payload_size(entry), sizeof PAYLOAD);
    cr_assert_arr_eq(entry_payload(entry), PAYLOAD, sizeof PAYLOAD);
    cr_assert_eq(entry_checksum(entry), bytes_get_u64(entry->bytes));
    entry_drop(entry);
}

Test(entry, what_is_decoded_is_what_was_encoded_and_the_bytes_behind_it_are_left_alone)
{
    struct entry *entry = command(3, 17);
    uint8_t bytes[200] = {0};
    struct mailraft_error err = {0};
    memcpy(bytes + 1, entry->bytes, entry->size); /* at any alignment */
    struct entry *other = entry_decode(bytes + 1, sizeof bytes - 1, 4096, &err);
    cr_assert_not_null(other, "%s", err.message);
    assert_same(entry, other);
    entry_drop(entry);
    entry_drop(other);
}

Test(entry, a_payload_may_be_empty)
{
    struct mailraft_error err = {0};
    struct entry *entry = entry_new(ENTRY_NO_OP, 1, 1, 0, NULL, 0);
    cr_assert_eq(entry->size, ENTRY_HEAD_BYTES);
    struct entry *other = entry_decode(entry->bytes, entry->size, ENTRY_HEAD_BYTES, &err);
    cr_assert_not_null(other, "%s", err.message);
    assert_same(entry, other);
    cr_assert_eq(entry_payload_size(other), 0);
    entry_drop(entry);
    entry_drop(other);
}

Test(entry, one_whose_numbers_are_the_largest_is_decoded)
{
    struct mailraft_error err = {0};
    struct entry *entry = entry_new(ENTRY_KIND_LAST, INT64_MAX - 1, INT64_MAX - 1, INT64_MAX - 1, "", 1);
    struct entry *other = entry_decode(entry->bytes, entry->size, entry->size, &err);
    cr_assert_not_null(other, "%s", err.message);
    assert_same(entry, other);
    entry_drop(entry);
    entry_drop(other);
}

Test(entry, each_flipped_bit_is_refused)
{
    struct entry *entry = command(3, 17);
    struct mailraft_error err = {0};
    uint8_t bytes[100];
    cr_assert_leq(entry->size, sizeof bytes);
    memcpy(bytes, entry->bytes, entry->size);
    for (size_t bit = 0; bit < 8 * (size_t)entry->size; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        err.class = NULL;
        cr_assert_null(entry_decode(bytes, entry->size, 4096, &err), "bit %zu may be flipped", bit);
        cr_assert(error_is(&err, &PROTOCOL_ERROR));
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    entry_drop(entry);
}

/* From a copy of exactly so many bytes: the address sanitizer would see a read beyond them. */
Test(entry, each_shorter_part_of_it_is_refused)
{
    struct entry *entry = command(3, 17);
    struct mailraft_error err = {0};
    for (size_t size = 1; size < entry->size; size++) {
        uint8_t *part = memory_new(size);
        memcpy(part, entry->bytes, size);
        cr_assert_null(entry_decode(part, size, 4096, &err), "%zu bytes are enough", size);
        memory_free(part);
    }
    entry_drop(entry);
}

Test(entry, a_length_has_limits)
{
    struct entry *entry = command(3, 17);
    struct mailraft_error err = {0};
    uint8_t bytes[100] = {0};
    struct entry *other = entry_decode(entry->bytes, entry->size, entry->size, &err);
    cr_assert_not_null(other, "%s", err.message);
    entry_drop(other);
    assert_refused(entry->bytes, entry->size, entry->size - 1, "an entry of 53 bytes is over the limit of 52");
    memcpy(bytes, entry->bytes, entry->size);
    bytes_put_u32(bytes + 8, ENTRY_HEAD_BYTES - 1);
    assert_refused(bytes, entry->size, 4096, "an entry's length of 39 does not fit into 53 bytes");
    bytes_put_u32(bytes + 8, 54);
    assert_refused(bytes, entry->size, 4096, "an entry's length of 54 does not fit into 53 bytes");
    bytes_put_u32(bytes + 8, UINT32_MAX);
    assert_refused(bytes, entry->size, SIZE_MAX, "an entry's length of 4294967295 does not fit into 53 bytes");
    assert_refused(bytes, ENTRY_HEAD_BYTES - 1, 4096, "an entry of 39 bytes is shorter than its head");
    entry_drop(entry);
}

/* Puts a number of size bytes at a place and sets the checksum right. */
static void forge(uint8_t *bytes, const struct entry *entry, size_t at, size_t size, uint64_t number)
{
    memcpy(bytes, entry->bytes, entry->size);
    if (size == 4)
        bytes_put_u32(bytes + at, (uint32_t)number);
    else
        bytes_put_u64(bytes + at, number);
    bytes_put_u64(bytes, bytes_checksum(bytes + 8, entry->size - 8));
}

Test(entry, numbers_that_cannot_be_are_refused_though_the_checksum_fits)
{
    static const struct {
        size_t at, size;
        uint64_t number;
        const char *reason;
    } TABLE[] = {
        {12, 4, 0, "an entry is of the unknown kind 0"},
        {12, 4, ENTRY_KIND_LAST + 1, "an entry is of the unknown kind 5"},
        {12, 4, UINT32_MAX, "an entry is of the unknown kind 4294967295"},
        {16, 8, 0, "an entry has a term or an index out of range: 17@0"},
        {16, 8, INT64_MAX, "an entry has a term or an index out of range: 17@9223372036854775807"},
        {24, 8, 0, "an entry has a term or an index out of range: 0@3"},
        {24, 8, UINT64_MAX, "an entry has a term or an index out of range: 18446744073709551615@3"},
        {32, 8, INT64_MAX, "the entry 17 has a time out of range"},
        {32, 8, UINT64_MAX, "the entry 17 has a time out of range"}, /* before 1970 */
    };
    struct entry *entry = command(3, 17);
    uint8_t bytes[100];
    for (size_t i = 0; i < sizeof TABLE / sizeof *TABLE; i++) {
        forge(bytes, entry, TABLE[i].at, TABLE[i].size, TABLE[i].number);
        assert_refused(bytes, entry->size, 4096, TABLE[i].reason);
    }
    entry_drop(entry);
}

/* ---- References ---- */

Test(entry, it_lives_until_the_last_reference_is_dropped)
{
    struct entry *entry = command(3, 17);
    cr_assert_eq(entry_hold(entry), entry);
    entry_drop(entry);
    cr_assert_eq(entry->index, 17); /* freed memory: the address sanitizer would see it */
    entry_drop(entry);              /* and a leak here */
    entry_drop(NULL);
}

#define ROUNDS 20000

struct holder {
    struct batch *batch;
    uint64_t sum; /* of what it read */
};

/* Takes and drops references, and is the last to drop some of those it was given. */
static void hold_and_drop(void *context)
{
    struct holder *holder = context;
    for (size_t i = 0; i < holder->batch->count; i++) {
        struct entry *entry = entry_hold(holder->batch->list[i]);
        holder->sum += entry->index;
        entry_drop(entry);
    }
    batch_free(holder->batch);
}

Test(entry, two_threads_count_its_references_and_the_last_one_frees_it)
{
    struct holder holders[2] = {{batch_new(), 0}, {batch_new(), 0}};
    struct thread threads[2];
    struct mailraft_error err = {0};
    for (raft_index index = 1; index <= ROUNDS; index++) {
        struct entry *entry = command(1, index);
        batch_add(holders[0].batch, entry);
        batch_add(holders[1].batch, entry_hold(entry));
    }
    for (int i = 0; i < 2; i++)
        cr_assert(thread_start(&threads[i], "holder", hold_and_drop, &holders[i], &err), "%s", err.message);
    for (int i = 0; i < 2; i++) {
        thread_join(&threads[i]);
        cr_assert_eq(holders[i].sum, (uint64_t)ROUNDS * (ROUNDS + 1) / 2);
    }
}

/* ---- Batches ---- */

Test(entry, a_no_op_and_a_time_entry_tell_how_far_the_wall_clock_is_ahead)
{
    static const struct {
        enum entry_kind kind;
        int64_t told_us;
        size_t size;
        bool tells;
    } TABLE[] = {
        {ENTRY_NO_OP, -44, 8, true},           {ENTRY_TIME, 55, 8, true},
        {ENTRY_COMMAND, 55, 8, false},         {ENTRY_TIME, 55, 7, false},
        {ENTRY_TIME, 55, 0, false},            {ENTRY_TIME, INT64_MAX / 64, 8, true},
        {ENTRY_NO_OP, INT64_MIN, 8, false},    {ENTRY_TIME, INT64_MAX / 64 + 1, 8, false},
        {ENTRY_TIME, -INT64_MAX / 64, 8, true}, {ENTRY_TIME, -INT64_MAX / 64 - 1, 8, false},
    };
    for (size_t i = 0; i < sizeof TABLE / sizeof *TABLE; i++) {
        uint8_t payload[8];
        int64_t wall_offset_us = 7;
        bytes_put_u64(payload, (uint64_t)TABLE[i].told_us);
        struct entry *entry = entry_new(TABLE[i].kind, 1, 1, 1, payload, TABLE[i].size);
        cr_assert_eq(entry_wall_offset(entry, &wall_offset_us), TABLE[i].tells, "row %zu", i);
        cr_assert_eq(wall_offset_us, TABLE[i].tells ? TABLE[i].told_us : 7, "row %zu", i);
        entry_drop(entry);
    }
}

Test(batch, a_new_one_is_empty_and_freeing_none_is_fine)
{
    struct batch *batch = batch_new();
    cr_assert_eq(batch->count, 0);
    cr_assert_eq(batch->bytes, 0);
    batch_free(batch);
    batch_free(NULL);
}

Test(batch, it_holds_entries_in_order_and_tells_their_bytes)
{
    struct batch *batch = batch_new();
    size_t bytes = 0;
    for (raft_index index = 5; index < 105; index++) {
        struct entry *entry = command(1 + index / 50, index);
        bytes += entry->size;
        batch_add(batch, entry);
    }
    cr_assert_eq(batch->count, 100);
    cr_assert_eq(batch->bytes, bytes);
    for (size_t i = 0; i < 100; i++)
        cr_assert_eq(batch->list[i]->index, 5 + i);
    batch_free(batch);
}

Test(batch, it_takes_the_reference_of_what_is_added_and_drops_it_in_the_end)
{
    struct batch *batch = batch_new();
    struct entry *entry = entry_hold(command(1, 1));
    batch_add(batch, entry);
    batch_free(batch);
    cr_assert_eq(entry->index, 1);
    entry_drop(entry);
}

Test(batch, what_continues_it_is_moved_into_it_with_its_references)
{
    struct batch *batch = batch_new(), *behind = batch_new(), *none = batch_new();
    struct entry *entries[5];
    size_t bytes = 0;
    for (raft_index index = 1; index <= 5; index++) {
        struct entry *entry = entries[index - 1] = command(1, index);
        batch_add(index <= 2 ? batch : behind, entry);
        bytes += entry->size;
    }
    batch_move(batch, none);
    batch_move(batch, behind);
    cr_assert_eq(behind->count, 0);
    cr_assert_eq(behind->bytes, 0);
    batch_free(behind);
    batch_free(none);
    cr_assert_eq(batch->count, 5);
    cr_assert_eq(batch->bytes, bytes);
    for (size_t i = 0; i < 5; i++) {
        cr_assert_eq(batch->list[i], entries[i]);
        cr_assert_eq(entries[i]->references, 1);
    }
    batch_free(batch);
}

/* Some entries, as they stand one behind the other in a frame. */
struct row {
    uint8_t bytes[500];
    size_t size;
};

static void row_add(struct row *row, raft_term term, raft_index index)
{
    struct entry *entry = command(term, index);
    cr_assert_leq(row->size + entry->size, sizeof row->bytes);
    memcpy(row->bytes + row->size, entry->bytes, entry->size);
    row->size += entry->size;
    entry_drop(entry);
}

static void assert_row_refused(const struct row *row, size_t size, const char *reason)
{
    struct mailraft_error err = {0};
    cr_assert_null(batch_decode(row->bytes, size, 4096, &err));
    cr_assert(error_is(&err, &PROTOCOL_ERROR));
    cr_assert_str_eq(err.message, reason);
}

Test(batch, what_is_decoded_is_what_stands_in_the_row)
{
    struct row row = {.size = 0};
    struct mailraft_error err = {0};
    row_add(&row, 1, 7);
    row_add(&row, 1, 8);
    row_add(&row, 4, 9);
    struct batch *batch = batch_decode(row.bytes, row.size, 4096, &err);
    cr_assert_not_null(batch, "%s", err.message);
    cr_assert_eq(batch->count, 3);
    cr_assert_eq(batch->bytes, row.size);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(batch->list[i]->index, 7 + i);
    cr_assert_eq(batch->list[2]->term, 4);
    batch_free(batch);
}

Test(batch, no_bytes_are_an_empty_batch)
{
    struct mailraft_error err = {0};
    struct batch *batch = batch_decode(NULL, 0, 4096, &err);
    cr_assert_not_null(batch);
    cr_assert_eq(batch->count, 0);
    batch_free(batch);
}

Test(batch, a_gap_a_repeated_index_and_one_that_goes_back_are_refused)
{
    struct row gap = {.size = 0}, again = {.size = 0}, back = {.size = 0};
    row_add(&gap, 1, 7);
    row_add(&gap, 1, 9);
    assert_row_refused(&gap, gap.size, "the entry 9 of term 1 stands behind 7 of term 1");
    row_add(&again, 1, 7);
    row_add(&again, 1, 7);
    assert_row_refused(&again, again.size, "the entry 7 of term 1 stands behind 7 of term 1");
    row_add(&back, 1, 7);
    row_add(&back, 1, 6);
    assert_row_refused(&back, back.size, "the entry 6 of term 1 stands behind 7 of term 1");
}

Test(batch, a_term_that_goes_back_is_refused)
{
    struct row row = {.size = 0};
    row_add(&row, 3, 7);
    row_add(&row, 2, 8);
    assert_row_refused(&row, row.size, "the entry 8 of term 2 stands behind 7 of term 3");
}

Test(batch, bytes_behind_the_last_entry_are_refused)
{
    struct row row = {.size = 0};
    row_add(&row, 3, 7);
    assert_row_refused(&row, row.size + 1, "an entry of 1 bytes is shorter than its head");
    assert_row_refused(&row, row.size + ENTRY_HEAD_BYTES, "an entry's length of 0 does not fit into 40 bytes");
}

Test(batch, one_damaged_entry_makes_all_of_them_refused)
{
    struct row row = {.size = 0};
    row_add(&row, 3, 7);
    row_add(&row, 3, 8);
    row.bytes[row.size - 1] ^= 1;
    assert_row_refused(&row, row.size, "an entry's checksum does not fit");
}

Test(batch, the_limit_is_that_of_one_entry)
{
    struct row row = {.size = 0};
    struct mailraft_error err = {0};
    row_add(&row, 3, 7);
    row_add(&row, 3, 8);
    struct batch *batch = batch_decode(row.bytes, row.size, row.size / 2, &err);
    cr_assert_not_null(batch, "%s", err.message);
    batch_free(batch);
    cr_assert_null(batch_decode(row.bytes, row.size, row.size / 2 - 1, &err));
}
