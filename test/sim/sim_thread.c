/* base/clock.h, base/random.h and base/thread.h: time, numbers and threads come from the simulation. */
#include "base/thread.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "sim/world.h"

/* ---- Time and numbers ---- */

#define CLOCK_LOOKS_MAX 100000           /* of a thread between two waits */
#define WALL_START_US   1767225600000000 /* 2026-01-01T00:00:00Z */

/* What a life's clock shows at a moment of the simulation. */
static int64_t life_clock_us(const struct life *life, int64_t at_us)
{
    return life->clock_offset_us + at_us + at_us * life->clock_drift / 1000000;
}

/* The first moment at which it shows as much. */
static int64_t life_moment_us(const struct life *life, int64_t clock_us)
{
    int64_t at_us = (clock_us - life->clock_offset_us) * 1000000 / (1000000 + life->clock_drift) - 2; /* rounding */

    if (at_us < the_sim->now_us)
        at_us = the_sim->now_us;
    while (life_clock_us(life, at_us) < clock_us)
        at_us++;
    return at_us;
}

/* A thread that looks at the clock again and again without ever waiting goes round in circles. */
static void count_look(struct sim_thread *thread)
{
    if (thread != NULL && ++thread->clock_looks > CLOCK_LOOKS_MAX)
        sim_fail("thread %s of machine %d runs on without waiting", thread->name, thread->life->machine->id);
}

int64_t clock_now_us(void)
{
    if (the_sim == NULL)
        return 0;
    count_look(the_sim->thread);
    return the_sim->life != NULL ? life_clock_us(the_sim->life, the_sim->now_us) : the_sim->now_us;
}

int64_t clock_wall_us(void)
{
    int64_t lead_us = the_sim != NULL && the_sim->life != NULL ? the_sim->life->machine->wall_lead_us : 0;

    return WALL_START_US + lead_us + (the_sim != NULL ? the_sim->now_us : 0);
}

void sim_set_wall_clock(struct sim *sim, raft_id id, int64_t lead_us)
{
    sim_machine(sim, id)->wall_lead_us = lead_us;
    sim_trace(sim, "the wall clock of %d leads by %lld us", id, (long long)lead_us);
}

void clock_cpu_us(int64_t *user_us, int64_t *system_us)
{
    *user_us = *system_us = 0; /* computing takes no time here */
}

void random_bytes(void *bytes, size_t size)
{
    uint8_t *at = bytes;

    for (size_t i = 0; i < size; i += 8) {
        uint64_t number = sim_random(the_sim);

        memcpy(at + i, &number, size - i < 8 ? size - i : 8);
    }
}

int64_t random_between(int64_t low, int64_t high)
{
    return sim_draw(the_sim, low, high);
}

/* ---- Threads ---- */

static void thread_destroy(struct sim *sim, struct sim_thread *thread)
{
    event_cancel(sim, &thread->event);
    coroutine_free(&sim->stable, thread->coroutine);
    free(thread);
}

void thread_reap(struct sim *sim, struct sim_thread *thread)
{
    struct sim_thread **link = &thread->life->threads;

    while (*link != thread)
        link = &(*link)->next;
    *link = thread->next;
    if (thread->life->first == thread)
        thread->life->first = NULL;
    thread_destroy(sim, thread);
}

/* It is still on its own stack when this ends: its joiner frees it, or, where nobody joins it, thread_fire. */
static void thread_main(void *context)
{
    struct sim_thread *thread = context;

    thread->main(thread->context);
    assert(thread->mutexes_held == 0);
    thread->ended = true;
    if (thread->joiner != NULL)
        event_schedule(the_sim, &thread->joiner->event, the_sim->now_us);
}

struct sim_thread *thread_spawn(struct sim *sim, struct life *life, const char *name, void (*main)(void *context),
                                void *context)
{
    struct sim_thread *thread = calloc(1, sizeof *thread);

    assert(thread != NULL);
    thread->event.fire = thread_fire;
    thread->life = life;
    thread->name = name;
    thread->main = main;
    thread->context = context;
    thread->coroutine = coroutine_new(&sim->stable, thread_main, thread);
    thread->next = life->threads;
    life->threads = thread;
    event_schedule(sim, &thread->event, sim->now_us);
    return thread;
}

void threads_forget(struct sim *sim, struct life *life)
{
    while (life->threads != NULL) {
        struct sim_thread *thread = life->threads;

        life->threads = thread->next;
        if (thread->call != NULL)
            thread->call->do_part(thread->call);
        thread_destroy(sim, thread);
    }
}

void threads_wake_hung(struct sim *sim, struct life *life)
{
    for (struct sim_thread *thread = life->threads; thread != NULL; thread = thread->next)
        if (thread->hung) {
            thread->hung = false;
            event_schedule(sim, &thread->event, sim->now_us);
        }
}

void thread_yield(struct sim_thread *thread)
{
    thread->life->roles_since_mail = 0;
    thread->clock_looks = 0;
    coroutine_yield(thread->coroutine);
}

/* The thread that runs; threads of the test's own making have no business here. */
static struct sim_thread *thread_self(void)
{
    assert(the_sim != NULL && the_sim->thread != NULL);
    return the_sim->thread;
}

bool thread_start(struct thread *thread, const char *name, void (*main)(void *context), void *context,
                  struct mailraft_error *err)
{
    (void)err;
    thread->simulated = thread_spawn(the_sim, thread_self()->life, name, main, context);
    return true;
}

void thread_join(struct thread *thread)
{
    struct sim_thread *other = thread->simulated;
    struct sim_thread *self = thread_self();

    assert(self->mutexes_held == 0 && other->joiner == NULL && !other->abandoned);
    while (!other->ended) {
        other->joiner = self;
        thread_yield(self);
    }
    thread_reap(the_sim, other);
}

void thread_pass(void)
{
}

void thread_abandon(struct thread *thread)
{
    struct sim_thread *other = thread->simulated;

    assert(other->joiner == NULL && !other->abandoned);
    other->abandoned = true;
    other->life->abandoned = true;
    if (other->ended)
        thread_reap(the_sim, other);
}

/* ---- Mutexes: nobody else runs while one is held, so none is ever contended. ---- */

static char held_by_simulator;

static void *mutex_holder(void)
{
    return the_sim != NULL && the_sim->thread != NULL ? (void *)the_sim->thread : &held_by_simulator;
}

static void count_held(int change)
{
    if (the_sim != NULL && the_sim->thread != NULL)
        the_sim->thread->mutexes_held += change;
}

void mutex_init(struct mutex *mutex)
{
    mutex->simulated = NULL;
}

void mutex_fini(struct mutex *mutex)
{
    assert(mutex->simulated == NULL);
}

void mutex_lock(struct mutex *mutex)
{
    assert(mutex->simulated == NULL);
    mutex->simulated = mutex_holder();
    count_held(1);
}

void mutex_unlock(struct mutex *mutex)
{
    assert(mutex->simulated == mutex_holder());
    mutex->simulated = NULL;
    count_held(-1);
}

/* ---- Waiting: wake->simulated lists those who do. ---- */

void wake_init(struct wake *wake)
{
    wake->simulated = NULL;
}

void wake_fini(struct wake *wake)
{
    assert(wake->simulated == NULL);
}

static void waiting_add(struct wake *wake, struct sim_thread *thread)
{
    void **link = &wake->simulated;

    for (struct sim_thread *other = *link; other != NULL; other = other->next_waiting)
        if (other->next_waiting == NULL) {
            other->next_waiting = thread;
            return;
        }
    *link = thread;
}

static void waiting_remove(struct wake *wake, struct sim_thread *thread)
{
    struct sim_thread *before = wake->simulated;

    if (before == thread) {
        wake->simulated = thread->next_waiting;
    } else {
        while (before->next_waiting != thread)
            before = before->next_waiting;
        before->next_waiting = thread->next_waiting;
    }
    thread->next_waiting = NULL;
}

bool wake_wait_until(struct wake *wake, struct mutex *mutex, int64_t deadline_us)
{
    struct sim_thread *self = thread_self();

    assert(self->mutexes_held == 1);
    mutex_unlock(mutex);
    self->woken = false;
    waiting_add(wake, self);
    if (deadline_us != CLOCK_NEVER)
        event_schedule(the_sim, &self->event, life_moment_us(self->life, deadline_us));
    thread_yield(self);
    if (!self->woken)
        waiting_remove(wake, self);
    mutex_lock(mutex);
    return self->woken;
}

/* A woken thread runs a little later, as the kernel has it. */
static void wake_thread(struct wake *wake, struct sim_thread *thread)
{
    waiting_remove(wake, thread);
    thread->woken = true;
    event_schedule(the_sim, &thread->event, the_sim->now_us + sim_draw(the_sim, 0, the_sim->wake_max_us));
}

void wake_one(struct wake *wake)
{
    if (wake->simulated != NULL)
        wake_thread(wake, wake->simulated);
}

void wake_all(struct wake *wake)
{
    while (wake->simulated != NULL)
        wake_thread(wake, wake->simulated);
}
