/* Figure 2, "Rules for Servers", Candidates; the pre-vote of the dissertation's section 9.6. */
#include "stage.h"

#include <string.h>

Test(candidate, asks_all_others_whether_it_could_win_before_it_raises_its_term)
{
    struct sim *sim = stage_open(3);
    sim_run_us(sim, 300 * US);
    for (raft_id peer = 2; peer <= 3; peer++) {
        struct message request = stage_expect(sim, peer, REQUEST_PRE_VOTE);
        cr_assert_eq(request.curr_term, 1, "it names the term it would stand in");
    }
    stage_expect_silence(sim);
    cr_assert_eq(stage_server(sim)->current_term, 0);
    cr_assert(sim_log_has(sim, 1, "role=CANDIDATE Pre-vote! STATE: FOLLOWER -> CANDIDATE cause=\"election timeout, no "
                                  "leader heard in this term\" term_wanted=1"));
    stage_close(sim);
}

Test(candidate, raises_its_term_votes_for_itself_and_asks_all_others_once_a_majority_would_grant)
{
    struct sim *sim = stage_open(5);
    stage_pre_candidate(sim);
    struct message vote = stage_vote(sim, RESPONSE_PRE_VOTE, 2, 1, true);
    sim_deliver(sim, 1, &vote);
    cr_assert_eq(stage_server(sim)->current_term, 0, "two of five are no majority");
    vote.server_id = 3;
    sim_deliver(sim, 1, &vote);
    cr_assert_eq(stage_server(sim)->current_term, 1);
    cr_assert_eq(stage_server(sim)->voted_for, 1);
    for (raft_id peer = 2; peer <= 5; peer++) {
        struct message request = stage_expect(sim, peer, REQUEST_VOTE);
        cr_assert_eq(request.curr_term, 1);
        cr_assert_not(request.transfer);
    }
    cr_assert(sim_log_has(sim, 1, "Current Term: 1 cause=\"pre-vote won 3/5\""));
    cr_assert(sim_log_has(sim, 1, "Candidate! cause=\"pre-vote won 3/5\" last_log=0@0"));
    stage_close(sim);
}

Test(candidate, its_requests_tell_how_far_its_log_is)
{
    struct sim *sim = stage_open_with_log(3, 4, 2);
    sim_run_us(sim, 301 * US);
    struct message request = stage_expect(sim, 2, REQUEST_PRE_VOTE);
    cr_assert_eq(request.last_log_index, 4);
    cr_assert_eq(request.last_log_term, 2);
    struct message vote = stage_vote(sim, RESPONSE_PRE_VOTE, 2, 3, true);
    sim_deliver(sim, 1, &vote);
    request = stage_expect(sim, 2, REQUEST_VOTE);
    cr_assert_eq(request.last_log_index, 4);
    cr_assert_eq(request.last_log_term, 2);
    cr_assert(sim_log_has(sim, 1, "last_log=4@2"));
    stage_close(sim);
}

Test(candidate, tells_nobody_of_its_candidacy_before_its_own_vote_is_durable)
{
    struct sim *sim = stage_open(3);
    stage_pre_candidate(sim);
    sim_disk_hang(sim, 1, true);
    struct message vote = stage_vote(sim, RESPONSE_PRE_VOTE, 2, 1, true);
    sim_deliver(sim, 1, &vote);
    sim_run_us(sim, 1000 * US);
    stage_expect_silence(sim);
    cr_assert_not(sim_log_has(sim, 1, "Current Term: 1"));
    cr_assert_not(sim_log_has(sim, 1, "Candidate!"));
    sim_disk_hang(sim, 1, false);
    sim_settle(sim);
    stage_expect(sim, 2, REQUEST_VOTE);
    stage_close(sim);
}

Test(candidate, restarts_its_deadline_when_it_stands)
{
    struct sim *sim = stage_open(3);
    stage_candidate(sim);
    cr_assert_geq(stage_server(sim)->election_deadline_us, stage_server(sim)->now_us + 149 * US);
    stage_close(sim);
}

Test(candidate, leads_when_a_majority_votes_for_it)
{
    struct sim *sim = stage_open(3);
    stage_candidate(sim);
    struct message vote = stage_vote(sim, RESPONSE_VOTE, 3, 1, true);
    sim_deliver(sim, 1, &vote);
    cr_assert_eq(stage_server(sim)->role, LEADER);
    cr_assert(sim_log_has(sim, 1, "Reading mail from 3 vote granted: 1"));
    cr_assert(sim_log_has(sim, 1, "role=LEADER Leader! STATE: CANDIDATE -> LEADER cause=\"votes 2/3\" took_ms="));
    stage_close(sim);
}

Test(candidate, leads_at_once_in_a_cluster_of_one)
{
    struct sim *sim = stage_open(1);
    sim_run_us(sim, 301 * US);
    cr_assert_eq(stage_server(sim)->role, LEADER);
    cr_assert_eq(stage_server(sim)->current_term, 1);
    sim_run_us(sim, 10000 * US);
    cr_assert_eq(stage_server(sim)->role, LEADER, "it is its own majority");
    stage_close(sim);
}

Test(candidate, half_of_an_even_number_is_no_majority)
{
    struct sim *sim = stage_open(4);
    stage_candidate(sim);
    struct message vote = stage_vote(sim, RESPONSE_VOTE, 2, 1, true);
    sim_deliver(sim, 1, &vote);
    cr_assert_eq(stage_server(sim)->role, CANDIDATE);
    stage_close(sim);
}

Test(candidate, a_vote_that_comes_three_times_counts_once)
{
    struct sim *sim = stage_open(5);
    stage_candidate(sim);
    struct message vote = stage_vote(sim, RESPONSE_VOTE, 2, 1, true);
    for (int i = 0; i < 3; i++)
        sim_deliver(sim, 1, &vote);
    cr_assert_eq(stage_server(sim)->role, CANDIDATE);
    stage_close(sim);
}

Test(candidate, a_vote_of_an_earlier_term_or_round_or_of_a_stranger_does_not_count)
{
    struct sim *sim = stage_open(3);
    stage_deliver(sim, RESPONSE_APPEND_ENTRIES, 2, 4); /* so that there is an earlier term */
    sim_run_us(sim, 300 * US);
    sim_forget_sent(sim, 1);
    struct message vote = stage_vote(sim, RESPONSE_PRE_VOTE, 2, 5, true);
    sim_deliver(sim, 1, &vote);
    cr_assert_eq(stage_server(sim)->phase, VOTING);
    vote = stage_vote(sim, RESPONSE_VOTE, 2, 4, true);
    sim_deliver(sim, 1, &vote);
    vote = stage_vote(sim, RESPONSE_VOTE, 2, 5, true);
    vote.round--;
    sim_deliver(sim, 1, &vote);
    vote = stage_vote(sim, RESPONSE_VOTE, 9, 5, true);
    stage_deliver_of_stranger(sim, &vote);
    vote = stage_vote(sim, RESPONSE_PRE_VOTE, 2, 6, true);
    sim_deliver(sim, 1, &vote);
    cr_assert_eq(stage_server(sim)->role, CANDIDATE);
    stage_close(sim);
}

Test(candidate, tells_the_reason_of_each_refusal)
{
    struct sim *sim = stage_open(3);
    stage_candidate(sim);
    struct message vote = stage_vote(sim, RESPONSE_VOTE, 2, 1, false);
    vote.refusal = REFUSAL_VOTED;
    vote.refusal_detail = 3;
    sim_deliver(sim, 1, &vote);
    cr_assert(sim_log_has(sim, 1, "Reading mail from 2 vote granted: 0 reason=\"voted for 3\""));
    stage_close(sim);
}

Test(candidate, follows_a_leader_of_its_term_keeps_its_vote_and_answers_that_append_once)
{
    struct sim *sim = stage_open(3);
    stage_candidate(sim);
    stage_deliver(sim, REQUEST_APPEND_ENTRIES, 3, 1);
    cr_assert_eq(stage_server(sim)->role, FOLLOWER);
    cr_assert_eq(stage_server(sim)->leader_id, 3);
    cr_assert_eq(stage_server(sim)->voted_for, 1, "one vote a term, also for itself");
    cr_assert(stage_expect(sim, 3, RESPONSE_APPEND_ENTRIES).entries_appended);
    stage_expect_silence(sim);
    cr_assert(sim_log_has(sim, 1, "Follower! STATE: CANDIDATE -> FOLLOWER cause=\"3 leads our term\""));
    stage_close(sim);
}

Test(candidate, stands_on_when_late_entries_of_a_leader_come_whose_connection_closed)
{
    struct sim *sim = stage_open(3);
    stage_meet_all(sim);
    stage_follower(sim);
    sim_close_peer(sim, 1, 2);
    stage_pre_candidate(sim);
    stage_append(sim, stage_message(REQUEST_APPEND_ENTRIES, 2, 1), stage_terms(1, "1"));
    cr_assert_eq(stage_server(sim)->role, CANDIDATE);
    stage_expect_silence(sim);
    stage_deliver(sim, REQUEST_APPEND_ENTRIES, 2, 1); /* over a new connection: it lives */
    cr_assert_eq(stage_server(sim)->role, FOLLOWER);
    stage_close(sim);
}

Test(candidate, takes_entries_of_a_leader_that_never_closed_its_connection)
{
    struct sim *sim = stage_open(3);
    stage_follower(sim);
    stage_pre_candidate(sim); /* the timeout has passed */
    stage_append(sim, stage_message(REQUEST_APPEND_ENTRIES, 2, 1), stage_terms(1, "1"));
    cr_assert_eq(stage_server(sim)->role, FOLLOWER);
    cr_assert_str_eq(stage_log(sim), "1");
    stage_close(sim);
}

Test(candidate, refuses_an_append_of_an_older_term)
{
    struct sim *sim = stage_open(3);
    stage_candidate(sim);
    stage_deliver(sim, REQUEST_APPEND_ENTRIES, 3, 0);
    struct message answer = stage_expect(sim, 3, RESPONSE_APPEND_ENTRIES);
    cr_assert_not(answer.entries_appended);
    cr_assert_eq(answer.curr_term, 1);
    cr_assert_eq(stage_server(sim)->role, CANDIDATE);
    stage_close(sim);
}

Test(candidate, answers_a_vote_request_of_its_own_term_with_a_refusal)
{
    struct sim *sim = stage_open(3);
    stage_candidate(sim);
    stage_deliver(sim, REQUEST_VOTE, 3, 1);
    struct message answer = stage_expect(sim, 3, RESPONSE_VOTE);
    cr_assert_not(answer.vote_granted);
    cr_assert_eq(answer.refusal, REFUSAL_VOTED);
    cr_assert_eq(answer.curr_term, 1);
    stage_expect_silence(sim);
    cr_assert_eq(stage_server(sim)->role, CANDIDATE);
    stage_close(sim);
}

Test(candidate, that_only_asks_for_pre_votes_and_chose_nobody_votes_for_who_stands_in_its_term)
{
    struct sim *sim = stage_open(3);
    stage_deliver(sim, RESPONSE_APPEND_ENTRIES, 2, 4);
    sim_run_us(sim, 300 * US);
    sim_forget_sent(sim, 1);
    cr_assert_eq(stage_server(sim)->role, CANDIDATE);
    stage_deliver(sim, REQUEST_VOTE, 3, 4);
    cr_assert(stage_expect(sim, 3, RESPONSE_VOTE).vote_granted);
    stage_expect_silence(sim);
    cr_assert_eq(stage_server(sim)->role, FOLLOWER);
    stage_close(sim);
}

Test(candidate, a_higher_term_makes_it_a_follower_that_keeps_the_deadline_it_had)
{
    struct sim *sim = stage_open(3);
    stage_candidate(sim);
    int64_t deadline_us = stage_server(sim)->election_deadline_us;
    stage_deliver(sim, RESPONSE_VOTE, 2, 3);
    cr_assert_eq(stage_server(sim)->role, FOLLOWER);
    cr_assert_eq(stage_server(sim)->current_term, 3);
    cr_assert_eq(stage_server(sim)->voted_for, NO_ONE);
    cr_assert_eq(stage_server(sim)->election_deadline_us, deadline_us);
    cr_assert(sim_log_has(sim, 1, "STATE: CANDIDATE -> FOLLOWER cause=\"higher term in RESPONSE_VOTE of 2\""));
    stage_close(sim);
}

Test(candidate, starts_over_with_a_pre_vote_when_its_time_ends)
{
    struct sim *sim = stage_open(3);
    stage_candidate(sim);
    sim_run_us(sim, 300 * US);
    cr_assert_eq(stage_expect(sim, 2, REQUEST_PRE_VOTE).curr_term, 2);
    cr_assert_eq(stage_server(sim)->current_term, 1, "the term rises only with a pre-vote that was won");
    cr_assert(sim_log_has(sim, 1, "Pre-vote! cause=\"election timeout, votes granted 1/3\" term_wanted=2"));
    stage_close(sim);
}

Test(candidate, that_was_refused_by_all_waits_for_its_timeout_and_says_so)
{
    struct sim *sim = stage_open(3);
    stage_pre_candidate(sim);
    for (raft_id peer = 2; peer <= 3; peer++) {
        struct message vote = stage_vote(sim, RESPONSE_PRE_VOTE, peer, 0, false);
        sim_deliver(sim, 1, &vote);
    }
    cr_assert(stage_server(sim)->round_lost);
    cr_assert_eq(sim_log_count(sim, 1, "Pre-vote!"), 1);
    sim_run_us(sim, 300 * US);
    cr_assert(sim_log_has(sim, 1, "Pre-vote! cause=\"election timeout, pre-votes granted 1/3\" term_wanted=1"));
    stage_close(sim);
}

Test(candidate, that_nobody_answers_never_raises_its_term_and_sums_up_once_a_second)
{
    struct sim *sim = stage_open(3);
    sim_run_us(sim, 10000 * US);
    cr_assert_eq(stage_server(sim)->current_term, 0);
    cr_assert_eq(sim_log_count(sim, 1, "Pre-vote!"), 3, "a line a round for the first three");
    int summaries = sim_log_count(sim, 1, "Still no leader rounds=");
    cr_assert(summaries >= 7 && summaries <= 11, "%d summaries in some 9 seconds", summaries);
    cr_assert(sim_log_has(sim, 1, "not_reached=2,3"));
    stage_close(sim);
}

Test(candidate, that_failed_to_take_over_asks_like_any_other_from_then_on)
{
    struct sim *sim = stage_open(3);
    stage_follower(sim);
    stage_deliver(sim, TIMEOUT_NOW, 2, 1);
    cr_assert_eq(stage_server(sim)->phase, VOTING);
    sim_forget_sent(sim, 1);
    sim_run_us(sim, 300 * US);
    cr_assert_eq(stage_expect(sim, 3, REQUEST_PRE_VOTE).curr_term, 3);
    struct message vote = stage_vote(sim, RESPONSE_PRE_VOTE, 3, 3, true);
    sim_deliver(sim, 1, &vote);
    cr_assert_not(stage_expect(sim, 3, REQUEST_VOTE).transfer);
    stage_close(sim);
}

Test(candidate, a_pre_vote_answer_of_another_round_is_not_counted)
{
    struct sim *sim = stage_open(3);
    stage_pre_candidate(sim);
    struct message vote = stage_vote(sim, RESPONSE_PRE_VOTE, 2, 1, true);
    vote.round++;
    sim_deliver(sim, 1, &vote);
    cr_assert_eq(stage_server(sim)->phase, PRE_VOTING);
    stage_close(sim);
}

/* Cut off from each other, all stand within the longest timeout, and none twice: that takes two of the shortest. */
Test(candidate, two_nodes_and_two_attempts_draw_different_timeouts)
{
    struct sim *sim = sim_new(3);
    sim_add_cluster(sim, 5);
    sim_settle(sim);
    int64_t waits_us[10], longest_us = 0;
    for (raft_id id = 1; id <= 5; id++) {
        struct server *server = sim_server(sim, id);
        sim_isolate(sim, id);
        waits_us[id - 1] = server->election_deadline_us - server->now_us;
        longest_us = waits_us[id - 1] > longest_us ? waits_us[id - 1] : longest_us;
    }
    cr_assert_leq(longest_us, 300 * US);
    sim_run_us(sim, longest_us);
    for (raft_id id = 1; id <= 5; id++) {
        struct server *server = sim_server(sim, id);
        cr_assert_eq(server->role, CANDIDATE);
        waits_us[5 + id - 1] = server->election_deadline_us - server->now_us;
    }
    for (int one = 0; one < 10; one++)
        for (int other = 0; other < one; other++)
            cr_assert_neq(waits_us[one], waits_us[other]);
    sim_free(sim);
}
