#include "counting.h"

#include <stdio.h>
#include <stdlib.h>

void counting_propose(struct sim *sim, raft_id id)
{
    char request[40];

    snprintf(request, sizeof request, "add %zu", sim->proposal_count + 1);
    cr_assert(sim_propose(sim, id, request));
}

struct sim *counting_cluster(void)
{
    struct sim *sim = sim_new(3);

    sim_count(sim);
    sim->telling = true;
    sim_add_cluster(sim, 3);
    cr_assert(sim_run_until_leader(sim, 10 * SECOND));
    sim_run_us(sim, SECOND);
    for (int i = 0; i < 3; i++)
        counting_propose(sim, sim_leader(sim));
    sim_run_us(sim, SECOND);
    for (raft_id id = 1; id <= 3; id++)
        cr_assert_eq(sim_counter(sim, id)->value, 6);
    return sim;
}

struct machine *counting_leader(struct sim *sim)
{
    return sim_machine(sim, sim_leader(sim));
}

struct machine *counting_follower(struct sim *sim)
{
    return sim_machine(sim, sim_leader(sim) == 1 ? 2 : 1);
}

struct server *counting_server(struct sim *sim, const struct machine *machine)
{
    return sim_server(sim, machine->id);
}

struct server *counting_fake(struct sim *sim, const struct machine *machine)
{
    struct server *fake = malloc(sizeof *fake);

    *fake = *counting_server(sim, machine);
    return fake;
}

struct machine *counting_left_behind(struct sim *sim)
{
    struct machine *old = counting_leader(sim);

    sim_isolate(sim, old->id);
    counting_propose(sim, old->id);
    sim_run_us(sim, 2 * SECOND);
    cr_assert_neq(sim_leader(sim), old->id);
    counting_propose(sim, sim_leader(sim));
    sim_run_us(sim, SECOND);
    return old;
}
