/* json_strict.h - whether bytes are plain JSON (RFC 8259, UTF-8) and nothing beside it.
 *
 * json-c, which builds the tree, accepts more even when it is told to be strict: duplicate keys (the last one wins),
 * single quotes, NaN and Infinity, "1.", numbers that do not fit (it cuts them), control characters in strings, halves
 * of surrogate pairs and \u0000. Whoever wrote such a file meant something else than what would be read. */
#ifndef SERVE_JSON_STRICT_H
#define SERVE_JSON_STRICT_H

#include <stddef.h>

#include "base/error.h"

#define JSON_DEPTH_MAX 16  /* arrays and objects within each other */
#define JSON_KEYS_MAX 64   /* in one object */
#define JSON_DIGITS_MAX 18 /* of a number before its point: these always fit in 64 bits */

/* Raises CONFIG_ERROR with line and column (in characters, from 1) of the first byte that is wrong. */
bool json_strict_check(const char *text, size_t size, struct mailraft_error *err);

#endif
