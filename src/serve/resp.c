#include "serve/resp.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

#define HEADER_BYTES_MAX 24 /* a type, a sign, 19 digits, CRLF */

/* ---- Replies ---- */

static void put_string(struct mailraft_buffer *out, const char *text)
{
    mailraft_buffer_put(out, text, strlen(text));
}

/* A type and a number on a line of its own: every header, and every integer. */
static void put_header(struct mailraft_buffer *out, char type, int64_t number)
{
    char line[HEADER_BYTES_MAX];
    char *from = line + sizeof(line);
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
    *--from = '\n';
    *--from = '\r';
    do {
        *--from = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0)
        *--from = '-';
    *--from = type;
    mailraft_buffer_put(out, from, (size_t)(line + sizeof(line) - from));
}

void resp_put_simple(struct mailraft_buffer *out, const char *text)
{
    assert(strpbrk(text, "\r\n") == NULL);
    put_string(out, "+");
    put_string(out, text);
    put_string(out, "\r\n");
}

/* As Redis puts errors: line ends around it are dropped, those within it become spaces. */
static void put_one_line(struct mailraft_buffer *out, char *text)
{
    text += strspn(text, "\r\n");
    for (char *end = text + strlen(text); end > text && strchr("\r\n", end[-1]) != NULL;)
        *--end = '\0';
    for (char *found = text; (found = strpbrk(found, "\r\n")) != NULL;)
        *found = ' ';
    put_string(out, text);
}

void resp_put_error(struct mailraft_buffer *out, const char *format, ...)
{
    char fitting[256];
    char *text = fitting;
    va_list values, again;
    va_start(values, format);
    va_copy(again, values);
    int size = vsnprintf(fitting, sizeof(fitting), format, values);
    assert(size >= 0);
    if ((size_t)size >= sizeof(fitting)) {
        text = memory_new((size_t)size + 1);
        vsnprintf(text, (size_t)size + 1, format, again);
    }
    va_end(again);
    va_end(values);
    put_string(out, "-");
    put_one_line(out, text);
    put_string(out, "\r\n");
    if (text != fitting)
        memory_free(text);
}

void resp_put_integer(struct mailraft_buffer *out, int64_t number)
{
    put_header(out, ':', number);
}

void resp_put_bulk(struct mailraft_buffer *out, const void *bytes, size_t size)
{
    assert(size <= INT64_MAX);
    put_header(out, '$', (int64_t)size);
    mailraft_buffer_put(out, bytes, size);
    put_string(out, "\r\n");
}

void resp_put_text(struct mailraft_buffer *out, const char *text)
{
    resp_put_bulk(out, text, strlen(text));
}

void resp_put_null(struct mailraft_buffer *out, bool resp3)
{
    put_string(out, resp3 ? "_\r\n" : "$-1\r\n");
}

void resp_put_null_array(struct mailraft_buffer *out, bool resp3)
{
    put_string(out, resp3 ? "_\r\n" : "*-1\r\n");
}

void resp_put_array(struct mailraft_buffer *out, size_t count)
{
    assert(count <= INT64_MAX);
    put_header(out, '*', (int64_t)count);
}

void resp_put_map(struct mailraft_buffer *out, size_t count, bool resp3)
{
    assert(count <= INT64_MAX / 2);
    put_header(out, resp3 ? '%' : '*', (int64_t)(resp3 ? count : 2 * count));
}

void resp_put_set(struct mailraft_buffer *out, size_t count, bool resp3)
{
    assert(count <= INT64_MAX);
    put_header(out, resp3 ? '~' : '*', (int64_t)count);
}

void resp_put_verbatim(struct mailraft_buffer *out, const void *bytes, size_t size, bool resp3)
{
    static const char FORMAT[] = "txt:"; /* counts as bytes of it */
    if (!resp3) {
        resp_put_bulk(out, bytes, size);
        return;
    }
    assert(size <= INT64_MAX - strlen(FORMAT));
    put_header(out, '=', (int64_t)(size + strlen(FORMAT)));
    put_string(out, FORMAT);
    mailraft_buffer_put(out, bytes, size);
    put_string(out, "\r\n");
}

void resp_put_bool(struct mailraft_buffer *out, bool value, bool resp3)
{
    if (resp3)
        put_string(out, value ? "#t\r\n" : "#f\r\n");
    else
        resp_put_integer(out, value);
}
