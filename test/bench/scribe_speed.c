#include "scribe_speed.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "floor_file.h"
#include "process.h"
#include "storage/scribe.h"
#include "storage/segment.h"

#define AT_ONCE_MAX 1000

/* Whoever asks the scribe: in a node, the server. */
struct feeder {
    struct scribe *scribe;
    struct pile *answers;
    raft_index asked, saved;       /* the last entry of each */
    int64_t asked_us[AT_ONCE_MAX]; /* when an entry was asked for, by index modulo AT_ONCE_MAX */
    long entries, frames;          /* that were saved in this slice */
};

/* ---- The scribe ---- */

static struct letter *take_answer(struct feeder *feeder)
{
    int64_t now_us;
    struct letter *letter = pile_take(feeder->answers, LANE_CLIENTS, CLOCK_NEVER, &now_us);
    if (letter->kind == LETTER_STORAGE_FAILED)
        bench_die("%s", letter->error->message);
    return letter;
}

static void await_answer(struct feeder *feeder, enum letter_kind kind)
{
    bool came = false;
    while (!came) {
        struct letter *letter = take_answer(feeder);
        came = letter->kind == kind;
        letter_free(letter);
    }
}

static void feeder_start(struct feeder *feeder, const struct workplace *workplace)
{
    struct scribe_config config = {.id = 1,
                                   .cluster_name = "bench",
                                   .pid = getpid(),
                                   .segment_bytes = 64u * 1024 * 1024,
                                   .entry_bytes_max = 1024u * 1024,
                                   .cache_bytes = 8u * 1024 * 1024};
    struct mailraft_error err;
    snprintf(config.data_dir, sizeof config.data_dir, "%s/scribe", workplace->folder);
    feeder->answers = pile_new();
    feeder->scribe = scribe_start(&config, feeder->answers, &err);
    if (feeder->scribe == NULL)
        bench_die("%s", err.message);
    await_answer(feeder, LETTER_STORAGE_OPENED);
}

static void feeder_stop(struct feeder *feeder, const struct workplace *workplace)
{
    char path[PATH_MAX];
    scribe_close(feeder->scribe);
    await_answer(feeder, LETTER_SCRIBE_ENDED);
    scribe_join(feeder->scribe);
    pile_free(feeder->answers);
    snprintf(path, sizeof path, "%s/scribe", workplace->folder);
    folder_remove(path);
}

/* One letter for all, as a node's server writes one for what has come together. */
static void ask(struct feeder *feeder, raft_index last)
{
    static const uint8_t PAYLOAD[SCRIBE_PAYLOAD_BYTES];
    struct batch *batch = batch_new();
    int64_t now_us = clock_now_us();
    while (feeder->asked < last) {
        feeder->asked++;
        feeder->asked_us[feeder->asked % AT_ONCE_MAX] = now_us;
        batch_add(batch, entry_new(ENTRY_COMMAND, 1, feeder->asked, now_us, PAYLOAD, sizeof PAYLOAD));
    }
    scribe_save_entries(feeder->scribe, last, batch);
}

static void note_saved(struct feeder *feeder, raft_index last, struct scribe_speed *speed)
{
    int64_t now_us = clock_now_us();
    feeder->entries += (long)(last - feeder->saved);
    feeder->frames++;
    while (feeder->saved < last) {
        feeder->saved++;
        figures_add(&speed->our_us, (double)(now_us - feeder->asked_us[feeder->saved % AT_ONCE_MAX]));
    }
}

static void run_ours(struct feeder *feeder, struct scribe_speed *speed)
{
    int64_t began_us = clock_now_us(), until_us = began_us + speed->slice_ms * 1000;
    raft_index saved_before = feeder->saved;
    ask(feeder, feeder->saved + (raft_index)speed->at_once);
    while (feeder->saved < feeder->asked) {
        struct letter *letter = take_answer(feeder);
        if (letter->kind == LETTER_ENTRIES_SAVED) {
            note_saved(feeder, letter->place.last, speed);
            if (clock_now_us() < until_us)
                ask(feeder, feeder->saved + (raft_index)speed->at_once);
        }
        letter_free(letter);
    }
    double seconds = (double)(clock_now_us() - began_us) / 1e6;
    figures_add(&speed->ours, (double)(feeder->saved - saved_before) / seconds);
}

/* ---- The bare loop ---- */

static void run_floor(struct floor_file *file, struct scribe_speed *speed)
{
    size_t size = (size_t)frame_bytes((uint64_t)speed->at_once * (ENTRY_HEAD_BYTES + SCRIBE_PAYLOAD_BYTES));
    int64_t began_us = clock_now_us(), now_us = began_us;
    long writes = 0;
    while (now_us < began_us + speed->slice_ms * 1000) {
        int64_t before_us = now_us;
        if (!floor_file_write(file, size))
            bench_die("Couldn't write and sync the floor's file: %s", strerror(errno));
        now_us = clock_now_us();
        figures_add(&speed->floor_us, (double)(now_us - before_us));
        writes++;
    }
    figures_add(&speed->floor, (double)writes * speed->at_once / ((double)(now_us - began_us) / 1e6));
}

/* ---- Both ---- */

static void measure(struct feeder *feeder, struct floor_file *file, struct scribe_speed *speed)
{
    feeder->entries = feeder->frames = 0;
    for (int i = 0; i < speed->slices; i++) {
        process_pin(speed->one_core, i);
        run_floor(file, speed);
        run_ours(feeder, speed);
    }
    process_pin(false, 0);
    speed->entries_per_frame = (double)feeder->entries / (double)feeder->frames;
}

void scribe_speed_measure(struct scribe_speed *speeds, int count, const struct workplace *workplace)
{
    char path[PATH_MAX];
    struct floor_file file;
    struct feeder *feeder = memory_new(sizeof *feeder);
    snprintf(path, sizeof path, "%s/floor", workplace->folder);
    floor_file_make(&file, path);
    feeder_start(feeder, workplace);
    for (int i = 0; i < count; i++)
        measure(feeder, &file, &speeds[i]);
    feeder_stop(feeder, workplace);
    memory_free(feeder);
    floor_file_close(&file);
    unlink(path);
}
