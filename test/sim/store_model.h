/* store_model.h - what a few keys of the service do, told once more and as simply as possible: what the histories of
 * clients are held against (linearizable.h).
 *
 * Expiry:   nobody outside knows when the cluster's time has come: a key may be gone from the first moment on that any
 *           clock could have brought about, and must be from the last one on.
 * WATCH:    each has a slot of its own, with the transaction that it is for: of one that nobody knows the end of, that
 *           may come after the next WATCH of the same client. A key that is absent may seem changed when it is not
 *           (keyspace.h). */
#ifndef SIM_STORE_MODEL_H
#define SIM_STORE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/linearizable.h"

#define STORE_KEYS      2   /* that are told together: transactions are about them */
#define STORE_TEXT_MAX  200 /* bytes of a value; whoever appends sees to it */
#define STORE_WORD_MAX  24  /* of what is written at once */
#define STORE_DEEDS_MAX 4   /* of a transaction */
#define STORE_SLOTS     64
#define STORE_NEVER     INT64_MAX

enum store_verb { STORE_GET, STORE_SET, STORE_SETNX, STORE_INCR, STORE_APPEND, STORE_DEL, STORE_GETDEL, STORE_VERBS };

struct store_text {
    size_t size;
    char bytes[STORE_TEXT_MAX];
};

struct store_deed {
    enum store_verb verb;
    int key;
    char word[STORE_WORD_MAX]; /* SET, SETNX, APPEND; ended by a zero */
    int64_t span_us;           /* SET: how long it stays; 0: for ever */
};

enum store_answer_kind { STORE_NIL, STORE_FINE, STORE_NUMBER, STORE_TEXT, STORE_WRONG };

struct store_answer {
    enum store_answer_kind kind;
    int64_t number;
    struct store_text text;
};

enum store_call_kind {
    STORE_PLAIN,       /* one deed */
    STORE_TRANSACTION, /* MULTI, deeds, EXEC */
    STORE_WATCH        /* of the keys whose bits are set in `watched` */
};

/* What a client asked for, and what it was told. */
struct store_call {
    int64_t called_us, returned_us; /* LINEARIZABLE_UNKNOWN: it was not told */
    unsigned client; /* who called; to be told */
    enum store_call_kind kind;
    size_t deed_count;
    struct store_deed deeds[STORE_DEEDS_MAX];
    unsigned watched;  /* TRANSACTION: keys that must not have changed since they were watched */
    unsigned slot;     /* in which those are; below STORE_SLOTS */
    bool watch_failed; /* the WATCH was not carried out: then nothing needs to be */
    bool aborted;      /* TRANSACTION: it answered that they had changed */
    struct store_answer answers[STORE_DEEDS_MAX];
    int64_t gone_by_us; /* what is set to expire here is gone by then for whoever calls later; STORE_NEVER: who knows */
};

struct store_history {
    const struct store_call *const *calls;
    size_t count;
};

/* The model; context is the history, whose calls its operations are. */
struct linearizable_model store_model(struct store_history *history);

/* "SET 1 <7>, GET 0 -> ...". Returns text. */
#define STORE_CALL_TEXT_MAX 1200
const char *store_call_describe(const struct store_call *call, char *text, size_t size);

#endif
