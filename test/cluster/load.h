/* load.h - clients that write whatever happens to nodes, and keep account of what they were told.
 *
 * Each sets keys, one after the other and each once, reads them back, and adds to a counter of its own. Where its
 * connection breaks it goes on at the next node. What was acknowledged must be there afterwards, each key with its
 * value, and what was certainly not executed (-CLUSTERDOWN) must not. A counter's next value shows what became of what
 * nobody knew (-UNCERTAIN): it was done once, or never. Only what was on its way when a connection broke may come later.
 *
 * Threads:   one a client. All calls come from the test's; the clients fail nothing themselves: load_end does. */
#ifndef CLUSTER_LOAD_H
#define CLUSTER_LOAD_H

#include "cluster/cluster.h"

struct load;

struct load *load_start(struct cluster *cluster, int clients); /* they begin at different nodes */
/* Waits until each client has had so many more additions acknowledged. */
void load_await(struct load *load, long additions);
/* Ends it, and asks a node whether all is as it must be. */
void load_end(struct load *load, int id);

#endif
