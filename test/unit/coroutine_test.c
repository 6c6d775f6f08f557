#include "check.h"

#include "sim/coroutine.h"

struct counter {
    struct coroutine *coroutine;
    int count;
};

static void count_up(void *context)
{
    struct counter *counter = context;
    volatile int from_one = 1; /* on its own stack: it is still there after each switch */

    for (; from_one <= 3; from_one++) {
        counter->count = from_one;
        coroutine_yield(counter->coroutine);
    }
}

Test(coroutine, it_goes_on_where_it_was_left)
{
    struct coroutine_stable stable = {NULL};
    struct counter counter = {NULL, 0};

    counter.coroutine = coroutine_new(&stable, count_up, &counter);
    cr_assert_eq(counter.count, 0, "nothing runs before the first resume");
    for (int i = 1; i <= 3; i++) {
        coroutine_resume(counter.coroutine);
        cr_assert_eq(counter.count, i);
        cr_assert_not(coroutine_has_ended(counter.coroutine));
    }
    coroutine_resume(counter.coroutine);
    cr_assert(coroutine_has_ended(counter.coroutine));
    coroutine_free(&stable, counter.coroutine);
    coroutine_stable_empty(&stable);
}

Test(coroutine, two_take_turns)
{
    struct coroutine_stable stable = {NULL};
    struct counter one = {NULL, 0}, other = {NULL, 0};

    one.coroutine = coroutine_new(&stable, count_up, &one);
    other.coroutine = coroutine_new(&stable, count_up, &other);
    coroutine_resume(one.coroutine);
    coroutine_resume(other.coroutine);
    coroutine_resume(one.coroutine);
    cr_assert_eq(one.count, 2);
    cr_assert_eq(other.count, 1);
    coroutine_free(&stable, one.coroutine);
    coroutine_free(&stable, other.coroutine);
    coroutine_stable_empty(&stable);
}

Test(coroutine, one_that_is_forgotten_in_the_middle_leaves_its_stack_to_the_next)
{
    struct coroutine_stable stable = {NULL};

    for (int i = 0; i < 100; i++) {
        struct counter counter = {NULL, 0};

        counter.coroutine = coroutine_new(&stable, count_up, &counter);
        coroutine_resume(counter.coroutine);
        coroutine_resume(counter.coroutine);
        cr_assert_eq(counter.count, 2);
        coroutine_free(&stable, counter.coroutine);
    }
    coroutine_stable_empty(&stable);
}
