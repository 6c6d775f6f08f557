#include "memory_disk.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define FILES_MAX 16

struct disk_file {
    char *path; /* NULL: none */
    struct mailraft_buffer bytes;
    int handles;
};

static struct disk_file files[FILES_MAX];

static struct disk_file *find(const char *path)
{
    for (size_t i = 0; i < FILES_MAX; i++)
        if (files[i].path != NULL && strcmp(files[i].path, path) == 0)
            return &files[i];
    return NULL;
}

static struct disk_file *make(const char *path)
{
    size_t i = 0;

    while (i < FILES_MAX && files[i].path != NULL)
        i++;
    assert(i < FILES_MAX);
    files[i].path = memory_new(strlen(path) + 1);
    strcpy(files[i].path, path);
    return &files[i];
}

static void forget(struct disk_file *file)
{
    assert(file->handles == 0);
    memory_free(file->path);
    buffer_fini(&file->bytes);
    memset(file, 0, sizeof *file);
}

/* ---- For targets ---- */

void memory_disk_clear(void)
{
    for (size_t i = 0; i < FILES_MAX; i++)
        forget(&files[i]);
}

void memory_disk_put(const char *path, const void *bytes, size_t size)
{
    struct disk_file *file = find(path);

    if (file == NULL)
        file = make(path);
    buffer_clear(&file->bytes);
    mailraft_buffer_put(&file->bytes, bytes, size);
}

struct mailraft_buffer *memory_disk_at(const char *path)
{
    struct disk_file *file = find(path);

    return file != NULL ? &file->bytes : NULL;
}

/* ---- base/disk.h ---- */

static bool absent(const char *path, struct mailraft_error *err)
{
    errno = ENOENT;
    return error_raise_os(err, &STORAGE_ERROR, "Couldn't find %s", path);
}

struct disk_file *disk_open(const char *path, enum disk_open_mode mode, struct mailraft_error *err)
{
    struct disk_file *file = find(path);

    if (file == NULL && (mode == DISK_OPEN || mode == DISK_READ)) {
        absent(path, err);
        return NULL;
    }
    if (file == NULL)
        file = make(path);
    if (mode == DISK_REPLACE)
        buffer_clear(&file->bytes);
    file->handles++;
    return file;
}

void disk_close(struct disk_file *file)
{
    if (file == NULL)
        return;
    assert(file->handles > 0);
    file->handles--;
}

bool disk_read(struct disk_file *file, uint64_t offset, void *bytes, size_t size, size_t *got,
               struct mailraft_error *err)
{
    size_t left = offset < file->bytes.size ? file->bytes.size - (size_t)offset : 0;

    (void)err;
    *got = size < left ? size : left;
    if (*got > 0)
        memcpy(bytes, file->bytes.bytes + offset, *got);
    return true;
}

bool disk_write(struct disk_file *file, uint64_t offset, const void *bytes, size_t size, struct mailraft_error *err)
{
    (void)err;
    if (offset + size > file->bytes.size) {
        uint8_t *zeros = memory_new((size_t)offset + size - file->bytes.size);
        mailraft_buffer_put(&file->bytes, zeros, (size_t)offset + size - file->bytes.size);
        memory_free(zeros);
    }
    if (size > 0)
        memcpy(file->bytes.bytes + offset, bytes, size);
    return true;
}

bool disk_sync(struct disk_file *file, struct mailraft_error *err)
{
    (void)file;
    (void)err;
    return true;
}

bool disk_size(struct disk_file *file, uint64_t *size, struct mailraft_error *err)
{
    (void)err;
    *size = file->bytes.size;
    return true;
}

bool disk_truncate(struct disk_file *file, uint64_t size, struct mailraft_error *err)
{
    if (size > file->bytes.size)
        return disk_write(file, size, NULL, 0, err);
    file->bytes.size = (size_t)size;
    return true;
}

bool disk_lock(struct disk_file *file, struct mailraft_error *err)
{
    (void)file;
    (void)err;
    return true;
}

/* Folders are there when they are asked for. */
bool disk_exists(const char *path, bool *exists, struct mailraft_error *err)
{
    (void)err;
    *exists = find(path) != NULL;
    return true;
}

bool disk_rename(const char *from, const char *to, struct mailraft_error *err)
{
    struct disk_file *file = find(from), *old = find(to);

    if (file == NULL)
        return absent(from, err);
    if (old != NULL)
        forget(old);
    file->path = memory_resize(file->path, strlen(to) + 1);
    strcpy(file->path, to);
    return true;
}

bool disk_unlink(const char *path, struct mailraft_error *err)
{
    struct disk_file *file = find(path);

    if (file == NULL)
        return absent(path, err);
    forget(file);
    return true;
}

bool disk_make_folder(const char *path, struct mailraft_error *err)
{
    (void)path;
    (void)err;
    return true;
}

bool disk_sync_folder(const char *path, struct mailraft_error *err)
{
    (void)path;
    (void)err;
    return true;
}

static int by_name(const void *one, const void *other)
{
    return strcmp(*(char *const *)one, *(char *const *)other);
}

bool disk_list(const char *path, struct disk_names *names, struct mailraft_error *err)
{
    size_t length = strlen(path);

    (void)err;
    *names = (struct disk_names){memory_new(FILES_MAX * sizeof *names->names), 0};
    for (size_t i = 0; i < FILES_MAX; i++) {
        const char *file = files[i].path;
        if (file == NULL || strncmp(file, path, length) != 0 || file[length] != '/' ||
            strchr(file + length + 1, '/') != NULL)
            continue;
        names->names[names->count] = memory_new(strlen(file + length + 1) + 1);
        strcpy(names->names[names->count++], file + length + 1);
    }
    qsort(names->names, names->count, sizeof *names->names, by_name);
    return true;
}

void disk_names_free(struct disk_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        memory_free(names->names[i]);
    memory_free(names->names);
    *names = (struct disk_names){NULL, 0};
}
