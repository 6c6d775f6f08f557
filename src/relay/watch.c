#include "relay/watch.h"

#include <assert.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <unistd.h>

void watch_init(struct watch *watch, int epoll, int fd, void (*wake)(void *owner), void *owner)
{
    *watch = (struct watch){.epoll = epoll, .fd = fd, .wake = wake, .owner = owner};
}

void watch_set(struct watch *watch, uint32_t wanted)
{
    if (watch->fd < 0 || wanted == watch->wanted)
        return;
    int change = wanted == 0 ? EPOLL_CTL_DEL : watch->wanted == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    struct epoll_event event = {.events = wanted, .data.ptr = watch};
    int failed = epoll_ctl(watch->epoll, change, watch->fd, &event);
    /* The kernel may be out of memory for a new one; it stays unwatched until the next call. */
    assert(failed == 0 || change == EPOLL_CTL_ADD);
    if (failed == 0)
        watch->wanted = wanted;
}

void watch_close(struct watch *watch)
{
    if (watch->fd < 0)
        return;
    close(watch->fd); /* which takes it out of the epoll */
    watch->fd = -1;
    watch->ready = 0;
}
