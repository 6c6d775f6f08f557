/* route.h - the way from this node's clients to the leader: this node itself, or a member that it follows and that it
 * reaches over bulk connections both ways.
 *
 * Each way has a number, the view. Whoever asks for something names the view that it knows, and is refused where that
 * is not the present one: so what one client asks for goes to one leader at a time, in order, although the way may
 * change between any two letters. The watcher (node.h) is told each change. */
#ifndef RAFT_ROUTE_H
#define RAFT_ROUTE_H

#include "raft/server.h"

/* Looks whether the way has changed, and tells the watcher. Before each wait for mail. */
void route_look(struct server *server);

/* LETTER_STATUS_WANTED. */
void route_tell(struct server *server);

/* The leader has refused what came over the present way: there will be another. */
void route_refused(struct server *server);

bool way_is_same(const struct way *left, const struct way *right);

/* Whether we lead, and take what clients want. */
bool route_may_lead(const struct server *server);

/* The same for what a member has forwarded. It knows that the cluster is born; a new leader may learn it later, although
 * its log tells of it. */
bool route_may_lead_others(const struct server *server);

/* Whether server->letter, which names a view, may go where it wants to: into our log, or to the leader that we follow. */
bool route_leads_here(const struct server *server);
bool route_leads_on(const struct server *server);

/* Tells a proposer that what it asked for was not executed, and who else leads. */
void route_refuse(const struct server *server, const struct proposer *proposer);

#endif
