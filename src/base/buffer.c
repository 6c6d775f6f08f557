#include "base/buffer.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"

#define LEAST_ROOM 64

void mailraft_buffer_put(struct mailraft_buffer *buffer, const void *bytes, size_t size)
{
    assert(size <= SIZE_MAX / 2 - buffer->size);
    if (buffer->size + size > buffer->room) {
        size_t room = buffer->room < LEAST_ROOM ? LEAST_ROOM : buffer->room;
        while (room < buffer->size + size)
            room *= 2;
        buffer->bytes = memory_resize(buffer->bytes, room);
        buffer->room = room;
    }
    if (size > 0)
        memcpy(buffer->bytes + buffer->size, bytes, size);
    buffer->size += size;
}

void buffer_fini(struct mailraft_buffer *buffer)
{
    memory_free(buffer->bytes);
    *buffer = (struct mailraft_buffer){.bytes = NULL};
}

void buffer_clear(struct mailraft_buffer *buffer)
{
    buffer->size = 0;
}
