/* Elections among processes: what comes, what is replaced, what must not come. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "cluster/cluster.h"

/* Waits for a whole round of waiting of a node that cannot win: three failed candidacies and the line that sums up. */
static void await_failed_rounds(struct cluster *cluster, int id)
{
    cluster_expect(cluster, id, "Still no leader");
}

Test(elections, three_nodes_elect_a_leader_whom_all_follow)
{
    struct cluster *cluster = cluster_start(3, NULL);
    int leader = cluster_settle(cluster);
    cluster_expect(cluster, leader, "Started version=");
    cluster_expect(cluster, leader, "Pre-vote! STATE: FOLLOWER -> CANDIDATE cause=");
    cluster_expect(cluster, leader, "Current Term: ");
    cluster_expect(cluster, leader, "Candidate! cause=");
    cluster_expect(cluster, leader, "vote granted: 1");
    cluster_expect(cluster, leader, "Leader! STATE: CANDIDATE -> LEADER cause=\"votes ");
    cluster_free(cluster);
}

Test(elections, a_leader_that_is_killed_is_replaced_and_follows_when_it_comes_back)
{
    struct cluster *cluster = cluster_start(3, STEADY);
    for (int round = 0; round < 3; round++) {
        int leader = cluster_settle(cluster);
        cluster_kill(cluster, leader);
        int next = cluster_settle(cluster);
        cr_assert_neq(next, leader);
        cluster_start_node(cluster, leader, NULL);
        cr_assert_eq(cluster_settle(cluster), next);
    }
    cluster_free(cluster);
}

Test(elections, the_next_leader_stood_because_the_connection_closed)
{
    struct cluster *cluster = cluster_start(3, STEADY);
    int leader = cluster_settle(cluster);
    uint64_t term = cluster->leader_term;
    cluster_kill(cluster, leader);
    char cause[80];
    snprintf(cause, sizeof(cause), "cause=\"leader %d closed its connection\"", leader);
    cluster_expect(cluster, cluster_later_leader(cluster, term), cause);
    cluster_free(cluster);
}

Test(elections, without_fast_failover_the_next_leader_stood_because_of_its_timeout)
{
    struct cluster *cluster = cluster_start(3, "\"fast_failover\":false," STEADY);
    int leader = cluster_settle(cluster);
    uint64_t term = cluster->leader_term;
    cluster_kill(cluster, leader);
    int next = cluster_later_leader(cluster, term);
    char cause[80];
    snprintf(cause, sizeof(cause), "cause=\"election timeout, leader %d heard", leader);
    cluster_expect(cluster, next, cause);
    for (int id = 1; id <= 3; id++)
        cluster_assert_never(cluster, id, "closed its connection\" term_wanted");
    cluster_free(cluster);
}

Test(elections, a_minority_never_elects_and_a_majority_does)
{
    struct cluster *cluster = cluster_new(5, NULL);
    cluster_start_node(cluster, 1, NULL);
    cluster_start_node(cluster, 2, NULL);
    await_failed_rounds(cluster, 1);
    await_failed_rounds(cluster, 2);
    cr_assert_eq(cluster->leader_term, 0);
    cr_assert_eq(cluster_node(cluster, 1)->term, 0); /* a pre-vote raises no term */
    cluster_start_node(cluster, 3, NULL);
    cluster_settle(cluster);
    cluster_free(cluster);
}

Test(elections, one_of_two_elects_nobody_until_the_other_comes_back)
{
    struct cluster *cluster = cluster_start(2, STEADY);
    int leader = cluster_settle(cluster);
    uint64_t term = cluster->leader_term;
    int other = 3 - leader;
    cluster_kill(cluster, leader);
    await_failed_rounds(cluster, other);
    cr_assert_eq(cluster->leader_term, term);
    cluster_start_node(cluster, leader, NULL);
    cluster_settle(cluster);
    cr_assert_gt(cluster->leader_term, term);
    cluster_free(cluster);
}

Test(elections, a_leader_that_loses_its_followers_steps_down)
{
    struct cluster *cluster = cluster_start(3, NULL);
    int leader = cluster_settle(cluster);
    for (int id = 1; id <= 3; id++)
        if (id != leader)
            cluster_kill(cluster, id);
    cluster_expect(cluster, leader, "Follower! STATE: LEADER -> FOLLOWER cause=\"no majority answered for ");
    cluster_free(cluster);
}

Test(elections, a_cluster_of_one_leads_itself_at_once)
{
    struct cluster *cluster = cluster_start(1, NULL);
    cr_assert_eq(cluster_settle(cluster), 1);
    cr_assert_eq(cluster->leader_term, 1);
    cluster_free(cluster);
}

Test(elections, a_cluster_of_five_loses_two_leaders_and_goes_on)
{
    struct cluster *cluster = cluster_start(5, NULL);
    cluster_kill(cluster, cluster_settle(cluster));
    cluster_kill(cluster, cluster_settle(cluster));
    int third = cluster_settle(cluster);
    uint64_t term = cluster->leader_term;
    cluster_kill(cluster, third);
    for (int id = 1; id <= 5; id++)
        if (cluster_node(cluster, id)->process.pid != 0)
            await_failed_rounds(cluster, id);
    cr_assert_eq(cluster->leader_term, term); /* two of five are no majority */
    cluster_free(cluster);
}

Test(elections, a_cluster_of_seven_loses_three_leaders_and_goes_on)
{
    struct cluster *cluster = cluster_start(7, NULL);
    for (int i = 0; i < 3; i++)
        cluster_kill(cluster, cluster_settle(cluster));
    cluster_settle(cluster);
    cluster_free(cluster);
}

Test(elections, two_of_three_fresh_nodes_elect_and_the_third_joins_later)
{
    struct cluster *cluster = cluster_new(3, STEADY);
    cluster_start_node(cluster, 1, NULL);
    cluster_start_node(cluster, 3, NULL);
    int leader = cluster_settle(cluster);
    uint64_t term = cluster->leader_term;
    cluster_start_node(cluster, 2, NULL);
    cr_assert_eq(cluster_settle(cluster), leader);
    cr_assert_eq(cluster->leader_term, term);
    cluster_free(cluster);
}

Test(elections, a_restarted_node_keeps_its_term_and_its_vote)
{
    struct cluster *cluster = cluster_start(3, STEADY);
    int leader = cluster_settle(cluster);
    uint64_t term = cluster->leader_term;
    cluster_kill(cluster, leader);
    for (int id = 1; id <= 3; id++)
        if (cluster_node(cluster, id)->process.pid != 0)
            cluster_kill(cluster, id);
    uint64_t last = cluster_node(cluster, leader)->term;
    cr_assert_geq(last, term);
    cluster_expect(cluster, leader, "Leader! STATE");
    cluster_start_node(cluster, leader, NULL);
    cluster_expect(cluster, leader, "Started version=");
    const char *opened = cluster_expect(cluster, leader, "Opened storage");
    cr_assert_eq(line_number(opened, "term"), term);
    cr_assert_eq(line_number(opened, "voted_for"), (uint64_t)leader);
    cluster_free(cluster);
}

Test(elections, all_nodes_killed_and_started_again_elect_in_a_later_term)
{
    struct cluster *cluster = cluster_start(3, NULL);
    cluster_settle(cluster);
    uint64_t term = cluster->leader_term;
    for (int id = 1; id <= 3; id++)
        process_signal(&cluster_node(cluster, id)->process, SIGKILL);
    for (int id = 1; id <= 3; id++)
        cluster_kill(cluster, id);
    for (int id = 1; id <= 3; id++)
        cluster_start_node(cluster, id, NULL);
    cluster_settle(cluster);
    cr_assert_gt(cluster->leader_term, term);
    cluster_free(cluster);
}

Test(elections, a_leader_that_is_told_to_stop_hands_over_and_nobody_waits_for_a_timeout)
{
    struct cluster *cluster = cluster_start(3, STEADY ",\"log\":{\"level\":\"debug\"}");
    int leader = cluster_settle(cluster);
    char cause[80];
    snprintf(cause, sizeof(cause), "cause=\"leader %d hands over\"", leader);
    cluster_expect(cluster, leader, "Round trip peer="); /* it hands over to one that it hears */
    cluster_stop(cluster, leader);
    int next = cluster_settle(cluster);
    cr_assert_neq(next, leader);
    cluster_expect(cluster, leader, "Stopping cause=\"told to\"");
    cluster_expect(cluster, leader, "Handing over to ");
    cluster_expect(cluster, leader, "Stopped");
    cluster_expect(cluster, next, cause);
    cluster_expect(cluster, next, "Leader! STATE: CANDIDATE -> LEADER");
    cluster_assert_never(cluster, leader, "heard no successor");
    for (int id = 1; id <= 3; id++)
        cluster_assert_never(cluster, id, "cause=\"election timeout, leader");
    cluster_free(cluster);
}

Test(elections, a_follower_that_is_told_to_stop_changes_nothing_for_the_others)
{
    struct cluster *cluster = cluster_start(3, STEADY);
    int leader = cluster_settle(cluster);
    uint64_t term = cluster->leader_term;
    int follower = leader % 3 + 1;
    cluster_stop(cluster, follower);
    cluster_expect(cluster, follower, "Stopping cause=\"told to\"");
    cluster_start_node(cluster, follower, NULL);
    cr_assert_eq(cluster_settle(cluster), leader);
    cr_assert_eq(cluster->leader_term, term);
    cluster_free(cluster);
}

/* ---- Where the others are ---- */

/* A cluster at these hosts, the first of them being that of node 1, elects, and replaces its leader. */
static void assert_hosts_do(struct cluster *cluster, const char *const hosts[3])
{
    int ports[3];
    for (int i = 0; i < 3; i++) {
        cluster->nodes[i].host = hosts[i];
        ports[i] = cluster->nodes[i].port;
    }
    for (int id = 1; id <= 3; id++) {
        cluster_write_config(cluster, id, ports, STEADY);
        cluster_start_node(cluster, id, NULL);
    }
    cluster_settle(cluster);
    for (int id = 1; id <= 3; id++) {
        char expected[80];
        snprintf(expected, sizeof(expected), " peer=%s:%d", hosts[id - 1], ports[id - 1]);
        cluster_expect(cluster, id, expected);
        int other = id % 3;
        snprintf(expected, sizeof(expected), "Connected to %d at %s:%d", other + 1, hosts[other], ports[other]);
        cluster_expect(cluster, id, expected);
    }
    cluster_kill(cluster, cluster->leader);
    cluster_settle(cluster);
    cluster_free(cluster);
}

Test(elections, nodes_find_each_other_by_name)
{
    assert_hosts_do(cluster_new(3, NULL), (const char *[]){"localhost", "localhost", "localhost"});
}

/* Keeps a port of [::1] as port_hold does those of 127.0.0.1. -1: there is no such address here, as errno tells. */
static int hold_ipv6(int port)
{
    struct sockaddr_in6 address = {
        .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int one = 1, fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        cr_assert_eq(errno, EADDRNOTAVAIL, "[::1]:%d: %s", port, strerror(errno));
        close(fd);
        errno = EADDRNOTAVAIL;
        return -1;
    }
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
    return fd;
}

Test(elections, nodes_find_each_other_over_ipv6)
{
    struct cluster *cluster = cluster_new(3, NULL);
    int holders[3];
    for (int i = 0; i < 3; i++)
        if ((holders[i] = hold_ipv6(cluster->nodes[i].port)) < 0) {
            const char *reason = strerror(errno);
            cluster_free(cluster);
            cr_skip_test("skipped: no IPv6 here: %s", reason);
        }
    assert_hosts_do(cluster, (const char *[]){"[::1]", "localhost", "[::1]"});
    for (int i = 0; i < 3; i++)
        close(holders[i]);
}
