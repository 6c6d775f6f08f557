#include "failover.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/random.h"

#define FAILOVER_NODES 5

/* One kill, and what followed it. */
struct kill {
    int victim;
    int64_t settled_wall_us; /* before: nobody stood for election any more */
    int64_t at_us, at_wall_us;
    int successor;
};

/* The line that makes a node propose whenever it leads. */
static void make_flow(const struct failover *failover, struct nodes *nodes, int id)
{
    if (failover->flowing)
        nodes_tell(nodes, id, "flow 10");
}

/* A node other than the dead one that has led since the kill; 0: none yet. */
static int find_successor(const struct nodes *nodes, const struct kill *kill)
{
    for (int id = 1; id <= nodes->count; id++)
        if (id != kill->victim && nodes->members[id - 1].led_us >= kill->at_us)
            return id;
    return 0;
}

static void await_successor(struct nodes *nodes, struct kill *kill)
{
    int64_t deadline_us = kill->at_us + NODES_WAIT_US;
    while ((kill->successor = find_successor(nodes, kill)) == 0) {
        if (clock_now_us() > deadline_us)
            nodes_die_stuck(nodes, "a new leader");
        nodes_read(nodes, deadline_us);
    }
}

static bool flows(const struct nodes *nodes, const struct kill *kill, int64_t *at_us)
{
    for (int id = 1; id <= nodes->count; id++)
        if (id != kill->victim && nodes->members[id - 1].flowing_us >= kill->at_us) {
            *at_us = nodes->members[id - 1].flowing_us;
            return true;
        }
    return false;
}

static void await_flow(struct failover *failover, struct nodes *nodes, const struct kill *kill)
{
    int64_t at_us, deadline_us = kill->at_us + NODES_WAIT_US;
    while (!flows(nodes, kill, &at_us)) {
        if (clock_now_us() > deadline_us)
            nodes_die_stuck(nodes, "a proposal that is applied");
        nodes_read(nodes, deadline_us);
    }
    figures_add(&failover->flowing_ms, (double)(at_us - kill->at_us) / 1000);
}

/* Whether a change of leader had begun when the kill came, though its lines had not reached us. */
static bool came_too_late(const struct nodes *nodes, const struct kill *kill)
{
    if (nodes->members[kill->successor - 1].led_wall_us < kill->at_wall_us)
        return true;
    for (int id = 1; id <= nodes->count; id++) {
        int64_t stood_wall_us = nodes->members[id - 1].stood_wall_us;
        if (id != kill->victim && stood_wall_us > kill->settled_wall_us && stood_wall_us < kill->at_wall_us)
            return true;
    }
    return false;
}

/* Kills the leader of a settled cluster at a random moment of its heartbeat interval. False: there was none then. */
static bool kill_leader(struct nodes *nodes, const struct settings *settings, struct kill *kill)
{
    char text[60];
    int64_t heartbeat_us = settings->heartbeat_ms * 1000;
    kill->victim = nodes_settle(nodes);
    kill->settled_wall_us = clock_wall_us();
    nodes_watch(nodes, clock_now_us() + 2 * heartbeat_us + random_between(0, heartbeat_us));
    if (nodes_settled_leader(nodes) != kill->victim)
        return false;
    kill->at_wall_us = clock_wall_us();
    kill->at_us = clock_now_us();
    nodes_kill(nodes, kill->victim);
    snprintf(text, sizeof text, "SIGKILL to node %d, the leader", kill->victim);
    nodes_note(nodes, kill->at_wall_us, text);
    return true;
}

/* The dead one returns; what the nodes said meanwhile is kept when it took the longest so far. */
static void settle_again(struct failover *failover, struct nodes *nodes, const struct kill *kill, bool slowest)
{
    nodes_reap(nodes, kill->victim);
    nodes_start(nodes, kill->victim);
    make_flow(failover, nodes, kill->victim);
    nodes_settle(nodes);
    if (slowest)
        nodes_save_record(nodes, failover->slowest_path);
    nodes_forget_record(nodes);
}

static bool is_slowest(struct failover *failover, double ms)
{
    return failover->ms.count == 0 || ms > figures_rank(&failover->ms, 1000);
}

static void fail_over(struct failover *failover, struct nodes *nodes)
{
    struct kill kill;
    if (!kill_leader(nodes, failover->settings, &kill))
        return;
    await_successor(nodes, &kill);
    double ms = (double)(nodes->members[kill.successor - 1].led_us - kill.at_us) / 1000;
    bool good = !came_too_late(nodes, &kill);
    bool slowest = good && is_slowest(failover, ms);
    if (good)
        figures_add(&failover->ms, ms);
    else
        failover->discarded++;
    if (good && failover->flowing)
        await_flow(failover, nodes, &kill);
    settle_again(failover, nodes, &kill, slowest);
}

void failover_measure(struct failover *failover, const struct workplace *workplace)
{
    struct nodes nodes;
    snprintf(failover->slowest_path, sizeof failover->slowest_path, "%s/%s.log", workplace->slowest,
             failover->settings->name);
    nodes_open(&nodes, workplace, failover->settings, FAILOVER_NODES);
    if (failover->flowing)
        nodes.program = workplace->proposer;
    nodes_start_all(&nodes);
    for (int id = 1; id <= nodes.count; id++)
        make_flow(failover, &nodes, id);
    while (failover->ms.count < failover->times)
        fail_over(failover, &nodes);
    failover->unforced = nodes.leaders - 1 - failover->ms.count;
    nodes_close(&nodes);
}
