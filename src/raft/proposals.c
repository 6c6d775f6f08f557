#include "raft/proposals.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "raft/membership.h"
#include "raft/replication.h"

/* ---- The ring of those who wait ---- */

static struct pending *pending_at(const struct server *server, size_t place)
{
    return &server->pending[(server->pending_first + place) & (server->pending_room - 1)];
}

static void grow(struct server *server)
{
    size_t room = server->pending_room == 0 ? 64 : 2 * server->pending_room;
    struct pending *larger = memory_new(room * sizeof *larger);
    for (size_t i = 0; i < server->pending_count; i++)
        larger[i] = *pending_at(server, i);
    memory_free(server->pending);
    server->pending = larger;
    server->pending_room = room;
    server->pending_first = 0;
}

static void await_outcome(struct server *server, raft_index index, size_t size, const struct proposer *proposer)
{
    size_t bytes = ENTRY_HEAD_BYTES + size + sizeof(struct pending);
    assert(server->pending_count == 0 || pending_at(server, server->pending_count - 1)->index < index);
    if (server->pending_count == server->pending_room)
        grow(server);
    *pending_at(server, server->pending_count++) = (struct pending){index, server->current_term, bytes, *proposer};
    server->pending_bytes += bytes;
}

static struct pending pending_take(struct server *server)
{
    struct pending first = *pending_at(server, 0);
    server->pending_first = (server->pending_first + 1) & (server->pending_room - 1);
    server->pending_count--;
    server->pending_bytes -= first.bytes;
    return first;
}

/* ---- Proposing ---- */

/* From a stock, since each draw from the kernel costs as much as logging a small command. */
static void draw_random(struct server *server, uint8_t random[MAILRAFT_RANDOM_BYTES])
{
    if (server->random_left < MAILRAFT_RANDOM_BYTES) {
        random_bytes(server->random, sizeof server->random);
        server->random_left = sizeof server->random;
    }
    server->random_left -= MAILRAFT_RANDOM_BYTES;
    memcpy(random, server->random + server->random_left, MAILRAFT_RANDOM_BYTES);
}

static bool prepare(struct server *server, const void *request, size_t size, struct mailraft_buffer *command)
{
    const struct mailraft_machine *machine = server->config.machine;
    struct mailraft_proposal proposal = {.request = request,
                                         .size = size,
                                         .time_us = cluster_time_now(&server->time, server->now_us),
                                         .wall_offset_us = server->wall_offset_us,
                                         .memory_bytes = server->machine_bytes + server->pending_bytes};
    draw_random(server, proposal.random);
    return machine->prepare(machine->context, &proposal, command);
}

void proposals_take_forwarded(struct server *server, const void *request, size_t size, const struct proposer *proposer)
{
    struct mailraft_buffer command = {.bytes = NULL};
    if (!prepare(server, request, size, &command)) {
        applier_reply(proposer, OUTCOME_REFUSED, 0, NO_ONE, &command);
    } else if (command.size > server->config.entry_bytes_max - ENTRY_HEAD_BYTES) {
        applier_reply(proposer, OUTCOME_TOO_LARGE, 0, NO_ONE, NULL);
    } else {
        raft_index index = replication_append(server, ENTRY_COMMAND, command.bytes, command.size);
        await_outcome(server, index, command.size, proposer);
    }
    buffer_fini(&command);
}

void proposals_take(struct server *server)
{
    const struct letter *letter = server->letter;
    proposals_take_forwarded(server, letter->request.bytes, letter->request.size, &letter->proposer);
}

void proposals_count(struct server *server, raft_index index, const struct proposer *proposer)
{
    raft_index count = 0;
    for (int i = 0; i < server->config.members.count; i++)
        if (i != server->self && membership_counts(server, i) && server->peers[i].progress.match_index >= index)
            count++;
    applier_reply(proposer, OUTCOME_COUNTED, count, NO_ONE, NULL);
}

/* ---- Outcomes ---- */

static void tell_never_executed(const struct server *server, const struct pending *pending)
{
    applier_reply(&pending->proposer, OUTCOME_NOT_EXECUTED, pending->index, server->leader_id, NULL);
}

/* Terms never go back along a log: behind a committed entry no entry of a lower term will ever be. */
static void refuse_cut_off(struct server *server, raft_term committed_term)
{
    while (server->pending_count > 0 && pending_at(server, 0)->term < committed_term) {
        struct pending pending = pending_take(server);
        tell_never_executed(server, &pending);
    }
}

struct wait *proposals_settle(struct server *server, const struct batch *entries, size_t *wait_count)
{
    const struct entry *first = entries->list[0], *last = entries->list[entries->count - 1];
    struct wait *waits = NULL;
    *wait_count = 0;
    while (server->pending_count > 0 && pending_at(server, 0)->index <= last->index) {
        struct pending pending = pending_take(server);
        assert(pending.index >= first->index);
        if (entries->list[pending.index - first->index]->term != pending.term) {
            tell_never_executed(server, &pending);
            continue;
        }
        if (waits == NULL)
            waits = memory_new(entries->count * sizeof *waits);
        waits[(*wait_count)++] = (struct wait){pending.index, pending.proposer};
    }
    refuse_cut_off(server, last->term);
    return waits;
}

void proposals_abandon(struct server *server)
{
    while (server->pending_count > 0) {
        struct pending pending = pending_take(server);
        applier_reply(&pending.proposer, OUTCOME_UNCERTAIN, pending.index, NO_ONE, NULL);
    }
}
