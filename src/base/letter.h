/* letter.h - a letter: what one thread tells another. It carries values, never pointers into its sender. */
#ifndef BASE_LETTER_H
#define BASE_LETTER_H

#include "base/error.h"
#include "base/message.h"

struct credit;

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
    LETTER_STORAGE_OPENED, /* ballot and data_id as they were found or made; from: the scribe */
    LETTER_BALLOT_SAVED,   /* what LETTER_SAVE_BALLOT of this number asked for is durable; from: the scribe */
    LETTER_STORAGE_FAILED, /* error: the node must stop; from: the scribe, which does nothing more */
    LETTER_SCRIBE_ENDED,   /* its last letter: it can be joined without waiting */
    /* to the server, in the inner lane */
    LETTER_MESSAGE,      /* message, over link */
    LETTER_CONNECTED,    /* a peer opened link to us; data_id is the peer's */
    LETTER_DISCONNECTED, /* link, which the peer had opened, has closed; everything that came over it came before */
    /* to the scribe, in the control lane */
    LETTER_SAVE_BALLOT, /* ballot */
};

struct ballot {
    raft_term term;
    raft_id voted_for; /* NO_ONE: none yet in this term */
};

struct letter {
    struct letter *next; /* the pile's */
    int64_t put_us;      /* when it was put, by the pile */
    struct credit *credit;
    size_t credit_bytes; /* given back to credit when the letter is freed */

    bool kept; /* the owner's: it has been read once and laid back */
    enum letter_kind kind;
    uint64_t number; /* SAVE_BALLOT counts up from 1; BALLOT_SAVED repeats it */
    union {
        struct {
            struct link link;
            union {
                struct message message;
                struct data_id peer_data_id;
            };
        };
        struct {
            struct ballot ballot;
            struct data_id data_id;
            int64_t took_us; /* BALLOT_SAVED, STORAGE_OPENED: the write and sync that made the ballot durable */
            bool made;       /* STORAGE_OPENED: the data folder is new, so this node has no past */
            int damaged;     /* STORAGE_OPENED: the ballot's slot that was torn or damaged, 0 or 1; -1: neither */
        };
        struct mailraft_error *error; /* owned: freed with the letter */
    };
};

struct letter *letter_new(enum letter_kind kind); /* zeroed but for its kind */
void letter_free(struct letter *letter);          /* gives its credit back; NULL is fine */

#endif
