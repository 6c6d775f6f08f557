/* What must hold in every run, whatever fails (the paper's Figures 2 and 3): checked at the moment it could be broken,
 * against what the checker itself has noted, never against the servers' memory.
 *
 *   - Election safety: at most one leader in a term, ever.
 *   - A leader has the durable votes of a majority in its term, for as long as it leads.
 *   - The durable term of a node never goes back and it never chooses two in one term, over all its lives.
 *   - Whatever a node says of its term or vote is durable when it leaves, and it loads what was durable; it goes by no
 *     other, but while a new one is on its way to the disk.
 *   - A leader that no majority answers is soon no leader.
 *   - A node changes its role only so often before it waits for mail again. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "sim/world.h"
#include "storage/ballot.h"

#define CHECK_EVERY_US    10000
#define ROLES_AT_ONCE_MAX 4
#define HAND_OVER_US      500000 /* what a leader that stops may add to the time of a silent one */

static int majority_of(const struct members *members)
{
    return members->count / 2 + 1;
}

/* ---- Lists by term ---- */

static raft_id *list_reserve(raft_id *list, size_t *room, raft_term term)
{
    size_t wanted = *room;

    if (term < *room)
        return list;
    if (term > 10000000)
        sim_fail("term %" PRIu64 " is out of all proportion", term);
    while (wanted <= term)
        wanted = wanted == 0 ? 64 : 2 * wanted;
    list = realloc(list, wanted * sizeof *list);
    if (list == NULL)
        abort();
    memset(list + *room, 0, (wanted - *room) * sizeof *list);
    *room = wanted;
    return list;
}

static raft_id vote_in(const struct ghost *ghost, raft_term term)
{
    return term < ghost->votes_room ? ghost->votes[term] : 0;
}

static raft_id leader_in(const struct sim *sim, raft_term term)
{
    return term < sim->leaders_room ? sim->leaders[term] : 0;
}

/* ---- What is durable ---- */

/* ballot.h tells the format; read here once more, so that a mistake in reading it there is found. */
static bool ballot_read(struct machine *machine, bool durable, int slot, uint64_t *sequence, struct ballot *ballot)
{
    char path[DISK_PATH_MAX + 8];
    uint8_t bytes[40];

    snprintf(path, sizeof path, "%s/ballot", machine->config.data_dir);
    if (disk_peek(&machine->disk, path, durable, (uint64_t)slot * BALLOT_SLOT_BYTES, bytes, sizeof bytes) <
            sizeof bytes ||
        memcmp(bytes, "BLLT", 4) != 0 || bytes_get_u64(bytes + 32) != bytes_checksum(bytes, 32))
        return false;
    *sequence = bytes_get_u64(bytes + 8);
    *ballot = (struct ballot){bytes_get_u64(bytes + 16), (raft_id)(int64_t)bytes_get_u64(bytes + 24)};
    return true;
}

static bool newest_ballot(struct machine *machine, bool durable, struct ballot *ballot)
{
    uint64_t sequences[2] = {0, 0};
    struct ballot ballots[2];
    bool sound[2];

    for (int slot = 0; slot < 2; slot++)
        sound[slot] = ballot_read(machine, durable, slot, &sequences[slot], &ballots[slot]);
    *ballot = ballots[sound[1] && (!sound[0] || sequences[1] > sequences[0]) ? 1 : 0];
    return sound[0] || sound[1];
}

static void check_next_ballot(const struct machine *machine, struct ballot old, struct ballot next)
{
    if (next.term < old.term)
        sim_fail("the durable term of %d went back from %" PRIu64 " to %" PRIu64, machine->id, old.term, next.term);
    if (next.term == old.term && old.voted_for != NO_ONE && next.voted_for != old.voted_for)
        sim_fail("%d chose %d and then %d in term %" PRIu64, machine->id, old.voted_for, next.voted_for, next.term);
}

void check_ballot_synced(struct machine *machine)
{
    struct ghost *ghost = &machine->ghost;
    struct ballot ballot;

    if (!machine->is_node || !newest_ballot(machine, true, &ballot))
        return;
    check_next_ballot(machine, ghost->durable, ballot);
    ghost->durable = ballot;
    if (ballot.voted_for == NO_ONE)
        return;
    ghost->votes = list_reserve(ghost->votes, &ghost->votes_room, ballot.term);
    if (ghost->votes[ballot.term] != 0 && ghost->votes[ballot.term] != ballot.voted_for && !ghost->emptied)
        sim_fail("%d chose %d and then %d in term %" PRIu64, machine->id, ghost->votes[ballot.term], ballot.voted_for,
                 ballot.term);
    ghost->votes[ballot.term] = ballot.voted_for;
}

void check_ballot_step(const struct machine *machine, const struct server *server)
{
    const struct ballot *durable = &machine->ghost.durable;

    if (!server->waiting && (server->current_term != durable->term || server->voted_for != durable->voted_for))
        sim_fail("%d goes by a vote for %d in term %" PRIu64 ", but its durable vote is for %d in term %" PRIu64,
                 machine->id, server->voted_for, server->current_term, durable->voted_for, durable->term);
}

raft_term check_written_term(struct machine *machine)
{
    struct ballot ballot;

    return newest_ballot(machine, false, &ballot) ? ballot.term : 0;
}

void check_disk_changed(struct machine *machine)
{
    struct ballot ballot;

    if (!machine->is_node)
        return;
    if (!newest_ballot(machine, true, &ballot))
        machine->ghost.durable = (struct ballot){.term = 0, .voted_for = NO_ONE};
    durable_read_again(machine);
}

/* What it promised is gone. What others built on that stays: its votes and entries count as kept. */
void check_disk_emptied(struct machine *machine)
{
    struct ghost *ghost = &machine->ghost;

    ghost->emptied = true;
    ghost->durable = (struct ballot){.term = 0, .voted_for = NO_ONE};
    ghost->log.last_index = ghost->log.file = ghost->log.frame = ghost->log.offset = ghost->log.salt = 0;
}

/* ---- Roles ---- */

/* Whether it chose that leader in that term and its disk still knows: a later term is as good, since terms never go
 * back. Who has lost its folder, or what stands in it, keeps its vote: others have counted it. */
static bool keeps_vote(struct machine *voter, raft_id leader, raft_term term)
{
    struct ballot ballot;

    if (vote_in(&voter->ghost, term) != leader)
        return false;
    return voter->ghost.emptied || voter->disk.decayed ||
           (newest_ballot(voter, true, &ballot) &&
            (ballot.term > term || (ballot.term == term && ballot.voted_for == leader)));
}

static void check_votes_of_leader(const struct machine *leader, raft_term term)
{
    const struct members *members = &leader->config.members;
    int votes = 0;

    if (the_sim->scripted)
        return; /* the voters are the test */
    for (int i = 0; i < members->count; i++) {
        struct machine *voter = sim_find_machine(the_sim, members->list[i].id);

        votes += voter != NULL && keeps_vote(voter, leader->id, term);
    }
    if (votes < majority_of(members))
        sim_fail("%d leads term %" PRIu64 " with %d durable votes of %d members", leader->id, term, votes,
                 members->count);
}

static void check_new_leader(struct machine *machine, raft_term term)
{
    struct sim *sim = the_sim;

    if (leader_in(sim, term) != 0)
        sim_fail("%d leads term %" PRIu64 ", which %d led", machine->id, term, leader_in(sim, term));
    sim->leaders = list_reserve(sim->leaders, &sim->leaders_room, term);
    sim->leaders[term] = machine->id;
    sim->elections++;
    machine->ghost.leads_since_us = sim->now_us;
    check_votes_of_leader(machine, term);
}

void check_role(struct machine *machine, raft_term term, bool leads)
{
    struct ghost *ghost = &machine->ghost;

    if (!machine->is_node)
        return;
    if (term != ghost->durable.term)
        sim_fail("%d is in term %" PRIu64 ", but its durable term is %" PRIu64, machine->id, term, ghost->durable.term);
    if (++machine->life->roles_since_mail > ROLES_AT_ONCE_MAX)
        sim_fail("%d changes its role again and again without taking mail", machine->id);
    if (leads && (!ghost->leads || ghost->term != term))
        check_new_leader(machine, term);
    ghost->leads = leads;
    ghost->term = term;
}

/* ---- What leaves ---- */

static void check_term_sent(const struct machine *machine, const struct message *message)
{
    raft_term durable = machine->ghost.durable.term;
    bool names_next = message->type_of_message == REQUEST_PRE_VOTE;

    if (message->type_of_message == RESPONSE_PRE_VOTE && message->vote_granted)
        return; /* names the term that it was asked about */
    if (message->curr_term != durable + (names_next ? 1 : 0))
        sim_fail("%d says curr_term=%" PRIu64 " in %s, but its durable term is %" PRIu64, machine->id,
                 message->curr_term, message_type_name(message->type_of_message), durable);
}

static void check_vote_sent(const struct machine *machine, raft_id chosen)
{
    if (machine->ghost.durable.voted_for != chosen)
        sim_fail("%d reveals a vote for %d, but its durable vote is for %d", machine->id, chosen,
                 machine->ghost.durable.voted_for);
}

void check_sending(struct machine *machine, raft_id to, const struct message *message)
{
    if (!machine->is_node)
        return;
    check_term_sent(machine, message);
    if (message->type_of_message == RESPONSE_VOTE && message->vote_granted)
        check_vote_sent(machine, to);
    if (message->type_of_message == REQUEST_VOTE)
        check_vote_sent(machine, machine->id);
    if (message->vote_granted)
        check_vote_granted(machine, to, message);
    if (message->type_of_message == RESPONSE_APPEND_ENTRIES)
        check_acknowledgement(machine, to, message);
    if ((message->type_of_message == REQUEST_APPEND_ENTRIES || message->type_of_message == TIMEOUT_NOW) &&
        leader_in(the_sim, message->curr_term) != machine->id)
        sim_fail("%d speaks as the leader of term %" PRIu64 ", which it is not", machine->id, message->curr_term);
}

/* ---- Leaders, as long as they lead ---- */

void check_answer_arrived(struct machine *machine, raft_id from)
{
    machine->ghost.answered_us[sim_machine(the_sim, from)->position] = the_sim->now_us;
}

/* What an end may add to the time of a silent leader: one that was told to stop, or whose disk has failed it. */
static int64_t ending_us(const struct machine *machine)
{
    if (machine->ghost.stop_asked)
        return HAND_OVER_US + NODE_LAST_WORDS_US;
    return machine->disk.failed ? NODE_LAST_WORDS_US : 0;
}

static void check_quorum_of(const struct sim *sim, const struct machine *machine)
{
    const struct ghost *ghost = &machine->ghost;
    int64_t since_us = sim->now_us - 2 * machine->config.election_timeout_max_us - ending_us(machine);
    int heard = 0;

    if (ghost->leads_since_us > since_us || machine->life->resumed_us > since_us)
        return;
    for (int i = 0; i < sim->machine_count; i++)
        heard += sim->machines[i] == machine || ghost->answered_us[i] > since_us;
    if (heard < majority_of(&machine->config.members))
        sim_fail("%d still leads term %" PRIu64 ", though no majority has answered for long", machine->id, ghost->term);
}

void check_leaders(struct sim *sim)
{
    sim->check_due_us = sim->now_us + CHECK_EVERY_US;
    for (int i = 0; i < sim->machine_count && !sim->scripted; i++) {
        const struct machine *machine = sim->machines[i];

        if (machine->life == NULL || !machine->ghost.leads)
            continue;
        check_votes_of_leader(machine, machine->ghost.term);
        if (!machine->life->paused)
            check_quorum_of(sim, machine);
    }
}

/* ---- Lives ---- */

static void forget_role(struct machine *machine)
{
    machine->ghost.leads = false;
    machine->ghost.stop_asked = false;
    machine->ghost.term = 0;
}

/* What an end has left on the disk must keep what was promised. */
void check_life_began(struct machine *machine)
{
    struct ballot ballot;

    forget_role(machine);
    check_log_life_began(machine);
    if (!machine->is_node)
        return;
    if (newest_ballot(machine, true, &ballot))
        check_next_ballot(machine, machine->ghost.durable, ballot);
    durable_read_again(machine);
}

void check_life_ended(struct machine *machine)
{
    forget_role(machine);
}

void check_fini(struct sim *sim)
{
    for (int i = 0; i < sim->machine_count; i++)
        free(sim->machines[i]->ghost.votes);
    free(sim->leaders);
    check_log_fini(sim);
    check_machine_fini(sim);
}
