/* watch.h - a descriptor in an epoll, with whom to wake when something is ready there. One of which nothing is wanted
 * is not in the epoll at all, so that its end, which epoll tells unasked, wakes nobody in vain. */
#ifndef RELAY_WATCH_H
#define RELAY_WATCH_H

#include <stdint.h>

struct watch {
    int epoll, fd;   /* fd -1: none */
    uint32_t wanted; /* of epoll's events */
    uint32_t ready;  /* what was, at the last wake; whoever acts on it takes it away */
    void (*wake)(void *owner);
    void *owner;
};

void watch_init(struct watch *watch, int epoll, int fd, void (*wake)(void *owner), void *owner);
void watch_set(struct watch *watch, uint32_t wanted);
void watch_close(struct watch *watch); /* closes the descriptor; one that is closed stays so */

#endif
