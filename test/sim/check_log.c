/* What must hold of the log in every run, whatever fails (the paper's Figure 3), looked at after every step of a server
 * and at every message that leaves, against what the disks hold (durable.c).
 *
 *   - An entry counts as committed the first time that a server's commit index reaches it; at that moment a majority of
 *     disks holds it, and its term is the leader's own (Figure 2, "Rules for Servers", Leaders).
 *   - State machine safety: no other entry is ever committed in its place.
 *   - Leader completeness: a leader has all that was committed in earlier terms.
 *   - Leader append-only: a leader's log only grows.
 *   - What a leader counts as durable on a follower has been on its disk, and is what the leader has.
 *   - The commit index of a life never goes back, and nothing is applied beyond it.
 *   - What a server takes for durable, or acknowledges, is on its disk; what it acknowledges is what its leader has.
 *   - Whoever is granted a vote, or a pre-vote, has a log that is not behind the voter's. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/world.h"

static const struct server *server_of(const struct machine *machine)
{
    return machine->life != NULL && machine->life->node != NULL ? node_server(machine->life->node) : NULL;
}

/* ---- What is committed ---- */

const struct chosen *check_chosen(const struct sim *sim, raft_index index)
{
    return index >= 1 && index <= sim->chosen_count ? &sim->chosen[index - 1] : NULL;
}

bool check_is_chosen(const struct sim *sim, const struct known *known)
{
    const struct chosen *chosen = check_chosen(sim, known->index);

    return chosen != NULL && chosen->entry == known;
}

/* A disk that was emptied on purpose counts for what it held. */
static int count_holders(const struct sim *sim, const struct known *known)
{
    int holders = 0;

    for (int i = 0; i < sim->machine_count; i++) {
        const struct machine *machine = sim->machines[i];

        holders += durable_holds(machine, known) || (machine->ghost.emptied && (known->held >> i & 1) != 0);
    }
    return holders;
}

/* The entry that a server has at an index, as some disk has it: what it has may not be on its own yet. */
static const struct known *entry_of(const struct sim *sim, const struct server *server, raft_index index)
{
    raft_term term = raft_log_term_at(&server->raft_log, index);
    const struct known *known = known_find(sim, index, term);

    if (known == NULL)
        sim_fail("%d has committed entry %" PRIu64 " of term %" PRIu64 ", which no disk has ever held",
                 server->config.id, index, term);
    if (raft_log_has(&server->raft_log, index) &&
        entry_checksum(raft_log_at(&server->raft_log, index)) != known->checksum)
        sim_fail("%d has another entry %" PRIu64 " of term %" PRIu64 " than the disks", server->config.id, index, term);
    return known;
}

static void check_majority_holds(const struct sim *sim, const struct server *server, const struct known *known)
{
    int holders = count_holders(sim, known);

    if (2 * holders <= server->config.members.count)
        sim_fail("%d has committed entry %" PRIu64 " of term %" PRIu64 ", which is on %d disks of %d",
                 server->config.id, known->index, known->term, holders, server->config.members.count);
    if (server->role == LEADER && known->term != server->current_term)
        sim_fail("%d, which leads term %" PRIu64 ", has committed up to an entry of term %" PRIu64, server->config.id,
                 server->current_term, known->term);
}

static void choose(struct sim *sim, const struct server *server, const struct known *known)
{
    if (sim->chosen_count == sim->chosen_room) {
        sim->chosen_room = sim->chosen_room == 0 ? 256 : 2 * sim->chosen_room;
        sim->chosen = realloc(sim->chosen, sim->chosen_room * sizeof *sim->chosen);
        assert(sim->chosen != NULL);
    }
    sim->chosen[sim->chosen_count++] = (struct chosen){.entry = known, .committed_in = server->current_term};
    check_command_chosen(sim, &sim->chosen[sim->chosen_count - 1]);
}

static void check_committed(struct machine *machine, const struct server *server)
{
    struct sim *sim = the_sim;
    struct ghost *ghost = &machine->ghost;

    if (server->commit_index < ghost->commit_index)
        sim_fail("the commit index of %d went back from %" PRIu64 " to %" PRIu64, machine->id, ghost->commit_index,
                 server->commit_index);
    if (server->commit_index == ghost->commit_index)
        return;
    if (server->commit_index > raft_log_last_index(&server->raft_log))
        sim_fail("%d has committed up to %" PRIu64 ", beyond the end of its log", machine->id, server->commit_index);
    if ((server->commit_index > sim->chosen_count || server->role == LEADER) && !sim->scripted)
        check_majority_holds(sim, server, entry_of(sim, server, server->commit_index));
    while (ghost->commit_index < server->commit_index && !sim->scripted) {
        const struct known *known = entry_of(sim, server, ++ghost->commit_index);

        if (ghost->commit_index > sim->chosen_count)
            choose(sim, server, known);
        else if (!check_is_chosen(sim, known))
            sim_fail("%d has committed entry %" PRIu64 " of term %" PRIu64 ", but it is that of term %" PRIu64
                     " which was committed",
                     machine->id, known->index, known->term, check_chosen(sim, known->index)->entry->term);
    }
    ghost->commit_index = server->commit_index;
}

/* ---- Leaders ---- */

/* A leader of an earlier term that comes into office late need not have what was committed in later ones. */
static raft_index must_have(const struct sim *sim, raft_term term)
{
    raft_index index = sim->chosen_count;

    while (index > 0 && check_chosen(sim, index)->committed_in >= term)
        index--;
    return index;
}

static void check_has_chosen(const struct server *leader, raft_index index)
{
    const struct known *known = check_chosen(the_sim, index)->entry;
    raft_term term = raft_log_term_at(&leader->raft_log, index);

    if (term != known->term)
        sim_fail("%d leads term %" PRIu64 " with an entry %" PRIu64 " of term %" PRIu64 ", but that of term %" PRIu64
                 " is committed",
                 leader->config.id, leader->current_term, index, term, known->term);
}

/* Terms never go back along a log, here as there: where both ends of each of its terms agree, all between them does. */
static void check_completeness(const struct server *leader)
{
    raft_index last = must_have(the_sim, leader->current_term);
    const struct terms *terms = &leader->raft_log.terms;

    if (last == 0)
        return;
    check_has_chosen(leader, last);
    for (size_t i = 0; i < terms->count && terms->list[i].first <= last; i++) {
        check_has_chosen(leader, terms->list[i].first);
        if (terms->list[i].first > 1)
            check_has_chosen(leader, terms->list[i].first - 1);
    }
}

static void note_log_of_leader(struct ghost *ghost, const struct server *leader)
{
    const struct raft_log *log = &leader->raft_log;

    ghost->leader_last_index = raft_log_last_index(log);
    ghost->leader_last_term = raft_log_last_term(log);
    ghost->leader_last_checksum =
        raft_log_has(log, ghost->leader_last_index) ? entry_checksum(raft_log_at(log, ghost->leader_last_index)) : 0;
}

static void check_append_only(const struct ghost *ghost, const struct server *leader)
{
    const struct raft_log *log = &leader->raft_log;
    raft_index index = ghost->leader_last_index;

    if (raft_log_last_index(log) < index || raft_log_term_at(log, index) != ghost->leader_last_term ||
        (ghost->leader_last_checksum != 0 && raft_log_has(log, index) &&
         entry_checksum(raft_log_at(log, index)) != ghost->leader_last_checksum))
        sim_fail("%d leads term %" PRIu64 " and has changed its log at or before entry %" PRIu64, leader->config.id,
                 leader->current_term, index);
}

/* A follower may have cut it off since, for a leader of a later term, or lost its folder: but it has held it. */
static void check_matched(struct ghost *ghost, const struct server *leader)
{
    for (int i = 0; i < leader->config.members.count; i++) {
        raft_index index = leader->peers[i].progress.match_index;
        const struct machine *follower;
        const struct known *known;

        if (i == leader->self || index == ghost->matched[i])
            continue;
        ghost->matched[i] = index;
        known = known_find(the_sim, index, raft_log_term_at(&leader->raft_log, index));
        follower = sim_machine(the_sim, leader->peers[i].id);
        if (index > 0 && (known == NULL || (known->held >> follower->position & 1) == 0))
            sim_fail("%d leads term %" PRIu64 " and counts entry %" PRIu64 " as durable on %d, which has never held it",
                     leader->config.id, leader->current_term, index, follower->id);
    }
}

static void check_leader(struct ghost *ghost, const struct server *server)
{
    if (server->role != LEADER) {
        ghost->leader_looked_at = 0;
        return;
    }
    if (ghost->leader_looked_at == server->current_term) {
        check_append_only(ghost, server);
    } else {
        memset(ghost->matched, 0, sizeof ghost->matched);
        if (!the_sim->scripted)
            check_completeness(server);
    }
    if (!the_sim->scripted)
        check_matched(ghost, server);
    ghost->leader_looked_at = server->current_term;
    note_log_of_leader(ghost, server);
}

/* ---- What is durable ---- */

static void check_durable(const struct machine *machine, const struct server *server)
{
    raft_index index = server->raft_log.durable_index;
    const struct known *known = durable_at(machine, index);

    if (index > 0 && (known == NULL || known->term != raft_log_term_at(&server->raft_log, index)))
        sim_fail("%d takes entry %" PRIu64 " for durable, which is not on its disk", machine->id, index);
}

/* At start, a server has what its disk holds, no more and no less. */
static void check_loaded(struct machine *machine, const struct server *server)
{
    const struct raft_log *log = &server->raft_log;

    if (machine->ghost.loaded)
        return;
    machine->ghost.loaded = true;
    if (machine->disk.decayed)
        durable_survived(machine);
    if (log->saved_number == 0 && log->unsaved == NULL && log->durable_index != machine->ghost.log.last_index)
        sim_fail("%d began with a log up to %" PRIu64 ", but its disk holds one up to %" PRIu64, machine->id,
                 log->durable_index, machine->ghost.log.last_index);
}

void check_log_step(struct machine *machine, const struct server *server)
{
    check_loaded(machine, server);
    check_durable(machine, server);
    check_leader(&machine->ghost, server);
    check_committed(machine, server);
    if (server->applied_index > server->commit_index)
        sim_fail("%d has applied up to %" PRIu64 ", beyond its commit index %" PRIu64, machine->id,
                 server->applied_index, server->commit_index);
}

/* ---- What leaves ---- */

/* "Durable here, and proven to match this leader's log, up to this entry" (message.h). The leader's log is looked at while
 * it leads; where it no longer does, the answer comes to nobody. */
void check_acknowledgement(const struct machine *machine, raft_id to, const struct message *message)
{
    const struct known *known = durable_at(machine, message->match_index);
    const struct machine *asked = sim_find_machine(the_sim, to);
    const struct server *leader = asked != NULL ? server_of(asked) : NULL;

    if (message->match_index == 0)
        return;
    if (known == NULL)
        sim_fail("%d acknowledges entries up to %" PRIu64 ", but its disk holds them up to %" PRIu64, machine->id,
                 message->match_index, machine->ghost.log.last_index);
    if (leader != NULL && leader->role == LEADER && leader->current_term == message->curr_term &&
        raft_log_term_at(&leader->raft_log, known->index) != known->term)
        sim_fail("%d acknowledges entry %" PRIu64 " of term %" PRIu64 ", which its leader %d does not have",
                 machine->id, known->index, known->term, to);
}

/* The log of a candidate does not change while it waits for the answers to a round. */
void check_vote_granted(const struct machine *machine, raft_id to, const struct message *message)
{
    enum campaign_phase phase = message->type_of_message == RESPONSE_PRE_VOTE ? PRE_VOTING : VOTING;
    const struct machine *asked = sim_find_machine(the_sim, to);
    const struct server *candidate = asked != NULL ? server_of(asked) : NULL, *voter = server_of(machine);

    if (candidate == NULL || candidate->role != CANDIDATE || candidate->phase != phase ||
        candidate->campaign_round != message->round)
        return;
    if (raft_log_last_term(&candidate->raft_log) < raft_log_last_term(&voter->raft_log) ||
        (raft_log_last_term(&candidate->raft_log) == raft_log_last_term(&voter->raft_log) &&
         raft_log_last_index(&candidate->raft_log) < raft_log_last_index(&voter->raft_log)))
        sim_fail("%d grants %d what it asks for in %s, though its log is behind", machine->id, to,
                 message_type_name(message->type_of_message));
}

/* ---- Lives ---- */

void check_log_life_began(struct machine *machine)
{
    struct ghost *ghost = &machine->ghost;

    ghost->commit_index = ghost->applied_index = 0;
    ghost->leader_looked_at = 0;
    ghost->loaded = false;
}

void check_log_fini(struct sim *sim)
{
    for (int i = 0; i < sim->machine_count; i++)
        free(sim->machines[i]->ghost.log.list);
    known_fini(sim);
    free(sim->chosen);
}
