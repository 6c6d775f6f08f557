/* progress.h - how far a leader is with one follower (Figure 2: nextIndex[] and matchIndex[]), and what is on its way.
 *
 * Probing:    after an election, a lost connection or a rejection it is not known where the two logs part: one message
 *             at a time, from match_index or a guess on.
 * Pipelining: once an answer has proven a match, messages leave without waiting for answers, up to
 *             PROGRESS_WINDOW_BYTES and PROGRESS_MESSAGES_MAX that the follower has not acknowledged. It acknowledges
 *             what is durable there. */
#ifndef RAFT_PROGRESS_H
#define RAFT_PROGRESS_H

#include "base/message.h"

#define PROGRESS_WINDOW_BYTES (1024 * 1024)
#define PROGRESS_MESSAGES_MAX 64

struct progress {
    raft_index match_index; /* highest entry known to be durable there, and like ours */
    raft_index next_index;  /* the next entry to send */
    bool probing;
    unsigned resent;        /* how often in a row what was on its way was taken for lost, without news since */
    int64_t moved_us;       /* when something last left for it while nothing was on its way, or was acknowledged */
    struct { /* a ring */
        raft_index last;
        size_t bytes;
    } in_flight[PROGRESS_MESSAGES_MAX];
    unsigned first, count; /* of in_flight */
    size_t in_flight_bytes;
    uint64_t read_number; /* what the log reader was asked for, for this follower; 0: nothing */
};

/* Nothing is known but that entries may match up to last_index. */
void progress_begin(struct progress *progress, raft_index last_index, int64_t now_us);

/* Whether one more message may leave. */
bool progress_has_room(const struct progress *progress);

/* Entries up to `last` have left. */
void progress_sent(struct progress *progress, raft_index last, size_t bytes, int64_t now_us);

/* Everything up to match_index is durable there. True when that is news. */
bool progress_acknowledged(struct progress *progress, raft_index match_index, int64_t now_us);

/* What is on its way counts as lost: the next message begins at next_index (match_index + 1 at least), and is a probe.
 * */
void progress_probe(struct progress *progress, raft_index next_index, int64_t now_us);

/* Asserts what must hold, of a log that ends with last_index. */
void progress_check(const struct progress *progress, raft_index last_index);

#endif
