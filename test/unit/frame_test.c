#include "mail/frame.h"

#include <string.h>

#include "base/memory.h"
#include "check.h"

/* Entries of one byte of payload each: 'a', 'b', ... */
static struct batch *letters(size_t count)
{
    struct batch *entries = batch_new();

    for (size_t i = 0; i < count; i++)
        batch_add(entries, entry_new(ENTRY_COMMAND, 1, i + 1, 0, &(char){(char)('a' + i % 26)}, 1));
    return entries;
}

static struct frame *frame_of(const char *own, const struct batch *entries)
{
    struct frame *frame = frame_new(strlen(own), entries, true);

    memcpy(frame->bytes, own, strlen(own));
    return frame;
}

/* All bytes that frame_rest tells of, one after the other. */
static size_t gather(const struct frame *frame, uint8_t *bytes)
{
    static struct iovec parts[FRAME_PARTS_MAX];
    size_t count, size = 0, rest = frame_rest(frame, parts, &count);

    cr_assert_leq(count, (size_t)FRAME_PARTS_MAX);
    for (size_t i = 0; i < count; size += parts[i++].iov_len) {
        cr_assert_gt(parts[i].iov_len, 0u);
        memcpy(bytes + size, parts[i].iov_base, parts[i].iov_len);
    }
    cr_assert_eq(size, rest);
    return rest;
}

Test(frame, has_the_bytes_of_its_own_and_then_those_of_its_entries)
{
    struct batch *entries = letters(3);
    struct frame *frame = frame_of("head", entries);
    uint8_t bytes[200];

    cr_assert_eq(frame->size, 4 + entries->bytes);
    cr_assert(frame->droppable);
    cr_assert_eq(gather(frame, bytes), frame->size);
    cr_assert_arr_eq(bytes, "head", 4);
    for (size_t i = 0; i < 3; i++)
        cr_assert_arr_eq(bytes + 4 + i * (ENTRY_HEAD_BYTES + 1), entries->list[i]->bytes, ENTRY_HEAD_BYTES + 1);
    frame_free(frame);
    batch_free(entries);
}

Test(frame, without_entries_has_only_its_own_bytes)
{
    struct batch *none = batch_new();
    struct frame *frame = frame_of("head", none), *other = frame_of("other", NULL);
    uint8_t bytes[5];

    cr_assert_null(frame->entries);
    cr_assert_eq(gather(frame, bytes), 4u);
    cr_assert_eq(gather(other, bytes), 5u);
    cr_assert_arr_eq(bytes, "other", 5);
    frame_free(frame);
    frame_free(other);
    batch_free(none);
    frame_free(NULL);
}

Test(frame, shares_its_entries_and_keeps_them_when_the_others_are_gone)
{
    struct batch *entries = letters(2);
    struct frame *one = frame_of("one", entries), *two = frame_of("two", entries);
    struct entry *first = entries->list[0];
    uint8_t bytes[200];

    cr_assert_eq(one->entries->list[0], first); /* no copy */
    cr_assert_eq(two->entries->list[0], first);
    cr_assert_eq(first->references, 3u);
    batch_free(entries);
    frame_free(one);
    cr_assert_eq(first->references, 1u);
    cr_assert_eq(gather(two, bytes), two->size);
    frame_free(two);
}

Test(frame, of_which_a_part_has_left_goes_on_at_each_byte)
{
    struct batch *entries = letters(3);
    struct frame *frame = frame_of("head", entries);
    uint8_t whole[200], rest[200];

    gather(frame, whole);
    for (frame->sent = 0; frame->sent < frame->size; frame->sent++) {
        cr_assert_eq(gather(frame, rest), frame->size - frame->sent);
        cr_assert_arr_eq(rest, whole + frame->sent, frame->size - frame->sent);
    }
    cr_assert_eq(gather(frame, rest), 0u);
    frame_free(frame);
    batch_free(entries);
}

Test(frame, of_more_pieces_than_one_call_takes_is_told_in_turns)
{
    struct batch *entries = letters(2 * FRAME_PARTS_MAX);
    struct frame *frame = frame_of("head", entries);
    uint8_t *bytes = memory_new(frame->size);
    size_t at = ENTRY_HEAD_BYTES + 4;

    cr_assert_eq(gather(frame, bytes), 4 + (FRAME_PARTS_MAX - 1) * (ENTRY_HEAD_BYTES + 1));
    for (int turn = 0; turn < 3; turn++)
        frame->sent += gather(frame, bytes + frame->sent);
    cr_assert_eq(frame->sent, frame->size);
    for (size_t i = 0; i < entries->count; i++, at += ENTRY_HEAD_BYTES + 1)
        cr_assert_eq(bytes[at], 'a' + i % 26);
    memory_free(bytes);
    frame_free(frame);
    batch_free(entries);
}
