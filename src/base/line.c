#include "base/line.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

const char *const LOG_LEVEL_NAMES[5] = {"error", "warn", "info", "debug", "trace"};

bool log_level_from_name(const char *name, enum log_level *level)
{
    for (int i = LOG_ERROR; i <= LOG_TRACE; i++) {
        if (strcmp(name, LOG_LEVEL_NAMES[i]) != 0)
            continue;
        *level = (enum log_level)i;
        return true;
    }
    return false;
}

/* "2026-11-23T06:31:12.345678Z node=1 term=2 role=CANDIDATE " */
static size_t line_put_head(char *line, size_t size, const struct line_head *head)
{
    time_t seconds = (time_t)(head->wall_us / 1000000);
    struct tm utc;
    size_t used;

    gmtime_r(&seconds, &utc);
    used = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &utc);
    used +=
        (size_t)snprintf(line + used, size - used, ".%06dZ node=%d term=%llu role=%s ", (int)(head->wall_us % 1000000),
                         (int)head->node_id, (unsigned long long)head->term, head->role);
    return used;
}

/* Appends the event up to position end, and returns how long the line is then. An escape is never cut in two. */
static size_t line_put_event(char *line, size_t used, size_t end, const char *event)
{
    for (const char *at = event; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)*at;
        bool control = byte < ' ' || byte == 0x7f;

        if (used + (control ? 4 : 1) > end)
            break;
        if (control)
            used += (size_t)sprintf(line + used, "\\x%02x", byte);
        else
            line[used++] = *at;
    }
    return used;
}

size_t line_format(char *line, const struct line_head *head, const char *format, va_list arguments)
{
    char event[LINE_MAX_BYTES];
    char tail[32] = "\n";
    size_t used;

    if (head->level != LOG_INFO)
        snprintf(tail, sizeof tail, " level=%s\n", LOG_LEVEL_NAMES[head->level]);
    vsnprintf(event, sizeof event, format, arguments);
    used = line_put_head(line, LINE_MAX_BYTES, head);
    used = line_put_event(line, used, LINE_MAX_BYTES - strlen(tail), event);
    strcpy(line + used, tail);
    return used + strlen(tail);
}
