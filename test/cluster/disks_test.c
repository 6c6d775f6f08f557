/* Disks that fail, fill up or hang under nodes that serve: what was acknowledged is there, and the others go on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "cluster/bad_machine.h"
#include "cluster/load.h"
#include "cluster/serving.h"

static struct bad_machine machines[3];

/* Three nodes that serve, each with a disk that will have this trouble when its machine is armed. */
static struct cluster *start_on_machines(const char *trouble)
{
    struct cluster *cluster = serving_new(3, STEADY);
    for (int id = 1; id <= 3; id++) {
        char name[20];
        snprintf(name, sizeof(name), "armed%d", id);
        bad_machine_init(&machines[id - 1], cluster, name, trouble);
        cluster_start_node(cluster, id, machines[id - 1].environment);
    }
    assert_answer_of(cluster, cluster_settle(cluster), "OK", "SET began 1");
    return cluster;
}

static void restart(struct cluster *cluster, int id)
{
    cluster_start_node(cluster, id, machines[id - 1].environment);
    cluster_settle(cluster);
}

/* Under load, a call of a node's disk fails, of the leader's and then of a follower's: it ends at once and says why,
 * the others go on, and when it is started again it has all that it had acknowledged. */
static void fail_each(const char *trouble, const char *message)
{
    struct cluster *cluster = start_on_machines(trouble);
    struct load *load = load_start(cluster, 6);
    for (int round = 0; round < 2; round++) {
        int id = (cluster_settle(cluster) + round - 1) % 3 + 1;
        struct process *process = &cluster_node(cluster, id)->process;
        load_await(load, 20);
        bad_machine_arm(&machines[id - 1]);
        const char *line = process_expect_error(process, "mailraftd: ");
        cr_assert(strstr(line, "/data") != NULL && strstr(line, message) != NULL, "%s", line);
        cr_assert_eq(cluster_await_end(cluster, id), 4);
        load_await(load, 20);
        bad_machine_disarm(&machines[id - 1]);
        restart(cluster, id);
        load_await(load, 20);
    }
    load_end(load, cluster_settle(cluster) % 3 + 1);
    cluster_free(cluster);
}

/* A sync fails, and a second one would not: what the first one has lost may be gone without a word (fsyncgate). */
Test(disks, a_sync_that_fails_once_ends_the_node_at_once)
{
    fail_each("fail_once", "Input/output error");
}

/* Of a leader's disk and of a follower's; that of one that votes is in programs_test.c (canonical/raft 314). */
Test(disks, a_full_disk_ends_the_node_and_it_goes_on_when_there_is_room)
{
    fail_each("full", "No space left on device");
}

/* Without an error, the leader's disk hangs for ever, while its heartbeats could go on leaving: the others elect, its
 * clients are told the truth, and it stops when it is told to (hashicorp/raft 503, 612, 683). */
Test(disks, a_leader_whose_disk_hangs_is_replaced_and_can_be_stopped)
{
    struct cluster *cluster = start_on_machines("hang");
    int old = cluster_settle(cluster), other = old % 3 + 1;
    uint64_t term = cluster->leader_term;
    redisContext *context = serving_connect(cluster, old);
    assert_answer(context, "1", "INCR a");
    bad_machine_arm(&machines[old - 1]);
    redisAppendCommand(context, "INCR a"); /* the followers' disks are a majority */
    serving_flush(context);
    bad_machine_await(&machines[old - 1], cluster);
    cr_assert_neq(cluster_later_leader(cluster, term), old);
    const char *answer = serving_take(context);
    bool done = strcmp(answer, "2") == 0;
    cr_assert(done || is_uncertain(answer), "%s", answer);
    long count = serving_number(cluster, other, "a");
    cr_assert(count == 2 || (count == 1 && !done), "%ld", count);
    answer = serving_ask(context, "INCR a");
    cr_assert(answer[0] != '-' || is_clusterdown(answer) || is_uncertain(answer), "%s", answer);
    cluster_stop(cluster, old);
    redisFree(context);
    bad_machine_disarm(&machines[old - 1]);
    restart(cluster, old);
    count = serving_number(cluster, other, "a");
    for (int id = 1; id <= 3; id++)
        cr_assert_eq(serving_number(cluster, id, "a"), count);
    cluster_free(cluster);
}
