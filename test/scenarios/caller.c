#include "scenarios/caller.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "check.h"
#include "sim/cable.h"

#define PATIENCE_US   60000000
#define LINE_MAX_SIZE 4000
#define TEXT_MAX_SIZE 20000

struct caller {
    struct sim *sim;
    struct cable *cable; /* NULL: it was closed */
    struct mailraft_buffer heard;
    int waits;
    char text[TEXT_MAX_SIZE];
};

/* ---- The cable ---- */

static void hear(void *client, const uint8_t *bytes, size_t size)
{
    struct caller *caller = client;
    mailraft_buffer_put(&caller->heard, bytes, size);
}

static void lose(void *client)
{
    struct caller *caller = client;
    caller->cable = NULL;
}

struct caller *caller_open(struct sim *sim, raft_id node)
{
    static const struct cable_calls CALLS = {hear, lose};
    struct caller *caller = calloc(1, sizeof(*caller));
    cr_assert_not_null(caller);
    caller->sim = sim;
    caller->cable = cable_open(sim, node, &CALLS, caller);
    return caller;
}

void caller_close(struct caller *caller)
{
    if (caller == NULL)
        return;
    if (caller->cable != NULL)
        cable_close(caller->cable);
    buffer_fini(&caller->heard);
    free(caller);
}

/* ---- Commands ---- */

static void say(struct caller *caller, const char *format, va_list values)
{
    char line[LINE_MAX_SIZE];
    int size = vsnprintf(line, sizeof(line) - 2, format, values);
    cr_assert(size > 0 && (size_t)size < sizeof(line) - 2);
    memcpy(line + size, "\r\n", 2);
    caller->waits++;
    if (caller->cable != NULL)
        cable_send(caller->cable, line, (size_t)size + 2);
}

void caller_say(struct caller *caller, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    say(caller, format, values);
    va_end(values);
}

int caller_waits(const struct caller *caller)
{
    return caller->waits;
}

/* ---- Answers ---- */

/* Takes the line at *at, without its end. False: it has not come whole. */
static bool take_line(const struct mailraft_buffer *heard, size_t *at, const char **line, int *size)
{
    const char *begin = (const char *)heard->bytes + *at;
    const char *end = *at < heard->size ? memmem(begin, heard->size - *at, "\r\n", 2) : NULL;
    if (end == NULL)
        return false;
    *line = begin;
    *size = (int)(end - begin);
    *at += (size_t)*size + 2;
    return true;
}

/* Writes the answer at *at as text, and sets *at behind it. False: it has not come whole. out: NULL: it is not
 * written. */
static bool write_answer(const struct mailraft_buffer *heard, size_t *at, FILE *out)
{
    const char *line;
    int size;
    if (!take_line(heard, at, &line, &size))
        return false;
    cr_assert(size > 0 && strchr("+-:$*", line[0]) != NULL, "no answer: %.*s", size, line);
    long count = strtol(line + 1, NULL, 10);
    bool nil = strchr("$*", line[0]) != NULL && count < 0;
    if (line[0] == '$' && !nil) {
        if (heard->size - *at < (size_t)count + 2)
            return false;
        line = (const char *)heard->bytes + *at;
        *at += (size_t)count + 2;
        return out == NULL || fprintf(out, "\"%.*s\"", (int)count, line) > 0;
    }
    if (out != NULL && (nil || line[0] != '*'))
        fprintf(out, "%.*s", nil ? 3 : size - (line[0] != '-'), nil ? "nil" : line + (line[0] != '-'));
    if (nil || line[0] != '*')
        return true;
    for (long i = 0; i < count; i++) {
        if (out != NULL)
            fputs(i > 0 ? ", " : "[", out);
        if (!write_answer(heard, at, out))
            return false;
    }
    return out == NULL || fputs(count > 0 ? "]" : "[]", out) >= 0;
}

bool caller_has_answer(const struct caller *caller)
{
    size_t at = 0;
    return write_answer(&caller->heard, &at, NULL);
}

const char *caller_take(struct caller *caller)
{
    size_t at = 0;
    if (!caller_has_answer(caller))
        return NULL;
    cr_assert_gt(caller->waits, 0, "an answer to nothing");
    FILE *out = fmemopen(caller->text, sizeof(caller->text), "w");
    cr_assert_not_null(out);
    write_answer(&caller->heard, &at, out);
    cr_assert_eq(fclose(out), 0);
    caller->waits--;
    memmove(caller->heard.bytes, caller->heard.bytes + at, caller->heard.size - at);
    caller->heard.size -= at;
    return caller->text;
}

bool caller_is_lost(const struct caller *caller)
{
    return caller->cable == NULL && !caller_has_answer(caller);
}

static bool is_answered(struct sim *sim, void *context)
{
    const struct caller *caller = context;
    (void)sim;
    return caller_has_answer(caller) || caller->cable == NULL;
}

const char *caller_wait(struct caller *caller)
{
    cr_assert(sim_run_until(caller->sim, PATIENCE_US, is_answered, caller), "no answer came");
    const char *answer = caller_take(caller);
    return answer != NULL ? answer : "lost";
}

const char *caller_ask(struct caller *caller, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    say(caller, format, values);
    va_end(values);
    return caller_wait(caller);
}

bool is_clusterdown(const char *answer)
{
    return strncmp(answer, "-CLUSTERDOWN ", 13) == 0;
}

bool is_uncertain(const char *answer)
{
    return strncmp(answer, "-UNCERTAIN ", 11) == 0;
}
