#include "raft/proposals.h"

#include <stdio.h>
#include <string.h>

#include "stage.h"

static struct sim *open_leader(void)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    return sim;
}

/* What another leader of a later term has at the place of entry 2. */
static void replace(struct sim *sim, raft_index commit_index)
{
    struct message message = stage_message(REQUEST_APPEND_ENTRIES, 2, 2);
    message.prev_index = message.prev_term = 1;
    message.commit_index = commit_index;
    stage_append(sim, message, stage_terms(2, "22"));
    cr_assert_eq(stage_server(sim)->role, FOLLOWER);
}

Test(proposals, one_that_is_committed_is_answered_with_what_the_machine_says)
{
    struct sim *sim = open_leader();
    stage_propose_line(sim, 7, "add 5");
    cr_assert_str_eq(stage_reply(sim), "", "it is not committed");
    stage_acknowledge(sim, 2, 1, 2);
    cr_assert_str_eq(stage_reply(sim), "7 APPLIED 2 5");
    cr_assert_str_eq(stage_reply(sim), "", "once");
    stage_close(sim);
}

static void expect_applied(struct sim *sim, uint64_t first, uint64_t last)
{
    for (uint64_t number = first; number <= last; number++) {
        char expected[60];
        snprintf(expected, sizeof expected, "%d APPLIED %d %d", (int)number, (int)number + 1, (int)number);
        cr_assert_str_eq(stage_reply(sim), expected);
    }
    cr_assert_str_eq(stage_reply(sim), "");
}

Test(proposals, answers_come_in_the_order_of_the_log)
{
    struct sim *sim = open_leader();
    for (uint64_t number = 1; number <= 50; number++)
        stage_propose_line(sim, number, "add 1");
    stage_acknowledge(sim, 2, 1, 51);
    expect_applied(sim, 1, 50);
    for (uint64_t number = 51; number <= 250; number++) /* more than the ring holds, from its middle on */
        stage_propose_line(sim, number, "add 1");
    stage_acknowledge(sim, 2, 1, 251);
    expect_applied(sim, 51, 250);
    stage_close(sim);
}

Test(proposals, they_are_answered_as_far_as_the_log_is_committed)
{
    struct sim *sim = open_leader();
    for (uint64_t number = 1; number <= 3; number++)
        stage_propose_line(sim, number, "add 1");
    stage_acknowledge(sim, 2, 1, 3);
    cr_assert_str_eq(stage_reply(sim), "1 APPLIED 2 1");
    cr_assert_str_eq(stage_reply(sim), "2 APPLIED 3 2");
    cr_assert_str_eq(stage_reply(sim), "");
    stage_close(sim);
}

Test(proposals, what_the_machine_refuses_is_not_logged)
{
    struct sim *sim = open_leader();
    stage_propose_line(sim, 1, "expire -1");
    cr_assert_str_eq(stage_reply(sim), "1 REFUSED 0 ERR a number of milliseconds from 0 to 2147483647 is expected");
    cr_assert_str_eq(stage_log(sim), "1");
    stage_close(sim);
}

Test(proposals, what_the_machine_finds_wrong_later_counts_as_applied)
{
    struct sim *sim = open_leader();
    stage_propose_line(sim, 1, "add 9223372036854775807");
    stage_propose_line(sim, 2, "add 1");
    stage_acknowledge(sim, 2, 1, 3);
    cr_assert_str_eq(stage_reply(sim), "1 APPLIED 2 9223372036854775807");
    cr_assert_str_eq(stage_reply(sim), "2 APPLIED 3 ERR the counter would overflow");
    stage_close(sim);
}

/* What is random is drawn once: the log holds the outcome. */
Test(proposals, the_machine_prepares_what_is_logged)
{
    struct sim *sim = open_leader();
    stage_propose_line(sim, 1, "roll");
    const struct entry *entry = raft_log_at(&stage_server(sim)->raft_log, 2);
    cr_assert_eq(entry->kind, ENTRY_COMMAND);
    cr_assert_eq(entry_payload_size(entry), strlen("add 1"));
    cr_assert_arr_eq(entry_payload(entry), "add ", 4);
    stage_close(sim);
}

static uint8_t drawn[300][MAILRAFT_RANDOM_BYTES];
static size_t draws;

static bool prepare_nothing(void *context, const struct mailraft_proposal *proposal, struct mailraft_buffer *command)
{
    (void)context;
    (void)command;
    memcpy(drawn[draws++], proposal->random, MAILRAFT_RANDOM_BYTES);
    return false;
}

Test(proposals, each_has_random_bytes_of_its_own)
{
    static struct mailraft_machine machine;
    struct sim *sim = open_leader();
    machine = *stage_server(sim)->config.machine;
    machine.prepare = prepare_nothing;
    stage_server(sim)->config.machine = &machine;
    while (draws < 300) /* more than are drawn ahead, twice */
        stage_propose_line(sim, draws, "");
    for (size_t i = 0; i < draws; i++)
        for (size_t j = 0; j < i; j++)
            cr_assert_arr_neq(drawn[i], drawn[j], MAILRAFT_RANDOM_BYTES, "%d and %d have the same", (int)j, (int)i);
    stage_close(sim);
}

/* ---- Where nobody leads ---- */

Test(proposals, a_node_that_does_not_lead_says_who_does)
{
    struct sim *sim = stage_open(3);
    stage_propose_line(sim, 1, "add 1");
    cr_assert_str_eq(stage_reply(sim), "1 NOT_EXECUTED 0 leader=-1");
    stage_follower(sim);
    stage_propose_line(sim, 2, "add 1");
    cr_assert_str_eq(stage_reply(sim), "2 NOT_EXECUTED 0 leader=2");
    sim_run_us(sim, 301 * US);
    cr_assert_eq(stage_server(sim)->role, CANDIDATE);
    stage_propose_line(sim, 3, "add 1");
    cr_assert_str_eq(stage_reply(sim), "3 NOT_EXECUTED 0 leader=2", "it has heard of no other");
    stage_close(sim);
}

Test(proposals, a_leader_without_a_machine_logs_nothing)
{
    struct sim *sim = open_leader();
    stage_server(sim)->config.machine = NULL;
    stage_propose_line(sim, 1, "add 1");
    cr_assert_str_eq(stage_reply(sim), "1 NOT_EXECUTED 0 leader=-1", "it names not itself");
    stage_close(sim);
}

/* ---- Too large ---- */

Test(proposals, one_that_an_entry_cannot_hold_is_too_large)
{
    static struct node_config config;
    sim_configure(&config, 1, 3);
    config.machine = &stage_plain_machine;
    struct sim *sim = stage_open_with(&config);
    stage_leader(sim);
    static const char COMMAND[8000];
    size_t most = config.entry_bytes_max - ENTRY_HEAD_BYTES;
    stage_propose(sim, 1, COMMAND, most + 1);
    cr_assert_str_eq(stage_reply(sim), "1 TOO_LARGE 0");
    cr_assert_str_eq(stage_log(sim), "1");
    stage_propose(sim, 2, COMMAND, most);
    cr_assert_str_eq(stage_log(sim), "11");
    cr_assert_eq(raft_log_at(&stage_server(sim)->raft_log, 2)->size, config.entry_bytes_max);
    stage_propose(sim, 3, COMMAND, 0);
    cr_assert_str_eq(stage_log(sim), "111", "none at all is a command, too");
    stage_close(sim);
}

/* Clients wait while too much is pending: what has no content takes its part, too. */
Test(proposals, what_is_pending_counts_with_all_that_it_takes)
{
    static struct node_config config;
    sim_configure(&config, 1, 3);
    config.machine = &stage_plain_machine;
    struct sim *sim = stage_open_with(&config);
    stage_leader(sim);
    const struct server *server = stage_server(sim);
    stage_propose(sim, 1, "", 0);
    size_t least = server->pending_bytes;
    cr_assert_geq(least, ENTRY_HEAD_BYTES + sizeof(struct pending));
    stage_propose(sim, 2, "12345", 5);
    cr_assert_eq(server->pending_bytes, 2 * least + 5);
    stage_acknowledge(sim, 2, 1, 2);
    cr_assert_eq(server->pending_bytes, least + 5);
    stage_acknowledge(sim, 2, 1, 3);
    cr_assert_eq(server->pending_bytes, 0);
    stage_close(sim);
}

/* ---- A leader that leads no more ---- */

Test(proposals, one_that_another_leader_commits_is_applied)
{
    struct sim *sim = open_leader();
    stage_propose_line(sim, 1, "add 5");
    struct message message = stage_message(REQUEST_APPEND_ENTRIES, 2, 2);
    message.prev_index = 2;
    message.prev_term = 1;
    message.commit_index = 3;
    stage_append(sim, message, stage_terms(3, "2"));
    cr_assert_eq(stage_server(sim)->role, FOLLOWER);
    cr_assert_str_eq(stage_reply(sim), "1 APPLIED 2 5");
    stage_close(sim);
}

Test(proposals, one_in_whose_place_another_is_committed_was_never_executed)
{
    struct sim *sim = open_leader();
    stage_propose_line(sim, 1, "add 5");
    stage_propose_line(sim, 2, "add 6");
    replace(sim, 1);
    cr_assert_str_eq(stage_reply(sim), "", "what replaced it may be replaced itself");
    struct message message = stage_message(REQUEST_APPEND_ENTRIES, 2, 2);
    message.prev_index = 3;
    message.prev_term = 2;
    message.commit_index = 2;
    sim_deliver(sim, 1, &message);
    cr_assert_str_eq(stage_reply(sim), "1 NOT_EXECUTED 2 leader=2");
    cr_assert_str_eq(stage_reply(sim), "2 NOT_EXECUTED 3 leader=2", "the log goes on in a later term");
    cr_assert_eq(stage_counter.value, 0);
    stage_close(sim);
}

Test(proposals, those_behind_the_end_of_a_log_that_has_gone_on_in_a_later_term_were_never_executed)
{
    struct sim *sim = open_leader();
    for (uint64_t number = 1; number <= 5; number++)
        stage_propose_line(sim, number, "add 1");
    replace(sim, 3); /* the log ends there */
    cr_assert_str_eq(stage_reply(sim), "1 NOT_EXECUTED 2 leader=2");
    cr_assert_str_eq(stage_reply(sim), "2 NOT_EXECUTED 3 leader=2");
    cr_assert_str_eq(stage_reply(sim), "3 NOT_EXECUTED 4 leader=2");
    cr_assert_str_eq(stage_reply(sim), "4 NOT_EXECUTED 5 leader=2");
    cr_assert_str_eq(stage_reply(sim), "5 NOT_EXECUTED 6 leader=2");
    cr_assert_str_eq(stage_reply(sim), "");
    stage_close(sim);
}

Test(proposals, when_it_has_to_stand_again_they_are_uncertain)
{
    struct sim *sim = open_leader();
    stage_propose_line(sim, 1, "add 5");
    stage_propose_line(sim, 2, "add 6");
    sim_run_us(sim, 301 * US); /* no majority answers */
    cr_assert_str_eq(stage_reply(sim), "", "another may still commit them");
    stage_pre_candidate(sim);
    cr_assert_str_eq(stage_reply(sim), "1 UNCERTAIN 2");
    cr_assert_str_eq(stage_reply(sim), "2 UNCERTAIN 3");
    stage_elect(sim);
    stage_acknowledge(sim, 2, 2, 4);
    cr_assert_eq(stage_counter.value, 11, "and so they were");
    cr_assert_str_eq(stage_reply(sim), "", "no answer comes twice");
    stage_propose_line(sim, 3, "add 1");
    stage_acknowledge(sim, 2, 2, 5);
    cr_assert_str_eq(stage_reply(sim), "3 APPLIED 5 12");
    stage_close(sim);
}

Test(proposals, at_the_end_what_is_pending_is_uncertain)
{
    struct sim *sim = open_leader();
    stage_propose_line(sim, 1, "add 5");
    stage_propose_line(sim, 2, "add 6");
    struct server *server = stage_server(sim);
    proposals_abandon(server);
    cr_assert_str_eq(stage_reply(sim), "1 UNCERTAIN 2");
    cr_assert_str_eq(stage_reply(sim), "2 UNCERTAIN 3");
    cr_assert_str_eq(stage_reply(sim), "");
    cr_assert_eq(server->pending_count, 0);
    cr_assert_eq(server->pending_bytes, 0);
    stage_close(sim);
}

/* ---- Together ---- */

/* Those that wait on the pile together are one letter to the disk, and one message. */
Test(proposals, what_came_together_is_written_and_sent_together)
{
    struct sim *sim = open_leader();
    uint64_t letters = stage_server(sim)->raft_log.saved_number;
    sim_pause(sim, 1);
    for (uint64_t number = 1; number <= 10; number++)
        stage_propose_line(sim, number, "add 1");
    cr_assert_str_eq(stage_log(sim), "1");
    sim_resume(sim, 1);
    sim_settle(sim);
    cr_assert_str_eq(stage_log(sim), "11111111111");
    cr_assert_eq(stage_server(sim)->raft_log.saved_number, letters + 1);
    cr_assert_eq(stage_expect_append(sim, 2).entry_count, 10);
    stage_expect_no_append(sim, 2);
    stage_close(sim);
}
