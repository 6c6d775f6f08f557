#include "serve/transaction.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "serve/queue.h"

struct queued {
    const struct command *command;
    bool is_literal; /* its only argument is its answer */
    size_t at;       /* where its arguments stand */
    size_t count;
};

struct transaction {
    struct session *session;
    bool is_spoiled;
    bool resp3; /* EXEC: its answer is in RESP3 */
    struct queued *list;
    size_t count, room;
    size_t answered;              /* EXEC: of the first so many, those of the session's own are literals */
    struct mailraft_buffer bytes; /* arguments; each: u32 bytes, argument */
    struct watches *watches;      /* EXEC's; a reference; NULL: none */
};

struct watch {
    uint64_t hash; /* of its key */
    size_t at;     /* where that stands */
    size_t size;
    uint64_t version;
    bool is_known; /* the store has told the version */
};

struct watches {
    size_t references;
    struct session *session;
    bool is_broken; /* a WATCH had no answer: nobody knows what has become of its keys since */
    struct watch *list;
    size_t count, room;
    struct mailraft_buffer keys;
};

/* ---- Bytes: those of all open transactions and watches are bounded by one request's, and together ---- */

static bool may_gather(const struct session *session, size_t gathered, size_t more)
{
    const struct sessions *sessions = session->sessions;
    return gathered + more <= sessions->config.request_bytes_max &&
           sessions->gathered + more <= sessions->config.flight_bytes_max;
}

static size_t transaction_bytes(const struct transaction *transaction)
{
    return transaction->bytes.size + transaction->count * sizeof *transaction->list;
}

static size_t watches_bytes(const struct watches *watches)
{
    return watches->keys.size + watches->count * sizeof *watches->list;
}

/* ---- Watches ---- */

static struct watches *watches_of(struct session *session)
{
    if (session->watches == NULL) {
        session->watches = memory_new(sizeof *session->watches);
        session->watches->references = 1;
        session->watches->session = session;
    }
    return session->watches;
}

static void watches_drop(struct watches *watches)
{
    if (watches == NULL || --watches->references > 0)
        return;
    watches->session->sessions->gathered -= watches_bytes(watches);
    buffer_fini(&watches->keys);
    memory_free(watches->list);
    memory_free(watches);
}

static struct text key_of(const struct watches *watches, const struct watch *watch)
{
    return (struct text){watches->keys.bytes + watch->at, watch->size};
}

static bool is_watched(const struct watches *watches, struct text key, uint64_t hash)
{
    for (size_t i = 0; i < watches->count; i++) {
        const struct watch *watch = &watches->list[i];
        if (watch->hash == hash && watch->size == key.size &&
            (key.size == 0 || memcmp(key_of(watches, watch).bytes, key.bytes, key.size) == 0))
            return true;
    }
    return false;
}

/* False: too many bytes are watched already. */
static bool add_watch(struct watches *watches, struct text key)
{
    uint64_t hash = bytes_checksum(key.bytes, key.size);
    size_t bytes = key.size + sizeof(struct watch);
    if (is_watched(watches, key, hash))
        return true;
    if (!may_gather(watches->session, watches_bytes(watches), bytes))
        return false;
    if (watches->count == watches->room) {
        watches->room = watches->room == 0 ? 4 : 2 * watches->room;
        watches->list = memory_resize(watches->list, watches->room * sizeof *watches->list);
    }
    watches->list[watches->count++] = (struct watch){.hash = hash, .at = watches->keys.size, .size = key.size};
    mailraft_buffer_put(&watches->keys, key.bytes, key.size);
    watches->session->sessions->gathered += bytes;
    return true;
}

/* One WATCH on its way. */
struct watching {
    struct watches *watches; /* a reference */
    size_t first, count;     /* those whose versions are asked for */
    bool is_answered;
};

static void take_versions(struct session *session, void *context, const uint8_t *bytes, size_t size)
{
    struct watching *watching = context;
    if (size != watching->count * sizeof(uint64_t)) {
        resp_put_error(session_reply(session), "ERR the keys cannot be watched");
        return;
    }
    for (size_t i = 0; i < watching->count; i++) {
        struct watch *watch = &watching->watches->list[watching->first + i];
        watch->version = bytes_get_u64(bytes + i * sizeof(uint64_t));
        watch->is_known = true;
    }
    watching->is_answered = true;
    resp_put_simple(session_reply(session), "OK");
}

static void drop_watching(void *context)
{
    struct watching *watching = context;
    if (!watching->is_answered)
        watching->watches->is_broken = true;
    watches_drop(watching->watches);
    memory_free(watching);
}

static void ask_versions(struct session *session, struct watches *watches, size_t first)
{
    size_t count = watches->count - first;
    struct watching *watching = memory_new(sizeof *watching);
    struct text *keys = memory_new(count * sizeof *keys);
    struct mailraft_buffer query = {.bytes = NULL};
    struct kv_request request;
    *watching = (struct watching){.watches = watches, .first = first, .count = count};
    watches->references++;
    for (size_t i = 0; i < count; i++)
        keys[i] = key_of(watches, &watches->list[first + i]);
    kv_request_begin(&request, &query, 0);
    kv_request_ops(&request);
    kv_request_op(&request, KV_VERSIONS, keys, count);
    session_ask_query(session, &query, take_versions, drop_watching, watching);
    buffer_fini(&query);
    memory_free(keys);
}

void transaction_watch(struct session *session, const struct text *arguments, size_t count)
{
    if (session->transaction != NULL) {
        resp_put_error(session_reply(session), "ERR WATCH inside MULTI is not allowed");
        return;
    }
    struct watches *watches = watches_of(session);
    size_t first = watches->count;
    bool has_room = true;
    for (size_t i = 1; i < count && has_room; i++)
        has_room = add_watch(watches, arguments[i]);
    if (!has_room) {
        watches->is_broken = true;
        resp_put_error(session_reply(session), "ERR too many bytes of keys are watched");
    } else if (watches->count > first) {
        ask_versions(session, watches, first);
    } else {
        resp_put_simple(session_reply(session), "OK");
    }
}

static void unwatch(struct session *session)
{
    watches_drop(session->watches);
    session->watches = NULL;
}

void transaction_unwatch(struct session *session, const struct text *arguments, size_t count)
{
    (void)arguments, (void)count;
    unwatch(session);
    resp_put_simple(session_reply(session), "OK");
}

size_t session_watch_count(const struct session *session)
{
    return session->watches == NULL ? 0 : session->watches->count;
}

/* ---- From MULTI to EXEC ---- */

void transaction_free(struct transaction *transaction)
{
    if (transaction == NULL)
        return;
    transaction->session->sessions->gathered -= transaction_bytes(transaction);
    watches_drop(transaction->watches);
    buffer_fini(&transaction->bytes);
    memory_free(transaction->list);
    memory_free(transaction);
}

void transaction_forget(struct session *session)
{
    transaction_free(session->transaction);
    session->transaction = NULL;
    unwatch(session);
}

int session_multi_count(const struct session *session)
{
    return session->transaction == NULL ? -1 : (int)session->transaction->count;
}

void transaction_multi(struct session *session, const struct text *arguments, size_t count)
{
    (void)arguments, (void)count;
    if (session->transaction != NULL) {
        resp_put_error(session_reply(session), "ERR MULTI calls can not be nested");
        return;
    }
    session->transaction = memory_new(sizeof *session->transaction);
    session->transaction->session = session;
    resp_put_simple(session_reply(session), "OK");
}

void transaction_discard(struct session *session, const struct text *arguments, size_t count)
{
    (void)arguments, (void)count;
    if (session->transaction == NULL) {
        resp_put_error(session_reply(session), "ERR DISCARD without MULTI");
        return;
    }
    transaction_forget(session);
    resp_put_simple(session_reply(session), "OK");
}

bool transaction_takes(const struct session *session, const struct command *command)
{
    static const char *const CARRIED_OUT[] = {"multi", "exec", "discard", "watch", "quit", "reset"};
    if (session->transaction == NULL)
        return false;
    for (size_t i = 0; i < sizeof CARRIED_OUT / sizeof *CARRIED_OUT; i++)
        if (command->container == NULL && strcmp(command->name, CARRIED_OUT[i]) == 0)
            return false;
    return true;
}

void transaction_spoil(struct session *session)
{
    if (session->transaction != NULL)
        session->transaction->is_spoiled = true;
}

void transaction_abort(struct session *session)
{
    struct mailraft_buffer *reply = session_reply(session), error = *reply;
    size_t code = strlen("-ERR "), end = strlen("\r\n");
    assert(error.size >= code + end);
    *reply = (struct mailraft_buffer){.bytes = NULL};
    resp_put_error(reply, "EXECABORT Transaction discarded because of: %.*s", (int)(error.size - code - end),
                   (const char *)error.bytes + code);
    buffer_fini(&error);
    transaction_forget(session);
}

static void put_argument(struct transaction *transaction, struct text argument)
{
    uint8_t head[4];
    bytes_put_u32(head, (uint32_t)argument.size);
    mailraft_buffer_put(&transaction->bytes, head, sizeof head);
    mailraft_buffer_put(&transaction->bytes, argument.bytes, argument.size);
}

static size_t bytes_of(const struct text *arguments, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += 4 + arguments[i].size;
    return bytes;
}

static struct queued *add_queued(struct transaction *transaction)
{
    if (transaction->count == transaction->room) {
        transaction->room = transaction->room == 0 ? 8 : 2 * transaction->room;
        transaction->list = memory_resize(transaction->list, transaction->room * sizeof *transaction->list);
    }
    return &transaction->list[transaction->count++];
}

void transaction_queue(struct session *session, const struct command *command, const struct text *arguments,
                       size_t count)
{
    struct transaction *transaction = session->transaction;
    size_t bytes = bytes_of(arguments, count) + sizeof(struct queued);
    if (!may_gather(session, transaction_bytes(transaction), bytes)) {
        resp_put_error(session_reply(session), "ERR the transaction is too large; max_request_bytes is %zu",
                       session->sessions->config.request_bytes_max);
        transaction_spoil(session);
    } else {
        *add_queued(transaction) = (struct queued){.command = command, .at = transaction->bytes.size, .count = count};
        for (size_t i = 0; i < count; i++)
            put_argument(transaction, arguments[i]);
        session->sessions->gathered += bytes;
        resp_put_simple(session_reply(session), "QUEUED");
    }
    queue_answer_here(session, session_reply(session));
}

/* ---- EXEC ---- */

static struct text *read_arguments(const struct transaction *transaction, const struct queued *queued)
{
    struct text *arguments = memory_new(queued->count * sizeof *arguments);
    const uint8_t *at = transaction->bytes.bytes + queued->at;
    for (size_t i = 0; i < queued->count; i++) {
        arguments[i] = (struct text){at + 4, bytes_get_u32(at)};
        at += 4 + arguments[i].size;
    }
    return arguments;
}

/* The answer of one of the session's own commands takes the place of its arguments. CLIENT REPLY may have none; in the
 * array of EXEC each must have one. False: there is no room for it. */
static bool set_literal(struct transaction *transaction, struct queued *queued, const struct mailraft_buffer *answer)
{
    struct session *session = transaction->session;
    struct text literal = {(const uint8_t *)"+OK\r\n", 5};
    if (answer->size > 0)
        literal = (struct text){answer->bytes, answer->size};
    if (!may_gather(session, transaction_bytes(transaction), 4 + literal.size))
        return false;
    queued->is_literal = true;
    queued->at = transaction->bytes.size;
    queued->count = 1;
    put_argument(transaction, literal);
    session->sessions->gathered += 4 + literal.size;
    return true;
}

static void answer_abort(struct place *place, const char *reason)
{
    struct mailraft_buffer *reply = session_reply(place->session);
    buffer_clear(reply);
    resp_put_error(reply, "EXECABORT Transaction discarded because of %s.", reason);
    queue_answer(place, reply);
}

/* Carries out the session's own commands, from `answered` on. False: one of them waits for something, or the
 * transaction has been answered since there is no room for what they say. */
static bool collect(struct place *place)
{
    struct session *session = place->session;
    struct transaction *transaction = place->transaction;
    for (; transaction->answered < transaction->count; transaction->answered++) {
        struct queued *queued = &transaction->list[transaction->answered];
        if (queued->command->op != 0)
            continue;
        struct text *arguments = read_arguments(transaction, queued);
        buffer_clear(session_reply(session));
        session->current = place;
        place->state = PLACE_ANSWERED;
        queued->command->run(session, arguments, queued->count);
        memory_free(arguments);
        if (place->state != PLACE_ANSWERED)
            return false;
        if (!set_literal(transaction, queued, session_reply(session))) {
            answer_abort(place, "the size of its answers");
            return false;
        }
    }
    return true;
}

static void collect_and_send(struct place *place)
{
    place->session->blocking = place;
    if (!collect(place))
        return;
    place->session->blocking = NULL;
    place->transaction->resp3 = place->session->protocol == 3;
    queue_await(place, PLACE_COMMAND);
}

void transaction_go_on(struct place *place)
{
    struct session *session = place->session;
    struct transaction *transaction = place->transaction;
    struct queued *queued = &transaction->list[transaction->answered];
    if (set_literal(transaction, queued, session_reply(session))) {
        transaction->answered++;
        collect_and_send(place);
    } else {
        answer_abort(place, "the size of its answers");
    }
    session->current = NULL;
}

void transaction_exec(struct session *session, const struct text *arguments, size_t count)
{
    struct transaction *transaction = session->transaction;
    (void)arguments, (void)count;
    if (transaction == NULL) {
        resp_put_error(session_reply(session), "ERR EXEC without MULTI");
    } else if (transaction->is_spoiled) {
        transaction_forget(session);
        resp_put_error(session_reply(session), "EXECABORT Transaction discarded because of previous errors.");
    } else if (transaction->count == 0 && session->watches == NULL) {
        transaction_forget(session);
        resp_put_array(session_reply(session), 0);
    } else {
        struct place *place = queue_place(session);
        place->transaction = transaction;
        transaction->watches = session->watches;
        session->transaction = NULL;
        session->watches = NULL;
        collect_and_send(place);
    }
}

static bool has_unknown_watches(const struct watches *watches)
{
    if (watches == NULL)
        return false;
    for (size_t i = 0; i < watches->count; i++)
        if (!watches->list[i].is_known)
            return true;
    return watches->is_broken;
}

static void put_watches(struct kv_request *request, const struct watches *watches)
{
    for (size_t i = 0; watches != NULL && i < watches->count; i++)
        kv_request_watch(request, key_of(watches, &watches->list[i]), watches->list[i].version);
}

static void put_queued(struct kv_request *request, const struct transaction *transaction, const struct queued *queued)
{
    struct text *arguments = read_arguments(transaction, queued);
    if (queued->is_literal)
        kv_request_op(request, KV_LITERAL, arguments, 1);
    else
        kv_request_op(request, queued->command->op, arguments + 1, queued->count - 1);
    memory_free(arguments);
}

bool transaction_finish(struct place *place)
{
    struct transaction *transaction = place->transaction;
    struct kv_request request;
    if (has_unknown_watches(transaction->watches)) {
        struct mailraft_buffer *reply = session_reply(place->session);
        buffer_clear(reply);
        resp_put_null_array(reply, transaction->resp3);
        queue_answer(place, reply);
        return false;
    }
    buffer_clear(&place->bytes);
    kv_request_begin(&request, &place->bytes, KV_TRANSACTION | (transaction->resp3 ? KV_RESP3 : 0u));
    put_watches(&request, transaction->watches);
    kv_request_ops(&request);
    for (size_t i = 0; i < transaction->count; i++)
        put_queued(&request, transaction, &transaction->list[i]);
    transaction_free(transaction);
    place->transaction = NULL;
    return true;
}
