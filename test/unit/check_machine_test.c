/* That the checks of state machines and answers find what they are there for: each violation is shown to them, and must
 * end the process. */
#include "counting.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "sim/sim.h"

/* ---- Applying ---- */

/* A command that is committed and not applied anywhere yet, as the follower's machine gets it. */
static struct mailraft_entry next_entry(struct sim *sim, struct machine *follower)
{
    const struct known *known = check_chosen(sim, sim->chosen_count)->entry;

    follower->ghost.applied_index = known->index - 1; /* as if the last one had not been */
    return (struct mailraft_entry){known->index, known->time_us, 0, known->payload, known->payload_size, NULL};
}

Test(check_machine, an_entry_that_is_applied_as_it_was_committed_is_fine)
{
    struct sim *sim = counting_cluster();
    struct machine *follower = counting_follower(sim);
    struct mailraft_entry entry = next_entry(sim, follower);

    check_applying(follower, &entry);
    check_applied(follower, sim_counter(sim, follower->id));
    sim_free(sim);
}

Test(check_machine, an_entry_that_is_applied_twice_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct machine *follower = counting_follower(sim);
    struct mailraft_entry entry = next_entry(sim, follower);

    check_applying(follower, &entry);
    check_applying(follower, &entry);
}

Test(check_machine, an_entry_that_is_left_out_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct machine *follower = counting_follower(sim);
    struct mailraft_entry entry = next_entry(sim, follower);

    follower->ghost.applied_index--;
    check_applying(follower, &entry);
}

Test(check_machine, an_entry_that_is_applied_and_not_committed_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct machine *follower = counting_follower(sim);
    struct mailraft_entry entry = next_entry(sim, follower);

    follower->ghost.applied_index++;
    entry.index++;
    check_applying(follower, &entry);
}

Test(check_machine, another_command_than_the_committed_one_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct machine *follower = counting_follower(sim);
    struct mailraft_entry entry = next_entry(sim, follower);

    entry.command = "add 9";
    check_applying(follower, &entry);
}

Test(check_machine, another_time_than_the_committed_one_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct machine *follower = counting_follower(sim);
    struct mailraft_entry entry = next_entry(sim, follower);

    entry.time_us++;
    check_applying(follower, &entry);
}

Test(check_machine, a_state_that_differs_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct counter counter = *sim_counter(sim, 1);

    counter.hash++;
    check_applied(sim_machine(sim, 1), &counter);
}

Test(check_machine, a_counter_that_shows_something_else_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct counter counter = *sim_counter(sim, 1);

    counter.value++;
    check_applied(sim_machine(sim, 1), &counter);
}

/* ---- Answers ---- */

/* An answer to the last proposal, which has not been answered yet. */
static struct letter *answer(struct sim *sim, enum outcome outcome, raft_index index, const char *value)
{
    struct letter *letter = letter_new(LETTER_REPLY);

    letter->number = sim->proposal_count;
    sim->proposals[sim->proposal_count - 1].answered = false;
    sim->chosen[sim->chosen_count - 1].answered = false;
    letter->reply.outcome = outcome;
    letter->reply.index = index;
    mailraft_buffer_put(&letter->reply.bytes, value, strlen(value));
    return letter;
}

Test(check_machine, the_answer_that_was_given_is_fine)
{
    struct sim *sim = counting_cluster();
    struct letter *letter = answer(sim, OUTCOME_APPLIED, sim->chosen_count, "6");

    check_answer(sim_machine(sim, 1), letter);
    letter_free(letter);
    sim_free(sim);
}

Test(check_machine, an_answer_that_is_given_twice_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct letter *letter = answer(sim, OUTCOME_UNCERTAIN, 0, "");

    check_answer(sim_machine(sim, 1), letter);
    check_answer(sim_machine(sim, 1), letter);
}

Test(check_machine, an_answer_to_what_nobody_proposed_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct letter *letter = answer(sim, OUTCOME_UNCERTAIN, 0, "");

    letter->number++;
    check_answer(sim_machine(sim, 1), letter);
}

Test(check_machine, an_answer_with_another_value_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();

    check_answer(sim_machine(sim, 1), answer(sim, OUTCOME_APPLIED, sim->chosen_count, "7"));
}

Test(check_machine, an_answer_about_an_entry_that_is_not_committed_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();

    check_answer(sim_machine(sim, 1), answer(sim, OUTCOME_APPLIED, sim->chosen_count + 1, "6"));
}

Test(check_machine, an_answer_about_the_entry_of_another_proposal_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();

    sim->chosen[sim->chosen_count - 2].answered = false;
    check_answer(sim_machine(sim, 1), answer(sim, OUTCOME_APPLIED, sim->chosen_count - 1, "3"));
}

Test(check_machine, a_second_answer_about_one_entry_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct letter *letter = answer(sim, OUTCOME_APPLIED, sim->chosen_count, "6");

    sim->chosen[sim->chosen_count - 1].answered = true;
    check_answer(sim_machine(sim, 1), letter);
}

Test(check_machine, a_committed_command_that_is_answered_as_never_executed_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();

    check_answer(sim_machine(sim, 1), answer(sim, OUTCOME_NOT_EXECUTED, 0, ""));
}

/* ---- Proposals ---- */

/* One more entry with the last command is committed. */
static void choose_again(struct sim *sim)
{
    struct known *again = calloc(1, sizeof *again + 40);
    struct chosen chosen = {.entry = again};

    *again = *check_chosen(sim, sim->chosen_count)->entry;
    again->index++;
    strcpy(again->payload, check_chosen(sim, sim->chosen_count)->entry->payload);
    check_command_chosen(sim, &chosen);
}

Test(check_machine, a_command_that_is_committed_twice_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();

    choose_again(sim);
}

Test(check_machine, a_command_that_is_committed_after_it_was_answered_as_never_executed_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct proposal *proposal = &sim->proposals[sim->proposal_count - 1];

    proposal->index = 0;
    proposal->outcome = OUTCOME_NOT_EXECUTED;
    choose_again(sim);
}

Test(check_machine, a_command_that_nobody_proposed_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();

    sim->proposal_count--;
    choose_again(sim);
}
