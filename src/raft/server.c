#include "raft/server.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "raft/append.h"
#include "raft/commit.h"
#include "raft/forward.h"
#include "raft/leader.h"
#include "raft/membership.h"
#include "raft/peers.h"
#include "raft/proposals.h"
#include "raft/reads.h"
#include "raft/replication.h"
#include "raft/route.h"
#include "raft/timer.h"
#include "raft/vote.h"

const char *const ROLE_NAMES[3] = {"FOLLOWER", "CANDIDATE", "LEADER"};

/* ---- Beginning and end ---- */

static bool check_config(const struct server *server, struct mailraft_error *err)
{
    const struct members *ours = &server->config.members, *theirs = &server->configuration.members;
    bool same = ours->count == theirs->count;
    for (int i = 0; same && i < ours->count; i++)
        same = ours->list[i].id == theirs->list[i].id;
    if (server->configuration.index == 0 || same)
        return true;
    char text[MEMBERS_MAX * 12] = "";
    size_t used = 0;
    for (int i = 0; i < theirs->count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%d", i > 0 ? ", " : "", theirs->list[i].id);
    return error_raise(err, &CONFIG_ERROR, "The config lists other members than the cluster has, which are %s", text);
}

/* What the log says at a start: who belongs to the cluster, and what time it is. */
static bool read_log(struct server *server, struct mailraft_error *err)
{
    const struct raft_log *log = &server->raft_log;
    raft_index last = raft_log_last_index(log);
    const struct entry *config = raft_log_config(log);
    int64_t time_us = last == 0 ? 0 : raft_log_at(log, last)->time_us;
    cluster_time_begin(&server->time, time_us, server->now_us);
    if (raft_log_last_term(log) > server->current_term) /* a term is durable before any of its entries */
        return error_raise(err, &DAMAGED_ERROR,
                           "data_dir %s: the log ends in term %" PRIu64 ", but the ballot knows of no term above %" PRIu64
                           ": it is an older one, and votes may have been forgotten; restore the folder as a whole, or "
                           "empty it and start with --rejoin-empty",
                           server->config.data_dir, raft_log_last_term(log), server->current_term);
    if (config != NULL && !configuration_decode(config, &server->configuration, err)) {
        err->class = &DAMAGED_ERROR;
        return error_prefix(err, "data_dir %s", server->config.data_dir);
    }
    return check_config(server, err);
}

bool server_init(struct server *server, const struct node_config *config, const struct server_tools *tools,
                 struct storage_opened *opened, struct mailraft_error *err)
{
    *server = (struct server){.config = *config,
                              .self = members_find(&config->members, config->id),
                              .pile = tools->pile,
                              .log = tools->log,
                              .scribe = tools->scribe,
                              .log_reader = tools->log_reader,
                              .applier = tools->applier,
                              .mailbox = tools->mailbox,
                              .data_id = opened->data_id,
                              .current_term = opened->ballot.term,
                              .voted_for = opened->ballot.voted_for,
                              .cluster_uuid = opened->cluster_uuid,
                              .ballot_sync_us = opened->sync_us,
                              .role = FOLLOWER,
                              .leader_id = NO_ONE,
                              .machine_deadline_us = MAILRAFT_NO_DEADLINE,
                              .unsaved_since_us = CLOCK_NEVER,
                              .forwarded_due_us = CLOCK_NEVER,
                              .successor = -1,
                              .campaign_round = (uint64_t)random_between(1, INT64_MAX / 2),
                              .now_us = clock_now_us()};
    assert(server->self >= 0);
    for (int i = 0; i < config->members.count; i++)
        server->peers[i].id = config->members.list[i].id;
    raft_log_init(&server->raft_log, opened, config->log_cache_bytes);
    if (!read_log(server, err)) {
        raft_log_fini(&server->raft_log);
        return false;
    }
    log_set_state(server->log, server->current_term, ROLE_NAMES[FOLLOWER]);
    log_info(server->log, "Follower! cause=\"started\"");
    timer_restart(server);
    timer_tell(server);
    membership_watch(server);
    return true;
}

static void free_letter(struct server *server)
{
    letter_free(server->letter);
    server->letter = NULL;
    server->message = NULL;
}

/* What clients have asked for and nobody has looked at. */
static void refuse_mail(struct server *server)
{
    free_letter(server);
    while ((server->letter = pile_try(server->pile, LANE_CLIENTS, &server->now_us)) != NULL) {
        enum letter_kind kind = server->letter->kind;
        if (kind == LETTER_PROPOSE || kind == LETTER_READ || kind == LETTER_COUNT || kind == LETTER_READ_EARLY)
            route_refuse(server, &server->letter->proposer);
        free_letter(server);
    }
}

void server_fini(struct server *server)
{
    proposals_abandon(server);
    reads_abandon(server);
    forward_fini(server);
    refuse_mail(server);
    memory_free(server->pending);
    raft_log_fini(&server->raft_log);
    free_letter(server);
}

void server_fail(struct server *server, const struct mailraft_error *err)
{
    if (server->failure.class == NULL)
        server->failure = *err;
    server->stopping = true;
}

void server_run(struct server *server)
{
    while (!server->stopping) {
        switch (server->role) {
        case LEADER:
            lead(server);
            break;
        case CANDIDATE:
            campaign(server);
            break;
        case FOLLOWER:
            follow(server);
            break;
        }
    }
}

/* ---- Roles ---- */

static void enter_follower(struct server *server, enum role from, const char *cause)
{
    log_info(server->log, "Follower! STATE: %s -> FOLLOWER cause=\"%s\"", ROLE_NAMES[from], cause);
    if (from == LEADER) {
        reads_abandon(server);
        server->leader_id = NO_ONE;
        timer_restart(server);
    } /* a candidate keeps the deadline it stood with: to stop standing is no reason to wait longer */
    timer_tell(server);
}

static void enter_candidate(struct server *server, enum role from, const char *cause)
{
    log_info(server->log, "%s STATE: %s -> CANDIDATE cause=\"%s\" term_wanted=%" PRIu64,
             server->transfer ? "Hand-over!" : "Pre-vote!", ROLE_NAMES[from], cause, server->current_term + 1);
    proposals_abandon(server);
    server->phase = ENTERING;
    server->campaign_began_us = server->now_us;
    server->rounds_failed = 0;
    server->granted = 0;
    server->refused = 0;
}

static void enter_leader(struct server *server, enum role from, const char *cause)
{
    log_info(server->log, "Leader! STATE: %s -> LEADER cause=\"%s\" took_ms=%.1f", ROLE_NAMES[from], cause,
             (double)(server->now_us - server->campaign_began_us) / 1000);
    server->leader_id = server->config.id;
    server->leader_silent = false;
    server->hint_span_us = 0;
    server->handing_over = false;
    server->successor = -1;
    server->earlier_rounds = server->heartbeat_round;
    server->round_mark_count = 0;
    server->heartbeat_due_us = server->now_us;
    for (int i = 0; i < server->config.members.count; i++) {
        server->peers[i].answered_round = server->earlier_rounds;
        server->peers[i].answered_sent_us = server->now_us;
        server->peers[i].round_trip_us = 0;
    }
    replication_begin(server);
}

void server_transition(struct server *server, enum role role, const char *cause, ...)
{
    char text[200];
    va_list arguments;
    va_start(arguments, cause);
    vsnprintf(text, sizeof text, cause, arguments);
    va_end(arguments);

    enum role from = server->role;
    server->role = role;
    log_set_state(server->log, server->current_term, ROLE_NAMES[role]);
    switch (role) {
    case FOLLOWER:
        enter_follower(server, from, text);
        break;
    case CANDIDATE:
        enter_candidate(server, from, text);
        break;
    case LEADER:
        enter_leader(server, from, text);
        break;
    }
    if (role != CANDIDATE)
        server->transfer = false;
}

/* ---- Term and vote ---- */

/* What has been appended goes to the disk. */
static void save_entries(struct server *server)
{
    uint64_t number;
    struct batch *unsaved = raft_log_take_unsaved(&server->raft_log, &number);
    if (unsaved == NULL)
        return;
    scribe_save_entries(server->scribe, number, unsaved);
    if (server->unsaved_since_us == CLOCK_NEVER)
        server->unsaved_since_us = server->now_us;
}

void server_save_ballot(struct server *server, raft_term term, raft_id voted_for, const char *cause, ...)
{
    assert(!server->waiting);
    assert(server->role != LEADER); /* a leader steps down before it waits */
    assert(term >= server->current_term);
    assert(term > server->current_term || server->voted_for == NO_ONE); /* one vote a term */
    va_list arguments;
    va_start(arguments, cause);
    vsnprintf(server->wanted_cause, sizeof server->wanted_cause, cause, arguments);
    va_end(arguments);
    server->wanted = (struct ballot){.term = term, .voted_for = voted_for};
    server->waiting = true;
    save_entries(server); /* entries of the old term come before the new one, on the disk too */
    scribe_save_ballot(server->scribe, ++server->ballot_number, server->wanted);
}

/* The ballot is on the disk: from here on it is what we are. */
static void adopt_ballot(struct server *server, const struct letter *letter)
{
    assert(server->waiting && letter->number == server->ballot_number);
    bool raised = server->wanted.term > server->current_term;
    server->waiting = false;
    server->current_term = server->wanted.term;
    server->voted_for = server->wanted.voted_for;
    server->ballot_sync_us = letter->took_us;
    if (raised) {
        server->leader_id = NO_ONE;
        server->proven_index = 0;
        server->answer_owed = false;
        log_set_state(server->log, server->current_term, ROLE_NAMES[server->role]);
        log_info(server->log, "Current Term: %" PRIu64 " cause=\"%s\"", server->current_term, server->wanted_cause);
    }
    if (server->voted_for != NO_ONE && server->voted_for != server->config.id)
        log_info(server->log, "Voted for %d in current term %" PRIu64, server->voted_for, server->current_term);
}

/* "If RPC request or response contains term T > currentTerm: set currentTerm = T, convert to follower." A vote that
 * the message asks for, and gets, goes to the disk together with the term. The message itself is read again then. */
static void adopt_term(struct server *server)
{
    const struct message *message = server->message;
    const char *type = message_type_name(message->type_of_message);
    int64_t detail = 0;
    bool votes = message->type_of_message == REQUEST_VOTE && vote_refusal(server, NO_ONE, &detail) == REFUSAL_NONE;
    if (server->role != FOLLOWER)
        server_transition(server, FOLLOWER, "higher term in %s of %d", type, message->server_id);
    server_keep_mail(server);
    server_save_ballot(server, message->curr_term, votes ? message->server_id : NO_ONE, "%s of %d", type,
                       message->server_id);
}

/* "Reply false if term < currentTerm": a stale request is answered with our term, so that its sender steps down; a
 * stale answer is about something that is over. */
static void refuse_stale(struct server *server)
{
    const struct message *message = server->message;
    if (message->type_of_message == REQUEST_VOTE) {
        vote_refuse(server, REFUSAL_STALE_TERM, 0);
    } else if (message->type_of_message == REQUEST_APPEND_ENTRIES) {
        append_refuse(server);
    } else if (message->type_of_message == FORWARD) {
        forward_refuse(server);
    } else {
        log_debug(server->log, "Dropped stale %s of %d curr_term=%" PRIu64, message_type_name(message->type_of_message),
                  message->server_id, message->curr_term);
    }
}

/* ---- Mail ---- */

void server_keep_mail(struct server *server)
{
    server->letter->kept = true;
    pile_put_back(server->pile, LANE_INNER, server->letter);
    server->letter = NULL; /* server->message may be read until mail is taken again: the letter is on our own pile */
}

/* A voter that does not adopt our term, since it hears a leader, or since a pre-vote is of no term, refuses us from a
 * term below ours: the one stale answer that is not about something that is over. */
static bool is_refusal_from_below(const struct server *server)
{
    const struct message *message = server->message;
    return server->role == CANDIDATE && !message->vote_granted && message->round == server->campaign_round &&
           (message->type_of_message == RESPONSE_PRE_VOTE || message->type_of_message == RESPONSE_VOTE) &&
           message->curr_term < server->current_term;
}

/* A candidate of a higher term that would disrupt a living leader is refused, and its term not adopted. */
static void take_higher_term(struct server *server)
{
    int64_t detail = 0;
    enum refusal refusal = REFUSAL_NONE;
    if (server->message->type_of_message == REQUEST_VOTE)
        refusal = vote_disruption(server, &detail);
    if (refusal != REFUSAL_NONE)
        vote_refuse(server, refusal, detail);
    else
        adopt_term(server);
}

static enum mail sort_by_term(struct server *server)
{
    const struct message *message = server->message;
    bool granted_pre_vote = message->type_of_message == RESPONSE_PRE_VOTE && message->vote_granted;
    if (granted_pre_vote) /* names the term that we asked about */
        return message->curr_term == server->current_term + 1 ? MAIL_MESSAGE : MAIL_CHANGED;
    if (message->curr_term == server->current_term || is_refusal_from_below(server))
        return MAIL_MESSAGE;
    if (message->curr_term < server->current_term)
        refuse_stale(server);
    else
        take_higher_term(server);
    return MAIL_CHANGED;
}

#define WARN_EVERY_US 1000000

bool server_may_warn(const struct server *server, int64_t *due_us)
{
    if (server->now_us < *due_us)
        return false;
    *due_us = server->now_us + WARN_EVERY_US;
    return true;
}

static enum mail open_message(struct server *server)
{
    const struct message *message = &server->letter->message;
    if (!server->letter->kept && log_enabled(server->log, LOG_DEBUG)) {
        char text[MESSAGE_TEXT_MAX];
        log_debug(server->log, "RECEIVE: from=%d %s", server->letter->link.peer,
                  message_describe(message, text, sizeof text));
    }
    int sender = members_find(&server->config.members, message->server_id);
    if (sender < 0 || sender == server->self) {
        if (server_may_warn(server, &server->stranger_due_us))
            log_warn(server->log, "Dropped mail of %d, which is no other member", message->server_id);
        return MAIL_CHANGED;
    }
    if (message->curr_term > server->current_term && message->curr_term - server->current_term > TERM_LEAP_MAX) {
        if (server_may_warn(server, &server->leap_due_us))
            log_warn(server->log, "Dropped %s of %d: its term %" PRIu64 " is out of reach",
                     message_type_name(message->type_of_message), message->server_id, message->curr_term);
        return MAIL_CHANGED;
    }
    server->message = message;
    if (message->type_of_message == REQUEST_PRE_VOTE) {
        vote_answer_pre_vote(server); /* names a term that nobody has yet: answered in every role, adopted in none */
        return MAIL_CHANGED;
    }
    if (message->type_of_message == FORWARDED && message->curr_term <= server->current_term) {
        forward_answered(server); /* of whoever led when it was asked */
        return MAIL_CHANGED;
    }
    enum mail mail = sort_by_term(server);
    if (mail != MAIL_MESSAGE || message->type_of_message != FORWARD)
        return mail;
    forward_take(server);
    return MAIL_CHANGED;
}

/* A client here wants something of the leader: of us, or of whom we follow. */
static void take_wish(struct server *server)
{
    const struct letter *letter = server->letter;
    enum request_kind kind = letter->kind == LETTER_PROPOSE ? REQUEST_COMMAND
                             : letter->kind == LETTER_COUNT ? REQUEST_COUNT
                             : letter->behind               ? REQUEST_QUERY_BEHIND
                                                            : REQUEST_QUERY;
    if (route_leads_on(server))
        forward_ask(server, kind);
    else if (!route_leads_here(server))
        route_refuse(server, &letter->proposer);
    else if (kind == REQUEST_COMMAND)
        proposals_take(server);
    else if (kind == REQUEST_COUNT)
        proposals_count(server, letter->index, &letter->proposer);
    else
        reads_take(server);
}

void server_finish(struct server *server, int64_t least_us)
{
    if (server->finishing)
        return;
    server->finishing = true;
    server->finish_us = server->now_us + least_us;
}

/* A leader hands over first; whoever is asked twice stops at once. */
static void stop(struct server *server)
{
    log_info(server->log, "Stopping cause=\"%s\"", server->stop_asked ? "told to, again" : "told to");
    bool again = server->stop_asked;
    server->stop_asked = true;
    server->stopping = again;
    if (server->role == LEADER && leader_begin_hand_over(server))
        return;
    server->stop_deadline_us = server->now_us + SERVER_STOP_WAIT_US;
    server_finish(server, 0);
}

static void note_saved(struct server *server)
{
    const struct letter *letter = server->letter;
    raft_log_saved(&server->raft_log, letter->number, &letter->place);
    server->unsaved_since_us = raft_log_is_saved(&server->raft_log, letter) ? CLOCK_NEVER : server->now_us;
    if (server->role == LEADER)
        replication_count(server);
    else
        append_saved(server);
}

static void note_uuid(struct server *server)
{
    char text[ID_TEXT_MAX];
    server->cluster_uuid = server->letter->cluster_uuid;
    mailbox_set_uuid(server->mailbox, &server->cluster_uuid);
    log_info(server->log, "The cluster is born cluster_uuid=%s", id_format(server->cluster_uuid.bytes, text));
}

static enum mail open_letter(struct server *server)
{
    const struct letter *letter = server->letter;
    switch (letter->kind) {
    case LETTER_MESSAGE:
        return open_message(server);
    case LETTER_CONNECTED:
    case LETTER_DISCONNECTED:
    case LETTER_REACHED:
    case LETTER_LOST:
        peers_note(server);
        break;
    case LETTER_BALLOT_SAVED:
        adopt_ballot(server, letter);
        break;
    case LETTER_ENTRIES_SAVED:
        note_saved(server);
        break;
    case LETTER_UUID_SAVED:
        note_uuid(server);
        break;
    case LETTER_ENTRIES_READ:
        replication_read(server);
        commit_read(server);
        break;
    case LETTER_APPLIED:
        commit_applied(server);
        break;
    case LETTER_PROPOSE:
    case LETTER_READ:
    case LETTER_COUNT:
        take_wish(server);
        break;
    case LETTER_READ_EARLY:
        reads_take_early(server);
        break;
    case LETTER_REPLY: /* to a member's client */
        forward_reply(server);
        break;
    case LETTER_STATUS_WANTED:
        route_tell(server);
        break;
    case LETTER_STORAGE_WARNED:
        log_warn(server->log, "Couldn't make the log's next file ahead: %s", letter->error->message);
        break;
    case LETTER_STORAGE_FAILED: /* we must not promise what may be lost: no more work, and nothing more leaves */
        server_fail(server, letter->error);
        break;
    case LETTER_STOP:
        stop(server);
        break;
    default: /* STORAGE_OPENED came before we began, the last words of others come after; the rest is for others */
        break;
    }
    return MAIL_CHANGED;
}

#define AHEAD_BYTES_MAX (8 * 1024 * 1024) /* of proposals that are not committed, and of entries that are not durable */

/* While a new term or vote is not durable only the disk, a stop and the passing of time are taken. Where our own disk
 * or the followers are slower than the clients, those wait: what is not durable stays in memory beside the cache. */
static enum lane lanes_open(const struct server *server)
{
    const struct raft_log *log = &server->raft_log;
    if (server->waiting)
        return LANE_CONTROL;
    bool full = server->pending_bytes > AHEAD_BYTES_MAX || log->window_bytes > log->cache_bytes + AHEAD_BYTES_MAX;
    if (server->role != LEADER)
        full = server->forwarded_bytes > FORWARD_WINDOW_BYTES;
    return full ? LANE_INNER : LANE_CLIENTS;
}

void server_flush(struct server *server)
{
    save_entries(server);
    if (server->waiting)
        return;
    if (server->role == LEADER) {
        replication_send(server);
        leader_confirm_reads(server);
    }
    forward_flush(server);
}

static bool has_gathered(const struct server *server)
{
    return raft_log_unsaved_bytes(&server->raft_log) > 0 || reads_want_round(server) || forward_has_gathered(server);
}

static bool is_full(const struct server *server)
{
    return raft_log_unsaved_bytes(&server->raft_log) >= REPLICATION_GATHER_BYTES || forward_is_full(server);
}

/* The next letter. What has been appended leaves before we wait, or when enough of it has come together: so what many
 * ask for at once is one write and one message. */
static struct letter *take_letter(struct server *server, int64_t deadline_us)
{
    enum lane upto = lanes_open(server);
    bool gathered = has_gathered(server);
    if (gathered && !is_full(server) && server->now_us < deadline_us) {
        struct letter *letter = pile_try(server->pile, upto, &server->now_us);
        if (letter != NULL)
            return letter;
    }
    if (gathered)
        server_flush(server);
    return pile_take(server->pile, upto, deadline_us, &server->now_us);
}

/* Until when mail is waited for. A leader that stops goes on as one until its successor has the whole log; from then on
 * nothing but the successor is waited for. Whatever else is due may be done when the ballot is durable. */
static int64_t wait_until(const struct server *server, int64_t deadline_us)
{
    bool leads_on = server->role == LEADER && !server->handing_over;
    if (server->finishing && server->now_us < server->finish_us)
        return server->finish_us;
    if (server->stop_asked)
        return leads_on && deadline_us < server->stop_deadline_us ? deadline_us : server->stop_deadline_us;
    return server->waiting ? CLOCK_NEVER : deadline_us;
}

/* A node that goes first answers what it can still answer: many clients do again what they got no answer to. */
static bool has_finished(const struct server *server)
{
    if (!server->finishing || server->role == CANDIDATE)
        return server->finishing;
    if (server->now_us < server->finish_us)
        return false;
    bool answered = server->forwarded_bytes == 0 && server->pending_count == 0;
    return answered && server->applied_index >= server->awaited_index;
}

enum mail server_take_mail(struct server *server, int64_t deadline_us)
{
    free_letter(server);
    server_check(server);
    route_look(server);
    if (has_finished(server)) {
        server_flush(server);
        server->stopping = true;
        return MAIL_CHANGED;
    }
    server->letter = take_letter(server, wait_until(server, deadline_us));
    if (server->letter != NULL)
        return open_letter(server);
    if (server->stop_asked && server->now_us < server->stop_deadline_us && server->finishing)
        return server->role == LEADER ? MAIL_DEADLINE : MAIL_CHANGED; /* who is about to go does not stand */
    if (!server->stop_asked || server->now_us < server->stop_deadline_us)
        return MAIL_DEADLINE;
    log_info(server->log, "Stopping cause=\"%s in time\"",
             server->finishing ? "not all that was asked for was answered" : "heard no successor");
    server->stopping = true;
    return MAIL_CHANGED;
}

/* ---- Sending ---- */

static void send_over(struct server *server, raft_id to, enum channel channel, struct message *message,
                      const struct batch *entries)
{
    assert(!server->waiting); /* nothing leaves while the term or vote that it would reveal is not durable */
    message->server_id = server->config.id;
    if (log_enabled(server->log, LOG_DEBUG)) {
        char text[MESSAGE_TEXT_MAX];
        log_debug(server->log, "SEND: to=%d %s", to, message_describe(message, text, sizeof text));
    }
    /* Every message is droppable: what an election loses is asked again, and what replication loses is sent again. */
    mailbox_send(server->mailbox, to, channel, message, entries, true);
}

void server_send(struct server *server, raft_id to, struct message *message)
{
    send_over(server, to, CHANNEL_URGENT, message, NULL);
}

void server_send_entries(struct server *server, raft_id to, struct message *message, const struct batch *entries)
{
    send_over(server, to, CHANNEL_BULK, message, entries);
}

void server_forward(struct server *server, raft_id to, struct message *message, const struct mailraft_buffer *body)
{
    assert(!server->waiting);
    message->server_id = server->config.id;
    if (log_enabled(server->log, LOG_DEBUG)) {
        char text[MESSAGE_TEXT_MAX];
        log_debug(server->log, "SEND: to=%d %s", to, message_describe(message, text, sizeof text));
    }
    mailbox_forward(server->mailbox, to, message, body);
}

bool server_is_present(const struct server *server)
{
    const struct link *link = &server->letter->link;
    int position = members_find(&server->config.members, link->peer);
    return position >= 0 && server->peers[position].incarnation == link->incarnation;
}

void server_answer(struct server *server, struct message *answer)
{
    answer->round = server->message->round;
    server_send(server, server->message->server_id, answer);
}

void server_check(const struct server *server)
{
    const struct members *members = &server->config.members;
    assert(server->letter == NULL);
    assert(server->leader_id == NO_ONE || members_find(members, server->leader_id) >= 0);
    if (server->role == LEADER) {
        assert(!server->waiting);
        assert(server->voted_for == server->config.id);
        assert(server->leader_id == server->config.id);
        assert(membership_is_quorum(server, server->granted));
        for (int i = 0; i < members->count; i++)
            if (i != server->self)
                progress_check(&server->peers[i].progress, raft_log_last_index(&server->raft_log));
    } else {
        assert(server->leader_id != server->config.id);
    }
    if (server->role == CANDIDATE && server->phase == VOTING)
        assert(server->voted_for == server->config.id);
    if (server->waiting)
        assert(server->wanted.term >= server->current_term);
    raft_log_check(&server->raft_log);
    assert(raft_log_last_term(&server->raft_log) <= server->current_term);
    assert(server->commit_index <= raft_log_last_index(&server->raft_log));
    assert(server->handed_index <= server->commit_index && server->applied_index <= server->handed_index);
    assert(server->configuration.index <= raft_log_last_index(&server->raft_log));
    assert(server->pending_count <= server->pending_room);
    if (server->pending_count > 0) /* whoever waits for an entry that was handed over, waits there */
        assert(server->pending[server->pending_first].index > server->handed_index);
}
