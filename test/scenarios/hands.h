/* hands.h - hands on the network of a whole simulated cluster: single messages are lost on their way, or kept, so that
 * they come once more, later. All else that happens to the nodes is the simulator's, which checks all that it checks.
 *
 * Rules name a sender, a receiver and a kind of message; all rules that fit hold. One cluster at a time. */
#ifndef SCENARIOS_HANDS_H
#define SCENARIOS_HANDS_H

#include "check.h"
#include "sim/sim.h"

#define US     1000 /* microseconds a millisecond */
#define SECOND 1000000

#define ANYBODY 0

/* Beside the values of enum message_type. */
#define ANYTHING 0
#define ENTRIES  (-1) /* a REQUEST_APPEND_ENTRIES that has some */

/* A cluster that counts, with hands on its network; once it has a leader whom all follow. */
struct sim *hands_open(uint64_t seed, int count);
struct sim *hands_open_with(uint64_t seed, int count,
                            void (*change)(struct node_config *config)); /* before they start */
void hands_close(struct sim *sim);

/* From now on such messages are lost. */
void hands_lose(raft_id from, raft_id to, int kind);
void hands_lose_nothing(void); /* forgets all those rules */
int hands_lost(void);          /* messages, so far */
raft_id hands_last_lost_to(void);

/* From now on a copy of each such message is kept, whether it is lost or not. */
void hands_keep(raft_id from, raft_id to, int kind);
void hands_keep_nothing(void); /* forgets those rules; what was kept stays */
int hands_kept(void);
/* What was kept comes to its receivers that live, in the order in which it was sent, over the present connections of
 * its senders; then the cluster settles. It stays kept. */
void hands_deliver_kept(struct sim *sim);
/* One message of a node's peer, by hand. */
void hands_deliver(struct sim *sim, raft_id to, const struct message *message);
/* A message with entries of a leader's log, as that leader might have sent it. */
void hands_append(struct sim *sim, raft_id leader, raft_id to, raft_index first, raft_index last);

/* Lets one node be elected: nobody else's requests for votes arrive meanwhile. It must be able to. */
void hands_elect(struct sim *sim, raft_id id);

/* Proposes a request at the leader, and runs until it is answered as applied. */
void hands_write(struct sim *sim, raft_id leader, const char *request);

/* The next member, the first behind the last: of 5, 2 behind 4 is 1. */
raft_id hands_next(raft_id id, int steps, int count);

bool hands_all_follow(struct sim *sim, raft_id leader);       /* all that live, in its term */
bool hands_run_until_all_follow(struct sim *sim, int64_t us); /* some leader */
raft_term hands_term(struct sim *sim, raft_id id);
raft_index hands_last_index(struct sim *sim, raft_id id);

#endif
