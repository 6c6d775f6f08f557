/* coroutine.h - functions that can be left in the middle and resumed: what a simulated thread runs on.
 *
 * Stacks are used again, since a simulation ends and begins lives all the time; they come from the stable of whoever
 * makes the coroutines. A coroutine that is freed before it has ended is never resumed: its frames are forgotten. */
#ifndef SIM_COROUTINE_H
#define SIM_COROUTINE_H

#include <stdbool.h>
#include <stddef.h>

struct coroutine;

struct coroutine_stable {
    struct coroutine *idle; /* ended or freed; their stacks wait for the next */
};

/* Nothing runs before the first resume. */
struct coroutine *coroutine_new(struct coroutine_stable *stable, void (*main)(void *context), void *context);
void coroutine_free(struct coroutine_stable *stable, struct coroutine *coroutine);
void coroutine_stable_empty(struct coroutine_stable *stable);

/* Runs it until it yields or its main returns. From outside of any coroutine. */
void coroutine_resume(struct coroutine *coroutine);
void coroutine_yield(struct coroutine *coroutine); /* from inside of this one */
bool coroutine_has_ended(const struct coroutine *coroutine);

#endif
