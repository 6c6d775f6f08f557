#include "relay/flow.h"

#include <string.h>

#include "base/clock.h"
#include "check.h"

static struct flow flow;

static void fini(void)
{
    flow_fini(&flow);
}

TestSuite(flow, .fini = fini, .timeout = 60);

static void assert_due(int64_t now_us, const char *text)
{
    const uint8_t *bytes;
    size_t size = flow_due(&flow, now_us, &bytes);
    cr_assert_eq(size, strlen(text));
    cr_assert_eq(memcmp(bytes, text, size), 0);
    flow_take(&flow, size);
}

static void assert_nothing_due(int64_t now_us)
{
    const uint8_t *bytes;
    cr_assert_eq(flow_due(&flow, now_us, &bytes), 0);
}

Test(flow, bytes_leave_when_they_are_due)
{
    assert_nothing_due(1000);
    cr_assert_eq(flow_next_us(&flow, false), CLOCK_NEVER);
    flow_put(&flow, "one", 3, 100);
    flow_put(&flow, "two", 3, 200);
    cr_assert_eq(flow_next_us(&flow, false), 100);
    assert_nothing_due(99);
    assert_due(100, "one");
    assert_nothing_due(199);
    cr_assert_eq(flow_next_us(&flow, false), 200);
    cr_assert_not(flow_is_empty(&flow));
    assert_due(500, "two");
    cr_assert(flow_is_empty(&flow));
    cr_assert_eq(flow.held_bytes, 0);
}

Test(flow, nothing_overtakes)
{
    flow_put(&flow, "late", 4, 300);
    flow_put(&flow, "early", 5, 100);
    flow_put_end(&flow, FLOW_FINISHED, 50);
    assert_nothing_due(299);
    cr_assert_eq(flow_ended(&flow, 299), FLOW_OPEN);
    assert_due(300, "late");
    cr_assert_eq(flow_ended(&flow, 300), FLOW_OPEN);
    assert_due(300, "early");
    cr_assert_eq(flow_ended(&flow, 299), FLOW_OPEN);
    cr_assert_eq(flow_ended(&flow, 300), FLOW_FINISHED);
}

Test(flow, what_was_taken_in_part_keeps_its_rest)
{
    const uint8_t *bytes;
    flow_put(&flow, "onetwo", 6, 0);
    flow_put(&flow, "", 0, 0);
    cr_assert_eq(flow_due(&flow, 0, &bytes), 6);
    flow_take(&flow, 3);
    assert_due(0, "two");
    assert_nothing_due(0);
}

Test(flow, a_break_does_not_wait_for_bytes_and_is_final)
{
    flow_put(&flow, "one", 3, 100);
    flow_put_end(&flow, FLOW_BROKEN, 200);
    flow_put_end(&flow, FLOW_FINISHED, 100);
    cr_assert_eq(flow_ended(&flow, 199), FLOW_OPEN);
    cr_assert_eq(flow_ended(&flow, 200), FLOW_BROKEN);
    flow_fini(&flow);
    flow_put_end(&flow, FLOW_FINISHED, 100);
    flow_put_end(&flow, FLOW_BROKEN, 300);
    cr_assert_eq(flow_ended(&flow, 200), FLOW_OPEN);
    cr_assert_eq(flow_ended(&flow, 300), FLOW_BROKEN);
}

Test(flow, bytes_that_cannot_leave_are_no_reason_to_wake_but_a_break_is)
{
    flow_put(&flow, "one", 3, 100);
    cr_assert_eq(flow_next_us(&flow, true), CLOCK_NEVER);
    flow_put_end(&flow, FLOW_FINISHED, 200);
    cr_assert_eq(flow_next_us(&flow, true), CLOCK_NEVER);
    cr_assert_eq(flow_next_us(&flow, false), 100);
    flow_put_end(&flow, FLOW_BROKEN, 300);
    cr_assert_eq(flow_next_us(&flow, true), 300);
    fini();
    flow_put_end(&flow, FLOW_FINISHED, 200);
    cr_assert_eq(flow_next_us(&flow, false), 200);
}

Test(flow, it_is_full_by_the_memory_that_it_takes)
{
    size_t put = 0;
    while (!flow_is_full(&flow)) {
        flow_put(&flow, "x", 1, 0);
        put++;
    }
    cr_assert_lt(put, FLOW_BYTES_MAX / sizeof(void *)); /* single bytes cost more than themselves */
    flow_take(&flow, 1);
    cr_assert_not(flow_is_full(&flow));
}
