#include "relay/connection.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/memory.h"
#include "turning.h"

static int epoll, listener, holder, near_listener, near_holder;
static uint16_t port, near_port;
static struct road roads[2];
static struct resolved target;
static struct connection *connection;
static int near, far; /* the test's own sockets, at both ends */

/* As the relay turns. */
static void turn(void)
{
    struct epoll_event event;
    int64_t now_us = clock_now_us(), next_us = connection_next_us(connection);
    if (next_us <= now_us)
        connection_tend(connection);
    if (epoll_wait(epoll, &event, 1, next_us <= now_us ? 0 : 1) < 1)
        return;
    struct watch *watch = event.data.ptr;
    watch->ready = event.events;
    watch->wake(watch->owner);
}

static void add_target(uint16_t to)
{
    struct endpoint *endpoint = &target.list[target.count++];
    *endpoint = (struct endpoint){.v4 = loopback(to), .size = sizeof(endpoint->v4)};
}

static void init(void)
{
    epoll = epoll_create1(EPOLL_CLOEXEC);
    holder = hold_port(&port);
    near_holder = hold_port(&near_port);
    near_listener = plain_listen(near_port, 1);
    listener = plain_listen(port, 1);
    near = far = -1;
    add_target(port);
}

static void close_one(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void fini(void)
{
    if (connection != NULL)
        connection_free(connection);
    close_one(&near);
    close_one(&far);
    close_one(&listener);
    close_one(&near_listener);
    close(holder);
    close(near_holder);
    close(epoll);
}

TestSuite(connection, .init = init, .fini = fini, .timeout = 120);

/* A connection whose near end is ours. */
static void begin(void)
{
    near = plain_connect(near_port);
    int accepted = accept4(near_listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    cr_assert_geq(accepted, 0);
    connection = connection_new(accepted, epoll, roads, &target);
    connection_tend(connection);
}

/* The same, and the far end, too. */
static void open_through(void)
{
    begin();
    far = turn_accept(listener, turn);
    while (connection->state != CARRYING)
        turn();
}

static void say(int fd, const char *text)
{
    plain_write(fd, text, strlen(text));
}

static void set_cut(enum direction direction, bool cut)
{
    roads[direction].cut = cut;
    connection_tend(connection);
}

static void set_stalled(enum direction direction, bool stalled)
{
    connection->passages[direction].stalled = stalled;
    connection_tend(connection);
}

/* There is nothing to do, and nothing that wakes anybody in vain. */
static void assert_at_rest(void)
{
    struct epoll_event event;
    for (int i = 0; i < 20; i++)
        turn();
    cr_assert_eq(epoll_wait(epoll, &event, 1, 0), 0);
    cr_assert_eq(connection_next_us(connection), CLOCK_NEVER);
}

/* ---- Bytes and ends ---- */

Test(connection, bytes_pass_both_ways)
{
    open_through();
    say(near, "one");
    turn_expect(far, "one", turn);
    say(far, "two");
    turn_expect(near, "two", turn);
    say(near, "three");
    turn_expect(far, "three", turn);
}

/* The byte at a place of a stream that repeats itself at no power of two. */
static uint8_t byte_at(size_t place)
{
    return (uint8_t)(place % 251 + place / 65521);
}

static size_t write_some(int fd, size_t from, size_t size)
{
    uint8_t bytes[50000];
    size = size < sizeof(bytes) ? size : sizeof(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = byte_at(from + i);
    ssize_t sent = send(fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    cr_assert(sent >= 0 || errno == EAGAIN);
    return sent > 0 ? (size_t)sent : 0;
}

static size_t read_some(int fd, size_t from)
{
    uint8_t bytes[30000];
    ssize_t got = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    cr_assert(got > 0 || (got < 0 && errno == EAGAIN));
    for (ssize_t i = 0; i < got; i++)
        cr_assert_eq(bytes[i], byte_at(from + (size_t)i));
    return got > 0 ? (size_t)got : 0;
}

Test(connection, many_bytes_pass_in_order_both_ways_at_once)
{
    const size_t size = 20000000;
    size_t said[2] = {0}, heard[2] = {0};
    open_through();
    while (heard[FORTH] < size || heard[BACK] < size) {
        said[FORTH] += write_some(near, said[FORTH], size - said[FORTH]);
        said[BACK] += write_some(far, said[BACK], size - said[BACK]);
        for (int i = 0; i < 3; i++)
            turn();
        heard[FORTH] += heard[FORTH] < size ? read_some(far, heard[FORTH]) : 0;
        heard[BACK] += heard[BACK] < size ? read_some(near, heard[BACK]) : 0;
    }
}

/* Says as much as goes. How much that was. */
static size_t fill(int from)
{
    size_t said = 0, more;
    int idle = 0;
    while (idle < 20) {
        more = write_some(from, said, 50000);
        idle = more > 0 ? 0 : idle + 1;
        said += more;
        turn();
    }
    return said;
}

static void drain(int to, size_t size)
{
    for (size_t heard = 0; heard < size;) {
        turn();
        heard += read_some(to, heard);
    }
}

Test(connection, one_that_does_not_read_holds_up_the_other_and_no_more_is_kept_than_may_be)
{
    open_through();
    size_t said = fill(near);
    size_t held = connection->passages[FORTH].flow.held_bytes;
    cr_assert_geq(held, FLOW_BYTES_MAX);
    cr_assert_lt(held, FLOW_BYTES_MAX + 70000);
    say(far, "but it speaks");
    turn_expect(near, "but it speaks", turn);
    drain(far, said);
    cr_assert_eq(connection->passages[FORTH].flow.held_bytes, 0);
}

Test(connection, a_fin_comes_behind_all_bytes_and_the_other_direction_stays)
{
    open_through();
    size_t said = fill(near);
    cr_assert_eq(shutdown(near, SHUT_WR), 0);
    drain(far, said);
    turn_expect_end(far, turn);
    say(far, "still here");
    turn_expect(near, "still here", turn);
    close_one(&far);
    turn_expect_end(near, turn);
    cr_assert_eq(connection->state, CLOSED);
}

Test(connection, a_reset_passes_in_both_directions)
{
    open_through();
    close_with_reset(near);
    near = -1;
    turn_expect_reset(far, turn);
    cr_assert_eq(connection->state, CLOSED);
    connection_free(connection);
    close_one(&far);
    open_through();
    close_with_reset(far);
    far = -1;
    turn_expect_reset(near, turn);
    cr_assert_eq(connection->state, CLOSED);
}

/* As a process that is killed: what it has not read makes a reset of its end. */
Test(connection, who_speaks_to_one_that_is_gone_is_reset)
{
    open_through();
    close_one(&far);
    turn_expect_end(near, turn);
    say(near, "is anybody there?");
    struct pollfd reset = {.fd = near, .events = 0};
    int64_t deadline_us = clock_now_us() + WAIT_MS * 1000LL;
    while (poll(&reset, 1, 0) == 0) { /* to read it would tell of the end that came before */
        cr_assert_lt(clock_now_us(), deadline_us, "no reset came");
        turn();
    }
    cr_assert((reset.revents & POLLERR) != 0);
    cr_assert_eq(connection->state, CLOSED);
}

Test(connection, a_reset_behind_a_fin_takes_its_time)
{
    open_through();
    close_one(&near);
    turn_expect_end(far, turn);
    roads[FORTH].delay_us = 1000;
    say(far, "is anybody there?");
    struct pollfd reset = {.fd = far, .events = 0};
    int64_t deadline_us = clock_now_us() + WAIT_MS * 1000LL;
    while (poll(&reset, 1, 0) == 0) {
        cr_assert_lt(clock_now_us(), deadline_us, "no reset came");
        turn();
    }
    cr_assert_eq(connection->state, CLOSED);
}

/* ---- Whom it is for ---- */

Test(connection, one_that_nobody_takes_is_reset)
{
    close_one(&listener);
    begin();
    turn_expect_reset(near, turn);
    cr_assert_eq(connection->state, CLOSED);
}

Test(connection, it_goes_to_the_first_address_that_answers)
{
    uint16_t nobody;
    int nobody_holder = hold_port(&nobody);
    target.count = 0;
    add_target(nobody);
    add_target(nobody);
    add_target(port);
    open_through();
    say(near, "one");
    turn_expect(far, "one", turn);
    close(nobody_holder);
}

Test(connection, one_that_is_not_taken_in_time_is_reset)
{
    int full[4];
    for (int i = 0; i < 4; i++) { /* as many as its backlog takes, and more: what comes then is not answered */
        struct sockaddr_in address = loopback(port);
        full[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)!connect(full[i], (struct sockaddr *)&address, sizeof(address));
    }
    begin();
    turn_expect_nothing(near, turn);
    cr_assert_eq(connection->state, CONNECTING);
    /* The kernel gives it up, as it does for what is not acknowledged, after four seconds. */
    turn_expect_reset(near, turn);
    for (int i = 0; i < 4; i++)
        close(full[i]);
}

/* ---- Roads ---- */

Test(connection, a_cut_carries_nothing_and_closes_nothing_and_what_waits_arrives_when_it_is_healed)
{
    open_through();
    set_cut(FORTH, true);
    set_cut(BACK, true);
    say(near, "one");
    say(far, "two");
    cr_assert_eq(shutdown(near, SHUT_WR), 0);
    turn_expect_nothing(far, turn);
    turn_expect_nothing(near, turn);
    assert_at_rest();
    set_cut(FORTH, false);
    turn_expect(far, "one", turn);
    turn_expect_end(far, turn);
    turn_expect_nothing(near, turn);
    set_cut(BACK, false);
    turn_expect(near, "two", turn);
}

Test(connection, what_is_on_its_way_when_a_road_is_cut_waits)
{
    open_through();
    roads[FORTH].delay_us = 1000;
    say(near, "one");
    while (flow_is_empty(&connection->passages[FORTH].flow))
        turn();
    int64_t due_us = connection->passages[FORTH].flow.due_us;
    set_cut(FORTH, true);
    while (clock_now_us() < due_us)
        turn();
    say(far, "two");
    turn_expect(near, "two", turn); /* so it has been tended */
    turn_expect_nothing(far, turn);
    assert_at_rest();
    set_cut(FORTH, false);
    turn_expect(far, "one", turn);
}

Test(connection, a_reset_behind_a_fin_does_not_pass_a_cut_and_wakes_nobody)
{
    open_through();
    close_one(&far);
    turn_expect_end(near, turn);
    say(near, "is anybody there?");
    set_cut(BACK, true);
    for (int i = 0; i < 20; i++)
        turn();
    assert_at_rest();
    cr_assert_eq(poll(&(struct pollfd){.fd = near, .events = 0}, 1, 0), 0);
    set_cut(BACK, false);
    while (connection->state != CLOSED)
        turn();
}

Test(connection, a_reset_does_not_pass_a_cut)
{
    open_through();
    set_cut(FORTH, true);
    close_with_reset(near);
    near = -1;
    turn_expect_nothing(far, turn);
    set_cut(FORTH, false);
    turn_expect_reset(far, turn);
}

Test(connection, one_that_begins_at_a_cut_gets_there_when_both_roads_are_whole)
{
    roads[BACK].cut = true;
    begin();
    say(near, "one");
    turn_expect_nothing(listener, turn);
    set_cut(FORTH, true);
    set_cut(BACK, false);
    turn_expect_nothing(listener, turn);
    set_cut(FORTH, false);
    far = turn_accept(listener, turn);
    turn_expect(far, "one", turn);
}

Test(connection, of_one_that_was_given_up_at_a_cut_the_far_end_never_learns)
{
    roads[FORTH].cut = true;
    begin();
    say(near, "one");
    close_one(&near);
    turn_expect_nothing(listener, turn);
    cr_assert_eq(connection->state, CLOSED);
    set_cut(FORTH, false);
    turn_expect_nothing(listener, turn);
}

Test(connection, a_delay_is_kept_in_its_direction_and_order_too)
{
    open_through();
    roads[FORTH] = (struct road){.delay_us = 30000, .jitter_us = 20000};
    int64_t began_us = clock_now_us();
    for (int i = 0; i < 10; i++) {
        char digit[2] = {(char)('0' + i), '\0'};
        say(near, digit);
        turn();
        say(far, digit);
        turn_expect(near, digit, turn); /* the way back takes no time */
    }
    cr_assert_eq(shutdown(near, SHUT_WR), 0);
    turn_expect(far, "0123456789", turn);
    cr_assert_geq(clock_now_us(), began_us + 30000);
    turn_expect_end(far, turn);
}

Test(connection, jitter_makes_it_later)
{
    open_through();
    roads[FORTH].jitter_us = 1000000000000000000; /* a second or less, by chance, is one in 1,000,000,000,000 */
    say(near, "late");
    turn_expect_nothing(far, turn);
    cr_assert_gt(connection_next_us(connection), clock_now_us());
}

Test(connection, a_slow_road_rests_and_wakes_nobody_until_it_is_as_fast_as_ever)
{
    open_through();
    roads[FORTH].bytes_per_second = 1;
    say(near, "12");
    turn_expect(far, "1", turn);
    connection->passages[FORTH].rest_until_us += 3600000000;
    turn_expect_nothing(far, turn);
    cr_assert_eq(epoll_wait(epoll, &(struct epoll_event){0}, 1, 0), 0);
    roads[FORTH].bytes_per_second = 0;
    connection_tend(connection);
    turn_expect(far, "2", turn);
}

Test(connection, what_is_on_its_way_keeps_its_time_and_nothing_overtakes_it)
{
    open_through();
    roads[FORTH].delay_us = 3600000000;
    say(near, "late");
    while (flow_is_empty(&connection->passages[FORTH].flow))
        turn();
    roads[FORTH].delay_us = 0;
    say(near, "later");
    turn_expect_nothing(far, turn);
    cr_assert_gt(connection_next_us(connection), clock_now_us() + 3000000000);
}

Test(connection, a_reset_takes_its_time_and_does_not_wait_for_bytes_that_nobody_reads)
{
    open_through();
    while (flow_is_empty(&connection->passages[FORTH].flow)) {
        write_some(near, 0, 50000);
        turn();
    }
    roads[FORTH].delay_us = 1000;
    close_with_reset(near);
    near = -1;
    int64_t deadline_us = clock_now_us() + WAIT_MS * 1000LL;
    while (connection->state != CLOSED) {
        cr_assert_lt(clock_now_us(), deadline_us, "the reset waits for the bytes");
        turn();
    }
}

/* ---- Stalls and breaks ---- */

Test(connection, a_stall_leaves_unread_what_one_end_says_and_the_other_speaks_on)
{
    open_through();
    set_stalled(FORTH, true);
    say(near, "one");
    cr_assert_eq(shutdown(near, SHUT_WR), 0);
    turn_expect_nothing(far, turn);
    say(far, "two");
    turn_expect(near, "two", turn);
    set_stalled(FORTH, false);
    turn_expect(far, "one", turn);
    turn_expect_end(far, turn);
}

Test(connection, a_break_resets_both_ends_whatever_is_cut)
{
    open_through();
    set_cut(FORTH, true);
    set_cut(BACK, true);
    say(near, "one");
    connection_break(connection);
    turn_expect_reset(near, turn);
    turn_expect_reset(far, turn);
    cr_assert_eq(connection->state, CLOSED);
}

Test(connection, a_break_resets_one_that_has_not_got_there)
{
    roads[FORTH].cut = true;
    begin();
    connection_break(connection);
    turn_expect_reset(near, turn);
}
