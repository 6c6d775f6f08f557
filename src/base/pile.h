/* pile.h - a pile of mail: any thread puts, one thread takes.
 *
 * Threads:   put and close from any thread; take, try, put_back and free only from the owner.
 * Ownership: put gives the letter away; take hands it over. A letter put into a closed pile is freed.
 * Order:     lanes are emptied in their order, control before inner before clients; within a lane, letters come in the
 *            order they were put. Client letters come in portions, between which the other lanes are looked at.
 *            New mail is collected, all lanes at once, when the inner and control letters collected before are gone:
 *            one of a higher lane may so come after a lower one that was collected earlier.
 * Bounds:    putting never waits and never fails; what may grow without end is bounded by its sender's credit
 * (credit.h).
 *
 * A deadline waits for nobody and is never early: letters of the control and inner lanes that were put before it are
 * handed out before it fires; those put after it, and client letters, never delay it. A take that finds its deadline
 * more than PILE_STALL_US past was stalled (a paused process): it moves the deadline to PILE_STALL_US from now, once,
 * so that readers can empty their sockets first and a leader's waiting heartbeat is read before its follower stands. */
#ifndef BASE_PILE_H
#define BASE_PILE_H

#include "base/letter.h"

#define PILE_STALL_US 10000

enum lane { LANE_CONTROL, LANE_INNER, LANE_CLIENTS, LANE_COUNT };

struct pile;

struct pile *pile_new(void);
void pile_free(struct pile *pile); /* with the letters in it */

void pile_put(struct pile *pile, enum lane lane, struct letter *letter); /* never fails, never waits */
void pile_put_all(struct pile *pile, enum lane lane, struct letter_list *letters); /* as one, and empties the list */

/* For an owner that waits for other things than mail, too, by epoll(7) say. Before it does, it dozes: false where there
 * is mail already. From then on the first letter or close rings the alarm, once, until the owner dozes again; rouse
 * ends it. The alarm is set before anyone puts; it is rung by whoever puts, and must not block. */
void pile_set_alarm(struct pile *pile, void (*ring)(void *context), void *context);
bool pile_doze(struct pile *pile);
void pile_rouse(struct pile *pile);

/* The next letter of the lanes from control up to `upto`; NULL when the deadline passed, or when the pile is closed
 * and those lanes are empty. *now_us: the time of this take, read once. */
struct letter *pile_take(struct pile *pile, enum lane upto, int64_t deadline_us, int64_t *now_us);

/* The next letter that is there already; NULL when there is none. Never waits, and looks at no deadline. */
struct letter *pile_try(struct pile *pile, enum lane upto, int64_t *now_us);

/* Lays a letter that was just taken back: it is the next of its lane, and keeps the time it was put. */
void pile_put_back(struct pile *pile, enum lane lane, struct letter *letter);

void pile_close(struct pile *pile); /* wakes the owner; closing twice is harmless */

#endif
