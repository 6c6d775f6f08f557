#include "raft/members.h"

#include "check.h"

static struct members members_of(int count)
{
    struct members members = {.count = count};
    for (int i = 0; i < count; i++)
        members.list[i].id = i + 1;
    return members;
}

Test(members, a_quorum_is_more_than_half)
{
    int quorums[] = {0, 1, 2, 2, 3, 3, 4, 4};
    for (int count = 1; count <= 7; count++) {
        struct members members = members_of(count);
        cr_assert_eq(members_quorum(&members), quorums[count]);
    }
}

Test(members, half_of_an_even_number_is_no_quorum)
{
    struct members members = members_of(4);
    cr_assert_not(members_is_quorum(&members, 0x3));
    cr_assert(members_is_quorum(&members, 0x7));
}

Test(members, any_two_quorums_share_a_member)
{
    for (int count = 1; count <= 7; count++) {
        struct members members = members_of(count);
        for (uint32_t a = 0; a < 1U << count; a++)
            for (uint32_t b = 0; b < 1U << count; b++)
                if (members_is_quorum(&members, a) && members_is_quorum(&members, b))
                    cr_assert_neq(a & b, 0);
    }
}

Test(members, what_a_quorum_has_reached_is_the_value_at_its_place)
{
    struct members five = members_of(5), four = members_of(4), one = members_of(1);
    cr_assert_eq(members_quorum_reached(&five, (int64_t[]){9, 1, 5, 7, 3}), 5);
    cr_assert_eq(members_quorum_reached(&four, (int64_t[]){4, 4, 1, 9}), 4);
    cr_assert_eq(members_quorum_reached(&four, (int64_t[]){9, 8, 1, 1}), 1);
    cr_assert_eq(members_quorum_reached(&one, (int64_t[]){-7}), -7);
}
