/* The heap of what will happen, and the thread of time through it. */
#include <assert.h>
#include <stdlib.h>

#include "sim/world.h"

#define AT_ONCE_MAX 10000 /* events at one instant: more means that something goes round in circles */

static bool is_earlier(const struct event *a, const struct event *b)
{
    return a->due_us < b->due_us || (a->due_us == b->due_us && a->sequence < b->sequence);
}

static void heap_put(struct sim *sim, size_t place, struct event *event)
{
    sim->heap[place] = event;
    event->place = place;
}

static void heap_rise(struct sim *sim, size_t place, struct event *event)
{
    while (place > 1 && is_earlier(event, sim->heap[place / 2])) {
        heap_put(sim, place, sim->heap[place / 2]);
        place /= 2;
    }
    heap_put(sim, place, event);
}

static void heap_sink(struct sim *sim, size_t place, struct event *event)
{
    for (;;) {
        size_t child = 2 * place;

        if (child < sim->heap_count && is_earlier(sim->heap[child + 1], sim->heap[child]))
            child++;
        if (child > sim->heap_count || !is_earlier(sim->heap[child], event))
            break;
        heap_put(sim, place, sim->heap[child]);
        place = child;
    }
    heap_put(sim, place, event);
}

void event_cancel(struct sim *sim, struct event *event)
{
    size_t place = event->place;
    struct event *last;

    if (place == 0)
        return;
    event->place = 0;
    last = sim->heap[sim->heap_count--];
    if (last == event)
        return;
    if (place > 1 && is_earlier(last, sim->heap[place / 2]))
        heap_rise(sim, place, last);
    else
        heap_sink(sim, place, last);
}

void event_schedule(struct sim *sim, struct event *event, int64_t due_us)
{
    event_cancel(sim, event);
    if (due_us == NEVER || event->postponed)
        return;
    event->due_us = due_us > sim->now_us ? due_us : sim->now_us;
    event->sequence = ++sim->sequence;
    if (sim->heap_count + 1 >= sim->heap_room) {
        sim->heap_room = sim->heap_room == 0 ? 256 : 2 * sim->heap_room;
        sim->heap = realloc(sim->heap, sim->heap_room * sizeof *sim->heap);
        assert(sim->heap != NULL);
    }
    heap_rise(sim, ++sim->heap_count, event);
}

void events_postpone(struct events *events, struct event *event)
{
    event->postponed = true;
    event->next = NULL;
    if (events->first == NULL)
        events->first = event;
    else
        events->last->next = event;
    events->last = event;
}

struct event *events_take(struct events *events)
{
    struct event *event = events->first;

    if (event == NULL)
        return NULL;
    event->postponed = false;
    events->first = event->next;
    return event;
}

bool sim_step(struct sim *sim)
{
    struct event *event;

    if (sim->heap_count == 0)
        return false;
    event = sim->heap[1];
    event_cancel(sim, event);
    if (event->due_us > sim->now_us) {
        sim->now_us = event->due_us;
        sim->events_now = 0;
    }
    if (++sim->events_now > AT_ONCE_MAX)
        sim_fail("more than %d events at one instant", AT_ONCE_MAX);
    event->fire(event);
    if (sim->now_us >= sim->check_due_us)
        check_leaders(sim);
    return true;
}

static int64_t time_after(const struct sim *sim, int64_t us)
{
    assert(us >= 0);
    return sim->now_us + us;
}

static bool is_due(const struct sim *sim, int64_t end_us)
{
    return sim->heap_count > 0 && sim->heap[1]->due_us <= end_us;
}

static void pass_until(struct sim *sim, int64_t end_us)
{
    if (sim->now_us < end_us)
        sim->events_now = 0;
    sim->now_us = end_us;
}

void sim_run_us(struct sim *sim, int64_t us)
{
    int64_t end_us = time_after(sim, us);

    while (is_due(sim, end_us))
        sim_step(sim);
    pass_until(sim, end_us);
}

bool sim_run_until(struct sim *sim, int64_t us, bool (*holds)(struct sim *sim, void *context), void *context)
{
    int64_t end_us = time_after(sim, us);

    if (holds(sim, context))
        return true;
    while (is_due(sim, end_us)) {
        sim_step(sim);
        if (holds(sim, context))
            return true;
    }
    pass_until(sim, end_us);
    return false;
}

static bool has_leader(struct sim *sim, void *context)
{
    (void)context;
    return sim_leader(sim) != NO_ONE;
}

bool sim_run_until_leader(struct sim *sim, int64_t us)
{
    return sim_run_until(sim, us, has_leader, NULL);
}

/* Whether an event is something under way that ends by itself: a call of a disk, or a thread about to run. */
static bool is_busy(const struct sim *sim, const struct event *event)
{
    const struct sim_thread *thread = (const struct sim_thread *)event;

    return event->due_us <= sim->now_us || (event->fire == thread_fire && (thread->call != NULL || thread->woken));
}

static bool is_any_busy(const struct sim *sim)
{
    for (size_t i = 1; i <= sim->heap_count; i++)
        if (is_busy(sim, sim->heap[i]))
            return true;
    return false;
}

void sim_settle(struct sim *sim)
{
    while (is_any_busy(sim))
        sim_step(sim);
}
