#include "sim/linearizable.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

#define TRIES 1000000
#define NEVER LINEARIZABLE_UNKNOWN

/* A register and a counter: what is written, and what is read where the end is known. */
enum deed { WRITE, READ, ADD, ADD_OR_NOT /* it adds in one way, and does not in another */ };

struct happening {
    enum deed deed;
    int value; /* READ: the one that came back; ADD: what there was after it */
};

#define HAPPENINGS_MAX 400

struct history {
    size_t count;
    struct happening happenings[HAPPENINGS_MAX];
    struct linearizable_operation operations[HAPPENINGS_MAX];
};

static struct history history;

static void forget(void)
{
    memset(&history, 0, sizeof history);
}

TestSuite(linearizable, .init = forget, .timeout = 60);

static size_t happen(enum deed deed, int value, int64_t called_us, int64_t returned_us)
{
    size_t operation = history.count++;

    cr_assert_lt(operation, (size_t)HAPPENINGS_MAX);
    history.happenings[operation] = (struct happening){deed, value};
    history.operations[operation] = (struct linearizable_operation){
        .called_us = called_us, .returned_us = returned_us, .reads = deed == READ,
        .after = LINEARIZABLE_NONE, .seen = true};
    return operation;
}

static void begin(void *context, void *state)
{
    cr_assert_eq(context, &history);
    *(int *)state = 0;
}

static bool step(void *context, void *state, size_t operation, unsigned way)
{
    const struct happening *happening = &history.happenings[operation];
    bool is_known = history.operations[operation].returned_us != NEVER;
    int *value = state;

    cr_assert_eq(context, &history);
    switch (happening->deed) {
    case WRITE:
        *value = happening->value;
        return way == 0;
    case READ:
        return way == 0 && (!is_known || *value == happening->value);
    case ADD:
        ++*value;
        return way == 0 && (!is_known || *value == happening->value);
    case ADD_OR_NOT:
        *value += way == 0;
        return true;
    }
    return false;
}

static enum linearizable_verdict check_with(size_t tries, size_t *stuck)
{
    const struct linearizable_model model = {&history, sizeof(int), begin, 2, step};

    return linearizable_check(&model, history.operations, history.count, tries, stuck);
}

static enum linearizable_verdict check(void)
{
    return check_with(TRIES, NULL);
}

Test(linearizable, nothing_is)
{
    cr_assert_eq(check(), LINEARIZABLE);
}

Test(linearizable, one_after_the_other_sees_what_the_one_before_wrote)
{
    happen(WRITE, 1, 0, 1);
    happen(READ, 1, 2, 3);
    cr_assert_eq(check(), LINEARIZABLE);
    happen(READ, 0, 4, 5);
    cr_assert_eq(check(), NOT_LINEARIZABLE);
}

Test(linearizable, a_read_during_a_write_may_see_it_or_not)
{
    happen(WRITE, 1, 0, 10);
    happen(READ, 0, 1, 2);
    happen(READ, 1, 3, 4);
    cr_assert_eq(check(), LINEARIZABLE);
}

Test(linearizable, what_was_seen_once_does_not_go_away)
{
    happen(WRITE, 1, 0, 10);
    happen(READ, 1, 1, 2);
    happen(READ, 0, 3, 4);
    cr_assert_eq(check(), NOT_LINEARIZABLE);
}

/* Calls and returns of one moment overlap: which came first, nobody knows. */
Test(linearizable, a_call_at_the_moment_of_a_return_may_have_been_earlier)
{
    happen(WRITE, 1, 0, 5);
    happen(READ, 0, 5, 9);
    cr_assert_eq(check(), LINEARIZABLE);
}

Test(linearizable, readers_agree_on_the_order_of_writes)
{
    happen(WRITE, 1, 0, 100);
    happen(WRITE, 2, 0, 100);
    happen(READ, 1, 1, 10);
    happen(READ, 2, 11, 20);
    cr_assert_eq(check(), LINEARIZABLE);
    happen(READ, 1, 21, 30);
    cr_assert_eq(check(), NOT_LINEARIZABLE);
}

/* Herlihy and Wing's figure 1, as registers. */
Test(linearizable, a_value_that_was_overwritten_before_a_read_began_is_not_read)
{
    happen(WRITE, 1, 0, 3);
    happen(WRITE, 2, 4, 7);
    happen(READ, 2, 5, 12);
    happen(READ, 1, 8, 11);
    cr_assert_eq(check(), NOT_LINEARIZABLE);
}

Test(linearizable, it_is_told_which_operation_cannot_be_explained)
{
    size_t stuck = 99, wrong;

    happen(WRITE, 1, 0, 1);
    happen(READ, 1, 2, 3);
    wrong = happen(READ, 7, 4, 5);
    happen(WRITE, 2, 6, 7);
    cr_assert_eq(check_with(TRIES, &stuck), NOT_LINEARIZABLE);
    cr_assert_eq(stuck, wrong);
}

/* ---- Of unknown end ---- */

Test(linearizable, what_nobody_knows_the_end_of_may_have_happened_or_not)
{
    happen(WRITE, 1, 0, NEVER);
    happen(READ, 0, 5, 6);
    cr_assert_eq(check(), LINEARIZABLE);
    happen(READ, 1, 7, 8);
    cr_assert_eq(check(), LINEARIZABLE);
    happen(READ, 0, 9, 10);
    cr_assert_eq(check(), NOT_LINEARIZABLE);
}

Test(linearizable, it_may_happen_long_after_its_call)
{
    happen(WRITE, 1, 0, NEVER);
    happen(WRITE, 2, 1, 2);
    happen(READ, 2, 1000, 1001);
    happen(READ, 1, 2000, 2001);
    cr_assert_eq(check(), LINEARIZABLE);
}

Test(linearizable, it_happens_at_most_once)
{
    happen(WRITE, 1, 0, NEVER);
    happen(READ, 1, 1, 2);
    happen(WRITE, 2, 3, 4);
    happen(READ, 2, 5, 6);
    happen(READ, 1, 7, 8);
    cr_assert_eq(check(), NOT_LINEARIZABLE);
}

Test(linearizable, it_never_happens_before_its_call)
{
    happen(READ, 1, 0, 1);
    happen(WRITE, 1, 2, NEVER);
    cr_assert_eq(check(), NOT_LINEARIZABLE);
}

Test(linearizable, many_of_them_may_happen_in_a_row)
{
    for (int i = 0; i < 9; i++)
        happen(ADD, 0, i, NEVER);
    happen(READ, 9, 20, 21);
    cr_assert_eq(check(), LINEARIZABLE);
    happen(READ, 10, 22, 23);
    cr_assert_eq(check(), NOT_LINEARIZABLE);
}

Test(linearizable, those_that_nothing_has_shown_are_tried_as_well)
{
    history.operations[happen(ADD, 0, 0, NEVER)].seen = false;
    history.operations[happen(ADD, 0, 1, NEVER)].seen = false;
    happen(READ, 2, 20, 21);
    cr_assert_eq(check(), LINEARIZABLE);
}

Test(linearizable, of_those_alike_any_number_may_happen_and_each_after_its_call)
{
    for (int i = 0; i < 100; i++)
        history.operations[happen(ADD, 0, 10 * i, NEVER)].alike = 1;
    happen(READ, 50, 2000, 2001);
    happen(READ, 70, 2002, 2003);
    cr_assert_eq(check(), LINEARIZABLE);
    happen(READ, 101, 2004, 2005);
    cr_assert_eq(check(), NOT_LINEARIZABLE);
    forget();
    for (int i = 0; i < 100; i++)
        history.operations[happen(ADD, 0, 10 * i, NEVER)].alike = 1;
    happen(READ, 51, 500, 501); /* 51 of them have been called by then */
    cr_assert_eq(check(), LINEARIZABLE);
    happen(READ, 52, 502, 503);
    cr_assert_eq(check(), NOT_LINEARIZABLE);
}

/* A hundred writes of which one was seen at a time: none but that has to be looked at. */
Test(linearizable, many_unknown_ones_do_not_make_it_long)
{
    for (int i = 1; i <= 100; i++)
        happen(WRITE, i, i, NEVER);
    for (int i = 1; i <= 100; i++)
        happen(READ, i * 37 % 101, 1000 + 2 * i, 1001 + 2 * i);
    cr_assert_eq(check(), LINEARIZABLE);
}

/* ---- What has to come behind what ---- */

Test(linearizable, what_comes_behind_another_happens_after_it_whatever_the_times_say)
{
    size_t write = happen(WRITE, 1, 0, 10), read = happen(READ, 0, 0, 10);

    cr_assert_eq(check(), LINEARIZABLE);
    history.operations[read].after = write;
    cr_assert_eq(check(), NOT_LINEARIZABLE);
}

Test(linearizable, one_of_unknown_end_comes_behind_another_too)
{
    size_t read = happen(READ, 0, 0, 100), add = happen(ADD, 0, 0, NEVER);

    happen(READ, 1, 0, 10);
    happen(READ, 0, 11, 20);
    cr_assert_eq(check(), NOT_LINEARIZABLE);
    forget();
    read = happen(READ, 0, 0, 100);
    add = happen(ADD, 0, 0, NEVER);
    happen(READ, 1, 0, 10);
    history.operations[add].after = read;
    cr_assert_eq(check(), LINEARIZABLE);
    history.operations[read].returned_us = 101;
    history.happenings[read].value = 1; /* it has seen what comes behind it */
    cr_assert_eq(check(), NOT_LINEARIZABLE);
}

/* ---- Ways ---- */

Test(linearizable, an_operation_may_happen_in_more_than_one_way)
{
    happen(ADD_OR_NOT, 0, 0, 1);
    happen(ADD_OR_NOT, 0, 2, 3);
    happen(READ, 1, 4, 5);
    happen(ADD_OR_NOT, 0, 6, 7);
    happen(READ, 1, 8, 9);
    cr_assert_eq(check(), LINEARIZABLE);
    happen(READ, 4, 10, 11);
    cr_assert_eq(check(), NOT_LINEARIZABLE);
}

/* ---- How long it takes ---- */

Test(linearizable, where_there_are_too_many_stories_it_says_so)
{
    for (int i = 0; i < 40; i++)
        happen(WRITE, i, 0, 1000);
    happen(READ, 77, 0, 1000);
    cr_assert_eq(check_with(1000, NULL), LINEARIZABLE_UNDECIDED);
}

Test(linearizable, many_who_read_at_the_same_time_do_not_make_it_long)
{
    for (int i = 0; i < 60; i++)
        happen(READ, i % 3, 0, 1000);
    happen(WRITE, 1, 0, 1000);
    happen(WRITE, 2, 0, 1000);
    cr_assert_eq(check_with(1000, NULL), LINEARIZABLE);
    happen(READ, 3, 0, 1000);
    cr_assert_eq(check_with(1000, NULL), NOT_LINEARIZABLE);
}

/* ---- Against all orders ---- */

static bool is_before(const size_t *order, size_t length, size_t operation)
{
    for (size_t j = 0; j < length; j++)
        if (order[j] == operation)
            return true;
    return false;
}

static bool may_be_next(const size_t *order, size_t length, size_t operation, const bool *happens)
{
    size_t after = history.operations[operation].after;

    if (after != LINEARIZABLE_NONE && !is_before(order, length, after))
        return false;
    for (size_t i = 0; i < history.count; i++)
        if (happens[i] && !is_before(order, length, i) && i != operation &&
            history.operations[i].returned_us < history.operations[operation].called_us)
            return false;
    return true;
}

static bool try_orders(size_t *order, size_t length, size_t wanted, const bool *happens, int state)
{
    if (length == wanted)
        return true;
    for (size_t i = 0; i < history.count; i++) {
        if (is_before(order, length, i) || !happens[i] || !may_be_next(order, length, i, happens))
            continue;
        for (unsigned way = 0; way < 2; way++) {
            int next = state;

            if (!step(&history, &next, i, way))
                continue;
            order[length] = i;
            if (try_orders(order, length + 1, wanted, happens, next))
                return true;
        }
    }
    return false;
}

/* By looking at every order of every choice of the unknown. */
static bool is_linearizable(void)
{
    for (unsigned choice = 0; choice < 1u << history.count; choice++) {
        bool happens[HAPPENINGS_MAX];
        size_t order[HAPPENINGS_MAX], wanted = 0;
        bool sound = true;

        for (size_t i = 0; i < history.count; i++) {
            happens[i] = (choice >> i & 1) != 0;
            wanted += happens[i];
            sound = sound && (happens[i] || history.operations[i].returned_us == NEVER);
        }
        if (sound && try_orders(order, 0, wanted, happens, 0))
            return true;
    }
    return false;
}

static unsigned draw(uint64_t *state, unsigned below)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(*state >> 33) % below;
}

Test(linearizable, it_finds_what_looking_at_all_orders_finds)
{
    uint64_t state = 1;
    int good = 0, bad = 0;

    for (int run = 0; run < 20000; run++) {
        forget();
        for (unsigned i = 0, count = 2 + draw(&state, 5); i < count; i++) {
            int64_t called_us = draw(&state, 12);
            int64_t returned_us = draw(&state, 4) == 0 ? NEVER : called_us + draw(&state, 6);
            size_t operation = happen((enum deed)draw(&state, 4), (int)draw(&state, 3), called_us, returned_us);

            history.operations[operation].seen = draw(&state, 2) == 0;
            if (history.happenings[operation].deed == ADD && draw(&state, 2) == 0)
                history.operations[operation].alike = 1;
            if (i > 0 && history.operations[i - 1].returned_us != NEVER && draw(&state, 3) == 0)
                history.operations[i].after = i - 1;
        }
        bool expected = is_linearizable();
        cr_assert_eq(check(), expected ? LINEARIZABLE : NOT_LINEARIZABLE, "run %d", run);
        good += expected;
        bad += !expected;
    }
    cr_assert_gt(good, 1000);
    cr_assert_gt(bad, 1000);
}
