/* resolve.h - where a host is. Addresses are taken as they are; names are looked up on a thread of their own, because
 * nothing can interrupt getaddrinfo(3), and a name server that hangs must not hold up the end of the process. */
#ifndef MAIL_RESOLVE_H
#define MAIL_RESOLVE_H

#include "mail/stream.h"

#define RESOLVED_MAX 8

struct resolved {
    int count; /* at least 1 */
    struct endpoint list[RESOLVED_MAX]; /* in the order in which they are to be tried */
};

#define RESOLVE_US 5000000 /* how long the name of an address of our own may take */

#define PATIENCE_ASK_US 50000

struct patience { /* what ends somebody's wait */
    int64_t deadline_us;
    const struct bell *stop;            /* rung; NULL: none */
    bool (*interrupted)(void *context); /* for who has no bell: asked every PATIENCE_ASK_US; NULL: never */
    void *context;
};

/* Waits until the answer is there, or patience ends (CONNECT_ERROR; the lookup is abandoned). */
bool resolve(const struct address *address, const struct patience *patience, struct resolved *resolved,
             struct mailraft_error *err);

/* Listens at an address of ours: at the first of the host's that this machine has. NULL and BIND_ERROR, or CONNECT_ERROR
 * as above. */
struct stream *resolve_listen(const struct address *address, const struct patience *patience,
                              struct mailraft_error *err);

#endif
