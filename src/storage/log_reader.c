#include "storage/log_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"
#include "storage/segment.h"

struct kept {
    struct run place;
    struct batch *entries; /* all that the run's frames hold */
};

struct log_reader {
    char data_dir[DISK_PATH_MAX];
    struct pile *pile;    /* its own */
    struct pile *answers; /* the server's */
    struct thread thread;

    /* Its thread's alone. */
    struct disk_file *file; /* that was read last; NULL: none */
    uint64_t file_number;   /* its running number */
    size_t kept_count;
    struct kept kept[LOG_READER_RUNS_MAX]; /* the one used last first. What a run holds never changes on the disk */
};

/* ---- Parsing ---- */

/* Adds the entries of one frame. */
static bool add_entries(struct batch *entries, const struct frame_head *head, const uint8_t *body,
                        struct mailraft_error *err)
{
    if (head->body_checksum != bytes_checksum(body, head->length))
        return error_raise(err, &DAMAGED_ERROR, "the checksum of the frame %" PRIu64 " does not fit", head->number);
    struct batch *added = batch_decode(body, head->length, ENTRY_BYTES_MAX, err);
    if (added == NULL) {
        err->class = &DAMAGED_ERROR;
        return false;
    }
    raft_index expected = entries->count > 0 ? entries->list[entries->count - 1]->index + 1 : head->first;
    bool follows = added->count == head->count && (added->count == 0 || added->list[0]->index == expected);
    if (follows)
        batch_move(entries, added);
    batch_free(added);
    return follows ||
           error_raise(err, &DAMAGED_ERROR, "the frame %" PRIu64 " does not hold what its head tells", head->number);
}

/* Adds the entries of all frames; *at is the offset in bytes of the one at hand. */
static bool parse(struct batch *entries, const uint8_t *bytes, uint64_t size, uint64_t *at, struct mailraft_error *err)
{
    struct frame_head head;
    for (*at = 0; *at < size; *at += frame_bytes(head.length)) {
        uint64_t left = size - *at;
        if (left < FRAME_HEAD_BYTES || !frame_head_decode(bytes + *at, &head) || left < frame_bytes(head.length))
            return error_raise(err, &DAMAGED_ERROR, "no whole frame stands there");
        if (!add_entries(entries, &head, bytes + *at + FRAME_HEAD_BYTES, err))
            return false;
    }
    return true;
}

/* ---- What stays ---- */

static void forget_last(struct log_reader *reader)
{
    batch_free(reader->kept[--reader->kept_count].entries);
}

static size_t kept_bytes(const struct log_reader *reader)
{
    size_t bytes = 0;
    for (size_t i = 0; i < reader->kept_count; i++)
        bytes += reader->kept[i].entries->bytes;
    return bytes;
}

/* Lays it before all others, from where it stood among them. */
static void put_first(struct log_reader *reader, struct kept kept, size_t stood)
{
    memmove(reader->kept + 1, reader->kept, stood * sizeof kept);
    reader->kept[0] = kept;
}

static void keep(struct log_reader *reader, const struct run *place, struct batch *entries)
{
    if (reader->kept_count == LOG_READER_RUNS_MAX)
        forget_last(reader);
    put_first(reader, (struct kept){*place, entries}, reader->kept_count++);
    while (reader->kept_count > 1 && kept_bytes(reader) > LOG_READER_BYTES_MAX)
        forget_last(reader);
}

/* The entries of a run, when they are still there; NULL otherwise. */
static struct batch *find_kept(struct log_reader *reader, const struct run *place)
{
    for (size_t i = 0; i < reader->kept_count; i++) {
        const struct run *is = &reader->kept[i].place;
        if (is->file == place->file && is->offset == place->offset && is->bytes == place->bytes) {
            put_first(reader, reader->kept[i], i);
            return reader->kept[0].entries;
        }
    }
    return NULL;
}

/* ---- Reading ---- */

static void forget_file(struct log_reader *reader)
{
    disk_close(reader->file);
    reader->file = NULL;
}

static bool open_file(struct log_reader *reader, uint64_t number, const char *path, struct mailraft_error *err)
{
    if (reader->file != NULL && reader->file_number == number)
        return true;
    forget_file(reader);
    reader->file_number = number;
    reader->file = disk_open(path, DISK_READ, err);
    if (reader->file != NULL)
        return true;
    if (err->os_errno == ENOENT) {
        err->class = &DAMAGED_ERROR;
        error_prefix(err, "a file of the log is gone; " SEGMENT_ADVICE);
    }
    return false;
}

/* All of a run, however much of it is wanted. It stays the reader's, and is kept. NULL: it failed. */
static struct batch *read_run(struct log_reader *reader, const struct run *place, const char *path,
                              struct mailraft_error *err)
{
    uint64_t at;
    size_t got;
    if (!open_file(reader, place->file, path, err))
        return NULL;
    struct batch *entries = batch_new();
    uint8_t *bytes = memory_new((size_t)place->bytes); /* what a file that ends early lacks is zero, and no frame */
    bool good = disk_read(reader->file, place->offset, bytes, (size_t)place->bytes, &got, err);
    if (!good)
        error_prefix(err, "At offset %" PRIu64, place->offset);
    else if (!(good = parse(entries, bytes, place->bytes, &at, err)))
        error_prefix(err, "%s is damaged at offset %" PRIu64 "; " SEGMENT_ADVICE, path, place->offset + at);
    memory_free(bytes);
    if (good)
        keep(reader, place, entries);
    else
        batch_free(entries);
    return good ? entries : NULL;
}

static bool has_entries(const struct batch *entries, const struct run *wanted)
{
    return entries->count > 0 && entries->list[0]->index <= wanted->first && wanted->first <= wanted->last &&
           wanted->last <= entries->list[entries->count - 1]->index;
}

/* All of the run that is wanted, read where it was not kept. NULL: it failed. */
static const struct batch *find_entries(struct log_reader *reader, const struct run *wanted, struct mailraft_error *err)
{
    char path[DISK_PATH_MAX];
    segment_path(reader->data_dir, wanted->file, path);
    struct batch *entries = find_kept(reader, wanted);
    if (entries == NULL)
        entries = read_run(reader, wanted, path, err);
    if (entries == NULL || has_entries(entries, wanted))
        return entries;
    error_raise(err, &DAMAGED_ERROR,
                "%s is damaged at offset %" PRIu64 ": the entries %" PRIu64 " to %" PRIu64
                " do not stand there; " SEGMENT_ADVICE,
                path, wanted->offset, wanted->first, wanted->last);
    return NULL;
}

/* ---- Letters ---- */

/* The first of the entries that are wanted, and as many more as may come with it. */
static struct batch *portion(const struct batch *entries, const struct run *wanted, size_t bytes_max)
{
    struct batch *batch = batch_new();
    size_t at = (size_t)(wanted->first - entries->list[0]->index);
    size_t end = (size_t)(wanted->last - entries->list[0]->index) + 1;
    do
        batch_add(batch, entry_hold(entries->list[at++]));
    while (at < end && batch->bytes + entries->list[at]->size <= bytes_max);
    return batch;
}

static bool answer(struct log_reader *reader, const struct letter *wish, struct mailraft_error *err)
{
    const struct run *wanted = &wish->range.place;
    const struct batch *entries = find_entries(reader, wanted, err);
    if (entries == NULL)
        return false;
    struct letter *letter = letter_new(LETTER_ENTRIES_READ);
    letter->number = wish->number;
    letter->entries = portion(entries, wanted, wish->range.bytes_max);
    pile_put(reader->answers, LANE_INNER, letter);
    return true;
}

static void say_failed(struct log_reader *reader, const struct mailraft_error *err)
{
    struct letter *letter = letter_new(LETTER_STORAGE_FAILED);
    letter->error = memory_new(sizeof *err);
    *letter->error = *err;
    pile_put(reader->answers, LANE_CONTROL, letter);
}

static void log_reader_main(void *context)
{
    struct log_reader *reader = context;
    struct mailraft_error err;
    struct letter *wish;
    int64_t now_us;
    bool works = true;

    while ((wish = pile_take(reader->pile, LANE_CONTROL, CLOCK_NEVER, &now_us)) != NULL) {
        if (works && !answer(reader, wish, &err)) {
            say_failed(reader, &err);
            works = false;
        }
        letter_free(wish);
    }
    while (reader->kept_count > 0)
        forget_last(reader);
    forget_file(reader);
    pile_put(reader->answers, LANE_CONTROL, letter_new(LETTER_LOG_READER_ENDED));
}

/* ---- Called by others ---- */

static void log_reader_free(struct log_reader *reader)
{
    pile_free(reader->pile);
    memory_free(reader);
}

struct log_reader *log_reader_start(const char *data_dir, struct pile *answers, struct mailraft_error *err)
{
    struct log_reader *reader = memory_new(sizeof *reader);
    snprintf(reader->data_dir, sizeof reader->data_dir, "%s", data_dir);
    reader->pile = pile_new();
    reader->answers = answers;
    if (thread_start(&reader->thread, "log reader", log_reader_main, reader, err))
        return reader;
    log_reader_free(reader);
    return NULL;
}

void log_reader_read(struct log_reader *reader, uint64_t number, const struct run *place, size_t bytes_max)
{
    struct letter *letter = letter_new(LETTER_READ_ENTRIES);
    letter->number = number;
    letter->range.place = *place;
    letter->range.bytes_max = bytes_max;
    pile_put(reader->pile, LANE_CONTROL, letter);
}

void log_reader_close(struct log_reader *reader)
{
    pile_close(reader->pile);
}

void log_reader_join(struct log_reader *reader)
{
    thread_join(&reader->thread);
    log_reader_free(reader);
}

void log_reader_abandon(struct log_reader *reader)
{
    thread_abandon(&reader->thread);
    /* The struct, its pile and its open file stay for good. */
}
