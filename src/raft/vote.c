#include "raft/vote.h"

#include "raft/leader.h"
#include "raft/membership.h"
#include "raft/timer.h"

bool vote_leader_lives(const struct server *server)
{
    int64_t timeout_us = server->config.election_timeout_min_us;
    if (server->role == LEADER)
        return !server->handing_over && server->now_us - leader_quorum_heard_us(server) < timeout_us;
    return server->leader_id != NO_ONE && !server->leader_silent && server->now_us - server->heard_us < timeout_us;
}

/* Section 5.4.1: the log whose last entry has the later term is the more up to date; with equal terms, the longer. */
static bool log_is_behind(const struct server *server, const struct message *request)
{
    raft_term last_term = raft_log_last_term(&server->raft_log);
    if (request->last_log_term != last_term)
        return request->last_log_term < last_term;
    return request->last_log_index < raft_log_last_index(&server->raft_log);
}

static enum refusal leader_refusal(const struct server *server, int64_t *detail)
{
    if (!vote_leader_lives(server))
        return REFUSAL_NONE;
    *detail = server->role == LEADER ? 0 : (server->now_us - server->heard_us) / 1000;
    return server->role == LEADER ? REFUSAL_LEADING : REFUSAL_LEADER_LIVES;
}

/* A voter whose folder is new to the cluster may have forgotten a vote, or entries that it acknowledged: it counts only
 * where the candidate's CONFIG lists the folder that it has now. */
static bool has_forgotten(const struct server *server)
{
    return membership_is_outsider(server) && !data_id_equal(&server->message->data_id, &server->data_id);
}

static enum refusal pre_vote_refusal(const struct server *server, int64_t *detail)
{
    if (server->message->curr_term <= server->current_term)
        return REFUSAL_STALE_TERM;
    enum refusal refusal = leader_refusal(server, detail);
    if (refusal != REFUSAL_NONE)
        return refusal;
    if (has_forgotten(server))
        return REFUSAL_NEW_FOLDER;
    return log_is_behind(server, server->message) ? REFUSAL_LOG_BEHIND : REFUSAL_NONE;
}

void vote_log(const struct server *server, enum log_level level, const char *deed, raft_id peer, const char *what,
              const struct message *answer)
{
    char reason[100];
    if (answer->vote_granted)
        log_put(server->log, level, "%s %d %s granted: 1", deed, peer, what);
    else
        log_put(server->log, level, "%s %d %s granted: 0 reason=\"%s\"", deed, peer, what,
                message_refusal_describe(answer, reason, sizeof reason));
}

static void answer(struct server *server, struct message *answer, const char *what, enum log_level level)
{
    vote_log(server, level, "Sent mail to", server->message->server_id, what, answer);
    server_answer(server, answer);
}

void vote_answer_pre_vote(struct server *server)
{
    struct message response = {.type_of_message = RESPONSE_PRE_VOTE};
    response.refusal = pre_vote_refusal(server, &response.refusal_detail);
    response.vote_granted = response.refusal == REFUSAL_NONE;
    /* A granted answer names the term that was asked about, since it is a promise of nothing in ours. */
    response.curr_term = response.vote_granted ? server->message->curr_term : server->current_term;
    answer(server, &response, "pre-vote", LOG_DEBUG);
    if (response.vote_granted)
        timer_yield(server);
}

enum refusal vote_disruption(const struct server *server, int64_t *detail)
{
    return server->message->transfer ? REFUSAL_NONE : leader_refusal(server, detail);
}

enum refusal vote_refusal(const struct server *server, raft_id voted_for, int64_t *detail)
{
    if (has_forgotten(server))
        return REFUSAL_NEW_FOLDER;
    if (log_is_behind(server, server->message))
        return REFUSAL_LOG_BEHIND;
    if (voted_for == server->message->server_id)
        return REFUSAL_NONE; /* asked again, since our answer got lost: the same answer */
    if (voted_for != NO_ONE) {
        *detail = voted_for;
        return REFUSAL_VOTED;
    }
    return vote_disruption(server, detail);
}

void vote_refuse(struct server *server, enum refusal refusal, int64_t detail)
{
    struct message response = {.type_of_message = RESPONSE_VOTE,
                               .curr_term = server->current_term,
                               .refusal = refusal,
                               .refusal_detail = detail};
    answer(server, &response, "vote", LOG_INFO);
}

bool vote_answer(struct server *server)
{
    int64_t detail = 0;
    raft_id candidate = server->message->server_id;
    enum refusal refusal = vote_refusal(server, server->voted_for, &detail);
    if (refusal != REFUSAL_NONE) {
        vote_refuse(server, refusal, detail);
        return false;
    }
    if (server->voted_for == NO_ONE) { /* durable first (Figure 2): the request is read again when it is */
        server_keep_mail(server);
        server_save_ballot(server, server->current_term, candidate, "REQUEST_VOTE of %d", candidate);
        return false;
    }
    struct message response = {
        .type_of_message = RESPONSE_VOTE, .curr_term = server->current_term, .vote_granted = true};
    answer(server, &response, "vote", LOG_INFO);
    return true;
}
