#include "raft/commit.h"

#include <string.h>

#include "stage.h"

/* A machine that notes what it is given, in order. */
static uint64_t applied[2000];
static size_t applied_count;

static void apply(void *context, const struct mailraft_entry *entries, size_t count, struct mailraft_standing *standing)
{
    (void)context;
    for (size_t i = 0; i < count && applied_count < 2000; i++)
        applied[applied_count++] = entries[i].index;
    *standing = (struct mailraft_standing){.deadline_us = MAILRAFT_NO_DEADLINE, .memory_bytes = 17};
}

static const struct mailraft_machine NOTES = {.apply = apply};

static struct sim *open_with_cache(size_t cache_bytes)
{
    static struct node_config config;
    sim_configure(&config, 1, 3);
    config.machine = &NOTES;
    config.log_cache_bytes = cache_bytes;
    return stage_open_with(&config);
}

static struct message behind(raft_index prev_index, raft_index commit_index)
{
    struct message message = stage_message(REQUEST_APPEND_ENTRIES, 2, 1);
    message.prev_index = prev_index;
    message.prev_term = prev_index > 0;
    message.commit_index = commit_index;
    return message;
}

/* Entries of 4,000 bytes. */
static void append_large(struct sim *sim, raft_index first, raft_index last)
{
    static const uint8_t COMMAND[4000 - ENTRY_HEAD_BYTES];
    struct batch *entries = batch_new();
    for (raft_index i = first; i <= last; i++)
        batch_add(entries, entry_new(ENTRY_COMMAND, 1, i, 1, COMMAND, sizeof COMMAND));
    stage_append(sim, behind(first - 1, 0), entries);
}

static void commit(struct sim *sim, raft_index index)
{
    struct message message = behind(index, index);
    sim_deliver(sim, 1, &message);
    sim_run_us(sim, 5 * US);
}

static void expect_applied(size_t count)
{
    cr_assert_eq(applied_count, count, "%zu are applied", applied_count);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(applied[i], i + 1, "each once, in order");
}

Test(commit, what_is_committed_is_applied_in_order)
{
    struct sim *sim = open_with_cache(1 << 20);
    stage_append(sim, behind(0, 0), stage_terms(1, "11111"));
    expect_applied(0);
    commit(sim, 2);
    expect_applied(2);
    cr_assert_eq(stage_server(sim)->applied_index, 2);
    cr_assert_eq(stage_server(sim)->machine_bytes, 17);
    commit(sim, 5);
    expect_applied(5);
    cr_assert_eq(stage_server(sim)->applied_index, 5);
    cr_assert_eq(stage_server(sim)->applying_bytes, 0);
    stage_close(sim);
}

Test(commit, less_than_is_known_changes_nothing)
{
    struct sim *sim = open_with_cache(1 << 20);
    stage_append(sim, behind(0, 4), stage_terms(1, "11111"));
    commit(sim, 2);
    commit(sim, 0);
    expect_applied(4);
    cr_assert_eq(stage_server(sim)->commit_index, 4);
    stage_close(sim);
}

Test(commit, entries_that_have_left_memory_are_read_again)
{
    struct sim *sim = open_with_cache(8 * 1024);
    append_large(sim, 1, 40);
    cr_assert_not(raft_log_has(&stage_server(sim)->raft_log, 38));
    commit(sim, 40);
    expect_applied(40);
    cr_assert_eq(stage_server(sim)->apply_read_number, 0);
    stage_close(sim);
}

Test(commit, a_machine_that_begins_anew_gets_all_that_was_ever_committed)
{
    struct sim *sim = open_with_cache(8 * 1024);
    append_large(sim, 1, 40);
    commit(sim, 40);
    sim_kill(sim, 1);
    applied_count = 0;
    sim_restart(sim, 1);
    sim_settle(sim);
    cr_assert_eq(stage_server(sim)->commit_index, 0, "a restart forgets how far");
    commit(sim, 40);
    expect_applied(40);
    stage_close(sim);
}

/* They must not come between those that are read: it would be out of order. */
Test(commit, new_ones_wait_for_the_old_ones_that_are_being_read)
{
    struct sim *sim = open_with_cache(8 * 1024);
    append_large(sim, 1, 40);
    sim_disk_hang(sim, 1, true);
    commit(sim, 30);
    commit(sim, 40);
    expect_applied(0);
    cr_assert_neq(stage_server(sim)->apply_read_number, 0);
    sim_disk_hang(sim, 1, false);
    sim_run_us(sim, 10 * US);
    expect_applied(40);
    stage_close(sim);
}

/* ---- A machine that is slow ---- */

static struct sim *the_stage;
static size_t ahead_bytes_max;

static void apply_and_look(void *context, const struct mailraft_entry *entries, size_t count,
                           struct mailraft_standing *standing)
{
    size_t ahead = stage_server(the_stage)->applying_bytes;
    if (ahead > ahead_bytes_max)
        ahead_bytes_max = ahead;
    apply(context, entries, count, standing);
}

Test(commit, the_applier_is_given_a_bounded_number_of_bytes_ahead)
{
    static const struct mailraft_machine LOOKS = {.apply = apply_and_look};
    static struct node_config config;
    sim_configure(&config, 1, 3);
    config.machine = &LOOKS;
    config.log_cache_bytes = 16 << 20;
    struct sim *sim = the_stage = stage_open_with(&config);
    for (raft_index first = 1; first <= 1600; first += 10) /* 6,400,000 bytes */
        append_large(sim, first, first + 9);
    commit(sim, 1600);
    expect_applied(1600);
    cr_assert_gt(ahead_bytes_max, COMMIT_BATCH_BYTES);
    cr_assert_lt(ahead_bytes_max, COMMIT_AHEAD_BYTES + COMMIT_BATCH_BYTES);
    stage_close(sim);
}
