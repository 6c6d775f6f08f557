#include "raft/reads.h"

#include <string.h>

#include "stage.h"

static struct sim *open_leader(void)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    sim_forget_sent(sim, 1);
    return sim;
}

/* A peer answers the newest round of heartbeats that has reached it. */
static void answer_round(struct sim *sim, raft_id peer)
{
    struct message heartbeat, newest = {0};
    while (sim_sent(sim, 1, peer, &heartbeat))
        if (heartbeat.type_of_message == REQUEST_APPEND_ENTRIES && heartbeat.round > 0)
            newest = heartbeat;
    cr_assert_gt(newest.round, 0, "a round of heartbeats has begun");
    struct message answer =
        stage_acknowledgement(sim, peer, CHANNEL_URGENT, stage_server(sim)->peers[peer - 1].progress.match_index);
    answer.round = newest.round;
    sim_deliver(sim, 1, &answer);
}

/* ---- The round ---- */

Test(reads, a_query_is_answered_when_a_majority_has_answered_a_round_begun_after_it)
{
    struct sim *sim = open_leader();
    stage_ask_query(sim, 1, "get", false);
    cr_assert_str_eq(stage_reply(sim), "");
    answer_round(sim, 2);
    cr_assert_str_eq(stage_reply(sim), "1 READ 0 0");
    cr_assert_str_eq(stage_reply(sim), "", "once");
    stage_close(sim);
}

Test(reads, an_answer_to_an_earlier_round_proves_nothing)
{
    struct sim *sim = open_leader();
    sim_run_us(sim, 60 * US); /* a round of ordinary heartbeats */
    struct message earlier = stage_expect(sim, 2, REQUEST_APPEND_ENTRIES);
    stage_ask_query(sim, 1, "get", false);
    struct message answer = stage_acknowledgement(sim, 2, CHANNEL_URGENT, 1);
    answer.round = earlier.round;
    sim_deliver(sim, 1, &answer);
    cr_assert_str_eq(stage_reply(sim), "");
    answer_round(sim, 2);
    cr_assert_str_eq(stage_reply(sim), "1 READ 0 0");
    stage_close(sim);
}

Test(reads, its_round_begins_at_once_however_lately_the_last_one_began)
{
    struct sim *sim = open_leader();
    for (uint64_t number = 1; number <= 5; number++) {
        stage_ask_query(sim, number, "get", false);
        answer_round(sim, 3);
        cr_assert_str_neq(stage_reply(sim), "");
    }
    stage_close(sim);
}

Test(reads, those_that_come_while_a_round_is_on_its_way_share_the_next)
{
    struct sim *sim = open_leader();
    stage_ask_query(sim, 1, "get", false);
    uint64_t round = stage_server(sim)->heartbeat_round;
    stage_ask_query(sim, 2, "get", false);
    stage_ask_query(sim, 3, "get", false);
    cr_assert_eq(stage_server(sim)->heartbeat_round, round);
    answer_round(sim, 2);
    cr_assert_str_eq(stage_reply(sim), "1 READ 0 0");
    cr_assert_str_eq(stage_reply(sim), "", "the round began before the others came");
    cr_assert_eq(stage_server(sim)->heartbeat_round, round + 1);
    answer_round(sim, 2);
    cr_assert_str_eq(stage_reply(sim), "2 READ 0 0");
    cr_assert_str_eq(stage_reply(sim), "3 READ 0 0");
    stage_close(sim);
}

Test(reads, a_later_heartbeat_confirms_where_the_first_was_lost)
{
    struct sim *sim = open_leader();
    stage_ask_query(sim, 1, "get", false);
    sim_forget_sent(sim, 1);
    sim_run_us(sim, 60 * US);
    answer_round(sim, 3);
    cr_assert_str_eq(stage_reply(sim), "1 READ 0 0");
    stage_close(sim);
}

Test(reads, whoever_is_alone_needs_nobody)
{
    struct sim *sim = stage_open(1);
    cr_assert(sim_run_until_leader(sim, 1000 * US));
    sim_run_us(sim, 10 * US);
    stage_ask_query(sim, 1, "get", false);
    cr_assert_str_eq(stage_reply(sim), "1 READ 0 0");
    stage_close(sim);
}

/* ---- What it sees ---- */

Test(reads, it_sees_what_was_committed_when_it_came_and_waits_for_nothing_else)
{
    struct sim *sim = open_leader();
    stage_ask_command(sim, 1, "add 5");
    stage_acknowledge(sim, 2, 1, 2);
    cr_assert_str_eq(stage_reply(sim), "1 APPLIED 2 5");
    stage_ask_command(sim, 2, "add 1");
    stage_ask_query(sim, 3, "get", false);
    answer_round(sim, 2);
    cr_assert_str_eq(stage_reply(sim), "3 READ 0 5", "2 is not committed");
    stage_close(sim);
}

Test(reads, one_that_is_behind_a_command_sees_it)
{
    struct sim *sim = open_leader();
    stage_ask_command(sim, 1, "add 5");
    stage_ask_query(sim, 2, "get", true);
    answer_round(sim, 2);
    cr_assert_str_eq(stage_reply(sim), "");
    stage_acknowledge(sim, 2, 1, 2);
    cr_assert_str_eq(stage_reply(sim), "1 APPLIED 2 5");
    cr_assert_str_eq(stage_reply(sim), "2 READ 0 5");
    stage_close(sim);
}

Test(reads, one_that_waits_for_a_command_holds_up_no_other)
{
    struct sim *sim = open_leader();
    stage_ask_command(sim, 1, "add 5");
    stage_ask_query(sim, 2, "get", true);
    stage_ask_query(sim, 3, "get", false);
    answer_round(sim, 2);
    answer_round(sim, 2);
    cr_assert_str_eq(stage_reply(sim), "3 READ 0 0");
    stage_close(sim);
}

Test(reads, a_new_leader_answers_none_before_an_entry_of_its_own_term_is_applied)
{
    struct sim *sim = stage_open_with_log(3, 3, 1);
    stage_meet_all(sim);
    stage_elect(sim);
    sim_forget_sent(sim, 1);
    stage_server(sim)->cluster_uuid.bytes[0] = 1; /* it knows that the cluster is born */
    sim_run_us(sim, 1 * US);
    stage_ask_over(sim, VIEW_HERE, LETTER_READ, 1, "get");
    answer_round(sim, 2);
    cr_assert_str_eq(stage_reply(sim), "");
    stage_acknowledge(sim, 2, 2, 4);
    cr_assert_eq(stage_server(sim)->commit_index, 4);
    cr_assert_str_eq(stage_reply(sim), "1 READ 0 0");
    stage_close(sim);
}

static void apply_nothing(void *context, const struct mailraft_entry *entries, size_t count,
                          struct mailraft_standing *standing)
{
    (void)context;
    for (size_t i = 0; i < count; i++)
        if (entries[i].reply != NULL)
            mailraft_buffer_put(entries[i].reply, "ok", 2);
    *standing = (struct mailraft_standing){.deadline_us = MAILRAFT_NO_DEADLINE};
}

static bool prepare_as_it_is(void *context, const struct mailraft_proposal *proposal, struct mailraft_buffer *command)
{
    (void)context;
    mailraft_buffer_put(command, proposal->request, proposal->size);
    return true;
}

static void read_nothing(void *context, const void *query, size_t size, int64_t time_us, struct mailraft_buffer *reply)
{
    (void)context, (void)query, (void)size, (void)time_us;
    mailraft_buffer_put(reply, "seen", 4);
}

static const struct mailraft_machine PLAIN = {
    .prepare = prepare_as_it_is, .apply = apply_nothing, .read = read_nothing};

static void ask_large_commands(struct sim *sim, uint64_t first, uint64_t last)
{
    static char large[4000];
    memset(large, 'x', sizeof large - 1);
    for (uint64_t number = first; number <= last; number++)
        stage_ask_command(sim, number, large);
}

Test(reads, one_whose_entries_are_read_from_disk_again_is_answered_behind_them)
{
    static struct node_config config;
    sim_configure(&config, 1, 3);
    config.machine = &PLAIN;
    config.log_cache_bytes = 8 * 1024;
    struct sim *sim = stage_open_with(&config);
    stage_leader(sim);
    sim_forget_sent(sim, 1);
    ask_large_commands(sim, 2, 4);
    stage_ask_query(sim, 100, "get", true);
    answer_round(sim, 2);
    ask_large_commands(sim, 5, 20);
    sim_run_us(sim, 5 * US);
    cr_assert_not(raft_log_has(&stage_server(sim)->raft_log, 4), "it has left memory");
    stage_acknowledge(sim, 2, 1, 4);
    sim_run_us(sim, 5 * US);
    for (int i = 0; i < 3; i++)
        cr_assert_str_neq(stage_reply(sim), "");
    cr_assert_str_eq(stage_reply(sim), "100 READ 0 seen");
    stage_close(sim);
}

/* ---- Time ---- */

Test(reads, one_at_whose_time_something_is_due_waits_for_an_entry_that_says_so)
{
    struct sim *sim = open_leader();
    stage_ask_command(sim, 1, "add 5");
    stage_ask_command(sim, 2, "expire 20");
    stage_acknowledge(sim, 2, 1, 3);
    cr_assert_str_eq(stage_reply(sim), "1 APPLIED 2 5");
    cr_assert_str_eq(stage_reply(sim), "2 APPLIED 3 5");
    stage_server(sim)->machine_deadline_us = MAILRAFT_NO_DEADLINE; /* the leader does not look by itself */
    sim_run_us(sim, 25 * US);
    cr_assert_eq(raft_log_last_index(&stage_server(sim)->raft_log), 3);
    stage_ask_query(sim, 3, "get", false);
    answer_round(sim, 2);
    cr_assert_str_eq(stage_reply(sim), "");
    cr_assert_eq(raft_log_last_index(&stage_server(sim)->raft_log), 4);
    stage_acknowledge(sim, 2, 1, 4);
    cr_assert_str_eq(stage_reply(sim), "3 READ 0 0");
    stage_close(sim);
}

/* Its client would see first what is newer, and then what is older. */
Test(reads, none_overtakes_one_that_waits_for_the_time)
{
    struct sim *sim = open_leader();
    stage_ask_command(sim, 1, "expire 20");
    stage_acknowledge(sim, 2, 1, 2);
    cr_assert_str_eq(stage_reply(sim), "1 APPLIED 2 0");
    stage_server(sim)->machine_deadline_us = MAILRAFT_NO_DEADLINE; /* the leader does not look by itself */
    sim_run_us(sim, 25 * US);
    stage_ask_command(sim, 2, "add 1");
    stage_ask_command(sim, 3, "add 1");
    sim_run_us(sim, US); /* so that only a later entry tells the time of a query */
    stage_ask_query(sim, 4, "get", false);
    answer_round(sim, 2);
    cr_assert_eq(raft_log_last_index(&stage_server(sim)->raft_log), 5);
    stage_acknowledge(sim, 2, 1, 3);
    cr_assert_str_eq(stage_reply(sim), "2 APPLIED 3 1"); /* nothing is due any more */
    stage_ask_query(sim, 5, "get", false);
    answer_round(sim, 2);
    cr_assert_str_eq(stage_reply(sim), "");
    stage_acknowledge(sim, 2, 1, 5);
    cr_assert_str_eq(stage_reply(sim), "3 APPLIED 4 2");
    cr_assert_str_eq(stage_reply(sim), "4 READ 0 2");
    cr_assert_str_eq(stage_reply(sim), "5 READ 0 2");
    stage_close(sim);
}

Test(reads, whoever_leads_again_waits_for_no_entry_of_before)
{
    struct sim *sim = open_leader();
    stage_ask_query(sim, 1, "get", false);
    stage_server(sim)->reads_early_index = 99;
    stage_deliver(sim, REQUEST_APPEND_ENTRIES, 2, 2);
    cr_assert_eq(stage_server(sim)->reads_early_index, 0);
    stage_close(sim);
}

/* ---- The end ---- */

Test(reads, whoever_does_not_lead_any_more_answers_none)
{
    struct sim *sim = open_leader();
    stage_ask_query(sim, 1, "get", false);
    stage_deliver(sim, REQUEST_APPEND_ENTRIES, 2, 2);
    cr_assert_str_eq(stage_reply(sim), "1 NOT_EXECUTED 0 leader=-1");
    stage_close(sim);
}

Test(reads, one_that_names_another_way_is_refused)
{
    struct sim *sim = open_leader();
    uint64_t view = stage_server(sim)->view;
    stage_ask_over(sim, view - 1, LETTER_READ, 1, "get");
    cr_assert_str_eq(stage_reply(sim), "1 NOT_EXECUTED 0 leader=-1");
    stage_ask_over(sim, view + 1, LETTER_PROPOSE, 2, "add 1");
    cr_assert_str_eq(stage_reply(sim), "2 NOT_EXECUTED 0 leader=-1");
    stage_ask_over(sim, VIEW_HERE, LETTER_READ, 3, "get");
    answer_round(sim, 2);
    cr_assert_str_eq(stage_reply(sim), "3 READ 0 0");
    stage_close(sim);
}
