/* counting.h - a cluster of three whose counters have counted to 6, for tests of the simulator's checks. They look
 * behind its door (sim/world.h), since what they make does not happen. */
#ifndef TEST_COUNTING_H
#define TEST_COUNTING_H

#include "check.h"
#include "sim/world.h"

#define SECOND 1000000

struct sim *counting_cluster(void); /* "add 1" to "add 3" are committed; all have applied them */
void counting_propose(struct sim *sim, raft_id id); /* the next one */

struct machine *counting_leader(struct sim *sim);
struct machine *counting_follower(struct sim *sim);
struct server *counting_server(struct sim *sim, const struct machine *machine);

/* A copy of a machine's server, to be changed and shown to the checker; the caller frees it. */
struct server *counting_fake(struct sim *sim, const struct machine *machine);

/* A leader that nobody hears, with an entry that it alone has, while the others have committed others in its place
 * under a new leader. */
struct machine *counting_left_behind(struct sim *sim);

#endif
