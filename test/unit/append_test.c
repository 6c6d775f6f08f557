/* A follower's log: Figure 2, AppendEntries RPC, "Receiver implementation", and section 5.3. */
#include "stage.h"

#include "raft/configuration.h"

/* Member 2 leads this term in all of them, unless they say otherwise. */
#define TERM 5

static struct message request(raft_index prev_index, raft_term prev_term, raft_index commit_index)
{
    struct message request = stage_message(REQUEST_APPEND_ENTRIES, 2, TERM);
    request.prev_index = prev_index;
    request.prev_term = prev_term;
    request.commit_index = commit_index;
    return request;
}

/* Entries of these terms, behind that one. */
static void append(struct sim *sim, raft_index prev_index, raft_term prev_term, const char *terms,
                   raft_index commit_index)
{
    stage_append(sim, request(prev_index, prev_term, commit_index), stage_terms(prev_index + 1, terms));
}

static void heartbeat(struct sim *sim, raft_index prev_index, raft_term prev_term, raft_index commit_index)
{
    struct message message = request(prev_index, prev_term, commit_index);
    sim_deliver(sim, 1, &message);
}

static struct message expect_answer(struct sim *sim)
{
    struct message answer = stage_expect(sim, 2, RESPONSE_APPEND_ENTRIES);
    cr_assert_eq(answer.curr_term, TERM);
    stage_expect_silence(sim);
    return answer;
}

static void expect_acknowledged(struct sim *sim, raft_index match_index)
{
    struct message answer = expect_answer(sim);
    cr_assert(answer.entries_appended);
    cr_assert_eq(answer.match_index, match_index);
}

static void expect_rejected(struct sim *sim, raft_index rejected_index, raft_term conflict_term,
                            raft_index conflict_index)
{
    struct message answer = expect_answer(sim);
    cr_assert_not(answer.entries_appended);
    cr_assert_eq(answer.rejected_index, rejected_index);
    cr_assert_eq(answer.conflict_term, conflict_term);
    cr_assert_eq(answer.conflict_index, conflict_index);
}

/* A follower in TERM whose log an earlier leader had written: that of TERM has proven nothing yet. */
#define LOG "112224"

static struct sim *open_with_log(void)
{
    struct sim *sim = stage_open(3);
    struct message earlier = stage_message(REQUEST_APPEND_ENTRIES, 3, 4);
    stage_append(sim, earlier, stage_terms(1, LOG));
    stage_deliver(sim, RESPONSE_VOTE, 2, TERM);
    cr_assert_str_eq(stage_log(sim), LOG);
    cr_assert_eq(stage_server(sim)->current_term, TERM);
    sim_forget_sent(sim, 1);
    return sim;
}

/* ---- "Reply false if log doesn't contain an entry at prevLogIndex whose term matches prevLogTerm" ---- */

Test(append, behind_each_entry_that_it_has_and_none_else)
{
    static const raft_term HERE[] = {0, 1, 1, 2, 2, 2, 4, 0, 0}; /* 0 beyond the end: no term matches */
    for (raft_index prev_index = 0; prev_index <= 8; prev_index++)
        for (raft_term prev_term = 0; prev_term <= TERM; prev_term++) {
            struct sim *sim = open_with_log();
            bool has = prev_index == 0 || (prev_index <= 6 && prev_term == HERE[prev_index]);
            append(sim, prev_index, prev_term, "5", 0);
            if (has) {
                expect_acknowledged(sim, prev_index + 1);
                cr_assert_eq(raft_log_last_index(&stage_server(sim)->raft_log), prev_index + 1);
            } else {
                cr_assert_not(expect_answer(sim).entries_appended);
                cr_assert_str_eq(stage_log(sim), LOG, "a rejected message changes nothing");
            }
            stage_close(sim);
        }
}

/* Section 5.3: "the follower can include the term of the conflicting entry and the first index it stores for that
 * term". */
Test(append, a_rejection_tells_the_conflicting_term_and_its_first_entry)
{
    struct sim *sim = open_with_log();
    append(sim, 5, 3, "5", 0);
    expect_rejected(sim, 5, 2, 3);
    append(sim, 4, 4, "5", 0);
    expect_rejected(sim, 4, 2, 3);
    append(sim, 2, 2, "5", 0);
    expect_rejected(sim, 2, 1, 1);
    append(sim, 6, 5, "5", 0);
    expect_rejected(sim, 6, 4, 6);
    stage_close(sim);
}

Test(append, a_rejection_tells_the_end_of_a_log_that_is_too_short)
{
    struct sim *sim = open_with_log();
    append(sim, 7, 4, "5", 0);
    expect_rejected(sim, 7, 0, 7);
    append(sim, 1000000, 5, "5", 0);
    expect_rejected(sim, 1000000, 0, 7);
    heartbeat(sim, UINT64_MAX, 5, 0);
    expect_rejected(sim, UINT64_MAX, 0, 7);
    stage_close(sim);
}

Test(append, a_heartbeat_is_held_against_the_log_like_any_other)
{
    struct sim *sim = open_with_log();
    heartbeat(sim, 6, 4, 0);
    expect_acknowledged(sim, 6);
    heartbeat(sim, 6, 5, 0);
    expect_rejected(sim, 6, 4, 6);
    stage_close(sim);
}

/* ---- "If an existing entry conflicts with a new one, delete the existing entry and all that follow it" ---- */

Test(append, an_entry_that_conflicts_takes_all_that_follow_it_along)
{
    struct sim *sim = open_with_log();
    append(sim, 2, 1, "3", 0);
    cr_assert_str_eq(stage_log(sim), "113");
    expect_acknowledged(sim, 3);
    stage_close(sim);
}

Test(append, the_conflict_may_be_in_the_middle_of_a_message)
{
    struct sim *sim = open_with_log();
    append(sim, 1, 1, "12255", 0);
    cr_assert_str_eq(stage_log(sim), "112255");
    cr_assert_eq(raft_log_at(&stage_server(sim)->raft_log, 4)->term, 2);
    expect_acknowledged(sim, 6);
    stage_close(sim);
}

Test(append, the_whole_log_can_be_replaced)
{
    struct sim *sim = open_with_log();
    append(sim, 0, 0, "3", 0);
    cr_assert_str_eq(stage_log(sim), "3");
    expect_acknowledged(sim, 1);
    stage_close(sim);
}

Test(append, what_replaced_an_entry_is_there_after_a_power_cut)
{
    struct sim *sim = open_with_log();
    append(sim, 2, 1, "35", 0);
    sim_power_cut(sim, 1);
    sim_restart(sim, 1);
    sim_settle(sim);
    cr_assert_str_eq(stage_log(sim), "1135");
    stage_close(sim);
}

/* ---- "Append any new entries not already in the log" ---- */

Test(append, entries_behind_the_last_one_are_added)
{
    struct sim *sim = open_with_log();
    append(sim, 6, 4, "455", 0);
    cr_assert_str_eq(stage_log(sim), "112224455");
    expect_acknowledged(sim, 9);
    stage_close(sim);
}

Test(append, the_first_entries_of_an_empty_log_are_added)
{
    struct sim *sim = stage_open(3);
    append(sim, 0, 0, "11", 0);
    cr_assert_str_eq(stage_log(sim), "11");
    expect_acknowledged(sim, 2);
    stage_close(sim);
}

Test(append, entries_that_are_there_already_are_not_written_again)
{
    struct sim *sim = open_with_log();
    uint64_t letters = stage_server(sim)->raft_log.saved_number;
    append(sim, 2, 1, "2224", 0);
    expect_acknowledged(sim, 6);
    cr_assert_str_eq(stage_log(sim), LOG);
    cr_assert_eq(stage_server(sim)->raft_log.saved_number, letters);
    append(sim, 4, 2, "245", 0);
    expect_acknowledged(sim, 7);
    cr_assert_str_eq(stage_log(sim), "1122245");
    cr_assert_eq(stage_server(sim)->raft_log.saved_number, letters + 1);
    stage_close(sim);
}

/* Messages come again, late, and in another order: what matches stays, whatever comes. */
Test(append, a_message_that_tells_less_than_is_known_cuts_nothing_off)
{
    struct sim *sim = open_with_log();
    append(sim, 6, 4, "555", 8);
    sim_forget_sent(sim, 1);
    append(sim, 6, 4, "5", 2);
    append(sim, 0, 0, "11", 0);
    append(sim, 3, 2, "22", 3);
    heartbeat(sim, 2, 1, 1);
    heartbeat(sim, 0, 0, 0);
    cr_assert_str_eq(stage_log(sim), "112224555");
    cr_assert_eq(stage_server(sim)->commit_index, 8);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(stage_expect(sim, 2, RESPONSE_APPEND_ENTRIES).match_index, 9);
    stage_close(sim);
}

/* Each order in which three messages can come, each of them twice. */
Test(append, whatever_the_order_the_log_ends_up_the_same)
{
    for (int order = 0; order < 3 * 3 * 3 * 3 * 3 * 3; order++) {
        struct sim *sim = open_with_log();
        for (int at = 0, left = order; at < 6; at++, left /= 3) {
            raft_index behind = (raft_index)(6 + left % 3);
            append(sim, behind, behind == 6 ? 4 : 5, "5", 0);
        }
        for (raft_index behind = 6; behind < 9; behind++)
            append(sim, behind, behind == 6 ? 4 : 5, "5", 0);
        cr_assert_str_eq(stage_log(sim), "112224555");
        stage_close(sim);
    }
}

/* The message makes it a follower first, and is read again. */
Test(append, a_candidate_takes_the_entries_of_its_leader_too)
{
    struct sim *sim = stage_open(3);
    stage_candidate(sim);
    stage_append(sim, stage_message(REQUEST_APPEND_ENTRIES, 3, 1), stage_terms(1, "11"));
    cr_assert_str_eq(stage_log(sim), "11");
    cr_assert_eq(stage_expect(sim, 3, RESPONSE_APPEND_ENTRIES).match_index, 2);
    stage_expect_silence(sim);
    stage_close(sim);
}

Test(append, and_so_does_a_leader_of_an_earlier_term)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    struct message message = stage_message(REQUEST_APPEND_ENTRIES, 3, 2);
    message.prev_index = message.prev_term = 1;
    stage_append(sim, message, stage_terms(2, "2"));
    cr_assert_eq(stage_server(sim)->role, FOLLOWER);
    cr_assert_str_eq(stage_log(sim), "12");
    cr_assert_eq(stage_expect(sim, 3, RESPONSE_APPEND_ENTRIES).match_index, 2);
    stage_expect_silence(sim);
    stage_close(sim);
}

/* ---- "If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last new entry)" ---- */

Test(append, commits_what_the_leader_has_committed)
{
    struct sim *sim = open_with_log();
    append(sim, 6, 4, "55", 7);
    cr_assert_eq(stage_server(sim)->commit_index, 7);
    heartbeat(sim, 8, 5, 8);
    cr_assert_eq(stage_server(sim)->commit_index, 8);
    stage_close(sim);
}

Test(append, commits_nothing_beyond_what_this_leader_has_proven_to_match)
{
    struct sim *sim = open_with_log();
    heartbeat(sim, 0, 0, 6);
    cr_assert_eq(stage_server(sim)->commit_index, 0, "it has other entries than the leader, for all it knows");
    heartbeat(sim, 2, 1, 6);
    cr_assert_eq(stage_server(sim)->commit_index, 2);
    append(sim, 2, 1, "2", 6);
    cr_assert_eq(stage_server(sim)->commit_index, 3);
    append(sim, 3, 2, "5", 6);
    cr_assert_eq(stage_server(sim)->commit_index, 4);
    stage_close(sim);
}

Test(append, commits_nothing_with_a_message_that_it_rejects)
{
    struct sim *sim = open_with_log();
    heartbeat(sim, 6, 5, 6);
    heartbeat(sim, 9, 5, 6);
    cr_assert_eq(stage_server(sim)->commit_index, 0);
    stage_close(sim);
}

Test(append, the_commit_index_never_goes_back)
{
    struct sim *sim = open_with_log();
    heartbeat(sim, 6, 4, 5);
    heartbeat(sim, 6, 4, 3);
    heartbeat(sim, 6, 4, 0);
    cr_assert_eq(stage_server(sim)->commit_index, 5);
    stage_close(sim);
}

Test(append, a_new_term_begins_to_prove_at_nothing)
{
    struct sim *sim = open_with_log();
    heartbeat(sim, 6, 4, 2);
    cr_assert_eq(stage_server(sim)->proven_index, 6);
    struct message next = stage_message(REQUEST_APPEND_ENTRIES, 3, TERM + 1);
    next.commit_index = 6;
    sim_forget_sent(sim, 1);
    sim_deliver(sim, 1, &next);
    cr_assert_eq(stage_server(sim)->commit_index, 2);
    cr_assert_eq(stage_expect(sim, 3, RESPONSE_APPEND_ENTRIES).match_index, 0);
    next.prev_index = 4;
    next.prev_term = 2;
    sim_deliver(sim, 1, &next);
    cr_assert_eq(stage_server(sim)->commit_index, 4);
    cr_assert_eq(stage_expect(sim, 3, RESPONSE_APPEND_ENTRIES).match_index, 4);
    stage_close(sim);
}

/* ---- Acknowledgements ---- */

Test(append, entries_are_acknowledged_when_they_are_durable_and_not_before)
{
    struct sim *sim = open_with_log();
    sim_disk_hang(sim, 1, true);
    append(sim, 6, 4, "55", 0);
    stage_expect_silence(sim);
    cr_assert_str_eq(stage_log(sim), "11222455");
    sim_disk_hang(sim, 1, false);
    sim_settle(sim);
    expect_acknowledged(sim, 8);
    stage_close(sim);
}

Test(append, meanwhile_heartbeats_are_answered_with_what_is_durable)
{
    struct sim *sim = open_with_log();
    heartbeat(sim, 6, 4, 0);
    sim_forget_sent(sim, 1);
    sim_disk_hang(sim, 1, true);
    append(sim, 6, 4, "55", 0);
    heartbeat(sim, 0, 0, 0);
    expect_acknowledged(sim, 6);
    heartbeat(sim, 7, 5, 0);
    expect_acknowledged(sim, 6);
    stage_close(sim);
}

Test(append, a_truncation_takes_back_what_was_durable)
{
    struct sim *sim = open_with_log();
    sim_disk_hang(sim, 1, true);
    append(sim, 2, 1, "3", 0);
    stage_expect_silence(sim);
    heartbeat(sim, 3, 3, 0);
    expect_acknowledged(sim, 2);
    sim_disk_hang(sim, 1, false);
    sim_settle(sim);
    expect_acknowledged(sim, 3);
    stage_close(sim);
}

Test(append, nothing_is_acknowledged_beyond_what_this_leader_has_proven)
{
    struct sim *sim = open_with_log();
    heartbeat(sim, 0, 0, 0);
    expect_acknowledged(sim, 0);
    heartbeat(sim, 3, 2, 0);
    expect_acknowledged(sim, 3);
    append(sim, 3, 2, "2", 0);
    expect_acknowledged(sim, 4);
    stage_close(sim);
}

/* One answer for all that the disk took at once. */
Test(append, what_became_durable_together_is_acknowledged_together)
{
    struct sim *sim = open_with_log();
    sim_disk_hang(sim, 1, true);
    append(sim, 6, 4, "5", 0);
    append(sim, 7, 5, "5", 0);
    append(sim, 8, 5, "5", 0);
    sim_disk_hang(sim, 1, false);
    sim_settle(sim);
    struct message answer;
    raft_index acknowledged = 0;
    int answers = 0;
    while (sim_sent(sim, 1, 2, &answer)) {
        cr_assert_gt(answer.match_index, acknowledged, "each tells something new");
        acknowledged = answer.match_index;
        answers++;
    }
    cr_assert_eq(acknowledged, 9);
    cr_assert_leq(answers, 2, "the first was written alone, the others behind it");
    stage_close(sim);
}

Test(append, an_answer_names_the_connection_that_the_request_came_over)
{
    struct sim *sim = open_with_log();
    sim_open_channel(sim, 1, 2, CHANNEL_BULK); /* with each the number grows */
    sim_open_channel(sim, 1, 2, CHANNEL_BULK);
    append(sim, 6, 4, "5", 0);
    struct message answer = expect_answer(sim);
    cr_assert_eq(answer.request_incarnation, 1);
    cr_assert_eq(answer.request_channel, CHANNEL_BULK);
    cr_assert_eq(answer.request_connection, 3);
    heartbeat(sim, 6, 4, 0);
    answer = expect_answer(sim);
    cr_assert_eq(answer.request_channel, CHANNEL_URGENT);
    cr_assert_eq(answer.request_connection, 1);
    heartbeat(sim, 9, 4, 0);
    answer = expect_answer(sim);
    cr_assert_not(answer.entries_appended);
    cr_assert_eq(answer.request_incarnation, 1);
    cr_assert_eq(answer.request_channel, CHANNEL_URGENT);
    stage_close(sim);
}

Test(append, so_does_the_one_that_waits_for_the_disk_and_the_refusal_of_a_lower_term)
{
    struct sim *sim = open_with_log();
    sim_disk_hang(sim, 1, true);
    append(sim, 6, 4, "5", 0);
    heartbeat(sim, 6, 4, 0);
    sim_forget_sent(sim, 1);
    sim_disk_hang(sim, 1, false);
    sim_settle(sim);
    struct message answer = expect_answer(sim);
    cr_assert_eq(answer.request_channel, CHANNEL_BULK);
    cr_assert_eq(answer.request_incarnation, 1);
    cr_assert_eq(answer.round, 0, "it answers no round of heartbeats");
    struct message stale = stage_message(REQUEST_APPEND_ENTRIES, 3, 2);
    stage_append(sim, stale, stage_terms(1, "2"));
    answer = stage_expect(sim, 3, RESPONSE_APPEND_ENTRIES);
    cr_assert_not(answer.entries_appended);
    cr_assert_eq(answer.curr_term, TERM);
    cr_assert_eq(answer.request_channel, CHANNEL_BULK);
    cr_assert_eq(answer.request_incarnation, 1);
    cr_assert_str_eq(stage_log(sim), "1122245");
    stage_close(sim);
}

/* ---- What no leader may ask ---- */

Test(append, what_contradicts_a_committed_entry_is_refused)
{
    struct sim *sim = open_with_log();
    heartbeat(sim, 4, 2, 4);
    sim_forget_sent(sim, 1);
    append(sim, 3, 2, "5", 4);
    cr_assert_str_eq(stage_log(sim), LOG);
    cr_assert(
        sim_log_has(sim, 1, "Refused REQUEST_APPEND_ENTRIES of 2: it contradicts the committed entry 4 of term 2"));
    stage_expect_silence(sim);
    append(sim, 4, 2, "5", 4);
    cr_assert_str_eq(stage_log(sim), "11225", "what is not committed gives way");
    stage_close(sim);
}

/* "A leader never overwrites or deletes entries in its log; it only appends new entries" (Figure 3). */
Test(append, a_leader_that_contradicts_itself_is_refused)
{
    struct sim *sim = open_with_log();
    append(sim, 6, 4, "444", 0);
    expect_acknowledged(sim, 9);
    append(sim, 6, 4, "5", 0);
    stage_expect_silence(sim);
    cr_assert(sim_log_has(sim, 1, "Refused REQUEST_APPEND_ENTRIES of 2: it contradicts the proven entry 7 of term 4"));
    heartbeat(sim, 6, 4, 9);
    cr_assert_eq(stage_server(sim)->commit_index, 9);
    cr_assert_str_eq(stage_log(sim), "112224444");
    stage_close(sim);
}

static void expect_unsound(struct sim *sim, struct message message, struct batch *entries)
{
    sim_log_clear(sim, 1);
    stage_server(sim)->nonsense_due_us = 0; /* a line may come, though the last one came lately */
    stage_append(sim, message, entries);
    cr_assert(sim_log_has(sim, 1, "Refused REQUEST_APPEND_ENTRIES of 2: its entry "));
    cr_assert_str_eq(stage_log(sim), LOG);
    stage_expect_silence(sim);
}

Test(append, entries_that_do_not_follow_the_one_before_are_refused)
{
    struct sim *sim = open_with_log();
    expect_unsound(sim, request(6, 4, 0), stage_terms(8, "5"));
    expect_unsound(sim, request(6, 4, 0), stage_terms(6, "5"));
    expect_unsound(sim, request(0, 0, 0), stage_terms(7, "5"));
    expect_unsound(sim, request(6, 4, 0), stage_terms(7, "3"));
    expect_unsound(sim, request(6, 4, 0), stage_terms(7, "56"));
    stage_close(sim);
}

Test(append, a_config_that_says_nothing_is_refused)
{
    struct sim *sim = open_with_log();
    struct batch *entries = stage_terms(7, "5");
    batch_add(entries, entry_new(ENTRY_CONFIG, TERM, 8, 8, "no config", 9));
    expect_unsound(sim, request(6, 4, 0), entries);
    stage_close(sim);
}

/* ---- What entries tell beside ---- */

Test(append, the_time_of_an_entry_is_the_least_that_the_clusters_time_may_be)
{
    struct sim *sim = open_with_log();
    struct batch *entries = batch_new();
    batch_add(entries, entry_new(ENTRY_COMMAND, TERM, 7, 1764000000000000, NULL, 0));
    stage_append(sim, request(6, 4, 0), entries);
    const struct server *server = stage_server(sim);
    cr_assert_geq(cluster_time_now(&server->time, server->now_us), 1764000000000000);
    stage_close(sim);
}

Test(append, a_no_op_tells_the_lead_of_the_wall_clock)
{
    struct sim *sim = open_with_log();
    struct batch *entries = batch_new();
    static const uint8_t LEAD[8] = {0x10, 0x27}; /* 10,000 us */
    batch_add(entries, entry_new(ENTRY_NO_OP, TERM, 7, 7, LEAD, sizeof LEAD));
    batch_add(entries, entry_new(ENTRY_COMMAND, TERM, 8, 7, "12345678", 8));
    batch_add(entries, entry_new(ENTRY_TIME, TERM, 9, 7, NULL, 0));
    stage_append(sim, request(6, 4, 0), entries);
    cr_assert_eq(stage_server(sim)->wall_offset_us, 10000);
    stage_close(sim);
}
