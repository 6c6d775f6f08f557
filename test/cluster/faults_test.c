/* What a network, a scheduler and strangers can do to a cluster of processes. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "cluster/proxy.h"

Test(faults, a_leader_that_is_paused_is_replaced_and_its_return_deposes_nobody)
{
    struct cluster *cluster = cluster_start(3, STEADY);
    int paused = cluster_settle(cluster);
    cluster_pause(cluster, paused);
    int next = cluster_settle(cluster);
    uint64_t term = cluster->leader_term;
    char cause[80];
    snprintf(cause, sizeof(cause), "cause=\"election timeout, leader %d heard", paused);
    cluster_expect(cluster, next, cause);
    cr_assert_neq(next, paused);
    cluster_resume(cluster, paused);
    cluster_expect(cluster, paused, "Follower! STATE: LEADER -> FOLLOWER cause=");
    cr_assert_eq(cluster_settle(cluster), next);
    cr_assert_eq(cluster->leader_term, term);
    cluster_free(cluster);
}

/* One that does not hear the leader tells by its own lines how much time has passed. With the one that was paused it is
 * no majority. */
Test(faults, a_follower_that_was_paused_follows_again_and_deposes_nobody)
{
    struct cluster *cluster = cluster_new(5, STEADY);
    struct proxy *proxy = proxy_start(cluster, STEADY);
    for (int id = 1; id <= 5; id++)
        cluster_start_node(cluster, id, NULL);
    int leader = cluster_settle(cluster);
    uint64_t term = cluster->leader_term;
    int paused = leader % 5 + 1, deaf = paused % 5 + 1;
    cluster_pause(cluster, paused);
    proxy_cut(proxy, leader, deaf);
    cluster_expect(cluster, deaf, "Still no leader"); /* more than two timeouts have passed */
    cluster_resume(cluster, paused);
    cluster_expect(cluster, deaf, "Still no leader"); /* one more: time enough to stand */
    proxy_mend(proxy, leader, deaf);
    cr_assert_eq(cluster_settle(cluster), leader);
    cr_assert_eq(cluster->leader_term, term);
    cluster_free(cluster);
    proxy_stop(proxy);
}

Test(faults, a_leader_that_is_cut_off_is_replaced_and_its_return_deposes_nobody)
{
    struct cluster *cluster = cluster_new(3, STEADY);
    struct proxy *proxy = proxy_start(cluster, STEADY);
    for (int id = 1; id <= 3; id++)
        cluster_start_node(cluster, id, NULL);
    int cut_off = cluster_settle(cluster);
    uint64_t term = cluster->leader_term;
    proxy_isolate(proxy, cut_off, true);
    int next = cluster_later_leader(cluster, term);
    term = cluster->leader_term;
    char cause[80];
    snprintf(cause, sizeof(cause), "cause=\"election timeout, leader %d heard", cut_off);
    cluster_expect(cluster, next, cause);
    cluster_expect(cluster, cut_off, "STATE: LEADER -> FOLLOWER cause=\"no majority answered for ");
    cluster_expect(cluster, cut_off, "Still no leader");
    proxy_isolate(proxy, cut_off, false);
    cr_assert_eq(cluster_settle(cluster), next);
    cr_assert_eq(cluster->leader_term, term);
    cluster_free(cluster);
    proxy_stop(proxy);
}

Test(faults, a_follower_that_does_not_hear_the_leader_but_the_others_deposes_nobody)
{
    struct cluster *cluster = cluster_new(3, STEADY);
    struct proxy *proxy = proxy_start(cluster, STEADY);
    for (int id = 1; id <= 3; id++)
        cluster_start_node(cluster, id, NULL);
    int leader = cluster_settle(cluster);
    uint64_t term = cluster->leader_term;
    int follower = leader % 3 + 1;
    proxy_cut(proxy, leader, follower);
    cluster_expect(cluster, follower, "Still no leader");
    cr_assert_eq(cluster->leader_term, term);
    proxy_mend(proxy, leader, follower);
    cr_assert_eq(cluster_settle(cluster), leader);
    cr_assert_eq(cluster->leader_term, term);
    cluster_free(cluster);
    proxy_stop(proxy);
}

/* ---- Strangers ---- */

static int connect_to(const struct node *node)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)node->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(fd >= 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    struct timeval limit = {.tv_sec = PROCESS_WAIT_MS / 1000};
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    return fd;
}

/* Waits until the node has closed the connection, whatever it says before. */
static void await_close(int fd)
{
    char bytes[4096];
    ssize_t got;
    while ((got = recv(fd, bytes, sizeof(bytes), 0)) > 0)
        ;
    cr_assert(got == 0 || errno == ECONNRESET, "the node kept the connection");
    close(fd);
}

static void intrude(const struct node *node, const void *bytes, size_t size)
{
    int fd = connect_to(node);
    (void)!send(fd, bytes, size, MSG_NOSIGNAL); /* it may be closed already */
    await_close(fd);
}

Test(faults, strangers_do_no_harm)
{
    static const unsigned char HUGE_LENGTH[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0};
    static const unsigned char NO_LENGTH[12];
    static const unsigned char HALF_FRAME[] = {100, 0, 0, 0, 92, 0, 0, 0, 0, 0, 0, 0, 8, 1};
    static const unsigned char NOT_A_MESSAGE[] = {16, 0, 0,    0,    8,    0,    0,    0,    0,    0,
                                                  0,  0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static char garbage[200000];
    struct cluster *cluster = cluster_start(3, STEADY);
    int leader = cluster_settle(cluster);
    uint64_t term = cluster->leader_term;
    for (size_t i = 0; i < sizeof(garbage); i++)
        garbage[i] = (char)(i * i + i / 7);
    for (int id = 1; id <= 3; id++) {
        const struct node *node = cluster_node(cluster, id);
        intrude(node, "GET / HTTP/1.1\r\nHost: here\r\n\r\n", 30);
        intrude(node, garbage, sizeof(garbage));
        intrude(node, HUGE_LENGTH, sizeof(HUGE_LENGTH));
        intrude(node, NO_LENGTH, sizeof(NO_LENGTH));
        intrude(node, NOT_A_MESSAGE, sizeof(NOT_A_MESSAGE));
        intrude(node, HALF_FRAME, sizeof(HALF_FRAME)); /* closed after the second that a hello may take */
        intrude(node, "", 0);                          /* silence: likewise */
        close(connect_to(node));
        cluster_expect(cluster, id, "Refused a connection from 127.0.0.1:");
    }
    cr_assert_eq(cluster_settle(cluster), leader);
    cr_assert_eq(cluster->leader_term, term);
    cluster_free(cluster);
}

Test(faults, many_silent_strangers_keep_nobody_from_electing)
{
    int fds[200];
    struct cluster *cluster = cluster_start(3, NULL);
    int leader = cluster_settle(cluster);
    int other = leader % 3 + 1;
    for (int i = 0; i < 200; i++)
        fds[i] = connect_to(cluster_node(cluster, other));
    cluster_kill(cluster, leader);
    cluster_settle(cluster);
    cluster_start_node(cluster, leader, NULL);
    cluster_settle(cluster);
    for (int i = 0; i < 200; i++)
        close(fds[i]);
    cluster_free(cluster);
}

/* ---- Nodes that do not belong ---- */

static void rename_cluster(struct cluster *cluster, int id)
{
    char path[CLUSTER_PATH_MAX], name[32], text[4096] = {0};
    snprintf(name, sizeof(name), "node%d.json", id);
    cluster_path(cluster, name, path);
    FILE *file = fopen(path, "r+");
    cr_assert_not_null(file);
    size_t size = fread(text, 1, sizeof(text) - 1, file);
    char *found = strstr(text, "\"test\"");
    cr_assert_not_null(found);
    memcpy(found, "\"else\"", 6);
    rewind(file);
    cr_assert_eq(fwrite(text, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
}

Test(faults, a_node_of_another_cluster_is_refused_and_told_of)
{
    struct cluster *cluster = cluster_new(3, STEADY);
    rename_cluster(cluster, 3);
    for (int id = 1; id <= 3; id++)
        cluster_start_node(cluster, id, NULL);
    cr_assert_neq(cluster_later_leader(cluster, 0), 3);
    cluster_expect(cluster, 1, "it belongs to the cluster \"else\", we to \"test\"");
    cluster_expect(cluster, 3, "Still no leader");
    cr_assert_eq(cluster_node(cluster, 3)->term, 0);
    cluster_free(cluster);
}

Test(faults, a_second_process_of_the_same_id_is_refused_while_the_first_lives)
{
    struct cluster *cluster = cluster_start(3, STEADY);
    struct cluster *twins = cluster_new(3, STEADY);
    int leader = cluster_settle(cluster);
    uint64_t term = cluster->leader_term;
    int twin = leader % 3 + 1;
    int ports[3];
    for (int id = 1; id <= 3; id++)
        ports[id - 1] = cluster_node(id == twin ? twins : cluster, id)->port;
    cluster_write_config(twins, twin, ports, STEADY);
    cluster_start_node(twins, twin, NULL); /* with a folder and a port of its own */
    cluster_expect(twins, twin, "Still no leader");
    cluster_expect(cluster, leader, "Refused a connection from 127.0.0.1:");
    cr_assert_eq(cluster_settle(cluster), leader);
    cr_assert_eq(cluster->leader_term, term);
    cluster_free(twins);
    cluster_free(cluster);
}
