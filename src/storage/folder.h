/* folder.h - the data folder: who owns it, and how it is made so that a crash at any moment leaves it unmade, half made
 * (and then made again) or whole.
 *
 *     identity    whose folder this is (identity.h); made last
 *     lock        locked by the process that uses it; holds its pid as text, for the message to another one
 *     ballot      term and vote (ballot.h)
 *     log/        the log's files (segment.h), one at least
 *     snapshot/   empty as yet
 *     *.tmp       files that are being made
 *
 * Making:    folders; the log's first file and the ballot, each under its temporary name, synced, renamed; the folders
 *            synced; the identity likewise; the folder synced again. So where an identity is found, everything else had
 *            been durable before it: a log without a file is no new one, it has lost what it held.
 * Opening:   the folder is synced, and the ballot renewed, before folder_open returns: an earlier process may have died
 *            between a rename and its sync. What stands in log/ is left to recovery.h.
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

struct folder_config {
    const char *path;       /* absolute */
    struct identity owner;  /* node id and cluster name that it must have; the rest is not looked at */
    int32_t pid;            /* this process's */
    uint64_t segment_bytes; /* of the log's first file, when it is made (segment_size) */
    size_t entry_bytes_max; /* the same */
};

/* Opens the folder, making it and its parents where they are missing: its data id is drawn then, and found in
 * folder->identity. */
bool folder_open(struct folder *folder, const struct folder_config *config, struct mailraft_error *err);
/* Whether the errno is of trouble that no disk is to blame for, and that trying again will not end: what stands in the
 * folder is not what must stand there, or is not ours to use. */
bool folder_is_to_blame(int os_errno);

void folder_close(struct folder *folder); /* twice is harmless */

/* Makes the cluster's uuid durable in the identity, which is replaced by a new file. */
bool folder_save_uuid(struct folder *folder, const struct cluster_uuid *uuid, struct mailraft_error *err);

#endif
