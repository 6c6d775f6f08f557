#include "chaos/dice.h"

struct dice dice_for(uint64_t seed, enum dice_purpose purpose, uint64_t number)
{
    struct dice dice = {.state = seed};
    dice.state = dice_roll(&dice) ^ purpose;
    dice.state = dice_roll(&dice) ^ number;
    return dice;
}

uint64_t dice_roll(struct dice *dice)
{
    uint64_t z = dice->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

int64_t dice_between(struct dice *dice, int64_t low, int64_t high)
{
    return low + (int64_t)(dice_roll(dice) % (uint64_t)(high - low));
}

bool dice_chance(struct dice *dice, double share)
{
    return (double)(dice_roll(dice) >> 11) < share * (double)(UINT64_C(1) << 53);
}
