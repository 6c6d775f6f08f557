#include "serve/glob.h"

#define STARS_MAX 1000 /* that have something behind them; Redis finds no match beyond */

static bool is_at(struct text text, size_t at, char byte)
{
    return at < text.size && text.bytes[at] == (uint8_t)byte;
}

static bool is_between(uint8_t byte, uint8_t one, uint8_t other)
{
    int8_t low = (int8_t)one;
    int8_t high = (int8_t)other;

    if (low > high) {
        low = (int8_t)other;
        high = (int8_t)one;
    }
    return (int8_t)byte >= low && (int8_t)byte <= high;
}

/* *at stands behind a [, and is brought behind its ]. */
static bool matches_set(struct text pattern, size_t *at, uint8_t byte)
{
    bool none_of = is_at(pattern, *at, '^');
    bool found = false;

    for (*at += none_of; *at < pattern.size; (*at)++) {
        size_t left = pattern.size - *at;
        if (left >= 2 && pattern.bytes[*at] == '\\') {
            found |= pattern.bytes[++*at] == byte;
        } else if (pattern.bytes[*at] == ']') {
            break;
        } else if (left >= 3 && pattern.bytes[*at + 1] == '-') {
            found |= is_between(byte, pattern.bytes[*at], pattern.bytes[*at + 2]);
            *at += 2;
        } else {
            found |= pattern.bytes[*at] == byte;
        }
    }
    *at += *at < pattern.size;
    return found != none_of;
}

/* Whether the part of the pattern at *at, which is no star, matches a byte. *at is brought behind it. */
static bool matches_byte(struct text pattern, size_t *at, uint8_t byte)
{
    uint8_t part = pattern.bytes[(*at)++];

    if (part == '?')
        return true;
    if (part == '[')
        return matches_set(pattern, at, byte);
    if (part == '\\' && *at < pattern.size)
        part = pattern.bytes[(*at)++];
    return part == byte;
}

static size_t skip_stars(struct text pattern, size_t at)
{
    while (is_at(pattern, at, '*'))
        at++;
    return at;
}

bool glob_match(struct text pattern, struct text string)
{
    size_t at = 0, byte = 0; /* in the pattern, in the string */
    size_t star_at = 0,
           star_byte = 0; /* behind the last star (0: none yet), and the first byte that it does not take */
    unsigned stars = 0;

    if (string.size == 0)
        return pattern.size == 0;
    while (byte < string.size) {
        if (is_at(pattern, at, '*')) {
            at = star_at = skip_stars(pattern, at);
            star_byte = byte;
            if (at == pattern.size)
                return true;
            if (++stars > STARS_MAX)
                return false;
        } else if (at < pattern.size && matches_byte(pattern, &at, string.bytes[byte])) {
            byte++;
        } else if (star_at > 0) { /* the star takes one more */
            at = star_at;
            byte = ++star_byte;
        } else {
            return false;
        }
    }
    return skip_stars(pattern, at) == pattern.size;
}
