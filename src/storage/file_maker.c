#include "storage/file_maker.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"
#include "storage/segment.h"

struct file_maker {
    char data_dir[DISK_PATH_MAX];
    uint64_t segment_bytes;
    struct pile *pile;    /* its own */
    struct pile *answers; /* the scribe's */
    struct thread thread;
};

/* NULL: it was made. */
static struct mailraft_error *make(const struct file_maker *maker, const struct letter *wish)
{
    struct mailraft_error *err = memory_new(sizeof *err);
    struct segment_header header = {.data_id = wish->data_id,
                                    .number = wish->number,
                                    .size = segment_size(wish->number, maker->segment_bytes, wish->entry_bytes)};
    if (!segment_make(maker->data_dir, &header, err))
        return err;
    memory_free(err);
    return NULL;
}

static void file_maker_main(void *context)
{
    struct file_maker *maker = context;
    struct letter *wish;
    int64_t now_us;

    while ((wish = pile_take(maker->pile, LANE_CONTROL, CLOCK_NEVER, &now_us)) != NULL) {
        struct letter *answer = letter_new(LETTER_FILE_MADE);
        answer->number = wish->number;
        answer->error = make(maker, wish);
        pile_put(maker->answers, LANE_CONTROL, answer);
        letter_free(wish);
    }
    pile_put(maker->answers, LANE_CONTROL, letter_new(LETTER_FILE_MAKER_ENDED));
}

static void file_maker_free(struct file_maker *maker)
{
    pile_free(maker->pile);
    memory_free(maker);
}

struct file_maker *file_maker_start(const char *data_dir, uint64_t segment_bytes, struct pile *answers,
                                    struct mailraft_error *err)
{
    struct file_maker *maker = memory_new(sizeof *maker);
    snprintf(maker->data_dir, sizeof maker->data_dir, "%s", data_dir);
    maker->segment_bytes = segment_bytes;
    maker->pile = pile_new();
    maker->answers = answers;
    if (thread_start(&maker->thread, "file maker", file_maker_main, maker, err))
        return maker;
    file_maker_free(maker);
    return NULL;
}

void file_maker_make(struct file_maker *maker, uint64_t number, const struct data_id *data_id, size_t entry_bytes)
{
    struct letter *letter = letter_new(LETTER_MAKE_FILE);
    letter->number = number;
    letter->data_id = *data_id;
    letter->entry_bytes = entry_bytes;
    pile_put(maker->pile, LANE_CONTROL, letter);
}

void file_maker_close(struct file_maker *maker)
{
    pile_close(maker->pile);
}

void file_maker_join(struct file_maker *maker)
{
    thread_join(&maker->thread);
    file_maker_free(maker);
}

void file_maker_abandon(struct file_maker *maker)
{
    pile_close(maker->pile);
    thread_abandon(&maker->thread);
    /* The struct and its pile stay for good, as scribe_abandon's do. */
}
