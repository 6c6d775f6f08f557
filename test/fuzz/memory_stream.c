#include "memory_stream.h"

#include <string.h>

#include "base/memory.h"

struct stream {
    const uint8_t *at;
    size_t left;
    struct mailraft_buffer written;
};

struct stream *memory_stream_new(const void *bytes, size_t size)
{
    struct stream *stream = memory_new(sizeof *stream);

    stream->at = bytes;
    stream->left = size;
    return stream;
}

const struct mailraft_buffer *memory_stream_written(const struct stream *stream)
{
    return &stream->written;
}

bool stream_read_full(struct stream *stream, void *bytes, size_t size, int64_t deadline_us, const struct bell *stop,
                      struct mailraft_error *err)
{
    (void)deadline_us;
    (void)stop;
    if (size > stream->left)
        return error_raise(err, &NETWORK_ERROR, "The connection to %s was closed", stream_peer(stream));
    if (size > 0)
        memcpy(bytes, stream->at, size);
    stream->at += size;
    stream->left -= size;
    return true;
}

bool stream_write_some(struct stream *stream, const void *bytes, size_t size, size_t *written,
                       struct mailraft_error *err)
{
    (void)err;
    mailraft_buffer_put(&stream->written, bytes, size);
    *written = size;
    return true;
}

bool stream_write_parts(struct stream *stream, struct iovec *parts, size_t count, size_t *written,
                        struct mailraft_error *err)
{
    size_t size;

    *written = 0;
    for (size_t i = 0; i < count; i++) {
        stream_write_some(stream, parts[i].iov_base, parts[i].iov_len, &size, err);
        *written += size;
    }
    return true;
}

bool stream_check_silent(struct stream *stream, struct mailraft_error *err)
{
    return stream->left == 0 || error_raise(err, &PROTOCOL_ERROR, "bytes came where none may");
}

void stream_shutdown(struct stream *stream)
{
    (void)stream;
}

void stream_close(struct stream *stream)
{
    if (stream == NULL)
        return;
    buffer_fini(&stream->written);
    memory_free(stream);
}

int stream_fd(const struct stream *stream)
{
    (void)stream;
    return -1;
}

const char *stream_peer(const struct stream *stream)
{
    (void)stream;
    return "127.0.0.1:50322";
}
