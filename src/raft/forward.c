#include "raft/forward.h"

#include <assert.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "raft/proposals.h"
#include "raft/reads.h"
#include "raft/route.h"

/* ---- What is on its way ---- */

#define NONE SIZE_MAX

static bool is_command(enum request_kind kind)
{
    return kind == REQUEST_COMMAND;
}

/* A free place; the list of free ones is kept through them. */
static size_t take_place(struct server *server)
{
    if (server->forwarded_free == NONE || server->forwarded_room == 0) {
        size_t room = server->forwarded_room == 0 ? 64 : 2 * server->forwarded_room;
        server->forwarded = memory_resize(server->forwarded, room * sizeof *server->forwarded);
        for (size_t i = server->forwarded_room; i < room; i++)
            server->forwarded[i] = (struct forwarded){.next_free = i + 1 < room ? i + 1 : NONE};
        server->forwarded_free = server->forwarded_room;
        server->forwarded_room = room;
    }
    size_t place = server->forwarded_free;
    server->forwarded_free = server->forwarded[place].next_free;
    return place;
}

/* Answers whoever waits, and frees the place: its next number is another one. Moves the bytes. */
static void settle(struct server *server, size_t place, enum outcome outcome, raft_index index, raft_id leader_id)
{
    struct forwarded *forwarded = &server->forwarded[place];
    applier_reply(&forwarded->proposer, outcome, index, leader_id, &forwarded->answer);
    server->forwarded_bytes -= forwarded->bytes;
    *forwarded = (struct forwarded){.generation = forwarded->generation + 1, .next_free = server->forwarded_free};
    server->forwarded_free = place;
}

/* Without an answer. */
static void give_up(struct server *server, size_t place)
{
    bool command = is_command(server->forwarded[place].kind);
    buffer_fini(&server->forwarded[place].answer);
    settle(server, place, command ? OUTCOME_UNCERTAIN : OUTCOME_NOT_EXECUTED, 0, NO_ONE);
}

static uint64_t number_of(const struct server *server, size_t place)
{
    return (uint64_t)server->forwarded[place].generation << 32 | place;
}

/* NONE for a number that nobody waits for. */
static size_t place_of(const struct server *server, uint64_t number)
{
    size_t place = (uint32_t)number;
    if (place >= server->forwarded_room || server->forwarded[place].kind == 0 ||
        server->forwarded[place].generation != (uint32_t)(number >> 32))
        return NONE;
    return place;
}

/* ---- Asking ---- */

static void flush_requests(struct server *server)
{
    const struct way *way = &server->forwarding_way;
    if (server->forwarding.size == 0)
        return;
    struct message message = {.type_of_message = FORWARD, .curr_term = way->term};
    server_forward(server, way->leader_id, &message, &server->forwarding);
    buffer_clear(&server->forwarding);
}

void forward_ask(struct server *server, enum request_kind kind)
{
    const struct letter *letter = server->letter;
    const struct way *way = &server->way;
    if (letter->request.size > server->config.entry_bytes_max - ENTRY_HEAD_BYTES) {
        applier_reply(&letter->proposer, OUTCOME_TOO_LARGE, 0, NO_ONE, NULL); /* its message would be refused */
        return;
    }
    size_t place = take_place(server);
    if (!way_is_same(way, &server->forwarding_way))
        flush_requests(server);
    server->forwarded[place] = (struct forwarded){.generation = server->forwarded[place].generation,
                                                  .kind = kind,
                                                  .proposer = letter->proposer,
                                                  .bytes = REQUEST_HEAD_BYTES + letter->request.size,
                                                  .way = *way};
    server->forwarded_bytes += server->forwarded[place].bytes;
    requests_put(&server->forwarding, &(struct request){.kind = kind,
                                                        .number = number_of(server, place),
                                                        .index = letter->index,
                                                        .bytes = letter->request.bytes,
                                                        .size = letter->request.size});
    server->forwarding_way = *way;
}

static bool is_of_this_way(const struct server *server, const struct forwarded *forwarded)
{
    const struct message *message = server->message;
    return message->server_id == forwarded->way.leader_id &&
           server->letter->link.incarnation == forwarded->way.incarnation &&
           message->request_incarnation == mailbox_incarnation(server->mailbox) &&
           message->request_connection == forwarded->way.reached;
}

static void take_reply(struct server *server, const struct reply *reply)
{
    size_t place = place_of(server, reply->number);
    if (place == NONE || !is_of_this_way(server, &server->forwarded[place]))
        return;
    mailraft_buffer_put(&server->forwarded[place].answer, reply->bytes, reply->size);
    if (reply->more)
        return;
    /* Where it was meant for an earlier term, it is that which was refused, not what comes over the present way. */
    if (reply->outcome == OUTCOME_NOT_EXECUTED && reply->index == 0 &&
        server->message->server_id == server->leader_id && server->message->curr_term == server->current_term &&
        server->forwarded[place].way.term == server->current_term)
        route_refused(server);
    settle(server, place, reply->outcome, reply->index, reply->leader_id);
}

void forward_answered(struct server *server)
{
    struct reply reply;
    size_t at = 0;
    while (replies_next(&server->letter->body, &at, &reply))
        take_reply(server, &reply);
}

static bool stands(const struct way *way, const struct peer *peer)
{
    uint64_t connection = peer->connected[CHANNEL_BULK] ? peer->connection[CHANNEL_BULK] : 0;
    return way->incarnation == peer->incarnation && way->reached == peer->reached[CHANNEL_BULK] &&
           way->connection == connection;
}

/* What has not left yet never will. */
static void refuse_gathered(struct server *server)
{
    struct request request;
    size_t at = 0;
    while (requests_next(&server->forwarding, &at, &request))
        settle(server, place_of(server, request.number), OUTCOME_NOT_EXECUTED, 0, NO_ONE);
    buffer_clear(&server->forwarding);
}

void forward_check(struct server *server, int position)
{
    const struct peer *peer = &server->peers[position];
    if (server->forwarding_way.leader_id == peer->id && !stands(&server->forwarding_way, peer))
        refuse_gathered(server);
    for (size_t i = 0; i < server->forwarded_room; i++) {
        const struct forwarded *forwarded = &server->forwarded[i];
        if (forwarded->kind != 0 && forwarded->way.leader_id == peer->id && !stands(&forwarded->way, peer))
            give_up(server, i);
    }
}

static bool is_of_the_past(const struct server *server, const struct forwarded *forwarded)
{
    return forwarded->kind != 0 && forwarded->way.term != server->way.term;
}

void forward_leave_behind(struct server *server)
{
    if (server->forwarded_bytes == 0)
        return;
    refuse_gathered(server);
    for (size_t i = 0; i < server->forwarded_room; i++)
        if (is_of_the_past(server, &server->forwarded[i]) && !is_command(server->forwarded[i].kind))
            give_up(server, i);
    server->forwarded_due_us = server->now_us + server->config.election_timeout_max_us;
}

void forward_tend(struct server *server)
{
    if (server->now_us < server->forwarded_due_us)
        return;
    server->forwarded_due_us = CLOCK_NEVER;
    for (size_t i = 0; i < server->forwarded_room; i++)
        if (is_of_the_past(server, &server->forwarded[i]))
            give_up(server, i);
}

/* ---- Answering ---- */

static void take_request(struct server *server, const struct request *request, const struct proposer *proposer)
{
    switch (request->kind) {
    case REQUEST_COMMAND:
        proposals_take_forwarded(server, request->bytes, request->size, proposer);
        break;
    case REQUEST_QUERY:
    case REQUEST_QUERY_BEHIND:
        reads_take_forwarded(server, request->bytes, request->size, proposer, request->kind == REQUEST_QUERY_BEHIND);
        break;
    case REQUEST_COUNT:
        proposals_count(server, request->index, proposer);
        break;
    }
}

/* Each request of server->letter, with whoever its answer is for. */
static void take_all(struct server *server, bool refuse)
{
    struct proposer proposer = {.pile = server->pile, .link = server->letter->link};
    struct request request;
    size_t at = 0;
    while (requests_next(&server->letter->body, &at, &request)) {
        proposer.number = request.number;
        if (refuse)
            route_refuse(server, &proposer);
        else
            take_request(server, &request, &proposer);
    }
}

void forward_take(struct server *server)
{
    take_all(server, !route_may_lead_others(server));
}

void forward_refuse(struct server *server)
{
    take_all(server, true);
}

static bool is_present(const struct peer *peer, const struct link *link)
{
    return peer->incarnation == link->incarnation && peer->connected[CHANNEL_BULK] &&
           peer->connection[CHANNEL_BULK] == link->connection;
}

static void flush_replies(struct server *server, int position)
{
    struct peer *peer = &server->peers[position];
    if (peer->answers.size == 0)
        return;
    struct message message = {.type_of_message = FORWARDED,
                              .curr_term = server->current_term,
                              .request_incarnation = peer->answers_link.incarnation,
                              .request_connection = peer->answers_link.connection,
                              .request_channel = CHANNEL_BULK};
    bool present = is_present(peer, &peer->answers_link);
    if (present && peer->reached[CHANNEL_BULK] == 0)
        return; /* it may know of our connection before we do, and wait for an answer over it */
    if (present)
        server_forward(server, peer->id, &message, &peer->answers);
    buffer_clear(&peer->answers);
}

/* What waits already counts: so an answer of any size has its chance. */
static bool is_stuffed(const struct server *server, const struct peer *peer)
{
    size_t leaving = mailbox_waiting_bytes(server->mailbox, peer->id, CHANNEL_BULK);
    return peer->answers.size + leaving > FORWARD_WAITING_MAX;
}

void forward_reply(struct server *server)
{
    const struct letter *letter = server->letter;
    const struct link *link = &letter->reply.link;
    int position = members_find(&server->config.members, link->peer);
    struct peer *peer = &server->peers[position];
    if (!is_present(peer, link))
        return; /* whoever asked has been told that it is uncertain */
    struct reply reply = {.outcome = letter->reply.outcome,
                          .number = letter->number,
                          .index = letter->reply.index,
                          .leader_id = letter->reply.leader_id,
                          .bytes = letter->reply.bytes.bytes,
                          .size = letter->reply.bytes.size};
    if (reply.size > FORWARD_SMALL_BYTES && is_stuffed(server, peer)) {
        reply.outcome = OUTCOME_UNCERTAIN; /* of a query, too: NOT_EXECUTED would say that we do not lead */
        reply.size = 0;
    }
    if (!is_present(peer, &peer->answers_link))
        buffer_clear(&peer->answers); /* what had gathered for an earlier connection */
    peer->answers_link = *link;
    replies_put(&peer->answers, &reply);
    if (peer->answers.size >= FORWARD_GATHER_BYTES)
        flush_replies(server, position);
}

/* ---- Both ---- */

bool forward_has_gathered(const struct server *server)
{
    for (int i = 0; i < server->config.members.count; i++)
        if (server->peers[i].answers.size > 0)
            return true;
    return server->forwarding.size > 0;
}

bool forward_is_full(const struct server *server)
{
    return server->forwarding.size >= FORWARD_GATHER_BYTES;
}

void forward_flush(struct server *server)
{
    flush_requests(server);
    for (int i = 0; i < server->config.members.count; i++)
        flush_replies(server, i);
}

void forward_fini(struct server *server)
{
    for (size_t i = 0; i < server->forwarded_room; i++)
        if (server->forwarded[i].kind != 0)
            give_up(server, i);
    memory_free(server->forwarded);
    buffer_fini(&server->forwarding);
    for (int i = 0; i < server->config.members.count; i++)
        buffer_fini(&server->peers[i].answers);
}
