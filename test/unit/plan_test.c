#include "check.h"

#include "sim/plan.h"

static struct plan plan;
static char text[PLAN_TEXT_MAX];

Test(plan, leaves_nothing_out_at_first)
{
    plan_init(&plan);
    for (int i = 0; i < FAULT_COUNT; i++)
        cr_assert(plan_has(&plan, (enum fault)i, 1));
    cr_assert_eq(plan.until_us, INT64_MAX);
    cr_assert_str_eq(plan_left_out(&plan, text), "");
}

Test(plan, leaves_out_kinds_numbers_and_ranges_of_them)
{
    plan_init(&plan);
    cr_assert(plan_leave_out(&plan, "kill,7,10-12,loss"));
    cr_assert_not(plan_has(&plan, KILL, 1));
    cr_assert_not(plan_has(&plan, LOSS, 0));
    cr_assert_not(plan_has(&plan, PAUSE, 7));
    cr_assert_not(plan_has(&plan, PAUSE, 10));
    cr_assert_not(plan_has(&plan, PAUSE, 12));
    cr_assert(plan_has(&plan, PAUSE, 6));
    cr_assert(plan_has(&plan, PAUSE, 9));
    cr_assert(plan_has(&plan, PAUSE, 13));
    cr_assert(plan_has(&plan, PAUSE, 0), "what has no number is left out by its kind alone");
}

Test(plan, every_kind_has_a_name_that_is_read)
{
    for (int i = 0; i < FAULT_COUNT; i++) {
        plan_init(&plan);
        cr_assert(plan_leave_out(&plan, FAULT_NAMES[i]));
        cr_assert_not(plan_has(&plan, (enum fault)i, 1));
    }
}

Test(plan, tells_what_it_was_told)
{
    plan_init(&plan);
    cr_assert(plan_leave_out(&plan, "break,kill,1-3,5,4096"));
    cr_assert_str_eq(plan_left_out(&plan, text), "kill,break,1-3,5,4096");
}

Test(plan, numbers_beyond_the_last_are_never_left_out)
{
    plan_init(&plan);
    cr_assert(plan_leave_out(&plan, "1-4096"));
    cr_assert(plan_has(&plan, KILL, PLAN_NUMBERS_MAX + 1));
}

Test(plan, refuses_what_it_cannot_read)
{
    static const char *const WRONG[] = {"x",     "0",     "4097",       "3-2", "1-",  "-1",
                                        "kill,", ",kill", "kill,,loss", "1x",  "1-2x"};

    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        plan_init(&plan);
        cr_assert_not(plan_leave_out(&plan, WRONG[i]), "%s", WRONG[i]);
    }
}
