#include "mail/arrivals.h"

#include <errno.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "sockets.h"
#include "unit/post.h"

static struct mailraft_error err;

TestSuite(arrivals, .init = post_open, .fini = post_close, .timeout = 120);

/* Arrivals alone, whose readers wait for a byte that never comes. */

static struct office office;
static struct arrivals *arrivals;
static struct stream *listener;
static atomic_int running, most; /* readers at one time */

static void wait_for_a_byte(void *context)
{
    struct arrival *arrival = context;
    struct mailraft_error ended;
    int count = ++running, known = most;
    uint8_t byte;

    while (count > known && !atomic_compare_exchange_weak(&most, &known, count))
        ;
    stream_read_full(arrival->stream, &byte, 1, CLOCK_NEVER, NULL, &ended);
    running--;
    arrivals_leave(arrival);
}

static void open_arrivals(void)
{
    struct endpoint endpoint = {.v4 = loopback(post_port(1)), .size = sizeof endpoint.v4};
    struct post_node *node = post_node(1);

    node->log = log_open(node->file, 1, LOG_DEBUG, &err);
    complaints_init(&office.complaints, node->log);
    arrivals = arrivals_new(&office);
    listener = stream_listen(&endpoint, "here", &err);
    cr_assert_not_null(listener, "%s", err.message);
}

static void close_arrivals(void)
{
    arrivals_shut(arrivals);
    cr_assert_not(arrivals_await_room(arrivals));
    arrivals_free(arrivals);
    stream_close(listener);
    complaints_fini(&office.complaints);
    log_close(post_node(1)->log);
}

static int let_stranger_in(void)
{
    int fd;

    cr_assert(arrivals_await_room(arrivals));
    fd = plain_connect(post_port(1));
    cr_assert(arrivals_start(arrivals, stream_accept(listener, &err), wait_for_a_byte, &err), "%s", err.message);
    arrivals_sweep(arrivals);
    return fd;
}

static void assert_open(int fd)
{
    uint8_t byte;

    cr_assert_eq(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
    cr_assert_eq(errno, EAGAIN);
}

Test(arrivals, shut_down_the_oldest_stranger_where_there_are_too_many)
{
    int fds[ARRIVALS_STRANGERS_MAX + 2];

    open_arrivals();
    for (int i = 0; i < ARRIVALS_STRANGERS_MAX; i++)
        fds[i] = let_stranger_in();
    assert_open(fds[0]);
    for (int i = 0; i < 2; i++) {
        fds[ARRIVALS_STRANGERS_MAX + i] = let_stranger_in();
        await_close(fds[i]);
        assert_open(fds[i + 1]);
    }
    close_arrivals();
    for (int i = 0; i < ARRIVALS_STRANGERS_MAX + 2; i++)
        close(fds[i]);
    cr_assert_geq(post_count_lines(1, ": no complete hello before 63 others came level=warn"), 1);
}

Test(arrivals, have_never_more_strangers_than_they_may)
{
    int fds[5 * ARRIVALS_STRANGERS_MAX];

    open_arrivals();
    for (int i = 0; i < 5 * ARRIVALS_STRANGERS_MAX; i++)
        fds[i] = let_stranger_in();
    close_arrivals();
    for (int i = 0; i < 5 * ARRIVALS_STRANGERS_MAX; i++)
        close(fds[i]);
    cr_assert_leq(most, ARRIVALS_STRANGERS_MAX);
    cr_assert_eq(running, 0);
}

Test(arrivals, that_are_shut_let_nobody_stay)
{
    int before, after;

    open_arrivals();
    before = let_stranger_in();
    arrivals_shut(arrivals);
    await_close(before);
    after = plain_connect(post_port(1));
    cr_assert(arrivals_start(arrivals, stream_accept(listener, &err), wait_for_a_byte, &err), "%s", err.message);
    await_close(after);
    close_arrivals();
    close(before);
    close(after);
}

/* Those of a mailbox. */

Test(arrivals, replaces_a_connection_by_a_newer_one_of_the_same_process)
{
    int older, newer;

    post_start(1);
    older = post_call(1);
    post_await_link(1, LETTER_CONNECTED, 1);
    newer = post_call(2);
    await_close(older);
    post_await_link(1, LETTER_CONNECTED, 2); /* first, so that the end of the older one is no news */
    post_await_link(1, LETTER_DISCONNECTED, 1);
    post_say_round(newer, 8);
    cr_assert_eq(post_await_message(1), 8u);
    close(older);
    close(newer);
    post_await_link(1, LETTER_DISCONNECTED, 2);
}

Test(arrivals, refuses_a_connection_that_is_not_newer)
{
    struct hello hello;
    int fd;

    post_start(1);
    fd = post_call(5);
    post_await_link(1, LETTER_CONNECTED, 5);
    hello = post_hello(5);
    post_assert_refused(&hello, "the connection 5 of 2 is not newer than the last, which was 5");
    close(fd);
    post_await_link(1, LETTER_DISCONNECTED, 5);
}

Test(arrivals, a_number_that_was_seen_once_keeps_nobody_out_when_it_is_gone)
{
    struct hello ours = post_hello(6), theirs;
    int64_t deadline_us;
    bool heard;
    int fd;

    post_start(1);
    fd = post_call(UINT64_MAX);
    post_await_link(1, LETTER_CONNECTED, UINT64_MAX);
    close(fd);
    post_await_link(1, LETTER_DISCONNECTED, UINT64_MAX);
    deadline_us = clock_now_us() + WAIT_MS * 1000;
    do { /* it says DISCONNECTED a little before it is gone */
        fd = post_call_with(&ours);
        heard = post_hear_hello(fd, &theirs);
        close(fd);
    } while (!heard && clock_now_us() < deadline_us);
    cr_assert(heard);
}

Test(arrivals, hears_both_channels_of_a_peer_side_by_side)
{
    int urgent, other;

    post_start(1);
    urgent = post_call(1);
    post_await_link(1, LETTER_CONNECTED, 1);
    other = post_call_bulk(1);
    letter_free(post_take_of(1, CHANNEL_BULK, LETTER_CONNECTED));
    post_say_round(urgent, 3);
    cr_assert_eq(post_await_message(1), 3u);
    post_say_round(other, 4);
    letter_free(post_take_of(1, CHANNEL_BULK, LETTER_MESSAGE));
    close(urgent);
    close(other);
}

Test(arrivals, hears_only_one_of_two_processes_with_one_id)
{
    struct speaker first = *post_two();
    struct hello hello;
    int fd;

    post_start(1);
    fd = post_call(1);
    post_await_link(1, LETTER_CONNECTED, 1);
    speaker_init(post_two(), &post_node(2)->config);
    hello = post_hello(9);
    post_assert_refused(&hello, "another process with the id 2 is connected from 127.0.0.1:");
    *post_two() = first;
    post_say_round(fd, 3);
    cr_assert_eq(post_await_message(1), 3u); /* the first one is not disturbed */
    close(fd);
    post_await_link(1, LETTER_DISCONNECTED, 1);
    speaker_init(post_two(), &post_node(2)->config);
    for (bool refused = true; refused;) { /* its place becomes free when its reader has left */
        struct hello theirs;

        hello = post_hello(1);
        fd = post_call_with(&hello);
        refused = !post_hear_hello(fd, &theirs);
        if (refused)
            close(fd);
    }
    post_await_link(1, LETTER_CONNECTED, 1);
    close(fd);
}

Test(arrivals, lets_a_member_in_though_more_strangers_stand_at_the_door_than_it_hears_at_once)
{
    int strangers[100], member;

    post_start(1);
    for (int i = 0; i < 100; i++)
        strangers[i] = plain_connect(post_port(1));
    member = post_call(1);
    post_await_link(1, LETTER_CONNECTED, 1);
    post_await_lines(1, ": no complete hello before 63 others came level=warn", 1);
    for (int i = 0; i < 100; i++)
        close(strangers[i]);
    close(member);
}

#define CROWD 300

/* Strangers who are never fewer: for each one that is thrown out, another comes. */
struct crowd {
    struct thread thread;
    atomic_bool ended;
};

static int come(void)
{
    struct sockaddr_in address = loopback(post_port(1));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    (void)!connect(fd, (struct sockaddr *)&address, sizeof address); /* it may take a while */
    return fd;
}

static void crowd_main(void *context)
{
    struct crowd *crowd = context;
    struct pollfd fds[CROWD];

    for (int i = 0; i < CROWD; i++)
        fds[i] = (struct pollfd){.fd = come(), .events = POLLIN};
    while (!crowd->ended && poll(fds, CROWD, 10) >= 0)
        for (int i = 0; i < CROWD; i++)
            if (fds[i].revents != 0) {
                close(fds[i].fd);
                fds[i].fd = come();
            }
    for (int i = 0; i < CROWD; i++)
        close(fds[i].fd);
}

Test(arrivals, let_a_member_in_while_a_crowd_of_silent_strangers_is_never_smaller)
{
    struct crowd crowd = {.ended = false};

    post_start(1);
    cr_assert(thread_start(&crowd.thread, "crowd", crowd_main, &crowd, &err), "%s", err.message);
    post_await_lines(1, ": no complete hello before 63 others came level=warn", 1);
    post_start(2);
    post_await_connected(2, 1, 1); /* whose writer waits one second for an answer, as any does */
    crowd.ended = true;
    thread_join(&crowd.thread);
}
