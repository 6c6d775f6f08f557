#include "base/thread.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"

#define SOON_US 30000000 /* an event that does not come by then never comes */

TestSuite(thread, .timeout = 60);

struct shared {
    struct mutex mutex;
    struct wake wake;
    int count;
    char name[16];
    sigset_t blocked;
};

static void shared_init(struct shared *shared)
{
    memset(shared, 0, sizeof *shared);
    mutex_init(&shared->mutex);
    wake_init(&shared->wake);
}

static void shared_fini(struct shared *shared)
{
    wake_fini(&shared->wake);
    mutex_fini(&shared->mutex);
}

static void count_once(struct shared *shared)
{
    mutex_lock(&shared->mutex);
    shared->count++;
    wake_all(&shared->wake);
    mutex_unlock(&shared->mutex);
}

static void wait_for_count(struct shared *shared, int count)
{
    int64_t deadline_us = clock_now_us() + SOON_US;

    mutex_lock(&shared->mutex);
    while (shared->count < count)
        cr_assert(wake_wait_until(&shared->wake, &shared->mutex, deadline_us));
    mutex_unlock(&shared->mutex);
}

static void look_around(void *context)
{
    struct shared *shared = context;

    pthread_getname_np(pthread_self(), shared->name, sizeof shared->name);
    pthread_sigmask(SIG_SETMASK, NULL, &shared->blocked);
    count_once(shared);
}

Test(thread, a_thread_runs_its_main_with_its_context_under_its_name)
{
    struct shared shared;
    struct thread thread;
    struct mailraft_error err;

    shared_init(&shared);
    cr_assert(thread_start(&thread, "reader of peer 17", look_around, &shared, &err));
    thread_join(&thread);
    cr_assert_eq(shared.count, 1);
    cr_assert_str_eq(shared.name, "reader of peer ");
    shared_fini(&shared);
}

Test(thread, signals_are_blocked_in_it_but_for_those_of_its_own_faults)
{
    struct shared shared;
    struct thread thread;
    struct mailraft_error err;
    sigset_t own;

    shared_init(&shared);
    cr_assert(thread_start(&thread, "t", look_around, &shared, &err));
    thread_join(&thread);
    cr_assert(sigismember(&shared.blocked, SIGTERM));
    cr_assert(sigismember(&shared.blocked, SIGINT));
    cr_assert(sigismember(&shared.blocked, SIGPIPE));
    cr_assert_not(sigismember(&shared.blocked, SIGSEGV));
    cr_assert_not(sigismember(&shared.blocked, SIGABRT));
    pthread_sigmask(SIG_SETMASK, NULL, &own);
    cr_assert_not(sigismember(&own, SIGTERM));
    shared_fini(&shared);
}

static void count_often(void *context)
{
    for (int i = 0; i < 10000; i++)
        count_once(context);
}

Test(thread, a_mutex_lets_one_in_at_a_time)
{
    struct shared shared;
    struct thread threads[4];
    struct mailraft_error err;

    shared_init(&shared);
    for (int i = 0; i < 4; i++)
        cr_assert(thread_start(&threads[i], "counter", count_often, &shared, &err));
    wait_for_count(&shared, 40000);
    for (int i = 0; i < 4; i++)
        thread_join(&threads[i]);
    cr_assert_eq(shared.count, 40000);
    shared_fini(&shared);
}

Test(thread, a_wait_ends_with_false_at_its_deadline_and_not_before)
{
    struct shared shared;
    int64_t deadline_us = clock_now_us() + 2000;

    shared_init(&shared);
    mutex_lock(&shared.mutex);
    while (wake_wait_until(&shared.wake, &shared.mutex, deadline_us))
        ;
    cr_assert_geq(clock_now_us(), deadline_us);
    cr_assert_not(wake_wait_until(&shared.wake, &shared.mutex, 0));
    cr_assert_not(wake_wait_until(&shared.wake, &shared.mutex, INT64_MIN));
    mutex_unlock(&shared.mutex);
    shared_fini(&shared);
}

static void wait_for_ever(void *context)
{
    struct shared *shared = context;

    mutex_lock(&shared->mutex);
    while (shared->count == 0)
        cr_assert(wake_wait_until(&shared->wake, &shared->mutex, CLOCK_NEVER));
    mutex_unlock(&shared->mutex);
}

Test(thread, a_wait_for_a_deadline_that_does_not_come_ends_when_woken)
{
    struct shared shared;
    struct thread threads[2];
    struct mailraft_error err;

    shared_init(&shared);
    for (int i = 0; i < 2; i++)
        cr_assert(thread_start(&threads[i], "waiter", wait_for_ever, &shared, &err));
    count_once(&shared);
    for (int i = 0; i < 2; i++)
        thread_join(&threads[i]);
    shared_fini(&shared);
}

/* As one that is stuck in a system call: it reads from a pipe whose other end its context's count names. */
static void read_for_ever(void *context)
{
    struct shared *shared = context;
    char byte;
    ssize_t size;

    size = read(shared->count, &byte, 1);
    (void)size;
}

Test(thread, one_that_is_stuck_can_be_abandoned)
{
    static struct shared shared; /* outlives the test: the thread does */
    struct thread thread;
    struct mailraft_error err;
    int fds[2];

    cr_assert_eq(pipe(fds), 0);
    shared.count = fds[0];
    cr_assert(thread_start(&thread, "stuck", read_for_ever, &shared, &err));
    thread_abandon(&thread);
}
