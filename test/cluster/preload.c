/* preload - a disk that hangs or fails, or a name server that hangs, for a process that has this library preloaded.
 *
 * From the moment on that the file PRELOAD_ARMED exists, PRELOAD_TROUBLE says what happens: "hang": a sync never
 * returns; "fail": a sync fails with EIO; "full": a write fails with ENOSPC; "hang_names": a lookup of a name never
 * returns. Then PRELOAD_ARMED.hit exists too. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int fdatasync(int fd);
int fsync(int fd);
ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset);
ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t offset);

static bool hit(const char *trouble)
{
    const char *wanted = getenv("PRELOAD_TROUBLE");
    const char *armed = getenv("PRELOAD_ARMED");
    char path[4096];
    if (wanted == NULL || armed == NULL || strcmp(wanted, trouble) != 0 || access(armed, F_OK) != 0)
        return false;
    snprintf(path, sizeof(path), "%s.hit", armed);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    return true;
}

static void hang(void)
{
    for (;;)
        syscall(SYS_pause); /* not a call that a sanitizer's runtime would take a signal in */
}

static int sync_with(long call, int fd)
{
    if (hit("hang"))
        hang();
    if (hit("fail")) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(call, fd);
}

int fdatasync(int fd)
{
    return sync_with(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return sync_with(SYS_fsync, fd);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    if (hit("full")) {
        errno = ENOSPC;
        return -1;
    }
    return (ssize_t)syscall(SYS_pwrite64, fd, bytes, size, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t offset)
{
    return pwrite(fd, bytes, size, offset);
}

int getaddrinfo(const char *restrict host, const char *restrict port, const struct addrinfo *restrict hints,
                struct addrinfo **restrict found)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    if ((hints->ai_flags & AI_NUMERICHOST) == 0 && hit("hang_names"))
        hang();
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo"); /* as POSIX has it, since ISO C knows no such conversion */
    return real(host, port, hints, found);
}
