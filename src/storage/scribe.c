#include "storage/scribe.h"

#include <assert.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"
#include "storage/appender.h"
#include "storage/file_maker.h"
#include "storage/folder.h"

/* Of entries, before the last letter whose entries go into a frame. A frame is read whole, however little of it a
 * follower that is far behind gets at once: so it is not as large as writing alone would like it. */
#define GATHERED_BYTES_MAX (1024u * 1024)

struct asked { /* a letter whose entries have been gathered */
    uint64_t number;
    raft_index last;
};

/* Entries of several letters that follow one another: they go into one frame, where the file has room. */
struct gathered {
    struct batch *entries; /* NULL: none */
    size_t count, room;
    struct asked *letters;
};

enum next_file {
    NEXT_FILE_ASKED_FOR,
    NEXT_FILE_MADE,
    NEXT_FILE_FAILED /* it is asked for again when it is needed */
};

struct scribe {
    struct scribe_config config;
    struct pile *pile;    /* its own */
    struct pile *answers; /* the server's */
    struct file_maker *maker;
    struct thread thread;

    /* Its thread's alone. */
    size_t entry_bytes_max; /* the config's, or the largest entry that did not fit into a file made for that */
    struct folder folder;
    struct appender appender;
    enum next_file next_file;
    struct gathered gathered;
    int64_t witness_due_us; /* CLOCK_NEVER: the last frame is one */
};

/* ---- Mail ---- */

static void say(struct scribe *scribe, struct letter *letter)
{
    pile_put(scribe->answers, LANE_CONTROL, letter);
}

static void say_failed(struct scribe *scribe, const struct mailraft_error *err)
{
    struct letter *letter = letter_new(LETTER_STORAGE_FAILED);
    letter->error = memory_new(sizeof *err);
    *letter->error = *err;
    say(scribe, letter);
}

/* What the helper said of the next file it made ahead: no harm is done yet where it failed. */
static void note_next_file(struct scribe *scribe, struct letter *letter)
{
    assert(letter->kind == LETTER_FILE_MADE);
    scribe->next_file = letter->error == NULL ? NEXT_FILE_MADE : NEXT_FILE_FAILED;
    if (letter->error != NULL) {
        struct letter *warning = letter_new(LETTER_STORAGE_WARNED);
        warning->error = letter->error;
        letter->error = NULL;
        say(scribe, warning);
    }
    letter_free(letter);
}

/* Whether it asks for something; what comes from the helper is noted instead. */
static bool is_wish(struct scribe *scribe, struct letter *letter)
{
    if (letter->kind != LETTER_FILE_MADE)
        return true;
    note_next_file(scribe, letter);
    return false;
}

/* What it is asked for next; NULL when the deadline passed. */
static struct letter *take_wish(struct scribe *scribe, int64_t deadline_us)
{
    struct letter *letter;
    int64_t now_us;
    do
        letter = pile_take(scribe->pile, LANE_INNER, deadline_us, &now_us);
    while (letter != NULL && !is_wish(scribe, letter));
    return letter;
}

/* The same, where it is there already; NULL otherwise. */
static struct letter *try_wish(struct scribe *scribe)
{
    struct letter *letter;
    int64_t now_us;
    do
        letter = pile_try(scribe->pile, LANE_INNER, &now_us);
    while (letter != NULL && !is_wish(scribe, letter));
    return letter;
}

/* What the helper says next, and nothing else. */
static struct letter *take_from_helper(struct scribe *scribe)
{
    int64_t now_us;
    return pile_take(scribe->pile, LANE_CONTROL, CLOCK_NEVER, &now_us);
}

/* ---- Files ---- */

static void ask_for_next_file(struct scribe *scribe)
{
    const struct segment_header *present = &scribe->appender.tail.header;
    scribe->next_file = NEXT_FILE_ASKED_FOR;
    file_maker_make(scribe->maker, present->number + 1, &present->data_id, scribe->entry_bytes_max);
}

static bool await_next_file(struct scribe *scribe, struct mailraft_error *err)
{
    if (scribe->next_file == NEXT_FILE_ASKED_FOR)
        note_next_file(scribe, take_from_helper(scribe));
    if (scribe->next_file == NEXT_FILE_MADE)
        return true;
    ask_for_next_file(scribe);
    struct letter *answer = take_from_helper(scribe);
    bool made = answer->error == NULL;
    if (!made)
        *err = *answer->error;
    letter_free(answer);
    return made;
}

static bool begin_next_file(struct scribe *scribe, struct mailraft_error *err)
{
    if (!await_next_file(scribe, err) || !appender_begin_file(&scribe->appender, scribe->config.data_dir, err))
        return false;
    ask_for_next_file(scribe);
    return true;
}

/* ---- Opening ---- */

static bool open_folder(struct scribe *scribe, struct storage_opened *opened, struct mailraft_error *err)
{
    const struct scribe_config *config = &scribe->config;
    struct folder *folder = &scribe->folder;
    struct folder_config wanted = {.path = config->data_dir,
                                   .owner.node_id = config->id,
                                   .pid = config->pid,
                                   .segment_bytes = config->segment_bytes,
                                   .entry_bytes_max = config->entry_bytes_max};
    snprintf(wanted.owner.cluster_name, sizeof wanted.owner.cluster_name, "%s", config->cluster_name);
    if (!folder_open(folder, &wanted, err))
        return false;
    *opened = (struct storage_opened){.ballot = folder->ballot.ballot,
                                      .data_id = folder->identity.data_id,
                                      .cluster_uuid = folder->identity.cluster_uuid,
                                      .sync_us = folder->ballot.took_us,
                                      .made = folder->made,
                                      .damaged = folder->ballot.damaged};
    return true;
}

/* What the system says of names in log/ (one is gone, or no file) tells of a folder that is not as it was left. */
static bool refuse_log(const struct scribe *scribe, struct mailraft_error *err)
{
    if (!folder_is_to_blame(err->os_errno))
        return false;
    err->class = &DAMAGED_ERROR;
    return error_prefix(err, "data_dir %s is not as it was left; " SEGMENT_ADVICE, scribe->config.data_dir);
}

static bool open_log(struct scribe *scribe, struct storage_opened *opened, struct mailraft_error *err)
{
    struct recovery_config config = {.data_id = opened->data_id, .cache_bytes = scribe->config.cache_bytes};
    struct tail tail;
    snprintf(config.data_dir, sizeof config.data_dir, "%s", scribe->config.data_dir);
    if (!recovery_run(&config, opened, &tail, err))
        return refuse_log(scribe, err);
    appender_open(&scribe->appender, &tail);
    return true;
}

static bool open_storage(struct scribe *scribe, struct mailraft_error *err)
{
    struct letter *letter = letter_new(LETTER_STORAGE_OPENED);
    letter->opened = memory_new(sizeof *letter->opened);
    if (!open_folder(scribe, letter->opened, err) || !open_log(scribe, letter->opened, err)) {
        letter_free(letter);
        return false;
    }
    say(scribe, letter);
    ask_for_next_file(scribe);
    scribe->witness_due_us = clock_now_us() + SCRIBE_WITNESS_US;
    return true;
}

/* ---- Entries ---- */

/* Takes over a letter's entries. */
static void gather_letter(struct gathered *gathered, struct letter *wish)
{
    struct batch *entries = wish->entries;
    if (gathered->count == gathered->room) {
        gathered->room = gathered->room == 0 ? 16 : 2 * gathered->room;
        gathered->letters = memory_resize(gathered->letters, gathered->room * sizeof *gathered->letters);
    }
    gathered->letters[gathered->count++] =
        (struct asked){.number = wish->number, .last = entries->list[entries->count - 1]->index};
    if (gathered->entries == NULL) {
        gathered->entries = entries;
        wish->entries = NULL;
        return;
    }
    batch_move(gathered->entries, entries);
}

/* Whether its entries come right behind those gathered. One that truncates begins a frame of its own. */
static bool continues(const struct gathered *gathered, const struct letter *wish)
{
    return wish->kind == LETTER_SAVE_ENTRIES &&
           wish->entries->list[0]->index == gathered->letters[gathered->count - 1].last + 1;
}

/* What waits on the pile behind a letter, as far as it can go into a frame with it. */
static void gather(struct scribe *scribe, struct letter *wish)
{
    struct gathered *gathered = &scribe->gathered;
    struct letter *next;
    gather_letter(gathered, wish);
    while (gathered->entries->bytes < GATHERED_BYTES_MAX && (next = try_wish(scribe)) != NULL) {
        if (!continues(gathered, next)) {
            pile_put_back(scribe->pile, LANE_INNER, next);
            return;
        }
        gather_letter(gathered, next);
        letter_free(next);
    }
}

static void forget_gathered(struct gathered *gathered)
{
    batch_free(gathered->entries);
    gathered->entries = NULL;
    gathered->count = 0;
}

/* The number of the last letter whose entries a frame that ends with this one holds. */
static uint64_t number_of(const struct gathered *gathered, raft_index last)
{
    size_t i = 0;
    while (gathered->letters[i].last < last)
        i++;
    return gathered->letters[i].number;
}

static bool write_frame(struct scribe *scribe, struct entry *const *entries, size_t count, struct mailraft_error *err)
{
    struct run place;
    int64_t began_us = clock_now_us();
    if (!appender_write(&scribe->appender, entries, count, &place, err))
        return false;
    int64_t ended_us = clock_now_us();
    struct letter *letter = letter_new(LETTER_ENTRIES_SAVED);
    letter->number = number_of(&scribe->gathered, place.last);
    letter->place = place;
    letter->took_us = ended_us - began_us;
    say(scribe, letter);
    scribe->witness_due_us = ended_us + SCRIBE_WITNESS_US;
    return true;
}

/* Turns to the next file for an entry. A leader with another config may have logged a larger one than fits into a file
 * of ours: the file that is made ahead then stays empty, and the one behind it is made large enough. */
static bool begin_file_for(struct scribe *scribe, const struct entry *entry, struct mailraft_error *err)
{
    if (entry->size > scribe->entry_bytes_max)
        scribe->entry_bytes_max = entry->size;
    return begin_next_file(scribe, err);
}

/* One frame, and one more for each file that ends within. */
static bool write_frames(struct scribe *scribe, const struct batch *entries, struct mailraft_error *err)
{
    for (size_t at = 0; at < entries->count;) {
        struct entry *const *rest = entries->list + at;
        size_t count = appender_count_fitting(&scribe->appender, rest, entries->count - at);
        if (count == 0 ? !begin_file_for(scribe, *rest, err) : !write_frame(scribe, rest, count, err))
            return false;
        at += count;
    }
    return true;
}

static bool save_entries(struct scribe *scribe, struct letter *wish, struct mailraft_error *err)
{
    gather(scribe, wish);
    bool saved = write_frames(scribe, scribe->gathered.entries, err);
    forget_gathered(&scribe->gathered);
    return saved;
}

static bool write_witness(struct scribe *scribe, struct mailraft_error *err)
{
    if (appender_is_full(&scribe->appender) && !begin_next_file(scribe, err))
        return false;
    scribe->witness_due_us = CLOCK_NEVER;
    return appender_write_witness(&scribe->appender, err);
}

/* ---- Term, vote and uuid ---- */

/* The order matters: the answer may leave once the first slot is durable; the next save comes after the second. */
static bool save_ballot(struct scribe *scribe, const struct letter *wish, struct mailraft_error *err)
{
    struct ballot_file *file = &scribe->folder.ballot;
    if (!ballot_save(file, wish->ballot, err))
        return false;
    struct letter *letter = letter_new(LETTER_BALLOT_SAVED);
    letter->number = wish->number;
    letter->ballot = wish->ballot;
    letter->took_us = file->took_us;
    say(scribe, letter);
    return ballot_copy(file, err);
}

static bool save_uuid(struct scribe *scribe, const struct letter *wish, struct mailraft_error *err)
{
    if (!folder_save_uuid(&scribe->folder, &wish->cluster_uuid, err))
        return false;
    struct letter *letter = letter_new(LETTER_UUID_SAVED);
    letter->cluster_uuid = wish->cluster_uuid;
    say(scribe, letter);
    return true;
}

/* ---- The thread ---- */

/* NULL: nothing has come until the witness was due. */
static bool fulfil(struct scribe *scribe, struct letter *wish, struct mailraft_error *err)
{
    if (wish == NULL)
        return write_witness(scribe, err);
    switch (wish->kind) {
    case LETTER_SAVE_BALLOT:
        return save_ballot(scribe, wish, err);
    case LETTER_SAVE_ENTRIES:
        return save_entries(scribe, wish, err);
    case LETTER_SAVE_UUID:
        return save_uuid(scribe, wish, err);
    default: /* LETTER_NO_MORE */
        return scribe->witness_due_us == CLOCK_NEVER || write_witness(scribe, err);
    }
}

/* What is asked for after a failure is thrown away. */
static void work(struct scribe *scribe)
{
    struct mailraft_error err;
    bool works = open_storage(scribe, &err), more = true;
    if (!works)
        say_failed(scribe, &err);
    while (more) {
        struct letter *wish = take_wish(scribe, works ? scribe->witness_due_us : CLOCK_NEVER);
        more = wish == NULL || wish->kind != LETTER_NO_MORE;
        if (works && !fulfil(scribe, wish, &err)) {
            say_failed(scribe, &err);
            works = false;
        }
        letter_free(wish);
    }
}

/* The helper is not joined here: it may be stuck, and then the scribe is abandoned while it waits for this letter. */
static void await_helpers_end(struct scribe *scribe)
{
    bool ended = false;
    file_maker_close(scribe->maker);
    while (!ended) {
        struct letter *letter = take_from_helper(scribe);
        ended = letter->kind == LETTER_FILE_MAKER_ENDED;
        letter_free(letter);
    }
}

static void scribe_main(void *context)
{
    struct scribe *scribe = context;
    work(scribe);
    await_helpers_end(scribe);
    appender_close(&scribe->appender);
    folder_close(&scribe->folder);
    memory_free(scribe->gathered.letters);
    say(scribe, letter_new(LETTER_SCRIBE_ENDED));
}

/* ---- Called by others ---- */

static void scribe_free(struct scribe *scribe)
{
    pile_free(scribe->pile);
    memory_free(scribe);
}

struct scribe *scribe_start(const struct scribe_config *config, struct pile *answers, struct mailraft_error *err)
{
    struct scribe *scribe = memory_new(sizeof *scribe);
    scribe->config = *config;
    scribe->pile = pile_new();
    scribe->answers = answers;
    scribe->entry_bytes_max = config->entry_bytes_max;
    scribe->maker = file_maker_start(config->data_dir, config->segment_bytes, scribe->pile, err);
    if (scribe->maker == NULL)
        goto free;
    if (thread_start(&scribe->thread, "scribe", scribe_main, scribe, err))
        return scribe;
    file_maker_close(scribe->maker);
    file_maker_join(scribe->maker);
free:
    scribe_free(scribe);
    return NULL;
}

void scribe_save_ballot(struct scribe *scribe, uint64_t number, struct ballot ballot)
{
    struct letter *letter = letter_new(LETTER_SAVE_BALLOT);
    letter->number = number;
    letter->ballot = ballot;
    pile_put(scribe->pile, LANE_INNER, letter);
}

void scribe_save_entries(struct scribe *scribe, uint64_t number, struct batch *entries)
{
    struct letter *letter = letter_new(LETTER_SAVE_ENTRIES);
    assert(entries->count > 0);
    letter->number = number;
    letter->entries = entries;
    pile_put(scribe->pile, LANE_INNER, letter);
}

void scribe_save_uuid(struct scribe *scribe, const struct cluster_uuid *uuid)
{
    struct letter *letter = letter_new(LETTER_SAVE_UUID);
    letter->cluster_uuid = *uuid;
    pile_put(scribe->pile, LANE_INNER, letter);
}

void scribe_close(struct scribe *scribe)
{
    /* The pile stays open: while it finishes, its helper still answers. */
    pile_put(scribe->pile, LANE_INNER, letter_new(LETTER_NO_MORE));
}

void scribe_join(struct scribe *scribe)
{
    thread_join(&scribe->thread);
    file_maker_join(scribe->maker);
    scribe_free(scribe);
}

void scribe_abandon(struct scribe *scribe)
{
    file_maker_abandon(scribe->maker);
    thread_abandon(&scribe->thread);
    /* The struct, its pile and its open files stay for good: the thread may come back from the disk and use them. */
}
