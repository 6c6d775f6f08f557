/* What can become of the links between nodes, and is no reason for an election: bridges and rings, delays, stalls,
 * broken connections; and that the death of a leader is one, seen through a relay, too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "cluster/proxy.h"
#include "cluster/serving.h"

/* Nodes with a relay between them, started; all follow one leader. */
static struct cluster *start_linked(int count, struct proxy **proxy)
{
    struct cluster *cluster = serving_new(count, STEADY);
    *proxy = proxy_start(cluster, STEADY);
    for (int id = 1; id <= count; id++)
        cluster_start_node(cluster, id, NULL);
    assert_answer_of(cluster, cluster_settle(cluster), "OK", "SET began 1");
    return cluster;
}

/* The n-th of the others, counted up from it, round. */
static int other(const struct cluster *cluster, int id, int n)
{
    return (id - 1 + n) % cluster->count + 1;
}

/* All follow the same leader as ever, and any node takes commands. */
static void assert_unmoved(struct cluster *cluster, int leader, uint64_t term)
{
    cr_assert_eq(cluster_settle(cluster), leader);
    for (int id = 1; id <= cluster->count; id++)
        assert_answer_of(cluster, id, "OK", "SET by %d", id);
    cr_assert_eq(cluster->leader, leader);
    cr_assert_eq(cluster->leader_term, term);
}

static void end(struct cluster *cluster, struct proxy *proxy)
{
    cluster_free(cluster);
    proxy_stop(proxy);
}

Test(links, the_death_of_a_leader_is_noticed_at_once_through_a_relay_too)
{
    struct proxy *proxy;
    struct cluster *cluster = start_linked(3, &proxy);
    int leader = cluster->leader;
    uint64_t term = cluster->leader_term;
    char text[60];
    cluster_kill(cluster, leader);
    snprintf(text, sizeof(text), "Leader %d closed its connection wait_ms=", leader);
    cluster_expect(cluster, other(cluster, leader, 1), text);
    cluster_expect(cluster, other(cluster, leader, 2), text);
    cluster_later_leader(cluster, term);
    end(cluster, proxy);
}

/* Two and two nodes that do not reach each other, and one between them that reaches all. Those on the other side of it
 * hear no leader, and would have a majority with it. */
Test(links, a_leader_on_one_side_of_a_bridge_stays)
{
    struct proxy *proxy;
    struct cluster *cluster = start_linked(5, &proxy);
    int leader = cluster->leader;
    uint64_t term = cluster->leader_term;
    int mate = other(cluster, leader, 1), far = other(cluster, leader, 3), farther = other(cluster, leader, 4);
    proxy_cut(proxy, leader, far);
    proxy_cut(proxy, leader, farther);
    proxy_cut(proxy, mate, far);
    proxy_cut(proxy, mate, farther);
    cluster_expect(cluster, far, "Still no leader");
    cluster_expect(cluster, farther, "Still no leader");
    assert_answer_of(cluster, mate, "OK", "SET bridge 1");
    cr_assert_eq(cluster->leader_term, term);
    proxy_order(proxy, "heal");
    assert_unmoved(cluster, leader, term);
    end(cluster, proxy);
}

/* A ring: each reaches its two neighbours alone. Whoever leads has a majority of three only where it leads them. */
Test(links, in_a_ring_of_five_the_leader_stays)
{
    struct proxy *proxy;
    struct cluster *cluster = start_linked(5, &proxy);
    int leader = cluster->leader;
    uint64_t term = cluster->leader_term;
    for (int id = 1; id <= 5; id++)
        proxy_cut(proxy, id, other(cluster, id, 2));
    cluster_expect(cluster, other(cluster, leader, 2), "Still no leader");
    cluster_expect(cluster, other(cluster, leader, 3), "Still no leader");
    assert_answer_of(cluster, other(cluster, leader, 1), "OK", "SET ring 1");
    cr_assert_eq(cluster->leader_term, term);
    proxy_order(proxy, "heal");
    assert_unmoved(cluster, leader, term);
    end(cluster, proxy);
}

Test(links, delays_below_the_timeouts_slow_commands_and_depose_nobody)
{
    struct proxy *proxy;
    struct cluster *cluster = start_linked(3, &proxy);
    int leader = cluster->leader;
    uint64_t term = cluster->leader_term;
    proxy_order(proxy, "delay all all 40 40");
    for (int i = 0; i < 5; i++) {
        int64_t began_ms = process_now_ms();
        assert_answer_of(cluster, other(cluster, leader, 1), "OK", "SET slow %d", i);
        /* There and back to the leader, and from there and back to a follower. */
        cr_assert_geq(process_now_ms(), began_ms + 4 * 40 - 1);
    }
    proxy_order(proxy, "heal");
    assert_unmoved(cluster, leader, term);
    end(cluster, proxy);
}

Test(links, a_follower_that_the_leader_speaks_to_in_vain_follows_again_and_deposes_nobody)
{
    struct proxy *proxy;
    struct cluster *cluster = start_linked(3, &proxy);
    int leader = cluster->leader;
    uint64_t term = cluster->leader_term;
    int follower = other(cluster, leader, 1);
    proxy_order(proxy, "stall %d %d", leader, follower);
    cluster_expect(cluster, follower, "Still no leader");
    proxy_order(proxy, "unstall %d %d", leader, follower);
    assert_unmoved(cluster, leader, term);
    end(cluster, proxy);
}

Test(links, a_connection_that_breaks_while_both_ends_live_costs_no_election)
{
    struct proxy *proxy;
    struct cluster *cluster = start_linked(3, &proxy);
    int leader = cluster->leader;
    uint64_t term = cluster->leader_term;
    char closed[60], lost[60], found[60];
    for (int n = 1; n <= 2; n++) {
        int follower = other(cluster, leader, n);
        snprintf(closed, sizeof(closed), "Leader %d closed its connection wait_ms=", leader);
        snprintf(lost, sizeof(lost), "Lost connection to %d at ", follower);
        snprintf(found, sizeof(found), "Connected to %d at ", follower);
        proxy_order(proxy, "break %d %d", leader, follower);
        cluster_expect(cluster, follower, closed);
        cluster_expect(cluster, leader, lost);
        cluster_expect(cluster, leader, found);
        assert_unmoved(cluster, leader, term);
    }
    end(cluster, proxy);
}

/* Both followers lose the leader at once, so a change of leader is no fault. */
Test(links, connections_that_break_again_and_again_lose_and_double_nothing)
{
    struct proxy *proxy;
    struct cluster *cluster = start_linked(3, &proxy);
    long done = 0, unsure = 0; /* of those it is not known, even later, whether they were done */
    for (int i = 0; i < 12; i++) {
        proxy_order(proxy, "break all all");
        const char *answer = serving_ask_node(cluster, 1 + i % 3, "INCR count");
        done += answer[0] != '-';
        unsure += is_uncertain(answer);
        cr_assert(answer[0] != '-' || is_uncertain(answer) || is_clusterdown(answer), "INCR was answered %s", answer);
        cr_assert(answer[0] == '-' || (atol(answer) >= done && atol(answer) <= done + unsure), "%s is not %ld to %ld",
                  answer, done, done + unsure);
    }
    long count = serving_number(cluster, cluster_settle(cluster), "count");
    cr_assert_gt(done, 0);
    cr_assert(count >= done && count <= done + unsure, "%ld is not %ld to %ld", count, done, done + unsure);
    end(cluster, proxy);
}
