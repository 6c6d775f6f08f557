#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"

#define SYNC_FILE_BYTES 8192

static void write_at_start(int fd, const char *bytes, size_t size, const char *path)
{
    if (pwrite(fd, bytes, size, 0) != (ssize_t)size || fdatasync(fd) != 0)
        bench_die("Couldn't write and sync %s: %s", path, strerror(errno));
}

void machine_sample_syncs(struct figures *ms, int times, const struct workplace *workplace)
{
    char path[PATH_MAX], bytes[SYNC_FILE_BYTES] = {0};
    snprintf(path, sizeof path, "%s/sync", workplace->folder);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        bench_die("Couldn't open %s: %s", path, strerror(errno));
    write_at_start(fd, bytes, sizeof bytes, path); /* the blocks: a sync of them is not what is measured */
    for (int i = 0; i < times; i++) {
        memset(bytes, i, 512);
        int64_t began_us = clock_now_us();
        write_at_start(fd, bytes, 512, path);
        figures_add(ms, (double)(clock_now_us() - began_us) / 1000);
    }
    close(fd);
    unlink(path);
}

static void find_processor(char *name, size_t size)
{
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "r");
    snprintf(name, size, "unknown processor");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "model name", 10) == 0 && strchr(line, ':') != NULL) {
            line[strcspn(line, "\n")] = '\0';
            snprintf(name, size, "%s", strchr(line, ':') + 2);
            break;
        }
    if (file != NULL)
        fclose(file);
}

const char *machine_describe(char *text, size_t size)
{
    struct utsname kernel = {0};
    char processor[256];
    uname(&kernel);
    find_processor(processor, sizeof processor);
    snprintf(text, size, "%ld cores (%s), %s %s", sysconf(_SC_NPROCESSORS_ONLN), processor, kernel.sysname,
             kernel.release);
    return text;
}
