#include "mail/reader.h"

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/memory.h"
#include "mail/mailbox.h"
#include "mail/wire.h"
#include "sockets.h"
#include "unit/post.h"

TestSuite(reader, .init = post_open, .fini = post_close, .timeout = 120);

Test(reader, tells_of_a_connection_before_its_first_message_and_after_its_last)
{
    struct letter *letter;
    uint64_t incarnation;

    post_node(2)->config.rejoin_empty = true;
    post_start(1);
    post_start(2);
    letter = post_take(1, LETTER_CONNECTED);
    cr_assert_eq(letter->link.peer, 2);
    cr_assert_eq(letter->link.channel, CHANNEL_URGENT);
    cr_assert_neq(letter->link.incarnation, 0u);
    cr_assert_arr_eq(letter->hello.data_id.bytes, post_node(2)->config.data_id.bytes, DATA_ID_SIZE);
    incarnation = letter->link.incarnation;
    cr_assert_eq(incarnation, mailbox_incarnation(post_node(2)->mailbox));
    cr_assert(letter->hello.rejoin_empty);
    letter_free(letter);
    post_await_connected(2, 1, 1);
    for (uint64_t round = 1; round <= 100; round++)
        post_send(2, 1, round);
    post_stop(2);
    for (uint64_t round = 1; round <= 100; round++)
        cr_assert_eq(post_await_message(1), round); /* what the socket took before the stop arrives */
    letter = post_take(1, LETTER_DISCONNECTED);
    cr_assert_eq(letter->link.peer, 2);
    cr_assert_eq(letter->link.incarnation, incarnation);
    letter_free(letter);
}

Test(reader, refuses_hellos_that_are_not_for_it)
{
    struct hello hello;

    post_start(1);
    hello = post_hello(1);
    hello.version_lowest = hello.version_highest = 9;
    post_assert_refused(&hello, "it speaks the versions 9 to 9, we 1 to 1 level=warn");
    hello = post_hello(1);
    strcpy(hello.cluster_name, "away");
    post_assert_refused(&hello, "it belongs to the cluster \"away\", we to \"home\" level=warn");
    hello = post_hello(1);
    hello.receiver = 3;
    post_assert_refused(&hello, "it means 3, and we are 1 level=warn");
    hello = post_hello(1);
    hello.sender = 1;
    post_assert_refused(&hello, "it says that it is 1, which is us level=warn");
    hello = post_hello(1);
    hello.sender = 4;
    post_assert_refused(&hello, "it says that it is 4, which is no member level=warn");
    hello = post_hello(1);
    hello.members_checksum++;
    post_assert_refused(&hello, "2 lists other members than we do level=warn");
    hello = post_hello(1);
    hello.channel = 2;
    post_assert_refused(&hello, "2 wants the channel 2, which we do not know level=warn");
    post_assert_open(1); /* and no letter came of all that */
}

Test(reader, cuts_a_connection_that_says_no_complete_hello)
{
    struct hello hello = post_hello(1);
    struct frame *frame = wire_write_hello(&hello);
    int silent, halfway;

    post_start(1);
    silent = plain_connect(post_port(1));
    await_close(silent);
    post_await_lines(1, ": no complete hello within one second level=warn", 1);
    halfway = plain_connect(post_port(1));
    plain_write(halfway, frame->bytes, frame->size - 1);
    await_close(halfway);
    frame_free(frame);
    close(silent);
    close(halfway);
    post_assert_open(1);
}

/* Sends bytes as a stranger, or as member 2 after its hello, and waits for the end of the connection. */
static void send_bytes(uint64_t connection, const void *bytes, size_t size)
{
    int fd = connection == 0 ? plain_connect(post_port(1)) : post_call(connection);

    if (connection != 0)
        post_await_link(1, LETTER_CONNECTED, connection);
    plain_write(fd, bytes, size);
    await_close(fd);
    if (connection != 0)
        post_await_link(1, LETTER_DISCONNECTED, connection);
    close(fd);
}

static void frame_bytes(uint8_t bytes[40], uint32_t follow, uint32_t packed)
{
    memset(bytes, 0xff, 40); /* no protobuf */
    bytes_put_u32(bytes, follow);
    bytes_put_u32(bytes + 4, packed);
    bytes_put_u32(bytes + 8, 0);
}

Test(reader, closes_a_connection_that_brings_garbage_or_a_huge_length_and_no_other)
{
    uint8_t bytes[40];
    int fd;

    post_start(1);
    fd = post_call(1);
    post_await_link(1, LETTER_CONNECTED, 1);
    frame_bytes(bytes, 36, 28);
    send_bytes(0, bytes, sizeof bytes);
    post_await_lines(1, ": a message of 28 bytes does not decode level=warn", 1);
    frame_bytes(bytes, UINT32_MAX, 28);
    send_bytes(0, bytes, sizeof bytes);
    post_await_lines(1, ": a frame of 4294967299 bytes is over the limit of 4096 level=warn", 1);
    send_bytes(0, "GET / HTTP/1.1\r\n\r\n", 18);
    post_say_round(fd, 3);
    cr_assert_eq(post_await_message(1), 3u);
    close(fd);
    post_await_link(1, LETTER_DISCONNECTED, 1);
}

Test(reader, closes_the_connection_of_a_member_that_brings_garbage)
{
    uint8_t bytes[40];

    post_start(1);
    frame_bytes(bytes, 36, 28);
    send_bytes(1, bytes, sizeof bytes);
    post_await_lines(1, ": a message of 28 bytes does not decode level=warn", 1);
    frame_bytes(bytes, WIRE_URGENT_BYTES_MAX, 28);
    send_bytes(2, bytes, sizeof bytes);
    post_await_lines(1, ": a frame of 65540 bytes is over the limit of 65536 level=warn", 1);
    post_await_lines(1, "Closed the connection of 2 from 127.0.0.1:", 2);
    post_assert_open(3);
}

/* A frame with a message that has a type and nothing more. */
static struct frame *frame_of_type(uint8_t type)
{
    struct message message = {.type_of_message = REQUEST_VOTE, .server_id = 2};
    struct frame *frame = wire_write_message(&message, NULL, true);

    cr_assert_eq(frame->bytes[WIRE_HEAD_BYTES], 0x08); /* field 1, a varint */
    frame->bytes[WIRE_HEAD_BYTES + 1] = type;
    return frame;
}

Test(reader, closes_a_connection_that_brings_an_unknown_type)
{
    struct frame *frame = frame_of_type(99);
    struct hello hello = post_hello(1);

    post_start(1);
    send_bytes(1, frame->bytes, frame->size);
    post_await_lines(1, ": Unexpected message type: 99 level=warn", 1);
    frame_free(frame);
    frame = wire_write_hello(&hello);
    send_bytes(2, frame->bytes, frame->size); /* a second hello has no place there either */
    frame_free(frame);
    frame = frame_of_type(REQUEST_VOTE);
    send_bytes(0, frame->bytes, frame->size);
    post_await_lines(1, ": Unexpected message type: 4 in place of a hello level=warn", 1);
    frame_free(frame);
    post_assert_open(3);
}

Test(reader, takes_half_a_frame_at_the_end_of_a_connection_for_its_end)
{
    struct frame *frame = frame_of_type(REQUEST_VOTE);
    int fd;

    post_start(1);
    fd = post_call(1);
    post_await_link(1, LETTER_CONNECTED, 1);
    post_say_round(fd, 1);
    plain_write(fd, frame->bytes, frame->size - 1);
    close(fd);
    frame_free(frame);
    cr_assert_eq(post_await_message(1), 1u);
    post_await_link(1, LETTER_DISCONNECTED, 1);
    post_assert_open(2);
}

Test(reader, reads_frames_that_come_byte_by_byte)
{
    struct frame *frame = frame_of_type(REQUEST_VOTE);
    int fd;

    post_start(1);
    fd = post_call(1);
    post_await_link(1, LETTER_CONNECTED, 1);
    for (size_t i = 0; i < frame->size; i++)
        plain_write(fd, frame->bytes + i, 1);
    cr_assert_eq(post_await_message(1), 0u);
    frame_free(frame);
    close(fd);
}

Test(reader, complains_of_one_cause_at_most_once_a_second)
{
    int64_t began_us = clock_now_us();
    int seconds;

    post_start(1);
    for (int i = 0; i < 100; i++)
        send_bytes(0, "GET / HTTP/1.1\r\n\r\n", 18);
    post_stop(1);
    seconds = (int)((clock_now_us() - began_us) / 1000000);
    cr_assert_leq(post_count_lines(1, " bytes is over the limit of "), seconds + 1);
    cr_assert_geq(post_count_lines(1, " bytes is over the limit of "), 1);
}

Test(reader, puts_no_more_on_the_pile_than_its_peer_has_credit_for)
{
    const uint64_t credit = 256 * 1024 / sizeof(struct letter), total = 4 * credit; /* letters */
    static uint8_t bytes[500000];
    size_t size = 0, left = 0;
    int64_t now_us;
    int fd;

    post_start(1);
    fd = post_call(1);
    for (uint64_t round = 1; round <= total; round++) {
        struct message message = {.type_of_message = REQUEST_VOTE, .server_id = 2, .round = round};
        struct frame *frame = wire_write_message(&message, NULL, true);

        cr_assert_leq(size + frame->size, sizeof bytes);
        memcpy(bytes + size, frame->bytes, frame->size);
        size += frame->size;
        frame_free(frame);
    }
    plain_write(fd, bytes, size); /* so little that the connection holds it all */
    close(fd);
    fd = plain_connect(post_port(1));
    await_close(fd); /* a second, in which a reader that needed no credit would get to the end */
    close(fd);
    cr_assert_eq(post_count_lines(1, " ended: "), 0);
    post_await_link(1, LETTER_CONNECTED, 1);
    for (uint64_t round = 1; round <= total / 2; round++)
        cr_assert_eq(post_await_message(1), round);
    mailbox_stop(post_node(1)->mailbox); /* nobody takes any more, and the reader ends though it waits for credit */
    for (struct letter *letter; (letter = pile_take(post_node(1)->pile, LANE_CLIENTS, clock_now_us(), &now_us)) != NULL; left++)
        letter_free(letter);
    cr_assert_leq(left, credit + 3); /* one goes below zero, one and the last word need none when it is closed */
    pile_free(post_node(1)->pile);
    mailbox_free(post_node(1)->mailbox);
    log_close(post_node(1)->log);
    post_node(1)->mailbox = NULL;
}

/* Takes the entries that come next over the bulk channel, which are these. */
static void assert_come(const struct batch *entries)
{
    struct letter *letter = post_take_of(1, CHANNEL_BULK, LETTER_MESSAGE);

    cr_assert_eq(letter->link.peer, 2);
    cr_assert_eq(letter->message.entry_count, entries->count);
    cr_assert_eq(letter->entries->count, entries->count);
    for (size_t i = 0; i < entries->count; i++) {
        cr_assert_eq(letter->entries->list[i]->size, entries->list[i]->size);
        cr_assert(memcmp(letter->entries->list[i]->bytes, entries->list[i]->bytes, entries->list[i]->size) == 0);
    }
    cr_assert_geq(letter->credit_bytes, sizeof *letter + entries->bytes);
    letter_free(letter);
}

Test(reader, hands_over_entries_of_every_size_that_may_be)
{
    static const struct {
        size_t count, payload_size;
    } table[] = {
        {1, 0}, {1, 1}, {1, 700}, {1600, 0}, {500, 90}, {1, POST_ENTRY_BYTES_MAX - ENTRY_HEAD_BYTES}, {2, 30000}, {1, 0}};
    int fd;

    post_start(1);
    fd = post_call_bulk(1);
    letter_free(post_take_of(1, CHANNEL_BULK, LETTER_CONNECTED));
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct batch *entries = post_entries(table[i].count, table[i].payload_size);

        post_say_frame(fd, post_append(entries));
        assert_come(entries);
        batch_free(entries);
    }
    close(fd);
    letter_free(post_take_of(1, CHANNEL_BULK, LETTER_DISCONNECTED));
}

Test(reader, reads_entries_that_come_byte_by_byte)
{
    struct batch *entries = post_entries(20, 50);
    struct frame *frame = post_append(entries);
    uint8_t *bytes = post_frame_bytes(frame);
    int fd;

    post_start(1);
    fd = post_call_bulk(1);
    letter_free(post_take_of(1, CHANNEL_BULK, LETTER_CONNECTED));
    for (size_t i = 0; i < frame->size; i++)
        plain_write(fd, bytes + i, 1);
    assert_come(entries);
    memory_free(bytes);
    frame_free(frame);
    batch_free(entries);
    close(fd);
}

/* Says bytes over a bulk connection, which closes it and no other, and is told once. */
static void assert_closes_bulk(uint64_t connection, const void *bytes, size_t size, const char *reason)
{
    int fd = post_call_bulk(connection);

    letter_free(post_take_of(1, CHANNEL_BULK, LETTER_CONNECTED));
    plain_write(fd, bytes, size);
    await_close(fd);
    close(fd);
    letter_free(post_take_of(1, CHANNEL_BULK, LETTER_DISCONNECTED));
    post_await_lines(1, reason, 1);
}

Test(reader, closes_a_bulk_connection_whose_entries_are_wrong_and_no_other)
{
    struct batch *entries = post_entries(3, 10), *large = post_entries(1, POST_ENTRY_BYTES_MAX - ENTRY_HEAD_BYTES + 1);
    struct frame *frame = post_append(entries), *too_large = post_append(large);
    uint8_t *bytes = post_frame_bytes(frame), *large_bytes = post_frame_bytes(too_large);
    size_t last = entries->list[2]->size;
    int urgent;

    post_start(1);
    urgent = post_call(1);
    post_await_link(1, LETTER_CONNECTED, 1);
    bytes[frame->size - 1] ^= 1;
    assert_closes_bulk(1, bytes, frame->size, ": an entry's checksum does not fit level=warn");
    bytes_put_u32(bytes, (uint32_t)(frame->size - last - 4));
    assert_closes_bulk(2, bytes, frame->size - last, ": a message tells of 3 entries and carries 2 level=warn");
    assert_closes_bulk(3, large_bytes, too_large->size, ": an entry of 262145 bytes is over the limit of 262144 level=warn");
    post_say_round(urgent, 3);
    cr_assert_eq(post_await_message(1), 3u);
    close(urgent);
    memory_free(bytes);
    memory_free(large_bytes);
    frame_free(frame);
    frame_free(too_large);
    batch_free(entries);
    batch_free(large);
}

Test(reader, closes_an_urgent_connection_that_brings_entries)
{
    struct batch *entries = post_entries(1, 10);
    struct frame *frame = post_append(entries);
    uint8_t *bytes = post_frame_bytes(frame);

    post_start(1);
    send_bytes(1, bytes, frame->size);
    post_await_lines(1, ": a frame carries 50 bytes of cargo where none may be level=warn", 1);
    memory_free(bytes);
    frame_free(frame);
    batch_free(entries);
    post_assert_open(2);
}

/* How many bytes of entries and bodies 1's readers put on its pile when nobody takes them. */
static size_t bytes_on_the_pile(void)
{
    size_t left = 0;
    struct letter *letter;
    int64_t now_us;
    int fd = plain_connect(post_port(1));

    await_close(fd); /* a second, in which a reader that needed no credit would get to the end */
    close(fd);
    mailbox_stop(post_node(1)->mailbox);
    while ((letter = pile_take(post_node(1)->pile, LANE_CLIENTS, clock_now_us(), &now_us)) != NULL) {
        left += letter->entries != NULL ? letter->entries->bytes : 0;
        left += letter->kind == LETTER_MESSAGE ? letter->body.size : 0;
        letter_free(letter);
    }
    pile_free(post_node(1)->pile);
    mailbox_free(post_node(1)->mailbox);
    log_close(post_node(1)->log);
    post_node(1)->mailbox = NULL;
    return left;
}

Test(reader, needs_credit_for_the_bytes_of_entries_too)
{
    struct batch *entries = post_entries(1, 100 * 1024);
    size_t left;

    post_start(1);
    post_start(2);
    letter_free(post_take_of(2, CHANNEL_BULK, LETTER_REACHED));
    for (int i = 0; i < 20; i++)
        post_send_entries(2, 1, entries);
    left = bytes_on_the_pile();
    cr_assert_geq(left, 1u);
    cr_assert_leq(left, 1024 * 1024 + 2 * entries->bytes);
    batch_free(entries);
}

static struct mailraft_buffer body_of(size_t size)
{
    uint8_t *bytes = memory_new(size);
    const struct request request = {REQUEST_COMMAND, 1, 0, bytes, size};
    struct mailraft_buffer body = {.bytes = NULL};

    requests_put(&body, &request);
    memory_free(bytes);
    return body;
}

Test(reader, needs_credit_for_the_bytes_of_bodies_too)
{
    struct message message = {.type_of_message = FORWARD, .server_id = 2};
    struct mailraft_buffer body = body_of(100 * 1024);
    size_t left;

    post_start(1);
    post_start(2);
    letter_free(post_take_of(2, CHANNEL_BULK, LETTER_REACHED));
    for (int i = 0; i < 40; i++)
        mailbox_forward(post_node(2)->mailbox, 1, &message, &body);
    left = bytes_on_the_pile();
    cr_assert_geq(left, 1u);
    cr_assert_leq(left, 1024 * 1024 + 2 * body.size);
    buffer_fini(&body);
}

Test(reader, closes_a_bulk_connection_whose_body_is_wrong)
{
    struct message message = {.type_of_message = FORWARD, .server_id = 2};
    struct mailraft_buffer body = body_of(10);
    struct letter *letter;
    int fd;

    post_start(1);
    fd = post_call_bulk(1);
    letter_free(post_take_of(1, CHANNEL_BULK, LETTER_CONNECTED));
    post_say_frame(fd, wire_write_body(&message, body.bytes, body.size));
    letter = post_take_of(1, CHANNEL_BULK, LETTER_MESSAGE);
    cr_assert_eq(letter->body.size, body.size);
    letter_free(letter);
    post_say_frame(fd, wire_write_body(&message, body.bytes, body.size - 1));
    await_close(fd);
    close(fd);
    letter_free(post_take_of(1, CHANNEL_BULK, LETTER_DISCONNECTED));
    post_await_lines(1, ": in a FORWARD: no sound request stands at 0 of 33 bytes level=warn", 1);
    buffer_fini(&body);
    post_assert_open(2);
}
