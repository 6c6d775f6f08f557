/* main.c - runs seeds of the simulator.
 *
 *     sim --seeds N [--first-seed M] [--jobs J]   runs M to M+N-1, and tells how many passed
 *         --also F                                and those that a file lists, at the beginning of its lines
 *         --shrink SECONDS                        of the processor, spent at most on making failures smaller
 *         --until-failure [--step K]              M, M+K, M+2K, ... one by one, and only until one fails: what it tells
 *                                                 is one line
 *     sim --seed S                                runs one and prints its trace
 *         --without LIST --until US               with some faults left out (plan.h), or none after so long
 *     sim --failovers N                           measures: N elections of 5 nodes
 *
 * Each job is a process of its own, so that a failure ends that one alone (attempt.h); its seed is then run once more
 * for its trace, whose end is printed, and again and again with fewer faults (shrink.h). Each failure ends with a line
 * "seed S failed: INVARIANT". Exit status 1 when a seed failed. */
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sim/attempt.h"
#include "sim/shrink.h"

#define JOBS_MAX         64
#define SEEDS_LISTED_MAX 10000
#define TRACE_LINES      100 /* of a failed seed that are shown */
#define FAILURES_SHOWN   3
#define FAILURES_MAX     10   /* then the rest is not run */
#define SHRINK_SECONDS   60.0 /* of the processor, for all failures, unless told otherwise */
#define PROGRESS_S       20   /* between two lines about how far it is */

/* Which seeds. */
struct seeds {
    uint64_t list[SEEDS_LISTED_MAX];
    uint64_t listed, first, count; /* those, then so many from first on */
};

/* Shared with the job's process. */
struct job {
    pid_t pid;
    uint64_t next; /* the place of the one it runs */
    uint64_t step;
    uint64_t passed, failed;
    struct swarm_result sum;
};

struct runs {
    const struct seeds *seeds;
    struct job *jobs;
    FILE *said[JOBS_MAX]; /* by job: its stderr */
    int count;
    double shrink_seconds;
    double began;
};

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

/* Of the processor, that processes took which have ended. */
static double seconds_of_children(void)
{
    struct rusage usage;

    getrusage(RUSAGE_CHILDREN, &usage);
    return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

static uint64_t seed_at(const struct seeds *seeds, uint64_t place)
{
    return place < seeds->listed ? seeds->list[place] : seeds->first + place - seeds->listed;
}

static uint64_t seeds_count(const struct seeds *seeds)
{
    return seeds->listed + seeds->count;
}

/* ---- A job ---- */

static void add_result(struct swarm_result *sum, const struct swarm_result *result)
{
    sum->elections += result->elections;
    sum->commands += result->commands;
    sum->calls += result->calls;
    sum->simulated_us += result->simulated_us;
    sum->faults += result->faults;
}

static void job_main(const struct runs *runs, struct job *job, FILE *said)
{
    dup2(fileno(said), STDERR_FILENO);
    for (; job->next < seeds_count(runs->seeds); job->next += job->step) {
        struct swarm_result result;

        limit_seconds(SEED_SECONDS);
        result = swarm_run(seed_at(runs->seeds, job->next), NULL);
        add_result(&job->sum, &result);
        job->passed++;
    }
    exit(0);
}

static void job_start(struct runs *runs, int number)
{
    pid_t pid;

    if (runs->said[number] != NULL)
        fclose(runs->said[number]);
    runs->said[number] = tmpfile();
    assert(runs->said[number] != NULL);
    fflush(NULL);
    pid = fork();
    assert(pid >= 0);
    if (pid == 0)
        job_main(runs, &runs->jobs[number], runs->said[number]);
    runs->jobs[number].pid = pid; /* by the parent alone: it is shared */
}

/* ---- A failure that is made smaller ---- */

struct failure {
    uint64_t seed;
    const char *invariant;
    double end; /* in seconds_of_children */
};

static bool fails_alike(void *context, const struct plan *plan)
{
    const struct failure *failure = context;
    struct attempt attempt;

    attempt_run(&attempt, failure->seed, plan, NULL, SEED_SECONDS);
    return attempt.failed && invariants_are_alike(attempt.invariant, failure->invariant);
}

static bool may_go_on(void *context)
{
    return seconds_of_children() < ((const struct failure *)context)->end;
}

static void print_command(uint64_t seed, const struct plan *plan)
{
    static char text[PLAN_TEXT_MAX];

    printf("make sim SEED=%" PRIu64, seed);
    if (plan_left_out(plan, text)[0] != '\0')
        printf(" WITHOUT=%s", text);
    if (plan->until_us != INT64_MAX)
        printf(" UNTIL=%" PRId64, plan->until_us);
}

static void print_lines_with(FILE *file, const char *words)
{
    static char line[8192];

    rewind(file);
    while (fgets(line, sizeof line, file) != NULL)
        if (strstr(line, words) != NULL)
            fputs(line, stdout);
}

static void print_faults_left(uint64_t seed, const struct plan *plan)
{
    struct attempt attempt;
    FILE *trace = tmpfile();

    assert(trace != NULL);
    attempt_run(&attempt, seed, plan, trace, 10 * SEED_SECONDS);
    print_lines_with(trace, " seed=");
    print_lines_with(trace, " timeouts:");
    print_lines_with(trace, " fault #");
    fclose(trace);
}

static void shrink_failure(struct runs *runs, uint64_t seed, const struct attempt *attempt)
{
    double began = seconds_of_children();
    struct failure failure = {seed, attempt->invariant, began + runs->shrink_seconds};
    struct shrink_calls calls = {fails_alike, may_go_on, &failure};
    struct plan *plan = malloc(sizeof *plan);
    int count;

    assert(plan != NULL);
    plan_init(plan);
    count = shrink(plan, attempt->result.kinds, attempt->result.faults_number, attempt->result.simulated_us, &calls);
    runs->shrink_seconds -= seconds_of_children() - began;
    printf("after %d runs without some of its faults, these are left:\n", count);
    print_faults_left(seed, plan);
    printf("seed %" PRIu64 " shrunk: ", seed);
    print_command(seed, plan);
    putchar('\n');
    free(plan);
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

/* The parameters that were drawn, the last events, and what it comes down to. */
static void show_failure(struct runs *runs, uint64_t seed)
{
    struct plan *plan = malloc(sizeof *plan);
    FILE *trace = tmpfile();
    struct attempt attempt;

    assert(plan != NULL && trace != NULL);
    plan_init(plan);
    attempt_run(&attempt, seed, plan, trace, 10 * SEED_SECONDS);
    print_end_of(trace, TRACE_LINES);
    printf("these were its parameters:\n");
    print_lines_with(trace, " seed=");
    print_lines_with(trace, " timeouts:");
    if (attempt.failed && runs->shrink_seconds > 0)
        shrink_failure(runs, seed, &attempt);
    printf("its whole trace: make sim SEED=%" PRIu64 "\n", seed);
    fclose(trace);
    free(plan);
}

/* ---- Many seeds ---- */

static int job_of(const struct runs *runs, pid_t pid)
{
    int number = 0;

    while (number < runs->count && runs->jobs[number].pid != pid)
        number++;
    return number;
}

static uint64_t count_failed(const struct runs *runs)
{
    uint64_t failed = 0;

    for (int i = 0; i < runs->count; i++)
        failed += runs->jobs[i].failed;
    return failed;
}

/* A job has ended early: its seed failed. The rest of its seeds is run by another process. */
static void job_failed(struct runs *runs, int number, int status)
{
    struct job *job = &runs->jobs[number];
    uint64_t seed = seed_at(runs->seeds, job->next < seeds_count(runs->seeds) ? job->next : job->next - job->step);
    char invariant[INVARIANT_TEXT_MAX];

    invariant_read(runs->said[number], status, invariant);
    job->failed++;
    if (count_failed(runs) <= FAILURES_SHOWN)
        show_failure(runs, seed);
    printf("seed %" PRIu64 " failed: %s\n", seed, invariant);
    fflush(stdout);
    job->next += job->step;
    if (count_failed(runs) < FAILURES_MAX)
        job_start(runs, number);
}

static struct job sum_of(const struct runs *runs)
{
    struct job sum = {.pid = 0};

    for (int i = 0; i < runs->count; i++) {
        sum.passed += runs->jobs[i].passed;
        sum.failed += runs->jobs[i].failed;
        add_result(&sum.sum, &runs->jobs[i].sum);
    }
    return sum;
}

static void tell_progress(const struct runs *runs)
{
    struct job sum = sum_of(runs);
    double took = seconds_now() - runs->began;

    fprintf(stderr, "%" PRIu64 " of %" PRIu64 " seeds, %" PRIu64 " failed; %.0f a minute\n", sum.passed + sum.failed,
            seeds_count(runs->seeds), sum.failed, 60 * (double)(sum.passed + sum.failed) / took);
}

static int tell(const struct runs *runs)
{
    struct job sum = sum_of(runs);
    double took = seconds_now() - runs->began, simulated = (double)sum.sum.simulated_us / 1e6;

    printf("%.1f s: %.0f seeds a minute, %.0f simulated seconds a second; in %.2f simulated hours %" PRIu64
           " faults (%.0f an hour) and %" PRIu64 " elections\n",
           took, 60 * (double)sum.passed / took, simulated / took, simulated / 3600, sum.sum.faults,
           (double)sum.sum.faults / (simulated / 3600), sum.sum.elections);
    printf("%" PRIu64 " passed, %" PRIu64 " failed, %" PRIu64 " commands committed, %" PRIu64
           " calls of clients linearizable\n",
           sum.passed, sum.failed, sum.sum.commands, sum.sum.calls);
    return sum.failed > 0 || sum.passed < seeds_count(runs->seeds); /* also where a job has ended before its time */
}

/* The next job that has ended; tells from time to time how far they are. 0: all have. */
static pid_t await_job(const struct runs *runs, int *status)
{
    pid_t pid;

    do {
        alarm(PROGRESS_S);
        pid = wait(status);
        if (pid < 0 && errno == EINTR)
            tell_progress(runs);
    } while (pid < 0 && errno == EINTR);
    alarm(0);
    return pid > 0 ? pid : 0;
}

static void ring(int signal)
{
    (void)signal;
}

static int run_many(const struct seeds *seeds, int count, double shrink_seconds)
{
    const struct sigaction alarmed = {.sa_handler = ring}; /* without SA_RESTART: wait ends */
    struct runs runs = {.seeds = seeds, .count = count, .shrink_seconds = shrink_seconds, .began = seconds_now()};
    pid_t pid;
    int status;

    runs.jobs = mmap(NULL, JOBS_MAX * sizeof *runs.jobs, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert(runs.jobs != MAP_FAILED);
    sigaction(SIGALRM, &alarmed, NULL);
    for (int i = 0; i < count; i++) {
        runs.jobs[i] = (struct job){.next = (uint64_t)i, .step = (uint64_t)count};
        job_start(&runs, i);
    }
    while ((pid = await_job(&runs, &status)) > 0) {
        int number = job_of(&runs, pid);

        if (number < count && status != 0)
            job_failed(&runs, number, status);
    }
    return tell(&runs);
}

static bool read_seeds(struct seeds *seeds, const char *path)
{
    FILE *file = fopen(path, "r");
    char line[1000];

    if (file == NULL)
        return false;
    while (seeds->listed < SEEDS_LISTED_MAX && fgets(line, sizeof line, file) != NULL)
        seeds->listed += sscanf(line, "%" SCNu64, &seeds->list[seeds->listed]) == 1;
    fclose(file);
    return true;
}

/* ---- Until one fails ---- */

static int run_until_failure(const struct seeds *seeds, uint64_t step, const struct plan *plan)
{
    for (uint64_t i = 0; i < seeds->count; i++) {
        struct attempt attempt;
        uint64_t seed = seeds->first + i * step;

        attempt_run(&attempt, seed, plan, NULL, SEED_SECONDS);
        if (attempt.failed) {
            printf("seed %" PRIu64 " failed: %s\n", seed, attempt.invariant);
            return 1;
        }
    }
    printf("%" PRIu64 " passed, 0 failed\n", seeds->count);
    return 0;
}

/* ---- One seed ---- */

static int run_one(uint64_t seed, const struct plan *plan)
{
    struct attempt attempt;

    setvbuf(stdout, NULL, _IOLBF, 0); /* all of it is there when an assertion ends the process */
    attempt_run(&attempt, seed, plan, stdout, 10 * SEED_SECONDS);
    if (attempt.failed)
        printf("seed %" PRIu64 " failed: %s\n", seed, attempt.invariant);
    return attempt.failed;
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
    fprintf(stderr, "usage: sim --seeds N [--first-seed M] [--jobs J] [--also FILE] [--shrink SECONDS] |\n"
                    "           --seeds N [--first-seed M] [--step K] --until-failure |\n"
                    "           --seed S [--without LIST] [--until US] | --failovers N\n");
    return 2;
}

struct options {
    struct seeds seeds;
    bool until_failure;
    uint64_t step;
    long jobs;
    double shrink_seconds;
    bool one;
    uint64_t seed;
    struct plan plan;
    uint64_t failovers; /* 0: not to be measured */
};

/* What is no number is refused, not taken for 0: a run of no seeds, or of others than were meant, would pass. */
static bool take_number(uint64_t *number)
{
    char *end;

    errno = 0;
    *number = strtoull(optarg, &end, 10);
    return optarg[0] >= '0' && optarg[0] <= '9' && *end == '\0' && errno == 0;
}

static bool take_option(struct options *options, int option)
{
    switch (option) {
    case 'n':
        return take_number(&options->seeds.count) && options->seeds.count > 0;
    case 'm':
        return take_number(&options->seeds.first);
    case 'a':
        return read_seeds(&options->seeds, optarg);
    case 't':
        options->until_failure = true;
        return true;
    case 'k':
        return take_number(&options->step) && options->step > 0;
    case 'j':
        options->jobs = atol(optarg);
        return options->jobs >= 1;
    case 'h':
        options->shrink_seconds = atof(optarg);
        return true;
    case 's':
        options->one = true;
        return take_number(&options->seed);
    case 'w':
        return plan_leave_out(&options->plan, optarg);
    case 'u':
        options->plan.until_us = atoll(optarg);
        return options->plan.until_us > 0;
    case 'f':
        return take_number(&options->failovers) && options->failovers > 0;
    default:
        return false;
    }
}

int main(int argc, char **argv)
{
    static const struct option OPTIONS[] = {
        {"seeds", required_argument, NULL, 'n'},     {"first-seed", required_argument, NULL, 'm'},
        {"also", required_argument, NULL, 'a'},      {"jobs", required_argument, NULL, 'j'},
        {"shrink", required_argument, NULL, 'h'},    {"seed", required_argument, NULL, 's'},
        {"without", required_argument, NULL, 'w'},   {"until", required_argument, NULL, 'u'},
        {"failovers", required_argument, NULL, 'f'}, {"until-failure", no_argument, NULL, 't'},
        {"step", required_argument, NULL, 'k'},      {0},
    };
    static struct options options = {.seeds = {.count = 100}, .step = 1, .shrink_seconds = SHRINK_SECONDS};
    int option, jobs;

    options.jobs = sysconf(_SC_NPROCESSORS_ONLN);
    plan_init(&options.plan);
    while ((option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1)
        if (!take_option(&options, option))
            return usage();
    if (optind < argc)
        return usage();
    jobs = options.jobs > JOBS_MAX ? JOBS_MAX : (int)options.jobs;
    if (options.failovers > 0)
        return measure(options.failovers);
    if (options.one)
        return run_one(options.seed, &options.plan);
    if (options.until_failure)
        return run_until_failure(&options.seeds, options.step, &options.plan);
    return run_many(&options.seeds, jobs, options.shrink_seconds);
}
