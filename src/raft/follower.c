/* follower.c - a follower answers requests, and stands for election when it hears from nobody (Figure 2, "Rules for
 * Servers", Followers). */
#include "raft/append.h"
#include "raft/leader.h"
#include "raft/membership.h"
#include "raft/timer.h"
#include "raft/vote.h"

/* Two leaders in one term cannot be (election safety, section 5.2): whoever says so is not believed. */
static bool is_second_leader(struct server *server)
{
    const struct message *request = server->message;
    if (server->leader_id == NO_ONE || server->leader_id == request->server_id)
        return false;
    if (server_may_warn(server, &server->nonsense_due_us))
        log_error(server->log, "Two leaders in term %llu: %d and %d; REQUEST_APPEND_ENTRIES of %d refused",
              (unsigned long long)server->current_term, server->leader_id, request->server_id, request->server_id);
    return true;
}

static void hear_leader(struct server *server)
{
    if (server->leader_id == NO_ONE) {
        server->leader_id = server->message->server_id;
        log_info(server->log, "Following leader %d", server->leader_id);
    }
    cluster_time_hear(&server->time, server->message->time_us, server->now_us);
    bool urgent = server->letter->link.channel == CHANNEL_URGENT;
    if (urgent)
        server->leader_round_trip_us = server->message->round_trip_max_us;
    if (urgent || !server->leader_silent) /* entries that a dead leader had sent before do not tell that it lives */
        timer_leader_spoke(server);
}

static void answer_append(struct server *server)
{
    if (is_second_leader(server)) {
        append_refuse(server);
        return;
    }
    hear_leader(server);
    append_take(server);
    if (server->stop_asked) /* we led, handed over, and have heard our successor lead */
        server_finish(server, server->config.heartbeat_us);
}

/* Whoever cannot write would not lead, and whose folder is new may have forgotten what it promised. */
static bool may_stand(struct server *server)
{
    if (leader_disk_hangs(server))
        log_info(server->log, "Not standing cause=\"the disk has not answered for %lld ms\"",
                 (long long)(server->now_us - server->unsaved_since_us) / 1000);
    return !leader_disk_hangs(server) && !membership_is_outsider(server);
}

static void take_over(struct server *server)
{
    if (server->message->server_id != server->leader_id)
        return; /* only who leads can give leadership away */
    if (!may_stand(server))
        return;
    server->transfer = true;
    server_transition(server, CANDIDATE, "leader %d hands over", server->leader_id);
}

static void handle_message(struct server *server)
{
    switch (server->message->type_of_message) {
    case REQUEST_VOTE:
        if (vote_answer(server))
            timer_restart(server); /* only a granted vote puts our own candidacy off, a refused one does not */
        break;
    case REQUEST_APPEND_ENTRIES:
        answer_append(server);
        break;
    case TIMEOUT_NOW:
        take_over(server);
        break;
    case HELLO:            /* the mailbox's own */
    case REQUEST_PRE_VOTE: /* answered for every role alike */
    case RESPONSE_PRE_VOTE:
    case RESPONSE_VOTE:
    case FORWARD:          /* and these */
    case FORWARDED:
    case RESPONSE_APPEND_ENTRIES: /* late answers to what we asked in another role */
        break;
    }
}

static void stand(struct server *server)
{
    if (!may_stand(server)) {
        timer_restart(server);
        return;
    }
    double heard_ms = (double)(server->now_us - server->heard_us) / 1000;
    if (server->leader_id != NO_ONE && server->leader_silent)
        server_transition(server, CANDIDATE, "leader %d closed its connection", server->leader_id);
    else if (server->leader_id != NO_ONE)
        server_transition(server, CANDIDATE, "election timeout, leader %d heard %.1f ms ago", server->leader_id,
                          heard_ms);
    else
        server_transition(server, CANDIDATE, "election timeout, no leader heard in this term");
}

void follow(struct server *server)
{
    while (server->role == FOLLOWER && !server->stopping) {
        switch (server_take_mail(server, server->election_deadline_us)) {
        case MAIL_MESSAGE:
            handle_message(server);
            break;
        case MAIL_DEADLINE:
            stand(server);
            break;
        case MAIL_CHANGED:
            break;
        }
    }
}
