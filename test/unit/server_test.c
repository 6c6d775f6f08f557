/* What is the same in every role: terms, strangers, stops, the disk. */
#include "stage.h"

#include <string.h>

#include "base/memory.h"

#define ROLES 4 /* 0: follower, 1: candidate that asks for pre-votes, 2: one that asks for votes, 3: leader */

static struct sim *stage_in_role(size_t role)
{
    struct sim *sim = stage_open(3);
    stage_deliver(sim, RESPONSE_APPEND_ENTRIES, 3, 1); /* so that there is a lower term in every role */
    if (role == 0) {
        stage_deliver(sim, REQUEST_APPEND_ENTRIES, 2, 1);
    } else {
        stage_pre_candidate(sim);
        if (role >= 2) {
            struct message vote = stage_vote(sim, RESPONSE_PRE_VOTE, 2, 2, true);
            sim_deliver(sim, 1, &vote);
        }
        if (role == 3) {
            struct message vote = stage_vote(sim, RESPONSE_VOTE, 2, 2, true);
            sim_deliver(sim, 1, &vote);
        }
    }
    sim_forget_sent(sim, 1);
    return sim;
}

Test(server, a_stale_request_is_answered_with_our_term_in_every_role_and_a_stale_answer_is_dropped)
{
    for (size_t role = 0; role < ROLES; role++) {
        struct sim *sim = stage_in_role(role);
        struct server *server = stage_server(sim);
        enum role before = server->role;
        raft_term term = server->current_term;
        int64_t deadline_us = server->election_deadline_us;
        stage_deliver(sim, REQUEST_VOTE, 3, term - 1);
        struct message answer = stage_expect(sim, 3, RESPONSE_VOTE);
        cr_assert_not(answer.vote_granted);
        cr_assert_eq(answer.curr_term, term);
        stage_deliver(sim, REQUEST_APPEND_ENTRIES, 3, term - 1);
        answer = stage_expect(sim, 3, RESPONSE_APPEND_ENTRIES);
        cr_assert_not(answer.entries_appended);
        cr_assert_eq(answer.curr_term, term);
        stage_deliver(sim, REQUEST_PRE_VOTE, 3, term - 1);
        cr_assert_eq(stage_expect(sim, 3, RESPONSE_PRE_VOTE).curr_term, term);
        struct message vote = stage_vote(sim, RESPONSE_VOTE, 3, term - 1, true);
        sim_deliver(sim, 1, &vote);
        stage_deliver(sim, RESPONSE_APPEND_ENTRIES, 3, term - 1);
        stage_expect_silence(sim);
        cr_assert_eq(server->role, before);
        cr_assert_eq(server->current_term, term);
        cr_assert_eq(server->election_deadline_us, deadline_us);
        stage_close(sim);
    }
}

Test(server, a_higher_term_in_any_message_is_adopted_and_made_durable_in_every_role)
{
    enum message_type types[] = {RESPONSE_PRE_VOTE, RESPONSE_VOTE, REQUEST_APPEND_ENTRIES, RESPONSE_APPEND_ENTRIES,
                                 TIMEOUT_NOW};
    for (size_t role = 0; role < ROLES; role++) {
        for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
            struct sim *sim = stage_in_role(role);
            stage_deliver(sim, types[i], 3, 40);
            cr_assert_eq(stage_server(sim)->role, FOLLOWER);
            cr_assert_eq(stage_server(sim)->current_term, 40);
            cr_assert_eq(stage_server(sim)->voted_for, NO_ONE);
            sim_power_cut(sim, 1);
            sim_restart(sim, 1);
            sim_settle(sim);
            cr_assert_eq(stage_server(sim)->current_term, 40);
            stage_close(sim);
        }
    }
}

Test(server, a_pre_vote_request_changes_no_term_in_any_role)
{
    for (size_t role = 0; role < ROLES; role++) {
        struct sim *sim = stage_in_role(role);
        raft_term term = stage_server(sim)->current_term;
        enum role before = stage_server(sim)->role;
        stage_deliver(sim, REQUEST_PRE_VOTE, 3, 40);
        stage_expect(sim, 3, RESPONSE_PRE_VOTE);
        cr_assert_eq(stage_server(sim)->current_term, term);
        cr_assert_eq(stage_server(sim)->role, before);
        stage_close(sim);
    }
}

Test(server, a_vote_for_a_higher_term_is_saved_together_with_the_term_and_answered_once)
{
    for (size_t role = 1; role < ROLES; role++) { /* a follower hears a leader here, which is a reason to refuse */
        struct sim *sim = stage_in_role(role);
        if (role == 3) /* a leader that nobody has answered for the minimum timeout */
            sim_run_us(sim, 200 * US);
        sim_forget_sent(sim, 1);
        uint64_t saves = stage_server(sim)->ballot_number;
        struct message request = stage_request_vote(sim, 3, 40);
        sim_deliver(sim, 1, &request);
        cr_assert(stage_expect(sim, 3, RESPONSE_VOTE).vote_granted);
        stage_expect_silence(sim);
        cr_assert_eq(stage_server(sim)->ballot_number, saves + 1, "one sync");
        cr_assert_eq(sim_log_count(sim, 1, "Voted for 3 in current term 40"), 1);
        stage_close(sim);
    }
}

Test(server, mail_of_a_stranger_or_of_ourselves_is_dropped_with_at_most_a_line_a_second)
{
    struct sim *sim = stage_open(3);
    struct message request = stage_message(REQUEST_VOTE, 9, 40);
    stage_server(sim)->election_deadline_us += 10000 * US;
    stage_deliver_of_stranger(sim, &request);
    stage_deliver_of_stranger(sim, &request);
    cr_assert_eq(sim_log_count(sim, 1, "Dropped mail of 9, which is no other member"), 1);
    sim_run_us(sim, 1000 * US);
    request.server_id = 1;
    stage_deliver_of_stranger(sim, &request);
    stage_expect_silence(sim);
    cr_assert_eq(stage_server(sim)->current_term, 0);
    cr_assert_eq(sim_log_count(sim, 1, "Dropped mail of 1, which is no other member"), 1);
    stage_close(sim);
}

Test(server, a_term_that_no_election_can_have_reached_is_dropped_with_at_most_a_line_a_second)
{
    struct sim *sim = stage_open(3);
    stage_server(sim)->election_deadline_us += 10000 * US;
    stage_deliver(sim, REQUEST_APPEND_ENTRIES, 2, (1ULL << 32) + 1);
    stage_deliver(sim, REQUEST_VOTE, 2, INT64_MAX);
    stage_deliver(sim, REQUEST_PRE_VOTE, 2, INT64_MAX);
    stage_expect_silence(sim);
    cr_assert_eq(stage_server(sim)->current_term, 0);
    cr_assert(sim_log_has(sim, 1, "Dropped REQUEST_APPEND_ENTRIES of 2: its term 4294967297 is out of reach"));
    cr_assert_eq(sim_log_count(sim, 1, "is out of reach"), 1);
    sim_run_us(sim, 1000 * US);
    stage_deliver(sim, REQUEST_VOTE, 2, INT64_MAX);
    cr_assert_eq(sim_log_count(sim, 1, "Dropped REQUEST_VOTE of 2"), 1);
    stage_deliver(sim, REQUEST_APPEND_ENTRIES, 2, 1ULL << 32);
    cr_assert_eq(stage_server(sim)->current_term, 1ULL << 32, "a node that was away for long may be that far behind");
    stage_close(sim);
}

static void be_patient(struct sim *sim)
{
    stage_server(sim)->config.election_timeout_min_us = 60000 * US;
    stage_server(sim)->config.election_timeout_max_us = 61000 * US;
}

/* Told with the first of a second, and with the first of the next one. */
static void expect_a_line_a_second(struct sim *sim, struct message message, struct batch *entries, const char *line)
{
    message.entry_count = entries == NULL ? 0 : (uint32_t)entries->count;
    sim_run_us(sim, 1000 * US);
    for (int second = 1; second <= 2; second++) {
        for (int i = 0; i < 3; i++)
            sim_deliver_entries(sim, 1, &message, entries);
        cr_assert_eq(sim_log_count(sim, 1, line), second, "%s", line);
        sim_run_us(sim, 1000 * US);
    }
    batch_free(entries);
}

Test(server, what_a_peer_should_not_have_said_is_told_a_leader_with_at_most_a_line_a_second)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    be_patient(sim);
    expect_a_line_a_second(sim, stage_message(REQUEST_APPEND_ENTRIES, 2, 1), NULL, "Two leaders in term 1: we and 2");
    expect_a_line_a_second(sim, stage_acknowledgement(sim, 2, CHANNEL_URGENT, 77), NULL,
                           "Ignored RESPONSE_APPEND_ENTRIES of 2");
    stage_close(sim);
}

Test(server, and_a_follower)
{
    struct sim *sim = stage_open(3);
    struct message message = stage_message(REQUEST_APPEND_ENTRIES, 2, 2);
    be_patient(sim);
    message.commit_index = 1;
    stage_append(sim, message, stage_terms(1, "1"));
    expect_a_line_a_second(sim, stage_message(REQUEST_APPEND_ENTRIES, 3, 2), NULL, "Two leaders in term 2: 2 and 3");
    expect_a_line_a_second(sim, message, stage_terms(1, "2"), "it contradicts the committed entry 1");
    expect_a_line_a_second(sim, message, stage_terms(1, "3"), "its entry 1 is not sound");
    stage_close(sim);
}

Test(server, every_message_has_a_debug_line_when_it_comes_and_when_it_leaves)
{
    struct sim *sim = stage_open(3);
    sim_log_level(sim, LOG_DEBUG);
    stage_deliver(sim, REQUEST_VOTE, 2, 4);
    cr_assert_eq(sim_log_count(sim, 1, "RECEIVE: from=2 type_of_message=REQUEST_VOTE curr_term=4"), 1,
                 "once, though it is read again when the vote is durable");
    cr_assert_eq(sim_log_count(sim, 1, "SEND: to=2 type_of_message=RESPONSE_VOTE curr_term=4"), 1);
    stage_close(sim);
}

Test(server, a_follower_and_a_candidate_stop_at_once)
{
    for (size_t role = 0; role < 3; role++) {
        struct sim *sim = stage_in_role(role);
        sim_stop(sim, 1);
        sim_settle(sim);
        cr_assert_not(sim_lives(sim, 1));
        cr_assert(sim_ended_well(sim, 1, NULL));
        cr_assert(sim_log_has(sim, 1, "Stopping cause=\"told to\""));
        stage_close(sim);
    }
}

Test(server, stops_though_its_disk_hangs)
{
    struct sim *sim = stage_open(3);
    sim_disk_hang(sim, 1, true);
    stage_deliver(sim, REQUEST_VOTE, 2, 3);
    sim_stop(sim, 1);
    sim_run_us(sim, 1000 * US);
    stage_expect_silence(sim);
    cr_assert(sim_log_has(sim, 1, "Stopped"));
    cr_assert(sim_ended_well(sim, 1, NULL));
    stage_close(sim);
}

Test(server, a_second_stop_does_not_wait_for_the_successor)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    struct message answer = stage_acknowledgement(sim, 2, CHANNEL_URGENT, 1);
    answer.round = 1;
    sim_deliver(sim, 1, &answer);
    sim_stop(sim, 1);
    sim_settle(sim);
    cr_assert(sim_lives(sim, 1));
    sim_stop(sim, 1);
    sim_settle(sim);
    cr_assert_not(sim_lives(sim, 1));
    stage_close(sim);
}

Test(server, mail_that_comes_while_it_waits_for_the_disk_keeps_its_place)
{
    struct sim *sim = stage_open(3);
    sim_disk_hang(sim, 1, true);
    stage_deliver(sim, REQUEST_VOTE, 2, 3);
    stage_deliver(sim, REQUEST_APPEND_ENTRIES, 3, 3);
    stage_deliver(sim, REQUEST_PRE_VOTE, 3, 9);
    stage_expect_silence(sim);
    sim_disk_hang(sim, 1, false);
    sim_settle(sim);
    stage_expect(sim, 2, RESPONSE_VOTE);
    stage_expect(sim, 3, RESPONSE_APPEND_ENTRIES);
    stage_expect(sim, 3, RESPONSE_PRE_VOTE);
    stage_close(sim);
}

/* What was appended in a term goes to the disk before the next term does, wherever the node ends. */
Test(server, entries_are_durable_before_the_term_that_follows_them)
{
    for (uint64_t call = 1; call <= 12; call++) {
        struct sim *sim = stage_open(3);
        stage_follower(sim);
        stage_meet_all(sim);
        sim_pause(sim, 1);
        struct message append = stage_message(REQUEST_APPEND_ENTRIES, 2, 1);
        struct message higher = stage_message(RESPONSE_VOTE, 3, 9);
        struct batch *entries = stage_terms(1, "1");
        append.entry_count = 1;
        sim_put_entries(sim, 1, &append, entries);
        sim_put(sim, 1, &higher);
        batch_free(entries);
        sim_end_at_call(sim, 1, call, SIM_POWER_CUT);
        sim_resume(sim, 1);
        sim_run_us(sim, 10 * US);
        if (sim_lives(sim, 1))
            sim_power_cut(sim, 1);
        while (!sim_lives(sim, 1)) { /* the call may be one of the next life */
            sim_restart(sim, 1);
            sim_settle(sim);
        }
        cr_assert(stage_server(sim)->current_term == 1 || strcmp(stage_log(sim), "1") == 0);
        cr_assert(call < 12 || stage_server(sim)->current_term == 9);
        stage_close(sim);
    }
}

/* ---- A disk that is slow, or hangs ---- */

static struct sim *stage_leader_with(size_t entry_bytes_max, uint64_t segment_bytes)
{
    static struct node_config config;
    sim_configure(&config, 1, 3);
    config.machine = &stage_plain_machine;
    config.entry_bytes_max = entry_bytes_max;
    config.segment_bytes = segment_bytes;
    struct sim *sim = stage_open_with(&config);
    stage_leader(sim);
    return sim;
}

static void acknowledge_all(struct sim *sim)
{
    for (raft_id peer = 2; peer <= 3; peer++) {
        struct message answer =
            stage_acknowledgement(sim, peer, CHANNEL_URGENT, raft_log_last_index(&stage_server(sim)->raft_log));
        answer.round = stage_server(sim)->heartbeat_round;
        sim_deliver(sim, 1, &answer);
    }
}

#define MIB (1024 * 1024)

/* All its followers have, and have committed, what its own disk has not. */
Test(server, clients_wait_while_the_disk_of_their_leader_is_slower_than_they_are)
{
    static const uint8_t COMMAND[MIB];
    struct sim *sim = stage_leader_with(2 * MIB, 8 * MIB);
    const struct server *server = stage_server(sim);
    sim_disk_hang(sim, 1, true);
    for (uint64_t number = 2; number <= 15; number++) {
        stage_propose(sim, number, COMMAND, sizeof COMMAND);
        acknowledge_all(sim);
    }
    cr_assert_eq(server->pending_count, 0);
    cr_assert(server->raft_log.window_bytes > 8 * MIB && server->raft_log.window_bytes < 10 * MIB, "%d bytes",
              (int)server->raft_log.window_bytes);
    sim_disk_hang(sim, 1, false);
    sim_settle(sim);
    cr_assert_eq(raft_log_last_index(&server->raft_log), 15, "in the end all are taken");
    cr_assert_eq(server->role, LEADER);
    stage_close(sim);
}

/* What does not fit into a file is written in parts, of which only the last one answers for all. */
static bool is_saved_in_part(struct sim *sim, void *context)
{
    const struct raft_log *log = &stage_server(sim)->raft_log;
    (void)context;
    return log->durable_index > 1 && log->durable_index < log->saved_index;
}

Test(server, a_disk_that_hangs_in_the_middle_of_what_it_was_given_is_noticed)
{
    static const uint8_t COMMAND[3000];
    struct sim *sim = stage_leader_with(4 * 1024, 32 * 1024);
    sim_pause(sim, 1);
    for (uint64_t number = 2; number <= 16; number++)
        stage_propose(sim, number, COMMAND, sizeof COMMAND);
    sim_resume(sim, 1);
    cr_assert(sim_run_until(sim, 20 * US, is_saved_in_part, NULL));
    cr_assert_eq(stage_server(sim)->raft_log.saved_index, 16, "one letter");
    sim_disk_hang(sim, 1, true);
    for (int i = 0; i < 25 && stage_server(sim)->role == LEADER; i++) {
        acknowledge_all(sim);
        sim_run_us(sim, 50 * US);
    }
    cr_assert(sim_log_has(sim, 1, "STATE: LEADER -> FOLLOWER cause=\"the disk has not answered for 1000 ms\""));
    stage_close(sim);
}

/* ---- What cannot be served ---- */

struct start {
    struct sim *sim;
    struct storage_opened *opened;
    bool good;
    struct mailraft_error err;
};

static void start(void *context)
{
    static struct node_config config;
    static struct server server;
    struct start *start = context;
    sim_configure(&config, 1, 3);
    start->opened = memory_new(sizeof *start->opened);
    start->opened->ballot.term = 3;
    start->opened->ballot.voted_for = NO_ONE;
    start->opened->tail = stage_terms(1, "1134");
    for (raft_index i = 1; i <= 4; i++)
        terms_add(&start->opened->terms, i, start->opened->tail->list[i - 1]->term);
    start->good = server_init(&server, &config, &(struct server_tools){.log = sim_log(start->sim, 1)}, start->opened,
                              &start->err);
    storage_opened_free(start->opened);
}

Test(server, a_log_that_is_newer_than_the_ballot_is_refused)
{
    struct start begun = {.sim = sim_new(0)};
    sim_add_machine(begun.sim, 1);
    cr_assert(sim_run_on(begun.sim, 1, start, &begun));
    cr_assert_not(begun.good);
    cr_assert(error_is(&begun.err, &DAMAGED_ERROR));
    cr_assert_not_null(strstr(begun.err.message, "the log ends in term 4, but the ballot knows of no term above 3"));
    sim_free(begun.sim);
}
