#include "serve/clients.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"
#include "mail/bell.h"
#include "mail/resolve.h"
#include "serve/connections.h"

#define BACKLOG         4096 /* as far as the kernel allows (net.core.somaxconn) */
#define EVENTS_MAX      512  /* in a round, ... */
#define LETTERS_MAX     4096
#define ACCEPTS_MAX     128
#define ACCEPT_RETRY_US 100000 /* without descriptors or memory: until somebody may have given some back */

/* A client whose machine is gone is found out within some two minutes. Ten thousand idle ones cost 170 packets a
 * second. */
#define KEEPALIVE_IDLE_SECONDS     60
#define KEEPALIVE_INTERVAL_SECONDS 20
#define KEEPALIVE_PROBES           3

/* What the thread waits for is often on its way: so it lets others run a few times before it sleeps, as a pile's owner
 * does that has nothing else to wait for. */
#define PASSES_MAX    15
#define PASSES_US_MAX 50

struct clients {
    struct connections connections;
    struct stream *listener;
    struct pile *pile;
    struct bell bell; /* rung with the first letter while the thread sleeps, and to stop it */
    struct thread thread;
    bool runs;

    _Atomic int64_t stop_us; /* by when it has to have stopped; CLOCK_NEVER: nobody has asked for that */

    /* The thread's. */
    struct epoll_event events[EVENTS_MAX];
    int ready;            /* how many of them have come */
    struct letter *early; /* taken already */
    int64_t accept_us;    /* when accepting goes on; 0: it does, CLOCK_NEVER: no more */
    size_t count_then;    /* connections that there were when it stopped */
    bool stopping;
};

/* ---- Opening ---- */

/* Connections inherit it all. Each only makes them better: where one fails, we go on. */
static void set_options(int socket)
{
    const struct {
        int level, option, value;
    } OPTIONS[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
    };

    for (size_t i = 0; i < sizeof OPTIONS / sizeof OPTIONS[0]; i++)
        (void)setsockopt(socket, OPTIONS[i].level, OPTIONS[i].option, &OPTIONS[i].value, sizeof OPTIONS[i].value);
    (void)listen(socket, BACKLOG);
    fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) | O_NONBLOCK);
}

static bool watch(int epoll, int fd, void *what, struct mailraft_error *err)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};

    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0 ||
           error_raise_os(err, &SERVER_ERROR, "Couldn't wait for clients");
}

static bool open_epoll(struct clients *clients, int *epoll, struct mailraft_error *err)
{
    *epoll = epoll_create1(EPOLL_CLOEXEC);
    if (*epoll < 0)
        return error_raise_os(err, &SERVER_ERROR, "Couldn't make an epoll");
    if (watch(*epoll, clients->bell.fd, &clients->bell, err) &&
        watch(*epoll, stream_fd(clients->listener), clients->listener, err))
        return true;
    close(*epoll);
    return false;
}

static void ring(void *context)
{
    bell_ring(&((struct clients *)context)->bell);
}

static bool open_all(struct clients *clients, const struct clients_config *config, int *epoll,
                     struct mailraft_error *err)
{
    const struct patience patience = {.deadline_us = clock_now_us() + RESOLVE_US};

    clients->listener = resolve_listen(&config->listen, &patience, err);
    if (clients->listener == NULL)
        return false;
    set_options(stream_fd(clients->listener));
    if (bell_init(&clients->bell, err)) {
        if (open_epoll(clients, epoll, err))
            return true;
        bell_fini(&clients->bell);
    }
    stream_close(clients->listener);
    return false;
}

struct clients *clients_open(const struct clients_config *config, const struct clients_calls *calls, struct pile *pile,
                             struct log *log, struct mailraft_error *err)
{
    struct clients *clients = memory_new(sizeof *clients);
    int epoll;

    clients->pile = pile;
    atomic_init(&clients->stop_us, CLOCK_NEVER);
    if (!open_all(clients, config, &epoll, err)) {
        memory_free(clients);
        return NULL;
    }
    connections_init(&clients->connections, config, calls, epoll, log);
    pile_set_alarm(pile, ring, clients);
    return clients;
}

size_t clients_count(const struct clients *clients)
{
    return clients->connections.count;
}

/* ---- Accepting ---- */

static void watch_listener(struct clients *clients, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = clients->listener};

    epoll_ctl(clients->connections.epoll, EPOLL_CTL_MOD, stream_fd(clients->listener), &event);
}

/* Until something is given back, or for a while: it may be somebody else who has it. */
static void accept_later(struct clients *clients)
{
    struct mailraft_error err;

    error_raise_os(&err, &NETWORK_ERROR, "Couldn't accept a connection");
    complaints_put(&clients->connections.complaints, LOG_WARN, &err, "Clients have to wait");
    watch_listener(clients, 0);
    clients->accept_us = clients->connections.now_us + ACCEPT_RETRY_US;
    clients->count_then = clients->connections.count;
}

static void accept_again(struct clients *clients)
{
    if (clients->accept_us == 0 || clients->accept_us == CLOCK_NEVER)
        return;
    if (clients->connections.now_us < clients->accept_us && clients->connections.count >= clients->count_then)
        return;
    clients->accept_us = 0;
    watch_listener(clients, EPOLLIN);
}

/* Some errors are those of the connection that was to be accepted, which is gone with them. */
static bool is_of_one(int error)
{
    switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
        return true;
    default:
        return false;
    }
}

static void accept_some(struct clients *clients)
{
    for (int i = 0; i < ACCEPTS_MAX && clients->accept_us == 0; i++) {
        struct endpoint peer = {.size = sizeof peer.v6};
        int socket = accept4(stream_fd(clients->listener), &peer.any, &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (socket >= 0)
            connections_add(&clients->connections, socket, &peer);
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            return;
        else if (!is_of_one(errno))
            accept_later(clients);
    }
}

/* ---- Waiting ---- */

static int poll_events(struct clients *clients, int timeout_ms)
{
    int ready = epoll_wait(clients->connections.epoll, clients->events, EVENTS_MAX, timeout_ms);

    return ready < 0 ? 0 : ready; /* EINTR */
}

static int64_t next_deadline_us(const struct clients *clients)
{
    const struct clients_calls *calls = &clients->connections.calls;
    const int64_t DEADLINES[] = {
        calls->deadline_us(calls->context),
        connections_deadline_us(&clients->connections),
        clients->accept_us == 0 ? CLOCK_NEVER : clients->accept_us,
        clients->stop_us,
    };
    int64_t next_us = CLOCK_NEVER;

    for (size_t i = 0; i < sizeof DEADLINES / sizeof DEADLINES[0]; i++)
        if (DEADLINES[i] < next_us)
            next_us = DEADLINES[i];
    return next_us;
}

/* Milliseconds until then, never early; -1: for ever. */
static int timeout_of(int64_t deadline_us, int64_t now_us)
{
    if (deadline_us == CLOCK_NEVER)
        return -1;
    if (deadline_us <= now_us)
        return 0;
    return deadline_us - now_us > INT_MAX ? INT_MAX : (int)((deadline_us - now_us + 999) / 1000);
}

/* Whether an event or a letter has come before it is time to sleep. */
static bool linger(struct clients *clients, int64_t now_us)
{
    int64_t until_us = now_us + PASSES_US_MAX;

    for (int passes = 0; passes < PASSES_MAX && now_us < until_us; passes++) {
        clients->ready = poll_events(clients, 0);
        clients->early = pile_try(clients->pile, LANE_CLIENTS, &now_us);
        if (clients->ready > 0 || clients->early != NULL)
            return true;
        thread_pass();
    }
    return false;
}

static void wait_for_more(struct clients *clients)
{
    int64_t now_us = clock_now_us(), deadline_us = next_deadline_us(clients);

    if (connections_busy(&clients->connections) || deadline_us <= now_us)
        clients->ready = poll_events(clients, 0);
    else if (linger(clients, now_us))
        return;
    else if (pile_doze(clients->pile)) {
        clients->ready = poll_events(clients, timeout_of(deadline_us, clock_now_us()));
        pile_rouse(clients->pile);
    } else
        clients->ready = 0;
}

/* ---- Rounds ---- */

/* False: there was none. */
static bool take_letter(struct clients *clients)
{
    struct clients_calls *calls = &clients->connections.calls;
    struct letter *letter = clients->early;
    int64_t now_us;

    clients->early = NULL;
    if (letter == NULL)
        letter = pile_try(clients->pile, LANE_CLIENTS, &now_us);
    if (letter != NULL)
        calls->letter(calls->context, letter);
    return letter != NULL;
}

static void take_event(struct clients *clients, const struct epoll_event *event)
{
    if (event->data.ptr == &clients->bell)
        bell_silence(&clients->bell);
    else if (event->data.ptr == clients->listener)
        accept_some(clients);
    else
        connections_take(event->data.ptr, event->events);
}

static void call_when_due(struct clients *clients)
{
    const struct clients_calls *calls = &clients->connections.calls;
    int64_t now_us = clients->connections.now_us;

    if (calls->deadline_us(calls->context) <= now_us)
        calls->due(calls->context, now_us);
}

/* Everything that is ready, once. */
static void run_round(struct clients *clients)
{
    struct connections *connections = &clients->connections;

    connections_begin(connections, clock_now_us());
    for (int i = 0; i < LETTERS_MAX && take_letter(clients); i++)
        ;
    for (int i = 0; i < clients->ready; i++)
        take_event(clients, &clients->events[i]);
    connections_resume(connections);
    call_when_due(clients);
    connections_check(connections);
}

/* What was gathered leaves. */
static void end_round(struct clients *clients)
{
    struct connections *connections = &clients->connections;

    connections->calls.gathered(connections->calls.context);
    connections_flush(connections);
    accept_again(clients);
}

static void begin_stop(struct clients *clients)
{
    struct connections *connections = &clients->connections;

    clients->stopping = true;
    clients->accept_us = CLOCK_NEVER;
    watch_listener(clients, 0);
    connections_deafen(connections);
    while (take_letter(clients))
        ;
    if (connections->calls.stopping != NULL)
        connections->calls.stopping(connections->calls.context);
}

/* Everybody has heard all and gone, or there is no more time. Closing earlier, with something unread, would take away
 * what a client has not read yet. */
static bool has_stopped(const struct clients *clients)
{
    return clients->stopping && (clients->connections.count == 0 || clock_now_us() >= clients->stop_us);
}

static void clients_main(void *context)
{
    struct clients *clients = context;

    for (;;) {
        run_round(clients);
        if (clients->stop_us != CLOCK_NEVER && !clients->stopping)
            begin_stop(clients);
        end_round(clients);
        if (has_stopped(clients))
            break;
        wait_for_more(clients);
    }
    connections_close(&clients->connections);
}

/* ---- Starting and stopping ---- */

bool clients_start(struct clients *clients, struct mailraft_error *err)
{
    clients->runs = thread_start(&clients->thread, "clients", clients_main, clients, err);
    return clients->runs;
}

void clients_stop(struct clients *clients, int64_t wait_us)
{
    if (!clients->runs)
        return;
    clients->stop_us = clock_now_us() + wait_us;
    bell_ring(&clients->bell);
    thread_join(&clients->thread);
    clients->runs = false;
}

void clients_free(struct clients *clients)
{
    if (clients == NULL)
        return;
    letter_free(clients->early);
    close(clients->connections.epoll);
    connections_fini(&clients->connections);
    bell_fini(&clients->bell);
    stream_close(clients->listener);
    memory_free(clients);
}
