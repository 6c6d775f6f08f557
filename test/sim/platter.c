#include "sim/platter.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- Inodes ---- */

struct inode *inode_new(struct disk *disk, bool folder)
{
    struct inode *inode = calloc(1, sizeof *inode);

    assert(inode != NULL);
    inode->folder = folder;
    inode->next = disk->inodes;
    disk->inodes = inode;
    return inode;
}

static void inode_free(struct inode *inode)
{
    free(inode->written);
    free(inode->synced);
    free(inode->sectors);
    free(inode);
}

static uint8_t *bytes_grow(uint8_t *bytes, size_t size, size_t room)
{
    bytes = realloc(bytes, room);
    assert(bytes != NULL);
    memset(bytes + size, 0, room - size);
    return bytes;
}

static void inode_reserve(struct inode *inode, size_t size)
{
    size_t room = (size + DISK_SECTOR - 1) / DISK_SECTOR * DISK_SECTOR;

    if (room <= inode->room)
        return;
    inode->written = bytes_grow(inode->written, inode->room, room);
    inode->synced = bytes_grow(inode->synced, inode->room, room);
    inode->sectors = bytes_grow(inode->sectors, inode->room / DISK_SECTOR, room / DISK_SECTOR);
    inode->room = room;
}

void inode_write(struct inode *inode, size_t offset, const void *bytes, size_t size)
{
    inode_reserve(inode, offset + size);
    memcpy(inode->written + offset, bytes, size);
    for (size_t sector = offset / DISK_SECTOR; sector * DISK_SECTOR < offset + size; sector++)
        inode->sectors[sector] = DIRTY;
    if (offset + size > inode->written_size)
        inode->written_size = offset + size;
}

void inode_truncate(struct inode *inode, size_t size)
{
    inode_reserve(inode, size);
    for (size_t sector = size / DISK_SECTOR; sector < inode->room / DISK_SECTOR; sector++)
        inode->sectors[sector] = DIRTY;
    if (size < inode->room)
        memset(inode->written + size, 0, inode->room - size);
    inode->written_size = size;
}

void inode_sync(struct inode *inode)
{
    for (size_t sector = 0; sector < inode->room / DISK_SECTOR; sector++)
        if (inode->sectors[sector] == DIRTY) {
            memcpy(inode->synced + sector * DISK_SECTOR, inode->written + sector * DISK_SECTOR, DISK_SECTOR);
            inode->sectors[sector] = CLEAN;
        }
    inode->synced_size = inode->written_size;
}

/* The system gives up what it could not write, and forgets that it had to. */
void inode_fail_sync(struct inode *inode)
{
    for (size_t sector = 0; sector < inode->room / DISK_SECTOR; sector++)
        if (inode->sectors[sector] == DIRTY)
            inode->sectors[sector] = LOST;
}

static void inode_power_cut(struct inode *inode)
{
    if (inode->written_size != inode->synced_size && sim_flip_coin())
        inode->synced_size = inode->written_size;
    inode->written_size = inode->synced_size;
    for (size_t sector = 0; sector < inode->room / DISK_SECTOR; sector++) {
        uint8_t *written = inode->written + sector * DISK_SECTOR, *synced = inode->synced + sector * DISK_SECTOR;

        if (inode->sectors[sector] == DIRTY && sim_flip_coin())
            memcpy(synced, written, DISK_SECTOR);
        inode->sectors[sector] = CLEAN;
    }
    if (inode->synced_size < inode->room)
        memset(inode->synced + inode->synced_size, 0, inode->room - inode->synced_size);
    if (inode->room > 0)
        memcpy(inode->written, inode->synced, inode->room);
}

/* ---- Names ---- */

static struct name *name_find(struct disk *disk, const char *path)
{
    struct name *name = disk->names;

    while (name != NULL && strcmp(name->path, path) != 0)
        name = name->next;
    return name;
}

struct inode *name_lookup(struct disk *disk, const char *path)
{
    const struct name *name = name_find(disk, path);

    return name != NULL ? name->written : NULL;
}

struct inode *name_lookup_synced(struct disk *disk, const char *path)
{
    const struct name *name = name_find(disk, path);

    return name != NULL ? name->synced : NULL;
}

void name_set(struct disk *disk, const char *path, struct inode *inode)
{
    struct name *name = name_find(disk, path);

    if (name == NULL) {
        name = calloc(1, sizeof *name + strlen(path) + 1);
        assert(name != NULL);
        strcpy(name->path, path);
        name->next = disk->names;
        disk->names = name;
    }
    name->written = inode;
}

void name_set_synced(struct disk *disk, const char *path, struct inode *inode)
{
    name_set(disk, path, inode);
    name_find(disk, path)->synced = inode;
}

size_t path_folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? (size_t)(slash - path) : 0;
}

bool name_is_folder(struct disk *disk, const char *path, size_t length)
{
    char folder[DISK_PATH_MAX];
    const struct inode *inode;

    if (length == 0)
        return true;
    snprintf(folder, sizeof folder, "%.*s", (int)length, path);
    inode = name_lookup(disk, folder);
    return inode != NULL && inode->folder;
}

bool path_is_in(const char *path, const char *folder)
{
    size_t length = strcmp(folder, "/") == 0 ? 0 : strlen(folder);

    return path_folder_length(path) == length && strncmp(path, folder, length) == 0;
}

static bool is_used(const struct disk *disk, const struct inode *inode)
{
    if (inode->handles > 0)
        return true;
    for (const struct name *name = disk->names; name != NULL; name = name->next)
        if (name->written == inode || name->synced == inode)
            return true;
    return false;
}

void disk_sweep(struct disk *disk)
{
    for (struct name **link = &disk->names; *link != NULL;) {
        struct name *name = *link;

        if (name->written == NULL && name->synced == NULL) {
            *link = name->next;
            free(name);
        } else {
            link = &name->next;
        }
    }
    for (struct inode **link = &disk->inodes; *link != NULL;) {
        struct inode *inode = *link;

        if (!is_used(disk, inode)) {
            *link = inode->next;
            inode_free(inode);
        } else {
            link = &inode->next;
        }
    }
}

void names_remove(struct disk *disk, const char *path)
{
    size_t length = strlen(path);

    for (struct name *name = disk->names; name != NULL; name = name->next)
        if (strncmp(name->path, path, length) == 0 && (name->path[length] == '/' || name->path[length] == '\0'))
            name->written = name->synced = NULL;
    disk_sweep(disk);
}

/* ---- Ends ---- */

void disk_fini(struct disk *disk)
{
    for (struct name *name = disk->names; name != NULL; name = name->next)
        name->written = name->synced = NULL;
    for (struct inode *inode = disk->inodes; inode != NULL; inode = inode->next)
        inode->handles = 0;
    disk_sweep(disk);
}

void disk_process_ended(struct machine *machine)
{
    for (struct inode *inode = machine->disk.inodes; inode != NULL; inode = inode->next) {
        inode->handles = 0;
        inode->locked = false;
    }
    disk_sweep(&machine->disk);
}

/* Names whose folder has not lasted go with it, and with them what they name. */
static bool drop_orphan(struct disk *disk)
{
    for (struct name *name = disk->names; name != NULL; name = name->next)
        if (name->written != NULL && !name_is_folder(disk, name->path, path_folder_length(name->path))) {
            name->written = name->synced = NULL;
            return true;
        }
    return false;
}

void disk_power_cut(struct machine *machine)
{
    struct disk *disk = &machine->disk;

    sim_trace(the_sim, "power cut of %d", machine->id);
    for (struct name *name = disk->names; name != NULL; name = name->next) {
        if (name->written != name->synced && sim_flip_coin())
            name->synced = name->written;
        name->written = name->synced;
    }
    while (drop_orphan(disk))
        ;
    for (struct inode *inode = disk->inodes; inode != NULL; inode = inode->next)
        inode_power_cut(inode);
    disk_sweep(disk);
}
