/* crowd.h - clients that ask all nodes for all kinds of things, whatever happens, and keep account of it.
 *
 * What they ask of keys that they share is a history (sim/history.h), which must be linearizable. Beside that each has
 * keys of its own: one that it only counts up, and many that it sets once. Of those every acknowledged write must be
 * there for as long as the run lasts, every refused one not, and of the others each may have been done once.
 *
 * Each has a connection to one node (hiredis), over which it sends several commands at once; it opens another one, to
 * any node, where that breaks or where it has lost its patience. Whoever is cut off without hearing of it waits that
 * long.
 *
 * Threads:  one for all clients, between crowd_start and crowd_rest; the rest is for when that is over, but for
 *           crowd_failure and crowd_writes.
 * Failure:  an answer that cannot be is kept for crowd_failure. */
#ifndef CHAOS_CROWD_H
#define CHAOS_CROWD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cluster/cluster.h"

struct crowd;

/* slowness: how many times longer than elsewhere they have patience. */
struct crowd *crowd_new(const struct cluster *cluster, uint64_t seed, int slowness);
void crowd_free(struct crowd *crowd);

void crowd_start(struct crowd *crowd);
void crowd_rest(struct crowd *crowd); /* they ask no more, and wait for what they have asked */

const char *crowd_failure(struct crowd *crowd);  /* what is wrong; NULL: nothing */
unsigned long crowd_writes(struct crowd *crowd); /* acknowledged so far */

/* Reads all keys through a node. False: it was not answered all the time; read again. */
bool crowd_read(struct crowd *crowd, int id);
/* Whether all that was asked and answered can be so; what not is told on stderr. */
bool crowd_check(struct crowd *crowd);
void crowd_write_history(struct crowd *crowd, FILE *out); /* also of one that has not come to rest */

struct crowd_sums {
    unsigned long calls, acknowledged, refused, uncertain, broken, given_up;
    unsigned long connections;
    int64_t longest_gap_us; /* without an acknowledged write */
};
struct crowd_sums crowd_sums(const struct crowd *crowd); /* of what came before it came to rest */

#endif
