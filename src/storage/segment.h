/* segment.h - the format of the log's files: what stands where, byte by byte.
 *
 *     log/00000001.seg   named by its running number; 4 MiB, each later one twice as much, up to segment_bytes; zeroed
 *                        and synced before it gets its name, so that a sync of what is written into it later writes no
 *                        metadata. A file is never used twice.
 *
 * Header:    60 bytes, in two copies, at 0 and at 4096; frames begin at SEGMENT_DATA_OFFSET. Numbers are little-endian.
 *
 *                 0  u32  magic, the bytes "SGMT"
 *                 4  u32  version, 1
 *                 8  16   data id of the folder that it was made in
 *                24  u64  running number
 *                32  u64  salt: random
 *                40  u64  size of the file: a multiple of 512, with room for a frame
 *                48  u32  0
 *                52  u64  XXH3-64 of the 52 bytes before it
 *
 *            A later version keeps magic, version and checksum where they are, so that it is told from damage.
 *
 * Frame:     begins on a border of 512 bytes and lies within one file: a head of 64 bytes, then entries (base/entry.h)
 *            as they came. What is left of its last sector is zero.
 *
 *                 0  u32  magic, the bytes "FRME"
 *                 4  u32  length of the entries, in bytes; 0: a witness
 *                 8  u64  salt of its file
 *                16  u64  number: larger than that of any frame before it, over all files; the first is 1, and all are
 *                         below 2^63-1
 *                24  u64  the number of the frame it builds on, the one that was durable when it was written; 0: none
 *                32  u64  index of the first entry. Not above the last entry so far: it replaces that one and all after
 *                         it. A witness has the last index plus one
 *                40  u32  how many entries
 *                44  u32  0
 *                48  u64  XXH3-64 of the entries
 *                56  u64  XXH3-64 of the 56 bytes before it
 *
 * Torn:      a frame that was in flight when the power went has any of its sectors, old (zero) or new. Without the
 *            first it is no frame; without another its checksum does not fit. One write is in flight at a time, and the
 *            next begins when it is durable: so only the last frame can be torn, and one that another builds on cannot.
 * Witness:   a frame without entries, written once when nothing has come for 20 ms, and at a clean stop: it builds on
 *            the frame before it, so that damage to that one is told from a write that was in flight. */
#ifndef STORAGE_SEGMENT_H
#define STORAGE_SEGMENT_H

#include "base/catalog.h"
#include "base/disk.h"
#include "base/entry.h"

#define SEGMENT_FIRST_BYTES   (4u * 1024 * 1024)
#define SEGMENT_HEADER_BYTES  60
#define SEGMENT_HEADER_COPY   4096 /* offset of the second copy */
#define SEGMENT_DATA_OFFSET   8192
#define FRAME_HEAD_BYTES      64
#define FRAME_BORDER          DISK_SECTOR

/* What an operator can do about a file that is damaged or missing. An older copy of the whole folder is no help: this
 * node would have forgotten what it had promised since. */
#define SEGMENT_ADVICE                                                                                                 \
    "restore that file, or, while the other members have a leader, remove the data_dir and start this node with "      \
    "--rejoin-empty"

struct segment_header {
    struct data_id data_id;
    uint64_t number; /* running, from 1 */
    uint64_t salt;
    uint64_t size;
};

struct frame_head {
    uint64_t salt;
    uint64_t number;
    uint64_t builds_on;
    raft_index first;
    uint32_t count;
    uint32_t length; /* of the entries, bytes */
    uint64_t body_checksum;
};

/* "DATA_DIR/log/00000001.seg"; path: DISK_PATH_MAX bytes. Returns path. */
const char *segment_path(const char *data_dir, uint64_t number, char *path);
/* The running number in a name without folder; false for any other name. */
bool segment_number(const char *name, uint64_t *number);

/* How large the file of a number is: at least so that one entry of entry_bytes_max fits. A multiple of 4096. */
uint64_t segment_size(uint64_t number, uint64_t segment_bytes, size_t entry_bytes_max);

void segment_header_encode(uint8_t *bytes, const struct segment_header *header); /* SEGMENT_HEADER_BYTES */
/* DAMAGED_ERROR, also for one of a newer version (its message says which), and what to do; without a path, which the
 * caller knows. */
bool segment_header_decode(const uint8_t *bytes, struct segment_header *header, struct mailraft_error *err);

/* Makes and zeroes a file under its temporary name ("....seg.tmp"), syncs it, gives it its name and syncs the folder.
 * Replaces a file of that name. data_id, number and size are the caller's; salt is drawn, and told. */
bool segment_make(const char *data_dir, struct segment_header *header, struct mailraft_error *err);

/* Whether nothing was ever written behind the header of a file. */
bool segment_is_unused(const char *path, bool *unused, struct mailraft_error *err);

void frame_head_encode(uint8_t *bytes, const struct frame_head *head); /* FRAME_HEAD_BYTES */
bool frame_head_decode(const uint8_t *bytes, struct frame_head *head); /* false: no sound head stands there */

/* What a frame with so many bytes of entries takes of a file: a multiple of FRAME_BORDER. */
uint64_t frame_bytes(uint64_t length);

#endif
