/* stage.h - one real node, alone on a stage where the test plays all its peers: what raft's tests have in common. The
 * node is member 1 of so many; its disk, clock and network are the simulator's, and the network delivers nothing by
 * itself. */
#ifndef TEST_STAGE_H
#define TEST_STAGE_H

#include "check.h"
#include "sim/sim.h"

#define US 1000 /* microseconds a millisecond */

/* A node that has started, as a follower in term 0. */
struct sim *stage_open(int count);
struct sim *stage_open_with(struct node_config *config);
/* One that has restarted with so many entries of a term, which is its term too. */
struct sim *stage_open_with_log(int count, raft_index entries, raft_term term);
void stage_close(struct sim *sim);

struct server *stage_server(struct sim *sim);

/* Brings the node into a role by mail: a follower of member 2 in term 1; a candidate that asks for pre-votes in term
 * 0; one that asks for votes in term 1; the leader of term 1, whose entry 1, the CONFIG of all, every peer has. What it
 * sent on the way is forgotten. */
void stage_follower(struct sim *sim);
void stage_pre_candidate(struct sim *sim);
void stage_candidate(struct sim *sim);
void stage_leader(struct sim *sim);

/* Messages of a peer with an empty log. */
struct message stage_message(enum message_type type, raft_id from, raft_term term);
/* A peer's answer to what the node asked in its present round. */
struct message stage_vote(struct sim *sim, enum message_type type, raft_id from, raft_term term, bool granted);

/* Entries first to last of a term, commands without content, for stage_append. */
struct batch *stage_entries(raft_index first, raft_index last, raft_term term);
/* A leader's message with entries, after which the node settles. Takes the batch. */
void stage_append(struct sim *sim, struct message request, struct batch *entries);

/* A peer has durable, and like this leader's log, up to match_index: the answer to entries. */
void stage_acknowledge(struct sim *sim, raft_id from, raft_term term, raft_index match_index);

void stage_deliver(struct sim *sim, enum message_type type, raft_id from, raft_term term);

/* Over a connection that no other member has opened. */
void stage_deliver_of_stranger(struct sim *sim, const struct message *message);

/* The next message to a peer, which must be of this type. */
struct message stage_expect(struct sim *sim, raft_id to, enum message_type type);
void stage_expect_silence(struct sim *sim);

#endif
