#include "mail/bell.h"

#include "base/clock.h"
#include "base/thread.h"
#include "check.h"

static struct mailraft_error err;
static struct bell bell;

static void make_bell(void)
{
    cr_assert(bell_init(&bell, &err));
}

static void fini_bell(void)
{
    bell_fini(&bell);
}

TestSuite(bell, .init = make_bell, .fini = fini_bell, .timeout = 60);

Test(bell, stays_rung_until_it_is_silenced)
{
    cr_assert_not(bell_is_rung(&bell));
    bell_ring(&bell);
    bell_ring(&bell);
    cr_assert(bell_is_rung(&bell));
    cr_assert(bell_is_rung(&bell));
    bell_silence(&bell);
    cr_assert_not(bell_is_rung(&bell));
    bell_silence(&bell); /* once more is harmless */
}

static void ring_it(void *context)
{
    bell_ring(context);
}

Test(bell, wakes_a_thread_out_of_poll)
{
    struct pollfd fd = {.fd = bell.fd, .events = POLLIN};
    struct thread thread;

    cr_assert(thread_start(&thread, "ringer", ring_it, &bell, &err));
    cr_assert_eq(poll_until(&fd, 1, CLOCK_NEVER), 1);
    thread_join(&thread);
}

Test(bell, a_poll_never_ends_before_its_deadline)
{
    struct pollfd fd = {.fd = bell.fd, .events = POLLIN};
    int64_t deadline_us = clock_now_us() + 1500;

    cr_assert_eq(poll_until(&fd, 1, deadline_us), 0);
    cr_assert_geq(clock_now_us(), deadline_us);
    cr_assert_eq(poll_until(&fd, 1, deadline_us - 1000000), 0); /* long past: at once */
}
