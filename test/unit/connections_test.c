#include "serve/connections.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#include "base/memory.h"
#include "sockets.h"

#define CLIENTS_MAX 4
#define MS          1000
#define STALL_US    (100 * MS)
#define KIB         1024

/* A session of the test's: it takes lines, and does with each what the test says. */
struct session {
    struct connection *connection;
    char line[300];   /* the last line, or its first bytes */
    int lines, calls; /* that it was given */
    size_t held;      /* bytes that it left in the last call */
    size_t wanted;    /* what it says that it wants */
    int one_by_one;   /* it is paused after each line */
    int ended;
    int drained;
};

static struct mailraft_error err;
static struct connections connections;
static struct clients_config config;
static struct clients_calls calls;
static struct log *state_log;
static int log_file;
static int64_t now_us = 1000000000;

/* By number, in the order in which they came. */
static struct session *sessions[CLIENTS_MAX];
static int ends[CLIENTS_MAX];
static int opened, closed;

static void *on_opened(void *context, struct connection *connection, const char *peer, const char *local)
{
    struct session *session = memory_new(sizeof *session);

    (void)context, (void)peer, (void)local;
    session->connection = connection;
    sessions[opened++] = session;
    return session;
}

static size_t on_bytes(void *of, const uint8_t *bytes, size_t size, size_t *wanted)
{
    struct session *session = of;
    size_t used = 0;
    const uint8_t *end;

    session->calls++;
    while ((end = memchr(bytes + used, '\n', size - used)) != NULL) {
        size_t length = (size_t)(end - bytes) - used;

        snprintf(session->line, sizeof session->line, "%.*s", (int)(length < 299 ? length : 299), bytes + used);
        session->lines++;
        used += length + 1;
        if (session->one_by_one) {
            connection_pause(session->connection, true);
            break;
        }
    }
    session->held = size - used;
    *wanted = session->wanted;
    return used;
}

static void on_ended(void *of)
{
    ((struct session *)of)->ended++;
}

static void on_drained(void *of)
{
    ((struct session *)of)->drained++;
}

static void on_closed(void *of)
{
    for (int i = 0; i < CLIENTS_MAX; i++)
        if (sessions[i] == of)
            sessions[i] = NULL;
    memory_free(of);
    closed++;
}

static void make_connections(void)
{
    config = (struct clients_config){
        .connections_max = CLIENTS_MAX,
        .output_bytes_max = 8 * KIB * KIB,
        .output_total_max = 16 * KIB * KIB,
        .input_bytes_max = KIB * KIB,
        .client_stall_us = STALL_US,
    };
    calls = (struct clients_calls){
        .opened = on_opened, .bytes = on_bytes, .ended = on_ended, .drained = on_drained, .closed = on_closed};
    log_file = memfd_create("log", MFD_CLOEXEC);
    state_log = log_open(log_file, 1, LOG_DEBUG, &err);
    connections_init(&connections, &config, &calls, epoll_create1(EPOLL_CLOEXEC), state_log);
    connections_begin(&connections, now_us);
}

static void free_connections(void)
{
    connections_close(&connections);
    cr_assert_eq(closed, opened);
    cr_assert_eq(connections.count, 0u);
    cr_assert_eq(connections.input_bytes, 0u);
    cr_assert_eq(connections.output_bytes, 0u);
    close(connections.epoll);
    connections_fini(&connections);
    if (state_log != NULL)
        log_close(state_log);
    close(log_file);
}

TestSuite(connections, .init = make_connections, .fini = free_connections, .timeout = 60);

/* A client of the next number. */
static struct session *come(void)
{
    struct endpoint peer = {.v4 = loopback((uint16_t)(50001 + opened)), .size = sizeof peer.v4};
    int pair[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    ends[opened] = pair[1];
    connections_add(&connections, pair[0], &peer);
    return sessions[opened - 1];
}

/* One round: what is ready now. How many connections were. */
static int run(void)
{
    struct epoll_event events[CLIENTS_MAX];
    int ready = epoll_wait(connections.epoll, events, CLIENTS_MAX, 0);

    connections_begin(&connections, now_us);
    for (int i = 0; i < ready; i++)
        connections_take(events[i].data.ptr, events[i].events);
    connections_resume(&connections);
    connections_check(&connections);
    connections_flush(&connections);
    return ready;
}

/* Until nothing is ready any more: a connection that is told of for ever would hang here. */
static void run_all(void)
{
    run(); /* which may ask for more */
    while (run() > 0)
        ;
}

static void say(int client, const void *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(ends[client], bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0)
            run();
        else {
            bytes = (const uint8_t *)bytes + sent;
            size -= (size_t)sent;
        }
    }
}

static void say_text(int client, const char *text)
{
    say(client, text, strlen(text));
}

/* So many bytes without the end of a line. */
static void say_much(int client, size_t size)
{
    uint8_t *bytes = malloc(size);

    memset(bytes, 'm', size);
    say(client, bytes, size);
    free(bytes);
}

static void send_much(struct session *session, size_t size)
{
    uint8_t *bytes = malloc(size);

    memset(bytes, 'm', size);
    connection_send(session->connection, bytes, size);
    free(bytes);
}

/* Reads what has come, at most so many bytes. How many. */
static size_t hear(int client, size_t most)
{
    static uint8_t bytes[64 * KIB];
    size_t heard = 0;
    ssize_t got = 1;

    while (heard < most && got > 0) {
        got = recv(ends[client], bytes, most - heard < sizeof bytes ? most - heard : sizeof bytes, MSG_DONTWAIT);
        if (got > 0)
            heard += (size_t)got;
    }
    return heard;
}

static bool is_closed(int client)
{
    char byte;

    return recv(ends[client], &byte, 1, MSG_DONTWAIT) == 0;
}

/* Whether the log says so; it is closed for that. */
static void assert_logged(const char *line)
{
    static char text[100000];
    ssize_t size;

    log_close(state_log);
    state_log = NULL;
    size = pread(log_file, text, sizeof text - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    cr_assert_not_null(strstr(text, line), "no \"%s\" in\n%s", line, text);
}

/* ---- What has come, and cannot be used yet ---- */

Test(connections, an_idle_one_holds_nothing)
{
    come();
    say_text(0, "one\ntwo\n");
    run_all();
    cr_assert_eq(sessions[0]->lines, 2);
    cr_assert_eq(sessions[0]->calls, 1);
    cr_assert_eq(connections.input_bytes, 0u);
}

Test(connections, what_is_left_of_a_request_takes_as_much_as_it_is)
{
    come();
    say_text(0, "one\ntw");
    run_all();
    cr_assert_eq(connections.input_bytes, 2u);
    say_text(0, "o\n");
    run_all();
    cr_assert_str_eq(sessions[0]->line, "two");
    cr_assert_eq(connections.input_bytes, 0u);
}

Test(connections, a_buffer_grows_with_what_has_come_and_not_with_what_is_announced)
{
    come();
    sessions[0]->wanted = 500 * KIB;
    say_much(0, 100 * KIB);
    run_all();
    cr_assert_eq(sessions[0]->held, (size_t)100 * KIB);
    cr_assert_leq(connections.input_bytes, (size_t)200 * KIB);
    say_much(0, 200 * KIB);
    run_all();
    cr_assert_leq(connections.input_bytes, (size_t)500 * KIB); /* the last doubling is cut to it */
    say_much(0, 200 * KIB);
    say_text(0, "\nnext");
    run_all();
    cr_assert_eq(sessions[0]->lines, 1);
    cr_assert_eq(connections.input_bytes, 4u);
}

Test(connections, where_all_hold_too_much_only_the_one_that_waits_longest_is_read_from_and_new_ones)
{
    connections.config.input_bytes_max = 100 * KIB;
    for (int i = 0; i < 3; i++)
        come();
    for (int i = 0; i < 2; i++) {
        say_much(i, 60 * KIB);
        run_all();
    }
    cr_assert_eq(connections.input_bytes, (size_t)120 * KIB);
    say_text(1, "\n");
    say_text(2, "whole\npart");
    run_all();
    cr_assert_eq(sessions[1]->lines, 0);
    cr_assert_eq(sessions[2]->lines, 1);
    say_text(2, "\n");
    run_all();
    cr_assert_eq(sessions[2]->lines, 1);
    say_text(0, "\n"); /* there is room again */
    run_all();
    cr_assert_eq(sessions[0]->lines, 1);
    cr_assert_eq(sessions[1]->lines, 1);
    cr_assert_eq(sessions[2]->lines, 2);
}

Test(connections, where_all_hold_too_much_requests_come_whole_one_after_the_other)
{
    for (int i = 0; i < 3; i++) {
        come();
        say_much(i, 60 * KIB);
        run_all();
    }
    connections.config.input_bytes_max = 100 * KIB;
    for (int i = 2; i > 0; i--) {
        say_text(i, "\n");
        run_all();
        cr_assert_eq(sessions[i]->lines, 0);
    }
    say_text(0, "\n");
    run_all();
    for (int i = 0; i < 3; i++)
        cr_assert_eq(sessions[i]->lines, 1);
}

Test(connections, where_there_is_room_again_nobody_waits_for_one_that_is_silent)
{
    for (int i = 0; i < 3; i++) {
        come();
        say_much(i, 60 * KIB);
        run_all();
    }
    connections.config.input_bytes_max = 130 * KIB;
    say_text(2, "\n");
    run_all();
    cr_assert_eq(sessions[2]->lines, 0);
    say_text(0, "\n");
    run_all();
    cr_assert_eq(sessions[1]->lines, 0);
    cr_assert_eq(sessions[2]->lines, 1);
}

Test(connections, where_all_hold_too_much_little_is_read_of_a_new_one)
{
    come();
    say_much(0, 60 * KIB);
    run_all();
    connections.config.input_bytes_max = 50 * KIB;
    come();
    say_much(1, 20 * KIB);
    run_all();
    cr_assert_eq(sessions[1]->held, (size_t)4 * KIB);
}

Test(connections, where_all_hold_too_much_a_request_that_does_not_come_whole_is_closed)
{
    connections.config.input_bytes_max = 100 * KIB;
    for (int i = 0; i < 2; i++) {
        come();
        say_much(i, 60 * KIB);
        run_all();
        now_us += STALL_US / 2;
    }
    cr_assert_eq(connections_deadline_us(&connections), now_us);
    run_all();
    cr_assert_null(sessions[0]);
    cr_assert_not_null(sessions[1]);
    cr_assert_eq(connections_deadline_us(&connections), INT64_MAX); /* it may wait as long as it likes */
    say_text(1, "\n");
    run_all();
    cr_assert_eq(sessions[1]->lines, 1);
    assert_logged(
        "Closed the connection of client 127.0.0.1:50001: its request has not come whole for 100 ms, and such "
        "requests take more than 102400 bytes\n");
}

/* ---- Pausing ---- */

Test(connections, a_paused_one_gets_nothing_and_then_what_it_had_left_and_more)
{
    come();
    sessions[0]->one_by_one = 1;
    say_text(0, "one\ntwo\nth");
    run_all();
    cr_assert_str_eq(sessions[0]->line, "one");
    say_text(0, "ree\n");
    run_all();
    cr_assert_eq(sessions[0]->lines, 1);
    connection_pause(sessions[0]->connection, false);
    cr_assert(connections_busy(&connections));
    run_all();
    cr_assert_str_eq(sessions[0]->line, "two");
    sessions[0]->one_by_one = 0;
    connection_pause(sessions[0]->connection, false);
    run_all();
    cr_assert_str_eq(sessions[0]->line, "three");
}

Test(connections, a_paused_one_is_not_told_of_for_ever)
{
    come();
    connection_pause(sessions[0]->connection, true);
    say_text(0, "one\n");
    cr_assert_eq(run(), 1);
    cr_assert_eq(run(), 0);
    connection_pause(sessions[0]->connection, false);
    run_all();
    cr_assert_eq(sessions[0]->lines, 1);
}

Test(connections, one_that_breaks_while_it_is_paused_is_closed)
{
    come();
    connection_pause(sessions[0]->connection, true);
    close(ends[0]);
    run_all();
    cr_assert_eq(closed, 1);
}

/* ---- Sending ---- */

Test(connections, what_was_sent_leaves_at_the_end_of_the_round)
{
    come();
    connection_send(sessions[0]->connection, "one ", 4);
    connection_send(sessions[0]->connection, "two\n", 4);
    cr_assert_eq(hear(0, 100), 0u);
    run();
    cr_assert_eq(hear(0, 100), 8u);
    cr_assert_eq(connections.output_bytes, 0u);
}

Test(connections, a_slow_reader_is_not_read_from_until_it_has_read)
{
    size_t heard = 0;

    come();
    send_much(sessions[0], 2 * KIB * KIB);
    run_all();
    cr_assert_geq(connections.output_bytes, (size_t)OUTPUT_PAUSE_BYTES);
    say_text(0, "more\n");
    run_all();
    cr_assert_eq(sessions[0]->lines, 0);
    while (heard < 2 * KIB * KIB) {
        heard += hear(0, 2 * KIB * KIB);
        run_all();
    }
    cr_assert_eq(sessions[0]->lines, 1);
    cr_assert_eq(connections_deadline_us(&connections), INT64_MAX);
}

Test(connections, a_session_is_told_that_its_connection_is_full_and_once_when_it_has_drained)
{
    size_t heard = 0;

    come();
    cr_assert(connection_send(sessions[0]->connection, "x", 1));
    send_much(sessions[0], 4 * KIB * KIB);
    cr_assert_not(connection_send(sessions[0]->connection, "x", 1));
    run_all();
    cr_assert_eq(sessions[0]->drained, 0);
    while (heard < 4 * KIB * KIB + 2) {
        heard += hear(0, 64 * KIB);
        run_all();
    }
    cr_assert_eq(sessions[0]->drained, 1);
    cr_assert(connection_send(sessions[0]->connection, "x", 1));
    run_all();
    cr_assert_eq(sessions[0]->drained, 1);
}

Test(connections, one_that_reads_nothing_for_too_long_is_closed)
{
    come();
    send_much(sessions[0], 2 * KIB * KIB);
    run_all();
    cr_assert_eq(connections_deadline_us(&connections), now_us + STALL_US);
    now_us += STALL_US - 1;
    run_all();
    cr_assert_not_null(sessions[0]);
    now_us += 1;
    run_all();
    cr_assert_null(sessions[0]);
    cr_assert_eq(connections.output_bytes, 0u);
    assert_logged("Closed the connection of client 127.0.0.1:50001: it has read nothing for 100 ms, though ");
}

Test(connections, one_that_reads_a_little_is_not_closed)
{
    come();
    send_much(sessions[0], 2 * KIB * KIB);
    run_all();
    for (int i = 0; i < 5; i++) {
        cr_assert_gt(hear(0, 40 * KIB), 0u); /* the kernel counts whole pieces */
        now_us += STALL_US;
        run_all();
        cr_assert_not_null(sessions[0], "after %d", i);
    }
}

Test(connections, one_that_leaves_more_unread_than_it_may_is_closed)
{
    come();
    send_much(sessions[0], config.output_bytes_max + KIB * KIB); /* a reply of any size is sent ... */
    cr_assert_gt(connections.output_bytes, config.output_bytes_max);
    connection_send(sessions[0]->connection, "x", 1); /* ... but none behind it */
    connection_send(sessions[0]->connection, "y", 1);
    cr_assert_eq(connections.output_bytes, 0u);
    run_all();
    cr_assert_null(sessions[0]);
    assert_logged("Closed the connection of client 127.0.0.1:50001: it does not read more than 8388608 bytes of its "
                  "replies\n");
}

Test(connections, where_all_leave_too_much_unread_the_one_with_most_is_closed)
{
    for (int i = 0; i < 3; i++)
        come();
    send_much(sessions[0], 6 * KIB * KIB);
    send_much(sessions[1], 8 * KIB * KIB);
    send_much(sessions[2], 5 * KIB * KIB);
    cr_assert_gt(connections.output_bytes, config.output_total_max);
    connection_send(sessions[2]->connection, "x", 1);
    run_all();
    cr_assert_not_null(sessions[0]);
    cr_assert_null(sessions[1]);
    cr_assert_not_null(sessions[2]);
    assert_logged("Closed the connection of client 127.0.0.1:50002: clients do not read more than 16777216 bytes of "
                  "their replies, and this one most of them, ");
}

/* ---- Ending ---- */

Test(connections, a_client_that_says_nothing_more_is_answered_and_closed_by_its_session)
{
    come();
    say_text(0, "one\ntw");
    shutdown(ends[0], SHUT_WR);
    run_all();
    cr_assert_eq(sessions[0]->lines, 1);
    cr_assert_eq(sessions[0]->ended, 1);
    cr_assert_eq(connections.input_bytes, 0u);
    connection_send(sessions[0]->connection, "answer", 6);
    connection_close(sessions[0]->connection);
    run_all();
    cr_assert_eq(closed, 1);
    cr_assert_eq(hear(0, 100), 6u);
    cr_assert(is_closed(0));
    cr_assert(TAILQ_EMPTY(&connections.all));
}

Test(connections, a_client_that_says_nothing_more_is_closed_at_once_where_nobody_cares)
{
    connections.calls.ended = NULL;
    come();
    shutdown(ends[0], SHUT_WR);
    run_all();
    cr_assert_eq(closed, 1);
    cr_assert(is_closed(0));
}

Test(connections, what_is_closed_is_closed_when_all_has_left_and_sends_nothing_more)
{
    size_t heard = 0;

    come();
    send_much(sessions[0], 2 * KIB * KIB);
    connection_close(sessions[0]->connection);
    connection_send(sessions[0]->connection, "x", 1);
    run_all();
    cr_assert_eq(closed, 0);
    while (closed == 0) {
        heard += hear(0, KIB * KIB);
        run_all();
    }
    heard += hear(0, 2 * KIB * KIB);
    cr_assert_eq(heard, (size_t)2 * KIB * KIB);
    cr_assert(is_closed(0));
}

Test(connections, what_is_closed_waits_for_the_client_but_not_for_ever)
{
    come();
    connection_close(sessions[0]->connection);
    run_all();
    cr_assert_eq(closed, 1);
    cr_assert_eq(connections.count, 0u);
    cr_assert(is_closed(0));
    say_text(0, "more, which nobody reads");
    run_all();
    cr_assert_not(TAILQ_EMPTY(&connections.all));
    now_us = connections_deadline_us(&connections);
    run_all();
    cr_assert(TAILQ_EMPTY(&connections.all));
}

/* ---- Coming and going ---- */

Test(connections, one_more_than_may_be_is_told_so)
{
    struct endpoint peer = {.v4 = loopback(50009), .size = sizeof peer.v4};
    char text[100] = "";
    int pair[2];

    for (int i = 0; i < CLIENTS_MAX; i++)
        come();
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    plain_write(pair[1], "one\n", 4);
    connections_add(&connections, pair[0], &peer);
    cr_assert_eq(connections.count, (size_t)CLIENTS_MAX);
    cr_assert_eq(plain_read(pair[1], text, 36), 36u);
    cr_assert_eq(recv(pair[1], text + 36, 1, 0), 0); /* and no reset */
    cr_assert_str_eq(text, "-ERR max number of clients reached\r\n");
    close(pair[1]);
    assert_logged("Refused client 127.0.0.1:50009: there are 4, as many as may be (max_clients)\n");
}

Test(connections, a_deaf_set_sends_and_does_not_read)
{
    come();
    connections_deafen(&connections);
    say_text(0, "one\n");
    connection_send(sessions[0]->connection, "answer", 6);
    run_all();
    cr_assert_eq(sessions[0]->lines, 0);
    cr_assert_eq(hear(0, 100), 6u);
}
