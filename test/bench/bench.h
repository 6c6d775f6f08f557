/* bench.h - what every part of the benchmark shares: how it gives up, and the folder it works in.
 *
 * Ownership: whoever ends this process (an error, a signal, the end of main) leaves neither nodes nor the folder
 *            behind: both are undone by atexit(), the nodes first. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <limits.h>
#include <stdbool.h>

/* One line on stderr, then the end, with status 1. */
__attribute__((format(printf, 1, 2), noreturn)) void bench_die(const char *format, ...);

/* Where the run's files are. parent: on the disk that is to be measured. */
struct workplace {
    char folder[PATH_MAX / 4];   /* the nodes' data and program; removed at the end */
    char program[PATH_MAX / 4];  /* a copy of what is measured: whoever builds meanwhile does not change it */
    char proposer[PATH_MAX / 4]; /* the same of the one that proposes to itself (proposerd.c) */
    char slowest[PATH_MAX / 4];  /* the state logs of each setting's slowest failover; kept */
};
void workplace_make(struct workplace *workplace, const char *parent, const char *program, const char *proposer);

/* Removes a folder and all that is in it. */
void folder_remove(const char *path);
void folder_make(const char *path);

#endif
