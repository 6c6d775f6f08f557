/* error.h - raising errors; include/mailraft/error.h tells how they are caught.
 *
 * Both raising macros return false, so that a guard is one line:
 *
 *     if (bind(fd, address, size) != 0)
 *         return error_raise_os(err, &BIND_ERROR, "Couldn't bind to port %d", port);
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdarg.h>

#include "mailraft/error.h"

#define ERROR MAILRAFT_ERROR
#define NETWORK_ERROR MAILRAFT_NETWORK_ERROR
#define BIND_ERROR MAILRAFT_BIND_ERROR
#define CONNECT_ERROR MAILRAFT_CONNECT_ERROR
#define PROTOCOL_ERROR MAILRAFT_PROTOCOL_ERROR
#define UNEXPECTED_MESSAGE_ERROR MAILRAFT_UNEXPECTED_MESSAGE_ERROR
#define STORAGE_ERROR MAILRAFT_STORAGE_ERROR
#define DAMAGED_ERROR MAILRAFT_DAMAGED_ERROR
#define LOCKED_ERROR MAILRAFT_LOCKED_ERROR
#define FULL_ERROR MAILRAFT_FULL_ERROR
#define CONFIG_ERROR MAILRAFT_CONFIG_ERROR
#define SERVER_ERROR MAILRAFT_SERVER_ERROR

#define error_is mailraft_error_is

/* Fills err in with a class and a printf-style message. */
#define error_raise(err, class, ...) error_raise_at(err, class, 0, __FILE__, __LINE__, __VA_ARGS__)

/* The same after a failed system call: keeps errno and appends ": " and its text to the message. */
#define error_raise_os(err, class, ...) error_raise_at(err, class, errno, __FILE__, __LINE__, __VA_ARGS__)

bool error_raise_at(struct mailraft_error *err, const struct mailraft_error_class *class, int os_errno,
                    const char *file, int line, const char *format, ...) __attribute__((format(printf, 6, 7)));

/* Puts a printf-style text and ": " before the message, and returns false. Class, errno and place stay. */
bool error_prefix(struct mailraft_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
