/* floor_file.h - a zeroed file that is written from its beginning to its end, each write followed by fdatasync, as the
 * scribe writes the log: the least that a durable write can cost here. */
#ifndef BENCH_FLOOR_FILE_H
#define BENCH_FLOOR_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLOOR_FILE_BYTES  (64u * 1024 * 1024) /* as the log's files have in the end */
#define FLOOR_WRITE_BYTES (1024u * 1024)      /* of one write, at most */

struct floor_file {
    int fd;
    uint64_t offset;
    uint8_t *bytes; /* what is written */
};

/* Makes the file, zeroed and synced. Ends the benchmark where that fails. */
void floor_file_make(struct floor_file *file, const char *path);
void floor_file_close(struct floor_file *file);

/* Writes behind the last write (at the end of the file: from its beginning again) and syncs. False: errno. */
bool floor_file_write(struct floor_file *file, size_t size);

#endif
