/* recovery.h - reads the log's files at start, tells a write that was in flight from damage, and makes durable what counts.
 *
 * Reading:   all files in the order of their running numbers, frame by frame, and where no frame reads, border by border.
 *            A sound frame of its file's salt whose number is above the last one read counts. One that builds on a number
 *            above the last one read shows that a frame which had been durable is damaged; so does a file without a sound
 *            header: refused. Whatever else does not read was in flight, or was never used: it is zeroed.
 * Making it last: every file behind that of the newest frame is removed, last first; where there is no frame at all, the
 *            first is made anew. The newest frame and the headers are written again, and files and folder synced: what
 *            an earlier process wrote but did not sync may be all that stands there.
 * Refused:   DAMAGED_ERROR that names the file, and where it can offset and index, and says what the operator can do: a
 *            file that is missing (a hole in the running numbers, or none at all), one that does not belong there, one
 *            of another data folder, of a newer version, damage, a hole in the indexes or the write numbers, terms that
 *            go back. Nothing has been changed then.
 * Time:      every byte is read once, a second time at most its last part; memory: a few MiB and the tail.
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
    uint64_t segment_bytes; /* of a file that is made anew */
    size_t entry_bytes_max; /* the same; entries that stand there may have any size */
    size_t cache_bytes;     /* of the newest entries that are handed over */
};

/* Fills in opened's part about the log (terms, catalog, tail, configs, counts). */
bool recovery_run(const struct recovery_config *config, struct storage_opened *opened, struct tail *tail,
                  struct mailraft_error *err);

#endif
