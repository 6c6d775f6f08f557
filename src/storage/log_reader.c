#include "storage/log_reader.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"
#include "storage/segment.h"

struct log_reader {
    char data_dir[DISK_PATH_MAX];
    struct pile *pile;    /* its own */
    struct pile *answers; /* the server's */
    struct thread thread;

    /* Its thread's alone. The last run stays, for whoever gets it in portions; it never changes on the disk. */
    struct disk_file *file; /* that was read last; NULL: none */
    struct run place;       /* of the entries; file: what is open */
    struct batch *entries;  /* all that the run's frames hold; NULL: none */
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

/* ---- Reading ---- */

static void forget_run(struct log_reader *reader)
{
    batch_free(reader->entries);
    reader->entries = NULL;
}

static void forget_file(struct log_reader *reader)
{
    disk_close(reader->file);
    reader->file = NULL;
}

static bool open_file(struct log_reader *reader, uint64_t number, const char *path, struct mailraft_error *err)
{
    if (reader->file != NULL && reader->place.file == number)
        return true;
    forget_file(reader);
    reader->file = disk_open(path, DISK_READ, err);
    return reader->file != NULL;
}

/* All of a run, however much of it is wanted. */
static bool read_run(struct log_reader *reader, const struct run *place, const char *path, struct mailraft_error *err)
{
    uint64_t at;
    size_t got;
    forget_run(reader);
    if (!open_file(reader, place->file, path, err))
        return false;
    reader->place = *place;
    reader->entries = batch_new();
    uint8_t *bytes = memory_new((size_t)place->bytes); /* what a file that ends early lacks is zero, and no frame */
    bool good = disk_read(reader->file, place->offset, bytes, (size_t)place->bytes, &got, err);
    if (!good)
        error_prefix(err, "At offset %" PRIu64, place->offset);
    else if (!(good = parse(reader->entries, bytes, place->bytes, &at, err)))
        error_prefix(err, "%s is damaged at offset %" PRIu64, path, place->offset + at);
    memory_free(bytes);
    return good;
}

static bool has_run(const struct log_reader *reader, const struct run *place)
{
    return reader->entries != NULL && reader->place.file == place->file && reader->place.offset == place->offset &&
           reader->place.bytes == place->bytes;
}

static bool has_entries(const struct log_reader *reader, const struct run *wanted)
{
    const struct batch *entries = reader->entries;
    return entries->count > 0 && entries->list[0]->index <= wanted->first && wanted->first <= wanted->last &&
           wanted->last <= entries->list[entries->count - 1]->index;
}

/* Reads where that is not what was read last. */
static bool find_entries(struct log_reader *reader, const struct run *wanted, struct mailraft_error *err)
{
    char path[DISK_PATH_MAX];
    segment_path(reader->data_dir, wanted->file, path);
    if (!has_run(reader, wanted) && !read_run(reader, wanted, path, err))
        return false;
    return has_entries(reader, wanted) ||
           error_raise(err, &DAMAGED_ERROR,
                       "%s is damaged at offset %" PRIu64 ": the entries %" PRIu64 " to %" PRIu64 " do not stand there",
                       path, wanted->offset, wanted->first, wanted->last);
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
    if (!find_entries(reader, wanted, err))
        return false;
    struct letter *letter = letter_new(LETTER_ENTRIES_READ);
    letter->number = wish->number;
    letter->entries = portion(reader->entries, wanted, wish->range.bytes_max);
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
    forget_run(reader);
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
