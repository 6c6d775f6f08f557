/* cable.h - a connection from a client, who is no machine of the simulation, to a node's sockets for clients: bytes in
 * both directions, in order, late and in pieces. The node's end is clients.h's (sim_clients.c).
 *
 * A client outside of lives: its end is called from events. A process that dies closes its cables; one whose machine
 * loses its power does not: its clients hear nothing more, until they give up. */
#ifndef SIM_CABLE_H
#define SIM_CABLE_H

#include "sim/world.h"

struct cable;

/* What a client is told. A cable that was refused is closed before any bytes come. */
struct cable_calls {
    void (*bytes)(void *client, const uint8_t *bytes, size_t size);
    void (*closed)(void *client); /* by the other end; its last call */
};

struct cable *cable_open(struct sim *sim, raft_id to, const struct cable_calls *calls, void *client);
void cable_send(struct cable *cable, const void *bytes, size_t size);
void cable_close(struct cable *cable); /* by the client, who is not called any more */

/* ---- The node's end ---- */

struct connection;

/* It may be used from now on. */
void cable_answer(struct cable *cable, struct connection *connection);
void cable_reply(struct cable *cable, const void *bytes, size_t size);
void cable_hang_up(struct cable *cable); /* behind all that was sent; the connection is not told anything more */

/* Called within the node's life. */
void clients_ring(struct clients *clients, struct cable *cable);                                  /* it is opened */
void connection_hear(struct connection *connection, const uint8_t *bytes, size_t size); /* bytes come */
void connection_end(struct connection *connection);                                     /* the client has closed it */

void cables_fini(struct sim *sim);
void cables_life_ended(struct sim *sim, const struct life *life, bool silently);

#endif
