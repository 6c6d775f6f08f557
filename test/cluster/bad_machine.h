/* bad_machine.h - a machine whose disk, name server or kernel gives a node trouble (preload.c), from the moment on that
 * the test says so. */
#ifndef CLUSTER_BAD_MACHINE_H
#define CLUSTER_BAD_MACHINE_H

#include "cluster/cluster.h"

struct bad_machine {
    char armed[CLUSTER_PATH_MAX], hit[CLUSTER_PATH_MAX];
    char preload[CLUSTER_PATH_MAX], trouble[40], armed_variable[CLUSTER_PATH_MAX + 20];
    char asan_options[300];
    const char *environment[5]; /* of the nodes that are started on it (cluster_start_node) */
};

/* name: tells it from others of the cluster. trouble: as preload.c has them. */
void bad_machine_init(struct bad_machine *bad, const struct cluster *cluster, const char *name, const char *trouble);
void bad_machine_arm(const struct bad_machine *bad);
void bad_machine_disarm(const struct bad_machine *bad); /* what comes from now on goes well */
/* Waits until there was trouble. */
void bad_machine_await(const struct bad_machine *bad, struct cluster *cluster);

#endif
