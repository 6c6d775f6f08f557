/* This test is who the writer connects to, mostly. */
#include "mail/writer.h"

#include <errno.h>

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
    cr_assert_eq(post_count_lines(1, "Connection refused\n"), 2); /* one for each of the others; the rest is at debug */
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
    close(fd);
    close(listener);
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
        cr_assert(wire_read_message(body, &sizes, &rules, &message, &entries, &err), "%s", err.message);
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
