#include "mail/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"

#define BACKLOG                    128
#define KEEPALIVE_IDLE_SECONDS     1
#define KEEPALIVE_INTERVAL_SECONDS 1
#define KEEPALIVE_PROBES           3
#define USER_TIMEOUT_MS            4000 /* the same for bytes that were sent: idle, and the probes */

struct stream {
    int fd;
    char peer[ENDPOINT_TEXT_MAX]; /* of a listener: where it listens */
};

const char *endpoint_format(const struct endpoint *endpoint, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "?";

    if (endpoint->any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &endpoint->v6.sin6_addr, host, sizeof host);
        snprintf(text, size, "[%s]:%u", host, (unsigned)ntohs(endpoint->v6.sin6_port));
    } else {
        inet_ntop(AF_INET, &endpoint->v4.sin_addr, host, sizeof host);
        snprintf(text, size, "%s:%u", host, (unsigned)ntohs(endpoint->v4.sin_port));
    }
    return text;
}

static struct stream *stream_new(int fd, const struct endpoint *peer)
{
    struct stream *stream = memory_new(sizeof *stream);

    stream->fd = fd;
    endpoint_format(peer, stream->peer, sizeof stream->peer);
    return stream;
}

void stream_close(struct stream *stream)
{
    if (stream == NULL)
        return;
    close(stream->fd);
    memory_free(stream);
}

void stream_shutdown(struct stream *stream)
{
    shutdown(stream->fd, SHUT_RDWR);
}

int stream_fd(const struct stream *stream)
{
    return stream->fd;
}

const char *stream_peer(const struct stream *stream)
{
    return stream->peer;
}

/* Each only makes a dead or slow connection better: where one fails (the connection may be gone already), we go on. */
static void set_option(int fd, int level, int option, int value)
{
    (void)setsockopt(fd, level, option, &value, sizeof value);
}

void stream_set_options(int fd)
{
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS);
}

struct stream *stream_listen(const struct endpoint *at, const char *name, struct mailraft_error *err)
{
    int fd = socket(at->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        error_raise_os(err, &BIND_ERROR, "Couldn't make a socket for %s", name);
        return NULL;
    }
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (bind(fd, &at->any, at->size) == 0 && listen(fd, BACKLOG) == 0)
        return stream_new(fd, at);
    error_raise_os(err, &BIND_ERROR, "Couldn't bind to %s", name);
    close(fd);
    return NULL;
}

struct stream *stream_accept(struct stream *listener, struct mailraft_error *err)
{
    struct endpoint peer;
    int fd;

    do {
        peer.size = sizeof peer.v6;
        fd = accept4(listener->fd, &peer.any, &peer.size, SOCK_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        error_raise_os(err, &NETWORK_ERROR, "Couldn't accept a connection");
        return NULL;
    }
    stream_set_options(fd);
    return stream_new(fd, &peer);
}

static bool ends_are_equal(int fd)
{
    struct endpoint here = {.size = sizeof here.v6}, there = {.size = sizeof there.v6};

    return getsockname(fd, &here.any, &here.size) == 0 && getpeername(fd, &there.any, &there.size) == 0 &&
           here.size == there.size && memcmp(&here.any, &there.any, here.size) == 0;
}

/* The outcome of a connect that was begun. */
static bool connect_finish(int fd, const char *name, int64_t deadline_us, const struct bell *stop,
                           struct mailraft_error *err)
{
    struct pollfd fds[] = {{.fd = fd, .events = POLLOUT}, {.fd = stop->fd, .events = POLLIN}};
    int outcome = 0;
    socklen_t size = sizeof outcome;

    if (poll_until(fds, 2, deadline_us) == 0)
        return error_raise(err, &CONNECT_ERROR, "Couldn't connect to %s: no answer in time", name);
    if (fds[0].revents == 0)
        return error_raise(err, &CONNECT_ERROR, "Couldn't connect to %s: we are stopping", name);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &outcome, &size);
    errno = outcome;
    if (outcome != 0)
        return error_raise_os(err, &CONNECT_ERROR, "Couldn't connect to %s", name);
    return true;
}

static bool connect_within(int fd, const struct endpoint *to, int64_t deadline_us, const struct bell *stop,
                           struct mailraft_error *err)
{
    char name[ENDPOINT_TEXT_MAX];

    endpoint_format(to, name, sizeof name);
    if (connect(fd, &to->any, to->size) != 0 && errno != EINPROGRESS && errno != EINTR)
        return error_raise_os(err, &CONNECT_ERROR, "Couldn't connect to %s", name);
    if (!connect_finish(fd, name, deadline_us, stop, err))
        return false;
    if (ends_are_equal(fd))
        return error_raise(err, &CONNECT_ERROR, "Couldn't connect to %s: the connection met itself", name);
    return true;
}

struct stream *stream_connect(const struct endpoint *to, int64_t deadline_us, const struct bell *stop,
                              struct mailraft_error *err)
{
    int fd = socket(to->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        error_raise_os(err, &CONNECT_ERROR, "Couldn't make a socket");
        return NULL;
    }
    stream_set_options(fd);
    if (!connect_within(fd, to, deadline_us, stop, err)) {
        close(fd);
        return NULL;
    }
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK); /* from here on each call says whether it waits */
    return stream_new(fd, to);
}

/* Until there is something to read. A wait without an end is left to recv(2) itself. */
static bool wait_readable(struct stream *stream, int64_t deadline_us, const struct bell *stop,
                          struct mailraft_error *err)
{
    struct pollfd fds[] = {{.fd = stream->fd, .events = POLLIN},
                           {.fd = stop != NULL ? stop->fd : -1, .events = POLLIN}};

    if (deadline_us == CLOCK_NEVER && stop == NULL)
        return true;
    if (poll_until(fds, 2, deadline_us) == 0)
        return error_raise(err, &NETWORK_ERROR, "nothing came in time");
    if (fds[0].revents == 0)
        return error_raise(err, &NETWORK_ERROR, "we are stopping");
    return true;
}

bool stream_read_full(struct stream *stream, void *bytes, size_t size, int64_t deadline_us, const struct bell *stop,
                      struct mailraft_error *err)
{
    uint8_t *at = bytes;

    while (size > 0) {
        ssize_t got;

        if (!wait_readable(stream, deadline_us, stop, err))
            return false;
        got = recv(stream->fd, at, size, 0);
        if (got == 0)
            return error_raise(err, &NETWORK_ERROR, "the other end closed it");
        if (got < 0 && errno != EINTR)
            return error_raise_os(err, &NETWORK_ERROR, "it broke");
        if (got > 0) {
            at += got;
            size -= (size_t)got;
        }
    }
    return true;
}

bool stream_write_parts(struct stream *stream, struct iovec *parts, size_t count, size_t *written,
                        struct mailraft_error *err)
{
    const struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    ssize_t sent;

    do
        sent = sendmsg(stream->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    *written = sent > 0 ? (size_t)sent : 0;
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
        return error_raise_os(err, &NETWORK_ERROR, "it broke");
    return true;
}

bool stream_write_some(struct stream *stream, const void *bytes, size_t size, size_t *written,
                       struct mailraft_error *err)
{
    struct iovec part = {(void *)bytes, size}; /* which is only read */

    return stream_write_parts(stream, &part, 1, written, err);
}

bool stream_check_silent(struct stream *stream, struct mailraft_error *err)
{
    uint8_t byte;
    ssize_t read;

    do
        read = recv(stream->fd, &byte, sizeof byte, MSG_DONTWAIT);
    while (read < 0 && errno == EINTR);
    if (read > 0)
        return error_raise(err, &PROTOCOL_ERROR, "it speaks where it has only to listen");
    if (read == 0)
        return error_raise(err, &NETWORK_ERROR, "the other end closed it");
    if (errno != EAGAIN && errno != EWOULDBLOCK)
        return error_raise_os(err, &NETWORK_ERROR, "it broke");
    return true;
}
