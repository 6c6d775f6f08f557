/* What is forged on a disk is found when that is read again: each violation must end the process. */
#include "counting.h"

#include <signal.h>
#include <string.h>

#include "base/bytes.h"
#include "storage/segment.h"

#define FILE_BYTES (32 * 1024)
#define FILE_PATH  SIM_DATA_DIR "/log/00000001.seg"

static uint8_t file[FILE_BYTES];

/* A file's frames, up to the one that no other stands behind. */
struct forgery {
    struct machine *machine;
    struct frame_head head; /* of the last frame that holds entries */
    uint64_t offset;        /* of it */
    uint64_t end;           /* behind the last frame of all */
};

static struct forgery forgery_begin(struct sim *sim)
{
    struct forgery forgery = {.machine = counting_follower(sim), .end = SEGMENT_DATA_OFFSET};
    struct frame_head head;

    sim_kill(sim, forgery.machine->id);
    cr_assert_eq(sim_disk_read(sim, forgery.machine->id, FILE_PATH, 0, file, sizeof file), sizeof file);
    while (frame_head_decode(file + forgery.end, &head)) {
        if (head.count > 0) {
            forgery.head = head;
            forgery.offset = forgery.end;
        }
        forgery.end += frame_bytes(head.length);
    }
    return forgery;
}

/* Writes what stands at an offset back, as a whole frame. The machine begins a new life. */
static void forgery_end(struct sim *sim, struct forgery *forgery, uint64_t offset)
{
    forgery->head.body_checksum = bytes_checksum(file + offset + FRAME_HEAD_BYTES, forgery->head.length);
    frame_head_encode(file + offset, &forgery->head);
    sim_disk_put(sim, forgery->machine->id, FILE_PATH, offset, file + offset, FRAME_HEAD_BYTES + forgery->head.length);
    sim_restart(sim, forgery->machine->id);
}

static void seal_entry(uint8_t *entry)
{
    bytes_put_u64(entry, bytes_checksum(entry + 8, bytes_get_u32(entry + 8) - 8));
}

static uint64_t copy_behind(struct forgery *forgery)
{
    memcpy(file + forgery->end, file + forgery->offset, FRAME_HEAD_BYTES + forgery->head.length);
    return forgery->end;
}

Test(durable, another_entry_of_the_same_term_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct forgery forgery = forgery_begin(sim);
    uint8_t *entry = file + forgery.offset + FRAME_HEAD_BYTES;

    entry[ENTRY_HEAD_BYTES] ^= 1;
    seal_entry(entry);
    forgery_end(sim, &forgery, forgery.offset);
}

Test(durable, a_frame_that_builds_on_one_that_is_not_there_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct forgery forgery = forgery_begin(sim);
    uint64_t offset = copy_behind(&forgery);

    forgery.head.number += 20;
    forgery.head.builds_on = forgery.head.number - 1;
    forgery_end(sim, &forgery, offset);
}

Test(durable, entries_behind_a_hole_are_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct forgery forgery = forgery_begin(sim);
    uint64_t offset = copy_behind(&forgery);

    forgery.head.number += 20;
    forgery.head.first += 5;
    forgery_end(sim, &forgery, offset);
}

Test(durable, a_sound_frame_with_an_entry_that_is_not_sound_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct forgery forgery = forgery_begin(sim);

    file[forgery.offset + FRAME_HEAD_BYTES + ENTRY_HEAD_BYTES] ^= 1;
    forgery_end(sim, &forgery, forgery.offset);
}

Test(durable, a_committed_entry_that_is_cut_off_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct forgery forgery = forgery_begin(sim);
    uint64_t offset = copy_behind(&forgery);
    uint8_t *entry = file + offset + FRAME_HEAD_BYTES;

    forgery.head.number += 20;
    bytes_put_u64(entry + 16, bytes_get_u64(entry + 16) + 1); /* the term */
    seal_entry(entry);
    forgery_end(sim, &forgery, offset);
}

Test(durable, a_term_that_goes_back_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct forgery forgery = forgery_begin(sim);
    uint64_t offset = copy_behind(&forgery);
    uint8_t *entry = file + offset + FRAME_HEAD_BYTES;

    forgery.head.number += 20;
    forgery.head.count = 1;
    forgery.head.length = bytes_get_u32(entry + 8);
    forgery.head.first = forgery.machine->ghost.log.last_index + 1;
    bytes_put_u64(entry + 16, 0);
    bytes_put_u64(entry + 24, forgery.head.first);
    seal_entry(entry);
    forgery_end(sim, &forgery, offset);
}

Test(durable, a_frame_that_was_durable_and_is_gone_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct forgery forgery = forgery_begin(sim);

    memset(file, 0, sizeof file);
    sim_disk_put(sim, forgery.machine->id, FILE_PATH, forgery.offset, file, sizeof file - forgery.offset);
    forgery.machine->disk.damaged = false; /* as if nobody had touched it */
    sim_restart(sim, forgery.machine->id);
}

Test(durable, what_each_disk_holds_is_known_when_it_is_synced)
{
    struct sim *sim = counting_cluster();
    const struct machine *leader = counting_leader(sim), *follower = counting_follower(sim);
    raft_index last = raft_log_last_index(&counting_server(sim, leader)->raft_log);

    cr_assert_gt(last, 3);
    cr_assert_eq(leader->ghost.log.last_index, last);
    for (raft_index i = 1; i <= last; i++) {
        cr_assert_not_null(durable_at(leader, i));
        cr_assert(durable_holds(follower, durable_at(leader, i)));
    }
    cr_assert_str_eq(durable_at(leader, last)->payload, "add 3");
    cr_assert_null(durable_at(leader, last + 1));
    sim_free(sim);
}

Test(durable, an_end_of_all_power_leaves_what_was_durable)
{
    struct sim *sim = counting_cluster();
    const struct known *last = durable_at(counting_leader(sim), counting_leader(sim)->ghost.log.last_index);

    for (raft_id id = 1; id <= 3; id++)
        sim_power_cut(sim, id);
    for (raft_id id = 1; id <= 3; id++) {
        sim_restart(sim, id);
        cr_assert(durable_holds(sim_machine(sim, id), last));
    }
    cr_assert(sim_run_until_leader(sim, 10 * SECOND));
    sim_run_us(sim, SECOND);
    cr_assert_eq(sim_counter(sim, 1)->value, 6);
    sim_free(sim);
}

Test(durable, a_folder_that_is_emptied_holds_nothing)
{
    struct sim *sim = counting_cluster();
    struct machine *follower = counting_follower(sim);

    sim_kill(sim, follower->id);
    sim_disk_empty(sim, follower->id);
    cr_assert_null(durable_at(follower, 1));
    sim_free(sim);
}
