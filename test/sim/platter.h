/* platter.h - what stands on a machine's disk: of each sector, name and size, what was written and what was synced.
 *
 * A process that dies leaves what was written. A power cut leaves, of everything that was not synced, the old or the
 * new state, each by a draw of its own. After a failed sync, what was to be synced is lost at the next power cut unless
 * it is written again, though reading shows it. */
#ifndef SIM_PLATTER_H
#define SIM_PLATTER_H

#include "sim/world.h"

enum sector { CLEAN, DIRTY, LOST }; /* as synced; to be synced; a failed sync has given it up */

struct inode { /* a file or a folder */
    struct inode *next;
    bool folder;
    int handles;
    bool locked;
    uint8_t *written, *synced; /* both of `room` bytes, zero behind their sizes */
    uint8_t *sectors;          /* enum sector of each */
    size_t written_size, synced_size, room;
};

struct name { /* written, synced: what it names; NULL: nothing */
    struct name *next;
    struct inode *written, *synced;
    char path[]; /* absolute */
};

struct inode *inode_new(struct disk *disk, bool folder);
void inode_write(struct inode *inode, size_t offset, const void *bytes, size_t size);
void inode_truncate(struct inode *inode, size_t size);
void inode_sync(struct inode *inode);
void inode_fail_sync(struct inode *inode);

struct inode *name_lookup(struct disk *disk, const char *path); /* as written; NULL: there is none */
/* From now on path names inode, until it is synced only as far as reading goes. NULL: nothing. */
void name_set(struct disk *disk, const char *path, struct inode *inode);
struct inode *name_lookup_synced(struct disk *disk, const char *path);
void name_set_synced(struct disk *disk, const char *path, struct inode *inode); /* at once and for good */
void names_remove(struct disk *disk, const char *path); /* for good, and all that lies below it */
/* Whether the first `length` bytes of a path name a folder that is there; 0: the root, which always is. */
bool name_is_folder(struct disk *disk, const char *path, size_t length);

size_t path_folder_length(const char *path); /* of the folder's path that it stands in; 0: the root */
bool path_is_in(const char *path, const char *folder);

void disk_sweep(struct disk *disk); /* forgets names of nothing, and inodes that nobody names or holds open */

#endif
