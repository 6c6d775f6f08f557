/* counter.h - a state machine for tests: one number. It implements all of include/mailraft/machine.h, so that the
 * interface is seen to be enough.
 *
 * Requests are lines of text without their end. Each is answered with the counter's value as text, or with a text that
 * begins with "ERR":
 *
 *     add N       adds N (any int64)
 *     roll        adds 1 to 6, drawn once, when it is prepared
 *     get         adds nothing; also a query for `read`
 *     expire MS   so many milliseconds from now, by the cluster's time, the counter returns to 0
 *     until US    when the wall clock shows so many microseconds since 1970, the counter returns to 0
 *
 * A later expire or until takes the place of the one before. An addition that does not fit is answered with ERR and
 * changes nothing.
 *
 * Snapshot:  numbers are little-endian, in portions of COUNTER_PORTION_BYTES.
 *
 *                 0  u32  magic, the bytes "CNTR"
 *                 4  u32  version, 1
 *                 8  i64  value
 *                16  i64  deadline by the cluster's time, or MAILRAFT_NO_DEADLINE
 *                24  i64  deadline by the wall clock, or MAILRAFT_NO_DEADLINE
 *                32  i64  the wall clock's lead over the cluster's time
 *                40  u64  index of the last entry that it shows
 *                48  u64  hash of all that has been applied
 *                56  u64  XXH3-64 of the 56 bytes before it
 *
 * Threads:   as machine.h has it: counter_prepare touches no state. */
#ifndef TEST_COUNTER_H
#define TEST_COUNTER_H

#include "mailraft/machine.h"

#define COUNTER_SNAPSHOT_BYTES 64
#define COUNTER_PORTION_BYTES  20 /* the last one is short */

struct counter {
    int64_t value;
    int64_t deadline_us; /* by the cluster's time; MAILRAFT_NO_DEADLINE: none */
    int64_t until_us;    /* by the wall clock; MAILRAFT_NO_DEADLINE: none */
    int64_t wall_offset_us;
    uint64_t index; /* of the last entry that was applied */
    uint64_t hash;  /* of all that was applied, in its order: equal where the same has been */

    uint8_t written[COUNTER_SNAPSHOT_BYTES]; /* the snapshot that is being written */
    uint8_t read[COUNTER_SNAPSHOT_BYTES];    /* what has come of the one that is being read */
    size_t read_size;
};

/* A counter at 0, and the machine that it is. Neither owns anything. */
void counter_init(struct counter *counter);
struct mailraft_machine counter_machine(struct counter *counter);

#endif
