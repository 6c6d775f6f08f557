/* disk.h - files and folders. One of the headers that the simulator replaces.
 *
 * Threads:   a file is used by one thread at a time.
 * Errors:    STORAGE_ERROR with the errno and the path in the message; FULL_ERROR for ENOSPC and EDQUOT. EINTR and
 *            short reads and writes are dealt with here.
 * Durability: a write lasts once disk_sync on its file has returned, a name (created, renamed, unlinked, mkdir) once
 *            disk_sync_folder on its folder has. After a failed sync nothing is known: the caller gives up. */
#ifndef BASE_DISK_H
#define BASE_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define DISK_PATH_MAX 4096 /* bytes, the final zero included */
#define DISK_SECTOR 512    /* what a power cut leaves whole, old or new */

struct disk_file;

enum disk_open_mode {
    DISK_OPEN,   /* must exist; read and write */
    DISK_CREATE, /* made when missing, kept as it is otherwise; read and write */
    DISK_REPLACE, /* made, or emptied when there; read and write */
    DISK_READ    /* must exist; only to be read: a file of somebody else's */
};

/* NULL and an error (os_errno ENOENT where it does not exist). The caller closes it. */
struct disk_file *disk_open(const char *path, enum disk_open_mode mode, struct mailraft_error *err);
void disk_close(struct disk_file *file); /* NULL is fine */

/* Reads up to size bytes at offset; *got is less only where the file ends. */
bool disk_read(struct disk_file *file, uint64_t offset, void *bytes, size_t size, size_t *got,
               struct mailraft_error *err);
bool disk_write(struct disk_file *file, uint64_t offset, const void *bytes, size_t size, struct mailraft_error *err);
bool disk_sync(struct disk_file *file, struct mailraft_error *err); /* fdatasync */
bool disk_size(struct disk_file *file, uint64_t *size, struct mailraft_error *err);
bool disk_truncate(struct disk_file *file, uint64_t size, struct mailraft_error *err);

/* Takes the file for this process alone until it is closed. LOCKED_ERROR when another process holds it. */
bool disk_lock(struct disk_file *file, struct mailraft_error *err);

/* Whether there is such a file or folder; an error only where that cannot be told. */
bool disk_exists(const char *path, bool *exists, struct mailraft_error *err);
bool disk_rename(const char *from, const char *to, struct mailraft_error *err);
bool disk_unlink(const char *path, struct mailraft_error *err);
/* Fine when it is there. Its parents are made where they are missing, each synced into its own. */
bool disk_make_folder(const char *path, struct mailraft_error *err);
bool disk_sync_folder(const char *path, struct mailraft_error *err);

/* The names in a folder, sorted by bytes, without "." and "..". The caller frees them with disk_names_free. */
struct disk_names {
    char **names;
    size_t count;
};
bool disk_list(const char *path, struct disk_names *names, struct mailraft_error *err);
void disk_names_free(struct disk_names *names);

#endif
