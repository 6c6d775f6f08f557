/* Whole mailboxes. What they are made of has tests of its own, of which most speak to a whole mailbox, too: listener,
 * arrivals, reader, writer. */
#include "mail/mailbox.h"

#include <stdio.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "base/requests.h"
#include "mail/outbox.h"
#include "sockets.h"
#include "unit/post.h"

static struct mailraft_error err;

TestSuite(mailbox, .init = post_open, .fini = post_close, .timeout = 120);

Test(mailbox, carries_messages_both_ways)
{
    post_start(1);
    post_start(2);
    post_send(1, 2, 5);
    post_send(2, 1, 6);
    letter_free(post_take(1, LETTER_CONNECTED));
    letter_free(post_take(2, LETTER_CONNECTED));
    cr_assert_eq(post_await_message(2), 5u);
    cr_assert_eq(post_await_message(1), 6u);
    post_await_connected(1, 2, 1);
    for (uint64_t round = 7; round < 1000; round++) {
        post_send(1, 2, round);
        cr_assert_eq(post_await_message(2), round);
        post_send(2, 1, round);
        cr_assert_eq(post_await_message(1), round);
    }
}

static void assert_entries_come(int id, const struct entry *first)
{
    struct letter *letter = post_take_of(id, CHANNEL_BULK, LETTER_MESSAGE);

    cr_assert_eq(letter->link.peer, 1);
    cr_assert_eq(letter->entries->count, 50u);
    cr_assert_eq(letter->entries->list[0]->size, first->size);
    cr_assert_arr_eq(letter->entries->list[0]->bytes, first->bytes, first->size);
    letter_free(letter);
}

Test(mailbox, carries_the_same_entries_to_all_peers_and_forgets_them_when_they_have_left)
{
    struct batch *entries = post_entries(50, 1000);
    struct entry *first = entry_hold(entries->list[0]);

    for (int id = 1; id <= 3; id++)
        post_start(id);
    for (int id = 2; id <= 3; id++) {
        post_await_connected_bulk(1, id, 1);
        for (int peers = 0; peers < 2; peers++)
            letter_free(post_take_of(id, CHANNEL_BULK, LETTER_CONNECTED));
    }
    for (int i = 0; i < 30; i++) /* 1.5 MiB, so that writers have to wait for the sockets */
        for (int id = 2; id <= 3; id++)
            post_send_entries(1, id, entries);
    batch_free(entries);
    for (int i = 0; i < 30; i++)
        for (int id = 2; id <= 3; id++)
            assert_entries_come(id, first);
    post_stop(1);
    cr_assert_eq(first->references, 1u);
    entry_drop(first);
}

Test(mailbox, keeps_as_much_for_the_bulk_channel_as_it_promises)
{
    struct batch *entries = post_entries(1, MAILBOX_BULK_BYTES / OUTBOX_UNCONNECTED_MAX - ENTRY_HEAD_BYTES);
    struct batch *largest = post_entries(1, POST_ENTRY_BYTES_MAX - ENTRY_HEAD_BYTES);

    post_start(1);
    for (int i = 1; i < OUTBOX_UNCONNECTED_MAX; i++)
        post_send_entries(1, 2, entries);
    post_send_entries(1, 2, largest);
    post_start(2);
    letter_free(post_take_of(2, CHANNEL_BULK, LETTER_CONNECTED));
    for (int i = 1; i <= OUTBOX_UNCONNECTED_MAX; i++) {
        struct letter *letter = post_take_of(2, CHANNEL_BULK, LETTER_MESSAGE);

        cr_assert_eq(letter->entries->bytes, i < OUTBOX_UNCONNECTED_MAX ? entries->bytes : largest->bytes);
        letter_free(letter);
    }
    batch_free(entries);
    batch_free(largest);
}

/* Both have the other's bulk channel. */
static void start_two(void)
{
    post_start(1);
    post_start(2);
    for (int id = 1; id <= 2; id++) {
        letter_free(post_take_of(id, CHANNEL_BULK, LETTER_REACHED));
        letter_free(post_take_of(id, CHANNEL_BULK, LETTER_CONNECTED));
    }
}

static uint8_t byte_of(uint64_t number, size_t at)
{
    return (uint8_t)(number * 31 + at * 7 + at / 251);
}

/* Forwards one request of so many bytes, whose number and bytes tell it from others. */
static void forward(int from, raft_id to, uint64_t number, size_t size)
{
    struct message message = {.type_of_message = FORWARD, .server_id = from, .curr_term = 3};
    uint8_t *bytes = memory_new(size);
    const struct request request = {REQUEST_COMMAND, number, 0, bytes, size};
    struct mailraft_buffer body = {.bytes = NULL};

    for (size_t at = 0; at < size; at++)
        bytes[at] = byte_of(number, at);
    requests_put(&body, &request);
    mailbox_forward(post_node(from)->mailbox, to, &message, &body);
    buffer_fini(&body);
    memory_free(bytes);
}

static void assert_forward_comes(int id, uint64_t number, size_t size)
{
    struct letter *letter = post_take_of(id, CHANNEL_BULK, LETTER_MESSAGE);
    struct request request;
    size_t at = 0;

    cr_assert_eq(letter->message.type_of_message, FORWARD);
    cr_assert_eq(letter->message.curr_term, 3u);
    cr_assert_null(letter->entries);
    cr_assert(requests_next(&letter->body, &at, &request));
    cr_assert_eq(at, letter->body.size);
    cr_assert_eq(request.number, number);
    cr_assert_eq(request.size, size);
    for (size_t i = 0; i < size; i++)
        cr_assert_eq(request.bytes[i], byte_of(number, i));
    letter_free(letter);
}

Test(mailbox, forwards_bodies_of_every_size_whole_and_in_order)
{
    static const size_t SIZES[] = {1, 2, 100, 1000, 4096, 30000, 60 * 1024, POST_ENTRY_BYTES_MAX};
    const size_t count = sizeof SIZES / sizeof *SIZES;

    start_two();
    for (uint64_t number = 0; number < 40; number++)
        forward(1, 2, number, SIZES[number * 3 % count]);
    for (uint64_t number = 0; number < 40; number++)
        assert_forward_comes(2, number, SIZES[number * 3 % count]);
    cr_assert_eq(mailbox_waiting_bytes(post_node(1)->mailbox, 2, CHANNEL_BULK), 0u);
    cr_assert_eq(mailbox_waiting_bytes(post_node(1)->mailbox, 2, CHANNEL_URGENT), 0u);
}

/* What an answer of so many bytes looks like when its parts are put together. */
static void assert_answer_comes(int id, size_t size)
{
    struct reply reply = {.more = true};
    size_t got = 0;

    while (reply.more) {
        struct letter *letter = post_take_of(id, CHANNEL_BULK, LETTER_MESSAGE);
        size_t at = 0;

        cr_assert_eq(letter->message.type_of_message, FORWARDED);
        cr_assert_leq(letter->body.size, (size_t)BODY_PORTION_BYTES);
        while (replies_next(&letter->body, &at, &reply)) {
            cr_assert_eq(reply.number, 7u);
            for (size_t i = 0; i < reply.size; i++, got++)
                cr_assert_eq(reply.bytes[i], byte_of(7, got));
        }
        letter_free(letter);
    }
    cr_assert_eq(got, size);
}

Test(mailbox, forwards_a_body_of_any_length_in_portions)
{
    struct message message = {.type_of_message = FORWARDED, .server_id = 2, .request_channel = CHANNEL_BULK};
    const size_t size = 3 * 1024 * 1024;
    uint8_t *bytes = memory_new(size);
    const struct reply reply = {.outcome = OUTCOME_READ, .number = 7, .bytes = bytes, .size = size};
    struct mailraft_buffer body = {.bytes = NULL};

    for (size_t at = 0; at < size; at++)
        bytes[at] = byte_of(7, at);
    start_two();
    mailbox_forward(post_node(2)->mailbox, 1, &message, &body); /* nothing: no message */
    replies_put(&body, &reply);
    mailbox_forward(post_node(2)->mailbox, 1, &message, &body);
    assert_answer_comes(1, size);
    buffer_fini(&body);
    memory_free(bytes);
}

Test(mailbox, throws_away_what_is_forwarded_to_nobody)
{
    post_start(1);
    forward(1, 2, 1, 1000);
    cr_assert_eq(mailbox_waiting_bytes(post_node(1)->mailbox, 2, CHANNEL_BULK), 0u);
    post_start(2);
    letter_free(post_take_of(1, CHANNEL_BULK, LETTER_REACHED));
    forward(1, 2, 2, 1000); /* from here on it is kept, though the writer may not have begun */
    letter_free(post_take_of(2, CHANNEL_BULK, LETTER_CONNECTED));
    assert_forward_comes(2, 2, 1000);
}

Test(mailbox, shows_a_uuid_that_it_is_told_in_every_hello_from_there_on)
{
    const struct cluster_uuid uuid = {"fedcba987654321"};
    struct letter *letter;

    post_start(1);
    mailbox_set_uuid(post_node(1)->mailbox, &uuid);
    post_start(2);
    letter = post_take(2, LETTER_CONNECTED);
    cr_assert_arr_eq(letter->hello.cluster_uuid.bytes, uuid.bytes, CLUSTER_UUID_SIZE);
    letter_free(letter);
    letter = post_take(2, LETTER_REACHED);
    cr_assert_arr_eq(letter->hello.cluster_uuid.bytes, uuid.bytes, CLUSTER_UUID_SIZE);
    letter_free(letter);
}

Test(mailbox, that_cannot_bind_says_so_and_leaves_nothing_behind)
{
    int taken = plain_listen(post_port(1), 1);
    char expected[100];
    struct post_node *node = post_node(1);

    node->pile = pile_new();
    node->log = log_open(node->file, 1, LOG_DEBUG, &err);
    cr_assert_null(mailbox_open(&node->config, node->pile, node->log, &err));
    cr_assert(error_is(&err, &BIND_ERROR));
    snprintf(expected, sizeof expected, "Couldn't bind to 127.0.0.1:%u: Address already in use", post_port(1));
    cr_assert_str_eq(err.message, expected);
    pile_free(node->pile);
    log_close(node->log);
    close(taken);
    post_start(1); /* the port is free again */
}

static bool yes(void *context)
{
    *(bool *)context = true;
    return true;
}

Test(mailbox, gives_up_opening_when_it_is_interrupted)
{
    struct post_node *node = post_node(1);
    bool asked = false;

    node->pile = pile_new();
    node->log = log_open(node->file, 1, LOG_DEBUG, &err);
    snprintf(node->config.listen.host, sizeof node->config.listen.host, POST_HANGING_HOST);
    node->config.interrupted = yes;
    node->config.context = &asked;
    cr_assert_null(mailbox_open(&node->config, node->pile, node->log, &err));
    cr_assert(asked);
    cr_assert_not_null(strstr(err.message, "Couldn't resolve " POST_HANGING_HOST ": we are stopping"), "%s",
                       err.message);
    pile_free(node->pile);
    log_close(node->log);
}

Test(mailbox, stops_while_everybody_is_connected_and_speaks)
{
    for (int id = 1; id <= 3; id++)
        post_start(id);
    for (int id = 1; id <= 3; id++)
        for (int peer = 1; peer <= 3; peer++)
            if (peer != id) {
                post_await_connected(id, peer, 1);
                post_await_connected_bulk(id, peer, 1);
            }
    for (uint64_t round = 1; round <= 1000; round++)
        for (int id = 1; id <= 3; id++)
            for (int peer = 1; peer <= 3; peer++)
                if (peer != id)
                    post_send(id, peer, round);
    for (int id = 1; id <= 3; id++)
        post_stop(id);
}
