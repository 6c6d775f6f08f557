/* node.h - one member of the cluster, whole: its server, the scribe of its data folder and its mailbox, started and
 * stopped in their order. What mailraftd runs, and what the simulator runs.
 *
 * Threads:   node_run from one thread, which is the server's from then on; node_stop from any.
 * Order:     the scribe opens the data folder before anything is said to others: then the mailbox binds, then
 *            server_run() runs. At the end every pile is closed, every thread joined, every pile freed; only a thread
 *            that is stuck in the disk or in the state machine is not waited for (NODE_LAST_WORDS_US). */
#ifndef RAFT_NODE_H
#define RAFT_NODE_H

#include "base/disk.h"
#include "mail/mailbox.h"

#define NODE_LAST_WORDS_US 150000

struct node_config {
    raft_id id;
    char cluster_name[CLUSTER_NAME_MAX];
    struct members members; /* id among them */
    struct address listen;  /* where to bind for peers */
    const struct address *reach; /* by position in members: where this node reaches it, if not at its peer address
                                  * (port 0); borrowed until the node runs; NULL: all at theirs */
    char data_dir[DISK_PATH_MAX]; /* absolute */
    int64_t election_timeout_min_us;
    int64_t election_timeout_max_us; /* timeouts are drawn from [min, max) */
    int64_t heartbeat_us;
    int64_t disk_stall_us; /* a leader whose disk has not answered for so long gives leadership up */
    uint64_t segment_bytes;   /* of a file of the log, at most */
    size_t log_cache_bytes;   /* of the newest entries that are kept in memory */
    size_t entry_bytes_max;   /* of one entry, its head included */
    bool birth_all;           /* the cluster is born only with every member's vote */
    bool rejoin_empty;        /* others may take this node back though its folder is new */
    const struct mailraft_machine *machine; /* borrowed; NULL: none, and proposals are refused */
    struct pile *watcher;   /* LETTER_STATUS comes here whenever the way to the leader changes; NULL: nobody watches. It
                             * outlives the node */
    bool fast_failover; /* whether a closed connection of the leader is a reason to stand before the timeout */
    int32_t pid; /* told to whoever finds the data folder locked */
    char about[DISK_PATH_MAX + 256]; /* key=value facts for the first line of the state log */
    const char *warning; /* what the second line warns of; NULL: nothing */
};

struct node;
struct server;

/* log is borrowed until node_free. */
struct node *node_new(const struct node_config *config, struct log *log);

/* Runs until it is told to stop (true) or cannot go on (false, with STORAGE_ERROR and its kin, BIND_ERROR, ...). */
bool node_run(struct node *node, struct mailraft_error *err);

/* Asks for a request to be prepared, logged, committed and applied; what becomes of it is a LETTER_REPLY on the
 * proposer's pile, always one, unless the node ends first. From any thread, while node_run runs. The request is copied.
 * credit: NULL, or the sender's, which size bytes have been taken from: given back once it has been logged or refused.
 * */
void node_propose(struct node *node, const void *request, size_t size, const struct proposer *proposer,
                  struct credit *credit);

/* The same for many at once: LETTER_PROPOSE, LETTER_READ, LETTER_COUNT and LETTER_STATUS_WANTED, in their order. */
void node_ask(struct node *node, struct letter_list *letters);

void node_stop(struct node *node);                   /* hands leadership over, then stops; twice: stops at once */
const struct server *node_server(const struct node *node); /* to look at from the same thread (or the simulator) */
/* Once node_run has returned: whether it left a thread behind, which may still use the log, the machine and the piles
 * of proposers. They must last as long as the process then. */
bool node_is_stuck(const struct node *node);
void node_free(struct node *node);

#endif
