/* relays.h - a relay at each node, through which that node reaches all others (mailraft-relay, which MAILRAFT_RELAY
 * names): it delays and stalls what is said over connections, which the wires cannot.
 *
 * The relays are where their nodes are, so that all that goes wrong with the wires does, as it would without them. They
 * outlive their nodes. */
#ifndef CHAOS_RELAYS_H
#define CHAOS_RELAYS_H

#include "chaos/sandbox.h"
#include "cluster/cluster.h"

struct relays;

struct relays *relays_new(const struct sandbox *sandbox, const struct cluster *cluster);
void relays_free(struct relays *relays); /* NULL is fine */

/* Where a node finds another one: in its config, at the other's own port. */
const char *relays_host(int other);

void relays_delay(struct relays *relays, int from, int to, int ms, int jitter_ms); /* 0, 0: no longer */
void relays_stall(struct relays *relays, int from, int to, bool stalled);

#endif
