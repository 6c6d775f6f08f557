/* service.h - what a node is there for: the state machine that its log drives, and the threads that bring proposals to
 * it. mailraftd.c knows a service by these calls alone, so that it becomes another program when it is linked with
 * another service.c.
 *
 * Threads:   the calls, from the main thread; the machine's, as mailraft/machine.h has it.
 * Order:     new, start, node_run, stop, free. A service lives longer than its node, whose letters refer to the
 *            service's piles and credits: it stops after node_run has returned, and is freed after node_free.
 * Ownership: the machine is the service's. node and log are borrowed from start to stop. */
#ifndef SERVE_SERVICE_H
#define SERVE_SERVICE_H

#include "raft/node.h"
#include "serve/sessions.h"

struct service_config {
    struct sessions_config sessions; /* client: port 0 where this node serves no clients */
    struct clients_config clients;
};

struct service; /* NULL: there is nothing to serve; every call takes it */

/* config: borrowed for the call. */
struct service *service_new(const struct service_config *config);
struct pile *service_pile(const struct service *service); /* for the node to be watched from (node.h); NULL: nobody */
const struct mailraft_machine *service_machine(const struct service *service); /* NULL: none */

/* Proposals may come from now on, even before the node runs. BIND_ERROR where clients cannot be served at their
 * address, SERVER_ERROR where no thread can be started; what had been started is stopped again. */
bool service_start(struct service *service, struct node *node, struct log *log, struct mailraft_error *err);

void service_stop(struct service *service); /* also one that was not started: nothing */
void service_free(struct service *service);

#endif
