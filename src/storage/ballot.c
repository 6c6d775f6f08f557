#include "storage/ballot.h"

#include <assert.h>
#include <inttypes.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/memory.h"

#define MAGIC   0x544c4c42u /* "BLLT" */
#define VERSION 1u

enum { AT_MAGIC = 0, AT_VERSION = 4, AT_SEQUENCE = 8, AT_TERM = 16, AT_VOTED_FOR = 24, AT_CHECKSUM = 32, BYTES = 40 };

enum soundness { DAMAGED, SOUND, NEWER };

struct record {
    enum soundness soundness;
    uint32_t version;
    uint64_t sequence; /* from here on: where it is SOUND */
    struct ballot ballot;
};

static void encode(uint8_t *bytes, uint64_t sequence, struct ballot ballot)
{
    bytes_put_u32(bytes + AT_MAGIC, MAGIC);
    bytes_put_u32(bytes + AT_VERSION, VERSION);
    bytes_put_u64(bytes + AT_SEQUENCE, sequence);
    bytes_put_u64(bytes + AT_TERM, ballot.term);
    bytes_put_u64(bytes + AT_VOTED_FOR, (uint64_t)(int64_t)ballot.voted_for);
    bytes_put_u64(bytes + AT_CHECKSUM, bytes_checksum(bytes, AT_CHECKSUM));
}

/* Whether it can have been saved: what a sound checksum cannot vouch for. */
static bool numbers_can_be(uint64_t sequence, uint64_t term, uint64_t voted_for)
{
    bool nobody = voted_for == (uint64_t)(int64_t)NO_ONE;
    return sequence < INT64_MAX && term < INT64_MAX && (nobody || (voted_for > 0 && voted_for <= INT32_MAX));
}

static struct record decode(const uint8_t *bytes)
{
    struct record record = {.soundness = DAMAGED, .version = bytes_get_u32(bytes + AT_VERSION)};
    uint64_t voted_for = bytes_get_u64(bytes + AT_VOTED_FOR);
    if (bytes_get_u32(bytes + AT_MAGIC) != MAGIC)
        return record;
    if (bytes_get_u64(bytes + AT_CHECKSUM) != bytes_checksum(bytes, AT_CHECKSUM))
        return record;
    record.sequence = bytes_get_u64(bytes + AT_SEQUENCE);
    record.ballot.term = bytes_get_u64(bytes + AT_TERM);
    record.ballot.voted_for = (raft_id)(int64_t)voted_for;
    if (record.version > VERSION)
        record.soundness = NEWER;
    else if (record.version == VERSION && numbers_can_be(record.sequence, record.ballot.term, voted_for))
        record.soundness = SOUND;
    return record;
}

bool ballot_make(const char *path, struct mailraft_error *err)
{
    struct disk_file *file = disk_open(path, DISK_REPLACE, err);
    if (file == NULL)
        return false;
    /* Both slots in one write: no slot is worth keeping yet, and saves will not change the file's size. */
    uint8_t *bytes = memory_new(BALLOT_FILE_BYTES);
    encode(bytes, 1, (struct ballot){.term = 0, .voted_for = NO_ONE});
    encode(bytes + BALLOT_SLOT_BYTES, 1, (struct ballot){.term = 0, .voted_for = NO_ONE});
    bool made = disk_write(file, 0, bytes, BALLOT_FILE_BYTES, err) && disk_sync(file, err);
    memory_free(bytes);
    disk_close(file);
    return made;
}

/* What a file that ends early lacks is damaged. */
static bool read_slot(struct disk_file *file, int slot, struct record *record, struct mailraft_error *err)
{
    uint8_t bytes[BYTES] = {0};
    size_t got;
    if (!disk_read(file, (uint64_t)slot * BALLOT_SLOT_BYTES, bytes, sizeof bytes, &got, err))
        return false;
    *record = decode(bytes);
    return true;
}

/* Two sound slots are of one save, or the older one is of an earlier: of the save before, unless the disk lost a write
 * of that slot, which is no worse than damage to it. Between saves, terms never go back, and a vote in a term never
 * changes. */
static bool slots_agree(const struct record *newer, const struct record *older)
{
    if (newer->ballot.term != older->ballot.term)
        return newer->sequence > older->sequence && newer->ballot.term > older->ballot.term;
    if (newer->ballot.voted_for == older->ballot.voted_for)
        return true;
    return newer->sequence > older->sequence && older->ballot.voted_for == NO_ONE;
}

/* Which slot counts, 0 or 1; -1 and an error where that cannot be told. */
static int choose_slot(const struct record slots[2], const char *path, struct mailraft_error *err)
{
    for (int i = 0; i < 2; i++)
        if (slots[i].soundness == NEWER) {
            error_raise(
                err, &DAMAGED_ERROR,
                "%s was written by a newer mailraft: its format is version %u, and %u is the last one known here", path,
                slots[i].version, VERSION);
            return -1;
        }
    if (slots[0].soundness == DAMAGED && slots[1].soundness == DAMAGED) {
        error_raise(
            err, &DAMAGED_ERROR,
            "%s is damaged in both its slots, and without it this node does not know its term and vote; "
            "restore that file, or, while the other members have a leader, remove the data_dir and start this node "
            "with --rejoin-empty",
            path);
        return -1;
    }
    if (slots[0].soundness == DAMAGED || slots[1].soundness == DAMAGED)
        return slots[0].soundness == DAMAGED ? 1 : 0;

    int newer = slots[1].sequence > slots[0].sequence ? 1 : 0;
    if (slots_agree(&slots[newer], &slots[1 - newer]))
        return newer;
    error_raise(err, &DAMAGED_ERROR,
                "%s is damaged: its slots tell term %" PRIu64 " and term %" PRIu64 " in that order", path,
                slots[1 - newer].ballot.term, slots[newer].ballot.term);
    return -1;
}

bool ballot_open(struct ballot_file *file, const char *path, struct mailraft_error *err)
{
    struct record slots[2];
    *file = (struct ballot_file){.file = disk_open(path, DISK_OPEN, err), .damaged = -1};
    if (file->file == NULL)
        return false;
    if (!read_slot(file->file, 0, &slots[0], err) || !read_slot(file->file, 1, &slots[1], err))
        goto close;
    int chosen = choose_slot(slots, path, err);
    if (chosen < 0)
        goto close;
    file->sequence = slots[chosen].sequence;
    file->ballot = slots[chosen].ballot;
    if (slots[1 - chosen].soundness == DAMAGED)
        file->damaged = 1 - chosen;
    return true;
close:
    ballot_close(file);
    return false;
}

void ballot_close(struct ballot_file *file)
{
    disk_close(file->file);
    file->file = NULL;
}

static bool write_slot(struct ballot_file *file, int slot, struct mailraft_error *err)
{
    uint8_t bytes[BYTES];
    int64_t began_us = clock_now_us();
    encode(bytes, file->sequence, file->ballot);
    if (!disk_write(file->file, (uint64_t)slot * BALLOT_SLOT_BYTES, bytes, sizeof bytes, err) ||
        !disk_sync(file->file, err))
        return false;
    file->took_us = clock_now_us() - began_us;
    return true;
}

bool ballot_renew(struct ballot_file *file, struct mailraft_error *err)
{
    int first = file->damaged == 1 ? 1 : 0; /* the only sound slot is left alone until there are two */
    return write_slot(file, first, err) && write_slot(file, 1 - first, err);
}

bool ballot_save(struct ballot_file *file, struct ballot ballot, struct mailraft_error *err)
{
    assert(ballot.voted_for == NO_ONE || ballot.voted_for > 0);
    assert(ballot.term >= file->ballot.term); /* terms never go back */
    if (ballot.term == file->ballot.term)     /* one vote a term */
        assert(file->ballot.voted_for == NO_ONE || file->ballot.voted_for == ballot.voted_for);
    file->ballot = ballot;
    file->sequence++;
    return write_slot(file, 0, err);
}

bool ballot_copy(struct ballot_file *file, struct mailraft_error *err)
{
    return write_slot(file, 1, err);
}
