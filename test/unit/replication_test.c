/* A leader's log: Figure 2, "Rules for Servers", Leaders; sections 5.3 and 5.4.2; dissertation, section 10.2. */
#include "stage.h"

#include <string.h>

#include "raft/replication.h"

#define LARGE 4000 /* bytes of a command; 16 of them make REPLICATION_GATHER_BYTES */

static struct sim *open_with_cache(int count, size_t cache_bytes)
{
    static struct node_config config;
    sim_configure(&config, 1, count);
    config.machine = &stage_plain_machine;
    config.log_cache_bytes = cache_bytes;
    return stage_open_with(&config);
}

static struct sim *open(int count)
{
    return open_with_cache(count, 4 * 1024 * 1024);
}

static void propose(struct sim *sim, int count, size_t size)
{
    static const uint8_t COMMAND[LARGE];
    while (count-- > 0)
        stage_propose(sim, 1, COMMAND, size);
}

static struct sim *open_leader(int count)
{
    struct sim *sim = open(count);
    stage_leader(sim);
    return sim;
}

static struct progress *progress_of(struct sim *sim, raft_id peer)
{
    return &stage_server(sim)->peers[peer - 1].progress;
}

/* The last entry of the messages that are on their way to member 2, from 0. */
static raft_index last_on_the_way(struct sim *sim, unsigned message)
{
    const struct progress *progress = progress_of(sim, 2);
    return progress->in_flight[(progress->first + message) % PROGRESS_MESSAGES_MAX].last;
}

static raft_index last_index(struct sim *sim)
{
    return raft_log_last_index(&stage_server(sim)->raft_log);
}

static raft_index commit_index(struct sim *sim)
{
    return stage_server(sim)->commit_index;
}

/* The next message with entries has those from first to last. */
static void expect_append(struct sim *sim, raft_id to, raft_index first, raft_index last)
{
    struct message message = stage_expect_append(sim, to);
    cr_assert_eq(message.prev_index + 1, first, "it begins at %d", (int)message.prev_index + 1);
    cr_assert_eq(message.prev_index + message.entry_count, last, "it ends at %d",
                 (int)(message.prev_index + message.entry_count));
    cr_assert_eq(message.prev_term, raft_log_term_at(&stage_server(sim)->raft_log, message.prev_index));
}

static void reject(struct sim *sim, raft_id peer, raft_index rejected_index, raft_term conflict_term,
                   raft_index conflict_index)
{
    struct message answer = stage_rejection(sim, peer, CHANNEL_BULK, rejected_index, conflict_term, conflict_index);
    sim_deliver(sim, 1, &answer);
}

/* A leader of a later term whose log is that of earlier leaders, and a no-op. The peers are connected, and have
 * answered nothing yet. */
static struct sim *open_leader_with_log(int count, const char *terms)
{
    struct sim *sim = open(count);
    raft_term term = (raft_term)(terms[strlen(terms) - 1] - '0');
    stage_append(sim, stage_message(REQUEST_APPEND_ENTRIES, 2, term), stage_terms(1, terms));
    stage_meet_all(sim);
    stage_elect(sim);
    return sim;
}

/* ---- The term's first entry ---- */

Test(replication, a_leader_begins_its_term_with_a_no_op)
{
    struct sim *sim = open_leader_with_log(3, "1123");
    cr_assert_str_eq(stage_log(sim), "11234");
    const struct entry *entry = raft_log_at(&stage_server(sim)->raft_log, 5);
    cr_assert_eq(entry->kind, ENTRY_NO_OP);
    cr_assert_eq(entry_payload_size(entry), 8);
    expect_append(sim, 2, 5, 5);
    expect_append(sim, 3, 5, 5);
    stage_close(sim);
}

Test(replication, nothing_is_known_of_anybodys_log_when_a_term_begins)
{
    struct sim *sim = open_leader(3);
    propose(sim, 3, 10);
    stage_acknowledge(sim, 2, 1, 4);
    stage_deliver(sim, RESPONSE_VOTE, 3, 5); /* a higher term: it steps down */
    stage_elect(sim);
    cr_assert_eq(progress_of(sim, 2)->match_index, 0);
    cr_assert(progress_of(sim, 2)->probing);
    stage_close(sim);
}

/* ---- Committing ---- */

Test(replication, an_entry_is_committed_when_a_majority_has_it)
{
    struct sim *sim = open_leader(5);
    propose(sim, 1, 10);
    cr_assert_eq(commit_index(sim), 1);
    stage_acknowledge(sim, 2, 1, 2);
    cr_assert_eq(commit_index(sim), 1, "two of five, itself included");
    stage_acknowledge(sim, 2, 1, 2);
    cr_assert_eq(commit_index(sim), 1, "the same one again");
    stage_acknowledge(sim, 3, 1, 2);
    cr_assert_eq(commit_index(sim), 2);
    stage_close(sim);
}

Test(replication, its_own_log_counts_as_far_as_it_is_durable)
{
    struct sim *sim = open_leader(3);
    sim_disk_hang(sim, 1, true);
    propose(sim, 1, 10);
    expect_append(sim, 2, 2, 2);
    stage_acknowledge(sim, 2, 1, 2);
    cr_assert_eq(commit_index(sim), 1, "one of three");
    sim_disk_hang(sim, 1, false);
    sim_settle(sim);
    cr_assert_eq(commit_index(sim), 2);
    stage_close(sim);
}

Test(replication, others_can_commit_an_entry_without_the_leaders_disk)
{
    struct sim *sim = open_leader(3);
    sim_disk_hang(sim, 1, true);
    propose(sim, 1, 10);
    stage_acknowledge(sim, 2, 1, 2);
    stage_acknowledge(sim, 3, 1, 2);
    cr_assert_eq(commit_index(sim), 2);
    stage_close(sim);
}

Test(replication, a_leader_alone_commits_what_its_disk_has)
{
    struct sim *sim = open(1);
    sim_run_us(sim, 301 * US);
    cr_assert_eq(stage_server(sim)->role, LEADER);
    propose(sim, 2, 10);
    cr_assert_eq(commit_index(sim), 3);
    stage_close(sim);
}

/* Section 5.4.2 and Figure 8: (c) the leader of term 4 has an entry of term 2 on a majority; it is not committed by
 * that, since (d) one with an entry of term 3 could still replace it; (e) only an entry of term 4 commits it, with
 * itself. */
Test(replication, only_entries_of_the_own_term_are_committed_by_counting)
{
    struct sim *sim = open_leader_with_log(5, "12");
    stage_elect(sim); /* in term 3 nobody has answered it */
    cr_assert_str_eq(stage_log(sim), "1234");
    for (raft_id peer = 2; peer <= 5; peer++)
        stage_acknowledge(sim, peer, 4, 2);
    cr_assert_eq(commit_index(sim), 0, "all have it, and still it is not committed");
    for (raft_id peer = 2; peer <= 5; peer++)
        stage_acknowledge(sim, peer, 4, 3);
    cr_assert_eq(commit_index(sim), 0);
    stage_acknowledge(sim, 2, 4, 4);
    cr_assert_eq(commit_index(sim), 0);
    stage_acknowledge(sim, 3, 4, 4);
    cr_assert_eq(commit_index(sim), 4, "and all before it with it");
    stage_close(sim);
}

Test(replication, the_commit_index_is_told_with_the_next_message)
{
    struct sim *sim = open_leader(3);
    propose(sim, 1, 10);
    cr_assert_eq(stage_expect_append(sim, 2).commit_index, 1);
    stage_acknowledge(sim, 2, 1, 2);
    propose(sim, 1, 10);
    cr_assert_eq(stage_expect_append(sim, 2).commit_index, 2);
    stage_close(sim);
}

/* ---- Sending ---- */

Test(replication, a_new_entry_leaves_at_once_when_nothing_is_on_its_way)
{
    struct sim *sim = open_leader(3);
    propose(sim, 1, 10);
    expect_append(sim, 2, 2, 2);
    expect_append(sim, 3, 2, 2);
    stage_close(sim);
}

Test(replication, it_leaves_without_waiting_for_the_leaders_own_disk)
{
    struct sim *sim = open_leader(3);
    sim_disk_hang(sim, 1, true);
    propose(sim, 1, 10);
    expect_append(sim, 2, 2, 2);
    stage_close(sim);
}

Test(replication, what_comes_while_a_message_is_on_its_way_gathers_until_the_answer)
{
    struct sim *sim = open_leader(3);
    propose(sim, 5, 10);
    expect_append(sim, 2, 2, 2);
    stage_expect_no_append(sim, 2);
    stage_acknowledge(sim, 2, 1, 2);
    expect_append(sim, 2, 3, 6);
    stage_expect_no_append(sim, 2);
    stage_close(sim);
}

Test(replication, an_answer_that_acknowledges_nothing_new_does_not_end_the_gathering)
{
    struct sim *sim = open_leader(3);
    propose(sim, 5, 10);
    expect_append(sim, 2, 2, 2);
    stage_acknowledge(sim, 2, 1, 1);
    stage_expect_no_append(sim, 2);
    stage_close(sim);
}

Test(replication, enough_of_it_leaves_without_an_answer)
{
    struct sim *sim = open_leader(3);
    propose(sim, 1, 10);
    expect_append(sim, 2, 2, 2);
    propose(sim, 16, LARGE);
    stage_expect_no_append(sim, 2);
    propose(sim, 1, LARGE);
    expect_append(sim, 2, 3, 18); /* as much as a message may hold */
    stage_expect_no_append(sim, 2);
    stage_close(sim);
}

Test(replication, an_answer_lets_what_has_gathered_leave_though_more_is_on_its_way)
{
    struct sim *sim = open_leader(3);
    propose(sim, 1, 10);
    propose(sim, 17, LARGE);
    propose(sim, 1, 10);
    expect_append(sim, 2, 2, 2);
    expect_append(sim, 2, 3, 18);
    stage_expect_no_append(sim, 2);
    stage_acknowledge(sim, 2, 1, 2);
    expect_append(sim, 2, 19, 20);
    stage_close(sim);
}

Test(replication, one_answer_lets_one_message_leave_and_the_rest_gathers)
{
    struct sim *sim = open_leader(3);
    while (progress_has_room(progress_of(sim, 2)))
        propose(sim, 1, LARGE);
    raft_index sent = progress_of(sim, 2)->next_index - 1;
    while (last_index(sim) < sent + 18) /* 16 for a message, 2 more */
        propose(sim, 1, LARGE);
    sim_forget_sent(sim, 1);
    stage_acknowledge(sim, 2, 1, last_on_the_way(sim, 2));
    expect_append(sim, 2, sent + 1, sent + 16);
    stage_expect_no_append(sim, 2);
    cr_assert(progress_has_room(progress_of(sim, 2)));
    stage_close(sim);
}

Test(replication, no_more_is_on_its_way_than_the_window_holds)
{
    struct sim *sim = open_leader(3);
    propose(sim, 400, LARGE);
    cr_assert_geq(progress_of(sim, 2)->in_flight_bytes, PROGRESS_WINDOW_BYTES);
    cr_assert_lt(progress_of(sim, 2)->in_flight_bytes, PROGRESS_WINDOW_BYTES + REPLICATION_GATHER_BYTES);
    raft_index next = progress_of(sim, 2)->next_index;
    sim_forget_sent(sim, 1);
    stage_acknowledge(sim, 2, 1, last_on_the_way(sim, 1));
    cr_assert_eq(stage_expect_append(sim, 2).prev_index + 1, next, "it goes on where it stopped");
    stage_close(sim);
}

Test(replication, nothing_is_sent_to_one_that_is_not_connected)
{
    struct sim *sim = open_leader(3);
    sim_lose_peer(sim, 1, 3, CHANNEL_BULK);
    propose(sim, 1, 10);
    expect_append(sim, 2, 2, 2);
    stage_expect_no_append(sim, 3);
    sim_reach_peer(sim, 1, 3, CHANNEL_BULK);
    expect_append(sim, 3, 2, 2);
    stage_close(sim);
}

Test(replication, a_connection_that_was_lost_is_begun_anew_from_the_last_match)
{
    struct sim *sim = open_leader(3);
    propose(sim, 4, 10);
    stage_acknowledge(sim, 2, 1, 2);
    sim_forget_sent(sim, 1); /* 3 to 5 are on their way */
    sim_lose_peer(sim, 1, 2, CHANNEL_BULK);
    cr_assert(progress_of(sim, 2)->probing);
    sim_reach_peer(sim, 1, 2, CHANNEL_BULK);
    expect_append(sim, 2, 3, 5);
    propose(sim, 1, 10);
    stage_expect_no_append(sim, 2);
    stage_acknowledge(sim, 2, 1, 3); /* a match is proven again */
    cr_assert_not(progress_of(sim, 2)->probing);
    stage_close(sim);
}

static void answer_heartbeats(struct sim *sim)
{
    for (raft_id peer = 2; peer <= 3; peer++) {
        struct message answer = stage_acknowledgement(sim, peer, CHANNEL_URGENT, progress_of(sim, peer)->match_index);
        answer.round = stage_server(sim)->heartbeat_round;
        sim_deliver(sim, 1, &answer);
    }
}

Test(replication, what_nobody_acknowledges_is_sent_again_after_a_while)
{
    struct sim *sim = open_leader(3);
    propose(sim, 1, 10);
    expect_append(sim, 2, 2, 2);
    for (uint64_t round = 2; round <= 8; round++) {
        answer_heartbeats(sim);
        sim_run_us(sim, 50 * US);
    }
    expect_append(sim, 2, 2, 2);
    stage_close(sim);
}

/* After how many milliseconds member 2 gets entries again. */
static int64_t resent_after_ms(struct sim *sim)
{
    int64_t began_us = sim_now_us(sim);
    struct message message = {.entry_count = 0};
    sim_forget_sent(sim, 1);
    while (message.entry_count == 0) {
        sim_run_us(sim, 5 * US);
        answer_heartbeats(sim);
        while (message.entry_count == 0 && sim_sent(sim, 1, 2, &message))
            ;
    }
    return (sim_now_us(sim) - began_us) / US;
}

Test(replication, and_each_time_after_twice_as_long_until_there_is_news)
{
    struct sim *sim = open_leader(3);
    propose(sim, 2, 10);
    int64_t patience_ms = resent_after_ms(sim);
    for (int64_t times = 2; times <= 64; times *= 2) {
        int64_t waited_ms = resent_after_ms(sim);
        cr_assert(waited_ms > times * (patience_ms - 10) && waited_ms < times * (patience_ms + 10), "%d ms, then %d ms",
                  (int)patience_ms, (int)waited_ms);
    }
    cr_assert_lt(resent_after_ms(sim), 64 * (patience_ms + 10), "there is an end to that");
    stage_acknowledge(sim, 2, 1, 2);
    cr_assert_lt(resent_after_ms(sim), patience_ms + 10);
    stage_close(sim);
}

Test(replication, a_heartbeat_names_the_last_entry_that_was_acknowledged)
{
    struct sim *sim = open_leader(3);
    propose(sim, 4, 10);
    stage_acknowledge(sim, 2, 1, 3);
    sim_forget_sent(sim, 1);
    sim_run_us(sim, 50 * US);
    struct message two = stage_expect(sim, 2, REQUEST_APPEND_ENTRIES),
                   three = stage_expect(sim, 3, REQUEST_APPEND_ENTRIES);
    cr_assert_eq(two.prev_index, 3);
    cr_assert_eq(two.prev_term, 1);
    cr_assert_eq(two.entry_count, 0);
    cr_assert_eq(two.commit_index, 3);
    cr_assert_eq(three.prev_index, 1, "it has not answered");
    stage_close(sim);
}

/* ---- Rejections ---- */

/* Section 5.3, and Figure 7: what the leader of term 8 has, and followers that miss some, have more, or both. */
#define LEADERS "1114455666"

Test(replication, a_follower_that_misses_entries_gets_them_after_one_rejection)
{
    struct sim *sim = open_leader_with_log(3, LEADERS);
    expect_append(sim, 2, 11, 11);
    reject(sim, 2, 10, 0, 5); /* (b): it has four */
    expect_append(sim, 2, 5, 11);
    stage_acknowledge(sim, 2, 7, 11);
    cr_assert_eq(progress_of(sim, 2)->match_index, 11);
    stage_close(sim);
}

Test(replication, a_follower_with_entries_of_its_own_is_backed_up_by_whole_terms)
{
    struct sim *sim = open_leader_with_log(3, LEADERS);
    expect_append(sim, 2, 11, 11);
    reject(sim, 2, 10, 3, 7);     /* (f): 111 222 33333 */
    expect_append(sim, 2, 7, 11); /* behind 6, where it may have what we do */
    reject(sim, 2, 6, 2, 4);
    expect_append(sim, 2, 4, 11);
    stage_acknowledge(sim, 2, 7, 11);
    cr_assert_eq(progress_of(sim, 2)->match_index, 11);
    stage_close(sim);
}

Test(replication, a_term_that_both_have_is_gone_on_behind)
{
    struct sim *sim = open_leader_with_log(3, LEADERS);
    expect_append(sim, 2, 11, 11);
    reject(sim, 2, 10, 4, 4);     /* (e): 111 4444444 */
    expect_append(sim, 2, 6, 11); /* our last of term 4 is 5 */
    stage_close(sim);
}

Test(replication, a_follower_that_has_nothing_gets_all)
{
    struct sim *sim = open_leader_with_log(3, LEADERS);
    expect_append(sim, 2, 11, 11);
    reject(sim, 2, 10, 0, 1);
    expect_append(sim, 2, 1, 11);
    stage_close(sim);
}

Test(replication, whatever_a_rejection_says_the_probe_goes_back_and_ends)
{
    static const raft_index ANY[] = {0, 1, 5, 10, 11, 12, 1000, UINT64_MAX};
    for (size_t i = 0; i < sizeof ANY / sizeof *ANY; i++)
        for (raft_term term = 0; term < 12; term++) {
            struct sim *sim = open_leader_with_log(3, LEADERS);
            for (int probe = 0; probe < 20; probe++) {
                struct message message;
                raft_index rejected = 0;
                while (sim_sent(sim, 1, 2, &message))
                    if (message.entry_count > 0)
                        rejected = message.prev_index;
                if (rejected == 0)
                    break;
                cr_assert_lt(probe, 11, "each goes back by one at least");
                reject(sim, 2, rejected, term, ANY[i]);
            }
            stage_close(sim);
        }
}

Test(replication, late_and_repeated_rejections_take_nothing_back)
{
    struct sim *sim = open_leader_with_log(3, LEADERS);
    reject(sim, 2, 10, 0, 5);
    stage_acknowledge(sim, 2, 7, 11);
    propose(sim, 1, 10);
    sim_forget_sent(sim, 1);
    reject(sim, 2, 10, 0, 5);
    reject(sim, 2, 4, 4, 4);
    reject(sim, 2, 0, 0, 0);
    reject(sim, 2, 500, 0, 5);
    cr_assert_eq(progress_of(sim, 2)->match_index, 11);
    cr_assert_not(progress_of(sim, 2)->probing);
    stage_expect_no_append(sim, 2);
    stage_close(sim);
}

/* Messages that were lost between others: those behind them are rejected, each. */
Test(replication, a_gap_is_filled_from_where_the_follower_has_it)
{
    struct sim *sim = open_leader(3);
    propose(sim, 40, LARGE); /* several messages */
    sim_forget_sent(sim, 1);
    raft_index first_lost = last_on_the_way(sim, 1);
    reject(sim, 2, first_lost, 0, 3);
    cr_assert(progress_of(sim, 2)->probing);
    cr_assert_eq(stage_expect_append(sim, 2).prev_index, 2);
    stage_close(sim);
}

Test(replication, a_follower_that_lost_what_it_had_acknowledged_is_begun_anew)
{
    struct sim *sim = open_leader(3);
    propose(sim, 4, 10);
    stage_acknowledge(sim, 2, 1, 5);
    sim_forget_sent(sim, 1);
    struct message answer = stage_rejection(sim, 2, CHANNEL_URGENT, 5, 0, 3); /* of a heartbeat */
    sim_deliver(sim, 1, &answer);
    cr_assert(sim_log_has(sim, 1, "of 2: it has lost entries that it had acknowledged"));
    cr_assert_eq(progress_of(sim, 2)->match_index, 0, "it counts for nothing any more");
    expect_append(sim, 2, 3, 5);
    stage_close(sim);
}

/* ---- Answers that do not count ---- */

static void expect_ignored(struct sim *sim, const struct message *answer)
{
    raft_index match_index = progress_of(sim, 2)->match_index, next_index = progress_of(sim, 2)->next_index;
    raft_index committed = commit_index(sim);
    sim_deliver(sim, 1, answer);
    cr_assert_eq(progress_of(sim, 2)->match_index, match_index);
    cr_assert_eq(progress_of(sim, 2)->next_index, next_index);
    cr_assert_eq(commit_index(sim), committed);
    cr_assert_eq(stage_server(sim)->role, LEADER);
}

Test(replication, an_answer_to_an_earlier_life_or_connection_does_not_count)
{
    struct sim *sim = open_leader(3);
    propose(sim, 2, 10);
    struct message answer = stage_acknowledgement(sim, 2, CHANNEL_BULK, 3);
    answer.request_incarnation++;
    expect_ignored(sim, &answer);
    answer = stage_acknowledgement(sim, 2, CHANNEL_BULK, 3);
    answer.request_connection += 1;
    expect_ignored(sim, &answer);
    answer = stage_acknowledgement(sim, 2, CHANNEL_BULK, 3);
    sim_lose_peer(sim, 1, 2, CHANNEL_BULK);
    expect_ignored(sim, &answer);
    sim_reach_peer(sim, 1, 2, CHANNEL_BULK);
    expect_ignored(sim, &answer);
    answer = stage_acknowledgement(sim, 2, CHANNEL_BULK, 3);
    answer.request_channel = 77;
    expect_ignored(sim, &answer);
    answer = stage_acknowledgement(sim, 2, CHANNEL_BULK, 3);
    sim_deliver(sim, 1, &answer);
    cr_assert_eq(progress_of(sim, 2)->match_index, 3);
    stage_close(sim);
}

Test(replication, an_answer_of_an_earlier_process_of_the_follower_does_not_count)
{
    struct sim *sim = open_leader(3);
    propose(sim, 2, 10);
    sim_connect_peer(sim, 1, 2, 99, 1); /* it has restarted; its old mail comes late */
    struct message answer = stage_acknowledgement(sim, 2, CHANNEL_BULK, 3);
    struct link old = {.peer = 2, .channel = CHANNEL_URGENT, .incarnation = 1, .connection = 1};
    sim_put_over(sim, 1, &answer, &old);
    sim_settle(sim);
    cr_assert_eq(progress_of(sim, 2)->match_index, 1);
    sim_deliver(sim, 1, &answer);
    cr_assert_eq(progress_of(sim, 2)->match_index, 3);
    stage_close(sim);
}

Test(replication, an_acknowledgement_beyond_the_last_entry_is_told_and_ignored)
{
    struct sim *sim = open_leader(3);
    propose(sim, 2, 10);
    static const raft_index BEYOND[] = {4, 1000, INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < sizeof BEYOND / sizeof *BEYOND; i++) {
        struct message answer = stage_acknowledgement(sim, 2, CHANNEL_BULK, BEYOND[i]);
        expect_ignored(sim, &answer);
    }
    cr_assert_eq(
        sim_log_count(sim, 1, "Ignored RESPONSE_APPEND_ENTRIES of 2: it acknowledges entries that we do not have"), 1,
        "at most a line a second");
    stage_close(sim);
}

Test(replication, an_acknowledgement_of_less_takes_nothing_back)
{
    struct sim *sim = open_leader(3);
    propose(sim, 3, 10);
    stage_acknowledge(sim, 2, 1, 4);
    stage_acknowledge(sim, 2, 1, 2);
    stage_acknowledge(sim, 2, 1, 0);
    cr_assert_eq(progress_of(sim, 2)->match_index, 4);
    cr_assert_eq(commit_index(sim), 4);
    stage_close(sim);
}

/* ---- Old entries ---- */

/* A leader whose entries 2 to 41 all have but 3, to whom it has no connection; few of them are in memory. */
static struct sim *open_far_ahead(void)
{
    struct sim *sim = open_with_cache(3, 8 * 1024);
    stage_leader(sim);
    sim_lose_peer(sim, 1, 3, CHANNEL_BULK);
    for (int i = 0; i < 40; i++) {
        propose(sim, 1, LARGE / 2);
        stage_acknowledge(sim, 2, 1, last_index(sim));
    }
    cr_assert_not(raft_log_has(&stage_server(sim)->raft_log, 30));
    sim_forget_sent(sim, 1);
    return sim;
}

Test(replication, one_that_is_far_behind_gets_entries_that_have_left_memory)
{
    struct sim *sim = open_far_ahead();
    sim_reach_peer(sim, 1, 3, CHANNEL_BULK);
    raft_index next = 2;
    while (next <= last_index(sim)) {
        struct message message = stage_expect_append(sim, 3);
        cr_assert_eq(message.prev_index + 1, next);
        next += message.entry_count;
        stage_acknowledge(sim, 3, 1, next - 1);
    }
    stage_expect_no_append(sim, 3);
    cr_assert_eq(progress_of(sim, 3)->match_index, last_index(sim));
    stage_close(sim);
}

Test(replication, meanwhile_others_are_served_and_heartbeats_leave)
{
    struct sim *sim = open_far_ahead();
    sim_disk_hang(sim, 1, true); /* what is read hangs, too */
    sim_reach_peer(sim, 1, 3, CHANNEL_BULK);
    stage_expect_no_append(sim, 3);
    propose(sim, 1, 10);
    expect_append(sim, 2, 42, 42);
    cr_assert_eq(stage_server(sim)->read_number, 1, "the same is not asked for twice");
    sim_run_us(sim, 50 * US);
    cr_assert_eq(stage_expect(sim, 3, REQUEST_APPEND_ENTRIES).entry_count, 0);
    sim_disk_hang(sim, 1, false);
    sim_settle(sim);
    cr_assert_eq(stage_expect_append(sim, 3).prev_index, 1);
    stage_close(sim);
}

Test(replication, what_was_read_for_a_connection_that_is_gone_is_thrown_away)
{
    struct sim *sim = open_far_ahead();
    sim_disk_hang(sim, 1, true);
    sim_reach_peer(sim, 1, 3, CHANNEL_BULK);
    sim_lose_peer(sim, 1, 3, CHANNEL_BULK);
    sim_forget_sent(sim, 1);
    sim_disk_hang(sim, 1, false);
    sim_settle(sim);
    stage_expect_no_append(sim, 3);
    sim_reach_peer(sim, 1, 3, CHANNEL_BULK);
    cr_assert_eq(stage_expect_append(sim, 3).prev_index, 1);
    stage_close(sim);
}

Test(replication, so_is_what_the_follower_turns_out_to_have)
{
    struct sim *sim = open_far_ahead();
    sim_disk_hang(sim, 1, true);
    sim_reach_peer(sim, 1, 3, CHANNEL_BULK);
    stage_acknowledge(sim, 3, 1, 20);
    sim_disk_hang(sim, 1, false);
    sim_settle(sim);
    cr_assert_eq(stage_expect_append(sim, 3).prev_index, 20);
    stage_close(sim);
}

/* Its log was cut as a follower, and the files still hold what was replaced. */
Test(replication, what_was_replaced_is_never_sent_though_the_files_still_hold_it)
{
    struct sim *sim = open_with_cache(3, 8 * 1024);
    struct batch *old = stage_terms(1, "");
    static const uint8_t COMMAND[LARGE / 2];
    for (raft_index i = 1; i <= 30; i++)
        batch_add(old, entry_new(ENTRY_COMMAND, 1, i, 1, COMMAND, sizeof COMMAND));
    stage_append(sim, stage_message(REQUEST_APPEND_ENTRIES, 2, 1), old);
    cr_assert_not(raft_log_has(&stage_server(sim)->raft_log, 20));
    struct message next = stage_message(REQUEST_APPEND_ENTRIES, 3, 2);
    next.prev_index = 19;
    next.prev_term = 1;
    stage_append(sim, next, stage_terms(20, "2222"));
    stage_meet_all(sim);
    stage_elect(sim);
    reject(sim, 2, 23, 1, 1);
    struct message message;
    enum channel channel;
    struct batch *entries;
    while (sim_sent_entries(sim, 1, 2, &message, &channel, &entries)) {
        for (size_t i = 0; entries != NULL && i < entries->count; i++)
            cr_assert_eq(entries->list[i]->term,
                         raft_log_term_at(&stage_server(sim)->raft_log, entries->list[i]->index));
        batch_free(entries);
    }
    stage_close(sim);
}

Test(replication, a_follower_to_whom_nothing_is_on_its_way_is_asked_again_with_a_heartbeat)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    struct server *server = stage_server(sim);
    progress_begin(&server->peers[2].progress, raft_log_last_index(&server->raft_log), server->now_us);
    sim_forget_sent(sim, 1);
    struct message answer = stage_acknowledgement(sim, 3, CHANNEL_URGENT, 0);
    sim_deliver(sim, 1, &answer);
    cr_assert_eq(stage_expect_append(sim, 3).entry_count, 1);
    stage_close(sim);
}

Test(replication, a_member_that_is_reached_again_is_not_sent_the_whole_log)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    struct server *server = stage_server(sim);
    for (uint64_t number = 1; number <= 5; number++)
        stage_propose_line(sim, number, "add 1");
    sim_lose_peer(sim, 1, 3, CHANNEL_BULK);
    progress_begin(&server->peers[2].progress, 0, server->now_us); /* nothing is known of it */
    sim_forget_sent(sim, 1);
    sim_reach_peer(sim, 1, 3, CHANNEL_BULK);
    struct message request = stage_expect_append(sim, 3);
    cr_assert_eq(request.prev_index, 5);
    cr_assert_eq(request.entry_count, 1);
    stage_close(sim);
}
