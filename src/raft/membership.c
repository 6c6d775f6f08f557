#include "raft/membership.h"

#include "base/memory.h"
#include "base/random.h"
#include "raft/members.h"
#include "raft/replication.h"

/* ---- Counting ---- */

struct data_id membership_data_id(const struct server *server, int position)
{
    return server->configuration.data_ids[position]; /* zeros without a CONFIG */
}

static const struct data_id *present_data_id(const struct server *server, int position)
{
    return position == server->self ? &server->data_id : &server->peers[position].hello.data_id;
}

bool membership_counts(const struct server *server, int position)
{
    if (server->configuration.index == 0)
        return true;
    struct data_id listed = membership_data_id(server, position);
    return !data_id_is_none(&listed) && data_id_equal(&listed, present_data_id(server, position));
}

bool membership_is_quorum(const struct server *server, uint32_t set)
{
    if (server->configuration.index == 0 && server->config.birth_all)
        return __builtin_popcount(set) == server->config.members.count;
    return members_is_quorum(&server->config.members, set);
}

int64_t membership_quorum_reached(const struct server *server, const int64_t *values)
{
    int64_t counted[MEMBERS_MAX];
    for (int i = 0; i < server->config.members.count; i++)
        counted[i] = membership_counts(server, i) ? values[i] : MEMBERSHIP_NO_QUORUM;
    return members_quorum_reached(&server->config.members, counted);
}

static bool is_connected_to_born(const struct server *server)
{
    for (int i = 0; i < server->config.members.count; i++) {
        const struct peer *peer = &server->peers[i];
        bool connected = peer->connected[CHANNEL_URGENT] || peer->connected[CHANNEL_BULK];
        bool reached = peer->reached[CHANNEL_URGENT] != 0 || peer->reached[CHANNEL_BULK] != 0;
        if ((connected && !cluster_uuid_is_none(&peer->hello.cluster_uuid)) || (reached && peer->reached_born))
            return true;
    }
    return false;
}

static bool lists_us(const struct server *server)
{
    return server->configuration.index > 0 && membership_counts(server, server->self);
}

/* --rejoin-empty says that there is a cluster: whoever starts with it takes part in no birth. */
bool membership_is_outsider(const struct server *server)
{
    return !lists_us(server) && (server->config.rejoin_empty || is_connected_to_born(server));
}

bool membership_is_born(const struct server *server)
{
    return server->commit_index > 0 || !cluster_uuid_is_none(&server->cluster_uuid);
}

/* ---- Following the log ---- */

static void tell_new(const struct server *server, const char *ours)
{
    log_warn(server->log,
             "Our data folder is not known to the cluster: it follows, but votes for nobody until the leader lists it "
             "data_id=%s rejoin_empty=%d",
             ours, server->config.rejoin_empty);
}

static void tell_lost(const struct server *server, const char *ours, const char *known)
{
    if (server->config.rejoin_empty)
        log_warn(server->log,
                 "We came back with an empty folder: it votes for nobody until the leader has listed it data_id=%s "
                 "known=%s",
                 ours, known);
    else
        log_error(server->log,
                  "We came back with an empty folder: the cluster knows us by another, so we do not vote; restore it, "
                  "or start with --rejoin-empty to join anew data_id=%s known=%s",
                  ours, known);
}

/* Each at most once until we are listed: the CONFIGs of the past, which come one after the other, are no news. */
void membership_watch(struct server *server)
{
    struct data_id listed = membership_data_id(server, server->self);
    enum outsider_told news = data_id_is_none(&listed) ? OUTSIDER_NEW : OUTSIDER_LOST;
    if (!membership_is_outsider(server) || news <= server->outsider_told)
        return;
    server->outsider_told = news;
    char ours[ID_TEXT_MAX], known[ID_TEXT_MAX];
    id_format(server->data_id.bytes, ours);
    id_format(listed.bytes, known);
    if (news == OUTSIDER_NEW)
        tell_new(server, ours);
    else
        tell_lost(server, ours, known);
}

static void tell_listed(struct server *server)
{
    char ours[ID_TEXT_MAX];
    if (server->outsider_told == OUTSIDER_NOT || !lists_us(server))
        return;
    server->outsider_told = OUTSIDER_NOT;
    log_info(server->log, "The cluster lists our data folder: our votes and acknowledgements count data_id=%s",
             id_format(server->data_id.bytes, ours));
}

static void tell_configuration(const struct server *server)
{
    const struct configuration *configuration = &server->configuration;
    int known = 0;
    for (int i = 0; i < configuration->members.count; i++)
        known += !data_id_is_none(&configuration->data_ids[i]);
    char uuid[ID_TEXT_MAX];
    log_info(server->log, "Configuration index=%llu cluster_uuid=%s members=%d known=%d",
             (unsigned long long)configuration->index, id_format(configuration->uuid.bytes, uuid),
             configuration->members.count, known);
}

void membership_adopt(struct server *server)
{
    const struct entry *newest = raft_log_config(&server->raft_log);
    struct configuration *configuration = &server->configuration;
    struct mailraft_error err;
    if (newest == NULL) {
        *configuration = (struct configuration){.index = 0};
        return;
    }
    if (newest->index == configuration->index && newest->term == configuration->term)
        return;
    if (!configuration_decode(newest, configuration, &err)) { /* it was checked before it was appended */
        server_fail(server, &err);
        return;
    }
    tell_configuration(server);
    tell_listed(server);
    membership_watch(server);
}

/* Entry 1 is the birth: its uuid is the cluster's, whatever later ones say. */
void membership_committed(struct server *server)
{
    struct configuration *first;
    struct mailraft_error err;
    const struct raft_log *log = &server->raft_log;
    if (server->uuid_asked || !cluster_uuid_is_none(&server->cluster_uuid) || log->config_count == 0)
        return;
    first = memory_new(sizeof *first);
    if (log->configs[0]->index == 1 && configuration_decode(log->configs[0], first, &err)) {
        server->uuid_asked = true;
        scribe_save_uuid(server->scribe, &first->uuid);
    }
    memory_free(first);
}

/* ---- Leading ---- */

static void propose(struct server *server, const struct configuration *configuration)
{
    struct mailraft_buffer payload = {.bytes = NULL};
    configuration_encode(configuration, &payload);
    replication_append(server, ENTRY_CONFIG, payload.bytes, payload.size);
    buffer_fini(&payload);
}

void membership_give_birth(struct server *server)
{
    struct configuration *configuration = memory_new(sizeof *configuration);
    configuration->members = server->config.members;
    random_bytes(configuration->uuid.bytes, sizeof configuration->uuid.bytes);
    for (int i = 0; i < configuration->members.count; i++)
        configuration->data_ids[i] = *present_data_id(server, i);
    propose(server, configuration);
    memory_free(configuration);
}

static void tell_empty_folder(struct server *server, int position)
{
    struct peer *peer = &server->peers[position];
    struct data_id listed = membership_data_id(server, position);
    char theirs[ID_TEXT_MAX], known[ID_TEXT_MAX];
    if (peer->told_incarnation == peer->incarnation)
        return;
    peer->told_incarnation = peer->incarnation;
    log_warn(server->log,
             "Node %d came back with an empty folder: its votes and acknowledgements do not count; restore the folder, "
             "or start it with --rejoin-empty data_id=%s known=%s rejoin_empty=%d",
             peer->id, id_format(peer->hello.data_id.bytes, theirs), id_format(listed.bytes, known),
             peer->hello.rejoin_empty);
}

/* The data id that a member is to have next: the listed one where nothing is due. */
static struct data_id due_data_id(struct server *server, int position)
{
    static const struct data_id NONE;
    const struct peer *peer = &server->peers[position];
    struct data_id listed = membership_data_id(server, position);
    if (position == server->self || data_id_is_none(&peer->hello.data_id) ||
        data_id_equal(&listed, &peer->hello.data_id))
        return listed;
    if (data_id_is_none(&listed))
        return peer->hello.data_id;
    tell_empty_folder(server, position);
    return peer->hello.rejoin_empty ? NONE : listed;
}

/* Dissertation, section 4.1, and its correction of 2015: one change at a time, and none before an entry of the own term
 * is committed. */
static bool may_change(const struct server *server)
{
    return server->role == LEADER && !server->stop_asked && server->configuration.index > 0 &&
           server->configuration.index <= server->commit_index &&
           raft_log_term_at(&server->raft_log, server->commit_index) == server->current_term;
}

static void tell_change(const struct server *server, int position, const struct data_id *due)
{
    char text[ID_TEXT_MAX];
    raft_id id = server->peers[position].id;
    if (data_id_is_none(due))
        log_info(server->log, "Taking the lost data folder of node %d out", id);
    else
        log_info(server->log, "Taking the data folder of node %d in data_id=%s", id, id_format(due->bytes, text));
}

void membership_tend(struct server *server)
{
    if (!may_change(server))
        return;
    for (int i = 0; i < server->config.members.count; i++) {
        struct data_id listed = membership_data_id(server, i);
        struct data_id due = due_data_id(server, i);
        if (data_id_equal(&listed, &due))
            continue;
        struct configuration *next = memory_new(sizeof *next);
        *next = server->configuration;
        next->data_ids[i] = due;
        tell_change(server, i, &due);
        propose(server, next);
        memory_free(next);
        return;
    }
}
