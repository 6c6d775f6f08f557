/* The plain runner that check.h puts in Criterion's place under the thread sanitizer. Tests register themselves before
 * main, and run each in a process of its own, as many at a time as there are processors unless -j says otherwise. What
 * one prints is shown when it has ended.
 *
 *     unit [--filter 'suite/name*'] [-jN] [--verbose] [--list] */
#include "check.h"

#include <fnmatch.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT_SECONDS 60.0
#define EXIT_SKIPPED    77
#define JOBS_MAX        64

/* The sanitizer's own status where it found something, so that a test that only expects to exit is not taken for one
 * that raced. */
#define EXIT_RACED 66

static struct check_entry *entries, **entries_end = &entries;
static bool failed; /* an expectation of the running test */

void check_register(struct check_entry *entry)
{
    *entries_end = entry;
    entries_end = &entry->next;
}

static void tell(const char *head, const char *format, va_list arguments)
{
    fputs(head, stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

void check_fail(bool fatal, const char *file, int line, const char *what, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "[----] %s:%d: Assertion failed: %s\n", file, line, what);
    va_start(arguments, format);
    if (format[0] != '\0')
        tell("[----]   ", format, arguments);
    va_end(arguments);
    failed = true;
    if (fatal)
        _exit(EXIT_FAILURE);
}

bool check_same_text(const char *left, const char *right)
{
    if (strcmp(left, right) == 0)
        return true;
    fprintf(stderr, "[----]   \"%s\"\n[----]   \"%s\"\n", left, right);
    return false;
}

void check_skip(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    tell("[SKIP] ", format, arguments);
    va_end(arguments);
    exit(EXIT_SKIPPED);
}

void check_say(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    tell("[INFO] ", format, arguments);
    va_end(arguments);
}

/* The test's options, with its suite's where it has none. */
static struct check_options options_of(const struct check_entry *test)
{
    struct check_options options = test->options;

    for (const struct check_entry *suite = entries; suite != NULL; suite = suite->next) {
        if (suite->run != NULL || strcmp(suite->suite, test->suite) != 0)
            continue;
        if (options.init == NULL)
            options.init = suite->options.init;
        if (options.fini == NULL)
            options.fini = suite->options.fini;
        if (options.timeout <= 0)
            options.timeout = suite->options.timeout;
        options.disabled = options.disabled || suite->options.disabled;
    }
    if (options.timeout <= 0)
        options.timeout = TIMEOUT_SECONDS;
    return options;
}

/* What the test's own process does. It leads a process group, so that its children end with it. */
static void run_here(const struct check_entry *test, const struct check_options *options, int output)
{
    time_t seconds = (time_t)options->timeout;
    struct itimerval timer = {
        .it_value = {seconds, (suseconds_t)((options->timeout - (double)seconds) * 1e6)},
    };

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    setitimer(ITIMER_REAL, &timer, NULL);
    if (options->init != NULL)
        options->init();
    test->run();
    if (options->fini != NULL)
        options->fini();
    exit(failed ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* A test that runs. */
struct job {
    const struct check_entry *test; /* NULL: the place is free */
    struct check_options options;
    pid_t process;
    int output; /* a file in memory: what it prints */
    struct timespec began;
};

struct runner {
    int jobs_max, running;
    struct job jobs[JOBS_MAX];
    bool verbose;
    int passing, failing, crashing;
};

static void begin(struct runner *runner, const struct check_entry *test, const struct check_options *options)
{
    struct job *job = runner->jobs;

    while (job->test != NULL)
        job++;
    *job = (struct job){.test = test, .options = *options, .output = memfd_create("output", MFD_CLOEXEC)};
    clock_gettime(CLOCK_MONOTONIC, &job->began);
    fflush(NULL);
    job->process = fork();
    if (job->process == 0)
        run_here(test, options, job->output);
    if (job->process < 0 || job->output < 0) {
        perror("check");
        exit(EXIT_FAILURE);
    }
    runner->running++;
}

static void show_output(int output)
{
    char bytes[4096];
    ssize_t size;

    lseek(output, 0, SEEK_SET);
    while ((size = read(output, bytes, sizeof bytes)) > 0)
        fwrite(bytes, 1, (size_t)size, stderr);
    close(output);
}

/* Counts it. status: as waitpid tells it. Returns how the line about it begins; NULL: there is none. */
static const char *judge(struct runner *runner, const struct job *job, int status, const char **how)
{
    const struct check_options *options = &job->options;

    *how = "";
    if (WIFSIGNALED(status) && WTERMSIG(status) != options->signal) {
        *how = WTERMSIG(status) == SIGALRM ? ": CRASH! timed out" : ": CRASH! it died of a signal";
        runner->crashing++;
        return "FAIL";
    }
    if (WIFSIGNALED(status) || (options->signal == 0 && WEXITSTATUS(status) == options->exit_code)) {
        runner->passing++;
        return runner->verbose ? "PASS" : NULL;
    }
    if (WEXITSTATUS(status) == EXIT_SKIPPED)
        return "SKIP";
    if (WEXITSTATUS(status) == EXIT_RACED)
        *how = ": see the sanitizer's report";
    runner->failing++;
    return "FAIL";
}

static double seconds_since(const struct timespec *then)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - then->tv_sec) + (double)(now.tv_nsec - then->tv_nsec) / 1e9;
}

/* Waits until one of those that run has ended. */
static void await_one(struct runner *runner)
{
    struct job *job = runner->jobs;
    const char *verdict, *how;
    int status;
    pid_t process = waitpid(-1, &status, 0);

    if (process < 0) {
        perror("check");
        exit(EXIT_FAILURE);
    }
    while (job < runner->jobs + JOBS_MAX && (job->test == NULL || job->process != process))
        job++;
    if (job == runner->jobs + JOBS_MAX)
        return;
    kill(-process, SIGKILL); /* what it has left behind */
    show_output(job->output);
    verdict = judge(runner, job, status, &how);
    if (verdict != NULL)
        fprintf(stderr, "[%s] %s::%s%s (%.2fs)\n", verdict, job->test->suite, job->test->name, how,
                seconds_since(&job->began));
    job->test = NULL;
    runner->running--;
}

static void run(struct runner *runner, const struct check_entry *test)
{
    struct check_options options = options_of(test);

    if (options.disabled)
        return;
    while (runner->running >= runner->jobs_max)
        await_one(runner);
    begin(runner, test, &options);
}

static bool chosen(const struct check_entry *entry, const char *filter)
{
    char name[512];

    if (entry->run == NULL)
        return false;
    snprintf(name, sizeof name, "%s/%s", entry->suite, entry->name);
    return filter == NULL || fnmatch(filter, name, 0) == 0;
}

/* -jN, or 0: as many as there are processors. */
static int jobs_of(int asked)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    long jobs = asked > 0 ? asked : processors;

    return jobs < 1 ? 1 : jobs > JOBS_MAX ? JOBS_MAX : (int)jobs;
}

int main(int argc, char **argv)
{
    static struct runner runner;
    const char *filter = NULL;
    bool list = false;
    int jobs = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--filter") == 0 && i + 1 < argc) {
            filter = argv[++i];
        } else if (strncmp(argv[i], "--filter=", 9) == 0) {
            filter = argv[i] + 9;
        } else if (strcmp(argv[i], "--list") == 0) {
            list = true;
        } else if (strcmp(argv[i], "--verbose") == 0) {
            runner.verbose = true;
        } else if (strncmp(argv[i], "-j", 2) == 0) {
            jobs = atoi(argv[i] + 2);
        } else {
            fprintf(stderr, "usage: %s [--filter 'SUITE/NAME*'] [-jN] [--verbose] [--list]\n", argv[0]);
            return 2;
        }
    }
    runner.jobs_max = jobs_of(jobs);
    for (const struct check_entry *entry = entries; entry != NULL; entry = entry->next) {
        if (chosen(entry, filter) && list)
            printf("%s/%s\n", entry->suite, entry->name);
        else if (chosen(entry, filter))
            run(&runner, entry);
    }
    while (runner.running > 0)
        await_one(&runner);
    fprintf(stderr, "[====] Synthesis: Tested: %d | Passing: %d | Failing: %d | Crashing: %d \n",
            runner.passing + runner.failing + runner.crashing, runner.passing, runner.failing, runner.crashing);
    return runner.failing + runner.crashing > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
