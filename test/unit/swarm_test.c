#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/swarm.h"

static struct plan plan;

static char *trace_of(uint64_t seed)
{
    char *text = NULL;
    size_t size;
    FILE *trace = open_memstream(&text, &size);
    struct swarm_result result;

    swarm_run_plan(seed, &plan, trace, &result);
    fclose(trace);
    return text;
}

static void begin(void)
{
    plan_init(&plan);
}

TestSuite(swarm, .init = begin);

Test(swarm, the_same_seed_gives_the_same_trace_byte_for_byte)
{
    for (uint64_t seed = 0; seed < 5; seed++) {
        char *once = trace_of(seed), *again = trace_of(seed);

        cr_assert_str_eq(once, again);
        free(once);
        free(again);
    }
}

Test(swarm, another_seed_gives_another_trace)
{
    char *one = trace_of(1), *other = trace_of(2);

    cr_assert_str_neq(one, other);
    free(one);
    free(other);
}

Test(swarm, tracing_a_run_does_not_change_it)
{
    for (uint64_t seed = 0; seed < 5; seed++) {
        struct swarm_result quiet = swarm_run(seed, NULL), traced;
        FILE *trace = tmpfile();

        traced = swarm_run(seed, trace);
        fclose(trace);
        cr_assert_eq(quiet.elections, traced.elections);
        cr_assert_eq(quiet.simulated_us, traced.simulated_us);
    }
}

Test(swarm, leaders_that_die_again_and_again_are_replaced)
{
    struct swarm_result result = swarm_run_failovers(1, 5, 200);

    cr_assert_geq(result.elections, 200);
    cr_assert_lt(result.simulated_us / 200, 1000000, "an election a second at the least");
}

/* Which faults there were: "#3 kill" and so on. */
static char *faults_of(uint64_t seed)
{
    char *text = trace_of(seed), *faults = NULL, *line;
    size_t size;
    FILE *told = open_memstream(&faults, &size);

    for (line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
        if (strstr(line, " fault #") != NULL)
            fprintf(told, "%.*s\n", (int)strcspn(strstr(line, "#"), "("), strstr(line, "#"));
    fclose(told);
    free(text);
    return faults;
}

/* Before the phase of faults ends, whose length is the seed's. */
Test(swarm, leaving_out_a_fault_changes_no_other)
{
    for (uint64_t seed = 1; seed < 6; seed++) {
        char *all, *rest;
        unsigned long left_out;

        plan_init(&plan);
        all = faults_of(seed);
        left_out = strtoul(all + 1, NULL, 10); /* the first */
        plan.without[left_out - 1] = true;
        rest = faults_of(seed);
        cr_assert_str_eq(rest, strchr(all, '\n') + 1);
        free(all);
        free(rest);
    }
}

Test(swarm, without_any_kind_of_fault_there_is_none)
{
    struct swarm_result result;

    memset(plan.without_kind, true, sizeof plan.without_kind);
    for (uint64_t seed = 0; seed < 6; seed++) {
        swarm_run_plan(seed, &plan, NULL, &result);
        cr_assert_eq(result.faults, 0);
        cr_assert_gt(result.faults_number, 0);
    }
}

Test(swarm, faults_end_when_the_plan_says)
{
    struct swarm_result all = swarm_run(3, NULL), few;

    plan.until_us = 1000000;
    swarm_run_plan(3, &plan, NULL, &few);
    cr_assert_lt(few.simulated_us, all.simulated_us);
    cr_assert_lt(few.faults_number, all.faults_number);
}

/* Kinds that there are by name alone find nothing. */
Test(swarm, every_kind_of_fault_happens, .timeout = 300)
{
    bool happened[FAULT_EVENTS] = {false};
    int missing = FAULT_EVENTS;

    for (uint64_t seed = 0; missing > 0; seed++) {
        char *faults = faults_of(seed);

        cr_assert_lt(seed, 60);
        for (int i = 0; i < FAULT_EVENTS; i++) {
            char name[40];

            snprintf(name, sizeof name, " %s ", FAULT_NAMES[i]);
            if (!happened[i] && strstr(faults, name) != NULL) {
                happened[i] = true;
                missing--;
            }
        }
        free(faults);
    }
}

/* Nothing else empties a folder here. */
Test(swarm, whoever_refuses_a_damaged_disk_begins_anew_with_an_empty_one)
{
    bool begun = false;

    plan.without_kind[EMPTY] = true;
    for (uint64_t seed = 0; !begun; seed++) {
        char *trace = trace_of(seed);

        cr_assert_lt(seed, 100);
        begun = strstr(trace, "the folder of ") != NULL;
        free(trace);
    }
}
