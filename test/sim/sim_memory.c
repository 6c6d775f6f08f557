/* base/memory.h: every block is known to the life that asked for it, so that a life that dies leaves nothing behind
 * and one that ends by itself can be asked what it forgot. */
#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim/world.h"

struct block {
    struct block *next, **link; /* link: what points to it; NULL: asked for outside of any life */
    struct life *life;          /* whose it is; NULL: nobody's */
    size_t size;
    max_align_t bytes[]; /* what the caller sees */
};

static void block_link(struct block *block, struct life *life)
{
    block->next = life->blocks;
    block->link = &life->blocks;
    if (block->next != NULL)
        block->next->link = &block->next;
    life->blocks = block;
    block->life = life;
    life->bytes += block->size;
}

static void block_unlink(struct block *block)
{
    if (block->link == NULL)
        return;
    *block->link = block->next;
    if (block->next != NULL)
        block->next->link = block->link;
    block->life->bytes -= block->size;
}

static struct block *block_of(void *memory)
{
    return (struct block *)((char *)memory - offsetof(struct block, bytes)); // NOLINT
}

void *memory_new(size_t size)
{
    struct block *block = calloc(1, sizeof *block + size);

    assert(block != NULL);
    block->size = size;
    if (the_sim != NULL && the_sim->life != NULL)
        block_link(block, the_sim->life);
    return block->bytes;
}

/* Always moves, so that whoever keeps the old address is found out. */
void *memory_resize(void *memory, size_t size)
{
    void *resized = memory_new(size);

    if (memory != NULL)
        memcpy(resized, memory, block_of(memory)->size < size ? block_of(memory)->size : size);
    memory_free(memory);
    return resized;
}

void memory_free(void *memory)
{
    if (memory == NULL)
        return;
    block_unlink(block_of(memory));
    free(block_of(memory));
}

void memory_forget(struct life *life)
{
    while (life->blocks != NULL)
        memory_free(life->blocks->bytes);
}

size_t memory_count(const struct life *life)
{
    size_t count = 0;

    for (const struct block *block = life->blocks; block != NULL; block = block->next)
        count++;
    return count;
}
