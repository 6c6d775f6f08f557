/* dice.h - numbers that a seed decides (splitmix64). Each thread has dice of its own. */
#ifndef CHAOS_DICE_H
#define CHAOS_DICE_H

#include <stdbool.h>
#include <stdint.h>

struct dice {
    uint64_t state;
};

/* What one thing draws is the same however much others have drawn before: it has dice of its own, by what it is, and
 * which of those. */
enum dice_purpose { DICE_SETTINGS, DICE_CLIENTS, DICE_WEATHER, DICE_FAULT, DICE_LIFE, DICE_VERDICT };
struct dice dice_for(uint64_t seed, enum dice_purpose purpose, uint64_t number);

uint64_t dice_roll(struct dice *dice);
int64_t dice_between(struct dice *dice, int64_t low, int64_t high); /* evenly from [low, high); low < high */
bool dice_chance(struct dice *dice, double share);

#endif
