#include "raft/route.h"

#include "base/memory.h"
#include "raft/forward.h"
#include "raft/membership.h"

static bool leads(const struct server *server)
{
    return server->role == LEADER && !server->stop_asked && server->config.machine != NULL;
}

bool route_may_lead(const struct server *server)
{
    return leads(server) && membership_is_born(server);
}

/* A refusal would close its way for all of our term, and not keep what it sent behind that from being taken. */
bool route_may_lead_others(const struct server *server)
{
    return leads(server) && (membership_is_born(server) || server->term_begin_index > 1);
}

/* Our own way where we lead, and that to the leader where we follow one. */
static struct way look(const struct server *server)
{
    struct way way = {.term = server->current_term, .leader_id = server->leader_id};
    if (server->role == LEADER) {
        way.open = route_may_lead(server);
        return way;
    }
    if (server->role != FOLLOWER || server->leader_id == NO_ONE)
        return way;
    const struct peer *peer = &server->peers[members_find(&server->config.members, server->leader_id)];
    way.incarnation = peer->incarnation;
    way.reached = peer->reached[CHANNEL_BULK];
    way.connection = peer->connected[CHANNEL_BULK] ? peer->connection[CHANNEL_BULK] : 0;
    way.open = way.reached != 0 && way.connection != 0 && !server->leader_silent && !server->stop_asked &&
               server->refused_term != server->current_term && membership_is_born(server);
    return way;
}

bool way_is_same(const struct way *left, const struct way *right)
{
    return left->open == right->open && left->term == right->term && left->leader_id == right->leader_id &&
           left->incarnation == right->incarnation && left->reached == right->reached &&
           left->connection == right->connection;
}

void route_tell(struct server *server)
{
    const struct members *members = &server->config.members;
    if (server->config.watcher == NULL)
        return;
    struct letter *letter = letter_new(LETTER_STATUS);
    struct status *status = letter->status = memory_new(sizeof *status);
    *status = (struct status){.view = server->view,
                              .open = server->way.open,
                              .role = ROLE_NAMES[server->role],
                              .term = server->current_term,
                              .leader_id = server->leader_id,
                              .commit_index = server->commit_index,
                              .applied_index = server->applied_index,
                              .last_index = raft_log_last_index(&server->raft_log),
                              .memory_bytes = server->machine_bytes,
                              .member_count = members->count};
    for (int i = 0; i < members->count; i++) {
        const struct peer *peer = &server->peers[i];
        status->members[i].id = members->list[i].id;
        status->members[i].connected = i == server->self || peer->connected[CHANNEL_URGENT];
        if (server->role == LEADER && i != server->self)
            status->members[i].match_index = peer->progress.match_index;
    }
    pile_put(server->config.watcher, LANE_INNER, letter);
}

void route_look(struct server *server)
{
    if (server->waiting)
        return; /* nothing is known of the new term before it is durable, and nothing of clients is taken */
    forward_tend(server);
    struct way way = look(server);
    if (server->view > 0 && way_is_same(&way, &server->way))
        return;
    server->way = way;
    server->view++;
    forward_leave_behind(server);
    route_tell(server);
}

void route_refused(struct server *server)
{
    server->refused_term = server->current_term;
}

bool route_leads_here(const struct server *server)
{
    uint64_t view = server->letter->view;
    return route_may_lead(server) && (view == VIEW_HERE || view == server->view);
}

bool route_leads_on(const struct server *server)
{
    return server->role != LEADER && server->way.open && server->letter->view == server->view;
}

void route_refuse(const struct server *server, const struct proposer *proposer)
{
    raft_id leader_id = server->leader_id == server->config.id ? NO_ONE : server->leader_id;
    applier_reply(proposer, OUTCOME_NOT_EXECUTED, 0, leader_id, NULL);
}
