#include "mail/resolve.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "unit/post.h"

static struct mailraft_error err;
static struct resolved resolved;

static bool resolve_with(const char *host, struct patience patience)
{
    struct address address = {.port = 7101};

    snprintf(address.host, sizeof address.host, "%s", host);
    return resolve(&address, &patience, &resolved, &err);
}

static bool resolve_host(const char *host, int64_t deadline_us, const struct bell *stop)
{
    return resolve_with(host, (struct patience){.deadline_us = deadline_us, .stop = stop});
}

static void assert_found(const char *expected)
{
    char text[ENDPOINT_TEXT_MAX];

    for (int i = 0; i < resolved.count; i++)
        if (strcmp(endpoint_format(&resolved.list[i], text, sizeof text), expected) == 0)
            return;
    cr_assert_fail("%s was not found", expected);
}

TestSuite(resolve, .timeout = 60);

Test(resolve, takes_numeric_addresses_as_they_are_even_when_there_is_no_time)
{
    cr_assert(resolve_host("192.0.2.7", 0, NULL), "%s", err.message);
    cr_assert_eq(resolved.count, 1);
    assert_found("192.0.2.7:7101");
    cr_assert(resolve_host("2001:db8::7", 0, NULL), "%s", err.message);
    assert_found("[2001:db8::7]:7101");
}

Test(resolve, finds_a_host_by_its_name)
{
    cr_assert(resolve_host("localhost", CLOCK_NEVER, NULL), "%s", err.message);
    assert_found("127.0.0.1:7101");
}

Test(resolve, does_not_wait_for_a_name_longer_than_it_may)
{
    cr_assert_not(resolve_host(POST_HANGING_HOST, clock_now_us() + 20000, NULL));
    cr_assert(error_is(&err, &CONNECT_ERROR));
    cr_assert_str_eq(err.message, "Couldn't resolve " POST_HANGING_HOST ": no answer in time");
}

Test(resolve, does_not_wait_for_a_name_once_the_bell_has_rung)
{
    struct bell stop;

    cr_assert(bell_init(&stop, &err));
    bell_ring(&stop);
    cr_assert_not(resolve_host(POST_HANGING_HOST, CLOCK_NEVER, &stop));
    cr_assert(error_is(&err, &CONNECT_ERROR));
    cr_assert_str_eq(err.message, "Couldn't resolve " POST_HANGING_HOST ": we are stopping");
    bell_fini(&stop);
}

static bool at_the_third_time(void *context)
{
    return ++*(int *)context == 3;
}

Test(resolve, asks_those_who_have_no_bell_whether_to_go_on)
{
    int asked = 0;

    cr_assert_not(resolve_with(
        POST_HANGING_HOST,
        (struct patience){.deadline_us = CLOCK_NEVER, .interrupted = at_the_third_time, .context = &asked}));
    cr_assert_eq(asked, 3);
    cr_assert_str_eq(err.message, "Couldn't resolve " POST_HANGING_HOST ": we are stopping");
}

static bool never(void *context)
{
    (void)context;
    return false;
}

Test(resolve, asks_no_longer_than_it_may_wait)
{
    const struct patience patience = {.deadline_us = clock_now_us() + 3 * PATIENCE_ASK_US / 2, .interrupted = never};

    cr_assert_not(resolve_with(POST_HANGING_HOST, patience));
    cr_assert_str_eq(err.message, "Couldn't resolve " POST_HANGING_HOST ": no answer in time");
}
