/* Figure 2, "Rules for Servers", Leaders; the check of the quorum and the hand-over. */
#include "base/buffer.h"
#include "stage.h"

static void answer_heartbeat(struct sim *sim, raft_id peer, uint64_t round)
{
    struct message answer = stage_acknowledgement(sim, peer, CHANNEL_URGENT, 1);
    answer.round = round;
    sim_deliver(sim, 1, &answer);
}

Test(leader, tells_all_others_at_once_that_it_leads)
{
    struct sim *sim = stage_open(3);
    stage_meet_all(sim);
    stage_candidate(sim);
    struct message vote = stage_vote(sim, RESPONSE_VOTE, 2, 1, true);
    sim_deliver(sim, 1, &vote);
    for (raft_id peer = 2; peer <= 3; peer++) {
        struct message first = stage_expect(sim, peer, REQUEST_APPEND_ENTRIES);
        cr_assert_eq(first.curr_term, 1);
        cr_assert_eq(first.entry_count, 1, "the first entry of its term ...");
        struct message heartbeat = stage_expect(sim, peer, REQUEST_APPEND_ENTRIES);
        cr_assert_eq(heartbeat.entry_count, 0, "... and a heartbeat");
        cr_assert_eq(heartbeat.round, 1);
    }
    stage_expect_silence(sim);
    stage_close(sim);
}

Test(leader, repeats_heartbeats_numbered_upwards_and_prints_its_line_once)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    for (uint64_t round = 2; round < 20; round++) {
        answer_heartbeat(sim, 2, round - 1);
        sim_run_us(sim, 50 * US);
        cr_assert_eq(stage_expect(sim, 2, REQUEST_APPEND_ENTRIES).round, round);
    }
    cr_assert_eq(stage_server(sim)->role, LEADER);
    cr_assert_eq(sim_log_count(sim, 1, "Leader!"), 1);
    stage_close(sim);
}

Test(leader, answers_a_vote_request_of_its_own_term_with_a_refusal)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    struct message request = stage_request_vote(sim, 3, 1);
    sim_deliver(sim, 1, &request);
    struct message answer = stage_expect(sim, 3, RESPONSE_VOTE);
    cr_assert_not(answer.vote_granted);
    cr_assert_eq(answer.curr_term, 1);
    cr_assert_eq(answer.refusal, REFUSAL_VOTED);
    stage_expect_silence(sim);
    cr_assert_eq(stage_server(sim)->role, LEADER);
    stage_close(sim);
}

Test(leader, refuses_requests_of_a_lower_term_with_its_own)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    stage_deliver(sim, REQUEST_APPEND_ENTRIES, 3, 0);
    stage_deliver(sim, REQUEST_VOTE, 3, 0);
    stage_deliver(sim, REQUEST_PRE_VOTE, 3, 0);
    cr_assert_eq(stage_expect(sim, 3, RESPONSE_APPEND_ENTRIES).curr_term, 1);
    cr_assert_eq(stage_expect(sim, 3, RESPONSE_VOTE).curr_term, 1);
    cr_assert_eq(stage_expect(sim, 3, RESPONSE_PRE_VOTE).curr_term, 1);
    cr_assert_eq(stage_server(sim)->role, LEADER);
    stage_close(sim);
}

Test(leader, steps_down_before_a_higher_term_goes_to_the_disk)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    sim_disk_hang(sim, 1, true);
    stage_deliver(sim, RESPONSE_APPEND_ENTRIES, 2, 9);
    cr_assert_eq(stage_server(sim)->role, FOLLOWER);
    cr_assert_eq(stage_server(sim)->current_term, 1, "it is not in a term that is not durable");
    cr_assert_not(sim_log_has(sim, 1, "Current Term: 9"));
    cr_assert(sim_log_has(sim, 1,
                          "term=1 role=FOLLOWER Follower! STATE: LEADER -> FOLLOWER cause=\"higher term in "
                          "RESPONSE_APPEND_ENTRIES of 2\""));
    sim_disk_hang(sim, 1, false);
    sim_settle(sim);
    cr_assert_eq(stage_server(sim)->current_term, 9);
    cr_assert(sim_log_has(sim, 1, "term=9 role=FOLLOWER Current Term: 9 cause=\"RESPONSE_APPEND_ENTRIES of 2\""));
    stage_close(sim);
}

Test(leader, believes_nobody_else_who_says_to_lead_its_term)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    stage_deliver(sim, REQUEST_APPEND_ENTRIES, 2, 1);
    cr_assert_not(stage_expect(sim, 2, RESPONSE_APPEND_ENTRIES).entries_appended);
    cr_assert_eq(stage_server(sim)->role, LEADER);
    cr_assert(sim_log_has(sim, 1, "Two leaders in term 1: we and 2"));
    stage_close(sim);
}

Test(leader, steps_down_when_no_majority_has_answered_for_the_maximum_timeout)
{
    struct sim *sim = stage_open(5);
    stage_leader(sim);
    for (uint64_t round = 1; round <= 20; round++) { /* one of four: with itself two of five */
        answer_heartbeat(sim, 2, round);
        sim_run_us(sim, 50 * US);
    }
    cr_assert_neq(stage_server(sim)->role, LEADER);
    cr_assert(sim_log_has(sim, 1, "STATE: LEADER -> FOLLOWER cause=\"no majority answered for 300"));
    stage_close(sim);
}

Test(leader, steps_down_when_too_few_are_left_whose_word_counts)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    for (raft_id peer = 2; peer <= 3; peer++) {
        sim_introduction(sim, 1, peer)->data_id.bytes[1] = 7; /* both come back with empty folders */
        sim_connect_peer(sim, 1, peer, 99, 1);
    }
    sim_run_us(sim, 20 * US);
    cr_assert_neq(stage_server(sim)->role, LEADER);
    cr_assert(sim_log_has(sim, 1, "cause=\"fewer members than a majority have the folder that the cluster knows\""));
    stage_close(sim);
}

Test(leader, takes_an_answer_for_as_old_as_the_round_it_echoes)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    answer_heartbeat(sim, 2, 1);
    sim_run_us(sim, 250 * US);
    answer_heartbeat(sim, 2, 1); /* read now, sent 250 ms ago: again */
    answer_heartbeat(sim, 3, 1); /* and another's, to the same round */
    sim_run_us(sim, 60 * US);
    cr_assert_neq(stage_server(sim)->role, LEADER, "answers to round 1 tell nothing of 300 ms later");
    stage_close(sim);
}

Test(leader, that_was_paused_does_not_take_old_answers_for_new_ones)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    answer_heartbeat(sim, 2, 1);
    stage_deliver(sim, RESPONSE_APPEND_ENTRIES, 3, 0); /* so that its connection is open */
    sim_pause(sim, 1);
    struct message answer = stage_acknowledgement(sim, 3, CHANNEL_URGENT, 1);
    answer.round = 1;
    sim_put(sim, 1, &answer);
    sim_run_us(sim, 3000 * US);
    sim_resume(sim, 1);
    sim_run_us(sim, 30 * US);
    cr_assert_eq(stage_server(sim)->role, FOLLOWER);
    stage_close(sim);
}

Test(leader, an_answer_to_a_round_that_it_never_sent_is_ignored)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    answer_heartbeat(sim, 2, 1000000);
    cr_assert_eq(stage_server(sim)->peers[1].answered_round, 0);
    stage_close(sim);
}

Test(leader, an_answer_over_an_earlier_connection_is_no_answer)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    struct message answer = stage_acknowledgement(sim, 2, CHANNEL_URGENT, 1);
    answer.round = 1;
    sim_lose_peer(sim, 1, 2, CHANNEL_URGENT);
    sim_reach_peer(sim, 1, 2, CHANNEL_URGENT);
    sim_deliver(sim, 1, &answer);
    cr_assert_eq(stage_server(sim)->peers[1].answered_round, 0);
    answer_heartbeat(sim, 2, 1);
    cr_assert_eq(stage_server(sim)->peers[1].answered_round, 1);
    stage_close(sim);
}

Test(leader, measures_round_trips_and_tells_the_largest_with_the_next_heartbeat)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    sim_run_us(sim, 2 * US);
    answer_heartbeat(sim, 2, 1);
    sim_run_us(sim, 5 * US);
    answer_heartbeat(sim, 3, 1);
    sim_run_us(sim, 50 * US);
    uint32_t told_us = stage_expect(sim, 2, REQUEST_APPEND_ENTRIES).round_trip_max_us;
    cr_assert(told_us >= 7000 && told_us < 8000, "%u us", told_us);
    stage_close(sim);
}

Test(leader, refuses_a_pre_vote_while_a_majority_answers_it)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    answer_heartbeat(sim, 2, 1);
    stage_deliver(sim, REQUEST_PRE_VOTE, 3, 2);
    struct message answer = stage_expect(sim, 3, RESPONSE_PRE_VOTE);
    cr_assert_not(answer.vote_granted);
    cr_assert_eq(answer.refusal, REFUSAL_LEADING);
    cr_assert_eq(answer.curr_term, 1);
    stage_close(sim);
}

/* What a client of a peer wants of the leader of a term. */
static void forward_command(struct sim *sim, raft_id peer, raft_term term)
{
    struct message message = stage_message(FORWARD, peer, term);
    struct mailraft_buffer body = {0};
    requests_put(&body,
                 &(struct request){.kind = REQUEST_COMMAND, .number = 1, .bytes = (const uint8_t *)"add 1", .size = 5});
    sim_deliver_body(sim, 1, &message, &body);
    buffer_fini(&body);
}

Test(leader, hands_over_to_one_that_it_hears_when_it_is_told_to_stop)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    answer_heartbeat(sim, 3, 1);
    sim_stop(sim, 1);
    sim_settle(sim);
    cr_assert_eq(stage_expect(sim, 3, TIMEOUT_NOW).curr_term, 1);
    stage_expect_silence(sim);
    cr_assert(sim_log_has(sim, 1, "Handing over to 3"));
    sim_run_us(sim, 100 * US);
    answer_heartbeat(sim, 2, 1); /* which wakes it, long after the next heartbeat was due */
    stage_expect_silence(sim);
    struct message request = stage_request_vote(sim, 3, 2);
    request.transfer = true;
    sim_deliver(sim, 1, &request);
    cr_assert(stage_expect(sim, 3, RESPONSE_VOTE).vote_granted);
    cr_assert(sim_lives(sim, 1), "it goes on until it hears its successor");
    stage_deliver(sim, REQUEST_APPEND_ENTRIES, 3, 2);
    sim_forget_sent(sim, 1);
    forward_command(sim, 2, 1); /* which has not heard the successor yet */
    cr_assert_eq(stage_expect(sim, 2, FORWARDED).curr_term, 2);
    sim_run_us(sim, 60 * US);
    cr_assert_not(sim_lives(sim, 1));
    cr_assert(sim_ended_well(sim, 1, NULL));
    stage_close(sim);
}

Test(leader, that_hears_no_successor_stops_after_half_a_second)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    answer_heartbeat(sim, 3, 1);
    sim_stop(sim, 1);
    sim_run_us(sim, 490 * US);
    cr_assert(sim_lives(sim, 1));
    sim_run_us(sim, 20 * US);
    cr_assert_not(sim_lives(sim, 1));
    cr_assert(sim_ended_well(sim, 1, NULL));
    cr_assert(sim_log_has(sim, 1, "Stopping cause=\"heard no successor in time\""));
    stage_close(sim);
}

Test(leader, does_not_hand_over_to_one_whose_connection_closed)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    answer_heartbeat(sim, 3, 1);
    sim_close_peer(sim, 1, 3);
    sim_stop(sim, 1);
    sim_settle(sim);
    cr_assert_not(sim_lives(sim, 1), "nobody is left to wait for");
    stage_expect_silence(sim);
    stage_close(sim);
}

Test(leader, that_hears_nobody_stops_at_once)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    sim_stop(sim, 1);
    sim_settle(sim);
    cr_assert_not(sim_lives(sim, 1));
    cr_assert(sim_ended_well(sim, 1, NULL));
    stage_close(sim);
}

Test(leader, reads_all_that_came_before_its_deadline_before_it_gives_up)
{
    struct sim *sim = stage_open(5);
    stage_leader(sim);
    stage_deliver(sim, RESPONSE_APPEND_ENTRIES, 2, 0); /* so that the connections are open */
    stage_deliver(sim, RESPONSE_APPEND_ENTRIES, 3, 0);
    sim_run_us(sim, 50 * US); /* round 2 */
    sim_pause(sim, 1);
    sim_run_us(sim, 255 * US); /* more than the maximum timeout after it began to lead */
    for (raft_id peer = 2; peer <= 3; peer++) {
        struct message answer = stage_acknowledgement(sim, peer, CHANNEL_URGENT, 1);
        answer.round = 2;
        sim_put(sim, 1, &answer);
    }
    sim_resume(sim, 1);
    sim_run_us(sim, 30 * US);
    cr_assert_eq(stage_server(sim)->role, LEADER, "two answers make a majority of five, the first alone does not");
    stage_close(sim);
}

Test(leader, an_answer_counts_as_long_as_the_timeout_however_many_heartbeats_left_since)
{
    static struct node_config config;
    sim_configure(&config, 1, 3);
    config.heartbeat_us = US;
    config.election_timeout_min_us = 2000 * US;
    config.election_timeout_max_us = 4000 * US;
    struct sim *sim = stage_open_with(&config);
    sim_run_us(sim, 4000 * US);
    struct message vote = stage_vote(sim, RESPONSE_PRE_VOTE, 2, 1, true);
    sim_deliver(sim, 1, &vote);
    vote = stage_vote(sim, RESPONSE_VOTE, 2, 1, true);
    sim_deliver(sim, 1, &vote);
    cr_assert_eq(stage_server(sim)->role, LEADER);
    uint64_t round = stage_server(sim)->heartbeat_round;
    sim_run_us(sim, 300 * US);
    answer_heartbeat(sim, 2, round);
    cr_assert_eq(stage_server(sim)->peers[1].answered_round, round);
    cr_assert_gt(stage_server(sim)->heartbeat_round, round);
    stage_close(sim);
}

/* Queries, which a near follower confirms, begin many rounds while an answer comes from far away. */
Test(leader, hears_one_whose_answers_are_many_rounds_old)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    for (uint64_t number = 1; number <= 20 * ROUNDS_KEPT; number++) {
        if (number % 16 == 0)
            sim_run_us(sim, US / 2);
        stage_ask_query(sim, number, "get", false);
        answer_heartbeat(sim, 2, stage_server(sim)->heartbeat_round);
        if (number > 2 * ROUNDS_KEPT && number % 100 == 0)
            answer_heartbeat(sim, 3, stage_server(sim)->heartbeat_round - 2 * ROUNDS_KEPT); /* 64 ms ago */
        sim_forget_sent(sim, 1);
    }
    const struct server *server = stage_server(sim);
    cr_assert_eq(server->role, LEADER);
    int64_t silent_us = server->now_us - server->peers[2].answered_sent_us;
    cr_assert_geq(silent_us, 64 * US, "it is not taken for younger than it is");
    cr_assert_lt(silent_us, 64 * US + 300 * US / 8, "%lld", (long long)silent_us);
    stage_close(sim);
}

Test(leader, does_not_tell_for_ever_how_long_one_took_that_is_gone)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    sim_run_us(sim, 45 * US);
    answer_heartbeat(sim, 3, 1); /* its last word */
    sim_run_us(sim, 10 * US);
    for (uint64_t round = 2; round < 20; round++) { /* the other takes 5 ms */
        answer_heartbeat(sim, 2, round);
        sim_forget_sent(sim, 1);
        sim_run_us(sim, 50 * US);
        if (round == 2)
            cr_assert_geq(stage_expect(sim, 2, REQUEST_APPEND_ENTRIES).round_trip_max_us, 45 * US);
    }
    cr_assert_lt(stage_expect(sim, 2, REQUEST_APPEND_ENTRIES).round_trip_max_us, 10 * US);
    stage_close(sim);
}

/* Dissertation, section 3.10: the successor's log is brought up to date first. */
Test(leader, hands_over_when_its_successor_has_the_whole_log_and_leads_until_then)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    stage_propose_line(sim, 1, "add 1");
    answer_heartbeat(sim, 3, 1);
    sim_forget_sent(sim, 1);
    sim_stop(sim, 1);
    sim_run_us(sim, 110 * US);
    cr_assert_eq(stage_expect(sim, 3, REQUEST_APPEND_ENTRIES).entry_count, 0, "heartbeats go on");
    cr_assert_eq(stage_expect(sim, 2, REQUEST_APPEND_ENTRIES).entry_count, 0);
    cr_assert_not(sim_log_has(sim, 1, "Handing over"));
    sim_forget_sent(sim, 1);
    stage_propose_line(sim, 2, "add 1");
    stage_acknowledge(sim, 2, 1, 2);
    cr_assert_str_eq(stage_reply(sim), "2 NOT_EXECUTED 0 leader=-1", "it proposes nothing any more");
    cr_assert_str_eq(stage_reply(sim), "1 APPLIED 2 1", "what it has proposed, it commits");
    cr_assert_not(sim_log_has(sim, 1, "Handing over"), "another's log is of no matter");
    stage_acknowledge(sim, 3, 1, 2);
    cr_assert_eq(stage_expect(sim, 3, TIMEOUT_NOW).curr_term, 1);
    sim_run_us(sim, 110 * US);
    stage_expect_silence(sim);
    stage_close(sim);
}

Test(leader, chooses_the_most_up_to_date_to_take_over)
{
    struct sim *sim = stage_open(5);
    stage_leader(sim);
    stage_propose_line(sim, 1, "add 1");
    stage_acknowledge(sim, 4, 1, 2);
    for (raft_id peer = 2; peer <= 5; peer++)
        answer_heartbeat(sim, peer, 1);
    sim_forget_sent(sim, 1);
    sim_stop(sim, 1);
    sim_settle(sim);
    stage_expect(sim, 4, TIMEOUT_NOW);
    stage_close(sim);
}

Test(leader, chooses_another_successor_when_the_first_one_is_gone)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    stage_propose_line(sim, 1, "add 1");
    stage_propose_line(sim, 2, "add 1");
    stage_acknowledge(sim, 2, 1, 2); /* it is ahead of the other */
    answer_heartbeat(sim, 2, 1);
    answer_heartbeat(sim, 3, 1);
    sim_stop(sim, 1);
    sim_settle(sim);
    sim_forget_sent(sim, 1);
    stage_acknowledge(sim, 3, 1, 3);
    cr_assert_not(sim_log_has(sim, 1, "Handing over"), "member 2 is to have the whole log first");
    sim_close_peer(sim, 1, 2);
    answer_heartbeat(sim, 3, 1);
    cr_assert_eq(stage_expect(sim, 3, TIMEOUT_NOW).curr_term, 1);
    cr_assert(sim_log_has(sim, 1, "Handing over to 3"));
    stage_close(sim);
}

Test(leader, does_not_hand_over_to_one_whose_votes_do_not_count)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    sim_introduction(sim, 1, 3)->data_id.bytes[1] = 7; /* it comes back with an empty folder */
    sim_connect_peer(sim, 1, 3, 99, 1);
    answer_heartbeat(sim, 3, 1);
    sim_stop(sim, 1);
    sim_settle(sim);
    cr_assert_not(sim_lives(sim, 1));
    cr_assert_not(sim_log_has(sim, 1, "Handing over"));
    stage_close(sim);
}

static void answer_all(struct sim *sim)
{
    for (raft_id peer = 2; peer <= stage_server(sim)->config.members.count; peer++)
        answer_heartbeat(sim, peer, stage_server(sim)->heartbeat_round);
}

Test(leader, whose_disk_does_not_answer_gives_leadership_up)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    sim_disk_hang(sim, 1, true);
    stage_propose_line(sim, 1, "add 1");
    for (int i = 0; i < 19; i++) {
        sim_run_us(sim, 50 * US);
        answer_all(sim);
        stage_propose_line(sim, 1, "add 1"); /* more of the same is no news of the disk */
    }
    cr_assert_eq(stage_server(sim)->role, LEADER);
    for (int i = 0; i < 2; i++) {
        sim_run_us(sim, 50 * US);
        if (stage_server(sim)->role == LEADER)
            answer_all(sim);
    }
    cr_assert_eq(stage_server(sim)->role, FOLLOWER);
    cr_assert(sim_log_has(sim, 1, "STATE: LEADER -> FOLLOWER cause=\"the disk has not answered for 1000 ms\""));
    stage_close(sim);
}

Test(leader, whose_disk_does_not_answer_tells_its_clients_that_it_knows_of_no_outcome)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    sim_disk_hang(sim, 1, true);
    stage_propose_line(sim, 7, "add 1");
    while (stage_server(sim)->role == LEADER) {
        cr_assert_str_eq(stage_reply(sim), "");
        answer_all(sim);
        sim_run_us(sim, 50 * US);
    }
    cr_assert_str_eq(stage_reply(sim), "7 UNCERTAIN 2", "though it never stands again");
    stage_close(sim);
}

Test(leader, whose_disk_answers_in_time_leads_on)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    for (int i = 0; i < 4; i++) {
        sim_disk_hang(sim, 1, true);
        stage_propose_line(sim, 1, "add 1");
        for (int j = 0; j < 15; j++) {
            sim_run_us(sim, 50 * US);
            answer_all(sim);
        }
        sim_disk_hang(sim, 1, false);
        sim_settle(sim);
    }
    cr_assert_eq(stage_server(sim)->role, LEADER);
    stage_close(sim);
}

/* ---- Time ---- */

static raft_index last_index(struct sim *sim)
{
    return raft_log_last_index(&stage_server(sim)->raft_log);
}

Test(leader, proposes_a_time_entry_when_the_machine_wants_one)
{
    struct sim *sim = stage_open(1);
    sim_run_us(sim, 301 * US);
    stage_propose_line(sim, 1, "add 5");
    stage_propose_line(sim, 2, "expire 1000");
    cr_assert_eq(stage_counter.value, 5);
    raft_index last = last_index(sim);
    sim_run_us(sim, 990 * US);
    cr_assert_eq(last_index(sim), last);
    sim_run_us(sim, 20 * US);
    cr_assert_eq(last_index(sim), last + 1);
    cr_assert_eq(raft_log_at(&stage_server(sim)->raft_log, last + 1)->kind, ENTRY_TIME);
    cr_assert_eq(stage_counter.value, 0);
    sim_run_us(sim, 5000 * US);
    cr_assert_eq(last_index(sim), last + 1, "once");
    stage_close(sim);
}

Test(leader, tells_the_clusters_time_with_each_message_and_each_entry)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    sim_run_us(sim, 51 * US);
    int64_t told_us = stage_expect(sim, 2, REQUEST_APPEND_ENTRIES).time_us;
    cr_assert_gt(told_us, 0);
    sim_run_us(sim, 10 * US);
    stage_propose_line(sim, 1, "add 1");
    int64_t entry_us = raft_log_at(&stage_server(sim)->raft_log, 2)->time_us;
    cr_assert(entry_us >= told_us + 10 * US && entry_us < told_us + 60 * US);
    stage_close(sim);
}

Test(leader, that_follows_another_goes_on_with_the_time_it_was_told)
{
    struct sim *sim = stage_open(3);
    struct message heartbeat = stage_message(REQUEST_APPEND_ENTRIES, 2, 1);
    heartbeat.time_us = 4000000000000000; /* far from our own wall clock */
    sim_deliver(sim, 1, &heartbeat);
    stage_elect(sim);
    cr_assert_geq(raft_log_at(&stage_server(sim)->raft_log, 1)->time_us, 4000000000000000);
    cr_assert_lt(raft_log_at(&stage_server(sim)->raft_log, 1)->time_us, 4000000000000000 + 1000 * US);
    stage_close(sim);
}
