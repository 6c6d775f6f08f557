/* connection.h - one connection through the relay: the near socket, of whoever opened it, and the far one, which leads
 * to whom it is for. What one says the other is told, as the roads between them allow.
 *
 * It is what the network would be:
 *   - A road that is cut carries nothing and closes nothing. What is on its way waits; what else is said stays in the
 *     sender's socket. A connection that begins while either road is cut gets nowhere before both are whole; if it is
 *     given up before, the far end never learns of it.
 *   - A FIN is passed on behind all bytes, and the other direction stays as it is. An RST is passed on, and so is the
 *     end of a host that does not answer any more (as in stream.h). One that nobody takes is reset: the near end learns
 *     so that nobody listens there. (That it was refused outright cannot be told: the relay has accepted by then.)
 *   - One that vanishes is as if both hosts were gone without a word: not even an acknowledgement comes any more. It
 *     lasts as long as the relay.
 *   - One that is stalled in a direction is no longer read there, as if the process at its end had ceased to read: what
 *     is said fills the relay's and the kernel's buffers, and then waits.
 * What is on its way is bounded (flow.h): beyond that nothing is read. */
#ifndef RELAY_CONNECTION_H
#define RELAY_CONNECTION_H

#include "mail/resolve.h"
#include "relay/flow.h"
#include "relay/watch.h"

enum direction { FORTH, BACK }; /* from whoever opened it, and towards */

struct road { /* in one direction */
    bool cut;
    int64_t delay_us, jitter_us; /* bytes take from delay to delay + jitter */
    int64_t bytes_per_second;    /* that each connection reads; 0: what there is */
};

enum connection_state { WAITING, CONNECTING, CARRYING, VANISHED, CLOSED };

struct connection {
    struct connection *next; /* the relay's, and so is wire */
    struct wire *wire;

    enum connection_state state;
    const struct road *roads;      /* two, by direction; borrowed */
    const struct resolved *target; /* borrowed */
    int attempt;                   /* which of the target's addresses is tried */
    struct watch sides[2];         /* by direction: what it reads from. The near one, then the far one */
    struct passage {
        struct flow flow;
        bool stalled;          /* nothing is read */
        bool blocked;          /* whom it leads to has no room */
        bool over;             /* its FIN has been passed on */
        int64_t rest_until_us; /* nothing is read before, as the road is slow; 0: it does not rest */
    } passages[2];
};

/* For a socket that has been accepted, which it takes. Its sides are watched in this epoll. */
struct connection *connection_new(int near, int epoll, const struct road roads[2], const struct resolved *target);
void connection_free(struct connection *connection); /* what is still open is closed */

/* Does whatever can be done: after a change of its roads or stalls, and when its time has come. Then, or when a side
 * wakes it, it may have become CLOSED: both sockets are closed, and there is nothing left to do. */
void connection_tend(struct connection *connection);
int64_t connection_next_us(const struct connection *connection); /* when that is; CLOCK_NEVER: not before a wake */

void connection_vanish(struct connection *connection); /* it is VANISHED then */
void connection_break(struct connection *connection);  /* both ends get an RST, at once */

#endif
