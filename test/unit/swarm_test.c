#include "check.h"

#include <stdio.h>
#include <stdlib.h>

#include "sim/swarm.h"

static char *trace_of(uint64_t seed)
{
    char *text = NULL;
    size_t size;
    FILE *trace = open_memstream(&text, &size);

    swarm_run(seed, trace);
    fclose(trace);
    return text;
}

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

/* Each of them has failed once. */
Test(swarm, seeds_that_have_failed_pass)
{
    static const uint64_t SEEDS[] = {
        5943, /* an entry is cut off, comes back with a later leader, and is committed then: the paper's Figure 8 */
        3456, /* a leader leads again, and refuses in its new term what was meant for its old one */
        17034, /* of two queries over one connection, the later one is answered by an older state */
    };
    for (size_t i = 0; i < sizeof SEEDS / sizeof *SEEDS; i++)
        swarm_run(SEEDS[i], NULL);
}
