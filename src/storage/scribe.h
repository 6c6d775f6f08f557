/* scribe.h - the thread that owns the data folder: identity, lock, ballot and the files of the log.
 *
 * Threads:   the scribe's own thread opens, reads and writes; others only put letters on its pile. A helper of its own
 *            makes the log's next file ahead.
 * Start:     it opens the folder (making it when it is missing), reads the log, and says LETTER_STORAGE_OPENED once
 *            everything that it found has been written and synced again.
 * Letters:   LETTER_SAVE_BALLOT is answered by LETTER_BALLOT_SAVED once the ballot is durable in the first slot; it
 *            then writes the second slot. LETTER_SAVE_ENTRIES: all that has gathered on the pile, up to the next letter
 *            of another kind or a truncation, is written and synced as one frame, and as one more for each file that
 *            ends within. Each frame is answered by a LETTER_ENTRIES_SAVED, with the number of the last letter that
 *            it holds entries of.
 *            LETTER_SAVE_UUID by LETTER_UUID_SAVED. All in the order in which they were asked for.
 *            Trouble that may pass (the next file cannot be made yet) is LETTER_STORAGE_WARNED. A failure of any kind
 *            is LETTER_STORAGE_FAILED and the end of its work: what it is asked for after that is thrown away. Its last
 *            letter, after scribe_close, is LETTER_SCRIBE_ENDED, always. All of them go to the control lane of
 *            `answers`.
 * Witness:   once, 20 ms after the start or the last frame, and at scribe_close (segment.h).
 * Errors:    those of folder.h and recovery.h until LETTER_STORAGE_OPENED, then STORAGE_ERROR and FULL_ERROR, which say
 *            which file and why. */
#ifndef STORAGE_SCRIBE_H
#define STORAGE_SCRIBE_H

#include "base/disk.h"
#include "base/pile.h"
#include "storage/identity.h"

#define SCRIBE_WITNESS_US 20000

struct scribe;

struct scribe_config {
    char data_dir[DISK_PATH_MAX]; /* absolute */
    raft_id id;
    char cluster_name[CLUSTER_NAME_MAX];
    int32_t pid; /* this process's, told to whoever finds the folder locked */
    uint64_t segment_bytes; /* of a file of the log, at most */
    size_t entry_bytes_max;
    size_t cache_bytes; /* of the newest entries that LETTER_STORAGE_OPENED brings */
};

/* answers is borrowed until scribe_join, and for good after scribe_abandon: so it is all that the scribe uses of
 * others, and whoever takes its letters logs them. Raises SERVER_ERROR where no thread can be started. */
struct scribe *scribe_start(const struct scribe_config *config, struct pile *answers, struct mailraft_error *err);

/* Asks for a ballot to be made durable. number: larger than any before. */
void scribe_save_ballot(struct scribe *scribe, uint64_t number, struct ballot ballot);

/* Asks for entries to be made durable; takes the batch, which is not empty. Its first index is at most one more than
 * the last one asked for: where it is not above that, it replaces that entry and all after it. number: larger than any
 * before (of entries). */
void scribe_save_entries(struct scribe *scribe, uint64_t number, struct batch *entries);

/* Asks for the cluster's uuid to be written into the identity. */
void scribe_save_uuid(struct scribe *scribe, const struct cluster_uuid *uuid);

/* No more letters: the scribe finishes what is on its pile, closes its files and says LETTER_SCRIBE_ENDED. */
void scribe_close(struct scribe *scribe);

void scribe_join(struct scribe *scribe);    /* after LETTER_SCRIBE_ENDED came: frees it */
void scribe_abandon(struct scribe *scribe); /* it is stuck in a system call: leave it, and what it uses, alone */

#endif
