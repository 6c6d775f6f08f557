/* flow.h - bytes on their way in one direction of a connection: each waits until its time has come, and behind the last
 * of them may come the end of the direction.
 *
 * Order:     nothing overtakes: what is put later is due no earlier than what was put before.
 * Ownership: what is put is copied.
 * Ends:      FLOW_FINISHED (a FIN) comes behind all bytes. FLOW_BROKEN (an RST) comes at its time, whatever bytes are
 *            still there: those are lost then. */
#ifndef RELAY_FLOW_H
#define RELAY_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLOW_BYTES_MAX (1024 * 1024) /* a flow that holds as much is full, and should not be put more into */

enum flow_end { FLOW_OPEN, FLOW_FINISHED, FLOW_BROKEN };

struct chunk;

struct flow { /* all zeros: empty and open */
    struct chunk *first, *last;
    size_t held_bytes; /* what is held takes so much memory */
    int64_t due_us;    /* of what was put last */
    enum flow_end end; /* what comes behind the bytes */
    int64_t end_due_us;
};

void flow_fini(struct flow *flow); /* it is empty and open again */

void flow_put(struct flow *flow, const void *bytes, size_t size, int64_t due_us);
void flow_put_end(struct flow *flow, enum flow_end end, int64_t due_us); /* a broken flow stays broken */

/* The bytes at its front that are due, as many as stand together; 0: none. */
size_t flow_due(const struct flow *flow, int64_t now_us, const uint8_t **bytes);
void flow_take(struct flow *flow, size_t size); /* so many of those have left */

/* The end, once it is due and nothing is left that comes before it. */
enum flow_end flow_ended(const struct flow *flow, int64_t now_us);

bool flow_is_empty(const struct flow *flow); /* of bytes */
bool flow_is_full(const struct flow *flow);

/* When the next thing to be done is due, which may be past: bytes that leave, or the end. CLOCK_NEVER: there is none.
 * blocked: bytes cannot leave, whatever the time. */
int64_t flow_next_us(const struct flow *flow, bool blocked);

#endif
