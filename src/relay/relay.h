/* relay.h - a network between nodes that one can break: wires, each from one node to another, and what is done to them.
 *
 * A wire from A to B is a listening socket, at which A believes B to be, and B's address, to which its connections lead
 * (connection.h). So who talks to whom is known without a look at what they say. A road is a direction between two
 * nodes: from A to B leads what A says over the wire to B, and what it answers over the wire from B.
 *
 * Threads:   one. relay_turn never waits, but adding a wire to a target that has a name waits for the name server.
 * Failure:   while descriptors or memory are out, whoever connects waits. */
#ifndef RELAY_RELAY_H
#define RELAY_RELAY_H

#include "base/member.h"
#include "mail/stream.h"

#define RELAY_ANY 0 /* in the place of an id: every node */

enum relay_verb {
    RELAY_CUT,   /* the road carries nothing, and closes nothing */
    RELAY_HEAL,  /* the road is as at the start, and no connection is stalled on it */
    RELAY_DELAY, /* what goes over the road takes time */
    RELAY_STALL, /* on the connections that there are, nothing that is said is read any more; later ones are whole */
    RELAY_UNSTALL,
    RELAY_SLOW,   /* each connection carries so many bytes a second over the road */
    RELAY_VANISH, /* both ends of the connections that there are seem gone without a word, for good */
    RELAY_BREAK   /* the connections that there are end, with an RST to both sides */
};

struct relay_order {
    enum relay_verb verb;
    raft_id from, to;            /* or RELAY_ANY */
    bool both_ways;              /* the road back, too */
    int64_t delay_us, jitter_us; /* of RELAY_DELAY */
    int64_t bytes_per_second;    /* of RELAY_SLOW; 0: as many as there are */
};

struct relay;

struct relay *relay_new(struct mailraft_error *err); /* NULL and SERVER_ERROR where no descriptor is left */
void relay_free(struct relay *relay);                /* closes all */

/* listen: NULL: a free port of 127.0.0.1. *at: where it listens. BIND_ERROR, CONNECT_ERROR for a name that is not
 * found, CONFIG_ERROR where there is such a wire already. */
bool relay_add_wire(struct relay *relay, raft_id from, raft_id to, const struct address *target,
                    const struct address *listen, struct endpoint *at, struct mailraft_error *err);

/* How many wires it concerned. */
int relay_obey(struct relay *relay, const struct relay_order *order);

int relay_fd(const struct relay *relay);          /* readable when there is something to carry */
int64_t relay_next_us(const struct relay *relay); /* when there will be even if it is not; CLOCK_NEVER: not before */
void relay_turn(struct relay *relay);             /* carries what can be carried */

#endif
