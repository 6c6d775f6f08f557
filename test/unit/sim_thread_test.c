/* Simulated time and threads, as the code under test meets them. */
#include "check.h"

#include "base/clock.h"
#include "base/pile.h"
#include "base/random.h"
#include "base/thread.h"
#include "sim/sim.h"

static void run(void (*function)(void *context), void *context)
{
    struct sim *sim = sim_new(5);

    sim_add_machine(sim, 1);
    cr_assert(sim_run_on(sim, 1, function, context));
    sim_free(sim);
}

static void wait_until_deadline(void *context)
{
    int64_t *waited_us = context, began_us = clock_now_us();
    struct mutex mutex;
    struct wake wake;

    mutex_init(&mutex);
    wake_init(&wake);
    mutex_lock(&mutex);
    while (wake_wait_until(&wake, &mutex, began_us + 250))
        ;
    mutex_unlock(&mutex);
    *waited_us = clock_now_us() - began_us;
    wake_fini(&wake);
    mutex_fini(&mutex);
}

Test(sim_thread, a_wait_that_nobody_ends_lasts_until_its_deadline_to_the_microsecond)
{
    int64_t waited_us = 0;

    run(wait_until_deadline, &waited_us);
    cr_assert_eq(waited_us, 250);
}

struct office {
    struct pile *pile;
    uint64_t received[3];
};

static void send_three(void *context)
{
    const struct office *office = context;

    for (uint64_t number = 1; number <= 3; number++) {
        struct letter *letter = letter_new(LETTER_SAVE_BALLOT);

        letter->number = number;
        pile_put(office->pile, LANE_CONTROL, letter);
    }
}

static void take_three(void *context)
{
    struct office *office = context;
    struct mailraft_error err;
    struct thread sender;
    int64_t now_us;

    office->pile = pile_new();
    cr_assert(thread_start(&sender, "sender", send_three, office, &err));
    for (int i = 0; i < 3; i++) {
        struct letter *letter = pile_take(office->pile, LANE_CONTROL, CLOCK_NEVER, &now_us);

        office->received[i] = letter->number;
        letter_free(letter);
    }
    thread_join(&sender);
    pile_free(office->pile);
}

Test(sim_thread, letters_from_one_thread_to_another_come_in_order)
{
    struct office office = {.pile = NULL};

    run(take_three, &office);
    for (uint64_t i = 0; i < 3; i++)
        cr_assert_eq(office.received[i], i + 1);
}

static void draw_much(void *context)
{
    (void)context;
    for (int i = 0; i < 1000; i++) {
        int64_t drawn = random_between(-3, 4);

        cr_assert_geq(drawn, -3);
        cr_assert_lt(drawn, 4);
    }
    cr_assert_eq(random_between(9, 9), 9);
}

Test(sim_thread, draws_stay_in_their_range)
{
    run(draw_much, NULL);
}
