#include "stage.h"

struct sim *stage_open_with(struct node_config *config)
{
    struct sim *sim = sim_new(1);
    sim_log_keep(sim);
    sim_script_network(sim);
    sim_add_node(sim, config);
    sim_settle(sim);
    cr_assert_not_null(sim_server(sim, 1), "the node runs");
    return sim;
}

struct sim *stage_open(int count)
{
    static struct node_config config; /* a test is a process of its own */
    sim_configure(&config, 1, count);
    return stage_open_with(&config);
}

struct batch *stage_entries(raft_index first, raft_index last, raft_term term)
{
    struct batch *entries = batch_new();
    for (raft_index i = first; i <= last; i++)
        batch_add(entries, entry_new(ENTRY_COMMAND, term, i, (int64_t)i, NULL, 0));
    return entries;
}

void stage_append(struct sim *sim, struct message request, struct batch *entries)
{
    request.type_of_message = REQUEST_APPEND_ENTRIES;
    request.entry_count = (uint32_t)entries->count;
    sim_put_entries(sim, 1, &request, entries);
    batch_free(entries);
    sim_settle(sim);
}

void stage_acknowledge(struct sim *sim, raft_id from, raft_term term, raft_index match_index)
{
    struct message answer = stage_message(RESPONSE_APPEND_ENTRIES, from, term);
    answer.round = 0;
    answer.entries_appended = true;
    answer.match_index = match_index;
    answer.request_channel = CHANNEL_BULK;
    sim_deliver(sim, 1, &answer);
}

struct sim *stage_open_with_log(int count, raft_index entries, raft_term term)
{
    struct sim *sim = stage_open(count);
    stage_append(sim, (struct message){.server_id = 2, .curr_term = term}, stage_entries(1, entries, term));
    sim_kill(sim, 1);
    sim_forget_sent(sim, 1);
    sim_restart(sim, 1);
    sim_settle(sim);
    cr_assert_eq(raft_log_last_index(&stage_server(sim)->raft_log), entries);
    return sim;
}

void stage_close(struct sim *sim)
{
    sim_free(sim);
}

struct server *stage_server(struct sim *sim)
{
    return sim_server(sim, 1);
}

struct message stage_message(enum message_type type, raft_id from, raft_term term)
{
    return (struct message){.type_of_message = type, .server_id = from, .curr_term = term, .round = 1};
}

struct message stage_vote(struct sim *sim, enum message_type type, raft_id from, raft_term term, bool granted)
{
    struct message message = stage_message(type, from, term);
    message.vote_granted = granted;
    message.refusal = granted ? REFUSAL_NONE : REFUSAL_LOG_BEHIND;
    message.round = stage_server(sim)->campaign_round;
    return message;
}

void stage_deliver(struct sim *sim, enum message_type type, raft_id from, raft_term term)
{
    struct message message = stage_message(type, from, term);
    sim_deliver(sim, 1, &message);
}

void stage_deliver_of_stranger(struct sim *sim, const struct message *message)
{
    struct link link = {.peer = message->server_id, .channel = CHANNEL_URGENT, .incarnation = 5, .connection = 1};
    sim_put_over(sim, 1, message, &link);
    sim_settle(sim);
}

static bool is_candidate(struct sim *sim, void *context)
{
    (void)context;
    return stage_server(sim)->role == CANDIDATE && stage_server(sim)->phase == PRE_VOTING;
}

void stage_follower(struct sim *sim)
{
    stage_deliver(sim, REQUEST_APPEND_ENTRIES, 2, 1);
    cr_assert_eq(stage_server(sim)->role, FOLLOWER);
    cr_assert_eq(stage_server(sim)->leader_id, 2);
    sim_forget_sent(sim, 1);
}

void stage_pre_candidate(struct sim *sim)
{
    cr_assert(sim_run_until(sim, 1000 * US, is_candidate, NULL), "it stands when the timeout has passed");
    sim_forget_sent(sim, 1);
}

static void grant(struct sim *sim, enum message_type type)
{
    int count = stage_server(sim)->config.members.count;
    for (raft_id peer = 2; peer <= count / 2 + 1; peer++) {
        struct message vote = stage_vote(sim, type, peer, 1, true);
        sim_deliver(sim, 1, &vote);
    }
    sim_forget_sent(sim, 1);
}

void stage_candidate(struct sim *sim)
{
    stage_pre_candidate(sim);
    grant(sim, RESPONSE_PRE_VOTE);
    cr_assert_eq(stage_server(sim)->phase, VOTING);
    cr_assert_eq(stage_server(sim)->current_term, 1);
}

void stage_leader(struct sim *sim)
{
    stage_candidate(sim);
    for (raft_id peer = 2; peer <= stage_server(sim)->config.members.count; peer++)
        stage_deliver(sim, RESPONSE_PRE_VOTE, peer, 0); /* a late answer: each has been met before the birth */
    grant(sim, RESPONSE_VOTE);
    cr_assert_eq(stage_server(sim)->role, LEADER);
    for (raft_id peer = 2; peer <= stage_server(sim)->config.members.count; peer++)
        stage_acknowledge(sim, peer, 1, 1);
    cr_assert_eq(stage_server(sim)->commit_index, 1, "the cluster is born");
    sim_forget_sent(sim, 1);
}

struct message stage_expect(struct sim *sim, raft_id to, enum message_type type)
{
    struct message message;
    cr_assert(sim_sent(sim, 1, to, &message), "nothing was sent to %d, expected %s", to, message_type_name(type));
    cr_assert_eq(message.type_of_message, type, "sent %s to %d, expected %s",
                 message_type_name(message.type_of_message), to, message_type_name(type));
    cr_assert_eq(message.server_id, 1);
    return message;
}

void stage_expect_silence(struct sim *sim)
{
    cr_assert(sim_sent_nothing(sim, 1), "something was sent");
}
