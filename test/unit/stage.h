/* stage.h - one real node, alone on a stage where the test plays all its peers: what raft's tests have in common. The
 * node is member 1 of so many; its disk, clock and network are the simulator's, and the network delivers nothing by
 * itself. */
#ifndef TEST_STAGE_H
#define TEST_STAGE_H

#include "check.h"
#include "counter.h"
#include "sim/sim.h"

#define US 1000 /* microseconds a millisecond */

/* A node that has started, as a follower in term 0; its machine is stage_counter, unless the config has another. */
struct sim *stage_open(int count);
struct sim *stage_open_with(struct node_config *config);
/* One that has restarted with so many entries of a term, which is its term too. */
struct sim *stage_open_with_log(int count, raft_index entries, raft_term term);
void stage_close(struct sim *sim);

struct server *stage_server(struct sim *sim);

/* Brings the node into a role by mail: a follower of member 2 in term 1; a candidate that asks for pre-votes in term
 * 0; one that asks for votes in term 1; the leader of term 1, all peers connected, whose entry 1, the CONFIG that lists
 * them, is on its way to them; one whose entry 1 all have acknowledged. What it sent on the way is forgotten. */
void stage_follower(struct sim *sim);
void stage_pre_candidate(struct sim *sim);
void stage_candidate(struct sim *sim);
void stage_unborn_leader(struct sim *sim);
void stage_leader(struct sim *sim);

/* All connections between the node and its peers open. */
void stage_meet_all(struct sim *sim);

/* Grants the node what it asks its peers for, until it leads: as many as that takes. */
void stage_elect(struct sim *sim);

/* Messages of a peer with an empty log. */
struct message stage_message(enum message_type type, raft_id from, raft_term term);
/* A REQUEST_VOTE of a peer whose log is like the node's. */
struct message stage_request_vote(struct sim *sim, raft_id from, raft_term term);
/* A peer's answer to what the node asked in its present round. */
struct message stage_vote(struct sim *sim, enum message_type type, raft_id from, raft_term term, bool granted);

/* A peer's answer to what the node sent it over its present connection of a channel: all up to match_index is durable
 * there; or it lacks the entry that the request named as the one before. */
struct message stage_acknowledgement(struct sim *sim, raft_id peer, enum channel channel, raft_index match_index);
struct message stage_rejection(struct sim *sim, raft_id peer, enum channel channel, raft_index rejected_index,
                               raft_term conflict_term, raft_index conflict_index);
void stage_acknowledge(struct sim *sim, raft_id peer, raft_term term, raft_index match_index); /* of entries */

/* ---- Proposals ---- */

extern struct counter stage_counter;
/* Its commands are whatever is proposed, of any size, and change nothing. */
extern const struct mailraft_machine stage_plain_machine;

/* Proposes a request at the node, which then settles. number: told with the answer. */
void stage_propose(struct sim *sim, uint64_t number, const void *request, size_t size);
void stage_propose_line(struct sim *sim, uint64_t number, const char *request);

/* The same by a client that knows the present way to the leader: a command; a query, behind every command before it or
 * not; on how many other members is an entry durable? */
void stage_ask_command(struct sim *sim, uint64_t number, const char *request);
void stage_ask_query(struct sim *sim, uint64_t number, const char *query, bool behind);
void stage_ask_count(struct sim *sim, uint64_t number, raft_index index);
/* Over a way of that number, whatever the present one is. */
void stage_ask_over(struct sim *sim, uint64_t view, enum letter_kind kind, uint64_t number, const char *request);

/* The next answer to a proposal or a query, as text: number, outcome, index, the machine's answer: "7 APPLIED 2 5"; NOT_EXECUTED
 * tells who may lead instead. "" where there is none. To be taken while the node lives. */
const char *stage_reply(struct sim *sim);

/* ---- Entries ---- */

/* The log, told as the terms of its entries: "112" is 1@1 2@1 3@2. */
const char *stage_log(struct sim *sim);
/* Commands without content of such terms, the first one at index first; the caller's. */
struct batch *stage_terms(raft_index first, const char *terms);

/* Entries first to last of a term, commands without content; the caller frees the batch. They belong to the test. */
struct batch *stage_entries(raft_index first, raft_index last, raft_term term);
/* A leader's message with entries, after which the node settles. Takes the batch. */
void stage_append(struct sim *sim, struct message request, struct batch *entries);

void stage_deliver(struct sim *sim, enum message_type type, raft_id from, raft_term term);

/* Over a connection that no other member has opened. */
void stage_deliver_of_stranger(struct sim *sim, const struct message *message);

/* The next message with entries to a peer, whatever heartbeats left before it, or none. */
struct message stage_expect_append(struct sim *sim, raft_id to);
void stage_expect_no_append(struct sim *sim, raft_id to);

/* The next message to a peer, which must be of this type. */
struct message stage_expect(struct sim *sim, raft_id to, enum message_type type);
void stage_expect_silence(struct sim *sim);

#endif
