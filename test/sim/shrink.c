#include "sim/shrink.h"

#include <assert.h>
#include <stdlib.h>

#define UNTIL_STEP_US 1000 /* the end of the faults is not told more finely */

struct shrinking {
    struct plan *plan; /* the smallest so far that fails */
    struct plan *next; /* to be tried */
    const struct shrink_calls *calls;
    int runs;
};

/* Whether the run fails with next, too: then that is the plan. Otherwise next is the plan again. */
static bool try_next(struct shrinking *shrinking)
{
    const struct shrink_calls *calls = shrinking->calls;
    bool fails = false;

    if (calls->may_go_on(calls->context)) {
        shrinking->runs++;
        fails = calls->fails(calls->context, shrinking->next);
    }
    if (fails)
        *shrinking->plan = *shrinking->next;
    else
        *shrinking->next = *shrinking->plan;
    return fails;
}

static void shrink_kinds(struct shrinking *shrinking, const bool kinds[FAULT_COUNT])
{
    for (int i = 0; i < FAULT_COUNT; i++)
        if (kinds[i] && !shrinking->plan->without_kind[i]) {
            shrinking->next->without_kind[i] = true;
            try_next(shrinking);
        }
}

/* Of the numbers from first on so many, those that are still there. False: there are none. */
static bool leave_out(struct plan *plan, uint64_t first, uint64_t count, uint64_t faults)
{
    bool any = false;

    for (uint64_t number = first; number < first + count && number <= faults; number++) {
        any = any || !plan->without[number - 1];
        plan->without[number - 1] = true;
    }
    return any;
}

/* Delta debugging, simplified (Zeller, Hildebrandt 2002): parts of half the size, as soon as none of the present size
 * can be left out. */
static void shrink_faults(struct shrinking *shrinking, uint64_t faults)
{
    for (uint64_t size = faults; size > 0; size = size == 1 ? 0 : (size + 1) / 2)
        for (uint64_t first = 1; first <= faults; first += size)
            if (leave_out(shrinking->next, first, size, faults))
                try_next(shrinking);
}

/* Whether it fails need not grow with the time, so what is found is a short one, not the shortest. */
static void shrink_time(struct shrinking *shrinking, int64_t end_us)
{
    int64_t low_us = 0, high_us = end_us < shrinking->plan->until_us ? end_us : shrinking->plan->until_us;

    while (high_us - low_us > UNTIL_STEP_US) {
        int64_t middle_us = low_us + (high_us - low_us) / 2;

        shrinking->next->until_us = middle_us;
        if (try_next(shrinking))
            high_us = middle_us;
        else
            low_us = middle_us;
    }
}

int shrink(struct plan *plan, const bool kinds[FAULT_COUNT], uint64_t faults, int64_t end_us,
           const struct shrink_calls *calls)
{
    struct shrinking shrinking = {.plan = plan, .next = malloc(sizeof *plan), .calls = calls};

    assert(shrinking.next != NULL);
    *shrinking.next = *plan;
    shrink_kinds(&shrinking, kinds);
    shrink_faults(&shrinking, faults < PLAN_NUMBERS_MAX ? faults : PLAN_NUMBERS_MAX);
    shrink_time(&shrinking, end_us);
    free(shrinking.next);
    return shrinking.runs;
}
