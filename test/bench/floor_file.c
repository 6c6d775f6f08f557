#include "floor_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "bench.h"

void floor_file_make(struct floor_file *file, const char *path)
{
    *file = (struct floor_file){.fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666),
                                .bytes = memory_new(FLOOR_WRITE_BYTES)};
    bool made = file->fd >= 0;
    for (uint64_t offset = 0; made && offset < FLOOR_FILE_BYTES; offset += FLOOR_WRITE_BYTES)
        made = pwrite(file->fd, file->bytes, FLOOR_WRITE_BYTES, (off_t)offset) == FLOOR_WRITE_BYTES;
    if (!made || fsync(file->fd) != 0)
        bench_die("Couldn't make %s: %s", path, strerror(errno));
    memset(file->bytes, 0x5a, FLOOR_WRITE_BYTES);
}

void floor_file_close(struct floor_file *file)
{
    close(file->fd);
    memory_free(file->bytes);
}

bool floor_file_write(struct floor_file *file, size_t size)
{
    assert(size <= FLOOR_WRITE_BYTES);
    if (file->offset + size > FLOOR_FILE_BYTES)
        file->offset = 0;
    bool written = pwrite(file->fd, file->bytes, size, (off_t)file->offset) == (ssize_t)size;
    file->offset += size;
    return written && fdatasync(file->fd) == 0;
}
