#include "replies.h"

#include <string.h>

#define DEPTH_MAX 8

struct scan {
    const uint8_t *at;
    size_t left;
};

/* The line behind the type, which ends in CR LF. False: there is none, or it has line ends within. */
static bool take_line(struct scan *scan, const uint8_t **line, size_t *size)
{
    const uint8_t *end = scan->left > 0 ? memchr(scan->at, '\r', scan->left) : NULL;

    if (end == NULL || (size_t)(end - scan->at) + 2 > scan->left || end[1] != '\n')
        return false;
    *line = scan->at;
    *size = (size_t)(end - scan->at);
    scan->left -= *size + 2;
    scan->at = end + 2;
    return memchr(*line, '\n', *size) == NULL;
}

static bool read_number(const uint8_t *line, size_t size, int64_t *number)
{
    bool negative = size > 0 && line[0] == '-';
    uint64_t value = 0;

    if (size == 0 || size > 20 || (negative && size == 1))
        return false;
    for (size_t i = negative; i < size; i++) {
        if (line[i] < '0' || line[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(line[i] - '0');
    }
    if (value > (uint64_t)INT64_MAX + negative)
        return false;
    *number = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

/* $ and =, behind their line. */
static bool take_bulk(struct scan *scan, int64_t size)
{
    if (size == -1)
        return true;
    if (size < 0 || (uint64_t)size + 2 > scan->left || memcmp(scan->at + size, "\r\n", 2) != 0)
        return false;
    scan->at += size + 2;
    scan->left -= (size_t)size + 2;
    return true;
}

static bool take_reply(struct scan *scan, int depth);

static bool take_elements(struct scan *scan, int64_t count, int depth)
{
    for (int64_t i = 0; i < count; i++)
        if (!take_reply(scan, depth + 1))
            return false;
    return count >= -1;
}

static bool take_reply(struct scan *scan, int depth)
{
    const uint8_t *line;
    size_t size;
    int64_t number = 0;

    if (scan->left == 0 || depth > DEPTH_MAX)
        return false;
    uint8_t type = *scan->at++;
    scan->left--;
    if (!take_line(scan, &line, &size))
        return false;
    switch (type) {
    case '+':
    case '-':
        return size > 0;
    case '_':
        return size == 0;
    case '#':
        return size == 1 && (line[0] == 't' || line[0] == 'f');
    case ',':
        return size > 0;
    }
    if (!read_number(line, size, &number))
        return false;
    switch (type) {
    case ':':
        return true;
    case '$':
    case '=':
        return take_bulk(scan, number);
    case '*':
    case '~':
    case '>':
        return take_elements(scan, number, depth);
    case '%':
        return number <= INT64_MAX / 2 && take_elements(scan, 2 * number, depth);
    default:
        return false;
    }
}

long replies_count(const uint8_t *bytes, size_t size)
{
    struct scan scan = {bytes, size};
    long count = 0;

    while (scan.left > 0) {
        if (!take_reply(&scan, 0))
            return -1;
        count++;
    }
    return count;
}
