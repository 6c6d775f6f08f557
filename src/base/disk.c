#include "base/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

/* What a node keeps is for its own user alone. */
#define FILE_MODE   0600
#define FOLDER_MODE 0700

struct disk_file {
    int fd;
    char path[]; /* as it was opened, for messages */
};

static const struct mailraft_error_class *disk_error_class(void)
{
    return errno == ENOSPC || errno == EDQUOT ? &FULL_ERROR : &STORAGE_ERROR;
}

/* "Couldn't DEED PATH: text of errno". */
static bool disk_fail(struct mailraft_error *err, const char *deed, const char *path)
{
    return error_raise_os(err, disk_error_class(), "Couldn't %s %s", deed, path);
}

struct disk_file *disk_open(const char *path, enum disk_open_mode mode, struct mailraft_error *err)
{
    static const int FLAGS[] = {
        [DISK_OPEN] = O_RDWR,
        [DISK_CREATE] = O_RDWR | O_CREAT,
        [DISK_REPLACE] = O_RDWR | O_CREAT | O_TRUNC,
        [DISK_READ] = O_RDONLY,
    };
    struct disk_file *file;
    int fd;

    do
        fd = open(path, O_CLOEXEC | FLAGS[mode], FILE_MODE);
    while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        disk_fail(err, "open", path);
        return NULL;
    }
    file = memory_new(sizeof *file + strlen(path) + 1);
    file->fd = fd;
    strcpy(file->path, path);
    return file;
}

void disk_close(struct disk_file *file)
{
    if (file == NULL)
        return;
    close(file->fd); /* what had to last was synced before: its result tells nothing more */
    memory_free(file);
}

bool disk_read(struct disk_file *file, uint64_t offset, void *bytes, size_t size, size_t *got,
               struct mailraft_error *err)
{
    uint8_t *at = bytes;

    *got = 0;
    while (*got < size) {
        ssize_t result = pread(file->fd, at + *got, size - *got, (off_t)(offset + *got));

        if (result == 0)
            break;
        if (result < 0 && errno != EINTR)
            return disk_fail(err, "read", file->path);
        if (result > 0)
            *got += (size_t)result;
    }
    return true;
}

bool disk_write(struct disk_file *file, uint64_t offset, const void *bytes, size_t size, struct mailraft_error *err)
{
    const uint8_t *at = bytes;
    size_t done = 0;

    while (done < size) {
        ssize_t result = pwrite(file->fd, at + done, size - done, (off_t)(offset + done));

        if (result < 0 && errno != EINTR)
            return disk_fail(err, "write", file->path);
        if (result > 0)
            done += (size_t)result;
    }
    return true;
}

/* Not tried again after EINTR either: once a sync has failed, a second one may tell of success that was none. */
bool disk_sync(struct disk_file *file, struct mailraft_error *err)
{
    return fdatasync(file->fd) == 0 || disk_fail(err, "sync", file->path);
}

bool disk_size(struct disk_file *file, uint64_t *size, struct mailraft_error *err)
{
    struct stat status;

    if (fstat(file->fd, &status) != 0)
        return disk_fail(err, "tell the size of", file->path);
    *size = (uint64_t)status.st_size;
    return true;
}

bool disk_truncate(struct disk_file *file, uint64_t size, struct mailraft_error *err)
{
    int result;

    do
        result = ftruncate(file->fd, (off_t)size);
    while (result != 0 && errno == EINTR);
    return result == 0 || disk_fail(err, "truncate", file->path);
}

bool disk_lock(struct disk_file *file, struct mailraft_error *err)
{
    if (flock(file->fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    if (errno == EWOULDBLOCK)
        return error_raise(err, &LOCKED_ERROR, "Couldn't lock %s: another process holds it", file->path);
    return disk_fail(err, "lock", file->path);
}

bool disk_exists(const char *path, bool *exists, struct mailraft_error *err)
{
    struct stat status;

    *exists = lstat(path, &status) == 0;
    if (*exists || errno == ENOENT || errno == ENOTDIR)
        return true;
    return disk_fail(err, "look for", path);
}

bool disk_rename(const char *from, const char *to, struct mailraft_error *err)
{
    if (rename(from, to) == 0)
        return true;
    return error_raise_os(err, disk_error_class(), "Couldn't rename %s to %s", from, to);
}

bool disk_unlink(const char *path, struct mailraft_error *err)
{
    return unlink(path) == 0 || disk_fail(err, "remove", path);
}

bool disk_sync_folder(const char *path, struct mailraft_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced;

    if (fd < 0)
        return disk_fail(err, "open", path);
    synced = fsync(fd) == 0 || disk_fail(err, "sync", path);
    close(fd);
    return synced;
}

static bool disk_is_folder(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* Makes one folder whose parent is there. */
static bool disk_make_one_folder(const char *path, struct mailraft_error *err)
{
    if (mkdir(path, FOLDER_MODE) == 0)
        return true;
    if (errno == EEXIST && disk_is_folder(path))
        return true;
    return disk_fail(err, "make the folder", path);
}

/* path: shorter than DISK_PATH_MAX, without a slash at its end. */
static bool disk_sync_parent(const char *path, struct mailraft_error *err)
{
    char parent[DISK_PATH_MAX];
    char *slash;

    strcpy(parent, path);
    slash = strrchr(parent, '/');
    if (slash == NULL)
        return disk_sync_folder(".", err);
    slash[slash == parent] = '\0'; /* the root keeps its slash */
    return disk_sync_folder(parent, err);
}

/* The caller knows, and syncs, only the last name of the path: those before it are synced here. */
bool disk_make_folder(const char *path, struct mailraft_error *err)
{
    char before[DISK_PATH_MAX];

    if (path[0] == '\0' || strlen(path) >= sizeof before) {
        errno = path[0] == '\0' ? ENOENT : ENAMETOOLONG;
        return disk_fail(err, "make the folder", path);
    }
    strcpy(before, path);
    for (char *slash = strchr(before + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (!disk_is_folder(before))
            if (!disk_make_one_folder(before, err) || !disk_sync_parent(before, err))
                return false;
        *slash = '/';
    }
    return disk_make_one_folder(path, err);
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static void disk_names_add(struct disk_names *names, const char *name)
{
    char *copy = memory_new(strlen(name) + 1);

    strcpy(copy, name);
    names->names = memory_resize(names->names, (names->count + 1) * sizeof *names->names);
    names->names[names->count++] = copy;
}

bool disk_list(const char *path, struct disk_names *names, struct mailraft_error *err)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    int failure;

    *names = (struct disk_names){NULL, 0};
    if (folder == NULL)
        return disk_fail(err, "open", path);
    for (errno = 0; (entry = readdir(folder)) != NULL; errno = 0)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            disk_names_add(names, entry->d_name);
    failure = errno;
    closedir(folder);
    if (failure != 0) {
        disk_names_free(names);
        errno = failure;
        return disk_fail(err, "list", path);
    }
    if (names->count > 0)
        qsort(names->names, names->count, sizeof *names->names, compare_names);
    return true;
}

void disk_names_free(struct disk_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        memory_free(names->names[i]);
    memory_free(names->names);
    *names = (struct disk_names){NULL, 0};
}
