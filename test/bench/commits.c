#include "commits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/entry.h"
#include "floor_trio.h"
#include "log_count.h"
#include "process.h"
#include "storage/segment.h"

#define ENTRY_BYTES (ENTRY_HEAD_BYTES + 256) /* of proposerd's commands */

int commits_start(struct nodes *nodes, const struct workplace *workplace)
{
    nodes_open(nodes, workplace, &DEFAULT_SETTINGS, COMMIT_NODES);
    nodes->program = workplace->proposer;
    nodes_start_all(nodes);
    return nodes_settle(nodes);
}

const char *commits_data_dir(const struct nodes *nodes, int id, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/%d", nodes->folder, id);
    return path;
}

/* ---- Proposing ---- */

static void read_times(struct figures *us, const char *path)
{
    uint32_t took_us;
    FILE *file = fopen(path, "r");
    if (file == NULL)
        bench_die("Couldn't read %s: %s", path, strerror(errno));
    while (us != NULL && fread(&took_us, sizeof took_us, 1, file) == 1)
        figures_add(us, took_us);
    fclose(file);
    unlink(path);
}

struct proposed commits_propose(struct nodes *nodes, int id, int at_once, int ms, struct figures *us)
{
    struct member *member = &nodes->members[id - 1];
    char path[PATH_MAX], line[PATH_MAX + 60];
    uint64_t applied, lost, took_us;
    struct proposed proposed;
    int before = member->proposed_count;
    int64_t deadline_us = clock_now_us() + ms * 1000LL + NODES_WAIT_US;
    snprintf(path, sizeof path, "%s/times", nodes->folder);
    snprintf(line, sizeof line, "propose %d %d %s", at_once, ms, path);
    nodes_tell(nodes, id, line);
    while (member->proposed_count == before) {
        if (clock_now_us() > deadline_us)
            nodes_die_stuck(nodes, "what has been proposed");
        nodes_read(nodes, deadline_us);
    }
    if (sscanf(member->proposed,
               "Proposed count=%*d applied=%" SCNu64 " lost=%" SCNu64 " took_us=%" SCNu64 " first=%" SCNu64
               " last=%" SCNu64,
               &applied, &lost, &took_us, &proposed.first, &proposed.last) != 5 ||
        lost > 0 || applied == 0) {
        nodes_save_record(nodes, nodes->stuck_path);
        bench_die("Node %d lost what it proposed: %s; the nodes' state logs: %s", id, member->proposed,
                  nodes->stuck_path);
    }
    nodes_forget_record(nodes);
    read_times(us, path);
    proposed.applied = (double)applied;
    proposed.seconds = (double)took_us / 1e6;
    return proposed;
}

/* ---- What it costs, over three processes ---- */

struct cost {
    double cpu_seconds, thread_changes;
};

/* Adds what a process has used up to now; sign -1: takes it off. */
static void cost_add(struct cost *cost, pid_t pid, int sign)
{
    cost->cpu_seconds += sign * process_cpu_seconds(pid);
    cost->thread_changes += sign * (double)process_thread_changes(pid);
}

static void cost_add_nodes(struct cost *cost, const struct nodes *nodes, int sign)
{
    for (int i = 0; i < nodes->count; i++)
        cost_add(cost, nodes->members[i].pid, sign);
}

static void cost_add_trio(struct cost *cost, const struct floor_trio *trio, int sign)
{
    for (int i = 0; i < 3; i++)
        cost_add(cost, trio->pids[i], sign);
}

static struct commit_cost cost_of_commit(const struct cost *cost, double commits)
{
    return (struct commit_cost){.thread_changes = cost->thread_changes / commits,
                                .cpu_us = cost->cpu_seconds * 1e6 / commits};
}

/* ---- One at a time ---- */

static void run_floor(struct commit_latency *latency, struct floor_trio *trio)
{
    int64_t now_us = clock_now_us(), until_us = now_us + latency->slice_ms * 1000;
    while (now_us < until_us) {
        int64_t before_us = now_us;
        figures_add(&latency->floor_inside_us, (double)floor_trio_commit(trio));
        now_us = clock_now_us();
        figures_add(&latency->floor_us, (double)(now_us - before_us));
    }
}

void commits_measure_latency(struct commit_latency *latency, struct nodes *nodes, int leader,
                             const struct workplace *workplace)
{
    struct floor_trio trio;
    struct cost ours = {0}, floor = {0};
    floor_trio_start(&trio, workplace, ENTRY_BYTES, (size_t)frame_bytes(ENTRY_BYTES));
    commits_propose(nodes, leader, 1, latency->slice_ms, NULL); /* the first of all find everything cold */
    for (int i = 0; i < latency->slices; i++) {
        cost_add_trio(&floor, &trio, -1);
        run_floor(latency, &trio);
        cost_add_trio(&floor, &trio, 1);
        cost_add_nodes(&ours, nodes, -1);
        commits_propose(nodes, leader, 1, latency->slice_ms, &latency->our_us);
        cost_add_nodes(&ours, nodes, 1);
    }
    floor_trio_stop(&trio);
    latency->ours = cost_of_commit(&ours, latency->our_us.count);
    latency->floor = cost_of_commit(&floor, latency->floor_us.count);
}

/* ---- Many at once ---- */

static double entries_per_frame(const struct log_count *count)
{
    if (count->frames == 0)
        bench_die("There are no frames where they should be");
    return (double)count->entries / (double)count->frames;
}

static void count_frames(struct commit_load *load, const struct nodes *nodes, int leader, raft_index first,
                         raft_index last)
{
    char path[PATH_MAX];
    struct log_count leaders = {0}, followers = {0};
    for (int id = 1; id <= nodes->count; id++)
        log_count_add(id == leader ? &leaders : &followers, commits_data_dir(nodes, id, path), first, last);
    load->entries_per_frame_leader = entries_per_frame(&leaders);
    load->entries_per_frame_follower = entries_per_frame(&followers);
    double entries = (double)(leaders.entries + followers.entries);
    load->frame_bytes = (leaders.bytes + followers.bytes) / entries;
    load->page_bytes = (leaders.page_bytes + followers.page_bytes) / entries;
}

void commits_measure_load(struct commit_load *load, struct nodes *nodes, int leader)
{
    struct cost cost = {0};
    double applied = 0;
    raft_index first = 0, last = 0;
    cost_add_nodes(&cost, nodes, -1);
    for (int i = 0; i < load->slices || last < load->until; i++) {
        struct proposed proposed = commits_propose(nodes, leader, load->at_once, load->slice_ms, &load->us);
        figures_add(&load->per_second, proposed.applied / proposed.seconds);
        applied += proposed.applied;
        first = first == 0 ? proposed.first : first;
        last = proposed.last;
    }
    cost_add_nodes(&cost, nodes, 1);
    load->last = last;
    load->cpu_seconds_100k = cost.cpu_seconds * 1e5 / applied;
    load->thread_changes = cost.thread_changes / applied;
    count_frames(load, nodes, leader, first, last);
}
