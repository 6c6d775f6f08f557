#include "mail/reader.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/credit.h"
#include "base/memory.h"
#include "mail/handshake.h"

#define BUFFER_BYTES 512 /* to begin with: more than any message of an election */

struct reader {
    struct arrival *arrival;
    struct office *office;
    struct credit *credit;
    struct wire_rules rules; /* of what may come */
    uint8_t *buffer;
    size_t buffer_bytes;
};

/* Hears the hello of whoever connected, and answers it. */
static bool greet(struct arrival *arrival, struct hello *theirs, struct mailraft_error *err)
{
    struct speaker *self = &arrival->office->self;
    int64_t deadline_us = clock_now_us() + HANDSHAKE_US;
    struct hello ours;
    uint32_t version;

    if (!handshake_hear(arrival->stream, theirs, deadline_us, NULL, err) || !hello_check(theirs, self, &version, err) ||
        !arrivals_admit(arrival, theirs, err))
        return false;
    hello_make(&ours, self, theirs->sender, theirs->channel, theirs->connection);
    if (!handshake_say(arrival->stream, &ours, err))
        return false;
    log_debug(arrival->office->log, "Connection %" PRIu64 " of %" PRId32 " from %s version=%" PRIu32,
              theirs->connection, theirs->sender, stream_peer(arrival->stream), version);
    return true;
}

/* What of the heap a letter keeps. */
static size_t cost_of(const struct letter *letter)
{
    const struct batch *entries = letter->entries;

    size_t cost = sizeof *letter;

    if (entries != NULL)
        cost += entries->bytes + entries->count * sizeof *entries->list[0];
    if (letter->kind == LETTER_MESSAGE)
        cost += letter->body.room;
    return cost;
}

/* Puts a letter on the server's pile as soon as there is credit for it. False when the mailbox stops, which last words
 * (DISCONNECTED) do not wait for. */
static bool deliver(struct reader *reader, struct letter *letter)
{
    size_t cost = cost_of(letter);
    bool good = credit_take(reader->credit, cost);

    if (good) {
        letter->credit = reader->credit;
        letter->credit_bytes = cost;
    }
    letter->link = reader->arrival->link;
    pile_put(reader->office->pile, LANE_INNER, letter);
    return good;
}

/* The next size bytes, in the buffer. It grows as they come, to twice what has come at most: what somebody announces
 * costs us no more than it costs to send it. */
static bool fill_buffer(struct reader *reader, size_t size, struct mailraft_error *err)
{
    size_t got = 0;

    while (got < size) {
        size_t upto;

        if (got == reader->buffer_bytes) {
            reader->buffer_bytes = size < 2 * got ? size : 2 * got;
            reader->buffer = memory_resize(reader->buffer, reader->buffer_bytes);
        }
        upto = size < reader->buffer_bytes ? size : reader->buffer_bytes;
        if (!stream_read_full(reader->arrival->stream, reader->buffer + got, upto - got, CLOCK_NEVER, NULL, err))
            return false;
        got = upto;
    }
    return true;
}

/* The rest of the next frame, behind its head, in the buffer. */
static bool read_frame(struct reader *reader, struct wire_sizes *sizes, struct mailraft_error *err)
{
    uint8_t head[WIRE_HEAD_BYTES];

    return stream_read_full(reader->arrival->stream, head, sizeof head, CLOCK_NEVER, NULL, err) &&
           wire_read_head(head, &reader->rules, sizes, err) &&
           fill_buffer(reader, sizes->message + sizes->cargo, err);
}

static bool read_message(struct reader *reader, struct mailraft_error *err)
{
    struct letter *letter;
    struct message message;
    struct batch *entries;
    struct mailraft_buffer body;
    struct wire_sizes sizes;

    if (!read_frame(reader, &sizes, err) ||
        !wire_read_message(reader->buffer, &sizes, &reader->rules, &message, &entries, &body, err))
        return false;
    letter = letter_new(LETTER_MESSAGE);
    letter->message = message;
    letter->entries = entries;
    letter->body = body;
    return deliver(reader, letter) || error_raise(err, &NETWORK_ERROR, "we are stopping");
}

/* Everything from the hello to the end of the connection, whose reason is in err. */
static void converse(struct arrival *arrival, const struct hello *hello, struct mailraft_error *err)
{
    struct reader reader = {
        .arrival = arrival,
        .office = arrival->office,
        .credit = arrival->office->credits[arrival->position][hello->channel],
        .rules = wire_rules_of(hello->sender, (enum channel)hello->channel, arrival->office->entry_bytes_max),
        .buffer = memory_new(BUFFER_BYTES),
        .buffer_bytes = BUFFER_BYTES,
    };
    struct outbox *outbox = arrival->office->outboxes[arrival->position][hello->channel];
    struct letter *connected = letter_new(LETTER_CONNECTED);

    connected->hello = hello_introduction(hello);
    deliver(&reader, connected);
    arrivals_replace(arrival);
    outbox_nudge(outbox); /* the peer runs: our own connection need not wait for its turn */
    while (read_message(&reader, err))
        ;
    deliver(&reader, letter_new(LETTER_DISCONNECTED));
    memory_free(reader.buffer);
}

static void tell_end(const struct arrival *arrival, const struct mailraft_error *err)
{
    struct office *office = arrival->office;
    const char *from = stream_peer(arrival->stream);
    bool wrong = error_is(err, &PROTOCOL_ERROR);

    if (wrong && arrival->admitted)
        complaints_tell(&office->complaints, err, "Closed the connection of %" PRId32 " from %s", arrival->link.peer,
                        from);
    else if (wrong)
        complaints_tell(&office->complaints, err, "Refused a connection from %s", from);
    else
        log_debug(office->log, "Connection from %s ended: %s", from, err->message);
}

void reader_main(void *context)
{
    struct arrival *arrival = context;
    struct mailraft_error err;
    struct hello hello;

    if (greet(arrival, &hello, &err))
        converse(arrival, &hello, &err);
    tell_end(arrival, &err);
    arrivals_leave(arrival);
}
