/* restart.h - how long a node takes to read a long log at its start, and how much memory, beside `cat` of the same
 * files; both when the files are still in memory and when they have to come from the disk. */
#ifndef BENCH_RESTART_H
#define BENCH_RESTART_H

#include "figures.h"
#include "nodes.h"

struct reading {
    struct figures our_seconds; /* from the start of the process until it told that it has read the log */
    struct figures cat_seconds;
};

struct restart {
    int times;

    double file_bytes; /* of the node's log */
    struct reading warm, cold;
    long peak_kib;          /* VmHWM of a node that has read its log and knows no others */
    double applied_seconds; /* from the start of all nodes until a proposal is applied, and with it all before it */
    long peak_applied_kib;  /* the largest VmHWM then */
};

/* Kills the nodes (of commits.h), measures one of them alone, then starts all. The caller gives the figures back. */
void restart_measure(struct restart *restart, struct nodes *nodes);

#endif
