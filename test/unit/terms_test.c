#include "base/terms.h"

#include "check.h"

/* Entries 1 to 9 of the terms 1 1 1 4 4 6 6 6 9. */
static const raft_term LOG[] = {0, 1, 1, 1, 4, 4, 6, 6, 6, 9};
#define LAST 9

static struct terms terms;

static void fill(void)
{
    terms_init(&terms);
    for (raft_index index = 1; index <= LAST; index++)
        terms_add(&terms, index, LOG[index]);
}

static void empty(void)
{
    terms_fini(&terms);
}

TestSuite(terms, .init = fill, .fini = empty);

Test(terms, an_empty_log_has_none)
{
    terms_fini(&terms);
    cr_assert_eq(terms.last_index, 0);
    cr_assert_eq(terms_last(&terms), 0);
    cr_assert_eq(terms_at(&terms, 0), 0);
    cr_assert_eq(terms_at(&terms, 1), 0);
    cr_assert_eq(terms_last_of(&terms, 5), 0);
    terms_cut(&terms, 0);
    terms_cut(&terms, 3);
    cr_assert_eq(terms.last_index, 0);
}

Test(terms, each_entry_has_the_term_it_was_added_with)
{
    for (raft_index index = 0; index <= LAST; index++)
        cr_assert_eq(terms_at(&terms, index), LOG[index]);
    cr_assert_eq(terms_at(&terms, LAST + 1), 0);
    cr_assert_eq(terms_at(&terms, UINT64_MAX), 0);
    cr_assert_eq(terms_last(&terms), 9);
    cr_assert_eq(terms.last_index, LAST);
}

Test(terms, there_is_one_record_a_term)
{
    cr_assert_eq(terms.count, 4);
    for (raft_index index = LAST + 1; index <= 1000; index++)
        terms_add(&terms, index, 9);
    cr_assert_eq(terms.count, 4);
    cr_assert_eq(terms_at(&terms, 1000), 9);
}

Test(terms, many_terms_are_all_found)
{
    terms_cut(&terms, 0);
    for (raft_index index = 1; index <= 1000; index++)
        terms_add(&terms, index, 3 * index);
    for (raft_index index = 1; index <= 1000; index++)
        cr_assert_eq(terms_at(&terms, index), 3 * index);
}

Test(terms, after_each_cut_what_stands_before_it_is_as_it_was)
{
    for (raft_index last = LAST + 1; last-- > 0;) {
        terms_cut(&terms, last);
        cr_assert_eq(terms.last_index, last);
        cr_assert_eq(terms_last(&terms), LOG[last]);
        for (raft_index index = 1; index <= last; index++)
            cr_assert_eq(terms_at(&terms, index), LOG[index]);
        cr_assert_eq(terms_at(&terms, last + 1), 0);
    }
    cr_assert_eq(terms.count, 0);
}

Test(terms, a_cut_beyond_the_end_forgets_nothing)
{
    terms_cut(&terms, LAST);
    terms_cut(&terms, LAST + 1);
    cr_assert_eq(terms.last_index, LAST);
    cr_assert_eq(terms_at(&terms, LAST), 9);
}

Test(terms, entries_can_be_added_behind_a_cut_in_the_same_term_or_a_later_one)
{
    terms_cut(&terms, 7);
    terms_add(&terms, 8, 6);
    terms_add(&terms, 9, 7);
    cr_assert_eq(terms_at(&terms, 8), 6);
    cr_assert_eq(terms_at(&terms, 9), 7);
    cr_assert_eq(terms_first_of(&terms, 8), 6);
}

Test(terms, the_first_entry_of_a_term_is_told)
{
    static const raft_index FIRST[] = {0, 1, 1, 1, 4, 4, 6, 6, 6, 9};
    for (raft_index index = 1; index <= LAST; index++)
        cr_assert_eq(terms_first_of(&terms, index), FIRST[index]);
}

Test(terms, the_last_entry_up_to_a_term_is_told)
{
    static const raft_index OF[] = {0, 3, 3, 3, 5, 5, 8, 8, 8, 9, 9};
    for (raft_term term = 0; term <= 10; term++)
        cr_assert_eq(terms_last_of(&terms, term), OF[term]);
    terms_cut(&terms, 7);
    cr_assert_eq(terms_last_of(&terms, 6), 7);
}
