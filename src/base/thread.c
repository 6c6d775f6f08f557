#include "base/thread.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/memory.h"

/* Ours need little; sanitizers pad every frame and keep the system's size. 0: the system's. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define STACK_BYTES 0
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_BYTES 0
#endif
#ifndef STACK_BYTES
#define STACK_BYTES (256 * 1024)
#endif

struct thread_start {
    void (*main)(void *context);
    void *context;
    char name[16]; /* as long as the kernel keeps */
};

static void *thread_main(void *argument)
{
    struct thread_start start = *(struct thread_start *)argument;

    memory_free(argument);
    pthread_setname_np(pthread_self(), start.name); /* only debuggers miss it where it fails */
    start.main(start.context);
    return NULL;
}

/* Signals are for the thread that chose to take them. Those that a thread brings upon itself by a fault cannot be
 * blocked without losing the report of the fault. */
static void signals_to_block(sigset_t *set)
{
    static const int FAULTS[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};

    sigfillset(set);
    for (size_t i = 0; i < sizeof FAULTS / sizeof *FAULTS; i++)
        sigdelset(set, FAULTS[i]);
}

/* 0 or the errno of what failed. */
static int thread_create(struct thread *thread, struct thread_start *start)
{
    sigset_t blocked, before;
    pthread_attr_t attributes;
    int result;

    signals_to_block(&blocked);
    pthread_attr_init(&attributes);
    if (STACK_BYTES > 0)
        pthread_attr_setstacksize(&attributes, STACK_BYTES);
    /* A new thread inherits the mask: set here, it holds from the first instruction. */
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    result = pthread_create(&thread->os, &attributes, thread_main, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return result;
}

bool thread_start(struct thread *thread, const char *name, void (*main)(void *context), void *context,
                  struct mailraft_error *err)
{
    struct thread_start *start = memory_new(sizeof *start);

    start->main = main;
    start->context = context;
    snprintf(start->name, sizeof start->name, "%s", name);
    errno = thread_create(thread, start);
    if (errno == 0)
        return true;
    error_raise_os(err, &SERVER_ERROR, "Couldn't start the thread %s", name);
    memory_free(start);
    return false;
}

/* Errors of the calls below are misuse, never the world's doing. */
static void thread_must(int result)
{
    assert(result == 0);
}

void thread_join(struct thread *thread)
{
    thread_must(pthread_join(thread->os, NULL));
}

void thread_abandon(struct thread *thread)
{
    thread_must(pthread_detach(thread->os));
}

void thread_pass(void)
{
    sched_yield();
}

void mutex_init(struct mutex *mutex)
{
    thread_must(pthread_mutex_init(&mutex->os, NULL));
}

void mutex_fini(struct mutex *mutex)
{
    thread_must(pthread_mutex_destroy(&mutex->os));
}

void mutex_lock(struct mutex *mutex)
{
    thread_must(pthread_mutex_lock(&mutex->os));
}

void mutex_unlock(struct mutex *mutex)
{
    thread_must(pthread_mutex_unlock(&mutex->os));
}

void wake_init(struct wake *wake)
{
    pthread_condattr_t attributes;

    thread_must(pthread_condattr_init(&attributes));
    thread_must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC));
    thread_must(pthread_cond_init(&wake->os, &attributes));
    pthread_condattr_destroy(&attributes);
}

void wake_fini(struct wake *wake)
{
    thread_must(pthread_cond_destroy(&wake->os));
}

bool wake_wait_until(struct wake *wake, struct mutex *mutex, int64_t deadline_us)
{
    struct timespec deadline;
    int result;

    if (deadline_us == CLOCK_NEVER) {
        thread_must(pthread_cond_wait(&wake->os, &mutex->os));
        return true;
    }
    if (deadline_us < 0)
        deadline_us = 0; /* long past; the kernel refuses negative times */
    deadline.tv_sec = deadline_us / 1000000;
    deadline.tv_nsec = deadline_us % 1000000 * 1000;
    result = pthread_cond_timedwait(&wake->os, &mutex->os, &deadline);
    assert(result == 0 || result == ETIMEDOUT);
    return result == 0;
}

void wake_one(struct wake *wake)
{
    thread_must(pthread_cond_signal(&wake->os));
}

void wake_all(struct wake *wake)
{
    thread_must(pthread_cond_broadcast(&wake->os));
}
