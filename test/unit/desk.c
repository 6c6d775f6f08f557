#include "desk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/pile.h"

#define CLIENTS_MAX   64
#define QUESTIONS_MAX 8192
#define TEXT_MAX      (256 * 1024)

struct client {
    void *session;
    struct mailraft_buffer in, out, heard; /* heard: what was told last, with its final zero */
    bool paused, closing, open, full;
};

struct question {
    uint64_t number, view;
};

static struct {
    struct sessions *sessions;
    struct clients_calls calls;
    struct pile *pile;
    struct log *log;
    int file;
    struct client clients[CLIENTS_MAX];
    size_t client_count;
    struct question questions[QUESTIONS_MAX];
    size_t question_count;
    char asked[TEXT_MAX], told[TEXT_MAX];
    int64_t passed_us;
} desk;

/* ---- The connections ---- */

static bool on_send(struct connection *connection, const void *bytes, size_t size)
{
    struct client *client = (struct client *)connection;
    cr_assert(client->open);
    if (!client->closing)
        mailraft_buffer_put(&client->out, bytes, size);
    return !client->full;
}

static void on_pause(struct connection *connection, bool paused)
{
    struct client *client = (struct client *)connection;
    cr_assert(client->open);
    client->paused = paused;
}

static void on_close(struct connection *connection)
{
    struct client *client = (struct client *)connection;
    cr_assert(client->open);
    client->closing = true;
}

/* ---- The server ---- */

static void put(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void put(const char *format, ...)
{
    size_t used = strlen(desk.asked);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(desk.asked + used, sizeof desk.asked - used, format, arguments);
    va_end(arguments);
}

static const char *op_name(enum kv_op op)
{
    if (op == KV_LITERAL)
        return "LITERAL";
    if (op == KV_VERSIONS)
        return "VERSIONS";
    for (const struct command *command = COMMANDS; command->name != NULL; command++)
        if (command->op == op)
            return command->name;
    return "?";
}

static const uint8_t *put_op(const uint8_t *at)
{
    enum kv_op op = (enum kv_op)(at[0] | at[1] << 8);
    uint32_t count = bytes_get_u32(at + 2);
    put("%s", op_name(op));
    at += 6;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t size = bytes_get_u32(at);
        if (op == KV_LITERAL)
            put(" %.*s", size > 2 && size < 40 ? (int)size - 2 : 0, (const char *)at + 4);
        else if (size > 40)
            put(" (%u)", (unsigned)size);
        else
            put(" %.*s", (int)size, (const char *)at + 4);
        at += 4 + size;
    }
    return at;
}

static void put_request(const struct mailraft_buffer *request)
{
    const uint8_t *at = request->bytes + 1;
    bool is_transaction = (request->bytes[0] & KV_TRANSACTION) != 0;
    uint32_t watches = bytes_get_u32(at);
    at += 4;
    put("%s%s", (request->bytes[0] & KV_RESP3) != 0 ? "3:" : "", is_transaction ? "[" : "");
    for (uint32_t i = 0; i < watches; i++) {
        uint32_t size = bytes_get_u32(at);
        put("%.*s=%llu ", (int)size, (const char *)at + 12, (unsigned long long)bytes_get_u64(at + 4));
        at += 12 + size;
    }
    uint32_t ops = bytes_get_u32(at);
    at += 4;
    for (uint32_t i = 0; i < ops; i++) {
        put("%s", i > 0 ? ", " : "");
        at = put_op(at);
    }
    put("%s", is_transaction ? "]" : "");
    cr_assert_eq(at, request->bytes + request->size);
}

static void note(const struct letter *letter)
{
    cr_assert_lt(desk.question_count, (size_t)QUESTIONS_MAX);
    cr_assert_eq(letter->proposer.pile, desk.pile);
    desk.questions[desk.question_count++] = (struct question){letter->proposer.number, letter->view};
}

static void on_ask(void *context, struct letter_list *letters)
{
    struct letter *letter;
    cr_assert_eq(context, &desk);
    while ((letter = letter_list_take(letters)) != NULL) {
        put("%s", desk.asked[0] != '\0' ? "; " : "");
        if (letter->kind == LETTER_STATUS_WANTED) {
            put("STATUS");
        } else if (letter->kind == LETTER_COUNT) {
            put("COUNT %llu", (unsigned long long)letter->index);
            note(letter);
        } else {
            put_request(&letter->request);
            put("%s", letter->behind ? " behind" : "");
            note(letter);
        }
        letter_free(letter);
    }
}

/* Unused bytes of clients that may be read from come again; then whatever was gathered leaves. */
static void settle(void)
{
    bool again = true;
    while (again) {
        again = false;
        for (size_t i = 0; i < desk.client_count; i++) {
            struct client *client = &desk.clients[i];
            size_t wanted, used;
            if (!client->open || client->closing || client->paused || client->in.size == 0)
                continue;
            used = desk.calls.bytes(client->session, client->in.bytes, client->in.size, &wanted);
            cr_assert_leq(used, client->in.size);
            memmove(client->in.bytes, client->in.bytes + used, client->in.size - used);
            client->in.size -= used;
            again |= used > 0;
        }
    }
    desk.calls.gathered(desk.calls.context);
}

const char *desk_asked(void)
{
    settle();
    memcpy(desk.told, desk.asked, sizeof desk.told);
    desk.asked[0] = '\0';
    return desk.told;
}

void desk_reply_bytes(size_t question, enum outcome outcome, raft_index index, const void *bytes, size_t size)
{
    struct letter *letter = letter_new(LETTER_REPLY);
    settle();
    cr_assert_lt(question, desk.question_count);
    letter->number = desk.questions[question].number;
    letter->reply.outcome = outcome;
    letter->reply.index = index;
    mailraft_buffer_put(&letter->reply.bytes, bytes, size);
    desk.calls.letter(desk.calls.context, letter);
    settle();
}

void desk_reply(size_t question, enum outcome outcome, raft_index index, const char *text)
{
    desk_reply_bytes(question, outcome, index, text, strlen(text));
}

void desk_applies(size_t question, const char *text)
{
    desk_reply(question, OUTCOME_APPLIED, 100 + question, text);
}

void desk_reads(size_t question, const char *text)
{
    desk_reply(question, OUTCOME_READ, 0, text);
}

uint64_t desk_view_of(size_t question)
{
    return desk.questions[question].view;
}

void desk_tells(const struct status *status)
{
    struct letter *letter = letter_new(LETTER_STATUS);
    settle();
    letter->status = memory_new(sizeof *letter->status);
    *letter->status = *status;
    desk.calls.letter(desk.calls.context, letter);
    settle();
}

void desk_status(uint64_t view, bool open)
{
    desk_tells(&(struct status){.view = view, .open = open, .role = "FOLLOWER", .leader_id = open ? 2 : NO_ONE});
}

int64_t desk_deadline_us(void)
{
    settle();
    return desk.calls.deadline_us(desk.calls.context);
}

void desk_pass(int64_t us)
{
    settle();
    desk.calls.due(desk.calls.context, clock_now_us() + us);
    settle();
}

/* ---- Clients ---- */

struct client *client_open(void)
{
    cr_assert_lt(desk.client_count, (size_t)CLIENTS_MAX);
    struct client *client = &desk.clients[desk.client_count++];
    client->open = true;
    client->session =
        desk.calls.opened(desk.calls.context, (struct connection *)client, "127.0.0.1:50322", "127.0.0.1:6401");
    return client;
}

void client_close(struct client *client)
{
    desk.calls.closed(client->session);
    client->open = false;
    settle();
}

void client_says_bytes(struct client *client, const void *bytes, size_t size)
{
    mailraft_buffer_put(&client->in, bytes, size);
    settle();
}

void client_says(struct client *client, const char *text)
{
    client_says_bytes(client, text, strlen(text));
}

const char *client_hears(struct client *client)
{
    settle();
    buffer_clear(&client->heard);
    mailraft_buffer_put(&client->heard, client->out.bytes, client->out.size);
    mailraft_buffer_put(&client->heard, "", 1);
    buffer_clear(&client->out);
    return (const char *)client->heard.bytes;
}

bool client_is_paused(const struct client *client)
{
    return client->paused;
}

void client_reads_nothing(struct client *client)
{
    client->full = true;
}

void client_reads_on(struct client *client)
{
    client->full = false;
    desk.calls.drained(client->session);
    settle();
}

bool client_is_closing(const struct client *client)
{
    return client->closing;
}

size_t client_left(const struct client *client)
{
    return client->in.size;
}

struct session *client_session(const struct client *client)
{
    return client->session;
}

/* ---- Beginning and end ---- */

void desk_open_unconnected(void)
{
    static const struct connection_calls CONNECTION = {on_send, on_pause, on_close};
    struct mailraft_error err;
    struct sessions_config config = {.id = 1,
                                     .cluster_name = "test",
                                     .client = {"127.0.0.1", 6401},
                                     .client_timeout_us = DESK_TIMEOUT_US,
                                     .request_bytes_max = DESK_REQUEST_MAX,
                                     .flight_bytes_max = DESK_FLIGHT_MAX,
                                     .connections_max = CLIENTS_MAX};
    char name[] = "/tmp/desk.XXXXXX";
    desk.file = mkstemp(name);
    cr_assert_geq(desk.file, 0);
    unlink(name);
    desk.log = log_open(desk.file, 1, LOG_DEBUG, &err);
    desk.pile = pile_new();
    desk.sessions = sessions_new(&config, &CONNECTION, desk.pile, on_ask, &desk, desk.log);
    desk.calls = sessions_calls(desk.sessions);
}

void desk_open(void)
{
    desk_open_unconnected();
    desk_status(1, true);
}

void desk_close(void)
{
    for (size_t i = 0; i < desk.client_count; i++) {
        struct client *client = &desk.clients[i];
        if (client->open)
            desk.calls.closed(client->session);
        buffer_fini(&client->in);
        buffer_fini(&client->out);
        buffer_fini(&client->heard);
    }
    sessions_free(desk.sessions);
    pile_free(desk.pile);
    if (desk.log != NULL)
        log_close(desk.log);
    close(desk.file);
}

struct sessions *desk_sessions(void)
{
    return desk.sessions;
}

int desk_count_lines(const char *part)
{
    char text[64 * 1024];
    int count = 0;
    if (desk.log != NULL)
        log_close(desk.log);
    desk.log = NULL;
    ssize_t size = pread(desk.file, text, sizeof text - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        count++;
    return count;
}
