#include "serve/sessions.h"

#include <assert.h>
#include <inttypes.h>

#include "base/clock.h"
#include "base/memory.h"
#include "serve/queue.h"
#include "serve/subscriptions.h"
#include "serve/wait.h"

/* What a session that goes on is thought to take of the room that there is: so many are let go on at once. */
#define TURN_BYTES (64 * 1024)

#define FREE_PLACES_MAX 4096 /* kept from round to round */

struct sessions *sessions_new(const struct sessions_config *config, const struct connection_calls *connection,
                              struct pile *pile, void (*ask)(void *context, struct letter_list *letters), void *context,
                              struct log *log)
{
    struct sessions *sessions = memory_new(sizeof *sessions);
    sessions->config = *config;
    sessions->connection = *connection;
    sessions->pile = pile;
    sessions->ask = ask;
    sessions->ask_context = context;
    sessions->log = log;
    sessions->started_us = clock_now_us();
    sessions->timers_us = CLOCK_NEVER;
    sessions->status.leader_id = NO_ONE;
    sessions->told_leader_id = NO_ONE;
    return sessions;
}

void sessions_free(struct sessions *sessions)
{
    struct letter *letter;
    if (sessions == NULL)
        return;
    assert(sessions->all.first == NULL);
    while ((letter = letter_list_take(&sessions->letters)) != NULL)
        letter_free(letter);
    queue_keep_free(sessions, 0);
    flight_fini(&sessions->flight);
    buffer_fini(&sessions->scratch);
    memory_free(sessions);
}

/* Those that wait for room go on as far as there is some. */
static void let_go_on(struct sessions *sessions)
{
    size_t taken = sessions->counted;
    struct session *session = sessions->lists[WAITING_FOR_ROOM].first;
    for (; session != NULL && taken < sessions->config.flight_bytes_max; taken += TURN_BYTES) {
        session->has_turn = true;
        queue_flush(session);
        session = session->links[WAITING_FOR_ROOM].next;
    }
}

/* ---- Clients ---- */

static void *opened(void *context, struct connection *connection, const char *peer, const char *local)
{
    struct sessions *sessions = context;
    struct session *session = session_new(sessions, connection, peer, local);
    session->previous = sessions->all.last;
    if (sessions->all.last == NULL)
        sessions->all.first = session;
    else
        sessions->all.last->next = session;
    sessions->all.last = session;
    sessions->count++;
    if (sessions->ended) {
        session_quit(session);
        queue_flush(session);
    }
    return session;
}

/* The client hears what it has asked for, and then that we have closed, too. */
static void has_ended(void *context)
{
    struct session *session = context;
    session_quit(session);
    queue_flush(session);
}

static void drained(void *context)
{
    struct session *session = context;
    session->choked = false;
    queue_send(session);
}

static void closed(void *context)
{
    struct session *session = context;
    struct sessions *sessions = session->sessions;
    if (session->previous == NULL)
        sessions->all.first = session->next;
    else
        session->previous->next = session->next;
    if (session->next == NULL)
        sessions->all.last = session->previous;
    else
        session->next->previous = session->previous;
    sessions->count--;
    session_list_remove(sessions, session, WAITING_FOR_ROOM);
    session_free(session);
    let_go_on(sessions);
}

/* ---- Mail ---- */

/* Places that wait for what the status says. One that asks on does not get the same status again. */
static void finish_awaiting(struct sessions *sessions)
{
    struct place *newest = sessions->unanswered.newest, *next;
    for (struct place *place = sessions->unanswered.oldest; place != NULL && sessions->status_awaited > 0;
         place = next) {
        next = place == newest ? NULL : place->newer;
        if (place->kind == PLACE_STATUS || (place->kind == PLACE_LEADER && sessions->status.open))
            queue_finish(place, NULL, 0);
    }
}

static void send_held(struct sessions *sessions)
{
    struct session *next;
    for (struct session *session = sessions->lists[HOLDING].first; session != NULL; session = next) {
        next = session->links[HOLDING].next;
        queue_send(session);
    }
}

/* With the node's first status, so behind its own first lines. */
static void tell_start(const struct sessions *sessions)
{
    const struct sessions_config *config = &sessions->config;
    char text[ADDRESS_TEXT_MAX];
    log_info(sessions->log, "Clients connect to %s", address_format(&config->client, text, sizeof text));
    if (config->connections_wanted > config->connections_max)
        log_warn(sessions->log,
                 "No more than %zu clients can connect: a process may have %" PRIu64
                 " files open here (ulimit -n) max_clients=%zu",
                 config->connections_max, config->files_max, config->connections_wanted);
}

static void take_status(struct sessions *sessions, const struct status *status)
{
    bool has_changed = status->view != sessions->status.view || status->open != sessions->status.open;
    if (sessions->status.view == 0)
        tell_start(sessions);
    sessions->status = *status;
    if (has_changed)
        sessions->resume_us = 0;
    subscriptions_tell(sessions);
    finish_awaiting(sessions);
    send_held(sessions);
}

static void take_letter(void *context, struct letter *letter)
{
    struct sessions *sessions = context;
    if (letter->kind == LETTER_STATUS)
        take_status(sessions, letter->status);
    else if (letter->kind == LETTER_REPLY)
        queue_reply(sessions, letter);
    letter_free(letter);
    let_go_on(sessions);
}

static void gathered(void *context)
{
    struct sessions *sessions = context;
    if (sessions->letters.first != NULL && !sessions->ended)
        sessions->ask(sessions->ask_context, &sessions->letters);
    queue_keep_free(sessions, FREE_PLACES_MAX);
}

/* ---- The clock ---- */

static int64_t earlier(int64_t a_us, int64_t b_us)
{
    return a_us < b_us ? a_us : b_us;
}

static int64_t deadline_us(void *context)
{
    const struct sessions *sessions = context;
    const struct place *oldest = sessions->unanswered.oldest;
    int64_t until_us = sessions->timers_us;
    if (oldest != NULL)
        until_us = earlier(until_us, oldest->arrived_us + sessions->config.client_timeout_us);
    if (sessions->resume_us != 0)
        until_us = earlier(until_us, sessions->resume_us);
    return until_us;
}

static void wake_timers(struct sessions *sessions, int64_t now_us)
{
    struct place *newest = sessions->timers.newest, *next;
    if (now_us < sessions->timers_us)
        return;
    sessions->timers_us = CLOCK_NEVER;
    for (struct place *place = sessions->timers.oldest; place != NULL; place = next) {
        next = place == newest ? NULL : place->newer;
        if (place->wake_us > now_us)
            queue_wake_at(place, place->wake_us);
        else if (place->kind == PLACE_COUNT)
            wait_due(place, now_us);
        else
            queue_finish(place, NULL, 0);
    }
}

static void due(void *context, int64_t now_us)
{
    struct sessions *sessions = context;
    struct place *oldest;
    while ((oldest = sessions->unanswered.oldest) != NULL &&
           oldest->arrived_us + sessions->config.client_timeout_us <= now_us)
        queue_time_out(oldest, now_us);
    wake_timers(sessions, now_us);
    if (sessions->resume_us != 0 && sessions->resume_us <= now_us) {
        sessions->resume_us = 0;
        send_held(sessions);
    }
    let_go_on(sessions);
}

/* ---- The end ---- */

void sessions_end(struct sessions *sessions)
{
    struct letter *letter;
    sessions->ended = true;
    while ((letter = letter_list_take(&sessions->letters)) != NULL) {
        queue_recall(sessions, letter);
        letter_free(letter);
    }
    while (sessions->unanswered.oldest != NULL)
        queue_end(sessions->unanswered.oldest);
    while (sessions->timers.oldest != NULL)
        queue_end(sessions->timers.oldest);
    for (struct session *session = sessions->all.first; session != NULL; session = session->next) {
        session_quit(session);
        queue_flush(session);
    }
}

static void stopping(void *context)
{
    sessions_end(context);
}

struct clients_calls sessions_calls(struct sessions *sessions)
{
    return (struct clients_calls){.context = sessions,
                                  .opened = opened,
                                  .bytes = session_bytes,
                                  .ended = has_ended,
                                  .drained = drained,
                                  .closed = closed,
                                  .letter = take_letter,
                                  .gathered = gathered,
                                  .deadline_us = deadline_us,
                                  .due = due,
                                  .stopping = stopping};
}
