/* What networks, kernels and other clusters can do to nodes that serve. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "cluster/bad_machine.h"
#include "cluster/load.h"
#include "cluster/proxy.h"
#include "cluster/serving.h"

/* Three nodes with a proxy between them. */
static struct cluster *start_with_proxy(struct proxy **proxy)
{
    struct cluster *cluster = serving_new(3, STEADY);
    *proxy = proxy_start(cluster, STEADY);
    for (int id = 1; id <= 3; id++)
        cluster_start_node(cluster, id, NULL);
    assert_answer_of(cluster, cluster_settle(cluster), "OK", "SET began 1");
    return cluster;
}

/* ---- Calls that do little at once ---- */

#define LARGE_BYTES 300000

static void assert_large_value_whole(struct cluster *cluster, int id)
{
    char *value = malloc(LARGE_BYTES);
    redisContext *context = serving_connect(cluster, id);
    for (size_t i = 0; i < LARGE_BYTES; i++)
        value[i] = (char)(i * i + i / 251 + (size_t)id);
    redisReply *reply = redisCommand(context, "SET large %b", value, (size_t)LARGE_BYTES);
    cr_assert_not_null(reply);
    cr_assert_str_eq(answer_text(reply), "OK");
    freeReplyObject(reply);
    for (int other = 1; other <= 3; other++) {
        redisContext *reader = serving_connect(cluster, other);
        reply = redisCommand(reader, "GET large");
        cr_assert(reply != NULL && reply->type == REDIS_REPLY_STRING && reply->len == LARGE_BYTES);
        cr_assert_eq(memcmp(reply->str, value, LARGE_BYTES), 0);
        freeReplyObject(reply);
        redisFree(reader);
    }
    redisFree(context);
    free(value);
}

/* Reads and writes of sockets and files that are cut short, and calls that are interrupted wherever they may be: no
 * byte is lost or repeated. */
Test(network, calls_that_are_cut_short_or_interrupted_lose_no_byte)
{
    struct cluster *cluster = serving_new(3, STEADY);
    struct bad_machine bad;
    bad_machine_init(&bad, cluster, "armed", "short");
    bad_machine_arm(&bad);
    for (int id = 1; id <= 3; id++)
        cluster_start_node(cluster, id, bad.environment);
    cluster_settle(cluster);
    bad_machine_await(&bad, cluster);
    struct load *load = load_start(cluster, 6);
    for (int id = 1; id <= 3; id++) {
        load_await(load, 20);
        assert_large_value_whole(cluster, id);
        cluster_kill(cluster, id);
        load_await(load, 20);
        cluster_start_node(cluster, id, bad.environment);
        cluster_settle(cluster);
    }
    load_end(load, 1);
    cluster_free(cluster);
}

/* ---- Leaders that were paused ---- */

/* As many reads as fit into its sockets; returns how many. */
static int fill_with_reads(redisContext *context)
{
    static const char GET[] = "*2\r\n$3\r\nGET\r\n$1\r\na\r\n";
    const size_t size = sizeof(GET) - 1;
    size_t sent = 0;
    ssize_t got;
    while ((got = send(context->fd, GET + sent % size, size - sent % size, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
        sent += (size_t)got;
    cr_assert(errno == EAGAIN || errno == EWOULDBLOCK);
    return (int)(sent / size);
}

/* A leader is stopped for seconds, with as many reads waiting as its sockets hold, while another one is elected and
 * takes a write; when it goes on, it hears nobody who could tell. None of them is answered from the state of old
 * (cowsql/raft 99, yugabyte 915). */
Test(network, reads_that_fill_the_sockets_of_a_paused_leader_are_not_answered_from_its_old_state)
{
    struct proxy *proxy;
    struct cluster *cluster = start_with_proxy(&proxy);
    int paused = cluster_settle(cluster), other = paused % 3 + 1, bytes = 16384;
    uint64_t term = cluster->leader_term;
    redisContext *context = serving_connect(cluster, paused);
    cr_assert_eq(setsockopt(context->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
    assert_answer(context, "OK", "SET a before");
    proxy_isolate(proxy, paused, true);
    cluster_pause(cluster, paused);
    int asked = fill_with_reads(context);
    cluster_later_leader(cluster, term);
    assert_answer_of(cluster, other, "OK", "SET a after");
    cluster_resume(cluster, paused);
    cluster_expect(cluster, paused, "STATE: LEADER -> FOLLOWER");
    proxy_isolate(proxy, paused, false);
    for (int i = 0; i < asked; i++) {
        const char *answer = serving_take(context);
        cr_assert(strcmp(answer, "\"after\"") == 0 || is_clusterdown(answer), "%d of %d: %s", i, asked, answer);
    }
    cr_assert_gt(asked, 1000);
    redisFree(context);
    cluster_free(cluster);
    proxy_stop(proxy);
}

/* ---- Half-open connections ---- */

/* The host of a peer is gone without a word: no packet comes of it any more, no FIN, no reset. Both ends notice, and
 * reach each other again when it is back; the connections of before, which the other end may still hold for whole, give
 * way. */
Test(network, a_peer_whose_host_is_gone_without_a_word_is_noticed_and_reached_again)
{
    struct proxy *proxy;
    struct cluster *cluster = start_with_proxy(&proxy);
    int leader = cluster_settle(cluster), gone = leader % 3 + 1;
    char lost[40], found[40];
    for (int round = 0; round < 2; round++) {
        uint64_t term = cluster->leader_term;
        snprintf(lost, sizeof(lost), "Lost connection to %d at ", gone);
        snprintf(found, sizeof(found), "Connected to %d at ", gone);
        proxy_vanish(proxy, leader, gone);
        assert_answer_of(cluster, leader, "OK", "SET a %d", round);
        cluster_expect(cluster, leader, lost);
        cluster_expect(cluster, leader, found);
        snprintf(lost, sizeof(lost), "Lost connection to %d at ", leader);
        snprintf(found, sizeof(found), "Connected to %d at ", leader);
        cluster_expect(cluster, gone, lost);
        cluster_expect(cluster, gone, found);
        cr_assert_eq(cluster_settle(cluster), leader);
        cr_assert_eq(cluster->leader_term, term);
        cr_assert_eq(serving_number(cluster, gone, "a"), round);
    }
    cluster_free(cluster);
    proxy_stop(proxy);
}

/* ---- Slow peers ---- */

/* All that a peer sends, and what it is sent, comes at a byte a second: it counts as one that is away, holds up nobody,
 * and is whole again when its network is. */
Test(network, a_peer_that_sends_a_byte_a_second_holds_up_nobody)
{
    struct proxy *proxy;
    struct cluster *cluster = start_with_proxy(&proxy);
    int leader = cluster_settle(cluster), slow = leader % 3 + 1, third = slow % 3 + 1;
    uint64_t term = cluster->leader_term;
    proxy_slow(proxy, slow, true);
    cluster_expect(cluster, slow, "Still no leader");
    redisContext *context = serving_connect(cluster, third);
    for (int i = 1; i <= 100; i++)
        cr_assert_eq(atol(serving_ask(context, "INCR a")), i);
    cr_assert_eq(cluster->leader_term, term);

    /* Nor does it one that wants to lead, and has to be heard. */
    cluster_kill(cluster, leader);
    proxy_slow(proxy, slow, false);
    cluster_later_leader(cluster, term);
    cr_assert_eq(atol(serving_ask(context, "INCR a")), 101);
    proxy_slow(proxy, slow, true);
    cluster_start_node(cluster, leader, NULL);
    cr_assert_geq(atol(serving_ask(context, "INCR a")), 102);
    proxy_slow(proxy, slow, false);
    cluster_settle(cluster);
    cr_assert_eq(serving_number(cluster, slow, "a"), serving_number(cluster, leader, "a"));
    redisFree(context);
    cluster_free(cluster);
    proxy_stop(proxy);
}

/* ---- Nodes of other clusters ---- */

static void start_with_ports_of(struct cluster *cluster, int id, struct cluster *peers)
{
    int ports[3];
    for (int other = 1; other <= 3; other++)
        ports[other - 1] = cluster_node(other == id ? cluster : peers, other)->port;
    cluster_write_config(cluster, id, ports, STEADY);
    cluster_start_node(cluster, id, NULL);
}

/* Two clusters of one name, both born: a node of the one takes the nodes of the other for its peers, and wants their
 * votes. It is refused by what its cluster was born with, and nobody's vote counts (swarmkit 1148, redisraft 2). */
Test(network, a_node_of_another_cluster_of_the_same_name_is_refused_by_its_uuid)
{
    struct cluster *cluster = serving_start(3, STEADY);
    struct cluster *others = serving_start(3, STEADY);
    int leader_of_others = cluster_settle(others), id = leader_of_others % 3 + 1;
    uint64_t term_of_others = others->leader_term;
    assert_answer_of(cluster, cluster_settle(cluster), "OK", "SET a 1");
    for (int other = 1; other <= 3; other++)
        cluster_stop(cluster, other);
    uint64_t term = cluster->leader_term; /* the first ones may have handed over */
    cluster_kill(others, id);             /* so that its place is free */
    start_with_ports_of(cluster, id, others);
    cluster_expect(others, leader_of_others, "it belongs to another cluster of the name \"test\": their uuids differ");
    cluster_expect(cluster, id, "Still no leader");
    cr_assert_eq(cluster->leader_term, term);
    cr_assert_eq(cluster_settle(others), leader_of_others);
    cr_assert_eq(others->leader_term, term_of_others);
    assert_answer_of(others, leader_of_others, "nil", "GET a");

    cluster_stop(cluster, id);
    for (int other = 1; other <= 3; other++)
        start_with_ports_of(cluster, other, cluster);
    cluster_settle(cluster);
    assert_answer_of(cluster, id, "\"1\"", "GET a");
    cluster_free(others);
    cluster_free(cluster);
}

/* ---- Names ---- */

/* The name of a peer cannot be told at start, and the lookup hangs: the others elect and serve, and it is reached once
 * its name is known. */
Test(network, a_peer_whose_name_cannot_be_told_holds_up_nobody_and_is_reached_later)
{
    struct cluster *cluster = serving_new(3, STEADY);
    struct bad_machine bad;
    int ports[3];
    bad_machine_init(&bad, cluster, "armed", "hang_names");
    bad_machine_arm(&bad);
    cluster_node(cluster, 3)->host = "localhost";
    for (int id = 1; id <= 3; id++)
        ports[id - 1] = cluster_node(cluster, id)->port;
    for (int id = 1; id <= 3; id++)
        cluster_write_config(cluster, id, ports, STEADY);
    cluster_start_node(cluster, 1, bad.environment);
    cluster_start_node(cluster, 2, bad.environment);
    bad_machine_await(&bad, cluster);
    cluster_settle(cluster);
    assert_answer_of(cluster, 1, "OK", "SET a 1");
    assert_answer_of(cluster, 2, "\"1\"", "GET a");
    cluster_start_node(cluster, 3, NULL);
    cluster_expect(cluster, 3, "Connected to 1 at ");
    bad_machine_disarm(&bad);
    cluster_settle(cluster);
    assert_answer_of(cluster, 3, "\"1\"", "GET a");
    cluster_free(cluster);
}

/* ---- Stops ---- */

/* Told to stop while it asks for votes that it cannot get, and while one is being elected: it ends well, in no time,
 * and nothing is lost. */
Test(network, a_node_that_is_told_to_stop_amid_an_election_ends_well)
{
    struct cluster *cluster = serving_start(3, STEADY);
    for (int round = 1; round <= 3; round++) {
        int leader = cluster_settle(cluster), other = leader % 3 + 1, third = other % 3 + 1;
        char value[20];
        assert_answer_of(cluster, other, "OK", "SET a %d", round);
        cluster_kill(cluster, leader);
        cluster_expect(cluster, other, round % 2 == 0 ? "Current Term: " : "Leader ");
        process_signal(&cluster_node(cluster, other)->process, SIGTERM);
        cr_assert_eq(cluster_await_end(cluster, other), 0);
        cluster_expect(cluster, third, "Pre-vote! ");
        cluster_stop(cluster, third);
        for (int id = 1; id <= 3; id++)
            cluster_start_node(cluster, id, NULL);
        cluster_settle(cluster);
        snprintf(value, sizeof(value), "\"%d\"", round);
        for (int id = 1; id <= 3; id++)
            assert_answer_of(cluster, id, value, "GET a");
    }
    cluster_free(cluster);
}
