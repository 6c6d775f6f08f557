#include "sim/users.h"

#include <string.h>

#include "check.h"

#define SECOND 1000000

static struct sim *sim;
static struct users *users;

static void begin(void)
{
    sim = sim_new(7);
    sim_serve(sim, SECOND);
    sim_add_cluster(sim, 3);
    cr_assert(sim_run_until_leader(sim, 10 * SECOND));
    users = users_new(sim, 5, 3, 5 * SECOND);
    sim_run_us(sim, SECOND);
}

static void end(void)
{
    users_free(users);
    sim_free(sim);
}

TestSuite(users, .init = begin, .fini = end, .timeout = 60);

static void call_often(int times)
{
    while (times-- > 0) {
        users_call(users);
        sim_run_us(sim, 2000);
    }
    sim_run_us(sim, 2 * SECOND);
}

Test(users, get_answers_that_can_be_so_from_nodes_that_are_well)
{
    struct users_unanswered none = {0}, unanswered;

    call_often(500);
    cr_assert(users_are_answered(users));
    unanswered = users_unanswered(users);
    cr_assert_arr_eq(&unanswered, &none, sizeof none);
    cr_assert_gt(history_count(users_history(users)), 500u);
    cr_assert(history_check(users_history(users), sim_now_us(sim)));
}

Test(users, come_back_when_their_node_dies_and_some_calls_are_lost)
{
    for (int round = 0; round < 10; round++) {
        raft_id id = 1 + round % 3;

        for (int i = 0; i < 20; i++)
            users_call(users);
        sim_run_us(sim, 1000);
        sim_kill(sim, id);
        sim_restart(sim, id);
        call_often(50);
    }
    cr_assert(users_are_answered(users));
    cr_assert_gt(users_unanswered(users).lost, 0u);
    cr_assert(history_check(users_history(users), sim_now_us(sim)));
}

Test(users, are_told_that_nothing_was_done_where_nobody_leads)
{
    sim_kill(sim, 1);
    sim_kill(sim, 2);
    sim_run_us(sim, 2 * SECOND);
    call_often(50);
    cr_assert_gt(users_unanswered(users).refused, 0u);
}

Test(users, give_up_on_a_node_that_says_nothing)
{
    for (raft_id id = 1; id <= 3; id++)
        sim_pause(sim, id);
    call_often(50);
    sim_run_us(sim, 6 * SECOND);
    cr_assert_gt(users_unanswered(users).gave_up, 0u);
    cr_assert(users_are_answered(users), "they wait for nothing any more");
}

Test(users, that_hang_up_lose_what_they_waited_for)
{
    for (int i = 0; i < 20; i++)
        users_call(users);
    for (int i = 0; i < 50; i++)
        users_break(users);
    sim_run_us(sim, SECOND);
    cr_assert_gt(users_unanswered(users).lost, 0u);
    call_often(50);
    cr_assert(history_check(users_history(users), sim_now_us(sim)));
}

static bool two_lead(struct sim *of, void *context)
{
    (void)of, (void)context;
    return users_see_two_leaders(users);
}

Test(users, only_read_at_a_leader_that_has_been_deposed_and_does_not_know_it)
{
    raft_id id = sim_leader(sim);

    cr_assert_not(users_see_two_leaders(users));
    sim_isolate(sim, id);
    cr_assert(sim_run_until(sim, SECOND, two_lead, NULL));
    while (users_see_two_leaders(users)) {
        users_call(users);
        sim_run_us(sim, 1000);
    }
    cr_assert_not(users_are_answered(users));
    sim_run_us(sim, SECOND);
    sim_heal(sim);
    sim_run_us(sim, 2 * SECOND);
    cr_assert(users_are_answered(users));
    cr_assert_eq(users_unanswered(users).uncertain, 0u); /* as a write there would be */
    cr_assert(history_check(users_history(users), sim_now_us(sim)));
}

Test(users, read_every_key_at_every_node_but_those_left_out)
{
    const bool left_out[3] = {false, true, false};
    size_t before;

    call_often(100);
    before = history_count(users_history(users));
    users_read_all(users, left_out);
    cr_assert_not(users_are_answered(users));
    sim_run_us(sim, SECOND);
    cr_assert(users_are_answered(users));
    cr_assert_eq((history_count(users_history(users)) - before) % 2, 0u);
    cr_assert_geq(history_count(users_history(users)) - before, 2u * 3 * STORE_KEYS);
    cr_assert(history_check(users_history(users), sim_now_us(sim)));
}

Test(users, ask_each_node_that_is_not_left_out_and_are_served)
{
    const bool left_out[MEMBERS_MAX] = {true};
    uint64_t served = users_served(users);

    sim_kill(sim, 1);
    cr_assert(sim_run_until_leader(sim, 10 * SECOND));
    sim_run_us(sim, SECOND);
    for (int i = 0; i < 20; i++)
        cr_assert_eq(users_call_all(users, left_out), 2);
    sim_run_us(sim, SECOND);
    cr_assert(users_are_answered(users));
    cr_assert_eq(users_served(users), served + 40);
    cr_assert(history_check(users_history(users), sim_now_us(sim)));
}
