#include "log_figures.h"

#include <stdio.h>

static const int SPEEDS[SPEED_COUNT] = {1, 1, 2, 3, 10, 30, 100, 300, 1000}; /* the first on one core */
static const int LOADS[LOAD_COUNT] = {50, 256};

/* ---- Measuring ---- */

static void measure_speeds(struct log_figures *figures, bool quick, const struct workplace *workplace)
{
    fprintf(stderr, "bench: the scribe alone, beside a bare loop\n");
    for (int i = 0; i < SPEED_COUNT; i++)
        figures->speeds[i] =
            (struct scribe_speed){.at_once = SPEEDS[i], .one_core = i == 0, .slices = quick ? 5 : 20, .slice_ms = 100};
    scribe_speed_measure(figures->speeds, SPEED_COUNT, workplace);
}

static void measure_commits(struct log_figures *figures, bool quick, const struct workplace *workplace)
{
    struct nodes nodes;
    int leader = commits_start(&nodes, workplace);
    fprintf(stderr, "bench: commits one at a time, beside three bare processes\n");
    figures->latency = (struct commit_latency){.slices = quick ? 5 : 30, .slice_ms = 250};
    commits_measure_latency(&figures->latency, &nodes, leader, workplace);
    for (int i = 0; i < LOAD_COUNT; i++) {
        raft_index until = i + 1 < LOAD_COUNT ? 0 : quick ? 100000 : 1000000;
        fprintf(stderr, "bench: commits, %d at once\n", LOADS[i]);
        figures->loads[i] =
            (struct commit_load){.at_once = LOADS[i], .slices = quick ? 2 : 5, .slice_ms = 1000, .until = until};
        commits_measure_load(&figures->loads[i], &nodes, leader);
    }
    fprintf(stderr, "bench: the start with a long log\n");
    figures->restart = (struct restart){.times = quick ? 1 : 5};
    restart_measure(&figures->restart, &nodes);
    nodes_close(&nodes);
}

void log_figures_measure(struct log_figures *figures, bool quick, const struct workplace *workplace)
{
    measure_speeds(figures, quick, workplace);
    measure_commits(figures, quick, workplace);
}

/* ---- Telling ---- */

static void print_speeds(struct log_figures *figures)
{
    printf("\nThe scribe and its files alone, entries of %d bytes and a head of 40, beside a bare loop that writes and "
           "syncs as much:\nthe two take turns, %d slices of %d ms each; means of the slices. On one core: all "
           "threads, each core in turn.\n\n",
           SCRIBE_PAYLOAD_BYTES, figures->speeds[0].slices, figures->speeds[0].slice_ms);
    printf("| entries on their way at once; in a write of the bare loop | entries a second | in a frame | bare loop: "
           "entries a second | ours / bare |\n|---|---|---|---|---|\n");
    for (int i = 0; i < SPEED_COUNT; i++) {
        struct scribe_speed *speed = &figures->speeds[i];
        double ours = figures_mean(&speed->ours), floor = figures_mean(&speed->floor);
        printf("| %d%s | %.0f | %.1f | %.0f | %.2f |\n", speed->at_once, speed->one_core ? ", on one core" : "", ours,
               speed->entries_per_frame, floor, ours / floor);
    }
    for (int i = 0; i < 2; i++) {
        struct scribe_speed *single = &figures->speeds[i];
        printf(
            "\nSingle entries%s: from the asking until durable a median of %.0f us; the bare write and sync %.0f us.\n",
            single->one_core ? ", on one core" : "", figures_rank(&single->our_us, 500),
            figures_rank(&single->floor_us, 500));
    }
}

/* cost: NULL where that of the row above holds the same. */
static void print_latency_row(const char *name, struct figures *us, double floor_us, const struct commit_cost *cost)
{
    printf("| %s | %.0f | %.0f | %.0f | %.2f |", name, figures_rank(us, 500), figures_mean(us), figures_rank(us, 990),
           figures_rank(us, 500) / floor_us);
    if (cost != NULL)
        printf(" %.1f | %.0f |\n", cost->thread_changes, cost->cpu_us);
    else
        printf(" | |\n");
}

static void print_latency(struct commit_latency *latency)
{
    double floor_us = figures_rank(&latency->floor_us, 500);
    printf(
        "\nA commit, one proposal of 256 bytes at a time, in microseconds. The floor is three bare processes: client "
        "to leader, leader to two\nfollowers, a write and sync on each, answers back; the two take turns, %d slices "
        "of %d ms each.\n\n",
        latency->slices, latency->slice_ms);
    printf("| | median | mean | p99 | median / floor's | thread changes, three processes | CPU time, three processes "
           "|\n|---|---|---|---|---|---|---|\n");
    print_latency_row("three nodes, proposed within the leader's process", &latency->our_us, floor_us, &latency->ours);
    print_latency_row("floor", &latency->floor_us, floor_us, &latency->floor);
    print_latency_row("floor without its client's connection", &latency->floor_inside_us, floor_us, NULL);
}

static void print_loads(struct log_figures *figures)
{
    printf("\n| proposals at once | entries a second | median, ms | p99, ms | CPU seconds for 100,000, all nodes | "
           "thread changes an entry, all nodes | entries in a frame: leader | followers | bytes written an entry, "
           "each node | in whole pages |\n|---|---|---|---|---|---|---|---|---|---|\n");
    for (int i = 0; i < LOAD_COUNT; i++) {
        struct commit_load *load = &figures->loads[i];
        printf("| %d | %.0f | %.2f | %.2f | %.2f | %.2f | %.1f | %.1f | %.0f | %.0f |\n", load->at_once,
               figures_rank(&load->per_second, 500), figures_rank(&load->us, 500) / 1000,
               figures_rank(&load->us, 990) / 1000, load->cpu_seconds_100k, load->thread_changes,
               load->entries_per_frame_leader, load->entries_per_frame_follower, load->frame_bytes, load->page_bytes);
    }
    printf("\nBeside that, each file is written once with zeros before it is used.\n");
}

static void print_reading(const char *name, struct reading *reading)
{
    double ours = figures_rank(&reading->our_seconds, 500), cat = figures_rank(&reading->cat_seconds, 500);
    printf("| %s | %.2f | %.2f | %.1f |\n", name, ours, cat, ours / cat);
}

static void print_restart(struct restart *restart, double entries)
{
    printf("\nStart of a node with %.0f entries, until it has read its log (%.0f MiB of files, those made ahead "
           "included), beside `cat` of\nthe files, in seconds; medians of %d.\n\n"
           "| | node | `cat` | node / `cat` |\n|---|---|---|---|\n",
           entries, restart->file_bytes / (1024 * 1024), restart->times);
    print_reading("files in memory", &restart->warm);
    print_reading("files on the disk alone", &restart->cold);
    printf("\nThe node then holds at most %.1f MiB (VmHWM). Three such nodes started at once have elected, and a first "
           "proposal applied behind\nall the others, after %.2f s; the largest holds %.1f MiB then.\n",
           (double)restart->peak_kib / 1024, restart->applied_seconds, (double)restart->peak_applied_kib / 1024);
}

void log_figures_print(struct log_figures *figures)
{
    print_speeds(figures);
    print_latency(&figures->latency);
    print_loads(figures);
    print_restart(&figures->restart, (double)figures->loads[LOAD_COUNT - 1].last);
}
