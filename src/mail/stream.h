/* stream.h - a socket: bytes in both directions, in order, over TCP (IPv4 or IPv6).
 *
 * Threads:   one thread reads and one writes at a time; stream_shutdown from any. Who closes makes sure that nobody
 *            else is in a call, or about to make one.
 * Errors:    NETWORK_ERROR and below it. EINTR and partial reads and writes are dealt with here, and no write raises
 *            SIGPIPE.
 * Keeping:   what a connection has to say leaves at once (TCP_NODELAY), and one whose other host is gone ends by itself
 *            within some four seconds (keepalive, TCP_USER_TIMEOUT). */
#ifndef MAIL_STREAM_H
#define MAIL_STREAM_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/member.h"
#include "mail/bell.h"

struct stream;

struct endpoint { /* an address as the kernel takes it */
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    socklen_t size;
};

#define ENDPOINT_TEXT_MAX 64

/* "1.2.3.4:7101" or "[::1]:7101". Returns text. */
const char *endpoint_format(const struct endpoint *endpoint, char *text, size_t size);

/* A listening socket (SO_REUSEADDR: what a dead process left in TIME_WAIT does not bar its successor). NULL and
 * BIND_ERROR; name: how the error calls the address. */
struct stream *stream_listen(const struct endpoint *at, const char *name, struct mailraft_error *err);

/* Waits for the next connection. NULL and an error (os_errno tells) where that did not work, also after a shutdown. */
struct stream *stream_accept(struct stream *listener, struct mailraft_error *err);

/* NULL and CONNECT_ERROR, also when the deadline passed or the bell rang. A connection whose two ends are one and the
 * same, as TCP makes it when a port connects to itself, is none. */
struct stream *stream_connect(const struct endpoint *to, int64_t deadline_us, const struct bell *stop,
                              struct mailraft_error *err);

/* Reads size bytes, no less. Waits until the deadline, or until the bell rings; stop may be NULL. */
bool stream_read_full(struct stream *stream, void *bytes, size_t size, int64_t deadline_us, const struct bell *stop,
                      struct mailraft_error *err);

/* Writes as much as the socket takes without waiting, perhaps nothing. */
bool stream_write_some(struct stream *stream, const void *bytes, size_t size, size_t *written,
                       struct mailraft_error *err);
/* The same of bytes that stand in `count` pieces, at most IOV_MAX. */
bool stream_write_parts(struct stream *stream, struct iovec *parts, size_t count, size_t *written,
                        struct mailraft_error *err);

/* For a stream on which nothing more is to come: false when it has ended, failed, or brought bytes after all. */
bool stream_check_silent(struct stream *stream, struct mailraft_error *err);

/* Ends every wait on it, in any thread, now and later. */
void stream_shutdown(struct stream *stream);
void stream_close(struct stream *stream); /* NULL is fine */

/* What every stream has from its start, for a TCP socket that is none (see Keeping). */
void stream_set_options(int fd);

int stream_fd(const struct stream *stream);           /* to poll */
const char *stream_peer(const struct stream *stream); /* whom it leads to, as text */

#endif
