#include "serve/queue.h"

#include <assert.h>

#include "base/clock.h"
#include "base/memory.h"
#include "serve/transaction.h"
#include "serve/wait.h"

/* Of one session: above the first, nothing is read; it is read again below the second. */
#define PLACES_MAX     1024
#define PLACES_RESUME  512
#define COUNTED_MAX    (4 * 1024 * 1024)
#define COUNTED_RESUME (2 * 1024 * 1024)

/* Of one session: the answers that are on their way may take so many bytes, as far as the latest ones tell. One that is
 * larger than small is asked for again where the client does not read. */
#define ANSWERS_MAX  ((size_t)4 * 1024 * 1024)
#define ANSWER_SMALL ((size_t)16 * 1024)
#define ANSWER_SHARE 8 /* the estimate falls by one part in so many with each answer */

#define FREE_BYTES_MAX 2048 /* of a place that is kept to be used again */

/* After something came back unexecuted over the present view, nothing is sent over it for a while: whoever refused it is
 * about to be told from a leader, and asking on and on would keep both busy until then. */
#define RESUME_US 10000

/* ---- Lists ---- */

void session_list_add(struct sessions *sessions, struct session *session, enum session_lists which)
{
    struct session_list *list = &sessions->lists[which];
    struct session_link *link = &session->links[which];
    if (link->in)
        return;
    *link = (struct session_link){.previous = list->last, .in = true};
    if (list->last == NULL)
        list->first = session;
    else
        list->last->links[which].next = session;
    list->last = session;
}

void session_list_remove(struct sessions *sessions, struct session *session, enum session_lists which)
{
    struct session_list *list = &sessions->lists[which];
    struct session_link *link = &session->links[which];
    if (!link->in)
        return;
    if (link->previous == NULL)
        list->first = link->next;
    else
        link->previous->links[which].next = link->next;
    if (link->next == NULL)
        list->last = link->previous;
    else
        link->next->links[which].previous = link->previous;
    *link = (struct session_link){.in = false};
}

static void list_add(struct place_list *list, struct place *place)
{
    place->list = list;
    place->older = list->newest;
    place->newer = NULL;
    if (list->newest == NULL)
        list->oldest = place;
    else
        list->newest->newer = place;
    list->newest = place;
}

static void list_remove(struct place *place)
{
    struct place_list *list = place->list;
    if (list == NULL)
        return;
    if (place->older == NULL)
        list->oldest = place->newer;
    else
        place->older->newer = place->newer;
    if (place->newer == NULL)
        list->newest = place->older;
    else
        place->newer->older = place->older;
    place->list = NULL;
}

/* ---- Places ---- */

/* Bytes that it counts for, as it is now. */
static void count(struct place *place)
{
    struct session *session = place->session;
    size_t counted = sizeof *place + place->bytes.size;
    session->counted += counted - place->counted;
    session->sessions->counted += counted - place->counted;
    place->counted = counted;
}

struct place *queue_put(struct session *session)
{
    struct sessions *sessions = session->sessions;
    struct place *place = sessions->free_places;
    if (place == NULL) {
        place = memory_new(sizeof *place);
    } else {
        sessions->free_places = place->next;
        sessions->free_count--;
    }
    struct mailraft_buffer room = place->bytes;
    *place = (struct place){.session = session,
                            .number = ++session->numbers,
                            .silent = session->reply_mode != REPLY_ON,
                            .bytes = room,
                            .arrived_us = session->active_us};
    buffer_clear(&place->bytes);
    if (session->last == NULL)
        session->first = place;
    else
        session->last->next = place;
    session->last = place;
    session->place_count++;
    count(place);
    return place;
}

struct place *queue_place(struct session *session)
{
    if (session->current == NULL)
        session->current = queue_put(session);
    return session->current;
}

/* It lasts until the round ends, in its list of the sessions, too: whoever goes through that may stand at it. */
static void free_place(struct sessions *sessions, struct place *place)
{
    if (place->bytes.room > FREE_BYTES_MAX)
        buffer_fini(&place->bytes);
    place->next = sessions->free_places;
    sessions->free_places = place;
    sessions->free_count++;
}

void queue_keep_free(struct sessions *sessions, size_t most)
{
    while (sessions->free_count > most) {
        struct place *place = sessions->free_places;
        sessions->free_places = place->next;
        sessions->free_count--;
        buffer_fini(&place->bytes);
        memory_free(place);
    }
}

static void pop(struct session *session)
{
    struct place *place = session->first;
    session->first = place->next;
    if (session->first == NULL)
        session->last = NULL;
    session->place_count--;
    session->counted -= place->counted;
    session->sessions->counted -= place->counted;
    free_place(session->sessions, place);
}

static void set_kind(struct place *place, enum place_kind kind)
{
    struct sessions *sessions = place->session->sessions;
    sessions->status_awaited += (size_t)(kind == PLACE_STATUS || kind == PLACE_LEADER);
    sessions->status_awaited -= (size_t)(place->kind == PLACE_STATUS || place->kind == PLACE_LEADER);
    place->kind = kind;
}

/* Held, the first that is in the queue and is not sent. */
static void hold(struct place *place)
{
    struct session *session = place->session;
    place->state = PLACE_HELD;
    if (session->unsent == NULL || place->number < session->unsent->number)
        session->unsent = place;
    session_list_add(session->sessions, session, HOLDING);
}

void queue_await(struct place *place, enum place_kind kind)
{
    struct sessions *sessions = place->session->sessions;
    struct place_list *list = kind == PLACE_TIME || kind == PLACE_COUNT ? &sessions->timers : &sessions->unanswered;
    assert(place->state != PLACE_FLYING && kind != PLACE_LOCAL);
    if (place->list != list) {
        if (place->list != NULL) /* it has waited for the clock: from now on it waits for others */
            place->arrived_us = clock_now_us();
        list_remove(place);
        list_add(list, place);
    }
    set_kind(place, kind);
    count(place);
    place->wake_us = CLOCK_NEVER;
    place->state = PLACE_WAITING;
    if (kind == PLACE_COMMAND || kind == PLACE_QUERY)
        hold(place);
}

void queue_wake_at(struct place *place, int64_t wake_us)
{
    struct sessions *sessions = place->session->sessions;
    place->wake_us = wake_us;
    if (wake_us < sessions->timers_us)
        sessions->timers_us = wake_us;
}

/* ---- Sending ---- */

static bool may_send(const struct session *session, const struct place *place)
{
    const struct sessions *sessions = session->sessions;
    size_t flying = session->flying_commands + session->flying_queries;
    if (!sessions->status.open || sessions->ended || sessions->resume_us != 0 || session->choked)
        return false;
    if (flying > 0 && flying * session->answer_bytes >= ANSWERS_MAX)
        return false;
    if (flying > 0 && (session->flying_view != sessions->status.view || place->number < session->sent_number))
        return false;
    return place->kind != PLACE_COMMAND || session->flying_queries == 0;
}

bool queue_may_try(const struct session *session)
{
    const struct place query = {.kind = PLACE_QUERY, .number = UINT64_MAX};
    return session->unsent == NULL && may_send(session, &query);
}

uint64_t queue_launch(struct place *place)
{
    struct session *session = place->session;
    place->state = PLACE_FLYING;
    place->flight = flight_add(&session->sessions->flight, place);
    session->flying_view = session->sessions->status.view;
    session->sent_number = place->number;
    if (place->kind == PLACE_COMMAND)
        session->flying_commands++;
    else
        session->flying_queries++;
    return place->flight;
}

/* Behind a query that waits for commands, the next one does so, too: or it would be answered first, by an older state. */
static bool goes_behind(const struct session *session)
{
    return session->flying_commands > 0 || (session->flying_queries > 0 && session->flies_behind);
}

static void send_request(struct session *session, struct place *place)
{
    struct sessions *sessions = session->sessions;
    bool is_query = place->kind == PLACE_QUERY;
    if (place->transaction != NULL && !transaction_finish(place))
        return;
    count(place);
    struct letter *letter = letter_new(is_query ? LETTER_READ : LETTER_PROPOSE);
    mailraft_buffer_put(&letter->request, place->bytes.bytes, place->bytes.size);
    letter->behind = is_query && goes_behind(session);
    session->flies_behind = letter->behind;
    letter->view = sessions->status.view;
    letter->proposer = (struct proposer){.pile = sessions->pile, .number = queue_launch(place)};
    letter_list_add(&sessions->letters, letter);
}

static struct place *next_held(struct place *place)
{
    while (place != NULL && place->state != PLACE_HELD)
        place = place->next;
    return place;
}

void queue_send(struct session *session)
{
    while (session->unsent != NULL && may_send(session, session->unsent)) {
        struct place *place = session->unsent;
        session->unsent = next_held(place->next);
        send_request(session, place);
    }
    if (session->unsent == NULL)
        session_list_remove(session->sessions, session, HOLDING);
}

/* It is not on its way any more. */
static void land(struct place *place)
{
    struct session *session = place->session;
    assert(place->state == PLACE_FLYING);
    place->state = PLACE_WAITING;
    if (place->kind == PLACE_COMMAND)
        session->flying_commands--;
    else
        session->flying_queries--;
}

/* Its reply, which may still come, is nobody's. */
static void forget_flight(struct place *place)
{
    if (place->state != PLACE_FLYING)
        return;
    struct sessions *sessions = place->session->sessions;
    flight_forget(&sessions->flight, place->flight, place->bytes.size);
    sessions->counted += place->bytes.size;
    land(place);
}

/* ---- Answers ---- */

static void send_answer(struct session *session, bool silent, const struct mailraft_buffer *answer)
{
    if (!silent && answer->size > 0 &&
        !session->sessions->connection.send(session->connection, answer->bytes, answer->size))
        session->choked = true;
}

bool queue_is_full(const struct session *session)
{
    return session->blocking != NULL || session->place_count >= PLACES_MAX || session->counted >= COUNTED_MAX;
}

static void read_on(struct session *session)
{
    bool waits = session->links[WAITING_FOR_ROOM].in && !session->has_turn;
    if (!session->paused || waits || session->closing || session->blocking != NULL ||
        session->place_count > PLACES_RESUME || session->counted > COUNTED_RESUME)
        return;
    session->paused = false;
    session->sessions->connection.pause(session->connection, false);
}

void queue_flush(struct session *session)
{
    while (session->first != NULL && session->first->state == PLACE_ANSWERED) {
        send_answer(session, session->first->silent, &session->first->bytes);
        pop(session);
    }
    if (session->first != NULL && session->first->kind == PLACE_COUNT && session->first->state == PLACE_WAITING)
        wait_take_turn(session->first);
    if (session->closing && session->first == NULL)
        session->sessions->connection.close(session->connection);
    read_on(session);
}

/* It waits for nothing any more. */
static void settle(struct place *place)
{
    struct session *session = place->session;
    assert(place->state != PLACE_FLYING);
    list_remove(place);
    set_kind(place, PLACE_LOCAL);
    if (session->unsent == place)
        session->unsent = next_held(place->next);
    if (session->blocking == place)
        session->blocking = NULL;
    if (place->drop != NULL)
        place->drop(place->context);
    place->drop = NULL;
    transaction_free(place->transaction);
    place->transaction = NULL;
    place->state = PLACE_ANSWERED;
}

void queue_answer(struct place *place, struct mailraft_buffer *answer)
{
    struct session *session = place->session;
    settle(place);
    if (session->unsent == NULL)
        session_list_remove(session->sessions, session, HOLDING);
    if (session->first == place) {
        send_answer(session, place->silent, answer);
        pop(session);
        queue_flush(session);
        return;
    }
    struct mailraft_buffer request = place->bytes;
    place->bytes = *answer;
    *answer = request;
    count(place);
}

void queue_answer_here(struct session *session, struct mailraft_buffer *answer)
{
    if (session->first == NULL)
        send_answer(session, session->reply_mode != REPLY_ON, answer);
    else
        queue_answer(queue_put(session), answer);
}

static void answer_error(struct place *place, const char *text)
{
    struct mailraft_buffer *scratch = &place->session->sessions->scratch;
    buffer_clear(scratch);
    resp_put_error(scratch, "%s", text);
    queue_answer(place, scratch);
}

void queue_finish(struct place *place, const uint8_t *bytes, size_t size)
{
    struct session *session = place->session;
    forget_flight(place);
    struct place asked = *place;
    place->finish = NULL;
    place->finish_plain = NULL;
    place->drop = NULL;
    place->is_try = false;
    place->state = PLACE_ANSWERED; /* unless it asks for more */
    if (session->blocking == place && place->transaction == NULL)
        session->blocking = NULL;
    buffer_clear(&session->sessions->scratch);
    session->current = place;
    if (asked.finish != NULL)
        asked.finish(session, asked.context, bytes, size);
    else
        asked.finish_plain(session);
    session->current = NULL;
    if (asked.drop != NULL)
        asked.drop(asked.context);
    if (place->state == PLACE_ANSWERED && place->transaction != NULL)
        transaction_go_on(place);
    else if (place->state == PLACE_ANSWERED)
        queue_answer(place, &session->sessions->scratch);
    queue_send(session);
    queue_flush(session);
}

/* ---- What became of a request ---- */

/* It was not executed, or is a query. */
static void ask_again(struct place *place)
{
    if (place->kind == PLACE_COUNT)
        wait_again(place);
    else if (place->is_try)
        queue_finish(place, NULL, 0);
    else
        hold(place);
}

/* Whoever had it did nothing. */
static void send_again(struct place *place)
{
    struct sessions *sessions = place->session->sessions;
    if (place->session->flying_view == sessions->status.view)
        sessions->resume_us = clock_now_us() + RESUME_US;
    ask_again(place);
}

/* What was asked for after something that was not executed does not see it: it is asked again behind it. */
static bool has_overtaken(const struct place *place)
{
    const struct place *unsent = place->session->unsent;
    return place->kind == PLACE_QUERY && unsent != NULL && unsent->number < place->number;
}

/* What the client would leave unread is thrown away, and read again when it wants more. */
static bool is_too_early(const struct place *place, const struct letter *letter)
{
    return place->session->choked && place->kind == PLACE_QUERY && place->finish == NULL &&
           letter->reply.bytes.size > ANSWER_SMALL;
}

static void note_answer(struct session *session, size_t size)
{
    if (size == 0)
        return; /* it was not carried out */
    session->answered_us = clock_now_us();
    session->answer_bytes -= session->answer_bytes / ANSWER_SHARE;
    if (size > session->answer_bytes)
        session->answer_bytes = size;
}

static void take_answer(struct place *place, struct letter *letter)
{
    if (place->kind == PLACE_COMMAND && letter->reply.index > place->session->last_index)
        place->session->last_index = letter->reply.index;
    if (place->finish != NULL && letter->reply.outcome == OUTCOME_READ)
        queue_finish(place, letter->reply.bytes.bytes, letter->reply.bytes.size);
    else
        queue_answer(place, &letter->reply.bytes);
}

static void answer_too_large(struct place *place)
{
    struct mailraft_buffer *scratch = &place->session->sessions->scratch;
    buffer_clear(scratch);
    resp_put_error(scratch, "ERR the request is larger than an entry of the log may be; max_request_bytes is %zu",
                   place->session->sessions->config.request_bytes_max);
    queue_answer(place, scratch);
}

/* Replies come from other members, too: one that does not suit its request tells nothing of it. */
static enum outcome outcome_of(const struct place *place, const struct letter *letter)
{
    enum outcome outcome = letter->reply.outcome;
    enum outcome success = place->kind == PLACE_COMMAND ? OUTCOME_APPLIED
                           : place->kind == PLACE_QUERY ? OUTCOME_READ
                                                        : OUTCOME_COUNTED;
    bool is_success = outcome == OUTCOME_APPLIED || outcome == OUTCOME_READ || outcome == OUTCOME_COUNTED;
    bool is_empty = outcome != OUTCOME_COUNTED && letter->reply.bytes.size == 0 && place->finish == NULL;
    return is_success && (outcome != success || is_empty) ? OUTCOME_UNCERTAIN : outcome;
}

static void take_outcome(struct place *place, struct letter *letter)
{
    switch (outcome_of(place, letter)) {
    case OUTCOME_APPLIED:
        take_answer(place, letter);
        break;
    case OUTCOME_READ:
    case OUTCOME_REFUSED:
        if (has_overtaken(place) || is_too_early(place, letter))
            ask_again(place);
        else
            take_answer(place, letter);
        break;
    case OUTCOME_COUNTED:
        wait_counted(place, letter->reply.index);
        break;
    case OUTCOME_NOT_EXECUTED:
        send_again(place);
        break;
    case OUTCOME_UNCERTAIN:
        if (place->kind == PLACE_COMMAND)
            answer_error(place, "UNCERTAIN the way to the leader broke with the command on it: it may or may not be "
                                "executed");
        else
            send_again(place);
        break;
    case OUTCOME_TOO_LARGE:
        answer_too_large(place);
        break;
    }
}

void queue_reply(struct sessions *sessions, struct letter *letter)
{
    struct place *place;
    size_t bytes;
    if (!flight_take(&sessions->flight, letter->number, &place, &bytes))
        return;
    if (place == NULL) {
        sessions->counted -= bytes;
        return;
    }
    struct session *session = place->session;
    land(place);
    note_answer(session, letter->reply.bytes.size);
    take_outcome(place, letter);
    if (session->unsent != NULL)
        queue_send(session);
}

void queue_recall(struct sessions *sessions, struct letter *letter)
{
    struct place *place;
    size_t bytes;
    if (letter->kind == LETTER_STATUS_WANTED ||
        !flight_take(&sessions->flight, letter->proposer.number, &place, &bytes))
        return;
    if (place == NULL) {
        sessions->counted -= bytes;
        return;
    }
    land(place);
    if (place->kind != PLACE_COUNT)
        hold(place);
}

/* ---- Without an answer ---- */

static void give_up(struct place *place)
{
    bool is_uncertain = place->state == PLACE_FLYING && place->kind == PLACE_COMMAND;
    struct mailraft_buffer *scratch = &place->session->sessions->scratch;
    long long timeout_ms = (long long)(place->session->sessions->config.client_timeout_us / 1000);
    forget_flight(place);
    buffer_clear(scratch);
    if (is_uncertain)
        resp_put_error(scratch, "UNCERTAIN no answer within %lld ms: the command may or may not be executed",
                       timeout_ms);
    else
        resp_put_error(scratch, "CLUSTERDOWN no leader within %lld ms; not executed", timeout_ms);
    queue_answer(place, scratch);
}

/* It waits for its client to read, or for answers to what came before it, and those come. */
static bool may_wait_on(const struct place *place, int64_t now_us)
{
    const struct session *session = place->session;
    return place->state == PLACE_HELD && session->sessions->status.open &&
           (session->choked || session->answered_us + session->sessions->config.client_timeout_us > now_us);
}

static void wait_on(struct place *place, int64_t now_us)
{
    struct place_list *list = place->list;
    place->arrived_us = now_us;
    list_remove(place);
    list_add(list, place);
}

void queue_time_out(struct place *place, int64_t now_us)
{
    struct session *session = place->session;
    if (may_wait_on(place, now_us)) {
        wait_on(place, now_us);
        return;
    }
    if (place->is_try)
        queue_finish(place, NULL, 0);
    else
        give_up(place);
    queue_send(session);
}

void queue_end(struct place *place)
{
    bool is_uncertain = place->state == PLACE_FLYING && place->kind == PLACE_COMMAND;
    forget_flight(place);
    answer_error(place, is_uncertain ? "UNCERTAIN this node stops: the command may or may not be executed"
                                     : "CLUSTERDOWN this node stops; not executed");
}

void queue_clear(struct session *session)
{
    while (session->first != NULL) {
        forget_flight(session->first);
        settle(session->first);
        pop(session);
    }
    session->unsent = NULL;
    session_list_remove(session->sessions, session, HOLDING);
}
