/* memory_disk.h - base/disk.h in the place of the real one: files in this process's memory, which the target can look
 * into and change. Nothing fails but what does not exist. */
#ifndef FUZZ_MEMORY_DISK_H
#define FUZZ_MEMORY_DISK_H

#include "base/buffer.h"
#include "base/disk.h"

void memory_disk_clear(void); /* no files are left; none is open */

/* The file of that name with such content, in the place of an earlier one. */
void memory_disk_put(const char *path, const void *bytes, size_t size);

/* What stands in a file, to be read or changed; NULL: there is none. Good until the file grows or goes. */
struct mailraft_buffer *memory_disk_at(const char *path);

#endif
