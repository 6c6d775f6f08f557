/* machine.h - the state machine that a replicated log drives: what whoever has one writes, and what Raft asks of it.
 *
 * A machine is deterministic: the same entries in the same order bring every copy into the same state. What is random,
 * or relative to the present, is settled by `prepare`, once, on the leader, before it is logged.
 *
 * Threads:   prepare is called by the server's thread; apply, read, write_snapshot and read_snapshot by the machine's
 *            thread, one at a time. prepare runs while the others do, so it sees nothing of the state.
 * Ownership: everything that a call is given is borrowed until it returns. Buffers are the caller's; a machine only
 *            puts bytes into them.
 * Errors:    apply cannot fail: a command that is wrong (INCR of a text) is answered so, on every node alike, and
 *            counts as applied.
 * Source:    Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm (Extended Version)", section 2;
 *            snapshots: section 7. */
#ifndef MAILRAFT_MACHINE_H
#define MAILRAFT_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mailraft/error.h"

#define MAILRAFT_RANDOM_BYTES 32
#define MAILRAFT_NO_DEADLINE  INT64_MAX

/* Bytes that grow as they are put. */
struct mailraft_buffer {
    uint8_t *bytes; /* NULL while there are none */
    size_t size;
    size_t room;
};

void mailraft_buffer_put(struct mailraft_buffer *buffer, const void *bytes, size_t size);

/* A command that a client wants executed, before it is logged. */
struct mailraft_proposal {
    const void *request;
    size_t size;
    int64_t time_us;        /* the cluster's time that the entry will carry, microseconds since 1970 */
    int64_t wall_offset_us; /* the wall clock's lead over it, as entries told it last */
    size_t memory_bytes;    /* what the state takes, as the machine told it last, and what is logged but not applied */
    uint8_t random[MAILRAFT_RANDOM_BYTES];
};

/* An entry that is committed. */
struct mailraft_entry {
    uint64_t index;         /* each is larger than that before it */
    int64_t time_us;        /* the cluster's time; never goes back */
    int64_t wall_offset_us; /* as above */
    const void *command;    /* what prepare made; NULL: there is none, only time passes */
    size_t size;
    struct mailraft_buffer *reply; /* for the answer; NULL: nobody waits for it on this node */
};

/* What a machine tells after each batch. */
struct mailraft_standing {
    int64_t deadline_us; /* the next time at which its state changes by itself: an entry of that time or later is wanted
                          * then, and the leader sees to it. MAILRAFT_NO_DEADLINE: none */
    size_t memory_bytes; /* what the state takes */
};

struct mailraft_machine {
    void *context; /* the first argument of every call */

    /* Puts the command to be logged for a request into `command`. False: the request is refused, nothing is logged,
     * and what was put is the answer. */
    bool (*prepare)(void *context, const struct mailraft_proposal *proposal, struct mailraft_buffer *command);

    /* Applies entries in order. */
    void (*apply)(void *context, const struct mailraft_entry *entries, size_t count,
                  struct mailraft_standing *standing);

    /* Answers a query from the state, which it leaves as it is. time_us: the cluster's time of the read, earlier than
     * the deadline that the machine told last: what is due has been applied before. */
    void (*read)(void *context, const void *query, size_t size, int64_t time_us, struct mailraft_buffer *reply);

    /* Puts the next portion of a snapshot (some 64 KiB). portion 0 begins one of the state as it is then, and abandons
     * one that was not finished; what is applied between portions does not show in it. False: this was the last. */
    bool (*write_snapshot)(void *context, uint64_t portion, struct mailraft_buffer *bytes);

    /* Takes the next portion of a snapshot; portion 0 throws the present state away. last: the state is whole after it.
     * False and DAMAGED_ERROR where the bytes are not what write_snapshot made: the machine is of no use then. */
    bool (*read_snapshot)(void *context, uint64_t portion, const void *bytes, size_t size, bool last,
                          struct mailraft_error *err);
};

#endif
