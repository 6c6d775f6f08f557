#include "counter.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"

#define MAGIC   0x52544e43u /* "CNTR" */
#define VERSION 1

static void say(struct mailraft_buffer *reply, const char *text)
{
    if (reply != NULL)
        mailraft_buffer_put(reply, text, strlen(text));
}

static void say_number(struct mailraft_buffer *reply, const char *before, int64_t number)
{
    char text[60];

    snprintf(text, sizeof text, "%s%" PRId64, before, number);
    say(reply, text);
}

/* ---- Lines ---- */

/* Whether a line is a word and a number. */
static bool parse_number(const void *line, size_t size, const char *word, int64_t *number)
{
    char text[60], *end;
    size_t length = strlen(word);

    if (size <= length + 1 || size >= sizeof text || memcmp(line, word, length) != 0)
        return false;
    memcpy(text, line, size);
    text[size] = '\0';
    if (text[length] != ' ' || strspn(text + length + 1, "-0123456789") != size - length - 1)
        return false;
    errno = 0;
    *number = strtoll(text + length + 1, &end, 10);
    return errno == 0 && end == text + size;
}

static bool is_word(const void *line, size_t size, const char *word)
{
    return size == strlen(word) && memcmp(line, word, size) == 0;
}

/* ---- Preparing: what is random or relative becomes a number ---- */

static bool prepare(void *context, const struct mailraft_proposal *proposal, struct mailraft_buffer *command)
{
    const void *line = proposal->request;
    size_t size = proposal->size;
    int64_t number;

    (void)context;
    if (is_word(line, size, "roll")) {
        say_number(command, "add ", 1 + proposal->random[0] % 6);
    } else if (parse_number(line, size, "expire", &number)) {
        if (number < 0 || number > INT32_MAX) {
            say(command, "ERR a number of milliseconds from 0 to 2147483647 is expected");
            return false;
        }
        say_number(command, "deadline ", proposal->time_us + 1000 * number);
    } else if (is_word(line, size, "get") || parse_number(line, size, "add", &number) ||
               parse_number(line, size, "until", &number)) {
        mailraft_buffer_put(command, line, size);
    } else {
        say(command, "ERR add N, roll, get, expire MS or until US is expected");
        return false;
    }
    return true;
}

/* ---- Applying ---- */

static bool is_due(const struct counter *counter, int64_t time_us)
{
    return time_us >= counter->deadline_us ||
           (counter->until_us != MAILRAFT_NO_DEADLINE && time_us + counter->wall_offset_us >= counter->until_us);
}

static void set_deadlines(struct counter *counter, int64_t deadline_us, int64_t until_us)
{
    counter->deadline_us = deadline_us;
    counter->until_us = until_us;
}

static void pass_time(struct counter *counter, const struct mailraft_entry *entry)
{
    counter->wall_offset_us = entry->wall_offset_us;
    if (!is_due(counter, entry->time_us))
        return;
    counter->value = 0;
    set_deadlines(counter, MAILRAFT_NO_DEADLINE, MAILRAFT_NO_DEADLINE);
}

static const char *execute(struct counter *counter, const void *command, size_t size)
{
    int64_t number;

    if (parse_number(command, size, "add", &number)) {
        if (__builtin_add_overflow(counter->value, number, &number))
            return "ERR the counter would overflow";
        counter->value = number;
    } else if (parse_number(command, size, "deadline", &number)) {
        set_deadlines(counter, number, MAILRAFT_NO_DEADLINE);
    } else if (parse_number(command, size, "until", &number)) {
        set_deadlines(counter, MAILRAFT_NO_DEADLINE, number);
    } else if (!is_word(command, size, "get")) {
        return "ERR what was logged is no command";
    }
    return NULL;
}

static void add_to_hash(struct counter *counter, const struct mailraft_entry *entry)
{
    uint8_t bytes[6 * 8];

    bytes_put_u64(bytes, counter->hash);
    bytes_put_u64(bytes + 8, entry->index);
    bytes_put_u64(bytes + 16, (uint64_t)entry->time_us);
    bytes_put_u64(bytes + 24, (uint64_t)entry->wall_offset_us);
    bytes_put_u64(bytes + 32, entry->command != NULL ? bytes_checksum(entry->command, entry->size) : 0);
    bytes_put_u64(bytes + 40, (uint64_t)counter->value);
    counter->hash = bytes_checksum(bytes, sizeof bytes);
}

static void apply_one(struct counter *counter, const struct mailraft_entry *entry)
{
    const char *trouble = NULL;

    pass_time(counter, entry);
    if (entry->command != NULL)
        trouble = execute(counter, entry->command, entry->size);
    counter->index = entry->index;
    add_to_hash(counter, entry);
    if (trouble != NULL)
        say(entry->reply, trouble);
    else
        say_number(entry->reply, "", counter->value);
}

/* By the cluster's time: the wall clock's lead may change before it comes, and is then told again. */
static int64_t next_deadline(const struct counter *counter)
{
    return counter->until_us != MAILRAFT_NO_DEADLINE ? counter->until_us - counter->wall_offset_us
                                                     : counter->deadline_us;
}

static void apply(void *context, const struct mailraft_entry *entries, size_t count, struct mailraft_standing *standing)
{
    struct counter *counter = context;

    for (size_t i = 0; i < count; i++)
        apply_one(counter, &entries[i]);
    *standing = (struct mailraft_standing){next_deadline(counter), sizeof *counter};
}

/* ---- Reading ---- */

static void read_value(void *context, const void *query, size_t size, int64_t time_us, struct mailraft_buffer *reply)
{
    const struct counter *counter = context;

    if (!is_word(query, size, "get"))
        say(reply, "ERR get is expected");
    else
        say_number(reply, "", is_due(counter, time_us) ? 0 : counter->value);
}

/* ---- Snapshots ---- */

static void snapshot_encode(const struct counter *counter, uint8_t *bytes)
{
    bytes_put_u32(bytes, MAGIC);
    bytes_put_u32(bytes + 4, VERSION);
    bytes_put_u64(bytes + 8, (uint64_t)counter->value);
    bytes_put_u64(bytes + 16, (uint64_t)counter->deadline_us);
    bytes_put_u64(bytes + 24, (uint64_t)counter->until_us);
    bytes_put_u64(bytes + 32, (uint64_t)counter->wall_offset_us);
    bytes_put_u64(bytes + 40, counter->index);
    bytes_put_u64(bytes + 48, counter->hash);
    bytes_put_u64(bytes + 56, bytes_checksum(bytes, 56));
}

static bool snapshot_decode(struct counter *counter, struct mailraft_error *err)
{
    const uint8_t *bytes = counter->read;

    if (counter->read_size != sizeof counter->read)
        return error_raise(err, &DAMAGED_ERROR, "A counter's snapshot has %d bytes, not %zu", COUNTER_SNAPSHOT_BYTES,
                           counter->read_size);
    if (bytes_get_u32(bytes) != MAGIC || bytes_get_u32(bytes + 4) != VERSION ||
        bytes_get_u64(bytes + 56) != bytes_checksum(bytes, 56))
        return error_raise(err, &DAMAGED_ERROR, "This is no sound snapshot of a counter");
    counter->value = (int64_t)bytes_get_u64(bytes + 8);
    counter->deadline_us = (int64_t)bytes_get_u64(bytes + 16);
    counter->until_us = (int64_t)bytes_get_u64(bytes + 24);
    counter->wall_offset_us = (int64_t)bytes_get_u64(bytes + 32);
    counter->index = bytes_get_u64(bytes + 40);
    counter->hash = bytes_get_u64(bytes + 48);
    return true;
}

static bool write_snapshot(void *context, uint64_t portion, struct mailraft_buffer *bytes)
{
    struct counter *counter = context;
    size_t at = (size_t)portion * COUNTER_PORTION_BYTES, left;

    if (portion == 0)
        snapshot_encode(counter, counter->written);
    left = sizeof counter->written - at;
    mailraft_buffer_put(bytes, counter->written + at, left < COUNTER_PORTION_BYTES ? left : COUNTER_PORTION_BYTES);
    return left > COUNTER_PORTION_BYTES;
}

static bool read_snapshot(void *context, uint64_t portion, const void *bytes, size_t size, bool last,
                          struct mailraft_error *err)
{
    struct counter *counter = context;

    if (portion == 0)
        counter_init(counter);
    if (size > sizeof counter->read - counter->read_size)
        return error_raise(err, &DAMAGED_ERROR, "A counter's snapshot has %d bytes, not more", COUNTER_SNAPSHOT_BYTES);
    memcpy(counter->read + counter->read_size, bytes, size);
    counter->read_size += size;
    return !last || snapshot_decode(counter, err);
}

void counter_init(struct counter *counter)
{
    *counter = (struct counter){.deadline_us = MAILRAFT_NO_DEADLINE, .until_us = MAILRAFT_NO_DEADLINE};
}

struct mailraft_machine counter_machine(struct counter *counter)
{
    return (struct mailraft_machine){counter, prepare, apply, read_value, write_snapshot, read_snapshot};
}
