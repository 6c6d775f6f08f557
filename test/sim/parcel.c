/* What travels between machines, or waits to. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/requests.h"
#include "sim/world.h"

static struct parcel *parcel_allocate(size_t size)
{
    struct parcel *parcel = calloc(1, sizeof *parcel + size);

    assert(parcel != NULL);
    parcel->size = size;
    return parcel;
}

struct parcel *parcel_new(enum channel channel, const struct message *message, const struct batch *entries)
{
    struct parcel *parcel = parcel_allocate(entries != NULL ? entries->bytes : 0);
    size_t at = 0;

    parcel->channel = channel;
    parcel->message = *message;
    for (size_t i = 0; entries != NULL && i < entries->count; i++) {
        memcpy(parcel->bytes + at, entries->list[i]->bytes, entries->list[i]->size);
        at += entries->list[i]->size;
    }
    assert(at == parcel->size);
    return parcel;
}

struct parcel *parcel_new_body(const struct message *message, const uint8_t *body, size_t size)
{
    struct parcel *parcel = parcel_allocate(size);

    parcel->channel = CHANNEL_BULK;
    parcel->message = *message;
    memcpy(parcel->bytes, body, size);
    return parcel;
}

bool parcel_is_forward(const struct parcel *parcel)
{
    return parcel->message.type_of_message == FORWARD || parcel->message.type_of_message == FORWARDED;
}

struct parcel *parcel_copy(const struct parcel *parcel)
{
    struct parcel *copy = parcel_allocate(parcel->size);

    memcpy(copy, parcel, sizeof *parcel + parcel->size);
    copy->next = NULL;
    return copy;
}

struct batch *parcel_entries(const struct parcel *parcel)
{
    struct mailraft_error err;
    struct batch *entries;

    if (parcel->size == 0 || parcel_is_forward(parcel))
        return NULL;
    entries = batch_decode(parcel->bytes, parcel->size, ENTRY_BYTES_MAX, &err);
    if (entries == NULL)
        sim_fail("what %d sent to %d holds no entries: %s", parcel->message.server_id, parcel->to, err.message);
    return entries;
}

struct mailraft_buffer parcel_body(const struct parcel *parcel)
{
    struct mailraft_buffer body = {.bytes = NULL};
    struct mailraft_error err;
    bool sound;

    if (!parcel_is_forward(parcel))
        return body;
    mailraft_buffer_put(&body, parcel->bytes, parcel->size);
    sound = parcel->message.type_of_message == FORWARD ? requests_check(&body, &err) : replies_check(&body, &err);
    if (!sound || body.size == 0)
        sim_fail("what %d forwarded to %d is not sound: %s", parcel->message.server_id, parcel->to,
                 sound ? "nothing" : err.message);
    return body;
}

void parcels_put(struct parcels *parcels, struct parcel *parcel)
{
    parcel->next = NULL;
    if (parcels->first == NULL)
        parcels->first = parcel;
    else
        parcels->last->next = parcel;
    parcels->last = parcel;
    parcels->count++;
    parcels->size += parcel->size;
}

static struct parcel *take(struct parcels *parcels, bool (*suits)(const struct parcel *parcel, raft_id to), raft_id to)
{
    struct parcel *before = NULL, *parcel = parcels->first;

    while (parcel != NULL && !suits(parcel, to)) {
        before = parcel;
        parcel = parcel->next;
    }
    if (parcel == NULL)
        return NULL;
    if (before == NULL)
        parcels->first = parcel->next;
    else
        before->next = parcel->next;
    if (parcels->last == parcel)
        parcels->last = before;
    parcels->count--;
    parcels->size -= parcel->size;
    return parcel;
}

static bool is_any(const struct parcel *parcel, raft_id to)
{
    (void)parcel, (void)to;
    return true;
}

static bool is_droppable(const struct parcel *parcel, raft_id to)
{
    (void)to;
    return parcel->droppable;
}

static bool is_to(const struct parcel *parcel, raft_id to)
{
    return parcel->to == to;
}

struct parcel *parcels_take(struct parcels *parcels)
{
    return take(parcels, is_any, NO_ONE);
}

struct parcel *parcels_take_droppable(struct parcels *parcels)
{
    return take(parcels, is_droppable, NO_ONE);
}

struct parcel *parcels_take_to(struct parcels *parcels, raft_id to)
{
    return take(parcels, is_to, to);
}

void parcels_empty(struct parcels *parcels)
{
    struct parcel *parcel;

    while ((parcel = parcels_take(parcels)) != NULL)
        free(parcel);
}
