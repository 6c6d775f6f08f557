/* log_reader.h - the thread that reads old entries from the log's files, for followers that are far behind and for a
 * state machine that begins anew. It owns nothing: it reads what the catalog says is durable, beside the scribe.
 *
 * Letters:   LETTER_READ_ENTRIES is answered by LETTER_ENTRIES_READ of the same number, in the inner lane of `answers`.
 *            What cannot be read, or is not what was written, is LETTER_STORAGE_FAILED in the control lane
 *            (STORAGE_ERROR, DAMAGED_ERROR), and the end of its work. Its last letter, after log_reader_close, is
 *            LETTER_LOG_READER_ENDED.
 * Memory:    the runs it was asked for last stay, at most LOG_READER_RUNS_MAX of them with LOG_READER_BYTES_MAX of
 *            entries, or the last one alone where that is larger: so several askers in turn, who each get a run in
 *            portions, do not make it read a run anew for every portion.
 * Threads:   any asks; its own reads. */
#ifndef STORAGE_LOG_READER_H
#define STORAGE_LOG_READER_H

#include "base/catalog.h"
#include "base/disk.h"
#include "base/pile.h"

#define LOG_READER_RUNS_MAX  4
#define LOG_READER_BYTES_MAX (8u * 1024 * 1024)

struct log_reader;

/* answers: as in scribe.h. SERVER_ERROR where no thread can be started. */
struct log_reader *log_reader_start(const char *data_dir, struct pile *answers, struct mailraft_error *err);

/* Asks for entries of a run: place->first to place->last are those that are wanted, and lie in it. The answer holds the
 * first of them, and as many of the others as have bytes_max bytes together with it. */
void log_reader_read(struct log_reader *reader, uint64_t number, const struct run *place, size_t bytes_max);

void log_reader_close(struct log_reader *reader);   /* finishes what it is at, and ends */
void log_reader_join(struct log_reader *reader);    /* after LETTER_LOG_READER_ENDED came: frees it */
void log_reader_abandon(struct log_reader *reader); /* as scribe_abandon */

#endif
