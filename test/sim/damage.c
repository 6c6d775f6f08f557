#include "sim/damage.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "raft/configuration.h"
#include "sim/platter.h"
#include "storage/ballot.h"

#define PATH_BYTES     (DISK_PATH_MAX + 40)
#define BALLOT_BYTES   40 /* of a slot, that tell something */
#define IDENTITY_BYTES 100
#define TAIL_BYTES     2048 /* behind the last frame, that may be hit */

/* ---- Who is fit ---- */

/* The newest committed CONFIG; NULL: the cluster is not born. */
static const struct known *committed_config(const struct sim *sim)
{
    for (raft_index i = sim->chosen_count; i > 0; i--)
        if (check_chosen(sim, i)->entry->kind == ENTRY_CONFIG)
            return check_chosen(sim, i)->entry;
    return NULL;
}

static void decode_config(const struct known *known, struct configuration *configuration)
{
    struct mailraft_error err;
    struct entry *entry =
        entry_new(known->kind, known->term, known->index, known->time_us, known->payload, known->payload_size);

    if (!configuration_decode(entry, configuration, &err))
        sim_fail("the committed CONFIG %llu cannot be read: %s", (unsigned long long)known->index, err.message);
    entry_drop(entry);
}

static const char *path_of(const struct machine *machine, const char *name, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%s/%s", machine->config.data_dir, name);
    return path;
}

/* Whether the cluster knows its folder, and that knows the cluster. */
static bool is_known(struct machine *machine, const struct known *config, const struct configuration *configuration)
{
    char path[PATH_BYTES];
    struct data_id data_id;

    return durable_holds(machine, config) &&
           disk_peek(&machine->disk, path_of(machine, "identity", path), true, 16, &data_id, sizeof data_id) ==
               sizeof data_id &&
           data_id_equal(&data_id, &configuration->data_ids[machine->position]);
}

/* unfit: whose folder is to count as lost, beside those that the cluster does not know; NULL: nobody's. */
static int count_unknown(struct sim *sim, bool (*unfit)(const struct machine *machine))
{
    const struct known *config = committed_config(sim);
    struct configuration *configuration;
    int unknown = 0;

    if (config == NULL)
        return sim->machine_count;
    configuration = memory_new(sizeof *configuration);
    decode_config(config, configuration);
    for (int i = 0; i < sim->machine_count; i++)
        unknown += !is_known(sim->machines[i], config, configuration) || (unfit != NULL && unfit(sim->machines[i]));
    memory_free(configuration);
    return unknown;
}

int damage_count_strangers(struct sim *sim)
{
    return count_unknown(sim, NULL);
}

static bool is_damaged(const struct machine *machine)
{
    return machine->disk.decayed;
}

bool damage_can_be_borne(struct sim *sim, const struct machine *machine)
{
    return !machine->disk.decayed && count_unknown(sim, is_damaged) + 1 <= (sim->machine_count - 1) / 2;
}

/* ---- A bit flips ---- */

static bool flip(struct sim *sim, struct machine *machine, const char *path, uint64_t offset)
{
    int bit = (int)sim_draw(sim, 0, 8);

    if (!disk_flip_bit(&machine->disk, path, offset, bit))
        return false;
    sim_trace(sim, "bit %d of byte %llu of %s of %d flips", bit, (unsigned long long)offset, path, machine->id);
    machine->disk.decayed = true;
    return true;
}

static const char *log_path(const struct machine *machine, uint64_t number, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%s/log/%08llu.seg", machine->config.data_dir, (unsigned long long)number);
    return path;
}

/* Of the file with the newest frame: behind that, only while nobody writes there; and not the frame itself, unless it
 * is a witness: without one, it looks like a write in flight. */
static bool is_told_from_writing(const struct machine *machine, uint64_t offset)
{
    const struct durable_log *log = &machine->ghost.log;

    if (offset >= log->offset)
        return machine->life == NULL;
    return offset < log->frame_offset || log->frame_is_witness;
}

static bool flip_tail(struct sim *sim, struct machine *machine)
{
    const struct durable_log *log = &machine->ghost.log;
    uint64_t offset = (uint64_t)sim_draw(sim, (int64_t)log->frame_offset, (int64_t)log->offset + TAIL_BYTES);
    char path[PATH_BYTES];

    return is_told_from_writing(machine, offset) && flip(sim, machine, log_path(machine, log->file, path), offset);
}

static bool flip_middle(struct sim *sim, struct machine *machine)
{
    const struct durable_log *log = &machine->ghost.log;
    uint64_t file = (uint64_t)sim_draw(sim, 1, (int64_t)log->file + 1);
    char path[PATH_BYTES];
    const struct inode *inode = name_lookup_synced(&machine->disk, log_path(machine, file, path));
    uint64_t end = file == log->file ? log->offset : inode != NULL ? inode->synced_size : 0;
    uint64_t offset = (uint64_t)sim_draw(sim, 0, (int64_t)end);

    return inode != NULL && (file != log->file || is_told_from_writing(machine, offset)) &&
           flip(sim, machine, path, offset);
}

static bool flip_log(struct sim *sim, struct machine *machine)
{
    bool tail = sim_flip_coin();

    if (machine->ghost.log.frame == 0)
        return false;
    return tail ? flip_tail(sim, machine) : flip_middle(sim, machine);
}

static uint64_t slot_sequence(struct machine *machine, const char *path, int slot)
{
    uint8_t bytes[8];

    return disk_peek(&machine->disk, path, true, (uint64_t)slot * BALLOT_SLOT_BYTES + 8, bytes, sizeof bytes) ==
                   sizeof bytes
               ? bytes_get_u64(bytes)
               : 0;
}

static bool flip_slot(struct sim *sim, struct machine *machine, const char *path, int slot)
{
    return flip(sim, machine, path, (uint64_t)(slot * BALLOT_SLOT_BYTES + sim_draw(sim, 0, BALLOT_BYTES)));
}

/* Either slot, once both hold the same: before, and while it may be written, only the second (ballot.h, "Torn"). Or
 * both, which has to be noticed. */
static bool flip_ballot(struct sim *sim, struct machine *machine)
{
    bool both = sim_chance(sim, 0.3), second = sim_flip_coin();
    char path[PATH_BYTES];

    path_of(machine, "ballot", path);
    if (machine->life != NULL || slot_sequence(machine, path, 0) != slot_sequence(machine, path, 1))
        return flip_slot(sim, machine, path, 1);
    if (both)
        return flip_slot(sim, machine, path, 0) && flip_slot(sim, machine, path, 1);
    return flip_slot(sim, machine, path, second ? 1 : 0);
}

static bool flip_identity(struct sim *sim, struct machine *machine)
{
    char path[PATH_BYTES];

    return machine->life == NULL &&
           flip(sim, machine, path_of(machine, "identity", path), (uint64_t)sim_draw(sim, 0, IDENTITY_BYTES));
}

bool damage_flip(struct sim *sim, struct machine *machine)
{
    int64_t what = sim_draw(sim, 0, 10);

    if (machine->life != NULL && !machine->ghost.loaded)
        return false; /* what a start has read already, it need not notice */
    return what < 6 ? flip_log(sim, machine) : what < 9 ? flip_ballot(sim, machine) : flip_identity(sim, machine);
}

/* ---- A file vanishes ---- */

static bool is_there(struct machine *machine, const char *path)
{
    return name_lookup_synced(&machine->disk, path) != NULL;
}

static bool vanish(struct sim *sim, struct machine *machine, const char *path)
{
    if (!is_there(machine, path))
        return false;
    sim_trace(sim, "%s of %d is gone", path, machine->id);
    names_remove(&machine->disk, path);
    machine->disk.decayed = true;
    return true;
}

/* As written, and whether or not the power goes: a start removes files, and may have died before it was done. */
static bool is_there_for_good(struct machine *machine, const char *path)
{
    return is_there(machine, path) && name_lookup(&machine->disk, path) != NULL;
}

/* Where the newest file with frames is gone, one behind it shows that, or that there is none at all. */
static bool vanish_of_log(struct sim *sim, struct machine *machine)
{
    uint64_t newest = machine->ghost.log.file, file = (uint64_t)sim_draw(sim, 1, (int64_t)newest + 2);
    char path[PATH_BYTES];

    if (newest == 0 ||
        (file == newest && newest > 1 && !is_there_for_good(machine, log_path(machine, newest + 1, path))))
        return false;
    return vanish(sim, machine, log_path(machine, file, path));
}

/* Neither is missed where the folder has not been used, or has only been half made. */
bool damage_vanish(struct sim *sim, struct machine *machine)
{
    int64_t what = sim_draw(sim, 0, 4);
    char path[PATH_BYTES];

    if (machine->ghost.durable.term == 0 || !is_there(machine, path_of(machine, "identity", path)))
        return false;
    if (what < 2)
        return vanish_of_log(sim, machine);
    return vanish(sim, machine, path_of(machine, what == 2 ? "ballot" : "identity", path));
}
