/* served.h - a cluster that serves, as scenarios begin with one: born, with a leader whom all follow. */
#ifndef SCENARIOS_SERVED_H
#define SCENARIOS_SERVED_H

#include "sim/sim.h"

#define MS     1000 /* microseconds a millisecond */
#define SECOND 1000000

/* Nodes 1 to count, with the key-value service, which holds commands for want of a leader or of an answer for a second,
 * or for so long. */
struct sim *served_cluster(uint64_t seed, int count);
struct sim *served_cluster_patient(uint64_t seed, int count, int64_t client_timeout_us);

int64_t sim_draw_us(struct sim *sim, int64_t below_us); /* from the seed */

/* Lets time pass until the newest leader leads all who live, and has told them how far it has committed. */
void served_settle(struct sim *sim);
/* Until a node knows of a later commit than now. */
bool served_run_until_committed_further(struct sim *sim, raft_id id);

/* The value of a key that counts, once all nodes that live have told the same of it; 0: there is none. */
long served_count(struct sim *sim, const char *key);

#endif
