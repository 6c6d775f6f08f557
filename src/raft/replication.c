#include "raft/replication.h"

#include <inttypes.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "raft/commit.h"
#include "raft/membership.h"

/* ---- Appending ---- */

raft_index replication_append(struct server *server, enum entry_kind kind, const void *payload, size_t size)
{
    raft_index index = raft_log_last_index(&server->raft_log) + 1;
    int64_t time_us = cluster_time_now(&server->time, server->now_us);
    raft_log_append(&server->raft_log, entry_new(kind, server->current_term, index, time_us, payload, size));
    cluster_time_entry(&server->time, time_us);
    if (kind == ENTRY_CONFIG)
        membership_adopt(server);
    return index;
}

void replication_append_time(struct server *server, enum entry_kind kind)
{
    uint8_t payload[8];
    server->wall_offset_us = clock_wall_us() - cluster_time_now(&server->time, server->now_us);
    bytes_put_u64(payload, (uint64_t)server->wall_offset_us);
    replication_append(server, kind, payload, sizeof payload);
}

void replication_begin(struct server *server)
{
    raft_index last = raft_log_last_index(&server->raft_log);
    for (int i = 0; i < server->config.members.count; i++)
        progress_begin(&server->peers[i].progress, last, server->now_us);
    if (!cluster_time_known(&server->time)) /* the first leader of all: the time begins */
        cluster_time_hear(&server->time, clock_wall_us(), server->now_us);
    server->term_begin_index = last + 1;
    if (last == 0)
        membership_give_birth(server);
    else
        replication_append_time(server, ENTRY_NO_OP);
}

/* ---- Sending ---- */

static void send_batch(struct server *server, int position, struct batch *entries)
{
    struct progress *progress = &server->peers[position].progress;
    raft_index prev_index = entries->list[0]->index - 1;
    struct message request = {.type_of_message = REQUEST_APPEND_ENTRIES,
                              .curr_term = server->current_term,
                              .prev_index = prev_index,
                              .prev_term = raft_log_term_at(&server->raft_log, prev_index),
                              .commit_index = server->commit_index,
                              .entry_count = (uint32_t)entries->count,
                              .time_us = cluster_time_now(&server->time, server->now_us)};
    progress_sent(progress, entries->list[entries->count - 1]->index, entries->bytes, server->now_us);
    server_send_entries(server, server->peers[position].id, &request, entries);
}

/* Whether what waits for a follower is worth a message of its own while another is on its way. */
static bool is_gathered(const struct server *server, raft_index first)
{
    size_t bytes = 0;
    for (raft_index i = first; i <= raft_log_last_index(&server->raft_log); i++) {
        bytes += raft_log_at(&server->raft_log, i)->size;
        if (bytes >= REPLICATION_GATHER_BYTES)
            return true;
    }
    return false;
}

static void read_old(struct server *server, struct progress *progress)
{
    if (progress->read_number != 0)
        return; /* one range at a time */
    progress->read_number = ++server->read_number;
    struct run place =
        raft_log_place(&server->raft_log, progress->next_index, raft_log_last_index(&server->raft_log));
    log_reader_read(server->log_reader, progress->read_number, &place, REPLICATION_GATHER_BYTES);
}

/* Sends to one member what may leave. answered: it has just acknowledged something. */
static void send_to(struct server *server, int position, bool answered)
{
    struct raft_log *log = &server->raft_log;
    struct progress *progress = &server->peers[position].progress;
    if (position == server->self || server->peers[position].reached[CHANNEL_BULK] == 0)
        return;
    while (progress->next_index <= raft_log_last_index(log) && progress_has_room(progress)) {
        if (!raft_log_has(log, progress->next_index)) {
            read_old(server, progress);
            return;
        }
        if (progress->count > 0 && !answered && !is_gathered(server, progress->next_index))
            return;
        struct batch *entries =
            raft_log_slice(log, progress->next_index, raft_log_last_index(log), REPLICATION_GATHER_BYTES);
        send_batch(server, position, entries);
        batch_free(entries);
        answered = false;
    }
}

void replication_send(struct server *server)
{
    for (int i = 0; i < server->config.members.count; i++)
        send_to(server, i, false);
}

void replication_read(struct server *server)
{
    struct batch *entries = server->letter->entries;
    for (int i = 0; i < server->config.members.count; i++) {
        struct progress *progress = &server->peers[i].progress;
        if (server->role != LEADER || progress->read_number != server->letter->number)
            continue;
        progress->read_number = 0;
        /* What has been read serves only if nothing was taken back meanwhile. */
        if (entries->list[0]->index == progress->next_index && progress_has_room(progress) &&
            server->peers[i].reached[CHANNEL_BULK] != 0)
            send_batch(server, i, entries);
        send_to(server, i, false);
    }
}

/* Where nothing is known of its log, it most likely has all of ours but the end: it tells where they part otherwise. */
static void probe(struct server *server, int position)
{
    struct progress *progress = &server->peers[position].progress;
    raft_index last = raft_log_last_index(&server->raft_log);
    progress_probe(progress, progress->match_index > 0 ? progress->match_index + 1 : last, server->now_us);
}

void replication_reached(struct server *server, int position)
{
    probe(server, position);
    send_to(server, position, false);
}

void replication_lost(struct server *server, int position)
{
    probe(server, position);
}

void replication_forget(struct server *server, int position)
{
    progress_begin(&server->peers[position].progress, 0, server->now_us);
    probe(server, position);
    if (server->role == LEADER)
        send_to(server, position, false);
}

/* ---- Committing ---- */

/* "If there exists an N such that N > commitIndex, a majority of matchIndex[i] >= N, and log[N].term == currentTerm:
 * set commitIndex = N" (sections 5.3, 5.4). Our own log counts as far as it is durable. */
void replication_count(struct server *server)
{
    int64_t match[MEMBERS_MAX];
    for (int i = 0; i < server->config.members.count; i++)
        match[i] = (int64_t)server->peers[i].progress.match_index;
    match[server->self] = (int64_t)server->raft_log.durable_index;
    int64_t reached = membership_quorum_reached(server, match);
    if (reached > (int64_t)server->commit_index &&
        raft_log_term_at(&server->raft_log, (raft_index)reached) == server->current_term)
        commit_advance(server, (raft_index)reached);
}

/* ---- Answers ---- */

bool replication_is_of_the_past(const struct server *server)
{
    const struct message *answer = server->message;
    const struct peer *peer = &server->peers[members_find(&server->config.members, answer->server_id)];
    return !server_is_present(server) || answer->request_incarnation != mailbox_incarnation(server->mailbox) ||
           answer->request_channel >= CHANNELS || answer->request_connection != peer->reached[answer->request_channel];
}

static void complain(struct server *server, const char *what)
{
    const struct message *answer = server->message;
    if (!server_may_warn(server, &server->nonsense_due_us))
        return;
    log_error(server->log,
              "Ignored RESPONSE_APPEND_ENTRIES of %d: it %s match_index=%llu rejected_index=%llu last_log=%llu",
              answer->server_id, what, (unsigned long long)answer->match_index,
              (unsigned long long)answer->rejected_index, (unsigned long long)raft_log_last_index(&server->raft_log));
}

/* "If AppendEntries fails because of log inconsistency: decrement nextIndex and retry" - past a whole term at a time,
 * as section 5.3 ends: the follower tells the term that conflicts, and its first entry of it. */
static raft_index next_after_rejection(const struct server *server)
{
    const struct message *answer = server->message;
    const struct raft_log *log = &server->raft_log;
    raft_index next = answer->conflict_index;
    if (answer->conflict_term > 0) {
        raft_index ours = terms_last_of(&log->terms, answer->conflict_term);
        if (raft_log_term_at(log, ours) == answer->conflict_term)
            next = ours + 1;
    }
    return next < answer->rejected_index ? next : answer->rejected_index;
}

static void rejected(struct server *server, int position)
{
    const struct message *answer = server->message;
    struct progress *progress = &server->peers[position].progress;
    bool heartbeat = answer->request_channel == CHANNEL_URGENT;
    if (answer->rejected_index >= progress->next_index || answer->rejected_index == 0)
        return; /* of a probe that others have overtaken */
    if (heartbeat) { /* which names only what was acknowledged */
        complain(server, "has lost entries that it had acknowledged");
        progress_begin(progress, 0, server->now_us);
    } else if (answer->rejected_index <= progress->match_index) {
        return; /* late */
    }
    progress_probe(progress, next_after_rejection(server), server->now_us);
    send_to(server, position, true);
}

#define RESENT_DOUBLINGS_MAX 6

/* Messages get lost where an outbox overflows; then whatever is not acknowledged is sent again, from the last match on,
 * and at once where nothing is on its way.
 * A disk or a way that is only slow is asked half as often each time. */
static void resend_lost(struct server *server, int position)
{
    const struct peer *peer = &server->peers[position];
    struct progress *progress = &server->peers[position].progress;
    int64_t patience_us = 2 * server->config.heartbeat_us + 4 * peer->round_trip_us;
    unsigned doublings = progress->resent < RESENT_DOUBLINGS_MAX ? progress->resent : RESENT_DOUBLINGS_MAX;
    raft_index last = raft_log_last_index(&server->raft_log);
    bool forgotten = progress->count == 0 && progress->match_index < last && progress->next_index > last;
    if (!forgotten && (progress->count == 0 || server->now_us - progress->moved_us <= patience_us << doublings))
        return;
    probe(server, position);
    progress->resent++;
}

static void acknowledged(struct server *server, int position)
{
    struct progress *progress = &server->peers[position].progress;
    const struct message *answer = server->message;
    unsigned on_the_way = progress->count;
    bool news = progress_acknowledged(progress, answer->match_index, server->now_us);
    if (news)
        replication_count(server);
    if (answer->request_channel == CHANNEL_URGENT)
        resend_lost(server, position);
    send_to(server, position, progress->count < on_the_way);
}

void replication_answered(struct server *server)
{
    const struct message *answer = server->message;
    int position = members_find(&server->config.members, answer->server_id);
    if (answer->match_index > raft_log_last_index(&server->raft_log))
        complain(server, "acknowledges entries that we do not have");
    else if (answer->entries_appended)
        acknowledged(server, position);
    else
        rejected(server, position);
}
