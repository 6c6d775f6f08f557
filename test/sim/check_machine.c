/* What must hold of the state machines, and of what clients are told.
 *
 *   - Each life's machine gets every entry that is committed, in order, once, and all come to the same state with it.
 *   - A counter shows what a count over the committed commands gives.
 *   - A proposal that is answered as applied is a committed entry, and no other proposal is that one; its answer is
 *     what the counter showed then. One that is answered as never executed never becomes one. None is executed twice.
 *
 * Proposals are told apart by what they add: the swarm's nth proposal is "add n" (proposer.c). */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "sim/world.h"

/* ---- The count ---- */

static void count_command(struct count *count, const char *command)
{
    int64_t number;

    if (sscanf(command, "add %" SCNd64, &number) == 1)
        count->value += number;
    else if (sscanf(command, "deadline %" SCNd64, &number) == 1)
        count->deadline_us = number;
}

/* What the counter shows once an entry is applied, from what it showed before. */
static struct count count_on(struct count count, const struct known *entry)
{
    if (entry->time_us >= count.deadline_us)
        count = (struct count){0, MAILRAFT_NO_DEADLINE};
    if (entry->kind == ENTRY_COMMAND)
        count_command(&count, entry->payload);
    return count;
}

/* ---- Proposals ---- */

uint64_t check_proposed(struct sim *sim)
{
    if (sim->proposal_count == sim->proposal_room) {
        sim->proposal_room = sim->proposal_room == 0 ? 256 : 2 * sim->proposal_room;
        sim->proposals = realloc(sim->proposals, sim->proposal_room * sizeof *sim->proposals);
        assert(sim->proposals != NULL);
    }
    sim->proposals[sim->proposal_count] = (struct proposal){.outcome = OUTCOME_UNCERTAIN};
    return ++sim->proposal_count;
}

static struct proposal *proposal_at(const struct sim *sim, uint64_t number)
{
    return number >= 1 && number <= sim->proposal_count ? &sim->proposals[number - 1] : NULL;
}

static bool is_never_executed(enum outcome outcome)
{
    return outcome == OUTCOME_NOT_EXECUTED || outcome == OUTCOME_REFUSED || outcome == OUTCOME_TOO_LARGE;
}

/* The proposal that a command is; NULL where commands do not tell. */
static struct proposal *proposal_of(const struct sim *sim, const struct known *entry)
{
    uint64_t number;

    if (!sim->telling || entry->kind != ENTRY_COMMAND || sscanf(entry->payload, "add %" SCNu64, &number) != 1)
        return NULL;
    if (proposal_at(sim, number) == NULL)
        sim_fail("entry %" PRIu64 " is committed, \"%s\", but nobody proposed it", entry->index, entry->payload);
    return proposal_at(sim, number);
}

static void check_proposal_chosen(const struct sim *sim, const struct known *entry)
{
    struct proposal *proposal = proposal_of(sim, entry);

    if (proposal == NULL)
        return;
    if (proposal->index != 0)
        sim_fail("\"%s\" is committed twice, as entry %" PRIu64 " and %" PRIu64, entry->payload, proposal->index,
                 entry->index);
    proposal->index = entry->index;
    if (is_never_executed(proposal->outcome))
        sim_fail("\"%s\" is committed as entry %" PRIu64 ", but was answered as never executed", entry->payload,
                 entry->index);
}

void check_command_chosen(struct sim *sim, struct chosen *chosen)
{
    const struct chosen *before = check_chosen(sim, chosen->entry->index - 1);
    struct count count = before != NULL ? before->count : (struct count){0, MAILRAFT_NO_DEADLINE};

    chosen->count = count_on(count, chosen->entry);
    if (chosen->entry->kind == ENTRY_COMMAND)
        sim->commands++;
    check_proposal_chosen(sim, chosen->entry);
}

static void check_applied_answer(struct sim *sim, const struct machine *machine, const struct letter *letter)
{
    raft_index index = letter->reply.index;
    struct proposal *proposal = proposal_at(sim, letter->number);
    struct chosen *chosen = index >= 1 && index <= sim->chosen_count ? &sim->chosen[index - 1] : NULL;
    char value[30];

    if (chosen == NULL || chosen->entry->kind != ENTRY_COMMAND)
        sim_fail("%d answers a proposal as applied as entry %" PRIu64 ", which is no committed command", machine->id,
                 index);
    if (chosen->answered)
        sim_fail("%d answers a second proposal as applied as entry %" PRIu64, machine->id, index);
    chosen->answered = true;
    if (proposal_of(sim, chosen->entry) != NULL && proposal_of(sim, chosen->entry) != proposal)
        sim_fail("%d answers proposal %" PRIu64 " as applied as entry %" PRIu64 ", which is another", machine->id,
                 letter->number, index);
    snprintf(value, sizeof value, "%" PRId64, chosen->count.value);
    if (letter->reply.bytes.size != strlen(value) || memcmp(letter->reply.bytes.bytes, value, strlen(value)) != 0)
        sim_fail("%d answers entry %" PRIu64 " with \"%.*s\", but the counter showed %s", machine->id, index,
                 (int)letter->reply.bytes.size, (const char *)letter->reply.bytes.bytes, value);
}

void check_answer(struct machine *machine, const struct letter *letter)
{
    struct sim *sim = the_sim;
    struct proposal *proposal = proposal_at(sim, letter->number);

    if (proposal == NULL || proposal->answered)
        sim_fail("%d answers proposal %" PRIu64 ", which %s", machine->id, letter->number,
                 proposal == NULL ? "was never made" : "it has answered before");
    proposal->answered = true;
    proposal->outcome = letter->reply.outcome;
    sim->outcomes[letter->reply.outcome]++;
    if (letter->reply.outcome == OUTCOME_APPLIED)
        check_applied_answer(sim, machine, letter);
    else if (is_never_executed(letter->reply.outcome) && proposal->index != 0)
        sim_fail("%d answers a proposal as never executed that is committed as entry %" PRIu64, machine->id,
                 proposal->index);
}

/* ---- Applying ---- */

static void check_same_entry(const struct machine *machine, const struct known *known,
                             const struct mailraft_entry *entry)
{
    bool command = known->kind == ENTRY_COMMAND;

    if (entry->time_us != known->time_us || (entry->command != NULL) != command ||
        (command &&
         (entry->size != known->payload_size || memcmp(entry->command, known->payload, known->payload_size) != 0)))
        sim_fail("the machine of %d is given \"%.*s\" of %" PRId64 " as entry %" PRIu64 ", but \"%s\" of %" PRId64
                 " was committed, in term %" PRIu64,
                 machine->id, (int)entry->size, entry->command != NULL ? (const char *)entry->command : "",
                 entry->time_us, entry->index, command ? known->payload : "", known->time_us, known->term);
}

void check_state(struct machine *machine, raft_index index, uint64_t hash)
{
    struct chosen *chosen = &the_sim->chosen[index - 1];

    if (chosen->state_hash == 0)
        chosen->state_hash = hash;
    if (chosen->state_hash != hash)
        sim_fail("the machine of %d has come to another state with entry %" PRIu64 " than others", machine->id, index);
}

void check_applying(struct machine *machine, const struct mailraft_entry *entry)
{
    const struct chosen *chosen = check_chosen(the_sim, entry->index);

    if (entry->index != machine->ghost.applied_index + 1)
        sim_fail("the machine of %d is given entry %" PRIu64 " after %" PRIu64, machine->id, entry->index,
                 machine->ghost.applied_index);
    machine->ghost.applied_index = entry->index;
    if (the_sim->scripted)
        return;
    if (chosen == NULL)
        sim_fail("the machine of %d is given entry %" PRIu64 ", which is not committed", machine->id, entry->index);
    check_same_entry(machine, chosen->entry, entry);
}

void check_applied(struct machine *machine, const struct counter *counter)
{
    const struct chosen *chosen;

    if (the_sim->scripted)
        return;
    chosen = &the_sim->chosen[counter->index - 1];
    if (counter->value != chosen->count.value)
        sim_fail("the counter of %d shows %" PRId64 " after entry %" PRIu64 ", not %" PRId64, machine->id,
                 counter->value, counter->index, chosen->count.value);
    check_state(machine, counter->index, counter->hash);
}

void check_machine_fini(struct sim *sim)
{
    free(sim->proposals);
}
