/* That the checks of the log find what they are there for: each violation is made up, and must end the process. */
#include "counting.h"

#include <signal.h>
#include <stdlib.h>

#include "sim/sim.h"

static void show(struct machine *machine, const struct server *fake)
{
    check_log_step(machine, fake);
}

/* ---- What is committed ---- */

Test(check_log, a_commit_index_that_goes_back_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct machine *follower = counting_follower(sim);
    struct server *fake = counting_fake(sim, follower);

    fake->commit_index--;
    fake->applied_index--;
    show(follower, fake);
}

Test(check_log, a_commit_index_beyond_the_log_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct machine *follower = counting_follower(sim);
    struct server *fake = counting_fake(sim, follower);

    fake->commit_index++;
    show(follower, fake);
}

Test(check_log, what_is_applied_and_not_committed_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct machine *follower = counting_follower(sim);
    struct server *fake = counting_fake(sim, follower);

    fake->applied_index++;
    show(follower, fake);
}

Test(check_log, an_entry_that_is_committed_without_a_majority_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct machine *leader = counting_leader(sim);
    struct server *fake;

    sim_isolate(sim, leader->id);
    counting_propose(sim, leader->id);
    sim_run_us(sim, 10000);
    fake = counting_fake(sim, leader);
    cr_assert_eq(leader->ghost.log.last_index, fake->commit_index + 1);
    fake->commit_index++;
    show(leader, fake);
}

Test(check_log, an_entry_that_is_committed_and_on_no_disk_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct machine *leader = counting_leader(sim);
    struct server *fake;

    for (raft_id id = 1; id <= 3; id++)
        sim_disk_hang(sim, id, true);
    counting_propose(sim, leader->id);
    sim_run_us(sim, 1000);
    fake = counting_fake(sim, leader);
    cr_assert_gt(raft_log_last_index(&fake->raft_log), fake->commit_index);
    fake->commit_index++;
    show(leader, fake);
}

static bool majority_has_more(struct sim *sim, void *context)
{
    const struct server *leader = sim_server(sim, *(raft_id *)context);
    int holders = 0;

    for (int i = 0; i < sim->machine_count; i++)
        holders += sim->machines[i]->ghost.log.last_index > leader->commit_index;
    return holders >= 2;
}

/* Figure 8: on a majority is not enough. */
Test(check_log, a_leader_that_commits_an_entry_of_an_earlier_term_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct machine *leader = counting_leader(sim);
    raft_id id = leader->id;
    struct server *fake;

    counting_propose(sim, id);
    cr_assert(sim_run_until(sim, SECOND, majority_has_more, &id));
    fake = counting_fake(sim, leader);
    fake->current_term++;
    fake->commit_index++;
    show(leader, fake);
}

Test(check_log, an_entry_that_is_committed_on_a_majority_is_fine)
{
    struct sim *sim = counting_cluster();
    struct machine *leader = counting_leader(sim);
    raft_id id = leader->id;
    struct server *fake;

    counting_propose(sim, id);
    cr_assert(sim_run_until(sim, SECOND, majority_has_more, &id));
    fake = counting_fake(sim, leader);
    fake->commit_index++;
    show(leader, fake);
    free(fake);
    sim_free(sim);
}

Test(check_log, a_second_entry_that_is_committed_in_the_same_place_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct machine *old = counting_left_behind(sim);
    struct server *fake = counting_fake(sim, old);

    cr_assert_eq(raft_log_last_index(&fake->raft_log), fake->commit_index + 1);
    fake->commit_index++;
    show(old, fake);
}

/* ---- Leaders ---- */

Test(check_log, a_leader_that_counts_an_entry_where_it_never_was_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct machine *leader = counting_leader(sim), *follower = counting_follower(sim);
    struct server *fake;

    sim_isolate(sim, leader->id);
    counting_propose(sim, leader->id);
    sim_run_us(sim, 10000);
    fake = counting_fake(sim, leader);
    cr_assert_gt(leader->ghost.log.last_index, follower->ghost.log.last_index);
    fake->peers[follower->position].progress.match_index = leader->ghost.log.last_index;
    show(leader, fake);
}

Test(check_log, a_leader_that_lacks_what_is_committed_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct machine *old = counting_left_behind(sim);
    struct server *fake = counting_fake(sim, old);

    fake->role = LEADER;
    fake->current_term = 100;
    show(old, fake);
}

Test(check_log, a_leader_of_an_earlier_term_need_not_have_what_later_ones_committed)
{
    struct sim *sim = counting_cluster();
    struct machine *old = counting_left_behind(sim);
    struct server *fake = counting_fake(sim, old);

    fake->role = LEADER;
    fake->current_term = counting_server(sim, counting_leader(sim))->current_term;
    show(old, fake);
    free(fake);
    sim_free(sim);
}

Test(check_log, a_leader_whose_log_shrinks_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct machine *leader = counting_leader(sim);
    struct server *fake = counting_fake(sim, leader);

    fake->raft_log.terms.last_index--;
    fake->raft_log.durable_index = 0;
    show(leader, fake);
}

Test(check_log, a_leader_whose_log_changes_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct machine *leader = counting_leader(sim);
    struct server *fake = counting_fake(sim, leader);

    leader->ghost.leader_last_checksum++;
    show(leader, fake);
}

/* ---- What is durable ---- */

Test(check_log, an_entry_that_is_taken_for_durable_and_is_not_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct machine *leader = counting_leader(sim);
    struct server *fake;

    sim_disk_hang(sim, leader->id, true);
    counting_propose(sim, leader->id);
    sim_run_us(sim, 1000);
    fake = counting_fake(sim, leader);
    cr_assert_gt(raft_log_last_index(&fake->raft_log), leader->ghost.log.last_index);
    fake->raft_log.durable_index = raft_log_last_index(&fake->raft_log);
    show(leader, fake);
}

Test(check_log, a_server_that_begins_with_less_than_its_disk_holds_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    struct machine *follower = counting_follower(sim);
    struct server *fake = counting_fake(sim, follower);

    follower->ghost.loaded = false;
    fake->raft_log.saved_number = 0;
    fake->raft_log.durable_index--;
    show(follower, fake);
}

/* ---- What leaves ---- */

static void acknowledge(struct sim *sim, const struct machine *follower, raft_index index)
{
    struct server *server = counting_server(sim, follower);
    struct message answer = {.type_of_message = RESPONSE_APPEND_ENTRIES,
                             .curr_term = server->current_term,
                             .server_id = follower->id,
                             .entries_appended = true,
                             .match_index = index};

    mailbox_send(server->mailbox, sim_leader(sim), CHANNEL_URGENT, &answer, NULL, true);
}

Test(check_log, what_is_acknowledged_and_not_durable_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    const struct machine *follower = counting_follower(sim);

    acknowledge(sim, follower, follower->ghost.log.last_index + 1);
}

Test(check_log, what_is_acknowledged_and_not_what_the_leader_has_is_found, .signal = SIGABRT)
{
    struct sim *sim = counting_cluster();
    const struct machine *follower = counting_follower(sim);
    struct terms *terms = &counting_server(sim, counting_leader(sim))->raft_log.terms;

    terms->list[terms->count - 1].term++;
    acknowledge(sim, follower, follower->ghost.log.last_index);
}

Test(check_log, what_is_acknowledged_and_durable_is_fine)
{
    struct sim *sim = counting_cluster();
    const struct machine *follower = counting_follower(sim);

    acknowledge(sim, follower, follower->ghost.log.last_index);
    sim_free(sim);
}

static bool asks_for_pre_votes(struct sim *sim, void *context)
{
    const struct server *server = sim_server(sim, *(raft_id *)context);

    return server->role == CANDIDATE && server->phase == PRE_VOTING;
}

/* What a follower that nobody hears asks of the leader, that one grants. */
static void grant_pre_vote(struct sim *sim, bool behind)
{
    struct server *leader = counting_server(sim, counting_leader(sim));
    raft_id id = counting_follower(sim)->id;
    struct message answer = {.type_of_message = RESPONSE_PRE_VOTE,
                             .curr_term = leader->current_term + 1,
                             .server_id = leader->config.id,
                             .vote_granted = true};

    sim_isolate(sim, id);
    if (behind) {
        counting_propose(sim, leader->config.id);
        sim_run_us(sim, 10000);
    }
    cr_assert(sim_run_until(sim, SECOND, asks_for_pre_votes, &id));
    answer.round = sim_server(sim, id)->campaign_round;
    mailbox_send(leader->mailbox, id, CHANNEL_URGENT, &answer, NULL, true);
}

Test(check_log, a_pre_vote_for_whoever_is_behind_is_found, .signal = SIGABRT)
{
    grant_pre_vote(counting_cluster(), true);
}

Test(check_log, a_pre_vote_for_whoever_is_not_behind_is_fine)
{
    struct sim *sim = counting_cluster();

    grant_pre_vote(sim, false);
    sim_free(sim);
}
