#include "mail/outbox.h"

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/memory.h"
#include "sockets.h"

#define BYTES_MAX (256 * 1024) /* of the outbox */
#define LARGE_BYTES (16 * 1024 * 1024) /* more than the buffers of a connection hold */

static struct mailraft_error err;
static struct bell quiet;
static struct outbox *outbox;
static int holder, listener;
static uint16_t port;

static void prepare(void)
{
    cr_assert(bell_init(&quiet, &err));
    holder = hold_port(&port);
    listener = plain_listen(port, 10);
    outbox = outbox_new(BYTES_MAX, &err);
    cr_assert_not_null(outbox);
}

static void clear(void)
{
    outbox_free(outbox);
    close(listener);
    close(holder);
    bell_fini(&quiet);
}

TestSuite(outbox, .init = prepare, .fini = clear, .timeout = 60);

/* A frame that can be told from others by its number. */
static size_t send_numbered(uint64_t number, bool droppable)
{
    struct message message = {.type_of_message = REQUEST_VOTE, .server_id = 2, .round = number};
    struct frame *frame = wire_write_message(&message, NULL, droppable);
    size_t size = frame->size;

    outbox_send(outbox, frame);
    return size;
}

static struct stream *connect_stream(int *fd)
{
    struct endpoint to = {.v4 = loopback(port), .size = sizeof to.v4};
    struct stream *stream = stream_connect(&to, clock_now_us() + WAIT_MS * 1000, &quiet, &err);

    cr_assert_not_null(stream, "%s", err.message);
    *fd = plain_accept(listener);
    return stream;
}

static bool flush_outbox(void)
{
    bool waiting;

    cr_assert(outbox_flush(outbox, &waiting, &err), "%s", err.message);
    return waiting;
}

/* What was kept for a connection has left, or waits for the socket. */
static struct stream *open_outbox(int *fd)
{
    struct stream *stream = connect_stream(fd);

    outbox_open(outbox, stream);
    flush_outbox();
    return stream;
}

static void close_outbox(struct stream *stream)
{
    outbox_close(outbox);
    stream_close(stream);
}

/* The next frame that arrives, whose body, where it has one, is thrown away; false at the end of the stream. */
static bool read_frame(int fd, struct message *message, struct batch **entries)
{
    const struct wire_rules rules = wire_rules_of(2, CHANNEL_BULK, 1024 * 1024);
    static uint8_t body[WIRE_BULK_BYTES_MAX(1024 * 1024)];
    uint8_t head[WIRE_HEAD_BYTES];
    struct wire_sizes sizes;
    struct mailraft_buffer got;

    if (plain_read(fd, head, sizeof head) == 0)
        return false;
    cr_assert(wire_read_head(head, &rules, &sizes, &err), "%s", err.message);
    cr_assert_eq(plain_read(fd, body, sizes.message + sizes.cargo), sizes.message + sizes.cargo);
    cr_assert(wire_read_message(body, &sizes, &rules, message, entries, &got, &err), "%s", err.message);
    buffer_fini(&got);
    return true;
}

/* The number of the next frame that arrives; 0 at the end of the stream. */
static uint64_t read_numbered(int fd)
{
    struct message message;
    struct batch *entries;

    if (!read_frame(fd, &message, &entries))
        return 0;
    cr_assert_null(entries);
    return message.round;
}

static struct batch *some_entries(size_t count, size_t payload_size)
{
    struct batch *entries = batch_new();
    uint8_t *payload = memory_new(payload_size + 1);

    for (size_t i = 1; i <= count; i++) {
        payload[0] = (uint8_t)i;
        batch_add(entries, entry_new(ENTRY_COMMAND, 1, i, 0, payload, payload_size));
    }
    memory_free(payload);
    return entries;
}

static struct frame *frame_with(const struct batch *entries, uint64_t number, bool droppable)
{
    struct message message = {
        .type_of_message = REQUEST_APPEND_ENTRIES,
        .server_id = 2,
        .curr_term = 1,
        .entry_count = (uint32_t)entries->count,
        .round = number,
    };

    return wire_write_message(&message, entries, droppable);
}

/* A FORWARD with one request of so many bytes. Returns the frame's size. */
static size_t send_body(uint64_t number, size_t bytes)
{
    struct message message = {.type_of_message = FORWARD, .server_id = 2, .round = number};
    uint8_t *command = memory_new(bytes);
    const struct request request = {REQUEST_COMMAND, number, 0, command, bytes};
    struct mailraft_buffer body = {.bytes = NULL};
    struct frame *frame;
    size_t size;

    requests_put(&body, &request);
    frame = wire_write_body(&message, body.bytes, body.size);
    size = frame->size;
    outbox_send(outbox, frame);
    buffer_fini(&body);
    memory_free(command);
    return size;
}

/* Writes bytes past the outbox until the connection takes no more, also after it had time to pass on what it took. How
 * many. */
static size_t stuff(struct stream *stream)
{
    static const uint8_t bytes[65536];
    struct pollfd room = {.fd = stream_fd(stream), .events = POLLOUT};
    size_t sum = 0, written;
    int in_vain = 0;

    while (in_vain < 3) {
        cr_assert(stream_write_some(stream, bytes, sizeof bytes, &written, &err));
        sum += written;
        in_vain = written > 0 ? 0 : in_vain + 1;
        if (written == 0)
            poll(&room, 1, 200);
    }
    return sum;
}

static void read_away(int fd, size_t size)
{
    static uint8_t bytes[65536];

    while (size > 0) {
        size_t part = size < sizeof bytes ? size : sizeof bytes;

        cr_assert_eq(plain_read(fd, bytes, part), part);
        size -= part;
    }
}

/* Lets the writer's part happen while the peer reads: everything arrives. */
static void read_to_number(int fd, uint64_t last)
{
    while (read_numbered(fd) != last)
        flush_outbox();
}

/* A frame that no socket takes at once: from here on it is begun. */
static void send_large(bool droppable)
{
    outbox_send(outbox, frame_new(LARGE_BYTES, NULL, droppable));
    cr_assert(flush_outbox());
}

Test(outbox, sends_at_once_what_the_socket_takes)
{
    int fd;
    struct stream *stream = open_outbox(&fd);

    send_numbered(1, true);
    send_numbered(2, false);
    cr_assert_eq(read_numbered(fd), 1u);
    cr_assert_eq(read_numbered(fd), 2u);
    cr_assert_not(flush_outbox());
    cr_assert_not(bell_is_rung(outbox_bell(outbox))); /* the writer has nothing to do */
    close_outbox(stream);
    close(fd);
}

Test(outbox, keeps_the_newest_droppable_frames_while_there_is_no_connection)
{
    int fd;
    struct stream *stream;

    for (uint64_t number = 1; number <= 100; number++)
        send_numbered(number, true);
    cr_assert_not(bell_is_rung(outbox_bell(outbox)));
    stream = open_outbox(&fd);
    cr_assert_not(flush_outbox());
    close_outbox(stream);
    for (uint64_t number = 100 - OUTBOX_UNCONNECTED_MAX + 1; number <= 100; number++)
        cr_assert_eq(read_numbered(fd), number);
    cr_assert_eq(read_numbered(fd), 0u);
    close(fd);
}

Test(outbox, keeps_no_frame_that_may_not_be_dropped_while_there_is_no_connection)
{
    int fd;
    struct stream *stream;

    for (uint64_t number = 1; number <= 2 * OUTBOX_UNCONNECTED_MAX; number++)
        send_numbered(number, number % 2 == 0);
    stream = open_outbox(&fd);
    close_outbox(stream);
    for (uint64_t number = 2; number <= 2 * OUTBOX_UNCONNECTED_MAX; number += 2)
        cr_assert_eq(read_numbered(fd), number);
    cr_assert_eq(read_numbered(fd), 0u);
    close(fd);
}

Test(outbox, keeps_all_for_a_connection_that_others_are_yet_to_be_told_of)
{
    int fd;
    struct stream *stream = connect_stream(&fd);

    outbox_open(outbox, stream);
    for (uint64_t number = 1; number <= 2 * OUTBOX_UNCONNECTED_MAX; number++)
        send_numbered(number, number % 2 == 0);
    cr_assert_eq(recv(fd, &(char){0}, 1, MSG_DONTWAIT | MSG_PEEK), -1); /* nothing leaves yet */
    cr_assert_not(flush_outbox());
    send_numbered(2 * OUTBOX_UNCONNECTED_MAX + 1, false);
    close_outbox(stream);
    for (uint64_t number = 1; number <= 2 * OUTBOX_UNCONNECTED_MAX + 1; number++)
        cr_assert_eq(read_numbered(fd), number);
    cr_assert_eq(read_numbered(fd), 0u);
    close(fd);
}

Test(outbox, tells_the_writer_once_that_frames_wait_for_the_socket)
{
    int fd;
    struct stream *stream = connect_stream(&fd);
    size_t stuffed = stuff(stream);

    outbox_open(outbox, stream);
    send_numbered(1, true);
    send_numbered(2, true);
    cr_assert(bell_is_rung(outbox_bell(outbox)));
    bell_silence(outbox_bell(outbox));
    send_numbered(3, true);
    cr_assert_not(bell_is_rung(outbox_bell(outbox)));
    cr_assert(flush_outbox());
    read_away(fd, stuffed);
    while (flush_outbox())
        ;
    read_to_number(fd, 3);
    close_outbox(stream);
    close(fd);
}

Test(outbox, of_a_peer_that_does_not_read_is_bounded_and_drops_the_oldest)
{
    int fd;
    struct stream *stream = connect_stream(&fd);
    size_t stuffed = stuff(stream), size = 0, kept = 0;                         /* kept: frames behind the gap */
    uint64_t first = 1 << 14, last = first + 50000, number, before = first - 1; /* frames of one size */

    outbox_open(outbox, stream);
    for (number = first; number <= last; number++)
        size = send_numbered(number, true);
    cr_assert(flush_outbox());
    read_away(fd, stuffed);
    while (before != last) {
        flush_outbox();
        number = read_numbered(fd);
        cr_assert_gt(number, before); /* in order */
        if (number > before + 1) {
            cr_assert_eq(kept, 0u, "there is one gap: the oldest were dropped");
            kept = 1;
        } else if (kept > 0) {
            kept++;
        }
        before = number;
    }
    cr_assert_leq(kept * size, (size_t)BYTES_MAX);
    cr_assert_geq(kept * size, (size_t)BYTES_MAX - 4 * size);
    close_outbox(stream);
    close(fd);
}

Test(outbox, never_drops_a_frame_that_was_begun)
{
    int fd;
    struct stream *stream = open_outbox(&fd);
    static uint8_t bytes[65536];

    send_large(true);
    for (uint64_t number = 1; number <= 100; number++)
        send_numbered(number, true);
    for (size_t rest = LARGE_BYTES; rest > 0; flush_outbox()) {
        size_t part = rest < sizeof bytes ? rest : sizeof bytes;

        cr_assert_eq(plain_read(fd, bytes, part), part);
        rest -= part;
    }
    send_numbered(101, true);
    cr_assert_eq(read_numbered(fd), 101u); /* all of the others were over the bound */
    close_outbox(stream);
    close(fd);
}

Test(outbox, full_of_frames_that_may_not_be_dropped_drops_only_others)
{
    const uint64_t forwards = 1000, appends = 30;
    struct batch *entries = some_entries(1, BYTES_MAX / 10 - 100);
    size_t got_forwards = 0, got_appends = 0;
    int fd;
    struct stream *stream = connect_stream(&fd);
    size_t stuffed = stuff(stream), waiting = 0;
    struct message message;

    outbox_open(outbox, stream);
    for (uint64_t number = 1; number <= forwards; number++) {
        waiting += send_body(number, 1000);
        if (number % (forwards / appends) == 0)
            outbox_send(outbox, frame_with(entries, number, true));
    }
    cr_assert_gt(waiting, 3u * BYTES_MAX);
    cr_assert_gt(outbox_waiting_bytes(outbox), waiting);
    cr_assert_leq(outbox_waiting_bytes(outbox), waiting + BYTES_MAX);
    cr_assert(flush_outbox());
    read_away(fd, stuffed);
    while (got_forwards < forwards) {
        struct batch *got;

        flush_outbox();
        cr_assert(read_frame(fd, &message, &got));
        got_forwards += message.type_of_message == FORWARD;
        got_appends += message.type_of_message == REQUEST_APPEND_ENTRIES;
        cr_assert_eq(message.type_of_message == FORWARD ? message.round : got_forwards, got_forwards); /* all, in order */
        batch_free(got);
    }
    cr_assert_eq(got_appends, 10u); /* as many as the bound has room for, whatever else waits */
    cr_assert_eq(outbox_waiting_bytes(outbox), 0u);
    close_outbox(stream);
    batch_free(entries);
    close(fd);
}

Test(outbox, tells_how_much_waits)
{
    int fd;
    struct stream *stream;
    size_t size = send_numbered(1, true), begun;

    cr_assert_eq(outbox_waiting_bytes(outbox), size);
    cr_assert_eq(send_numbered(2, true), size);
    send_numbered(3, false);
    cr_assert_eq(outbox_waiting_bytes(outbox), 2 * size);
    stream = open_outbox(&fd);
    cr_assert_eq(outbox_waiting_bytes(outbox), 0u);
    send_large(true);
    begun = outbox_waiting_bytes(outbox);
    cr_assert_gt(begun, 0u);
    cr_assert_lt(begun, (size_t)LARGE_BYTES);
    close_outbox(stream);
    cr_assert_eq(outbox_waiting_bytes(outbox), 0u);
    close(fd);
}

Test(outbox, keeps_nothing_of_a_connection_that_ends)
{
    int fd;
    struct stream *stream = connect_stream(&fd);

    stuff(stream);
    outbox_open(outbox, stream);
    send_numbered(1, true);
    send_numbered(2, false);
    send_body(3, 100);
    close_outbox(stream);
    close(fd);
    stream = open_outbox(&fd);
    send_large(false);
    send_numbered(4, false);
    close_outbox(stream);
    close(fd);
    send_numbered(5, true);
    stream = open_outbox(&fd);
    close_outbox(stream);
    cr_assert_eq(read_numbered(fd), 5u);
    cr_assert_eq(read_numbered(fd), 0u);
    close(fd);
}

Test(outbox, tells_the_writer_that_its_stream_has_failed)
{
    struct linger reset = {.l_onoff = 1};
    int fd;
    struct stream *stream = open_outbox(&fd);
    bool waiting;

    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    close(fd);
    await_readable(stream_fd(stream));
    send_numbered(1, true);
    cr_assert(bell_is_rung(outbox_bell(outbox)));
    cr_assert_not(outbox_flush(outbox, &waiting, &err));
    cr_assert(error_is(&err, &NETWORK_ERROR));
    close_outbox(stream);
    stream = open_outbox(&fd);
    send_numbered(2, true);
    cr_assert_eq(read_numbered(fd), 2u); /* the next one works, and the frame that failed is gone */
    close_outbox(stream);
    close(fd);
}

Test(outbox, a_nudge_rings_its_bell)
{
    cr_assert_not(bell_is_rung(outbox_bell(outbox)));
    outbox_nudge(outbox);
    cr_assert(bell_is_rung(outbox_bell(outbox)));
    bell_silence(outbox_bell(outbox));
    cr_assert_not(bell_is_rung(outbox_bell(outbox)));
}

Test(outbox, sends_entries_and_drops_its_references_when_they_have_left)
{
    struct batch *entries = some_entries(3, 10), *got;
    struct message message;
    int fd;
    struct stream *stream = open_outbox(&fd);

    outbox_send(outbox, frame_with(entries, 7, true));
    cr_assert(read_frame(fd, &message, &got));
    cr_assert_eq(message.round, 7u);
    cr_assert_eq(got->count, 3u);
    for (size_t i = 0; i < 3; i++)
        cr_assert_arr_eq(got->list[i]->bytes, entries->list[i]->bytes, entries->list[i]->size);
    cr_assert_eq(entries->list[0]->references, 1u);
    batch_free(got);
    batch_free(entries);
    close_outbox(stream);
    close(fd);
}

/* The frames' bytes arrive, whatever the socket takes at a time. */
static void assert_arrives(int fd, const struct frame *frame)
{
    uint8_t *expected = memory_new(frame->size), *got = memory_new(frame->size);
    size_t at = frame->own_size;

    memcpy(expected, frame->bytes, at);
    for (size_t i = 0; i < frame->entries->count; at += frame->entries->list[i++]->size)
        memcpy(expected + at, frame->entries->list[i]->bytes, frame->entries->list[i]->size);
    for (size_t have = 0; have < frame->size;) {
        size_t part = frame->size - have < 1000 ? frame->size - have : 1000;

        flush_outbox();
        cr_assert_eq(plain_read(fd, got + have, part), part);
        have += part;
    }
    cr_assert(memcmp(got, expected, frame->size) == 0);
    memory_free(expected);
    memory_free(got);
}

Test(outbox, goes_on_where_the_socket_took_no_more_of_the_entries)
{
    static const struct {
        size_t count, payload_size;
    } table[] = {{1, LARGE_BYTES}, {2 * FRAME_PARTS_MAX, 0}, {2 * FRAME_PARTS_MAX, 5000}, {20, 777777}};
    int fd;
    struct stream *stream = open_outbox(&fd);

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct batch *entries = some_entries(table[i].count, table[i].payload_size);
        struct frame *same = frame_with(entries, i, false);

        outbox_send(outbox, frame_with(entries, i, false));
        assert_arrives(fd, same);
        frame_free(same);
        cr_assert_eq(entries->list[0]->references, 1u);
        batch_free(entries);
    }
    close_outbox(stream);
    close(fd);
}

Test(outbox, counts_entries_to_what_waits)
{
    struct batch *entries = some_entries(1, BYTES_MAX / 2 - 1000);
    int fd;
    struct stream *stream;

    for (uint64_t number = 1; number <= 5; number++)
        outbox_send(outbox, frame_with(entries, number, true));
    cr_assert_eq(entries->list[0]->references, 3u); /* two frames are within the bound */
    stream = open_outbox(&fd);
    for (uint64_t number = 4; number <= 5; number++) {
        struct frame *same = frame_with(entries, number, true);

        assert_arrives(fd, same);
        frame_free(same);
    }
    close_outbox(stream);
    cr_assert_eq(read_numbered(fd), 0u);
    cr_assert_eq(entries->list[0]->references, 1u);
    batch_free(entries);
    close(fd);
}

Test(outbox, drops_its_references_with_the_frames_of_a_connection_that_ends)
{
    struct batch *entries = some_entries(1, LARGE_BYTES), *few = some_entries(1, 10);
    int fd;
    struct stream *stream = open_outbox(&fd);

    outbox_send(outbox, frame_with(entries, 1, true)); /* is begun */
    outbox_send(outbox, frame_with(entries, 2, false));
    close_outbox(stream);
    close(fd);
    cr_assert_eq(entries->list[0]->references, 1u);
    outbox_send(outbox, frame_with(few, 3, true));
    cr_assert_eq(few->list[0]->references, 2u);
    outbox_free(outbox);
    cr_assert_eq(few->list[0]->references, 1u);
    outbox = outbox_new(BYTES_MAX, &err);
    batch_free(entries);
    batch_free(few);
}
