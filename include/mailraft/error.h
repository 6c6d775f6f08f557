/* error.h - errors as values, whose classes form a tree.
 *
 * A function that can fail takes a `struct mailraft_error *` as its last parameter and returns false (or NULL) after
 * it has filled it in. The caller catches by class, narrow before wide:
 *
 *     if (mailraft_error_is(&err, &MAILRAFT_BIND_ERROR))      the port is taken
 *     if (mailraft_error_is(&err, &MAILRAFT_NETWORK_ERROR))   any trouble on the line, BIND_ERROR included
 *
 * Threads:   an error belongs to whoever declared it; nothing here is shared, locked or allocated.
 * Ownership: the strings in an error live as long as the error (message) or the program (class, file). */
#ifndef MAILRAFT_ERROR_H
#define MAILRAFT_ERROR_H

#include <stdbool.h>

#define MAILRAFT_ERROR_MESSAGE_MAX 1000 /* bytes; a longer message is cut */

/* A class is a constant whose address is its identity. parent: NULL only for MAILRAFT_ERROR, the root. */
struct mailraft_error_class {
    const char *name;
    const struct mailraft_error_class *parent;
};

extern const struct mailraft_error_class MAILRAFT_ERROR;
extern const struct mailraft_error_class MAILRAFT_NETWORK_ERROR;            /* < ERROR */
extern const struct mailraft_error_class MAILRAFT_BIND_ERROR;               /* < NETWORK_ERROR */
extern const struct mailraft_error_class MAILRAFT_CONNECT_ERROR;            /* < NETWORK_ERROR */
extern const struct mailraft_error_class MAILRAFT_PROTOCOL_ERROR;           /* < NETWORK_ERROR */
extern const struct mailraft_error_class MAILRAFT_UNEXPECTED_MESSAGE_ERROR; /* < PROTOCOL_ERROR */
extern const struct mailraft_error_class MAILRAFT_STORAGE_ERROR;            /* < ERROR: a read, write or sync failed */
extern const struct mailraft_error_class MAILRAFT_DAMAGED_ERROR;            /* < STORAGE_ERROR: what was read is not what was written */
extern const struct mailraft_error_class MAILRAFT_LOCKED_ERROR;             /* < STORAGE_ERROR: another process, node or cluster owns it */
extern const struct mailraft_error_class MAILRAFT_FULL_ERROR;               /* < STORAGE_ERROR: no space left */
extern const struct mailraft_error_class MAILRAFT_CONFIG_ERROR;             /* < ERROR */
extern const struct mailraft_error_class MAILRAFT_SERVER_ERROR;             /* < ERROR */

struct mailraft_error {
    const struct mailraft_error_class *class; /* NULL: nothing was raised */
    int os_errno;                             /* errno at the moment of raising, 0 where no system call failed */
    const char *file;                         /* where it was raised */
    int line;
    char message[MAILRAFT_ERROR_MESSAGE_MAX + 1]; /* one line, without a newline: the deed and its object */
};

/* Whether err is of this class or of one below it. False for an error that was never raised. */
bool mailraft_error_is(const struct mailraft_error *err, const struct mailraft_error_class *class);

#endif
