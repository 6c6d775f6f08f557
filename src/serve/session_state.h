/* session_state.h - what a session and its sessions are made of: for the files that make them up (session.c, sessions.c,
 * flight.c, transaction.c, wait.c), and for the commands that tell about clients or set what is told (client_commands.c,
 * session_commands.c, info.c).
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
    bool silent; /* its answer is not sent (CLIENT REPLY) */
    bool resp3;
    uint64_t flight;              /* FLYING: its number (flight.h) */
    struct mailraft_buffer bytes; /* the request, and once that is answered the answer */
    size_t counted;               /* bytes that it counts for in the session's and the sessions' bounds */

    /* One of two lists of the sessions: of those that are not answered yet, in order of their arrival, or of those that
     * the clock wakes (TIME, COUNT). */
    struct place *older, *newer;
    struct place_list *list; /* NULL: in neither */
    int64_t arrived_us;
    int64_t wake_us, end_us;         /* TIME: end_us; COUNT: when it is asked again, and when that ends */
    int64_t wanted, counted_members; /* COUNT: other members that are waited for, and that there were */

    /* What a command that the session carries out has asked for (session.h). */
    void (*finish)(struct session *session, void *context, const uint8_t *bytes, size_t size);
    void (*finish_plain)(struct session *session);
    void (*drop)(void *context);
    void *context;

    struct transaction *transaction; /* EXEC's, until it is sent; owned; NULL: none */
};

struct place_list {
    struct place *oldest, *newest;
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
    int64_t opened_us, active_us;               /* when it came, and when its last request did */
    const struct command *command, *subcommand; /* the last one; NULL: none */
    size_t commands;                            /* that it has given */
    enum reply_mode reply_mode;

    /* The queue of those that have no answer yet, or whose answer waits for its turn. */
    struct place *first, *last;
    struct place *unsent; /* the first that is HELD */
    uint64_t numbers;     /* places that there have been */
    size_t place_count;
    size_t counted; /* bytes in it */
    size_t flying_commands, flying_queries;
    uint64_t flying_view;  /* over which those are on their way */
    raft_index last_index; /* of the entry of the last command that was answered; 0: none */

    struct place *current;  /* whose command is being carried out, once it has one */
    struct place *blocking; /* nothing is read before that is answered: WAIT and its kin; NULL: none */
    bool running;           /* a command of its own is being carried out */
    bool closing;           /* nothing is read any more; it is closed when the queue is empty */
    bool paused;            /* it is not read from */

    struct transaction *transaction; /* between MULTI and EXEC; NULL: outside */
    struct watches *watches;         /* a reference; NULL: none */

    /* Lists of the sessions. */
    bool is_holding, is_waiting;
    struct session *next_holding, *previous_holding; /* something is HELD */
    struct session *next_waiting, *previous_waiting; /* there was no room for its requests */
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

    struct status status; /* the newest that has come; view 0: none yet */
    bool status_wanted;   /* and is on its way */
    bool ended;           /* nothing is asked any more */

    struct letter_list letters; /* that leave when all is gathered */
    struct flight flight;
    size_t counted;               /* bytes of all places */
    struct place_list unanswered; /* by arrival */
    struct place_list timers;
    struct session_list holding, waiting; /* in the order in which they began to */
    struct place *free_places;
    size_t free_count;
    struct mailraft_buffer scratch; /* the answer that is being put together (session_reply) */
};

/* ---- For commands about clients ---- */

void session_quit(struct session *session);  /* reads nothing more; closed when everything before is answered */
void session_reset(struct session *session); /* RESET: as it was when it came, but for its id and addresses */
/* A text of a session, copied; an empty one takes it away. */
void session_set_text(char **slot, const void *bytes, size_t size);
size_t session_watch_count(const struct session *session); /* keys that it watches */
int session_multi_count(const struct session *session);    /* commands queued since MULTI; -1: outside */

#endif
