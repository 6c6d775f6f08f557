#include "storage/scribe.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"
#include "storage/folder.h"

struct scribe {
    struct scribe_config config;
    struct pile *pile;    /* its own */
    struct pile *answers; /* the server's */
    struct folder folder;
    struct thread thread;
};

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

static bool open_folder(struct scribe *scribe, struct mailraft_error *err)
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

    struct letter *letter = letter_new(LETTER_STORAGE_OPENED);
    letter->opened = memory_new(sizeof *letter->opened);
    *letter->opened = (struct storage_opened){.ballot = folder->ballot.ballot,
                                              .data_id = folder->identity.data_id,
                                              .cluster_uuid = folder->identity.cluster_uuid,
                                              .sync_us = folder->ballot.took_us,
                                              .made = folder->made,
                                              .damaged = folder->ballot.damaged};
    say(scribe, letter);
    return true;
}

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

static void scribe_main(void *context)
{
    struct scribe *scribe = context;
    struct mailraft_error err;
    struct letter *letter;
    int64_t now_us;

    bool works = open_folder(scribe, &err);
    if (!works)
        say_failed(scribe, &err);
    while ((letter = pile_take(scribe->pile, LANE_CONTROL, CLOCK_NEVER, &now_us)) != NULL) {
        if (works && !save_ballot(scribe, letter, &err)) {
            say_failed(scribe, &err);
            works = false;
        }
        letter_free(letter);
    }
    folder_close(&scribe->folder);
    say(scribe, letter_new(LETTER_SCRIBE_ENDED));
}

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
    if (thread_start(&scribe->thread, "scribe", scribe_main, scribe, err))
        return scribe;
    scribe_free(scribe);
    return NULL;
}

void scribe_save_ballot(struct scribe *scribe, uint64_t number, struct ballot ballot)
{
    struct letter *letter = letter_new(LETTER_SAVE_BALLOT);
    letter->number = number;
    letter->ballot = ballot;
    pile_put(scribe->pile, LANE_CONTROL, letter);
}

void scribe_close(struct scribe *scribe)
{
    pile_close(scribe->pile);
}

void scribe_join(struct scribe *scribe)
{
    thread_join(&scribe->thread);
    scribe_free(scribe);
}

void scribe_abandon(struct scribe *scribe)
{
    thread_abandon(&scribe->thread);
    /* The struct, its pile and its open files stay for good: the thread may come back from the disk and use them. */
}
