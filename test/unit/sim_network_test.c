/* The simulated network and the lives of nodes on it. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/entry.h"
#include "base/requests.h"
#include "sim/world.h"

#define SECOND 1000000

static struct sim *cluster_of_seed(uint64_t seed, int count)
{
    struct sim *sim = sim_new(seed);

    sim_log_keep(sim);
    sim_add_cluster(sim, count);
    cr_assert(sim_run_until_leader(sim, 10 * SECOND));
    sim_run_us(sim, SECOND);
    return sim;
}

static struct sim *cluster(int count)
{
    return cluster_of_seed(7, count);
}

static raft_id other_than(raft_id id)
{
    return id == 1 ? 2 : 1;
}

Test(sim_network, a_leader_that_is_cut_off_is_replaced_and_its_return_deposes_nobody)
{
    struct sim *sim = cluster(5);
    raft_id old = sim_leader(sim), new;

    sim_isolate(sim, old);
    sim_run_us(sim, 2 * SECOND);
    new = sim_leader(sim);
    cr_assert_neq(new, NO_ONE);
    cr_assert_neq(new, old);
    sim_heal(sim);
    sim_run_us(sim, 5 * SECOND);
    cr_assert_eq(sim_leader(sim), new);
    cr_assert_eq(sim_server(sim, old)->leader_id, new);
    sim_free(sim);
}

Test(sim_network, a_leader_that_is_not_heard_is_replaced_though_it_hears_everybody)
{
    struct sim *sim = cluster(3);
    raft_id old = sim_leader(sim);

    for (raft_id id = 1; id <= 3; id++)
        sim_cut(sim, old, id);
    sim_run_us(sim, 2 * SECOND);
    cr_assert_neq(sim_leader(sim), NO_ONE);
    cr_assert_neq(sim_leader(sim), old);
    sim_free(sim);
}

Test(sim_network, four_nodes_cut_in_halves_have_no_leader)
{
    struct sim *sim = cluster(4);

    for (raft_id id = 1; id <= 2; id++)
        for (raft_id other = 3; other <= 4; other++) {
            sim_cut(sim, id, other);
            sim_cut(sim, other, id);
        }
    sim_run_us(sim, 5 * SECOND);
    for (raft_id id = 1; id <= 4; id++)
        cr_assert_neq(sim_server(sim, id)->role, LEADER);
    sim_heal(sim);
    cr_assert(sim_run_until_leader(sim, 6 * SECOND));
    sim_free(sim);
}

Test(sim_network, followers_of_a_leader_that_dies_learn_it_at_once)
{
    struct sim *sim = cluster(3);
    raft_id old = sim_leader(sim);

    sim_kill(sim, old);
    cr_assert(sim_run_until_leader(sim, 100000), "long before the shortest timeout");
    cr_assert(sim_log_has(sim, sim_leader(sim), "closed its connection"));
    sim_free(sim);
}

Test(sim_network, followers_of_a_leader_that_loses_its_power_wait_for_their_timeouts)
{
    struct sim *sim = cluster(3);
    raft_id old = sim_leader(sim);

    sim_power_cut(sim, old);
    cr_assert_not(sim_run_until_leader(sim, 99000), "the shortest timeout has not passed");
    cr_assert(sim_run_until_leader(sim, 2 * SECOND));
    cr_assert_not(sim_log_has(sim, sim_leader(sim), "closed its connection"));
    sim_restart(sim, old);
    sim_run_us(sim, SECOND);
    cr_assert_eq(sim_server(sim, old)->leader_id, sim_leader(sim));
    sim_free(sim);
}

Test(sim_network, a_connection_that_breaks_under_a_living_leader_deposes_nobody)
{
    int asked = 0;

    for (uint64_t seed = 0; seed < 10; seed++) {
        struct sim *sim = cluster_of_seed(seed, 3);
        raft_id leader = sim_leader(sim), follower = other_than(leader);
        int led = sim_log_count(sim, leader, "Leader!");

        sim_break_connection(sim, leader, follower);
        sim_run_us(sim, 5 * SECOND);
        asked += sim_log_has(sim, follower, "closed its connection");
        cr_assert_eq(sim_leader(sim), leader);
        cr_assert_eq(sim_log_count(sim, leader, "Leader!"), led);
        sim_free(sim);
    }
    cr_assert_gt(asked, 0); /* or the leader was heard again before */
}

Test(sim_network, mail_of_a_paused_node_waits_for_it)
{
    struct sim *sim = cluster(3);
    raft_id leader = sim_leader(sim), follower = other_than(leader);

    sim_pause(sim, follower);
    sim_run_us(sim, 2 * SECOND);
    sim_resume(sim, follower);
    sim_run_us(sim, 2 * SECOND);
    cr_assert_eq(sim_leader(sim), leader, "its heartbeats were read before the follower could stand");
    cr_assert_not(sim_log_has(sim, follower, "heard 2"), "it did not stand");
    sim_free(sim);
}

Test(sim_network, a_leader_that_stops_hands_over_and_ends_well)
{
    struct sim *sim = cluster(3);
    raft_id old = sim_leader(sim);
    struct mailraft_error err;

    sim_stop(sim, old);
    sim_run_us(sim, SECOND);
    cr_assert_not(sim_lives(sim, old));
    cr_assert(sim_ended_well(sim, old, &err));
    cr_assert(sim_log_has(sim, sim_leader(sim), "hands over"));
    sim_free(sim);
}

Test(sim_network, a_stop_ends_a_node_whose_disk_hangs)
{
    struct sim *sim = cluster(3);
    raft_id leader = sim_leader(sim), follower = other_than(leader);

    sim_disk_hang(sim, follower, true);
    sim_kill(sim, leader); /* the next election needs the disk */
    sim_run_us(sim, SECOND);
    sim_stop(sim, follower);
    sim_run_us(sim, SECOND);
    cr_assert_not(sim_lives(sim, follower));
    cr_assert(sim_ended_well(sim, follower, NULL));
    sim_free(sim);
}

Test(sim_network, a_node_whose_sync_fails_ends_and_says_why)
{
    struct sim *sim = cluster(3);
    raft_id leader = sim_leader(sim), follower = other_than(leader);
    struct mailraft_error err;

    sim_disk_fail_sync(sim, follower);
    sim_kill(sim, leader);
    sim_run_us(sim, 2 * SECOND);
    cr_assert_not(sim_lives(sim, follower));
    cr_assert_not(sim_ended_well(sim, follower, &err));
    cr_assert(error_is(&err, &STORAGE_ERROR));
    sim_free(sim);
}

/* ---- Two channels ---- */

/* What the trace tells from here on. */
struct trace {
    char *text;
    size_t size;
    FILE *stream;
};

static void trace_open(struct trace *trace, struct sim *sim)
{
    trace->stream = open_memstream(&trace->text, &trace->size);
    sim_trace_to(sim, trace->stream);
}

static int trace_count(struct trace *trace, const char *text)
{
    int count = 0;

    fflush(trace->stream);
    for (const char *at = trace->text; (at = strstr(at, text)) != NULL; at += strlen(text))
        count++;
    return count;
}

static void trace_close(struct trace *trace, struct sim *sim)
{
    sim_trace_to(sim, NULL);
    fclose(trace->stream);
    free(trace->text);
}

Test(sim_network, each_node_opens_both_channels_to_each_other)
{
    struct sim *sim = sim_new(7);
    struct trace trace;

    trace_open(&trace, sim);
    sim_add_cluster(sim, 3);
    sim_run_us(sim, SECOND);
    cr_assert_eq(trace_count(&trace, "urgent#1 connected"), 6);
    cr_assert_eq(trace_count(&trace, "urgent#1 reached"), 6);
    cr_assert_eq(trace_count(&trace, "bulk#1 connected"), 6);
    cr_assert_eq(trace_count(&trace, "bulk#1 reached"), 6);
    trace_close(&trace, sim);
    sim_free(sim);
}

Test(sim_network, a_channel_breaks_without_the_other)
{
    struct sim *sim = cluster(3);
    struct trace trace;

    trace_open(&trace, sim);
    sim_break_channel(sim, 1, 2, CHANNEL_BULK);
    sim_run_us(sim, SECOND);
    cr_assert_eq(trace_count(&trace, "1 -> 2 bulk#1 lost"), 1);
    cr_assert_eq(trace_count(&trace, "1 -> 2 bulk#1 disconnected"), 1);
    cr_assert_eq(trace_count(&trace, "1 -> 2 bulk#2 reached"), 1);
    cr_assert_eq(trace_count(&trace, "1 -> 2 bulk#2 connected"), 1);
    cr_assert_eq(trace_count(&trace, "lost"), 1, "no other connection was");
    trace_close(&trace, sim);
    sim_free(sim);
}

Test(sim_network, who_is_connected_to_a_process_that_dies_loses_both_channels)
{
    struct sim *sim = cluster(3);
    struct trace trace;

    trace_open(&trace, sim);
    sim_kill(sim, 1);
    sim_run_us(sim, 2000);
    for (raft_id id = 2; id <= 3; id++) {
        char text[40];

        snprintf(text, sizeof text, "%d -> 1 urgent#1 lost", id);
        cr_assert_eq(trace_count(&trace, text), 1);
        snprintf(text, sizeof text, "%d -> 1 bulk#1 lost", id);
        cr_assert_eq(trace_count(&trace, text), 1);
    }
    trace_close(&trace, sim);
    sim_free(sim);
}

Test(sim_network, who_is_connected_to_a_machine_without_power_learns_it_when_that_is_back)
{
    struct sim *sim = cluster(3);
    struct trace trace;

    trace_open(&trace, sim);
    sim_power_cut(sim, 1);
    sim_run_us(sim, 3 * SECOND);
    cr_assert_eq(trace_count(&trace, "-> 1 urgent#1 lost"), 0);
    sim_restart(sim, 1);
    sim_run_us(sim, 100000);
    cr_assert_eq(trace_count(&trace, "-> 1 urgent#1 lost"), 2);
    cr_assert_eq(trace_count(&trace, "-> 1 urgent#2 reached"), 2);
    trace_close(&trace, sim);
    sim_free(sim);
}

Test(sim_network, nodes_of_different_clusters_refuse_each_other)
{
    struct sim *sim = cluster(2);
    struct cluster_uuid one = {{1}}, other = {{2}};
    struct trace trace;

    mailbox_set_uuid(sim_server(sim, 1)->mailbox, &one);
    mailbox_set_uuid(sim_server(sim, 2)->mailbox, &other);
    trace_open(&trace, sim);
    sim_break_connection(sim, 1, 2);
    sim_run_us(sim, SECOND);
    cr_assert_eq(trace_count(&trace, " reached"), 0);
    mailbox_set_uuid(sim_server(sim, 2)->mailbox, &one);
    sim_run_us(sim, SECOND);
    cr_assert_eq(trace_count(&trace, " reached"), 2);
    trace_close(&trace, sim);
    sim_free(sim);
}

Test(sim_network, entries_are_copied_from_life_to_life)
{
    struct sim *sim = sim_new(7);
    struct node_config *config = calloc(1, sizeof *config);
    struct message message = {.type_of_message = RESPONSE_VOTE, .server_id = 1}, sent;
    struct batch *entries = batch_new(), *copies;
    enum channel channel;

    sim_script_network(sim);
    sim_configure(config, 1, 2);
    sim_add_node(sim, config);
    sim_settle(sim);
    batch_add(entries, entry_new(ENTRY_COMMAND, 1, 5, 0, "add 1", 5));
    batch_add(entries, entry_new(ENTRY_COMMAND, 1, 6, 0, "add 2", 5));
    mailbox_send(sim_server(sim, 1)->mailbox, 2, CHANNEL_BULK, &message, entries, true);
    cr_assert(sim_sent_entries(sim, 1, 2, &sent, &channel, &copies));
    cr_assert_eq(channel, CHANNEL_BULK);
    cr_assert_eq(sent.type_of_message, RESPONSE_VOTE);
    cr_assert_eq(copies->count, 2);
    cr_assert_neq(copies->list[0], entries->list[0]);
    cr_assert_arr_eq(copies->list[1]->bytes, entries->list[1]->bytes, entries->list[1]->size);
    batch_free(entries);
    batch_free(copies);
    free(config);
    sim_free(sim);
}

/* ---- What is forwarded ---- */

/* As many replies, numbered from 1 on, of so many bytes each. */
static struct mailraft_buffer some_replies(uint64_t count, size_t size)
{
    struct mailraft_buffer body = {.bytes = NULL};
    uint8_t *bytes = calloc(1, size + 1);

    for (uint64_t number = 1; number <= count; number++) {
        const struct reply reply = {.outcome = OUTCOME_READ, .number = number, .bytes = bytes, .size = size};

        replies_put(&body, &reply);
    }
    free(bytes);
    return body;
}

/* A FORWARDED that nobody waits for; the trace tells it by its number. */
static void forward(struct sim *sim, raft_id from, raft_id to, uint64_t number)
{
    const struct server *server = sim_server(sim, from);
    const struct message message = {
        .type_of_message = FORWARDED,
        .curr_term = server->current_term,
        .server_id = from,
        .request_incarnation = 1,
        .request_connection = number,
        .request_channel = CHANNEL_BULK,
    };
    struct mailraft_buffer body = some_replies(1, 100);

    mailbox_forward(server->mailbox, to, &message, &body);
    buffer_fini(&body);
}

static int forwarded(struct trace *trace, uint64_t number)
{
    char text[60];

    snprintf(text, sizeof text, " request_connection=%llu ", (unsigned long long)number);
    return trace_count(trace, text);
}

Test(sim_network, what_is_forwarded_comes_once_and_in_order_whatever_becomes_of_other_messages)
{
    struct sim *sim = cluster(3);
    raft_id from = other_than(sim_leader(sim)), to = 6 - from - sim_leader(sim);
    char number[60];
    struct trace trace;
    const char *at;

    sim_network(sim)->reordering = true;
    sim_network(sim)->duplication = 0.5;
    sim_network(sim)->tail = 0.3;
    sim_network(sim)->tail_max_us = 20000;
    trace_open(&trace, sim);
    for (uint64_t i = 1001; i <= 1200; i++) {
        forward(sim, from, to, i);
        sim_run_us(sim, 100);
    }
    sim_run_us(sim, SECOND);
    fflush(trace.stream);
    at = trace.text;
    for (uint64_t i = 1001; i <= 1200; i++) {
        cr_assert_eq(forwarded(&trace, i), 1);
        snprintf(number, sizeof number, " request_connection=%llu ", (unsigned long long)i);
        at = strstr(at, number);
        cr_assert_not_null(at, "%s comes too early", number);
    }
    trace_close(&trace, sim);
    sim_free(sim);
}

Test(sim_network, what_is_forwarded_is_lost_without_a_connection_and_with_it)
{
    struct sim *sim = cluster(3);
    raft_id from = other_than(sim_leader(sim)), to = 6 - from - sim_leader(sim);
    struct trace trace;

    trace_open(&trace, sim);
    sim_cut(sim, from, to);
    forward(sim, from, to, 1001); /* waits for the way, as in a socket */
    cr_assert_eq(mailbox_waiting_bytes(sim_server(sim, from)->mailbox, to, CHANNEL_BULK), REPLY_HEAD_BYTES + 100u);
    cr_assert_eq(mailbox_waiting_bytes(sim_server(sim, from)->mailbox, to, CHANNEL_URGENT), 0u);
    sim_run_us(sim, SECOND);
    cr_assert_eq(forwarded(&trace, 1001), 0);
    sim_heal(sim);
    sim_run_us(sim, SECOND);
    cr_assert_eq(forwarded(&trace, 1001), 1);
    sim_cut(sim, from, to);
    forward(sim, from, to, 1002);
    sim_run_us(sim, 6 * SECOND); /* the connection is given up */
    forward(sim, from, to, 1003);
    cr_assert_eq(mailbox_waiting_bytes(sim_server(sim, from)->mailbox, to, CHANNEL_BULK), 0u);
    sim_heal(sim);
    sim_run_us(sim, SECOND);
    cr_assert_eq(forwarded(&trace, 1002), 0);
    cr_assert_eq(forwarded(&trace, 1003), 0);
    forward(sim, from, to, 1004);
    sim_run_us(sim, SECOND);
    cr_assert_eq(forwarded(&trace, 1004), 1);
    trace_close(&trace, sim);
    sim_free(sim);
}

/* Of what was sent before a connection breaks, what comes was sent before what does not. */
Test(sim_network, the_last_of_what_is_on_its_way_is_lost_with_a_connection_that_breaks)
{
    int all = 0, none = 0, some = 0;

    for (uint64_t seed = 0; seed < 60; seed++) {
        struct sim *sim = cluster_of_seed(seed, 3);
        raft_id from = other_than(sim_leader(sim)), to = 6 - from - sim_leader(sim);
        struct trace trace;
        uint64_t came = 0;

        trace_open(&trace, sim);
        for (uint64_t number = 1001; number <= 1005; number++)
            forward(sim, from, to, number);
        sim_break_channel(sim, from, to, CHANNEL_BULK);
        sim_run_us(sim, SECOND);
        for (uint64_t number = 1001; number <= 1005; number++) {
            int times = forwarded(&trace, number);

            cr_assert_leq(times, number == 1001 + came ? 1 : 0);
            came += (uint64_t)times;
        }
        none += came == 0;
        all += came == 5;
        some += came > 0 && came < 5;
        trace_close(&trace, sim);
        sim_free(sim);
    }
    cr_assert_gt(none, 0);
    cr_assert_gt(some, 0);
    cr_assert_gt(all, 0);
}

static const char *position_of(struct trace *trace, const char *text)
{
    fflush(trace->stream);
    return strstr(trace->text, text);
}

/* As by a reader that has not run for a while, before it finds its socket shut. */
Test(sim_network, letters_of_an_older_connection_come_in_their_order_after_a_newer_one_has_opened)
{
    struct sim *sim = cluster(3);
    raft_id from = other_than(sim_leader(sim)), to = 6 - from - sim_leader(sim);
    struct trace trace;
    char opened[60], closed[60];

    snprintf(opened, sizeof opened, " %d -> %d bulk#2 connected", from, to);
    snprintf(closed, sizeof closed, " %d -> %d bulk#1 disconnected", from, to);
    trace_open(&trace, sim);
    for (uint64_t number = 1001; number <= 1005; number++)
        forward(sim, from, to, number);
    sim_straggle(sim, from, to, CHANNEL_BULK, SECOND);
    sim_run_us(sim, 2 * SECOND);
    cr_assert_eq(trace_count(&trace, opened), 1);
    for (uint64_t number = 1001; number <= 1005; number++) {
        char text[60], next[60];

        snprintf(text, sizeof text, " request_connection=%llu ", (unsigned long long)number);
        snprintf(next, sizeof next, " request_connection=%llu ", (unsigned long long)number + 1);
        cr_assert_eq(forwarded(&trace, number), 1, "nothing is lost");
        cr_assert(position_of(&trace, opened) < position_of(&trace, text));
        cr_assert(number == 1005 || position_of(&trace, text) < position_of(&trace, next));
        cr_assert(position_of(&trace, text) < position_of(&trace, closed));
    }
    trace_close(&trace, sim);
    sim_free(sim);
}

Test(sim_network, one_way_is_healed_and_no_other)
{
    struct sim *sim = cluster(3);
    raft_id leader = sim_leader(sim), other = other_than(leader), third = 6 - leader - other;

    sim_isolate(sim, leader);
    sim_heal_way(sim, leader, other);
    sim_heal_way(sim, other, leader);
    sim_cut(sim, other, third);
    sim_cut(sim, third, other);
    cr_assert(sim_run_until_leader(sim, 10 * SECOND), "the two that reach each other");
    cr_assert_neq(sim_leader(sim), third);
    sim_free(sim);
}

static struct sim *scripted_node(void)
{
    struct sim *sim = sim_new(7);
    struct node_config *config = calloc(1, sizeof *config);

    sim_script_network(sim);
    sim_configure(config, 1, 2);
    sim_add_node(sim, config);
    sim_settle(sim);
    free(config);
    return sim;
}

Test(sim_network, what_a_node_forwards_can_be_taken_in_portions)
{
    struct sim *sim = scripted_node();
    struct message message = {.type_of_message = FORWARDED, .server_id = 1, .request_connection = 9}, sent;
    struct mailraft_buffer body = some_replies(100, 1000), got, all = {.bytes = NULL};
    struct mailbox *mailbox = sim_server(sim, 1)->mailbox;

    mailbox_forward(mailbox, 2, &message, &body);
    cr_assert_eq(mailbox_waiting_bytes(mailbox, 2, CHANNEL_BULK), body.size);
    cr_assert_eq(mailbox_waiting_bytes(mailbox, 2, CHANNEL_URGENT), 0u);
    while (sim_sent_body(sim, 1, 2, &sent, &got)) {
        cr_assert_eq(sent.type_of_message, FORWARDED);
        cr_assert_eq(sent.request_connection, 9u);
        cr_assert_leq(got.size, (size_t)BODY_PORTION_BYTES);
        mailraft_buffer_put(&all, got.bytes, got.size);
        buffer_fini(&got);
    }
    cr_assert_eq(all.size, body.size);
    cr_assert(memcmp(all.bytes, body.bytes, body.size) == 0);
    cr_assert_eq(mailbox_waiting_bytes(mailbox, 2, CHANNEL_BULK), 0u);
    buffer_fini(&all);
    buffer_fini(&body);
    sim_free(sim);
}

/* The next letter on a node's pile that is a message of this type, which it is kept from reading. */
static struct letter *take_message(struct sim *sim, raft_id id, enum message_type type)
{
    struct server *server = sim_server(sim, id);
    struct letter *letter;
    int64_t now_us;

    while ((letter = pile_try(server->pile, LANE_INNER, &now_us)) != NULL &&
           (letter->kind != LETTER_MESSAGE || letter->message.type_of_message != type))
        letter_free(letter);
    cr_assert_not_null(letter);
    return letter;
}

Test(sim_network, a_peer_that_the_test_plays_forwards_with_a_body_of_its_own_over_the_bulk_channel)
{
    struct sim *sim = scripted_node();
    struct message message = {.type_of_message = FORWARDED, .server_id = 2};
    struct mailraft_buffer body = some_replies(3, 10);
    struct letter *letter;

    sim_put_body(sim, 1, &message, &body);
    life_enter(sim, sim_machine(sim, 1)->life);
    letter = take_message(sim, 1, FORWARDED);
    cr_assert_eq(letter->link.channel, CHANNEL_BULK);
    cr_assert_eq(letter->message.request_channel, (uint32_t)CHANNEL_BULK);
    cr_assert_eq(letter->message.request_connection, sim_reached(sim, 1, 2, CHANNEL_BULK).connection);
    cr_assert_null(letter->entries);
    cr_assert_eq(letter->body.size, body.size);
    cr_assert_neq(letter->body.bytes, body.bytes);
    cr_assert_arr_eq(letter->body.bytes, body.bytes, body.size);
    letter_free(letter);
    life_leave(sim);
    buffer_fini(&body);
    sim_free(sim);
}
