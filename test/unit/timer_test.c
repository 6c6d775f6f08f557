/* The election timer and the hint of a closed connection. */
#include "stage.h"

static int64_t wait_us(struct sim *sim)
{
    return stage_server(sim)->election_deadline_us - stage_server(sim)->now_us;
}

static struct sim *follower_with(bool fast_failover)
{
    static struct node_config config;
    sim_configure(&config, 1, 3);
    config.fast_failover = fast_failover;
    struct sim *sim = stage_open_with(&config);
    sim_connect_peer(sim, 1, 2, 77, 1);
    struct message heartbeat = stage_message(REQUEST_APPEND_ENTRIES, 2, 1);
    struct link link = {.peer = 2, .channel = CHANNEL_URGENT, .incarnation = 77, .connection = 1};
    heartbeat.round_trip_max_us = 500;
    sim_put_over(sim, 1, &heartbeat, &link);
    sim_settle(sim);
    cr_assert_eq(stage_server(sim)->leader_id, 2);
    sim_forget_sent(sim, 1);
    return sim;
}

Test(timer, every_timeout_is_within_its_bounds_and_they_differ)
{
    struct sim *sim = stage_open(3);
    int64_t least_us = INT64_MAX, most_us = 0;
    for (int i = 0; i < 200; i++) {
        stage_deliver(sim, REQUEST_APPEND_ENTRIES, 2, 1);
        int64_t drawn_us = wait_us(sim);
        cr_assert(drawn_us >= 150 * US && drawn_us < 300 * US);
        least_us = drawn_us < least_us ? drawn_us : least_us;
        most_us = drawn_us > most_us ? drawn_us : most_us;
    }
    cr_assert_lt(least_us, 170 * US, "the seed of this test reaches both ends");
    cr_assert_gt(most_us, 280 * US);
    stage_close(sim);
}

Test(timer, a_follower_whose_leader_closed_its_connection_stands_within_four_steps_of_an_election)
{
    struct sim *sim = follower_with(true);
    sim_disconnect_peer(sim, 1, 2, 77, 1);
    cr_assert(sim_log_has(sim, 1, "Leader 2 closed its connection wait_ms="));
    cr_assert_leq(wait_us(sim), 4 * US, "sync and round trip are below 1 ms, which is the least");
    sim_run_us(sim, 4 * US);
    cr_assert(sim_log_has(sim, 1, "Pre-vote! STATE: FOLLOWER -> CANDIDATE cause=\"leader 2 closed its connection\""));
    cr_assert_eq(stage_expect(sim, 3, REQUEST_PRE_VOTE).curr_term, 2);
    stage_close(sim);
}

Test(timer, the_span_is_bounded_by_the_minimum_timeout)
{
    struct sim *sim = follower_with(true);
    stage_server(sim)->ballot_sync_us = 3600 * 1000 * (int64_t)US; /* a disk that needed an hour */
    sim_disconnect_peer(sim, 1, 2, 77, 1);
    cr_assert_eq(stage_server(sim)->hint_span_us, 150 * US);
    stage_close(sim);
}

Test(timer, then_grants_pre_votes_to_others_at_once)
{
    struct sim *sim = follower_with(true);
    stage_deliver(sim, REQUEST_PRE_VOTE, 3, 2);
    cr_assert_not(stage_expect(sim, 3, RESPONSE_PRE_VOTE).vote_granted);
    sim_disconnect_peer(sim, 1, 2, 77, 1);
    stage_deliver(sim, REQUEST_PRE_VOTE, 3, 2);
    cr_assert(stage_expect(sim, 3, RESPONSE_PRE_VOTE).vote_granted);
    stage_close(sim);
}

Test(timer, an_older_connection_or_one_of_an_earlier_life_or_of_another_is_no_hint)
{
    struct sim *sim = follower_with(true);
    sim_connect_peer(sim, 1, 2, 77, 2);
    sim_connect_peer(sim, 1, 3, 55, 1);
    sim_disconnect_peer(sim, 1, 2, 77, 1); /* replaced by number 2 */
    sim_disconnect_peer(sim, 1, 2, 66, 9); /* an earlier life of it */
    sim_disconnect_peer(sim, 1, 3, 55, 1); /* does not lead */
    cr_assert_eq(stage_server(sim)->hint_span_us, 0);
    cr_assert_not(stage_server(sim)->leader_silent);
    cr_assert_gt(wait_us(sim), 100 * US);
    sim_disconnect_peer(sim, 1, 2, 77, 2);
    cr_assert(stage_server(sim)->leader_silent);
    stage_close(sim);
}

Test(timer, a_number_that_was_seen_once_does_not_hide_the_connections_that_follow)
{
    struct sim *sim = follower_with(true);
    sim_connect_peer(sim, 1, 2, 77, UINT64_MAX);
    sim_disconnect_peer(sim, 1, 2, 77, UINT64_MAX);
    sim_connect_peer(sim, 1, 2, 77, 2);
    cr_assert(stage_server(sim)->peers[1].connected[CHANNEL_URGENT]);
    cr_assert_eq(stage_server(sim)->peers[1].connection[CHANNEL_URGENT], 2);
    stage_close(sim);
}

Test(timer, a_leader_that_speaks_again_ends_the_hint)
{
    struct sim *sim = follower_with(true);
    sim_disconnect_peer(sim, 1, 2, 77, 1);
    sim_connect_peer(sim, 1, 2, 77, 2);
    cr_assert(stage_server(sim)->leader_silent, "a connection alone is not a word");
    struct message heartbeat = stage_message(REQUEST_APPEND_ENTRIES, 2, 1);
    struct link link = {.peer = 2, .channel = CHANNEL_URGENT, .incarnation = 77, .connection = 2};
    sim_put_over(sim, 1, &heartbeat, &link);
    sim_settle(sim);
    cr_assert_not(stage_server(sim)->leader_silent);
    cr_assert_geq(wait_us(sim), 150 * US);
    sim_run_us(sim, 100 * US);
    cr_assert_eq(stage_server(sim)->role, FOLLOWER);
    stage_close(sim);
}

static void refuse_pre_vote(struct sim *sim, raft_id from, enum refusal refusal)
{
    struct message answer = stage_vote(sim, RESPONSE_PRE_VOTE, from, 1, false);
    answer.refusal = refusal;
    answer.refusal_detail = 9;
    sim_deliver(sim, 1, &answer);
}

Test(timer, a_false_alarm_costs_one_pre_vote)
{
    struct sim *sim = follower_with(true);
    sim_disconnect_peer(sim, 1, 2, 77, 1);
    sim_run_us(sim, 4 * US);
    cr_assert_eq(stage_server(sim)->phase, PRE_VOTING);
    sim_forget_sent(sim, 1);
    refuse_pre_vote(sim, 3, REFUSAL_LEADER_LIVES);
    cr_assert_geq(wait_us(sim), 150 * US, "an ordinary timeout from here on");
    sim_run_us(sim, 100 * US);
    stage_expect_silence(sim);
    stage_deliver(sim, REQUEST_PRE_VOTE, 3, 2);
    cr_assert(stage_expect(sim, 3, RESPONSE_PRE_VOTE).vote_granted,
              "whoever refused may hear of the leader's death a little later than we did");
    stage_close(sim);
}

Test(timer, the_leaders_own_word_ends_the_hint_at_once_and_anothers_only_when_it_cost_the_pre_vote)
{
    static struct node_config config;
    sim_configure(&config, 1, 5);
    for (int spoken_by_leader = 0; spoken_by_leader < 2; spoken_by_leader++) {
        struct sim *sim = stage_open_with(&config);
        for (raft_id peer = 2; peer <= 5; peer++)
            sim_connect_peer(sim, 1, peer, 70, 1);
        struct message heartbeat = stage_message(REQUEST_APPEND_ENTRIES, 2, 1);
        struct link link = {.peer = 2, .channel = CHANNEL_URGENT, .incarnation = 70, .connection = 1};
        sim_put_over(sim, 1, &heartbeat, &link);
        sim_settle(sim);
        sim_disconnect_peer(sim, 1, 2, 70, 1);
        sim_run_us(sim, 4 * US);
        refuse_pre_vote(sim, 3, spoken_by_leader ? REFUSAL_LEADING : REFUSAL_LEADER_LIVES);
        cr_assert_eq(stage_server(sim)->hint_span_us == 0, spoken_by_leader == 1);
        if (!spoken_by_leader) { /* 4 and 5 could still grant it; now only one of them */
            refuse_pre_vote(sim, 4, REFUSAL_LEADER_LIVES);
            cr_assert_eq(stage_server(sim)->hint_span_us, 0);
        }
        stage_close(sim);
    }
}

Test(timer, whoever_grants_a_pre_vote_on_a_hint_gives_its_candidate_the_time_to_win)
{
    struct sim *sim = follower_with(true);
    sim_disconnect_peer(sim, 1, 2, 77, 1);
    stage_deliver(sim, REQUEST_PRE_VOTE, 3, 2);
    cr_assert(stage_expect(sim, 3, RESPONSE_PRE_VOTE).vote_granted);
    cr_assert(wait_us(sim) >= 4 * US && wait_us(sim) < 8 * US, "a span to twice the span");
    stage_close(sim);
}

Test(timer, without_a_hint_a_granted_pre_vote_leaves_the_deadline_as_it_was)
{
    struct sim *sim = stage_open(3);
    int64_t deadline_us = stage_server(sim)->election_deadline_us;
    sim_run_us(sim, 50 * US);
    stage_deliver(sim, REQUEST_PRE_VOTE, 3, 2);
    cr_assert(stage_expect(sim, 3, RESPONSE_PRE_VOTE).vote_granted);
    cr_assert_eq(stage_server(sim)->election_deadline_us, deadline_us);
    stage_close(sim);
}

Test(timer, whoever_loses_draws_from_twice_the_span_up_to_the_timeout)
{
    struct sim *sim = follower_with(true);
    sim_disconnect_peer(sim, 1, 2, 77, 1);
    int64_t spans_us[] = {4 * US, 8 * US, 16 * US, 32 * US, 64 * US, 128 * US, 0};
    for (size_t i = 0; i < sizeof spans_us / sizeof *spans_us; i++) {
        cr_assert_eq(stage_server(sim)->hint_span_us, spans_us[i]);
        int failed = stage_server(sim)->rounds_failed;
        for (int ms = 0; ms < 600 && stage_server(sim)->rounds_failed == failed; ms++)
            sim_run_us(sim, US);
    }
    cr_assert_geq(wait_us(sim), 140 * US);
    stage_close(sim);
}

Test(timer, a_round_that_cannot_be_won_any_more_is_not_waited_for_on_a_hint)
{
    static struct node_config config;
    sim_configure(&config, 1, 5);
    struct sim *sim = stage_open_with(&config);
    for (raft_id peer = 2; peer <= 5; peer++)
        sim_connect_peer(sim, 1, peer, 70, 1);
    struct message heartbeat = stage_message(REQUEST_APPEND_ENTRIES, 2, 1);
    struct link link = {.peer = 2, .channel = CHANNEL_URGENT, .incarnation = 70, .connection = 1};
    sim_put_over(sim, 1, &heartbeat, &link);
    sim_settle(sim);
    stage_server(sim)->ballot_sync_us = 20 * US;
    sim_disconnect_peer(sim, 1, 2, 70, 1);
    sim_run_us(sim, wait_us(sim));
    int64_t before_us = stage_server(sim)->election_deadline_us;
    refuse_pre_vote(sim, 3, REFUSAL_LOG_BEHIND);
    cr_assert_eq(stage_server(sim)->election_deadline_us, before_us, "4 and 5 can still make it a majority");
    refuse_pre_vote(sim, 4, REFUSAL_LOG_BEHIND);
    cr_assert_neq(stage_server(sim)->election_deadline_us, before_us, "the dead one is not waited for");
    cr_assert_leq(wait_us(sim), 2 * stage_server(sim)->hint_span_us);
    before_us = stage_server(sim)->election_deadline_us;
    refuse_pre_vote(sim, 5, REFUSAL_LOG_BEHIND);
    cr_assert_eq(stage_server(sim)->election_deadline_us, before_us, "it is lost once");
    sim_run_us(sim, wait_us(sim));
    cr_assert(sim_log_has(sim, 1, "Pre-vote! cause=\"round lost, pre-votes granted 1/5\" term_wanted=2"));
    stage_close(sim);
}

Test(timer, a_refusal_counts_though_its_voter_is_in_a_lower_term)
{
    struct sim *sim = stage_open(3);
    stage_deliver(sim, RESPONSE_APPEND_ENTRIES, 2, 7); /* our term; 2 and 3 may be behind */
    stage_pre_candidate(sim);
    struct message refusal = stage_vote(sim, RESPONSE_PRE_VOTE, 3, 4, false);
    refusal.refusal = REFUSAL_LEADER_LIVES;
    refusal.refusal_detail = 9;
    sim_deliver(sim, 1, &refusal);
    cr_assert_eq(stage_server(sim)->refused, 4U);
    cr_assert(sim_log_has(sim, 1, "Reading mail from 3 pre-vote granted: 0 reason=\"heard the leader 9 ms ago\""));
    struct message vote = stage_vote(sim, RESPONSE_PRE_VOTE, 2, 8, true);
    sim_deliver(sim, 1, &vote);
    cr_assert_eq(stage_server(sim)->phase, VOTING);
    refusal = stage_vote(sim, RESPONSE_VOTE, 3, 7, false);
    sim_deliver(sim, 1, &refusal);
    cr_assert_eq(stage_server(sim)->refused, 4U);
    cr_assert_eq(stage_server(sim)->current_term, 8);
    stage_close(sim);
}

Test(timer, without_fast_failover_a_closed_connection_changes_nothing)
{
    struct sim *sim = follower_with(false);
    int64_t deadline_us = stage_server(sim)->election_deadline_us;
    sim_disconnect_peer(sim, 1, 2, 77, 1);
    cr_assert_eq(stage_server(sim)->election_deadline_us, deadline_us);
    cr_assert_not(stage_server(sim)->leader_silent);
    stage_close(sim);
}
