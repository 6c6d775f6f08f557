#include "process.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

/* The clock of the process tells it in nanoseconds; /proc/PID/stat has the same in ticks of 10 ms, too coarse for a
 * process that uses one of them a second. */
double process_cpu_seconds(pid_t pid)
{
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
        bench_die("Couldn't read the CPU time of process %d", pid);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* The number behind a key in a file of lines; -1: there is none. */
static long find_number(const char *path, const char *key)
{
    char line[200];
    long number = -1;
    FILE *file = fopen(path, "r");
    while (file != NULL && number < 0 && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, key, strlen(key)) == 0)
            number = atol(line + strlen(key));
    if (file != NULL)
        fclose(file);
    return number;
}

long process_status(pid_t pid, const char *key)
{
    char path[60];
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    long number = find_number(path, key);
    if (number < 0)
        bench_die("There is no %s in %s", key, path);
    return number;
}

long process_thread_changes(pid_t pid)
{
    char path[60], name[340];
    long changes = 0;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *folder = opendir(path);
    if (folder == NULL)
        bench_die("Couldn't read %s", path);
    for (struct dirent *thread; (thread = readdir(folder)) != NULL;) {
        snprintf(name, sizeof name, "%s/%s/status", path, thread->d_name);
        if (thread->d_name[0] != '.')
            changes += find_number(name, "voluntary_ctxt_switches:");
    }
    closedir(folder);
    return changes;
}

void process_pin(bool one, int core)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    cpu_set_t set;
    CPU_ZERO(&set);
    for (long i = 0; i < cores; i++)
        if (!one || i == core % cores)
            CPU_SET((size_t)i, &set);
    DIR *folder = opendir("/proc/self/task");
    if (folder == NULL)
        bench_die("Couldn't read /proc/self/task");
    for (struct dirent *thread; (thread = readdir(folder)) != NULL;)
        if (thread->d_name[0] != '.' && sched_setaffinity(atoi(thread->d_name), sizeof set, &set) != 0)
            bench_die("Couldn't choose a core for a thread");
    closedir(folder);
}
