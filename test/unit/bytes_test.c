#include "base/bytes.h"

#include "check.h"

Test(bytes, numbers_are_little_endian)
{
    uint8_t bytes[8];

    bytes_put_u32(bytes, 0x04030201);
    cr_assert_arr_eq(bytes, "\1\2\3\4", 4);
    bytes_put_u64(bytes, 0x0807060504030201);
    cr_assert_arr_eq(bytes, "\1\2\3\4\5\6\7\10", 8);
}

Test(bytes, numbers_are_read_as_they_were_put_at_any_alignment)
{
    static const uint64_t VALUES[] = {0, 1, 0x7fffffff, 0x80000000, UINT32_MAX, INT64_MAX, UINT64_MAX};
    uint8_t bytes[9];

    for (size_t i = 0; i < sizeof VALUES / sizeof *VALUES; i++) {
        bytes_put_u64(bytes + 1, VALUES[i]);
        cr_assert_eq(bytes_get_u64(bytes + 1), VALUES[i]);
        bytes_put_u32(bytes + 1, (uint32_t)VALUES[i]);
        cr_assert_eq(bytes_get_u32(bytes + 1), (uint32_t)VALUES[i]);
    }
}

/* What is on disks and wires was written with this checksum: it can never become another one. */
Test(bytes, the_checksum_is_xxh3_64)
{
    cr_assert_eq(bytes_checksum("", 0), 0x2d06800538d394c2);
    cr_assert_eq(bytes_checksum("mailraft", 8), bytes_checksum("mailraft", 8));
    cr_assert_neq(bytes_checksum("mailraft", 8), bytes_checksum("mailrafu", 8));
}

Test(bytes, any_byte_that_is_not_zero_is_found)
{
    uint8_t bytes[67] = {0};
    cr_assert(bytes_are_zero(bytes, 0));
    cr_assert(bytes_are_zero(bytes, 1));
    cr_assert(bytes_are_zero(bytes, sizeof bytes));
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = 0x80;
        cr_assert_not(bytes_are_zero(bytes, sizeof bytes), "byte %d", (int)i);
        cr_assert(bytes_are_zero(bytes, i));
        bytes[i] = 0;
    }
}
