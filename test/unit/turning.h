/* turning.h - sockets on both sides of what is tested and has no thread of its own: while a test waits, it turns. */
#ifndef UNIT_TURNING_H
#define UNIT_TURNING_H

#include <errno.h>

#include "base/clock.h"
#include "sockets.h"

typedef void turn_function(void); /* does what there is to do, and waits a little where there is nothing */

static inline void turn_until_readable(int fd, turn_function *turn)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    int64_t deadline_us = clock_now_us() + WAIT_MS * 1000LL;

    while (poll(&ready, 1, 0) == 0) {
        cr_assert_lt(clock_now_us(), deadline_us, "nothing came in time");
        turn();
    }
}

static inline int turn_accept(int listener, turn_function *turn)
{
    turn_until_readable(listener, turn);
    return plain_accept(listener);
}

/* What has to come, and nothing else before it. */
static inline void turn_expect(int fd, const char *text, turn_function *turn)
{
    char got[64] = "";
    size_t size = 0;

    while (size < strlen(text)) {
        turn_until_readable(fd, turn);
        ssize_t more = recv(fd, got + size, strlen(text) - size, 0);
        cr_assert_gt(more, 0, "the connection ended after \"%s\"", got);
        size += (size_t)more;
    }
    cr_assert_str_eq(got, text);
}

static inline void turn_expect_end(int fd, turn_function *turn)
{
    char byte;

    turn_until_readable(fd, turn);
    cr_assert_eq(recv(fd, &byte, 1, 0), 0);
}

static inline void turn_expect_reset(int fd, turn_function *turn)
{
    char byte;

    turn_until_readable(fd, turn);
    cr_assert_eq(recv(fd, &byte, 1, 0), -1, "it ended without a reset, or brought something");
    cr_assert_eq(errno, ECONNRESET);
}

/* Neither bytes nor an end come of what there is to do. */
static inline void turn_expect_nothing(int fd, turn_function *turn)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN | POLLRDHUP};

    for (int i = 0; i < 20; i++)
        turn();
    cr_assert_eq(poll(&ready, 1, 0), 0, "something came");
}

static inline void close_with_reset(int fd)
{
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger)), 0);
    close(fd);
}

#endif
