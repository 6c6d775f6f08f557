/* The plain runner that check.h puts in Criterion's place under the thread sanitizer. Tests register themselves before
 * main, and run one after the other, each in a process of its own.
 *
 *     unit [--filter 'suite/name*'] [--list] */
#include "check.h"

#include <fnmatch.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMEOUT_SECONDS 60.0
#define EXIT_SKIPPED    77

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
static void run_here(const struct check_entry *test, const struct check_options *options)
{
    time_t seconds = (time_t)options->timeout;
    struct itimerval timer = {
        .it_value = {seconds, (suseconds_t)((options->timeout - (double)seconds) * 1e6)},
    };

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setitimer(ITIMER_REAL, &timer, NULL);
    if (options->init != NULL)
        options->init();
    test->run();
    if (options->fini != NULL)
        options->fini();
    exit(failed ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* The status of the test's process, as waitpid tells it. */
static int run_apart(const struct check_entry *test, const struct check_options *options)
{
    int status = 0;
    pid_t child;

    fflush(NULL);
    child = fork();
    if (child == 0)
        run_here(test, options);
    if (child < 0 || waitpid(child, &status, 0) != child) {
        perror("check");
        exit(EXIT_FAILURE);
    }
    kill(-child, SIGKILL); /* what it has left behind */
    return status;
}

struct tally {
    int passing, failing, crashing;
};

static void run(const struct check_entry *test, struct tally *tally)
{
    struct check_options options = options_of(test);
    int status;

    if (options.disabled)
        return;
    status = run_apart(test, &options);
    if (WIFSIGNALED(status) && WTERMSIG(status) == options.signal) {
        tally->passing++;
    } else if (WIFSIGNALED(status)) {
        const char *how = WTERMSIG(status) == SIGALRM ? "timed out" : strsignal(WTERMSIG(status));

        fprintf(stderr, "[FAIL] %s::%s: CRASH! %s\n", test->suite, test->name, how);
        tally->crashing++;
    } else if (options.signal == 0 && WEXITSTATUS(status) == options.exit_code) {
        tally->passing++;
    } else if (WEXITSTATUS(status) == EXIT_SKIPPED) {
        fprintf(stderr, "[SKIP] %s::%s\n", test->suite, test->name);
    } else {
        const char *how = WEXITSTATUS(status) == EXIT_RACED ? ": see the sanitizer's report" : "";

        fprintf(stderr, "[FAIL] %s::%s%s\n", test->suite, test->name, how);
        tally->failing++;
    }
}

static bool chosen(const struct check_entry *entry, const char *filter)
{
    char name[512];

    if (entry->run == NULL)
        return false;
    snprintf(name, sizeof name, "%s/%s", entry->suite, entry->name);
    return filter == NULL || fnmatch(filter, name, 0) == 0;
}

int main(int argc, char **argv)
{
    struct tally tally = {0, 0, 0};
    const char *filter = NULL;
    bool list = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--filter") == 0 && i + 1 < argc) {
            filter = argv[++i];
        } else if (strncmp(argv[i], "--filter=", 9) == 0) {
            filter = argv[i] + 9;
        } else if (strcmp(argv[i], "--list") == 0) {
            list = true;
        } else if (strncmp(argv[i], "-j", 2) != 0) { /* one after the other, however many were asked for */
            fprintf(stderr, "usage: %s [--filter 'SUITE/NAME*'] [--list]\n", argv[0]);
            return 2;
        }
    }
    for (const struct check_entry *entry = entries; entry != NULL; entry = entry->next) {
        if (chosen(entry, filter) && list)
            printf("%s/%s\n", entry->suite, entry->name);
        else if (chosen(entry, filter))
            run(entry, &tally);
    }
    fprintf(stderr, "[====] Synthesis: Tested: %d | Passing: %d | Failing: %d | Crashing: %d \n",
            tally.passing + tally.failing + tally.crashing, tally.passing, tally.failing, tally.crashing);
    return tally.failing + tally.crashing > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
