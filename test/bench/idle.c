#include "idle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

/* User and system time of all its threads. The clock of the process tells it in nanoseconds; /proc/PID/stat has the
 * same in ticks of 10 ms, too coarse for a process that uses one of them a second. */
static double cpu_seconds(pid_t pid)
{
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
        bench_die("Couldn't read the CPU time of process %d", pid);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* A line of /proc/PID/status, in KiB. */
static long status_kib(pid_t pid, const char *key)
{
    char path[40], line[200];
    long kib = -1;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        bench_die("Couldn't read %s", path);
    while (kib < 0 && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, key, strlen(key)) == 0)
            kib = atol(line + strlen(key));
    fclose(file);
    if (kib < 0)
        bench_die("There is no %s in %s", key, path);
    return kib;
}

static void note_memory(struct idle *idle, const struct nodes *nodes)
{
    for (int i = 0; i < nodes->count; i++) {
        long resident_kib = status_kib(nodes->members[i].pid, "VmRSS:");
        long anonymous_kib = status_kib(nodes->members[i].pid, "RssAnon:");
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
        before[i] = cpu_seconds(nodes.members[i].pid);
    nodes_watch(&nodes, began_us + idle->seconds * 1000000LL);
    double hours = (double)(clock_now_us() - began_us) / 3.6e9;
    for (int i = 0; i < idle->count; i++) {
        double cpu = (cpu_seconds(nodes.members[i].pid) - before[i]) / hours;
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
