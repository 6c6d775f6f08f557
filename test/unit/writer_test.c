/* This test is who the writer connects to, mostly. */
#include "mail/writer.h"

#include <errno.h>

#include "base/clock.h"
#include "mail/mailbox.h"
#include "sockets.h"
#include "unit/post.h"

static struct mailraft_error err;

TestSuite(writer, .init = post_open, .fini = post_close, .timeout = 120);

Test(writer, reconnects_to_a_peer_that_was_started_again)
{
    post_start(1);
    for (int life = 1; life <= 3; life++) {
        post_start(2);
        letter_free(post_take(1, LETTER_CONNECTED));
        post_await_connected(1, 2, life);
        post_await_connected_bulk(1, 2, life);
        letter_free(post_take(2, LETTER_CONNECTED));
        post_send(1, 2, (uint64_t)life);
        cr_assert_eq(post_await_message(2), (uint64_t)life);
        post_stop(2);
        letter_free(post_take(1, LETTER_DISCONNECTED));
        post_await_lines(1, "Lost connection to 2 at ", 2 * life); /* on each channel */
    }
}

Test(writer, tells_once_that_a_peer_cannot_be_reached)
{
    post_start(1);
    post_await_lines(1, "Can't reach 2 at ", 3);
    post_await_lines(1, "Can't reach 3 at ", 3);
    post_stop(1);
    /* One for each of the others; the rest, and all of the bulk channel, is at debug. */
    cr_assert_eq(post_count_lines(1, "Connection refused\n"), 2);
}

/* Accepts the next connection of 1 to 2 on a channel, and hears its hello. Those on the other are closed. */
static int answer_of(int listener, enum channel channel, struct hello *theirs)
{
    int fd = plain_accept(listener);

    while (post_hear_hello(fd, theirs) && theirs->channel != (uint32_t)channel) {
        close(fd);
        fd = plain_accept(listener);
    }
    cr_assert_eq(theirs->channel, (uint32_t)channel);
    cr_assert_eq(theirs->sender, 1);
    cr_assert_eq(theirs->receiver, 2);
    cr_assert_str_eq(theirs->cluster_name, "home");
    return fd;
}

static int answer(int listener, struct hello *theirs)
{
    return answer_of(listener, CHANNEL_URGENT, theirs);
}

static void say_answer(int fd, const struct hello *theirs, int32_t sender)
{
    struct hello ours;

    post_two()->id = sender;
    hello_make(&ours, post_two(), 1, (enum channel)theirs->channel, theirs->connection);
    post_two()->id = 2;
    post_say_frame(fd, wire_write_hello(&ours));
}

Test(writer, counts_its_connections_upwards_in_one_incarnation)
{
    int listener = plain_listen(post_port(2), 10);
    struct hello first, next;

    post_start(1);
    close(answer(listener, &first));
    cr_assert_geq(first.connection, 1u);
    for (uint64_t connection = first.connection + 1; connection < first.connection + 4; connection++) {
        close(answer(listener, &next));
        cr_assert_eq(next.connection, connection);
        cr_assert_eq(next.incarnation, first.incarnation);
    }
    close(listener);
}

Test(writer, refuses_an_answer_of_another_member_and_tries_again)
{
    int listener = plain_listen(post_port(2), 10);
    struct hello theirs;
    struct letter *letter;
    int fd;

    post_start(1);
    fd = answer(listener, &theirs);
    say_answer(fd, &theirs, 3);
    await_close(fd);
    close(fd);
    post_await_lines(1, ": it is 3, and we want 2 level=warn", 1);
    fd = answer(listener, &theirs);
    strcpy(post_two()->cluster_name, "away");
    say_answer(fd, &theirs, 2);
    strcpy(post_two()->cluster_name, "home");
    await_close(fd);
    close(fd);
    post_await_lines(1, ": it belongs to the cluster \"away\", we to \"home\" level=warn", 1);
    fd = answer(listener, &theirs);
    say_answer(fd, &theirs, 2);
    post_await_connected(1, 2, 1);
    letter = post_take(1, LETTER_REACHED); /* of no other attempt */
    cr_assert_eq(letter->link.connection, theirs.connection);
    letter_free(letter);
    close(fd);
    close(listener);
}

static void assert_own_link(const struct letter *letter, const struct hello *hello)
{
    cr_assert_eq(letter->link.peer, 2);
    cr_assert_eq(letter->link.channel, hello->channel);
    cr_assert_eq(letter->link.incarnation, mailbox_incarnation(post_node(1)->mailbox));
    cr_assert_eq(letter->link.incarnation, hello->incarnation);
    cr_assert_eq(letter->link.connection, hello->connection);
}

Test(writer, tells_the_server_whom_it_has_reached_and_when_that_connection_has_ended)
{
    int listener = plain_listen(post_port(2), 10);
    struct letter *letter;
    struct hello theirs;

    post_two()->cluster_uuid.bytes[0] = 7;
    post_two()->rejoin_empty = true;
    post_start(1);
    for (int i = 0; i < 4; i++) {
        enum channel channel = i % 2 == 0 ? CHANNEL_URGENT : CHANNEL_BULK;
        int fd = answer_of(listener, channel, &theirs);

        say_answer(fd, &theirs, 2);
        letter = post_take_of(1, channel, LETTER_REACHED);
        assert_own_link(letter, &theirs);
        cr_assert_arr_eq(letter->hello.data_id.bytes, post_two()->data_id.bytes, DATA_ID_SIZE);
        cr_assert_eq(letter->hello.cluster_uuid.bytes[0], 7);
        cr_assert(letter->hello.rejoin_empty);
        letter_free(letter);
        close(fd);
        letter = post_take_of(1, channel, LETTER_LOST);
        assert_own_link(letter, &theirs);
        letter_free(letter);
    }
    close(listener);
}

/* Whether a letter of this kind lies on the pile of 1 now. */
static bool is_told(enum letter_kind kind)
{
    struct letter *letter;
    int64_t now_us;
    bool told = false;

    while ((letter = pile_take(post_node(1)->pile, LANE_CLIENTS, clock_now_us(), &now_us)) != NULL) {
        told = told || letter->kind == kind;
        letter_free(letter);
    }
    return told;
}

Test(writer, tells_the_server_before_anything_leaves)
{
    int listener = plain_listen(post_port(2), 10), fd;
    struct hello theirs;

    post_start(1);
    post_send(1, 2, 1);
    fd = answer(listener, &theirs);
    cr_assert_not(is_told(LETTER_REACHED));
    say_answer(fd, &theirs, 2);
    await_readable(fd); /* what was meant for it */
    cr_assert(is_told(LETTER_REACHED));
    close(fd);
    close(listener);
}

Test(writer, is_not_delayed_by_an_answer_that_the_other_channel_waits_for)
{
    int listener = plain_listen(post_port(2), 10);
    struct hello theirs, other;
    int bulk = -1, urgent = -1;

    post_start(1);
    while (bulk < 0 || urgent < 0) {
        int fd = plain_accept(listener);

        cr_assert(post_hear_hello(fd, &other));
        if (other.channel == CHANNEL_BULK && bulk < 0) {
            bulk = fd; /* never answered */
        } else if (other.channel == CHANNEL_URGENT && urgent < 0) {
            urgent = fd;
            theirs = other;
        } else {
            close(fd);
        }
    }
    say_answer(urgent, &theirs, 2);
    letter_free(post_take(1, LETTER_REACHED));
    post_send(1, 2, 1);
    await_readable(urgent);
    close(bulk);
    close(urgent);
    close(listener);
}

Test(writer, tells_operators_of_one_channel_only)
{
    post_start(1);
    post_start(2);
    post_await_connected(1, 2, 1);
    post_await_connected_bulk(1, 2, 1);
    post_stop(2);
    post_await_lines(1, "Lost connection to 2 at ", 2);
    post_await_lines(1, "Can't reach 2 at ", 2);
    post_stop(1);
    cr_assert_eq(post_count_lines(1, " channel=bulk"), post_count_lines(1, " channel=bulk level=debug\n"));
    cr_assert_geq(post_count_lines(1, " channel=bulk"), 2);
}

Test(writer, closes_a_connection_to_a_peer_that_speaks_where_it_has_only_to_listen)
{
    int listener = plain_listen(post_port(2), 10);
    struct hello theirs;
    int fd;

    post_start(1);
    fd = answer(listener, &theirs);
    say_answer(fd, &theirs, 2);
    post_await_connected(1, 2, 1);
    plain_write(fd, "x", 1);
    await_close(fd);
    post_await_lines(1, ": it speaks where it has only to listen level=warn", 1);
    close(fd);
    close(answer(listener, &theirs));
    close(listener);
}

Test(writer, sends_after_its_hello_what_was_meant_for_the_peer_meanwhile)
{
    int listener = plain_listen(post_port(2), 10);
    const struct wire_rules rules = wire_rules_of(1, CHANNEL_URGENT, 0);
    uint8_t head[WIRE_HEAD_BYTES], body[100];
    struct hello theirs;
    struct message message;
    struct batch *entries;
    struct mailraft_buffer none;
    struct wire_sizes sizes;
    int fd;

    post_start(1);
    for (uint64_t round = 1; round <= 20; round++)
        post_send(1, 2, round);
    fd = answer(listener, &theirs);
    say_answer(fd, &theirs, 2);
    for (uint64_t round = 5; round <= 20; round++) { /* the newest sixteen */
        cr_assert_eq(plain_read(fd, head, sizeof head), sizeof head);
        cr_assert(wire_read_head(head, &rules, &sizes, &err));
        cr_assert_leq(sizes.message, sizeof body);
        cr_assert_eq(plain_read(fd, body, sizes.message), sizes.message);
        cr_assert(wire_read_message(body, &sizes, &rules, &message, &entries, &none, &err), "%s", err.message);
        cr_assert_eq(message.round, round);
    }
    close(fd);
    close(listener);
}

Test(writer, stops_though_a_peer_never_reads)
{
    int listener = plain_listen(post_port(2), 10);
    struct hello theirs;
    int fd;

    post_start(1);
    fd = answer(listener, &theirs);
    say_answer(fd, &theirs, 2);
    post_await_connected(1, 2, 1);
    for (uint64_t round = 1; round <= 300000; round++)
        post_send(1, 2, round);
    post_stop(1);
    close(fd);
    close(listener);
}

Test(writer, stops_while_it_connects_and_while_it_waits_for_an_answer)
{
    int full[3], listener = plain_listen(post_port(3), 10), fd;
    struct hello theirs;

    full[0] = plain_listen(post_port(2), 0);
    for (int i = 1; i < 3; i++) { /* so that whoever connects to 2 gets no answer */
        struct sockaddr_in address = loopback(post_port(2));

        full[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        cr_assert(connect(full[i], (struct sockaddr *)&address, sizeof address) == 0 || errno == EINPROGRESS);
    }
    post_start(1);
    fd = plain_accept(listener);
    cr_assert(post_hear_hello(fd, &theirs));
    post_stop(1);
    await_close(fd);
    close(fd);
    close(listener);
    for (int i = 0; i < 3; i++)
        close(full[i]);
}
