#include "serve/number.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The digits as a number below zero, whose range is the larger. */
static bool read_digits(const uint8_t *digits, size_t size, int64_t *number)
{
    int64_t below = 0;

    if (size == 0 || (digits[0] == '0' && size > 1))
        return false;
    for (size_t i = 0; i < size; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        if (__builtin_mul_overflow(below, 10, &below) || __builtin_sub_overflow(below, digits[i] - '0', &below))
            return false;
    }
    *number = below;
    return true;
}

bool number_read(struct text text, int64_t *number)
{
    int64_t below;

    if (text.size == 0)
        return false;
    bool minus = text.bytes[0] == '-';
    if (!read_digits(text.bytes + minus, text.size - minus, &below))
        return false;
    if (minus ? below == 0 : below == INT64_MIN)
        return false;
    *number = minus ? below : -below;
    return true;
}

bool number_read_float(struct text text, long double *number)
{
    char copy[NUMBER_FLOAT_MAX];
    char *end;

    if (text.size == 0 || text.size >= sizeof copy)
        return false;
    memcpy(copy, text.bytes, text.size);
    copy[text.size] = '\0';
    errno = 0;
    *number = strtold(copy, &end);
    if (isspace((unsigned char)copy[0]) || end != copy + text.size || isnan(*number))
        return false;
    return errno != ERANGE || (!isinf(*number) && fpclassify(*number) != FP_ZERO);
}

size_t number_write_float(char text[NUMBER_FLOAT_MAX], long double number)
{
    int printed = snprintf(text, NUMBER_FLOAT_MAX, "%.17Lf", number);
    size_t size = (size_t)printed;

    assert(isfinite(number));
    assert(printed > 0 && printed < NUMBER_FLOAT_MAX);
    while (text[size - 1] == '0')
        size--;
    if (text[size - 1] == '.')
        size--;
    if (size == 2 && memcmp(text, "-0", 2) == 0) {
        text[0] = '0';
        size = 1;
    }
    return size;
}
