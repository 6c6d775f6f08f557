/* bell.h - what wakes a thread out of poll(2): an eventfd. Rung from any thread; it stays rung until it is silenced. */
#ifndef MAIL_BELL_H
#define MAIL_BELL_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct bell {
    int fd; /* readable while it is rung */
};

bool bell_init(struct bell *bell, struct mailraft_error *err); /* SERVER_ERROR where no descriptor is left */
void bell_fini(struct bell *bell);
void bell_ring(const struct bell *bell);
void bell_silence(const struct bell *bell);
bool bell_is_rung(const struct bell *bell);

/* poll(2) against a deadline of clock_now_us, through EINTR. How many of the descriptors are ready; 0: none was. */
int poll_until(struct pollfd *fds, size_t count, int64_t deadline_us);

#endif
