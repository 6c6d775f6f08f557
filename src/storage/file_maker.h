/* file_maker.h - the scribe's helper: makes files of the log ahead of need (segment.h), so that zeroing one delays
 * nobody who waits for entries to be durable.
 *
 * Letters:   LETTER_MAKE_FILE is answered by LETTER_FILE_MADE of the same number, with an error where it could not be
 *            made (STORAGE_ERROR, FULL_ERROR): it may be asked for again then. Its last letter, after file_maker_close,
 *            is LETTER_FILE_MAKER_ENDED. Both go to the control lane of `answers`.
 * Threads:   any asks; its own makes. */
#ifndef STORAGE_FILE_MAKER_H
#define STORAGE_FILE_MAKER_H

#include "base/disk.h"
#include "base/pile.h"

struct file_maker;

/* segment_bytes: as in scribe.h. answers is borrowed until file_maker_join, and for good after
 * file_maker_abandon. SERVER_ERROR where no thread can be started. */
struct file_maker *file_maker_start(const char *data_dir, uint64_t segment_bytes, struct pile *answers,
                                    struct mailraft_error *err);

/* entry_bytes: the file is at least so large that an entry of that size fits. */
void file_maker_make(struct file_maker *maker, uint64_t number, const struct data_id *data_id, size_t entry_bytes);

void file_maker_close(struct file_maker *maker);   /* makes what it was asked for, and ends; twice is harmless */
void file_maker_join(struct file_maker *maker);    /* after LETTER_FILE_MAKER_ENDED came: frees it */
void file_maker_abandon(struct file_maker *maker); /* as scribe_abandon */

#endif
