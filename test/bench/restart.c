#include "restart.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "commits.h"
#include "log_count.h"
#include "process.h"

#define FILES_MAX 100

struct files {
    int count;
    char paths[FILES_MAX][PATH_MAX];
};

/* ---- The files ---- */

static double size_of(const struct files *files)
{
    double bytes = 0;
    struct stat status;
    for (int i = 0; i < files->count; i++)
        if (stat(files->paths[i], &status) == 0)
            bytes += (double)status.st_size;
    return bytes;
}

/* What the system keeps of them in memory is thrown away: of these files alone, which needs no privileges. */
static void make_cold(const struct files *files)
{
    for (int i = 0; i < files->count; i++) {
        int fd = open(files->paths[i], O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fsync(fd) != 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
            bench_die("Couldn't get %s out of memory: %s", files->paths[i], strerror(errno));
        close(fd);
    }
}

/* cat FILES > /dev/null */
static double run_cat(struct files *files)
{
    char *arguments[FILES_MAX + 2] = {"cat"};
    int status;
    for (int i = 0; i < files->count; i++)
        arguments[i + 1] = files->paths[i];
    int64_t began_us = clock_now_us();
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open("/dev/null", O_WRONLY);
        if (fd >= 0 && dup2(fd, STDOUT_FILENO) >= 0)
            execvp("cat", arguments);
        _exit(1);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
        bench_die("Couldn't run cat");
    return (double)(clock_now_us() - began_us) / 1e6;
}

/* ---- The nodes ---- */

static void kill_all(struct nodes *nodes)
{
    for (int id = 1; id <= nodes->count; id++)
        nodes_kill(nodes, id);
    for (int id = 1; id <= nodes->count; id++)
        nodes_reap(nodes, id);
}

/* Node 1, alone: it finds nobody to elect it, so nothing in its log changes. */
static double start_one(struct restart *restart, struct nodes *nodes)
{
    struct member *member = &nodes->members[0];
    int64_t began_us = clock_now_us(), deadline_us = began_us + NODES_WAIT_US;
    nodes_start(nodes, 1);
    while (member->log_read_us == 0) {
        if (clock_now_us() > deadline_us)
            nodes_die_stuck(nodes, "a node that has read its log");
        nodes_read(nodes, deadline_us);
    }
    double seconds = (double)(member->log_read_us - began_us) / 1e6;
    long peak_kib = process_status(member->pid, "VmHWM:");
    if (peak_kib > restart->peak_kib)
        restart->peak_kib = peak_kib;
    nodes_kill(nodes, 1);
    nodes_reap(nodes, 1);
    return seconds;
}

static void read_once(struct restart *restart, struct nodes *nodes, struct files *files, bool cold)
{
    struct reading *reading = cold ? &restart->cold : &restart->warm;
    if (cold)
        make_cold(files);
    figures_add(&reading->cat_seconds, run_cat(files));
    if (cold)
        make_cold(files);
    figures_add(&reading->our_seconds, start_one(restart, nodes));
}

static int64_t flowing_us(const struct nodes *nodes)
{
    for (int i = 0; i < nodes->count; i++)
        if (nodes->members[i].flowing_us != 0)
            return nodes->members[i].flowing_us;
    return 0;
}

static void start_all(struct restart *restart, struct nodes *nodes)
{
    int64_t began_us = clock_now_us(), deadline_us = began_us + NODES_WAIT_US;
    nodes_start_all(nodes);
    for (int id = 1; id <= nodes->count; id++)
        nodes_tell(nodes, id, "flow 1");
    while (flowing_us(nodes) == 0) {
        if (clock_now_us() > deadline_us)
            nodes_die_stuck(nodes, "a proposal that is applied");
        nodes_read(nodes, deadline_us);
    }
    restart->applied_seconds = (double)(flowing_us(nodes) - began_us) / 1e6;
    for (int i = 0; i < nodes->count; i++) {
        long peak_kib = process_status(nodes->members[i].pid, "VmHWM:");
        if (peak_kib > restart->peak_applied_kib)
            restart->peak_applied_kib = peak_kib;
    }
}

void restart_measure(struct restart *restart, struct nodes *nodes)
{
    static struct files files;
    char path[PATH_MAX];
    kill_all(nodes);
    start_one(restart, nodes); /* it cuts off what was in flight, and what is made ahead is there */
    files.count = log_paths(commits_data_dir(nodes, 1, path), files.paths, FILES_MAX);
    restart->file_bytes = size_of(&files);
    run_cat(&files); /* into memory */
    for (int i = 0; i < restart->times; i++)
        read_once(restart, nodes, &files, false);
    for (int i = 0; i < restart->times; i++)
        read_once(restart, nodes, &files, true);
    start_all(restart, nodes);
}
