/* main.c - runs seeds of the simulator.
 *
 *     sim --seeds N [--first-seed M] [--jobs J]   runs M to M+N-1, and tells how many passed
 *     sim --seed S                                runs one and prints its trace
 *     sim --failovers N                           measures: N elections of 5 nodes
 *
 * Each job is a process of its own, so that a violated invariant or a failed assertion ends that one alone; its seed is
 * then run once more for its trace, whose end is printed. Exit status 1 when a seed failed. */
#include <assert.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sim/swarm.h"

#define JOBS_MAX       64
#define SEED_SECONDS   60  /* of the processor, for one seed, before it counts as caught in a loop */
#define TRACE_LINES    200 /* of a failed seed that are shown */
#define FAILURES_SHOWN 3
#define FAILURES_MAX   10 /* then the rest is not run */

/* Shared with the job's process. */
struct job {
    pid_t pid;
    uint64_t seed; /* the one it runs */
    uint64_t end;  /* of its seeds */
    uint64_t step;
    uint64_t passed, failed;
    struct swarm_result sum;
};

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Where others take the processor, that is no loop. The signal ends the process. */
static void limit_seconds(time_t seconds)
{
    const struct itimerval limit = {.it_value = {.tv_sec = seconds}};

    setitimer(ITIMER_PROF, &limit, NULL);
}

/* ---- A job ---- */

static void job_main(struct job *job)
{
    for (; job->seed < job->end; job->seed += job->step) {
        struct swarm_result result;

        limit_seconds(SEED_SECONDS);
        result = swarm_run(job->seed, NULL);
        job->sum.elections += result.elections;
        job->sum.commands += result.commands;
        job->sum.calls += result.calls;
        job->sum.simulated_us += result.simulated_us;
        job->passed++;
    }
    exit(0);
}

static void job_start(struct job *job)
{
    pid_t pid;

    fflush(NULL);
    pid = fork();
    assert(pid >= 0);
    if (pid == 0)
        job_main(job);
    job->pid = pid; /* by the parent alone: it is shared */
}

/* ---- A failed seed ---- */

static void print_end_of(FILE *file, int lines)
{
    static char line[8192];
    long total = 0;

    rewind(file);
    while (fgets(line, sizeof line, file) != NULL)
        total++;
    rewind(file);
    while (fgets(line, sizeof line, file) != NULL)
        if (total-- <= lines)
            fputs(line, stdout);
}

/* Its own words on stderr come into the trace, too, where they belong. */
static void run_for_trace(uint64_t seed, FILE *trace)
{
    setvbuf(trace, NULL, _IOLBF, 0);
    dup2(fileno(trace), STDERR_FILENO);
    limit_seconds(10 * SEED_SECONDS);
    swarm_run(seed, trace);
    exit(0);
}

static void show_failure(uint64_t seed)
{
    FILE *trace = tmpfile();
    pid_t pid;

    assert(trace != NULL);
    fflush(NULL);
    pid = fork();
    assert(pid >= 0);
    if (pid == 0)
        run_for_trace(seed, trace);
    waitpid(pid, NULL, 0);
    print_end_of(trace, TRACE_LINES);
    fclose(trace);
    printf("seed %" PRIu64 " failed: make sim SEED=%" PRIu64 " prints its whole trace\n", seed, seed);
    fflush(stdout);
}

/* ---- Many seeds ---- */

static struct job *job_of(struct job *jobs, int count, pid_t pid)
{
    for (int i = 0; i < count; i++)
        if (jobs[i].pid == pid)
            return &jobs[i];
    return NULL;
}

static uint64_t count_failed(const struct job *jobs, int count)
{
    uint64_t failed = 0;

    for (int i = 0; i < count; i++)
        failed += jobs[i].failed;
    return failed;
}

/* A job has ended early: its seed failed. The rest of its seeds is run by another process. */
static void job_failed(struct job *jobs, int count, struct job *job)
{
    job->failed++;
    if (count_failed(jobs, count) <= FAILURES_SHOWN)
        show_failure(job->seed);
    job->seed += job->step;
    if (count_failed(jobs, count) < FAILURES_MAX)
        job_start(job);
}

static int tell(const struct job *jobs, int count, double took)
{
    struct job sum = {0};

    for (int i = 0; i < count; i++) {
        sum.passed += jobs[i].passed;
        sum.sum.elections += jobs[i].sum.elections;
        sum.sum.commands += jobs[i].sum.commands;
        sum.sum.calls += jobs[i].sum.calls;
        sum.sum.simulated_us += jobs[i].sum.simulated_us;
    }
    sum.failed = count_failed(jobs, count);
    printf("%" PRIu64 " elections in %.1f s (%.0f a second), %.0f simulated seconds a second\n", sum.sum.elections,
           took, (double)sum.sum.elections / took, (double)sum.sum.simulated_us / 1e6 / took);
    printf("%" PRIu64 " passed, %" PRIu64 " failed, %" PRIu64 " commands committed, %" PRIu64
           " calls of clients linearizable\n",
           sum.passed, sum.failed, sum.sum.commands, sum.sum.calls);
    return sum.failed > 0;
}

static int run_many(uint64_t first, uint64_t seeds, int count)
{
    double began = seconds_now();
    struct job *jobs = mmap(NULL, JOBS_MAX * sizeof *jobs, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid;
    int status;

    assert(jobs != MAP_FAILED);
    for (int i = 0; i < count; i++) {
        jobs[i] = (struct job){.seed = first + (uint64_t)i, .end = first + seeds, .step = (uint64_t)count};
        job_start(&jobs[i]);
    }
    while ((pid = wait(&status)) > 0) {
        struct job *job = job_of(jobs, count, pid);

        if (job != NULL && status != 0)
            job_failed(jobs, count, job);
    }
    return tell(jobs, count, seconds_now() - began);
}

static int measure(uint64_t elections)
{
    double began = seconds_now(), took;
    struct swarm_result result = swarm_run_failovers(1, 5, elections);

    took = seconds_now() - began;
    printf("%" PRIu64 " elections of 5 nodes in %.1f s (%.0f a second), %.0f simulated seconds a second\n",
           result.elections, took, (double)result.elections / took, (double)result.simulated_us / 1e6 / took);
    return 0;
}

/* ---- Options ---- */

static int usage(void)
{
    fprintf(stderr, "usage: sim --seeds N [--first-seed M] [--jobs J] | --seed S | --failovers N\n");
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option OPTIONS[] = {
        {"seeds", required_argument, NULL, 'n'},     {"first-seed", required_argument, NULL, 'm'},
        {"jobs", required_argument, NULL, 'j'},      {"seed", required_argument, NULL, 's'},
        {"failovers", required_argument, NULL, 'f'}, {0},
    };
    uint64_t seeds = 100, first = 0;
    long jobs = sysconf(_SC_NPROCESSORS_ONLN);
    int option;

    while ((option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1)
        switch (option) {
        case 'n':
            seeds = strtoull(optarg, NULL, 10);
            break;
        case 'm':
            first = strtoull(optarg, NULL, 10);
            break;
        case 'j':
            jobs = atol(optarg);
            break;
        case 's':
            setvbuf(stdout, NULL, _IOLBF, 0); /* all of it is there when an assertion ends the process */
            swarm_run(strtoull(optarg, NULL, 10), stdout);
            return 0;
        case 'f':
            return measure(strtoull(optarg, NULL, 10));
        default:
            return usage();
        }
    if (optind < argc || jobs < 1)
        return usage();
    return run_many(first, seeds, jobs > JOBS_MAX ? JOBS_MAX : (int)jobs);
}
