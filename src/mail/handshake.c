#include "mail/handshake.h"

#include "base/clock.h"
#include "mail/wire.h"

/* The socket is new and its buffer empty, so that all of it fits at once. */
bool handshake_say(struct stream *stream, const struct hello *hello, struct mailraft_error *err)
{
    struct frame *frame = wire_write_hello(hello);
    size_t size = frame->size, written;
    bool good = stream_write_some(stream, frame->bytes, size, &written, err);

    frame_free(frame);
    if (good && written < size)
        return error_raise(err, &NETWORK_ERROR, "a new connection has no room for a hello");
    return good;
}

static bool hear_part(struct stream *stream, uint8_t *bytes, size_t size, int64_t deadline_us, const struct bell *stop,
                      struct mailraft_error *err)
{
    if (stream_read_full(stream, bytes, size, deadline_us, stop, err))
        return true;
    if (clock_now_us() >= deadline_us)
        return error_raise(err, &PROTOCOL_ERROR, "no complete hello within one second");
    return false;
}

bool handshake_hear(struct stream *stream, struct hello *hello, int64_t deadline_us, const struct bell *stop,
                    struct mailraft_error *err)
{
    uint8_t bytes[WIRE_HELLO_BYTES_MAX];
    struct wire_sizes sizes;

    return hear_part(stream, bytes, WIRE_HEAD_BYTES, deadline_us, stop, err) &&
           wire_read_head(bytes, &WIRE_HELLO_RULES, &sizes, err) &&
           hear_part(stream, bytes, sizes.message, deadline_us, stop, err) &&
           wire_read_hello(bytes, sizes.message, hello, err);
}
