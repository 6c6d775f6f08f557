#include "serve/json_strict.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct scan {
    const char *text;
    size_t size;
    size_t at; /* the next byte */
    int depth;
    struct mailraft_error *err;
};

#define END (-1)

static bool scan_value(struct scan *scan);

static int byte_at(const struct scan *scan, size_t at)
{
    return at < scan->size ? (unsigned char)scan->text[at] : END;
}

static int peek(const struct scan *scan)
{
    return byte_at(scan, scan->at);
}

/* Raises what is wrong at a place. */
static bool wrong(const struct scan *scan, size_t at, const char *what)
{
    size_t line = 1;
    size_t column = 1;
    for (size_t i = 0; i < at; i++) {
        unsigned char byte = (unsigned char)scan->text[i];
        if (byte == '\n') {
            line++;
            column = 1;
        } else if ((byte & 0xc0) != 0x80) { /* all but the later bytes of a character */
            column++;
        }
    }
    return error_raise(scan->err, &CONFIG_ERROR, "line %zu, column %zu: %s", line, column, what);
}

static bool wrong_expected(const struct scan *scan, const char *expected)
{
    char what[120];
    int byte = peek(scan);
    if (byte == END)
        snprintf(what, sizeof(what), "the file ends where %s should be", expected);
    else if (byte > ' ' && byte < 0x7f)
        snprintf(what, sizeof(what), "%c where %s should be", byte, expected);
    else
        snprintf(what, sizeof(what), "byte 0x%02x where %s should be", (unsigned int)byte, expected);
    return wrong(scan, scan->at, what);
}

static void skip_space(struct scan *scan)
{
    int byte = peek(scan);
    while (byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r') {
        scan->at++;
        byte = peek(scan);
    }
}

static bool is_digit(int byte)
{
    return byte >= '0' && byte <= '9';
}

/* The value of four hexadecimal digits, or -1. */
static int32_t hex4_at(const struct scan *scan, size_t at)
{
    int32_t value = 0;
    for (size_t i = 0; i < 4; i++) {
        int byte = byte_at(scan, at + i);
        int lower = byte | 0x20;
        int digit = is_digit(byte) ? byte - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* The character that an escape at `at` (its backslash) stands for, and its length; -1: it is none. */
static int32_t escape_at(const struct scan *scan, size_t at, size_t *length)
{
    static const char LETTERS[] = "\"\\/bfnrt";
    static const char MEANINGS[] = "\"\\/\b\f\n\r\t";
    int letter = byte_at(scan, at + 1);
    *length = 2;
    if (letter != 'u') {
        const char *found = letter > 0 ? strchr(LETTERS, letter) : NULL;
        return found != NULL ? MEANINGS[found - LETTERS] : -1;
    }
    int32_t high = hex4_at(scan, at + 2);
    *length = 6;
    if (high < 0xd800 || high > 0xdfff)
        return high;
    if (high > 0xdbff || byte_at(scan, at + 6) != '\\' || byte_at(scan, at + 7) != 'u')
        return -1; /* half of a pair */
    int32_t low = hex4_at(scan, at + 8);
    *length = 12;
    return low < 0xdc00 || low > 0xdfff ? -1 : 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/* The character whose UTF-8 begins at `at`, and its length; -1: it is none. */
static int32_t utf8_at(const struct scan *scan, size_t at, size_t *length)
{
    static const int32_t SMALLEST[] = {0, 0, 0x80, 0x800, 0x10000}; /* a shorter form exists below */
    int first = byte_at(scan, at);
    *length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (*length == 1)
        return first;
    if (first < 0xc0 || first > 0xf7)
        return -1;
    int32_t character = first & (0x7f >> *length);
    for (size_t i = 1; i < *length; i++) {
        int byte = byte_at(scan, at + i);
        if (byte == END || (byte & 0xc0) != 0x80)
            return -1;
        character = (character << 6) | (byte & 0x3f);
    }
    bool surrogate = character >= 0xd800 && character <= 0xdfff;
    return character < SMALLEST[*length] || character > 0x10ffff || surrogate ? -1 : character;
}

/* The character at `at` within a string, written as an escape or not, and its length; -1: it is none. */
static int32_t character_at(const struct scan *scan, size_t at, size_t *length)
{
    return byte_at(scan, at) == '\\' ? escape_at(scan, at, length) : utf8_at(scan, at, length);
}

/* After the opening quote: up to and over the closing one. */
static bool scan_string(struct scan *scan)
{
    for (;;) {
        int byte = peek(scan);
        if (byte == '"') {
            scan->at++;
            return true;
        }
        if (byte == END)
            return wrong(scan, scan->at, "the file ends within a string");
        if (byte < ' ')
            return wrong(scan, scan->at, "a control character in a string; write it as \\n, \\t or \\uNNNN");
        size_t length;
        int32_t character = character_at(scan, scan->at, &length);
        if (character < 0)
            return wrong(scan, scan->at, byte == '\\' ? "this escape stands for no character" : "this is not UTF-8");
        if (character == 0)
            return wrong(scan, scan->at, "a string must not contain \\u0000");
        scan->at += length;
    }
}

/* Whether two strings that have been scanned are the same text, however it is escaped. From behind their quotes. */
static bool same_text(const struct scan *scan, size_t one, size_t other)
{
    while (scan->text[one] != '"' && scan->text[other] != '"') {
        size_t one_length, other_length;
        if (character_at(scan, one, &one_length) != character_at(scan, other, &other_length))
            return false;
        one += one_length;
        other += other_length;
    }
    return scan->text[one] == scan->text[other];
}

static bool scan_key(struct scan *scan, size_t *keys, size_t *count)
{
    if (peek(scan) != '"')
        return wrong_expected(scan, "a key in double quotes");
    size_t key = scan->at + 1;
    if (*count == JSON_KEYS_MAX)
        return wrong(scan, scan->at, "too many keys in one object");
    scan->at++;
    if (!scan_string(scan))
        return false;
    for (size_t i = 0; i < *count; i++)
        if (same_text(scan, keys[i], key))
            return wrong(scan, key - 1, "this key stands twice in its object");
    keys[(*count)++] = key;
    return true;
}

/* From behind the opening brace. */
static bool scan_object(struct scan *scan)
{
    size_t keys[JSON_KEYS_MAX];
    size_t count = 0;
    skip_space(scan);
    if (peek(scan) == '}') {
        scan->at++;
        return true;
    }
    for (;;) {
        skip_space(scan);
        if (!scan_key(scan, keys, &count))
            return false;
        skip_space(scan);
        if (peek(scan) != ':')
            return wrong_expected(scan, "a colon");
        scan->at++;
        if (!scan_value(scan))
            return false;
        int byte = peek(scan);
        if (byte != ',' && byte != '}')
            return wrong_expected(scan, "a comma or }");
        scan->at++;
        if (byte == '}')
            return true;
    }
}

/* From behind the opening bracket. */
static bool scan_array(struct scan *scan)
{
    skip_space(scan);
    if (peek(scan) == ']') {
        scan->at++;
        return true;
    }
    for (;;) {
        if (!scan_value(scan))
            return false;
        int byte = peek(scan);
        if (byte != ',' && byte != ']')
            return wrong_expected(scan, "a comma or ]");
        scan->at++;
        if (byte == ']')
            return true;
    }
}

static size_t skip_digits(struct scan *scan)
{
    size_t from = scan->at;
    while (is_digit(peek(scan)))
        scan->at++;
    return scan->at - from;
}

static bool scan_number(struct scan *scan)
{
    if (peek(scan) == '-')
        scan->at++;
    bool zero = peek(scan) == '0';
    size_t from = scan->at;
    size_t digits = skip_digits(scan);
    if (digits == 0)
        return wrong_expected(scan, "a digit");
    if (zero && digits > 1)
        return wrong(scan, from, "a number must not begin with 0");
    if (digits > JSON_DIGITS_MAX)
        return wrong(scan, from, "this number is too large");
    if (peek(scan) == '.') {
        scan->at++;
        if (skip_digits(scan) == 0)
            return wrong_expected(scan, "a digit");
    }
    if (peek(scan) == 'e' || peek(scan) == 'E') {
        scan->at++;
        if (peek(scan) == '+' || peek(scan) == '-')
            scan->at++;
        if (skip_digits(scan) == 0)
            return wrong_expected(scan, "a digit");
    }
    return true;
}

static bool scan_word(struct scan *scan)
{
    static const char *const WORDS[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof(WORDS) / sizeof(WORDS[0]); i++) {
        size_t length = strlen(WORDS[i]);
        if (scan->size - scan->at >= length && memcmp(scan->text + scan->at, WORDS[i], length) == 0) {
            scan->at += length;
            return true;
        }
    }
    return wrong_expected(scan, "a value");
}

static bool scan_nested(struct scan *scan)
{
    if (scan->depth == JSON_DEPTH_MAX)
        return wrong(scan, scan->at, "too many arrays and objects within each other");
    int opening = peek(scan);
    scan->at++;
    scan->depth++;
    bool good = opening == '{' ? scan_object(scan) : scan_array(scan);
    scan->depth--;
    return good;
}

/* A value and the space around it. */
static bool scan_value(struct scan *scan)
{
    skip_space(scan);
    int byte = peek(scan);
    bool good;
    if (byte == '{' || byte == '[') {
        good = scan_nested(scan);
    } else if (byte == '"') {
        scan->at++;
        good = scan_string(scan);
    } else if (byte == '-' || is_digit(byte)) {
        good = scan_number(scan);
    } else {
        good = scan_word(scan);
    }
    skip_space(scan);
    return good;
}

bool json_strict_check(const char *text, size_t size, struct mailraft_error *err)
{
    struct scan scan = {.text = text, .size = size, .err = err};
    if (!scan_value(&scan))
        return false;
    assert(scan.depth == 0);
    return scan.at == size || wrong_expected(&scan, "the end of the file");
}
