/* That the checker finds what it is there for: each violation is made on purpose, and must end the process. */
#include "check.h"

#include <signal.h>

#include "base/log.h"
#include "base/memory.h"
#include "sim/world.h"
#include "storage/ballot.h"

#define SECOND 1000000

static struct sim *cluster(void)
{
    struct sim *sim = sim_new(3);

    sim_add_cluster(sim, 3);
    cr_assert(sim_run_until_leader(sim, 10 * SECOND));
    sim_run_us(sim, SECOND);
    return sim;
}

static raft_id follower(struct sim *sim)
{
    return sim_leader(sim) == 1 ? 2 : 1;
}

Test(checker, a_second_leader_of_one_term_is_found, .signal = SIGABRT)
{
    struct sim *sim = cluster();
    raft_term term = sim_server(sim, follower(sim))->current_term;

    log_set_state(sim_log(sim, follower(sim)), term, ROLE_NAMES[LEADER]);
}

Test(checker, a_term_that_is_not_durable_is_found, .signal = SIGABRT)
{
    struct sim *sim = cluster();
    raft_term term = sim_server(sim, follower(sim))->current_term;

    log_set_state(sim_log(sim, follower(sim)), term + 1, ROLE_NAMES[FOLLOWER]);
}

Test(checker, a_vote_that_is_told_before_it_is_durable_is_found, .signal = SIGABRT)
{
    struct sim *sim = cluster();
    struct server *server = sim_server(sim, follower(sim)); /* chose the leader */
    raft_id third = 6 - server->config.id - sim_leader(sim);
    struct message answer = {.type_of_message = RESPONSE_VOTE,
                             .curr_term = server->current_term,
                             .server_id = server->config.id,
                             .vote_granted = true};

    mailbox_send(server->mailbox, third, CHANNEL_URGENT, &answer, NULL, true);
}

Test(checker, a_vote_that_is_forgotten_in_memory_alone_is_found, .signal = SIGABRT)
{
    struct sim *sim = cluster();

    sim_server(sim, follower(sim))->voted_for = NO_ONE;
    sim_run_us(sim, SECOND);
}

/* The ballots as they were before anybody voted, in the place of those with the votes. */
Test(checker, a_leader_whose_votes_are_lost_afterwards_is_found, .signal = SIGABRT)
{
    struct sim *sim = sim_new(3);
    char old[BALLOT_FILE_BYTES];

    sim_add_cluster(sim, 3);
    sim_settle(sim);
    sim_disk_read(sim, 1, SIM_DATA_DIR "/ballot", 0, old, sizeof old);
    cr_assert(sim_run_until_leader(sim, 10 * SECOND));
    sim_run_us(sim, SECOND);
    for (raft_id id = 1; id <= 3; id++)
        if (id != sim_leader(sim))
            sim_disk_put(sim, id, SIM_DATA_DIR "/ballot", 0, old, sizeof old);
    sim_run_us(sim, SECOND);
}

/* A server that knows a term which its disk does not hold says so in its next message. */
Test(checker, a_message_of_a_term_that_is_not_durable_is_found, .signal = SIGABRT)
{
    struct sim *sim = cluster();

    sim_server(sim, sim_leader(sim))->current_term++;
    sim_run_us(sim, SECOND);
}

Test(checker, a_ballot_that_goes_back_is_found, .signal = SIGABRT)
{
    struct sim *sim = cluster();
    raft_id id = follower(sim);
    char old[8192];

    sim_disk_read(sim, id, SIM_DATA_DIR "/ballot", 0, old, sizeof old);
    sim_kill(sim, sim_leader(sim));
    sim_run_us(sim, 2 * SECOND);
    sim_kill(sim, id);
    sim_disk_put(sim, id, SIM_DATA_DIR "/ballot", 0, old, sizeof old);
    sim_restart(sim, id);
}

static void forget_something(void *context)
{
    (void)context;
    memory_new(1);
}

Test(checker, memory_that_a_life_leaves_behind_is_found, .signal = SIGABRT)
{
    struct sim *sim = sim_new(1);

    sim_add_machine(sim, 1);
    sim_run_on(sim, 1, forget_something, NULL);
}

/* The lines of a log and the state of a server are told only where all is well: nothing of the above happens by itself.
 * */
Test(checker, a_cluster_that_is_left_alone_violates_nothing)
{
    struct sim *sim = cluster();

    sim_run_us(sim, 10 * SECOND);
    sim_free(sim);
}

Test(checker, a_node_that_takes_too_much_memory_is_found, .signal = SIGABRT)
{
    struct sim *sim = cluster();

    sim->life_bytes_max = 1000;
    sim_run_us(sim, SECOND);
}
