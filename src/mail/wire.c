#include "mail/wire.h"

#include <assert.h>
#include <inttypes.h>
#include <stdalign.h>
#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/memory.h"
#include "raft_message.pb-c.h"

#define FLAG_DROPPABLE 1u

const struct wire_rules WIRE_HELLO_RULES = {.sender = NO_ONE, .frame_bytes_max = WIRE_HELLO_BYTES_MAX};

struct wire_rules wire_rules_of(raft_id sender, enum channel channel, size_t entry_bytes_max)
{
    if (channel == CHANNEL_URGENT)
        return (struct wire_rules){.sender = sender, .frame_bytes_max = WIRE_URGENT_BYTES_MAX};
    return (struct wire_rules){
        .sender = sender,
        .frame_bytes_max = WIRE_BULK_BYTES_MAX(entry_bytes_max),
        .entry_bytes_max = entry_bytes_max,
    };
}

/* What protobuf-c unpacks into: a message and what hangs on it live on the reader's stack, so that no bytes from
 * outside make us allocate, and no path can leak. A message that needs more is refused as one that does not decode. */
struct arena {
    size_t used;
    alignas(max_align_t) uint8_t bytes[8192];
};

static void *arena_new(void *context, size_t size)
{
    struct arena *arena = context;
    size_t rounded = (size + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
    void *memory = arena->bytes + arena->used;

    if (rounded < size || rounded > sizeof arena->bytes - arena->used)
        return NULL;
    arena->used += rounded;
    return memory;
}

static void arena_free(void *context, void *memory) /* the whole of it goes at once */
{
    (void)context;
    (void)memory;
}

/* body_size: of the room behind the message. */
static struct frame *frame_pack(const Mailraft__RaftMessage *packet, size_t body_size, const struct batch *entries,
                                bool droppable)
{
    size_t packed = mailraft__raft_message__get_packed_size(packet);
    struct frame *frame = frame_new(WIRE_HEAD_BYTES + packed + body_size, entries, droppable);

    assert(frame->size <= UINT32_MAX);
    bytes_put_u32(frame->bytes, (uint32_t)(frame->size - 4));
    bytes_put_u32(frame->bytes + 4, (uint32_t)packed);
    bytes_put_u32(frame->bytes + 8, droppable ? FLAG_DROPPABLE : 0);
    mailraft__raft_message__pack(packet, frame->bytes + WIRE_HEAD_BYTES);
    return frame;
}

static void assert_entries_fit(const struct message *message, const struct batch *entries)
{
    size_t count = entries != NULL ? entries->count : 0;

    assert(count == message->entry_count);
    assert(count == 0 || message->type_of_message == REQUEST_APPEND_ENTRIES);
    assert(count == 0 || entries->list[0]->index == message->prev_index + 1);
}

static struct frame *write_packet(const struct message *message, size_t body_size, const struct batch *entries,
                                  bool droppable)
{
    struct data_id data_id = message->data_id; /* protobuf-c wants a pointer to what is not const */
    Mailraft__RaftMessage packet = MAILRAFT__RAFT_MESSAGE__INIT;

    packet.type_of_message = message->type_of_message;
    packet.curr_term = message->curr_term;
    packet.server_id = message->server_id;
    packet.vote_granted = message->vote_granted;
    packet.entries_appended = message->entries_appended;
    packet.prev_index = message->prev_index;
    packet.prev_term = message->prev_term;
    packet.last_log_index = message->last_log_index;
    packet.last_log_term = message->last_log_term;
    packet.commit_index = message->commit_index;
    packet.round = message->round;
    packet.transfer = message->transfer;
    packet.refusal = message->refusal;
    packet.refusal_detail = message->refusal_detail;
    packet.round_trip_max_us = message->round_trip_max_us;
    if (!data_id_is_none(&data_id))
        packet.data_id = (ProtobufCBinaryData){DATA_ID_SIZE, data_id.bytes};
    packet.entry_count = message->entry_count;
    packet.time_us = (uint64_t)message->time_us;
    packet.match_index = message->match_index;
    packet.rejected_index = message->rejected_index;
    packet.conflict_term = message->conflict_term;
    packet.conflict_index = message->conflict_index;
    packet.request_incarnation = message->request_incarnation;
    packet.request_connection = message->request_connection;
    packet.request_channel = message->request_channel;
    return frame_pack(&packet, body_size, entries, droppable);
}

/* Whether requests or replies come with it, and never entries. */
static bool has_body(enum message_type type)
{
    return type == FORWARD || type == FORWARDED;
}

struct frame *wire_write_message(const struct message *message, const struct batch *entries, bool droppable)
{
    assert(message->type_of_message > HELLO && message->type_of_message <= MESSAGE_TYPE_LAST);
    assert(!has_body(message->type_of_message));
    assert_entries_fit(message, entries);
    return write_packet(message, 0, entries, droppable);
}

struct frame *wire_write_body(const struct message *message, const uint8_t *body, size_t size)
{
    struct frame *frame;

    assert(has_body(message->type_of_message));
    assert(size > 0);
    assert_entries_fit(message, NULL);
    frame = write_packet(message, size, NULL, false);
    memcpy(frame->bytes + frame->own_size - size, body, size);
    return frame;
}

struct frame *wire_write_hello(const struct hello *hello)
{
    struct hello said = *hello; /* protobuf-c wants pointers to what is not const */
    Mailraft__Hello hello_packet = MAILRAFT__HELLO__INIT;
    Mailraft__RaftMessage packet = MAILRAFT__RAFT_MESSAGE__INIT;

    hello_packet.version_lowest = said.version_lowest;
    hello_packet.version_highest = said.version_highest;
    hello_packet.cluster_name = said.cluster_name;
    hello_packet.cluster_uuid = (ProtobufCBinaryData){sizeof said.cluster_uuid.bytes, said.cluster_uuid.bytes};
    hello_packet.sender = said.sender;
    hello_packet.receiver = said.receiver;
    hello_packet.channel = said.channel;
    hello_packet.incarnation = said.incarnation;
    hello_packet.connection = said.connection;
    hello_packet.data_id = (ProtobufCBinaryData){sizeof said.data_id.bytes, said.data_id.bytes};
    hello_packet.members_checksum = said.members_checksum;
    hello_packet.rejoin_empty = said.rejoin_empty;
    packet.type_of_message = HELLO;
    packet.server_id = said.sender;
    packet.hello = &hello_packet;
    return frame_pack(&packet, 0, NULL, false);
}

bool wire_read_head(const uint8_t *head, const struct wire_rules *rules, struct wire_sizes *sizes,
                    struct mailraft_error *err)
{
    uint32_t follow = bytes_get_u32(head);
    uint32_t packed = bytes_get_u32(head + 4);
    uint32_t flags = bytes_get_u32(head + 8);

    if (follow > rules->frame_bytes_max - 4)
        return error_raise(err, &PROTOCOL_ERROR, "a frame of %" PRIu64 " bytes is over the limit of %zu",
                           (uint64_t)follow + 4, rules->frame_bytes_max);
    if (follow < WIRE_HEAD_BYTES - 4 || packed > follow - (WIRE_HEAD_BYTES - 4))
        return error_raise(err, &PROTOCOL_ERROR, "a frame's lengths contradict each other: %" PRIu32 " and %" PRIu32,
                           follow, packed);
    if ((flags & ~FLAG_DROPPABLE) != 0)
        return error_raise(err, &PROTOCOL_ERROR, "a frame has the unknown flags %#" PRIx32, flags);
    *sizes = (struct wire_sizes){packed, follow - (WIRE_HEAD_BYTES - 4) - packed};
    if (sizes->cargo > 0 && rules->entry_bytes_max == 0)
        return error_raise(err, &PROTOCOL_ERROR, "a frame carries %zu bytes of cargo where none may be", sizes->cargo);
    return true;
}

/* NULL for what does not decode. */
static const Mailraft__RaftMessage *packet_unpack(struct arena *arena, const uint8_t *rest, size_t size,
                                                  struct mailraft_error *err)
{
    ProtobufCAllocator allocator = {arena_new, arena_free, arena};
    const Mailraft__RaftMessage *packet;

    arena->used = 0;
    packet = mailraft__raft_message__unpack(&allocator, size, rest);
    if (packet == NULL)
        error_raise(err, &PROTOCOL_ERROR, "a message of %zu bytes does not decode", size);
    return packet;
}

/* Terms and indexes end where one more still fits into 63 bits: nobody gets there by counting, and no sum of ours can
 * wrap. */
static bool check_numbers(const Mailraft__RaftMessage *packet, struct mailraft_error *err)
{
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"curr_term", packet->curr_term},
        {"prev_index", packet->prev_index},
        {"prev_term", packet->prev_term},
        {"last_log_index", packet->last_log_index},
        {"last_log_term", packet->last_log_term},
        {"commit_index", packet->commit_index},
        {"round", packet->round},
        {"time_us", packet->time_us},
        {"match_index", packet->match_index},
        {"rejected_index", packet->rejected_index},
        {"conflict_term", packet->conflict_term},
        {"conflict_index", packet->conflict_index},
    };

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i].value >= INT64_MAX)
            return error_raise(err, &PROTOCOL_ERROR, "a message has a %s out of range: %" PRIu64, numbers[i].name,
                               numbers[i].value);
    if (packet->refusal > REFUSAL_LAST)
        return error_raise(err, &PROTOCOL_ERROR, "a message has an unknown refusal: %" PRIu32, packet->refusal);
    if (packet->request_channel >= CHANNEL_COUNT)
        return error_raise(err, &PROTOCOL_ERROR, "a message names an unknown channel: %" PRIu32,
                           packet->request_channel);
    if (packet->data_id.len != 0 && packet->data_id.len != DATA_ID_SIZE)
        return error_raise(err, &PROTOCOL_ERROR, "a message's data id has %zu bytes", packet->data_id.len);
    return true;
}

static bool check_message(const Mailraft__RaftMessage *packet, const struct wire_rules *rules,
                          struct mailraft_error *err)
{
    uint32_t type = packet->type_of_message;

    if (type <= HELLO || type > MESSAGE_TYPE_LAST)
        return error_raise(err, &UNEXPECTED_MESSAGE_ERROR, "Unexpected message type: %" PRIu32, type);
    if (has_body(type) && rules->entry_bytes_max == 0)
        return error_raise(err, &UNEXPECTED_MESSAGE_ERROR, "Unexpected message type: %" PRIu32 " where there is no cargo",
                           type);
    if (packet->server_id != rules->sender)
        return error_raise(err, &PROTOCOL_ERROR, "a message says that it is from %" PRId32, packet->server_id);
    return check_numbers(packet, err);
}

static void take_message(struct message *message, const Mailraft__RaftMessage *packet)
{
    *message = (struct message){
        .type_of_message = packet->type_of_message,
        .curr_term = packet->curr_term,
        .server_id = packet->server_id,
        .last_log_index = packet->last_log_index,
        .last_log_term = packet->last_log_term,
        .transfer = packet->transfer,
        .vote_granted = packet->vote_granted,
        .refusal = packet->refusal,
        .refusal_detail = packet->refusal_detail,
        .prev_index = packet->prev_index,
        .prev_term = packet->prev_term,
        .commit_index = packet->commit_index,
        .entry_count = packet->entry_count,
        .round_trip_max_us = packet->round_trip_max_us,
        .time_us = (int64_t)packet->time_us,
        .entries_appended = packet->entries_appended,
        .match_index = packet->match_index,
        .rejected_index = packet->rejected_index,
        .conflict_term = packet->conflict_term,
        .conflict_index = packet->conflict_index,
        .request_incarnation = packet->request_incarnation,
        .request_connection = packet->request_connection,
        .request_channel = packet->request_channel,
        .round = packet->round,
    };
    if (packet->data_id.len == DATA_ID_SIZE)
        memcpy(message->data_id.bytes, packet->data_id.data, DATA_ID_SIZE);
}

/* Whether the entries, which follow one another, go on where their message says, in terms that it can know of. */
static bool check_entries(const struct message *message, const struct batch *entries, struct mailraft_error *err)
{
    const struct entry *first = entries->list[0], *last = entries->list[entries->count - 1];

    if (message->type_of_message != REQUEST_APPEND_ENTRIES)
        return error_raise(err, &PROTOCOL_ERROR, "a %s carries entries", message_type_name(message->type_of_message));
    if (entries->count != message->entry_count)
        return error_raise(err, &PROTOCOL_ERROR, "a message tells of %" PRIu32 " entries and carries %zu",
                           message->entry_count, entries->count);
    if (first->index != message->prev_index + 1)
        return error_raise(err, &PROTOCOL_ERROR, "the entries behind %" PRIu64 " begin with %" PRIu64,
                           message->prev_index, first->index);
    if (first->term < message->prev_term || last->term > message->curr_term)
        return error_raise(err, &PROTOCOL_ERROR,
                           "entries of the terms %" PRIu64 " to %" PRIu64 " stand behind one of %" PRIu64
                           " in a message of %" PRIu64,
                           first->term, last->term, message->prev_term, message->curr_term);
    return true;
}

/* NULL where they do not decode, or are not those that the message tells of. */
static struct batch *read_entries(const uint8_t *bytes, size_t size, const struct wire_rules *rules,
                                  const struct message *message, struct mailraft_error *err)
{
    struct batch *entries = batch_decode(bytes, size, rules->entry_bytes_max, err);

    if (entries == NULL || check_entries(message, entries, err))
        return entries;
    batch_free(entries);
    return NULL;
}

/* In memory of just their size. False where they are not sound. */
static bool read_body(const uint8_t *bytes, size_t size, enum message_type type, struct mailraft_buffer *body,
                      struct mailraft_error *err)
{
    if (size == 0)
        return error_raise(err, &PROTOCOL_ERROR, "a %s carries nothing", message_type_name(type));
    *body = (struct mailraft_buffer){memory_resize(NULL, size), size, size};
    memcpy(body->bytes, bytes, size);
    if (type == FORWARD ? requests_check(body, err) : replies_check(body, err))
        return true;
    buffer_fini(body);
    return error_prefix(err, "in a %s", message_type_name(type));
}

bool wire_read_message(const uint8_t *rest, const struct wire_sizes *sizes, const struct wire_rules *rules,
                       struct message *message, struct batch **entries, struct mailraft_buffer *body,
                       struct mailraft_error *err)
{
    struct arena arena;
    const Mailraft__RaftMessage *packet = packet_unpack(&arena, rest, sizes->message, err);
    const uint8_t *cargo = rest + sizes->message;

    *entries = NULL;
    *body = (struct mailraft_buffer){.bytes = NULL};
    if (packet == NULL || !check_message(packet, rules, err))
        return false;
    take_message(message, packet);
    if (has_body(message->type_of_message) && message->entry_count == 0)
        return read_body(cargo, sizes->cargo, message->type_of_message, body, err);
    if (sizes->cargo > 0) {
        *entries = read_entries(cargo, sizes->cargo, rules, message, err);
        return *entries != NULL;
    }
    if (message->entry_count > 0)
        return error_raise(err, &PROTOCOL_ERROR, "a message tells of %" PRIu32 " entries and carries none",
                           message->entry_count);
    return true;
}

static bool check_hello(const Mailraft__RaftMessage *packet, struct mailraft_error *err)
{
    const Mailraft__Hello *hello = packet->hello;

    if (packet->type_of_message != HELLO)
        return error_raise(err, &UNEXPECTED_MESSAGE_ERROR, "Unexpected message type: %" PRIu32 " in place of a hello",
                           packet->type_of_message);
    if (hello == NULL)
        return error_raise(err, &PROTOCOL_ERROR, "a hello says nothing");
    if (packet->server_id != hello->sender)
        return error_raise(err, &PROTOCOL_ERROR, "a hello names two senders: %" PRId32 " and %" PRId32,
                           packet->server_id, hello->sender);
    if (strlen(hello->cluster_name) >= CLUSTER_NAME_MAX)
        return error_raise(err, &PROTOCOL_ERROR, "a hello's cluster name has %zu bytes", strlen(hello->cluster_name));
    if (hello->cluster_uuid.len != CLUSTER_UUID_SIZE || hello->data_id.len != DATA_ID_SIZE)
        return error_raise(err, &PROTOCOL_ERROR, "a hello's ids have %zu and %zu bytes", hello->cluster_uuid.len,
                           hello->data_id.len);
    return true;
}

bool wire_read_hello(const uint8_t *rest, size_t size, struct hello *hello, struct mailraft_error *err)
{
    struct arena arena;
    const Mailraft__RaftMessage *packet = packet_unpack(&arena, rest, size, err);
    const Mailraft__Hello *said;

    if (packet == NULL || !check_hello(packet, err))
        return false;
    said = packet->hello;
    *hello = (struct hello){
        .version_lowest = said->version_lowest,
        .version_highest = said->version_highest,
        .sender = said->sender,
        .receiver = said->receiver,
        .channel = said->channel,
        .incarnation = said->incarnation,
        .connection = said->connection,
        .members_checksum = said->members_checksum,
        .rejoin_empty = said->rejoin_empty,
    };
    strcpy(hello->cluster_name, said->cluster_name);
    memcpy(hello->cluster_uuid.bytes, said->cluster_uuid.data, CLUSTER_UUID_SIZE);
    memcpy(hello->data_id.bytes, said->data_id.data, DATA_ID_SIZE);
    return true;
}
