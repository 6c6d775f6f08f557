#include "raft/server.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "raft/leader.h"
#include "raft/members.h"
#include "raft/timer.h"
#include "raft/vote.h"

const char *const ROLE_NAMES[3] = {"FOLLOWER", "CANDIDATE", "LEADER"};

void server_init(struct server *server, const struct node_config *config, struct pile *pile, struct log *log,
                 struct scribe *scribe, struct mailbox *mailbox, struct ballot ballot, int64_t ballot_sync_us)
{
    *server = (struct server){.config = *config,
                              .self = members_find(&config->members, config->id),
                              .pile = pile,
                              .log = log,
                              .scribe = scribe,
                              .mailbox = mailbox,
                              .current_term = ballot.term,
                              .voted_for = ballot.voted_for,
                              .ballot_sync_us = ballot_sync_us,
                              .role = FOLLOWER,
                              .leader_id = NO_ONE,
                              .campaign_round = (uint64_t)random_between(1, INT64_MAX / 2),
                              .now_us = clock_now_us()};
    assert(server->self >= 0);
    for (int i = 0; i < config->members.count; i++)
        server->peers[i].id = config->members.list[i].id;
    log_set_state(log, server->current_term, ROLE_NAMES[FOLLOWER]);
    log_info(log, "Follower! cause=\"started\"");
    timer_restart(server);
    timer_tell(server);
}

void server_fini(struct server *server)
{
    letter_free(server->letter);
    server->letter = NULL;
    server->message = NULL;
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
        server->leader_id = NO_ONE;
        timer_restart(server);
    } /* a candidate keeps the deadline it stood with: to stop standing is no reason to wait longer */
    timer_tell(server);
}

static void enter_candidate(struct server *server, enum role from, const char *cause)
{
    log_info(server->log, "%s STATE: %s -> CANDIDATE cause=\"%s\" term_wanted=%" PRIu64,
             server->transfer ? "Hand-over!" : "Pre-vote!", ROLE_NAMES[from], cause, server->current_term + 1);
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
    server->heartbeat_round = 0;
    server->heartbeat_due_us = server->now_us;
    for (int i = 0; i < server->config.members.count; i++) {
        server->peers[i].answered_round = 0;
        server->peers[i].answered_sent_us = server->now_us;
        server->peers[i].round_trip_us = 0;
    }
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
        struct message response = {.type_of_message = RESPONSE_APPEND_ENTRIES, .curr_term = server->current_term};
        server_answer(server, &response);
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

/* Whether a warning about what others send may be told now. Its next one is a second away: nobody fills our log from
 * outside. */
static bool may_warn(const struct server *server, int64_t *due_us)
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
        if (may_warn(server, &server->stranger_due_us))
            log_warn(server->log, "Dropped mail of %d, which is no other member", message->server_id);
        return MAIL_CHANGED;
    }
    if (message->curr_term > server->current_term && message->curr_term - server->current_term > TERM_LEAP_MAX) {
        if (may_warn(server, &server->leap_due_us))
            log_warn(server->log, "Dropped %s of %d: its term %" PRIu64 " is out of reach",
                     message_type_name(message->type_of_message), message->server_id, message->curr_term);
        return MAIL_CHANGED;
    }
    server->message = message;
    if (message->type_of_message != REQUEST_PRE_VOTE)
        return sort_by_term(server);
    vote_answer_pre_vote(server); /* names a term that nobody has yet: answered in every role, adopted in none */
    return MAIL_CHANGED;
}

static struct peer *peer_of(struct server *server, const struct link *link)
{
    int position = members_find(&server->config.members, link->peer);
    return position < 0 || link->channel != CHANNEL_URGENT ? NULL : &server->peers[position];
}

static void note_connected(struct server *server, const struct letter *letter)
{
    struct peer *peer = peer_of(server, &letter->link);
    if (peer == NULL || (peer->connected && peer->incarnation == letter->link.incarnation &&
                         peer->connection >= letter->link.connection))
        return;
    peer->incarnation = letter->link.incarnation;
    peer->connection = letter->link.connection;
    peer->connected = true;
    peer->data_id = letter->hello.data_id;
}

static void note_disconnected(struct server *server, const struct letter *letter)
{
    struct peer *peer = peer_of(server, &letter->link);
    if (peer == NULL || peer->incarnation != letter->link.incarnation || peer->connection != letter->link.connection)
        return; /* an older one, which a newer has replaced */
    peer->connected = false;
    if (server->role == FOLLOWER && server->leader_id == peer->id)
        timer_leader_closed(server);
}

/* A leader hands over first; whoever is asked twice, or has nothing to hand over, stops at once. */
static void stop(struct server *server)
{
    log_info(server->log, "Stopping cause=\"%s\"", server->stop_asked ? "told to, again" : "told to");
    bool again = server->stop_asked;
    server->stop_asked = true;
    server->stopping = again || server->role != LEADER || !leader_hand_over(server);
}

static enum mail open_letter(struct server *server)
{
    const struct letter *letter = server->letter;
    switch (letter->kind) {
    case LETTER_MESSAGE:
        return open_message(server);
    case LETTER_CONNECTED:
        note_connected(server, letter);
        break;
    case LETTER_DISCONNECTED:
        note_disconnected(server, letter);
        break;
    case LETTER_BALLOT_SAVED:
        adopt_ballot(server, letter);
        break;
    case LETTER_STORAGE_FAILED: /* we must not promise what may be lost: no more work, and nothing more leaves */
        server->failure = *letter->error;
        server->stopping = true;
        break;
    case LETTER_STOP:
        stop(server);
        break;
    case LETTER_STORAGE_OPENED: /* came before we began */
    case LETTER_SCRIBE_ENDED:   /* its reason came before it */
    default:                    /* for others */
        break;
    }
    return MAIL_CHANGED;
}

enum mail server_take_mail(struct server *server, int64_t deadline_us)
{
    server_fini(server);
    if (server->stop_asked) /* then nothing but the successor is waited for */
        deadline_us = server->stop_deadline_us;
    else if (server->waiting) /* whatever is due may be done when the ballot is durable */
        deadline_us = CLOCK_NEVER;
    server_check(server);
    enum lane upto = server->waiting ? LANE_CONTROL : LANE_CLIENTS;
    server->letter = pile_take(server->pile, upto, deadline_us, &server->now_us);
    if (server->letter != NULL)
        return open_letter(server);
    if (!server->stop_asked)
        return MAIL_DEADLINE;
    log_info(server->log, "Stopping cause=\"heard no successor in time\"");
    server->stopping = true;
    return MAIL_CHANGED;
}

void server_send(struct server *server, raft_id to, struct message *message)
{
    assert(!server->waiting); /* nothing leaves while the term or vote that it would reveal is not durable */
    message->server_id = server->config.id;
    if (log_enabled(server->log, LOG_DEBUG)) {
        char text[MESSAGE_TEXT_MAX];
        log_debug(server->log, "SEND: to=%d %s", to, message_describe(message, text, sizeof text));
    }
    mailbox_send(server->mailbox, to, CHANNEL_URGENT, message, NULL, true); /* every message of an election is asked again when it is lost */
}

void server_broadcast(struct server *server, struct message *message)
{
    for (int i = 0; i < server->config.members.count; i++)
        if (i != server->self)
            server_send(server, server->config.members.list[i].id, message);
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
        assert(members_is_quorum(members, server->granted));
        assert((server->granted >> server->self & 1U) != 0);
    } else {
        assert(server->leader_id != server->config.id);
    }
    if (server->role == CANDIDATE && server->phase == VOTING)
        assert(server->voted_for == server->config.id);
    if (server->waiting)
        assert(server->wanted.term >= server->current_term);
}
