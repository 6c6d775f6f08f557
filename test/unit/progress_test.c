#include "raft/progress.h"

#include "check.h"

#include <signal.h>

static struct progress progress;

/* A leader whose last entry is 10. */
static void begin(void)
{
    progress_begin(&progress, 10, 1000);
}

TestSuite(progress, .init = begin);

/* The first answer has proven that the follower has entries up to match_index; the leader has so many. */
static void pipeline_from(raft_index match_index)
{
    progress_probe(&progress, match_index, 1000);
    cr_assert(progress_acknowledged(&progress, match_index, 1000));
}

Test(progress, nothing_is_known_at_first_but_that_entries_may_match_up_to_the_last)
{
    cr_assert_eq(progress.match_index, 0);
    cr_assert_eq(progress.next_index, 11);
    cr_assert(progress.probing);
    cr_assert_eq(progress.moved_us, 1000);
    cr_assert(progress_has_room(&progress));
}

Test(progress, a_beginning_forgets_what_an_earlier_term_knew)
{
    pipeline_from(10);
    progress_sent(&progress, 12, 100, 1100);
    progress.read_number = 7;
    progress_begin(&progress, 20, 2000);
    cr_assert_eq(progress.match_index, 0);
    cr_assert_eq(progress.next_index, 21);
    cr_assert(progress.probing);
    cr_assert_eq(progress.count, 0);
    cr_assert_eq(progress.in_flight_bytes, 0);
    cr_assert_eq(progress.read_number, 0);
}

Test(progress, one_probe_is_on_its_way_at_a_time)
{
    progress_sent(&progress, 11, 50, 1100);
    cr_assert_not(progress_has_room(&progress));
    cr_assert_eq(progress.next_index, 12);
}

Test(progress, an_acknowledgement_ends_the_probing)
{
    progress_sent(&progress, 11, 50, 1100);
    cr_assert(progress_acknowledged(&progress, 11, 1200));
    cr_assert_not(progress.probing);
    cr_assert_eq(progress.match_index, 11);
    cr_assert_eq(progress.next_index, 12);
    cr_assert_eq(progress.count, 0);
    cr_assert_eq(progress.moved_us, 1200);
}

Test(progress, one_that_tells_nothing_new_does_not)
{
    progress_sent(&progress, 11, 50, 1100);
    cr_assert_not(progress_acknowledged(&progress, 0, 1200));
    cr_assert(progress.probing);
    cr_assert_not(progress_has_room(&progress));
    cr_assert_eq(progress.moved_us, 1100);
}

Test(progress, the_match_index_never_goes_back)
{
    pipeline_from(10);
    cr_assert_not(progress_acknowledged(&progress, 10, 1200));
    cr_assert_not(progress_acknowledged(&progress, 4, 1200));
    cr_assert_eq(progress.match_index, 10);
    cr_assert_eq(progress.next_index, 11);
}

Test(progress, the_next_entry_is_never_one_that_is_known_to_match)
{
    progress_probe(&progress, 5, 1000);
    cr_assert(progress_acknowledged(&progress, 8, 1200)); /* a late answer to what was sent before the probe */
    cr_assert_eq(progress.next_index, 9);
    progress_probe(&progress, 3, 1300);
    cr_assert_eq(progress.next_index, 9);
    cr_assert_eq(progress.match_index, 8);
}

Test(progress, messages_leave_without_waiting_up_to_a_number_of_them)
{
    pipeline_from(10);
    for (raft_index last = 11; last < 11 + PROGRESS_MESSAGES_MAX; last++) {
        cr_assert(progress_has_room(&progress));
        progress_sent(&progress, last, 1, 1100);
    }
    cr_assert_not(progress_has_room(&progress));
    progress_acknowledged(&progress, 11, 1200);
    cr_assert(progress_has_room(&progress));
}

Test(progress, and_up_to_a_number_of_bytes)
{
    pipeline_from(10);
    progress_sent(&progress, 11, PROGRESS_WINDOW_BYTES - 1, 1100);
    cr_assert(progress_has_room(&progress));
    progress_sent(&progress, 12, 1, 1100);
    cr_assert_not(progress_has_room(&progress));
    progress_acknowledged(&progress, 11, 1200);
    cr_assert(progress_has_room(&progress));
    cr_assert_eq(progress.in_flight_bytes, 1);
}

Test(progress, an_acknowledgement_lands_all_messages_whose_entries_it_reaches)
{
    pipeline_from(10);
    progress_sent(&progress, 13, 30, 1100);
    progress_sent(&progress, 16, 40, 1100);
    progress_sent(&progress, 20, 50, 1100);
    progress_acknowledged(&progress, 12, 1200); /* a part of the first is durable */
    cr_assert_eq(progress.count, 3);
    progress_acknowledged(&progress, 17, 1200);
    cr_assert_eq(progress.count, 1);
    cr_assert_eq(progress.in_flight_bytes, 50);
    cr_assert_eq(progress.next_index, 21);
    progress_acknowledged(&progress, 20, 1200);
    cr_assert_eq(progress.count, 0);
    cr_assert_eq(progress.in_flight_bytes, 0);
}

Test(progress, the_ring_goes_round)
{
    pipeline_from(10);
    raft_index last = 10;
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < PROGRESS_MESSAGES_MAX - 7; i++) {
            last++;
            progress_sent(&progress, last, (size_t)last, 1100);
        }
        cr_assert(progress_acknowledged(&progress, last - 1, 1200));
        cr_assert_eq(progress.count, 1);
        cr_assert_eq(progress.in_flight_bytes, last);
        cr_assert(progress_acknowledged(&progress, last, 1200));
        cr_assert_eq(progress.in_flight_bytes, 0);
    }
}

/* By this clock what got lost is told from what is slow. */
Test(progress, tells_when_something_last_moved)
{
    pipeline_from(10);
    progress_sent(&progress, 11, 1, 2000); /* the first on its way */
    cr_assert_eq(progress.moved_us, 2000);
    progress_sent(&progress, 12, 1, 3000); /* one more behind it */
    cr_assert_eq(progress.moved_us, 2000);
    progress_acknowledged(&progress, 11, 4000);
    cr_assert_eq(progress.moved_us, 4000);
    progress_acknowledged(&progress, 11, 5000);
    cr_assert_eq(progress.moved_us, 4000);
    progress_acknowledged(&progress, 12, 6000);
    progress_sent(&progress, 13, 1, 9000);
    cr_assert_eq(progress.moved_us, 9000);
}

Test(progress, to_probe_counts_what_is_on_its_way_as_lost)
{
    pipeline_from(10);
    progress_sent(&progress, 12, 30, 1100);
    progress_sent(&progress, 14, 30, 1100);
    progress.read_number = 3;
    progress_probe(&progress, 12, 2000);
    cr_assert(progress.probing);
    cr_assert_eq(progress.next_index, 12);
    cr_assert_eq(progress.match_index, 10, "what was acknowledged stays so");
    cr_assert_eq(progress.count, 0);
    cr_assert_eq(progress.in_flight_bytes, 0);
    cr_assert_eq(progress.read_number, 0);
    cr_assert_eq(progress.moved_us, 2000);
    cr_assert(progress_has_room(&progress));
    progress_sent(&progress, 13, 30, 2100);
    cr_assert_not(progress_has_room(&progress));
}

/* ---- What must hold ---- */

Test(progress, holds_through_sending_acknowledgements_and_losses)
{
    progress_check(&progress, 10);
    progress_sent(&progress, 10, 0, 0); /* a probe without entries */
    progress_check(&progress, 12);
    progress_acknowledged(&progress, 10, 0);
    progress_check(&progress, 12);
    progress_sent(&progress, 11, 100, 0);
    progress_sent(&progress, 12, 100, 0);
    progress_check(&progress, 12);
    progress_acknowledged(&progress, 11, 0);
    progress_check(&progress, 12);
    progress_probe(&progress, 5, 0);
    progress_check(&progress, 12);
}

Test(progress, beyond_the_end_of_the_log_is_nothing_to_send, .signal = SIGABRT)
{
    progress_check(&progress, 9);
}

Test(progress, two_probes_are_never_on_their_way, .signal = SIGABRT)
{
    progress_sent(&progress, 10, 0, 0);
    progress_sent(&progress, 10, 0, 0);
    progress_check(&progress, 10);
}

Test(progress, what_matches_is_not_sent_again, .signal = SIGABRT)
{
    progress.match_index = 11;
    progress_check(&progress, 12);
}
