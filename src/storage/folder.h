/* folder.h - the data folder: who owns it, and how it is made so that a crash at any moment leaves it unmade, half made
 * (and then made again) or whole.
 *
 *     identity    whose folder this is (identity.h); made last
 *     lock        locked by the process that uses it; holds its pid as text, for the message to another one
 *     ballot      term and vote (ballot.h)
 *     log/        empty as yet
 *     snapshot/   empty as yet
 *     *.tmp       files that are being made
 *
 * Making:    folders; the ballot under its temporary name, synced, renamed; the folder synced; the identity likewise;
 *            the folder synced again. So where an identity is found, everything else had been durable before it.
 * Opening:   the folder is synced, and the ballot renewed, before folder_open returns: an earlier process may have died
 *            between a rename and its sync.
 * Refused:   a folder that another process, node or cluster owns; one without an identity that holds somebody else's
 *            files; one without an identity that has a past, or with one that lacks its ballot. Nothing is changed in
 *            such a folder but the lock's content, and nothing is ever replaced by an empty one.
 * Errors:    LOCKED_ERROR where the folder is not ours to use, which includes that the system does not let us (no
 *            permission, a read-only file system, a file in its place); DAMAGED_ERROR where it does not hold what it
 *            must; other STORAGE_ERRORs where a read, write or sync failed. So the first two mean "data_dir refused",
 *            and all others that the disk failed us or is full.
 * Threads:   the scribe's alone. */
#ifndef STORAGE_FOLDER_H
#define STORAGE_FOLDER_H

#include "storage/ballot.h"
#include "storage/identity.h"

struct folder {
    char path[DISK_PATH_MAX];
    struct disk_file *lock;
    struct identity identity;
    struct ballot_file ballot;
    bool made; /* it was made just now: this node has no past */
};

/* Opens the folder, making it and its parents where they are missing. path: absolute. owner: node id and cluster name
 * that it must have; the rest is drawn when it is made, and found in folder->identity. pid: the caller's. */
bool folder_open(struct folder *folder, const char *path, const struct identity *owner, int32_t pid,
                 struct mailraft_error *err);
void folder_close(struct folder *folder); /* twice is harmless */

#endif
