/* chaos.h - one run: nodes on machines that the seed has trouble for, clients, and what has been seen of both.
 *
 * Threads:  the clients have their own (crowd.h); all else is the main thread's.
 * Failure:  whatever must hold is asserted (check.h); the first thing that does not ends the run: it is told with the
 *           seed, and what is needed to find out why is kept (failure.h). */
#ifndef CHAOS_CHAOS_H
#define CHAOS_CHAOS_H

#include "chaos/crowd.h"
#include "chaos/dice.h"
#include "chaos/machines.h"
#include "chaos/relays.h"
#include "chaos/sandbox.h"
#include "chaos/wires.h"
#include "cluster/cluster.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define CHAOS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define CHAOS_SANITIZED 1
#endif
#endif

/* So many times slower than it should be may everything be. */
#ifdef CHAOS_SANITIZED
#define CHAOS_SLOWNESS 3
#else
#define CHAOS_SLOWNESS 1
#endif

#define CHAOS_WAIT_MS (60000 * CHAOS_SLOWNESS) /* for what must come once all is healed */

struct faults;

struct chaos {
    uint64_t seed;
    struct dice dice; /* of what is being drawn: its own each (dice_for) */
    int count;
    struct sandbox sandbox;
    struct cluster *cluster;
    struct wires *wires;
    bool is_relayed;                            /* nodes reach each other through: */
    struct relays *relays;                      /* NULL: nothing */
    struct machine machines[CLUSTER_NODES_MAX]; /* node N's is at N - 1 */
    struct faults *faults;
    struct crowd *crowd;
    FILE *story;      /* what was done, a line each with the time, as in state logs; */
    char *story_text; /* after a flush */
    size_t story_size;
};

__attribute__((format(printf, 2, 3))) void chaos_tell(struct chaos *chaos, const char *format, ...);

/* Lets so much time pass: reads what nodes say, starts those that are to run, and looks after clients. */
void chaos_pass(struct chaos *chaos, int64_t ms);
/* The same until `holds`. False: so much time has passed, and it does not. */
bool chaos_await(struct chaos *chaos, int64_t ms, bool (*holds)(struct chaos *chaos, void *context), void *context);
/* The same; fails after CHAOS_WAIT_MS for want of `what`. */
void chaos_wait(struct chaos *chaos, const char *what, bool (*holds)(struct chaos *chaos, void *context),
                void *context);

#endif
