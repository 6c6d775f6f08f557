/* peers.h - which connections stand between us and the other members, and what they said of themselves. */
#ifndef RAFT_PEERS_H
#define RAFT_PEERS_H

#include "raft/server.h"

/* The letters LETTER_CONNECTED, LETTER_DISCONNECTED, LETTER_REACHED and LETTER_LOST. */
void peers_note(struct server *server);

#endif
