/* raft_log.h - the replicated log as a server knows it: which entries there are, the newest of them in memory, and how
 * far they are durable. The paper's log[], seen from memory; the files are the scribe's (storage/scribe.h).
 *
 * Window:    the newest entries, up to cache_bytes, and all that are not durable yet: an entry leaves memory only when
 *            the catalog knows where it lies. The terms of all others are known too (base/terms.h).
 * Durable:   each letter to the scribe has a number, and its answers repeat it. A truncation lowers the durable index
 *            to the cut at once, and an answer to a letter from before it does not raise it any more: only that to the
 *            truncation itself, or to a later one, does.
 * Threads:   the server's alone. */
#ifndef RAFT_RAFT_LOG_H
#define RAFT_RAFT_LOG_H

#include "base/letter.h"

struct raft_log {
    size_t cache_bytes;
    struct terms terms;      /* of all entries */
    struct catalog catalog;  /* where the durable ones lie */

    raft_index window_first; /* the first entry in memory; last index + 1: none is */
    struct entry **window;   /* a ring: entry i at place i % window_room */
    size_t window_room;      /* a power of two */
    size_t window_bytes;

    struct batch *unsaved;   /* at the end of the log: not given to the scribe yet; NULL: none */
    uint64_t saved_number;   /* of the last letter to the scribe ... */
    raft_index saved_index;  /* ... and the last entry that it holds */
    uint64_t cut_number;     /* of the last that truncates; 0: none has */
    bool cut_unsaved;        /* what is unsaved truncates */
    raft_index durable_index;

    size_t config_count, config_room;
    struct entry **configs;  /* those of kind ENTRY_CONFIG, in order */
};

/* Takes terms, catalog, tail and configs out of opened. */
void raft_log_init(struct raft_log *log, struct storage_opened *opened, size_t cache_bytes);
void raft_log_fini(struct raft_log *log);

raft_index raft_log_last_index(const struct raft_log *log);
raft_term raft_log_last_term(const struct raft_log *log);
/* 0 for index 0 and beyond the last. */
raft_term raft_log_term_at(const struct raft_log *log, raft_index index);

/* Adds an entry, whose reference it takes: the next one, or one that is there already, which is then replaced together
 * with all after it (Figure 2, AppendEntries 3). */
void raft_log_append(struct raft_log *log, struct entry *entry);

/* What was appended and not given to the scribe: the caller's, who gives it to the scribe under *number. NULL: none. */
struct batch *raft_log_take_unsaved(struct raft_log *log, uint64_t *number);
size_t raft_log_unsaved_bytes(const struct raft_log *log);

/* Whether a LETTER_ENTRIES_SAVED answers all that the scribe was asked for: the last part of the last letter. */
bool raft_log_is_saved(const struct raft_log *log, const struct letter *saved);

/* LETTER_ENTRIES_SAVED. */
void raft_log_saved(struct raft_log *log, uint64_t number, const struct run *place);

/* Whether an entry is in memory. */
bool raft_log_has(const struct raft_log *log, raft_index index);
/* One that is in memory; borrowed. */
struct entry *raft_log_at(const struct raft_log *log, raft_index index);

/* References to entries in memory from `first` on, up to `last` and bytes_max, one at least. */
struct batch *raft_log_slice(const struct raft_log *log, raft_index first, raft_index last, size_t bytes_max);

/* Where entries lie that are not in memory: those of the range that stand together with its first. */
struct run raft_log_place(const struct raft_log *log, raft_index first, raft_index last);

/* The newest entry of kind ENTRY_CONFIG; NULL: none. */
const struct entry *raft_log_config(const struct raft_log *log);

void raft_log_check(const struct raft_log *log); /* asserts what must hold */

#endif
