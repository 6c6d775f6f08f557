/* sim.h - a whole cluster in one process and one thread, in virtual time: the shipped server, scribe and pile run on
 * the simulator's clock, random numbers, threads (coroutines), disks and network. What the test says and the seed
 * decide everything: the same calls with the same seed give the same run, byte for byte.
 *
 * Machines:  each has an id, a disk that outlives everything else, and at most one life at a time: a node (node_run)
 *            or a function of the test. What a life allocates is its own; when it dies, all of it is gone; when it
 *            ends by itself, nothing may be left (that is the leak check).
 * Time:      passes only in the calls that say so. Each life has a clock of its own; never compare two of them.
 * Failure:   what must hold is checked all the time (checker.h). A violation tells what, when and which seed on
 *            stderr, and aborts.
 * One simulation at a time in a process. All functions are called from outside of its coroutines, but for
 * sim_now_us and sim_random. */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "counter.h"
#include "raft/node.h"
#include "raft/server.h"

struct sim;

struct sim *sim_new(uint64_t seed);
void sim_free(struct sim *sim); /* every life dies; what each one allocated is freed */

/* ---- Nodes ---- */

/* Members 1 to count, timeouts 150-300 ms, heartbeats every 50 ms, the hint of closed connections on, data_dir
 * SIM_DATA_DIR on each node's own disk; files and a cache so small that a few hundred entries fill them; no machine. */
#define SIM_DATA_DIR "/data"
void sim_configure(struct node_config *config, raft_id id, int count);

/* Adds a machine, and starts a node on it. It has run when time passes (sim_settle). */
void sim_add_node(struct sim *sim, const struct node_config *config);
void sim_add_cluster(struct sim *sim, int count); /* nodes 1 to count as sim_configure has them */

void sim_stop(struct sim *sim, raft_id id);      /* as SIGTERM does: node_stop. It ends by itself, in its time */
void sim_kill(struct sim *sim, raft_id id);      /* as kill -9 does: what was written stays, synced or not */
void sim_power_cut(struct sim *sim, raft_id id); /* each unsynced sector, name and size stays old or becomes new */
void sim_restart(struct sim *sim, raft_id id);   /* a new life with the same config; the machine has none now */
void sim_pause(struct sim *sim, raft_id id);     /* as SIGSTOP does: mail gathers in its sockets */
void sim_resume(struct sim *sim, raft_id id);    /* what is due runs first, then the mail comes in, over a few ms */

void sim_set_wall_clock(struct sim *sim, raft_id id, int64_t lead_us); /* it tells so much more than it would; 0 */

bool sim_lives(const struct sim *sim, raft_id id);
/* How the last life that ended by itself ended: true: node_run returned true. *err otherwise (may be NULL). */
bool sim_ended_well(const struct sim *sim, raft_id id, struct mailraft_error *err);

/* ---- Clients ---- */

/* Nodes that begin from here on drive a counter machine (counter.h), and have a client that takes the answers to what
 * is proposed there. */
void sim_count(struct sim *sim);
/* Proposes a request at a node. False where it does not live, or has many under way. The answer is checked. */
bool sim_propose(struct sim *sim, raft_id id, const char *request);
int sim_not_answered(const struct sim *sim, raft_id id);                 /* of the proposals at its present life */
uint64_t sim_outcomes(const struct sim *sim, enum outcome outcome);      /* of all proposals so far */
const struct counter *sim_counter(const struct sim *sim, raft_id id);    /* of its present life; NULL: none */

/* Nodes that begin from here on have the key-value service in the place of the counter, whose clients come over cables
 * (cable.h). What is to be looked at of the state are SIM_KEYS_MAX keys. */
#define SIM_KEYS_MAX     96
#define SIM_KEY_TEXT_MAX 16
void sim_serve(struct sim *sim, int64_t client_timeout_us);
void sim_key_name(int key, char name[SIM_KEY_TEXT_MAX]);

/* ---- Looking at nodes ---- */

struct server *sim_server(struct sim *sim, raft_id id); /* NULL while its server is not running */
raft_id sim_leader(struct sim *sim); /* the leader of the highest term whom a majority of the living follows; NO_ONE */

/* ---- Time ---- */

int64_t sim_now_us(const struct sim *sim); /* the simulation's own; 0 at its start */
void sim_run_us(struct sim *sim, int64_t us); /* runs all that is due until so much time has passed */
/* Runs until holds(sim, context) is true after a step; false when `us` passed without. */
bool sim_run_until(struct sim *sim, int64_t us, bool (*holds)(struct sim *sim, void *context), void *context);
bool sim_run_until_leader(struct sim *sim, int64_t us);
/* Runs until nothing is left to do but to wait for timers and mail: time passes only as far as the disks take it
 * (calls that hang are not waited for). */
void sim_settle(struct sim *sim);

uint64_t sim_random(struct sim *sim); /* the seed's next number */

/* ---- Mail by hand ---- */

/* From now on the network delivers nothing by itself: what nodes send is kept for sim_sent, and what they get is what
 * sim_put and its kin give them. For tests of one node whose peers the test plays; those need no machine. */
void sim_script_network(struct sim *sim);

/* Takes the oldest message that a node has sent to a peer, over either channel. False where there is none. *entries,
 * *body: the caller's; NULL and empty: none came with it. What nobody has taken counts as waiting for the socket
 * (mailbox_waiting_bytes). */
bool sim_sent(struct sim *sim, raft_id from, raft_id to, struct message *message);
bool sim_sent_entries(struct sim *sim, raft_id from, raft_id to, struct message *message, enum channel *channel,
                      struct batch **entries);
bool sim_sent_body(struct sim *sim, raft_id from, raft_id to, struct message *message, struct mailraft_buffer *body);
bool sim_sent_nothing(struct sim *sim, raft_id from); /* to nobody */
void sim_forget_sent(struct sim *sim, raft_id from);

/* Puts a message of message->server_id on a node's pile, over the present urgent connection of that peer, or over its
 * bulk connection together with entries (copied; NULL: none), or with the body of a FORWARD or FORWARDED (copied). With
 * the first message of a peer both channels open both ways (LETTER_CONNECTED, LETTER_REACHED), but for what the test
 * has opened or closed by itself; one that the peer had opened and that is closed is opened again where it is needed,
 * with the next number. A RESPONSE_APPEND_ENTRIES or a FORWARDED that names no request_connection gets the present
 * one. */
void sim_put(struct sim *sim, raft_id to, const struct message *message);
void sim_put_entries(struct sim *sim, raft_id to, const struct message *message, const struct batch *entries);
void sim_put_body(struct sim *sim, raft_id to, const struct message *message, const struct mailraft_buffer *body);
void sim_put_over(struct sim *sim, raft_id to, const struct message *message, const struct link *link);
void sim_deliver(struct sim *sim, raft_id to, const struct message *message); /* sim_put, then sim_settle */
void sim_deliver_entries(struct sim *sim, raft_id to, const struct message *message, const struct batch *entries);
void sim_deliver_body(struct sim *sim, raft_id to, const struct message *message, const struct mailraft_buffer *body);

/* What a peer says of itself when a connection opens, either way: to be changed before. At first its data id begins
 * with its id, and the rest is zero. */
struct introduction *sim_introduction(struct sim *sim, raft_id to, raft_id peer);

/* LETTER_CONNECTED: the peer opened its urgent connection of that number; LETTER_DISCONNECTED: that one closed. These
 * and all that follow settle. */
void sim_connect_peer(struct sim *sim, raft_id to, raft_id peer, uint64_t incarnation, uint64_t connection);
void sim_disconnect_peer(struct sim *sim, raft_id to, raft_id peer, uint64_t incarnation, uint64_t connection);
/* The peer opens its next connection of a channel, or closes the present one. */
void sim_open_channel(struct sim *sim, raft_id to, raft_id peer, enum channel channel);
void sim_close_channel(struct sim *sim, raft_id to, raft_id peer, enum channel channel);
void sim_close_peer(struct sim *sim, raft_id to, raft_id peer); /* the urgent one */
/* The node's own: LETTER_REACHED with the next number, LETTER_LOST. */
void sim_reach_peer(struct sim *sim, raft_id id, raft_id peer, enum channel channel);
void sim_lose_peer(struct sim *sim, raft_id id, raft_id peer, enum channel channel);
/* The node's present connection to a peer, as an answer over it has to name it; incarnation 0: it is closed. */
struct link sim_reached(struct sim *sim, raft_id id, raft_id peer, enum channel channel);

/* ---- The network that delivers by itself ---- */

struct sim_network {
    int64_t delay_min_us, delay_max_us; /* of a message; 100 to 200 */
    double tail;                        /* the share of messages that take up to tail_max_us; 0 */
    int64_t tail_max_us;
    double loss, duplication; /* shares of messages; 0. Of a bulk connection nothing is lost but with it */
    bool reordering;          /* messages of a connection overtake each other; false */
    /* What is forwarded is never doubled, and never overtakes its like. */
};
struct sim_network *sim_network(struct sim *sim); /* to be changed at any time */

void sim_cut(struct sim *sim, raft_id from, raft_id to);       /* one way */
void sim_isolate(struct sim *sim, raft_id id);                 /* both ways from and to everybody */
void sim_heal(struct sim *sim);                                /* every way is open again */
void sim_heal_way(struct sim *sim, raft_id from, raft_id to);  /* one way is */
/* Both ends live on, and the connections, or that of one channel, are opened anew. The last of what was on its way is
 * lost. */
void sim_break_connection(struct sim *sim, raft_id from, raft_id to);
void sim_break_channel(struct sim *sim, raft_id from, raft_id to, enum channel channel);
/* The same, but nothing is lost: what was on its way comes so much later, when a newer one has long been open. */
void sim_straggle(struct sim *sim, raft_id from, raft_id to, enum channel channel, int64_t late_us);

/* ---- State logs ---- */

/* Lines of which level are kept; LOG_INFO. Tracing keeps them in the trace too. */
void sim_log_level(struct sim *sim, enum log_level level);
void sim_log_keep(struct sim *sim); /* from now on; off at first, since formatting is most of the work */
const char *sim_log_text(struct sim *sim, raft_id id); /* all lines of a node kept so far */
bool sim_log_has(struct sim *sim, raft_id id, const char *text);
int sim_log_count(struct sim *sim, raft_id id, const char *text); /* how often */
void sim_log_clear(struct sim *sim, raft_id id);
/* Everything that happens, a line an event, goes to this stream (FILE *), borrowed. NULL: none. */
void sim_trace_to(struct sim *sim, void *stream);

/* ---- Disks ---- */

/* A machine whose life will be functions of the test (sim_run_on). */
void sim_add_machine(struct sim *sim, raft_id id);

enum sim_end { SIM_PROCESS_DEATH, SIM_POWER_CUT };
/* The machine's present or next life ends in its nth call of disk.h from now (1: the next one), when the call has done
 * a part of its work that the seed draws, or none, or all. */
void sim_end_at_call(struct sim *sim, raft_id id, uint64_t nth, enum sim_end how);
uint64_t sim_disk_calls(const struct sim *sim, raft_id id); /* that have begun, over all lives */

struct log *sim_log(struct sim *sim, raft_id id); /* the machine's, for what a test's function starts */

/* Runs a function of the test as the machine's life, and all threads that it starts, until it returns (true) or the
 * life ends before (false). */
bool sim_run_on(struct sim *sim, raft_id id, void (*function)(void *context), void *context);

void sim_disk_sync_us(struct sim *sim, raft_id id, int64_t min_us, int64_t max_us); /* 100 to 100 */
void sim_disk_hang(struct sim *sim, raft_id id, bool hangs); /* calls return only when it no longer does */
void sim_disk_fail_sync(struct sim *sim, raft_id id);  /* the next disk_sync or disk_sync_folder raises STORAGE_ERROR */
void sim_disk_fail_write(struct sim *sim, raft_id id, bool full); /* the next disk_write: FULL_ERROR or STORAGE_ERROR */
void sim_disk_fill(struct sim *sim, raft_id id, bool full); /* every disk_write raises FULL_ERROR, as long as it is */
void sim_disk_delay(struct sim *sim, raft_id id, int64_t us); /* the next call takes so much more */
void sim_disk_mend(struct sim *sim, raft_id id); /* no call fails or ends its life any more, but what hangs, hangs */

/* What stands in a file, as reading shows it. Returns how many bytes there were from offset on; 0 for no file. */
size_t sim_disk_read(struct sim *sim, raft_id id, const char *path, uint64_t offset, void *bytes, size_t size);
bool sim_disk_exists(struct sim *sim, raft_id id, const char *path);
/* Damage: changes bytes or removes a name (with all below it), as written and as synced. */
void sim_disk_put(struct sim *sim, raft_id id, const char *path, uint64_t offset, const void *bytes, size_t size);
void sim_disk_flip(struct sim *sim, raft_id id, const char *path, uint64_t offset); /* the bits of one byte */
void sim_disk_remove(struct sim *sim, raft_id id, const char *path);
/* The data folder of a machine without a life is gone, and its next life begins anew. */
void sim_disk_empty(struct sim *sim, raft_id id);

#endif
