#include "storage/recovery.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/memory.h"

#define WINDOW_BYTES (256 * 1024) /* read at once; more only where a frame is larger */

/* A file of the log. */
struct segment {
    struct segment_header header;
    int damaged; /* the copy of its header that did not read, 0 or 1; -1: both did */
};

/* The part of a file that is in memory. It slides along. */
struct window {
    struct disk_file *file; /* NULL: none is open */
    const struct segment *segment;
    uint64_t end;    /* nothing is read from there on */
    uint64_t offset; /* of bytes in the file */
    size_t size, room;
    uint8_t *bytes;
};

/* Where something stands: a file's running number, and the bytes from begin to end in it. */
struct place {
    uint64_t file;
    uint64_t begin, end;
};

struct frame {
    struct frame_head head;
    const uint8_t *body; /* good until the window slides */
};

struct recovery {
    const struct recovery_config *config;
    struct storage_opened *opened;
    struct disk_names names;
    struct segment *segments; /* that of running number n at n - 1 */
    uint64_t segment_count;
    struct window window;

    uint64_t frame_number; /* of the newest frame so far; 0: there is none */
    struct place newest;   /* where it stands; none: nowhere, at the beginning of the first file */
    struct place unread; /* what does not read behind it, and is not zero: the part of it in the file where it begins */
    uint64_t unread_bytes; /* all of it; 0: nothing */

    char path[DISK_PATH_MAX]; /* the last that path_of has told */
};

static const char *path_of(struct recovery *recovery, uint64_t file)
{
    return segment_path(recovery->config->data_dir, file, recovery->path);
}

static raft_index last_index(const struct recovery *recovery)
{
    return recovery->opened->terms.last_index;
}

/* ---- Names ---- */

/* A file that was being made when the node ended: its name is not yet one of the log's. */
static bool is_half_made(const char *name)
{
    char made[64];
    uint64_t number;
    size_t length = strlen(name);
    if (length < 4 || length >= sizeof made || strcmp(name + length - 4, ".tmp") != 0)
        return false;
    snprintf(made, sizeof made, "%.*s", (int)(length - 4), name);
    return segment_number(made, &number);
}

/* The names come sorted, and eight digits are enough for any disk: so the files come in their order. */
static bool check_names(struct recovery *recovery, struct mailraft_error *err)
{
    const char *data_dir = recovery->config->data_dir;
    for (size_t i = 0; i < recovery->names.count; i++) {
        const char *name = recovery->names.names[i];
        uint64_t number;
        if (is_half_made(name))
            continue;
        if (!segment_number(name, &number))
            return error_raise(err, &DAMAGED_ERROR,
                               "%s/log holds %s, which is no file of the log; move it away if it is yours", data_dir,
                               name);
        if (number != recovery->segment_count + 1)
            return error_raise(err, &DAMAGED_ERROR, "%s is missing before %s; " SEGMENT_ADVICE,
                               path_of(recovery, recovery->segment_count + 1), name);
        recovery->segment_count = number;
    }
    if (recovery->segment_count == 0) /* one was made with the folder, so there was a log */
        return error_raise(err, &DAMAGED_ERROR, "%s is missing, and so are all other files of the log; " SEGMENT_ADVICE,
                           path_of(recovery, 1));
    return true;
}

static bool list_files(struct recovery *recovery, struct mailraft_error *err)
{
    char folder[DISK_PATH_MAX + 4];
    snprintf(folder, sizeof folder, "%s/log", recovery->config->data_dir);
    if (!disk_list(folder, &recovery->names, err) || !check_names(recovery, err))
        return false;
    recovery->segments = memory_new(recovery->segment_count * sizeof *recovery->segments);
    return true;
}

/* ---- Reading a file ---- */

static void close_file(struct recovery *recovery)
{
    disk_close(recovery->window.file);
    recovery->window.file = NULL;
}

static bool open_file(struct recovery *recovery, uint64_t number, struct mailraft_error *err)
{
    struct window *window = &recovery->window;
    const struct segment *segment = &recovery->segments[number - 1];
    if (window->file != NULL && window->segment == segment)
        return true;
    close_file(recovery);
    window->segment = segment;
    window->offset = 0;
    window->size = 0;
    window->file = disk_open(path_of(recovery, number), DISK_OPEN, err);
    return window->file != NULL;
}

/* Brings in what follows offset, as much as there is room for, and at least size bytes. */
static bool slide(struct recovery *recovery, uint64_t offset, size_t size, struct mailraft_error *err)
{
    struct window *window = &recovery->window;
    uint64_t end = window->offset + window->size, left = window->end - offset;
    size_t kept = offset >= window->offset && offset < end ? (size_t)(end - offset) : 0, got;
    if (size > window->room || window->room == 0) {
        window->room = size > WINDOW_BYTES ? size : WINDOW_BYTES;
        window->bytes = memory_resize(window->bytes, window->room);
    }
    if (kept > 0)
        memmove(window->bytes, window->bytes + window->size - kept, kept);
    size_t wanted = left < window->room ? (size_t)left : window->room;
    window->offset = offset;
    window->size = kept;
    if (!disk_read(window->file, offset + kept, window->bytes + kept, wanted - kept, &got, err))
        return false;
    window->size += got;
    recovery->opened->bytes_read += got;
    return window->size >= size || error_raise(err, &DAMAGED_ERROR, "%s ended while it was being read",
                                               path_of(recovery, window->segment->header.number));
}

/* That many bytes at an offset, none behind the window's end; good until the next call. NULL: it failed. */
static const uint8_t *bytes_at(struct recovery *recovery, uint64_t offset, size_t size, struct mailraft_error *err)
{
    struct window *window = &recovery->window;
    assert(offset + size <= window->end);
    bool is_in = offset >= window->offset && offset + size <= window->offset + window->size;
    if (!is_in && !slide(recovery, offset, size, err))
        return NULL;
    return window->bytes + (offset - window->offset);
}

/* *reads: a whole frame of this file, sound in head and body, stands at the border. */
static bool read_frame(struct recovery *recovery, uint64_t offset, struct frame *frame, bool *reads,
                       struct mailraft_error *err)
{
    const uint8_t *bytes = bytes_at(recovery, offset, FRAME_BORDER, err);
    if (bytes == NULL)
        return false;
    *reads = frame_head_decode(bytes, &frame->head) && frame->head.salt == recovery->window.segment->header.salt &&
             frame_bytes(frame->head.length) <= recovery->window.end - offset;
    if (!*reads)
        return true;
    bytes = bytes_at(recovery, offset, (size_t)frame_bytes(frame->head.length), err);
    if (bytes == NULL)
        return false;
    frame->body = bytes + FRAME_HEAD_BYTES;
    *reads = frame->head.body_checksum == bytes_checksum(frame->body, frame->head.length);
    return true;
}

/* ---- The header of a file ---- */

/* Either copy will do. */
static bool choose_header(struct segment *segment, uint8_t copies[2][SEGMENT_HEADER_BYTES], struct mailraft_error *err)
{
    struct segment_header second;
    bool first_reads = segment_header_decode(copies[0], &segment->header, err);
    bool second_reads = segment_header_decode(copies[1], &second, err);
    segment->damaged = first_reads ? second_reads ? -1 : 1 : 0;
    if (!first_reads)
        segment->header = second;
    return first_reads || second_reads;
}

static bool read_header(struct recovery *recovery, struct segment *segment, struct mailraft_error *err)
{
    uint8_t copies[2][SEGMENT_HEADER_BYTES] = {{0}};
    size_t got; /* what a file that ends early lacks is damaged */
    struct disk_file *file = recovery->window.file;
    if (!disk_read(file, 0, copies[0], SEGMENT_HEADER_BYTES, &got, err) ||
        !disk_read(file, SEGMENT_HEADER_COPY, copies[1], SEGMENT_HEADER_BYTES, &got, err))
        return false;
    return choose_header(segment, copies, err) || error_prefix(err, "%s", recovery->path);
}

static bool check_header(struct recovery *recovery, uint64_t number, struct mailraft_error *err)
{
    const struct segment_header *header = &recovery->segments[number - 1].header;
    const char *path = recovery->path;
    uint64_t size;
    if (!data_id_equal(&header->data_id, &recovery->config->data_id))
        return error_raise(err, &DAMAGED_ERROR, "%s belongs to another data_dir; " SEGMENT_ADVICE, path);
    if (header->number != number)
        return error_raise(err, &DAMAGED_ERROR,
                           "%s has the wrong name: it was written as file %" PRIu64 " of the log; " SEGMENT_ADVICE,
                           path, header->number);
    if (header->size <= SEGMENT_DATA_OFFSET || header->size % FRAME_BORDER != 0)
        return error_raise(err, &DAMAGED_ERROR,
                           "%s is damaged: its header tells of %" PRIu64
                           " bytes, and no file of the log has so many; " SEGMENT_ADVICE,
                           path, header->size);
    if (!disk_size(recovery->window.file, &size, err))
        return false;
    return size == header->size ||
           error_raise(err, &DAMAGED_ERROR,
                       "%s has %" PRIu64 " bytes, and it was made with %" PRIu64 "; " SEGMENT_ADVICE, path, size,
                       header->size);
}

/* ---- What a frame tells ---- */

/* Where the next frame belongs in a file. */
static uint64_t next_offset(const struct recovery *recovery, uint64_t file)
{
    return file == recovery->newest.file ? recovery->newest.end : SEGMENT_DATA_OFFSET;
}

/* Something durable does not read: it stood behind the newest frame so far, and before place. */
static bool refuse_lost(struct recovery *recovery, const struct frame *frame, const struct place *place,
                        struct mailraft_error *err)
{
    struct place lost = recovery->unread;
    if (recovery->unread_bytes == 0) /* all zero where it stood */
        lost = place->begin == SEGMENT_DATA_OFFSET
                   ? (struct place){.file = recovery->newest.file, .begin = recovery->newest.end}
                   : (struct place){.file = place->file, .begin = next_offset(recovery, place->file)};
    return error_raise(err, &DAMAGED_ERROR,
                       "%s is damaged at offset %" PRIu64 ", where the log goes on behind entry %" PRIu64
                       ": frame %" PRIu64 ", at offset %" PRIu64 " of file %" PRIu64 ", builds on frame %" PRIu64
                       ", and the last one that can be read is %" PRIu64 "; " SEGMENT_ADVICE,
                       path_of(recovery, lost.file), lost.begin, last_index(recovery), frame->head.number, place->begin,
                       place->file, frame->head.builds_on, recovery->frame_number);
}

/* The checksums fit, and yet it is not what any scribe has written. */
static bool refuse_content(struct recovery *recovery, const struct place *place, raft_index index, const char *why,
                           struct mailraft_error *err)
{
    return error_raise(err, &DAMAGED_ERROR,
                       "%s is damaged at offset %" PRIu64 ", in the frame that begins with entry %" PRIu64
                       ": %s; " SEGMENT_ADVICE,
                       path_of(recovery, place->file), place->begin, index, why);
}

/* Whether the frame is the one that was written behind the newest so far. */
static bool check_order(struct recovery *recovery, const struct frame *frame, const struct place *place,
                        struct mailraft_error *err)
{
    const struct frame_head *head = &frame->head;
    if (head->builds_on > recovery->frame_number || place->begin != next_offset(recovery, place->file))
        return refuse_lost(recovery, frame, place, err);
    if (head->builds_on < recovery->frame_number || head->number <= recovery->frame_number)
        return refuse_content(recovery, place, head->first, "its number is that of an earlier frame", err);
    if (head->number >= INT64_MAX)
        return refuse_content(recovery, place, head->first, "its number is out of range", err);
    if (head->first == 0 || head->first > last_index(recovery) + 1)
        return refuse_content(recovery, place, head->first, "the entries before it are missing", err);
    if (head->count == 0 && head->first != last_index(recovery) + 1)
        return refuse_content(recovery, place, head->first, "it has no entries", err);
    return true;
}

/* It replaces first and all after it. The catalog follows when the frame is added to it. */
static void cut_log(struct storage_opened *opened, raft_index first)
{
    terms_cut(&opened->terms, first - 1);
    while (opened->config_count > 0 && opened->configs[opened->config_count - 1]->index >= first)
        entry_drop(opened->configs[--opened->config_count]);
}

/* Takes the reference. */
static void add_entry(struct storage_opened *opened, struct entry *entry)
{
    terms_add(&opened->terms, entry->index, entry->term);
    if (entry->kind != ENTRY_CONFIG) {
        entry_drop(entry);
        return;
    }
    opened->configs = memory_resize(opened->configs, (opened->config_count + 1) * sizeof *opened->configs);
    opened->configs[opened->config_count++] = entry;
}

static bool take_entries(struct recovery *recovery, const struct frame *frame, const struct place *place,
                         struct mailraft_error *err)
{
    const struct frame_head *head = &frame->head;
    struct terms *terms = &recovery->opened->terms;
    struct mailraft_error cause;
    size_t at = 0;
    for (uint32_t i = 0; i < head->count; i++) {
        struct entry *entry = entry_decode(frame->body + at, head->length - at, ENTRY_BYTES_MAX, &cause);
        if (entry == NULL)
            return refuse_content(recovery, place, head->first, cause.message, err);
        const char *why = entry->index != head->first + i   ? "its entries do not follow one another"
                          : entry->term < terms_last(terms) ? "a term goes back"
                                                            : NULL;
        if (why != NULL) {
            entry_drop(entry);
            return refuse_content(recovery, place, head->first, why, err);
        }
        at += entry->size;
        add_entry(recovery->opened, entry);
    }
    return at == head->length || refuse_content(recovery, place, head->first, "it is longer than its entries", err);
}

static bool take_frame(struct recovery *recovery, const struct frame *frame, const struct place *place,
                       struct mailraft_error *err)
{
    const struct frame_head *head = &frame->head;
    if (!check_order(recovery, frame, place, err))
        return false;
    cut_log(recovery->opened, head->first);
    if (!take_entries(recovery, frame, place, err))
        return false;
    if (head->count > 0) {
        struct run run = {head->first, last_index(recovery), place->file, place->begin, place->end - place->begin};
        catalog_add(&recovery->opened->catalog, &run);
    }
    recovery->opened->frames++;
    recovery->frame_number = head->number;
    recovery->newest = *place;
    recovery->unread_bytes = 0;
    return true;
}

/* ---- All files ---- */

/* A sector that holds no frame. */
static bool skip_sector(struct recovery *recovery, const struct place *sector, struct mailraft_error *err)
{
    const uint8_t *bytes = bytes_at(recovery, sector->begin, FRAME_BORDER, err);
    if (bytes == NULL || bytes_are_zero(bytes, FRAME_BORDER))
        return bytes != NULL;
    if (recovery->unread_bytes == 0)
        recovery->unread = *sector;
    else if (recovery->unread.file == sector->file)
        recovery->unread.end = sector->end;
    recovery->unread_bytes += FRAME_BORDER;
    return true;
}

static bool scan_file(struct recovery *recovery, uint64_t number, struct mailraft_error *err)
{
    uint64_t size = recovery->segments[number - 1].header.size;
    struct place place = {.file = number, .begin = SEGMENT_DATA_OFFSET};
    recovery->window.end = size;
    while (place.begin + FRAME_BORDER <= size) {
        struct frame frame;
        bool reads;
        if (!read_frame(recovery, place.begin, &frame, &reads, err))
            return false;
        place.end = place.begin + (reads ? frame_bytes(frame.head.length) : FRAME_BORDER);
        if (reads ? !take_frame(recovery, &frame, &place, err) : !skip_sector(recovery, &place, err))
            return false;
        place.begin = place.end;
    }
    recovery->opened->files++;
    return true;
}

static bool scan(struct recovery *recovery, struct mailraft_error *err)
{
    recovery->newest = (struct place){1, SEGMENT_DATA_OFFSET, SEGMENT_DATA_OFFSET};
    for (uint64_t number = 1; number <= recovery->segment_count; number++)
        if (!open_file(recovery, number, err) || !read_header(recovery, &recovery->segments[number - 1], err) ||
            !check_header(recovery, number, err) || !scan_file(recovery, number, err))
            return false;
    recovery->opened->bytes_cut = recovery->unread_bytes;
    return true;
}

/* ---- The newest entries ---- */

static bool refuse_changed(struct recovery *recovery, uint64_t offset, struct mailraft_error *err)
{
    return error_raise(err, &DAMAGED_ERROR, "%s reads differently the second time, at offset %" PRIu64,
                       path_of(recovery, recovery->window.segment->header.number), offset);
}

/* Of the frame's entries those that count and are in the run, as the ones behind those that the batch has. */
static bool add_frame_entries(const struct recovery *recovery, const struct frame *frame, const struct run *run,
                              struct batch *batch, struct mailraft_error *err)
{
    for (size_t at = 0; at < frame->head.length;) {
        struct entry *entry = entry_decode(frame->body + at, frame->head.length - at, ENTRY_BYTES_MAX, err);
        if (entry == NULL)
            return false;
        at += entry->size;
        bool counts = entry->index == run->first + batch->count && entry->index <= run->last &&
                      entry->term == terms_at(&recovery->opened->terms, entry->index);
        if (counts)
            batch_add(batch, entry);
        else
            entry_drop(entry);
    }
    return true;
}

static bool read_run(struct recovery *recovery, const struct run *run, struct batch *batch, struct mailraft_error *err)
{
    uint64_t offset = run->offset;
    if (!open_file(recovery, run->file, err))
        return false;
    recovery->window.end = run->offset + run->bytes;
    while (offset < run->offset + run->bytes) {
        struct frame frame;
        bool reads;
        if (!read_frame(recovery, offset, &frame, &reads, err))
            return false;
        if (!reads || !add_frame_entries(recovery, &frame, run, batch, err))
            return refuse_changed(recovery, offset, err);
        offset += frame_bytes(frame.head.length);
    }
    return batch->count == run->last - run->first + 1 || refuse_changed(recovery, run->offset, err);
}

/* Lets the oldest go that are beyond the limit, all but the last. */
static void trim(struct batch *batch, size_t bytes_max)
{
    size_t drop = 0;
    while (batch->bytes > bytes_max && drop + 1 < batch->count) {
        batch->bytes -= batch->list[drop]->size;
        entry_drop(batch->list[drop++]);
    }
    batch->count -= drop;
    memmove(batch->list, batch->list + drop, batch->count * sizeof *batch->list);
}

/* Reads runs, the last one first, until the cache is full: each into a batch of its own, at its place among the runs.
 * *first: the oldest that was read. There is one at least. */
static bool read_newest_runs(struct recovery *recovery, struct batch **batches, size_t *first,
                             struct mailraft_error *err)
{
    const struct catalog *catalog = &recovery->opened->catalog;
    size_t bytes = 0;
    *first = catalog->count;
    do {
        struct batch *batch = batches[--*first] = batch_new();
        if (!read_run(recovery, &catalog->list[*first], batch, err))
            return false;
        bytes += batch->bytes;
    } while (*first > 0 && bytes < recovery->config->cache_bytes);
    return true;
}

/* Only now it is known which they are. */
static bool read_tail(struct recovery *recovery, struct mailraft_error *err)
{
    size_t count = recovery->opened->catalog.count, first;
    if (count == 0)
        return true;
    struct batch **batches = memory_new(count * sizeof *batches), *tail = batch_new();
    bool good = read_newest_runs(recovery, batches, &first, err);
    for (size_t i = first; i < count; i++) {
        if (good)
            batch_move(tail, batches[i]);
        batch_free(batches[i]);
    }
    memory_free(batches);
    trim(tail, recovery->config->cache_bytes);
    recovery->opened->tail = tail;
    return good;
}

/* ---- Making it last ---- */

static bool sync_folder(struct recovery *recovery, struct mailraft_error *err)
{
    char folder[DISK_PATH_MAX + 4];
    snprintf(folder, sizeof folder, "%s/log", recovery->config->data_dir);
    return disk_sync_folder(folder, err);
}

static bool remove_half_made(struct recovery *recovery, struct mailraft_error *err)
{
    for (size_t i = 0; i < recovery->names.count; i++) {
        char path[DISK_PATH_MAX + 64];
        snprintf(path, sizeof path, "%s/log/%s", recovery->config->data_dir, recovery->names.names[i]);
        if (is_half_made(recovery->names.names[i]) && !disk_unlink(path, err))
            return false;
    }
    return true;
}

/* Last first, each for good before the next: a power cut leaves no hole in the running numbers. */
static bool remove_behind(struct recovery *recovery, struct mailraft_error *err)
{
    close_file(recovery);
    for (uint64_t number = recovery->segment_count; number > recovery->newest.file; number--)
        if (!disk_unlink(path_of(recovery, number), err) || !sync_folder(recovery, err))
            return false;
    return true;
}

/* The copy that is sound is left alone. */
static bool mend_headers(struct recovery *recovery, struct mailraft_error *err)
{
    for (uint64_t number = 1; number <= recovery->newest.file; number++) {
        const struct segment *segment = &recovery->segments[number - 1];
        uint8_t bytes[SEGMENT_HEADER_BYTES];
        if (segment->damaged < 0)
            continue;
        segment_header_encode(bytes, &segment->header);
        if (!open_file(recovery, number, err) ||
            !disk_write(recovery->window.file, (uint64_t)segment->damaged * SEGMENT_HEADER_COPY, bytes, sizeof bytes,
                        err) ||
            !disk_sync(recovery->window.file, err))
            return false;
    }
    return true;
}

static bool zero_unread(struct recovery *recovery, struct mailraft_error *err)
{
    static const uint8_t ZEROS[64 * 1024];
    const struct place *unread = &recovery->unread;
    if (recovery->unread_bytes == 0 || unread->file != recovery->newest.file)
        return true;
    for (uint64_t offset = unread->begin; offset < unread->end; offset += sizeof ZEROS) {
        uint64_t left = unread->end - offset;
        size_t size = left < sizeof ZEROS ? (size_t)left : sizeof ZEROS;
        if (!disk_write(recovery->window.file, offset, ZEROS, size, err))
            return false;
    }
    return true;
}

/* An earlier process may have written it and failed to sync it: then the system takes it for durable, and only writing
 * it again makes it so. */
static bool renew_frame(struct recovery *recovery, struct mailraft_error *err)
{
    const struct place *newest = &recovery->newest;
    struct frame frame;
    bool reads;
    if (recovery->frame_number == 0)
        return true;
    recovery->window.end = newest->end;
    if (!read_frame(recovery, newest->begin, &frame, &reads, err))
        return false;
    if (!reads || frame.head.number != recovery->frame_number)
        return refuse_changed(recovery, newest->begin, err);
    size_t size = (size_t)(newest->end - newest->begin);
    const uint8_t *bytes = bytes_at(recovery, newest->begin, size, err);
    return bytes != NULL && disk_write(recovery->window.file, newest->begin, bytes, size, err);
}

/* In this order: nothing of what is removed or zeroed counts, and the newest frame stays what it is throughout. */
static bool make_last(struct recovery *recovery, struct mailraft_error *err)
{
    return remove_half_made(recovery, err) && remove_behind(recovery, err) && mend_headers(recovery, err) &&
           open_file(recovery, recovery->newest.file, err) && zero_unread(recovery, err) &&
           renew_frame(recovery, err) && disk_sync(recovery->window.file, err) && sync_folder(recovery, err);
}

/* ---- The whole ---- */

static void hand_over(struct recovery *recovery, struct tail *tail)
{
    *tail = (struct tail){.header = recovery->segments[recovery->newest.file - 1].header,
                          .file = recovery->window.file,
                          .offset = recovery->newest.end,
                          .frame_number = recovery->frame_number,
                          .last_index = last_index(recovery)};
    recovery->window.file = NULL;
}

bool recovery_run(const struct recovery_config *config, struct storage_opened *opened, struct tail *tail,
                  struct mailraft_error *err)
{
    struct recovery *recovery = memory_new(sizeof *recovery);
    int64_t began_us = clock_now_us();
    recovery->config = config;
    recovery->opened = opened;
    bool done =
        list_files(recovery, err) && scan(recovery, err) && read_tail(recovery, err) && make_last(recovery, err);
    if (done)
        hand_over(recovery, tail);
    opened->read_us = clock_now_us() - began_us;
    close_file(recovery);
    disk_names_free(&recovery->names);
    memory_free(recovery->segments);
    memory_free(recovery->window.bytes);
    memory_free(recovery);
    return done;
}
