/* flight.h - the requests that are on their way to the leader, by the numbers that their replies repeat. A reply that
 * comes when nobody waits for it any more finds nobody: numbers are not used twice.
 *
 * Threads:   one at a time. */
#ifndef SERVE_FLIGHT_H
#define SERVE_FLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct place; /* session_state.h */

struct flight { /* zeros: empty */
    struct flight_seat *seats;
    uint32_t room;
    uint32_t free;  /* the first free seat, plus one; 0: none */
    uint32_t count; /* of those on their way */
};

void flight_fini(struct flight *flight);
uint64_t flight_add(struct flight *flight, struct place *place); /* its number; never 0 */
/* Nobody waits for its reply any more. bytes: told by flight_take. */
void flight_forget(struct flight *flight, uint64_t number, size_t bytes);
/* It is not on its way any more. False: it was not. *place: who waits; NULL: nobody, it was forgotten with *bytes. */
bool flight_take(struct flight *flight, uint64_t number, struct place **place, size_t *bytes);

#endif
