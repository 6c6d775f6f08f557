/* ballot_fuzz.c - the file that keeps term and vote. What is read is within bounds, and is read again after it was made
 * durable; whatever happens to one slot between saves, no promise is forgotten.
 *
 * Input: u8 flags, u8 how much of the file is cut off, 40 bytes of each slot, and then what happens: u8 deed, and what
 * it takes. */
#include "fuzz.h"

#include <string.h>

#include "base/bytes.h"
#include "memory_disk.h"
#include "storage/ballot.h"

#define PATH         "/ballot"
#define RECORD_BYTES 40

enum { MEND_FIRST = 1, MEND_SECOND = 2, CUT = 4 };
enum deed { SAVE, SAVE_AND_COPY, DAMAGE_FIRST, DAMAGE_SECOND, RENEW, DEEDS };

FUZZ_MARK(opened, "a file that opens");
FUZZ_MARK(half, "a file that opens with one slot damaged");
FUZZ_MARK(saved, "a ballot that is saved");
FUZZ_MARK(refused, "a file that is refused");

static void lay_slot(uint8_t file[BALLOT_FILE_BYTES], int slot, struct fuzz_input *input, bool mend)
{
    size_t size = RECORD_BYTES;
    const uint8_t *bytes = fuzz_take_bytes(input, &size);
    uint8_t *record = file + slot * BALLOT_SLOT_BYTES;

    if (size > 0)
        memcpy(record, bytes, size);
    if (mend)
        bytes_put_u64(record + RECORD_BYTES - 8, bytes_checksum(record, RECORD_BYTES - 8));
}

static void lay_file(struct fuzz_input *input)
{
    static uint8_t file[BALLOT_FILE_BYTES];
    uint64_t flags = fuzz_take(input, 1), cut = fuzz_take(input, 1);

    memset(file, 0, sizeof file);
    lay_slot(file, 0, input, (flags & MEND_FIRST) != 0);
    lay_slot(file, 1, input, (flags & MEND_SECOND) != 0);
    memory_disk_put(PATH, file, flags & CUT ? (size_t)cut * 32 : sizeof file);
}

static bool is_same(struct ballot one, struct ballot other)
{
    return one.term == other.term && one.voted_for == other.voted_for;
}

static uint64_t slot_sequence(int slot)
{
    return bytes_get_u64(memory_disk_at(PATH)->bytes + slot * BALLOT_SLOT_BYTES + 8);
}

static void check_bounds(const struct ballot_file *file)
{
    assert(file->ballot.term < INT64_MAX);
    assert(file->ballot.voted_for == NO_ONE || file->ballot.voted_for > 0);
    assert(file->damaged >= -1 && file->damaged <= 1);
    if (file->damaged == -1) /* the newer slot counts */
        assert(file->sequence >= slot_sequence(0) && file->sequence >= slot_sequence(1));
}

static void damage(int slot)
{
    struct mailraft_buffer *bytes = memory_disk_at(PATH);

    if (bytes->size > (size_t)slot * BALLOT_SLOT_BYTES)
        bytes->bytes[slot * BALLOT_SLOT_BYTES] ^= 1;
}

/* As the next start finds it. */
static void reopen(struct ballot_file *file, struct ballot expected)
{
    struct mailraft_error err;

    ballot_close(file);
    bool opens = ballot_open(file, PATH, &err);
    assert(opens);
    check_bounds(file);
    assert(is_same(file->ballot, expected));
}

/* A later one: of the next term, or the vote in this one. */
static struct ballot next_ballot(struct fuzz_input *input, struct ballot ballot)
{
    uint64_t drawn = fuzz_take(input, 1);

    if (ballot.voted_for != NO_ONE || drawn % 2 == 0)
        return (struct ballot){ballot.term + 1, drawn % 4 < 2 ? NO_ONE : (raft_id)drawn};
    return (struct ballot){ballot.term, (raft_id)drawn};
}

static void renew(struct ballot_file *file)
{
    struct ballot ballot = file->ballot;
    struct mailraft_error err;

    assert(ballot_renew(file, &err));
    reopen(file, ballot);
    assert(file->damaged == -1);
}

static void save(struct ballot_file *file, struct fuzz_input *input, bool copy)
{
    struct ballot ballot = next_ballot(input, file->ballot);
    struct mailraft_error err;

    if (ballot.term >= INT64_MAX || file->sequence + 1 >= INT64_MAX) /* nobody gets there by counting */
        return;
    assert(ballot_save(file, ballot, &err));
    if (copy)
        assert(ballot_copy(file, &err));
    reopen(file, ballot);
    renew(file);
    fuzz_reach(saved);
}

/* Both slots are whole before each deed, and so they are after it. */
static void do_next(struct ballot_file *file, struct fuzz_input *input)
{
    enum deed deed = (enum deed)(fuzz_take(input, 1) % DEEDS);

    if (deed == SAVE || deed == SAVE_AND_COPY) {
        save(file, input, deed == SAVE_AND_COPY);
    } else if (deed == DAMAGE_FIRST || deed == DAMAGE_SECOND) {
        damage(deed == DAMAGE_SECOND);
        reopen(file, file->ballot);
        assert(file->damaged == (deed == DAMAGE_SECOND));
        renew(file);
    } else {
        renew(file);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fuzz_input input = {bytes, size};
    struct ballot_file file;
    struct mailraft_error err;

    fuzz_seam_reset();
    memory_disk_clear();
    lay_file(&input);
    if (!ballot_open(&file, PATH, &err)) {
        fuzz_reach(refused);
        assert(error_is(&err, &DAMAGED_ERROR));
        return 0;
    }
    fuzz_reach(opened);
    if (file.damaged >= 0)
        fuzz_reach(half);
    check_bounds(&file);
    renew(&file);
    while (input.left > 0)
        do_next(&file, &input);
    ballot_close(&file);
    return 0;
}
