#include "mail/wire.h"

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/memory.h"
#include "check.h"
#include "raft_message.pb-c.h"

#define SENDER 7

#define ENTRY_BYTES_MAX_HERE (100 * 1024)

static struct mailraft_error err;

static const struct wire_rules URGENT = {.sender = SENDER, .frame_bytes_max = WIRE_URGENT_BYTES_MAX};
static const struct wire_rules BULK = {
    .sender = SENDER,
    .frame_bytes_max = WIRE_BULK_BYTES_MAX(ENTRY_BYTES_MAX_HERE),
    .entry_bytes_max = ENTRY_BYTES_MAX_HERE,
};

static struct message full_message(enum message_type type)
{
    return (struct message){
        .type_of_message = type,
        .curr_term = INT64_MAX - 1,
        .server_id = SENDER,
        .last_log_index = 1ull << 40,
        .last_log_term = 12,
        .transfer = true,
        .vote_granted = true,
        .refusal = REFUSAL_LAST,
        .refusal_detail = INT64_MIN,
        .prev_index = 1ull << 41,
        .prev_term = 13,
        .commit_index = 1ull << 42,
        .round_trip_max_us = UINT32_MAX,
        .time_us = INT64_MAX - 1,
        .entries_appended = true,
        .match_index = 1ull << 43,
        .rejected_index = 1ull << 44,
        .conflict_term = 14,
        .conflict_index = 1ull << 45,
        .request_incarnation = UINT64_MAX,
        .request_connection = 1ull << 46,
        .request_channel = CHANNEL_BULK,
        .data_id = {"0123456789abcde"},
        .round = 1ull << 47,
    };
}

static struct hello full_hello(void)
{
    struct hello hello = {
        .version_lowest = 1,
        .version_highest = 3,
        .sender = SENDER,
        .receiver = INT32_MAX,
        .channel = CHANNEL_BULK,
        .incarnation = UINT64_MAX,
        .connection = 1ull << 50,
        .members_checksum = 0x0123456789abcdef,
        .rejoin_empty = true,
    };

    memset(hello.cluster_name, 'c', CLUSTER_NAME_MAX - 1);
    memset(hello.cluster_uuid.bytes, 0xaa, CLUSTER_UUID_SIZE);
    memset(hello.data_id.bytes, 0xbb, DATA_ID_SIZE);
    return hello;
}

/* Reads a whole frame from memory of exactly its size, where the sanitizer sees each byte too far. */
static bool read_all(const struct wire_rules *rules, const uint8_t *bytes, size_t size, struct message *message,
                     struct batch **entries, struct mailraft_buffer *body)
{
    uint8_t *exact = memory_new(size);
    struct wire_sizes sizes;
    bool good;

    *entries = NULL;
    *body = (struct mailraft_buffer){.bytes = NULL};
    memcpy(exact, bytes, size);
    good = size >= WIRE_HEAD_BYTES && wire_read_head(exact, rules, &sizes, &err) &&
           sizes.message + sizes.cargo == size - WIRE_HEAD_BYTES &&
           wire_read_message(exact + WIRE_HEAD_BYTES, &sizes, rules, message, entries, body, &err);
    memory_free(exact);
    return good;
}

/* The same of what has no body. entries: NULL where none may come. */
static bool read_by(const struct wire_rules *rules, const uint8_t *bytes, size_t size, struct message *message,
                    struct batch **entries)
{
    struct batch *none;
    struct mailraft_buffer body;
    bool good = read_all(rules, bytes, size, message, entries != NULL ? entries : &none, &body);

    cr_assert_null(body.bytes);
    return good;
}

static bool read_message(const uint8_t *bytes, size_t size, struct message *message)
{
    return read_by(&URGENT, bytes, size, message, NULL);
}

static bool read_hello(const uint8_t *bytes, size_t size, struct hello *hello)
{
    uint8_t *exact = memory_new(size);
    struct wire_sizes sizes;
    bool good;

    memcpy(exact, bytes, size);
    good = size >= WIRE_HEAD_BYTES && wire_read_head(exact, &WIRE_HELLO_RULES, &sizes, &err) &&
           sizes.message == size - WIRE_HEAD_BYTES &&
           wire_read_hello(exact + WIRE_HEAD_BYTES, sizes.message, hello, &err);
    memory_free(exact);
    return good;
}

/* Packs what a peer of another mind may send, and reads it as a message. */
static bool read_packet(const Mailraft__RaftMessage *packet)
{
    uint8_t bytes[1000];
    struct wire_sizes sizes = {mailraft__raft_message__pack(packet, bytes), 0};
    struct message message;
    struct batch *entries;
    struct mailraft_buffer body;

    cr_assert_leq(sizes.message, sizeof bytes);
    return wire_read_message(bytes, &sizes, &URGENT, &message, &entries, &body, &err);
}

static bool read_hello_packet(const Mailraft__RaftMessage *packet)
{
    uint8_t bytes[1000];
    size_t size = mailraft__raft_message__pack(packet, bytes);
    struct hello hello;

    cr_assert_leq(size, sizeof bytes);
    return wire_read_hello(bytes, size, &hello, &err);
}

static void assert_same(const struct message *left, const struct message *right)
{
    cr_assert_eq(left->type_of_message, right->type_of_message);
    cr_assert_eq(left->curr_term, right->curr_term);
    cr_assert_eq(left->server_id, right->server_id);
    cr_assert_eq(left->last_log_index, right->last_log_index);
    cr_assert_eq(left->last_log_term, right->last_log_term);
    cr_assert_eq(left->transfer, right->transfer);
    cr_assert_eq(left->vote_granted, right->vote_granted);
    cr_assert_eq(left->refusal, right->refusal);
    cr_assert_eq(left->refusal_detail, right->refusal_detail);
    cr_assert_eq(left->prev_index, right->prev_index);
    cr_assert_eq(left->prev_term, right->prev_term);
    cr_assert_eq(left->commit_index, right->commit_index);
    cr_assert_eq(left->round_trip_max_us, right->round_trip_max_us);
    cr_assert_eq(left->entries_appended, right->entries_appended);
    cr_assert_eq(left->round, right->round);
    cr_assert_arr_eq(left->data_id.bytes, right->data_id.bytes, DATA_ID_SIZE);
    cr_assert_eq(left->entry_count, right->entry_count);
    cr_assert_eq(left->time_us, right->time_us);
    cr_assert_eq(left->match_index, right->match_index);
    cr_assert_eq(left->rejected_index, right->rejected_index);
    cr_assert_eq(left->conflict_term, right->conflict_term);
    cr_assert_eq(left->conflict_index, right->conflict_index);
    cr_assert_eq(left->request_incarnation, right->request_incarnation);
    cr_assert_eq(left->request_connection, right->request_connection);
    cr_assert_eq(left->request_channel, right->request_channel);
}

Test(wire, every_field_of_every_type_comes_back_as_it_was_written)
{
    for (int type = HELLO + 1; type <= TIMEOUT_NOW; type++) { /* those without a body */
        struct message written = full_message((enum message_type)type), read;
        struct frame *frame = wire_write_message(&written, NULL, true);

        cr_assert(read_message(frame->bytes, frame->size, &read), "%s", err.message);
        assert_same(&read, &written);
        frame_free(frame);
    }
}

Test(wire, fields_that_are_zero_come_back_as_zero)
{
    struct message written = {.type_of_message = TIMEOUT_NOW, .server_id = SENDER}, read;
    struct frame *frame = wire_write_message(&written, NULL, true);

    cr_assert(read_message(frame->bytes, frame->size, &read), "%s", err.message);
    assert_same(&read, &written);
    frame_free(frame);
}

Test(wire, every_field_of_a_hello_comes_back_as_it_was_written)
{
    struct hello written = full_hello(), read;
    struct frame *frame = wire_write_hello(&written);

    cr_assert_leq(frame->size, (size_t)WIRE_HELLO_BYTES_MAX);
    cr_assert(read_hello(frame->bytes, frame->size, &read), "%s", err.message);
    cr_assert_eq(read.version_lowest, written.version_lowest);
    cr_assert_eq(read.version_highest, written.version_highest);
    cr_assert_str_eq(read.cluster_name, written.cluster_name);
    cr_assert_arr_eq(read.cluster_uuid.bytes, written.cluster_uuid.bytes, CLUSTER_UUID_SIZE);
    cr_assert_eq(read.sender, written.sender);
    cr_assert_eq(read.receiver, written.receiver);
    cr_assert_eq(read.channel, written.channel);
    cr_assert_eq(read.incarnation, written.incarnation);
    cr_assert_eq(read.connection, written.connection);
    cr_assert_arr_eq(read.data_id.bytes, written.data_id.bytes, DATA_ID_SIZE);
    cr_assert_eq(read.members_checksum, written.members_checksum);
    cr_assert(read.rejoin_empty);
    frame_free(frame);
}

Test(wire, a_frame_begins_with_its_lengths_and_whether_it_may_be_dropped)
{
    struct message message = full_message(REQUEST_VOTE);

    for (int droppable = 0; droppable <= 1; droppable++) {
        struct frame *frame = wire_write_message(&message, NULL, droppable == 1);

        cr_assert_eq(bytes_get_u32(frame->bytes), frame->size - 4);
        cr_assert_eq(bytes_get_u32(frame->bytes + 4), frame->size - WIRE_HEAD_BYTES);
        cr_assert_eq(bytes_get_u32(frame->bytes + 8), (uint32_t)droppable);
        cr_assert_eq(frame->droppable, droppable == 1);
        frame_free(frame);
    }
}

Test(wire, a_cut_frame_is_refused_wherever_it_is_cut)
{
    struct message message = full_message(RESPONSE_VOTE), read;
    struct frame *frame = wire_write_message(&message, NULL, true);

    for (size_t size = WIRE_HEAD_BYTES; size < frame->size; size++) {
        cr_assert_not(read_message(frame->bytes, size, &read)); /* its length says that more is to come */
        bytes_put_u32(frame->bytes, (uint32_t)size - 4);
        cr_assert_not(read_message(frame->bytes, size, &read)); /* its lengths contradict each other */
        cr_assert(error_is(&err, &PROTOCOL_ERROR));
        bytes_put_u32(frame->bytes, (uint32_t)frame->size - 4);
    }
    frame_free(frame);
}

/* Two requests, or two replies. */
static struct mailraft_buffer some_body(enum message_type type)
{
    const struct request requests[] = {{REQUEST_COMMAND, 5, 0, (const uint8_t *)"set", 3}, {REQUEST_COUNT, 6, 9, NULL, 0}};
    const struct reply replies[] = {
        {.outcome = OUTCOME_APPLIED, .number = 5, .index = 9, .bytes = (const uint8_t *)"ok", .size = 2},
        {.outcome = OUTCOME_NOT_EXECUTED, .number = 6, .leader_id = 3},
    };
    struct mailraft_buffer body = {.bytes = NULL};

    for (int i = 0; i < 2; i++)
        if (type == FORWARD)
            requests_put(&body, &requests[i]);
        else
            replies_put(&body, &replies[i]);
    return body;
}

static struct frame *frame_with_body(enum message_type type)
{
    struct mailraft_buffer body = some_body(type);
    struct message message = full_message(type);
    struct frame *frame = wire_write_body(&message, body.bytes, body.size);

    buffer_fini(&body);
    return frame;
}

/* Whatever passes is in range. */
static void read_anything(const uint8_t *bytes, size_t size)
{
    struct message message;
    struct batch *entries;
    struct mailraft_buffer body;
    struct hello hello;

    if (read_all(&BULK, bytes, size, &message, &entries, &body)) {
        cr_assert(message.type_of_message > HELLO && message.type_of_message <= MESSAGE_TYPE_LAST);
        cr_assert(message.refusal <= REFUSAL_LAST);
        cr_assert_eq(message.server_id, SENDER);
        cr_assert_lt(message.curr_term, (uint64_t)INT64_MAX);
        cr_assert(message.time_us >= 0 && message.request_channel < CHANNEL_COUNT);
        cr_assert_eq(message.entry_count, entries != NULL ? entries->count : 0);
        cr_assert_eq(body.size > 0, message.type_of_message == FORWARD || message.type_of_message == FORWARDED);
        cr_assert(message.type_of_message != FORWARD || requests_check(&body, &err));
        cr_assert(message.type_of_message != FORWARDED || replies_check(&body, &err));
    } else {
        cr_assert_null(entries);
        cr_assert_null(body.bytes);
    }
    batch_free(entries);
    buffer_fini(&body);
    if (read_hello(bytes, size, &hello))
        cr_assert_lt(strlen(hello.cluster_name), (size_t)CLUSTER_NAME_MAX);
}

static void flip_every_bit(struct frame *frame)
{
    for (size_t bit = 0; bit < frame->size * 8; bit++) {
        frame->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        read_anything(frame->bytes, frame->size);
        frame->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    frame_free(frame);
}

Test(wire, a_flipped_bit_never_lets_anything_out_of_range_through)
{
    struct message message = full_message(REQUEST_APPEND_ENTRIES);
    struct hello hello = full_hello();

    flip_every_bit(wire_write_message(&message, NULL, true));
    flip_every_bit(wire_write_hello(&hello));
    for (int type = FORWARD; type <= FORWARDED; type++)
        flip_every_bit(frame_with_body((enum message_type)type));
}

Test(wire, garbage_never_lets_anything_out_of_range_through)
{
    uint64_t state = 1; /* the same garbage in every run */
    uint8_t bytes[300];

    for (int run = 0; run < 20000; run++) {
        size_t size = WIRE_HEAD_BYTES + (size_t)run % (sizeof bytes - WIRE_HEAD_BYTES);

        for (size_t i = 0; i < size; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            bytes[i] = (uint8_t)(state >> 56);
        }
        bytes_put_u32(bytes, (uint32_t)size - 4);
        bytes_put_u32(bytes + 4, (uint32_t)size - WIRE_HEAD_BYTES);
        bytes_put_u32(bytes + 8, 0);
        read_anything(bytes, size);
    }
}

static bool read_head_by(const struct wire_rules *rules, uint32_t follow, uint32_t packed, uint32_t flags)
{
    uint8_t head[WIRE_HEAD_BYTES];
    struct wire_sizes sizes;

    bytes_put_u32(head, follow);
    bytes_put_u32(head + 4, packed);
    bytes_put_u32(head + 8, flags);
    if (!wire_read_head(head, rules, &sizes, &err))
        return false;
    cr_assert_eq(sizes.message, packed);
    cr_assert_eq(sizes.cargo, follow - 8 - packed);
    return true;
}

static bool read_head(uint32_t follow, uint32_t packed, uint32_t flags)
{
    return read_head_by(&URGENT, follow, packed, flags);
}

Test(wire, a_frame_over_the_limit_is_refused)
{
    uint32_t most = WIRE_URGENT_BYTES_MAX - 4;

    cr_assert(read_head(most, most - 8, 0));
    cr_assert_not(read_head(most + 1, most - 7, 0));
    cr_assert_str_eq(err.message, "a frame of 65537 bytes is over the limit of 65536");
    cr_assert_not(read_head(UINT32_MAX, 0, 0));
    cr_assert_str_eq(err.message, "a frame of 4294967299 bytes is over the limit of 65536");
    most = WIRE_BULK_BYTES_MAX(ENTRY_BYTES_MAX_HERE) - 4;
    cr_assert(read_head_by(&BULK, most, 100, 0));
    cr_assert_not(read_head_by(&BULK, most + 1, 100, 0));
    most = WIRE_HELLO_BYTES_MAX - 4;
    cr_assert(read_head_by(&WIRE_HELLO_RULES, most, most - 8, 0));
    cr_assert_not(read_head_by(&WIRE_HELLO_RULES, most + 1, most - 7, 0));
}

Test(wire, only_members_on_the_bulk_channel_may_bring_cargo)
{
    struct wire_rules rules = wire_rules_of(SENDER, CHANNEL_BULK, 77);

    cr_assert_eq(rules.sender, SENDER);
    cr_assert_eq(rules.entry_bytes_max, 77u);
    cr_assert(read_head_by(&rules, 100, 91, 0));
    rules = wire_rules_of(SENDER, CHANNEL_URGENT, 77);
    cr_assert_eq(rules.frame_bytes_max, (size_t)WIRE_URGENT_BYTES_MAX);
    cr_assert_not(read_head_by(&rules, 100, 91, 0));
    cr_assert_str_eq(err.message, "a frame carries 1 bytes of cargo where none may be");
    cr_assert_not(read_head_by(&WIRE_HELLO_RULES, 100, 91, 0));
    cr_assert(error_is(&err, &PROTOCOL_ERROR));
}

Test(wire, lengths_that_contradict_each_other_are_refused)
{
    for (uint32_t follow = 0; follow < 8; follow++)
        cr_assert_not(read_head(follow, 0, 0));
    cr_assert(read_head(8, 0, 0));
    cr_assert_not(read_head(8, 1, 0));
    cr_assert_not(read_head(100, UINT32_MAX, 0));
    cr_assert(error_is(&err, &PROTOCOL_ERROR));
}

Test(wire, unknown_flags_are_refused)
{
    cr_assert(read_head(100, 92, 1));
    cr_assert_not(read_head(100, 92, 2));
    cr_assert_str_eq(err.message, "a frame has the unknown flags 0x2");
}

Test(wire, a_message_type_that_is_not_in_the_list_is_unexpected)
{
    const uint32_t types[] = {0, HELLO, MESSAGE_TYPE_LAST + 1, 99, UINT32_MAX};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        Mailraft__RaftMessage packet = MAILRAFT__RAFT_MESSAGE__INIT;
        char expected[60];

        packet.type_of_message = types[i];
        packet.server_id = SENDER;
        cr_assert_not(read_packet(&packet));
        cr_assert(error_is(&err, &UNEXPECTED_MESSAGE_ERROR));
        snprintf(expected, sizeof expected, "Unexpected message type: %u", types[i]);
        cr_assert_str_eq(err.message, expected);
    }
}

Test(wire, a_message_in_the_name_of_another_is_refused)
{
    Mailraft__RaftMessage packet = MAILRAFT__RAFT_MESSAGE__INIT;

    packet.type_of_message = REQUEST_VOTE;
    packet.server_id = SENDER + 1;
    cr_assert_not(read_packet(&packet));
    cr_assert_str_eq(err.message, "a message says that it is from 8");
}

Test(wire, a_number_that_cannot_be_counted_up_is_refused)
{
    Mailraft__RaftMessage packet = MAILRAFT__RAFT_MESSAGE__INIT;
    uint64_t *const numbers[] = {&packet.curr_term,      &packet.prev_index,    &packet.prev_term,
                                 &packet.last_log_index, &packet.last_log_term, &packet.commit_index,
                                 &packet.round,          &packet.time_us,       &packet.match_index,
                                 &packet.rejected_index, &packet.conflict_term, &packet.conflict_index};

    packet.type_of_message = REQUEST_VOTE;
    packet.server_id = SENDER;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        *numbers[i] = INT64_MAX - 1;
        cr_assert(read_packet(&packet));
        *numbers[i] = INT64_MAX;
        cr_assert_not(read_packet(&packet));
        *numbers[i] = UINT64_MAX;
        cr_assert_not(read_packet(&packet));
        cr_assert(error_is(&err, &PROTOCOL_ERROR));
        *numbers[i] = 0;
    }
}

Test(wire, an_unknown_refusal_is_refused)
{
    Mailraft__RaftMessage packet = MAILRAFT__RAFT_MESSAGE__INIT;

    packet.type_of_message = RESPONSE_VOTE;
    packet.server_id = SENDER;
    packet.refusal = REFUSAL_LAST + 1;
    cr_assert_not(read_packet(&packet));
    cr_assert_str_eq(err.message, "a message has an unknown refusal: 7");
}

Test(wire, fields_of_a_later_version_are_passed_over)
{
    struct message written = full_message(TIMEOUT_NOW), read;
    struct frame *frame = wire_write_message(&written, NULL, true);
    size_t packed = frame->size - WIRE_HEAD_BYTES;
    struct wire_sizes sizes = {packed + 3, 0};
    struct batch *entries;
    struct mailraft_buffer body;
    uint8_t bytes[500];

    memcpy(bytes, frame->bytes + WIRE_HEAD_BYTES, packed);
    memcpy(bytes + packed, "\x98\x06\x01", 3); /* field 99, a varint */
    cr_assert(wire_read_message(bytes, &sizes, &URGENT, &read, &entries, &body, &err), "%s", err.message);
    assert_same(&read, &written);
    frame_free(frame);
}

Test(wire, a_message_that_unfolds_to_much_more_than_its_bytes_is_refused)
{
    static uint8_t bytes[WIRE_URGENT_BYTES_MAX - WIRE_HEAD_BYTES];
    struct wire_sizes sizes = {sizeof bytes / 3 * 3, 0};
    struct batch *entries;
    struct mailraft_buffer body;
    struct message read;

    for (size_t i = 0; i + 3 <= sizeof bytes; i += 3)
        memcpy(bytes + i, "\x98\x06\x01", 3);
    cr_assert_not(wire_read_message(bytes, &sizes, &URGENT, &read, &entries, &body, &err));
    cr_assert(error_is(&err, &PROTOCOL_ERROR));
    cr_assert_str_eq(err.message, "a message of 65523 bytes does not decode");
}

Test(wire, what_is_no_hello_is_not_taken_for_one)
{
    Mailraft__RaftMessage packet = MAILRAFT__RAFT_MESSAGE__INIT;

    packet.type_of_message = REQUEST_VOTE;
    cr_assert_not(read_hello_packet(&packet));
    cr_assert(error_is(&err, &UNEXPECTED_MESSAGE_ERROR));
    cr_assert_str_eq(err.message, "Unexpected message type: 4 in place of a hello");
    packet.type_of_message = HELLO;
    cr_assert_not(read_hello_packet(&packet));
    cr_assert_str_eq(err.message, "a hello says nothing");
}

Test(wire, a_hello_whose_fields_have_other_lengths_is_refused)
{
    char name[CLUSTER_NAME_MAX + 1] = "";
    uint8_t id[17] = {0};
    Mailraft__Hello hello = MAILRAFT__HELLO__INIT;
    Mailraft__RaftMessage packet = MAILRAFT__RAFT_MESSAGE__INIT;

    packet.type_of_message = HELLO;
    packet.hello = &hello;
    hello.cluster_name = name;
    hello.cluster_uuid = hello.data_id = (ProtobufCBinaryData){16, id};
    cr_assert(read_hello_packet(&packet), "%s", err.message);
    hello.cluster_uuid.len = 17;
    cr_assert_not(read_hello_packet(&packet));
    cr_assert_str_eq(err.message, "a hello's ids have 17 and 16 bytes");
    hello.cluster_uuid.len = 16;
    hello.data_id.len = 0;
    cr_assert_not(read_hello_packet(&packet));
    hello.data_id.len = 16;
    memset(name, 'c', CLUSTER_NAME_MAX);
    cr_assert_not(read_hello_packet(&packet));
    cr_assert_str_eq(err.message, "a hello's cluster name has 65 bytes");
    name[0] = '\0';
    packet.server_id = 3;
    cr_assert_not(read_hello_packet(&packet));
    cr_assert_str_eq(err.message, "a hello names two senders: 3 and 0");
}

/* Entries of the terms 3 to 5 and of `first` on. */
static struct batch *some_entries(raft_index first, size_t count, size_t payload_size)
{
    struct batch *entries = batch_new();
    uint8_t *payload = memory_new(payload_size + 1);

    for (size_t i = 0; i < count; i++)
        batch_add(entries, entry_new(ENTRY_COMMAND, 3 + 2 * i / count, first + i, 9, payload, payload_size));
    memory_free(payload);
    return entries;
}

static struct message append_of(const struct batch *entries)
{
    return (struct message){
        .type_of_message = REQUEST_APPEND_ENTRIES,
        .server_id = SENDER,
        .curr_term = 5,
        .prev_index = 10,
        .prev_term = 3,
        .entry_count = (uint32_t)entries->count,
    };
}

/* The bytes of a frame whose message is told to be followed by these entries, whatever both say. */
static uint8_t *lay_out(struct message message, const struct batch *entries, size_t *size)
{
    uint32_t count = message.entry_count;
    struct frame *frame;
    uint8_t *bytes;
    size_t packed;

    message.entry_count = 0;
    frame = wire_write_message(&message, NULL, true);
    packed = frame->size - WIRE_HEAD_BYTES + (count > 0 ? 3 : 0);
    *size = WIRE_HEAD_BYTES + packed + entries->bytes;
    bytes = memory_new(*size);
    memcpy(bytes, frame->bytes, frame->size);
    cr_assert_lt(count, 128u);
    if (count > 0)
        memcpy(bytes + frame->size, (uint8_t[]){0x90, 0x01, (uint8_t)count}, 3); /* field 18, a varint */
    for (size_t i = 0, at = WIRE_HEAD_BYTES + packed; i < entries->count; at += entries->list[i++]->size)
        memcpy(bytes + at, entries->list[i]->bytes, entries->list[i]->size);
    bytes_put_u32(bytes, (uint32_t)*size - 4);
    bytes_put_u32(bytes + 4, (uint32_t)packed);
    frame_free(frame);
    return bytes;
}

static void assert_read(const struct message *message, const struct batch *entries)
{
    size_t size;
    uint8_t *bytes = lay_out(*message, entries, &size);
    struct message read;
    struct batch *got;

    cr_assert(read_by(&BULK, bytes, size, &read, &got), "%s", err.message);
    cr_assert_eq(read.entry_count, entries->count);
    cr_assert_eq(got->count, entries->count);
    for (size_t i = 0; i < got->count; i++) {
        cr_assert_eq(got->list[i]->size, entries->list[i]->size);
        cr_assert_arr_eq(got->list[i]->bytes, entries->list[i]->bytes, got->list[i]->size);
    }
    batch_free(got);
    memory_free(bytes);
}

static void assert_refused(const struct message *message, const struct batch *entries, const char *reason)
{
    size_t size;
    uint8_t *bytes = lay_out(*message, entries, &size);
    struct message read;
    struct batch *got = NULL;

    cr_assert_not(read_by(&BULK, bytes, size, &read, &got));
    cr_assert_null(got);
    cr_assert(error_is(&err, &PROTOCOL_ERROR));
    cr_assert_str_eq(err.message, reason);
    memory_free(bytes);
}

Test(wire, entries_come_back_as_they_were_written)
{
    static const size_t counts[] = {1, 2, 100};

    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        for (size_t payload = 0; payload < 300; payload += 150) {
            struct batch *entries = some_entries(11, counts[i], payload);
            struct message message = append_of(entries);

            assert_read(&message, entries);
            batch_free(entries);
        }
}

Test(wire, a_frame_of_entries_tells_the_lengths_of_all_of_it)
{
    struct batch *entries = some_entries(11, 3, 20);
    struct message message = append_of(entries);
    struct frame *frame = wire_write_message(&message, entries, true);

    cr_assert_eq(frame->size, frame->own_size + entries->bytes);
    cr_assert_eq(bytes_get_u32(frame->bytes), frame->size - 4);
    cr_assert_eq(bytes_get_u32(frame->bytes + 4), frame->own_size - WIRE_HEAD_BYTES);
    cr_assert_eq(frame->entries->list[2], entries->list[2]);
    frame_free(frame);
    batch_free(entries);
}

Test(wire, an_entry_of_just_the_limit_passes_and_one_byte_more_is_refused)
{
    struct batch *entries = some_entries(11, 1, ENTRY_BYTES_MAX_HERE - ENTRY_HEAD_BYTES);
    struct message message = append_of(entries);

    assert_read(&message, entries);
    batch_free(entries);
    entries = some_entries(11, 1, ENTRY_BYTES_MAX_HERE - ENTRY_HEAD_BYTES + 1);
    assert_refused(&message, entries, "an entry of 102401 bytes is over the limit of 102400");
    batch_free(entries);
}

Test(wire, a_frame_that_just_holds_what_a_sender_gathers_passes)
{
    struct batch *entries = some_entries(11, 1, ENTRY_BYTES_MAX_HERE - ENTRY_HEAD_BYTES), *many = batch_new();
    struct message message = full_message(REQUEST_APPEND_ENTRIES);
    struct frame *frame;

    message.prev_index = 10;
    message.entry_count = 1;
    frame = wire_write_message(&message, entries, true);
    cr_assert_leq(frame->own_size, 1024u); /* what the limit adds for the largest message */
    cr_assert_leq(frame->size, BULK.frame_bytes_max);
    frame_free(frame);
    batch_free(entries);
    for (raft_index index = 11; many->bytes < 64 * 1024; index++)
        batch_add(many, entry_new(ENTRY_NO_OP, 3, index, 0, NULL, 0));
    message.entry_count = (uint32_t)many->count;
    frame = wire_write_message(&message, many, true);
    cr_assert_leq(frame->size, WIRE_BULK_BYTES_MAX(ENTRY_HEAD_BYTES));
    frame_free(frame);
    batch_free(many);
}

Test(wire, entries_of_another_number_than_their_message_tells_are_refused)
{
    struct batch *entries = some_entries(11, 3, 5), *none = batch_new();
    struct message message = append_of(entries);

    message.entry_count = 2;
    assert_refused(&message, entries, "a message tells of 2 entries and carries 3");
    message.entry_count = 4;
    assert_refused(&message, entries, "a message tells of 4 entries and carries 3");
    message.entry_count = 0;
    assert_refused(&message, entries, "a message tells of 0 entries and carries 3");
    message.entry_count = 1;
    assert_refused(&message, none, "a message tells of 1 entries and carries none");
    message.type_of_message = RESPONSE_VOTE;
    assert_refused(&message, none, "a message tells of 1 entries and carries none");
    batch_free(entries);
    batch_free(none);
}

Test(wire, entries_in_a_message_that_has_no_place_for_them_are_refused)
{
    struct batch *entries = some_entries(11, 1, 5);
    struct message message = append_of(entries);

    message.type_of_message = RESPONSE_APPEND_ENTRIES;
    assert_refused(&message, entries, "a RESPONSE_APPEND_ENTRIES carries entries");
    batch_free(entries);
}

Test(wire, entries_that_do_not_go_on_where_their_message_says_are_refused)
{
    struct batch *entries = some_entries(12, 3, 5);
    struct message message = append_of(entries);

    assert_refused(&message, entries, "the entries behind 10 begin with 12");
    message.prev_index = 12;
    assert_refused(&message, entries, "the entries behind 12 begin with 12");
    message.prev_index = 11;
    assert_read(&message, entries);
    batch_free(entries);
}

Test(wire, entries_of_terms_that_their_message_cannot_know_of_are_refused)
{
    struct batch *entries = some_entries(11, 3, 5); /* of the terms 3, 3 and 4 */
    struct message message = append_of(entries);

    message.curr_term = 4;
    assert_read(&message, entries);
    message.curr_term = 3;
    assert_refused(&message, entries, "entries of the terms 3 to 4 stand behind one of 3 in a message of 3");
    message.curr_term = 5;
    message.prev_term = 4;
    assert_refused(&message, entries, "entries of the terms 3 to 4 stand behind one of 4 in a message of 5");
    batch_free(entries);
}

Test(wire, garbage_behind_a_message_is_refused)
{
    struct batch *entries = some_entries(11, 2, 5);
    struct message message = append_of(entries), read;
    struct batch *got;
    size_t size;
    uint8_t *bytes = lay_out(message, entries, &size);

    for (size_t cut = 1; cut < entries->bytes; cut++) {
        bytes_put_u32(bytes, (uint32_t)(size - cut) - 4);
        cr_assert_not(read_by(&BULK, bytes, size - cut, &read, &got));
        cr_assert(error_is(&err, &PROTOCOL_ERROR));
    }
    bytes_put_u32(bytes, (uint32_t)size - 4);
    for (size_t at = size - entries->bytes; at < size; at++) {
        bytes[at] ^= 0x10;
        cr_assert_not(read_by(&BULK, bytes, size, &read, &got));
        cr_assert(error_is(&err, &PROTOCOL_ERROR));
        bytes[at] ^= 0x10;
    }
    memory_free(bytes);
    batch_free(entries);
}

Test(wire, a_data_id_has_sixteen_bytes_or_none)
{
    uint8_t id[DATA_ID_SIZE + 1] = {0};
    Mailraft__RaftMessage packet = MAILRAFT__RAFT_MESSAGE__INIT;

    packet.type_of_message = REQUEST_VOTE;
    packet.server_id = SENDER;
    for (size_t size = 0; size <= sizeof id; size++) {
        packet.data_id = (ProtobufCBinaryData){size, id};
        cr_assert_eq(read_packet(&packet), size == 0 || size == DATA_ID_SIZE);
    }
    cr_assert_str_eq(err.message, "a message's data id has 17 bytes");
}

Test(wire, an_answer_to_a_request_over_an_unknown_channel_is_refused)
{
    Mailraft__RaftMessage packet = MAILRAFT__RAFT_MESSAGE__INIT;

    packet.type_of_message = RESPONSE_APPEND_ENTRIES;
    packet.server_id = SENDER;
    packet.request_channel = CHANNEL_COUNT - 1;
    cr_assert(read_packet(&packet), "%s", err.message);
    packet.request_channel = CHANNEL_COUNT;
    cr_assert_not(read_packet(&packet));
    cr_assert_str_eq(err.message, "a message names an unknown channel: 2");
}

/* ---- Bodies ---- */

Test(wire, a_body_comes_back_as_it_was_written_with_every_field_of_its_message)
{
    for (int type = FORWARD; type <= FORWARDED; type++) {
        struct mailraft_buffer written = some_body((enum message_type)type), body;
        struct message message = full_message((enum message_type)type), read;
        struct frame *frame = wire_write_body(&message, written.bytes, written.size);
        struct batch *entries;

        cr_assert_not(frame->droppable);
        cr_assert_eq(bytes_get_u32(frame->bytes), frame->size - 4);
        cr_assert_eq(bytes_get_u32(frame->bytes + 4), frame->size - WIRE_HEAD_BYTES - written.size);
        cr_assert_eq(bytes_get_u32(frame->bytes + 8), 0u);
        cr_assert(read_all(&BULK, frame->bytes, frame->size, &read, &entries, &body), "%s", err.message);
        assert_same(&read, &message);
        cr_assert_null(entries);
        cr_assert_eq(body.size, written.size);
        cr_assert_eq(body.room, written.size); /* what its letter pays for */
        cr_assert_arr_eq(body.bytes, written.bytes, written.size);
        buffer_fini(&body);
        buffer_fini(&written);
        frame_free(frame);
    }
}

Test(wire, a_portion_and_the_largest_request_just_fit_into_a_bulk_frame)
{
    uint8_t *bytes = memory_new(ENTRY_BYTES_MAX_HERE);
    const struct request request = {REQUEST_COMMAND, 1, 0, bytes, ENTRY_BYTES_MAX_HERE};
    struct mailraft_buffer written = {.bytes = NULL};
    struct message message = full_message(FORWARD);
    struct frame *frame;

    requests_put(&written, &request);
    frame = wire_write_body(&message, written.bytes, written.size);
    cr_assert_leq(frame->size, BULK.frame_bytes_max);
    frame_free(frame);
    frame = wire_write_body(&message, written.bytes, BODY_PORTION_BYTES);
    cr_assert_leq(frame->size, WIRE_BULK_BYTES_MAX(ENTRY_HEAD_BYTES));
    frame_free(frame);
    buffer_fini(&written);
    memory_free(bytes);
}

static void assert_body_refused(const struct wire_rules *rules, const struct frame *frame, const char *reason)
{
    struct message read;
    struct batch *entries;
    struct mailraft_buffer body;

    cr_assert_not(read_all(rules, frame->bytes, frame->size, &read, &entries, &body));
    cr_assert_null(body.bytes);
    cr_assert(error_is(&err, &PROTOCOL_ERROR));
    cr_assert_str_eq(err.message, reason);
}

Test(wire, a_body_that_is_not_sound_is_refused)
{
    struct frame *frame = frame_with_body(FORWARD);

    frame->bytes[frame->size - REQUEST_HEAD_BYTES] = 77; /* the second request's kind */
    assert_body_refused(&BULK, frame, "in a FORWARD: no sound request stands at 27 of 51 bytes");
    frame_free(frame);
    frame = frame_with_body(FORWARDED);
    frame->bytes[frame->size - 1] = 1; /* of the second reply's zero */
    assert_body_refused(&BULK, frame, "in a FORWARDED: no sound reply stands at 34 of 66 bytes");
    frame_free(frame);
}

Test(wire, a_forward_without_a_body_is_refused)
{
    for (int type = FORWARD; type <= FORWARDED; type++) {
        struct frame *frame = frame_with_body((enum message_type)type);
        size_t size = WIRE_HEAD_BYTES + bytes_get_u32(frame->bytes + 4);

        frame->size = size; /* freeing does not need it */
        bytes_put_u32(frame->bytes, (uint32_t)size - 4);
        assert_body_refused(&BULK, frame, type == FORWARD ? "a FORWARD carries nothing" : "a FORWARDED carries nothing");
        assert_body_refused(&URGENT, frame,
                            type == FORWARD ? "Unexpected message type: 9 where there is no cargo"
                                            : "Unexpected message type: 10 where there is no cargo");
        cr_assert(error_is(&err, &UNEXPECTED_MESSAGE_ERROR));
        frame_free(frame);
    }
}

Test(wire, a_body_on_the_urgent_channel_is_refused)
{
    struct frame *frame = frame_with_body(FORWARD);

    assert_body_refused(&URGENT, frame, "a frame carries 51 bytes of cargo where none may be");
    frame_free(frame);
}

Test(wire, entries_in_place_of_a_body_are_refused)
{
    struct batch *entries = some_entries(11, 1, 5), *got;
    struct message message = append_of(entries), read;
    struct mailraft_buffer body;
    size_t size;
    uint8_t *bytes = lay_out(message, entries, &size);

    cr_assert_eq(bytes[WIRE_HEAD_BYTES], 0x08); /* field 1, a varint: the type */
    bytes[WIRE_HEAD_BYTES + 1] = FORWARD;
    cr_assert_not(read_all(&BULK, bytes, size, &read, &got, &body));
    cr_assert_str_eq(err.message, "a FORWARD carries entries");
    memory_free(bytes);
    batch_free(entries);
}
