#include "raft/peers.h"

#include "raft/forward.h"
#include "raft/membership.h"
#include "raft/replication.h"
#include "raft/timer.h"

/* What an earlier process of it had opened to us is closed, or will be. */
static void begin_incarnation(struct peer *peer, uint64_t incarnation)
{
    peer->incarnation = incarnation;
    for (int channel = 0; channel < CHANNELS; channel++) {
        peer->connected[channel] = false;
        peer->connection[channel] = 0;
    }
}

static void note_connected(struct server *server, struct peer *peer)
{
    const struct letter *letter = server->letter;
    const struct link *link = &letter->link;
    if (peer->incarnation != link->incarnation)
        begin_incarnation(peer, link->incarnation);
    else if (peer->connected[link->channel] && peer->connection[link->channel] >= link->connection)
        return;
    peer->connection[link->channel] = link->connection;
    peer->connected[link->channel] = true;
    bool another_folder = !data_id_equal(&peer->hello.data_id, &letter->hello.data_id);
    peer->hello = letter->hello;
    if (another_folder)
        replication_forget(server, (int)(peer - server->peers));
    membership_watch(server);
    membership_tend(server);
    if (server->role == LEADER)
        replication_count(server); /* its acknowledgements may count now, or no more */
}

static void note_disconnected(struct server *server, struct peer *peer)
{
    const struct link *link = &server->letter->link;
    if (peer->incarnation != link->incarnation || peer->connection[link->channel] != link->connection)
        return; /* an older one, which a newer has replaced */
    peer->connected[link->channel] = false;
    if (link->channel == CHANNEL_URGENT && server->role == FOLLOWER && server->leader_id == peer->id)
        timer_leader_closed(server);
}

static void note_reached(struct server *server, struct peer *peer, int position)
{
    const struct letter *letter = server->letter;
    peer->reached[letter->link.channel] = letter->link.connection;
    peer->reached_born = !cluster_uuid_is_none(&letter->hello.cluster_uuid);
    membership_watch(server);
    if (letter->link.channel == CHANNEL_BULK && server->role == LEADER)
        replication_reached(server, position);
}

static void note_lost(struct server *server, struct peer *peer, int position)
{
    const struct link *link = &server->letter->link;
    if (peer->reached[link->channel] != link->connection)
        return;
    peer->reached[link->channel] = 0;
    if (link->channel == CHANNEL_BULK && server->role == LEADER)
        replication_lost(server, position);
}

void peers_note(struct server *server)
{
    const struct link *link = &server->letter->link;
    int position = members_find(&server->config.members, link->peer);
    if (position < 0 || position == server->self || link->channel >= CHANNELS)
        return;
    struct peer *peer = &server->peers[position];
    switch (server->letter->kind) {
    case LETTER_CONNECTED:
        note_connected(server, peer);
        break;
    case LETTER_DISCONNECTED:
        note_disconnected(server, peer);
        break;
    case LETTER_REACHED:
        note_reached(server, peer, position);
        break;
    default:
        note_lost(server, peer, position);
        break;
    }
    forward_check(server, position);
}
