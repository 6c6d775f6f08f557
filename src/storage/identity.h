/* identity.h - the file that says whose data folder this is. It is made last, so a folder without it is half made.
 *
 * Format:    120 bytes. Numbers are little-endian.
 *
 *                 0  u32  magic, the bytes "IDNT"
 *                 4  u32  version, 1
 *                 8  u32  node id
 *                12  u32  length of the cluster's name
 *                16  16   data id: random, made with the folder
 *                32  16   the cluster's uuid; zeros: none yet
 *                48  64   the cluster's name, filled up with zeros
 *               112  u64  XXH3-64 of the 112 bytes before it
 *
 *            A later version keeps magic and version where they are, and ends in such a checksum.
 * Torn:      never seen. It is written under another name, synced, and only then renamed.
 * Threads:   the scribe's alone. */
#ifndef STORAGE_IDENTITY_H
#define STORAGE_IDENTITY_H

#include "base/disk.h"
#include "base/member.h"

struct identity {
    raft_id node_id;
    char cluster_name[CLUSTER_NAME_MAX];
    struct data_id data_id;
    struct cluster_uuid cluster_uuid;
};

/* Writes a file and syncs it. Its name is the caller's to make last. */
bool identity_write(const char *path, const struct identity *identity, struct mailraft_error *err);

/* DAMAGED_ERROR where it is not what was written, or where a newer mailraft wrote it. */
bool identity_read(const char *path, struct identity *identity, struct mailraft_error *err);

#endif
