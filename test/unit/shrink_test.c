#include "check.h"

#include <string.h>

#include "sim/shrink.h"

#define FAULTS 40
#define END_US 1000000

/* A run that fails as long as the faults it needs are there. */
struct needs {
    bool kinds[FAULT_COUNT];
    uint64_t numbers[4]; /* 0: none more */
    int64_t until_us;
    int runs, runs_max;
};

static bool fails(void *context, const struct plan *plan)
{
    struct needs *needs = context;

    needs->runs++;
    for (int i = 0; i < FAULT_COUNT; i++)
        if (needs->kinds[i] && plan->without_kind[i])
            return false;
    for (int i = 0; i < 4 && needs->numbers[i] != 0; i++)
        if (plan->without[needs->numbers[i] - 1])
            return false;
    return plan->until_us >= needs->until_us;
}

static bool may_go_on(void *context)
{
    const struct needs *needs = context;

    return needs->runs < needs->runs_max;
}

static struct plan plan;
static bool kinds[FAULT_COUNT]; /* that there were */

static int shrink_it(struct needs *needs)
{
    struct shrink_calls calls = {fails, may_go_on, needs};

    plan_init(&plan);
    memset(kinds, true, sizeof kinds);
    return shrink(&plan, kinds, FAULTS, END_US, &calls);
}

static int count_left(void)
{
    int left = 0;

    for (int i = 0; i < FAULTS; i++)
        left += !plan.without[i];
    return left;
}

Test(shrink, only_the_kinds_and_faults_that_it_takes_are_left)
{
    struct needs needs = {.numbers = {3, 17, 40}, .until_us = 300000, .runs_max = 1000};

    needs.kinds[KILL] = needs.kinds[LOSS] = true;
    shrink_it(&needs);
    for (int i = 0; i < FAULT_COUNT; i++)
        cr_assert_eq(plan.without_kind[i], i != KILL && i != LOSS, "%s", FAULT_NAMES[i]);
    cr_assert_eq(count_left(), 3);
    cr_assert_not(plan.without[2] || plan.without[16] || plan.without[39]);
}

Test(shrink, the_time_of_faults_ends_little_after_the_last_that_it_takes)
{
    struct needs needs = {.numbers = {5}, .until_us = 300000, .runs_max = 1000};

    shrink_it(&needs);
    cr_assert_geq(plan.until_us, 300000);
    cr_assert_leq(plan.until_us, 302000);
}

Test(shrink, what_fails_by_itself_needs_nothing)
{
    struct needs needs = {.runs_max = 1000};

    shrink_it(&needs);
    cr_assert_eq(count_left(), 0);
    for (int i = 0; i < FAULT_COUNT; i++)
        cr_assert(plan.without_kind[i]);
    cr_assert_leq(plan.until_us, 1000);
}

Test(shrink, what_needs_everything_is_left_as_it_is)
{
    struct needs needs = {.until_us = INT64_MAX, .runs_max = 1000};
    char text[PLAN_TEXT_MAX];

    memset(needs.kinds, true, sizeof needs.kinds);
    needs.numbers[0] = 1;
    shrink_it(&needs);
    for (int i = 0; i < FAULT_COUNT; i++)
        cr_assert_not(plan.without_kind[i]);
    cr_assert_eq(plan.until_us, INT64_MAX);
    cr_assert_not(plan.without[0], "%s", plan_left_out(&plan, text));
}

Test(shrink, it_stops_in_time_with_a_plan_that_fails)
{
    for (int runs_max = 0; runs_max < 60; runs_max++) {
        struct needs needs = {.numbers = {9, 30}, .until_us = 500000, .runs_max = runs_max};

        cr_assert_eq(shrink_it(&needs), runs_max);
        cr_assert(fails(&needs, &plan));
    }
}

Test(shrink, what_was_left_out_before_stays_so)
{
    struct needs needs = {.numbers = {2}, .runs_max = 1000};
    struct shrink_calls calls = {fails, may_go_on, &needs};

    plan_init(&plan);
    plan.until_us = 700000;
    cr_assert(plan_leave_out(&plan, "pause,1,3-40"));
    shrink(&plan, kinds, FAULTS, END_US, &calls);
    cr_assert_eq(count_left(), 1);
    cr_assert(plan.without_kind[PAUSE]);
    cr_assert_leq(plan.until_us, 700000);
}

Test(shrink, kinds_that_there_were_not_are_not_told)
{
    struct needs needs = {.runs_max = 1000};
    struct shrink_calls calls = {fails, may_go_on, &needs};

    plan_init(&plan);
    memset(kinds, false, sizeof kinds);
    kinds[BREAK] = true;
    shrink(&plan, kinds, FAULTS, END_US, &calls);
    for (int i = 0; i < FAULT_COUNT; i++)
        cr_assert_eq(plan.without_kind[i], i == BREAK);
}
