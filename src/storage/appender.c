#include "storage/appender.h"

#include <assert.h>
#include <inttypes.h>

#include "base/bytes.h"

void appender_open(struct appender *appender, const struct tail *tail)
{
    *appender = (struct appender){.tail = *tail};
}

void appender_close(struct appender *appender)
{
    disk_close(appender->tail.file);
    buffer_fini(&appender->buffer);
    appender->tail.file = NULL;
}

static uint64_t room(const struct appender *appender)
{
    return appender->tail.header.size - appender->tail.offset;
}

size_t appender_count_fitting(const struct appender *appender, struct entry *const *entries, size_t count)
{
    uint64_t length = 0;
    size_t fitting = 0;
    while (fitting < count) {
        length += entries[fitting]->size;
        if (length > UINT32_MAX || frame_bytes(length) > room(appender)) /* a head tells the length in 32 bits */
            break;
        fitting++;
    }
    return fitting;
}

bool appender_is_full(const struct appender *appender)
{
    return room(appender) < frame_bytes(0);
}

/* Head, entries, and zeros up to the border, in the buffer. The head comes first and is known last. */
static void encode(struct mailraft_buffer *buffer, struct frame_head *head, struct entry *const *entries)
{
    static const uint8_t ZEROS[FRAME_BORDER];
    buffer_clear(buffer);
    mailraft_buffer_put(buffer, ZEROS, FRAME_HEAD_BYTES);
    for (uint32_t i = 0; i < head->count; i++)
        mailraft_buffer_put(buffer, entries[i]->bytes, entries[i]->size);
    head->length = (uint32_t)(buffer->size - FRAME_HEAD_BYTES);
    head->body_checksum = bytes_checksum(buffer->bytes + FRAME_HEAD_BYTES, head->length);
    frame_head_encode(buffer->bytes, head);
    mailraft_buffer_put(buffer, ZEROS, (size_t)frame_bytes(head->length) - buffer->size);
}

static bool write_frame(struct appender *appender, raft_index first, struct entry *const *entries, size_t count,
                        struct mailraft_error *err)
{
    struct tail *tail = &appender->tail;
    struct mailraft_buffer *buffer = &appender->buffer;
    struct frame_head head = {.salt = tail->header.salt,
                              .number = tail->frame_number + 1,
                              .builds_on = tail->frame_number,
                              .first = first,
                              .count = (uint32_t)count};
    encode(buffer, &head, entries);
    assert(tail->offset % FRAME_BORDER == 0);
    assert(buffer->size <= room(appender));
    if (!disk_write(tail->file, tail->offset, buffer->bytes, buffer->size, err) || !disk_sync(tail->file, err))
        return false;
    tail->offset += buffer->size;
    tail->frame_number = head.number;
    return true;
}

bool appender_write(struct appender *appender, struct entry *const *entries, size_t count, struct run *place,
                    struct mailraft_error *err)
{
    struct tail *tail = &appender->tail;
    assert(count > 0);
    assert(entries[0]->index <= tail->last_index + 1); /* no gaps */
    *place = (struct run){.first = entries[0]->index,
                          .last = entries[count - 1]->index,
                          .file = tail->header.number,
                          .offset = tail->offset};
    if (!write_frame(appender, place->first, entries, count, err))
        return false;
    place->bytes = tail->offset - place->offset;
    tail->last_index = place->last;
    return true;
}

bool appender_write_witness(struct appender *appender, struct mailraft_error *err)
{
    return write_frame(appender, appender->tail.last_index + 1, NULL, 0, err);
}

static bool read_header(struct disk_file *file, const struct tail *tail, struct segment_header *header,
                        struct mailraft_error *err)
{
    uint8_t bytes[SEGMENT_HEADER_BYTES] = {0};
    size_t got;
    if (!disk_read(file, 0, bytes, sizeof bytes, &got, err) || !segment_header_decode(bytes, header, err))
        return false;
    if (header->number == tail->header.number + 1 && data_id_equal(&header->data_id, &tail->header.data_id))
        return true;
    return error_raise(err, &DAMAGED_ERROR, "it is the file %" PRIu64 " of a log, made elsewhere", header->number);
}

bool appender_begin_file(struct appender *appender, const char *data_dir, struct mailraft_error *err)
{
    struct tail *tail = &appender->tail;
    struct segment_header header;
    char path[DISK_PATH_MAX];
    struct disk_file *file = disk_open(segment_path(data_dir, tail->header.number + 1, path), DISK_OPEN, err);
    if (file == NULL)
        return false;
    if (!read_header(file, tail, &header, err)) {
        disk_close(file);
        return error_prefix(err, "Couldn't begin %s", path);
    }
    disk_close(tail->file);
    tail->file = file;
    tail->header = header;
    tail->offset = SEGMENT_DATA_OFFSET;
    return true;
}
