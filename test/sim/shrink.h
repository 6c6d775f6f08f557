/* shrink.h - finds which faults of a run a failure needs, by running it again without some of them. */
#ifndef SIM_SHRINK_H
#define SIM_SHRINK_H

#include "sim/plan.h"

struct shrink_calls {
    bool (*fails)(void *context, const struct plan *plan); /* the run still does, in the same way */
    bool (*may_go_on)(void *context);                      /* asked before each run */
    void *context;
};

/* plan: one that the run fails with; more is left out of it as long as that stays so: first kinds, one by one, then
 * faults, in parts that become smaller, then the end of the time in which they happen. kinds: those that there were;
 * faults: how many; end_us: when they ended. Where it may not go on, plan is what has been reached by then. Returns how
 * many runs it took. */
int shrink(struct plan *plan, const bool kinds[FAULT_COUNT], uint64_t faults, int64_t end_us,
           const struct shrink_calls *calls);

#endif
