#include "raft/raft_log.h"

#include <assert.h>

#include "base/memory.h"

#define LEAST_ROOM 64

static struct entry **slot(const struct raft_log *log, raft_index index)
{
    return &log->window[index & (log->window_room - 1)];
}

raft_index raft_log_last_index(const struct raft_log *log)
{
    return log->terms.last_index;
}

raft_term raft_log_last_term(const struct raft_log *log)
{
    return terms_last(&log->terms);
}

raft_term raft_log_term_at(const struct raft_log *log, raft_index index)
{
    return terms_at(&log->terms, index);
}

bool raft_log_has(const struct raft_log *log, raft_index index)
{
    return index >= log->window_first && index <= log->terms.last_index;
}

struct entry *raft_log_at(const struct raft_log *log, raft_index index)
{
    assert(raft_log_has(log, index));
    return *slot(log, index);
}

static size_t window_count(const struct raft_log *log)
{
    return (size_t)(log->terms.last_index + 1 - log->window_first);
}

/* ---- Beginning ---- */

static void grow(struct raft_log *log)
{
    struct raft_log old = *log;
    log->window_room = old.window_room == 0 ? LEAST_ROOM : 2 * old.window_room;
    log->window = memory_new(log->window_room * sizeof *log->window);
    for (raft_index i = old.window_first; i <= old.terms.last_index && old.window_room > 0; i++)
        *slot(log, i) = *slot(&old, i);
    memory_free(old.window);
}

/* Puts an entry behind the last one of the window. Its term is noted already. */
static void enter_window(struct raft_log *log, struct entry *entry)
{
    *slot(log, entry->index) = entry;
    log->window_bytes += entry->size;
}

static void note_config(struct raft_log *log, struct entry *entry)
{
    if (entry->kind != ENTRY_CONFIG)
        return;
    if (log->config_count == log->config_room) {
        log->config_room = log->config_room == 0 ? 8 : 2 * log->config_room;
        log->configs = memory_resize(log->configs, log->config_room * sizeof *log->configs);
    }
    log->configs[log->config_count++] = entry_hold(entry);
}

void raft_log_init(struct raft_log *log, struct storage_opened *opened, size_t cache_bytes)
{
    *log = (struct raft_log){.cache_bytes = cache_bytes, .terms = opened->terms, .catalog = opened->catalog};
    log->configs = opened->configs;
    log->config_count = log->config_room = opened->config_count;
    log->durable_index = log->terms.last_index;
    log->window_first = log->terms.last_index + 1;
    if (opened->tail != NULL && opened->tail->count > 0)
        log->window_first = opened->tail->list[0]->index;
    do
        grow(log);
    while (window_count(log) > log->window_room);
    for (size_t i = 0; opened->tail != NULL && i < opened->tail->count; i++)
        enter_window(log, entry_hold(opened->tail->list[i]));
    terms_init(&opened->terms);
    catalog_init(&opened->catalog);
    opened->configs = NULL;
    opened->config_count = 0;
}

void raft_log_fini(struct raft_log *log)
{
    for (raft_index i = log->window_first; i <= log->terms.last_index; i++)
        entry_drop(*slot(log, i));
    for (size_t i = 0; i < log->config_count; i++)
        entry_drop(log->configs[i]);
    memory_free(log->configs);
    memory_free(log->window);
    batch_free(log->unsaved);
    terms_fini(&log->terms);
    catalog_fini(&log->catalog);
}

/* ---- Appending ---- */

/* Forgets from `first` on. What was not given to the scribe yet goes too: nobody has seen it. */
static void forget(struct raft_log *log, raft_index first)
{
    for (raft_index i = log->terms.last_index; i >= first && i >= log->window_first; i--) {
        log->window_bytes -= (*slot(log, i))->size;
        entry_drop(*slot(log, i));
    }
    while (log->config_count > 0 && log->configs[log->config_count - 1]->index >= first)
        entry_drop(log->configs[--log->config_count]);
    terms_cut(&log->terms, first - 1);
    if (log->window_first > first)
        log->window_first = first;
    if (log->durable_index >= first)
        log->durable_index = first - 1;
}

/* The scribe's letter may not hold an entry twice: what is cut leaves it. Where all of it goes, and nothing of it was
 * the end of what the scribe has, the letter still truncates. */
static void cut_unsaved(struct raft_log *log, raft_index first)
{
    struct batch *unsaved = log->unsaved;
    bool within = unsaved != NULL && unsaved->count > 0 && first > unsaved->list[0]->index;
    while (unsaved != NULL && unsaved->count > 0 && unsaved->list[unsaved->count - 1]->index >= first) {
        struct entry *last = unsaved->list[--unsaved->count];
        unsaved->bytes -= last->size;
        entry_drop(last);
    }
    if (!within)
        log->cut_unsaved = true;
}

void raft_log_append(struct raft_log *log, struct entry *entry)
{
    assert(entry->index > 0 && entry->index <= log->terms.last_index + 1); /* no gaps */
    if (entry->index <= log->terms.last_index) {
        forget(log, entry->index);
        cut_unsaved(log, entry->index);
    }
    terms_add(&log->terms, entry->index, entry->term);
    if (window_count(log) > log->window_room)
        grow(log);
    enter_window(log, entry);
    note_config(log, entry);
    if (log->unsaved == NULL)
        log->unsaved = batch_new();
    batch_add(log->unsaved, entry_hold(entry));
}

struct batch *raft_log_take_unsaved(struct raft_log *log, uint64_t *number)
{
    struct batch *unsaved = log->unsaved;
    if (unsaved == NULL)
        return NULL;
    *number = ++log->saved_number;
    log->saved_index = unsaved->list[unsaved->count - 1]->index;
    if (log->cut_unsaved)
        log->cut_number = *number;
    log->cut_unsaved = false;
    log->unsaved = NULL;
    return unsaved;
}

size_t raft_log_unsaved_bytes(const struct raft_log *log)
{
    return log->unsaved == NULL ? 0 : log->unsaved->bytes;
}

/* ---- Durable ---- */

/* The oldest entries leave memory while there are too many, as far as they are durable. */
static void shrink(struct raft_log *log)
{
    while (log->window_bytes > log->cache_bytes && log->window_first < log->durable_index) {
        struct entry **oldest = slot(log, log->window_first);
        log->window_bytes -= (*oldest)->size;
        entry_drop(*oldest);
        log->window_first++;
    }
}

bool raft_log_is_saved(const struct raft_log *log, const struct letter *saved)
{
    return saved->number == log->saved_number && saved->place.last == log->saved_index;
}

void raft_log_saved(struct raft_log *log, uint64_t number, const struct run *place)
{
    catalog_add(&log->catalog, place);
    if (number < log->cut_number || log->cut_unsaved)
        return; /* of before a truncation: what it says of later entries is over */
    if (place->last > log->durable_index)
        log->durable_index = place->last;
    shrink(log);
}

/* ---- Looking ---- */

struct batch *raft_log_slice(const struct raft_log *log, raft_index first, raft_index last, size_t bytes_max)
{
    struct batch *batch = batch_new();
    for (raft_index i = first; i <= last; i++) {
        struct entry *entry = raft_log_at(log, i);
        if (batch->count > 0 && batch->bytes + entry->size > bytes_max)
            break;
        batch_add(batch, entry_hold(entry));
    }
    return batch;
}

struct run raft_log_place(const struct raft_log *log, raft_index first, raft_index last)
{
    assert(!raft_log_has(log, first));
    const struct run *found = catalog_find(&log->catalog, first);
    assert(found != NULL); /* entries leave memory when the catalog has them */
    struct run run = *found;
    run.first = first;
    if (run.last > last)
        run.last = last;
    if (run.last >= log->window_first) /* the files may still hold what these have replaced */
        run.last = log->window_first - 1;
    return run;
}

const struct entry *raft_log_config(const struct raft_log *log)
{
    return log->config_count == 0 ? NULL : log->configs[log->config_count - 1];
}

void raft_log_check(const struct raft_log *log)
{
    raft_index last = log->terms.last_index;
    assert(log->durable_index <= last);
    assert(log->window_first >= 1 && log->window_first <= last + 1);
    assert(last == 0 || log->window_first <= last);                 /* the last entry is always in memory */
    assert(log->window_first <= log->durable_index + 1);            /* and so is all that is not durable */
    assert(window_count(log) <= log->window_room);
    assert(log->unsaved == NULL || log->unsaved->count > 0);
    if (log->unsaved != NULL)
        assert(log->unsaved->list[log->unsaved->count - 1]->index == last);
    if (last > 0) {
        assert((*slot(log, last))->index == last);
        assert((*slot(log, last))->term == raft_log_last_term(log));
    }
}
