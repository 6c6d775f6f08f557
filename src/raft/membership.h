/* membership.h - who belongs to the cluster, and whose word counts.
 *
 * Birth:     nodes without a past elect by an ordinary majority. The first leader proposes entry 1, of kind CONFIG: the
 *            cluster's uuid, the members, and the data ids of those it has met. Until it is committed nothing else is
 *            proposed, but for a later leader's no-op. Whoever learns that it is committed writes the uuid into its
 *            identity. A member that turns up later for the first time gets its data id by a further CONFIG.
 * Counting:  from the first CONFIG on, votes and acknowledgements count only from the data ids that the newest CONFIG
 *            of whoever counts lists.
 * Outsider:  a node whose newest CONFIG does not list its data id (no CONFIG lists nobody), and that is connected to
 *            one with a uuid: its folder came back empty, or it has never been met. It does not stand, and grants only
 *            where the request names its own data id: so it never votes away what it forgot.
 * Return:    a node that was started with --rejoin-empty is taken back: the leader takes the old data id out and, when
 *            that is committed in its own term, the new one in. One CONFIG at a time. */
#ifndef RAFT_MEMBERSHIP_H
#define RAFT_MEMBERSHIP_H

#include "raft/server.h"

/* Whether a member's votes and acknowledgements count, by its position in config.members (ours included). */
bool membership_counts(const struct server *server, int position);

/* Whether a set of members that count (one bit a position) is a quorum. */
bool membership_is_quorum(const struct server *server, uint32_t set);

#define MEMBERSHIP_NO_QUORUM (INT64_MIN / 4)

/* The value that a quorum of members that count has reached or passed; MEMBERSHIP_NO_QUORUM where too few of them
 * count. values: one a member, by position. */
int64_t membership_quorum_reached(const struct server *server, const int64_t *values);

/* The data id that the newest CONFIG lists for a member; zeros: none. */
struct data_id membership_data_id(const struct server *server, int position);

bool membership_is_outsider(const struct server *server);

/* Whether the cluster is born as far as we know: entry 1 is committed, now or in an earlier life. */
bool membership_is_born(const struct server *server);

/* The log has changed: its newest CONFIG is what counts. */
void membership_adopt(struct server *server);

/* The commit index has grown: writes down a uuid that is certain now. */
void membership_committed(struct server *server);

/* A connection or the CONFIG has changed: tells the operator when our own folder is the one that is new. */
void membership_watch(struct server *server);

/* A leader's entry 1. */
void membership_give_birth(struct server *server);

/* A leader proposes the next CONFIG where one is due. */
void membership_tend(struct server *server);

#endif
