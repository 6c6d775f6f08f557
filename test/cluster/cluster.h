/* cluster.h - real nodes on loopback ports, told apart and judged by their state logs.
 *
 * Whatever a test does, no term may have two leaders: each line that is read is checked for that. The folder with
 * configs and data stays where a test fails. */
#ifndef CLUSTER_CLUSTER_H
#define CLUSTER_CLUSTER_H

#include "check.h"
#include "cluster/process.h"

#define CLUSTER_NODES_MAX 7
#define CLUSTER_TERMS_MAX 65536
#define CLUSTER_PATH_MAX 256

/* Settings for tests in which nothing but what the test does may change the leader, however busy the machine is. Under
 * the thread sanitizer, whose runner check.h puts in Criterion's place, everything takes some ten times as long. */
#ifdef CHECK_PLAIN_RUNNER
#define STEADY "\"election_timeout_ms\":{\"min\":3000,\"max\":4000},\"heartbeat_ms\":100"
#else
#define STEADY "\"election_timeout_ms\":{\"min\":1000,\"max\":2000},\"heartbeat_ms\":100"
#endif

struct node {
    struct process process;
    char name[16];
    int id;
    const char *host; /* 127.0.0.1; as the configs have it, for its peers and for its clients */
    int port, port_holder;
    int client_port, client_port_holder; /* where it serves clients (serving.h); 0: nowhere */
    bool paused;
    const char *option;   /* one more argument for its next start; NULL: none */
    uint64_t asked;       /* lines written to its standard input since it was started */
    /* What its lines told. */
    uint64_t term;
    int follows;           /* the leader that it follows, or itself; 0: none that we know of */
    uint64_t follows_term; /* in which term */
    int told;              /* the last leader that this life has said it follows: once a term */
    uint64_t told_term;
};

struct cluster {
    int count;
    const char *program; /* the environment variable that names what nodes run: MAILRAFTD unless changed */
    int64_t wait_ms;     /* the deadline of what is waited for: PROCESS_WAIT_MS unless changed */
    char folder[64];
    struct node nodes[CLUSTER_NODES_MAX]; /* node N is at N - 1 */
    uint64_t first_term;                  /* 0 unless changed: ... */
    int leader_of[CLUSTER_TERMS_MAX];     /* ... by how many terms later; 0: none */
    int leader;                           /* of the newest term that has had one */
    uint64_t leader_term;
};

/* Ports, a folder and a config for each of the nodes; nothing is started. settings: more of the config's top level,
 * such as "\"heartbeat_ms\":20", or NULL. */
struct cluster *cluster_new(int count, const char *settings);
/* The same with all of them started. */
struct cluster *cluster_start(int count, const char *settings);
void cluster_free(struct cluster *cluster); /* kills what runs and removes the folder */

/* Writes a node's config once more, with its own view of where the others are (ports by node, its own listening port
 * at its own place; hosts as the nodes have them). */
void cluster_write_config(struct cluster *cluster, int id, const int *ports, const char *settings);
void cluster_path(const struct cluster *cluster, const char *name, char path[CLUSTER_PATH_MAX]); /* in its folder */

struct node *cluster_node(struct cluster *cluster, int id);
void cluster_start_node(struct cluster *cluster, int id, const char *const *environment);
void cluster_kill(struct cluster *cluster, int id); /* SIGKILL, and waits for its end */
void cluster_pause(struct cluster *cluster, int id);
void cluster_resume(struct cluster *cluster, int id);
void cluster_stop(struct cluster *cluster, int id); /* SIGTERM, and waits for its end with status 0 */
int cluster_await_end(struct cluster *cluster, int id); /* its exit status, or 128 plus the signal that ended it */

/* Waits until the newest leader is up and every node that is up follows it, and returns its id. Up: it runs, and is not
 * paused. */
int cluster_settle(struct cluster *cluster);
bool cluster_is_settled(struct cluster *cluster); /* whether that is so, as far as lines have been read */
/* Waits for a leader of a later term than this one, and returns its id. */
int cluster_later_leader(struct cluster *cluster, uint64_t term);

/* Waits until a line with this text comes from a node, behind the last one that was expected of it. */
const char *cluster_expect(struct cluster *cluster, int id, const char *text);
/* What a node has printed has no such text. */
void cluster_assert_never(struct cluster *cluster, int id, const char *text);

/* Reads lines until `holds`, or fails the test for want of `what`. */
void cluster_wait(struct cluster *cluster, const char *what, bool (*holds)(struct cluster *cluster, void *context),
                  void *context);

/* The number behind "key=" in a line; fails the test where there is none. */
uint64_t line_number(const char *line, const char *key);

/* A port of 127.0.0.1 that nobody else has, and the socket that keeps it so: bound without SO_REUSEADDR, which it has
 * afterwards, so that a child can still bind and listen, and no other holder can. */
int port_hold(int *holder);

#endif
