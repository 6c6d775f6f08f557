#include "storage/folder.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "storage/segment.h"

#define PATH_MAX_BYTES (DISK_PATH_MAX + 16) /* the folder's path and one of our names */

static const char *const SUBFOLDERS[] = {"log", "snapshot"};

static const char *path_of(const struct folder *folder, const char *name, char *path)
{
    snprintf(path, PATH_MAX_BYTES, "%s/%s", folder->path, name);
    return path;
}

static bool has(const struct folder *folder, const char *name, bool *exists, struct mailraft_error *err)
{
    char path[PATH_MAX_BYTES];
    return disk_exists(path_of(folder, name, path), exists, err);
}

/* ---- Whose it is ---- */

static bool is_our_name(const char *name)
{
    /* lost+found: the folder may be a file system of its own. */
    static const char *const OURS[] = {"identity", "identity.tmp", "ballot",   "ballot.tmp",
                                       "lock",     "log",          "snapshot", "lost+found"};
    for (size_t i = 0; i < sizeof OURS / sizeof *OURS; i++)
        if (strcmp(name, OURS[i]) == 0)
            return true;
    return false;
}

/* Before anything is written: a folder of somebody else's is not made ours. Beside an identity, other names are the
 * operator's business. */
static bool check_names(const struct folder *folder, struct mailraft_error *err)
{
    struct disk_names names;
    bool identity;
    if (!has(folder, "identity", &identity, err))
        return false;
    if (identity)
        return true;
    if (!disk_list(folder->path, &names, err))
        return false;
    size_t i = 0;
    while (i < names.count && is_our_name(names.names[i]))
        i++;
    bool ours = i == names.count;
    if (!ours)
        error_raise(err, &LOCKED_ERROR,
                    "data_dir %s holds %s and no identity: it is no data folder; name one that is empty or missing",
                    folder->path, names.names[i]);
    disk_names_free(&names);
    return ours;
}

static bool tell_holder(struct folder *folder, struct mailraft_error *err)
{
    struct mailraft_error ignored;
    char text[16] = "";
    size_t got;
    if (!disk_read(folder->lock, 0, text, sizeof text - 1, &got, &ignored) || atoi(text) <= 0)
        return error_raise(err, &LOCKED_ERROR, "data_dir %s is in use by another process", folder->path);
    return error_raise(err, &LOCKED_ERROR, "data_dir %s is in use by process %d", folder->path, atoi(text));
}

static bool take_lock(struct folder *folder, int32_t pid, struct mailraft_error *err)
{
    char path[PATH_MAX_BYTES], text[16];
    folder->lock = disk_open(path_of(folder, "lock", path), DISK_CREATE, err);
    if (folder->lock == NULL)
        return false;
    if (!disk_lock(folder->lock, err))
        return error_is(err, &LOCKED_ERROR) ? tell_holder(folder, err) : false;
    /* Written before the rest of an earlier pid is cut off, so that whoever reads meanwhile finds a whole line. */
    size_t length = (size_t)snprintf(text, sizeof text, "%" PRId32 "\n", pid);
    return disk_write(folder->lock, 0, text, length, err) && disk_truncate(folder->lock, length, err);
}

static bool check_owner(struct folder *folder, const struct identity *owner, struct mailraft_error *err)
{
    const struct identity *found = &folder->identity;
    char path[PATH_MAX_BYTES];
    if (!identity_read(path_of(folder, "identity", path), &folder->identity, err))
        return false;
    if (found->node_id == owner->node_id && strcmp(found->cluster_name, owner->cluster_name) == 0)
        return true;
    return error_raise(err, &LOCKED_ERROR,
                       "data_dir %s belongs to node %" PRId32 " of cluster \"%s\", not to node %" PRId32
                       " of cluster \"%s\"",
                       folder->path, found->node_id, found->cluster_name, owner->node_id, owner->cluster_name);
}

/* ---- Making ---- */

/* Whether a folder holds nothing but, in log/, the first file, never written to, or what is left of making it. */
static bool is_unused(const char *path, const struct disk_names *names, bool *unused, struct mailraft_error *err)
{
    *unused = true;
    for (size_t i = 0; *unused && i < names->count; i++) {
        char file[PATH_MAX_BYTES + 16];
        uint64_t number;
        if (strcmp(names->names[i], "00000001.seg.tmp") == 0)
            continue;
        *unused = segment_number(names->names[i], &number) && number == 1;
        snprintf(file, sizeof file, "%s/%s", path, names->names[i]);
        if (*unused && !segment_is_unused(file, unused, err))
            return false;
    }
    return true;
}

static bool check_subfolder_unused(const struct folder *folder, const char *name, struct mailraft_error *err)
{
    char path[PATH_MAX_BYTES];
    struct disk_names names;
    bool exists, unused;
    if (!has(folder, name, &exists, err))
        return false;
    if (!exists)
        return true;
    if (!disk_list(path_of(folder, name, path), &names, err))
        return false;
    bool looked = is_unused(path, &names, &unused, err);
    disk_names_free(&names);
    if (!looked || unused)
        return looked;
    return error_raise(err, &DAMAGED_ERROR,
                       "data_dir %s has lost its identity: its folder %s is in use; restore that file", folder->path,
                       name);
}

static bool check_subfolders_unused(const struct folder *folder, struct mailraft_error *err)
{
    for (size_t i = 0; i < sizeof SUBFOLDERS / sizeof *SUBFOLDERS; i++)
        if (!check_subfolder_unused(folder, SUBFOLDERS[i], err))
            return false;
    return true;
}

/* A ballot gets its name when it is durable, and is used once there is an identity: so one that is damaged, or that has
 * seen a term, had an identity beside it. */
static bool check_ballot_unused(const struct folder *folder, struct mailraft_error *err)
{
    char path[PATH_MAX_BYTES];
    struct ballot_file ballot;
    bool exists;
    if (!has(folder, "ballot", &exists, err))
        return false;
    if (!exists)
        return true;
    if (!ballot_open(&ballot, path_of(folder, "ballot", path), err))
        return false;
    ballot_close(&ballot);
    if (ballot.ballot.term == 0)
        return true;
    return error_raise(err, &DAMAGED_ERROR,
                       "data_dir %s has lost its identity: its ballot is of term %" PRIu64 "; restore that file",
                       folder->path, ballot.ballot.term);
}

/* The names of the folder and of those it lies in must last before anything in it is promised. disk_make_folder syncs
 * those that it makes; but an earlier process may have made them and died. */
static bool sync_parents(const char *path, struct mailraft_error *err)
{
    char parent[DISK_PATH_MAX];
    snprintf(parent, sizeof parent, "%s", path);
    for (char *slash; (slash = strrchr(parent, '/')) != NULL;) {
        slash[slash == parent ? 1 : 0] = '\0';
        /* One that we may not read, or that lies on a file system which keeps no changes, was not made by us. */
        if (!disk_sync_folder(parent, err) && err->os_errno != EACCES && err->os_errno != EROFS &&
            err->os_errno != EINVAL)
            return false;
        if (slash == parent)
            break;
    }
    return true;
}

static bool make_subfolders(const struct folder *folder, struct mailraft_error *err)
{
    char path[PATH_MAX_BYTES];
    for (size_t i = 0; i < sizeof SUBFOLDERS / sizeof *SUBFOLDERS; i++)
        if (!disk_make_folder(path_of(folder, SUBFOLDERS[i], path), err))
            return false;
    return true;
}

static bool make_ballot(const struct folder *folder, struct mailraft_error *err)
{
    char made[PATH_MAX_BYTES], path[PATH_MAX_BYTES];
    return ballot_make(path_of(folder, "ballot.tmp", made), err) &&
           disk_rename(made, path_of(folder, "ballot", path), err);
}

static bool make_log(const struct folder *folder, const struct folder_config *config, const struct identity *identity,
                     struct mailraft_error *err)
{
    struct segment_header header = {.data_id = identity->data_id,
                                    .number = 1,
                                    .size = segment_size(1, config->segment_bytes, config->entry_bytes_max)};
    return segment_make(folder->path, &header, err);
}

static bool make_identity(const struct folder *folder, const struct identity *identity, struct mailraft_error *err)
{
    char made[PATH_MAX_BYTES], path[PATH_MAX_BYTES];
    return identity_write(path_of(folder, "identity.tmp", made), identity, err) &&
           disk_rename(made, path_of(folder, "identity", path), err);
}

static bool make_all(struct folder *folder, const struct folder_config *config, struct mailraft_error *err)
{
    struct identity identity = config->owner;
    random_bytes(identity.data_id.bytes, sizeof identity.data_id.bytes);
    memset(&identity.cluster_uuid, 0, sizeof identity.cluster_uuid);
    return make_subfolders(folder, err) && make_log(folder, config, &identity, err) && make_ballot(folder, err) &&
           disk_sync_folder(folder->path, err) && make_identity(folder, &identity, err);
}

static bool make_missing(struct folder *folder, const struct folder_config *config, struct mailraft_error *err)
{
    bool identity;
    if (!has(folder, "identity", &identity, err))
        return false;
    folder->made = !identity;
    if (identity)
        return true;
    return check_subfolders_unused(folder, err) && check_ballot_unused(folder, err) &&
           sync_parents(folder->path, err) && make_all(folder, config, err);
}

/* ---- Opening ---- */

static bool open_ballot(struct folder *folder, struct mailraft_error *err)
{
    char path[PATH_MAX_BYTES];
    bool exists;
    if (!has(folder, "ballot", &exists, err))
        return false;
    if (!exists)
        return error_raise(err, &DAMAGED_ERROR,
                           "%s is missing beside an identity, and without it this node does not know its term and "
                           "vote; restore it, or, while the other members have a leader, remove the data_dir and "
                           "start this node with --rejoin-empty",
                           path_of(folder, "ballot", path));
    return ballot_open(&folder->ballot, path_of(folder, "ballot", path), err);
}

bool folder_is_to_blame(int os_errno)
{
    static const int REFUSALS[] = {EACCES, EPERM,  EROFS,        ENOTDIR, EISDIR, EEXIST,
                                   ENOENT, ELOOP,  ENAMETOOLONG, ENOLCK,  ESPIPE, ENXIO};
    for (size_t i = 0; i < sizeof REFUSALS / sizeof *REFUSALS; i++)
        if (os_errno == REFUSALS[i])
            return true;
    return false;
}

bool folder_open(struct folder *folder, const struct folder_config *config, struct mailraft_error *err)
{
    assert(config->path[0] == '/');
    *folder = (struct folder){.made = false};
    snprintf(folder->path, sizeof folder->path, "%s", config->path);
    if (disk_make_folder(folder->path, err) && check_names(folder, err) && take_lock(folder, config->pid, err) &&
        make_missing(folder, config, err) && check_owner(folder, &config->owner, err) && open_ballot(folder, err) &&
        disk_sync_folder(folder->path, err) && ballot_renew(&folder->ballot, err))
        return true;
    folder_close(folder);
    if (folder_is_to_blame(err->os_errno))
        err->class = &LOCKED_ERROR;
    return false;
}

void folder_close(struct folder *folder)
{
    ballot_close(&folder->ballot);
    disk_close(folder->lock);
    folder->lock = NULL;
}

/* ---- While it is open ---- */

bool folder_save_uuid(struct folder *folder, const struct cluster_uuid *uuid, struct mailraft_error *err)
{
    struct identity identity = folder->identity;
    identity.cluster_uuid = *uuid;
    if (!make_identity(folder, &identity, err) || !disk_sync_folder(folder->path, err))
        return false;
    folder->identity = identity;
    return true;
}
