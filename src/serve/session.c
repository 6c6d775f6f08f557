#include "serve/session.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "serve/queue.h"
#include "serve/subscriptions.h"
#include "serve/transaction.h"

struct session *session_new(struct sessions *sessions, struct connection *connection, const char *peer,
                            const char *local)
{
    struct session *session = memory_new(sizeof *session);
    session->sessions = sessions;
    session->connection = connection;
    session->reader = resp_reader_new(sessions->config.request_bytes_max);
    session->id = ++sessions->ids;
    session->protocol = 2;
    snprintf(session->peer, sizeof session->peer, "%s", peer);
    snprintf(session->local, sizeof session->local, "%s", local);
    session->opened_us = clock_now_us();
    session->active_us = session->opened_us;
    return session;
}

void session_free(struct session *session)
{
    queue_clear(session);
    transaction_forget(session);
    subscriptions_forget(session);
    resp_reader_free(session->reader);
    memory_free(session->name);
    memory_free(session->lib_name);
    memory_free(session->lib_version);
    memory_free(session);
}

/* ---- Requests ---- */

/* CLIENT REPLY SKIP has no reply itself, nor has what comes next. */
static void pass_reply_mode(struct session *session)
{
    if (session->reply_mode == REPLY_SKIP)
        session->reply_mode = REPLY_ON;
    else if (session->reply_mode == REPLY_SKIP_NEXT)
        session->reply_mode = REPLY_SKIP;
}

static void ask_store(struct session *session, enum kv_op op, const struct text *arguments, size_t count)
{
    struct place *place = queue_put(session);
    struct kv_request request;
    kv_request_begin(&request, &place->bytes, session->protocol == 3 ? KV_RESP3 : 0);
    kv_request_ops(&request);
    kv_request_op(&request, op, arguments, count);
    queue_await(place, kv_op_is_read(op) ? PLACE_QUERY : PLACE_COMMAND);
    queue_send(session);
}

static void run(struct session *session, const struct command *command, const struct text *arguments, size_t count)
{
    command->run(session, arguments, count);
    bool has_asked = session->current != NULL;
    session->current = NULL;
    if (!has_asked)
        queue_answer_here(session, session_reply(session));
    queue_send(session);
    queue_flush(session);
}

/* With the error that has been put. */
static void refuse(struct session *session, struct text name)
{
    if (text_is(name, "exec"))
        transaction_abort(session);
    else
        transaction_spoil(session);
    queue_answer_here(session, session_reply(session));
}

static void carry_out(struct session *session, const struct text *arguments, size_t count)
{
    buffer_clear(session_reply(session));
    const struct command *command = command_of(arguments, count, session_reply(session));
    session->command = command;
    session->commands++;
    session->sessions->commands++;
    if (command == NULL || !subscriptions_allow(session, command)) {
        refuse(session, arguments[0]);
    } else if (session->transaction != NULL && (command->flags & COMMAND_NO_MULTI) != 0) {
        resp_put_error(session_reply(session), "ERR Command not allowed inside a transaction");
        refuse(session, arguments[0]);
    } else if (transaction_takes(session, command)) {
        transaction_queue(session, command, arguments, count);
    } else if (command->op != 0) {
        ask_store(session, command->op, arguments + 1, count - 1);
    } else {
        run(session, command, arguments, count);
    }
    pass_reply_mode(session);
}

static void break_off(struct session *session)
{
    log_debug(session->sessions->log, "Client %s is closed: %s", session->peer, resp_error(session->reader));
    buffer_clear(session_reply(session));
    resp_put_error(session_reply(session), "ERR %s", resp_error(session->reader));
    queue_answer_here(session, session_reply(session));
    session_quit(session);
    queue_flush(session);
}

/* ---- Bytes ---- */

static void pause(struct session *session)
{
    if (!session->paused)
        session->sessions->connection.pause(session->connection, true);
    session->paused = true;
}

/* Whether one more request is read now. Those that find no room for it wait in their order; who comes later waits
 * behind them. Whose turn it is keeps its place until it has found room. */
static bool may_read(struct session *session)
{
    struct sessions *sessions = session->sessions;
    bool has_room = sessions->counted < sessions->config.flight_bytes_max;
    bool is_full = queue_is_full(session);
    if (!session->closing && !is_full &&
        !(has_room && (session->has_turn || sessions->lists[WAITING_FOR_ROOM].first == NULL))) {
        pause(session);
        session->has_turn = false;
        session_list_add(sessions, session, WAITING_FOR_ROOM);
        return false;
    }
    session_list_remove(sessions, session, WAITING_FOR_ROOM);
    if (is_full)
        pause(session);
    return !session->closing && !is_full;
}

size_t session_bytes(void *context, const uint8_t *bytes, size_t size, size_t *wanted)
{
    struct session *session = context;
    size_t done = 0, used, count;
    enum resp_state state = RESP_REQUEST;
    *wanted = 0;
    session->active_us = clock_now_us();
    while (state == RESP_REQUEST && done < size && may_read(session)) {
        state = resp_read(session->reader, bytes + done, size - done, &used);
        done += used;
        if (state == RESP_MORE) {
            *wanted = resp_wanted(session->reader);
        } else if (state == RESP_ERROR) {
            break_off(session);
            done = size;
        } else {
            const struct text *arguments = resp_arguments(session->reader, &count);
            if (count > 0)
                carry_out(session, arguments, count);
        }
    }
    session->has_turn = false;
    return done;
}

/* ---- For the commands that a session carries out by itself ---- */

struct mailraft_buffer *session_reply(struct session *session)
{
    return &session->sessions->scratch;
}

bool session_is_resp3(const struct session *session)
{
    return session->protocol == 3;
}

struct sessions *session_sessions(const struct session *session)
{
    return session->sessions;
}

const struct status *session_status(const struct session *session)
{
    return &session->sessions->status;
}

void session_ask_query(struct session *session, const struct mailraft_buffer *query,
                       void (*finish)(struct session *session, void *context, const uint8_t *bytes, size_t size),
                       void (*drop)(void *context), void *context)
{
    struct place *place = queue_place(session);
    buffer_clear(&place->bytes);
    mailraft_buffer_put(&place->bytes, query->bytes, query->size);
    place->finish = finish;
    place->drop = drop;
    place->context = context;
    queue_await(place, PLACE_QUERY);
}

void session_try_query(struct session *session, const struct mailraft_buffer *query,
                       void (*finish)(struct session *session, void *context, const uint8_t *bytes, size_t size),
                       void (*drop)(void *context), void *context)
{
    if (queue_may_try(session)) {
        session_ask_query(session, query, finish, drop, context);
        session->current->is_try = true;
        return;
    }
    finish(session, context, NULL, 0);
    if (drop != NULL)
        drop(context);
}

void session_ask_status(struct session *session,
                        void (*finish)(struct session *session, void *context, const uint8_t *bytes, size_t size),
                        void (*drop)(void *context), void *context)
{
    struct place *place = queue_place(session);
    place->finish = finish;
    place->drop = drop;
    place->context = context;
    queue_await(place, PLACE_STATUS);
    letter_list_add(&session->sessions->letters, letter_new(LETTER_STATUS_WANTED));
}

static void await(struct session *session, enum place_kind kind, void (*finish)(struct session *session))
{
    struct place *place = queue_place(session);
    place->finish_plain = finish;
    queue_await(place, kind);
}

void session_await_leader(struct session *session, void (*finish)(struct session *session))
{
    if (session->sessions->status.open)
        finish(session);
    else
        await(session, PLACE_LEADER, finish);
}

void session_await_time(struct session *session, int64_t until_us, void (*finish)(struct session *session))
{
    await(session, PLACE_TIME, finish);
    queue_wake_at(session->current, until_us);
    session->blocking = session->current;
}

/* ---- For commands about clients ---- */

void session_quit(struct session *session)
{
    session->closing = true;
}

void session_set_text(char **slot, const void *bytes, size_t size)
{
    memory_free(*slot);
    *slot = NULL;
    if (size == 0)
        return;
    *slot = memory_new(size + 1);
    memcpy(*slot, bytes, size);
}

void session_reset(struct session *session)
{
    transaction_forget(session);
    subscriptions_forget(session);
    session->protocol = 2;
    session->reply_mode = REPLY_ON;
    session_set_text(&session->name, NULL, 0);
}
