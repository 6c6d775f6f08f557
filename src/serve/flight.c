#include "serve/flight.h"

#include <assert.h>

#include "base/memory.h"

#define LEAST_ROOM 64

struct flight_seat {
    uint32_t life; /* of whoever sits here, or will: the upper half of its number */
    bool taken;
    struct place *place; /* NULL: nobody waits */
    union {
        size_t bytes;  /* of what was forgotten */
        uint32_t next; /* free: the next free seat, plus one; 0: none */
    };
};

void flight_fini(struct flight *flight)
{
    memory_free(flight->seats);
    *flight = (struct flight){.seats = NULL};
}

static void grow(struct flight *flight)
{
    uint32_t room = flight->room == 0 ? LEAST_ROOM : 2 * flight->room;
    assert(room > flight->room);
    flight->seats = memory_resize(flight->seats, room * sizeof *flight->seats);
    for (uint32_t i = flight->room; i < room; i++)
        flight->seats[i] = (struct flight_seat){.life = 1, .next = i + 1 < room ? i + 2 : 0};
    flight->free = flight->room + 1;
    flight->room = room;
}

uint64_t flight_add(struct flight *flight, struct place *place)
{
    if (flight->free == 0)
        grow(flight);
    uint32_t index = flight->free - 1;
    struct flight_seat *seat = &flight->seats[index];
    flight->free = seat->next;
    flight->count++;
    seat->taken = true;
    seat->place = place;
    seat->bytes = 0;
    return (uint64_t)seat->life << 32 | index;
}

static struct flight_seat *find(const struct flight *flight, uint64_t number)
{
    uint32_t index = (uint32_t)number;
    if (index >= flight->room)
        return NULL;
    struct flight_seat *seat = &flight->seats[index];
    return seat->taken && seat->life == number >> 32 ? seat : NULL;
}

void flight_forget(struct flight *flight, uint64_t number, size_t bytes)
{
    struct flight_seat *seat = find(flight, number);
    assert(seat != NULL && seat->place != NULL);
    seat->place = NULL;
    seat->bytes = bytes;
}

bool flight_take(struct flight *flight, uint64_t number, struct place **place, size_t *bytes)
{
    struct flight_seat *seat = find(flight, number);
    if (seat == NULL)
        return false;
    *place = seat->place;
    *bytes = seat->bytes;
    seat->taken = false;
    seat->life = seat->life == UINT32_MAX ? 1 : seat->life + 1;
    seat->next = flight->free;
    flight->free = (uint32_t)number + 1;
    flight->count--;
    return true;
}
