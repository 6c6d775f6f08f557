#include "serve/resp.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

#define HEADER_BYTES_MAX   24 /* a type, a sign, 19 digits, CRLF */
#define ARGUMENT_BYTES_MIN 6  /* "$0\r\n\r\n" */
#define ERROR_BYTES_MAX    96
#define ARGUMENTS_LEAST    8    /* room of the first list */
#define ARGUMENTS_KEPT     1024 /* a longer list is not kept for the next request */

/* ---- Requests ---- */

/* Where an argument stands among the bytes, which may move until the request is whole; then, its text. */
union argument {
    struct place {
        size_t at, size;
    } place;
    struct text text;
};

_Static_assert(sizeof(union argument) == sizeof(struct text), "the list becomes one of texts");

struct resp_reader {
    size_t request_bytes_max;
    size_t seen;    /* bytes of the last call */
    bool delivered; /* the last request: the next call begins another */
    /* The request under way. */
    size_t at;        /* what is read next begins here: a header line, or a bulk */
    size_t scanned;   /* the line at `at` does not end before */
    bool counted;     /* its count has been read */
    bool in_bulk;     /* the header of the bulk at `at` has been read */
    size_t bulk_size; /* that of it */
    size_t expected;  /* arguments, as the count says */
    size_t count, room;
    union argument *arguments;
    uint8_t *unquoted; /* the words of an inline command; NULL: none */
    char error[ERROR_BYTES_MAX];
};

/* How far one part of a request has come. */
enum part { PART_MORE, PART_WHOLE, PART_WRONG };

struct resp_reader *resp_reader_new(size_t request_bytes_max)
{
    struct resp_reader *reader = memory_new(sizeof(*reader));
    reader->request_bytes_max = request_bytes_max;
    return reader;
}

void resp_reader_free(struct resp_reader *reader)
{
    if (reader == NULL)
        return;
    memory_free(reader->arguments);
    memory_free(reader->unquoted);
    memory_free(reader);
}

__attribute__((format(printf, 2, 3))) static enum part wrong(struct resp_reader *reader, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vsnprintf(reader->error, sizeof(reader->error), format, values);
    va_end(values);
    return PART_WRONG;
}

/* Room is made for what has come, never for what was announced. */
static union argument *add_argument(struct resp_reader *reader)
{
    if (reader->count == reader->room) {
        reader->room = reader->room > 0 ? 2 * reader->room : ARGUMENTS_LEAST;
        reader->arguments = memory_resize(reader->arguments, reader->room * sizeof(*reader->arguments));
    }
    return &reader->arguments[reader->count++];
}

/* What the request takes at least, by what is known of it. */
static size_t bytes_needed(const struct resp_reader *reader)
{
    size_t headerless = reader->expected - reader->count - (reader->in_bulk ? 1 : 0);
    return reader->at + (reader->in_bulk ? reader->bulk_size + 2 : 0) + headerless * ARGUMENT_BYTES_MIN;
}

static enum part check_size(struct resp_reader *reader, size_t needed)
{
    if (needed > reader->request_bytes_max)
        return wrong(reader, "Protocol error: a request has at most %zu bytes (max_request_bytes)",
                     reader->request_bytes_max);
    return PART_WHOLE;
}

/* Looks for the byte that ends the line at `at`, each byte once. The limit depends on the line alone, not on how its
 * bytes came. */
static enum part find_line_end(struct resp_reader *reader, const uint8_t *bytes, size_t size, char last,
                               const char *too_big, size_t *end)
{
    size_t limit = reader->at + RESP_LINE_MAX + 1;
    size_t from = reader->scanned > reader->at ? reader->scanned : reader->at;
    size_t to = size < limit ? size : limit;
    const uint8_t *found = from < to ? memchr(bytes + from, last, to - from) : NULL;
    if (found != NULL) {
        *end = (size_t)(found - bytes);
        return PART_WHOLE;
    }
    reader->scanned = to;
    return size >= limit ? wrong(reader, "Protocol error: %s", too_big) : PART_MORE;
}

/* ---- Arrays of bulks ---- */

/* As Redis reads numbers: no spaces, no plus, no zero in front. */
static bool read_number(const uint8_t *digits, size_t size, int64_t *number)
{
    bool negative = size > 0 && digits[0] == '-';
    uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
    uint64_t value = 0;
    size_t first = negative ? 1 : 0;
    if (size == first || (digits[first] == '0' && size > 1))
        return false;
    for (size_t i = first; i < size; i++) {
        uint64_t digit = (uint64_t)digits[i] - '0';
        if (digit > 9 || value > (limit - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *number = (int64_t)(negative ? -value : value);
    return true;
}

/* The line at `at`: from its type to its CR, where an LF must follow. Redis takes any byte for the LF. */
static enum part find_header(struct resp_reader *reader, const uint8_t *bytes, size_t size, const char *too_big,
                             size_t *end)
{
    enum part part = find_line_end(reader, bytes, size, '\r', too_big, end);
    if (part == PART_WHOLE && *end + 2 > size) {
        reader->scanned = *end;
        return PART_MORE;
    }
    return part;
}

/* The number of a header that ends at `end`. */
static bool read_header(const struct resp_reader *reader, const uint8_t *bytes, size_t end, int64_t *number)
{
    return bytes[end + 1] == '\n' && read_number(bytes + reader->at + 1, end - reader->at - 1, number);
}

static enum part read_count(struct resp_reader *reader, const uint8_t *bytes, size_t size)
{
    size_t end;
    int64_t count;
    enum part part = find_header(reader, bytes, size, "too big mbulk count string", &end);
    if (part != PART_WHOLE)
        return part;
    if (!read_header(reader, bytes, end, &count) || count > RESP_ARGUMENTS_MAX)
        return wrong(reader, "Protocol error: invalid multibulk length");
    reader->counted = true;
    reader->expected = count > 0 ? (size_t)count : 0;
    reader->at = end + 2;
    return check_size(reader, bytes_needed(reader));
}

static enum part read_bulk_size(struct resp_reader *reader, const uint8_t *bytes, size_t size)
{
    size_t end;
    int64_t bulk_size;
    enum part part = find_header(reader, bytes, size, "too big bulk count string", &end);
    if (part != PART_WHOLE)
        return part;
    uint8_t type = bytes[reader->at];
    if (type != '$') /* the error is one line of text, whatever has come */
        return wrong(reader, "Protocol error: expected '$', got '%c'",
                     type == '\r' || type == '\n' || type == '\0' ? ' ' : type);
    if (!read_header(reader, bytes, end, &bulk_size) || bulk_size < 0 || bulk_size > RESP_BULK_MAX)
        return wrong(reader, "Protocol error: invalid bulk length");
    reader->in_bulk = true;
    reader->bulk_size = (size_t)bulk_size;
    reader->at = end + 2;
    return check_size(reader, bytes_needed(reader));
}

static enum part read_bulk(struct resp_reader *reader, const uint8_t *bytes, size_t size)
{
    enum part part = reader->in_bulk ? PART_WHOLE : read_bulk_size(reader, bytes, size);
    if (part != PART_WHOLE)
        return part;
    if (size - reader->at < reader->bulk_size + 2)
        return PART_MORE;
    const uint8_t *behind = bytes + reader->at + reader->bulk_size;
    if (behind[0] != '\r' || behind[1] != '\n')
        return wrong(reader, "Protocol error: expected CRLF behind a bulk");
    add_argument(reader)->place = (struct place){.at = reader->at, .size = reader->bulk_size};
    reader->in_bulk = false;
    reader->at += reader->bulk_size + 2;
    return PART_WHOLE;
}

static enum part read_array(struct resp_reader *reader, const uint8_t *bytes, size_t size)
{
    enum part part = reader->counted ? PART_WHOLE : read_count(reader, bytes, size);
    while (part == PART_WHOLE && reader->count < reader->expected)
        part = read_bulk(reader, bytes, size);
    for (size_t i = 0; part == PART_WHOLE && i < reader->count; i++) {
        struct place place = reader->arguments[i].place;
        reader->arguments[i].text = (struct text){.bytes = bytes + place.at, .size = place.size};
    }
    return part;
}

/* ---- Inline commands: words, and quoting, as Redis's sdssplitargs has them ---- */

#define END (-1)

/* A zero byte is one like others: Redis never sees what is behind it. */
struct line {
    const uint8_t *bytes;
    size_t size;
    size_t at;    /* the next byte */
    uint8_t *put; /* where the next one of a word goes; it is never longer than the line */
};

static int peek(const struct line *line, size_t ahead)
{
    return ahead < line->size - line->at ? line->bytes[line->at + ahead] : END;
}

static bool is_space(int byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r'); /* with \v and \f, */
}

static bool ends_word(int byte)
{
    return byte == END || byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n'; /* which do not end a word */
}

static int hex_digit(int byte)
{
    int lower = byte | 0x20;
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : END;
}

/* What the escape stands for that begins at the next byte, a backslash that is not the line's last. */
static int take_escape(struct line *line)
{
    static const char LETTERS[] = "nrtba";
    static const char MEANINGS[] = "\n\r\t\b\a";
    int letter = peek(line, 1);
    int high = hex_digit(peek(line, 2));
    int low = hex_digit(peek(line, 3));
    if (letter == 'x' && high != END && low != END) {
        line->at += 4;
        return high * 16 + low;
    }
    line->at += 2;
    const char *found = letter > 0 ? strchr(LETTERS, letter) : NULL;
    return found != NULL ? MEANINGS[found - LETTERS] : letter;
}

static int take_quoted_byte(struct line *line, int quote)
{
    int byte = peek(line, 0);
    int next = peek(line, 1);
    if (byte == '\\' && quote == '"' && next != END)
        return take_escape(line);
    if (byte == '\\' && next == '\'') /* within single quotes, that is the only escape */
        line->at++;
    return line->bytes[line->at++];
}

/* Behind an opening quote. The closing one must be the end of the word. */
static bool take_quoted(struct line *line, int quote)
{
    for (int byte; (byte = peek(line, 0)) != END && byte != quote;)
        *line->put++ = (uint8_t)take_quoted_byte(line, quote);
    if (peek(line, 0) == END)
        return false;
    line->at++;
    return peek(line, 0) == END || is_space(peek(line, 0));
}

static bool take_word(struct line *line)
{
    for (int byte; !ends_word(byte = peek(line, 0));) {
        line->at++;
        if (byte == '"' || byte == '\'')
            return take_quoted(line, byte);
        *line->put++ = (uint8_t)byte;
    }
    return true;
}

static enum part split(struct resp_reader *reader, struct line *line)
{
    for (;;) {
        while (is_space(peek(line, 0)))
            line->at++;
        if (peek(line, 0) == END)
            return PART_WHOLE;
        const uint8_t *word = line->put;
        if (!take_word(line))
            return wrong(reader, "Protocol error: unbalanced quotes in request");
        add_argument(reader)->text = (struct text){.bytes = word, .size = (size_t)(line->put - word)};
    }
}

static enum part read_inline(struct resp_reader *reader, const uint8_t *bytes, size_t size)
{
    size_t end;
    enum part part = find_line_end(reader, bytes, size, '\n', "too big inline request", &end);
    if (part == PART_WHOLE)
        part = check_size(reader, end + 1);
    if (part != PART_WHOLE)
        return part;
    struct line line = {.bytes = bytes, .size = end}; /* a CR before the LF is one of the spaces */
    reader->unquoted = line.put = memory_new(line.size);
    reader->at = end + 1;
    return split(reader, &line);
}

/* ---- Whichever it is ---- */

static void begin(struct resp_reader *reader)
{
    if (reader->room > ARGUMENTS_KEPT) {
        memory_free(reader->arguments);
        reader->arguments = NULL;
        reader->room = 0;
    }
    memory_free(reader->unquoted);
    reader->unquoted = NULL;
    reader->at = reader->scanned = reader->count = reader->expected = 0;
    reader->counted = reader->in_bulk = reader->delivered = false;
}

enum resp_state resp_read(struct resp_reader *reader, const uint8_t *bytes, size_t size, size_t *used)
{
    *used = 0;
    if (reader->error[0] != '\0')
        return RESP_ERROR;
    if (reader->delivered)
        begin(reader);
    assert(reader->at <= size);
    reader->seen = size;
    if (size == 0)
        return RESP_MORE;
    enum part part = bytes[0] == '*' ? read_array(reader, bytes, size) : read_inline(reader, bytes, size);
    if (part != PART_WHOLE)
        return part == PART_MORE ? RESP_MORE : RESP_ERROR;
    *used = reader->at;
    reader->delivered = true;
    return RESP_REQUEST;
}

const struct text *resp_arguments(const struct resp_reader *reader, size_t *count)
{
    *count = reader->delivered ? reader->count : 0;
    return reader->arguments != NULL ? &reader->arguments->text : NULL;
}

const char *resp_error(const struct resp_reader *reader)
{
    return reader->error;
}

size_t resp_wanted(const struct resp_reader *reader)
{
    size_t needed = bytes_needed(reader);
    size_t most = 2 * reader->seen;
    if (reader->delivered)
        return 1;
    if (needed <= reader->seen)
        return reader->seen + 1;
    return needed < most ? needed : most;
}

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
