/* The voter, in every role: Figure 2, RequestVote RPC; section 5.4.1; dissertation, sections 4.2.3 and 9.6. */
#include "stage.h"

#include "raft/vote.h"

static struct message ask(struct sim *sim, enum message_type type, raft_id from, raft_term term, raft_index last_index,
                          raft_term last_term)
{
    struct message request = stage_message(type, from, term);
    request.last_log_index = last_index;
    request.last_log_term = last_term;
    request.round = 99;
    sim_deliver(sim, 1, &request);
    struct message answer = stage_expect(sim, from, type == REQUEST_VOTE ? RESPONSE_VOTE : RESPONSE_PRE_VOTE);
    cr_assert_eq(answer.round, 99, "answers echo the round");
    stage_expect_silence(sim);
    return answer;
}

Test(vote, a_candidate_with_an_older_log_gets_no_vote_and_no_pre_vote)
{
    struct sim *sim = stage_open_with_log(3, 10, 5);
    stage_deliver(sim, RESPONSE_APPEND_ENTRIES, 2, 7);
    cr_assert_eq(ask(sim, REQUEST_PRE_VOTE, 2, 8, 99, 4).refusal, REFUSAL_LOG_BEHIND, "a longer log of an older term");
    cr_assert_eq(ask(sim, REQUEST_PRE_VOTE, 2, 8, 9, 5).refusal, REFUSAL_LOG_BEHIND, "a shorter one of the same term");
    cr_assert(ask(sim, REQUEST_PRE_VOTE, 2, 8, 10, 5).vote_granted, "an equal one");
    cr_assert(ask(sim, REQUEST_PRE_VOTE, 2, 8, 1, 6).vote_granted, "a shorter one of a later term");
    cr_assert_eq(ask(sim, REQUEST_VOTE, 2, 8, 99, 4).refusal, REFUSAL_LOG_BEHIND);
    cr_assert_eq(ask(sim, REQUEST_VOTE, 2, 9, 9, 5).refusal, REFUSAL_LOG_BEHIND);
    cr_assert(ask(sim, REQUEST_VOTE, 2, 10, 10, 5).vote_granted);
    cr_assert(ask(sim, REQUEST_VOTE, 3, 11, 1, 6).vote_granted);
    stage_close(sim);
}

Test(vote, no_answer_leaves_and_no_line_is_printed_before_the_vote_is_durable)
{
    struct sim *sim = stage_open(3);
    sim_disk_hang(sim, 1, true);
    stage_deliver(sim, REQUEST_VOTE, 2, 3);
    sim_run_us(sim, 2000 * US);
    stage_expect_silence(sim);
    cr_assert_not(sim_log_has(sim, 1, "Voted for"));
    cr_assert_not(sim_log_has(sim, 1, "Current Term: 3"));
    sim_disk_hang(sim, 1, false);
    sim_settle(sim);
    cr_assert(stage_expect(sim, 2, RESPONSE_VOTE).vote_granted);
    cr_assert(sim_log_has(sim, 1, "Voted for 2 in current term 3"));
    stage_close(sim);
}

Test(vote, two_requests_of_one_term_get_one_vote_though_the_first_is_still_on_its_way_to_the_disk)
{
    struct sim *sim = stage_open(3);
    sim_disk_hang(sim, 1, true);
    stage_deliver(sim, REQUEST_VOTE, 2, 3);
    stage_deliver(sim, REQUEST_VOTE, 3, 3);
    sim_disk_hang(sim, 1, false);
    sim_settle(sim);
    cr_assert(stage_expect(sim, 2, RESPONSE_VOTE).vote_granted);
    cr_assert_not(stage_expect(sim, 3, RESPONSE_VOTE).vote_granted);
    stage_close(sim);
}

Test(vote, is_remembered_over_a_restart)
{
    struct sim *sim = stage_open(3);
    stage_deliver(sim, REQUEST_VOTE, 2, 3);
    sim_power_cut(sim, 1);
    sim_forget_sent(sim, 1);
    sim_restart(sim, 1);
    sim_settle(sim);
    cr_assert_eq(stage_server(sim)->current_term, 3);
    cr_assert_eq(stage_server(sim)->voted_for, 2);
    cr_assert_eq(ask(sim, REQUEST_VOTE, 3, 3, 0, 0).refusal, REFUSAL_VOTED);
    cr_assert(ask(sim, REQUEST_VOTE, 2, 3, 0, 0).vote_granted);
    stage_close(sim);
}

Test(vote, a_failed_sync_ends_the_node_without_an_answer)
{
    struct sim *sim = stage_open(3);
    sim_disk_fail_sync(sim, 1);
    stage_deliver(sim, REQUEST_VOTE, 2, 3);
    stage_expect_silence(sim);
    struct mailraft_error err;
    cr_assert_not(sim_lives(sim, 1));
    cr_assert_not(sim_ended_well(sim, 1, &err));
    cr_assert(mailraft_error_is(&err, &MAILRAFT_STORAGE_ERROR));
    stage_close(sim);
}

Test(vote, a_granted_pre_vote_promises_nothing)
{
    struct sim *sim = stage_open(3);
    struct message answer = ask(sim, REQUEST_PRE_VOTE, 2, 5, 0, 0);
    cr_assert(answer.vote_granted);
    cr_assert_eq(answer.curr_term, 5, "it names the term that was asked about");
    cr_assert_eq(stage_server(sim)->current_term, 0);
    cr_assert_eq(stage_server(sim)->voted_for, NO_ONE);
    cr_assert(ask(sim, REQUEST_PRE_VOTE, 3, 5, 0, 0).vote_granted, "another gets one too");
    stage_close(sim);
}

Test(vote, a_pre_vote_for_a_term_that_we_have_is_refused_with_our_term)
{
    struct sim *sim = stage_open(3);
    stage_deliver(sim, RESPONSE_APPEND_ENTRIES, 2, 7);
    struct message answer = ask(sim, REQUEST_PRE_VOTE, 2, 7, 0, 0);
    cr_assert_eq(answer.refusal, REFUSAL_STALE_TERM);
    cr_assert_eq(answer.curr_term, 7);
    stage_close(sim);
}

Test(vote, a_refused_pre_vote_of_a_higher_term_is_adopted_and_a_granted_one_is_not)
{
    struct sim *sim = stage_open(5);
    stage_pre_candidate(sim);
    struct message vote = stage_vote(sim, RESPONSE_PRE_VOTE, 2, 1, true);
    sim_deliver(sim, 1, &vote);
    cr_assert_eq(stage_server(sim)->current_term, 0);
    vote = stage_vote(sim, RESPONSE_PRE_VOTE, 3, 6, false);
    sim_deliver(sim, 1, &vote);
    cr_assert_eq(stage_server(sim)->current_term, 6);
    cr_assert_eq(stage_server(sim)->role, FOLLOWER);
    stage_close(sim);
}

Test(vote, a_living_leader_is_a_reason_to_refuse_without_adopting_the_term)
{
    struct sim *sim = stage_open(3);
    stage_follower(sim);
    sim_run_us(sim, 12 * US);
    struct message answer = ask(sim, REQUEST_PRE_VOTE, 3, 2, 0, 0);
    cr_assert_eq(answer.refusal, REFUSAL_LEADER_LIVES);
    cr_assert_eq(answer.refusal_detail, 12);
    answer = ask(sim, REQUEST_VOTE, 3, 9, 0, 0);
    cr_assert_eq(answer.refusal, REFUSAL_LEADER_LIVES);
    cr_assert_eq(answer.curr_term, 1);
    cr_assert_eq(stage_server(sim)->current_term, 1);
    cr_assert(sim_log_has(sim, 1, "Sent mail to 3 vote granted: 0 reason=\"heard the leader 12 ms ago\""));
    stage_close(sim);
}

Test(vote, a_leader_not_heard_for_the_minimum_timeout_is_no_reason_any_more)
{
    struct sim *sim = stage_open(3);
    stage_follower(sim);
    stage_server(sim)->election_deadline_us += 10000 * US; /* so that it does not stand itself */
    sim_run_us(sim, 149 * US);
    stage_deliver(sim, REQUEST_PRE_VOTE, 3, 2);
    cr_assert_not(stage_expect(sim, 3, RESPONSE_PRE_VOTE).vote_granted);
    sim_run_us(sim, 2 * US);
    cr_assert(ask(sim, REQUEST_VOTE, 3, 2, 0, 0).vote_granted);
    stage_close(sim);
}

Test(vote, a_hand_over_is_voted_for_though_the_leader_lives)
{
    struct sim *sim = stage_open(3);
    stage_follower(sim);
    struct message request = stage_message(REQUEST_VOTE, 3, 2);
    request.transfer = true;
    sim_deliver(sim, 1, &request);
    cr_assert(stage_expect(sim, 3, RESPONSE_VOTE).vote_granted);
    stage_close(sim);
}

Test(vote, a_restarted_candidate_is_voted_for_in_a_higher_term_only)
{
    struct sim *sim = stage_open(3);
    cr_assert(ask(sim, REQUEST_VOTE, 2, 4, 0, 0).vote_granted);
    cr_assert_eq(ask(sim, REQUEST_VOTE, 3, 3, 0, 0).refusal, REFUSAL_STALE_TERM);
    cr_assert(ask(sim, REQUEST_VOTE, 3, 5, 0, 0).vote_granted);
    stage_close(sim);
}
