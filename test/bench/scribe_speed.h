/* scribe_speed.h - how fast entries become durable through the scribe and its files alone, beside a bare loop that
 * writes and syncs as much (floor_file.h). The two take turns, a short slice each, so that what else happens on the
 * machine happens to both. */
#ifndef BENCH_SCRIBE_SPEED_H
#define BENCH_SCRIBE_SPEED_H

#include <stdbool.h>

#include "bench.h"
#include "figures.h"

#define SCRIBE_PAYLOAD_BYTES 256 /* of an entry, which has a head of ENTRY_HEAD_BYTES, too */

/* So many entries on their way at once: when some are durable, as many again are asked for. Of the bare loop: so many a
 * write. */
struct scribe_speed {
    int at_once;
    bool one_core; /* all threads on one core, each core in turn: which one gets the disk's interrupts matters much */
    int slices;
    int slice_ms;

    struct figures ours, floor; /* entries a second, one sample a slice */
    struct figures our_us;      /* from the letter to the answer's taking */
    struct figures floor_us;    /* of a write and sync */
    double entries_per_frame;   /* ours */
};

/* Measures each of them, with one scribe; the caller gives the figures back (figures_fini). */
void scribe_speed_measure(struct scribe_speed *speeds, int count, const struct workplace *workplace);

#endif
