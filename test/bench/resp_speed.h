/* resp_speed.h - how fast requests are read out of bytes (serve/resp.h), beside hiredis's reader on the same bytes. It
 * reads replies, but takes a request for one, as an array of bulks.
 *
 * Both are given the bytes in pieces, as a socket would give them, and copy them into a buffer of their own. hiredis's is
 * measured twice: making the objects that its callers get, and making none, where nobody could tell what was read. The
 * three take turns, a short slice each, so that what else happens on the machine happens to all. */
#ifndef BENCH_RESP_SPEED_H
#define BENCH_RESP_SPEED_H

#include <stdbool.h>
#include <stddef.h>

#include "figures.h"

struct resp_speed {
    const char *name;
    size_t value_bytes; /* of each SET */
    size_t piece_bytes; /* 0: each piece is one request */
    size_t request_bytes;
    struct figures ours, hiredis, objectless; /* requests a second, one sample a slice */
    struct figures ratio, objectless_ratio;   /* ours to theirs, slice by slice */
};

#define RESP_SPEEDS 5

struct resp_speeds {
    struct resp_speed speeds[RESP_SPEEDS];
};

void resp_speeds_measure(struct resp_speeds *speeds, bool quick);
void resp_speeds_print(struct resp_speeds *speeds);

#endif
