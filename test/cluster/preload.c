/* preload - a disk that hangs, fails or is slow, a name server that hangs, or a kernel that does little at once, for a
 * process that has this library preloaded.
 *
 * From the moment on that the file PRELOAD_ARMED exists, PRELOAD_TROUBLE says what happens: "hang": a sync never
 * returns; "stall": it does not before the file is gone; "slow": it takes PRELOAD_SLOW_MS longer, as long as the file
 * is there; "fail": a sync fails with EIO; "fail_once": the same, but the file is gone then, so that the next one does
 * not; "full": a write fails with ENOSPC; "hang_names": a lookup of a name does not return before the file is gone;
 * "short": calls that carry bytes carry less than they could, and those that may wait are interrupted, again and again.
 * Then PRELOAD_ARMED.hit exists too. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PARTS_MAX 1024 /* of a message: what the kernel takes */

int fdatasync(int fd);
int fsync(int fd);
ssize_t pread(int fd, void *bytes, size_t size, off_t offset);
ssize_t pread64(int fd, void *bytes, size_t size, off_t offset);
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

/* ---- Disks ---- */

static void hang(void)
{
    for (;;)
        syscall(SYS_pause); /* not a call that a sanitizer's runtime would take a signal in */
}

static void rest(long ms)
{
    const struct timespec span = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    syscall(SYS_nanosleep, &span, NULL);
}

static long slow_ms(void)
{
    const char *text = getenv("PRELOAD_SLOW_MS");
    return text != NULL ? strtol(text, NULL, 10) : 0;
}

static int sync_with(long call, int fd)
{
    if (hit("hang"))
        hang();
    while (hit("stall"))
        rest(5);
    if (hit("slow"))
        rest(slow_ms());
    if (hit("fail") || (hit("fail_once") && unlink(getenv("PRELOAD_ARMED")) == 0)) {
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

/* ---- A kernel that does little at once ---- */

/* The next of some numbers that look random, each thread its own; 0 where nothing is to happen. */
static unsigned draw(void)
{
    static _Thread_local unsigned state = 1;
    if (state == 1 && !hit("short"))
        return 0;
    state = state * 1664525 + 1013904223;
    return state >> 8 | 1u << 24;
}

static bool interrupted(void)
{
    unsigned number = draw();
    if (number == 0 || number % 8 != 1)
        return false;
    errno = EINTR;
    return true;
}

/* How much is done of what was asked for: at least a byte of it. */
static size_t part_of(size_t size)
{
    unsigned number = draw();
    if (number == 0 || size == 0)
        return size;
    switch (number % 4) {
    case 0:
        return 1;
    case 1:
        return size / 2 + 1 < size ? size / 2 + 1 : size;
    default:
        return size;
    }
}

ssize_t recv(int fd, void *bytes, size_t size, int flags)
{
    return interrupted() ? -1 : (ssize_t)syscall(SYS_recvfrom, fd, bytes, part_of(size), flags, NULL, NULL);
}

/* Cuts a message to so many bytes, in a copy of its parts. */
static size_t cut_parts(const struct msghdr *message, struct iovec *parts, size_t bytes)
{
    size_t count = 0;
    for (; count < message->msg_iovlen && count < PARTS_MAX && bytes > 0; count++) {
        parts[count] = message->msg_iov[count];
        if (parts[count].iov_len > bytes)
            parts[count].iov_len = bytes;
        bytes -= parts[count].iov_len;
    }
    return count;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct iovec parts[PARTS_MAX];
    struct msghdr less = *message;
    size_t size = 0;
    if (interrupted())
        return -1;
    for (size_t i = 0; i < message->msg_iovlen; i++)
        size += message->msg_iov[i].iov_len;
    less.msg_iov = parts;
    less.msg_iovlen = cut_parts(message, parts, part_of(size));
    return (ssize_t)syscall(SYS_sendmsg, fd, &less, flags);
}

ssize_t pread(int fd, void *bytes, size_t size, off_t offset)
{
    return interrupted() ? -1 : (ssize_t)syscall(SYS_pread64, fd, bytes, part_of(size), offset);
}

ssize_t pread64(int fd, void *bytes, size_t size, off_t offset)
{
    return pread(fd, bytes, size, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    if (hit("full")) {
        errno = ENOSPC;
        return -1;
    }
    return interrupted() ? -1 : (ssize_t)syscall(SYS_pwrite64, fd, bytes, part_of(size), offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t offset)
{
    return pwrite(fd, bytes, size, offset);
}

/* Of those who write elsewhere than to a standard output, none would be interrupted (eventfd). */
ssize_t write(int fd, const void *bytes, size_t size)
{
    if (fd != STDOUT_FILENO)
        return (ssize_t)syscall(SYS_write, fd, bytes, size);
    return interrupted() ? -1 : (ssize_t)syscall(SYS_write, fd, bytes, part_of(size));
}

int accept4(int fd, __SOCKADDR_ARG address, socklen_t *restrict size, int flags)
{
    return interrupted() ? -1 : (int)syscall(SYS_accept4, fd, address.__sockaddr__, size, flags);
}

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *signals)
{
    struct timespec rest = timeout != NULL ? *timeout : (struct timespec){0}; /* which the kernel changes */
    if (interrupted())
        return -1;
    return (int)syscall(SYS_ppoll, fds, count, timeout != NULL ? &rest : NULL, signals, _NSIG / 8);
}

int epoll_wait(int fd, struct epoll_event *events, int count, int timeout_ms)
{
    return interrupted() ? -1 : (int)syscall(SYS_epoll_pwait, fd, events, count, timeout_ms, NULL, _NSIG / 8);
}

/* ---- Names ---- */

int getaddrinfo(const char *restrict host, const char *restrict port, const struct addrinfo *restrict hints,
                struct addrinfo **restrict found)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    while ((hints->ai_flags & AI_NUMERICHOST) == 0 && hit("hang_names"))
        rest(10);
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo"); /* as POSIX has it, since ISO C knows no such conversion */
    return real(host, port, hints, found);
}
