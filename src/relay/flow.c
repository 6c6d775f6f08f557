#include "relay/flow.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"

struct chunk {
    struct chunk *next;
    int64_t due_us;
    size_t size, taken;
    uint8_t bytes[];
};

static void drop_first(struct flow *flow)
{
    struct chunk *chunk = flow->first;
    flow->first = chunk->next;
    if (flow->first == NULL)
        flow->last = NULL;
    flow->held_bytes -= sizeof(*chunk) + chunk->size;
    memory_free(chunk);
}

void flow_fini(struct flow *flow)
{
    while (flow->first != NULL)
        drop_first(flow);
    *flow = (struct flow){.first = NULL};
}

static int64_t in_order(struct flow *flow, int64_t due_us)
{
    if (due_us > flow->due_us)
        flow->due_us = due_us;
    return flow->due_us;
}

void flow_put(struct flow *flow, const void *bytes, size_t size, int64_t due_us)
{
    assert(flow->end == FLOW_OPEN);
    if (size == 0)
        return;
    struct chunk *chunk = memory_new(sizeof(*chunk) + size);
    chunk->due_us = in_order(flow, due_us);
    chunk->size = size;
    memcpy(chunk->bytes, bytes, size);
    if (flow->last != NULL)
        flow->last->next = chunk;
    else
        flow->first = chunk;
    flow->last = chunk;
    flow->held_bytes += sizeof(*chunk) + size;
}

void flow_put_end(struct flow *flow, enum flow_end end, int64_t due_us)
{
    if (flow->end == FLOW_BROKEN)
        return;
    flow->end = end;
    flow->end_due_us = in_order(flow, due_us);
}

size_t flow_due(const struct flow *flow, int64_t now_us, const uint8_t **bytes)
{
    const struct chunk *chunk = flow->first;
    if (chunk == NULL || chunk->due_us > now_us)
        return 0;
    *bytes = chunk->bytes + chunk->taken;
    return chunk->size - chunk->taken;
}

void flow_take(struct flow *flow, size_t size)
{
    assert(flow->first != NULL && size <= flow->first->size - flow->first->taken);
    flow->first->taken += size;
    if (flow->first->taken == flow->first->size)
        drop_first(flow);
}

enum flow_end flow_ended(const struct flow *flow, int64_t now_us)
{
    if (flow->end == FLOW_OPEN || flow->end_due_us > now_us)
        return FLOW_OPEN;
    return flow->end == FLOW_BROKEN || flow->first == NULL ? flow->end : FLOW_OPEN;
}

bool flow_is_empty(const struct flow *flow)
{
    return flow->first == NULL;
}

bool flow_is_full(const struct flow *flow)
{
    return flow->held_bytes >= FLOW_BYTES_MAX;
}

int64_t flow_next_us(const struct flow *flow, bool blocked)
{
    if (flow->first != NULL && !blocked)
        return flow->first->due_us; /* never later than the end */
    if (flow->end == FLOW_BROKEN || (flow->end == FLOW_FINISHED && flow->first == NULL))
        return flow->end_due_us;
    return CLOCK_NEVER;
}
