/* What each machine's disk holds of the log, and that all disks agree (the paper's Figure 3).
 *
 *   - Log matching: two disks that hold an entry of one index and term hold the same entries up to it.
 *   - A frame builds on one that was durable, no frame that was durable is lost, and no entry that the cluster has
 *     committed is cut off.
 *
 * The files are read as segment.h and entry.h tell their format, but by code of its own, so that a mistake in reading
 * them there is found: after each sync of one, from where the last reading ended, and from their beginning after each
 * end of a life. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "sim/platter.h"

#define DATA_OFFSET   8192
#define FRAME_HEAD    64
#define ENTRY_HEAD    40
#define FILE_PATH_MAX (DISK_PATH_MAX + 40)

/* ---- Every entry that any disk has held ---- */

struct known *known_find(const struct sim *sim, raft_index index, raft_term term)
{
    struct known *known = index < sim->known_room ? sim->known[index] : NULL;

    while (known != NULL && known->term != term)
        known = known->next;
    return known;
}

static void known_reserve(struct sim *sim, raft_index index)
{
    size_t room = sim->known_room == 0 ? 256 : sim->known_room;

    if (index < sim->known_room)
        return;
    if (index > 10000000)
        sim_fail("index %" PRIu64 " is out of all proportion", index);
    while (room <= index)
        room *= 2;
    sim->known = realloc(sim->known, room * sizeof *sim->known);
    assert(sim->known != NULL);
    memset(sim->known + sim->known_room, 0, (room - sim->known_room) * sizeof *sim->known);
    sim->known_room = room;
}

/* Over the entry and all before it. */
static uint64_t hash_on(const struct known *before, raft_term term, uint64_t checksum)
{
    uint8_t bytes[24];

    bytes_put_u64(bytes, before != NULL ? before->hash : 0);
    bytes_put_u64(bytes + 8, term);
    bytes_put_u64(bytes + 16, checksum);
    return bytes_checksum(bytes, sizeof bytes);
}

static struct known *known_new(struct sim *sim, const uint8_t *bytes, uint32_t length)
{
    struct known *known = calloc(1, sizeof *known + length - ENTRY_HEAD + 1);

    assert(known != NULL);
    known->checksum = bytes_get_u64(bytes);
    known->kind = (enum entry_kind)bytes_get_u32(bytes + 12);
    known->term = bytes_get_u64(bytes + 16);
    known->index = bytes_get_u64(bytes + 24);
    known->time_us = (int64_t)bytes_get_u64(bytes + 32);
    known->payload_size = length - ENTRY_HEAD;
    memcpy(known->payload, bytes + ENTRY_HEAD, known->payload_size);
    known_reserve(sim, known->index);
    known->next = sim->known[known->index];
    sim->known[known->index] = known;
    return known;
}

void known_fini(struct sim *sim)
{
    for (size_t index = 0; index < sim->known_room; index++)
        while (sim->known[index] != NULL) {
            struct known *known = sim->known[index];

            sim->known[index] = known->next;
            free(known);
        }
    free(sim->known);
}

/* ---- A machine's durable log ---- */

const struct known *durable_at(const struct machine *machine, raft_index index)
{
    const struct durable_log *log = &machine->ghost.log;

    return index >= 1 && index <= log->last_index ? log->list[index] : NULL;
}

bool durable_holds(const struct machine *machine, const struct known *known)
{
    return durable_at(machine, known->index) == known;
}

/* Entries from index on are replaced. What was cut off when it was first read may have been committed since, where a
 * later leader still had it. */
static void durable_cut(struct machine *machine, raft_index index, uint64_t frame)
{
    struct durable_log *log = &machine->ghost.log;

    if (frame > log->frame_known && check_is_chosen(the_sim, log->list[index]))
        sim_fail("%d cuts off entry %" PRIu64 " of term %" PRIu64 ", which is committed", machine->id, index,
                 log->list[index]->term);
    log->last_index = index - 1;
}

static void durable_add(struct machine *machine, struct known *known)
{
    struct durable_log *log = &machine->ghost.log;

    if (known->index >= log->room) {
        log->room = log->room == 0 ? 64 : 2 * log->room;
        log->list = realloc(log->list, log->room * sizeof *log->list);
        assert(log->list != NULL);
    }
    log->list[known->index] = known;
    log->last_index = known->index;
    known->held |= 1u << machine->position;
}

/* Returns the entry's length. */
static uint32_t take_entry(struct machine *machine, raft_index index, const uint8_t *bytes, size_t left)
{
    uint32_t length = left >= ENTRY_HEAD ? bytes_get_u32(bytes + 8) : 0;
    const struct known *before = index > 1 ? machine->ghost.log.list[index - 1] : NULL;
    struct known *known;
    uint64_t hash;

    if (length < ENTRY_HEAD || length > left || bytes_get_u64(bytes) != bytes_checksum(bytes + 8, length - 8) ||
        bytes_get_u64(bytes + 24) != index)
        sim_fail("the disk of %d holds a sound frame with no sound entry %" PRIu64 " in it", machine->id, index);
    hash = hash_on(before, bytes_get_u64(bytes + 16), bytes_get_u64(bytes));
    known = known_find(the_sim, index, bytes_get_u64(bytes + 16));
    if (known == NULL) {
        known = known_new(the_sim, bytes, length);
        known->hash = hash;
    }
    if (known->hash != hash)
        sim_fail("the logs of term %" PRIu64 " differ: that of %d has another entry at or before %" PRIu64, known->term,
                 machine->id, index);
    if (before != NULL && before->term > known->term)
        sim_fail("in the log of %d, term %" PRIu64 " stands behind %" PRIu64, machine->id, known->term, before->term);
    durable_add(machine, known);
    return length;
}

/* ---- Frames ---- */

struct frame {
    uint64_t number, builds_on;
    raft_index first;
    uint32_t count, length;
    uint64_t checksum;
};

static bool read_frame(struct machine *machine, const char *path, uint64_t offset, uint64_t salt, struct frame *frame)
{
    uint8_t bytes[FRAME_HEAD];

    if (disk_peek(&machine->disk, path, true, offset, bytes, sizeof bytes) < sizeof bytes ||
        memcmp(bytes, "FRME", 4) != 0 || bytes_get_u64(bytes + 56) != bytes_checksum(bytes, 56) ||
        bytes_get_u64(bytes + 8) != salt)
        return false;
    *frame = (struct frame){.number = bytes_get_u64(bytes + 16),
                            .builds_on = bytes_get_u64(bytes + 24),
                            .first = bytes_get_u64(bytes + 32),
                            .count = bytes_get_u32(bytes + 40),
                            .length = bytes_get_u32(bytes + 4),
                            .checksum = bytes_get_u64(bytes + 48)};
    return true;
}

static void check_frame(const struct machine *machine, const struct frame *frame)
{
    const struct durable_log *log = &machine->ghost.log;

    if (frame->builds_on > log->frame)
        sim_fail("the disk of %d holds frame %" PRIu64 ", which builds on %" PRIu64 ", but not that one", machine->id,
                 frame->number, frame->builds_on);
    if (frame->first == 0 || frame->first > log->last_index + 1)
        sim_fail("the disk of %d holds entries from %" PRIu64 " on behind entry %" PRIu64, machine->id, frame->first,
                 log->last_index);
}

/* Takes a frame that is whole. */
static bool take_frame(struct machine *machine, const char *path, uint64_t offset, const struct frame *frame)
{
    uint8_t *body = malloc(frame->length + 1);
    size_t at = 0;
    bool whole;

    assert(body != NULL);
    whole = disk_peek(&machine->disk, path, true, offset + FRAME_HEAD, body, frame->length) == frame->length &&
            bytes_checksum(body, frame->length) == frame->checksum;
    if (whole) {
        check_frame(machine, frame);
        if (frame->count > 0 && frame->first <= machine->ghost.log.last_index)
            durable_cut(machine, frame->first, frame->number);
        for (uint32_t i = 0; i < frame->count; i++)
            at += take_entry(machine, frame->first + i, body + at, frame->length - at);
        machine->ghost.log.frame = frame->number;
        machine->ghost.log.frame_offset = offset;
        machine->ghost.log.frame_is_witness = frame->count == 0;
    }
    free(body);
    return whole;
}

/* ---- Files ---- */

static const char *file_path(const struct machine *machine, uint64_t number, char path[FILE_PATH_MAX])
{
    snprintf(path, FILE_PATH_MAX, "%s/log/%08" PRIu64 ".seg", machine->config.data_dir, number);
    return path;
}

static bool read_header(struct machine *machine, const char *path, uint64_t *number, uint64_t *salt)
{
    for (uint64_t offset = 0; offset < DATA_OFFSET; offset += DATA_OFFSET / 2) {
        uint8_t bytes[60];

        if (disk_peek(&machine->disk, path, true, offset, bytes, sizeof bytes) < sizeof bytes ||
            memcmp(bytes, "SGMT", 4) != 0 || bytes_get_u64(bytes + 52) != bytes_checksum(bytes, 52))
            continue;
        *number = bytes_get_u64(bytes + 24);
        *salt = bytes_get_u64(bytes + 32);
        return true;
    }
    return false;
}

/* Reads a file from offset on. to_the_end: also what stands behind sectors that do not read. */
static void read_file(struct machine *machine, uint64_t number, uint64_t salt, uint64_t offset, bool to_the_end)
{
    struct durable_log *log = &machine->ghost.log;
    char path[FILE_PATH_MAX];
    const struct inode *inode = name_lookup_synced(&machine->disk, file_path(machine, number, path));
    struct frame frame;

    while (inode != NULL && offset + FRAME_HEAD <= inode->synced_size) {
        if (read_frame(machine, path, offset, salt, &frame) && frame.number > log->frame &&
            take_frame(machine, path, offset, &frame)) {
            offset += (FRAME_HEAD + frame.length + DISK_SECTOR - 1) / DISK_SECTOR * DISK_SECTOR;
            log->file = number;
            log->offset = offset;
            log->salt = salt;
        } else if (to_the_end) {
            offset += DISK_SECTOR;
        } else {
            return;
        }
    }
}

void durable_synced(struct machine *machine, const char *path)
{
    struct durable_log *log = &machine->ghost.log;
    char expected[FILE_PATH_MAX];
    uint64_t number, salt;

    if (!machine->is_node || (machine->disk.decayed && !machine->ghost.loaded))
        return; /* a decayed disk counts for what it held, until a server has begun with it */
    if (!read_header(machine, path, &number, &salt) ||
        strcmp(path, file_path(machine, number, expected)) != 0)
        return;
    if (number == log->file && salt == log->salt)
        read_file(machine, number, salt, log->offset, false);
    else if (number > log->file)
        read_file(machine, number, salt, DATA_OFFSET, false);
}

/* ---- After an end ---- */

static uint64_t first_file(struct machine *machine)
{
    uint64_t first = 0;

    for (const struct name *name = machine->disk.names; name != NULL; name = name->next) {
        size_t length = strlen(machine->config.data_dir);
        uint64_t number;

        if (name->synced != NULL && strncmp(name->path, machine->config.data_dir, length) == 0 &&
            sscanf(name->path + length, "/log/%" SCNu64 ".seg", &number) == 1 && (first == 0 || number < first))
            first = number;
    }
    return first;
}

static void read_all(struct machine *machine)
{
    struct durable_log *log = &machine->ghost.log;
    uint64_t number, salt;
    char path[FILE_PATH_MAX];

    log->frame_known = log->frame;
    log->file = log->offset = log->salt = log->frame = log->last_index = 0;
    for (uint64_t i = first_file(machine); i > 0 && name_lookup_synced(&machine->disk, file_path(machine, i, path));
         i++)
        if (read_header(machine, path, &number, &salt) && number == i)
            read_file(machine, i, salt, DATA_OFFSET, true);
    log->frame_known = 0;
}

void durable_read_again(struct machine *machine)
{
    struct durable_log *log = &machine->ghost.log;
    const struct known *last = durable_at(machine, log->last_index);
    uint64_t frame = log->frame;

    if (machine->disk.decayed)
        return;
    read_all(machine);
    if (machine->disk.damaged)
        return;
    if (log->frame < frame || (log->frame == frame && durable_at(machine, log->last_index) != last))
        sim_fail("the disk of %d has lost frame %" PRIu64 ", which was durable: its last one is %" PRIu64, machine->id,
                 frame, log->frame);
}

/* Only what holds no entries may be lost. */
void durable_survived(struct machine *machine)
{
    struct durable_log *log = &machine->ghost.log;
    const struct known *last = durable_at(machine, log->last_index);
    uint64_t frame = log->frame;

    read_all(machine);
    if (log->frame < frame && durable_at(machine, log->last_index) != last)
        sim_fail("%d goes on with a decayed disk, which has lost what was durable behind entry %" PRIu64, machine->id,
                 log->last_index);
    machine->disk.decayed = false;
}
