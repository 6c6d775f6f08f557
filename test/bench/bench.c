#include "bench.h"

#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void bench_die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status, (void)kind, (void)place;
    return remove(path);
}

void folder_remove(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void folder_make(const char *path)
{
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        bench_die("Couldn't make the folder %s: %s", path, strerror(errno));
}

static const struct workplace *left_at_exit; /* for atexit alone, which passes nothing */

static void leave(void)
{
    folder_remove(left_at_exit->folder);
}

void workplace_make(struct workplace *workplace, const char *parent)
{
    char real[PATH_MAX];
    folder_make(parent);
    if (realpath(parent, real) == NULL || strlen(real) > sizeof workplace->folder - 20)
        bench_die("Couldn't work in %s: %s", parent, errno != 0 ? strerror(errno) : "its path is too long");
    snprintf(workplace->folder, sizeof workplace->folder, "%.1000s/bench-XXXXXX", real);
    snprintf(workplace->slowest, sizeof workplace->slowest, "%.1000s/bench-slowest", real);
    if (mkdtemp(workplace->folder) == NULL)
        bench_die("Couldn't make the folder %s: %s", workplace->folder, strerror(errno));
    left_at_exit = workplace;
    atexit(leave);
    folder_remove(workplace->slowest);
    folder_make(workplace->slowest);
}
