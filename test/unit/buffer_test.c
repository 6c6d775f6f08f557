#include "base/buffer.h"

#include <string.h>

#include "check.h"

Test(buffer, bytes_come_one_behind_the_other)
{
    struct mailraft_buffer buffer = {0};
    mailraft_buffer_put(&buffer, "count", 5);
    mailraft_buffer_put(&buffer, "er", 2);
    cr_assert_eq(buffer.size, 7);
    cr_assert_arr_eq(buffer.bytes, "counter", 7);
    buffer_fini(&buffer);
}

Test(buffer, putting_no_bytes_is_fine)
{
    struct mailraft_buffer buffer = {0};
    mailraft_buffer_put(&buffer, NULL, 0);
    cr_assert_eq(buffer.size, 0);
    mailraft_buffer_put(&buffer, "x", 1);
    mailraft_buffer_put(&buffer, NULL, 0);
    cr_assert_eq(buffer.size, 1);
    buffer_fini(&buffer);
}

Test(buffer, it_grows_as_bytes_are_put_one_by_one_or_many_at_once)
{
    static const uint8_t MANY[100000] = {[0] = 7, [99999] = 9};
    struct mailraft_buffer buffer = {0};
    for (size_t i = 0; i < 1000; i++)
        mailraft_buffer_put(&buffer, &(uint8_t){(uint8_t)i}, 1);
    mailraft_buffer_put(&buffer, MANY, sizeof MANY);
    cr_assert_eq(buffer.size, 1000 + sizeof MANY);
    for (size_t i = 0; i < 1000; i++)
        cr_assert_eq(buffer.bytes[i], (uint8_t)i);
    cr_assert_arr_eq(buffer.bytes + 1000, MANY, sizeof MANY);
    buffer_fini(&buffer);
}

/* Growing by a fixed amount would copy a large answer again and again. */
Test(buffer, its_room_at_least_doubles)
{
    struct mailraft_buffer buffer = {0};
    size_t room = 0;
    for (size_t i = 0; i < 100000; i++) {
        mailraft_buffer_put(&buffer, "x", 1);
        cr_assert(buffer.room == room || buffer.room >= 2 * room);
        room = buffer.room;
    }
    buffer_fini(&buffer);
}

Test(buffer, a_cleared_one_is_empty_and_keeps_its_room)
{
    struct mailraft_buffer buffer = {0};
    mailraft_buffer_put(&buffer, "counter", 7);
    const uint8_t *bytes = buffer.bytes;
    buffer_clear(&buffer);
    cr_assert_eq(buffer.size, 0);
    mailraft_buffer_put(&buffer, "1", 1);
    cr_assert_eq(buffer.bytes, bytes);
    cr_assert_arr_eq(buffer.bytes, "1", 1);
    buffer_fini(&buffer);
}

Test(buffer, one_that_was_given_up_is_all_zeros_and_can_be_given_up_again)
{
    struct mailraft_buffer buffer = {0};
    mailraft_buffer_put(&buffer, "counter", 7);
    buffer_fini(&buffer);
    cr_assert_null(buffer.bytes);
    cr_assert_eq(buffer.size, 0);
    cr_assert_eq(buffer.room, 0);
    buffer_fini(&buffer);
}
