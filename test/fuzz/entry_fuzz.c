/* entry_fuzz.c - entries as peers send them and files hold them, and what the kinds of them say. What decodes is within
 * the bounds that base/entry.h tells, and encodes to the same bytes again.
 *
 * Input: u8 flags, u16 the limit of one entry, entries. */
#include "fuzz.h"

#include <string.h>

#include "base/memory.h"
#include "raft/configuration.h"

enum { MEND = 1, MEND_LENGTHS = 2 };

FUZZ_MARK(decoded, "entries that decode");
FUZZ_MARK(several, "several in a batch");
FUZZ_MARK(led, "one that tells the wall clock's lead");
FUZZ_MARK(configured, "one that says who belongs to the cluster");
FUZZ_MARK(misconfigured, "one that should, and does not");

static void check_numbers(const struct entry *entry)
{
    assert(entry->kind >= ENTRY_NO_OP && entry->kind <= ENTRY_KIND_LAST);
    assert(entry->term > 0 && entry->term < INT64_MAX);
    assert(entry->index > 0 && entry->index < INT64_MAX);
    assert(entry->time_us >= 0 && entry->time_us < INT64_MAX);
}

static void check_same_bytes(const struct entry *entry, const struct entry *other)
{
    assert(entry->size == other->size && memcmp(entry->bytes, other->bytes, entry->size) == 0);
}

static void check_encoding(const struct entry *entry)
{
    struct entry *again = entry_new(entry->kind, entry->term, entry->index, entry->time_us, entry_payload(entry),
                                    entry_payload_size(entry));

    check_same_bytes(entry, again);
    entry_drop(again);
}

static void check_offset(const struct entry *entry)
{
    int64_t wall_offset_us;

    if (!entry_wall_offset(entry, &wall_offset_us))
        return;
    fuzz_reach(led);
    assert(wall_offset_us <= INT64_MAX / 64 && wall_offset_us >= -(INT64_MAX / 64));
}

static void check_members(const struct configuration *configuration)
{
    const struct members *members = &configuration->members;

    assert(!cluster_uuid_is_none(&configuration->uuid));
    assert(members->count >= 1 && members->count <= MEMBERS_MAX);
    for (int i = 0; i < members->count; i++) {
        assert(members->list[i].id > (i > 0 ? members->list[i - 1].id : 0));
        assert(members_find(members, members->list[i].id) == i);
    }
}

/* An address may be written in several ways; what was made of it is written in one. */
static struct entry *configuration_entry(const struct configuration *configuration, const struct entry *like)
{
    struct mailraft_buffer payload = {.bytes = NULL};
    struct entry *entry;

    configuration_encode(configuration, &payload);
    entry = entry_new(ENTRY_CONFIG, like->term, like->index, like->time_us, payload.bytes, payload.size);
    buffer_fini(&payload);
    return entry;
}

static void check_configuration(const struct entry *entry)
{
    struct configuration configuration, second;
    struct mailraft_error err;

    if (entry->kind != ENTRY_CONFIG)
        return;
    if (!configuration_decode(entry, &configuration, &err)) {
        fuzz_reach(misconfigured);
        assert(error_is(&err, &PROTOCOL_ERROR));
        return;
    }
    fuzz_reach(configured);
    check_members(&configuration);
    struct entry *written = configuration_entry(&configuration, entry);
    assert(configuration_decode(written, &second, &err));
    struct entry *again = configuration_entry(&second, entry);
    check_same_bytes(written, again);
    entry_drop(written);
    entry_drop(again);
}

static void check_batch(const struct batch *batch, const uint8_t *bytes, size_t size, size_t bytes_max)
{
    size_t at = 0;

    assert(batch->bytes == size);
    for (size_t i = 0; i < batch->count; i++) {
        const struct entry *entry = batch->list[i];

        assert(entry->size <= bytes_max);
        assert(memcmp(entry->bytes, bytes + at, entry->size) == 0);
        assert(i == 0 || entry->index == batch->list[i - 1]->index + 1);
        assert(i == 0 || entry->term >= batch->list[i - 1]->term);
        check_numbers(entry);
        check_encoding(entry);
        check_offset(entry);
        check_configuration(entry);
        at += entry->size;
    }
    assert(at == size);
    if (batch->count > 0)
        fuzz_reach(decoded);
    if (batch->count > 1)
        fuzz_reach(several);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fuzz_input input = {bytes, size};
    uint64_t flags = fuzz_take(&input, 1);
    size_t bytes_max = (size_t)fuzz_take(&input, 2);
    uint8_t *entries = fuzz_copy(input.at, input.left);
    struct mailraft_error err;

    if (flags & MEND)
        fuzz_mend_entries(entries, input.left, (flags & MEND_LENGTHS) != 0);
    struct batch *batch = batch_decode(entries, input.left, bytes_max, &err);
    if (batch != NULL)
        check_batch(batch, entries, input.left, bytes_max);
    else
        assert(error_is(&err, &PROTOCOL_ERROR));
    batch_free(batch);
    memory_free(entries);
    return 0;
}
