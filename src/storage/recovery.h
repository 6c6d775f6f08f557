/* recovery.h - reads the log's files at start, tells a write in flight from damage, and makes durable what counts.
 *
 * Reading:   all files in the order of their running numbers, frame by frame, and where none reads, border by border.
 *            Each sound frame of its file's salt must be the next one: build on the last that was read, and stand where
 *            that ends, or at the beginning of a later file. One that is not shows that a frame which had been durable
 *            is damaged; so does a file without a sound header: refused. Whatever else does not read was in flight, or
 *            was never used: it is zeroed.
 * Making it last: every file behind that of the newest frame is removed, last first, and files that were being made.
 *            A damaged copy of a header is written again, and so is the newest frame; files and folder are synced: what
 *            an earlier process wrote but did not sync may be all that stands there.
 * Torn:      a frame that was in flight stood behind the newest one: either in the same file, where it is zeroed, or,
 *            where it did not fit there any more, at the beginning of the next one, which is removed. So nothing of it
 *            is read later, whichever of the two places the next frame, of the same number perhaps, goes to.
 * Refused:   DAMAGED_ERROR that names the file, and where it can offset and index, and says what the operator can do: a
 *            file that is missing (a hole in the running numbers, or none at all), one that does not belong there, one
 *            of another data folder, of a newer version or of another size, damage, a hole in the indexes or the write
 *            numbers, terms that go back. Nothing has been changed then.
 * Time:      every byte is read once, a second time at most the tail; memory: the largest frame and the tail.
 * Threads:   the scribe's alone. */
#ifndef STORAGE_RECOVERY_H
#define STORAGE_RECOVERY_H

#include "base/letter.h"
#include "storage/segment.h"

/* Where the next frame goes. */
struct tail {
    struct segment_header header; /* of the file */
    struct disk_file *file;       /* open; the scribe's from here on */
    uint64_t offset;
    uint64_t frame_number; /* of the last frame; 0: none */
    raft_index last_index;
};

struct recovery_config {
    char data_dir[DISK_PATH_MAX];
    struct data_id data_id;
    size_t cache_bytes; /* of the newest entries that are handed over */
};

/* Fills in opened's part about the log (terms, catalog, tail, configs, counts), which is zeroed before. Where it is
 * refused, a part of it may be there: storage_opened_free frees it either way. */
bool recovery_run(const struct recovery_config *config, struct storage_opened *opened, struct tail *tail,
                  struct mailraft_error *err);

#endif
