/* Mailboxes with real sockets on 127.0.0.1, and with them all that they are made of: listener, arrivals, handshake,
 * reader and writer. Ours is member 1; member 2 is another mailbox, or this test itself. */
#include "mail/mailbox.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/memory.h"
#include "mail/wire.h"
#include "sockets.h"

#define LOG_BYTES_MAX (1024 * 1024)

/* One member of the cluster. */
struct node {
    struct mailbox_config config;
    struct pile *pile;
    struct log *log;
    struct mailbox *mailbox; /* NULL: does not run */
    int file;                /* what the log says */
    char *text;              /* the same, when it was looked at last */
};

static struct mailraft_error err;
static struct node nodes[4]; /* by id, from 1 to 3 */
static int holders[4];
static struct speaker two; /* as which this test speaks */

static void prepare(void)
{
    struct members members = {.count = 3};

    for (int id = 1; id <= 3; id++) {
        struct member *member = &members.list[id - 1];

        member->id = id;
        snprintf(member->peer.host, sizeof member->peer.host, "127.0.0.1");
        holders[id] = hold_port(&member->peer.port);
    }
    for (int id = 1; id <= 3; id++) {
        struct mailbox_config *config = &nodes[id].config;

        config->id = id;
        config->members = members;
        config->listen = members.list[id - 1].peer;
        snprintf(config->cluster_name, sizeof config->cluster_name, "home");
        memset(config->data_id.bytes, id, DATA_ID_SIZE);
        nodes[id].file = memfd_create("log", MFD_CLOEXEC);
        nodes[id].text = memory_new(LOG_BYTES_MAX);
    }
    speaker_init(&two, &nodes[2].config);
}

static void start(int id)
{
    struct node *node = &nodes[id];

    node->pile = pile_new();
    node->log = log_open(node->file, id, LOG_DEBUG, &err);
    cr_assert_not_null(node->log);
    node->mailbox = mailbox_open(&node->config, node->pile, node->log, &err);
    cr_assert_not_null(node->mailbox, "%s", err.message);
    cr_assert(mailbox_start(node->mailbox, &err), "%s", err.message);
}

static void stop(int id)
{
    struct node *node = &nodes[id];

    if (node->mailbox == NULL)
        return;
    mailbox_stop(node->mailbox);
    pile_free(node->pile);
    mailbox_free(node->mailbox);
    log_close(node->log);
    node->mailbox = NULL;
}

static void clear(void)
{
    for (int id = 1; id <= 3; id++) {
        stop(id);
        close(holders[id]);
        close(nodes[id].file);
        memory_free(nodes[id].text);
    }
}

TestSuite(mailbox, .init = prepare, .fini = clear, .timeout = 120);

static uint16_t port_of(int id)
{
    return nodes[id].config.listen.port;
}

/* How many lines of a node's log contain this. */
static int count_lines(int id, const char *part)
{
    ssize_t size = pread(nodes[id].file, nodes[id].text, LOG_BYTES_MAX - 1, 0);
    int count = 0;

    cr_assert_geq(size, 0);
    nodes[id].text[size] = '\0';
    for (const char *at = nodes[id].text; (at = strstr(at, part)) != NULL; at++)
        count++;
    return count;
}

static void await_lines(int id, const char *part, int count)
{
    int64_t deadline_us = clock_now_us() + WAIT_MS * 1000;

    while (count_lines(id, part) < count) {
        cr_assert_lt(clock_now_us(), deadline_us, "no %d lines \"%s\" in\n%s", count, part, nodes[id].text);
        poll(NULL, 0, 1);
    }
}

static struct letter *take_letter(int id, enum letter_kind kind)
{
    int64_t now_us;
    struct letter *letter = pile_take(nodes[id].pile, LANE_CLIENTS, clock_now_us() + WAIT_MS * 1000, &now_us);

    cr_assert_not_null(letter, "no letter came in time");
    cr_assert_eq(letter->kind, kind, "letter of kind %d, not %d", (int)letter->kind, (int)kind);
    return letter;
}

/* The next letter is that the test, as member 2, connected or disconnected. */
static void await_link(int id, enum letter_kind kind, uint64_t connection)
{
    struct letter *letter = take_letter(id, kind);

    cr_assert_eq(letter->link.peer, 2);
    cr_assert_eq(letter->link.connection, connection);
    cr_assert_eq(letter->link.incarnation, two.incarnation);
    letter_free(letter);
}

static uint64_t await_message(int id)
{
    struct letter *letter = take_letter(id, LETTER_MESSAGE);
    uint64_t round = letter->message.round;

    letter_free(letter);
    return round;
}

static void send_round(int from, raft_id to, uint64_t round)
{
    struct message message = {.type_of_message = REQUEST_APPEND_ENTRIES, .server_id = from, .round = round};

    mailbox_send(nodes[from].mailbox, to, &message, true);
}

/* What this test says as member 2. */
static void say_frame(int fd, struct frame *frame)
{
    plain_write(fd, frame->bytes, frame->size);
    memory_free(frame);
}

static void say_round(int fd, uint64_t round)
{
    struct message message = {.type_of_message = REQUEST_VOTE, .server_id = 2, .round = round};

    say_frame(fd, wire_write_message(&message, true));
}

static bool hear_hello(int fd, struct hello *hello)
{
    uint8_t bytes[WIRE_HELLO_BYTES_MAX];
    size_t size;

    if (plain_read(fd, bytes, WIRE_HEAD_BYTES) < WIRE_HEAD_BYTES)
        return false;
    cr_assert(wire_read_head(bytes, sizeof bytes, &size, &err), "%s", err.message);
    cr_assert_eq(plain_read(fd, bytes, size), size);
    cr_assert(wire_read_hello(bytes, size, hello, &err), "%s", err.message);
    return true;
}

static struct hello hello_of_two(uint64_t connection)
{
    struct hello hello;

    hello_make(&hello, &two, 1, CHANNEL_URGENT, connection);
    return hello;
}

/* Connects to 1 with a hello, whatever it says. */
static int call_with(const struct hello *hello)
{
    int fd = plain_connect(port_of(1));

    say_frame(fd, wire_write_hello(hello));
    return fd;
}

/* Connects to 1 as member 2, and hears its hello. */
static int call(uint64_t connection)
{
    struct hello ours = hello_of_two(connection), theirs;
    int fd = call_with(&ours);

    cr_assert(hear_hello(fd, &theirs), "our hello was refused");
    cr_assert_eq(theirs.sender, 1);
    cr_assert_eq(theirs.receiver, 2);
    cr_assert_eq(theirs.connection, connection);
    return fd;
}

/* A hello is refused: the connection is closed, and one line says why and from where. */
static void assert_refused(const struct hello *hello, const char *reason)
{
    struct sockaddr_in here;
    socklen_t size = sizeof here;
    int fd = call_with(hello);
    char line[300];

    cr_assert_eq(getsockname(fd, (struct sockaddr *)&here, &size), 0);
    await_close(fd);
    close(fd);
    snprintf(line, sizeof line, "Refused a connection from 127.0.0.1:%u: %s", ntohs(here.sin_port), reason);
    await_lines(1, line, 1);
}

/* Nothing of what happened before keeps a peer out. */
static void assert_open_to(uint64_t connection)
{
    int fd = call(connection);

    await_link(1, LETTER_CONNECTED, connection);
    say_round(fd, 77);
    cr_assert_eq(await_message(1), 77u);
    close(fd);
    await_link(1, LETTER_DISCONNECTED, connection);
}

/* Two mailboxes. */

Test(mailbox, carries_messages_both_ways)
{
    start(1);
    start(2);
    send_round(1, 2, 5);
    send_round(2, 1, 6);
    letter_free(take_letter(1, LETTER_CONNECTED));
    letter_free(take_letter(2, LETTER_CONNECTED));
    cr_assert_eq(await_message(2), 5u);
    cr_assert_eq(await_message(1), 6u);
    await_lines(1, "Connected to 2 at 127.0.0.1:", 1);
    for (uint64_t round = 7; round < 1000; round++) {
        send_round(1, 2, round);
        cr_assert_eq(await_message(2), round);
        send_round(2, 1, round);
        cr_assert_eq(await_message(1), round);
    }
}

Test(mailbox, tells_of_a_connection_before_its_first_message_and_after_its_last)
{
    struct letter *letter;
    uint64_t incarnation;

    start(1);
    start(2);
    letter = take_letter(1, LETTER_CONNECTED);
    cr_assert_eq(letter->link.peer, 2);
    cr_assert_eq(letter->link.channel, CHANNEL_URGENT);
    cr_assert_neq(letter->link.incarnation, 0u);
    cr_assert_arr_eq(letter->peer_data_id.bytes, nodes[2].config.data_id.bytes, DATA_ID_SIZE);
    incarnation = letter->link.incarnation;
    letter_free(letter);
    await_lines(2, "Connected to 1 at ", 1);
    for (uint64_t round = 1; round <= 100; round++)
        send_round(2, 1, round);
    stop(2);
    for (uint64_t round = 1; round <= 100; round++)
        cr_assert_eq(await_message(1), round); /* what the socket took before the stop arrives */
    letter = take_letter(1, LETTER_DISCONNECTED);
    cr_assert_eq(letter->link.peer, 2);
    cr_assert_eq(letter->link.incarnation, incarnation);
    letter_free(letter);
}

Test(mailbox, reconnects_to_a_peer_that_was_started_again)
{
    start(1);
    for (int life = 1; life <= 3; life++) {
        start(2);
        letter_free(take_letter(1, LETTER_CONNECTED));
        await_lines(1, "Connected to 2 at ", life);
        letter_free(take_letter(2, LETTER_CONNECTED));
        send_round(1, 2, (uint64_t)life);
        cr_assert_eq(await_message(2), (uint64_t)life);
        stop(2);
        letter_free(take_letter(1, LETTER_DISCONNECTED));
        await_lines(1, "Lost connection to 2 at ", life);
    }
}

Test(mailbox, tells_once_that_a_peer_cannot_be_reached)
{
    start(1);
    await_lines(1, "Can't reach 2 at ", 3);
    await_lines(1, "Can't reach 3 at ", 3);
    stop(1);
    cr_assert_eq(count_lines(1, "Connection refused\n"), 2); /* one for each of the others; the rest is at debug */
}

Test(mailbox, that_cannot_bind_says_so_and_leaves_nothing_behind)
{
    int taken = plain_listen(port_of(1), 1);
    char expected[100];
    struct node *node = &nodes[1];

    node->pile = pile_new();
    node->log = log_open(node->file, 1, LOG_DEBUG, &err);
    cr_assert_null(mailbox_open(&node->config, node->pile, node->log, &err));
    cr_assert(error_is(&err, &BIND_ERROR));
    snprintf(expected, sizeof expected, "Couldn't bind to 127.0.0.1:%u: Address already in use", port_of(1));
    cr_assert_str_eq(err.message, expected);
    pile_free(node->pile);
    log_close(node->log);
    close(taken);
    start(1); /* the port is free again */
}

/* Who may come in. */

Test(mailbox, refuses_hellos_that_are_not_for_it)
{
    struct hello hello;

    start(1);
    hello = hello_of_two(1);
    hello.version_lowest = hello.version_highest = 9;
    assert_refused(&hello, "it speaks the versions 9 to 9, we 1 to 1 level=warn");
    hello = hello_of_two(1);
    strcpy(hello.cluster_name, "away");
    assert_refused(&hello, "it belongs to the cluster \"away\", we to \"home\" level=warn");
    hello = hello_of_two(1);
    hello.receiver = 3;
    assert_refused(&hello, "it means 3, and we are 1 level=warn");
    hello = hello_of_two(1);
    hello.sender = 1;
    assert_refused(&hello, "it says that it is 1, which is us level=warn");
    hello = hello_of_two(1);
    hello.sender = 4;
    assert_refused(&hello, "it says that it is 4, which is no member level=warn");
    hello = hello_of_two(1);
    hello.members_checksum++;
    assert_refused(&hello, "2 lists other members than we do level=warn");
    hello = hello_of_two(1);
    hello.channel = 2;
    assert_refused(&hello, "2 wants the channel 2, which we do not know level=warn");
    assert_open_to(1); /* and no letter came of all that */
}

Test(mailbox, replaces_a_connection_by_a_newer_one_of_the_same_process)
{
    int older, newer;

    start(1);
    older = call(1);
    await_link(1, LETTER_CONNECTED, 1);
    newer = call(2);
    await_close(older);
    for (int i = 0; i < 2; i++) { /* two threads, two letters, in either order */
        int64_t now_us;
        struct letter *letter = pile_take(nodes[1].pile, LANE_CLIENTS, clock_now_us() + WAIT_MS * 1000, &now_us);

        cr_assert_not_null(letter);
        cr_assert_eq(letter->link.connection, letter->kind == LETTER_CONNECTED ? 2u : 1u);
        letter_free(letter);
    }
    say_round(newer, 8);
    cr_assert_eq(await_message(1), 8u);
    close(older);
    close(newer);
    await_link(1, LETTER_DISCONNECTED, 2);
}

Test(mailbox, refuses_a_connection_that_is_not_newer)
{
    struct hello hello;
    int fd;

    start(1);
    fd = call(5);
    await_link(1, LETTER_CONNECTED, 5);
    hello = hello_of_two(5);
    assert_refused(&hello, "the connection 5 of 2 is not newer than the last, which was 5");
    close(fd);
    await_link(1, LETTER_DISCONNECTED, 5);
    hello = hello_of_two(4);
    close(call_with(&hello)); /* nor when the newer one is gone; that is held back, and no letter comes of it */
    assert_open_to(6);
}

Test(mailbox, hears_both_channels_of_a_peer_side_by_side)
{
    struct hello bulk = hello_of_two(1), theirs;
    struct letter *letter;
    int urgent, other;

    start(1);
    urgent = call(1);
    await_link(1, LETTER_CONNECTED, 1);
    bulk.channel = CHANNEL_BULK;
    other = call_with(&bulk);
    cr_assert(hear_hello(other, &theirs));
    cr_assert_eq(theirs.channel, (uint32_t)CHANNEL_BULK);
    letter = take_letter(1, LETTER_CONNECTED);
    cr_assert_eq(letter->link.channel, CHANNEL_BULK);
    letter_free(letter);
    say_round(urgent, 3);
    cr_assert_eq(await_message(1), 3u);
    say_round(other, 4);
    letter = take_letter(1, LETTER_MESSAGE);
    cr_assert_eq(letter->link.channel, CHANNEL_BULK);
    letter_free(letter);
    close(urgent);
    close(other);
}

Test(mailbox, hears_only_one_of_two_processes_with_one_id)
{
    struct speaker first = two;
    struct hello hello;
    int fd;

    start(1);
    fd = call(1);
    await_link(1, LETTER_CONNECTED, 1);
    speaker_init(&two, &nodes[2].config);
    hello = hello_of_two(9);
    assert_refused(&hello, "another process with the id 2 is connected from 127.0.0.1:");
    two = first;
    say_round(fd, 3);
    cr_assert_eq(await_message(1), 3u); /* the first one is not disturbed */
    close(fd);
    await_link(1, LETTER_DISCONNECTED, 1);
    speaker_init(&two, &nodes[2].config);
    for (bool refused = true; refused;) { /* its place becomes free when its reader has left */
        struct hello theirs;

        hello = hello_of_two(1);
        fd = call_with(&hello);
        refused = !hear_hello(fd, &theirs);
        if (refused)
            close(fd);
    }
    await_link(1, LETTER_CONNECTED, 1);
    close(fd);
}

/* Intruders. */

Test(mailbox, cuts_a_connection_that_says_no_complete_hello)
{
    struct hello hello = hello_of_two(1);
    struct frame *frame = wire_write_hello(&hello);
    int silent, halfway;

    start(1);
    silent = plain_connect(port_of(1));
    await_close(silent);
    await_lines(1, ": no complete hello within one second level=warn", 1);
    halfway = plain_connect(port_of(1));
    plain_write(halfway, frame->bytes, frame->size - 1);
    await_close(halfway);
    memory_free(frame);
    close(silent);
    close(halfway);
    assert_open_to(1);
}

/* Sends bytes as a stranger, or as member 2 after its hello, and waits for the end of the connection. */
static void send_bytes(uint64_t connection, const void *bytes, size_t size)
{
    int fd = connection == 0 ? plain_connect(port_of(1)) : call(connection);

    if (connection != 0)
        await_link(1, LETTER_CONNECTED, connection);
    plain_write(fd, bytes, size);
    await_close(fd);
    if (connection != 0)
        await_link(1, LETTER_DISCONNECTED, connection);
    close(fd);
}

static void frame_bytes(uint8_t bytes[40], uint32_t follow, uint32_t packed)
{
    memset(bytes, 0xff, 40); /* no protobuf */
    bytes_put_u32(bytes, follow);
    bytes_put_u32(bytes + 4, packed);
    bytes_put_u32(bytes + 8, 0);
}

Test(mailbox, closes_a_connection_that_brings_garbage_or_a_huge_length_and_no_other)
{
    uint8_t bytes[40];
    int fd;

    start(1);
    fd = call(1);
    await_link(1, LETTER_CONNECTED, 1);
    frame_bytes(bytes, 36, 28);
    send_bytes(0, bytes, sizeof bytes);
    await_lines(1, ": a message of 28 bytes does not decode level=warn", 1);
    frame_bytes(bytes, UINT32_MAX, 28);
    send_bytes(0, bytes, sizeof bytes);
    await_lines(1, ": a frame of 4294967299 bytes is over the limit of 4096 level=warn", 1);
    send_bytes(0, "GET / HTTP/1.1\r\n\r\n", 18);
    say_round(fd, 3);
    cr_assert_eq(await_message(1), 3u);
    close(fd);
    await_link(1, LETTER_DISCONNECTED, 1);
}

Test(mailbox, closes_the_connection_of_a_member_that_brings_garbage)
{
    uint8_t bytes[40];

    start(1);
    frame_bytes(bytes, 36, 28);
    send_bytes(1, bytes, sizeof bytes);
    await_lines(1, ": a message of 28 bytes does not decode level=warn", 1);
    frame_bytes(bytes, WIRE_URGENT_BYTES_MAX, 28);
    send_bytes(2, bytes, sizeof bytes);
    await_lines(1, ": a frame of 65540 bytes is over the limit of 65536 level=warn", 1);
    await_lines(1, "Closed the connection of 2 from 127.0.0.1:", 2);
    assert_open_to(3);
}

/* A frame with a message that has a type and nothing more. */
static struct frame *frame_of_type(uint8_t type)
{
    struct message message = {.type_of_message = REQUEST_VOTE, .server_id = 2};
    struct frame *frame = wire_write_message(&message, true);

    cr_assert_eq(frame->bytes[WIRE_HEAD_BYTES], 0x08); /* field 1, a varint */
    frame->bytes[WIRE_HEAD_BYTES + 1] = type;
    return frame;
}

Test(mailbox, closes_a_connection_that_brings_an_unknown_type)
{
    struct frame *frame = frame_of_type(99);
    struct hello hello = hello_of_two(1);

    start(1);
    send_bytes(1, frame->bytes, frame->size);
    await_lines(1, ": Unexpected message type: 99 level=warn", 1);
    memory_free(frame);
    frame = wire_write_hello(&hello);
    send_bytes(2, frame->bytes, frame->size); /* a second hello has no place there either */
    memory_free(frame);
    frame = frame_of_type(REQUEST_VOTE);
    send_bytes(0, frame->bytes, frame->size);
    await_lines(1, ": Unexpected message type: 4 in place of a hello level=warn", 1);
    memory_free(frame);
    assert_open_to(3);
}

Test(mailbox, takes_half_a_frame_at_the_end_of_a_connection_for_its_end)
{
    struct frame *frame = frame_of_type(REQUEST_VOTE);
    int fd;

    start(1);
    fd = call(1);
    await_link(1, LETTER_CONNECTED, 1);
    say_round(fd, 1);
    plain_write(fd, frame->bytes, frame->size - 1);
    close(fd);
    memory_free(frame);
    cr_assert_eq(await_message(1), 1u);
    await_link(1, LETTER_DISCONNECTED, 1);
    assert_open_to(2);
}

Test(mailbox, reads_frames_that_come_byte_by_byte)
{
    struct frame *frame = frame_of_type(REQUEST_VOTE);
    int fd;

    start(1);
    fd = call(1);
    await_link(1, LETTER_CONNECTED, 1);
    for (size_t i = 0; i < frame->size; i++)
        plain_write(fd, frame->bytes + i, 1);
    cr_assert_eq(await_message(1), 0u);
    memory_free(frame);
    close(fd);
}

Test(mailbox, complains_of_one_cause_at_most_once_a_second)
{
    int64_t began_us = clock_now_us();
    int seconds;

    start(1);
    for (int i = 0; i < 100; i++)
        send_bytes(0, "GET / HTTP/1.1\r\n\r\n", 18);
    stop(1);
    seconds = (int)((clock_now_us() - began_us) / 1000000);
    cr_assert_leq(count_lines(1, " bytes is over the limit of "), seconds + 1);
    cr_assert_geq(count_lines(1, " bytes is over the limit of "), 1);
}

Test(mailbox, lets_a_member_in_though_more_strangers_stand_at_the_door_than_it_hears_at_once)
{
    int strangers[100], member;

    start(1);
    for (int i = 0; i < 100; i++)
        strangers[i] = plain_connect(port_of(1));
    member = call(1);
    await_link(1, LETTER_CONNECTED, 1);
    await_lines(1, ": no complete hello before 64 others came level=warn", 1);
    for (int i = 0; i < 100; i++)
        close(strangers[i]);
    close(member);
}

Test(mailbox, goes_on_when_there_are_descriptors_again)
{
    struct rlimit limit = {.rlim_cur = 100, .rlim_max = 100};
    struct sockaddr_in address = loopback(port_of(1));
    struct hello hello = hello_of_two(1);
    int taken[100], count = 0, fd;

    nodes[1].config.members.count = 1; /* so that it has no writers, which take and give back descriptors */
    start(1);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    while ((taken[count] = dup(fd)) >= 0)
        count++;
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    await_lines(1, "Connections have to wait: Couldn't accept a connection: Too many open files level=warn", 1);
    while (count > 0)
        close(taken[--count]);
    say_frame(fd, wire_write_hello(&hello));
    await_close(fd);
    await_lines(1, ": it says that it is 2, which is no member level=warn", 1);
    close(fd);
}

Test(mailbox, puts_no_more_on_the_pile_than_its_peer_has_credit_for)
{
    const uint64_t credit = 256 * 1024 / sizeof(struct letter), total = 4 * credit; /* letters */
    static uint8_t bytes[500000];
    size_t size = 0, left = 0;
    int64_t now_us;
    int fd;

    start(1);
    fd = call(1);
    for (uint64_t round = 1; round <= total; round++) {
        struct message message = {.type_of_message = REQUEST_VOTE, .server_id = 2, .round = round};
        struct frame *frame = wire_write_message(&message, true);

        cr_assert_leq(size + frame->size, sizeof bytes);
        memcpy(bytes + size, frame->bytes, frame->size);
        size += frame->size;
        memory_free(frame);
    }
    plain_write(fd, bytes, size); /* so little that the connection holds it all */
    close(fd);
    fd = plain_connect(port_of(1));
    await_close(fd); /* a second, in which a reader that needed no credit would get to the end */
    close(fd);
    cr_assert_eq(count_lines(1, " ended: "), 0);
    await_link(1, LETTER_CONNECTED, 1);
    for (uint64_t round = 1; round <= total / 2; round++)
        cr_assert_eq(await_message(1), round);
    mailbox_stop(nodes[1].mailbox); /* nobody takes any more, and the reader ends though it waits for credit */
    for (struct letter *letter; (letter = pile_take(nodes[1].pile, LANE_CLIENTS, 0, &now_us)) != NULL; left++)
        letter_free(letter);
    cr_assert_leq(left, credit + 2);
    pile_free(nodes[1].pile);
    mailbox_free(nodes[1].mailbox);
    log_close(nodes[1].log);
    nodes[1].mailbox = NULL;
}

/* The other direction: this test is who 1 connects to. */

/* Accepts the next connection of 1 to 2, and hears its hello. */
static int answer(int listener, struct hello *theirs)
{
    int fd = plain_accept(listener);

    cr_assert(hear_hello(fd, theirs));
    cr_assert_eq(theirs->sender, 1);
    cr_assert_eq(theirs->receiver, 2);
    cr_assert_str_eq(theirs->cluster_name, "home");
    return fd;
}

static void say_answer(int fd, const struct hello *theirs, int32_t sender)
{
    struct hello ours;

    two.id = sender;
    hello_make(&ours, &two, 1, (enum channel)theirs->channel, theirs->connection);
    two.id = 2;
    say_frame(fd, wire_write_hello(&ours));
}

Test(mailbox, counts_its_connections_upwards_in_one_incarnation)
{
    int listener = plain_listen(port_of(2), 10);
    struct hello first, next;

    start(1);
    close(answer(listener, &first));
    cr_assert_geq(first.connection, 1u);
    for (uint64_t connection = first.connection + 1; connection < first.connection + 4; connection++) {
        close(answer(listener, &next));
        cr_assert_eq(next.connection, connection);
        cr_assert_eq(next.incarnation, first.incarnation);
    }
    close(listener);
}

Test(mailbox, refuses_an_answer_of_another_member_and_tries_again)
{
    int listener = plain_listen(port_of(2), 10);
    struct hello theirs;
    int fd;

    start(1);
    fd = answer(listener, &theirs);
    say_answer(fd, &theirs, 3);
    await_close(fd);
    close(fd);
    await_lines(1, ": it is 3, and we want 2 level=warn", 1);
    fd = answer(listener, &theirs);
    strcpy(two.cluster_name, "away");
    say_answer(fd, &theirs, 2);
    strcpy(two.cluster_name, "home");
    await_close(fd);
    close(fd);
    await_lines(1, ": it belongs to the cluster \"away\", we to \"home\" level=warn", 1);
    fd = answer(listener, &theirs);
    say_answer(fd, &theirs, 2);
    await_lines(1, "Connected to 2 at ", 1);
    close(fd);
    close(listener);
}

Test(mailbox, closes_a_connection_to_a_peer_that_speaks_where_it_has_only_to_listen)
{
    int listener = plain_listen(port_of(2), 10);
    struct hello theirs;
    int fd;

    start(1);
    fd = answer(listener, &theirs);
    say_answer(fd, &theirs, 2);
    await_lines(1, "Connected to 2 at ", 1);
    plain_write(fd, "x", 1);
    await_close(fd);
    await_lines(1, ": it speaks where it has only to listen level=warn", 1);
    close(fd);
    close(answer(listener, &theirs));
    close(listener);
}

Test(mailbox, sends_after_its_hello_what_was_meant_for_the_peer_meanwhile)
{
    int listener = plain_listen(port_of(2), 10);
    uint8_t head[WIRE_HEAD_BYTES], body[100];
    struct hello theirs;
    struct message message;
    size_t size;
    int fd;

    start(1);
    for (uint64_t round = 1; round <= 20; round++)
        send_round(1, 2, round);
    fd = answer(listener, &theirs);
    say_answer(fd, &theirs, 2);
    for (uint64_t round = 5; round <= 20; round++) { /* the newest sixteen */
        cr_assert_eq(plain_read(fd, head, sizeof head), sizeof head);
        cr_assert(wire_read_head(head, sizeof body, &size, &err));
        cr_assert_eq(plain_read(fd, body, size), size);
        cr_assert(wire_read_message(body, size, 1, &message, &err), "%s", err.message);
        cr_assert_eq(message.round, round);
    }
    close(fd);
    close(listener);
}

Test(mailbox, stops_though_a_peer_never_reads)
{
    int listener = plain_listen(port_of(2), 10);
    struct hello theirs;
    int fd;

    start(1);
    fd = answer(listener, &theirs);
    say_answer(fd, &theirs, 2);
    await_lines(1, "Connected to 2 at ", 1);
    for (uint64_t round = 1; round <= 300000; round++)
        send_round(1, 2, round);
    stop(1);
    close(fd);
    close(listener);
}

Test(mailbox, stops_while_it_connects_and_while_it_waits_for_an_answer)
{
    int full[3], listener = plain_listen(port_of(3), 10), fd;
    struct hello theirs;

    full[0] = plain_listen(port_of(2), 0);
    for (int i = 1; i < 3; i++) { /* so that whoever connects to 2 gets no answer */
        struct sockaddr_in address = loopback(port_of(2));

        full[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        cr_assert(connect(full[i], (struct sockaddr *)&address, sizeof address) == 0 || errno == EINPROGRESS);
    }
    start(1);
    fd = plain_accept(listener);
    cr_assert(hear_hello(fd, &theirs));
    stop(1);
    await_close(fd);
    close(fd);
    close(listener);
    for (int i = 0; i < 3; i++)
        close(full[i]);
}

Test(mailbox, stops_while_everybody_is_connected_and_speaks)
{
    for (int id = 1; id <= 3; id++)
        start(id);
    for (int id = 1; id <= 3; id++)
        for (int peer = 1; peer <= 3; peer++) {
            char line[40];

            snprintf(line, sizeof line, "Connected to %d at ", peer);
            if (peer != id)
                await_lines(id, line, 1);
        }
    for (uint64_t round = 1; round <= 1000; round++)
        for (int id = 1; id <= 3; id++)
            for (int peer = 1; peer <= 3; peer++)
                if (peer != id)
                    send_round(id, peer, round);
    for (int id = 1; id <= 3; id++)
        stop(id);
}
