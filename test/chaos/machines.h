/* machines.h - the machines that nodes run on: their processes and disks, and what goes wrong with those.
 *
 * Every fault is counted, as in wires.h: a node is started again when nothing holds it down any more, goes on when
 * nothing pauses it, and so on.
 *
 * Disks:  each is a tmpfs of its own. One that is full has no byte more than it holds.
 * Bad:    a machine that is so lets no sync return, or is slow with each, or its kernel does little at once, as was
 *         drawn when the node was started (preload.c).
 * Ends:   a node may end by a signal that it was sent, with 0 when it was told to stop, and with 4 when its disk was
 *         full; whatever else ends it fails the run, and so does what a sanitizer reports. */
#ifndef CHAOS_MACHINES_H
#define CHAOS_MACHINES_H

#include <stdbool.h>
#include <stdint.h>

#include "cluster/cluster.h"

struct chaos;

struct machine {
    int held_down, paused, full, bad;            /* faults that make it so */
    bool was_killed, was_told_to_stop, was_full; /* in this life */
    uint64_t lives;                              /* that it has had */
    const char *trouble;                         /* what it has when it is bad: PRELOAD_TROUBLE */
    int64_t stop_by_ms;                          /* it was told to: it must have ended by then */
    int64_t start_at_ms;                         /* not before */
    size_t printed_before;                       /* bytes of its state log that were there when it was started */
    size_t errors_seen;                          /* bytes of its standard error that have been looked at */
    char disk[CLUSTER_PATH_MAX], armed[CLUSTER_PATH_MAX];
};

void machines_begin(struct chaos *chaos); /* makes the disks, and starts all */
void machines_keep(struct chaos *chaos);  /* takes note of ends, and starts whoever is to run */
void machines_stop(struct chaos *chaos);  /* all, in order; with status 0 */
void machines_end(struct chaos *chaos);   /* their disks are gone */

/* nodes: a bit each, bit N for node N. */
void machines_kill(struct chaos *chaos, unsigned nodes); /* at once, SIGKILL; they are held down */
void machines_release(struct chaos *chaos, unsigned nodes);
void machine_stop(struct chaos *chaos,
                  int id); /* SIGTERM, once it has said a word; it starts again when it has ended */
void machine_pause(struct chaos *chaos, int id, int by);
void machine_fill(struct chaos *chaos, int id, int by);
void machine_spoil(struct chaos *chaos, int id, int by);

bool machine_runs(struct chaos *chaos, int id);

#endif
