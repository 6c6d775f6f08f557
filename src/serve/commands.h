/* commands.h - every command that clients can give: its name, arity and flags as Redis 7.0 has them, and who carries it
 * out. COMMAND answers from this table.
 *
 * A command is carried out by the store (kv.h), which a session asks through the log, or by the session itself. */
#ifndef SERVE_COMMANDS_H
#define SERVE_COMMANDS_H

#include "serve/kv.h"
#include "serve/resp.h"

struct session;

enum command_flag { /* as COMMAND INFO names them */
    COMMAND_READONLY = 1 << 0,
    COMMAND_WRITE = 1 << 1,
    COMMAND_DENYOOM = 1 << 2,
    COMMAND_ADMIN = 1 << 3,
    COMMAND_NOSCRIPT = 1 << 4,
    COMMAND_LOADING = 1 << 5,
    COMMAND_STALE = 1 << 6,
    COMMAND_FAST = 1 << 7,
    COMMAND_NO_AUTH = 1 << 8,
    COMMAND_BLOCKING = 1 << 9,
    COMMAND_MOVABLEKEYS = 1 << 10,
    COMMAND_NO_MULTI = 1 << 11,       /* refused between MULTI and EXEC */
    COMMAND_ALLOW_BUSY = 1 << 12,
    COMMAND_SKIP_MONITOR = 1 << 13,
    COMMAND_SKIP_SLOWLOG = 1 << 14,
    COMMAND_PUBSUB = 1 << 15
};

struct command {
    const char *name;    /* in lower case; of a subcommand: without its container's */
    int arity;           /* the name, and the container's, included; negative: at least so many */
    unsigned flags;
    int first_key, last_key, key_step; /* as COMMAND INFO tells them; zeros: no keys */
    const char *categories; /* "@read @string @fast" */
    /* One of the two. */
    enum kv_op op;       /* 0: the session's own */
    void (*run)(struct session *session, const struct text *arguments, size_t count); /* the name is arguments[0] */
    const char *summary, *since, *group, *complexity; /* COMMAND DOCS; the summaries are our own */
    const struct command *subcommands; /* of a container, ended by one without a name; NULL: none */
    const char *container;             /* of a subcommand: its container's name; NULL: it is none */
    /* COMMAND INFO's key specifications: what becomes of the keys; two where the first two keys differ in that. */
    const char *key_flags[2];
    /* COMMAND DOCS: its arguments, as redis-cli hints at them: "key [EX seconds] [NX] [member...]", tokens in upper
     * case, those that may come again with dots. NULL: it has none. */
    const char *syntax;
    const char *tips; /* "request_policy:all_shards nondeterministic_output"; NULL: none */
};

/* Which command a request is, its subcommand where it has one. NULL: none, or the count of its arguments does not suit;
 * Redis's error has been put then. count: 1 or more. */
const struct command *command_of(const struct text *arguments, size_t count, struct mailraft_buffer *error);

/* The command of that name, in any case; NULL: there is none. */
const struct command *command_find(struct text name);
const struct command *subcommand_find(const struct command *container, struct text name);
extern const struct command COMMANDS[]; /* by name; ended by one without a name */
extern const size_t COMMANDS_COUNT;

#define COMMAND_NAME_MAX 48 /* bytes, the final zero included */
/* "get", "client|getname". Returns text. */
const char *command_full_name(const struct command *command, char *text, size_t size);

/* False where the count does not suit; puts Redis's error then. */
bool command_check_arity(const struct command *command, size_t count, struct mailraft_buffer *error);

bool text_is(struct text text, const char *word); /* the same bytes but for case; word: in lower case */

#endif
