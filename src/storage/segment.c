#include "storage/segment.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "base/random.h"

#define HEADER_MAGIC 0x544d4753u /* "SGMT" */
#define VERSION      1u
#define FRAME_MAGIC  0x454d5246u /* "FRME" */

#define SIZE_BORDER  4096
#define CHUNK_BYTES  (256 * 1024)  /* written or read at once */
#define SYNCED_BYTES (1024 * 1024) /* of a file that is made: written, then synced, at once */

enum {
    AT_MAGIC = 0, /* of both */
    AT_VERSION = 4,
    AT_DATA_ID = 8,
    AT_NUMBER = 24,
    AT_SALT = 32,
    AT_SIZE = 40,
    AT_CHECKSUM = 52
};

enum {
    AT_FRAME_LENGTH = 4,
    AT_FRAME_SALT = 8,
    AT_FRAME_NUMBER = 16,
    AT_FRAME_BUILDS_ON = 24,
    AT_FRAME_FIRST = 32,
    AT_FRAME_COUNT = 40,
    AT_FRAME_BODY_CHECKSUM = 48,
    AT_FRAME_CHECKSUM = 56
};

/* ---- Names and sizes ---- */

static const char *name_path(const char *data_dir, uint64_t number, const char *ending, char *path)
{
    int length = snprintf(path, DISK_PATH_MAX, "%s/log/%08" PRIu64 ".seg%s", data_dir, number, ending);
    assert(length < DISK_PATH_MAX); /* the config leaves room for the names in a data_dir */
    return path;
}

const char *segment_path(const char *data_dir, uint64_t number, char *path)
{
    return name_path(data_dir, number, "", path);
}

bool segment_number(const char *name, uint64_t *number)
{
    char proper[32];
    uint64_t found = strtoull(name, NULL, 10);
    snprintf(proper, sizeof proper, "%08" PRIu64 ".seg", found);
    if (found == 0 || strcmp(name, proper) != 0)
        return false;
    *number = found;
    return true;
}

static uint64_t round_up(uint64_t bytes, uint64_t border)
{
    return (bytes + border - 1) / border * border;
}

uint64_t segment_size(uint64_t number, uint64_t segment_bytes, size_t entry_bytes_max)
{
    uint64_t size = SEGMENT_FIRST_BYTES;
    uint64_t least = SEGMENT_DATA_OFFSET + frame_bytes(entry_bytes_max);
    assert(number > 0);
    for (uint64_t i = 1; i < number && size < segment_bytes; i++)
        size *= 2;
    if (size > segment_bytes)
        size = segment_bytes;
    return round_up(size > least ? size : least, SIZE_BORDER);
}

uint64_t frame_bytes(uint64_t length)
{
    return round_up(FRAME_HEAD_BYTES + length, FRAME_BORDER);
}

/* ---- Header of a file ---- */

void segment_header_encode(uint8_t *bytes, const struct segment_header *header)
{
    memset(bytes, 0, SEGMENT_HEADER_BYTES);
    bytes_put_u32(bytes + AT_MAGIC, HEADER_MAGIC);
    bytes_put_u32(bytes + AT_VERSION, VERSION);
    memcpy(bytes + AT_DATA_ID, header->data_id.bytes, DATA_ID_SIZE);
    bytes_put_u64(bytes + AT_NUMBER, header->number);
    bytes_put_u64(bytes + AT_SALT, header->salt);
    bytes_put_u64(bytes + AT_SIZE, header->size);
    bytes_put_u64(bytes + AT_CHECKSUM, bytes_checksum(bytes, AT_CHECKSUM));
}

bool segment_header_decode(const uint8_t *bytes, struct segment_header *header, struct mailraft_error *err)
{
    uint32_t version = bytes_get_u32(bytes + AT_VERSION);
    if (bytes_get_u32(bytes + AT_MAGIC) != HEADER_MAGIC ||
        bytes_get_u64(bytes + AT_CHECKSUM) != bytes_checksum(bytes, AT_CHECKSUM))
        return error_raise(err, &DAMAGED_ERROR, "it has no sound header; " SEGMENT_ADVICE);
    if (version > VERSION)
        return error_raise(err, &DAMAGED_ERROR,
                           "it was written by a newer mailraft: its format is version %" PRIu32
                           ", and %u is the last one known here",
                           version, VERSION);
    *header = (struct segment_header){.number = bytes_get_u64(bytes + AT_NUMBER),
                                      .salt = bytes_get_u64(bytes + AT_SALT),
                                      .size = bytes_get_u64(bytes + AT_SIZE)};
    memcpy(header->data_id.bytes, bytes + AT_DATA_ID, DATA_ID_SIZE);
    return true;
}

/* ---- Making a file ---- */

/* Zeros by writing them, so that the file has its place on the disk and its size for good. Both copies of the header
 * lie in the first chunk. Synced piece by piece: the log's own syncs, which go on meanwhile, never wait for more than a
 * piece. */
static bool fill(struct disk_file *file, const struct segment_header *header, struct mailraft_error *err)
{
    uint8_t *chunk = memory_new(CHUNK_BYTES);
    bool filled = true;
    segment_header_encode(chunk, header);
    segment_header_encode(chunk + SEGMENT_HEADER_COPY, header);
    for (uint64_t offset = 0; filled && offset < header->size; offset += CHUNK_BYTES) {
        uint64_t left = header->size - offset;
        filled = disk_write(file, offset, chunk, left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES, err);
        if (filled && left > CHUNK_BYTES && (offset + CHUNK_BYTES) % SYNCED_BYTES == 0)
            filled = disk_sync(file, err);
        memset(chunk, 0, SEGMENT_DATA_OFFSET);
    }
    memory_free(chunk);
    return filled;
}

static bool make_unnamed(const char *path, const struct segment_header *header, struct mailraft_error *err)
{
    struct mailraft_error ignored;
    struct disk_file *file = disk_open(path, DISK_REPLACE, err);
    if (file == NULL)
        return false;
    bool made = fill(file, header, err) && disk_sync(file, err);
    disk_close(file);
    if (!made) /* on a full disk it holds the last of the space */
        disk_unlink(path, &ignored);
    return made;
}

bool segment_make(const char *data_dir, struct segment_header *header, struct mailraft_error *err)
{
    char made[DISK_PATH_MAX], path[DISK_PATH_MAX], folder[DISK_PATH_MAX];
    assert(header->size > SEGMENT_DATA_OFFSET);
    random_bytes(&header->salt, sizeof header->salt);
    name_path(data_dir, header->number, ".tmp", made);
    segment_path(data_dir, header->number, path);
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    return make_unnamed(made, header, err) && disk_rename(made, path, err) && disk_sync_folder(folder, err);
}

bool segment_is_unused(const char *path, bool *unused, struct mailraft_error *err)
{
    struct disk_file *file = disk_open(path, DISK_READ, err);
    if (file == NULL)
        return false;
    uint8_t *chunk = memory_new(CHUNK_BYTES);
    size_t got = CHUNK_BYTES;
    bool read = true;
    *unused = true;
    for (uint64_t offset = SEGMENT_DATA_OFFSET; read && *unused && got == CHUNK_BYTES; offset += got) {
        read = disk_read(file, offset, chunk, CHUNK_BYTES, &got, err);
        *unused = read && bytes_are_zero(chunk, got);
    }
    memory_free(chunk);
    disk_close(file);
    return read;
}

/* ---- Head of a frame ---- */

void frame_head_encode(uint8_t *bytes, const struct frame_head *head)
{
    memset(bytes, 0, FRAME_HEAD_BYTES);
    bytes_put_u32(bytes + AT_MAGIC, FRAME_MAGIC);
    bytes_put_u32(bytes + AT_FRAME_LENGTH, head->length);
    bytes_put_u64(bytes + AT_FRAME_SALT, head->salt);
    bytes_put_u64(bytes + AT_FRAME_NUMBER, head->number);
    bytes_put_u64(bytes + AT_FRAME_BUILDS_ON, head->builds_on);
    bytes_put_u64(bytes + AT_FRAME_FIRST, head->first);
    bytes_put_u32(bytes + AT_FRAME_COUNT, head->count);
    bytes_put_u64(bytes + AT_FRAME_BODY_CHECKSUM, head->body_checksum);
    bytes_put_u64(bytes + AT_FRAME_CHECKSUM, bytes_checksum(bytes, AT_FRAME_CHECKSUM));
}

bool frame_head_decode(const uint8_t *bytes, struct frame_head *head)
{
    if (bytes_get_u32(bytes + AT_MAGIC) != FRAME_MAGIC ||
        bytes_get_u64(bytes + AT_FRAME_CHECKSUM) != bytes_checksum(bytes, AT_FRAME_CHECKSUM))
        return false;
    *head = (struct frame_head){.salt = bytes_get_u64(bytes + AT_FRAME_SALT),
                                .number = bytes_get_u64(bytes + AT_FRAME_NUMBER),
                                .builds_on = bytes_get_u64(bytes + AT_FRAME_BUILDS_ON),
                                .first = bytes_get_u64(bytes + AT_FRAME_FIRST),
                                .count = bytes_get_u32(bytes + AT_FRAME_COUNT),
                                .length = bytes_get_u32(bytes + AT_FRAME_LENGTH),
                                .body_checksum = bytes_get_u64(bytes + AT_FRAME_BODY_CHECKSUM)};
    return true;
}
