/* scribe.h - the thread that owns the data folder: identity, lock and ballot.
 *
 * Threads:   the scribe's own thread opens, reads and writes; others only put letters on its pile.
 * Letters:   it takes LETTER_SAVE_BALLOT and answers each with LETTER_BALLOT_SAVED, in order, once the ballot is
 *            durable in the first slot; it then writes the second slot. Before that it opens the folder (making it
 *            when it is missing) and says LETTER_STORAGE_OPENED, once everything that it found has been written and
 *            synced again. A failure of any kind is LETTER_STORAGE_FAILED and the end of its work: what it is asked
 *            for after that is thrown away. Its last letter, after scribe_close, is LETTER_SCRIBE_ENDED, always. All
 *            of them go to the control lane of `answers`.
 * Errors:    those of folder.h until LETTER_STORAGE_OPENED, then STORAGE_ERROR and FULL_ERROR. */
#ifndef STORAGE_SCRIBE_H
#define STORAGE_SCRIBE_H

#include "base/disk.h"
#include "base/pile.h"
#include "storage/identity.h"

struct scribe;

struct scribe_config {
    char data_dir[DISK_PATH_MAX]; /* absolute */
    raft_id id;
    char cluster_name[CLUSTER_NAME_MAX];
    int32_t pid; /* this process's, told to whoever finds the folder locked */
};

/* answers is borrowed until scribe_join, and for good after scribe_abandon: so it is all that the scribe uses of others,
 * and whoever takes its letters logs them. Raises SERVER_ERROR where no thread can be started. */
struct scribe *scribe_start(const struct scribe_config *config, struct pile *answers, struct mailraft_error *err);

/* Asks for a ballot to be made durable. number: larger than any before. */
void scribe_save_ballot(struct scribe *scribe, uint64_t number, struct ballot ballot);

/* No more letters: the scribe finishes what is on its pile, closes its files and says LETTER_SCRIBE_ENDED. */
void scribe_close(struct scribe *scribe);

void scribe_join(struct scribe *scribe);    /* after LETTER_SCRIBE_ENDED came: frees it */
void scribe_abandon(struct scribe *scribe); /* it is stuck in a system call: leave it, and what it uses, alone */

#endif
