/* nodes.h - a cluster of processes on this machine, watched by their state logs.
 *
 * Each node's stdout is a pipe; one poll loop reads them all and keeps, of each, what its last lines told. A line's
 * moment is its arrival here: what whoever waits for the new leader would see.
 *
 * Errors:    there are none to handle: a node that cannot start or ends by itself ends the benchmark. */
#ifndef BENCH_NODES_H
#define BENCH_NODES_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bench.h"
#include "port.h"

#define NODES_MAX     5
#define NODES_WAIT_US 30000000 /* nothing here takes longer, unless it never comes */

struct settings {
    const char *name; /* for the names of files */
    int timeout_min_ms, timeout_max_ms, heartbeat_ms;
    bool fast_failover;
    bool serves_clients;
};
extern const struct settings DEFAULT_SETTINGS;

struct member {
    pid_t pid;       /* 0: does not run */
    int input;       /* the writing end of its stdin; -1: closed */
    int output;      /* the reading end of its stdout; -1: closed */
    struct port port, client_port;
    char text[8192]; /* the beginning of a line whose end has not come */
    size_t text_size;
    bool ending; /* it was killed: its end is no surprise */

    /* What its lines have told. */
    uint64_t term;
    bool following;        /* by its last line its role is FOLLOWER */
    int leader;            /* who leads its term as far as it has told; 0: nobody */
    unsigned connected;    /* to whom it has a connection of its own, a bit an id */
    int64_t led_us;        /* when its newest Leader! arrived (clock_now_us); 0: it has not led */
    int64_t led_wall_us;   /* when that line was printed, by its own time */
    int64_t stood_wall_us; /* when it last ceased to follow, by its own time */
    int64_t log_read_us;   /* when it told that it has read its log; 0: it has not */
    int64_t flowing_us;    /* proposerd: when its newest Flowing arrived; 0: none has */
    int proposed_count;    /* and how many Proposed have, ... */
    char proposed[200];    /* ... and the facts of the newest */
};

struct nodes {
    int count;
    const char *program; /* mailraftd; may be replaced before the first is started */
    char folder[PATH_MAX / 4];
    char stuck_path[PATH_MAX / 4 + 100]; /* where the lines go when what is waited for does not come */
    struct member members[NODES_MAX];    /* node N is at N - 1 */
    int leaders;                         /* Leader! lines so far */
    char *record;                        /* every line since nodes_forget_record */
    size_t record_size, record_room;
};

/* Makes the folder, the config and room for the ports; starts nothing. */
void nodes_open(struct nodes *nodes, const struct workplace *workplace, const struct settings *settings, int count);
/* Kills what runs and removes the folder. */
void nodes_close(struct nodes *nodes);

void nodes_start(struct nodes *nodes, int id);
void nodes_start_all(struct nodes *nodes);
void nodes_kill(struct nodes *nodes, int id); /* SIGKILL, at once; nodes_reap waits for its end */
void nodes_reap(struct nodes *nodes, int id);

/* Writes a line to a node's stdin; without its end. */
void nodes_tell(struct nodes *nodes, int id, const char *line);

/* Reads what the nodes have printed; waits for something until the deadline. */
void nodes_read(struct nodes *nodes, int64_t deadline_us);

/* Reads until the deadline, whatever comes. */
void nodes_watch(struct nodes *nodes, int64_t deadline_us);

/* The leader that every node follows in one term, when each node has a connection to each; 0: there is none. */
int nodes_settled_leader(const struct nodes *nodes);

/* Reads until there is such a leader, and returns it. */
int nodes_settle(struct nodes *nodes);

/* What was waited for did not come in NODES_WAIT_US. */
__attribute__((noreturn)) void nodes_die_stuck(struct nodes *nodes, const char *waited_for);

void nodes_forget_record(struct nodes *nodes);
void nodes_note(struct nodes *nodes, int64_t wall_us, const char *text); /* a line of our own among the nodes' */
void nodes_save_record(struct nodes *nodes, const char *path);           /* the lines of all nodes in order of time */

#endif
