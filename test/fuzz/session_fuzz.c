/* session_fuzz.c - clients' bytes through the shipped sessions, with a store and a server that this target plays. What
 * one client sends gets the same answers in one piece and in many; and whatever becomes of clients, of what they ask
 * and of the way to the leader, each hears whole replies alone, the server gets sound requests alone, and when the last
 * client is gone, nothing of it is left.
 *
 * Input: u8: 0 to 127: the bytes of one client, behind them u8 a seed for the pieces; else events: u8 which, and what
 *        do_next takes. */
#include "fuzz.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "replies.h"
#include "serve/kv.h"
#include "serve/kv_request.h"
#include "serve/session_state.h"

#define CLIENTS_MAX 4
#define MEMORY_MAX  (1024 * 1024)
#define TIME_US     INT64_C(1800000000000000)

enum event { SAY, ANSWER, ANSWER_ALL, TELL_STATUS, FILL, DRAIN, HANG_UP, SAY_END, PASS_TIME, STOP, EVENTS };

FUZZ_MARK(asked, "a command that is asked for");
FUZZ_MARK(queried, "a query");
FUZZ_MARK(counted, "a question on how many members something is durable");
FUZZ_MARK(transacted, "a transaction that is asked for");
FUZZ_MARK(answered, "a client that hears several replies");
FUZZ_MARK(resp3, "one that speaks RESP3");
FUZZ_MARK(refused, "one whose connection is closed");
FUZZ_MARK(unsure, "an answer that is not certain");
FUZZ_MARK(not_executed, "a command that was not executed, and may be sent again");
FUZZ_MARK(choked, "a client that does not read");

struct client { /* stands in for its connection */
    void *session;
    struct mailraft_buffer in, out;
    bool open, paused, closing, full;
};

static struct desk {
    struct log *log;
    struct pile *pile;
    struct sessions *sessions;
    struct clients_calls calls;
    struct client clients[CLIENTS_MAX];
    struct letter_list questions;
    struct status status;
    struct kv *kv;
    struct mailraft_machine machine;
    uint64_t index;
    bool stopped;
} desk;

/* ---- The clients' side of a session ---- */

static bool on_send(struct connection *connection, const void *bytes, size_t size)
{
    struct client *client = (struct client *)connection;

    assert(client->open);
    if (!client->closing)
        mailraft_buffer_put(&client->out, bytes, size);
    return !client->full;
}

static void on_pause(struct connection *connection, bool paused)
{
    ((struct client *)connection)->paused = paused;
}

static void on_close(struct connection *connection)
{
    struct client *client = (struct client *)connection;

    assert(client->open);
    client->closing = true;
    fuzz_reach(refused);
}

/* ---- The server ---- */

static void check_sound(const struct letter *letter)
{
    struct kv_contents contents;

    assert(letter->proposer.pile == desk.pile);
    bool sound = kv_contents_read(&contents, letter->request.bytes, letter->request.size, false);
    assert(sound);
    assert(letter->kind == LETTER_PROPOSE || !contents.changes);
    if (letter->kind == LETTER_READ)
        fuzz_reach(queried);
    else
        fuzz_reach(asked);
    if (contents.flags & KV_TRANSACTION)
        fuzz_reach(transacted);
}

static void on_ask(void *context, struct letter_list *letters)
{
    struct letter *letter;

    (void)context;
    assert(!desk.stopped);
    while ((letter = letter_list_take(letters)) != NULL) {
        if (letter->kind == LETTER_PROPOSE || letter->kind == LETTER_READ)
            check_sound(letter);
        else if (letter->kind == LETTER_COUNT)
            fuzz_reach(counted);
        letter_list_add(&desk.questions, letter);
    }
}

static void tell_status(void)
{
    struct letter *letter = letter_new(LETTER_STATUS);

    letter->status = memory_new(sizeof *letter->status);
    *letter->status = desk.status;
    desk.calls.letter(desk.calls.context, letter);
}

/* As the log's machine does. */
static void execute(const struct letter *question, struct letter *reply)
{
    struct mailraft_buffer command = {.bytes = NULL};
    struct mailraft_standing standing;
    struct mailraft_proposal proposal = {.request = question->request.bytes,
                                         .size = question->request.size,
                                         .time_us = TIME_US,
                                         .random = "random bits, of which these are"};

    if (!desk.machine.prepare(desk.machine.context, &proposal, &command)) {
        reply->reply.outcome = OUTCOME_REFUSED;
        reply->reply.bytes = command;
        return;
    }
    struct mailraft_entry entry = {.index = ++desk.index,
                                   .time_us = TIME_US,
                                   .command = command.bytes,
                                   .size = command.size,
                                   .reply = &reply->reply.bytes};
    desk.machine.apply(desk.machine.context, &entry, 1, &standing);
    reply->reply.outcome = OUTCOME_APPLIED;
    reply->reply.index = entry.index;
    buffer_fini(&command);
}

static void answer_well(const struct letter *question, struct letter *reply)
{
    if (question->kind == LETTER_PROPOSE) {
        execute(question, reply);
    } else if (question->kind == LETTER_READ) {
        reply->reply.outcome = OUTCOME_READ;
        desk.machine.read(desk.machine.context, question->request.bytes, question->request.size, TIME_US,
                          &reply->reply.bytes);
    } else {
        reply->reply.outcome = OUTCOME_COUNTED;
        reply->reply.index = 2;
    }
}

/* What a server says of what it did not, or not for certain, do. Whether it did is not known. */
static void answer_badly(const struct letter *question, struct letter *reply, unsigned how)
{
    if (question->kind == LETTER_PROPOSE && how % 8 == 1) {
        if (how & 8)
            execute(question, reply);
        buffer_fini(&reply->reply.bytes);
        reply->reply.outcome = OUTCOME_UNCERTAIN;
        fuzz_reach(unsure);
    } else if (question->kind != LETTER_COUNT && how % 8 == 2) {
        reply->reply.outcome = OUTCOME_TOO_LARGE;
    } else {
        reply->reply.outcome = OUTCOME_NOT_EXECUTED;
        reply->reply.index = how % 8 == 3 ? 77 : 0;
        reply->reply.leader_id = how & 8 ? 2 : NO_ONE;
        fuzz_reach(not_executed);
    }
}

/* The oldest question; how: 0: well. */
static void answer(unsigned how)
{
    struct letter *question = letter_list_take(&desk.questions), *reply;

    if (question == NULL)
        return;
    if (question->kind == LETTER_STATUS_WANTED) {
        tell_status();
    } else {
        reply = letter_new(LETTER_REPLY);
        reply->number = question->proposer.number;
        if (how % 8 == 0)
            answer_well(question, reply);
        else
            answer_badly(question, reply, how);
        desk.calls.letter(desk.calls.context, reply);
    }
    letter_free(question);
}

/* ---- Rounds, as the clients' thread makes them ---- */

static bool give_bytes(struct client *client)
{
    size_t used, wanted;

    if (!client->open || client->closing || client->paused || client->in.size == 0)
        return false;
    uint8_t *exact = fuzz_copy(client->in.bytes, client->in.size);
    used = desk.calls.bytes(client->session, exact, client->in.size, &wanted);
    memory_free(exact);
    assert(used <= client->in.size);
    memmove(client->in.bytes, client->in.bytes + used, client->in.size - used);
    client->in.size -= used;
    return used > 0;
}

static void settle(void)
{
    bool again = true;

    while (again) {
        again = false;
        for (size_t i = 0; i < CLIENTS_MAX; i++)
            again |= give_bytes(&desk.clients[i]);
    }
    desk.calls.gathered(desk.calls.context);
}

static void answer_all(void)
{
    settle();
    while (desk.questions.first != NULL) {
        answer(0);
        settle();
    }
}

/* What is due happens; and so on, as long as time does something for those who wait. */
static void pass_time(int64_t us)
{
    int64_t until_us = fuzz_now_us + us, due_us;

    while ((due_us = desk.calls.deadline_us(desk.calls.context)) <= until_us) {
        fuzz_now_us = due_us > fuzz_now_us ? due_us : fuzz_now_us + 1;
        desk.calls.due(desk.calls.context, fuzz_now_us);
        settle();
    }
    fuzz_now_us = until_us > fuzz_now_us ? until_us : fuzz_now_us;
}

/* ---- Clients ---- */

static void open_client(struct client *client)
{
    *client = (struct client){.open = true};
    client->session =
        desk.calls.opened(desk.calls.context, (struct connection *)client, "127.0.0.1:50322", "127.0.0.1:6401");
}

static void close_client(struct client *client)
{
    const struct session *session = client->session;

    if (!client->open)
        return;
    if (session->protocol == 3)
        fuzz_reach(resp3);
    desk.calls.closed(client->session);
    client->open = false;
}

static void check_heard(const struct client *client)
{
    long replies = replies_count(client->out.bytes, client->out.size);

    assert(replies >= 0);
    if (replies > 1)
        fuzz_reach(answered);
}

static void forget_client(struct client *client)
{
    buffer_fini(&client->in);
    buffer_fini(&client->out);
}

/* ---- The whole ---- */

static void desk_open(void)
{
    static const struct connection_calls CONNECTION = {on_send, on_pause, on_close};
    struct mailraft_error err;
    struct sessions_config config = {.id = 1,
                                     .cluster_name = "test",
                                     .client = {"127.0.0.1", 6401},
                                     .client_timeout_us = 5000000,
                                     .request_bytes_max = 4096,
                                     .memory_bytes_max = MEMORY_MAX,
                                     .connections_max = CLIENTS_MAX,
                                     .flight_bytes_max = 16 * 1024,
                                     .debug_commands = true};

    fuzz_seam_reset();
    memset(&desk, 0, sizeof desk);
    desk.log = log_open(1, 1, LOG_TRACE, &err);
    desk.pile = pile_new();
    desk.kv = kv_new(MEMORY_MAX);
    desk.machine = kv_machine(desk.kv);
    desk.sessions = sessions_new(&config, &CONNECTION, desk.pile, on_ask, &desk, desk.log);
    desk.calls = sessions_calls(desk.sessions);
    desk.status = (struct status){.view = 1, .open = true, .role = "FOLLOWER", .leader_id = 2, .member_count = 0};
    tell_status();
}

static void check_nothing_left(void)
{
    const struct sessions *sessions = desk.sessions;

    assert(sessions->count == 0 && sessions->all.first == NULL);
    assert(desk.stopped || sessions->counted == 0); /* what nobody answers stays on its way */
    assert(sessions->gathered == 0);
    assert(sessions->unanswered.oldest == NULL && sessions->timers.oldest == NULL && sessions->status_awaited == 0);
    for (int i = 0; i < SESSION_LISTS; i++)
        assert(sessions->lists[i].first == NULL);
}

static void desk_close(void)
{
    struct letter *letter;

    for (size_t i = 0; i < CLIENTS_MAX; i++)
        close_client(&desk.clients[i]);
    check_nothing_left();
    while ((letter = letter_list_take(&desk.questions)) != NULL)
        letter_free(letter);
    sessions_free(desk.sessions);
    kv_free(desk.kv);
    pile_free(desk.pile);
    log_close(desk.log);
}

/* What the client of these bytes hears. piece_max: 0: all in one piece. */
static struct mailraft_buffer hear(const uint8_t *bytes, size_t size, size_t piece_max, uint32_t seed)
{
    struct client *client = &desk.clients[0];
    struct mailraft_buffer heard;

    desk_open();
    open_client(client);
    for (size_t at = 0; at < size;) {
        seed = seed * 1664525 + 1013904223;
        size_t piece = piece_max > 0 ? 1 + seed / 65536 % piece_max : size;
        piece = piece < size - at ? piece : size - at;
        mailraft_buffer_put(&client->in, bytes + at, piece);
        at += piece;
        answer_all();
    }
    for (int i = 0; i < 8; i++) { /* those that wait for the clock, and those behind them */
        pass_time(10000000);
        answer_all();
    }
    check_heard(client);
    heard = client->out;
    client->out = (struct mailraft_buffer){.bytes = NULL};
    desk_close();
    forget_client(client);
    return heard;
}

/* Whether it tells how much is under way (CLIENT LIST, INFO), which pieces have a part in. */
static bool tells_of_present(const struct mailraft_buffer *heard)
{
    static const char *const MARKS[] = {"tot-mem=", "total_commands_processed:"};

    for (size_t i = 0; i < sizeof MARKS / sizeof *MARKS; i++)
        if (heard->size > 0 && memmem(heard->bytes, heard->size, MARKS[i], strlen(MARKS[i])) != NULL)
            return true;
    return false;
}

static void compare_pieces(const uint8_t *bytes, size_t size)
{
    uint8_t seed = size > 0 ? bytes[--size] : 0;
    struct mailraft_buffer whole = hear(bytes, size, 0, 0), pieces = hear(bytes, size, 1 + seed % 16u, seed);

    if (tells_of_present(&whole)) {
        assert(replies_count(whole.bytes, whole.size) == replies_count(pieces.bytes, pieces.size));
    } else {
        assert(whole.size == pieces.size);
        assert(whole.size == 0 || memcmp(whole.bytes, pieces.bytes, whole.size) == 0);
    }
    buffer_fini(&whole);
    buffer_fini(&pieces);
}

static void stop(void)
{
    struct letter *letter;

    if (desk.stopped)
        return;
    desk.stopped = true; /* the node has ended: nobody answers any more */
    while ((letter = letter_list_take(&desk.questions)) != NULL)
        letter_free(letter);
    sessions_end(desk.sessions);
}

/* SAY: u8 size, bytes; ANSWER: u8 how; TELL_STATUS: u8; PASS_TIME: u16 milliseconds. The client is told by the event's
 * upper bits; one that is gone comes again. */
static void do_next(struct fuzz_input *input)
{
    uint8_t byte = (uint8_t)fuzz_take(input, 1);
    struct client *client = &desk.clients[byte / 64];
    size_t size;
    const uint8_t *bytes;

    if (!client->open) {
        forget_client(client);
        open_client(client);
    }
    switch ((enum event)(byte % 64 % EVENTS)) {
    case SAY:
    case EVENTS:
        size = (size_t)fuzz_take(input, 1);
        bytes = fuzz_take_bytes(input, &size);
        mailraft_buffer_put(&client->in, bytes, size);
        break;
    case ANSWER:
        answer((unsigned)fuzz_take(input, 1));
        break;
    case ANSWER_ALL:
        answer_all();
        break;
    case TELL_STATUS:
        byte = (uint8_t)fuzz_take(input, 1);
        desk.status.view += byte % 4 > 0;
        desk.status.open = byte & 8;
        desk.status.leader_id = byte & 8 ? 1 + byte / 64 : NO_ONE;
        tell_status();
        break;
    case FILL:
        client->full = true;
        fuzz_reach(choked);
        break;
    case DRAIN:
        if (client->full)
            desk.calls.drained(client->session);
        client->full = false;
        break;
    case HANG_UP:
        close_client(client);
        break;
    case SAY_END:
        if (!client->closing)
            desk.calls.ended(client->session);
        break;
    case PASS_TIME:
        pass_time((int64_t)fuzz_take(input, 2) * 1000);
        break;
    case STOP:
        stop();
        break;
    }
    settle();
}

static void follow_events(struct fuzz_input *input)
{
    desk_open();
    while (input->left > 0)
        do_next(input);
    answer_all();
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        check_heard(&desk.clients[i]);
    desk_close();
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        forget_client(&desk.clients[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fuzz_input input = {bytes, size};

    if (fuzz_take(&input, 1) < 128)
        compare_pieces(input.at, input.left);
    else
        follow_events(&input);
    return 0;
}
