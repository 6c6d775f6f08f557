/* peer_fuzz.c - a connection that somebody opens to us, through the shipped reader (mail/reader.h): a hello, then
 * frames. What comes onto the server's pile is within the bounds of mail/wire.h, and is written and read again as the
 * same; letters of a connection come between the one that tells of it and the one that tells of its end.
 *
 * Input: u8 flags, what comes over the connection. */
#include "fuzz.h"

#include <string.h>

#include "base/bytes.h"
#include "base/credit.h"
#include "base/memory.h"
#include "mail/reader.h"
#include "memory_stream.h"
#include "peer.h"

#define CREDIT_BYTES ((size_t)1 << 40) /* nobody waits */

enum { MEND = 1, MEND_LENGTHS = 2 };

FUZZ_MARK(admitted, "a connection that counts");
FUZZ_MARK(messages, "a message");
FUZZ_MARK(with_entries, "a message with entries");
FUZZ_MARK(with_requests, "a message with requests");
FUZZ_MARK(with_replies, "a message with replies");
FUZZ_MARK(urgent, "a message over the urgent channel");

static struct office office;

static void set_up(void)
{
    struct mailbox_config config;
    struct mailraft_error err;

    if (office.log != NULL)
        return;
    peer_configure(&config);
    speaker_init(&office.self, &config);
    office.log = log_open(1, 1, LOG_TRACE, &err);
    office.entry_bytes_max = config.entry_bytes_max;
    complaints_init(&office.complaints, office.log);
    for (int i = 1; i < config.members.count; i++)
        for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
            office.outboxes[i][channel] = outbox_new(MAILBOX_BULK_BYTES, &err);
            office.credits[i][channel] = credit_new(CREDIT_BYTES);
        }
}

/* ---- Mending ---- */

static bool has_entries(const uint8_t *message, size_t size)
{
    return size >= 2 && message[0] == 0x08 && message[1] == REQUEST_APPEND_ENTRIES; /* its first field is its type */
}

static void mend_lengths(uint8_t *head, size_t left)
{
    if (bytes_get_u32(head) > left - 4)
        bytes_put_u32(head, (uint32_t)(left - 4));
    if (bytes_get_u32(head + 4) > bytes_get_u32(head) - 8)
        bytes_put_u32(head + 4, bytes_get_u32(head) - 8);
}

/* Frame by frame, as far as their lengths lead. */
static void mend(uint8_t *bytes, size_t size, bool lengths)
{
    while (size >= WIRE_HEAD_BYTES) {
        if (lengths)
            mend_lengths(bytes, size);
        size_t frame = (size_t)bytes_get_u32(bytes) + 4, message = bytes_get_u32(bytes + 4);
        if (frame < WIRE_HEAD_BYTES || frame > size || message > frame - WIRE_HEAD_BYTES)
            return;
        if (has_entries(bytes + WIRE_HEAD_BYTES, message))
            fuzz_mend_entries(bytes + WIRE_HEAD_BYTES + message, frame - WIRE_HEAD_BYTES - message, lengths);
        bytes += frame;
        size -= frame;
    }
}

/* ---- What came of it ---- */

static struct frame *write_frame(const struct message *message, const struct batch *entries,
                                 const struct mailraft_buffer *body)
{
    if (body->size > 0)
        return wire_write_body(message, body->bytes, body->size);
    return wire_write_message(message, entries, false);
}

/* One after the other in memory, as they leave. */
static struct mailraft_buffer bytes_of(const struct frame *frame)
{
    struct mailraft_buffer bytes = {.bytes = NULL};

    mailraft_buffer_put(&bytes, frame->bytes, frame->own_size);
    for (size_t i = 0; frame->entries != NULL && i < frame->entries->count; i++)
        mailraft_buffer_put(&bytes, frame->entries->list[i]->bytes, frame->entries->list[i]->size);
    assert(bytes.size == frame->size);
    return bytes;
}

static void check_written_again(const struct letter *letter, const struct wire_rules *rules)
{
    struct frame *frame = write_frame(&letter->message, letter->entries, &letter->body), *frame_again;
    struct mailraft_buffer first = bytes_of(frame), body;
    struct message message;
    struct batch *entries;
    struct wire_sizes sizes;
    struct mailraft_error err;

    assert(wire_read_head(first.bytes, rules, &sizes, &err));
    assert(wire_read_message(first.bytes + WIRE_HEAD_BYTES, &sizes, rules, &message, &entries, &body, &err));
    frame_again = write_frame(&message, entries, &body);
    struct mailraft_buffer second = bytes_of(frame_again);
    assert(first.size == second.size && memcmp(first.bytes, second.bytes, first.size) == 0);
    frame_free(frame);
    frame_free(frame_again);
    batch_free(entries);
    buffer_fini(&body);
    buffer_fini(&first);
    buffer_fini(&second);
}

static void check_numbers(const struct message *message)
{
    assert(message->type_of_message > HELLO && message->type_of_message <= MESSAGE_TYPE_LAST);
    assert(message->curr_term < INT64_MAX && message->round < INT64_MAX);
    assert(message->prev_index < INT64_MAX && message->prev_term < INT64_MAX && message->commit_index < INT64_MAX);
    assert(message->last_log_index < INT64_MAX && message->last_log_term < INT64_MAX);
    assert(message->match_index < INT64_MAX && message->rejected_index < INT64_MAX);
    assert(message->conflict_term < INT64_MAX && message->conflict_index < INT64_MAX);
    assert(message->time_us >= 0 && message->time_us < INT64_MAX);
    assert(message->refusal <= REFUSAL_LAST && message->request_channel < CHANNEL_COUNT);
}

static void check_cargo(const struct letter *letter)
{
    const struct message *message = &letter->message;
    const struct batch *entries = letter->entries;
    bool bulk = letter->link.channel == CHANNEL_BULK;

    assert(bulk || (entries == NULL && letter->body.size == 0));
    assert((entries != NULL ? entries->count : 0) == message->entry_count);
    assert((letter->body.size > 0) == (message->type_of_message == FORWARD || message->type_of_message == FORWARDED));
    if (entries != NULL) {
        fuzz_reach(with_entries);
        assert(message->type_of_message == REQUEST_APPEND_ENTRIES);
        assert(entries->list[0]->index == message->prev_index + 1);
        assert(entries->list[0]->term >= message->prev_term);
        assert(entries->list[entries->count - 1]->term <= message->curr_term);
    }
    if (letter->body.size > 0 && message->type_of_message == FORWARD)
        fuzz_reach(with_requests);
    if (letter->body.size > 0 && message->type_of_message == FORWARDED)
        fuzz_reach(with_replies);
    if (!bulk)
        fuzz_reach(urgent);
}

static void check_message(const struct letter *letter)
{
    const struct wire_rules rules = wire_rules_of(letter->link.peer, letter->link.channel, office.entry_bytes_max);
    char text[MESSAGE_TEXT_MAX];

    fuzz_reach(messages);
    assert(letter->message.server_id == letter->link.peer);
    check_numbers(&letter->message);
    check_cargo(letter);
    check_written_again(letter, &rules);
    message_describe(&letter->message, text, sizeof text);
    message_refusal_describe(&letter->message, text, sizeof text);
}

/* None, or one that tells of the connection, messages, and one that tells of its end. */
static void check_letters(void)
{
    bool connected = false, disconnected = false;
    struct letter *letter;
    int64_t now_us;

    while ((letter = pile_try(office.pile, LANE_CLIENTS, &now_us)) != NULL) {
        assert(!disconnected);
        assert(connected == (letter->kind != LETTER_CONNECTED));
        if (letter->kind == LETTER_MESSAGE)
            check_message(letter);
        connected = true;
        disconnected = letter->kind == LETTER_DISCONNECTED;
        letter_free(letter);
    }
    assert(connected == disconnected);
    if (connected)
        fuzz_reach(admitted);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fuzz_input input = {bytes, size};
    uint64_t flags = fuzz_take(&input, 1);
    uint8_t *stream = fuzz_copy(input.at, input.left);
    struct mailraft_error err;

    set_up();
    if (flags & MEND)
        mend(stream, input.left, (flags & MEND_LENGTHS) != 0);
    office.pile = pile_new();
    struct arrivals *arrivals = arrivals_new(&office);
    bool started = arrivals_start(arrivals, memory_stream_new(stream, input.left), reader_main, &err);
    assert(started);
    arrivals_free(arrivals);
    check_letters();
    pile_free(office.pile);
    memory_free(stream);
    return 0;
}
