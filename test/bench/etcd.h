/* etcd.h - the peer with as many nodes as ours: three of Debian's etcd. */
#ifndef BENCH_ETCD_H
#define BENCH_ETCD_H

#include <sys/types.h>

#include "bench.h"
#include "port.h"

#define ETCD_NODES 3

struct etcd_settings {
    const char *name; /* for the names of files */
    int heartbeat_ms, election_timeout_ms;
};
extern const struct etcd_settings ETCD_DEFAULTS;

struct etcd {
    const struct etcd_settings *settings;
    char folder[PATH_MAX / 2];
    struct etcd_node {
        pid_t pid; /* 0: does not run */
        struct port peer, client;
    } nodes[ETCD_NODES]; /* node N is at N - 1 */
};

/* Starts nothing; etcd_start starts one node, which may have run before. */
void etcd_open(struct etcd *etcd, const struct workplace *workplace, const struct etcd_settings *settings);
void etcd_close(struct etcd *etcd); /* with its data */
void etcd_start(struct etcd *etcd, int id);
void etcd_start_all(struct etcd *etcd);
void etcd_kill(struct etcd *etcd, int id); /* SIGKILL, at once; etcd_reap waits for its end */
void etcd_reap(struct etcd *etcd, int id);

/* Waits until every node follows the same leader, and returns it. */
int etcd_settle(struct etcd *etcd);

#endif
