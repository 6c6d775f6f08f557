/* users.h - clients of the key-value service: each has a cable to some node, over which it sends commands, several at
 * once, and opens another one where that ends. What they asked and were told is a history (history.h). */
#ifndef SIM_USERS_H
#define SIM_USERS_H

#include "sim/history.h"
#include "sim/sim.h"

#define USERS_MAX    16
#define USERS_GROUPS (SIM_KEYS_MAX / STORE_KEYS) /* of keys that they turn to */

struct users;

/* count: of users; nodes: they come to those from 1 on. patience_us: for how long they wait for an answer at most: more
 * than any node takes that lives and runs. */
struct users *users_new(struct sim *sim, int count, int nodes, int64_t patience_us);
void users_free(struct users *users);

void users_call(struct users *users); /* one of them, for something, if it is not waiting for too much already */
bool users_see_two_leaders(const struct users *users); /* of whom one does not know yet that it is none any more */
void users_break(struct users *users); /* one of them closes its cable, whatever it waits for */
bool users_are_answered(const struct users *users);

/* Somebody asks each node that lives and is not left out for something; the same, but each key is read. */
int users_call_all(struct users *users, const bool *left_out); /* returns how many calls it were */
void users_read_all(struct users *users, const bool *left_out);

/* How often clients had no answer: they lost their cable, gave up, or were told so. */
struct users_unanswered {
    size_t lost, gave_up, uncertain, refused;
};
struct users_unanswered users_unanswered(const struct users *users);
uint64_t users_served(const struct users *users); /* how many calls were answered */

struct history *users_history(struct users *users);

#endif
