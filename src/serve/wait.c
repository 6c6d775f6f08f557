#include "serve/wait.h"

#include "base/clock.h"
#include "serve/number.h"
#include "serve/queue.h"

#define ASK_AGAIN_US 10000
#define SPAN_MS_MAX  (INT64_MAX / 1000000) /* centuries: longer ones have no end */

/* In microseconds; CLOCK_NEVER: no end. */
static bool read_span(struct text text, int64_t *span_us, struct mailraft_buffer *error)
{
    int64_t timeout_ms;
    if (!number_read(text, &timeout_ms)) {
        resp_put_error(error, "ERR timeout is not an integer or out of range");
        return false;
    }
    if (timeout_ms < 0) {
        resp_put_error(error, "ERR timeout is negative");
        return false;
    }
    *span_us = timeout_ms > 0 && timeout_ms < SPAN_MS_MAX ? timeout_ms * 1000 : CLOCK_NEVER;
    return true;
}

static void finish(struct session *session)
{
    resp_put_integer(session_reply(session), session->current->counted_members);
}

void wait_run(struct session *session, const struct text *arguments, size_t count)
{
    int64_t wanted, span_us;
    (void)count;
    if (!number_read(arguments[1], &wanted)) {
        resp_put_error(session_reply(session), "ERR value is not an integer or out of range");
        return;
    }
    if (!read_span(arguments[2], &span_us, session_reply(session)))
        return;
    struct place *place = queue_place(session);
    bool waits = place->transaction == NULL;
    place->finish_plain = finish;
    place->wanted = waits ? wanted : 0;
    place->span_us = waits ? span_us : session->sessions->config.client_timeout_us;
    place->counted_members = 0;
    place->has_turn = false;
    session->blocking = place;
    queue_await(place, PLACE_COUNT);
}

static void ask(struct place *place)
{
    struct sessions *sessions = place->session->sessions;
    struct letter *letter = letter_new(LETTER_COUNT);
    letter->index = place->session->last_index;
    letter->view = sessions->status.view;
    letter->proposer = (struct proposer){.pile = sessions->pile, .number = queue_launch(place)};
    letter_list_add(&sessions->letters, letter);
}

static void wake_by(struct place *place, int64_t wake_us)
{
    queue_wake_at(place, wake_us < place->end_us ? wake_us : place->end_us);
}

static void ask_or_wait(struct place *place, int64_t now_us)
{
    const struct sessions *sessions = place->session->sessions;
    if (sessions->status.open && !sessions->ended) {
        ask(place);
        wake_by(place, CLOCK_NEVER);
    } else {
        wake_by(place, now_us + ASK_AGAIN_US);
    }
}

void wait_take_turn(struct place *place)
{
    if (place->has_turn)
        return;
    int64_t now_us = clock_now_us();
    place->has_turn = true;
    place->end_us = place->span_us == CLOCK_NEVER ? CLOCK_NEVER : now_us + place->span_us;
    ask_or_wait(place, now_us);
}

void wait_again(struct place *place)
{
    wake_by(place, clock_now_us() + ASK_AGAIN_US);
}

void wait_counted(struct place *place, uint64_t members)
{
    place->counted_members = members < INT64_MAX ? (int64_t)members : INT64_MAX;
    if (place->counted_members >= place->wanted)
        queue_finish(place, NULL, 0);
    else
        wait_again(place);
}

void wait_due(struct place *place, int64_t now_us)
{
    if (now_us >= place->end_us)
        queue_finish(place, NULL, 0);
    else if (place->state == PLACE_WAITING)
        ask_or_wait(place, now_us);
    else
        queue_wake_at(place, place->end_us);
}
