#include "mail/bell.h"

#include <assert.h>
#include <errno.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

bool bell_init(struct bell *bell, struct mailraft_error *err)
{
    bell->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return bell->fd >= 0 || error_raise_os(err, &SERVER_ERROR, "Couldn't make an eventfd");
}

void bell_fini(struct bell *bell)
{
    close(bell->fd);
    bell->fd = -1;
}

void bell_ring(const struct bell *bell)
{
    uint64_t one = 1;
    ssize_t written = write(bell->fd, &one, sizeof one);

    assert(written == sizeof one || errno == EAGAIN); /* it is rung already, as often as one can count */
}

void bell_silence(const struct bell *bell)
{
    uint64_t rings;
    ssize_t got = read(bell->fd, &rings, sizeof rings);

    assert(got == sizeof rings || errno == EAGAIN);
}

bool bell_is_rung(const struct bell *bell)
{
    struct pollfd fd = {.fd = bell->fd, .events = POLLIN};

    return poll_until(&fd, 1, 0) > 0;
}

static int poll_once(struct pollfd *fds, size_t count, int64_t deadline_us)
{
    struct timespec rest;
    int64_t rest_us;

    if (deadline_us == CLOCK_NEVER)
        return ppoll(fds, count, NULL, NULL);
    rest_us = deadline_us == 0 ? 0 : deadline_us - clock_now_us();
    if (rest_us < 0)
        rest_us = 0;
    rest.tv_sec = rest_us / 1000000;
    rest.tv_nsec = rest_us % 1000000 * 1000;
    return ppoll(fds, count, &rest, NULL);
}

int poll_until(struct pollfd *fds, size_t count, int64_t deadline_us)
{
    int ready;

    do
        ready = poll_once(fds, count, deadline_us);
    while (ready < 0 && errno == EINTR);
    assert(ready >= 0 || errno == ENOMEM);
    return ready < 0 ? 0 : ready;
}
