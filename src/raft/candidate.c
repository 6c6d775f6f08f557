/* candidate.c - a candidate asks whether it could win, raises the term, asks for votes, and leads when a majority
 * grants them (Figure 2, "Rules for Servers", Candidates; the pre-vote: dissertation, section 9.6). */
#include "raft/membership.h"
#include "raft/timer.h"
#include "raft/vote.h"

#include <stdio.h>

#define ROUNDS_TOLD      3 /* so many failed rounds have lines of their own; then a line a second sums up */
#define SUMMARY_EVERY_US 1000000

static bool is_told(const struct server *server)
{
    return server->rounds_failed < ROUNDS_TOLD;
}

static void begin_round(struct server *server, enum campaign_phase phase)
{
    server->phase = phase;
    server->campaign_round++;
    server->granted = membership_counts(server, server->self) ? 1U << server->self : 0;
    server->refused = 0;
    server->round_lost = false;
    timer_start_round(server);
}

static void ask(struct server *server, enum message_type type, raft_term term)
{
    for (int i = 0; i < server->config.members.count; i++) {
        struct message request = {.type_of_message = type,
                                  .curr_term = term,
                                  .last_log_index = raft_log_last_index(&server->raft_log),
                                  .last_log_term = raft_log_last_term(&server->raft_log),
                                  .transfer = server->transfer,
                                  .data_id = membership_data_id(server, i),
                                  .round = server->campaign_round};
        if (i != server->self)
            server_send(server, server->config.members.list[i].id, &request);
    }
}

/* "Increment currentTerm, vote for self" - and both on the disk before anybody hears of it. */
static void stand(struct server *server, const char *why)
{
    server->phase = STANDING;
    server_save_ballot(server, server->current_term + 1, server->config.id, "%s", why);
}

static void count_pre_votes(struct server *server)
{
    if (!membership_is_quorum(server, server->granted))
        return;
    char why[60];
    snprintf(why, sizeof why, "pre-vote won %d/%d", __builtin_popcount(server->granted), server->config.members.count);
    stand(server, why);
}

static void count_votes(struct server *server)
{
    if (membership_is_quorum(server, server->granted))
        server_transition(server, LEADER, "votes %d/%d", __builtin_popcount(server->granted),
                          server->config.members.count);
}

static void ask_pre_votes(struct server *server)
{
    begin_round(server, PRE_VOTING);
    ask(server, REQUEST_PRE_VOTE, server->current_term + 1);
    count_pre_votes(server);
}

static void ask_votes(struct server *server)
{
    log_info(server->log, "Candidate! cause=\"%s\" last_log=%llu@%llu", server->wanted_cause,
             (unsigned long long)raft_log_last_index(&server->raft_log),
             (unsigned long long)raft_log_last_term(&server->raft_log));
    begin_round(server, VOTING);
    ask(server, REQUEST_VOTE, server->current_term);
    count_votes(server);
}

/* What is next, when no letter decides it. */
static void go_on(struct server *server)
{
    if (server->phase == ENTERING && server->transfer)
        stand(server, "told to take over");
    else if (server->phase == ENTERING)
        ask_pre_votes(server);
    else if (server->phase == STANDING && !server->waiting)
        ask_votes(server);
}

/* Whether those that may still grant are too few. Nothing more is expected of a member that has no connection to us. */
static bool is_lost(const struct server *server)
{
    uint32_t hopes = server->granted;
    for (int i = 0; i < server->config.members.count; i++)
        if (server->peers[i].connected[CHANNEL_URGENT] && membership_counts(server, i) &&
            (server->refused >> i & 1U) == 0)
            hopes |= 1U << i;
    return !membership_is_quorum(server, hopes);
}

/* Enters an answer of this round into the sets of those that granted and refused: votes are counted by member, so an
 * answer that comes twice counts once. */
static void enter_answer(struct server *server, const char *what)
{
    int position = members_find(&server->config.members, server->message->server_id);
    uint32_t voter = 1U << position;
    vote_log(server, is_told(server) ? LOG_INFO : LOG_DEBUG, "Reading mail from", server->message->server_id, what,
             server->message);
    if (server->message->vote_granted && membership_counts(server, position))
        server->granted |= voter;
    else
        server->refused |= voter;
    if (!server->round_lost && is_lost(server)) {
        server->round_lost = true;
        timer_round_lost(server);
    }
}

/* A leader lives when it says so itself. Another's word counts only when it has cost us the pre-vote: whoever gives it
 * may hear of the leader's death a little later than we did. */
static bool is_false_alarm(const struct server *server)
{
    enum refusal refusal = server->message->refusal;
    return refusal == REFUSAL_LEADING || (refusal == REFUSAL_LEADER_LIVES && server->round_lost);
}

static void handle_pre_vote(struct server *server)
{
    const struct message *answer = server->message;
    if (server->phase != PRE_VOTING || answer->round != server->campaign_round)
        return; /* of an earlier round */
    enter_answer(server, "pre-vote");
    if (answer->vote_granted)
        count_pre_votes(server);
    else if (is_false_alarm(server))
        timer_false_alarm(server);
}

static void handle_vote(struct server *server)
{
    if (server->phase != VOTING || server->message->round != server->campaign_round)
        return;
    enter_answer(server, "vote");
    count_votes(server);
}

/* Another stands in our term. We chose ourselves in it, unless we are only asking for pre-votes and chose nobody. */
static void handle_request_vote(struct server *server)
{
    int64_t detail = 0;
    enum refusal refusal = vote_refusal(server, server->voted_for, &detail);
    if (refusal != REFUSAL_NONE) {
        vote_refuse(server, refusal, detail);
        return;
    }
    server_keep_mail(server);
    server_transition(server, FOLLOWER, "%d stands in our term, in which we do not", server->message->server_id);
}

/* Entries that a leader had sent before its connection closed do not tell that it lives. */
static bool is_of_the_silent_leader(const struct server *server)
{
    return server->leader_silent && server->message->server_id == server->leader_id &&
           server->letter->link.channel == CHANNEL_BULK;
}

static void handle_message(struct server *server)
{
    switch (server->message->type_of_message) {
    case RESPONSE_PRE_VOTE:
        handle_pre_vote(server);
        break;
    case RESPONSE_VOTE:
        handle_vote(server);
        break;
    case REQUEST_VOTE:
        handle_request_vote(server);
        break;
    case REQUEST_APPEND_ENTRIES: /* "If AppendEntries RPC received from new leader: convert to follower" */
        if (is_of_the_silent_leader(server))
            break;
        server_keep_mail(server);
        server_transition(server, FOLLOWER, "%d leads our term", server->message->server_id);
        break;
    case TIMEOUT_NOW:
        if (server->message->server_id == server->leader_id && server->phase == PRE_VOTING) {
            server->transfer = true;
            server->phase = ENTERING;
        }
        break;
    case HELLO:
    case REQUEST_PRE_VOTE:
    case RESPONSE_APPEND_ENTRIES:
    case FORWARD:
    case FORWARDED:
        break;
    }
}

static void log_summary(struct server *server)
{
    if (server->now_us < server->summary_due_us)
        return;
    server->summary_due_us = server->now_us + SUMMARY_EVERY_US;
    char missing[MEMBERS_MAX * 12] = "";
    size_t used = 0;
    for (int i = 0; i < server->config.members.count; i++)
        if (((server->granted | server->refused) >> i & 1U) == 0)
            used += (size_t)snprintf(missing + used, sizeof missing - used, "%s%d", used > 0 ? "," : "",
                                     server->config.members.list[i].id);
    log_info(server->log, "Still no leader rounds=%d not_reached=%s", server->rounds_failed,
             used > 0 ? missing : "none");
}

/* "If election timeout elapses: start new election." On a hint, a lost round ends before its time. */
static void start_over(struct server *server)
{
    if (membership_is_outsider(server)) {
        server_transition(server, FOLLOWER, "our data folder is new to the cluster");
        timer_restart(server);
        return;
    }
    server->rounds_failed++;
    if (is_told(server))
        log_info(server->log, "Pre-vote! cause=\"%s, %s granted %d/%d\" term_wanted=%llu",
                 server->round_lost && server->hint_span_us > 0 ? "round lost" : "election timeout",
                 server->phase == VOTING ? "votes" : "pre-votes", __builtin_popcount(server->granted),
                 server->config.members.count, (unsigned long long)server->current_term + 1);
    else
        log_summary(server);
    timer_round_failed(server);
    server->transfer = false;
    server->phase = ENTERING;
}

void campaign(struct server *server)
{
    while (server->role == CANDIDATE && !server->stopping) {
        go_on(server);
        if (server->role != CANDIDATE)
            break;
        switch (server_take_mail(server, server->election_deadline_us)) {
        case MAIL_MESSAGE:
            handle_message(server);
            break;
        case MAIL_DEADLINE:
            start_over(server);
            break;
        case MAIL_CHANGED:
            break;
        }
    }
}
