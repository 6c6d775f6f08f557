#include "base/pile.h"

#include "base/clock.h"
#include "base/credit.h"
#include "base/thread.h"
#include "check.h"

#define SOON_US 30000000 /* an event that does not come by then never comes */

static struct pile *pile;
static int64_t now_us; /* of the last take */

static void make_pile(void)
{
    pile = pile_new();
}

static void free_pile(void)
{
    pile_free(pile);
    pile = NULL;
}

TestSuite(pile, .init = make_pile, .fini = free_pile, .timeout = 60);

static void put(enum lane lane, uint64_t number)
{
    struct letter *letter = letter_new(LETTER_MESSAGE);

    letter->number = number;
    pile_put(pile, lane, letter);
}

/* The number of the next letter; 0: the take gave none. */
static uint64_t take_until(enum lane upto, int64_t deadline_us)
{
    struct letter *letter = pile_take(pile, upto, deadline_us, &now_us);
    uint64_t number = letter == NULL ? 0 : letter->number;

    letter_free(letter);
    return number;
}

static uint64_t take(void)
{
    return take_until(LANE_CLIENTS, clock_now_us() + SOON_US);
}

/* The clock has gone on when this returns: what is put from then on is put later than what was put before. */
static int64_t next_microsecond(void)
{
    int64_t start_us = clock_now_us();

    while (clock_now_us() <= start_us)
        ;
    return clock_now_us();
}

/* --- order and lanes --- */

Test(pile, letters_of_a_lane_come_in_the_order_they_were_put)
{
    for (uint64_t i = 1; i <= 100; i++)
        put(LANE_INNER, i);
    for (uint64_t i = 1; i <= 50; i++)
        cr_assert_eq(take(), i);
    for (uint64_t i = 101; i <= 200; i++)
        put(LANE_INNER, i);
    for (uint64_t i = 51; i <= 200; i++)
        cr_assert_eq(take(), i);
}

Test(pile, control_comes_before_inner_and_inner_before_clients)
{
    put(LANE_CLIENTS, 5);
    put(LANE_INNER, 3);
    put(LANE_CONTROL, 1);
    put(LANE_CLIENTS, 6);
    put(LANE_INNER, 4);
    put(LANE_CONTROL, 2);
    for (uint64_t i = 1; i <= 6; i++)
        cr_assert_eq(take(), i);
}

Test(pile, a_letter_is_stamped_with_the_time_it_was_put)
{
    int64_t before_us = clock_now_us();
    struct letter *letter;

    put(LANE_INNER, 1);
    letter = pile_take(pile, LANE_INNER, CLOCK_NEVER, &now_us);
    cr_assert_geq(letter->put_us, before_us);
    cr_assert_leq(letter->put_us, now_us);
    letter_free(letter);
}

Test(pile, a_limited_take_leaves_the_other_lanes_their_letters_and_their_order)
{
    put(LANE_INNER, 2);
    put(LANE_CLIENTS, 4);
    put(LANE_CONTROL, 1);
    put(LANE_INNER, 3);
    cr_assert_eq(take_until(LANE_CONTROL, clock_now_us() + SOON_US), 1);
    cr_assert_eq(take_until(LANE_CONTROL, clock_now_us()), 0);
    put(LANE_CLIENTS, 5);
    cr_assert_eq(take_until(LANE_INNER, clock_now_us() + SOON_US), 2);
    cr_assert_eq(take_until(LANE_INNER, clock_now_us() + SOON_US), 3);
    cr_assert_eq(take_until(LANE_INNER, clock_now_us()), 0);
    cr_assert_eq(take(), 4);
    cr_assert_eq(take(), 5);
}

Test(pile, clients_come_in_portions_between_which_the_other_lanes_are_looked_at)
{
    for (uint64_t i = 1; i <= 100; i++)
        put(LANE_CLIENTS, i);
    cr_assert_eq(take(), 1);
    put(LANE_INNER, 1000);
    for (uint64_t i = 2; i <= 16; i++)
        cr_assert_eq(take(), i);
    cr_assert_eq(take(), 1000);
    for (uint64_t i = 17; i <= 100; i++)
        cr_assert_eq(take(), i);
}

/* --- many at once --- */

/* Puts the letters first to last as one. */
static void put_all(enum lane lane, uint64_t first, uint64_t last)
{
    struct letter_list letters = {0};

    for (uint64_t number = first; number <= last; number++) {
        struct letter *letter = letter_new(LETTER_MESSAGE);

        letter->number = number;
        letter_list_add(&letters, letter);
    }
    pile_put_all(pile, lane, &letters);
    cr_assert_null(letters.first);
}

Test(pile, letters_put_as_one_come_in_their_order_and_behind_older_ones)
{
    put(LANE_INNER, 1);
    put_all(LANE_INNER, 2, 50);
    put_all(LANE_INNER, 51, 51);
    put(LANE_INNER, 52);
    for (uint64_t i = 1; i <= 52; i++)
        cr_assert_eq(take(), i);
}

Test(pile, letters_put_as_one_bear_the_time_they_were_put)
{
    int64_t before_us = clock_now_us(), put_us = 0;

    put_all(LANE_INNER, 1, 3);
    for (int i = 0; i < 3; i++) {
        struct letter *letter = pile_take(pile, LANE_INNER, CLOCK_NEVER, &now_us);

        cr_assert_geq(letter->put_us, before_us);
        cr_assert(i == 0 || letter->put_us == put_us);
        put_us = letter->put_us;
        letter_free(letter);
    }
}

Test(pile, putting_none_as_one_is_fine)
{
    put_all(LANE_INNER, 2, 1);
    put(LANE_INNER, 1);
    cr_assert_eq(take(), 1);
}

Test(pile, letters_put_as_one_into_a_closed_pile_are_all_discarded)
{
    pile_close(pile);
    put_all(LANE_INNER, 1, 3); /* leaks show it under the address sanitizer */
    cr_assert_eq(take(), 0);
}

/* --- looking without waiting --- */

static uint64_t try(void)
{
    struct letter *letter = pile_try(pile, LANE_CLIENTS, &now_us);
    uint64_t number = letter == NULL ? 0 : letter->number;

    letter_free(letter);
    return number;
}

Test(pile, a_try_hands_out_what_is_there_and_does_not_wait_for_more)
{
    int64_t before_us = clock_now_us();

    cr_assert_eq(try(), 0);
    put(LANE_CLIENTS, 2);
    put(LANE_INNER, 1);
    cr_assert_eq(try(), 1);
    cr_assert_eq(try(), 2);
    cr_assert_eq(try(), 0);
    cr_assert_geq(now_us, before_us);
}

/* --- dozing --- */

static int rung;

static void count_ring(void *context)
{
    cr_assert_eq(context, pile);
    rung++;
}

static void set_alarm(void)
{
    rung = 0;
    pile_set_alarm(pile, count_ring, pile);
}

Test(pile, the_first_letter_rings_the_alarm_of_an_owner_that_dozes_and_no_other)
{
    set_alarm();
    put(LANE_INNER, 1);
    cr_assert_eq(rung, 0); /* it does not doze yet */
    cr_assert_eq(try(), 1);
    cr_assert(pile_doze(pile));
    put(LANE_INNER, 2);
    cr_assert_eq(rung, 1);
    put(LANE_CONTROL, 3);
    put_all(LANE_CLIENTS, 4, 5);
    pile_close(pile);
    cr_assert_eq(rung, 1);
    pile_rouse(pile);
    cr_assert_eq(try(), 3);
    cr_assert_eq(try(), 2);
    cr_assert_eq(try(), 4);
    cr_assert_eq(try(), 5);
    cr_assert_eq(try(), 0);
}

Test(pile, letters_of_every_lane_wake_an_owner_that_dozes)
{
    set_alarm();
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        cr_assert(pile_doze(pile));
        put((enum lane)lane, 1);
        cr_assert_eq(rung, lane + 1);
        pile_rouse(pile);
        cr_assert_eq(try(), 1);
    }
}

Test(pile, many_letters_put_as_one_ring_once)
{
    set_alarm();
    cr_assert(pile_doze(pile));
    put_all(LANE_INNER, 1, 10);
    cr_assert_eq(rung, 1);
}

Test(pile, its_owner_does_not_doze_while_there_is_mail)
{
    set_alarm();
    put(LANE_CLIENTS, 1);
    cr_assert_not(pile_doze(pile)); /* incoming */
    put(LANE_CLIENTS, 2);
    cr_assert_eq(rung, 0);
    cr_assert_eq(try(), 1);
    cr_assert_not(pile_doze(pile)); /* collected */
    pile_put_back(pile, LANE_CLIENTS, pile_try(pile, LANE_CLIENTS, &now_us));
    cr_assert_not(pile_doze(pile)); /* laid back */
    cr_assert_eq(try(), 2);
    cr_assert(pile_doze(pile));
}

Test(pile, an_owner_that_has_been_roused_is_not_rung_for)
{
    set_alarm();
    cr_assert(pile_doze(pile));
    pile_rouse(pile);
    put(LANE_INNER, 1);
    cr_assert_eq(rung, 0);
    cr_assert_not(pile_doze(pile));
}

Test(pile, closing_rings_the_alarm_and_a_closed_pile_lets_nobody_doze)
{
    set_alarm();
    cr_assert(pile_doze(pile));
    pile_close(pile);
    cr_assert_eq(rung, 1);
    pile_rouse(pile);
    cr_assert_not(pile_doze(pile));
    pile_close(pile);
    cr_assert_eq(rung, 1);
}

Test(pile, an_owner_that_can_doze_can_wait_as_well)
{
    set_alarm();
    cr_assert(pile_doze(pile));
    pile_rouse(pile);
    put(LANE_INNER, 1);
    cr_assert_eq(take(), 1);
    cr_assert_eq(take_until(LANE_CLIENTS, clock_now_us()), 0);
    cr_assert_eq(rung, 0);
}

/* --- laying back --- */

Test(pile, a_letter_that_is_put_back_is_the_next_of_its_lane_and_keeps_its_time)
{
    struct letter *letter;
    int64_t put_us;

    put(LANE_INNER, 1);
    put(LANE_INNER, 2);
    letter = pile_take(pile, LANE_INNER, CLOCK_NEVER, &now_us);
    put_us = letter->put_us;
    next_microsecond();
    pile_put_back(pile, LANE_INNER, letter);
    put(LANE_INNER, 3);
    letter = pile_take(pile, LANE_INNER, CLOCK_NEVER, &now_us);
    cr_assert_eq(letter->number, 1);
    cr_assert_eq(letter->put_us, put_us);
    letter_free(letter);
    cr_assert_eq(take(), 2);
    cr_assert_eq(take(), 3);
}

Test(pile, a_letter_can_be_put_back_on_an_empty_lane)
{
    put(LANE_INNER, 1);
    pile_put_back(pile, LANE_INNER, pile_take(pile, LANE_INNER, CLOCK_NEVER, &now_us));
    put(LANE_INNER, 2);
    put(LANE_CONTROL, 3);
    cr_assert_eq(take_until(LANE_CONTROL, CLOCK_NEVER), 3);
    cr_assert_eq(take(), 1);
    cr_assert_eq(take(), 2);
}

Test(pile, a_kept_letter_waits_while_only_control_is_taken)
{
    put(LANE_INNER, 1);
    pile_put_back(pile, LANE_INNER, pile_take(pile, LANE_INNER, CLOCK_NEVER, &now_us));
    cr_assert_eq(take_until(LANE_CONTROL, clock_now_us()), 0);
    cr_assert_eq(take(), 1);
}

/* --- deadlines --- */

Test(pile, a_deadline_fires_on_an_empty_pile_and_never_early)
{
    int64_t deadline_us = clock_now_us() + 2000;

    cr_assert_eq(take_until(LANE_CLIENTS, deadline_us), 0);
    cr_assert_geq(now_us, deadline_us);
}

Test(pile, a_letter_put_before_a_deadline_is_handed_out_once_before_it_fires)
{
    int64_t deadline_us;

    put(LANE_INNER, 2);
    put(LANE_CONTROL, 1);
    deadline_us = next_microsecond();
    next_microsecond();
    cr_assert_eq(take_until(LANE_CLIENTS, deadline_us), 1);
    cr_assert_eq(take_until(LANE_CLIENTS, deadline_us), 2);
    cr_assert_eq(take_until(LANE_CLIENTS, deadline_us), 0);
    cr_assert_gt(now_us, deadline_us);
}

/* As long as the test is not itself paused for more than PILE_STALL_US between the deadline and the take: then the pile
 * rightly calls that a stall. Such a run proves nothing, so it is made again. */
Test(pile, a_letter_put_after_a_deadline_does_not_delay_it)
{
    int64_t deadline_us;
    uint64_t first;

    do {
        free_pile();
        make_pile();
        deadline_us = clock_now_us();
        next_microsecond();
        put(LANE_CONTROL, 1);
        put(LANE_INNER, 2);
        first = take_until(LANE_CLIENTS, deadline_us);
    } while (now_us > deadline_us + PILE_STALL_US || clock_now_us() > deadline_us + PILE_STALL_US);
    cr_assert_eq(first, 0);
    cr_assert_eq(take(), 1);
    cr_assert_eq(take(), 2);
}

Test(pile, a_letter_of_a_lower_lane_put_before_a_deadline_passes_one_of_a_higher_put_after_it)
{
    int64_t deadline_us;
    uint64_t first, second;

    do {
        free_pile();
        make_pile();
        put(LANE_INNER, 1);
        deadline_us = next_microsecond();
        next_microsecond();
        put(LANE_CONTROL, 2);
        first = take_until(LANE_CLIENTS, deadline_us);
        second = take_until(LANE_CLIENTS, deadline_us);
    } while (clock_now_us() > deadline_us + PILE_STALL_US);
    cr_assert_eq(first, 1);
    cr_assert_eq(second, 0);
}

Test(pile, clients_never_delay_a_deadline)
{
    int64_t deadline_us;
    uint64_t first;

    do {
        free_pile();
        make_pile();
        put(LANE_CLIENTS, 1);
        deadline_us = next_microsecond();
        first = take_until(LANE_CLIENTS, deadline_us);
    } while (clock_now_us() > deadline_us + PILE_STALL_US);
    cr_assert_eq(first, 0);
    cr_assert_eq(take(), 1);
}

Test(pile, a_deadline_that_does_not_come_overflows_nothing)
{
    put(LANE_INNER, 1);
    cr_assert_eq(take_until(LANE_CLIENTS, CLOCK_NEVER), 1);
    put(LANE_CLIENTS, 2);
    cr_assert_eq(take_until(LANE_CLIENTS, CLOCK_NEVER), 2);
}

Test(pile, deadlines_before_all_time_overflow_nothing)
{
    cr_assert_eq(take_until(LANE_CLIENTS, 0), 0);
    cr_assert_eq(take_until(LANE_CLIENTS, -1), 0);
    cr_assert_eq(take_until(LANE_CLIENTS, INT64_MIN), 0);
}

/* --- stalls --- */

Test(pile, a_stalled_take_waits_ten_milliseconds_more_once)
{
    int64_t deadline_us = clock_now_us() - 1000000;
    int64_t before_us = clock_now_us();

    cr_assert_eq(take_until(LANE_CLIENTS, deadline_us), 0);
    cr_assert_geq(now_us, before_us + PILE_STALL_US);
    /* The same deadline again: it has been moved to a time that has passed. A second move would hand the letter out. */
    next_microsecond();
    put(LANE_INNER, 1);
    cr_assert_eq(take_until(LANE_CLIENTS, deadline_us), 0);
}

Test(pile, what_comes_within_the_time_that_a_stall_adds_is_handed_out)
{
    int64_t deadline_us = clock_now_us() - 1000000;

    put(LANE_INNER, 1);
    put(LANE_CLIENTS, 2);
    cr_assert_eq(take_until(LANE_CLIENTS, deadline_us), 1);
}

static void put_one_from_outside(void *context)
{
    (void)context;
    put(LANE_INNER, 1);
}

/* The letter is put when the owner has long been past its deadline, at whatever moment: within the time added it is
 * handed out by the first take, later by the next one with another deadline. */
Test(pile, a_thread_that_was_paused_with_the_owner_still_gets_its_letter_through)
{
    struct thread thread;
    struct mailraft_error err;
    uint64_t got;

    cr_assert(thread_start(&thread, "reader", put_one_from_outside, NULL, &err));
    got = take_until(LANE_CLIENTS, clock_now_us() - 1000000);
    if (got == 0)
        got = take();
    thread_join(&thread);
    cr_assert_eq(got, 1);
}

Test(pile, another_deadline_can_be_moved_after_the_first)
{
    int64_t first_us = clock_now_us() - 2000000, second_us = first_us + 1000000;
    int64_t before_us;

    cr_assert_eq(take_until(LANE_CLIENTS, first_us), 0);
    before_us = clock_now_us();
    cr_assert_eq(take_until(LANE_CLIENTS, second_us), 0);
    cr_assert_geq(now_us, before_us + PILE_STALL_US);
}

/* --- closing --- */

Test(pile, a_closed_pile_hands_out_what_is_left_then_nothing_at_once)
{
    put(LANE_CLIENTS, 3);
    put(LANE_INNER, 2);
    put(LANE_CONTROL, 1);
    pile_close(pile);
    pile_close(pile);
    cr_assert_eq(take_until(LANE_CLIENTS, CLOCK_NEVER), 1);
    cr_assert_eq(take_until(LANE_CONTROL, CLOCK_NEVER), 0);
    cr_assert_eq(take_until(LANE_CLIENTS, CLOCK_NEVER), 2);
    cr_assert_eq(take_until(LANE_CLIENTS, CLOCK_NEVER), 3);
    cr_assert_eq(take_until(LANE_CLIENTS, CLOCK_NEVER), 0);
}

Test(pile, no_deadline_stands_before_what_is_left_in_a_closed_pile)
{
    int64_t deadline_us = clock_now_us();

    next_microsecond();
    put(LANE_CLIENTS, 2);
    put(LANE_INNER, 1);
    pile_close(pile);
    cr_assert_eq(take_until(LANE_CLIENTS, deadline_us), 1);
    cr_assert_eq(take_until(LANE_CLIENTS, deadline_us), 2);
    cr_assert_eq(take_until(LANE_CLIENTS, deadline_us), 0);
}

Test(pile, a_letter_put_into_a_closed_pile_is_discarded_and_its_credit_given_back)
{
    struct credit *credit = credit_new(1);
    struct letter *letter = letter_new(LETTER_MESSAGE);

    cr_assert(credit_take(credit, 1));
    letter->credit = credit;
    letter->credit_bytes = 1;
    pile_close(pile);
    pile_put(pile, LANE_INNER, letter);
    cr_assert(credit_take(credit, 1));
    cr_assert_eq(take_until(LANE_CLIENTS, CLOCK_NEVER), 0);
    credit_free(credit);
}

static void close_pile(void *context)
{
    pile_close(context);
}

Test(pile, closing_wakes_the_owner)
{
    struct thread thread;
    struct mailraft_error err;

    cr_assert(thread_start(&thread, "closer", close_pile, pile, &err));
    cr_assert_eq(take_until(LANE_CONTROL, CLOCK_NEVER), 0);
    thread_join(&thread);
}

/* Leaks show it under the address sanitizer. */
Test(pile, freeing_a_pile_frees_the_letters_in_it)
{
    put(LANE_INNER, 1);
    put(LANE_CLIENTS, 2);
    put(LANE_CONTROL, 3);
    cr_assert_eq(take(), 3);
    put(LANE_INNER, 4);
}

Test(pile, freeing_none_is_fine)
{
    pile_free(NULL);
}

/* --- threads --- */

#define PUTTERS 4
#define LETTERS_EACH 20000

struct putter {
    struct thread thread;
    enum lane lane;
    uint64_t first; /* its letters are numbered from here */
    struct credit *credit;
};

static void put_many(void *context)
{
    struct putter *putter = context;

    for (uint64_t i = 0; i < LETTERS_EACH; i++) {
        struct letter *letter = letter_new(LETTER_MESSAGE);

        cr_assert(credit_take(putter->credit, sizeof *letter));
        letter->credit = putter->credit;
        letter->credit_bytes = sizeof *letter;
        letter->number = putter->first + i;
        pile_put(pile, putter->lane, letter);
    }
}

/* Every letter comes once, in its sender's order, though senders are held up by their credit and the owner's takes
 * end at short deadlines. */
Test(pile, many_threads_put_while_the_owner_takes)
{
    static const enum lane LANES[PUTTERS] = {LANE_CONTROL, LANE_INNER, LANE_INNER, LANE_CLIENTS};
    struct putter putters[PUTTERS];
    uint64_t next[PUTTERS];
    int missing = PUTTERS * LETTERS_EACH;
    struct mailraft_error err;

    for (int i = 0; i < PUTTERS; i++) {
        next[i] = (uint64_t)i * LETTERS_EACH + 1;
        putters[i] = (struct putter){.lane = LANES[i], .first = next[i], .credit = credit_new(100000)};
        cr_assert(thread_start(&putters[i].thread, "putter", put_many, &putters[i], &err));
    }
    for (uint64_t takes = 0; missing > 0; takes++) {
        /* Every seventh take leaves the clients' lane alone; it may well find nothing. */
        enum lane upto = takes % 7 == 0 ? LANE_INNER : LANE_CLIENTS;
        uint64_t number = take_until(upto, clock_now_us() + 50);

        if (number == 0)
            continue;
        cr_assert_eq(number, next[(number - 1) / LETTERS_EACH]);
        next[(number - 1) / LETTERS_EACH]++;
        missing--;
    }
    for (int i = 0; i < PUTTERS; i++) {
        thread_join(&putters[i].thread);
        credit_free(putters[i].credit);
    }
}

/* The sender has credit for one letter at a time and the owner has no deadline, so both fall asleep again and again:
 * one lost wake-up would stand still for ever. */
Test(pile, no_wake_up_is_lost)
{
    struct putter putter = {.lane = LANE_INNER, .first = 1, .credit = credit_new(1)};
    struct mailraft_error err;

    cr_assert(thread_start(&putter.thread, "putter", put_many, &putter, &err));
    for (uint64_t i = 1; i <= LETTERS_EACH; i++)
        cr_assert_eq(take_until(LANE_INNER, CLOCK_NEVER), i);
    thread_join(&putter.thread);
    credit_free(putter.credit);
}

/* The bell of an owner that waits elsewhere, as an eventfd is one. */
struct alarm {
    struct mutex mutex; /* guards rung */
    struct wake wake;
    bool rung;
};

static void ring_alarm(void *context)
{
    struct alarm *alarm = context;

    mutex_lock(&alarm->mutex);
    alarm->rung = true;
    wake_one(&alarm->wake);
    mutex_unlock(&alarm->mutex);
}

static void await_alarm(struct alarm *alarm)
{
    mutex_lock(&alarm->mutex);
    while (!alarm->rung)
        cr_assert(wake_wait_until(&alarm->wake, &alarm->mutex, clock_now_us() + SOON_US), "nobody rang");
    alarm->rung = false;
    mutex_unlock(&alarm->mutex);
}

Test(pile, no_ring_is_lost)
{
    struct putter putter = {.lane = LANE_INNER, .first = 1, .credit = credit_new(1)};
    struct alarm alarm = {.rung = false};
    struct mailraft_error err;

    mutex_init(&alarm.mutex);
    wake_init(&alarm.wake);
    pile_set_alarm(pile, ring_alarm, &alarm);
    cr_assert(thread_start(&putter.thread, "putter", put_many, &putter, &err));
    for (uint64_t next = 1; next <= LETTERS_EACH;) {
        uint64_t number = try();

        if (number != 0) {
            cr_assert_eq(number, next++);
        } else if (pile_doze(pile)) {
            await_alarm(&alarm);
            pile_rouse(pile);
        }
    }
    thread_join(&putter.thread);
    credit_free(putter.credit);
    wake_fini(&alarm.wake);
    mutex_fini(&alarm.mutex);
}
