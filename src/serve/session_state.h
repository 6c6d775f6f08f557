/* session_state.h - what a session and its sessions are made of: for the files that make them up (session.c, sessions.c,
 * queue.c, flight.c, transaction.c, wait.c), and for the commands that tell about clients or set what is told
 * (client_commands.c, session_commands.c, info.c).
 *
 * Threads:   the clients' thread. Ownership: a session's texts are its own (memory_free). */
#ifndef SERVE_SESSION_STATE_H
#define SERVE_SESSION_STATE_H

#include "serve/flight.h"
#include "serve/session.h"

#define SESSION_ADDRESS_MAX 80 /* of a peer's or a local address as text, the final zero included */

struct transaction; /* transaction.h */
struct watches;

enum reply_mode { /* CLIENT REPLY */
                  REPLY_ON,
                  REPLY_OFF,
                  REPLY_SKIP_NEXT, /* SKIP is being carried out: it has no reply, and ... */
                  REPLY_SKIP       /* ... neither has this command, the next one */
};

/* What the answer of a place waits for. */
enum place_state {
    PLACE_HELD,    /* a way to the leader, over which its request can be sent */
    PLACE_FLYING,  /* the reply to its request, which has been sent */
    PLACE_WAITING, /* something of this node: its status, a way to the leader, the clock; or its turn in the queue */
    PLACE_ANSWERED /* those before it in the queue: its answer is there */
};

enum place_kind {
    PLACE_LOCAL,   /* answered by the session alone */
    PLACE_COMMAND, /* what the log must have */
    PLACE_QUERY,   /* what is read from the state */
    PLACE_STATUS,  /* session_ask_status */
    PLACE_LEADER,  /* session_await_leader */
    PLACE_TIME,    /* session_await_time */
    PLACE_COUNT    /* WAIT */
};

/* One request's place in its session's queue, until its answer has left. */
struct place {
    struct place *next; /* in the queue: the request behind it. Or the next of those that are free */
    struct session *session;
    uint64_t number; /* its session's requests count up from 1 */
    enum place_state state;
    enum place_kind kind;
    bool silent;                  /* its answer is not sent (CLIENT REPLY) */
    uint64_t flight;              /* FLYING: its number (flight.h) */
    struct mailraft_buffer bytes; /* the request, and once that is answered the answer */
    size_t counted;               /* bytes that it counts for in the session's and the sessions' bounds */

    /* One of two lists of the sessions: of those that are not answered yet, in order of their arrival, or of those that
     * the clock wakes (TIME, COUNT). */
    struct place *older, *newer;
    struct place_list *list; /* NULL: in neither */
    int64_t arrived_us;
    int64_t wake_us; /* when the clock wakes it: its end, or COUNT: when it is asked again */
    /* COUNT: other members that are waited for, and that there were; for how long, from its turn on; until when. */
    int64_t wanted, counted_members;
    int64_t span_us, end_us;
    bool has_turn;

    /* What a command that the session carries out has asked for (session.h). */
    void (*finish)(struct session *session, void *context, const uint8_t *bytes, size_t size);
    void (*finish_plain)(struct session *session); /* LEADER, TIME, COUNT */
    bool is_try; /* QUERY: it is not sent again; finish gets no bytes then (session_try_query) */
    void (*drop)(void *context);
    void *context;

    struct transaction *transaction; /* EXEC's, until its request is made; owned; NULL: none */
};

struct place_list {
    struct place *oldest, *newest;
};

enum session_lists {                  /* of the sessions; each in the order in which they came to be in it */
                     HOLDING,         /* something is HELD */
                     WAITING_FOR_ROOM /* all sessions' requests take too many bytes: nothing is read */
};
#define SESSION_LISTS 2

struct session_link {
    struct session *next, *previous;
    bool in; /* the list */
};

struct session {
    struct session *next, *previous; /* all of them, by id */
    struct sessions *sessions;
    struct connection *connection;
    struct resp_reader *reader;

    /* What CLIENT and its kin tell and set. */
    uint64_t id;  /* from 1, in the order in which they came; never used twice */
    int protocol; /* 2 or 3 */
    char peer[SESSION_ADDRESS_MAX], local[SESSION_ADDRESS_MAX];
    char *name, *lib_name, *lib_version; /* NULL: not set */
    bool no_evict;
    int64_t opened_us, active_us;  /* when it came, and when its last request did */
    const struct command *command; /* the last one; NULL: none */
    size_t commands;               /* that it has given */
    enum reply_mode reply_mode;

    /* The queue of those that have no answer yet, or whose answer waits for its turn. */
    struct place *first, *last;
    struct place *unsent; /* the first that is HELD */
    uint64_t numbers;     /* places that there have been */
    size_t place_count;
    size_t counted; /* bytes in it */
    size_t flying_commands, flying_queries;
    bool flies_behind;     /* of the queries on their way, the last one is asked behind commands */
    uint64_t flying_view;  /* over which those are on their way */
    uint64_t sent_number;  /* of the place that was sent last */
    raft_index last_index; /* of the entry of the last command that was answered; 0: none */
    bool choked;           /* the client does not read what it was sent: nothing more is asked until it has drained */
    size_t answer_bytes;   /* of its latest answers: the largest, the older the less */
    int64_t answered_us;   /* when the last one came */

    struct place *current;  /* whose command is being carried out, once it has one */
    struct place *blocking; /* nothing is read before that is answered: WAIT and its kin; NULL: none */
    bool closing;           /* nothing is read any more; it is closed when the queue is empty */
    bool paused;            /* it is not read from */

    struct transaction *transaction; /* between MULTI and EXEC; NULL: outside */
    struct watches *watches;         /* a reference; NULL: none */
    struct subscriptions *subscriptions; /* subscriptions.h; NULL: none */

    struct session_link links[SESSION_LISTS];
    bool has_turn; /* it has waited for room, and may go on if there is still some */
};

struct session_list {
    struct session *first, *last;
};

struct sessions {
    struct sessions_config config;
    struct connection_calls connection;
    struct pile *pile;
    void (*ask)(void *context, struct letter_list *letters);
    void *ask_context;
    struct log *log;

    struct session_list all; /* by id */
    size_t count;
    uint64_t ids;      /* that have been given: as many connections there have been */
    uint64_t commands; /* that have been given by all of them */
    int64_t started_us;
    raft_id told_leader_id; /* whom subscribers know of as the leader; NO_ONE */

    struct status status; /* the newest that has come; view 0: none yet */
    bool ended;           /* nothing is asked any more */

    struct letter_list letters; /* that leave when all is gathered */
    struct flight flight;
    size_t counted;               /* bytes of all places */
    size_t gathered;              /* bytes of all transactions that are not sent, and of all watches */
    struct place_list unanswered; /* by arrival */
    size_t status_awaited;        /* how many of them wait for LETTER_STATUS */
    struct place_list timers;
    int64_t timers_us; /* no timer wakes earlier */
    int64_t resume_us; /* something came back over the present view: nothing is sent before; 0: no such trouble */
    struct session_list lists[SESSION_LISTS];
    struct place *free_places;
    size_t free_count;
    struct mailraft_buffer scratch; /* the answer that is being put together (session_reply) */
};

/* peer, local: copied. The sessions' list of them all is theirs. */
struct session *session_new(struct sessions *sessions, struct connection *connection, const char *peer,
                            const char *local);
void session_free(struct session *session);
size_t session_bytes(void *session, const uint8_t *bytes, size_t size, size_t *wanted); /* clients_calls.bytes */

/* ---- For commands about clients ---- */

void session_quit(struct session *session);  /* reads nothing more; closed when everything before is answered */
void session_reset(struct session *session); /* RESET: as it was when it came, but for its id and addresses */
/* A text of a session, copied; an empty one takes it away. */
void session_set_text(char **slot, const void *bytes, size_t size);
size_t session_watch_count(const struct session *session); /* keys that it watches */
int session_multi_count(const struct session *session);    /* commands queued since MULTI; -1: outside */

#endif
