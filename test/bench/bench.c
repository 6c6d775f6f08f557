#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

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

static void copy_program(const char *from, const char *to)
{
    struct stat status;
    ssize_t copied = 0, now = 1;
    int source = open(from, O_RDONLY | O_CLOEXEC);
    if (source < 0 || fstat(source, &status) != 0)
        bench_die("Couldn't open %s: %s", from, strerror(errno));
    int target = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0777);
    for (; target >= 0 && now > 0 && copied < status.st_size; copied += now)
        now = sendfile(target, source, NULL, (size_t)(status.st_size - copied));
    if (target < 0 || now < 0 || copied < status.st_size || close(target) != 0)
        bench_die("Couldn't copy %s to %s: %s", from, to, strerror(errno));
    close(source);
}

void workplace_make(struct workplace *workplace, const char *parent, const char *program, const char *proposer)
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
    snprintf(workplace->program, sizeof workplace->program, "%.1000s/mailraftd", workplace->folder);
    snprintf(workplace->proposer, sizeof workplace->proposer, "%.1000s/proposerd", workplace->folder);
    copy_program(program, workplace->program);
    copy_program(proposer, workplace->proposer);
    folder_remove(workplace->slowest);
    folder_make(workplace->slowest);
}
