#include "base/random.h"

#include <assert.h>
#include <errno.h>
#include <sys/random.h>

void random_bytes(void *bytes, size_t size)
{
    uint8_t *at = bytes;

    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);

        if (got < 0) {
            assert(errno == EINTR); /* nothing else can fail with valid arguments */
            continue;
        }
        at += got;
        size -= (size_t)got;
    }
}

int64_t random_between(int64_t low, int64_t high)
{
    uint64_t draw, range, surplus;

    if (high <= low)
        return low;
    range = (uint64_t)high - (uint64_t)low;
    /* 2^64 is rarely a multiple of the range: the first 2^64 % range draws would come once too often. */
    surplus = (UINT64_MAX - range + 1) % range;
    do
        random_bytes(&draw, sizeof draw);
    while (draw < surplus);
    return (int64_t)((uint64_t)low + draw % range);
}
