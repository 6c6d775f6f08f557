#include "mail/hello.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"

void speaker_init(struct speaker *self, const struct mailbox_config *config)
{
    memset(self, 0, sizeof *self);
    self->id = config->id;
    snprintf(self->cluster_name, sizeof self->cluster_name, "%s", config->cluster_name);
    self->data_id = config->data_id;
    self->rejoin_empty = config->rejoin_empty;
    self->members = config->members;
    self->members_checksum = members_checksum(&config->members);
    while (self->incarnation == 0)
        random_bytes(&self->incarnation, sizeof self->incarnation);
    mutex_init(&self->mutex);
    self->cluster_uuid = config->cluster_uuid;
}

void speaker_fini(struct speaker *self)
{
    mutex_fini(&self->mutex);
}

void speaker_set_uuid(struct speaker *self, const struct cluster_uuid *uuid)
{
    mutex_lock(&self->mutex);
    self->cluster_uuid = *uuid;
    mutex_unlock(&self->mutex);
}

static struct cluster_uuid uuid_of(struct speaker *self)
{
    struct cluster_uuid uuid;

    mutex_lock(&self->mutex);
    uuid = self->cluster_uuid;
    mutex_unlock(&self->mutex);
    return uuid;
}

void hello_make(struct hello *hello, struct speaker *self, raft_id receiver, enum channel channel, uint64_t connection)
{
    *hello = (struct hello){
        .version_lowest = VERSION_LOWEST,
        .version_highest = VERSION_HIGHEST,
        .cluster_uuid = uuid_of(self),
        .sender = self->id,
        .receiver = receiver,
        .channel = channel,
        .incarnation = self->incarnation,
        .connection = connection,
        .data_id = self->data_id,
        .members_checksum = self->members_checksum,
        .rejoin_empty = self->rejoin_empty,
    };
    memcpy(hello->cluster_name, self->cluster_name, sizeof hello->cluster_name);
}

struct introduction hello_introduction(const struct hello *hello)
{
    return (struct introduction){
        .data_id = hello->data_id,
        .cluster_uuid = hello->cluster_uuid,
        .rejoin_empty = hello->rejoin_empty,
    };
}

/* Before all else: a version that we do not speak may mean something else by the other fields. */
static bool check_version(const struct hello *hello, uint32_t *version, struct mailraft_error *err)
{
    if (hello->version_lowest > VERSION_HIGHEST || hello->version_highest < VERSION_LOWEST ||
        hello->version_lowest > hello->version_highest)
        return error_raise(err, &PROTOCOL_ERROR, "it speaks the versions %" PRIu32 " to %" PRIu32 ", we %d to %d",
                           hello->version_lowest, hello->version_highest, VERSION_LOWEST, VERSION_HIGHEST);
    *version = hello->version_highest < VERSION_HIGHEST ? hello->version_highest : VERSION_HIGHEST;
    return true;
}

static bool check_cluster(const struct hello *hello, struct speaker *self, struct mailraft_error *err)
{
    const struct cluster_uuid ours = uuid_of(self);

    if (strcmp(hello->cluster_name, self->cluster_name) != 0)
        return error_raise(err, &PROTOCOL_ERROR, "it belongs to the cluster \"%s\", we to \"%s\"", hello->cluster_name,
                           self->cluster_name);
    if (!cluster_uuid_fits(&hello->cluster_uuid, &ours))
        return error_raise(err, &PROTOCOL_ERROR, "it belongs to another cluster of the name \"%s\": their uuids differ",
                           self->cluster_name);
    return true;
}

static bool check_ends(const struct hello *hello, const struct speaker *self, struct mailraft_error *err)
{
    if (hello->receiver != self->id)
        return error_raise(err, &PROTOCOL_ERROR, "it means %" PRId32 ", and we are %" PRId32, hello->receiver,
                           self->id);
    if (hello->sender == self->id)
        return error_raise(err, &PROTOCOL_ERROR, "it says that it is %" PRId32 ", which is us", hello->sender);
    if (members_find(&self->members, hello->sender) < 0)
        return error_raise(err, &PROTOCOL_ERROR, "it says that it is %" PRId32 ", which is no member", hello->sender);
    if (hello->members_checksum != self->members_checksum)
        return error_raise(err, &PROTOCOL_ERROR, "%" PRId32 " lists other members than we do", hello->sender);
    return true;
}

bool hello_check(const struct hello *hello, struct speaker *self, uint32_t *version, struct mailraft_error *err)
{
    if (!check_version(hello, version, err) || !check_cluster(hello, self, err) || !check_ends(hello, self, err))
        return false;
    if (hello->channel >= CHANNEL_COUNT)
        return error_raise(err, &PROTOCOL_ERROR, "%" PRId32 " wants the channel %" PRIu32 ", which we do not know",
                           hello->sender, hello->channel);
    if (hello->incarnation == 0 || hello->connection == 0)
        return error_raise(err, &PROTOCOL_ERROR, "%" PRId32 " does not number its connection", hello->sender);
    return true;
}

bool hello_check_answer(const struct hello *answer, const struct hello *ours, struct mailraft_error *err)
{
    if (answer->sender != ours->receiver)
        return error_raise(err, &PROTOCOL_ERROR, "it is %" PRId32 ", and we want %" PRId32, answer->sender,
                           ours->receiver);
    if (answer->channel != ours->channel || answer->connection != ours->connection)
        return error_raise(err, &PROTOCOL_ERROR, "%" PRId32 " answers for another connection", answer->sender);
    return true;
}
