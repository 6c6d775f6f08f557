/* swarm.h - a run of a whole cluster under faults, all of it drawn from the seed: how many nodes, their timeouts, which
 * kinds of faults there are at all and how often. First everything goes wrong (faults.h), while clients want things of
 * all nodes, and the checker looks on. Then the faults end, in half of the runs only for some majority, while the
 * others stay dead or cut off: within 20 election timeouts one leader must be there whom all of them follow, and must
 * stay; within as many after the last wish their logs must be equal and applied, and every client answered; and what is
 * wanted then must be done. The same once more, when the others have come back: they depose nobody.
 *
 * In runs of odd seeds the machine is a counter, to which proposals go directly (proposer.c). In those of even seeds it
 * is the key-value service, whose clients speak RESP over cables (users.h); at the end every key is read at every node,
 * and all that clients were told must be linearizable. */
#ifndef SIM_SWARM_H
#define SIM_SWARM_H

#include <stdio.h>

#include "sim/plan.h"

struct swarm_result {
    uint64_t elections; /* leaders made */
    uint64_t commands;  /* committed */
    uint64_t calls;     /* of clients of the service, that were checked */
    int64_t simulated_us;
    uint64_t faults;        /* done */
    uint64_t faults_number; /* of the last one (faults.h) */
    bool kinds[FAULT_COUNT]; /* that there were */
};

/* trace: as sim_trace_to has it; NULL: none. A violation aborts the process (sim.h). */
struct swarm_result swarm_run(uint64_t seed, FILE *trace);
/* The same with some faults left out. While they happen, *result tells how far it has come. */
void swarm_run_plan(uint64_t seed, const struct plan *plan, FILE *trace, struct swarm_result *result);

/* Nothing but the leader dying, again and again, 100 to 500 ms after its election, on a network with a tenth of its
 * messages lost: what is measured. */
struct swarm_result swarm_run_failovers(uint64_t seed, int count, uint64_t elections);

#endif
