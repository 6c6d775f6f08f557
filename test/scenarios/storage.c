/* Scenarios of disks: power cuts, slow and hanging ones, and folders that are lost. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "scenarios/caller.h"
#include "scenarios/served.h"
#include "sim/world.h"

/* ---- Power cuts ---- */

/* Takes what clients of all nodes were answered until nothing more can come. Returns how many were done. */
static long count_done(struct caller **callers, int count)
{
    long done = 0;
    for (int i = 0; i < count; i++) {
        const char *answer;
        while ((answer = caller_take(callers[i])) != NULL)
            done += answer[0] != '-';
        caller_close(callers[i]);
        callers[i] = NULL;
    }
    return done;
}

/* Amid many commands the power of all nodes goes, and of what was not synced any part is lost: nothing acknowledged is,
 * and no term gets a second leader, though votes are on the disk alone (etcd 14143, 14370). */
static void cut_power_of_all(uint64_t seed)
{
    struct sim *sim = served_cluster(seed, 3);
    long done = 0, asked = 0;
    for (int round = 0; round < 4; round++) {
        struct caller *callers[3];
        for (raft_id id = 1; id <= 3; id++) {
            callers[id - 1] = caller_open(sim, id);
            for (int i = 0; i < 20; i++, asked++)
                caller_say(callers[id - 1], "INCR a");
        }
        sim_run_us(sim, sim_draw_us(sim, 4 * MS));
        for (raft_id id = 1; id <= 3; id++)
            sim_power_cut(sim, id);
        sim_run_us(sim, 1 * MS); /* what had left before arrives */
        done += count_done(callers, 3);
        for (raft_id id = 1; id <= 3; id++)
            sim_restart(sim, id);
        long count = served_count(sim, "a");
        cr_assert(count >= done && count <= asked, "%ld are there, %ld were acknowledged, %ld asked for", count, done,
                  asked);
    }
    sim_free(sim);
}

Test(storage, nothing_acknowledged_is_lost_when_the_power_of_all_nodes_goes_at_once, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= 40; seed++)
        cut_power_of_all(seed);
}

/* ---- Slow disks ---- */

static void slow_disks(struct sim *sim, int64_t min_us, int64_t max_us)
{
    for (raft_id id = 1; id <= 3; id++)
        sim_disk_sync_us(sim, id, min_us, max_us);
}

static raft_term newest_term(struct sim *sim)
{
    raft_term term = 0;
    for (raft_id id = 1; id <= 3; id++)
        if (sim_server(sim, id) != NULL && sim_server(sim, id)->current_term > term)
            term = sim_server(sim, id)->current_term;
    return term;
}

static void count_up(struct sim *sim, raft_id node, int first, int last)
{
    struct caller *caller = caller_open(sim, node);
    for (int i = first; i <= last; i++)
        cr_assert_eq(atol(caller_ask(caller, "INCR a")), i);
    caller_close(caller);
}

/* Syncs of up to one and a half election timeouts, on all nodes: heartbeats do not wait for them, so whoever leads
 * stays, and commands are answered in their time. */
Test(storage, slow_disks_cost_no_leader_its_office, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct sim *sim = served_cluster_patient(seed, 3, 20 * SECOND);
        raft_id leader = sim_leader(sim);
        raft_term term = newest_term(sim);
        slow_disks(sim, 100 * MS, 450 * MS);
        count_up(sim, leader % 3 + 1, 1, 40);
        cr_assert_eq(sim_leader(sim), leader);
        cr_assert_eq(newest_term(sim), term);
        sim_free(sim);
    }
}

/* Syncs of up to five times the longest timeout: a vote is told when it is on the disk, mostly too late for whoever
 * asked for it. Then there may be no leader, but no storm either: nobody raises the term again before its own vote was
 * durable and its timeout over. Once the disks are quick again, one is elected at once. */
Test(storage, disks_that_are_slower_than_timeouts_cause_no_storm_of_elections, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct sim *sim = served_cluster(seed, 3);
        raft_term term = newest_term(sim);
        slow_disks(sim, 100 * MS, 1500 * MS);
        sim_kill(sim, sim_leader(sim));
        sim_run_us(sim, 100 * SECOND);
        cr_assert_leq(newest_term(sim), term + 100);
        slow_disks(sim, 100, 100);
        sim_run_us(sim, 2 * SECOND); /* for those under way, and a few timeouts */
        cr_assert_neq(sim_leader(sim), NO_ONE);
        count_up(sim, sim_leader(sim), 1, 10);
        sim_free(sim);
    }
}

/* Where the config says how slow the disks are, they are no reason for anything: also a leader that dies is
 * replaced. */
Test(storage, slow_disks_do_no_harm_where_timeouts_are_longer, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct sim *sim = sim_new(seed);
        sim_serve(sim, 60 * SECOND);
        for (raft_id id = 1; id <= 3; id++) {
            struct node_config config;
            sim_configure(&config, id, 3);
            config.election_timeout_min_us = 4 * SECOND;
            config.election_timeout_max_us = 8 * SECOND;
            config.heartbeat_us = 500 * MS;
            config.disk_stall_us = 6 * SECOND;
            sim_add_node(sim, &config);
        }
        slow_disks(sim, 100 * MS, 1500 * MS);
        served_settle(sim);
        count_up(sim, 1, 1, 10);
        raft_term term = newest_term(sim);
        sim_kill(sim, sim_leader(sim));
        served_settle(sim);
        count_up(sim, sim_leader(sim), 11, 20);
        cr_assert_leq(newest_term(sim), term + 2);
        sim_free(sim);
    }
}

/* ---- Disks that hang ---- */

/* The leader's disk hangs, without an error: heartbeats go on leaving, so that nobody else would stand. It gives up by
 * itself, and others elect; their clients are served, and its own are told the truth (hashicorp/raft 503, 612, 683). */
static void hang_disk_of_leader(uint64_t seed)
{
    struct sim *sim = served_cluster(seed, 3);
    raft_id old = sim_leader(sim);
    struct caller *callers[3];
    sim_disk_hang(sim, old, true);
    for (raft_id id = 1; id <= 3; id++) {
        callers[id - 1] = caller_open(sim, id);
        caller_say(callers[id - 1], "INCR a");
    }
    sim_run_us(sim, 3 * SECOND);
    raft_id next = sim_leader(sim);
    cr_assert(next != old && next != NO_ONE);
    for (raft_id id = 1; id <= 3; id++) {
        const char *answer = caller_wait(callers[id - 1]);
        cr_assert(atol(answer) > 0 || is_uncertain(answer), "%s", answer);
        answer = caller_ask(callers[id - 1], "INCR a");
        cr_assert(atol(answer) > 0 || (id == old && (is_clusterdown(answer) || is_uncertain(answer))), "%s", answer);
        caller_close(callers[id - 1]);
    }
    sim_disk_hang(sim, old, false);
    served_settle(sim);
    cr_assert_eq(sim_leader(sim), next);
    sim_free(sim);
}

Test(storage, a_leader_whose_disk_hangs_makes_way, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= 10; seed++)
        hang_disk_of_leader(seed);
}

/* ---- Folders that are lost ---- */

/* An acknowledged write is with the leader and one follower, whose folder is lost; the leader dies; the other follower,
 * which lacks the write, asks for votes. What came back empty has forgotten what it promised, and does not vote, until
 * the leader has let it back (etcd 1480, redpanda 9766). */
static void lose_folder(uint64_t seed, bool rejoin)
{
    struct sim *sim = served_cluster(seed, 3);
    raft_id leader = sim_leader(sim), emptied = leader % 3 + 1, behind = emptied % 3 + 1;
    raft_term term = sim_server(sim, leader)->current_term;
    struct caller *caller = caller_open(sim, leader);
    sim_isolate(sim, behind);
    cr_assert_str_eq(caller_ask(caller, "INCR a"), "1");
    caller_close(caller);
    sim_kill(sim, emptied);
    sim_kill(sim, leader);
    sim_disk_empty(sim, emptied);
    sim_machine(sim, emptied)->config.rejoin_empty = rejoin;
    sim_restart(sim, emptied);
    sim_heal(sim);
    sim_run_us(sim, 30 * SECOND);
    cr_assert_eq(sim_leader(sim), NO_ONE, "nobody can be elected");
    cr_assert_eq(sim_server(sim, behind)->current_term, term, "or would have been");

    sim_restart(sim, leader);
    cr_assert(sim_run_until_leader(sim, 10 * SECOND));
    cr_assert_eq(sim_leader(sim), leader, "nobody else has it");
    cr_assert_eq(served_count(sim, "a"), 1);
    sim_run_us(sim, 5 * SECOND);

    /* With what came back it is a majority, or not. */
    sim_kill(sim, behind);
    sim_run_us(sim, SECOND);
    caller = caller_open(sim, leader);
    const char *answer = caller_ask(caller, "INCR a");
    if (rejoin)
        cr_assert_str_eq(answer, "2");
    else
        cr_assert(is_clusterdown(answer) || is_uncertain(answer), "%s", answer);
    caller_close(caller);
    sim_free(sim);
}

Test(storage, a_folder_that_came_back_empty_votes_away_nothing_that_it_had_acknowledged, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= 5; seed++)
        lose_folder(seed, false);
}

Test(storage, one_that_may_rejoin_votes_away_nothing_either_and_counts_again_when_the_leader_lets_it, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= 5; seed++)
        lose_folder(seed, true);
}
