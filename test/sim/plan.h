/* plan.h - which of a seed's faults are left out, so that a failure can be shown with as few of them as it needs.
 *
 * What is left out is drawn all the same, and each fault draws from numbers of its own (faults.h): so leaving out some
 * changes nothing of the others, but for what follows from it. */
#ifndef SIM_PLAN_H
#define SIM_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fault {
    KILL,
    POWER_CUT,
    POWER_CUT_OF_ALL,
    END_IN_CALL,  /* process death or power cut within one of the next calls of the disk */
    END_AT_START, /* the same again and again, whenever it starts */
    FAIL_SYNC,
    FAIL_WRITE,
    FILL, /* the disk is full, until there is room again */
    HANG,
    SLOW,      /* syncs take very long */
    SLOW_CALL, /* a single call of the disk does */
    FLIP,      /* a bit of the log or the ballot is no longer what was written */
    VANISH,    /* a file is lost */
    EMPTY,     /* the whole folder is */
    PAUSE,
    STOP,
    ISOLATE,
    PARTITION,
    BRIDGE, /* two halves, and a node alone that both reach */
    RING,   /* each reaches its two neighbours */
    ONE_WAY,
    FLAP,     /* ways are cut and healed again and again */
    BREAK,    /* connections do, and the last of what is on its way is lost */
    STRAGGLE, /* they do, and what is on its way comes when the next ones have long been open */
    HANG_UP,  /* a client closes its connection, where there are any */
    /* From here on: those that last for the whole run. */
    LOSS,
    DUPLICATION,
    DELAY,
    REORDERING,
    DRIFT, /* clocks run at different rates */
    FAULT_COUNT
};
#define FAULT_EVENTS LOSS /* how many of them come now and then */

extern const char *const FAULT_NAMES[FAULT_COUNT];

#define PLAN_NUMBERS_MAX 4096 /* faults of higher numbers are never left out */
#define PLAN_TEXT_MAX    8192

struct plan {
    bool without_kind[FAULT_COUNT];
    bool without[PLAN_NUMBERS_MAX]; /* fault number n at n - 1 */
    int64_t until_us;               /* of the simulation: by then the faults end */
};

void plan_init(struct plan *plan); /* nothing is left out */

bool plan_has(const struct plan *plan, enum fault fault, uint64_t number); /* that it is not left out */

/* Leaves out what a list names: kinds, numbers and ranges of them, "kill,loss,3,7-20". False: it cannot be read, and
 * *plan is not to be used. */
bool plan_leave_out(struct plan *plan, const char *list);

/* The list of what is left out; empty: nothing. text: PLAN_TEXT_MAX bytes; what does not fit is not told. */
const char *plan_left_out(const struct plan *plan, char *text);

#endif
