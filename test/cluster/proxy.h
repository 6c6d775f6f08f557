/* proxy.h - wires between nodes that a test can cut: each node reaches each other one through a port of the proxy.
 *
 * A wire that is cut carries nothing and closes nothing, like a network that loses all packets: no end learns of it.
 * What was on its way comes through when it is whole again.
 *
 * Connections can vanish, too: then the host at their other end seems to be gone without a word. No packet of it comes any
 * more, not even an acknowledgement or a reset. New ones can be opened.
 *
 * Threads:   one of its own carries the bytes; cut and mend from the test's. */
#ifndef CLUSTER_PROXY_H
#define CLUSTER_PROXY_H

#include "cluster/cluster.h"

struct proxy;

/* Puts a proxy between all nodes of a cluster that has not been started, by writing their configs anew. */
struct proxy *proxy_start(struct cluster *cluster, const char *settings);
void proxy_cut(struct proxy *proxy, int id, int other);  /* both directions */
void proxy_mend(struct proxy *proxy, int id, int other);
void proxy_isolate(struct proxy *proxy, int id, bool isolated); /* from all others */
void proxy_vanish(struct proxy *proxy, int id, int other); /* all connections that there are between the two */
void proxy_slow(struct proxy *proxy, int id, bool slow);   /* what it sends and gets comes at a byte a second */
void proxy_stop(struct proxy *proxy);

#endif
