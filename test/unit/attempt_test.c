#include "check.h"

#include <signal.h>
#include <stdio.h>

#include "sim/attempt.h"

#define ENDED_BY(signal)   (signal) /* as wait(2) tells it */
#define ENDED_WITH(status) ((status)*256)

static char text[INVARIANT_TEXT_MAX];

static const char *read_from(const char *said, int status)
{
    FILE *file = tmpfile();

    fputs(said, file);
    invariant_read(file, status, text);
    fclose(file);
    return text;
}

Test(attempt, what_the_checker_says_is_told_without_seed_and_time)
{
    cr_assert_str_eq(read_from("a warning\nsim: seed 7, at 1234 us: 1 leads term 2, which 3 led\n", ENDED_BY(SIGABRT)),
                     "1 leads term 2, which 3 led");
}

Test(attempt, an_assertion_is_told_whole)
{
    cr_assert_str_eq(read_from("sim: a.c:12: f: Assertion `x > 0' failed.\nmore\n", ENDED_BY(SIGABRT)),
                     "sim: a.c:12: f: Assertion `x > 0' failed.");
}

Test(attempt, a_sanitizer_is_told_by_its_summary)
{
    cr_assert_str_eq(
        read_from("==1==ERROR\n  #0 x\nSUMMARY: AddressSanitizer: heap-use-after-free a.c:3 in f\n==1==ABORTING\n",
                  ENDED_WITH(1)),
        "SUMMARY: AddressSanitizer: heap-use-after-free a.c:3 in f");
}

Test(attempt, an_end_without_a_word_is_told_by_its_signal)
{
    cr_assert_str_eq(read_from("", ENDED_BY(SIGSEGV)), "it ended by signal 11");
    cr_assert_str_eq(read_from("", ENDED_WITH(3)), "it ended with status 3");
    cr_assert_str_eq(read_from("whatever it said\n", ENDED_BY(SIGPROF)), "it takes too long: it goes round in circles");
}

Test(attempt, violations_are_alike_that_differ_in_numbers)
{
    cr_assert(invariants_are_alike("1 leads term 2, which 3 led", "12 leads term 2345, which 1 led"));
    cr_assert(invariants_are_alike("", ""));
    cr_assert_not(invariants_are_alike("1 leads term 2", "1 leads term 2, which 3 led"));
    cr_assert_not(invariants_are_alike("1 leads", "leads"));
    cr_assert_not(invariants_are_alike("a", "b"));
}

static struct plan plan;

Test(attempt, a_run_that_passes_tells_how_far_it_came)
{
    struct attempt attempt;

    plan_init(&plan);
    attempt_run(&attempt, 1, &plan, NULL, SEED_SECONDS);
    cr_assert_not(attempt.failed, "%s", attempt.invariant);
    cr_assert_gt(attempt.result.simulated_us, 0);
    cr_assert_gt(attempt.result.faults_number, 0);
}
