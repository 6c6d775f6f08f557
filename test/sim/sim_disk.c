/* base/disk.h: the calls, on the disk of the machine whose life calls. Those that change something take time, and other
 * threads run meanwhile; a life that ends within a call leaves a part of what the call was to do. */
#include "base/disk.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "sim/platter.h"

#define CALL_US_MAX 20 /* what a call takes that need not wait for the medium */

struct disk_file {
    struct inode *inode;
    char path[];
};

/* ---- Calls ---- */

static struct machine *machine_self(void)
{
    assert(the_sim != NULL && the_sim->thread != NULL);
    return the_sim->life->machine;
}

static struct disk *disk_self(void)
{
    return &machine_self()->disk;
}

static void do_nothing(struct disk_call *call)
{
    (void)call;
}

/* Lets the time pass that a call takes. Where the life ends meanwhile, call->do_part does what the call leaves. */
static void call_take(struct disk_call *call, int64_t took_us)
{
    struct sim_thread *thread = the_sim->thread;
    struct machine *machine = machine_self();
    struct disk *disk = &machine->disk;

    assert(thread->mutexes_held == 0);
    disk->calls++;
    thread->call = call;
    if (disk->calls == disk->end_at_call) {
        disk->end_at_call = 0;
        machine->end_now = true;
    } else if (disk->hangs) {
        thread->hung = true;
    } else {
        event_schedule(the_sim, &thread->event, the_sim->now_us + took_us + disk->delay_us);
        disk->delay_us = 0;
    }
    thread_yield(thread);
    thread->call = NULL;
}

/* A call that only looks, or that has nothing a crash could leave a part of: it takes no time, and a switch of threads
 * is spared, unless something is to happen within it. */
static void call_take_short(void)
{
    struct disk_call call = {do_nothing};
    struct disk *disk = disk_self();

    if (disk->hangs || disk->delay_us > 0 || disk->calls + 1 == disk->end_at_call)
        call_take(&call, 0);
    else
        disk->calls++;
}

static void call_take_sync(void)
{
    struct disk_call call = {do_nothing}; /* what is not synced has no certain state, so no part of a sync has one */
    const struct disk *disk = disk_self();

    call_take(&call, sim_draw(the_sim, disk->sync_min_us, disk->sync_max_us + 1));
}

/* A change of one name or two, all of which happens at once. */
struct name_call {
    struct disk_call call;
    struct disk *disk;
    const char *remove, *path; /* NULL: none */
    struct inode *inode;
};

static void name_do(struct name_call *call)
{
    if (call->remove != NULL)
        name_set(call->disk, call->remove, NULL);
    if (call->path != NULL)
        name_set(call->disk, call->path, call->inode);
}

static void name_do_part(struct disk_call *call)
{
    if (sim_flip_coin())
        name_do((struct name_call *)call);
}

static void inode_hold(struct inode *inode, int change)
{
    if (inode != NULL)
        inode->handles += change;
}

static void call_take_name(const char *remove, const char *path, struct inode *inode)
{
    struct name_call call = {{name_do_part}, disk_self(), remove, path, inode};

    inode_hold(inode, 1); /* it may not be named by anything yet */
    call_take(&call.call, sim_draw(the_sim, 1, CALL_US_MAX));
    name_do(&call);
    inode_hold(inode, -1);
    disk_sweep(call.disk);
}

static bool disk_fail(struct mailraft_error *err, const struct mailraft_error_class *class, int cause, const char *deed,
                      const char *path)
{
    errno = cause;
    return error_raise_os(err, class, "Couldn't %s %s", deed, path);
}

/* Whether the test wants this sync to fail, once. */
static bool is_to_fail_sync(struct disk *disk)
{
    bool fails = disk->fail_sync;

    disk->fail_sync = false;
    disk->failed = disk->failed || fails;
    return fails;
}

/* ---- Files ---- */

static bool open_inode(struct disk *disk, const char *path, enum disk_open_mode mode, struct inode **inode,
                       struct mailraft_error *err)
{
    *inode = name_lookup(disk, path);
    if (*inode != NULL && (*inode)->folder)
        return disk_fail(err, &STORAGE_ERROR, EISDIR, "open", path);
    if (*inode != NULL && mode == DISK_REPLACE)
        inode_truncate(*inode, 0);
    if (*inode != NULL)
        return true;
    if (mode == DISK_OPEN || mode == DISK_READ || !name_is_folder(disk, path, path_folder_length(path)))
        return disk_fail(err, &STORAGE_ERROR, ENOENT, "open", path);
    *inode = inode_new(disk, false);
    name_set(disk, path, *inode);
    return true;
}

struct disk_file *disk_open(const char *path, enum disk_open_mode mode, struct mailraft_error *err)
{
    struct disk_file *file;
    struct inode *inode;

    call_take_short();
    if (!open_inode(disk_self(), path, mode, &inode, err))
        return NULL;
    inode->handles++;
    file = memory_new(sizeof *file + strlen(path) + 1);
    file->inode = inode;
    strcpy(file->path, path);
    return file;
}

void disk_close(struct disk_file *file)
{
    if (file == NULL)
        return;
    call_take_short();
    if (--file->inode->handles == 0)
        file->inode->locked = false;
    memory_free(file);
    disk_sweep(disk_self());
}

bool disk_read(struct disk_file *file, uint64_t offset, void *bytes, size_t size, size_t *got,
               struct mailraft_error *err)
{
    const struct inode *inode = file->inode;
    size_t left;

    (void)err;
    call_take_short();
    left = offset < inode->written_size ? inode->written_size - (size_t)offset : 0;
    *got = size < left ? size : left;
    if (*got > 0)
        memcpy(bytes, inode->written + offset, *got);
    return true;
}

struct write_call {
    struct disk_call call;
    struct inode *inode;
    size_t offset;
    const uint8_t *bytes;
    size_t size;
};

/* Any of its sectors, each by a draw. */
static void write_do_part(struct disk_call *base)
{
    const struct write_call *call = (const struct write_call *)base;
    size_t done = 0;

    while (done < call->size) {
        size_t size = DISK_SECTOR - (call->offset + done) % DISK_SECTOR;

        if (size > call->size - done)
            size = call->size - done;
        if (sim_flip_coin())
            inode_write(call->inode, call->offset + done, call->bytes + done, size);
        done += size;
    }
}

bool disk_write(struct disk_file *file, uint64_t offset, const void *bytes, size_t size, struct mailraft_error *err)
{
    struct write_call call = {{write_do_part}, file->inode, (size_t)offset, bytes, size};
    struct disk *disk = disk_self();
    const struct mailraft_error_class *class;

    call_take(&call.call, sim_draw(the_sim, 1, CALL_US_MAX));
    class = disk->full ? &FULL_ERROR : disk->fail_write;
    if (class != NULL) {
        disk->fail_write = NULL;
        disk->failed = true;
        write_do_part(&call.call);
        return disk_fail(err, class, class == &FULL_ERROR ? ENOSPC : EIO, "write", file->path);
    }
    inode_write(call.inode, call.offset, call.bytes, call.size);
    return true;
}

bool disk_sync(struct disk_file *file, struct mailraft_error *err)
{
    call_take_sync();
    if (is_to_fail_sync(disk_self())) {
        inode_fail_sync(file->inode);
        return disk_fail(err, &STORAGE_ERROR, EIO, "sync", file->path);
    }
    inode_sync(file->inode);
    check_ballot_synced(machine_self());
    durable_synced(machine_self(), file->path);
    return true;
}

bool disk_size(struct disk_file *file, uint64_t *size, struct mailraft_error *err)
{
    (void)err;
    call_take_short();
    *size = file->inode->written_size;
    return true;
}

bool disk_truncate(struct disk_file *file, uint64_t size, struct mailraft_error *err)
{
    (void)err;
    call_take_short();
    inode_truncate(file->inode, (size_t)size);
    return true;
}

bool disk_lock(struct disk_file *file, struct mailraft_error *err)
{
    call_take_short();
    if (file->inode->locked)
        return error_raise(err, &LOCKED_ERROR, "Couldn't lock %s: another process holds it", file->path);
    file->inode->locked = true;
    return true;
}

/* ---- Names ---- */

bool disk_exists(const char *path, bool *exists, struct mailraft_error *err)
{
    (void)err;
    call_take_short();
    *exists = strcmp(path, "/") == 0 || name_lookup(disk_self(), path) != NULL;
    return true;
}

bool disk_rename(const char *from, const char *to, struct mailraft_error *err)
{
    struct inode *inode = name_lookup(disk_self(), from);

    if (inode == NULL || !name_is_folder(disk_self(), to, path_folder_length(to))) {
        disk_fail(err, &STORAGE_ERROR, ENOENT, "rename", from);
        return error_prefix(err, "While making %s", to);
    }
    assert(!inode->folder); /* what lies in a folder would have to move along */
    call_take_name(from, to, inode);
    return true;
}

bool disk_unlink(const char *path, struct mailraft_error *err)
{
    const struct inode *inode = name_lookup(disk_self(), path);

    if (inode == NULL || inode->folder)
        return disk_fail(err, &STORAGE_ERROR, inode == NULL ? ENOENT : EISDIR, "remove", path);
    call_take_name(path, NULL, NULL);
    return true;
}

static bool make_one_folder(const char *path, bool *made, struct mailraft_error *err)
{
    struct disk *disk = disk_self();
    const struct inode *inode = name_lookup(disk, path);

    *made = inode == NULL;
    if (inode != NULL)
        return inode->folder || disk_fail(err, &STORAGE_ERROR, EEXIST, "make the folder", path);
    if (!name_is_folder(disk, path, path_folder_length(path)))
        return disk_fail(err, &STORAGE_ERROR, ENOENT, "make the folder", path);
    call_take_name(NULL, path, inode_new(disk, true));
    return true;
}

/* The folder that the first `length` bytes of path name, and those above it, each synced into its own. */
static bool make_parents(const char *path, size_t length, struct mailraft_error *err)
{
    char folder[DISK_PATH_MAX];
    bool made;

    if (length == 0)
        return true;
    snprintf(folder, sizeof folder, "%.*s", (int)length, path);
    if (!make_parents(folder, path_folder_length(folder), err) || !make_one_folder(folder, &made, err))
        return false;
    if (!made)
        return true;
    length = path_folder_length(folder);
    folder[length == 0 ? 1 : length] = '\0';
    return disk_sync_folder(folder, err);
}

bool disk_make_folder(const char *path, struct mailraft_error *err)
{
    bool made;

    return make_parents(path, path_folder_length(path), err) && make_one_folder(path, &made, err);
}

bool disk_sync_folder(const char *path, struct mailraft_error *err)
{
    struct disk *disk = disk_self();
    const struct inode *folder;

    call_take_sync();
    folder = name_lookup(disk, path);
    if (strcmp(path, "/") != 0 && (folder == NULL || !folder->folder))
        return disk_fail(err, &STORAGE_ERROR, folder == NULL ? ENOENT : ENOTDIR, "open", path);
    if (is_to_fail_sync(disk))
        return disk_fail(err, &STORAGE_ERROR, EIO, "sync", path);
    for (struct name *name = disk->names; name != NULL; name = name->next)
        if (path_is_in(name->path, path))
            name->synced = name->written;
    disk_sweep(disk);
    check_ballot_synced(machine_self());
    return true;
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

bool disk_list(const char *path, struct disk_names *names, struct mailraft_error *err)
{
    struct disk *disk = disk_self();

    call_take_short();
    *names = (struct disk_names){NULL, 0};
    if (strcmp(path, "/") != 0 && !name_is_folder(disk, path, strlen(path)))
        return disk_fail(err, &STORAGE_ERROR, ENOENT, "open", path);
    for (const struct name *name = disk->names; name != NULL; name = name->next)
        if (name->written != NULL && path_is_in(name->path, path)) {
            const char *last = strrchr(name->path, '/') + 1;
            char *copy = memory_new(strlen(last) + 1);

            strcpy(copy, last);
            names->names = memory_resize(names->names, (names->count + 1) * sizeof *names->names);
            names->names[names->count++] = copy;
        }
    if (names->count > 0)
        qsort(names->names, names->count, sizeof *names->names, compare_names);
    return true;
}

void disk_names_free(struct disk_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        memory_free(names->names[i]);
    memory_free(names->names);
    *names = (struct disk_names){NULL, 0};
}

/* ---- What tests ask, and do ---- */

void sim_end_at_call(struct sim *sim, raft_id id, uint64_t nth, enum sim_end how)
{
    struct disk *disk = &sim_machine(sim, id)->disk;

    assert(nth > 0);
    disk->end_at_call = disk->calls + nth;
    disk->end_how = how;
}

uint64_t sim_disk_calls(const struct sim *sim, raft_id id)
{
    return sim_machine(sim, id)->disk.calls;
}

void sim_disk_sync_us(struct sim *sim, raft_id id, int64_t min_us, int64_t max_us)
{
    struct disk *disk = &sim_machine(sim, id)->disk;

    disk->sync_min_us = min_us;
    disk->sync_max_us = max_us;
}

void sim_disk_hang(struct sim *sim, raft_id id, bool hangs)
{
    struct machine *machine = sim_machine(sim, id);

    sim_trace(sim, "the disk of %d %s", id, hangs ? "hangs" : "works");
    machine->disk.hangs = hangs;
    if (!hangs && machine->life != NULL)
        threads_wake_hung(sim, machine->life);
}

void sim_disk_fail_sync(struct sim *sim, raft_id id)
{
    sim_machine(sim, id)->disk.fail_sync = true;
}

void sim_disk_fail_write(struct sim *sim, raft_id id, bool full)
{
    sim_machine(sim, id)->disk.fail_write = full ? &FULL_ERROR : &STORAGE_ERROR;
}

void sim_disk_fill(struct sim *sim, raft_id id, bool full)
{
    sim_machine(sim, id)->disk.full = full;
}

void sim_disk_delay(struct sim *sim, raft_id id, int64_t us)
{
    sim_machine(sim, id)->disk.delay_us = us;
}

void sim_disk_mend(struct sim *sim, raft_id id)
{
    struct disk *disk = &sim_machine(sim, id)->disk;

    disk->end_at_call = 0;
    disk->fail_sync = false;
    disk->fail_write = NULL;
    disk->full = false;
    disk->delay_us = 0;
}

size_t disk_peek(struct disk *disk, const char *path, bool durable, uint64_t offset, void *bytes, size_t size)
{
    const struct inode *inode = durable ? name_lookup_synced(disk, path) : name_lookup(disk, path);
    size_t end = inode == NULL ? 0 : durable ? inode->synced_size : inode->written_size;

    if (offset >= end)
        return 0;
    if (size > end - offset)
        size = end - (size_t)offset;
    memcpy(bytes, (durable ? inode->synced : inode->written) + offset, size);
    return size;
}

size_t sim_disk_read(struct sim *sim, raft_id id, const char *path, uint64_t offset, void *bytes, size_t size)
{
    return disk_peek(&sim_machine(sim, id)->disk, path, false, offset, bytes, size);
}

bool sim_disk_exists(struct sim *sim, raft_id id, const char *path)
{
    return name_lookup(&sim_machine(sim, id)->disk, path) != NULL;
}

void sim_disk_put(struct sim *sim, raft_id id, const char *path, uint64_t offset, const void *bytes, size_t size)
{
    struct disk *disk = &sim_machine(sim, id)->disk;
    struct inode *inode = name_lookup(disk, path);

    if (inode == NULL)
        name_set_synced(disk, path, inode = inode_new(disk, false));
    inode_write(inode, (size_t)offset, bytes, size);
    inode_sync(inode);
    disk->damaged = true;
}

void sim_disk_flip(struct sim *sim, raft_id id, const char *path, uint64_t offset)
{
    uint8_t byte;

    if (sim_disk_read(sim, id, path, offset, &byte, 1) != 1)
        sim_fail("%s of machine %d has no byte %llu", path, id, (unsigned long long)offset);
    byte = (uint8_t)~byte;
    sim_disk_put(sim, id, path, offset, &byte, 1);
}

bool disk_flip_bit(struct disk *disk, const char *path, uint64_t offset, int bit)
{
    const struct inode *inode = name_lookup_synced(disk, path);
    uint8_t mask = (uint8_t)(1u << bit);

    if (inode == NULL || offset >= inode->synced_size)
        return false;
    inode->synced[offset] ^= mask;
    if (offset < inode->written_size)
        inode->written[offset] ^= mask;
    return true;
}

void sim_disk_remove(struct sim *sim, raft_id id, const char *path)
{
    names_remove(&sim_machine(sim, id)->disk, path);
    sim_machine(sim, id)->disk.damaged = true;
    check_disk_changed(sim_machine(sim, id));
}

void sim_disk_empty(struct sim *sim, raft_id id)
{
    struct machine *machine = sim_machine(sim, id);

    assert(machine->life == NULL);
    sim_trace(sim, "the folder of %d is gone", id);
    names_remove(&machine->disk, machine->config.data_dir);
    machine->disk.decayed = machine->refused = false;
    check_disk_emptied(machine);
}
