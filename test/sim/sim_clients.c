/* serve/clients.h: clients whose sockets are cables (cable.h). The rounds are those of the shipped one: letters, bytes,
 * what is due, then all that was gathered leaves. */
#include "serve/clients.h"

#include <stdio.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "sim/cable.h"

#define FULL_BYTES 64 /* that one is sent in a round */

struct connection {
    struct connection *next;
    struct clients *clients;
    struct cable *cable;
    void *session; /* NULL: it has not begun */
    struct mailraft_buffer input, output;
    bool paused, closing;
    bool ended;    /* the client has closed it */
    bool has_news; /* bytes that the session has not seen, or it goes on */
    bool full;     /* until the next round: then it has drained */
};

struct clients {
    struct life *life;
    struct pile *pile;
    struct clients_calls calls;
    struct thread thread;
    struct mutex mutex; /* guards what follows */
    struct wake wake;
    bool news; /* mail or bytes have come, or it is to stop */
    struct connection *first;
    uint64_t numbers; /* connections that there have been */
    bool stop_asked;

    bool stopping; /* the thread's */
};

/* ---- Being woken ---- */

static void rouse(void *context)
{
    struct clients *clients = context;

    mutex_lock(&clients->mutex);
    clients->news = true;
    wake_one(&clients->wake);
    mutex_unlock(&clients->mutex);
}

static void await_news(struct clients *clients)
{
    int64_t deadline_us = clients->calls.deadline_us(clients->calls.context);

    if (!pile_doze(clients->pile))
        return;
    mutex_lock(&clients->mutex);
    while (!clients->news && wake_wait_until(&clients->wake, &clients->mutex, deadline_us))
        ;
    clients->news = false;
    mutex_unlock(&clients->mutex);
    pile_rouse(clients->pile);
}

/* ---- Cables ---- */

void clients_ring(struct clients *clients, struct cable *cable)
{
    struct connection *connection = memory_new(sizeof *connection);
    struct connection **end = &clients->first;

    connection->clients = clients;
    connection->cable = cable;
    while (*end != NULL)
        end = &(*end)->next;
    *end = connection;
    cable_answer(cable, connection);
    rouse(clients);
}

void connection_hear(struct connection *connection, const uint8_t *bytes, size_t size)
{
    mailraft_buffer_put(&connection->input, bytes, size);
    connection->has_news = true;
    rouse(connection->clients);
}

void connection_end(struct connection *connection)
{
    connection->ended = true;
    rouse(connection->clients);
}

/* ---- Calls of sessions ---- */

bool connection_send(struct connection *connection, const void *bytes, size_t size)
{
    if (connection->closing)
        return true;
    mailraft_buffer_put(&connection->output, bytes, size);
    connection->full |= connection->output.size >= FULL_BYTES;
    return !connection->full;
}

void connection_pause(struct connection *connection, bool paused)
{
    connection->paused = paused;
    connection->has_news = !paused;
}

void connection_close(struct connection *connection)
{
    connection->closing = true;
}

size_t clients_count(const struct clients *clients)
{
    size_t count = 0;

    for (const struct connection *connection = clients->first; connection != NULL; connection = connection->next)
        count++;
    return count;
}

/* ---- Rounds ---- */

static void begin_session(struct connection *connection)
{
    const struct clients_calls *calls = &connection->clients->calls;
    char peer[40];

    snprintf(peer, sizeof peer, "10.0.0.1:%llu", 10000 + (unsigned long long)++connection->clients->numbers);
    connection->session = calls->opened(calls->context, connection, peer, "10.0.0.2:6400");
}

/* What is left comes again with more behind it. */
static void use_input(struct connection *connection)
{
    struct mailraft_buffer all = connection->input, *input = &connection->input;
    size_t used, wanted;

    connection->has_news = false;
    *input = (struct mailraft_buffer){.bytes = NULL};
    used = connection->clients->calls.bytes(connection->session, all.bytes, all.size, &wanted);
    mailraft_buffer_put(input, all.bytes + used, all.size - used);
    buffer_fini(&all);
}

static bool has_input(const struct connection *connection)
{
    return connection->has_news && connection->input.size > 0 && !connection->paused && !connection->closing &&
           !connection->clients->stopping;
}

static void drain(struct connection *connection)
{
    if (!connection->full)
        return;
    connection->full = false;
    connection->clients->calls.drained(connection->session);
}

static void take_letters(struct clients *clients)
{
    struct letter *letter;
    int64_t now_us;

    while ((letter = pile_try(clients->pile, LANE_CLIENTS, &now_us)) != NULL)
        clients->calls.letter(clients->calls.context, letter);
}

static void run_round(struct clients *clients)
{
    const struct clients_calls *calls = &clients->calls;
    int64_t now_us;

    take_letters(clients);
    for (struct connection *connection = clients->first; connection != NULL; connection = connection->next) {
        if (connection->session == NULL)
            begin_session(connection);
        drain(connection);
        while (has_input(connection))
            use_input(connection);
    }
    now_us = clock_now_us();
    if (calls->deadline_us(calls->context) <= now_us)
        calls->due(calls->context, now_us);
}

static void finish(struct clients *clients, struct connection **at)
{
    struct connection *connection = *at;

    *at = connection->next;
    cable_hang_up(connection->cable);
    if (connection->session != NULL)
        clients->calls.closed(connection->session);
    buffer_fini(&connection->input);
    buffer_fini(&connection->output);
    memory_free(connection);
}

/* What was gathered leaves. all: and every connection with it. */
static void end_round(struct clients *clients, bool all)
{
    struct connection **at = &clients->first;

    clients->calls.gathered(clients->calls.context);
    while (*at != NULL) {
        struct connection *connection = *at;

        if (connection->output.size > 0)
            cable_reply(connection->cable, connection->output.bytes, connection->output.size);
        buffer_clear(&connection->output);
        if (connection->full)
            rouse(clients);
        if (all || connection->closing || connection->ended)
            finish(clients, at);
        else
            at = &connection->next;
    }
}

static void begin_stop(struct clients *clients)
{
    clients->stopping = true;
    take_letters(clients);
    if (clients->calls.stopping != NULL)
        clients->calls.stopping(clients->calls.context);
}

static void clients_main(void *context)
{
    struct clients *clients = context;

    while (!clients->stopping) {
        run_round(clients);
        if (clients->stop_asked)
            begin_stop(clients);
        end_round(clients, clients->stopping);
        if (!clients->stopping)
            await_news(clients);
    }
}

/* ---- Starting and stopping ---- */

struct clients *clients_open(const struct clients_config *config, const struct clients_calls *calls, struct pile *pile,
                             struct log *log, struct mailraft_error *err)
{
    struct clients *clients = memory_new(sizeof *clients);

    (void)config, (void)log, (void)err;
    clients->life = the_sim->life;
    clients->pile = pile;
    clients->calls = *calls;
    mutex_init(&clients->mutex);
    wake_init(&clients->wake);
    pile_set_alarm(pile, rouse, clients);
    return clients;
}

bool clients_start(struct clients *clients, struct mailraft_error *err)
{
    clients->life->clients = clients;
    return thread_start(&clients->thread, "clients", clients_main, clients, err);
}

void clients_stop(struct clients *clients, int64_t wait_us)
{
    (void)wait_us; /* cables take everything at once */
    clients->life->clients = NULL;
    clients->stop_asked = true;
    rouse(clients);
    thread_join(&clients->thread);
}

void clients_free(struct clients *clients)
{
    if (clients == NULL)
        return;
    wake_fini(&clients->wake);
    mutex_fini(&clients->mutex);
    memory_free(clients);
}
