/* number.h - numbers as clients write them, read and written exactly as Redis does.
 *
 * Floats are long doubles: two nodes agree on every digit if their programs have the same long double and the same C
 * library's strtold and printf, as they have where one program for one kind of machine runs on all of them. Nobody here
 * calls setlocale, so the point is a point. */
#ifndef SERVE_NUMBER_H
#define SERVE_NUMBER_H

#include "serve/keyspace.h"

#define NUMBER_FLOAT_MAX (5 * 1024) /* characters, as in Redis; the longest long double fits */

/* Digits, maybe with a minus before them: no spaces, no plus, no zeros in front. False: it is none, or out of range. */
bool number_read(struct text text, int64_t *number);

/* What strtold takes (hexadecimal and "inf" too), but for spaces in front, NaN, and what is too large or too small. */
bool number_read_float(struct text text, long double *number);

/* With 17 decimals at most, no zeros behind the last one, and no exponent. A finite number. How many characters. */
size_t number_write_float(char text[NUMBER_FLOAT_MAX], long double number);

#endif
