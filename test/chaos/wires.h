/* wires.h - the network between nodes, each in a namespace of its own, and their clients, in ours: a pair of virtual
 * cards each, a bridge between all, and what goes wrong there.
 *
 * Every fault is counted: where two of them cut the same way, it is open again when both are over. Nothing changes
 * before wires_apply.
 *
 * Ends:  nodes 1 to count; 0 is where the clients are. Cuts are made where packets arrive: who sends learns nothing.
 * Tools: ip, iptables-restore, tc. */
#ifndef CHAOS_WIRES_H
#define CHAOS_WIRES_H

#include <stdbool.h>

#include "chaos/sandbox.h"

enum wires_fault {
    WIRES_CUT,   /* nothing arrives */
    WIRES_LOSS,  /* every tenth packet does not */
    WIRES_RESET, /* connections break: what arrives over them is answered so */
    WIRES_FAULTS
};

struct wires;

/* NULL where the kernel, or its tools, cannot do all of this; they have told what not. */
struct wires *wires_new(const struct sandbox *sandbox, int count);
void wires_free(struct wires *wires);

const char *wires_host(int end); /* its address */

/* One way. by: 1 where the fault begins, -1 where it ends. */
void wires_change(struct wires *wires, enum wires_fault fault, int from, int to, int by);
/* A node's card has no carrier: nothing leaves and nothing arrives. */
void wires_unplug(struct wires *wires, int node, int by);
/* A node's wire carries so little that whatever is in a hurry waits for what is not. */
void wires_choke(struct wires *wires, int node, int by);

void wires_apply(struct wires *wires);

#endif
