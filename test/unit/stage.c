#include "stage.h"

#include <stdio.h>
#include <string.h>

#include "sim/world.h"

struct counter stage_counter;
static struct pile *replies; /* the test's; NULL: nothing has been proposed */

static bool prepare_as_it_is(void *context, const struct mailraft_proposal *proposal, struct mailraft_buffer *command)
{
    (void)context;
    mailraft_buffer_put(command, proposal->request, proposal->size);
    return true;
}

static void apply_nothing(void *context, const struct mailraft_entry *entries, size_t count,
                          struct mailraft_standing *standing)
{
    (void)context;
    (void)entries;
    (void)count;
    *standing = (struct mailraft_standing){MAILRAFT_NO_DEADLINE, 0};
}

const struct mailraft_machine stage_plain_machine = {.prepare = prepare_as_it_is, .apply = apply_nothing};

struct sim *stage_open_with(struct node_config *config)
{
    static struct mailraft_machine machine;
    counter_init(&stage_counter);
    machine = counter_machine(&stage_counter);
    if (config->machine == NULL)
        config->machine = &machine;
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
    pile_free(replies);
    replies = NULL;
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

struct message stage_request_vote(struct sim *sim, raft_id from, raft_term term)
{
    struct message message = stage_message(REQUEST_VOTE, from, term);
    message.last_log_index = raft_log_last_index(&stage_server(sim)->raft_log);
    message.last_log_term = raft_log_last_term(&stage_server(sim)->raft_log);
    return message;
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

void stage_meet_all(struct sim *sim)
{
    for (raft_id peer = 2; peer <= stage_server(sim)->config.members.count; peer++)
        stage_deliver(sim, RESPONSE_VOTE, peer, stage_server(sim)->current_term); /* to nothing that was asked */
}

void stage_unborn_leader(struct sim *sim)
{
    stage_meet_all(sim);
    stage_candidate(sim);
    grant(sim, RESPONSE_VOTE);
    cr_assert_eq(stage_server(sim)->role, LEADER);
    cr_assert_eq(stage_server(sim)->commit_index, 0);
}

void stage_leader(struct sim *sim)
{
    stage_unborn_leader(sim);
    for (raft_id peer = 2; peer <= stage_server(sim)->config.members.count; peer++)
        stage_acknowledge(sim, peer, 1, 1);
    sim_forget_sent(sim, 1);
    cr_assert_eq(stage_server(sim)->commit_index, 1);
}

void stage_elect(struct sim *sim)
{
    cr_assert(sim_run_until(sim, 1000 * US, is_candidate, NULL), "it stands when the timeout has passed");
    raft_term term = stage_server(sim)->current_term + 1;
    int count = stage_server(sim)->config.members.count;
    for (raft_id peer = 2; stage_server(sim)->phase == PRE_VOTING && peer <= count; peer++) {
        struct message vote = stage_vote(sim, RESPONSE_PRE_VOTE, peer, term, true);
        sim_deliver(sim, 1, &vote);
    }
    for (raft_id peer = 2; stage_server(sim)->role != LEADER && peer <= count; peer++) {
        struct message vote = stage_vote(sim, RESPONSE_VOTE, peer, term, true);
        sim_deliver(sim, 1, &vote);
    }
    cr_assert_eq(stage_server(sim)->role, LEADER);
    cr_assert_eq(stage_server(sim)->current_term, term);
}

/* ---- Proposals ---- */

void stage_propose(struct sim *sim, uint64_t number, const void *request, size_t size)
{
    struct life *life = sim_machine(sim, 1)->life;
    if (replies == NULL)
        replies = pile_new();
    life_enter(sim, life);
    node_propose(life->node, request, size, &(struct proposer){.pile = replies, .number = number}, NULL);
    life_leave(sim);
    sim_settle(sim);
}

void stage_propose_line(struct sim *sim, uint64_t number, const char *request)
{
    stage_propose(sim, number, request, strlen(request));
}

static void ask(struct sim *sim, struct letter *letter, uint64_t view, uint64_t number)
{
    struct letter_list letters = {0};
    letter->proposer = (struct proposer){.pile = replies, .number = number};
    letter->view = view;
    letter_list_add(&letters, letter);
    node_ask(sim_machine(sim, 1)->life->node, &letters);
}

static struct letter *question(struct sim *sim, enum letter_kind kind, const char *request)
{
    life_enter(sim, sim_machine(sim, 1)->life);
    if (replies == NULL)
        replies = pile_new();
    struct letter *letter = letter_new(kind);
    mailraft_buffer_put(&letter->request, request, strlen(request));
    return letter;
}

static void settle(struct sim *sim)
{
    life_leave(sim);
    sim_settle(sim);
}

void stage_ask_over(struct sim *sim, uint64_t view, enum letter_kind kind, uint64_t number, const char *request)
{
    struct letter *letter = question(sim, kind, request);
    ask(sim, letter, view, number);
    settle(sim);
}

void stage_ask_command(struct sim *sim, uint64_t number, const char *request)
{
    stage_ask_over(sim, stage_server(sim)->view, LETTER_PROPOSE, number, request);
}

void stage_ask_query(struct sim *sim, uint64_t number, const char *query, bool behind)
{
    uint64_t view = stage_server(sim)->view;
    struct letter *letter = question(sim, LETTER_READ, query);
    letter->behind = behind;
    ask(sim, letter, view, number);
    settle(sim);
}

void stage_ask_count(struct sim *sim, uint64_t number, raft_index index)
{
    uint64_t view = stage_server(sim)->view;
    struct letter *letter = question(sim, LETTER_COUNT, "");
    letter->index = index;
    ask(sim, letter, view, number);
    settle(sim);
}

static void tell(const struct letter *reply, char *text, size_t size)
{
    static const char *const OUTCOMES[] = {"APPLIED", "REFUSED", "NOT_EXECUTED",
                                           "UNCERTAIN", "TOO_LARGE", "READ", "COUNTED"};
    int used =
        snprintf(text, size, "%d %s %d", (int)reply->number, OUTCOMES[reply->reply.outcome], (int)reply->reply.index);
    if (reply->reply.outcome == OUTCOME_NOT_EXECUTED)
        snprintf(text + used, size - (size_t)used, " leader=%d", reply->reply.leader_id);
    else if (reply->reply.bytes.size > 0)
        snprintf(text + used, size - (size_t)used, " %.*s", (int)reply->reply.bytes.size,
                 (const char *)reply->reply.bytes.bytes);
}

const char *stage_reply(struct sim *sim)
{
    static char text[200];
    int64_t now_us;
    life_enter(sim, sim_machine(sim, 1)->life);
    struct letter *reply = replies == NULL ? NULL : pile_try(replies, LANE_INNER, &now_us);
    text[0] = '\0';
    if (reply != NULL)
        tell(reply, text, sizeof text);
    letter_free(reply);
    life_leave(sim);
    return text;
}

/* ---- Entries ---- */

static struct message answer_over(struct sim *sim, raft_id peer, enum channel channel)
{
    struct link link = sim_reached(sim, 1, peer, channel);
    struct message answer = stage_message(RESPONSE_APPEND_ENTRIES, peer, stage_server(sim)->current_term);
    answer.request_incarnation = link.incarnation;
    answer.request_connection = link.connection;
    answer.request_channel = channel;
    answer.round = 0;
    return answer;
}

struct message stage_acknowledgement(struct sim *sim, raft_id peer, enum channel channel, raft_index match_index)
{
    struct message answer = answer_over(sim, peer, channel);
    answer.entries_appended = true;
    answer.match_index = match_index;
    return answer;
}

struct message stage_rejection(struct sim *sim, raft_id peer, enum channel channel, raft_index rejected_index,
                               raft_term conflict_term, raft_index conflict_index)
{
    struct message answer = answer_over(sim, peer, channel);
    answer.rejected_index = rejected_index;
    answer.conflict_term = conflict_term;
    answer.conflict_index = conflict_index;
    return answer;
}

void stage_acknowledge(struct sim *sim, raft_id peer, raft_term term, raft_index match_index)
{
    struct message answer = stage_acknowledgement(sim, peer, CHANNEL_BULK, match_index);
    answer.curr_term = term;
    sim_deliver(sim, 1, &answer);
}

const char *stage_log(struct sim *sim)
{
    static char text[100]; /* a test is a process of its own */
    const struct raft_log *log = &stage_server(sim)->raft_log;
    size_t count = 0;
    for (raft_index i = 1; i <= raft_log_last_index(log) && count + 1 < sizeof text; i++)
        text[count++] = (char)('0' + raft_log_term_at(log, i));
    text[count] = '\0';
    return text;
}

struct batch *stage_terms(raft_index first, const char *terms)
{
    struct batch *entries = batch_new();
    for (size_t i = 0; terms[i] != '\0'; i++)
        batch_add(entries,
                  entry_new(ENTRY_COMMAND, (raft_term)(terms[i] - '0'), first + i, (int64_t)(first + i), NULL, 0));
    return entries;
}

static bool take_append(struct sim *sim, raft_id to, struct message *message)
{
    enum channel channel;
    struct batch *entries;
    while (sim_sent_entries(sim, 1, to, message, &channel, &entries)) {
        size_t count = entries == NULL ? 0 : entries->count;
        raft_index first = count == 0 ? 0 : entries->list[0]->index;
        batch_free(entries);
        if (message->type_of_message != REQUEST_APPEND_ENTRIES || channel == CHANNEL_URGENT)
            continue;
        cr_assert(count > 0 && count == message->entry_count && first == message->prev_index + 1);
        return true;
    }
    return false;
}

struct message stage_expect_append(struct sim *sim, raft_id to)
{
    struct message message;
    cr_assert(take_append(sim, to, &message), "no entries were sent to %d", to);
    cr_assert_eq(message.curr_term, stage_server(sim)->current_term);
    return message;
}

void stage_expect_no_append(struct sim *sim, raft_id to)
{
    struct message message;
    cr_assert_not(take_append(sim, to, &message), "entries after %d were sent to %d", (int)message.prev_index, to);
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
