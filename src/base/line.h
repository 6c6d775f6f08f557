/* line.h - the layout of one line of the state log.
 *
 *     TIME node=N term=T role=ROLE EVENT key=value ... [level=LEVEL]
 *
 * TIME is UTC with microseconds; level= ends a line that is not info. A control character in the event (a newline in a
 * text that came from outside) is written as \xNN, so that an event is one line whatever it tells. */
#ifndef BASE_LINE_H
#define BASE_LINE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINE_MAX_BYTES 2048 /* newline included; a longer line is cut before its level */

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };

extern const char *const LOG_LEVEL_NAMES[5];                        /* "error", "warn", "info", "debug", "trace" */
bool log_level_from_name(const char *name, enum log_level *level);  /* false: no such level */

struct line_head {
    int64_t wall_us; /* microseconds since 1970 */
    int32_t node_id;
    uint64_t term;
    const char *role;
    enum log_level level;
};

/* Writes one line, newline included, zero-terminated, and returns its length. line: LINE_MAX_BYTES + 1 bytes. */
size_t line_format(char *line, const struct line_head *head, const char *format, va_list arguments);

#endif
