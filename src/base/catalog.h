/* catalog.h - where on the disk each entry of the log lies: a record for each run of frames (storage/segment.h) that
 * stand one behind the other in a file and hold entries that follow one another. Frames without entries may stand
 * between them.
 *
 * It follows the disk: a frame whose first index is not above the last one replaces that entry and all after it, here
 * as there. Frames are joined into one run as long as it has at most CATALOG_RUN_BYTES, so that a log of small frames
 * needs little memory, and one read brings no more than that, or a single frame that is larger.
 *
 * Threads:   its owner's alone. */
#ifndef BASE_CATALOG_H
#define BASE_CATALOG_H

#include "base/message.h"

#define CATALOG_RUN_BYTES (64 * 1024)

struct run {
    raft_index first, last; /* the entries that count; the frames may hold later ones, which others have replaced */
    uint64_t file;          /* its running number */
    uint64_t offset;        /* in it, of the first frame */
    uint64_t bytes;         /* of all the frames, with what fills their last sectors */
};

struct catalog {
    size_t count, room;
    struct run *list; /* by index, without gaps */
};

void catalog_init(struct catalog *catalog);
void catalog_fini(struct catalog *catalog);

/* A frame that is durable now: the entries first to last of it, which are at least one. */
void catalog_add(struct catalog *catalog, const struct run *frame);

/* The run that holds an entry; NULL where none does. Good until the catalog changes. */
const struct run *catalog_find(const struct catalog *catalog, raft_index index);

#endif
