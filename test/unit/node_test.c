/* A node as a whole: how it starts, and how it ends. */
#include "base/clock.h"
#include "base/thread.h"
#include "stage.h"

#include <stdio.h>

Test(node, says_nothing_before_its_storage_is_open)
{
    static struct node_config config;
    sim_configure(&config, 1, 3);
    struct sim *sim = sim_new(1);
    sim_log_keep(sim);
    sim_script_network(sim);
    sim_add_node(sim, &config);
    sim_disk_hang(sim, 1, true);
    sim_run_us(sim, 5000 * US);
    cr_assert_str_eq(sim_log_text(sim, 1), "");
    stage_expect_silence(sim);
    sim_disk_hang(sim, 1, false);
    sim_settle(sim);
    cr_assert(sim_log_has(sim, 1, "Started"));
    sim_free(sim);
}

Test(node, stops_while_its_storage_hangs_at_the_start)
{
    static struct node_config config;
    sim_configure(&config, 1, 3);
    struct sim *sim = sim_new(1);
    sim_add_node(sim, &config);
    sim_disk_hang(sim, 1, true);
    sim_settle(sim);
    sim_stop(sim, 1);
    sim_run_us(sim, 1000 * US);
    cr_assert(sim_ended_well(sim, 1, NULL));
    sim_free(sim);
}

Test(node, does_not_start_on_a_damaged_ballot)
{
    struct sim *sim = stage_open(3);
    sim_kill(sim, 1);
    sim_disk_flip(sim, 1, SIM_DATA_DIR "/ballot", 9);
    sim_disk_flip(sim, 1, SIM_DATA_DIR "/ballot", 4096 + 9);
    sim_restart(sim, 1);
    sim_settle(sim);
    struct mailraft_error err;
    cr_assert_not(sim_lives(sim, 1));
    cr_assert_not(sim_ended_well(sim, 1, &err));
    cr_assert(mailraft_error_is(&err, &MAILRAFT_DAMAGED_ERROR), "%s", err.message);
    stage_close(sim);
}

Test(node, tells_how_much_of_the_log_it_read)
{
    struct sim *sim = stage_open(3);
    cr_assert(sim_log_has(sim, 1, "Read the log entries=0 last_log=0@0 "));
    stage_append(sim, stage_message(REQUEST_APPEND_ENTRIES, 2, 5), stage_terms(1, "2355"));
    sim_power_cut(sim, 1);
    sim_restart(sim, 1);
    sim_settle(sim);
    cr_assert(sim_log_has(sim, 1, "Read the log entries=4 last_log=4@5 "));
    cr_assert_not(sim_log_has(sim, 1, "Cut off what was in flight"));
    stage_close(sim);
}

Test(node, that_cannot_write_its_log_ends_and_acknowledges_nothing)
{
    struct sim *sim = stage_open(3);
    stage_follower(sim);
    sim_disk_fail_sync(sim, 1);
    stage_append(sim, stage_message(REQUEST_APPEND_ENTRIES, 2, 1), stage_terms(1, "1"));
    struct mailraft_error err;
    cr_assert_not(sim_lives(sim, 1));
    cr_assert_not(sim_ended_well(sim, 1, &err));
    cr_assert(error_is(&err, &STORAGE_ERROR));
    stage_expect_silence(sim);
    stage_close(sim);
}

Test(node, whose_disk_is_full_ends_and_goes_on_when_there_is_room)
{
    struct sim *sim = stage_open(3);
    stage_append(sim, stage_message(REQUEST_APPEND_ENTRIES, 2, 1), stage_terms(1, "1"));
    sim_forget_sent(sim, 1);
    sim_disk_fail_write(sim, 1, true);
    struct message next = stage_message(REQUEST_APPEND_ENTRIES, 2, 1);
    next.prev_index = next.prev_term = 1;
    stage_append(sim, next, stage_terms(2, "1"));
    struct mailraft_error err;
    cr_assert_not(sim_lives(sim, 1));
    cr_assert_not(sim_ended_well(sim, 1, &err));
    cr_assert(error_is(&err, &FULL_ERROR));
    stage_expect_silence(sim);
    sim_restart(sim, 1);
    sim_settle(sim);
    cr_assert_geq(raft_log_last_index(&stage_server(sim)->raft_log), 1, "what was acknowledged is there");
    stage_append(sim, next, stage_terms(2, "1"));
    cr_assert_eq(stage_expect(sim, 2, RESPONSE_APPEND_ENTRIES).match_index, 2);
    stage_close(sim);
}

Test(node, tells_its_term_and_vote_when_it_starts_again)
{
    struct sim *sim = stage_open(3);
    stage_deliver(sim, REQUEST_VOTE, 2, 6);
    sim_kill(sim, 1);
    sim_log_clear(sim, 1);
    sim_restart(sim, 1);
    sim_settle(sim);
    cr_assert(sim_log_has(sim, 1, "term=6 role=FOLLOWER Started"));
    cr_assert(sim_log_has(sim, 1, "voted_for=2"));
    stage_close(sim);
}

Test(node, that_fails_tells_why_and_not_that_it_stopped)
{
    struct sim *sim = stage_open(3);
    sim_disk_fail_sync(sim, 1);
    stage_deliver(sim, REQUEST_VOTE, 2, 3);
    struct mailraft_error err;
    cr_assert_not(sim_ended_well(sim, 1, &err));
    char line[sizeof err.message + 40];
    snprintf(line, sizeof line, "Failed: %s level=error\n", err.message);
    cr_assert(sim_log_has(sim, 1, line), "%s", sim_log_text(sim, 1));
    cr_assert_not(sim_log_has(sim, 1, "Stopped"));
    stage_close(sim);
}

Test(node, a_clean_stop_leaves_nothing_behind)
{
    struct sim *sim = stage_open(3); /* the simulator checks what was allocated when a life ends by itself */
    stage_follower(sim);
    stage_deliver(sim, REQUEST_PRE_VOTE, 3, 9);
    sim_stop(sim, 1);
    sim_settle(sim);
    cr_assert_not(sim_lives(sim, 1));
    cr_assert(sim_log_has(sim, 1, "Stopped\n"));
    stage_close(sim);
}

/* ---- A state machine that is stuck ---- */

static void apply_for_ever(void *context, const struct mailraft_entry *entries, size_t count,
                           struct mailraft_standing *standing)
{
    struct mutex mutex;
    struct wake wake;
    (void)context, (void)entries, (void)count, (void)standing;
    mutex_init(&mutex);
    wake_init(&wake);
    mutex_lock(&mutex);
    for (;;)
        wake_wait_until(&wake, &mutex, CLOCK_NEVER);
}

Test(node, a_machine_that_is_stuck_does_not_hold_up_the_stop)
{
    static const struct mailraft_machine STUCK = {.apply = apply_for_ever};
    static struct node_config config;
    sim_configure(&config, 1, 1);
    config.machine = &STUCK;
    struct sim *sim = stage_open_with(&config);
    cr_assert(sim_run_until_leader(sim, 1000 * US));
    sim_run_us(sim, 10 * US);
    cr_assert_eq(stage_server(sim)->applied_index, 0);
    sim_stop(sim, 1);
    sim_run_us(sim, NODE_LAST_WORDS_US + 10 * US);
    cr_assert_not(sim_lives(sim, 1));
    cr_assert(sim_ended_well(sim, 1, NULL));
    stage_close(sim);
}
