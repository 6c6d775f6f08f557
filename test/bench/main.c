/* bench - the figures that the README tells, as the Markdown that stands there.
 *
 * Progress goes to stderr, the tables to stdout. */
#include <stdio.h>
#include <string.h>

#include "failover.h"
#include "idle.h"
#include "log_figures.h"
#include "machine.h"
#include "resp_speed.h"
#include "service_figures.h"
#include "start.h"

static const char USAGE[] =
    "usage: bench [--quick] [--log] [--resp] [--service] MAILRAFTD PROPOSERD FOLDER\n"
    "\n"
    "Measures the program MAILRAFTD: failover, an idle cluster's cost, the start; and with PROPOSERD, which is the "
    "same\n"
    "and proposes to itself, the replicated log. The nodes' data and the state logs of the slowest failovers go into\n"
    "FOLDER, which must be on a disk, since every election and every commit waits for one.\n"
    "\n"
    "  --quick   a tenth of the failovers, and less of the rest: to see that it works, not for the README\n"
    "  --log     only the figures of the replicated log\n"
    "  --resp    only how fast requests are read\n"
    "  --service only the service that clients get, beside redis-server and etcd\n";

/* One row of the table. */
struct row {
    struct settings settings;
    bool flowing;
    int times;
    double paper_mean_ms, paper_worst_ms; /* Figure 16 of the paper and its text; 0: it tells none */
};

static const struct row ROWS[] = {
    {{"default-hint", 150, 300, 50, true, false}, false, 100, 0, 0},
    {{"default-hint-flowing", 150, 300, 50, true, false}, true, 100, 0, 0},
    {{"default", 150, 300, 50, false, false}, false, 100, 0, 0},
    {{"12-24", 12, 24, 6, false, false}, false, 1000, 35, 152},
    {{"150-200", 150, 200, 75, false, false}, false, 1000, 0, 513},
    {{"12-24-hint", 12, 24, 6, true, false}, false, 100, 35, 152},
    {{"150-200-hint", 150, 200, 75, true, false}, false, 100, 0, 513},
};
#define ROW_COUNT (int)(sizeof ROWS / sizeof ROWS[0])

struct bench {
    bool quick, log_only, resp_only, service_only;
    struct workplace workplace;
    struct figures sync_ms, start_ms;
    struct failover failovers[ROW_COUNT];
    struct idle idle[2];
    struct log_figures log;
    struct resp_speeds resp;
    struct service_figures service;
};

/* ---- Measuring ---- */

static void measure_failovers(struct bench *bench)
{
    for (int i = 0; i < ROW_COUNT; i++) {
        struct failover *failover = &bench->failovers[i];
        *failover = (struct failover){.settings = &ROWS[i].settings,
                                      .flowing = ROWS[i].flowing,
                                      .times = bench->quick ? ROWS[i].times / 10 : ROWS[i].times};
        fprintf(stderr, "bench: failover, %s: %d times\n", failover->settings->name, failover->times);
        machine_sample_syncs(&bench->sync_ms, 100, &bench->workplace);
        failover_measure(failover, &bench->workplace);
        fprintf(stderr, "bench:   median %.1f ms, longest %.1f ms; its state logs: %s\n",
                figures_rank(&failover->ms, 500), figures_rank(&failover->ms, 1000), failover->slowest_path);
    }
}

static void measure_idle(struct bench *bench)
{
    for (int i = 0; i < 2; i++) {
        struct idle *idle = &bench->idle[i];
        *idle = (struct idle){.count = i == 0 ? 3 : 5, .seconds = bench->quick ? 5 : 20};
        fprintf(stderr, "bench: %d nodes idle for %d s\n", idle->count, idle->seconds);
        idle_measure(idle, &bench->workplace);
    }
}

static void measure_start(struct bench *bench)
{
    int times = bench->quick ? 5 : 20;
    fprintf(stderr, "bench: start of three nodes: %d times\n", times);
    start_measure(&bench->start_ms, times, &bench->workplace);
}

/* ---- Telling ---- */

static void print_ratio(double ours, double paper)
{
    if (paper > 0)
        printf(" %.2f |", ours / paper);
    else
        printf(" |");
}

static void print_paper(double paper_ms)
{
    if (paper_ms > 0)
        printf(" %.0f |", paper_ms);
    else
        printf(" |");
}

static void print_failover(struct failover *failover, const struct row *row)
{
    const struct settings *settings = failover->settings;
    double mean = figures_mean(&failover->ms), longest = figures_rank(&failover->ms, 1000);
    printf("| %d-%d, %d%s | %s | %d | %.1f | %.1f | %.1f | %.1f |", settings->timeout_min_ms, settings->timeout_max_ms,
           settings->heartbeat_ms, failover->flowing ? ", proposals flow" : "", settings->fast_failover ? "on" : "off",
           failover->ms.count, figures_rank(&failover->ms, 500), mean, figures_rank(&failover->ms, 990), longest);
    print_paper(row->paper_mean_ms);
    print_ratio(mean, row->paper_mean_ms);
    print_paper(row->paper_worst_ms);
    print_ratio(longest, row->paper_worst_ms);
    printf(" %d |\n", failover->unforced);
}

static void print_flow(struct failover *failover)
{
    if (failover->flowing)
        printf("\nWhere proposals flow, 10 at once on whichever node leads, one is applied again a median of %.1f ms "
               "after "
               "the kill, at most %.1f ms.\n",
               figures_rank(&failover->flowing_ms, 500), figures_rank(&failover->flowing_ms, 1000));
}

static void print_failovers(struct bench *bench)
{
    printf("Failover on 5 local nodes, in milliseconds: from the SIGKILL of the leader, at a random moment of its "
           "heartbeat interval,\nuntil another node prints Leader!.\n\n");
    printf("| timeouts, heartbeat | `fast_failover` | times | median | mean | p99 | longest | paper: mean | ours / "
           "paper's | paper: longest | ours / paper's | unforced changes |\n"
           "|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (int i = 0; i < ROW_COUNT; i++)
        print_failover(&bench->failovers[i], &ROWS[i]);
    printf("\nThe paper's figures are those of its Figure 16: 1000 trials on five machines whose logs differed in "
           "length, so that some\ncould not win, each after a heartbeat that went to all at once, to provoke split "
           "votes. Unforced changes are those that no\nkill explains: a timeout that passed though the leader lived, "
           "or a second election on the heels of the first.\n");
    for (int i = 0; i < ROW_COUNT; i++)
        print_flow(&bench->failovers[i]);
}

static void print_idle(const struct bench *bench)
{
    printf("\n| idle, default settings | CPU seconds an hour: leader | each follower | VmRSS, MiB | RssAnon, MiB |\n"
           "|---|---|---|---|---|\n");
    for (int i = 0; i < 2; i++) {
        const struct idle *idle = &bench->idle[i];
        printf("| %d nodes | %.1f | %.1f | %.1f | %.1f |\n", idle->count, idle->leader_cpu, idle->follower_cpu,
               (double)idle->resident_kib / 1024, (double)idle->anonymous_kib / 1024);
    }
}

static void print_start(struct bench *bench)
{
    printf("\nStart of three nodes on empty folders until the first Leader!, %d times: median %.0f ms, longest %.0f "
           "ms.\n",
           bench->start_ms.count, figures_rank(&bench->start_ms, 500), figures_rank(&bench->start_ms, 1000));
}

static void print_machine(struct bench *bench)
{
    char text[400];
    printf("\nMachine: %s; one sector written and fdatasync, where the nodes' data is: median %.2f ms, p99 %.2f ms.\n",
           machine_describe(text, sizeof text), figures_rank(&bench->sync_ms, 500), figures_rank(&bench->sync_ms, 990));
}

/* False where it is none. */
static bool read_option(struct bench *bench, const char *argument)
{
    if (strcmp(argument, "--quick") == 0)
        return bench->quick = true;
    if (strcmp(argument, "--log") == 0)
        return bench->log_only = true;
    if (strcmp(argument, "--resp") == 0)
        return bench->resp_only = true;
    if (strcmp(argument, "--service") == 0)
        return bench->service_only = true;
    return false;
}

static void elections(struct bench *bench)
{
    measure_failovers(bench);
    measure_idle(bench);
    measure_start(bench);
    print_failovers(bench);
    print_idle(bench);
    print_start(bench);
}

static void replicated_log(struct bench *bench)
{
    log_figures_measure(&bench->log, bench->quick, &bench->workplace);
    log_figures_print(&bench->log);
}

static void requests(struct bench *bench)
{
    resp_speeds_measure(&bench->resp, bench->quick);
    resp_speeds_print(&bench->resp);
}

static void service(struct bench *bench)
{
    service_figures_measure(&bench->service, bench->quick, &bench->workplace);
    service_figures_print(&bench->service);
}

int main(int count, char **arguments)
{
    static struct bench bench; /* too large for a small stack */
    int at = 1;
    for (; at < count && read_option(&bench, arguments[at]); at++)
        ;
    if (count - at != 3) {
        fputs(USAGE, stderr);
        return 2;
    }
    workplace_make(&bench.workplace, arguments[at + 2], arguments[at], arguments[at + 1]);
    machine_sample_syncs(&bench.sync_ms, 100, &bench.workplace);
    bool all = !bench.log_only && !bench.resp_only && !bench.service_only;
    if (all)
        elections(&bench);
    if (all || bench.log_only)
        replicated_log(&bench);
    if (all || bench.resp_only)
        requests(&bench);
    if (all || bench.service_only)
        service(&bench);
    print_machine(&bench);
    return 0;
}
