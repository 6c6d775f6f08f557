/* The simulated network and the lives of nodes on it. */
#include "check.h"

#include "sim/sim.h"

#define SECOND 1000000

static struct sim *cluster(int count)
{
    struct sim *sim = sim_new(7);

    sim_log_keep(sim);
    sim_add_cluster(sim, count);
    cr_assert(sim_run_until_leader(sim, 10 * SECOND));
    sim_run_us(sim, SECOND);
    return sim;
}

static raft_id other_than(raft_id id)
{
    return id == 1 ? 2 : 1;
}

Test(sim_network, a_leader_that_is_cut_off_is_replaced_and_its_return_deposes_nobody)
{
    struct sim *sim = cluster(5);
    raft_id old = sim_leader(sim), new;

    sim_isolate(sim, old);
    sim_run_us(sim, 2 * SECOND);
    new = sim_leader(sim);
    cr_assert_neq(new, NO_ONE);
    cr_assert_neq(new, old);
    sim_heal(sim);
    sim_run_us(sim, 5 * SECOND);
    cr_assert_eq(sim_leader(sim), new);
    cr_assert_eq(sim_server(sim, old)->leader_id, new);
    sim_free(sim);
}

Test(sim_network, a_leader_that_is_not_heard_is_replaced_though_it_hears_everybody)
{
    struct sim *sim = cluster(3);
    raft_id old = sim_leader(sim);

    for (raft_id id = 1; id <= 3; id++)
        sim_cut(sim, old, id);
    sim_run_us(sim, 2 * SECOND);
    cr_assert_neq(sim_leader(sim), NO_ONE);
    cr_assert_neq(sim_leader(sim), old);
    sim_free(sim);
}

Test(sim_network, four_nodes_cut_in_halves_have_no_leader)
{
    struct sim *sim = cluster(4);

    for (raft_id id = 1; id <= 2; id++)
        for (raft_id other = 3; other <= 4; other++) {
            sim_cut(sim, id, other);
            sim_cut(sim, other, id);
        }
    sim_run_us(sim, 5 * SECOND);
    for (raft_id id = 1; id <= 4; id++)
        cr_assert_neq(sim_server(sim, id)->role, LEADER);
    sim_heal(sim);
    cr_assert(sim_run_until_leader(sim, 6 * SECOND));
    sim_free(sim);
}

Test(sim_network, followers_of_a_leader_that_dies_learn_it_at_once)
{
    struct sim *sim = cluster(3);
    raft_id old = sim_leader(sim);

    sim_kill(sim, old);
    cr_assert(sim_run_until_leader(sim, 100000), "long before the shortest timeout");
    cr_assert(sim_log_has(sim, sim_leader(sim), "closed its connection"));
    sim_free(sim);
}

Test(sim_network, followers_of_a_leader_that_loses_its_power_wait_for_their_timeouts)
{
    struct sim *sim = cluster(3);
    raft_id old = sim_leader(sim);

    sim_power_cut(sim, old);
    cr_assert_not(sim_run_until_leader(sim, 99000), "the shortest timeout has not passed");
    cr_assert(sim_run_until_leader(sim, 2 * SECOND));
    cr_assert_not(sim_log_has(sim, sim_leader(sim), "closed its connection"));
    sim_restart(sim, old);
    sim_run_us(sim, SECOND);
    cr_assert_eq(sim_server(sim, old)->leader_id, sim_leader(sim));
    sim_free(sim);
}

Test(sim_network, a_connection_that_breaks_under_a_living_leader_deposes_nobody)
{
    struct sim *sim = cluster(3);
    raft_id leader = sim_leader(sim), follower = other_than(leader);

    sim_break_connection(sim, leader, follower);
    sim_run_us(sim, 5 * SECOND);
    cr_assert(sim_log_has(sim, follower, "closed its connection"));
    cr_assert_eq(sim_leader(sim), leader);
    cr_assert_eq(sim_log_count(sim, leader, "Leader!"), 1);
    sim_free(sim);
}

Test(sim_network, mail_of_a_paused_node_waits_for_it)
{
    struct sim *sim = cluster(3);
    raft_id leader = sim_leader(sim), follower = other_than(leader);

    sim_pause(sim, follower);
    sim_run_us(sim, 2 * SECOND);
    sim_resume(sim, follower);
    sim_run_us(sim, 2 * SECOND);
    cr_assert_eq(sim_leader(sim), leader, "its heartbeats were read before the follower could stand");
    cr_assert_not(sim_log_has(sim, follower, "heard 2"), "it did not stand");
    sim_free(sim);
}

Test(sim_network, a_leader_that_stops_hands_over_and_ends_well)
{
    struct sim *sim = cluster(3);
    raft_id old = sim_leader(sim);
    struct mailraft_error err;

    sim_stop(sim, old);
    sim_run_us(sim, SECOND);
    cr_assert_not(sim_lives(sim, old));
    cr_assert(sim_ended_well(sim, old, &err));
    cr_assert(sim_log_has(sim, sim_leader(sim), "hands over"));
    sim_free(sim);
}

Test(sim_network, a_stop_ends_a_node_whose_disk_hangs)
{
    struct sim *sim = cluster(3);
    raft_id leader = sim_leader(sim), follower = other_than(leader);

    sim_disk_hang(sim, follower, true);
    sim_kill(sim, leader); /* the next election needs the disk */
    sim_run_us(sim, SECOND);
    sim_stop(sim, follower);
    sim_run_us(sim, SECOND);
    cr_assert_not(sim_lives(sim, follower));
    cr_assert(sim_ended_well(sim, follower, NULL));
    sim_free(sim);
}

Test(sim_network, a_node_whose_sync_fails_ends_and_says_why)
{
    struct sim *sim = cluster(3);
    raft_id leader = sim_leader(sim), follower = other_than(leader);
    struct mailraft_error err;

    sim_disk_fail_sync(sim, follower);
    sim_kill(sim, leader);
    sim_run_us(sim, 2 * SECOND);
    cr_assert_not(sim_lives(sim, follower));
    cr_assert_not(sim_ended_well(sim, follower, &err));
    cr_assert(error_is(&err, &STORAGE_ERROR));
    sim_free(sim);
}
