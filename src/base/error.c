#include "base/error.h"

#include <stdio.h>
#include <string.h>

const struct mailraft_error_class MAILRAFT_ERROR = {"ERROR", NULL};
const struct mailraft_error_class MAILRAFT_NETWORK_ERROR = {"NETWORK_ERROR", &MAILRAFT_ERROR};
const struct mailraft_error_class MAILRAFT_BIND_ERROR = {"BIND_ERROR", &MAILRAFT_NETWORK_ERROR};
const struct mailraft_error_class MAILRAFT_CONNECT_ERROR = {"CONNECT_ERROR", &MAILRAFT_NETWORK_ERROR};
const struct mailraft_error_class MAILRAFT_PROTOCOL_ERROR = {"PROTOCOL_ERROR", &MAILRAFT_NETWORK_ERROR};
const struct mailraft_error_class MAILRAFT_UNEXPECTED_MESSAGE_ERROR = {"UNEXPECTED_MESSAGE_ERROR",
                                                                       &MAILRAFT_PROTOCOL_ERROR};
const struct mailraft_error_class MAILRAFT_STORAGE_ERROR = {"STORAGE_ERROR", &MAILRAFT_ERROR};
const struct mailraft_error_class MAILRAFT_DAMAGED_ERROR = {"DAMAGED_ERROR", &MAILRAFT_STORAGE_ERROR};
const struct mailraft_error_class MAILRAFT_LOCKED_ERROR = {"LOCKED_ERROR", &MAILRAFT_STORAGE_ERROR};
const struct mailraft_error_class MAILRAFT_FULL_ERROR = {"FULL_ERROR", &MAILRAFT_STORAGE_ERROR};
const struct mailraft_error_class MAILRAFT_CONFIG_ERROR = {"CONFIG_ERROR", &MAILRAFT_ERROR};
const struct mailraft_error_class MAILRAFT_SERVER_ERROR = {"SERVER_ERROR", &MAILRAFT_ERROR};

bool mailraft_error_is(const struct mailraft_error *err, const struct mailraft_error_class *class)
{
    for (const struct mailraft_error_class *own = err->class; own != NULL; own = own->parent)
        if (own == class)
            return true;
    return false;
}

/* Appends as much of text as the message still has room for. */
static void error_append(char message[MAILRAFT_ERROR_MESSAGE_MAX + 1], const char *text)
{
    size_t used = strlen(message);
    size_t size = strnlen(text, MAILRAFT_ERROR_MESSAGE_MAX - used);

    memcpy(message + used, text, size);
    message[used + size] = '\0';
}

bool error_raise_at(struct mailraft_error *err, const struct mailraft_error_class *class, int os_errno,
                    const char *file, int line, const char *format, ...)
{
    /* Formatted apart: the arguments may point into the error that this one replaces. */
    char message[MAILRAFT_ERROR_MESSAGE_MAX + 1];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (os_errno != 0) {
        char text[128];

        error_append(message, ": ");
        error_append(message, strerror_r(os_errno, text, sizeof text));
    }
    err->class = class;
    err->os_errno = os_errno;
    err->file = file;
    err->line = line;
    memcpy(err->message, message, sizeof message);
    return false;
}

bool error_prefix(struct mailraft_error *err, const char *format, ...)
{
    char message[MAILRAFT_ERROR_MESSAGE_MAX + 1];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    error_append(message, ": ");
    error_append(message, err->message);
    memcpy(err->message, message, sizeof message);
    return false;
}
