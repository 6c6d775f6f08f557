#include "base/credit.h"

#include <stdatomic.h>

#include "base/thread.h"
#include "check.h"

TestSuite(credit, .timeout = 60);

Test(credit, what_is_left_can_be_taken_and_one_letter_may_be_larger)
{
    struct credit *credit = credit_new(10);

    cr_assert(credit_take(credit, 9));
    cr_assert(credit_take(credit, 100));
    credit_free(credit);
}

Test(credit, a_closed_one_gives_nothing_even_where_some_is_left)
{
    struct credit *credit = credit_new(10);

    credit_close(credit);
    credit_close(credit);
    cr_assert_not(credit_take(credit, 1));
    credit_free(credit);
}

Test(credit, freeing_none_is_fine)
{
    credit_free(NULL);
}

struct taker {
    struct credit *credit;
    bool taken;
};

static void take_one_byte(void *context)
{
    struct taker *taker = context;

    taker->taken = credit_take(taker->credit, 1);
}

static void start_taker(struct taker *taker, struct thread *thread)
{
    struct mailraft_error err;

    taker->credit = credit_new(10);
    cr_assert(credit_take(taker->credit, 15)); /* 5 bytes too many: the next take waits */
    cr_assert(thread_start(thread, "taker", take_one_byte, taker, &err));
}

Test(credit, a_take_waits_until_enough_was_given_back)
{
    struct taker taker = {NULL, false};
    struct thread thread;

    start_taker(&taker, &thread);
    credit_give(taker.credit, 5); /* none is left yet, but nothing is owed */
    credit_give(taker.credit, 1);
    thread_join(&thread);
    cr_assert(taker.taken);
    credit_free(taker.credit);
}

Test(credit, closing_ends_a_take_that_waits)
{
    struct taker taker = {NULL, true};
    struct thread thread;

    start_taker(&taker, &thread);
    credit_close(taker.credit);
    thread_join(&thread);
    cr_assert_not(taker.taken);
    credit_free(taker.credit);
}

static void await_some(void *context)
{
    struct taker *taker = context;

    taker->taken = credit_await(taker->credit);
}

Test(credit, what_is_charged_is_awaited)
{
    struct taker taker = {credit_new(10), false};
    struct thread thread;
    struct mailraft_error err;

    credit_charge(taker.credit, 9);
    cr_assert(credit_await(taker.credit), "some is left");
    credit_charge(taker.credit, 6);
    cr_assert(thread_start(&thread, "taker", await_some, &taker, &err));
    credit_give(taker.credit, 6);
    thread_join(&thread);
    cr_assert(taker.taken);
    credit_free(taker.credit);
}

/* A leak, or a second free, is what would show. */
Test(credit, one_that_is_abandoned_lasts_until_all_is_given_back)
{
    struct credit *credit = credit_new(10);

    credit_charge(credit, 15);
    credit_abandon(credit);
    credit_give(credit, 10);
    credit_give(credit, 5);
    credit_abandon(credit_new(10));
}

#define ROUNDS 20000

struct game {
    struct credit *there, *back;
    atomic_int given; /* to there */
    int early;        /* takes that did not wait for what was given */
};

static void return_what_comes(void *context)
{
    struct game *game = context;

    for (int i = 1; i <= ROUNDS && credit_take(game->there, 1); i++) {
        game->early += game->given < i;
        credit_give(game->back, 1);
    }
}

/* One byte goes there and back, so that both sides fall asleep again and again: one lost wake-up would stand still for
 * ever. */
Test(credit, nobody_takes_what_was_not_given_and_no_wake_up_is_lost)
{
    struct game game = {.there = credit_new(0), .back = credit_new(0)};
    struct thread thread;
    struct mailraft_error err;

    cr_assert(thread_start(&thread, "returner", return_what_comes, &game, &err));
    for (int i = 0; i < ROUNDS; i++) {
        game.given++;
        credit_give(game.there, 1);
        cr_assert(credit_take(game.back, 1));
    }
    thread_join(&thread);
    cr_assert_eq(game.early, 0);
    credit_free(game.there);
    credit_free(game.back);
}
