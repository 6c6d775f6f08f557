/* appender.h - writes frames, one behind the other, into the files of the log (segment.h).
 *
 * Order:     a frame is durable when appender_write or appender_write_witness returns; the next one builds on it. So
 *            one write is in flight at a time.
 * Files:     what does not fit into the present file goes into the next one, which is made elsewhere (file_maker.h):
 *            appender_begin_file turns to it.
 * Errors:    STORAGE_ERROR and FULL_ERROR. After one nobody knows what stands in the file: the appender is only closed.
 * Threads:   the scribe's alone. */
#ifndef STORAGE_APPENDER_H
#define STORAGE_APPENDER_H

#include "base/buffer.h"
#include "storage/recovery.h"

struct appender {
    struct tail tail;              /* where the next frame goes */
    struct mailraft_buffer buffer; /* the last frame's bytes; kept for its room */
};

void appender_open(struct appender *appender, const struct tail *tail); /* takes its file */
void appender_close(struct appender *appender); /* twice is harmless; so is one that is all zeros */

/* How many of these entries fit into the present file together; 0: not even the first. An empty file holds one of
 * entry_bytes_max (segment_size). */
size_t appender_count_fitting(const struct appender *appender, struct entry *const *entries, size_t count);

/* Writes and syncs entries, at least one, that follow one another and fit, as one frame, and tells where it stands.
 * Where the first is not one more than the last index, it replaces that entry and all after it. */
bool appender_write(struct appender *appender, struct entry *const *entries, size_t count, struct run *place,
                    struct mailraft_error *err);

/* A frame without entries; it fits unless the file is full. */
bool appender_is_full(const struct appender *appender);
bool appender_write_witness(struct appender *appender, struct mailraft_error *err);

/* Turns to the next file, which has been made and holds no frames yet. DAMAGED_ERROR where it is not what was made. */
bool appender_begin_file(struct appender *appender, const char *data_dir, struct mailraft_error *err);

#endif
