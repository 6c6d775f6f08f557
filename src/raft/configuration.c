#include "raft/configuration.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"

/* ---- Encoding ---- */

static void put_u32(struct mailraft_buffer *payload, uint32_t value)
{
    uint8_t bytes[4];
    bytes_put_u32(bytes, value);
    mailraft_buffer_put(payload, bytes, sizeof bytes);
}

static void put_address(struct mailraft_buffer *payload, const struct address *address)
{
    char text[ADDRESS_TEXT_MAX] = "";
    if (address->port != 0)
        address_format(address, text, sizeof text);
    size_t length = strlen(text);
    uint8_t bytes[2] = {(uint8_t)(length & 0xff), (uint8_t)(length >> 8)};
    mailraft_buffer_put(payload, bytes, sizeof bytes);
    mailraft_buffer_put(payload, text, length);
}

void configuration_encode(const struct configuration *configuration, struct mailraft_buffer *payload)
{
    mailraft_buffer_put(payload, configuration->uuid.bytes, CLUSTER_UUID_SIZE);
    put_u32(payload, (uint32_t)configuration->members.count);
    for (int i = 0; i < configuration->members.count; i++) {
        const struct member *member = &configuration->members.list[i];
        put_u32(payload, (uint32_t)member->id);
        mailraft_buffer_put(payload, configuration->data_ids[i].bytes, DATA_ID_SIZE);
        put_address(payload, &member->peer);
        put_address(payload, &member->client);
        put_address(payload, &member->admin);
    }
}

/* ---- Decoding ---- */

struct payload {
    const uint8_t *at;
    size_t left;
};

/* NULL where fewer are left. */
static const uint8_t *take(struct payload *payload, size_t size)
{
    const uint8_t *at = payload->at;
    if (payload->left < size)
        return NULL;
    payload->at += size;
    payload->left -= size;
    return at;
}

static bool take_u32(struct payload *payload, uint32_t *value)
{
    const uint8_t *bytes = take(payload, 4);
    if (bytes != NULL)
        *value = bytes_get_u32(bytes);
    return bytes != NULL;
}

static bool take_id(struct payload *payload, uint8_t id[16])
{
    const uint8_t *bytes = take(payload, 16);
    if (bytes != NULL)
        memcpy(id, bytes, 16);
    return bytes != NULL;
}

static bool take_address(struct payload *payload, struct address *address)
{
    char text[ADDRESS_TEXT_MAX];
    const uint8_t *bytes = take(payload, 2);
    if (bytes == NULL)
        return false;
    size_t length = (size_t)(bytes[0] | bytes[1] << 8);
    *address = (struct address){.port = 0};
    if (length == 0)
        return true;
    bytes = length < sizeof text ? take(payload, length) : NULL;
    if (bytes == NULL || memchr(bytes, '\0', length) != NULL)
        return false;
    memcpy(text, bytes, length);
    text[length] = '\0';
    return address_parse(text, address);
}

static bool take_member(struct payload *payload, struct configuration *configuration, int position)
{
    struct member *member = &configuration->members.list[position];
    uint32_t id = 0;
    if (!take_u32(payload, &id) || id == 0 || id > INT32_MAX)
        return false;
    member->id = (raft_id)id;
    return (position == 0 || configuration->members.list[position - 1].id < member->id) &&
           take_id(payload, configuration->data_ids[position].bytes) && take_address(payload, &member->peer) &&
           take_address(payload, &member->client) && take_address(payload, &member->admin);
}

static bool take_all(struct payload *payload, struct configuration *configuration)
{
    uint32_t count = 0;
    if (!take_id(payload, configuration->uuid.bytes) || cluster_uuid_is_none(&configuration->uuid) ||
        !take_u32(payload, &count) || count == 0 || count > MEMBERS_MAX)
        return false;
    for (int i = 0; i < (int)count; i++)
        if (!take_member(payload, configuration, i))
            return false;
    configuration->members.count = (int)count;
    return payload->left == 0;
}

bool configuration_decode(const struct entry *entry, struct configuration *configuration, struct mailraft_error *err)
{
    struct payload payload = {entry_payload(entry), entry_payload_size(entry)};
    memset(configuration, 0, sizeof *configuration);
    configuration->index = entry->index;
    configuration->term = entry->term;
    if (take_all(&payload, configuration))
        return true;
    return error_raise(err, &PROTOCOL_ERROR,
                       "the entry %" PRIu64 " of kind CONFIG does not say who belongs to the cluster", entry->index);
}
