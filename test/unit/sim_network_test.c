/* The simulated network and the lives of nodes on it. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/entry.h"
#include "sim/sim.h"

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
