/* The store's answers beside those of a real Redis: the same commands go to both, and what comes back is the same, byte
 * for byte, but where it may differ: the order of keys, which key is a random one, what time is left. */
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "check.h"
#include "sockets.h"
#include "unit/real_redis.h"
#include "unit/store.h"

#define COMMANDS      20000
#define ARGUMENTS_MAX 16
#define BYTES_MAX     200

/* ---- A Redis ---- */

static struct redis {
    struct real_redis server;
    int fd;
    struct mailraft_buffer in; /* what has come and was not taken yet */
} redis;

static void redis_say(const struct text *words, size_t count)
{
    struct mailraft_buffer bytes = {.bytes = NULL};

    resp_put_array(&bytes, count);
    for (size_t i = 0; i < count; i++)
        resp_put_bulk(&bytes, words[i].bytes, words[i].size);
    plain_write(redis.fd, bytes.bytes, bytes.size);
    buffer_fini(&bytes);
}

static void receive(void)
{
    uint8_t bytes[16384];

    await_readable(redis.fd);
    ssize_t got = recv(redis.fd, bytes, sizeof bytes, 0);
    cr_assert_gt(got, 0, "redis-server has closed the connection");
    mailraft_buffer_put(&redis.in, bytes, (size_t)got);
}

/* How many bytes the reply at the front has; 0: more than there are. */
static size_t reply_size(const uint8_t *bytes, size_t size)
{
    const uint8_t *end = memchr(bytes, '\n', size);

    if (end == NULL)
        return 0;
    size_t at = (size_t)(end - bytes) + 1;
    long count = strtol((const char *)bytes + 1, NULL, 10);
    if (strchr("$=", bytes[0]) != NULL && count >= 0)
        return at + (size_t)count + 2 <= size ? at + (size_t)count + 2 : 0;
    if (strchr("*~%", bytes[0]) == NULL)
        return at;
    for (long i = 0; i < (bytes[0] == '%' ? 2 : 1) * count; i++) {
        size_t element = reply_size(bytes + at, size - at);
        if (element == 0)
            return 0;
        at += element;
    }
    return at;
}

static void redis_ask(const struct text *words, size_t count, struct mailraft_buffer *reply)
{
    size_t size;

    redis_say(words, count);
    while ((size = redis.in.size > 0 ? reply_size(redis.in.bytes, redis.in.size) : 0) == 0)
        receive();
    cr_assert_eq(size, redis.in.size, "there is one reply to a command");
    buffer_clear(reply);
    mailraft_buffer_put(reply, redis.in.bytes, size);
    buffer_clear(&redis.in);
}

/* ---- Commands ---- */

/* How the answers to a command are compared. */
enum likeness {
    SAME,
    NEAR,      /* numbers that the passing of time makes smaller */
    UNORDERED, /* arrays whose elements have no order */
    SCANS,     /* what whole scans find */
    SHAPE      /* only the kind of the answer */
};

struct test_command {
    enum kv_op op;
    struct text words[ARGUMENTS_MAX]; /* the name too */
    size_t count;
    uint8_t bytes[ARGUMENTS_MAX][BYTES_MAX]; /* what the words point to */
};

/* Words of one small letter are drawn, by the letter:
 *     k key, v value, i integer, f float, o offset, p pattern, n database,
 *     s, m: time from now in seconds, in milliseconds; S, M: since 1970
 *     x any option, y one of SET, c one of EXPIRE: or nothing
 * Other words stand for themselves. */
/* clang-format off */
static const char *const TEMPLATES[] = {
    "GET k",
    "SET k v", "SET k v y", "SET k v y y", "SET k v y y y", "SET k v x x", "SET k v EX s", "SET k v PX m y",
    "SET k v EXAT S y", "SET k v PXAT M y", "SET k v y EX s y", "SET k v y KEEPTTL y", "SET k v y y PX m",
    "SETNX k v", "SETEX k s v", "PSETEX k m v", "GETSET k v", "GETDEL k",
    "GETEX k", "GETEX k y", "GETEX k EX s", "GETEX k PX m y", "GETEX k EXAT S", "GETEX k PXAT M", "GETEX k PERSIST",
    "APPEND k v", "APPEND k v", "STRLEN k", "GETRANGE k i i", "GETRANGE k i i", "SETRANGE k o v", "SETRANGE k o v",
    "INCR k", "INCR k", "DECR k", "INCRBY k i", "DECRBY k i", "INCRBYFLOAT k f", "INCRBYFLOAT k f",
    "MGET k k k", "MGET k", "MSET k v k v", "MSETNX k v k v", "MSETNX k v",
    "DEL k k", "DEL k", "UNLINK k k", "EXISTS k k k", "TOUCH k k",
    "EXPIRE k s", "EXPIRE k s c", "EXPIRE k s x c", "PEXPIRE k m c", "EXPIREAT k S c", "PEXPIREAT k M c",
    "PEXPIREAT k M c c",
    "EXPIRETIME k", "PEXPIRETIME k", "TTL k", "TTL k", "PTTL k", "PERSIST k", "TYPE k",
    "KEYS *", "KEYS p", "KEYS p", "SCAN 0", "SCAN 0 MATCH p", "SCAN 0 COUNT i MATCH p", "SCAN 0 TYPE string COUNT 3",
    "SCAN 0 TYPE hash", "SCAN i COUNT 3", "SCAN v", "SCAN 0 x x",
    "RENAME k k", "RENAMENX k k", "COPY k k", "COPY k k REPLACE", "COPY k k DB n", "COPY k k x x",
    "RANDOMKEY", "DBSIZE", "DBSIZE", "FLUSHDB", "FLUSHALL x", "FLUSHDB x x",
    "OBJECT ENCODING k", "OBJECT ENCODING k", "OBJECT FREQ k", "OBJECT IDLETIME k", "OBJECT REFCOUNT k", "OBJECT HELP",
    "OBJECT v k", "OBJECT",
};

static const char *const OPTIONS[] = {
    "NX", "XX", "GET", "EX", "PX", "EXAT", "PXAT", "KEEPTTL", "PERSIST", "GT", "LT", "CH", "REPLACE", "DB", "MATCH",
    "COUNT", "TYPE", "ASYNC", "SYNC", "", "NXX", "N",
};

static const char *const SET_OPTIONS[] = {"NX", "XX", "GET", "KEEPTTL", "PERSIST", "NX"};

static const char *const CONDITIONS[] = {"NX", "XX", "GT", "LT", "GT", "LT"};

/* No small positive number is among them: as a time it would be a short one. */
static const char *const VALUES[] = {
    "", "0", "-1", "-5", "007", "+1", " 1", "1 ", "-0", "00", "-", "x", "a longer value", "3.25", "-2.5e3", "1e3000",
    "0x1p3", "inf", "-inf", "nan", "9223372036854775807", "-9223372036854775808", "9223372036854775808",
    "-9223372036854775809", "18446744073709551615", "18446744073709551616", "1000000000000", "12345678901234567890",
    "123456789012345678901", "line\r\nends", "\r\n", "\n\n tail \r\n", "%s%n", "\xff\xfe", "nx", "[a-c]*",
    "forty-four bytes, which Redis keeps embedded", "forty-five bytes, which it keeps in a separat",
};

static const char *const INTEGERS[] = {
    "0", "1", "2", "3", "10", "-1", "-2", "-3", "-10", "100", "2147483648", "-2147483649", "9223372036854775807",
    "-9223372036854775808", "9223372036854775808", "-9223372036854775809", "", "1.5", "+1", "abc", "01", " 1", "1 ",
    "1e3", "-", "-0", "4503599627370496", "18446744073709551615",
};

static const char *const FLOATS[] = {
    "0", "1", "-1", "0.1", "-0.1", "0.2", "1.5", "3.0e3", "1e17", "1e-17", "1e-18", "-1e-18", "1e300", "1e308",
    "1e4932", "-1e4932", "1e4933", "1e-4931", "1e-4951", "1e-5000", "inf", "-inf", "+inf", "nan", "infinity", "0x10",
    "0x1.8p1", "-0x.8", "5e-324", ".5", "5.", ".", "1 ", " 1", "+1", "--1", "1e", "1e+", "abc", "", "5.0000000000000000001",
    "99999999999999999999999999999999999999.99999", "123456789012345678", "-0", "-0.0",
};

static const char *const OFFSETS[] = {
    "0", "1", "2", "5", "44", "200", "3000", "-1", "536870911000", "536870912", "536870913", "2147483648",
    "9223372036854775807", "-9223372036854775808", "9223372036854775808", "", "x", "01",
};

static const char *const DATABASES[] = {"0", "0", "16", "-1", "2147483648", "-2147483649", "x", ""};

/* Beside those that are drawn: past, later than can be told, and none. */
static const char *const TIMES[] = {
    "0", "-1", "-1000", "-9223372036854775808", "9223372036854775807", "9223372036854775", "9223372036854776",
    "-9223372036854776", "9223372036854774", "9223370399119966", "9223372036854770000", "-9223372036854775",
    "9223372036854775808", "", "x", "1.5", "+1",
};
/* clang-format on */

#define LENGTH(List) (sizeof(List) / sizeof *(List))
#define KEYS         9

static uint64_t seed;
static int64_t drawn; /* times so far: each is drawn once, so that none is near another */

/* SplitMix64. */
static uint64_t draw(uint64_t below)
{
    uint64_t bits = seed += 0x9e3779b97f4a7c15;

    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
    return (bits ^ (bits >> 31)) % below;
}

static size_t key_bytes(uint64_t which, uint8_t *bytes)
{
    static const char *const NAMES[] = {"a", "b", "c", "ab", "abc", "[x]", "", "key:1000000000000"};

    if (which == LENGTH(NAMES)) {
        memcpy(bytes, "zero\0byte", 9);
        return 9;
    }
    return (size_t)snprintf((char *)bytes, BYTES_MAX, "%s", NAMES[which]);
}

/* From now on, at most three years. Since 1970: in forty years as a rule, of which some are the
 * same; or in the past. */
static size_t draw_time(char kind, uint8_t *bytes)
{
    int64_t seconds = (1 + (drawn++ * 7919) % 99991) * 1000;

    if (draw(4) == 0)
        return (size_t)snprintf((char *)bytes, BYTES_MAX, "%s", TIMES[draw(LENGTH(TIMES))]);
    if (kind == 'S' || kind == 'M')
        seconds = draw(8) == 0 ? seconds : 3000000000 + seconds * (int64_t)draw(2);
    if (kind == 'm' || kind == 'M')
        seconds = seconds * 1000 + (kind == 'M' ? (int64_t)draw(1000) : 0);
    return (size_t)snprintf((char *)bytes, BYTES_MAX, "%lld", (long long)seconds);
}

static size_t draw_pattern(uint8_t *bytes)
{
    static const char PARTS[] = "aabbcc***??[[]]^^--\\\\x:0\xff";
    size_t size = draw(9);

    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)PARTS[draw(sizeof PARTS)]; /* the last one is a zero byte */
    return size;
}

static size_t draw_case(const char *word, uint8_t *bytes)
{
    uint64_t lower = draw(3) == 0 ? draw(UINT64_MAX) : 0;
    size_t size = strlen(word);

    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)((lower >> (i % 64) & 1) != 0 && word[i] >= 'A' && word[i] <= 'Z' ? word[i] + 32 : word[i]);
    return size;
}

/* Redis does not look behind a zero byte of an option (of a subcommand it does, or not, by chance). */
static size_t draw_option(const char *word, uint8_t *bytes)
{
    size_t size = draw_case(word, bytes);

    if (draw(20) != 0)
        return size;
    memcpy(bytes + size, "\0more", 5);
    return size + 5;
}

static size_t draw_value(uint8_t *bytes)
{
    if (draw(4) != 0)
        return (size_t)snprintf((char *)bytes, BYTES_MAX, "%s", VALUES[draw(LENGTH(VALUES))]);
    size_t size = draw(BYTES_MAX);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(draw(256) | 0x80);
    return size;
}

#define draw_of(List, Bytes) (size_t) snprintf((char *)(Bytes), BYTES_MAX, "%s", (List)[draw(LENGTH(List))])

static size_t draw_word(const char *word, uint8_t *bytes)
{
    switch (strlen(word) == 1 ? *word : 0) {
    case 'k':
        return key_bytes(draw(KEYS), bytes);
    case 'v':
        return draw_value(bytes);
    case 'i':
        return draw_of(INTEGERS, bytes);
    case 'f':
        return draw_of(FLOATS, bytes);
    case 'o':
        return draw_of(OFFSETS, bytes);
    case 'n':
        return draw_of(DATABASES, bytes);
    case 'p':
        return draw_pattern(bytes);
    case 'x':
        return draw_option(OPTIONS[draw(LENGTH(OPTIONS))], bytes);
    case 'y':
        return draw_option(SET_OPTIONS[draw(LENGTH(SET_OPTIONS))], bytes);
    case 'c':
        return draw_option(CONDITIONS[draw(LENGTH(CONDITIONS))], bytes);
    case 's':
    case 'm':
    case 'S':
    case 'M':
        return draw_time(*word, bytes);
    default:
        return draw_case(word, bytes);
    }
}

static void add_word(struct test_command *command, const char *word)
{
    uint8_t *bytes = command->bytes[command->count];

    if (strlen(word) == 1 && strchr("xyc", *word) != NULL && draw(3) == 0)
        return;
    command->words[command->count++] = (struct text){bytes, draw_word(word, bytes)};
}

/* Now and then a word is missing, or there are some more. */
static void draw_command(struct test_command *command)
{
    char template[64];

    snprintf(template, sizeof template, "%s", TEMPLATES[draw(LENGTH(TEMPLATES))]);
    command->count = 0;
    for (char *rest = template, *word; (word = strsep(&rest, " ")) != NULL;)
        add_word(command, word);
    command->op = store_op(command->words[0]);
    if (draw(12) == 0 && command->count > 1)
        command->count--;
    while (draw(12) == 0 && command->count < ARGUMENTS_MAX)
        add_word(command, draw(2) == 0 ? "x" : "v");
}

/* ---- Comparing ---- */

static enum likeness likeness_of(const struct test_command *command)
{
    switch (command->op) {
    case KV_EXPIRETIME:
    case KV_PEXPIRETIME:
    case KV_TTL:
    case KV_PTTL:
        return NEAR;
    case KV_KEYS:
        return UNORDERED;
    case KV_SCAN:
        return SCANS;
    case KV_RANDOMKEY:
        return SHAPE;
    case KV_OBJECT:
        return command->count > 1 && strchr("iIrRhH", command->words[1].bytes[0]) != NULL ? SHAPE : SAME;
    default:
        return SAME;
    }
}

static struct mailraft_buffer theirs;

static void fail(const struct test_command *command)
{
    struct mailraft_buffer text = {.bytes = NULL};

    for (size_t i = 0; i < command->count; i++) {
        mailraft_buffer_put(&text, " '", 2);
        mailraft_buffer_put(&text, command->words[i].bytes, command->words[i].size);
        mailraft_buffer_put(&text, "'", 1);
    }
    cr_assert_fail("%.*s\nis answered\n%.*s\nby Redis, and\n%.*s\nhere", (int)text.size, (const char *)text.bytes,
                   (int)theirs.size, (const char *)theirs.bytes, (int)store.out->size, (const char *)store.out->bytes);
}

static bool same_bytes(struct mailraft_buffer a, struct mailraft_buffer b)
{
    return a.size == b.size && memcmp(a.bytes, b.bytes, a.size) == 0;
}

/* Integers of the same sign that are a minute apart at most. */
static bool near(enum kv_op op)
{
    long long unit = op == KV_TTL || op == KV_EXPIRETIME ? 1 : 1000;

    if (theirs.bytes[0] != ':' || store.out->bytes[0] != ':')
        return false;
    long long a = strtoll((const char *)theirs.bytes + 1, NULL, 10);
    long long b = strtoll((const char *)store.out->bytes + 1, NULL, 10);
    return a > 60 * unit && b > 60 * unit && llabs(a - b) <= 60 * unit;
}

/* What walks over keys have found. */
struct names {
    struct name {
        size_t size;
        uint8_t bytes[BYTES_MAX];
    } list[1000];
    size_t count;
};

static struct names their_names, our_names;

static int compare_names(const void *a, const void *b)
{
    const struct name *one = a, *other = b;
    int order = memcmp(one->bytes, other->bytes, one->size < other->size ? one->size : other->size);

    return order != 0 ? order : (one->size > other->size) - (one->size < other->size);
}

/* Redis may tell a name twice. */
static void names_sort(struct names *names)
{
    size_t unique = 0;

    qsort(names->list, names->count, sizeof *names->list, compare_names);
    for (size_t i = 0; i < names->count; i++)
        if (unique == 0 || compare_names(&names->list[unique - 1], &names->list[i]) != 0)
            names->list[unique++] = names->list[i];
    names->count = unique;
}

/* From the bulks of a reply, whatever arrays they stand in; the first `skipped` are none. */
static void names_add(struct names *names, struct mailraft_buffer reply, size_t skipped)
{
    for (size_t at = 0; at < reply.size;) {
        const uint8_t *line = reply.bytes + at;
        size_t size = strtoul((const char *)line + 1, NULL, 10);

        at += (size_t)((const uint8_t *)memchr(line, '\n', reply.size - at) - line) + 1;
        if (*line != '$')
            continue;
        if (skipped > 0) {
            skipped--;
        } else {
            cr_assert(names->count < LENGTH(names->list) && size <= BYTES_MAX);
            names->list[names->count].size = size;
            memcpy(names->list[names->count++].bytes, reply.bytes + at, size);
        }
        at += size + 2;
    }
}

static bool same_names(void)
{
    size_t ours = our_names.count;

    names_sort(&their_names);
    names_sort(&our_names);
    bool same = their_names.count == our_names.count && our_names.count == ours; /* ours has each once */
    for (size_t i = 0; same && i < ours; i++)
        same = compare_names(&their_names.list[i], &our_names.list[i]) == 0;
    return same;
}

static bool unordered(void)
{
    their_names.count = our_names.count = 0;
    if (theirs.bytes[0] != '*' || store.out->bytes[0] != '*')
        return same_bytes(theirs, *store.out);
    names_add(&their_names, theirs, 0);
    names_add(&our_names, *store.out, 0);
    return same_names();
}

/* Both answers to a command. */
static void ask_both(const struct test_command *command)
{
    redis_ask(command->words, command->count, &theirs);
    store.time_us = clock_wall_us() - store.wall_offset_us;
    store_run(command->op, command->words + 1, command->count - 1);
}

/* The cursor for the next call, in place of the last one. False: the scan has come to its end. */
static bool next_cursor(struct test_command *command, struct mailraft_buffer reply)
{
    const char *cursor = strchr((const char *)reply.bytes + 4, '\n') + 1; /* behind "*2", and the cursor's size */
    size_t size = strcspn(cursor, "\r");

    memcpy(command->bytes[1], cursor, size);
    command->words[1].size = size;
    return size != 1 || *cursor != '0';
}

static bool scans(const struct test_command *first)
{
    static struct test_command next;

    if (theirs.bytes[0] != '*' || store.out->bytes[0] != '*')
        return same_bytes(theirs, *store.out);
    if (first->words[1].size != 1 || first->words[1].bytes[0] != '0')
        return true; /* from the middle, where each has other keys */
    their_names.count = our_names.count = 0;
    next = *first;
    for (size_t i = 0; i < next.count; i++)
        next.words[i].bytes = next.bytes[i];
    for (names_add(&our_names, *store.out, 1); next_cursor(&next, *store.out); names_add(&our_names, *store.out, 1))
        store_run(next.op, next.words + 1, next.count - 1);
    for (names_add(&their_names, theirs, 1); next_cursor(&next, theirs); names_add(&their_names, theirs, 1))
        redis_ask(next.words, next.count, &theirs);
    return same_names();
}

static bool is_null(const uint8_t *bytes)
{
    return bytes[0] == '_' || bytes[1] == '-';
}

static bool same_shape(void)
{
    return theirs.bytes[0] == store.out->bytes[0] && is_null(theirs.bytes) == is_null(store.out->bytes);
}

/* An integer that INCRBYFLOAT has made is an embedded string for Redis until it is set anew. We make no difference. */
static bool is_integral_float(enum kv_op op)
{
    static const char embedded[] = "$6\r\nembstr\r\n", integer[] = "$3\r\nint\r\n";

    return op == KV_OBJECT && theirs.size == strlen(embedded) && memcmp(theirs.bytes, embedded, theirs.size) == 0 &&
           store.out->size == strlen(integer) && memcmp(store.out->bytes, integer, store.out->size) == 0;
}

/* Redis counts keys whose time has passed until somebody looks at them. */
static void look_at_all(void)
{
    uint8_t bytes[KEYS][BYTES_MAX];
    struct text words[KEYS + 1] = {store_text("EXISTS")};

    for (size_t i = 0; i < KEYS; i++)
        words[i + 1] = (struct text){bytes[i], key_bytes(i, bytes[i])};
    redis_ask(words, KEYS + 1, &theirs);
}

static bool alike(const struct test_command *command)
{
    switch (likeness_of(command)) {
    case NEAR:
        return same_bytes(theirs, *store.out) || near(command->op);
    case UNORDERED:
        return unordered();
    case SCANS:
        return scans(command);
    case SHAPE:
        return same_shape();
    case SAME:
        break;
    }
    return same_bytes(theirs, *store.out) || is_integral_float(command->op);
}

static void compare(const struct test_command *command)
{
    if (command->op == KV_DBSIZE || command->op == KV_RANDOMKEY)
        look_at_all();
    ask_both(command);
    if (!alike(command))
        fail(command);
}

/* ---- The tests ---- */

static void redis_tell(const char *command, const char *argument)
{
    redis_ask((struct text[]){store_text(command), store_text(argument)}, *argument != '\0' ? 2 : 1, &theirs);
}

static void open_both(void)
{
    store_open();
    real_redis_start(&redis.server);
    redis.fd = real_redis_connect(&redis.server);
}

static void close_both(void)
{
    close(redis.fd);
    real_redis_stop(&redis.server);
    store_close();
    buffer_fini(&redis.in);
    buffer_fini(&theirs);
}

TestSuite(redis, .init = open_both, .fini = close_both);

static void compare_many(uint64_t first_seed, const char *protocol)
{
    static struct test_command command;

    redis_tell("HELLO", protocol);
    store.resp3 = *protocol == '3';
    seed = first_seed;
    for (int i = 0; i < COMMANDS; i++) {
        draw_command(&command);
        compare(&command);
    }
}

Test(redis, gives_the_same_answers_to_thousands_of_commands)
{
    compare_many(1, "2");
}

Test(redis, gives_the_same_answers_in_resp3)
{
    compare_many(2, "3");
}

/* ---- Patterns ---- */

static size_t draw_bytes(const char *from, size_t count, size_t size_max, uint8_t *bytes)
{
    size_t size = draw(size_max + 1);

    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)from[draw(count)];
    return size;
}

/* Words with single spaces between them; % stands for these bytes. */
static void compare_words(const char *line, struct text bytes)
{
    static struct test_command command;
    char copy[BYTES_MAX];

    snprintf(copy, sizeof copy, "%s", line);
    command.count = 0;
    for (char *rest = copy, *word; (word = strsep(&rest, " ")) != NULL; command.count++) {
        struct text text = strcmp(word, "%") == 0 ? bytes : store_text(word);
        memcpy(command.bytes[command.count], text.bytes, text.size);
        command.words[command.count] = (struct text){command.bytes[command.count], text.size};
    }
    command.op = store_op(command.words[0]);
    compare(&command);
}

Test(redis, finds_the_same_keys_by_thousands_of_patterns)
{
    static const char in_keys[] = "aabbc-]^\\[*\x80\xff", in_patterns[] = "aabc----]]]^^\\\\[[[[***?\x80\xff";
    uint8_t bytes[16];

    seed = 3;
    for (int i = 0; i < 300; i++)
        compare_words("INCR %", (struct text){bytes, draw_bytes(in_keys, sizeof in_keys, 6, bytes)});
    for (int i = 0; i < COMMANDS; i++)
        compare_words("KEYS %", (struct text){bytes, draw_bytes(in_patterns, sizeof in_patterns, 10, bytes)});
}

Test(redis, finds_the_same_keys_by_scans)
{
    static const char *const scans[] = {
        "SCAN 0",
        "SCAN 0 COUNT 1",
        "SCAN 0 COUNT 50",
        "SCAN 0 MATCH % COUNT 7",
        "SCAN 0 MATCH % TYPE string",
        "SCAN 0 COUNT 1000000000000 MATCH *",
    };
    uint8_t bytes[16];

    seed = 4;
    for (int i = 0; i < 900; i++)
        compare_words("INCR %", (struct text){bytes, draw_bytes("abc", 3, 8, bytes)});
    for (int i = 0; i < 60; i++)
        compare_words(scans[i % 6], (struct text){bytes, draw_bytes("abc*?", 5, 6, bytes)});
}

/* Patterns of "*a" again and again: a thousand of them are the most that match. */
Test(redis, limits_stars_alike)
{
    static const size_t stars[] = {1, 999, 1000, 1001, 1100};
    uint8_t bytes[2400];
    struct text words[] = {store_text("SET"), {bytes, 1200}, store_text("")};

    memset(bytes, 'a', 1200);
    redis_ask(words, 3, &theirs);
    store_run(KV_SET, words + 1, 2);
    for (size_t i = 0; i < LENGTH(stars); i++) {
        for (size_t star = 0; star < stars[i]; star++)
            memcpy(bytes + 2 * star, "*a", 2);
        words[0] = store_text("KEYS");
        words[1].size = 2 * stars[i];
        redis_ask(words, 2, &theirs);
        store_run(KV_KEYS, words + 1, 1);
        cr_assert(same_bytes(theirs, *store.out), "%zu stars", stars[i]);
    }
}

/* Times that are nearly too late, and some that no draw is likely to bring together. */
Test(redis, gives_the_same_answers_to_odd_ones)
{
    static const char *const lines[] = {
        "SET a 1 EX 10000 PX 1000",
        "SET a 1 PXAT 9000000000000 EXAT 9000000000",
        "SET a 1 EX 10000 EX 20000",
        "TTL a",
        "SET a 1 EX 9223370000000000",
        "TTL a",
        "EXPIRETIME a",
        "PEXPIRE a 9220000000000000000",
        "PTTL a",
        "PEXPIREAT a 9223372036854775807",
        "PEXPIRETIME a",
        "EXPIRETIME a",
        "GET a",
        "PEXPIREAT a 9223372036854775807 GT",
        "PEXPIREAT a 9223372036854775806 LT",
        "PEXPIRETIME a",
        "COPY a b",
        "PEXPIRETIME b",
        "RENAME b c",
        "PEXPIRETIME c",
        "PERSIST c",
        "EXPIRETIME c",
        "EXPIREAT c 9223372036854775",
        "EXPIRETIME c",
        "TTL c",
        "EXPIREAT c 4000000000",
        "EXPIREAT c 4000000000 GT",
        "EXPIREAT c 4000000000 LT",
        "PEXPIREAT c 4000000000499 GT",
        "EXPIRETIME c",
        "PEXPIREAT c 4000000000500",
        "EXPIRETIME c",
        "GETEX c EXAT 4000000001",
        "PEXPIRETIME c",
        "GETEX c PXAT 1",
        "EXISTS c",
        "SET a x PXAT 1 GET",
        "GET a",
        "SCAN 00",
        "SCAN +0",
        "SCAN -1",
        "SCAN 0 COUNT 0",
        "SCAN 0 COUNT -1",
        "SCAN 18446744073709551616",
    };

    for (size_t i = 0; i < LENGTH(lines); i++)
        compare_words(lines[i], store_text(""));
}
