/* linearizable.h - whether what clients saw can be told as a story in which everything happens at one moment, between
 * its call and its return (Herlihy and Wing 1990): Wing and Gong's search (1993) with Lowe's memory of where it has
 * been (2017).
 *
 * An operation that nobody knows the end of may happen at any moment after its call, or never. Many of those are what
 * makes the search long: so the stories in which few of them happen right before something that is known to have
 * happened are looked through first, and of those that do the same, the earliest happens first. Whoever only
 * reads does so as soon as it can: that is never wrong, and spares looking at all orders of those who read at the same
 * time.
 *
 * Memory comes from calloc: the checker is nobody's life. */
#ifndef SIM_LINEARIZABLE_H
#define SIM_LINEARIZABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINEARIZABLE_UNKNOWN INT64_MAX /* as the time of a return */
#define LINEARIZABLE_NONE    SIZE_MAX

struct linearizable_operation {
    int64_t called_us, returned_us;
    bool reads;   /* it changes nothing, but for what a way of it may bring about by itself */
    size_t after; /* the operation behind which it happens, whatever the times say; its end is known. Or NONE */
    /* Of one whose end is unknown. */
    bool seen;      /* something may have shown that it happened: such are tried before the others */
    uint64_t alike; /* those with the same number do the same in every state; 0: like no other */
};

struct linearizable_model {
    void *context;
    size_t state_size; /* of plain bytes; equal states have equal bytes */
    void (*begin)(void *context, void *state);
    /* Lets an operation happen. False: in this state it would not have ended as it did. An operation may happen in so
     * many ways: each is tried. Whatever it left of the state is thrown away where it returns false. */
    unsigned ways;
    bool (*step)(void *context, void *state, size_t operation, unsigned way);
};

enum linearizable_verdict {
    LINEARIZABLE,
    NOT_LINEARIZABLE,
    LINEARIZABLE_UNDECIDED /* too many stories */
};

/* tries_max: of states that are looked at in one round of the search. *stuck: where it is not linearizable, an
 * operation whose return the longest story could not explain. May be NULL. */
enum linearizable_verdict linearizable_check(const struct linearizable_model *model,
                                             const struct linearizable_operation *operations, size_t count,
                                             size_t tries_max, size_t *stuck);

#endif
