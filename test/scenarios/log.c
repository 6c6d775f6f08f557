/* Faults of replication and commitment that other servers had, as scenarios that must end well here. Their sources
 * stand above each. */
#include "scenarios/hands.h"

#include "sim/world.h"

static raft_index commit_index(struct sim *sim, raft_id id)
{
    return sim_server(sim, id)->commit_index;
}

static raft_term term_at(struct sim *sim, raft_id id, raft_index index)
{
    return raft_log_term_at(&sim_server(sim, id)->raft_log, index);
}

static int64_t value_at(struct sim *sim, raft_id id)
{
    return sim_counter(sim, id)->value;
}

static void expect_same_everywhere(struct sim *sim, int64_t value)
{
    sim_run_us(sim, SECOND);
    for (int i = 0; i < sim->machine_count; i++) {
        raft_id id = sim->machines[i]->id;
        if (sim_lives(sim, id))
            cr_assert_eq(value_at(sim, id), value, "%d shows %d", id, (int)value_at(sim, id));
    }
}

static bool has_ended(struct sim *sim, void *id)
{
    return !sim_lives(sim, *(raft_id *)id);
}

/* ---- Figure 8 ---- */

struct figure {
    struct sim *sim;
    raft_id s[6];     /* the five servers, from s[1] on, as the paper numbers them */
    raft_index index; /* of the entry in question ... */
    raft_term term;   /* ... and the term that it has on s[1], s[2] and s[3] */
};

static void lose_entries_to(const struct figure *figure, int from, int to)
{
    hands_lose(figure->s[from], figure->s[to], ENTRIES);
}

/* (a) S1 leads and has replicated the entry to S2 alone. (b) S1 dies; S5 is elected by S3 and S4, takes another
 * entry at that index, and dies. (c) S1 is back, is elected, and replicates its old entry to S3: it is on a majority
 * then. */
static struct figure figure_8(uint64_t seed)
{
    struct figure figure = {.sim = hands_open(seed, 5)};
    struct sim *sim = figure.sim;
    for (int i = 1; i <= 5; i++)
        figure.s[i] = hands_next(sim_leader(sim), i - 1, 5);
    raft_id s1 = figure.s[1], s5 = figure.s[5];
    for (int i = 3; i <= 5; i++)
        lose_entries_to(&figure, 1, i);
    sim_propose(sim, s1, "add 1");
    sim_run_us(sim, 20 * US);
    figure.index = hands_last_index(sim, s1);
    figure.term = hands_term(sim, s1);
    cr_assert_eq(hands_last_index(sim, figure.s[2]), figure.index);
    cr_assert_eq(hands_last_index(sim, figure.s[3]), figure.index - 1);
    sim_kill(sim, s1);
    hands_lose_nothing();
    hands_lose(s5, ANYBODY, ENTRIES);
    hands_elect(sim, s5);
    sim_run_us(sim, 20 * US);
    cr_assert_gt(term_at(sim, s5, figure.index), figure.term);
    sim_kill(sim, s5);
    hands_lose_nothing();
    sim_restart(sim, s1);
    hands_lose(s1, ANYBODY, ENTRIES);
    hands_elect(sim, s1);
    sim_run_us(sim, 20 * US);
    hands_append(sim, s1, figure.s[2], figure.index, figure.index);
    hands_append(sim, s1, figure.s[3], figure.index, figure.index);
    sim_run_us(sim, 20 * US);
    for (int i = 2; i <= 3; i++)
        cr_assert_eq(sim_server(sim, s1)->peers[figure.s[i] - 1].progress.match_index, figure.index);
    return figure;
}

/* Ongaro and Ousterhout, Figure 8 (d); logcabin 44. */
Test(log, figure_8_an_entry_of_an_old_term_on_a_majority_is_not_committed_and_can_be_replaced)
{
    for (uint64_t seed = 0; seed < 5; seed++) {
        struct figure figure = figure_8(seed);
        struct sim *sim = figure.sim;
        sim_run_us(sim, 200 * US);
        cr_assert_lt(commit_index(sim, figure.s[1]), figure.index, "a majority has it, and it is not committed");
        sim_kill(sim, figure.s[1]);
        hands_lose_nothing();
        sim_restart(sim, figure.s[5]);
        hands_elect(sim, figure.s[5]);
        hands_write(sim, figure.s[5], "add 10");
        for (int i = 2; i <= 3; i++) {
            cr_assert_neq(term_at(sim, figure.s[i], figure.index), figure.term, "it has been replaced");
            cr_assert_eq(term_at(sim, figure.s[i], figure.index), term_at(sim, figure.s[5], figure.index));
        }
        sim_restart(sim, figure.s[1]);
        expect_same_everywhere(sim, 10);
        hands_close(sim);
    }
}

/* Figure 8 (e): an entry of the own term on a majority commits it, and then S5 cannot win. */
Test(log, figure_8_once_an_entry_of_the_own_term_is_committed_nothing_before_it_can_be_replaced)
{
    for (uint64_t seed = 0; seed < 5; seed++) {
        struct figure figure = figure_8(seed);
        struct sim *sim = figure.sim;
        hands_lose_nothing();
        lose_entries_to(&figure, 1, 4);
        sim_run_us(sim, SECOND);
        cr_assert_gt(commit_index(sim, figure.s[1]), figure.index);
        sim_kill(sim, figure.s[1]);
        sim_restart(sim, figure.s[5]);
        for (int i = 2; i <= 4; i++) {
            hands_lose(figure.s[i], ANYBODY, REQUEST_PRE_VOTE);
            hands_lose(figure.s[i], ANYBODY, REQUEST_VOTE);
        }
        sim_run_us(sim, 6 * SECOND);
        cr_assert_eq(sim_leader(sim), NO_ONE);
        hands_lose_nothing();
        cr_assert(hands_run_until_all_follow(sim, 6 * SECOND));
        cr_assert(sim_leader(sim) == figure.s[2] || sim_leader(sim) == figure.s[3]);
        hands_write(sim, sim_leader(sim), "add 10");
        sim_restart(sim, figure.s[1]);
        expect_same_everywhere(sim, 11);
        hands_close(sim);
    }
}

/* ---- Truncation ---- */

/* akka-raft 66. A blind truncation: entries that are there already come again, late, and cut off what stands behind
 * them, which has been acknowledged. */
Test(log, appends_that_come_again_late_cut_off_nothing_that_was_acknowledged)
{
    for (uint64_t seed = 0; seed < 5; seed++) {
        struct sim *sim = hands_open(seed, 3);
        raft_id leader = sim_leader(sim), follower = hands_next(leader, 1, 3), behind = hands_next(leader, 2, 3);
        hands_lose(leader, behind, ENTRIES);
        hands_keep(leader, follower, ENTRIES);
        for (int i = 0; i < 4; i++)
            hands_write(sim, leader, "add 1");
        hands_keep_nothing();
        cr_assert_geq(hands_kept(), 4);
        for (int i = 0; i < 4; i++)
            hands_write(sim, leader, "add 10");
        raft_index last = hands_last_index(sim, follower);
        cr_assert_eq(last, hands_last_index(sim, leader));
        hands_deliver_kept(sim);
        cr_assert_eq(hands_last_index(sim, follower), last);
        sim_power_cut(sim, leader);
        cr_assert(sim_run_until_leader(sim, 6 * SECOND));
        cr_assert_eq(sim_leader(sim), follower, "the other has nothing of it");
        expect_same_everywhere(sim, 44);
        hands_close(sim);
    }
}

/* ---- Followers that lost something ---- */

/* What it had acknowledged is gone with its folder. The leader sends all of it again, and counts on it for nothing. */
Test(log, a_follower_that_lost_its_folder_gets_the_log_again_and_commits_nothing)
{
    struct sim *sim = hands_open(4, 3);
    raft_id leader = sim_leader(sim), wiped = hands_next(leader, 1, 3), other = hands_next(leader, 2, 3);
    for (int i = 0; i < 5; i++)
        hands_write(sim, leader, "add 1");
    raft_term term = hands_term(sim, leader);
    sim_power_cut(sim, wiped);
    sim_disk_empty(sim, wiped);
    sim_restart(sim, wiped);
    sim_run_us(sim, SECOND);
    cr_assert_eq(sim_leader(sim), leader);
    cr_assert_eq(hands_term(sim, leader), term);
    cr_assert_eq(hands_last_index(sim, wiped), hands_last_index(sim, leader));
    uint64_t applied = sim_outcomes(sim, OUTCOME_APPLIED);
    sim_power_cut(sim, other);
    sim_propose(sim, leader, "add 100");
    sim_run_us(sim, 5 * SECOND);
    cr_assert_eq(sim_outcomes(sim, OUTCOME_APPLIED), applied, "one disk has it that counts");
    for (raft_id id = 1; id <= 3; id++)
        cr_assert(id == other || sim_server(sim, id)->role != LEADER);
    sim_restart(sim, other);
    cr_assert(hands_run_until_all_follow(sim, 6 * SECOND));
    cr_assert_neq(sim_leader(sim), wiped);
    hands_write(sim, sim_leader(sim), "add 10");
    sim_run_us(sim, SECOND);
    cr_assert_eq(value_at(sim, wiped), value_at(sim, sim_leader(sim)));
    cr_assert(value_at(sim, wiped) == 15 || value_at(sim, wiped) == 115);
    hands_close(sim);
}

/* ---- What clients are told ---- */

static bool leads_no_more(struct sim *sim, void *leader)
{
    return sim_server(sim, *(raft_id *)leader)->role != LEADER;
}

/* Others had writes twice: whoever led again proposed anew what it had proposed before. Each command here adds a digit
 * of its own. */
Test(log, who_loses_office_with_entries_under_way_and_leads_again_executes_each_once_and_says_no_more_than_it_knows)
{
    static const char *const COMMANDS[] = {"add 1", "add 10", "add 100", "add 1000", "add 10000"};
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct sim *sim = hands_open(seed, 3);
        raft_id leader = sim_leader(sim);
        hands_lose(leader, ANYBODY, ENTRIES);
        for (size_t i = 0; i < 5; i++)
            cr_assert(sim_propose(sim, leader, COMMANDS[i]));
        sim_settle(sim);
        if (seed % 2 == 0) { /* no majority answers it */
            sim_isolate(sim, leader);
        } else { /* or it hears of a later term */
            struct message stray = {.type_of_message = RESPONSE_VOTE,
                                    .curr_term = hands_term(sim, leader) + 1,
                                    .server_id = hands_next(leader, 1, 3),
                                    .refusal = REFUSAL_VOTED};
            hands_deliver(sim, leader, &stray);
        }
        for (int i = 1; i <= 2; i++)
            hands_lose(hands_next(leader, i, 3), ANYBODY, REQUEST_PRE_VOTE);
        cr_assert(sim_run_until(sim, SECOND, leads_no_more, &leader));
        sim_run_us(sim, SECOND);
        sim_heal(sim);
        hands_lose_nothing();
        hands_elect(sim, leader);
        hands_write(sim, leader, "add 100000");
        cr_assert_eq(sim_outcomes(sim, OUTCOME_NOT_EXECUTED), 0, "all of them were");
        cr_assert_eq(sim_not_answered(sim, leader), 0);
        expect_same_everywhere(sim, 111111);
        hands_close(sim);
    }
}

/* ---- A leader's own disk ---- */

static void fail_sync(struct sim *sim, raft_id id)
{
    sim_disk_fail_sync(sim, id);
}

static void fail_write(struct sim *sim, raft_id id)
{
    sim_disk_fail_write(sim, id, false);
}

static void fill(struct sim *sim, raft_id id)
{
    sim_disk_fail_write(sim, id, true);
}

/* canonical/raft 320: an entry is on the disks of followers when the leader's own write of it fails. */
static void fail_after_replication(struct sim *sim, void (*fail)(struct sim *sim, raft_id id), bool to_both)
{
    raft_id leader = sim_leader(sim), follower = hands_next(leader, 1, 3);
    hands_write(sim, leader, "add 1");
    sim_run_us(sim, 100 * US);
    if (!to_both)
        hands_lose(leader, hands_next(leader, 2, 3), ENTRIES);
    sim_disk_hang(sim, leader, true);
    cr_assert(sim_propose(sim, leader, "add 10"));
    sim_run_us(sim, 20 * US);
    cr_assert_eq(hands_last_index(sim, follower), hands_last_index(sim, leader));
    cr_assert_eq(sim_server(sim, follower)->raft_log.durable_index, hands_last_index(sim, leader));
    cr_assert_eq(sim_outcomes(sim, OUTCOME_APPLIED), to_both ? 2 : 1, "with both it is committed without the leader");
    fail(sim, leader);
    sim_disk_hang(sim, leader, false);
    cr_assert(sim_run_until(sim, 2 * SECOND, has_ended, &leader));
    cr_assert_not(sim_ended_well(sim, leader, NULL));
    cr_assert_eq(sim_outcomes(sim, OUTCOME_NOT_EXECUTED), 0, "it was");
    cr_assert(sim_run_until_leader(sim, 6 * SECOND));
    hands_lose_nothing();
    hands_write(sim, sim_leader(sim), "add 100");
    sim_restart(sim, leader);
    expect_same_everywhere(sim, 111);
}

Test(log, a_leader_whose_own_write_fails_after_it_replicated_ends_and_the_entry_is_executed_once)
{
    static void (*const FAILURES[])(struct sim *, raft_id) = {fail_sync, fail_write, fill};
    for (size_t i = 0; i < 3; i++)
        for (uint64_t seed = 0; seed < 6; seed++) {
            struct sim *sim = hands_open(seed, 3);
            fail_after_replication(sim, FAILURES[i], seed % 2 == 0);
            hands_close(sim);
        }
}

/* ---- Followers that are far behind ---- */

#define SLEPT_ENTRIES 100000

static void propose_many(struct sim *sim, raft_id leader, int count)
{
    while (count > 0)
        if (sim_propose(sim, leader, "add 1"))
            count--;
        else
            sim_run_us(sim, 500);
}

static bool has_caught_up(struct sim *sim, void *follower)
{
    raft_id id = *(raft_id *)follower;
    return commit_index(sim, id) == commit_index(sim, sim_leader(sim));
}

Test(log, a_follower_that_slept_for_100000_entries_catches_up_while_the_leader_beats_and_serves, .timeout = 120)
{
    struct sim *sim = hands_open(6, 3);
    raft_id leader = sim_leader(sim), asleep = hands_next(leader, 1, 3);
    raft_term term = hands_term(sim, leader);
    sim_isolate(sim, asleep);
    propose_many(sim, leader, SLEPT_ENTRIES);
    sim_run_us(sim, SECOND);
    cr_assert_geq(commit_index(sim, leader), SLEPT_ENTRIES);
    cr_assert_lt(commit_index(sim, asleep), 10);
    const struct server *server = sim_server(sim, leader);
    sim_heal(sim);
    int64_t began_us = sim_now_us(sim);
    while (!has_caught_up(sim, &asleep)) {
        cr_assert_lt(sim_now_us(sim) - began_us, 60 * SECOND);
        hands_write(sim, leader, "add 1");
        sim_run_us(sim, US);
        cr_assert_leq(server->raft_log.window_bytes, 64u * 1024, "what the follower lacks is not kept in memory");
        cr_assert_leq(sim_server(sim, asleep)->raft_log.window_bytes, 2u * PROGRESS_WINDOW_BYTES);
        cr_assert_leq(server->peers[asleep - 1].progress.in_flight_bytes, PROGRESS_WINDOW_BYTES + 64u * 1024);
    }
    cr_assert_eq(sim_leader(sim), leader);
    cr_assert_eq(hands_term(sim, leader), term);
    cr_assert(hands_all_follow(sim, leader));
    expect_same_everywhere(sim, value_at(sim, leader));
    cr_assert_geq(value_at(sim, asleep), SLEPT_ENTRIES);
    hands_close(sim);
}
