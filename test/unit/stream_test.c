#include "mail/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "base/thread.h"
#include "mail/resolve.h"
#include "sockets.h"

static struct mailraft_error err;
static struct bell quiet; /* a stop that does not come */
static int holder;
static uint16_t port;

static void prepare(void)
{
    cr_assert(bell_init(&quiet, &err));
    holder = hold_port(&port);
}

static void clear(void)
{
    close(holder);
    bell_fini(&quiet);
}

TestSuite(stream, .init = prepare, .fini = clear, .timeout = 60);

static int64_t soon(void)
{
    return clock_now_us() + WAIT_MS * 1000;
}

static struct endpoint endpoint_of(const char *host, uint16_t at)
{
    struct address address = {.port = at};
    struct resolved resolved;

    snprintf(address.host, sizeof address.host, "%s", host);
    cr_assert(resolve(&address, &(struct patience){.deadline_us = soon()}, &resolved, &err), "%s", err.message);
    return resolved.list[0];
}

/* A connection to a plain socket. */
static struct stream *connect_plain(int *fd)
{
    struct endpoint to = endpoint_of("127.0.0.1", port);
    int listener = plain_listen(port, 1);
    struct stream *stream = stream_connect(&to, soon(), &quiet, &err);

    cr_assert_not_null(stream, "%s", err.message);
    *fd = plain_accept(listener);
    close(listener);
    return stream;
}

static int option_of(struct stream *stream, int level, int option)
{
    int value = -1;
    socklen_t size = sizeof value;

    cr_assert_eq(getsockopt(stream_fd(stream), level, option, &value, &size), 0);
    return value;
}

static void assert_kept(struct stream *stream)
{
    cr_assert_eq(option_of(stream, IPPROTO_TCP, TCP_NODELAY), 1);
    cr_assert_eq(option_of(stream, SOL_SOCKET, SO_KEEPALIVE), 1);
    cr_assert_eq(option_of(stream, IPPROTO_TCP, TCP_KEEPIDLE), 1);
    cr_assert_eq(option_of(stream, IPPROTO_TCP, TCP_KEEPINTVL), 1);
    cr_assert_eq(option_of(stream, IPPROTO_TCP, TCP_KEEPCNT), 3);
    cr_assert_eq(option_of(stream, IPPROTO_TCP, TCP_USER_TIMEOUT), 4000);
}

/* Listens and connects at a host, and says something in both directions. */
static void talk_at(const char *host, const char *name)
{
    struct endpoint at = endpoint_of(host, port);
    struct stream *listener, *calling, *called;
    char text[6] = "";
    size_t written;

    listener = stream_listen(&at, name, &err);
    cr_assert_not_null(listener, "%s", err.message);
    calling = stream_connect(&at, soon(), &quiet, &err);
    cr_assert_not_null(calling, "%s", err.message);
    called = stream_accept(listener, &err);
    cr_assert_not_null(called, "%s", err.message);
    cr_assert_str_eq(stream_peer(calling), name);
    assert_kept(calling);
    assert_kept(called);
    cr_assert(stream_write_some(calling, "hello", 5, &written, &err) && written == 5);
    cr_assert(stream_read_full(called, text, 5, soon(), NULL, &err), "%s", err.message);
    cr_assert_str_eq(text, "hello");
    cr_assert(stream_write_some(called, "howdy", 5, &written, &err) && written == 5);
    cr_assert(stream_read_full(calling, text, 5, CLOCK_NEVER, NULL, &err), "%s", err.message);
    cr_assert_str_eq(text, "howdy");
    stream_close(called);
    stream_close(calling);
    stream_close(listener);
}

Test(stream, carries_bytes_in_both_directions)
{
    char name[30];

    snprintf(name, sizeof name, "127.0.0.1:%u", port);
    talk_at("127.0.0.1", name);
}

Test(stream, carries_them_over_IPv6_too)
{
    char name[30];
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
        cr_skip_test("skipped: no IPv6 here");
    close(fd);
    snprintf(name, sizeof name, "[::1]:%u", port);
    talk_at("::1", name);
}

Test(stream, a_port_that_is_taken_is_a_bind_error_that_names_it)
{
    struct endpoint at = endpoint_of("127.0.0.1", port);
    int taken = plain_listen(port, 1);

    cr_assert_null(stream_listen(&at, "somewhere:1", &err));
    cr_assert(error_is(&err, &BIND_ERROR));
    cr_assert_eq(err.os_errno, EADDRINUSE);
    cr_assert_str_eq(err.message, "Couldn't bind to somewhere:1: Address already in use");
    close(taken);
}

Test(stream, nobody_who_listens_is_a_connect_error)
{
    struct endpoint to = endpoint_of("127.0.0.1", port);
    char expected[100];

    cr_assert_null(stream_connect(&to, soon(), &quiet, &err));
    cr_assert(error_is(&err, &CONNECT_ERROR));
    snprintf(expected, sizeof expected, "Couldn't connect to 127.0.0.1:%u: Connection refused", port);
    cr_assert_str_eq(err.message, expected);
}

/* A listener whose backlog is full: whoever connects gets no answer. */
static void fill_backlog(int fds[3])
{
    fds[0] = plain_listen(port, 0);
    for (int i = 1; i < 3; i++) {
        struct sockaddr_in address = loopback(port);

        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        cr_assert(connect(fds[i], (struct sockaddr *)&address, sizeof address) == 0 || errno == EINPROGRESS);
    }
}

static void close_all(const int fds[3])
{
    for (int i = 0; i < 3; i++)
        close(fds[i]);
}

Test(stream, a_connect_ends_at_its_deadline)
{
    struct endpoint to = endpoint_of("127.0.0.1", port);
    int fds[3];

    fill_backlog(fds);
    cr_assert_null(stream_connect(&to, clock_now_us() + 10000, &quiet, &err));
    cr_assert(error_is(&err, &CONNECT_ERROR));
    cr_assert_not_null(strstr(err.message, ": no answer in time"));
    close_all(fds);
}

Test(stream, a_connect_ends_when_the_bell_rings)
{
    struct endpoint to = endpoint_of("127.0.0.1", port);
    int fds[3];

    fill_backlog(fds);
    bell_ring(&quiet);
    cr_assert_null(stream_connect(&to, CLOCK_NEVER, &quiet, &err));
    cr_assert(error_is(&err, &CONNECT_ERROR));
    cr_assert_not_null(strstr(err.message, ": we are stopping"));
    close_all(fds);
}

/* A network of its own for this process, with one port to connect from. False where that is not permitted. */
static bool move_to_one_port(const char *range)
{
    struct ifreq loopback_up = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int fd, file;
    bool good;

    if (unshare(CLONE_NEWNET) != 0)
        return false;
    fd = socket(AF_INET, SOCK_DGRAM, 0);
    file = open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY);
    good = ioctl(fd, SIOCSIFFLAGS, &loopback_up) == 0 && write(file, range, strlen(range)) > 0;
    close(fd);
    close(file);
    return good;
}

Test(stream, a_connection_that_meets_itself_is_none)
{
    struct endpoint to = endpoint_of("127.0.0.1", 20000);

    if (!move_to_one_port("20000 20000"))
        cr_skip_test("skipped: may not make a network namespace");
    cr_assert_null(stream_connect(&to, soon(), &quiet, &err));
    cr_assert_str_eq(err.message, "Couldn't connect to 127.0.0.1:20000: the connection met itself");
}

Test(stream, a_read_gathers_bytes_that_come_one_by_one)
{
    char text[6] = "";
    int fd;
    struct stream *stream = connect_plain(&fd);

    for (int i = 0; i < 5; i++)
        plain_write(fd, &"hello"[i], 1);
    cr_assert(stream_read_full(stream, text, 5, CLOCK_NEVER, NULL, &err));
    cr_assert_str_eq(text, "hello");
    close(fd);
    stream_close(stream);
}

Test(stream, a_read_of_less_than_it_wants_fails_at_the_end_of_the_stream)
{
    char text[6];
    int fd;
    struct stream *stream = connect_plain(&fd);

    plain_write(fd, "hell", 4);
    close(fd);
    cr_assert_not(stream_read_full(stream, text, 5, CLOCK_NEVER, NULL, &err));
    cr_assert_str_eq(err.message, "the other end closed it");
    stream_close(stream);
}

Test(stream, a_read_ends_at_its_deadline_and_when_the_bell_rings)
{
    char text[6];
    int fd;
    struct stream *stream = connect_plain(&fd);

    plain_write(fd, "hell", 4);
    cr_assert_not(stream_read_full(stream, text, 5, clock_now_us() + 1000, NULL, &err));
    cr_assert_str_eq(err.message, "nothing came in time");
    bell_ring(&quiet);
    cr_assert_not(stream_read_full(stream, text, 5, CLOCK_NEVER, &quiet, &err));
    cr_assert_str_eq(err.message, "we are stopping");
    close(fd);
    stream_close(stream);
}

Test(stream, a_write_takes_what_fits_and_never_waits)
{
    static uint8_t bytes[1024 * 1024];
    int fd;
    struct stream *stream = connect_plain(&fd);
    size_t written, sum = 0;

    do {
        cr_assert(stream_write_some(stream, bytes, sizeof bytes, &written, &err));
        sum += written;
    } while (written > 0);
    cr_assert_gt(sum, (size_t)0);
    close(fd);
    stream_close(stream);
}

Test(stream, a_write_of_many_pieces_arrives_as_one)
{
    char pieces[1000][3], got[3000];
    struct iovec parts[1000];
    size_t written;
    int fd;
    struct stream *stream = connect_plain(&fd);

    for (int i = 0; i < 1000; i++) {
        memset(pieces[i], 'a' + i % 26, sizeof pieces[i]);
        parts[i] = (struct iovec){pieces[i], sizeof pieces[i]};
    }
    cr_assert(stream_write_parts(stream, parts, 1000, &written, &err), "%s", err.message);
    cr_assert_eq(written, sizeof got); /* a new connection has room for so little */
    cr_assert_eq(plain_read(fd, got, sizeof got), sizeof got);
    cr_assert_arr_eq(got, pieces, sizeof got);
    stream_close(stream);
    close(fd);
}

Test(stream, a_write_to_a_peer_that_is_gone_fails_without_a_signal)
{
    struct linger reset = {.l_onoff = 1};
    int fd;
    struct stream *stream = connect_plain(&fd);
    size_t written;

    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    close(fd);
    await_readable(stream_fd(stream));
    cr_assert_not(stream_write_some(stream, "a", 1, &written, &err));
    cr_assert(error_is(&err, &NETWORK_ERROR));
    cr_assert_not(stream_write_some(stream, "a", 1, &written, &err)); /* EPIPE */
    stream_close(stream);
}

Test(stream, tells_whether_it_is_silent_has_ended_or_speaks)
{
    int fd;
    struct stream *stream = connect_plain(&fd);

    cr_assert(stream_check_silent(stream, &err));
    plain_write(fd, "x", 1);
    await_readable(stream_fd(stream));
    cr_assert_not(stream_check_silent(stream, &err));
    cr_assert(error_is(&err, &PROTOCOL_ERROR));
    close(fd);
    await_readable(stream_fd(stream));
    cr_assert_not(stream_check_silent(stream, &err));
    cr_assert_not(error_is(&err, &PROTOCOL_ERROR));
    stream_close(stream);
}

static void read_to_the_end(void *stream)
{
    struct mailraft_error end;
    char byte;

    cr_assert_not(stream_read_full(stream, &byte, 1, CLOCK_NEVER, NULL, &end));
}

static void accept_to_the_end(void *listener)
{
    struct mailraft_error end;

    cr_assert_null(stream_accept(listener, &end));
}

Test(stream, a_shutdown_ends_a_read_and_an_accept_in_other_threads)
{
    struct thread reader, acceptor;
    int fd;
    struct stream *stream = connect_plain(&fd), *listener;
    struct endpoint at = endpoint_of("127.0.0.1", port);

    listener = stream_listen(&at, "here", &err);
    cr_assert_not_null(listener, "%s", err.message);
    cr_assert(thread_start(&reader, "reader", read_to_the_end, stream, &err));
    cr_assert(thread_start(&acceptor, "acceptor", accept_to_the_end, listener, &err));
    stream_shutdown(stream);
    stream_shutdown(listener);
    thread_join(&reader);
    thread_join(&acceptor);
    stream_close(listener);
    stream_close(stream);
    close(fd);
}
