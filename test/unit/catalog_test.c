#include "base/catalog.h"

#include "check.h"

static struct catalog catalog;

static void open_catalog(void)
{
    catalog_init(&catalog);
}

static void close_catalog(void)
{
    catalog_fini(&catalog);
}

TestSuite(catalog, .init = open_catalog, .fini = close_catalog);

static void add(raft_index first, raft_index last, uint64_t file, uint64_t offset, uint64_t bytes)
{
    catalog_add(&catalog, &(struct run){.first = first, .last = last, .file = file, .offset = offset, .bytes = bytes});
}

static void assert_run(size_t at, raft_index first, raft_index last, uint64_t file, uint64_t offset, uint64_t bytes)
{
    cr_assert_lt(at, catalog.count);
    const struct run *run = &catalog.list[at];
    cr_assert_eq(run->first, first);
    cr_assert_eq(run->last, last);
    cr_assert_eq(run->file, file);
    cr_assert_eq(run->offset, offset);
    cr_assert_eq(run->bytes, bytes);
}

/* The run that holds an entry is the one at this place. */
static void assert_found(raft_index index, size_t at)
{
    cr_assert_eq(catalog_find(&catalog, index), &catalog.list[at], "entry %llu", (unsigned long long)index);
}

/* ---- Joining ---- */

Test(catalog, frames_that_stand_one_behind_the_other_become_one_run)
{
    add(1, 3, 1, 8192, 512);
    add(4, 4, 1, 8704, 1024);
    cr_assert_eq(catalog.count, 1);
    assert_run(0, 1, 4, 1, 8192, 1536);
}

Test(catalog, a_frame_without_entries_may_stand_between)
{
    add(1, 3, 1, 8192, 512);
    add(4, 4, 1, 9216, 512);
    cr_assert_eq(catalog.count, 1);
    assert_run(0, 1, 4, 1, 8192, 1536);
}

Test(catalog, another_file_begins_another_run)
{
    add(1, 3, 1, 8192, 512);
    add(4, 4, 2, 8704, 512);
    cr_assert_eq(catalog.count, 2);
    assert_run(1, 4, 4, 2, 8704, 512);
}

Test(catalog, a_run_has_at_most_its_bytes_and_one_frame_may_have_more)
{
    add(1, 1, 1, 8192, CATALOG_RUN_BYTES - 512);
    add(2, 2, 1, 8192 + CATALOG_RUN_BYTES - 512, 512);
    cr_assert_eq(catalog.count, 1);
    assert_run(0, 1, 2, 1, 8192, CATALOG_RUN_BYTES);
    add(3, 3, 1, 8192 + CATALOG_RUN_BYTES, 512);
    cr_assert_eq(catalog.count, 2);
    add(4, 9, 1, 8704 + CATALOG_RUN_BYTES, 10 * CATALOG_RUN_BYTES);
    cr_assert_eq(catalog.count, 3);
    assert_run(2, 4, 9, 1, 8704 + CATALOG_RUN_BYTES, 10 * CATALOG_RUN_BYTES);
}

/* What is read for a run is all that lies between its ends, the frames without entries too. */
Test(catalog, what_stands_between_counts_against_the_bytes_of_a_run)
{
    add(1, 1, 1, 8192, 512);
    add(2, 2, 1, 8192 + CATALOG_RUN_BYTES, 512);
    cr_assert_eq(catalog.count, 2);
}

Test(catalog, a_million_small_frames_need_few_records)
{
    for (raft_index index = 1; index <= 1000000; index++)
        add(index, index, 1, 8192 + 512 * (index - 1), 512);
    cr_assert_eq(catalog.count, (1000000 + 127) / 128);
    for (raft_index index = 1; index <= 1000000; index += 997)
        assert_found(index, (index - 1) / 128);
}

/* ---- Finding ---- */

Test(catalog, each_entry_is_found_in_its_run_and_none_outside)
{
    add(5, 9, 1, 8192, 512); /* a log may begin above 1 */
    add(10, 10, 2, 8192, 512);
    add(11, 20, 3, 8192, 512);
    cr_assert_null(catalog_find(&catalog, 0));
    cr_assert_null(catalog_find(&catalog, 4));
    assert_found(5, 0);
    assert_found(9, 0);
    assert_found(10, 1);
    assert_found(11, 2);
    assert_found(20, 2);
    cr_assert_null(catalog_find(&catalog, 21));
    cr_assert_null(catalog_find(&catalog, UINT64_MAX));
}

Test(catalog, an_empty_one_finds_nothing)
{
    cr_assert_null(catalog_find(&catalog, 1));
}

/* ---- Replacing ---- */

Test(catalog, a_frame_that_replaces_entries_forgets_all_from_its_first_on)
{
    add(1, 5, 1, 8192, 512);
    add(6, 9, 2, 8192, 512);
    add(10, 12, 3, 8192, 512);
    add(7, 7, 3, 8704, 512);
    cr_assert_eq(catalog.count, 3);
    assert_run(1, 6, 6, 2, 8192, 512); /* the same bytes, of which less counts */
    assert_run(2, 7, 7, 3, 8704, 512);
    assert_found(6, 1);
    assert_found(7, 2);
    cr_assert_null(catalog_find(&catalog, 8));
}

Test(catalog, a_frame_is_not_joined_to_a_run_that_has_lost_its_end)
{
    add(1, 5, 1, 8192, 512);
    add(4, 4, 1, 8704, 512);
    cr_assert_eq(catalog.count, 2);
    assert_run(0, 1, 3, 1, 8192, 512);
    assert_run(1, 4, 4, 1, 8704, 512);
    add(5, 6, 1, 9216, 512); /* but to the one that replaced that end */
    cr_assert_eq(catalog.count, 2);
    assert_run(1, 4, 6, 1, 8704, 1024);
}

/* The run that is last again holds, behind what counts, what the forgotten one had replaced. */
Test(catalog, a_frame_is_not_joined_to_a_run_behind_which_another_was_forgotten)
{
    add(1, 5, 1, 8192, 512);
    add(4, 4, 1, 8704, 512);
    add(4, 9, 1, 9216, 512);
    cr_assert_eq(catalog.count, 2);
    assert_run(0, 1, 3, 1, 8192, 512);
    assert_run(1, 4, 9, 1, 9216, 512);
}

Test(catalog, a_frame_may_replace_all)
{
    add(1, 5, 1, 8192, 512);
    add(6, 9, 2, 8192, 512);
    add(1, 2, 2, 8704, 512);
    cr_assert_eq(catalog.count, 1);
    assert_run(0, 1, 2, 2, 8704, 512);
    cr_assert_null(catalog_find(&catalog, 3));
}
