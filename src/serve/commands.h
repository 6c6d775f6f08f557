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
    COMMAND_SKIP_MONITOR = 1 << 13
};

struct command {
    const char *name;    /* in lower case; of a subcommand: without its container's */
    int arity;           /* the name included; negative: at least so many */
    unsigned flags;
    int first_key, last_key, key_step; /* as COMMAND INFO tells them; zeros: no keys */
    const char *categories; /* "@read @string @fast" */
    /* One of the two. */
    enum kv_op op;       /* 0: the session's own */
    void (*run)(struct session *session, const struct text *arguments, size_t count); /* the name is arguments[0] */
    const char *summary, *since, *group, *complexity; /* COMMAND DOCS; the summaries are our own */
    const struct command *subcommands; /* of a container, ended by one without a name; NULL: none */
};

/* The command of that name, in any case; NULL: there is none. */
const struct command *command_find(struct text name);
const struct command *subcommand_find(const struct command *container, struct text name);
extern const struct command COMMANDS[]; /* ended by one without a name */
extern const size_t COMMANDS_COUNT;

/* False where the count does not suit; puts Redis's error then. */
bool command_check_arity(const struct command *command, const struct text *arguments, size_t count,
                         struct mailraft_buffer *error);

#endif
