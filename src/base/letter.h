/* letter.h - a letter: what one thread tells another. It carries values, never pointers into its sender. */
#ifndef BASE_LETTER_H
#define BASE_LETTER_H

#include "base/buffer.h"
#include "base/catalog.h"
#include "base/entry.h"
#include "base/member.h"
#include "base/terms.h"

struct credit;
struct pile;

/* Which connection something came over. Connections of one incarnation are numbered upwards by whoever opens them. */
enum channel { CHANNEL_URGENT = 0, CHANNEL_BULK = 1 };

struct link {
    raft_id peer;
    enum channel channel;
    uint64_t incarnation; /* random, of the peer's process */
    uint64_t connection;  /* the peer's number for it */
};

enum letter_kind {
    /* to the server, in the control lane */
    LETTER_STOP,           /* a signal asks the process to end; from: the signals' thread */
    LETTER_STORAGE_OPENED, /* opened: what the data folder holds; from: the scribe */
    LETTER_BALLOT_SAVED,   /* what LETTER_SAVE_BALLOT of this number asked for is durable; from: the scribe */
    LETTER_ENTRIES_SAVED,  /* the log is durable up to place.last, as LETTER_SAVE_ENTRIES of this number left it; place:
                            * the frame that was written last; from: the scribe */
    LETTER_UUID_SAVED,     /* cluster_uuid stands in the identity; from: the scribe */
    LETTER_STORAGE_WARNED, /* error: trouble that does no harm yet; from: the scribe */
    LETTER_STORAGE_FAILED, /* error: the node must stop; from: the scribe or the log reader, which does nothing more */
    LETTER_SCRIBE_ENDED,   /* its last letter: it can be joined without waiting */
    LETTER_LOG_READER_ENDED, /* the same of the log reader */
    LETTER_APPLIER_ENDED,    /* and of the applier */
    /* to the server, in the inner lane */
    LETTER_MESSAGE,      /* message, over link, with entries where it has any */
    LETTER_CONNECTED,    /* a peer opened link to us; hello: what it said of itself */
    LETTER_DISCONNECTED, /* link, which the peer had opened, has closed; everything that came over it came before */
    LETTER_REACHED,      /* we opened link to a peer (incarnation and connection are ours); hello: as above */
    LETTER_LOST,         /* link, which we had opened, has closed */
    LETTER_ENTRIES_READ, /* entries, for what asked with this number; from: the log reader */
    LETTER_APPLIED,      /* applied: how far the machine is; from: the applier */
    LETTER_READ_EARLY,   /* request, for proposer: at its time something is due that no entry has told of yet; from: the
                          * applier */
    /* to the server, in the clients' lane */
    LETTER_PROPOSE,       /* request: a command, for proposer, over the way that `view` numbers */
    LETTER_READ,          /* request: a query; the same */
    LETTER_COUNT,         /* number of an entry: on how many other members is it durable? the same */
    LETTER_STATUS_WANTED, /* how is the server? It answers the watcher with LETTER_STATUS */
    /* to the scribe, in the inner lane (the control lane is its helper's) */
    LETTER_SAVE_BALLOT,  /* ballot */
    LETTER_SAVE_ENTRIES, /* entries: where the first is not the next one, it replaces that one and all after it */
    LETTER_SAVE_UUID,    /* cluster_uuid */
    LETTER_NO_MORE,      /* the last letter: nothing more is asked for */
    /* between the scribe and its helper, in the control lane */
    LETTER_MAKE_FILE,        /* number, data_id: of the file; entry_bytes: it has room for such an entry */
    LETTER_FILE_MADE,        /* number; error where it could not be made, NULL otherwise */
    LETTER_FILE_MAKER_ENDED, /* the helper's last letter: it can be joined without waiting */
    /* to the log reader, in the control lane */
    LETTER_READ_ENTRIES, /* range: where they are; place.first and place.last are those that are wanted */
    /* to the applier, in the inner lane (in the control lane: NO_MORE) */
    LETTER_APPLY, /* entries, and for which of them somebody waits */
    LETTER_QUERY, /* request, for proposer; time_us: the cluster's time at which it is answered; number: how many
                     LETTER_READ_EARLY its sender had taken when it left */
    /* to whoever proposed, in the inner lane */
    LETTER_REPLY, /* reply, to what carried this number */
    /* to the watcher, in the inner lane */
    LETTER_STATUS, /* status: the way to the leader has changed, or it was asked for */
};

struct ballot {
    raft_term term;
    raft_id voted_for; /* NO_ONE: none yet in this term */
};

/* What the scribe found in, or made of, the data folder. */
struct storage_opened {
    struct ballot ballot;
    struct data_id data_id;
    struct cluster_uuid cluster_uuid; /* zeros: none yet */
    int64_t sync_us; /* the write and sync that made the ballot durable */
    bool made;       /* the folder is new: this node has no past */
    int damaged;     /* the ballot's slot that was torn or damaged, 0 or 1; -1: neither */

    /* The log. */
    struct terms terms;
    struct catalog catalog;
    struct batch *tail; /* the newest entries, as many as the cache may hold, the last one at least; NULL: none */
    size_t config_count;
    struct entry **configs; /* those of kind ENTRY_CONFIG, in order */
    uint64_t frames;        /* that were read */
    uint64_t files;
    uint64_t bytes_read;
    uint64_t bytes_cut; /* of a write that was in flight at the last end; 0: none */
    int64_t read_us;    /* how long reading the log took */
};

void storage_opened_free(struct storage_opened *opened); /* with all that is left in it; NULL is fine */

/* What a peer said of itself when a connection was opened. */
struct introduction {
    struct data_id data_id;
    struct cluster_uuid cluster_uuid; /* zeros: none yet */
    bool rejoin_empty; /* its operator lets it back though its folder is new */
};

/* Who waits for what becomes of a proposal or a query. Its pile outlives the node. */
struct proposer {
    struct pile *pile; /* NULL: nobody */
    uint64_t number;   /* the proposer's, repeated in the reply */
    struct link link;  /* over which a member forwarded it; peer 0: it came from this node */
};

/* Whoever asks with a view is answered only over the way to the leader that has this number (struct status), so that
 * what it asks for stays in order whatever happens to leaders; with VIEW_HERE only where this node leads. */
#define VIEW_HERE 0

struct wait { /* an entry that somebody on this node waits for */
    raft_index index;
    struct proposer proposer;
};

enum outcome {
    OUTCOME_APPLIED,      /* durable on a majority and applied; bytes: the machine's answer */
    OUTCOME_REFUSED,      /* the machine's `prepare` refused it; bytes: its answer */
    OUTCOME_NOT_EXECUTED, /* certainly never executed: no leader took it, or another entry stands in its place */
    OUTCOME_UNCERTAIN,    /* it may have been logged, and what becomes of it is not known here */
    OUTCOME_TOO_LARGE,    /* more than an entry may have; never executed */
    OUTCOME_READ,         /* a query; bytes: the machine's answer */
    OUTCOME_COUNTED,      /* index: on how many other members the entry is durable */
    OUTCOME_LAST = OUTCOME_COUNTED
};

/* How a server is, and over which way its node reaches the leader. */
struct status {
    uint64_t view; /* numbers the way, from 1; another number: another leader, term or connection */
    bool open;     /* there is a way: this node leads, or is connected to who does, and commands may come */
    const char *role; /* FOLLOWER, CANDIDATE or LEADER; a string that lasts */
    raft_term term;
    raft_id leader_id; /* NO_ONE */
    raft_index commit_index, applied_index, last_index;
    size_t memory_bytes; /* what the machine's state takes */
    int member_count;
    struct {
        raft_id id;
        bool connected;         /* as far as this node knows */
        raft_index match_index; /* the leader knows it; 0 otherwise */
    } members[MEMBERS_MAX];
};

struct letter {
    struct letter *next; /* the pile's */
    int64_t put_us;      /* when it was put, by the pile */
    struct credit *credit;
    size_t credit_bytes; /* given back to credit when the letter is freed */

    bool kept; /* the owner's: it has been read once and laid back */
    enum letter_kind kind;
    uint64_t number; /* SAVE_BALLOT counts up from 1, so does SAVE_ENTRIES; what answers it repeats it */
    struct batch *entries; /* owned; NULL: none */
    union {
        struct {
            struct link link;
            union {
                struct message message;
                struct introduction hello;
            };
            struct mailraft_buffer body; /* owned: the requests or replies that the message carries (requests.h) */
        };
        struct {
            struct ballot ballot;
            struct run place;
            int64_t took_us; /* BALLOT_SAVED, ENTRIES_SAVED: the write and sync that made it durable */
        };
        struct {
            struct run place;
            size_t bytes_max; /* of entries in the answer; the first always comes */
        } range;
        struct cluster_uuid cluster_uuid;
        struct {
            struct data_id data_id;
            size_t entry_bytes;
        };
        struct storage_opened *opened; /* owned */
        struct mailraft_error *error;  /* owned; NULL: none */
        struct {
            raft_index index;   /* up to which entries are applied */
            size_t entry_bytes; /* of those that were applied since the last such letter */
            int64_t deadline_us;
            size_t memory_bytes;
        } applied;
        struct {
            struct mailraft_buffer request; /* owned */
            struct proposer proposer;
            uint64_t view;
            bool behind; /* READ: it sees every command that the same proposer has asked for before */
            raft_index index; /* COUNT: of the entry */
            int64_t time_us;  /* QUERY, READ_EARLY */
        };
        struct status *status; /* owned */
        struct {
            size_t wait_count;
            struct wait *waits; /* owned; by index */
        };
        struct {
            enum outcome outcome;
            raft_index index;             /* of the entry; 0: none was logged. COUNTED: the number of members */
            raft_id leader_id;            /* NOT_EXECUTED: who may lead; NO_ONE */
            struct link link;             /* the proposer's */
            struct mailraft_buffer bytes; /* owned */
        } reply;
    };
};

/* Letters on their way to one pile, oldest first. Zeros: none. */
struct letter_list {
    struct letter *first, *last; /* last: to be trusted only while first is not NULL */
};

void letter_list_add(struct letter_list *list, struct letter *letter);
struct letter *letter_list_take(struct letter_list *list); /* the oldest; NULL: none */

struct letter *letter_new(enum letter_kind kind); /* zeroed but for its kind */
void letter_free(struct letter *letter);          /* with what it owns; gives its credit back; NULL is fine */

#endif
