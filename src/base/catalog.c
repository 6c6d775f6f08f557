#include "base/catalog.h"

#include <assert.h>

#include "base/memory.h"

void catalog_init(struct catalog *catalog)
{
    *catalog = (struct catalog){.count = 0};
}

void catalog_fini(struct catalog *catalog)
{
    memory_free(catalog->list);
    catalog_init(catalog);
}

/* Forgets first and all after it. */
static void cut(struct catalog *catalog, raft_index first)
{
    while (catalog->count > 0 && catalog->list[catalog->count - 1].first >= first)
        catalog->count--;
    if (catalog->count > 0 && catalog->list[catalog->count - 1].last >= first)
        catalog->list[catalog->count - 1].last = first - 1;
}

/* What stands between them holds no entries: every frame that does has been added. */
static bool joins(const struct run *last, const struct run *frame)
{
    return last->file == frame->file && last->offset + last->bytes <= frame->offset &&
           frame->offset + frame->bytes - last->offset <= CATALOG_RUN_BYTES;
}

void catalog_add(struct catalog *catalog, const struct run *frame)
{
    assert(frame->first > 0 && frame->last >= frame->first);
    raft_index next = catalog->count > 0 ? catalog->list[catalog->count - 1].last + 1 : frame->first;
    assert(frame->first <= next); /* no gaps */
    cut(catalog, frame->first);
    struct run *last = catalog->count > 0 ? &catalog->list[catalog->count - 1] : NULL;
    /* A run that lost its end holds, behind what counts, entries that do not: nothing may be joined to it. */
    bool whole = frame->first == next;
    if (last != NULL && whole && joins(last, frame)) {
        last->last = frame->last;
        last->bytes = frame->offset + frame->bytes - last->offset;
        return;
    }
    if (catalog->count == catalog->room) {
        catalog->room = catalog->room == 0 ? 16 : 2 * catalog->room;
        catalog->list = memory_resize(catalog->list, catalog->room * sizeof *catalog->list);
    }
    catalog->list[catalog->count++] = *frame;
}

const struct run *catalog_find(const struct catalog *catalog, raft_index index)
{
    size_t low = 0, high = catalog->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (catalog->list[middle].last < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low < catalog->count && catalog->list[low].first <= index ? &catalog->list[low] : NULL;
}
