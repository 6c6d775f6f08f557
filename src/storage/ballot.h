/* ballot.h - the file that keeps term and vote: what this node has promised and must not forget.
 *
 * Format:    8192 bytes. Two slots, at 0 and at 4096, each with one record of 40 bytes at its beginning; the rest is
 *            zero. Numbers are little-endian.
 *
 *                 0  u32  magic, the bytes "BLLT"
 *                 4  u32  version, 1
 *                 8  u64  sequence number: 1 when the file is made, one more with each save
 *                16  u64  current term
 *                24  u64  voted for: an id, or -1 (all bits set) for none in this term
 *                32  u64  XXH3-64 of the 32 bytes before it
 *
 *            Sequence number and term end where one more still fits into 63 bits, as everywhere: what is beyond, and an
 *            id that no node can have, is damage.
 *            A record of any later version keeps magic, version and checksum where they are, so that a newer one is
 *            told from a damaged one.
 * Torn:      a record lies within one sector, which a power cut leaves old or new; where a disk breaks that promise,
 *            the checksum no longer fits and the slot counts as damaged. The slots lie on pages of their own, and are
 *            never both on their way to the disk, so one of them is whole at every moment.
 * Order:     a save writes the first slot and syncs (ballot_save). Then what it promises may leave this node. Then the
 *            second slot is written and synced (ballot_copy), before the next save. From then on either slot may be
 *            damaged and nothing is lost.
 * At start:  the sound slot counts, the newer where both are sound (ballot_open). Both are then written and synced
 *            again (ballot_renew), before anything leaves this node: what a process that died had written but not
 *            synced can be read, but it would not survive a power cut.
 * Threads:   the scribe's alone. */
#ifndef STORAGE_BALLOT_H
#define STORAGE_BALLOT_H

#include "base/disk.h"
#include "base/letter.h"

#define BALLOT_SLOT_BYTES 4096
#define BALLOT_FILE_BYTES (2 * BALLOT_SLOT_BYTES)

struct ballot_file {
    struct disk_file *file; /* NULL: not open */
    uint64_t sequence;      /* of ballot */
    struct ballot ballot;   /* the newest that was written or read */
    int damaged;            /* the slot that did not read when the file was opened, 0 or 1; -1: both did */
    int64_t took_us;        /* the last write and sync of a slot */
};

/* Writes a new file with term 0 and no vote, synced. Its name is the caller's to make last. */
bool ballot_make(const char *path, struct mailraft_error *err);

/* Opens and reads; changes nothing. DAMAGED_ERROR where no slot is sound, where the two contradict each other, or where
 * a newer mailraft wrote one. */
bool ballot_open(struct ballot_file *file, const char *path, struct mailraft_error *err);
void ballot_close(struct ballot_file *file); /* twice is harmless */

/* Makes what was read durable in both slots. */
bool ballot_renew(struct ballot_file *file, struct mailraft_error *err);

/* Makes a new ballot durable in the first slot. Terms never go back, and a vote within a term never changes. After a
 * failure the file must not be used any more: what it holds is not known. */
bool ballot_save(struct ballot_file *file, struct ballot ballot, struct mailraft_error *err);

/* Makes it durable in the second slot, too. */
bool ballot_copy(struct ballot_file *file, struct mailraft_error *err);

#endif
