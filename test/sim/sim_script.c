/* Mail by hand: the test is the network, and plays the peers. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim/world.h"

void sim_script_network(struct sim *sim)
{
    sim->scripted = true;
}

/* ---- What a node sends ---- */

bool sim_sent_entries(struct sim *sim, raft_id from, raft_id to, struct message *message, enum channel *channel,
                      struct batch **entries)
{
    struct parcel *parcel = parcels_take_to(&sim_machine(sim, from)->sent, to);

    if (parcel == NULL)
        return false;
    *message = parcel->message;
    *channel = parcel->channel;
    *entries = parcel_entries(parcel);
    free(parcel);
    return true;
}

bool sim_sent_body(struct sim *sim, raft_id from, raft_id to, struct message *message, struct mailraft_buffer *body)
{
    struct parcel *parcel = parcels_take_to(&sim_machine(sim, from)->sent, to);

    if (parcel == NULL)
        return false;
    *message = parcel->message;
    *body = parcel_body(parcel);
    free(parcel);
    return true;
}

bool sim_sent(struct sim *sim, raft_id from, raft_id to, struct message *message)
{
    enum channel channel;
    struct batch *entries;

    if (!sim_sent_entries(sim, from, to, message, &channel, &entries))
        return false;
    batch_free(entries);
    return true;
}

bool sim_sent_nothing(struct sim *sim, raft_id from)
{
    return sim_machine(sim, from)->sent.first == NULL;
}

void sim_forget_sent(struct sim *sim, raft_id from)
{
    parcels_empty(&sim_machine(sim, from)->sent);
}

/* ---- What it gets ---- */

static struct life *life_reached(struct sim *sim, raft_id id)
{
    struct life *life = sim_machine(sim, id)->life;

    if (life == NULL || life->mailbox == NULL)
        sim_fail("node %d is not to be reached", id);
    return life;
}

static int position_of(struct sim *sim, raft_id id, raft_id peer)
{
    int position = members_find(&sim_machine(sim, id)->config.members, peer);

    if (position < 0)
        sim_fail("%d is no member: give its link (sim_put_over)", peer);
    return position;
}

static struct link *link_of(struct sim *sim, raft_id to, raft_id peer, enum channel channel)
{
    return &sim_machine(sim, to)->links[position_of(sim, to, peer)][channel];
}

static struct link *reached_link_of(struct sim *sim, raft_id id, raft_id peer, enum channel channel)
{
    return &sim_machine(sim, id)->reached[position_of(sim, id, peer)][channel];
}

struct introduction *sim_introduction(struct sim *sim, raft_id to, raft_id peer)
{
    struct machine *machine = sim_machine(sim, to);
    int position = position_of(sim, to, peer);

    if (!machine->introduced[position])
        machine->introductions[position].data_id.bytes[0] = (uint8_t)peer;
    machine->introduced[position] = true;
    return &machine->introductions[position];
}

/* ---- Connections that the peer opens ---- */

static void connect_over(struct sim *sim, raft_id to, const struct link *link)
{
    mailbox_arrive(sim, life_reached(sim, to), LETTER_CONNECTED, link, NULL, sim_introduction(sim, to, link->peer));
    *link_of(sim, to, link->peer, link->channel) = *link;
}

static void connect_next(struct sim *sim, raft_id to, raft_id peer, enum channel channel)
{
    uint64_t last = link_of(sim, to, peer, channel)->connection;
    struct link link = {.peer = peer, .channel = channel, .incarnation = 1, .connection = last + 1};

    connect_over(sim, to, &link);
}

static void disconnect_over(struct sim *sim, raft_id to, const struct link *link)
{
    struct link *present = link_of(sim, to, link->peer, link->channel);

    mailbox_arrive(sim, life_reached(sim, to), LETTER_DISCONNECTED, link, NULL, NULL);
    if (present->incarnation == link->incarnation && present->connection == link->connection)
        present->incarnation = 0;
}

void sim_connect_peer(struct sim *sim, raft_id to, raft_id peer, uint64_t incarnation, uint64_t connection)
{
    struct link link = {.peer = peer, .channel = CHANNEL_URGENT, .incarnation = incarnation, .connection = connection};

    connect_over(sim, to, &link);
    sim_settle(sim);
}

void sim_disconnect_peer(struct sim *sim, raft_id to, raft_id peer, uint64_t incarnation, uint64_t connection)
{
    struct link link = {.peer = peer, .channel = CHANNEL_URGENT, .incarnation = incarnation, .connection = connection};

    disconnect_over(sim, to, &link);
    sim_settle(sim);
}

void sim_open_channel(struct sim *sim, raft_id to, raft_id peer, enum channel channel)
{
    connect_next(sim, to, peer, channel);
    sim_settle(sim);
}

void sim_close_channel(struct sim *sim, raft_id to, raft_id peer, enum channel channel)
{
    const struct link link = *link_of(sim, to, peer, channel);

    if (link.incarnation == 0)
        sim_fail("%d has no connection to %d", peer, to);
    disconnect_over(sim, to, &link);
    sim_settle(sim);
}

void sim_close_peer(struct sim *sim, raft_id to, raft_id peer)
{
    sim_close_channel(sim, to, peer, CHANNEL_URGENT);
}

/* ---- Connections that the node opens ---- */

static void reach(struct sim *sim, raft_id id, raft_id peer, enum channel channel)
{
    struct link *link = reached_link_of(sim, id, peer, channel);
    const struct life *life = life_reached(sim, id);

    if (link->incarnation != 0)
        sim_fail("%d has reached %d already", id, peer);
    *link = (struct link){peer, channel, mailbox_incarnation(life->mailbox), link->connection + 1};
    mailbox_arrive(sim, life_reached(sim, id), LETTER_REACHED, link, NULL, sim_introduction(sim, id, peer));
}

void sim_reach_peer(struct sim *sim, raft_id id, raft_id peer, enum channel channel)
{
    reach(sim, id, peer, channel);
    sim_settle(sim);
}

void sim_lose_peer(struct sim *sim, raft_id id, raft_id peer, enum channel channel)
{
    struct link *link = reached_link_of(sim, id, peer, channel);

    if (link->incarnation == 0)
        sim_fail("%d has not reached %d", id, peer);
    mailbox_arrive(sim, life_reached(sim, id), LETTER_LOST, link, NULL, NULL);
    link->incarnation = 0;
    sim_settle(sim);
}

struct link sim_reached(struct sim *sim, raft_id id, raft_id peer, enum channel channel)
{
    return *reached_link_of(sim, id, peer, channel);
}

/* ---- Messages ---- */

/* Takes the parcel. */
static void put_over(struct sim *sim, raft_id to, struct parcel *parcel, const struct link *link)
{
    mailbox_arrive(sim, life_reached(sim, to), LETTER_MESSAGE, link, parcel, NULL);
    free(parcel);
}

void sim_put_over(struct sim *sim, raft_id to, const struct message *message, const struct link *link)
{
    put_over(sim, to, parcel_new(link->channel, message, NULL), link);
}

/* All four connections between the two come up with the first message, but those that the test has opened or closed. */
static void meet(struct sim *sim, raft_id to, raft_id peer)
{
    for (int channel = 0; channel < CHANNELS; channel++) {
        if (link_of(sim, to, peer, (enum channel)channel)->connection == 0)
            connect_next(sim, to, peer, (enum channel)channel);
        if (reached_link_of(sim, to, peer, (enum channel)channel)->connection == 0)
            reach(sim, to, peer, (enum channel)channel);
    }
}

/* An answer to entries or a heartbeat, or to what was forwarded, that names no connection answers what came over the
 * present one. */
static void name_request(struct sim *sim, raft_id to, struct message *answer)
{
    const struct link *link;

    if (answer->request_connection != 0)
        return;
    if (answer->type_of_message == FORWARDED)
        answer->request_channel = CHANNEL_BULK;
    else if (answer->type_of_message != RESPONSE_APPEND_ENTRIES)
        return;
    link = reached_link_of(sim, to, answer->server_id, (enum channel)answer->request_channel);
    answer->request_incarnation = link->incarnation;
    answer->request_connection = link->connection;
}

/* Takes the parcel. */
static void put(struct sim *sim, raft_id to, struct parcel *parcel)
{
    raft_id peer = parcel->message.server_id;
    const struct link *link = link_of(sim, to, peer, parcel->channel);

    meet(sim, to, peer);
    if (link->incarnation == 0)
        connect_next(sim, to, peer, parcel->channel);
    name_request(sim, to, &parcel->message);
    put_over(sim, to, parcel, link);
}

void sim_put(struct sim *sim, raft_id to, const struct message *message)
{
    put(sim, to, parcel_new(CHANNEL_URGENT, message, NULL));
}

void sim_put_entries(struct sim *sim, raft_id to, const struct message *message, const struct batch *entries)
{
    put(sim, to, parcel_new(CHANNEL_BULK, message, entries));
}

void sim_put_body(struct sim *sim, raft_id to, const struct message *message, const struct mailraft_buffer *body)
{
    put(sim, to, parcel_new_body(message, body->bytes, body->size));
}

void sim_deliver(struct sim *sim, raft_id to, const struct message *message)
{
    sim_put(sim, to, message);
    sim_settle(sim);
}

void sim_deliver_entries(struct sim *sim, raft_id to, const struct message *message, const struct batch *entries)
{
    sim_put_entries(sim, to, message, entries);
    sim_settle(sim);
}

void sim_deliver_body(struct sim *sim, raft_id to, const struct message *message, const struct mailraft_buffer *body)
{
    sim_put_body(sim, to, message, body);
    sim_settle(sim);
}
