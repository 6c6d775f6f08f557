#include "storage/identity.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"

#define MAGIC   0x544e4449u /* "IDNT" */
#define VERSION 1u

#define NAME_BYTES (CLUSTER_NAME_MAX - 1) /* the final zero is not stored */

enum {
    AT_MAGIC = 0,
    AT_VERSION = 4,
    AT_NODE_ID = 8,
    AT_NAME_LENGTH = 12,
    AT_DATA_ID = 16,
    AT_CLUSTER_UUID = 32,
    AT_NAME = 48,
    AT_CHECKSUM = AT_NAME + NAME_BYTES,
    BYTES = AT_CHECKSUM + 8,
    BYTES_MAX = 4096 /* more than any version has */
};

static void encode(uint8_t *bytes, const struct identity *identity)
{
    size_t name_length = strlen(identity->cluster_name);
    assert(identity->node_id > 0 && name_length <= NAME_BYTES);
    memset(bytes, 0, BYTES);
    bytes_put_u32(bytes + AT_MAGIC, MAGIC);
    bytes_put_u32(bytes + AT_VERSION, VERSION);
    bytes_put_u32(bytes + AT_NODE_ID, (uint32_t)identity->node_id);
    bytes_put_u32(bytes + AT_NAME_LENGTH, (uint32_t)name_length);
    memcpy(bytes + AT_DATA_ID, identity->data_id.bytes, DATA_ID_SIZE);
    memcpy(bytes + AT_CLUSTER_UUID, identity->cluster_uuid.bytes, CLUSTER_UUID_SIZE);
    memcpy(bytes + AT_NAME, identity->cluster_name, name_length);
    bytes_put_u64(bytes + AT_CHECKSUM, bytes_checksum(bytes, AT_CHECKSUM));
}

/* Whether bytes are a whole file of some version. */
static bool is_sound(const uint8_t *bytes, size_t size)
{
    return size >= AT_NODE_ID + 8 && bytes_get_u32(bytes + AT_MAGIC) == MAGIC &&
           bytes_get_u64(bytes + size - 8) == bytes_checksum(bytes, size - 8);
}

/* As many bytes of text, and zeros behind them. */
static bool name_can_be(const uint8_t *name, uint32_t length)
{
    return length <= NAME_BYTES && memchr(name, '\0', length) == NULL &&
           bytes_are_zero(name + length, NAME_BYTES - length);
}

/* False where the bytes are not what encode makes. */
static bool decode(const uint8_t *bytes, size_t size, struct identity *identity)
{
    if (size != BYTES || bytes_get_u32(bytes + AT_VERSION) != VERSION)
        return false;
    uint32_t name_length = bytes_get_u32(bytes + AT_NAME_LENGTH), node_id = bytes_get_u32(bytes + AT_NODE_ID);
    if (node_id == 0 || node_id > INT32_MAX || !name_can_be(bytes + AT_NAME, name_length))
        return false;
    *identity = (struct identity){.node_id = (raft_id)node_id};
    memcpy(identity->data_id.bytes, bytes + AT_DATA_ID, DATA_ID_SIZE);
    memcpy(identity->cluster_uuid.bytes, bytes + AT_CLUSTER_UUID, CLUSTER_UUID_SIZE);
    memcpy(identity->cluster_name, bytes + AT_NAME, name_length);
    return true;
}

bool identity_write(const char *path, const struct identity *identity, struct mailraft_error *err)
{
    uint8_t bytes[BYTES];
    struct disk_file *file = disk_open(path, DISK_REPLACE, err);
    if (file == NULL)
        return false;
    encode(bytes, identity);
    bool written = disk_write(file, 0, bytes, sizeof bytes, err) && disk_sync(file, err);
    disk_close(file);
    return written;
}

bool identity_read(const char *path, struct identity *identity, struct mailraft_error *err)
{
    uint8_t bytes[BYTES_MAX];
    size_t size;
    struct disk_file *file = disk_open(path, DISK_OPEN, err);
    if (file == NULL)
        return false;
    bool read = disk_read(file, 0, bytes, sizeof bytes, &size, err);
    disk_close(file);
    if (!read)
        return false;
    if (is_sound(bytes, size) && bytes_get_u32(bytes + AT_VERSION) > VERSION)
        return error_raise(err, &DAMAGED_ERROR,
                           "%s was written by a newer mailraft: its format is version %u, and %u is the last one known "
                           "here",
                           path, bytes_get_u32(bytes + AT_VERSION), VERSION);
    if (is_sound(bytes, size) && decode(bytes, size, identity))
        return true;
    return error_raise(err, &DAMAGED_ERROR,
                       "%s is damaged, so it cannot be told whose data_dir this is; restore that file, or, while the "
                       "other members have a leader, remove the data_dir and start this node with --rejoin-empty",
                       path);
}
