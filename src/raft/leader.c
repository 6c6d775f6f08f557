/* leader.c - a leader tells everybody that it leads, and gives up when no majority answers (Figure 2, "Rules for
 * Servers", Leaders; the check of the quorum: dissertation, section 6.2). */
#include "raft/leader.h"

#include "raft/members.h"
#include "raft/vote.h"

#define HAND_OVER_WAIT_US 500000 /* how long a leader that stops waits to hear its successor */

int64_t leader_quorum_heard_us(const struct server *server)
{
    int64_t heard_us[MEMBERS_MAX];
    for (int i = 0; i < server->config.members.count; i++)
        heard_us[i] = i == server->self ? server->now_us : server->peers[i].answered_sent_us;
    return members_quorum_reached(&server->config.members, heard_us);
}

/* Of the members that answer: what one that is gone took at its end would slow every election down for ever. */
static uint32_t round_trip_max_us(const struct server *server)
{
    int64_t max_us = 0;
    for (int i = 0; i < server->config.members.count; i++) {
        const struct peer *peer = &server->peers[i];
        if (server->now_us - peer->answered_sent_us < server->config.election_timeout_max_us &&
            peer->round_trip_us > max_us)
            max_us = peer->round_trip_us;
    }
    return max_us < UINT32_MAX ? (uint32_t)max_us : UINT32_MAX;
}

/* Begins a new round, unless the last one began so lately that ROUNDS_KEPT such rounds would not outlast the timeout
 * within which an answer counts. Then these heartbeats belong to that one, and count as sent when it began. */
static void number_round(struct server *server)
{
    int64_t least_us = server->config.election_timeout_max_us / (ROUNDS_KEPT / 2);
    int64_t began_us = server->round_sent_us[server->heartbeat_round % ROUNDS_KEPT];
    if (server->heartbeat_round > 0 && server->now_us - began_us < least_us)
        return;
    server->heartbeat_round++;
    server->round_sent_us[server->heartbeat_round % ROUNDS_KEPT] = server->now_us;
}

static void send_heartbeats(struct server *server)
{
    number_round(server);
    server->heartbeat_due_us = server->now_us + server->config.heartbeat_us;
    struct message request = {.type_of_message = REQUEST_APPEND_ENTRIES,
                              .curr_term = server->current_term,
                              .prev_index = server->last_log_index,
                              .prev_term = server->last_log_term,
                              .commit_index = server->commit_index,
                              .round_trip_max_us = round_trip_max_us(server),
                              .round = server->heartbeat_round};
    server_broadcast(server, &request);
}

/* An answer proves that its sender heard us when the round it echoes left, not when we read it. */
static void handle_answer(struct server *server)
{
    const struct message *answer = server->message;
    struct peer *peer = &server->peers[members_find(&server->config.members, answer->server_id)];
    if (answer->round <= peer->answered_round || answer->round > server->heartbeat_round ||
        server->heartbeat_round - answer->round >= ROUNDS_KEPT)
        return; /* answered already, never sent, or long ago */
    peer->answered_round = answer->round;
    peer->answered_sent_us = server->round_sent_us[answer->round % ROUNDS_KEPT];
    peer->round_trip_us = server->now_us - peer->answered_sent_us;
    log_debug(server->log, "Round trip peer=%d round=%llu round_trip_us=%lld", peer->id,
              (unsigned long long)answer->round, (long long)peer->round_trip_us);
}

/* Election safety (section 5.2) says that nobody else can lead our term: whoever says so is refused, loudly. */
static void refuse_second_leader(struct server *server)
{
    log_error(server->log, "Two leaders in term %llu: we and %d; REQUEST_APPEND_ENTRIES refused",
              (unsigned long long)server->current_term, server->message->server_id);
    struct message response = {.type_of_message = RESPONSE_APPEND_ENTRIES, .curr_term = server->current_term};
    server_answer(server, &response);
}

static void handle_message(struct server *server)
{
    switch (server->message->type_of_message) {
    case RESPONSE_APPEND_ENTRIES:
        handle_answer(server);
        break;
    case REQUEST_VOTE: /* of our term, in which we chose ourselves: a refusal ends the candidacy at once */
        vote_answer(server);
        break;
    case REQUEST_APPEND_ENTRIES:
        refuse_second_leader(server);
        break;
    case HELLO:
    case REQUEST_PRE_VOTE:
    case RESPONSE_PRE_VOTE:
    case RESPONSE_VOTE: /* a vote that came after the majority's */
    case TIMEOUT_NOW:
        break;
    }
}

static int most_up_to_date(const struct server *server)
{
    int best = -1;
    for (int i = 0; i < server->config.members.count; i++) {
        const struct peer *peer = &server->peers[i];
        if (i == server->self || !peer->connected || peer->answered_round == 0 ||
            server->now_us - peer->answered_sent_us >= server->config.election_timeout_min_us)
            continue;
        if (best < 0 || peer->answered_round > server->peers[best].answered_round ||
            (peer->answered_round == server->peers[best].answered_round &&
             peer->round_trip_us < server->peers[best].round_trip_us))
            best = i;
    }
    return best;
}

bool leader_hand_over(struct server *server)
{
    int successor = most_up_to_date(server);
    if (successor < 0)
        return false;
    raft_id id = server->config.members.list[successor].id;
    log_info(server->log, "Handing over to %d", id);
    server->handing_over = true;
    server->stop_deadline_us = server->now_us + HAND_OVER_WAIT_US;
    struct message request = {.type_of_message = TIMEOUT_NOW, .curr_term = server->current_term};
    server_send(server, id, &request);
    return true;
}

/* Steps down when no majority has answered for the maximum election timeout: by then another may lead. */
static bool check_quorum(struct server *server)
{
    int64_t silent_us = server->now_us - leader_quorum_heard_us(server);
    if (silent_us < server->config.election_timeout_max_us)
        return true;
    server_transition(server, FOLLOWER, "no majority answered for %.1f ms", (double)silent_us / 1000);
    return false;
}

static int64_t next_deadline_us(const struct server *server)
{
    int64_t quorum_us = leader_quorum_heard_us(server) + server->config.election_timeout_max_us;
    return quorum_us < server->heartbeat_due_us ? quorum_us : server->heartbeat_due_us;
}

void lead(struct server *server)
{
    while (server->role == LEADER && !server->stopping) {
        switch (server_take_mail(server, next_deadline_us(server))) {
        case MAIL_MESSAGE:
            handle_message(server);
            break;
        case MAIL_DEADLINE: /* only then: letters that came before it may hold the answers that are missed */
            if (check_quorum(server) && server->now_us >= server->heartbeat_due_us)
                send_heartbeats(server);
            break;
        case MAIL_CHANGED:
            break;
        }
    }
}
