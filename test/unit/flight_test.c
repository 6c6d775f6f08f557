#include "serve/flight.h"

#include "check.h"
#include "serve/session_state.h"

static struct flight flight;
static struct place places[300];

static void clear(void)
{
    flight_fini(&flight);
}

TestSuite(flight, .fini = clear, .timeout = 60);

static struct place *take(uint64_t number)
{
    struct place *place;
    size_t bytes;
    cr_assert(flight_take(&flight, number, &place, &bytes));
    cr_assert_eq(bytes, 0);
    return place;
}

Test(flight, each_is_found_by_its_number)
{
    uint64_t numbers[300];
    for (size_t i = 0; i < 300; i++)
        numbers[i] = flight_add(&flight, &places[i]);
    cr_assert_eq(flight.count, 300);
    for (size_t i = 0; i < 300; i += 2)
        cr_assert_eq(take(numbers[i]), &places[i]);
    for (size_t i = 1; i < 300; i += 2)
        cr_assert_eq(take(numbers[i]), &places[i]);
    cr_assert_eq(flight.count, 0);
}

Test(flight, a_number_is_good_for_one_reply)
{
    struct place *place;
    size_t bytes;
    uint64_t first = flight_add(&flight, &places[0]);
    cr_assert_neq(first, 0);
    take(first);
    uint64_t second = flight_add(&flight, &places[1]);
    cr_assert_neq(first, second);
    cr_assert_not(flight_take(&flight, first, &place, &bytes));
    cr_assert_eq(take(second), &places[1]);
}

Test(flight, a_number_that_was_never_given_finds_nothing)
{
    struct place *place;
    size_t bytes;
    cr_assert_not(flight_take(&flight, 0, &place, &bytes));
    uint64_t number = flight_add(&flight, &places[0]);
    cr_assert_not(flight_take(&flight, number + 1, &place, &bytes));
    cr_assert_not(flight_take(&flight, UINT64_MAX, &place, &bytes));
    take(number);
}

Test(flight, what_was_forgotten_comes_back_with_its_bytes_alone)
{
    struct place *place = &places[0];
    size_t bytes = 0;
    uint64_t number = flight_add(&flight, place);
    flight_forget(&flight, number, 77);
    cr_assert_eq(flight.count, 1);
    cr_assert(flight_take(&flight, number, &place, &bytes));
    cr_assert_null(place);
    cr_assert_eq(bytes, 77);
}
