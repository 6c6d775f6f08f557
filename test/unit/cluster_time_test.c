#include "raft/cluster_time.h"

#include "check.h"

/* Our clock counts from some moment of its own, the cluster's time from 1970. */
#define CLOCK 5000000
#define TIME  1764000000000000

static struct cluster_time now;

Test(cluster_time, there_is_none_before_anybody_told_it)
{
    cluster_time_begin(&now, 0, CLOCK);
    cr_assert_not(cluster_time_known(&now));
    cluster_time_hear(&now, TIME, CLOCK + 10);
    cr_assert(cluster_time_known(&now));
    cr_assert_eq(cluster_time_now(&now, CLOCK + 10), TIME);
}

Test(cluster_time, goes_on_from_the_last_entry_after_a_start)
{
    cluster_time_begin(&now, TIME, CLOCK);
    cr_assert(cluster_time_known(&now));
    cr_assert_eq(cluster_time_now(&now, CLOCK), TIME, "it stood still meanwhile");
    cr_assert_eq(cluster_time_now(&now, CLOCK + 70), TIME + 70);
}

Test(cluster_time, goes_on_by_our_own_clock_from_what_was_heard_last)
{
    cluster_time_begin(&now, 0, CLOCK);
    cluster_time_hear(&now, TIME, CLOCK + 100);
    cr_assert_eq(cluster_time_now(&now, CLOCK + 350), TIME + 250);
    cluster_time_hear(&now, TIME + 1000, CLOCK + 400);
    cr_assert_eq(cluster_time_now(&now, CLOCK + 500), TIME + 1100);
}

Test(cluster_time, the_leaders_word_counts_also_where_our_own_clock_was_faster)
{
    cluster_time_begin(&now, TIME, CLOCK);
    cr_assert_eq(cluster_time_now(&now, CLOCK + 1000), TIME + 1000);
    cluster_time_hear(&now, TIME + 900, CLOCK + 1000);
    cr_assert_eq(cluster_time_now(&now, CLOCK + 1000), TIME + 900);
}

Test(cluster_time, is_never_before_that_of_the_newest_entry)
{
    cluster_time_begin(&now, TIME, CLOCK);
    cluster_time_entry(&now, TIME + 500);
    cr_assert_eq(cluster_time_now(&now, CLOCK), TIME + 500);
    cr_assert_eq(cluster_time_now(&now, CLOCK + 499), TIME + 500);
    cr_assert_eq(cluster_time_now(&now, CLOCK + 501), TIME + 501);
    cluster_time_hear(&now, TIME - 9000, CLOCK + 501);
    cr_assert_eq(cluster_time_now(&now, CLOCK + 501), TIME + 500);
}

Test(cluster_time, an_older_entry_takes_nothing_back)
{
    cluster_time_begin(&now, TIME, CLOCK);
    cluster_time_entry(&now, TIME + 500);
    cluster_time_entry(&now, TIME + 400);
    cr_assert_eq(cluster_time_now(&now, CLOCK), TIME + 500);
}

/* It comes from others, unchecked. */
Test(cluster_time, whatever_it_is_told_an_entry_can_carry_it)
{
    static const int64_t TOLD[] = {INT64_MIN, -1, 0, 1, INT64_MAX / 2, INT64_MAX - 1, INT64_MAX};
    for (size_t i = 0; i < sizeof TOLD / sizeof *TOLD; i++) {
        cluster_time_begin(&now, TIME, CLOCK);
        cluster_time_hear(&now, TOLD[i], CLOCK);
        for (int64_t later_us = 0; later_us < 1000000000000; later_us = 10 * later_us + 1) {
            cr_assert_geq(cluster_time_now(&now, CLOCK + later_us), TIME);
            cr_assert_lt(cluster_time_now(&now, CLOCK + later_us), INT64_MAX);
        }
    }
}
