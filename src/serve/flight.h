/* flight.h - the requests that are on their way to the leader, by the numbers that their replies repeat. A reply that
 * comes when nobody waits for it any more finds nothing: numbers are not used twice.
 *
 * Threads:   one at a time. */
#ifndef SERVE_FLIGHT_H
#define SERVE_FLIGHT_H

#include <stddef.h>
#include <stdint.h>

struct place; /* session_state.h */

struct flight { /* zeros: empty */
    struct flight_seat *seats;
    size_t room, count;
    uint32_t free; /* the first free seat, plus one; 0: none */
};

void flight_fini(struct flight *flight);
uint64_t flight_add(struct flight *flight, struct place *place);   /* its number; never 0 */
struct place *flight_take(struct flight *flight, uint64_t number); /* it is not on its way any more; NULL: it was not */

#endif
