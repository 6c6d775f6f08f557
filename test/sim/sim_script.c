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

bool sim_sent(struct sim *sim, raft_id from, raft_id to, struct message *message)
{
    struct machine *machine = sim_machine(sim, from);
    struct sent **link = &machine->sent_first, *before = NULL, *sent;

    while (*link != NULL && (*link)->to != to) {
        before = *link;
        link = &before->next;
    }
    sent = *link;
    if (sent == NULL)
        return false;
    *message = sent->message;
    *link = sent->next;
    if (machine->sent_last == sent)
        machine->sent_last = before;
    free(sent);
    return true;
}

bool sim_sent_nothing(struct sim *sim, raft_id from)
{
    return sim_machine(sim, from)->sent_first == NULL;
}

void sim_forget_sent(struct sim *sim, raft_id from)
{
    struct machine *machine = sim_machine(sim, from);

    while (machine->sent_first != NULL) {
        struct sent *sent = machine->sent_first;

        machine->sent_first = sent->next;
        free(sent);
    }
}

/* ---- What it gets ---- */

static struct life *life_reached(struct sim *sim, raft_id id)
{
    struct life *life = sim_machine(sim, id)->life;

    if (life == NULL || life->mailbox == NULL)
        sim_fail("node %d is not to be reached", id);
    return life;
}

static struct link *link_of(struct sim *sim, raft_id to, raft_id peer)
{
    struct machine *machine = sim_machine(sim, to);
    int position = members_find(&machine->config.members, peer);

    if (position < 0)
        sim_fail("%d is no member: give its link (sim_put_over)", peer);
    return &machine->links[position];
}

static void connect_peer(struct sim *sim, raft_id to, raft_id peer, uint64_t incarnation, uint64_t connection)
{
    struct link link = {.peer = peer, .channel = CHANNEL_URGENT, .incarnation = incarnation, .connection = connection};
    struct data_id data_id = {.bytes = {(uint8_t)peer}};

    mailbox_arrive(sim, life_reached(sim, to), LETTER_CONNECTED, &link, NULL, &data_id);
    *link_of(sim, to, peer) = link;
}

void sim_connect_peer(struct sim *sim, raft_id to, raft_id peer, uint64_t incarnation, uint64_t connection)
{
    connect_peer(sim, to, peer, incarnation, connection);
    sim_settle(sim);
}

void sim_disconnect_peer(struct sim *sim, raft_id to, raft_id peer, uint64_t incarnation, uint64_t connection)
{
    struct link link = {.peer = peer, .channel = CHANNEL_URGENT, .incarnation = incarnation, .connection = connection};
    struct link *present = link_of(sim, to, peer);

    mailbox_arrive(sim, life_reached(sim, to), LETTER_DISCONNECTED, &link, NULL, NULL);
    if (present->incarnation == incarnation && present->connection == connection)
        present->incarnation = 0;
    sim_settle(sim);
}

void sim_close_peer(struct sim *sim, raft_id to, raft_id peer)
{
    const struct link link = *link_of(sim, to, peer);

    if (link.incarnation == 0)
        sim_fail("%d has no connection to %d", peer, to);
    sim_disconnect_peer(sim, to, peer, link.incarnation, link.connection);
}

void sim_put_over(struct sim *sim, raft_id to, const struct message *message, const struct link *link)
{
    mailbox_arrive(sim, life_reached(sim, to), LETTER_MESSAGE, link, message, NULL);
}

/* A connection that was closed is followed by the next one of the same incarnation. */
void sim_put(struct sim *sim, raft_id to, const struct message *message)
{
    struct link *link = link_of(sim, to, message->server_id);

    if (link->incarnation == 0)
        connect_peer(sim, to, message->server_id, 1, link->connection + 1);
    sim_put_over(sim, to, message, link);
}

void sim_deliver(struct sim *sim, raft_id to, const struct message *message)
{
    sim_put(sim, to, message);
    sim_settle(sim);
}
