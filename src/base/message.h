/* message.h - what members of a cluster tell each other, as a plain struct. mail/wire turns it into bytes.
 *
 * Fields are called as in RaftMessage (mail/raft_message.proto): type_of_message, curr_term, server_id, vote_granted,
 * entries_appended; the others as in the paper's Figure 2. */
#ifndef BASE_MESSAGE_H
#define BASE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/id.h"

typedef uint64_t raft_term;
typedef uint64_t raft_index;
typedef int32_t raft_id; /* 1 to 2^31-1 */

#define NO_ONE ((raft_id)-1)
#define MEMBERS_MAX 31

enum message_type {
    HELLO = 1, /* the first message of a connection in each direction; never reaches the server */
    REQUEST_PRE_VOTE = 2,
    RESPONSE_PRE_VOTE = 3,
    REQUEST_VOTE = 4,
    RESPONSE_VOTE = 5,
    REQUEST_APPEND_ENTRIES = 6,
    RESPONSE_APPEND_ENTRIES = 7,
    TIMEOUT_NOW = 8,
    FORWARD = 9,    /* what clients of the sender want of the leader; requests travel beside the message (requests.h) */
    FORWARDED = 10, /* what became of that; so do replies */
    MESSAGE_TYPE_LAST = FORWARDED
};

/* Why a vote or a pre-vote was refused. */
enum refusal {
    REFUSAL_NONE = 0,
    REFUSAL_STALE_TERM = 1,   /* the voter is in a higher term, or already in the one that a pre-vote asks about */
    REFUSAL_LOG_BEHIND = 2,   /* the candidate's log is less up to date than the voter's (section 5.4.1) */
    REFUSAL_VOTED = 3,        /* the voter chose another in this term; refusal_detail: whom */
    REFUSAL_LEADER_LIVES = 4, /* the voter heard a leader lately; refusal_detail: milliseconds ago */
    REFUSAL_LEADING = 5,      /* the voter leads */
    REFUSAL_NEW_FOLDER = 6,   /* the voter's folder is not the one that the cluster knows: it forgot what it promised */
    REFUSAL_LAST = REFUSAL_NEW_FOLDER
};

struct message {
    enum message_type type_of_message;
    raft_term curr_term; /* the sender's term; the term it wants to stand in for REQUEST_PRE_VOTE and a granted answer */
    raft_id server_id;   /* the sender */

    /* REQUEST_PRE_VOTE, REQUEST_VOTE */
    raft_index last_log_index;
    raft_term last_log_term;
    bool transfer; /* REQUEST_VOTE of a planned hand-over: a living leader is no reason to refuse */
    struct data_id data_id; /* the receiver's, as the sender's newest CONFIG lists it; zeros: it lists none */

    /* RESPONSE_PRE_VOTE, RESPONSE_VOTE */
    bool vote_granted;
    enum refusal refusal;
    int64_t refusal_detail;

    /* REQUEST_APPEND_ENTRIES. Its entries travel beside the message. */
    raft_index prev_index;
    raft_term prev_term;
    raft_index commit_index;
    uint32_t entry_count;
    uint32_t round_trip_max_us; /* the largest round trip to a follower that the leader has measured lately */
    int64_t time_us;            /* the cluster's time when it left */

    /* RESPONSE_APPEND_ENTRIES */
    bool entries_appended;     /* the log has the entry that the request named as the one before */
    raft_index match_index;    /* durable here, and proven to match this leader's log, up to this entry */
    raft_index rejected_index; /* not entries_appended: the request's prev_index ... */
    raft_term conflict_term;   /* ... the term that the entry has here (0: there is no such entry) ... */
    raft_index conflict_index; /* ... and the first entry of that term here, or one more than the last entry */
    /* RESPONSE_APPEND_ENTRIES, FORWARDED */
    uint64_t request_incarnation; /* over which connection the request came, as the hello of whoever opened it said: */
    uint64_t request_connection;  /* an answer that was meant for an earlier one is told by it */
    uint32_t request_channel;     /* enum channel (letter.h) */

    /* Requests carry a number, which their answers echo: the round of heartbeats of a leader, or the round of votes
     * of a candidate. An answer to an earlier round is told from one to the present round by it. */
    uint64_t round;
};

/* REQUEST_VOTE and so on; "UNKNOWN" for a number that is no type. */
const char *message_type_name(enum message_type type);

/* Requests expect an answer: REQUEST_PRE_VOTE, REQUEST_VOTE, REQUEST_APPEND_ENTRIES. */
bool message_is_request(enum message_type type);
bool message_is_response(enum message_type type);

/* Each field that the type has, as key=value, in a fixed order: "type_of_message=RESPONSE_VOTE curr_term=4 ...".
 * Cut at size. Returns text. */
#define MESSAGE_TEXT_MAX 600
const char *message_describe(const struct message *message, char *text, size_t size);

/* "behind in the log", "voted for 2", "heard the leader 12 ms ago", ... Returns text. */
const char *message_refusal_describe(const struct message *message, char *text, size_t size);

#endif
