#include "mail/outbox.h"

#include <assert.h>

#include "base/memory.h"
#include "base/thread.h"

struct outbox {
    struct bell bell;
    size_t bytes_max;

    struct mutex mutex; /* guards what follows, and every call on the stream but the writer's poll and its reading */
    struct frame *first;
    struct frame **end;            /* the pointer that the next frame goes to: first, or the last one's next */
    size_t bytes;                  /* of all of them */
    size_t droppable;              /* how many of them are, ... */
    size_t droppable_bytes;        /* ... and their bytes */
    struct stream *stream;         /* NULL: no connection */
    bool begun;                    /* the writer has flushed: whoever sends uses the stream, too */
    struct mailraft_error failure; /* of the stream, which is of no more use then; class NULL: it works */
};

struct outbox *outbox_new(size_t bytes_max, struct mailraft_error *err)
{
    struct outbox *outbox = memory_new(sizeof *outbox);

    if (!bell_init(&outbox->bell, err)) {
        memory_free(outbox);
        return NULL;
    }
    outbox->bytes_max = bytes_max;
    mutex_init(&outbox->mutex);
    outbox->end = &outbox->first;
    return outbox;
}

/* Takes out and frees the frame that *at points to. */
static void remove_frame(struct outbox *outbox, struct frame **at)
{
    struct frame *frame = *at;

    *at = frame->next;
    if (outbox->end == &frame->next)
        outbox->end = at;
    outbox->bytes -= frame->size;
    if (frame->droppable) {
        outbox->droppable--;
        outbox->droppable_bytes -= frame->size;
    }
    frame_free(frame);
}

static void remove_all(struct outbox *outbox)
{
    while (outbox->first != NULL)
        remove_frame(outbox, &outbox->first);
}

void outbox_free(struct outbox *outbox)
{
    if (outbox == NULL)
        return;
    assert(outbox->stream == NULL);
    remove_all(outbox);
    mutex_fini(&outbox->mutex);
    bell_fini(&outbox->bell);
    memory_free(outbox);
}

const struct bell *outbox_bell(const struct outbox *outbox)
{
    return &outbox->bell;
}

void outbox_nudge(struct outbox *outbox)
{
    bell_ring(&outbox->bell);
}

static void append_frame(struct outbox *outbox, struct frame *frame)
{
    frame->next = NULL;
    frame->sent = 0;
    *outbox->end = frame;
    outbox->end = &frame->next;
    outbox->bytes += frame->size;
    if (frame->droppable) {
        outbox->droppable++;
        outbox->droppable_bytes += frame->size;
    }
}

/* False where there is none. */
static bool drop_oldest(struct outbox *outbox)
{
    struct frame **at = &outbox->first;

    while (*at != NULL && (!(*at)->droppable || (*at)->sent > 0))
        at = &(*at)->next;
    if (*at == NULL)
        return false;
    remove_frame(outbox, at);
    return true;
}

static bool is_over(const struct outbox *outbox)
{
    return outbox->droppable_bytes > outbox->bytes_max ||
           (outbox->stream == NULL && outbox->droppable > OUTBOX_UNCONNECTED_MAX);
}

/* The mutex is held. Sends what the socket takes at once. */
static void flush(struct outbox *outbox)
{
    while (outbox->first != NULL && outbox->stream != NULL && outbox->failure.class == NULL) {
        struct frame *frame = outbox->first;
        struct iovec parts[FRAME_PARTS_MAX];
        size_t count, written, rest = frame_rest(frame, parts, &count);

        if (!stream_write_parts(outbox->stream, parts, count, &written, &outbox->failure))
            return;
        frame->sent += written;
        if (written < rest)
            return;
        if (frame->sent == frame->size)
            remove_frame(outbox, &outbox->first);
    }
}

/* The mutex is held. Whether there is news for the writer: it polls for room only while frames wait. */
static bool take_frame(struct outbox *outbox, struct frame *frame)
{
    bool idle = outbox->first == NULL;

    append_frame(outbox, frame);
    if (idle && outbox->begun)
        flush(outbox);
    while (is_over(outbox) && drop_oldest(outbox))
        ;
    return idle && outbox->first != NULL && outbox->stream != NULL;
}

void outbox_send(struct outbox *outbox, struct frame *frame)
{
    bool taken, ring = false;

    mutex_lock(&outbox->mutex);
    taken = frame->droppable || outbox->stream != NULL;
    if (taken)
        ring = take_frame(outbox, frame);
    mutex_unlock(&outbox->mutex);
    if (ring)
        bell_ring(&outbox->bell);
    if (!taken)
        frame_free(frame);
}

size_t outbox_waiting_bytes(struct outbox *outbox)
{
    size_t bytes;

    mutex_lock(&outbox->mutex);
    bytes = outbox->first != NULL ? outbox->bytes - outbox->first->sent : 0;
    mutex_unlock(&outbox->mutex);
    return bytes;
}

void outbox_open(struct outbox *outbox, struct stream *stream)
{
    mutex_lock(&outbox->mutex);
    assert(outbox->stream == NULL);
    outbox->stream = stream;
    outbox->begun = false;
    outbox->failure.class = NULL;
    mutex_unlock(&outbox->mutex);
}

bool outbox_flush(struct outbox *outbox, bool *waiting, struct mailraft_error *err)
{
    bool good;

    mutex_lock(&outbox->mutex);
    outbox->begun = true;
    flush(outbox);
    *waiting = outbox->first != NULL;
    good = outbox->failure.class == NULL;
    if (!good)
        *err = outbox->failure;
    mutex_unlock(&outbox->mutex);
    return good;
}

void outbox_close(struct outbox *outbox)
{
    mutex_lock(&outbox->mutex);
    outbox->stream = NULL;
    outbox->begun = false;
    remove_all(outbox);
    mutex_unlock(&outbox->mutex);
}
