/* world.h - what the simulator's files share: the one simulation of this process, its machines and their lives.
 *
 * A life is a process: threads, memory, open files, a mailbox. A machine outlives it, with its disk. Whatever happens
 * is an event; the earliest is next, and of those due at one time the one that was scheduled first.
 *
 * Memory of the simulator itself comes from calloc; only what simulated code asks for goes through base/memory.h. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdio.h>

#include "base/thread.h"
#include "serve/service.h"
#include "sim/coroutine.h"
#include "sim/sim.h"

#define NEVER INT64_MAX

/* Embedded, as the first member, in what it is about. */
struct event {
    int64_t due_us;
    uint64_t sequence;
    size_t place; /* in the heap, from 1; 0: not scheduled */
    void (*fire)(struct event *event);
    bool postponed;     /* until its life runs on; scheduling it again changes nothing */
    struct event *next; /* then */
};

struct events { /* a queue of postponed ones */
    struct event *first, *last;
};

struct block; /* of memory, see sim_memory.c */

/* A call of disk.h under way: what is left of it when its life ends within. */
struct disk_call {
    void (*do_part)(struct disk_call *call);
};

struct sim_thread {
    struct event event; /* it runs on */
    struct life *life;
    struct sim_thread *next; /* of the life */
    struct coroutine *coroutine;
    void (*main)(void *context);
    void *context;
    const char *name;
    int mutexes_held;
    int clock_looks; /* since it last waited */
    bool ended;
    bool abandoned;
    struct sim_thread *joiner;

    struct wake *wake; /* waited for; NULL: none */
    struct sim_thread *next_waiting;
    bool woken;

    struct disk_call *call; /* NULL: none */
    bool hung;              /* in that call, until the disk no longer hangs */
};

struct life {
    struct machine *machine;
    uint64_t number; /* over all machines; never the same twice */
    int64_t clock_offset_us;
    int64_t clock_drift; /* millionths that its clock is too fast */
    struct block *blocks; /* of memory ... */
    size_t bytes;         /* ... and how much it is */
    struct sim_thread *threads;
    struct sim_thread *first; /* the thread that the life is: when it ends, all does */
    void (*function)(void *context);
    void *context;
    struct node *node; /* NULL: it runs a function, or has not begun */
    struct mailbox *mailbox;
    bool abandoned; /* it left a thread alone, with what that one uses */
    bool paused;
    struct events postponed_threads, postponed_mail;
    int64_t mail_in_us; /* when the last of what had gathered in a pause comes in: nothing overtakes it */
    int roles_since_mail; /* changes of role since a thread of it waited */
    int64_t resumed_us;   /* when it was last paused no more; its beginning otherwise */

    /* Where nodes count (proposer.c). */
    struct counter counter;
    struct mailraft_machine counting;
    struct pile *client_pile; /* NULL: there is no client */
    struct thread client;
    int not_answered; /* proposals */

    /* Where nodes serve (serving.c). */
    struct service *service;
    struct mailraft_machine serving;
    struct clients *clients; /* who take cables; NULL: nobody does */
};

/* ---- Disks (sim_disk.c) ---- */

struct inode;
struct name;

struct disk {
    struct inode *inodes;
    struct name *names;
    uint64_t calls;
    uint64_t end_at_call; /* 0: none */
    enum sim_end end_how;
    bool hangs;
    bool full;
    bool fail_sync;
    const struct mailraft_error_class *fail_write; /* NULL: no */
    int64_t delay_us;                              /* that the next call takes more; 0: none */
    bool damaged;                                  /* the test changed what stands there: it may be refused */
    bool decayed; /* it has changed by itself (damage.h): it may be refused, but a server that begins has lost nothing */
    bool failed;                                   /* some call has failed on purpose in this life */
    int64_t sync_min_us, sync_max_us;
};

void disk_fini(struct disk *disk);
void disk_process_ended(struct machine *machine); /* locks and open files are gone */
void disk_power_cut(struct machine *machine);
/* What is durable, or what reading shows, in a file; like sim_disk_read. */
size_t disk_peek(struct disk *disk, const char *path, bool durable, uint64_t offset, void *bytes, size_t size);
/* A bit changes, as written and as synced. False: there is no such byte. */
bool disk_flip_bit(struct disk *disk, const char *path, uint64_t offset, int bit);

/* ---- Mail (parcel.c) ---- */

/* What travels: a message with the bytes of its entries or its body, which belong to nobody's life. */
struct parcel {
    struct parcel *next; /* in whatever list it waits */
    raft_id to;          /* scripted */
    enum channel channel;
    bool droppable;
    struct message message;
    size_t size; /* of bytes; 0: neither entries nor a body */
    uint8_t bytes[];
};

struct parcels { /* a queue of them */
    struct parcel *first, *last;
    int count;
    size_t size; /* of all of their bytes */
};

struct parcel *parcel_new(enum channel channel, const struct message *message, const struct batch *entries);
/* Of a FORWARD or FORWARDED, with a portion of its body. */
struct parcel *parcel_new_body(const struct message *message, const uint8_t *body, size_t size);
bool parcel_is_forward(const struct parcel *parcel); /* that it is such a one */
struct parcel *parcel_copy(const struct parcel *parcel);
void parcels_put(struct parcels *parcels, struct parcel *parcel);
struct parcel *parcels_take(struct parcels *parcels);          /* the oldest; NULL: none */
struct parcel *parcels_take_droppable(struct parcels *parcels); /* the oldest that may be thrown away; NULL: none */
struct parcel *parcels_take_to(struct parcels *parcels, raft_id to);
void parcels_empty(struct parcels *parcels);
/* The entries, in the memory of whoever runs; NULL where it has none. They must decode. */
struct batch *parcel_entries(const struct parcel *parcel);
/* The same of a body, which must be sound; empty where it has none. */
struct mailraft_buffer parcel_body(const struct parcel *parcel);

/* ---- What is known of a machine by the checker alone (checker.c) ---- */

/* An entry that some disk holds, or has held: there is one for each index and term. */
struct known {
    struct known *next; /* of the same index */
    raft_index index;
    raft_term term;
    uint64_t checksum;
    uint64_t hash; /* of it and of all before it */
    uint32_t held; /* by whose disks, ever: one bit a machine */
    enum entry_kind kind;
    int64_t time_us;
    size_t payload_size;
    char payload[]; /* and a zero */
};

/* The log that a disk holds, and where its reading has come to. */
struct durable_log {
    struct known **list; /* from 1 */
    size_t room;
    raft_index last_index;
    uint64_t file, salt, offset; /* behind the newest frame; 0: there is none */
    uint64_t frame;              /* its number ... */
    uint64_t frame_offset;       /* ... and where it begins */
    bool frame_is_witness;       /* it holds no entries */
    uint64_t frame_known;        /* while it is read again: up to this frame it was read before. Otherwise 0 */
};

struct ghost {
    struct ballot durable;      /* the newest that was synced, over all lives */
    struct durable_log log;     /* the same of the log */
    bool emptied;               /* the test has removed its folder: it has forgotten what it promised */
    bool loaded;                /* in this life: its server has begun */
    raft_index commit_index;    /* in this life */
    raft_index applied_index;   /* the same */
    raft_index matched[MEMBERS_MAX]; /* by machine: what it counts as durable there, as a leader */
    raft_term leader_looked_at; /* the term that it led at its last step; 0: it did not */
    raft_index leader_last_index;
    raft_term leader_last_term; /* of that entry ... */
    uint64_t leader_last_checksum; /* ... 0: unknown */
    raft_id *votes;             /* by term: whom it chose, synced; 0: nobody */
    size_t votes_room;          /* terms that votes has room for */
    bool stop_asked;            /* in this life: it may be handing over */
    bool leads;                 /* in this life */
    raft_term leads_term;
    int64_t leads_since_us;
    raft_term term;             /* told in this life */
    int64_t answered_us[MEMBERS_MAX]; /* by machine: when an answer to heartbeats last reached it */
};

struct count { /* what a counter shows */
    int64_t value;
    int64_t deadline_us;
};

/* A committed entry. */
struct chosen {
    const struct known *entry;
    raft_term committed_in;
    struct count count;  /* after it */
    uint64_t state_hash; /* of machines that have applied it; 0: none has */
    bool answered;       /* some proposal, as this entry */
};

struct proposal {
    raft_index index; /* of the committed entry that it is; 0: none */
    bool answered;
    enum outcome outcome; /* then */
};

struct machine {
    raft_id id;
    int position; /* in sim->machines */
    bool is_node;
    struct node_config config;
    struct disk disk;
    int64_t wall_lead_us; /* of its wall clock */
    struct life *life;    /* NULL: none */
    struct log *log;
    bool end_now; /* its life ends when the running thread yields */
    bool ended_well;
    bool refused; /* its last life would not go on with a decayed disk */
    struct mailraft_error ended_err;
    struct ghost ghost;

    /* Scripted, by the peer's place in the config. A link of incarnation 0 is closed, and was the last one. */
    struct parcels sent;                        /* waits for sim_sent */
    struct link links[MEMBERS_MAX][CHANNELS];   /* that the peer has opened */
    struct link reached[MEMBERS_MAX][CHANNELS]; /* that the node has opened to the peer */
    struct introduction introductions[MEMBERS_MAX];
    bool introduced[MEMBERS_MAX]; /* introductions has been filled in */

    char *text; /* of the state log */
    size_t text_size, text_room;
};

struct sim {
    uint64_t seed;
    uint64_t random;
    int64_t now_us;
    uint64_t sequence;
    struct event **heap; /* from 1 */
    size_t heap_count, heap_room;
    int events_now; /* fired at this instant */
    uint64_t lives;
    struct machine *machines[MEMBERS_MAX];
    int machine_count;
    struct coroutine_stable stable;

    /* Who runs: a thread, or the simulator on behalf of a life. */
    struct sim_thread *thread;
    struct life *life;

    size_t life_bytes_max;   /* of memory that a node may take; 0: as much as it likes */
    int64_t clock_drift_max; /* of the clock of any life, either way, in millionths; 0 */
    int64_t wake_max_us; /* how late a woken thread may run; 0: at once */
    bool scripted;
    struct sim_network network;
    struct network *paths; /* sim_network.c's */
    /* Asked of each message that is about to leave, unless they are scripted: false: it is lost. Borrows the parcel,
     * and calls nothing that lets time pass. NULL: nobody is asked. */
    bool (*lets_pass)(struct sim *sim, const struct machine *from, const struct parcel *parcel);

    raft_id *leaders;        /* the checker's: by term, over all time; 0: none */
    size_t leaders_room;     /* terms that leaders has room for */
    uint64_t elections;      /* leaders made */
    int64_t check_due_us;    /* when check_leaders is next */

    struct known **known;    /* by index, all that any disk has held */
    size_t known_room;
    struct chosen *chosen;   /* entry i at i - 1 */
    size_t chosen_count, chosen_room;
    struct proposal *proposals; /* number n at n - 1 */
    size_t proposal_count, proposal_room;
    uint64_t outcomes[OUTCOME_TOO_LARGE + 1];
    uint64_t commands;       /* committed */
    bool counting;           /* nodes that begin have a counter machine and a client */
    bool serving;            /* nodes that begin have the key-value service */
    int64_t client_timeout_us; /* of it */
    struct cable *cables;    /* between clients and nodes */
    bool telling;            /* proposal n is "add n", and nobody proposes anything else that adds */

    FILE *trace;
    bool keep_logs;
    enum log_level log_level;
};

extern struct sim *the_sim; /* NULL: none */

struct machine *sim_machine(const struct sim *sim, raft_id id); /* asserts that there is one */
struct machine *sim_find_machine(const struct sim *sim, raft_id id);
int64_t sim_draw(struct sim *sim, int64_t low, int64_t high); /* from [low, high); low where that is empty */
bool sim_chance(struct sim *sim, double share);
bool sim_flip_coin(void);

void event_schedule(struct sim *sim, struct event *event, int64_t due_us); /* again: at the new time */
void event_cancel(struct sim *sim, struct event *event);                   /* fine when it is not scheduled */
void events_postpone(struct events *events, struct event *event);
struct event *events_take(struct events *events); /* NULL: none */
bool sim_step(struct sim *sim); /* fires the earliest event; false: there is none */

/* A piece of the simulator's own work for a life: its clock and its memory are used between the two. */
void life_enter(struct sim *sim, struct life *life);
void life_leave(struct sim *sim);

struct sim_thread *thread_spawn(struct sim *sim, struct life *life, const char *name, void (*main)(void *context),
                                void *context);
void thread_reap(struct sim *sim, struct sim_thread *thread); /* of one that has ended */
void threads_forget(struct sim *sim, struct life *life);
void threads_wake_hung(struct sim *sim, struct life *life);
void thread_fire(struct event *event); /* its event */
void thread_yield(struct sim_thread *thread);

void memory_forget(struct life *life); /* frees all that it has allocated */
size_t memory_count(const struct life *life);

struct log *log_of_machine(struct machine *machine);

void network_init(struct sim *sim);
void network_fini(struct sim *sim);
void network_add_machine(struct sim *sim, struct machine *machine);
void network_life_ended(struct sim *sim, struct life *life, bool silently); /* silently: no FIN, the power went */
void network_resume(struct sim *sim, struct life *life); /* lets in what has gathered while it was paused */

/* Puts a letter on a life's pile; parcel and hello: where the kind has one. */
void mailbox_arrive(struct sim *sim, struct life *life, enum letter_kind kind, const struct link *link,
                    const struct parcel *parcel, const struct introduction *hello);

/* What disks hold of the log (durable.c). */
void durable_synced(struct machine *machine, const char *path); /* a file was */
void durable_read_again(struct machine *machine);               /* after the end of a life, or a change by the test */
void durable_survived(struct machine *machine); /* its disk has decayed, and yet a server has begun with it */
const struct known *durable_at(const struct machine *machine, raft_index index); /* NULL: its disk has no such entry */
bool durable_holds(const struct machine *machine, const struct known *known);
struct known *known_find(const struct sim *sim, raft_index index, raft_term term); /* NULL: no disk has held it */
void known_fini(struct sim *sim);

void check_log_step(struct machine *machine, const struct server *server); /* it waits */
void check_acknowledgement(const struct machine *machine, raft_id to, const struct message *message);
void check_vote_granted(const struct machine *machine, raft_id to, const struct message *message);
void check_log_life_began(struct machine *machine);
void check_log_fini(struct sim *sim);
const struct chosen *check_chosen(const struct sim *sim, raft_index index); /* NULL: none is committed there */
bool check_is_chosen(const struct sim *sim, const struct known *known);

uint64_t check_proposed(struct sim *sim); /* a proposal is made; returns its number, from 1 */
void check_answer(struct machine *machine, const struct letter *letter);
void check_command_chosen(struct sim *sim, struct chosen *chosen);
void check_applying(struct machine *machine, const struct mailraft_entry *entry);
void check_applied(struct machine *machine, const struct counter *counter);
void check_machine_fini(struct sim *sim);

void check_state(struct machine *machine, raft_index index, uint64_t hash); /* of its machine, after that entry */

void serving_begin(struct life *life); /* in its first thread: before its node is made, ... */
void serving_start(struct life *life); /* ... before it runs, ... */
void serving_stop(struct life *life);  /* ... once it has run, ... */
void serving_end(struct life *life);   /* ... and once it is gone */

void client_start(struct life *life); /* in its first thread, before its node runs: and the machine of that */
void client_stop(struct life *life);  /* in the same, once its node is gone */

void check_role(struct machine *machine, raft_term term, bool leads);
void check_sending(struct machine *machine, raft_id to, const struct message *message);
void check_ballot_synced(struct machine *machine);
void check_ballot_step(const struct machine *machine, const struct server *server); /* it waits */
void check_answer_arrived(struct machine *machine, raft_id from);
void check_leaders(struct sim *sim); /* every now and then */
void check_life_began(struct machine *machine);
void check_life_ended(struct machine *machine);
void check_disk_changed(struct machine *machine); /* by the test: what it promised may be gone */
void check_disk_emptied(struct machine *machine); /* by the test, all of it */
raft_term check_written_term(struct machine *machine); /* of its ballot, as reading shows it */
void check_fini(struct sim *sim);

void sim_trace(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A violated invariant, or misuse: tells it, and aborts. */
void sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
