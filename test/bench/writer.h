/* writer.h - a client that writes one value after another and does not give up: where an answer is an error, does not
 * come in time, or the connection breaks, it writes again, with the next server that it knows. */
#ifndef BENCH_WRITER_H
#define BENCH_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#define WRITER_SERVERS_MAX 3

/* How one write is said, and how the answer begins that acknowledges it. Borrowed. */
struct dialect {
    const char *request, *good;
    bool once;       /* a connection serves one request only */
    int patience_ms; /* how long it waits for an answer */
};
extern const struct dialect RESP_DIALECT, ETCD_DIALECT;

struct writer {
    const struct dialect *dialect;
    int ports[WRITER_SERVERS_MAX]; /* of the servers that it knows */
    int port_count;
    int at; /* the one that it is with */
    int fd; /* -1: not connected */
};

/* It begins with the first of the ports. */
void writer_init(struct writer *writer, const struct dialect *dialect, const int *ports, int port_count);
void writer_fini(struct writer *writer);

/* Sends one write; its answer is waited for by writer_end, which tells whether it is good. */
bool writer_begin(struct writer *writer);
bool writer_end(struct writer *writer);

/* Writes until one that began in this call is acknowledged, and returns when that was (clock_now_us). Ends the benchmark
 * where none is for long. */
int64_t writer_persist(struct writer *writer);

#endif
