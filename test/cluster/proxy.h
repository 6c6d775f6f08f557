/* proxy.h - a relay between nodes, as a test orders it: mailraft-relay (src/relay/), which MAILRAFT_RELAY names. Each
 * node reaches each other one through a port of the relay.
 *
 * Threads:   all from the test's. Deadlines: an order that is not answered for PROCESS_WAIT_MS fails the test. */
#ifndef CLUSTER_PROXY_H
#define CLUSTER_PROXY_H

#include "cluster/cluster.h"

struct proxy;

/* Puts a relay between all nodes of a cluster that has not been started, by writing their configs anew. */
struct proxy *proxy_start(struct cluster *cluster, const char *settings);

/* Any order that the relay takes (src/relay/orders.h). One that it refuses fails the test. */
__attribute__((format(printf, 2, 3))) void proxy_order(struct proxy *proxy, const char *format, ...);

/* A cut carries nothing and closes nothing, like a network that loses all packets: no end learns of it. What was on its
 * way comes through when it is whole again. */
void proxy_cut(struct proxy *proxy, int id, int other); /* both directions */
void proxy_mend(struct proxy *proxy, int id, int other);
void proxy_isolate(struct proxy *proxy, int id, bool isolated); /* from all others */
void proxy_vanish(struct proxy *proxy, int id, int other);      /* all connections that there are between the two */
void proxy_slow(struct proxy *proxy, int id, bool slow);        /* what it says and hears comes at a byte a second */
void proxy_stop(struct proxy *proxy);

#endif
