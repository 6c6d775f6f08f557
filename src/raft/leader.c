/* leader.c - a leader tells everybody that it leads, and gives up when no majority answers (Figure 2, "Rules for
 * Servers", Leaders; the check of the quorum: dissertation, section 6.2). */
#include "raft/leader.h"

#include "base/clock.h"
#include "raft/append.h"
#include "raft/membership.h"
#include "raft/proposals.h"
#include "raft/reads.h"
#include "raft/replication.h"
#include "raft/vote.h"

#define WALL_MOVED_US 50000 /* so far the wall clock may move before the log tells its new lead */

int64_t leader_quorum_heard_us(const struct server *server)
{
    int64_t heard_us[MEMBERS_MAX];
    for (int i = 0; i < server->config.members.count; i++)
        heard_us[i] = i == server->self ? server->now_us : server->peers[i].answered_sent_us;
    return membership_quorum_reached(server, heard_us);
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

/* Queries may begin so many rounds that an answer from far away comes when its round is not kept any more. */
static void mark_round(struct server *server)
{
    size_t count = server->round_mark_count;
    int64_t least_us = server->config.election_timeout_max_us / (ROUND_MARKS / 2);
    if (count > 0 && server->now_us - server->round_marks[(count - 1) % ROUND_MARKS].sent_us < least_us)
        return;
    server->round_marks[count % ROUND_MARKS] = (struct round_mark){server->heartbeat_round, server->now_us};
    server->round_mark_count++;
}

static void begin_round(struct server *server)
{
    server->heartbeat_round++;
    server->round_sent_us[server->heartbeat_round % ROUNDS_KEPT] = server->now_us;
    mark_round(server);
}

/* When it left; of one that is not kept, when an earlier one did. False: that is long ago. */
static bool find_round(const struct server *server, uint64_t round, int64_t *sent_us)
{
    size_t count = server->round_mark_count;
    *sent_us = server->round_sent_us[round % ROUNDS_KEPT];
    if (server->heartbeat_round - round < ROUNDS_KEPT)
        return true;
    for (size_t i = count; i > 0 && i + ROUND_MARKS > count; i--) {
        const struct round_mark *mark = &server->round_marks[(i - 1) % ROUND_MARKS];
        *sent_us = mark->sent_us;
        if (mark->round <= round)
            return true;
    }
    return false;
}

/* Begins a new round, unless the last one began so lately that ROUNDS_KEPT such rounds would not outlast the timeout
 * within which an answer counts. Then these heartbeats belong to that one, and count as sent when it began. */
static void number_round(struct server *server)
{
    int64_t least_us = server->config.election_timeout_max_us / (ROUNDS_KEPT / 2);
    int64_t began_us = server->round_sent_us[server->heartbeat_round % ROUNDS_KEPT];
    if (server->heartbeat_round == server->earlier_rounds || server->now_us - began_us >= least_us)
        begin_round(server);
}

/* A heartbeat names the last entry that its receiver has acknowledged: so it never contradicts a log that is only
 * behind, and tells the commit index as far as that one can know it. */
static void send_heartbeat(struct server *server, int position)
{
    raft_index match_index = server->peers[position].progress.match_index;
    struct message request = {.type_of_message = REQUEST_APPEND_ENTRIES,
                              .curr_term = server->current_term,
                              .prev_index = match_index,
                              .prev_term = raft_log_term_at(&server->raft_log, match_index),
                              .commit_index = server->commit_index,
                              .round_trip_max_us = round_trip_max_us(server),
                              .time_us = cluster_time_now(&server->time, server->now_us),
                              .round = server->heartbeat_round};
    server_send(server, server->peers[position].id, &request);
}

static void send_round(struct server *server)
{
    server->heartbeat_due_us = server->now_us + server->config.heartbeat_us;
    for (int i = 0; i < server->config.members.count; i++)
        if (i != server->self)
            send_heartbeat(server, i);
}

static void send_heartbeats(struct server *server)
{
    number_round(server);
    send_round(server);
}

/* A round of its own, whenever the last one began: only what was sent after a query came proves that we lead still. */
void leader_confirm_reads(struct server *server)
{
    if (!reads_want_round(server) || server->handing_over)
        return;
    begin_round(server);
    send_round(server);
    reads_begin_round(server);
}

/* An answer proves that its sender heard us when the round it echoes left, not when we read it. */
static void note_round(struct server *server)
{
    const struct message *answer = server->message;
    struct peer *peer = &server->peers[members_find(&server->config.members, answer->server_id)];
    int64_t sent_us;
    if (answer->round <= peer->answered_round || answer->round > server->heartbeat_round ||
        !find_round(server, answer->round, &sent_us))
        return; /* answered already or of an earlier term, never sent, or long ago */
    peer->answered_round = answer->round;
    peer->answered_sent_us = sent_us;
    peer->round_trip_us = server->now_us - peer->answered_sent_us;
    reads_count(server);
    log_debug(server->log, "Round trip peer=%d round=%llu round_trip_us=%lld", peer->id,
              (unsigned long long)answer->round, (long long)peer->round_trip_us);
}

/* Election safety (section 5.2) says that nobody else can lead our term: whoever says so is refused, loudly. */
static void refuse_second_leader(struct server *server)
{
    if (server_may_warn(server, &server->nonsense_due_us))
        log_error(server->log, "Two leaders in term %llu: we and %d; REQUEST_APPEND_ENTRIES refused",
              (unsigned long long)server->current_term, server->message->server_id);
    append_refuse(server);
}

static bool is_better(const struct peer *peer, const struct peer *best)
{
    if (peer->progress.match_index != best->progress.match_index)
        return peer->progress.match_index > best->progress.match_index;
    if (peer->answered_round != best->answered_round)
        return peer->answered_round > best->answered_round;
    return peer->round_trip_us < best->round_trip_us;
}

static int most_up_to_date(const struct server *server)
{
    int best = -1;
    for (int i = 0; i < server->config.members.count; i++) {
        const struct peer *peer = &server->peers[i];
        if (i == server->self || !peer->connected[CHANNEL_URGENT] || peer->answered_round == server->earlier_rounds ||
            !membership_counts(server, i) ||
            server->now_us - peer->answered_sent_us >= server->config.election_timeout_min_us)
            continue;
        if (best < 0 || is_better(peer, &server->peers[best]))
            best = i;
    }
    return best;
}

static void hand_over_when_due(struct server *server)
{
    if (server->successor < 0 || server->handing_over)
        return;
    if (!server->peers[server->successor].connected[CHANNEL_URGENT] && most_up_to_date(server) >= 0)
        server->successor = most_up_to_date(server);
    const struct peer *successor = &server->peers[server->successor];
    if (successor->progress.match_index < raft_log_last_index(&server->raft_log))
        return;
    log_info(server->log, "Handing over to %d", successor->id);
    server->handing_over = true;
    struct message request = {.type_of_message = TIMEOUT_NOW, .curr_term = server->current_term};
    server_send(server, successor->id, &request);
}

bool leader_begin_hand_over(struct server *server)
{
    server->successor = most_up_to_date(server);
    if (server->successor < 0)
        return false;
    server->stop_deadline_us = server->now_us + SERVER_STOP_WAIT_US;
    server_flush(server);
    hand_over_when_due(server);
    return true;
}

static void handle_answer(struct server *server)
{
    if (replication_is_of_the_past(server))
        return;
    note_round(server);
    replication_answered(server);
    hand_over_when_due(server);
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
    case FORWARD: /* these are taken in every role alike */
    case FORWARDED:
        break;
    }
}

/* Steps down when no majority has answered for the maximum election timeout: by then another may lead. */
static bool check_quorum(struct server *server)
{
    int64_t heard_us = leader_quorum_heard_us(server);
    int64_t silent_us = server->now_us - heard_us;
    if (silent_us < server->config.election_timeout_max_us)
        return true;
    if (heard_us == MEMBERSHIP_NO_QUORUM)
        server_transition(server, FOLLOWER, "fewer members than a majority have the folder that the cluster knows");
    else
        server_transition(server, FOLLOWER, "no majority answered for %.1f ms", (double)silent_us / 1000);
    return false;
}

bool leader_disk_hangs(const struct server *server)
{
    return server->unsaved_since_us != CLOCK_NEVER &&
           server->now_us - server->unsaved_since_us >= server->config.disk_stall_us;
}

/* Others may go on without our disk, but not we; and nobody knows when we shall hear what became of our proposals. */
static bool check_disk(struct server *server)
{
    if (!leader_disk_hangs(server))
        return true;
    server_transition(server, FOLLOWER, "the disk has not answered for %lld ms",
                      (long long)(server->now_us - server->unsaved_since_us) / 1000);
    proposals_abandon(server);
    return false;
}

/* When the state machine changes by itself: an entry of that time makes all copies of it do so alike. */
static int64_t machine_due_us(const struct server *server)
{
    if (server->machine_deadline_us == MAILRAFT_NO_DEADLINE || server->stop_asked ||
        server->time.entry_time_us >= server->machine_deadline_us)
        return CLOCK_NEVER;
    return server->now_us + (server->machine_deadline_us - cluster_time_now(&server->time, server->now_us));
}

/* A leader's clock tells entries the time; where nobody proposes any, it does. */
static void tell_time(struct server *server)
{
    if (server->stop_asked || !membership_is_born(server))
        return;
    int64_t lead_us = clock_wall_us() - cluster_time_now(&server->time, server->now_us) - server->wall_offset_us;
    if (machine_due_us(server) <= server->now_us || lead_us >= WALL_MOVED_US || lead_us <= -WALL_MOVED_US)
        replication_append_time(server, ENTRY_TIME);
}

static int64_t earlier(int64_t left_us, int64_t right_us)
{
    return left_us < right_us ? left_us : right_us;
}

static int64_t next_deadline_us(const struct server *server)
{
    int64_t due_us = leader_quorum_heard_us(server) + server->config.election_timeout_max_us;
    if (server->unsaved_since_us != CLOCK_NEVER)
        due_us = earlier(due_us, server->unsaved_since_us + server->config.disk_stall_us);
    return earlier(earlier(due_us, machine_due_us(server)), server->heartbeat_due_us);
}

/* Only when a deadline has passed: letters that came before it may hold the answers that are missed. */
static void meet_deadlines(struct server *server)
{
    if (!check_quorum(server) || !check_disk(server))
        return;
    tell_time(server);
    if (server->now_us >= server->heartbeat_due_us)
        send_heartbeats(server);
}

void lead(struct server *server)
{
    while (server->role == LEADER && !server->stopping) {
        switch (server_take_mail(server, next_deadline_us(server))) {
        case MAIL_MESSAGE:
            handle_message(server);
            break;
        case MAIL_DEADLINE:
            meet_deadlines(server);
            break;
        case MAIL_CHANGED:
            break;
        }
    }
}
