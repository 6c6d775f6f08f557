/* server.h - the heart: one member's part in Raft. The paper is Ongaro and Ousterhout, "In Search of an Understandable
 * Consensus Algorithm (Extended Version)"; "dissertation" is Ongaro's "Consensus: Bridging Theory and Practice".
 *
 *                      server_run(): switch (role)
 *
 *      deadline passed, leader's connection closed,            a majority granted the vote
 *      or told to take over                                    (campaign, candidate.c)
 *      (follow, follower.c)        +-------------+             +--------+
 *   FOLLOWER --------------------> | CANDIDATE   | ----------> | LEADER |
 *      ^                           | pre-vote,   |             +--------+
 *      |                           | then vote   |                 |
 *      |                           +-------------+                 |
 *      +-- a leader of its term, --------+                         |
 *      |   or a higher term (campaign, server_take_mail)           |
 *      +-- a higher term (server_take_mail), or no majority -------+
 *          answered (lead, leader.c)
 *
 * Every arrow is server_transition(), with its cause. Each role's file is a loop around server_take_mail(), where all
 * that does not depend on the role is handled once.
 *
 * Threads:   everything here belongs to the server's thread. Others write to it by letters on its pile.
 * Waiting:   a new term or vote counts when it is on the disk (Figure 2: "updated on stable storage before responding
 *            to RPCs"). From server_save_ballot() until its letter comes back, server_take_mail() takes nothing but
 *            the scribe's letters and stops, so nothing is answered, said or printed about the new term. A message
 *            that made the change is kept on the pile, and read again after it: by then it finds the change made.
 * State:     all of it is in struct server, none in locals across a server_take_mail(). */
#ifndef RAFT_SERVER_H
#define RAFT_SERVER_H

#include "base/requests.h"
#include "raft/applier.h"
#include "raft/cluster_time.h"
#include "raft/configuration.h"
#include "raft/node.h"
#include "raft/progress.h"
#include "raft/raft_log.h"
#include "storage/log_reader.h"
#include "storage/scribe.h"

enum role { FOLLOWER, CANDIDATE, LEADER };
extern const char *const ROLE_NAMES[3];

enum campaign_phase {
    ENTERING,   /* nothing has been asked yet in this round */
    PRE_VOTING, /* asking whether we could win, in the old term (dissertation, section 9.6) */
    STANDING,   /* the raised term and our own vote are on their way to the disk */
    VOTING      /* asking for votes */
};

/* What server_take_mail has found. */
enum mail {
    MAIL_MESSAGE,  /* server->message is for the role to handle */
    MAIL_DEADLINE, /* the deadline passed */
    MAIL_CHANGED   /* the role, the term or something else that the role's loop looks at has changed: look again */
};

#define CHANNELS 2 /* values of enum channel */

/* What we know of another member. */
struct peer {
    raft_id id;
    /* Its process, and the newest connections that it opened to us, by channel. incarnation 0: none yet. */
    uint64_t incarnation;
    uint64_t connection[CHANNELS];
    bool connected[CHANNELS];
    uint64_t reached[CHANNELS]; /* the number of our own connection to it; 0: it has none now */
    struct introduction hello;  /* what it said of itself when it connected last; data_id zeros: not met yet */
    bool reached_born;          /* it showed the cluster's uuid when we reached it last */
    uint64_t told_incarnation;  /* of which we told that its folder is new to the cluster */

    uint64_t answered_round;   /* leader: the newest round of heartbeats that it has answered in our term, or the last
                                * one before where it has answered none */
    int64_t answered_sent_us;  /* leader: when that round left us; the leader's start where it has answered none */
    int64_t round_trip_us;     /* leader: of that answer; 0: none yet */
    struct progress progress;  /* leader: how far its log is */
    struct mailraft_buffer answers; /* to what it forwarded, which leave with the next flush ... */
    struct link answers_link;       /* ... and over which connection it did */
};

/* A client's proposal that was logged, and whose outcome it waits for. */
struct pending {
    raft_index index;
    raft_term term; /* of the entry: where another stands in its place, it was never executed */
    size_t bytes;   /* what it takes of memory and log */
    struct proposer proposer;
};

/* The way from this node's clients to the leader (route.h). */
struct way {
    bool open; /* they may ask over it */
    raft_term term;
    raft_id leader_id; /* ours where we lead; NO_ONE */
    /* Where another leads: its process, and the bulk connections, ours to it and its own to us; 0: there is none. */
    uint64_t incarnation;
    uint64_t reached;
    uint64_t connection;
};

/* What a client here has asked of the leader, and no answer has come to (forward.h). */
struct forwarded {
    enum request_kind kind; /* 0: none; the place is free */
    uint32_t generation;    /* with the place, its number on the wire */
    size_t next_free;
    struct proposer proposer;
    size_t bytes;
    struct way way;                /* over which it left */
    struct mailraft_buffer answer; /* what has come of it */
};

enum outsider_told { OUTSIDER_NOT, OUTSIDER_NEW, OUTSIDER_LOST };

/* A term so far above ours comes from no election: adopting it would leave none to stand in. */
#define TERM_LEAP_MAX (1ULL << 32)

#define SERVER_STOP_WAIT_US 500000 /* how long one that stops waits to hear its successor, and for answers */

#define ROUNDS_KEPT 1024 /* how many rounds back an answer tells its round trip exactly */
#define ROUND_MARKS 64   /* for older ones: together they reach back two election timeouts */

struct round_mark {
    uint64_t round;
    int64_t sent_us;
};

struct server {
    /* Fixed while it runs. */
    struct node_config config;
    int self; /* our position in config.members */
    struct pile *pile;
    struct log *log;
    struct scribe *scribe;
    struct log_reader *log_reader;
    struct applier *applier;
    struct mailbox *mailbox;
    struct data_id data_id; /* our folder's */

    /* Persistent state (Figure 2). Always what the disk holds: set when the scribe says so. */
    raft_term current_term; /* latest term this server has seen; only grows */
    raft_id voted_for;      /* our choice in current_term; NO_ONE: none yet */
    struct raft_log raft_log; /* log[]; what of it is durable, it says itself */
    struct cluster_uuid cluster_uuid; /* as the identity has it; zeros: we do not know of a birth */
    bool uuid_asked;        /* it is on its way there */

    /* Who belongs to the cluster, as the newest CONFIG of the log says; membership.h. */
    struct configuration configuration;

    /* A ballot on its way to the disk. */
    bool waiting;
    struct ballot wanted;   /* what it will be */
    char wanted_cause[200]; /* why, for the line that tells it */
    uint64_t ballot_number; /* of the last LETTER_SAVE_BALLOT */
    int64_t ballot_sync_us; /* how long the last one took to become durable */

    /* Volatile state. */
    enum role role;
    raft_id leader_id;          /* who leads current_term, as far as we know; NO_ONE */
    raft_index commit_index;    /* highest entry known to be on a majority; only grows; lost at restart */
    raft_index handed_index;    /* the last that was given to the applier */
    raft_index applied_index;   /* the last that it has applied */
    raft_index awaited_index;   /* the last that was given to it and that somebody waits for */
    size_t applying_bytes;      /* of the entries between the two */
    uint64_t apply_read_number; /* what the log reader was asked for, to be applied; 0: nothing */
    uint64_t read_number;       /* of the last letter to the log reader */
    struct cluster_time time;
    int64_t wall_offset_us;     /* the wall clock's lead over it, as the newest no-op or time entry of the log says */
    int64_t machine_deadline_us; /* of the cluster's time: when the state machine wants an entry */
    size_t machine_bytes;       /* what its state takes */
    struct pending *pending;    /* a ring, by index */
    size_t pending_first, pending_count, pending_room;
    size_t pending_bytes;       /* what they take of memory and log */
    uint8_t random[4096];       /* drawn ahead, for commands; random_left of its first bytes are unused */
    size_t random_left;
    int64_t unsaved_since_us;   /* since when the scribe owes us an answer about entries; CLOCK_NEVER: it does not */
    int64_t now_us;             /* the time of the last take */
    int64_t heard_us;           /* when leader_id last spoke to us */
    int64_t election_deadline_us; /* follower, candidate: when to stand (again) */
    struct peer peers[MEMBERS_MAX]; /* by position in config.members; our own is unused */

    /* Follower. */
    raft_index proven_index;    /* the last entry that leader_id has proven to match its log; 0 with each term */
    bool answer_owed;           /* it sent entries that it has had no answer about yet */
    struct link append_link;    /* over which they came */
    enum outsider_told outsider_told; /* what the operator has been told of our data folder */

    /* The message that the role is to handle. */
    struct letter *letter;  /* kept: goes back on the pile; otherwise freed at the next take */
    const struct message *message;
    int64_t stranger_due_us; /* when the next line about mail of no member may come */
    int64_t leap_due_us;     /* about a term that is out of reach */
    int64_t nonsense_due_us; /* and about what its sender should not have said */

    /* The closed-connection hint (timer.c). */
    bool leader_silent;         /* the leader's connection closed and it has not spoken since: it counts as not heard */
    int64_t hint_span_us;       /* the span that standing early is drawn from; 0: no hint */
    int64_t leader_round_trip_us; /* the largest round trip to a follower, as the last heartbeat told it */

    /* Candidate. */
    enum campaign_phase phase;
    bool transfer;              /* told to take over: no pre-vote in this round, and its vote requests say so */
    uint64_t campaign_round;    /* numbers each round of pre-votes or votes; answers echo it. Begins at random, so that
                                 * an answer that was meant for an earlier life is not taken for one to this */
    uint32_t granted;           /* members that granted in this round, one bit a position, our own included */
    uint32_t refused;           /* members that refused in this round */
    int64_t campaign_began_us;  /* when we stopped being a follower */
    bool round_lost;            /* this round cannot be won any more */
    int rounds_failed;          /* in a row, in this candidacy */
    int64_t summary_due_us;     /* when the next line that sums up failed rounds may come */

    /* Leader. */
    int64_t heartbeat_due_us;
    uint64_t heartbeat_round;   /* numbers the rounds of heartbeats, over all terms that we lead: whoever reads an old
                                 * one late, when it knows our new term, echoes its round in a refusal of this term */
    uint64_t earlier_rounds;    /* the last one before this term */
    raft_index term_begin_index; /* of the first entry of our term */
    int64_t round_sent_us[ROUNDS_KEPT]; /* when each of the last rounds left, by number modulo ROUNDS_KEPT ... */
    struct round_mark round_marks[ROUND_MARKS]; /* ... and some before, from time to time; a ring */
    size_t round_mark_count;    /* of those that there have been in this term */

    struct letter_list reads_gathered;   /* queries that came since the last round for queries began ... */
    struct letter_list reads_confirming; /* ... that wait for the answers to it (number: the round) ... */
    struct letter_list reads_confirmed;  /* ... and for their entry to be handed to the applier */
    uint64_t reads_early_count;   /* that the applier has given back, in whatever role we were ... */
    raft_index reads_early_index; /* ... and the entry that they wait for, and all others with them */

    /* The way of clients here to the leader. */
    struct way way;
    uint64_t view;            /* its number; 0: none has been looked at yet */
    raft_term refused_term;   /* in which the leader refused what came over it */
    struct forwarded *forwarded;
    size_t forwarded_room, forwarded_free; /* places; the first free one */
    size_t forwarded_bytes;   /* of all that is on its way */
    int64_t forwarded_due_us; /* when what went over an earlier way is not waited for any longer; CLOCK_NEVER */
    struct mailraft_buffer forwarding; /* requests that leave with the next flush ... */
    struct way forwarding_way;         /* ... over this way */

    /* Stopping. */
    bool stop_asked;            /* a leader that hands over goes on until stop_deadline_us or until it hears the next */
    int successor;              /* to whom leadership goes, as soon as it has our whole log; -1: nobody */
    bool handing_over;          /* TIMEOUT_NOW has left: no heartbeats any more */
    int64_t stop_deadline_us;
    bool finishing;             /* nothing is left to do but to answer what clients have asked for */
    int64_t finish_us;          /* the earliest end then: others may ask until they, too, have heard our successor */
    bool stopping;              /* server_run() returns */
    struct mailraft_error failure; /* why, where it was not a stop; class NULL otherwise */
};

/* The threads that a server tells what to do, and what it tells them over. Borrowed. */
struct server_tools {
    struct pile *pile;
    struct log *log;
    struct scribe *scribe;
    struct log_reader *log_reader;
    struct applier *applier;
    struct mailbox *mailbox;
};

/* Readies a server whose storage has been opened; takes opened's log out of it. False where the log contradicts the
 * config (CONFIG_ERROR) or itself (DAMAGED_ERROR): it must not run then. */
bool server_init(struct server *server, const struct node_config *config, const struct server_tools *tools,
                 struct storage_opened *opened, struct mailraft_error *err);
void server_fini(struct server *server); /* whoever still waits for a proposal learns that its outcome is uncertain */

/* Runs the member until it stops. server->failure tells why, if it was not asked to. */
void server_run(struct server *server);

/* The roles. Each returns when the role has changed or the server stops. */
void follow(struct server *server);
void campaign(struct server *server);
void lead(struct server *server);

/* Takes the next thing to handle, waiting at most until the deadline. Handled here, for every role alike: letters of
 * the scribe, stops, connections that opened and closed, messages of strangers, higher terms, stale terms. */
enum mail server_take_mail(struct server *server, int64_t deadline_us);

/* The message just taken stays first on the pile; whoever takes mail next finds it again. */
void server_keep_mail(struct server *server);

/* Changes the role; the only place that does. One line: "Follower! STATE: LEADER -> FOLLOWER cause=\"...\"". */
void server_transition(struct server *server, enum role role, const char *cause, ...)
    __attribute__((format(printf, 3, 4)));

/* Sends a new term or vote to the disk, and waits (see above) until it is there. Terms never go back, and a vote in a
 * term never changes. */
void server_save_ballot(struct server *server, raft_term term, raft_id voted_for, const char *cause, ...)
    __attribute__((format(printf, 4, 5)));

void server_send(struct server *server, raft_id to, struct message *message); /* fills in server_id */
/* To the sender of server->message; echoes its round. */
void server_answer(struct server *server, struct message *answer);

/* The same over the bulk channel, with entries, which are borrowed. */
void server_send_entries(struct server *server, raft_id to, struct message *message, const struct batch *entries);

/* FORWARD or FORWARDED, with its body, which is borrowed. */
void server_forward(struct server *server, raft_id to, struct message *message, const struct mailraft_buffer *body);

/* What has gathered leaves: entries to the scribe and to the followers that we lead, a round of heartbeats for queries,
 * and what goes to other members for clients. */
void server_flush(struct server *server);

/* From here on the node only answers what clients have asked for, and what others ask meanwhile, for so long at
 * least. */
void server_finish(struct server *server, int64_t least_us);

/* Ends the node's work: it must not go on. The first reason counts. */
void server_fail(struct server *server, const struct mailraft_error *err);

/* Whether a warning about what others send may be told now. Its next one is a second away: nobody fills our log from
 * outside. due_us: the server's, for warnings of one kind. */
bool server_may_warn(const struct server *server, int64_t *due_us);

/* Whether a message came from the process that we know under its sender's id, and not from an earlier one. */
bool server_is_present(const struct server *server);

/* Asserts what must hold whenever the server's thread waits. */
void server_check(const struct server *server);

#endif
