#include "sim/attempt.h"

#include <assert.h>
#include <ctype.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

void limit_seconds(time_t seconds)
{
    const struct itimerval limit = {.it_value = {.tv_sec = seconds}};

    setitimer(ITIMER_PROF, &limit, NULL);
}

/* ---- What it was about ---- */

/* Lines that tell it; those of the first kind more surely than those of the next. */
static int rank_of(const char *line)
{
    if (strncmp(line, "sim: seed ", 10) == 0)
        return 4; /* sim_fail's */
    if (strstr(line, "Assertion `") != NULL)
        return 3;
    if (strncmp(line, "SUMMARY: ", 9) == 0)
        return 2; /* a sanitizer's */
    return line[0] != '\0';
}

/* Of "sim: seed 7, at 1234 us: it rains" the last. */
static const char *skip_head(const char *line)
{
    const char *end = strncmp(line, "sim: seed ", 10) == 0 ? strstr(line, " us: ") : NULL;

    return end != NULL ? end + 5 : line;
}

static void tell_status(int status, char text[INVARIANT_TEXT_MAX])
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF)
        snprintf(text, INVARIANT_TEXT_MAX, "it takes too long: it goes round in circles");
    else if (WIFSIGNALED(status))
        snprintf(text, INVARIANT_TEXT_MAX, "it ended by signal %d", WTERMSIG(status));
    else
        snprintf(text, INVARIANT_TEXT_MAX, "it ended with status %d", WEXITSTATUS(status));
}

void invariant_read(FILE *said, int status, char text[INVARIANT_TEXT_MAX])
{
    static char line[8192];
    int best = 0;

    tell_status(status, text);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF)
        return;
    rewind(said);
    while (fgets(line, sizeof line, said) != NULL) {
        int rank;

        line[strcspn(line, "\n")] = '\0';
        rank = rank_of(line);
        if (rank == 0 || rank < best)
            continue;
        best = rank;
        snprintf(text, INVARIANT_TEXT_MAX, "%.*s", INVARIANT_TEXT_MAX - 1, skip_head(line));
    }
}

bool invariants_are_alike(const char *left, const char *right)
{
    while (*left != '\0' || *right != '\0') {
        if (isdigit((unsigned char)*left) && isdigit((unsigned char)*right)) {
            left += strspn(left, "0123456789");
            right += strspn(right, "0123456789");
        } else if (*left++ != *right++) {
            return false;
        }
    }
    return true;
}

/* ---- A run ---- */

static void run(uint64_t seed, const struct plan *plan, FILE *trace, FILE *said, time_t seconds,
                struct swarm_result *result)
{
    dup2(fileno(said), STDERR_FILENO);
    limit_seconds(seconds);
    swarm_run_plan(seed, plan, trace, result);
    exit(0);
}

static void copy_into(FILE *trace, FILE *said)
{
    char line[8192];

    rewind(said);
    while (fgets(line, sizeof line, said) != NULL)
        fputs(line, trace);
    fflush(trace);
}

void attempt_run(struct attempt *attempt, uint64_t seed, const struct plan *plan, FILE *trace, time_t seconds)
{
    struct swarm_result *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    FILE *said = tmpfile();
    int status;
    pid_t pid;

    assert(shared != MAP_FAILED && said != NULL);
    fflush(NULL);
    pid = fork();
    assert(pid >= 0);
    if (pid == 0)
        run(seed, plan, trace, said, seconds, shared);
    waitpid(pid, &status, 0);
    attempt->failed = status != 0;
    attempt->result = *shared;
    attempt->invariant[0] = '\0';
    if (attempt->failed)
        invariant_read(said, status, attempt->invariant);
    if (trace != NULL)
        copy_into(trace, said);
    fclose(said);
    munmap(shared, sizeof *shared);
}
