#include "log_count.h"

#include <stdio.h>

#include "storage/segment.h"

#define PAGE_BYTES 4096 /* what the file system writes, at least */

static double pages(uint64_t offset, uint64_t bytes)
{
    return (double)((offset + bytes - 1) / PAGE_BYTES - offset / PAGE_BYTES + 1) * PAGE_BYTES;
}

/* One frame at offset; returns where the next border may hold one. */
static uint64_t count_frame(struct log_count *count, struct disk_file *file, uint64_t offset, raft_index first,
                            raft_index last)
{
    uint8_t bytes[FRAME_HEAD_BYTES] = {0};
    struct frame_head head;
    struct mailraft_error err;
    size_t got;
    if (!disk_read(file, offset, bytes, sizeof bytes, &got, &err))
        bench_die("%s", err.message);
    if (!frame_head_decode(bytes, &head))
        return offset + FRAME_BORDER;
    if (head.count > 0 && head.first >= first && head.first <= last) {
        count->entries += head.count;
        count->frames++;
        count->bytes += (double)frame_bytes(head.length);
        count->page_bytes += pages(offset, frame_bytes(head.length));
    }
    return offset + frame_bytes(head.length);
}

static void count_file(struct log_count *count, const char *path, raft_index first, raft_index last)
{
    struct mailraft_error err;
    uint64_t size, offset = SEGMENT_DATA_OFFSET;
    struct disk_file *file = disk_open(path, DISK_READ, &err);
    if (file == NULL || !disk_size(file, &size, &err))
        bench_die("%s", err.message);
    while (offset < size)
        offset = count_frame(count, file, offset, first, last);
    disk_close(file);
}

int log_paths(const char *data_dir, char paths[][PATH_MAX], int room)
{
    bool exists = true;
    int count = 0;
    struct mailraft_error err;
    while (count < room) {
        segment_path(data_dir, (uint64_t)count + 1, paths[count]);
        if (!disk_exists(paths[count], &exists, &err))
            bench_die("%s", err.message);
        if (!exists)
            return count;
        count++;
    }
    bench_die("There are more than %d files in %s", room, data_dir);
}

void log_count_add(struct log_count *count, const char *data_dir, raft_index first, raft_index last)
{
    static char paths[100][PATH_MAX];
    int files = log_paths(data_dir, paths, 100);
    for (int i = 0; i < files; i++)
        count_file(count, paths[i], first, last);
}
