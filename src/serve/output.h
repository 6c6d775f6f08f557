/* output.h - what a client is to be sent, until its socket takes it. It stands in chunks, so that nothing is moved when
 * what came before it has left, however slowly the client reads.
 *
 * Threads:   one at a time. Ownership: bytes are copied in. */
#ifndef SERVE_OUTPUT_H
#define SERVE_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct chunk;

struct output { /* zeros: empty */
    struct chunk *first, *last;
    size_t bytes; /* that have not left */
};

void output_put(struct output *output, const void *bytes, size_t size);

/* Sends as much as the socket takes without waiting. False and NETWORK_ERROR where it is of no use any more. */
bool output_send(struct output *output, int socket, struct mailraft_error *err);

void output_clear(struct output *output); /* throws away what has not left */

#endif
