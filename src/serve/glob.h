/* glob.h - the patterns of KEYS and SCAN, with exactly Redis's rules:
 *
 *     *       any bytes          ?   one byte         [a-c^x]   one of these; ^ first: none of these
 *     \c      c itself, within [] too
 *
 * A [ that is never closed ends with the pattern. Ranges compare bytes as signed, in either direction. A string without
 * bytes is matched by the pattern without bytes alone, not by "*". A pattern of more than a thousand stars that have
 * something behind them matches nothing.
 *
 * Time:      at most the product of both sizes: what stands between two stars is looked for once, from left to right,
 *            and where it is found first is never taken back. */
#ifndef SERVE_GLOB_H
#define SERVE_GLOB_H

#include "serve/keyspace.h"

bool glob_match(struct text pattern, struct text string);

#endif
