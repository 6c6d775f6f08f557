/* memory_stream.h - mail/stream.h in the place of sockets: a stream brings the bytes that it was made of, then it ends,
 * and keeps what is written to it. */
#ifndef FUZZ_MEMORY_STREAM_H
#define FUZZ_MEMORY_STREAM_H

#include "base/buffer.h"
#include "mail/stream.h"

/* bytes: borrowed until stream_close. */
struct stream *memory_stream_new(const void *bytes, size_t size);

/* What has been written to it; good until the next write. */
const struct mailraft_buffer *memory_stream_written(const struct stream *stream);

#endif
