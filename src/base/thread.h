/* thread.h - threads, and how one waits for another. One of the headers that the simulator replaces: there, threads
 * are coroutines that switch only in wake_wait_until, in thread_join and in the calls of disk.h.
 *
 * The structs' bodies stand here because others embed them; only thread.c looks inside. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct thread {
    union {
        pthread_t os;
        void *simulated;
    };
};

struct mutex {
    union {
        pthread_mutex_t os;
        void *simulated;
    };
};

struct wake { /* a condition variable on the monotonic clock */
    union {
        pthread_cond_t os;
        void *simulated;
    };
};

/* Runs main(context) on a thread of its own, named (at most 15 bytes) for debuggers. Signals are blocked in it.
 * Raises SERVER_ERROR. Every started thread is joined or abandoned, once. */
bool thread_start(struct thread *thread, const char *name, void (*main)(void *context), void *context,
                  struct mailraft_error *err);
void thread_join(struct thread *thread);
void thread_abandon(struct thread *thread); /* never wait for it: it is stuck in a system call */

void thread_pass(void); /* lets others run that are ready to; the simulator's do so by themselves */

void mutex_init(struct mutex *mutex);
void mutex_fini(struct mutex *mutex);
void mutex_lock(struct mutex *mutex);
void mutex_unlock(struct mutex *mutex);

void wake_init(struct wake *wake);
void wake_fini(struct wake *wake);
/* Waits until signalled or until the deadline (clock_now_us); false when the deadline passed. The mutex is held
 * before and after. May wake for no reason: call it in a loop around the condition. */
bool wake_wait_until(struct wake *wake, struct mutex *mutex, int64_t deadline_us);
void wake_one(struct wake *wake);
void wake_all(struct wake *wake);

#endif
