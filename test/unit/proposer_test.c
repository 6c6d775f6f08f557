#include "check.h"

#include "sim/sim.h"

#define SECOND 1000000

static struct sim *cluster(void)
{
    struct sim *sim = sim_new(5);

    sim_count(sim);
    sim_add_cluster(sim, 3);
    cr_assert(sim_run_until_leader(sim, 10 * SECOND));
    sim_run_us(sim, SECOND);
    return sim;
}

Test(proposer, what_is_proposed_at_the_leader_is_applied_everywhere_and_answered)
{
    struct sim *sim = cluster();

    cr_assert(sim_propose(sim, sim_leader(sim), "add 5"));
    cr_assert(sim_propose(sim, sim_leader(sim), "add 7"));
    sim_run_us(sim, SECOND);
    for (raft_id id = 1; id <= 3; id++)
        cr_assert_eq(sim_counter(sim, id)->value, 12);
    cr_assert_eq(sim_outcomes(sim, OUTCOME_APPLIED), 2);
    cr_assert_eq(sim_not_answered(sim, sim_leader(sim)), 0);
    sim_free(sim);
}

Test(proposer, what_is_proposed_at_a_follower_is_not_executed)
{
    struct sim *sim = cluster();
    raft_id follower = sim_leader(sim) == 1 ? 2 : 1;

    cr_assert(sim_propose(sim, follower, "add 5"));
    sim_run_us(sim, SECOND);
    cr_assert_eq(sim_outcomes(sim, OUTCOME_NOT_EXECUTED), 1);
    cr_assert_eq(sim_counter(sim, follower)->value, 0);
    sim_free(sim);
}

Test(proposer, what_the_machine_refuses_is_answered_so)
{
    struct sim *sim = cluster();

    cr_assert(sim_propose(sim, sim_leader(sim), "multiply 2"));
    sim_run_us(sim, SECOND);
    cr_assert_eq(sim_outcomes(sim, OUTCOME_REFUSED), 1);
    sim_free(sim);
}

Test(proposer, a_counter_that_expires_returns_to_zero_by_itself)
{
    struct sim *sim = cluster();

    cr_assert(sim_propose(sim, sim_leader(sim), "add 5"));
    cr_assert(sim_propose(sim, sim_leader(sim), "expire 500"));
    sim_run_us(sim, 400000);
    cr_assert_eq(sim_counter(sim, 1)->value, 5);
    sim_run_us(sim, 400000);
    for (raft_id id = 1; id <= 3; id++)
        cr_assert_eq(sim_counter(sim, id)->value, 0);
    sim_free(sim);
}

Test(proposer, proposals_under_way_are_bounded)
{
    struct sim *sim = cluster();
    raft_id leader = sim_leader(sim);

    sim_isolate(sim, leader);
    while (sim_propose(sim, leader, "add 1"))
        cr_assert_lt(sim_not_answered(sim, leader), 1000);
    cr_assert_gt(sim_not_answered(sim, leader), 10);
    sim_free(sim);
}

Test(proposer, a_proposal_of_a_leader_that_loses_its_office_is_answered)
{
    struct sim *sim = cluster();
    raft_id leader = sim_leader(sim);

    sim_isolate(sim, leader);
    cr_assert(sim_propose(sim, leader, "add 5"));
    sim_run_us(sim, 2 * SECOND);
    sim_heal(sim);
    sim_run_us(sim, 2 * SECOND);
    cr_assert_eq(sim_not_answered(sim, leader), 0);
    cr_assert_eq(sim_outcomes(sim, OUTCOME_APPLIED), 0);
    sim_free(sim);
}

Test(proposer, nodes_that_do_not_count_have_no_client)
{
    struct sim *sim = sim_new(5);

    sim_add_cluster(sim, 1);
    sim_run_us(sim, SECOND);
    cr_assert_not(sim_propose(sim, 1, "add 1"));
    cr_assert_null(sim_counter(sim, 1));
    sim_free(sim);
}
