#include "serve/clients.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"
#include "sockets.h"

#define SESSIONS_MAX 64
#define MIB          (1024 * 1024)

/* What letters of the test's tell the clients' thread to do. */
enum order { ORDER_NOTHING, ORDER_SEND_TO_ALL, ORDER_UNPAUSE_ALL };

/* A session takes lines, and sends each back; but for these:
 *     fill N   N bytes are sent
 *     pause    nothing more is read until ORDER_UNPAUSE_ALL
 *     close    "bye" is sent, and the connection closed */
struct session {
    struct connection *connection;
    bool paused;
};

static struct mailraft_error err;
static struct clients_config config;
static struct clients_calls calls;
static struct clients *clients;
static struct pile *pile;
static struct log *state_log;
static int log_file, holder;

/* The thread's; to be looked at when it has been joined. */
static struct session *sessions[SESSIONS_MAX];
static char
    events[1000]; /* what was called, in order: O opened, B bytes, L letter, G gathered, E ended, C closed, ... */
static char first_peer[100], first_local[100];
static int64_t due_us;

static atomic_int dues, closes, gathers;
static int letters, letters_then; /* that have come, and those before the stop */

static void note(char event)
{
    size_t length = strlen(events);

    if (length + 1 < sizeof events && (event != 'G' || length == 0 || events[length - 1] != 'G'))
        events[length] = event;
}

static void *on_opened(void *context, struct connection *connection, const char *peer, const char *local)
{
    struct session *session = memory_new(sizeof *session);
    int i = 0;

    cr_assert_eq(context, &config);
    note('O');
    snprintf(first_peer, sizeof first_peer, "%s", peer);
    snprintf(first_local, sizeof first_local, "%s", local);
    session->connection = connection;
    while (sessions[i] != NULL)
        i++;
    sessions[i] = session;
    return session;
}

static void fill(struct connection *connection, size_t size)
{
    char *bytes = malloc(size);

    memset(bytes, 'f', size);
    connection_send(connection, bytes, size);
    free(bytes);
}

static void take_line(struct session *session, const char *line, size_t size)
{
    if (strncmp(line, "fill ", 5) == 0)
        fill(session->connection, strtoul(line + 5, NULL, 10));
    else if (strncmp(line, "pause\n", size) == 0) {
        session->paused = true;
        connection_pause(session->connection, true);
    } else if (strncmp(line, "close\n", size) == 0) {
        connection_send(session->connection, "bye\n", 4);
        connection_close(session->connection);
    } else
        connection_send(session->connection, line, size);
}

static size_t on_bytes(void *of, const uint8_t *bytes, size_t size, size_t *wanted)
{
    struct session *session = of;
    const uint8_t *end;
    size_t used = 0;

    (void)wanted;
    note('B');
    while (!session->paused && (end = memchr(bytes + used, '\n', size - used)) != NULL) {
        size_t line = (size_t)(end + 1 - bytes) - used;

        take_line(session, (const char *)bytes + used, line);
        used += line;
    }
    return used;
}

static void on_ended(void *of)
{
    note('E');
    connection_send(((struct session *)of)->connection, "end\n", 4);
    connection_close(((struct session *)of)->connection);
}

static void on_closed(void *of)
{
    int i = 0;

    note('C');
    while (sessions[i] != of)
        i++;
    sessions[i] = NULL;
    memory_free(of);
    closes++;
}

static void on_letter(void *context, struct letter *letter)
{
    cr_assert_eq(context, &config);
    note('L');
    letters++;
    for (int i = 0; i < SESSIONS_MAX; i++)
        if (sessions[i] != NULL && letter->number == ORDER_SEND_TO_ALL)
            connection_send(sessions[i]->connection, "letter\n", 7);
        else if (sessions[i] != NULL && letter->number == ORDER_UNPAUSE_ALL) {
            sessions[i]->paused = false;
            connection_pause(sessions[i]->connection, false);
        }
    letter_free(letter);
}

static void on_gathered(void *context)
{
    cr_assert_eq(context, &config);
    note('G');
    gathers++;
}

static int64_t deadline_us(void *context)
{
    cr_assert_eq(context, &config);
    return due_us;
}

static void on_due(void *context, int64_t now_us)
{
    cr_assert_eq(context, &config);
    cr_assert_geq(now_us, due_us);
    due_us = CLOCK_NEVER;
    dues++;
}

static void on_stopping(void *context)
{
    cr_assert_eq(context, &config);
    note('S');
    letters_then = letters;
    for (int i = 0; i < SESSIONS_MAX; i++)
        if (sessions[i] != NULL) {
            connection_send(sessions[i]->connection, "stopping\n", 9);
            connection_close(sessions[i]->connection);
        }
}

static void open_clients(void)
{
    config = (struct clients_config){
        .listen = {.host = "127.0.0.1"},
        .connections_max = SESSIONS_MAX,
        .output_bytes_max = 64 * MIB,
        .output_total_max = 64 * MIB,
        .input_bytes_max = 64 * MIB,
        .client_stall_us = 60000000,
    };
    calls = (struct clients_calls){.context = &config,
                                   .opened = on_opened,
                                   .bytes = on_bytes,
                                   .ended = on_ended,
                                   .closed = on_closed,
                                   .letter = on_letter,
                                   .gathered = on_gathered,
                                   .deadline_us = deadline_us,
                                   .due = on_due,
                                   .stopping = on_stopping};
    due_us = CLOCK_NEVER;
    holder = hold_port(&config.listen.port);
    pile = pile_new();
    log_file = memfd_create("log", MFD_CLOEXEC);
    state_log = log_open(log_file, 1, LOG_DEBUG, &err);
}

static void open_now(void)
{
    clients = clients_open(&config, &calls, pile, state_log, &err);
    cr_assert_not_null(clients, "%s", err.message);
}

static void start(void)
{
    open_now();
    cr_assert(clients_start(clients, &err), "%s", err.message);
}

static void stop(void)
{
    if (clients == NULL)
        return;
    clients_stop(clients, 0);
    clients_free(clients);
    clients = NULL;
}

static void close_clients(void)
{
    stop();
    for (int i = 0; i < SESSIONS_MAX; i++)
        cr_assert_null(sessions[i]);
    pile_free(pile);
    log_close(state_log);
    close(log_file);
    close(holder);
}

TestSuite(clients, .init = open_clients, .fini = close_clients, .timeout = 120);

static void put_order(enum order order)
{
    struct letter *letter = letter_new(LETTER_REPLY);

    letter->number = order;
    pile_put(pile, LANE_INNER, letter);
}

static int client(void)
{
    return plain_connect(config.listen.port);
}

static void say(int fd, const char *text)
{
    plain_write(fd, text, strlen(text));
}

static void hear(int fd, const char *text)
{
    char heard[200] = "";

    plain_read(fd, heard, strlen(text));
    cr_assert_str_eq(heard, text);
}

/* A round trip: all that came before has been looked at. */
static void ask(int fd)
{
    say(fd, "ask\n");
    hear(fd, "ask\n");
}

static void await_logged(const char *line)
{
    static char text[100000];
    int64_t until_us = clock_now_us() + WAIT_MS * 1000;

    do {
        ssize_t size = pread(log_file, text, sizeof text - 1, 0);

        text[size > 0 ? size : 0] = '\0';
        cr_assert_lt(clock_now_us(), until_us, "no \"%s\" in\n%s", line, text);
        poll(NULL, 0, 1);
    } while (strstr(text, line) == NULL);
}

/* ---- Opening ---- */

Test(clients, an_address_that_is_taken_is_told)
{
    char expected[100];

    open_now();
    cr_assert_null(clients_open(&config, &calls, pile, state_log, &err));
    cr_assert(error_is(&err, &BIND_ERROR));
    snprintf(expected, sizeof expected, "Couldn't bind to 127.0.0.1:%u: Address already in use", config.listen.port);
    cr_assert_str_eq(err.message, expected);
}

Test(clients, each_client_gets_a_session_that_knows_both_addresses)
{
    struct sockaddr_in here;
    socklen_t size = sizeof here;
    char peer[100], local[100];
    int fd;

    start();
    fd = client();
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&here, &size), 0);
    ask(fd);
    stop();
    snprintf(peer, sizeof peer, "127.0.0.1:%u", ntohs(here.sin_port));
    snprintf(local, sizeof local, "127.0.0.1:%u", config.listen.port);
    cr_assert_str_eq(first_peer, peer);
    cr_assert_str_eq(first_local, local);
    close(fd);
}

/* ---- Reading and sending ---- */

Test(clients, what_comes_in_pieces_comes_whole)
{
    const char *text = "a line in pieces\n";
    int fd;

    start();
    fd = client();
    for (const char *at = text; *at != '\0'; at++)
        plain_write(fd, at, 1);
    hear(fd, text);
    close(fd);
}

Test(clients, a_long_line_and_many_short_ones_come_back_as_they_were)
{
    enum { SIZE = 3 * MIB };
    char *sent = malloc(SIZE), *heard = malloc(SIZE);
    size_t said = 0, got = 0;
    int fd;

    start();
    fd = client();
    for (int i = 0; i < SIZE; i++)
        sent[i] = (char)(i > MIB && i % 1000 == 999 ? '\n' : 'a' + i % 26);
    sent[SIZE - 1] = '\n';
    while (got < SIZE) {
        struct pollfd ready = {.fd = fd, .events = (short)(POLLIN | (said < SIZE ? POLLOUT : 0))};
        ssize_t count;

        cr_assert_eq(poll(&ready, 1, WAIT_MS), 1);
        count = said < SIZE ? send(fd, sent + said, SIZE - said, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
        said += count > 0 ? (size_t)count : 0;
        count = recv(fd, heard + got, SIZE - got, MSG_DONTWAIT);
        got += count > 0 ? (size_t)count : 0;
    }
    cr_assert_arr_eq(heard, sent, SIZE);
    free(sent);
    free(heard);
    close(fd);
}

Test(clients, letters_come_first_and_then_what_sockets_brought_and_then_it_is_gathered)
{
    int fd;

    open_now();
    put_order(ORDER_NOTHING);
    put_order(ORDER_NOTHING);
    fd = client();
    say(fd, "before it started\n");
    cr_assert(clients_start(clients, &err));
    hear(fd, "before it started\n");
    stop();
    cr_assert_str_eq(events, "LLGOGBGSGC");
    close(fd);
}

Test(clients, a_letter_wakes_the_thread)
{
    int fd;

    start();
    fd = client();
    ask(fd);
    for (int i = 0; i < 300; i++) {
        put_order(ORDER_SEND_TO_ALL);
        hear(fd, "letter\n");
        if (i % 30 == 0)
            poll(NULL, 0, 1); /* so that it sleeps, mostly */
    }
    close(fd);
}

Test(clients, its_owner_is_called_when_that_is_due)
{
    int64_t until_us = clock_now_us() + WAIT_MS * 1000;

    due_us = clock_now_us() + 2000;
    start();
    while (dues == 0) {
        cr_assert_lt(clock_now_us(), until_us);
        poll(NULL, 0, 1);
    }
    stop();
    cr_assert_eq(dues, 1);
}

Test(clients, one_that_is_paused_waits_for_a_letter_while_others_go_on)
{
    int fd, other;

    start();
    fd = client();
    other = client();
    say(fd, "pause\none\n");
    say(fd, "two\n");
    for (int i = 0; i < 10; i++)
        ask(other);
    cr_assert_eq(recv(fd, &(char){0}, 1, MSG_DONTWAIT), -1);
    put_order(ORDER_UNPAUSE_ALL);
    hear(fd, "one\ntwo\n");
    close(fd);
    close(other);
}

Test(clients, one_that_does_not_read_holds_up_nobody_and_gets_all_when_it_does)
{
    enum { SIZE = 20 * MIB };
    char *heard = malloc(SIZE);
    int fd, other;

    start();
    fd = client();
    other = client();
    say(fd, "fill 20971520\n");
    say(fd, "behind it\n");
    for (int i = 0; i < 10; i++)
        ask(other);
    cr_assert_eq(plain_read(fd, heard, SIZE), (size_t)SIZE);
    cr_assert_eq(heard[SIZE - 1], 'f');
    hear(fd, "behind it\n");
    free(heard);
    close(fd);
    close(other);
}

Test(clients, one_that_does_not_read_for_long_is_closed)
{
    int fd, other;

    config.client_stall_us = 20000;
    start();
    fd = client();
    other = client();
    say(fd, "fill 20971520\n");
    await_logged(": it has read nothing for 20 ms, though ");
    ask(other);
    close(fd);
    close(other);
}

/* ---- Ending ---- */

Test(clients, one_that_closes_is_gone)
{
    int64_t until_us = clock_now_us() + WAIT_MS * 1000;
    int fd;

    calls.ended = NULL;
    start();
    fd = client();
    ask(fd);
    close(fd);
    while (closes == 0) {
        cr_assert_lt(clock_now_us(), until_us);
        poll(NULL, 0, 1);
    }
}

Test(clients, one_that_resets_its_connection_is_gone)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    int fd;

    start();
    fd = client();
    ask(fd);
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    close(fd);
    await_logged("has gone: Connection reset by peer level=debug\n");
}

Test(clients, one_that_only_listens_any_more_gets_its_answers)
{
    int fd;

    start();
    fd = client();
    say(fd, "one\ntwo\n");
    shutdown(fd, SHUT_WR);
    hear(fd, "one\ntwo\nend\n");
    await_close(fd);
    close(fd);
}

Test(clients, the_last_words_arrive_though_the_client_goes_on_speaking)
{
    char *more = calloc(1, MIB);
    int fd;

    start();
    fd = client();
    say(fd, "close\n");
    while (send(fd, more, MIB, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
        ;
    hear(fd, "bye\n");
    cr_assert_eq(recv(fd, more, 1, 0), 0, "%s", strerror(errno)); /* and no reset */
    free(more);
    close(fd);
}

/* ---- Too many ---- */

Test(clients, one_more_than_may_be_is_told_so_and_has_room_when_another_goes)
{
    int fd, other;

    config.connections_max = 1;
    start();
    fd = client();
    ask(fd);
    other = client();
    hear(other, "-ERR max number of clients reached\r\n");
    await_close(other);
    close(other);
    say(fd, "close\n");
    hear(fd, "bye\n");
    await_close(fd);
    close(fd);
    other = client();
    ask(other);
    close(other);
}

Test(clients, accepting_goes_on_when_there_are_descriptors_again)
{
    struct rlimit limit = {.rlim_cur = 100, .rlim_max = 100};
    struct sockaddr_in address = loopback(config.listen.port);
    int taken[100], count = 0, gathers_then, fd, other;

    start();
    other = client();
    ask(other);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    while ((taken[count] = dup(fd)) >= 0)
        count++;
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    await_logged("Clients have to wait: Couldn't accept a connection: Too many open files level=warn");
    gathers_then = gathers;
    poll(NULL, 0, 30);
    cr_assert_leq(gathers - gathers_then, 100, "it spins");
    ask(other);
    while (count > 0)
        close(taken[--count]);
    ask(fd);
    close(fd);
    close(other);
}

Test(clients, accepting_goes_on_when_a_client_has_gone)
{
    struct rlimit limit = {.rlim_cur = 100, .rlim_max = 100};
    struct sockaddr_in address = loopback(config.listen.port);
    int taken[100], count = 0, fd, other;

    start();
    other = client();
    ask(other);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    while ((taken[count] = dup(fd)) >= 0)
        count++;
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    await_logged("Clients have to wait: Couldn't accept a connection: Too many open files level=warn");
    say(other, "close\n");
    hear(other, "bye\n");
    shutdown(other, SHUT_RDWR); /* its descriptor is ours, not the one that is given back */
    ask(fd);
    while (count > 0)
        close(taken[--count]);
    close(fd);
    close(other);
}

/* ---- Stopping ---- */

#define LAST_WORDS "letter\nstopping\n"

struct listener { /* a client, on a thread of its own, that hears the last words and then closes its end */
    struct thread thread;
    int fd;
    char heard[sizeof LAST_WORDS];
    bool was_closed; /* nothing came behind them */
};

static void listen_to_the_end(void *context)
{
    struct listener *listener = context;
    char more;

    if (recv(listener->fd, listener->heard, sizeof LAST_WORDS - 1, MSG_WAITALL) > 0) {
        shutdown(listener->fd, SHUT_WR);
        listener->was_closed = recv(listener->fd, &more, 1, 0) <= 0;
    }
    close(listener->fd);
}

Test(clients, a_stop_handles_letters_says_the_last_word_and_sends_all)
{
    enum { SIZE = 8 * MIB };
    struct listener listener = {.heard = ""};
    char *heard = malloc(SIZE);

    start();
    listener.fd = client();
    ask(listener.fd);
    say(listener.fd, "fill 8388608\n");
    await_readable(listener.fd);
    put_order(ORDER_SEND_TO_ALL);
    cr_assert_eq(plain_read(listener.fd, heard, SIZE), (size_t)SIZE);
    cr_assert(thread_start(&listener.thread, "listener", listen_to_the_end, &listener, &err));
    clients_stop(clients, (int64_t)WAIT_MS * 1000);
    thread_join(&listener.thread);
    cr_assert_str_eq(listener.heard, LAST_WORDS);
    cr_assert(listener.was_closed);
    cr_assert_eq(closes, 1);
    free(heard);
}

Test(clients, a_stop_comes_behind_all_letters_that_were_put_before_it)
{
    enum { LETTERS = 20000 };

    start();
    for (int i = 0; i < LETTERS; i++)
        put_order(ORDER_NOTHING);
    stop();
    cr_assert_eq(letters_then, LETTERS);
}

Test(clients, a_stop_does_not_wait_for_a_client_that_does_not_read)
{
    int fd;

    start();
    fd = client();
    say(fd, "fill 20971520\n");
    await_readable(fd);
    clients_stop(clients, 1000);
    cr_assert_eq(closes, 1);
    close(fd);
}

Test(clients, what_was_never_started_is_not_stopped)
{
    int fd;

    open_now();
    fd = client();
    clients_stop(clients, 1000);
    clients_free(clients);
    clients = NULL;
    await_close(fd);
    close(fd);
}
