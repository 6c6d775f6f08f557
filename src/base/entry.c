#include "base/entry.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"

enum { AT_CHECKSUM = 0, AT_LENGTH = 8, AT_KIND = 12, AT_TERM = 16, AT_INDEX = 24, AT_TIME = 32 };

static struct entry *allocate(uint32_t size)
{
    struct entry *entry = memory_new(sizeof *entry + size);
    entry->references = 1;
    entry->size = size;
    return entry;
}

struct entry *entry_new(enum entry_kind kind, raft_term term, raft_index index, int64_t time_us, const void *payload,
                        size_t payload_size)
{
    assert(payload_size <= ENTRY_BYTES_MAX - ENTRY_HEAD_BYTES);
    assert(term > 0 && term < INT64_MAX && index > 0 && index < INT64_MAX); /* or nobody would decode it */
    assert(time_us >= 0 && time_us < INT64_MAX);
    struct entry *entry = allocate((uint32_t)(ENTRY_HEAD_BYTES + payload_size));
    entry->kind = kind;
    entry->term = term;
    entry->index = index;
    entry->time_us = time_us;
    bytes_put_u32(entry->bytes + AT_LENGTH, entry->size);
    bytes_put_u32(entry->bytes + AT_KIND, (uint32_t)kind);
    bytes_put_u64(entry->bytes + AT_TERM, term);
    bytes_put_u64(entry->bytes + AT_INDEX, index);
    bytes_put_u64(entry->bytes + AT_TIME, (uint64_t)time_us);
    if (payload_size > 0)
        memcpy(entry->bytes + ENTRY_HEAD_BYTES, payload, payload_size);
    bytes_put_u64(entry->bytes, bytes_checksum(entry->bytes + AT_LENGTH, entry->size - AT_LENGTH));
    return entry;
}

/* What a sound checksum cannot vouch for: whoever encoded it may have been of another make. */
static bool check_numbers(const uint8_t *bytes, struct mailraft_error *err)
{
    uint32_t kind = bytes_get_u32(bytes + AT_KIND);
    uint64_t term = bytes_get_u64(bytes + AT_TERM), index = bytes_get_u64(bytes + AT_INDEX);
    if (kind == 0 || kind > ENTRY_KIND_LAST)
        return error_raise(err, &PROTOCOL_ERROR, "an entry is of the unknown kind %" PRIu32, kind);
    if (term == 0 || term >= INT64_MAX || index == 0 || index >= INT64_MAX)
        return error_raise(err, &PROTOCOL_ERROR, "an entry has a term or an index out of range: %" PRIu64 "@%" PRIu64,
                           index, term);
    if (bytes_get_u64(bytes + AT_TIME) >= INT64_MAX)
        return error_raise(err, &PROTOCOL_ERROR, "the entry %" PRIu64 " has a time out of range", index);
    return true;
}

static bool check(const uint8_t *bytes, size_t size, size_t bytes_max, struct mailraft_error *err)
{
    if (size < ENTRY_HEAD_BYTES)
        return error_raise(err, &PROTOCOL_ERROR, "an entry of %zu bytes is shorter than its head", size);
    uint32_t length = bytes_get_u32(bytes + AT_LENGTH);
    if (length < ENTRY_HEAD_BYTES || length > size)
        return error_raise(err, &PROTOCOL_ERROR, "an entry's length of %" PRIu32 " does not fit into %zu bytes", length,
                           size);
    if (length > bytes_max)
        return error_raise(err, &PROTOCOL_ERROR, "an entry of %" PRIu32 " bytes is over the limit of %zu", length,
                           bytes_max);
    if (bytes_get_u64(bytes) != bytes_checksum(bytes + AT_LENGTH, length - AT_LENGTH))
        return error_raise(err, &PROTOCOL_ERROR, "an entry's checksum does not fit");
    return check_numbers(bytes, err);
}

struct entry *entry_decode(const uint8_t *bytes, size_t size, size_t bytes_max, struct mailraft_error *err)
{
    if (!check(bytes, size, bytes_max, err))
        return NULL;
    struct entry *entry = allocate(bytes_get_u32(bytes + AT_LENGTH));
    entry->kind = (enum entry_kind)bytes_get_u32(bytes + AT_KIND);
    entry->term = bytes_get_u64(bytes + AT_TERM);
    entry->index = bytes_get_u64(bytes + AT_INDEX);
    entry->time_us = (int64_t)bytes_get_u64(bytes + AT_TIME);
    memcpy(entry->bytes, bytes, entry->size);
    return entry;
}

struct entry *entry_hold(struct entry *entry)
{
    __atomic_fetch_add(&entry->references, 1, __ATOMIC_RELAXED);
    return entry;
}

void entry_drop(struct entry *entry)
{
    if (entry != NULL && __atomic_fetch_sub(&entry->references, 1, __ATOMIC_ACQ_REL) == 1)
        memory_free(entry);
}

const uint8_t *entry_payload(const struct entry *entry)
{
    return entry->bytes + ENTRY_HEAD_BYTES;
}

size_t entry_payload_size(const struct entry *entry)
{
    return entry->size - ENTRY_HEAD_BYTES;
}

uint64_t entry_checksum(const struct entry *entry)
{
    return bytes_get_u64(entry->bytes);
}

bool entry_wall_offset(const struct entry *entry, int64_t *wall_offset_us)
{
    static const int64_t FURTHEST_US = INT64_MAX / 64;
    if ((entry->kind != ENTRY_NO_OP && entry->kind != ENTRY_TIME) || entry_payload_size(entry) != 8)
        return false;
    int64_t told_us = (int64_t)bytes_get_u64(entry_payload(entry));
    if (told_us > FURTHEST_US || told_us < -FURTHEST_US)
        return false;
    *wall_offset_us = told_us;
    return true;
}

struct batch *batch_new(void)
{
    return memory_new(sizeof(struct batch));
}

void batch_free(struct batch *batch)
{
    if (batch == NULL)
        return;
    for (size_t i = 0; i < batch->count; i++)
        entry_drop(batch->list[i]);
    memory_free(batch->list);
    memory_free(batch);
}

void batch_add(struct batch *batch, struct entry *entry)
{
    const struct entry *last = batch->count > 0 ? batch->list[batch->count - 1] : NULL;
    assert(last == NULL || entry->index == last->index + 1); /* no gaps */
    assert(last == NULL || entry->term >= last->term);       /* terms never go back */
    if (batch->count == batch->room) {
        batch->room = batch->room == 0 ? 4 : 2 * batch->room;
        batch->list = memory_resize(batch->list, batch->room * sizeof *batch->list);
    }
    batch->list[batch->count++] = entry;
    batch->bytes += entry->size;
}

void batch_move(struct batch *batch, struct batch *behind)
{
    for (size_t i = 0; i < behind->count; i++)
        batch_add(batch, behind->list[i]);
    behind->count = 0; /* the references have moved */
    behind->bytes = 0;
}

static bool follows(const struct batch *batch, const struct entry *entry, struct mailraft_error *err)
{
    if (batch->count == 0)
        return true;
    const struct entry *last = batch->list[batch->count - 1];
    if (entry->index == last->index + 1 && entry->term >= last->term)
        return true;
    return error_raise(err, &PROTOCOL_ERROR,
                       "the entry %" PRIu64 " of term %" PRIu64 " stands behind %" PRIu64 " of term %" PRIu64,
                       entry->index, entry->term, last->index, last->term);
}

struct batch *batch_decode(const uint8_t *bytes, size_t size, size_t entry_bytes_max, struct mailraft_error *err)
{
    struct batch *batch = batch_new();
    for (size_t at = 0; at < size;) {
        struct entry *entry = entry_decode(bytes + at, size - at, entry_bytes_max, err);
        if (entry == NULL || !follows(batch, entry, err)) {
            entry_drop(entry);
            batch_free(batch);
            return NULL;
        }
        at += entry->size;
        batch_add(batch, entry);
    }
    return batch;
}
