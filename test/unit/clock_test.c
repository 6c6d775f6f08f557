#include "base/clock.h"

#include <time.h>

#include "check.h"

Test(clock, the_monotonic_clock_never_goes_back)
{
    int64_t last = clock_now_us();

    for (int i = 0; i < 10000; i++) {
        int64_t now = clock_now_us();

        cr_assert_geq(now, last);
        last = now;
    }
}

Test(clock, the_wall_clock_counts_microseconds_since_1970)
{
    int64_t before = time(NULL);
    int64_t wall = clock_wall_us();

    cr_assert_geq(wall, (before - 1) * 1000000); /* time() may lag by a tick */
    cr_assert_leq(wall, ((int64_t)time(NULL) + 2) * 1000000);
}

Test(clock, what_was_used_of_the_processors_grows_with_work)
{
    int64_t user_us, system_us, more_user_us, more_system_us;

    clock_cpu_us(&user_us, &system_us);
    cr_assert_geq(user_us, 0);
    cr_assert_geq(system_us, 0);
    do
        clock_cpu_us(&more_user_us, &more_system_us);
    while (more_user_us + more_system_us <= user_us + system_us);
}
