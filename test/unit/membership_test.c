/* Birth, who belongs to the cluster, and whose word counts: membership.h. */
#include "stage.h"

#include <string.h>

#include "raft/membership.h"

static struct data_id data_id_of(struct sim *sim, raft_id peer)
{
    return peer == 1 ? stage_server(sim)->data_id : sim_introduction(sim, 1, peer)->data_id;
}

/* A CONFIG that lists those members of three whose bit is set, by the data ids that they show. */
static struct configuration *listing(struct sim *sim, unsigned members)
{
    static struct configuration configuration;
    configuration = (struct configuration){.uuid = {{0xc1}}, .members = stage_server(sim)->config.members};
    for (raft_id id = 1; id <= configuration.members.count; id++)
        if ((members >> id & 1U) != 0)
            configuration.data_ids[id - 1] = data_id_of(sim, id);
    return &configuration;
}

#define ALL    0xeU /* members 1 to 3 */
#define OTHERS 0xcU

static struct entry *config_entry(raft_index index, raft_term term, const struct configuration *configuration)
{
    struct mailraft_buffer payload = {.bytes = NULL};
    configuration_encode(configuration, &payload);
    struct entry *entry = entry_new(ENTRY_CONFIG, term, index, (int64_t)index, payload.bytes, payload.size);
    buffer_fini(&payload);
    return entry;
}

static struct batch *config_batch(raft_index index, raft_term term, const struct configuration *configuration)
{
    struct batch *entries = batch_new();
    batch_add(entries, config_entry(index, term, configuration));
    return entries;
}

/* A follower of member 2 in term 1, whose entry 1 lists these. */
static void follow_with(struct sim *sim, unsigned members)
{
    stage_append(sim, stage_message(REQUEST_APPEND_ENTRIES, 2, 1), config_batch(1, 1, listing(sim, members)));
    sim_forget_sent(sim, 1);
}

static void commit(struct sim *sim, raft_index index)
{
    struct message heartbeat = stage_message(REQUEST_APPEND_ENTRIES, 2, 1);
    heartbeat.prev_index = index;
    heartbeat.prev_term = raft_log_term_at(&stage_server(sim)->raft_log, index);
    heartbeat.commit_index = index;
    sim_deliver(sim, 1, &heartbeat);
}

static raft_index last_index(struct sim *sim)
{
    return raft_log_last_index(&stage_server(sim)->raft_log);
}

static void expect_listed(struct sim *sim, raft_id id, bool listed)
{
    struct data_id is = membership_data_id(stage_server(sim), id - 1), shown = data_id_of(sim, id);
    if (listed)
        cr_assert(data_id_equal(&is, &shown), "%d is not listed", id);
    else
        cr_assert(data_id_is_none(&is), "%d is listed", id);
}

static void vote(struct sim *sim, enum message_type type, raft_id from)
{
    struct message message =
        stage_vote(sim, type, from, stage_server(sim)->current_term + (type == RESPONSE_PRE_VOTE), true);
    sim_deliver(sim, 1, &message);
}

/* ---- Birth ---- */

Test(membership, the_first_leader_proposes_who_belongs_to_the_cluster)
{
    struct sim *sim = stage_open(3);
    stage_unborn_leader(sim);
    cr_assert_eq(last_index(sim), 1);
    const struct entry *entry = raft_log_at(&stage_server(sim)->raft_log, 1);
    struct configuration born;
    struct mailraft_error err;
    cr_assert_eq(entry->kind, ENTRY_CONFIG);
    cr_assert(configuration_decode(entry, &born, &err));
    cr_assert_not(cluster_uuid_is_none(&born.uuid));
    cr_assert_eq(born.members.count, 3);
    cr_assert_str_eq(born.members.list[1].peer.host, "node2");
    for (raft_id id = 1; id <= 3; id++)
        expect_listed(sim, id, true);
    stage_close(sim);
}

Test(membership, lists_only_those_whom_it_has_met)
{
    struct sim *sim = stage_open(5);
    stage_elect(sim); /* by members 2 and 3: the others have never been heard of */
    expect_listed(sim, 3, true);
    expect_listed(sim, 4, false);
    expect_listed(sim, 5, false);
    stage_close(sim);
}

Test(membership, until_it_is_committed_nothing_else_is_proposed)
{
    struct sim *sim = stage_open(3);
    stage_unborn_leader(sim);
    stage_propose_line(sim, 1, "add 1");
    cr_assert_str_eq(stage_reply(sim), "1 NOT_EXECUTED 0 leader=-1");
    struct introduction *shown = sim_introduction(sim, 1, 3);
    shown->data_id.bytes[1] = 7; /* a reason for another CONFIG */
    shown->rejoin_empty = true;
    sim_open_channel(sim, 1, 3, CHANNEL_URGENT);
    sim_run_us(sim, 200 * US);
    cr_assert_eq(last_index(sim), 1);
    stage_acknowledge(sim, 2, 1, 1);
    stage_propose_line(sim, 2, "add 1");
    cr_assert_gt(last_index(sim), 1);
    stage_close(sim);
}

Test(membership, a_later_leader_that_knows_of_no_commit_proposes_only_its_no_op)
{
    struct sim *sim = stage_open(3);
    follow_with(sim, ALL);
    stage_elect(sim);
    cr_assert_str_eq(stage_log(sim), "12");
    cr_assert_eq(raft_log_at(&stage_server(sim)->raft_log, 2)->kind, ENTRY_NO_OP);
    stage_propose_line(sim, 1, "add 1");
    cr_assert_str_eq(stage_reply(sim), "1 NOT_EXECUTED 0 leader=-1");
    stage_acknowledge(sim, 2, 2, 2);
    cr_assert_eq(stage_server(sim)->commit_index, 2);
    stage_close(sim);
}

Test(membership, a_leader_that_knows_of_the_birth_from_an_earlier_life_proposes_beside_its_no_op)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    sim_kill(sim, 1);
    sim_forget_sent(sim, 1);
    sim_restart(sim, 1);
    sim_settle(sim);
    stage_elect(sim);
    cr_assert_eq(stage_server(sim)->commit_index, 0);
    stage_propose_line(sim, 1, "add 1");
    cr_assert_str_eq(stage_log(sim), "122", "its no-op, and the command");
    stage_acknowledge(sim, 2, 2, 3);
    cr_assert_str_eq(stage_reply(sim), "1 APPLIED 3 1");
    stage_close(sim);
}

Test(membership, a_cluster_of_one_is_born_alone)
{
    struct sim *sim = stage_open(1);
    sim_run_us(sim, 301 * US);
    cr_assert_eq(stage_server(sim)->commit_index, 1);
    cr_assert_not(cluster_uuid_is_none(&stage_server(sim)->cluster_uuid));
    stage_close(sim);
}

/* ---- The uuid ---- */

Test(membership, the_uuid_is_written_down_once_the_birth_is_committed)
{
    struct sim *sim = stage_open(3);
    follow_with(sim, ALL);
    cr_assert(cluster_uuid_is_none(&stage_server(sim)->cluster_uuid));
    cr_assert_not(stage_server(sim)->uuid_asked);
    sim_disk_hang(sim, 1, true);
    commit(sim, 1);
    cr_assert(cluster_uuid_is_none(&stage_server(sim)->cluster_uuid), "it is not durable");
    cr_assert_not(sim_log_has(sim, 1, "The cluster is born"));
    sim_disk_hang(sim, 1, false);
    sim_settle(sim);
    cr_assert_eq(stage_server(sim)->cluster_uuid.bytes[0], 0xc1);
    cr_assert_eq(sim_log_count(sim, 1, "The cluster is born cluster_uuid=c1000000000000000000000000000000"), 1);
    stage_close(sim);
}

Test(membership, it_is_asked_for_once_however_the_commit_index_grows)
{
    struct sim *sim = stage_open(3);
    follow_with(sim, ALL);
    struct message next = stage_message(REQUEST_APPEND_ENTRIES, 2, 1);
    next.prev_index = next.prev_term = 1;
    stage_append(sim, next, stage_terms(2, "111"));
    sim_disk_hang(sim, 1, true);
    for (raft_index index = 1; index <= 4; index++)
        commit(sim, index);
    sim_disk_hang(sim, 1, false);
    sim_settle(sim);
    cr_assert_eq(sim_log_count(sim, 1, "The cluster is born"), 1);
    stage_close(sim);
}

Test(membership, a_log_that_begins_with_no_birth_has_none)
{
    struct sim *sim = stage_open(3);
    stage_append(sim, stage_message(REQUEST_APPEND_ENTRIES, 2, 1), stage_terms(1, "1"));
    struct message next = stage_message(REQUEST_APPEND_ENTRIES, 2, 1);
    next.prev_index = next.prev_term = 1;
    stage_append(sim, next, config_batch(2, 1, listing(sim, ALL)));
    commit(sim, 2);
    cr_assert(cluster_uuid_is_none(&stage_server(sim)->cluster_uuid));
    stage_close(sim);
}

Test(membership, it_is_known_after_a_restart_and_not_written_again)
{
    struct sim *sim = stage_open(3);
    follow_with(sim, ALL);
    commit(sim, 1);
    sim_power_cut(sim, 1);
    sim_restart(sim, 1);
    sim_settle(sim);
    cr_assert_eq(stage_server(sim)->cluster_uuid.bytes[0], 0xc1);
    expect_listed(sim, 1, true);
    commit(sim, 1);
    cr_assert_not(stage_server(sim)->uuid_asked);
    cr_assert_eq(sim_log_count(sim, 1, "The cluster is born"), 1);
    stage_close(sim);
}

Test(membership, it_is_that_of_entry_1_whatever_later_ones_say)
{
    struct sim *sim = stage_open(3);
    follow_with(sim, ALL);
    struct configuration *later = listing(sim, ALL);
    later->uuid.bytes[0] = 0xdd;
    struct message next = stage_message(REQUEST_APPEND_ENTRIES, 2, 1);
    next.prev_index = next.prev_term = 1;
    stage_append(sim, next, config_batch(2, 1, later));
    commit(sim, 2);
    cr_assert_eq(stage_server(sim)->cluster_uuid.bytes[0], 0xc1);
    stage_close(sim);
}

/* ---- The newest CONFIG of the log counts, committed or not ---- */

Test(membership, a_config_counts_as_soon_as_it_is_appended)
{
    struct sim *sim = stage_open(3);
    follow_with(sim, ALL);
    expect_listed(sim, 3, true);
    struct message next = stage_message(REQUEST_APPEND_ENTRIES, 2, 1);
    next.prev_index = next.prev_term = 1;
    stage_append(sim, next, config_batch(2, 1, listing(sim, 0x6)));
    expect_listed(sim, 3, false);
    cr_assert_eq(stage_server(sim)->configuration.index, 2);
    cr_assert_eq(stage_server(sim)->commit_index, 0);
    stage_close(sim);
}

Test(membership, one_that_is_cut_off_counts_no_more)
{
    struct sim *sim = stage_open(3);
    follow_with(sim, ALL);
    struct message next = stage_message(REQUEST_APPEND_ENTRIES, 2, 1);
    next.prev_index = next.prev_term = 1;
    stage_append(sim, next, config_batch(2, 1, listing(sim, 0x6)));
    next = stage_message(REQUEST_APPEND_ENTRIES, 3, 2);
    next.prev_index = next.prev_term = 1;
    stage_append(sim, next, stage_terms(2, "2"));
    expect_listed(sim, 3, true);
    cr_assert_eq(stage_server(sim)->configuration.index, 1);
    stage_append(sim, stage_message(REQUEST_APPEND_ENTRIES, 2, 3), stage_terms(1, "3"));
    cr_assert_eq(stage_server(sim)->configuration.index, 0, "not even the birth");
    stage_close(sim);
}

Test(membership, a_config_at_the_same_place_of_another_term_is_another)
{
    struct sim *sim = stage_open(3);
    follow_with(sim, ALL);
    stage_append(sim, stage_message(REQUEST_APPEND_ENTRIES, 3, 2), config_batch(1, 2, listing(sim, 0x6)));
    cr_assert_eq(stage_server(sim)->configuration.term, 2);
    expect_listed(sim, 3, false);
    stage_close(sim);
}

/* ---- Whose word counts ---- */

Test(membership, before_the_birth_everybodys_vote_counts)
{
    struct sim *sim = stage_open(3);
    stage_candidate(sim);
    vote(sim, RESPONSE_VOTE, 3);
    cr_assert_eq(stage_server(sim)->role, LEADER);
    stage_close(sim);
}

Test(membership, votes_of_a_folder_that_is_not_listed_do_not_count)
{
    struct sim *sim = stage_open(3);
    follow_with(sim, 0x6); /* 3 has not been met */
    stage_pre_candidate(sim);
    vote(sim, RESPONSE_PRE_VOTE, 3);
    cr_assert_eq(stage_server(sim)->phase, PRE_VOTING);
    vote(sim, RESPONSE_PRE_VOTE, 2);
    cr_assert_eq(stage_server(sim)->phase, VOTING);
    vote(sim, RESPONSE_VOTE, 3);
    cr_assert_eq(stage_server(sim)->role, CANDIDATE);
    vote(sim, RESPONSE_VOTE, 2);
    cr_assert_eq(stage_server(sim)->role, LEADER);
    stage_close(sim);
}

Test(membership, nor_do_those_of_one_that_shows_none_where_none_is_listed)
{
    struct sim *sim = stage_open(3);
    follow_with(sim, 0x6);
    *sim_introduction(sim, 1, 3) = (struct introduction){.rejoin_empty = false};
    stage_pre_candidate(sim);
    vote(sim, RESPONSE_PRE_VOTE, 3);
    cr_assert_eq(stage_server(sim)->phase, PRE_VOTING);
    stage_close(sim);
}

Test(membership, nor_do_those_of_one_that_came_back_with_another)
{
    struct sim *sim = stage_open(3);
    follow_with(sim, ALL);
    stage_meet_all(sim);
    sim_introduction(sim, 1, 3)->data_id.bytes[1] = 7;
    sim_connect_peer(sim, 1, 3, 99, 1);
    stage_pre_candidate(sim);
    vote(sim, RESPONSE_PRE_VOTE, 3);
    cr_assert_eq(stage_server(sim)->phase, PRE_VOTING);
    stage_close(sim);
}

Test(membership, requests_name_the_data_id_that_is_listed_for_their_receiver)
{
    struct sim *sim = stage_open(3);
    follow_with(sim, 0x6);
    sim_run_us(sim, 301 * US);
    struct data_id two = data_id_of(sim, 2);
    struct message asked = stage_expect(sim, 2, REQUEST_PRE_VOTE);
    cr_assert(data_id_equal(&asked.data_id, &two));
    asked = stage_expect(sim, 3, REQUEST_PRE_VOTE);
    cr_assert(data_id_is_none(&asked.data_id));
    vote(sim, RESPONSE_PRE_VOTE, 2);
    asked = stage_expect(sim, 2, REQUEST_VOTE);
    cr_assert(data_id_equal(&asked.data_id, &two));
    stage_close(sim);
}

Test(membership, acknowledgements_of_a_folder_that_is_not_listed_do_not_count)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    stage_propose_line(sim, 1, "add 1");
    sim_introduction(sim, 1, 3)->data_id.bytes[1] = 7;
    sim_connect_peer(sim, 1, 3, 99, 1);
    stage_acknowledge(sim, 3, 1, 2);
    cr_assert_eq(stage_server(sim)->commit_index, 1);
    stage_acknowledge(sim, 2, 1, 2);
    cr_assert_eq(stage_server(sim)->commit_index, 2);
    stage_close(sim);
}

/* ---- Outsiders ---- */

static void show_birth(struct sim *sim, raft_id peer)
{
    sim_introduction(sim, 1, peer)->cluster_uuid.bytes[0] = 0xc1;
}

Test(membership, one_that_no_config_lists_does_not_stand_against_a_cluster_that_is_born)
{
    struct sim *sim = stage_open(3);
    show_birth(sim, 2);
    sim_open_channel(sim, 1, 2, CHANNEL_URGENT);
    sim_run_us(sim, 3000 * US);
    cr_assert_eq(stage_server(sim)->role, FOLLOWER);
    stage_expect_silence(sim);
    cr_assert_eq(sim_log_count(sim, 1, "Our data folder is not known to the cluster"), 1);
    sim_close_channel(sim, 1, 2, CHANNEL_URGENT);
    sim_run_us(sim, 301 * US);
    cr_assert_eq(stage_server(sim)->role, CANDIDATE, "alone it is like any other without a past");
    stage_close(sim);
}

Test(membership, nor_when_it_has_reached_such_a_one_itself)
{
    struct sim *sim = stage_open(3);
    show_birth(sim, 2);
    sim_reach_peer(sim, 1, 2, CHANNEL_BULK);
    sim_run_us(sim, 1000 * US);
    cr_assert_eq(stage_server(sim)->role, FOLLOWER);
    stage_close(sim);
}

Test(membership, one_that_is_to_be_let_back_takes_part_in_no_birth)
{
    static struct node_config config;
    sim_configure(&config, 1, 3);
    config.rejoin_empty = true;
    struct sim *sim = stage_open_with(&config);
    cr_assert(sim_log_has(sim, 1, "Our data folder is not known to the cluster"));
    sim_run_us(sim, 3000 * US);
    cr_assert_eq(stage_server(sim)->role, FOLLOWER);
    stage_deliver(sim, REQUEST_VOTE, 2, 1);
    cr_assert_eq(stage_expect(sim, 2, RESPONSE_VOTE).refusal, REFUSAL_NEW_FOLDER);
    stage_append(sim, stage_message(REQUEST_APPEND_ENTRIES, 2, 1), config_batch(1, 1, listing(sim, ALL)));
    cr_assert(sim_log_has(sim, 1, "The cluster lists our data folder"));
    sim_run_us(sim, 301 * US);
    cr_assert_eq(stage_server(sim)->role, CANDIDATE);
    stage_close(sim);
}

Test(membership, a_candidate_that_turns_out_to_be_an_outsider_gives_up)
{
    struct sim *sim = stage_open(3);
    stage_pre_candidate(sim);
    show_birth(sim, 2);
    sim_open_channel(sim, 1, 2, CHANNEL_URGENT);
    sim_run_us(sim, 301 * US);
    cr_assert_eq(stage_server(sim)->role, FOLLOWER);
    cr_assert(sim_log_has(sim, 1, "STATE: CANDIDATE -> FOLLOWER cause=\"our data folder is new to the cluster\""));
    stage_close(sim);
}

Test(membership, one_whose_folder_came_back_empty_is_told_so)
{
    struct sim *sim = stage_open(3);
    struct configuration *configuration = listing(sim, ALL);
    memset(configuration->data_ids[0].bytes, 0xab, DATA_ID_SIZE); /* what it was before */
    show_birth(sim, 2);
    stage_append(sim, stage_message(REQUEST_APPEND_ENTRIES, 2, 1), config_batch(1, 1, configuration));
    cr_assert(sim_log_has(sim, 1, "We came back with an empty folder: the cluster knows us by another, so we do not vote"));
    cr_assert(sim_log_has(sim, 1, "known=abababab"));
    cr_assert_eq(stage_expect(sim, 2, RESPONSE_APPEND_ENTRIES).match_index, 1, "it follows all the same");
    sim_run_us(sim, 3000 * US);
    cr_assert_eq(stage_server(sim)->role, FOLLOWER);
    stage_close(sim);
}

static enum refusal ask(struct sim *sim, enum message_type type, raft_term term, const struct data_id *data_id)
{
    struct message request = stage_request_vote(sim, 3, term);
    request.type_of_message = type;
    request.data_id = *data_id;
    sim_forget_sent(sim, 1);
    sim_deliver(sim, 1, &request);
    struct message answer = stage_expect(sim, 3, type == REQUEST_VOTE ? RESPONSE_VOTE : RESPONSE_PRE_VOTE);
    cr_assert_eq(answer.vote_granted, answer.refusal == REFUSAL_NONE);
    return answer.refusal;
}

Test(membership, an_outsider_grants_only_where_the_request_names_its_own_data_id)
{
    static const struct data_id NONE, OTHER = {{9}};
    struct sim *sim = stage_open(3);
    struct data_id ours = stage_server(sim)->data_id;
    cr_assert_eq(ask(sim, REQUEST_PRE_VOTE, 9, &NONE), REFUSAL_NONE, "nobody here is born");
    show_birth(sim, 2);
    sim_open_channel(sim, 1, 2, CHANNEL_URGENT);
    cr_assert_eq(ask(sim, REQUEST_PRE_VOTE, 9, &NONE), REFUSAL_NEW_FOLDER);
    cr_assert_eq(ask(sim, REQUEST_PRE_VOTE, 9, &OTHER), REFUSAL_NEW_FOLDER);
    cr_assert_eq(ask(sim, REQUEST_PRE_VOTE, 9, &ours), REFUSAL_NONE);
    cr_assert_eq(ask(sim, REQUEST_VOTE, 9, &NONE), REFUSAL_NEW_FOLDER);
    cr_assert_eq(stage_server(sim)->voted_for, NO_ONE);
    cr_assert_eq(ask(sim, REQUEST_VOTE, 10, &OTHER), REFUSAL_NEW_FOLDER);
    cr_assert_eq(ask(sim, REQUEST_VOTE, 11, &ours), REFUSAL_NONE);
    stage_close(sim);
}

Test(membership, one_that_is_listed_grants_whatever_data_id_the_request_names)
{
    static const struct data_id NONE;
    struct sim *sim = stage_open(3);
    show_birth(sim, 2);
    follow_with(sim, ALL);
    sim_run_us(sim, 200 * US); /* the leader is silent */
    if (stage_server(sim)->role == FOLLOWER)
        cr_assert_eq(ask(sim, REQUEST_VOTE, 9, &NONE), REFUSAL_NONE);
    stage_close(sim);
}

/* ---- Later members, and those who come back ---- */

/* A leader of three, of whom it has met but member 2 when it gave birth: that is committed. */
static struct sim *open_without_the_third(void)
{
    struct sim *sim = stage_open(3);
    stage_elect(sim);
    stage_acknowledge(sim, 2, 1, 1);
    cr_assert_eq(stage_server(sim)->commit_index, 1);
    expect_listed(sim, 3, false);
    return sim;
}

Test(membership, a_member_that_turns_up_later_is_listed_by_a_further_config)
{
    struct sim *sim = open_without_the_third();
    sim_open_channel(sim, 1, 3, CHANNEL_URGENT);
    cr_assert_eq(last_index(sim), 2);
    cr_assert_eq(raft_log_at(&stage_server(sim)->raft_log, 2)->kind, ENTRY_CONFIG);
    for (raft_id id = 1; id <= 3; id++)
        expect_listed(sim, id, true);
    stage_acknowledge(sim, 2, 1, 2);
    sim_open_channel(sim, 1, 3, CHANNEL_BULK);
    cr_assert_eq(last_index(sim), 2, "once");
    stage_close(sim);
}

Test(membership, a_change_waits_until_an_entry_of_the_own_term_is_committed)
{
    struct sim *sim = stage_open(3);
    follow_with(sim, 0x6);
    commit(sim, 1);
    stage_elect(sim);
    stage_meet_all(sim);
    cr_assert_eq(stage_server(sim)->configuration.index, stage_server(sim)->commit_index);
    cr_assert_str_eq(stage_log(sim), "12", "the birth is committed; of the own term nothing is");
    stage_acknowledge(sim, 2, 2, 2);
    cr_assert_str_eq(stage_log(sim), "122");
    expect_listed(sim, 3, true);
    stage_close(sim);
}

static void come_back_empty(struct sim *sim, raft_id peer, bool rejoin)
{
    struct introduction *shown = sim_introduction(sim, 1, peer);
    shown->data_id.bytes[1] = 7;
    shown->rejoin_empty = rejoin;
    sim_connect_peer(sim, 1, peer, 99, 1);
}

Test(membership, a_folder_that_came_back_empty_is_told_once_and_changes_nothing)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    come_back_empty(sim, 3, false);
    stage_acknowledge(sim, 2, 1, 1);
    cr_assert_eq(last_index(sim), 1);
    cr_assert_eq(
        sim_log_count(sim, 1, "Node 3 came back with an empty folder: its votes and acknowledgements do not count"), 1);
    sim_connect_peer(sim, 1, 3, 99, 2);
    cr_assert_eq(sim_log_count(sim, 1, "Node 3 came back with an empty folder"), 1);
    stage_close(sim);
}

Test(membership, one_that_is_let_back_is_taken_out_first_and_in_when_that_is_committed)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    come_back_empty(sim, 3, true);
    cr_assert_eq(last_index(sim), 2);
    expect_listed(sim, 3, false);
    stage_acknowledge(sim, 3, 1, 2);
    cr_assert_eq(last_index(sim), 2, "its own word does not count for it");
    stage_acknowledge(sim, 2, 1, 2);
    cr_assert_eq(last_index(sim), 3);
    expect_listed(sim, 3, true);
    stage_acknowledge(sim, 2, 1, 3);
    cr_assert_eq(last_index(sim), 3);
    cr_assert_eq(stage_server(sim)->commit_index, 3);
    stage_close(sim);
}

/* The second step is a later leader's: it finds the old data id taken out. */
Test(membership, each_step_is_committed_in_the_term_of_whoever_proposes_the_next)
{
    struct sim *sim = stage_open(3);
    follow_with(sim, 0x6); /* the old one of 3 has been taken out */
    stage_elect(sim);
    stage_meet_all(sim);
    expect_listed(sim, 3, false);
    stage_acknowledge(sim, 2, 2, 2);
    expect_listed(sim, 3, true);
    stage_close(sim);
}

Test(membership, one_member_at_a_time)
{
    struct sim *sim = stage_open(5);
    stage_elect(sim);
    for (raft_id peer = 2; peer <= 3; peer++)
        stage_acknowledge(sim, peer, 1, 1);
    stage_meet_all(sim);
    cr_assert_eq(last_index(sim), 2);
    for (raft_id peer = 2; peer <= 3; peer++)
        stage_acknowledge(sim, peer, 1, 2);
    cr_assert_eq(last_index(sim), 3);
    for (raft_id id = 1; id <= 5; id++)
        expect_listed(sim, id, true);
    stage_close(sim);
}

/* What an earlier folder had acknowledged says nothing of what the new one has. */
Test(membership, what_the_old_folder_had_acknowledged_does_not_count_for_the_new_one)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    stage_propose_line(sim, 1, "add 1");
    stage_acknowledge(sim, 3, 1, 2);
    cr_assert_eq(stage_server(sim)->commit_index, 2);
    come_back_empty(sim, 3, true);
    stage_acknowledge(sim, 2, 1, 3);
    stage_acknowledge(sim, 2, 1, 4);
    cr_assert_eq(stage_server(sim)->commit_index, 4);
    expect_listed(sim, 3, true);
    stage_close(sim);
}

/* Neither when no CONFIG has listed the old one: the new one is listed, and has nothing yet. */
Test(membership, nor_does_what_a_folder_that_was_never_listed_had_acknowledged)
{
    struct sim *sim = stage_open(3);
    follow_with(sim, 0x6);
    commit(sim, 1);
    stage_elect(sim);
    stage_propose_line(sim, 1, "add 1");
    stage_acknowledge(sim, 3, 2, 3);
    cr_assert_eq(stage_server(sim)->commit_index, 1);
    come_back_empty(sim, 3, false);
    stage_acknowledge(sim, 2, 2, 2); /* the no-op: members may be listed now */
    expect_listed(sim, 3, true);
    cr_assert_eq(stage_server(sim)->commit_index, 2);
    stage_close(sim);
}

/* ---- "birth": "all" ---- */

Test(membership, a_birth_of_all_asks_for_every_members_vote)
{
    static struct node_config config;
    sim_configure(&config, 1, 3);
    config.birth_all = true;
    struct sim *sim = stage_open_with(&config);
    stage_pre_candidate(sim);
    vote(sim, RESPONSE_PRE_VOTE, 2);
    cr_assert_eq(stage_server(sim)->phase, PRE_VOTING);
    vote(sim, RESPONSE_PRE_VOTE, 3);
    cr_assert_eq(stage_server(sim)->phase, VOTING);
    vote(sim, RESPONSE_VOTE, 2);
    cr_assert_eq(stage_server(sim)->role, CANDIDATE);
    vote(sim, RESPONSE_VOTE, 3);
    cr_assert_eq(stage_server(sim)->role, LEADER);
    for (raft_id id = 1; id <= 3; id++)
        expect_listed(sim, id, true);
    stage_close(sim);
}

Test(membership, after_that_a_majority_is_enough)
{
    static struct node_config config;
    sim_configure(&config, 1, 3);
    config.birth_all = true;
    struct sim *sim = stage_open_with(&config);
    follow_with(sim, ALL);
    stage_elect(sim);
    cr_assert_eq(stage_server(sim)->granted, 0x3, "two of three");
    stage_close(sim);
}

/* ---- The config ---- */

Test(membership, a_config_that_lists_other_members_than_the_cluster_has_is_refused)
{
    struct sim *sim = stage_open(3);
    struct configuration *configuration = listing(sim, ALL);
    configuration->members.list[2].id = 77;
    stage_append(sim, stage_message(REQUEST_APPEND_ENTRIES, 2, 1), config_batch(1, 1, configuration));
    sim_stop(sim, 1);
    sim_settle(sim);
    sim_disk_put(sim, 1, SIM_DATA_DIR "/lock", 0, "1",
                 1); /* the simulator expects a refusal only where something is wrong */
    sim_restart(sim, 1);
    sim_settle(sim);
    struct mailraft_error err;
    cr_assert_not(sim_lives(sim, 1));
    cr_assert_not(sim_ended_well(sim, 1, &err));
    cr_assert(error_is(&err, &CONFIG_ERROR));
    cr_assert_str_eq(err.message, "The config lists other members than the cluster has, which are 1, 2, 77");
    stage_close(sim);
}
