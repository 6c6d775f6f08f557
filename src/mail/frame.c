#include "mail/frame.h"

#include "base/memory.h"

/* A batch of its own, with references of its own. NULL for no entries. */
static struct batch *share(const struct batch *entries)
{
    struct batch *shared;

    if (entries == NULL || entries->count == 0)
        return NULL;
    shared = batch_new();
    shared->list = memory_new(entries->count * sizeof *shared->list);
    shared->room = entries->count;
    for (size_t i = 0; i < entries->count; i++)
        batch_add(shared, entry_hold(entries->list[i]));
    return shared;
}

struct frame *frame_new(size_t own_size, const struct batch *entries, bool droppable)
{
    struct frame *frame = memory_new(sizeof *frame + own_size);

    frame->droppable = droppable;
    frame->entries = share(entries);
    frame->own_size = own_size;
    frame->size = own_size + (frame->entries != NULL ? frame->entries->bytes : 0);
    return frame;
}

void frame_free(struct frame *frame)
{
    if (frame == NULL)
        return;
    batch_free(frame->entries);
    memory_free(frame);
}

struct rest {
    size_t skip; /* of the bytes from here on, so many have left */
    size_t bytes;
    size_t count;
    struct iovec *parts;
};

static void rest_add(struct rest *rest, void *bytes, size_t size)
{
    if (rest->skip >= size) {
        rest->skip -= size;
        return;
    }
    rest->parts[rest->count++] = (struct iovec){(uint8_t *)bytes + rest->skip, size - rest->skip};
    rest->bytes += size - rest->skip;
    rest->skip = 0;
}

size_t frame_rest(const struct frame *frame, struct iovec parts[FRAME_PARTS_MAX], size_t *count)
{
    struct rest rest = {.skip = frame->sent, .parts = parts};
    size_t entry_count = frame->entries != NULL ? frame->entries->count : 0;

    rest_add(&rest, (void *)frame->bytes, frame->own_size);
    for (size_t i = 0; i < entry_count && rest.count < FRAME_PARTS_MAX; i++)
        rest_add(&rest, frame->entries->list[i]->bytes, frame->entries->list[i]->size);
    *count = rest.count;
    return rest.bytes;
}
