/* Figure 2, "Rules for Servers", Followers; RequestVote and AppendEntries RPC, "Receiver implementation". */
#include "stage.h"

Test(follower, starts_as_a_follower_that_knows_no_leader)
{
    struct sim *sim = stage_open(3);
    cr_assert_eq(stage_server(sim)->role, FOLLOWER);
    cr_assert_eq(stage_server(sim)->leader_id, NO_ONE);
    cr_assert_eq(sim_log_count(sim, 1, "Follower! cause=\"started\""), 1);
    cr_assert_eq(sim_log_count(sim, 1, "Election timeout milliseconds: "), 1);
    stage_close(sim);
}

Test(follower, a_heartbeat_is_answered_as_appended_and_its_round_echoed)
{
    struct sim *sim = stage_open(3);
    struct message heartbeat = stage_message(REQUEST_APPEND_ENTRIES, 2, 1);
    heartbeat.round = 17;
    sim_deliver(sim, 1, &heartbeat);
    struct message answer = stage_expect(sim, 2, RESPONSE_APPEND_ENTRIES);
    cr_assert(answer.entries_appended);
    cr_assert_eq(answer.round, 17);
    cr_assert_eq(answer.curr_term, 1);
    stage_expect_silence(sim);
    stage_close(sim);
}

Test(follower, an_append_of_a_lower_term_is_refused_with_our_term)
{
    struct sim *sim = stage_open(3);
    stage_deliver(sim, REQUEST_APPEND_ENTRIES, 2, 5);
    sim_forget_sent(sim, 1);
    int64_t deadline_us = stage_server(sim)->election_deadline_us;
    stage_deliver(sim, REQUEST_APPEND_ENTRIES, 3, 4);
    struct message answer = stage_expect(sim, 3, RESPONSE_APPEND_ENTRIES);
    cr_assert_not(answer.entries_appended);
    cr_assert_eq(answer.curr_term, 5);
    cr_assert_eq(stage_server(sim)->leader_id, 2);
    cr_assert_eq(stage_server(sim)->election_deadline_us, deadline_us);
    stage_close(sim);
}

Test(follower, an_append_after_an_entry_that_we_do_not_have_is_not_appended)
{
    struct sim *sim = stage_open(3);
    struct message append = stage_message(REQUEST_APPEND_ENTRIES, 2, 1);
    append.prev_index = 3;
    append.prev_term = 1;
    sim_deliver(sim, 1, &append);
    cr_assert_not(stage_expect(sim, 2, RESPONSE_APPEND_ENTRIES).entries_appended);
    cr_assert_eq(stage_server(sim)->leader_id, 2, "it leads all the same");
    stage_close(sim);
}

Test(follower, an_append_of_its_leader_restarts_the_deadline)
{
    struct sim *sim = stage_open(3);
    stage_follower(sim);
    for (int i = 0; i < 20; i++) { /* 2 seconds, far more than a timeout */
        sim_run_us(sim, 100 * US);
        stage_deliver(sim, REQUEST_APPEND_ENTRIES, 2, 1);
    }
    cr_assert_eq(stage_server(sim)->role, FOLLOWER);
    stage_close(sim);
}

Test(follower, the_line_of_its_role_is_printed_once_however_many_heartbeats_come)
{
    struct sim *sim = stage_open(3);
    stage_follower(sim);
    for (int i = 0; i < 50; i++)
        stage_deliver(sim, REQUEST_APPEND_ENTRIES, 2, 1);
    cr_assert_eq(sim_log_count(sim, 1, "Follower!"), 1);
    cr_assert_eq(sim_log_count(sim, 1, "Election timeout milliseconds: "), 1);
    cr_assert_eq(sim_log_count(sim, 1, "Following leader 2"), 1);
    stage_close(sim);
}

Test(follower, becomes_a_candidate_when_the_timeout_passes_without_a_leader)
{
    struct sim *sim = stage_open(3);
    stage_follower(sim);
    sim_run_us(sim, 149 * US);
    cr_assert_eq(stage_server(sim)->role, FOLLOWER);
    sim_run_us(sim, 151 * US);
    cr_assert_eq(stage_server(sim)->role, CANDIDATE);
    cr_assert(sim_log_has(sim, 1, "STATE: FOLLOWER -> CANDIDATE cause=\"election timeout, leader 2 heard "));
    stage_close(sim);
}

Test(follower, grants_its_vote_to_the_first_who_asks_and_says_so)
{
    struct sim *sim = stage_open(3);
    stage_deliver(sim, REQUEST_VOTE, 2, 1);
    struct message answer = stage_expect(sim, 2, RESPONSE_VOTE);
    cr_assert(answer.vote_granted);
    cr_assert_eq(answer.curr_term, 1);
    cr_assert_eq(stage_server(sim)->voted_for, 2);
    cr_assert_eq(sim_log_count(sim, 1, "Current Term: 1 cause=\"REQUEST_VOTE of 2\""), 1);
    cr_assert_eq(sim_log_count(sim, 1, "Voted for 2 in current term 1"), 1);
    cr_assert_eq(sim_log_count(sim, 1, "Sent mail to 2 vote granted: 1"), 1);
    stage_close(sim);
}

Test(follower, grants_no_second_vote_in_a_term_and_says_whom_it_chose)
{
    struct sim *sim = stage_open(3);
    stage_deliver(sim, REQUEST_VOTE, 2, 1);
    stage_deliver(sim, REQUEST_VOTE, 3, 1);
    struct message answer = stage_expect(sim, 3, RESPONSE_VOTE);
    cr_assert_not(answer.vote_granted);
    cr_assert_eq(answer.refusal, REFUSAL_VOTED);
    cr_assert_eq(answer.refusal_detail, 2);
    cr_assert(sim_log_has(sim, 1, "Sent mail to 3 vote granted: 0 reason=\"voted for 2\""));
    stage_close(sim);
}

Test(follower, repeats_its_vote_for_the_same_candidate)
{
    struct sim *sim = stage_open(3);
    stage_deliver(sim, REQUEST_VOTE, 2, 1);
    stage_deliver(sim, REQUEST_VOTE, 2, 1);
    cr_assert(stage_expect(sim, 2, RESPONSE_VOTE).vote_granted);
    cr_assert(stage_expect(sim, 2, RESPONSE_VOTE).vote_granted);
    cr_assert_eq(sim_log_count(sim, 1, "Voted for 2"), 1, "it voted once");
    stage_close(sim);
}

Test(follower, a_vote_request_of_a_lower_term_is_refused_with_our_term)
{
    struct sim *sim = stage_open(3);
    stage_deliver(sim, REQUEST_VOTE, 2, 5);
    stage_deliver(sim, REQUEST_VOTE, 3, 4);
    struct message answer = stage_expect(sim, 3, RESPONSE_VOTE);
    cr_assert_not(answer.vote_granted);
    cr_assert_eq(answer.refusal, REFUSAL_STALE_TERM);
    cr_assert_eq(answer.curr_term, 5);
    stage_close(sim);
}

Test(follower, a_granted_vote_restarts_the_deadline)
{
    struct sim *sim = stage_open(3);
    sim_run_us(sim, 100 * US);
    stage_deliver(sim, REQUEST_VOTE, 2, 1);
    cr_assert_geq(stage_server(sim)->election_deadline_us, stage_server(sim)->now_us + 149 * US);
    stage_close(sim);
}

Test(follower, a_higher_term_that_gets_no_vote_leaves_the_deadline_as_it_was)
{
    struct sim *sim = stage_open_with_log(3, 4, 1);
    int64_t deadline_us = stage_server(sim)->election_deadline_us;
    sim_run_us(sim, 50 * US);
    stage_deliver(sim, REQUEST_VOTE, 2, 7); /* its log is empty */
    cr_assert_eq(stage_server(sim)->current_term, 7);
    cr_assert_eq(stage_server(sim)->voted_for, NO_ONE);
    cr_assert_eq(stage_expect(sim, 2, RESPONSE_VOTE).refusal, REFUSAL_LOG_BEHIND);
    stage_deliver(sim, RESPONSE_APPEND_ENTRIES, 3, 8);
    cr_assert_eq(stage_server(sim)->current_term, 8);
    cr_assert_eq(stage_server(sim)->election_deadline_us, deadline_us);
    stage_close(sim);
}

Test(follower, believes_no_second_leader_in_a_term)
{
    struct sim *sim = stage_open(3);
    stage_follower(sim);
    stage_deliver(sim, REQUEST_APPEND_ENTRIES, 3, 1);
    cr_assert_not(stage_expect(sim, 3, RESPONSE_APPEND_ENTRIES).entries_appended);
    cr_assert_eq(stage_server(sim)->leader_id, 2);
    cr_assert(sim_log_has(sim, 1, "Two leaders in term 1: 2 and 3"));
    stage_close(sim);
}

Test(follower, stands_without_a_pre_vote_when_its_leader_hands_over)
{
    struct sim *sim = stage_open(3);
    stage_follower(sim);
    stage_deliver(sim, TIMEOUT_NOW, 2, 1);
    struct message request = stage_expect(sim, 2, REQUEST_VOTE);
    cr_assert(request.transfer);
    cr_assert_eq(request.curr_term, 2);
    stage_expect(sim, 3, REQUEST_VOTE);
    cr_assert(sim_log_has(sim, 1, "Hand-over! STATE: FOLLOWER -> CANDIDATE cause=\"leader 2 hands over\""));
    stage_close(sim);
}

Test(follower, takes_over_from_nobody_but_its_leader_of_this_term)
{
    struct sim *sim = stage_open(3);
    stage_follower(sim);
    stage_deliver(sim, TIMEOUT_NOW, 3, 1); /* does not lead */
    stage_deliver(sim, TIMEOUT_NOW, 2, 0); /* of an older term */
    cr_assert_eq(stage_server(sim)->role, FOLLOWER);
    stage_expect_silence(sim);
    stage_close(sim);
}

Test(follower, a_message_that_waits_at_the_deadline_is_read_before_it_stands)
{
    struct sim *sim = stage_open(3);
    stage_follower(sim);
    sim_pause(sim, 1);
    sim_run_us(sim, 5000 * US);
    struct message heartbeat = stage_message(REQUEST_APPEND_ENTRIES, 2, 1);
    sim_put(sim, 1, &heartbeat);
    sim_resume(sim, 1);
    sim_run_us(sim, 20 * US);
    cr_assert_eq(stage_server(sim)->role, FOLLOWER, "a paused process does not stand against a living leader");
    cr_assert_eq(sim_log_count(sim, 1, "CANDIDATE"), 0);
    stage_close(sim);
}

Test(follower, whose_disk_does_not_answer_does_not_stand)
{
    struct sim *sim = stage_open(3);
    stage_follower(sim);
    sim_disk_hang(sim, 1, true);
    stage_append(sim, stage_message(REQUEST_APPEND_ENTRIES, 2, 1), stage_terms(1, "1"));
    for (int i = 0; i < 11; i++) {
        sim_run_us(sim, 100 * US);
        stage_deliver(sim, REQUEST_APPEND_ENTRIES, 2, 1);
    }
    sim_forget_sent(sim, 1);
    sim_run_us(sim, 1000 * US);
    cr_assert_eq(stage_server(sim)->role, FOLLOWER);
    stage_expect_silence(sim);
    cr_assert(sim_log_has(sim, 1, "Not standing cause=\"the disk has not answered for "));
    stage_deliver(sim, TIMEOUT_NOW, 2, 1);
    cr_assert_eq(stage_server(sim)->role, FOLLOWER, "nor when it is told to");
    sim_disk_hang(sim, 1, false);
    sim_run_us(sim, 301 * US);
    cr_assert_eq(stage_server(sim)->role, CANDIDATE);
    stage_close(sim);
}

Test(follower, late_entries_of_a_leader_whose_connection_closed_do_not_tell_that_it_lives)
{
    struct sim *sim = stage_open(3);
    stage_meet_all(sim);
    stage_follower(sim);
    sim_close_peer(sim, 1, 2);
    cr_assert(stage_server(sim)->leader_silent);
    int64_t deadline_us = stage_server(sim)->election_deadline_us;
    stage_append(sim, stage_message(REQUEST_APPEND_ENTRIES, 2, 1), stage_terms(1, "1"));
    cr_assert_str_eq(stage_log(sim), "1");
    cr_assert(stage_server(sim)->leader_silent);
    cr_assert_eq(stage_server(sim)->election_deadline_us, deadline_us);
    stage_close(sim);
}
