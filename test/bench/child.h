/* child.h - other programs: those that are measured beside ours, and those that load them. None outlives the benchmark,
 * however it ends. */
#ifndef BENCH_CHILD_H
#define BENCH_CHILD_H

#include <sys/types.h>

#define CHILD_ARGUMENTS_MAX 40

struct program {
    const char *file;                           /* looked for in PATH */
    const char *folder;                         /* where it works */
    const char *output;                         /* the file in that folder for what it prints */
    const char *arguments[CHILD_ARGUMENTS_MAX]; /* the first is its name; NULL ends them */
};

pid_t child_start(const struct program *program);
void child_kill(pid_t pid); /* SIGKILL; and waits for its end */

/* Runs it to its end and returns what it printed, which the caller frees (memory_free). NULL where its status is not 0,
 * with a line on stderr. */
char *child_run(const struct program *program);

#endif
