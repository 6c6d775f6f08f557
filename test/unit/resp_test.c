#include "serve/resp.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "check.h"
#include "sockets.h"
#include "transcript.h"
#include "unit/real_redis.h"

#define MUCH ((size_t)1 << 30) /* more than any request here has */

/* ---- Requests ---- */

static void assert_transcript_within(const void *stream, size_t size, size_t request_bytes_max, const char *expected)
{
    char *whole = transcript_of(stream, size, request_bytes_max, 0, 0);
    char *bytewise = transcript_of(stream, size, request_bytes_max, 1, 0);
    cr_assert_str_eq(whole, expected);
    cr_assert_str_eq(bytewise, expected);
    free(whole);
    free(bytewise);
}

static void assert_transcript(const char *stream, const char *expected)
{
    assert_transcript_within(stream, strlen(stream), MUCH, expected);
}

Test(resp_read, an_array_of_bulks_is_a_request)
{
    assert_transcript("*1\r\n$4\r\nPING\r\n", "[PING]\n0 bytes left\n");
    assert_transcript("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$0\r\n\r\n", "[SET][a][]\n0 bytes left\n");
    assert_transcript("*2\r\n$4\r\nECHO\r\n$11\r\nelevenbytes\r\n", "[ECHO][elevenbytes]\n0 bytes left\n");
}

Test(resp_read, requests_come_one_behind_the_other)
{
    assert_transcript("*1\r\n$4\r\nPING\r\nECHO a\r\n*1\r\n$4\r\nQUIT\r\n*1",
                      "[PING]\n[ECHO][a]\n[QUIT]\n2 bytes left\n");
}

Test(resp_read, a_bulk_may_hold_any_bytes)
{
    static const char STREAM[] = "*1\r\n$9\r\n\r\n$1\0\xff*1\n\r\n";
    assert_transcript_within(STREAM, sizeof(STREAM) - 1, MUCH, "[\\x0d\\x0a$1\\x00\\xff*1\\x0a]\n0 bytes left\n");
}

Test(resp_read, no_arguments_want_no_answer)
{
    assert_transcript("*0\r\n*-1\r\n*-9223372036854775808\r\n\r\n\n \t\r\nPING\r\n",
                      "nothing\nnothing\nnothing\nnothing\nnothing\nnothing\n[PING]\n0 bytes left\n");
}

/* The list is kept from request to request, unless it is long. */
Test(resp_read, a_request_with_many_arguments_is_followed_by_one_with_few)
{
    struct mailraft_buffer stream = {0};
    resp_put_array(&stream, 5000);
    for (int i = 0; i < 5000; i++)
        resp_put_text(&stream, "k");
    mailraft_buffer_put(&stream, "PING\r\nPING\r\n", 12);
    char *transcript = transcript_of(stream.bytes, stream.size, MUCH, 0, 0);
    cr_assert_eq(strlen(transcript), 5000 * strlen("[k]") + strlen("\n[PING]\n[PING]\n0 bytes left\n"));
    free(transcript);
    buffer_fini(&stream);
}

Test(resp_read, what_is_no_count_is_an_error)
{
    static const char *const COUNTS[] = {"",
                                         "x",
                                         "+1",
                                         " 1",
                                         "1 ",
                                         "01",
                                         "-0",
                                         "1x",
                                         "-",
                                         "0x1",
                                         "1.0",
                                         "1\n",
                                         "*1",
                                         "1048577",
                                         "-01",
                                         "9223372036854775808",
                                         "-9223372036854775809",
                                         "99999999999999999999999"};
    for (size_t i = 0; i < sizeof(COUNTS) / sizeof(COUNTS[0]); i++) {
        char stream[64];
        snprintf(stream, sizeof(stream), "*%s\r\n$4\r\nPING\r\n", COUNTS[i]);
        assert_transcript(stream, "error: Protocol error: invalid multibulk length\n");
    }
    assert_transcript("*1\rx", "error: Protocol error: invalid multibulk length\n");
    assert_transcript("*1048576\r\n", "10 bytes left\n");
}

Test(resp_read, what_is_no_length_of_a_bulk_is_an_error)
{
    static const char *const SIZES[] = {
        "", "x", "+4", " 4", "04", "-0", "-1", "-4", "4x", "536870913", "9223372036854775808"};
    for (size_t i = 0; i < sizeof(SIZES) / sizeof(SIZES[0]); i++) {
        char stream[64];
        snprintf(stream, sizeof(stream), "*1\r\n$%s\r\nPING\r\n", SIZES[i]);
        assert_transcript(stream, "error: Protocol error: invalid bulk length\n");
    }
    assert_transcript("*1\r\n$4\rxPING\r\n", "error: Protocol error: invalid bulk length\n");
    assert_transcript("*1\r\n$536870912\r\n", "16 bytes left\n");
}

Test(resp_read, an_argument_must_be_a_bulk)
{
    assert_transcript("*1\r\n:4\r\n", "error: Protocol error: expected '$', got ':'\n");
    assert_transcript("*1\r\n*1\r\n$4\r\nPING\r\n", "error: Protocol error: expected '$', got '*'\n");
    assert_transcript("*2\r\n$4\r\nECHO\r\nx\r\n", "error: Protocol error: expected '$', got 'x'\n");
}

Test(resp_read, an_error_is_one_line_of_text_whatever_came)
{
    static const char ZERO[] = "*1\r\n\0\r\n";
    assert_transcript("*1\r\n\r\n", "error: Protocol error: expected '$', got ' '\n");
    assert_transcript("*1\r\n\n\r\n", "error: Protocol error: expected '$', got ' '\n");
    assert_transcript_within(ZERO, sizeof(ZERO) - 1, MUCH, "error: Protocol error: expected '$', got ' '\n");
}

Test(resp_read, behind_a_bulk_comes_a_line_end)
{
    assert_transcript("*1\r\n$4\r\nPINGx\n", "error: Protocol error: expected CRLF behind a bulk\n");
    assert_transcript("*1\r\n$4\r\nPING\rx", "error: Protocol error: expected CRLF behind a bulk\n");
    assert_transcript("*1\r\n$3\r\nPING\r\n", "error: Protocol error: expected CRLF behind a bulk\n");
}

/* A stream of so many bytes: those of `begin`, then x's. */
static char *long_stream(const char *begin, size_t size)
{
    char *stream = malloc(size);
    memset(stream, 'x', size);
    memcpy(stream, begin, strlen(begin));
    return stream;
}

static void assert_long(const char *begin, size_t size, const char *end, const char *expected)
{
    char *stream = long_stream(begin, size);
    memcpy(stream + size - strlen(end), end, strlen(end));
    for (size_t piece_max = 0; piece_max < 100000; piece_max = 40 * piece_max + 40) {
        char *transcript = transcript_of(stream, size, MUCH, piece_max, 1);
        cr_assert_str_eq(transcript, expected);
        free(transcript);
    }
    free(stream);
}

Test(resp_read, a_line_that_is_too_long_is_an_error)
{
    assert_long("*", RESP_LINE_MAX, "", "65536 bytes left\n");
    assert_long("*", RESP_LINE_MAX + 1, "", "error: Protocol error: too big mbulk count string\n");
    assert_long("*", RESP_LINE_MAX + 2, "\r\n", "error: Protocol error: invalid multibulk length\n");
    assert_long("*", RESP_LINE_MAX + 3, "\r\n", "error: Protocol error: too big mbulk count string\n");
    assert_long("*1\r\n$", 4 + RESP_LINE_MAX, "", "65540 bytes left\n");
    assert_long("*1\r\n$", 4 + RESP_LINE_MAX + 1, "", "error: Protocol error: too big bulk count string\n");
    assert_long("*1\r\n$", 4 + RESP_LINE_MAX + 3, "\r\n", "error: Protocol error: too big bulk count string\n");
    assert_long("SET ", RESP_LINE_MAX, "", "65536 bytes left\n");
    assert_long("SET ", RESP_LINE_MAX + 1, "", "error: Protocol error: too big inline request\n");
    assert_long("SET ", RESP_LINE_MAX + 2, "\n", "error: Protocol error: too big inline request\n");
}

Test(resp_read, an_inline_command_may_fill_a_line)
{
    char *stream = long_stream("SET ", RESP_LINE_MAX + 1);
    stream[RESP_LINE_MAX] = '\n';
    char *transcript = transcript_of(stream, RESP_LINE_MAX + 1, MUCH, 0, 0);
    cr_assert_eq(strlen(transcript), strlen("[SET][]\n0 bytes left\n") + RESP_LINE_MAX - 4);
    free(transcript);
    free(stream);
}

Test(resp_read, a_request_is_refused_as_soon_as_it_must_become_too_large)
{
    static const char ERROR[] = "error: Protocol error: a request has at most 29 bytes (max_request_bytes)\n";
    static const char FITS[] = "*2\r\n$4\r\nECHO\r\n$9\r\n012345678\r\n"; /* has 29 */
    assert_transcript_within(FITS, strlen(FITS), 29, "[ECHO][012345678]\n0 bytes left\n");
    assert_transcript_within("*2\r\n$4\r\nECHO\r\n$10\r\n", 19, 29, ERROR);
    assert_transcript_within("*2\r\n$14\r\n", 9, 29, ERROR); /* 9 + 14 + 2, and 6 at least of the other argument */
    assert_transcript_within("*2\r\n$12\r\n", 9, 29, "9 bytes left\n");
    assert_transcript_within("*4\r\n", 4, 29, "4 bytes left\n"); /* 4 + 4 * 6 */
    assert_transcript_within("*5\r\n", 4, 29, ERROR);
    assert_transcript_within("ECHO 01234567890123456789012\n", 29, 29,
                             "[ECHO][01234567890123456789012]\n0 bytes left\n");
    assert_transcript_within("ECHO 01234567890123456789012\r\n", 30, 29, ERROR);
}

Test(resp_read, the_words_of_an_inline_command_are_apart_by_spaces)
{
    assert_transcript("SET a 1\r\nGET a\n", "[SET][a][1]\n[GET][a]\n0 bytes left\n");
    assert_transcript("  SET\t a \v\f b  \r\n", "[SET][a][b]\n0 bytes left\n");
    assert_transcript("SET a\vb\rc\td\r\n", "[SET][a\\x0bb][c][d]\n0 bytes left\n");
    assert_transcript("GET *1\n$4\r\n", "[GET][*1]\n[$4]\n0 bytes left\n");
    assert_transcript("a b c d e f g h i j k l m n o p q\n",
                      "[a][b][c][d][e][f][g][h][i][j][k][l][m][n][o][p][q]\n0 bytes left\n");
}

Test(resp_read, double_quotes_know_escapes)
{
    assert_transcript("SET \"a b\" \"\"\n", "[SET][a b][]\n0 bytes left\n");
    assert_transcript("ECHO \"\\n\\r\\t\\b\\a\\\"\\\\\\q\\'\"\n",
                      "[ECHO][\\x0a\\x0d\\x09\\x08\\x07\"\\x5cq']\n0 bytes left\n");
    assert_transcript("ECHO \"\\x41\\x0a\\xfF\\x00\"\n", "[ECHO][A\\x0a\\xff\\x00]\n0 bytes left\n");
    assert_transcript("ECHO \"\\x4g\\x\\x4\"\n", "[ECHO][x4gxx4]\n0 bytes left\n");
    assert_transcript("ECHO \"it's\"\n", "[ECHO][it's]\n0 bytes left\n");
}

Test(resp_read, single_quotes_know_one_escape)
{
    assert_transcript("ECHO 'a b' '\\n\"\\x41' 'it\\'s'\n", "[ECHO][a b][\\x5cn\"\\x5cx41][it's]\n0 bytes left\n");
}

Test(resp_read, quotes_may_begin_within_a_word_and_end_it)
{
    assert_transcript("ECHO a\"b c\" a'b c'\t''\n", "[ECHO][ab c][ab c][]\n0 bytes left\n");
    assert_transcript("ECHO \"a\"\v\"b\"\n", "[ECHO][a][b]\n0 bytes left\n");
}

Test(resp_read, quotes_that_are_not_closed_or_not_at_the_end_of_a_word_are_an_error)
{
    static const char *const LINES[] = {"\"",   "'",     "\"a",     "'a",    "a\"",   "\"a'",     "\"a\"b",   "'a'b",
                                        "''''", "\"\"'", "\"a\\\"", "'a\\'", "\"a\\", "\"\\x4\\", "GET \"a b"};
    for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
        char stream[64];
        snprintf(stream, sizeof(stream), "%s\r\n", LINES[i]);
        assert_transcript(stream, "error: Protocol error: unbalanced quotes in request\n");
    }
}

Test(resp_read, zero_bytes_are_bytes_of_a_word)
{
    static const char STREAM[] = "ECHO a\0b \"\0\"\n";
    assert_transcript_within(STREAM, sizeof(STREAM) - 1, MUCH, "[ECHO][a\\x00b][\\x00]\n0 bytes left\n");
}

Test(resp_read, behind_an_error_nothing_is_read)
{
    struct resp_reader *reader = resp_reader_new(MUCH);
    size_t used = 7;
    size_t count = 7;
    cr_assert_eq(resp_read(reader, (const uint8_t *)"*x\r\n", 4, &used), RESP_ERROR);
    cr_assert_eq(resp_read(reader, (const uint8_t *)"PING\r\n", 6, &used), RESP_ERROR);
    cr_assert_eq(used, 0);
    cr_assert_str_eq(resp_error(reader), "Protocol error: invalid multibulk length");
    resp_arguments(reader, &count);
    cr_assert_eq(count, 0);
    resp_reader_free(reader);
}

Test(resp_read, arguments_lie_within_the_callers_bytes)
{
    static const uint8_t STREAM[] = "*2\r\n$3\r\nGET\r\n$1\r\na\r\n";
    struct resp_reader *reader = resp_reader_new(MUCH);
    size_t used, count;
    cr_assert_eq(resp_read(reader, STREAM, sizeof(STREAM) - 1, &used), RESP_REQUEST);
    const struct text *arguments = resp_arguments(reader, &count);
    cr_assert_eq(count, 2);
    cr_assert_eq(arguments[0].bytes, STREAM + 8);
    cr_assert_eq(arguments[1].bytes, STREAM + 17);
    resp_reader_free(reader);
    resp_reader_free(NULL);
}

/* What has been read of a request is not looked at again: it may as well have become something else. */
Test(resp_read, no_byte_is_looked_at_twice)
{
    static const char STREAM[] = "*2\r\n$4\r\nECHO\r\n$12\r\ntwelve bytes\r\n";
    struct resp_reader *reader = resp_reader_new(MUCH);
    uint8_t *bytes = malloc(RESP_LINE_MAX + 1);
    size_t used;
    memset(bytes, '\n', RESP_LINE_MAX + 1);
    for (size_t size = 1; size < sizeof(STREAM) - 1; size++) {
        size_t kept = size <= 4 ? 0 : size <= 8 ? 4 : size <= 14 ? 8 : size <= 19 ? 14 : 19; /* the part under way */
        memset(bytes, '\n', kept);
        bytes[0] = '*';
        memcpy(bytes + kept, STREAM + kept, size - kept);
        cr_assert_eq(resp_read(reader, bytes, size, &used), RESP_MORE, "%zu", size);
    }
    bytes[sizeof(STREAM) - 2] = '\n';
    cr_assert_eq(resp_read(reader, bytes, sizeof(STREAM) - 1, &used), RESP_REQUEST);
    resp_reader_free(reader);

    reader = resp_reader_new(MUCH);
    for (size_t size = 1; size <= RESP_LINE_MAX; size++) { /* a line that has no end yet */
        bytes[size - 1] = 'x';
        cr_assert_eq(resp_read(reader, bytes, size, &used), RESP_MORE);
        bytes[size - 1] = '\n';
    }
    resp_reader_free(reader);
    free(bytes);
}

/* (Under a sanitizer the heap does not tell.) */
Test(resp_read, nothing_is_allocated_for_what_is_announced)
{
    static const uint8_t STREAM[] = "*1048576\r\n$536870912\r\n";
    struct resp_reader *reader = resp_reader_new(MUCH);
    size_t before = mallinfo2().uordblks;
    size_t used;
    cr_assert_eq(resp_read(reader, STREAM, sizeof(STREAM) - 1, &used), RESP_MORE);
    cr_assert_eq(mallinfo2().uordblks, before);
    resp_reader_free(reader);
}

Test(resp_read, it_tells_how_many_bytes_are_wanted_but_at_most_twice_what_has_come)
{
    static const uint8_t STREAM[] = "*2\r\n$4\r\nECHO\r\n$1000\r\n0123456789";
    static const struct {
        size_t size, wanted;
    } STEPS[] = {{1, 2}, {4, 8}, {7, 14}, {8, 16}, {13, 20}, {14, 20}, {20, 21}, {21, 42}, {31, 62}};
    struct resp_reader *reader = resp_reader_new(MUCH);
    size_t used;
    for (size_t i = 0; i < sizeof(STEPS) / sizeof(STEPS[0]); i++) {
        cr_assert_eq(resp_read(reader, STREAM, STEPS[i].size, &used), RESP_MORE);
        cr_assert_eq(resp_wanted(reader), STEPS[i].wanted, "%zu of %zu bytes", resp_wanted(reader), STEPS[i].size);
    }
    resp_reader_free(reader);
    reader = resp_reader_new(MUCH);
    cr_assert_eq(resp_read(reader, (const uint8_t *)"PING\n", 5, &used), RESP_REQUEST);
    cr_assert_eq(resp_wanted(reader), 1); /* of the next one */
    resp_reader_free(reader);
}

Test(resp_read, a_stream_that_is_cut_anywhere_gives_the_same_requests)
{
    static const char STREAM[] =
        "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$10\r\n01234\r\n789\r\n\r\nECHO \"a\\x41\" 'b'\r\n*0\r\n"
        "*2\r\n$0\r\n\r\n$2\r\n\r\n\r\nPING\n*1\r\n$4\r\nPING\r\n*1\r\n$x";
    char *whole = transcript_of(STREAM, sizeof(STREAM) - 1, MUCH, 0, 0);
    for (uint64_t seed = 0; seed < 2000; seed++) {
        char *pieces = transcript_of(STREAM, sizeof(STREAM) - 1, MUCH, 1 + seed % 50, seed);
        cr_assert_str_eq(pieces, whole);
        free(pieces);
    }
    free(whole);
}

/* ---- Malformed and random ---- */

static uint64_t draw(uint64_t *seed, uint64_t below)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (*seed >> 33) % below;
}

/* Sound requests of all kinds. */
static void put_requests(struct mailraft_buffer *stream, uint64_t *seed)
{
    static const char *const INLINE[] = {"PING\r\n",    "SET \"a \\x41\" 'b c'\n", "\r\n", "*0\r\n", "*-1\r\n",
                                         "GET a\"b\"\n"};
    for (uint64_t requests = 1 + draw(seed, 4); requests > 0; requests--) {
        const char *line = INLINE[draw(seed, 6)];
        size_t count = draw(seed, 5);
        if (draw(seed, 3) == 0)
            mailraft_buffer_put(stream, line, strlen(line));
        resp_put_array(stream, count);
        for (size_t i = 0; i < count; i++)
            resp_put_bulk(stream, "\r\n$1\r\n0123456789*", draw(seed, 17));
    }
}

/* One byte becomes another one, is lost, comes twice, or a few are lost. */
static void mutate(struct mailraft_buffer *stream, uint64_t *seed)
{
    static const char BYTES[] = "\r\n$*:-+0123456789 \"'\\x\0\xff";
    size_t at = draw(seed, stream->size);
    size_t lost = draw(seed, 4);
    if (lost == 0 || lost > stream->size - at) {
        stream->bytes[at] = (uint8_t)BYTES[draw(seed, sizeof(BYTES) - 1)];
        return;
    }
    memmove(stream->bytes + at, stream->bytes + at + lost, stream->size - at - lost);
    stream->size -= lost;
    if (draw(seed, 3) == 0)
        mailraft_buffer_put(stream, BYTES + draw(seed, sizeof(BYTES) - 4), 1 + draw(seed, 3));
}

Test(resp_read, random_streams_are_read_the_same_in_whatever_pieces)
{
    size_t errors = 0;
    for (uint64_t round = 0; round < 20000; round++) {
        struct mailraft_buffer stream = {0};
        uint64_t seed = round;
        put_requests(&stream, &seed);
        for (uint64_t mutations = draw(&seed, 4); mutations > 0 && stream.size > 0; mutations--)
            mutate(&stream, &seed);
        size_t request_bytes_max = draw(&seed, 3) == 0 ? draw(&seed, 100) : MUCH;
        char *whole = transcript_of(stream.bytes, stream.size, request_bytes_max, 0, 0);
        char *pieces = transcript_of(stream.bytes, stream.size, request_bytes_max, 1 + draw(&seed, 9), seed);
        cr_assert_str_eq(pieces, whole, "round %llu", (unsigned long long)round);
        errors += strstr(whole, "error: ") != NULL;
        free(whole);
        free(pieces);
        buffer_fini(&stream);
    }
    cr_assert(errors > 5000 && errors < 15000, "%zu errors: the streams should be half sound", errors);
}

/* ---- Beside Redis ---- */

/* What Redis answers to a stream until it closes the connection; that it does is part of the answer. */
static void answer_of_redis(const struct real_redis *redis, const char *stream, size_t size, char *answer, size_t room)
{
    int fd = real_redis_connect(redis);
    plain_write(fd, stream, size);
    size_t got = plain_read(fd, answer, room - 1);
    cr_assert(got < room - 1);
    answer[got] = '\0';
    close(fd);
}

static void assert_error_of_redis(const struct real_redis *redis, const char *stream, size_t size)
{
    char answer[256], expected[256];
    char *transcript = transcript_of(stream, size, MUCH, 0, 0);
    cr_assert_eq(strncmp(transcript, "error: ", 7), 0, "%s%s", stream, transcript);
    snprintf(expected, sizeof(expected), "-ERR %.*s\r\n", (int)strlen(transcript) - 8, transcript + 7);
    answer_of_redis(redis, stream, size, answer, sizeof(answer));
    cr_assert_str_eq(answer, expected);
    free(transcript);
}

Test(resp_read, malformed_requests_are_refused_in_the_words_of_redis)
{
    static const char *const STREAMS[] = {"*\r\n",
                                          "*x\r\n",
                                          "*+1\r\n",
                                          "* 1\r\n",
                                          "*01\r\n",
                                          "*-0\r\n",
                                          "*1\n\r\n",
                                          "*9223372036854775808\r\n",
                                          "*2147483648\r\n",
                                          "*-9223372036854775809\r\n",
                                          "*1 \r\n",
                                          "*1\r\n$\r\n",
                                          "*1\r\n$-1\r\n",
                                          "*1\r\n$x\r\n",
                                          "*1\r\n$04\r\n",
                                          "*1\r\n$536870913\r\n",
                                          "*1\r\n$4\n\r\n",
                                          "*1\r\n:4\r\n",
                                          "*1\r\nPING\r\n",
                                          "*1\r\n\r\n",
                                          "*1\r\n\n\r\n",
                                          "*1\r\n\xff\r\n",
                                          "*2\r\n$4\r\nPING\r\n*\r\n",
                                          "\"\r\n",
                                          "GET 'a\r\n",
                                          "GET \"a\"b\n",
                                          "'\\'\n",
                                          "GET \"a\\\"\r\n",
                                          "\"\\x4\n"};
    struct real_redis redis;
    real_redis_start(&redis);
    for (size_t i = 0; i < sizeof(STREAMS) / sizeof(STREAMS[0]); i++)
        assert_error_of_redis(&redis, STREAMS[i], strlen(STREAMS[i]));
    static const char *const LONG[] = {"*", "*1\r\n$", "SET a"};
    for (size_t i = 0; i < sizeof(LONG) / sizeof(LONG[0]); i++) {
        size_t size = (i == 1 ? 4 : 0) + RESP_LINE_MAX + 1; /* not one more, or the answer may be lost with the rest */
        char *stream = long_stream(LONG[i], size);
        assert_error_of_redis(&redis, stream, size);
        free(stream);
    }
    real_redis_stop(&redis);
}

/* The answer to EVAL "return ARGV" 0 and whatever comes behind it: all arguments. */
static void put_expected_arguments(struct mailraft_buffer *expected, const char *line)
{
    struct resp_reader *reader = resp_reader_new(MUCH);
    size_t used, count;
    if (resp_read(reader, (const uint8_t *)line, strlen(line), &used) == RESP_ERROR) {
        resp_put_error(expected, "ERR %s", resp_error(reader));
    } else {
        const struct text *arguments = resp_arguments(reader, &count);
        resp_put_array(expected, count - 3);
        for (size_t i = 3; i < count; i++)
            resp_put_bulk(expected, arguments[i].bytes, arguments[i].size);
    }
    resp_reader_free(reader);
}

Test(resp_read, inline_commands_are_split_as_redis_splits_them)
{
    static const char BYTES[] = "ab\"\"''\\\\xn4f  \t\v\r";
    struct real_redis redis;
    real_redis_start(&redis);
    int fd = real_redis_connect(&redis);
    for (uint64_t seed = 0; seed < 5000; seed++) {
        struct mailraft_buffer expected = {0};
        uint64_t state = seed;
        char line[64] = "EVAL \"return ARGV\" 0 ";
        char answer[256];
        for (uint64_t size = draw(&state, 12); size > 0; size--)
            strncat(line, &BYTES[draw(&state, sizeof(BYTES) - 1)], 1);
        strcat(line, "\r\n");
        put_expected_arguments(&expected, line);
        plain_write(fd, line, strlen(line));
        cr_assert_eq(plain_read(fd, answer, expected.size), expected.size);
        cr_assert_arr_eq(answer, expected.bytes, expected.size, "%s answered: %.*s", line, (int)expected.size, answer);
        if (expected.bytes[0] == '-') {
            await_close(fd);
            close(fd);
            fd = real_redis_connect(&redis);
        }
        buffer_fini(&expected);
    }
    real_redis_stop(&redis);
}

/* ---- Replies ---- */

#define assert_put(Out, Text)                                                                                          \
    do {                                                                                                               \
        mailraft_buffer_put(Out, "", 1);                                                                               \
        cr_assert_str_eq((const char *)(Out)->bytes, Text);                                                            \
        buffer_clear(Out);                                                                                             \
    } while (0)

Test(resp_put, a_simple_string_is_a_line)
{
    struct mailraft_buffer out = {0};
    resp_put_simple(&out, "OK");
    assert_put(&out, "+OK\r\n");
    resp_put_simple(&out, "");
    assert_put(&out, "+\r\n");
    buffer_fini(&out);
}

Test(resp_put, an_error_is_formatted)
{
    struct mailraft_buffer out = {0};
    resp_put_error(&out, "ERR unknown command '%s', %d", "NOSUCH", 7);
    assert_put(&out, "-ERR unknown command 'NOSUCH', 7\r\n");
    buffer_fini(&out);
}

Test(resp_put, an_error_stays_one_line_whatever_is_in_it)
{
    struct mailraft_buffer out = {0};
    resp_put_error(&out, "ERR no '%s'", "a\r\nb\nc\rd");
    assert_put(&out, "-ERR no 'a  b c d'\r\n");
    resp_put_error(&out, "\r\n\nERR x\n\r\n");
    assert_put(&out, "-ERR x\r\n");
    resp_put_error(&out, "%s", "\r\n");
    assert_put(&out, "-\r\n");
    buffer_fini(&out);
}

Test(resp_put, an_error_is_never_cut)
{
    for (size_t size = 250; size < 260; size++) {
        struct mailraft_buffer out = {0};
        char text[300] = "";
        memset(text, 'e', size);
        resp_put_error(&out, "%s", text);
        cr_assert_eq(out.size, 1 + size + 2);
        cr_assert_arr_eq(out.bytes + 1, text, size);
        cr_assert_arr_eq(out.bytes + 1 + size, "\r\n", 2);
        buffer_fini(&out);
    }
}

Test(resp_put, integers_of_every_size_and_sign)
{
    struct mailraft_buffer out = {0};
    resp_put_integer(&out, 0);
    resp_put_integer(&out, 10);
    resp_put_integer(&out, -1);
    resp_put_integer(&out, INT64_MAX);
    resp_put_integer(&out, INT64_MIN);
    assert_put(&out, ":0\r\n:10\r\n:-1\r\n:9223372036854775807\r\n:-9223372036854775808\r\n");
    buffer_fini(&out);
}

Test(resp_put, a_bulk_may_hold_any_bytes_and_none)
{
    struct mailraft_buffer out = {0};
    resp_put_bulk(&out, "a\0\r\n", 4);
    resp_put_bulk(&out, NULL, 0);
    cr_assert_eq(out.size, 16);
    cr_assert_arr_eq(out.bytes, "$4\r\na\0\r\n\r\n$0\r\n\r\n", 16);
    buffer_clear(&out);
    resp_put_text(&out, "twelve bytes");
    assert_put(&out, "$12\r\ntwelve bytes\r\n");
    buffer_fini(&out);
}

Test(resp_put, nothing_is_told_apart_as_bulk_and_array_only_in_resp2)
{
    struct mailraft_buffer out = {0};
    resp_put_null(&out, false);
    resp_put_null_array(&out, false);
    assert_put(&out, "$-1\r\n*-1\r\n");
    resp_put_null(&out, true);
    resp_put_null_array(&out, true);
    assert_put(&out, "_\r\n_\r\n");
    buffer_fini(&out);
}

Test(resp_put, a_map_is_an_array_of_twice_as_many_and_a_set_an_array_in_resp2)
{
    struct mailraft_buffer out = {0};
    resp_put_array(&out, 3);
    resp_put_map(&out, 3, false);
    resp_put_set(&out, 3, false);
    assert_put(&out, "*3\r\n*6\r\n*3\r\n");
    resp_put_array(&out, 0);
    resp_put_map(&out, 3, true);
    resp_put_set(&out, 3, true);
    assert_put(&out, "*0\r\n%3\r\n~3\r\n");
    buffer_fini(&out);
}

Test(resp_put, a_verbatim_string_counts_its_format)
{
    struct mailraft_buffer out = {0};
    resp_put_verbatim(&out, "# Raft", 6, false);
    assert_put(&out, "$6\r\n# Raft\r\n");
    resp_put_verbatim(&out, "# Raft", 6, true);
    assert_put(&out, "=10\r\ntxt:# Raft\r\n");
    buffer_fini(&out);
}

Test(resp_put, a_truth_is_a_number_in_resp2)
{
    struct mailraft_buffer out = {0};
    resp_put_bool(&out, true, false);
    resp_put_bool(&out, false, false);
    resp_put_bool(&out, true, true);
    resp_put_bool(&out, false, true);
    assert_put(&out, ":1\r\n:0\r\n#t\r\n#f\r\n");
    buffer_fini(&out);
}
