#include "idle.h"

#include "base/clock.h"
#include "process.h"

static void note_memory(struct idle *idle, const struct nodes *nodes)
{
    for (int i = 0; i < nodes->count; i++) {
        long resident_kib = process_status(nodes->members[i].pid, "VmRSS:");
        long anonymous_kib = process_status(nodes->members[i].pid, "RssAnon:");
        if (resident_kib > idle->resident_kib)
            idle->resident_kib = resident_kib;
        if (anonymous_kib > idle->anonymous_kib)
            idle->anonymous_kib = anonymous_kib;
    }
}

void idle_measure(struct idle *idle, const struct workplace *workplace)
{
    struct nodes nodes;
    double before[NODES_MAX];
    nodes_open(&nodes, workplace, &DEFAULT_SETTINGS, idle->count);
    nodes_start_all(&nodes);
    int leader = nodes_settle(&nodes);
    nodes_watch(&nodes, clock_now_us() + 1000000); /* until the last connections stand */
    int64_t began_us = clock_now_us();
    for (int i = 0; i < idle->count; i++)
        before[i] = process_cpu_seconds(nodes.members[i].pid);
    nodes_watch(&nodes, began_us + idle->seconds * 1000000LL);
    double hours = (double)(clock_now_us() - began_us) / 3.6e9;
    for (int i = 0; i < idle->count; i++) {
        double cpu = (process_cpu_seconds(nodes.members[i].pid) - before[i]) / hours;
        if (i + 1 == leader)
            idle->leader_cpu = cpu;
        else
            idle->follower_cpu += cpu / (idle->count - 1);
    }
    note_memory(idle, &nodes);
    if (nodes_settle(&nodes) != leader)
        bench_die("The leader changed while %d nodes had nothing to do", idle->count);
    nodes_close(&nodes);
}
