#include "relay/watch.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "check.h"

static int epoll, ends[2];
static struct watch watch;

static void never(void *owner)
{
    (void)owner;
    cr_assert_fail("nobody wakes it here");
}

static void init(void)
{
    epoll = epoll_create1(EPOLL_CLOEXEC);
    cr_assert(epoll >= 0 && pipe2(ends, O_CLOEXEC) == 0);
    watch_init(&watch, epoll, ends[0], never, &watch);
}

static void fini(void)
{
    watch_close(&watch);
    close(ends[1]);
    close(epoll);
}

TestSuite(watch, .init = init, .fini = fini, .timeout = 60);

static int count_events(void)
{
    struct epoll_event event;
    return epoll_wait(epoll, &event, 1, 0);
}

Test(watch, tells_of_what_is_wanted_alone)
{
    struct epoll_event event;
    watch_set(&watch, EPOLLIN);
    cr_assert_eq(count_events(), 0);
    cr_assert_eq(write(ends[1], "x", 1), 1);
    cr_assert_eq(epoll_wait(epoll, &event, 1, 0), 1);
    cr_assert_eq(event.events, EPOLLIN);
    cr_assert_eq(event.data.ptr, &watch);
    watch_set(&watch, EPOLLOUT);
    cr_assert_eq(count_events(), 0);
}

Test(watch, where_nothing_is_wanted_an_end_wakes_nobody)
{
    watch_set(&watch, EPOLLIN);
    watch_set(&watch, 0);
    close(ends[1]);
    cr_assert_eq(count_events(), 0);
    watch_set(&watch, EPOLLIN);
    cr_assert_eq(count_events(), 1);
}

Test(watch, one_that_is_closed_stays_so)
{
    watch_set(&watch, EPOLLIN);
    watch_close(&watch);
    cr_assert_eq(watch.fd, -1);
    cr_assert_neq(fcntl(ends[0], F_GETFD), 0);
    watch_set(&watch, EPOLLOUT);
    watch_close(&watch);
    cr_assert_eq(watch.fd, -1);
}
