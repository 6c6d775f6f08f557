/* sockets.h - plain TCP sockets on 127.0.0.1 for tests that speak to ours, and ports that no one else can take. */
#ifndef TEST_SOCKETS_H
#define TEST_SOCKETS_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

#define WAIT_MS 30000 /* for an event that must come */

static inline struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* A port from 10000 to 30000, held by the socket that comes back: it was bound without SO_REUSEADDR, so that there is
 * no second holder, and has it since, so that whoever sets it too can bind and listen. */
static inline int hold_port(uint16_t *port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert_geq(fd, 0);
    for (int attempt = 0; attempt < 1000; attempt++) {
        uint16_t draw;
        struct sockaddr_in address;

        cr_assert_eq(getrandom(&draw, sizeof draw, 0), (ssize_t)sizeof draw);
        *port = (uint16_t)(10000 + draw % 20000);
        address = loopback(*port);
        if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
            continue;
        cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), 0);
        return fd;
    }
    cr_assert_fail("no free port");
    return -1;
}

/* Listens at a port that hold_port holds. */
static inline int plain_listen(uint16_t port, int backlog)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = loopback(port);

    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(fd, backlog), 0);
    return fd;
}

static inline int plain_connect(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = loopback(port);

    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
    return fd;
}

static inline void await_readable(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};

    cr_assert_eq(poll(&ready, 1, WAIT_MS), 1, "nothing came in time");
}

static inline int plain_accept(int listener)
{
    int fd;

    await_readable(listener);
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    cr_assert_geq(fd, 0);
    return fd;
}

static inline void plain_write(int fd, const void *bytes, size_t size)
{
    cr_assert_eq(send(fd, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
}

/* Reads up to size bytes; fewer only where the connection ends. How many. */
static inline size_t plain_read(int fd, void *bytes, size_t size)
{
    size_t got = 0;

    while (got < size) {
        ssize_t more;

        await_readable(fd);
        more = recv(fd, (uint8_t *)bytes + got, size - got, 0);
        if (more <= 0)
            break;
        got += (size_t)more;
    }
    return got;
}

/* Waits until the other end has closed, with or without a reset, and nothing came before. */
static inline void await_close(int fd)
{
    uint8_t byte;

    cr_assert_eq(plain_read(fd, &byte, 1), (size_t)0);
}

#endif
