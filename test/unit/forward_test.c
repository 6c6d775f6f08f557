#include "raft/forward.h"

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "stage.h"

/* A follower of member 2 in term 1 of a cluster that is born, connected both ways. */
static struct sim *open_follower(void)
{
    struct sim *sim = stage_open(3);
    stage_meet_all(sim);
    stage_follower(sim);
    stage_server(sim)->cluster_uuid.bytes[0] = 1;
    sim_run_us(sim, 1 * US);
    stage_deliver(sim, REQUEST_APPEND_ENTRIES, 2, 1);
    cr_assert(stage_server(sim)->way.open);
    cr_assert_eq(stage_server(sim)->way.leader_id, 2);
    sim_forget_sent(sim, 1);
    return sim;
}

static struct sim *open_leader(void)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    sim_forget_sent(sim, 1);
    return sim;
}

/* The next FORWARD to a peer as text: "T1 command 0:add 1, query 1:get"; the places stand for the numbers. "" where
 * there is none. */
static uint64_t numbers[16];

static const char *forwarded_to(struct sim *sim, raft_id peer)
{
    static const char *const KINDS[] = {"", "command", "query", "query behind", "count"};
    static char text[400];
    struct message message = {0};
    struct mailraft_buffer body = {0};
    struct request request;
    size_t at = 0, used = 0, count = 0;
    text[0] = '\0';
    while (sim_sent_body(sim, 1, peer, &message, &body) && message.type_of_message != FORWARD)
        buffer_fini(&body);
    if (message.type_of_message == FORWARD)
        used += (size_t)snprintf(text, sizeof text, "T%d", (int)message.curr_term);
    while (requests_next(&body, &at, &request)) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s %s %.*s", count > 0 ? "," : "",
                                 KINDS[request.kind], (int)request.size, (const char *)request.bytes);
        numbers[count++] = request.number;
    }
    buffer_fini(&body);
    return text;
}

/* A peer's answers, over the present connections. */
static void answer_with(struct sim *sim, raft_id peer, raft_term term, const struct mailraft_buffer *body)
{
    struct link link = sim_reached(sim, 1, peer, CHANNEL_BULK);
    struct message message = stage_message(FORWARDED, peer, term);
    message.request_incarnation = link.incarnation;
    message.request_connection = link.connection;
    message.request_channel = CHANNEL_BULK;
    sim_deliver_body(sim, 1, &message, body);
}

/* That to the request of that number. */
static void answer(struct sim *sim, raft_id peer, raft_term term, uint64_t number, enum outcome outcome,
                   raft_index index, const char *bytes)
{
    struct mailraft_buffer body = {0};
    replies_put(&body, &(struct reply){.outcome = outcome,
                                       .number = number,
                                       .index = index,
                                       .leader_id = NO_ONE,
                                       .bytes = (const uint8_t *)bytes,
                                       .size = strlen(bytes)});
    answer_with(sim, peer, term, &body);
    buffer_fini(&body);
}

/* ---- Asking ---- */

Test(forward, what_a_followers_client_wants_goes_to_the_leader_and_the_answer_comes_back)
{
    struct sim *sim = open_follower();
    stage_ask_command(sim, 1, "add 1");
    cr_assert_str_eq(forwarded_to(sim, 2), "T1 command add 1");
    cr_assert_str_eq(stage_reply(sim), "");
    answer(sim, 2, 1, numbers[0], OUTCOME_APPLIED, 7, "5");
    cr_assert_str_eq(stage_reply(sim), "1 APPLIED 7 5");
    stage_ask_query(sim, 2, "get", false);
    stage_ask_query(sim, 3, "get", true);
    cr_assert_str_eq(forwarded_to(sim, 2), "T1 query get");
    uint64_t first = numbers[0];
    cr_assert_str_eq(forwarded_to(sim, 2), "T1 query behind get");
    answer(sim, 2, 1, numbers[0], OUTCOME_READ, 0, "6");
    answer(sim, 2, 1, first, OUTCOME_READ, 0, "5");
    cr_assert_str_eq(stage_reply(sim), "3 READ 0 6");
    cr_assert_str_eq(stage_reply(sim), "2 READ 0 5");
    cr_assert_eq(stage_server(sim)->forwarded_bytes, 0);
    stage_close(sim);
}

Test(forward, one_that_names_no_way_is_for_this_node_alone)
{
    struct sim *sim = open_follower();
    stage_propose_line(sim, 1, "add 1");
    cr_assert_str_eq(stage_reply(sim), "1 NOT_EXECUTED 0 leader=2");
    cr_assert_str_eq(forwarded_to(sim, 2), "");
    stage_close(sim);
}

Test(forward, an_answer_counts_once_and_only_from_whom_it_was_asked)
{
    struct sim *sim = open_follower();
    stage_ask_command(sim, 1, "add 1");
    forwarded_to(sim, 2);
    answer(sim, 3, 1, numbers[0], OUTCOME_APPLIED, 7, "9");
    cr_assert_str_eq(stage_reply(sim), "", "3 does not lead");
    answer(sim, 2, 1, numbers[0] + 1, OUTCOME_APPLIED, 7, "9");
    answer(sim, 2, 1, numbers[0] ^ 1ULL << 32, OUTCOME_APPLIED, 7, "9");
    answer(sim, 2, 1, UINT64_MAX, OUTCOME_APPLIED, 7, "9");
    cr_assert_str_eq(stage_reply(sim), "", "nobody waits for those numbers");
    answer(sim, 2, 1, numbers[0], OUTCOME_APPLIED, 7, "5");
    answer(sim, 2, 1, numbers[0], OUTCOME_APPLIED, 7, "5");
    cr_assert_str_eq(stage_reply(sim), "1 APPLIED 7 5");
    cr_assert_str_eq(stage_reply(sim), "");
    stage_close(sim);
}

Test(forward, a_number_is_not_used_twice)
{
    struct sim *sim = open_follower();
    stage_ask_command(sim, 1, "add 1");
    forwarded_to(sim, 2);
    uint64_t first = numbers[0];
    answer(sim, 2, 1, first, OUTCOME_APPLIED, 7, "5");
    cr_assert_str_eq(stage_reply(sim), "1 APPLIED 7 5");
    stage_ask_command(sim, 2, "add 1");
    forwarded_to(sim, 2);
    answer(sim, 2, 1, first, OUTCOME_APPLIED, 7, "5");
    cr_assert_str_eq(stage_reply(sim), "", "the first is answered");
    answer(sim, 2, 1, numbers[0], OUTCOME_APPLIED, 8, "6");
    cr_assert_str_eq(stage_reply(sim), "2 APPLIED 8 6");
    stage_close(sim);
}

Test(forward, an_answer_of_many_parts_is_one)
{
    struct sim *sim = open_follower();
    static char large[REPLY_PART_BYTES + 3];
    memset(large, 'x', sizeof large - 1);
    stage_ask_query(sim, 1, "get", false);
    forwarded_to(sim, 2);
    struct mailraft_buffer body = {0}, part = {0};
    struct reply reply = {.outcome = OUTCOME_READ,
                          .number = numbers[0],
                          .leader_id = NO_ONE,
                          .bytes = (const uint8_t *)large,
                          .size = sizeof large - 1};
    replies_put(&body, &reply);
    size_t first = REPLY_HEAD_BYTES + REPLY_PART_BYTES;
    mailraft_buffer_put(&part, body.bytes, first);
    answer_with(sim, 2, 1, &part);
    cr_assert_str_eq(stage_reply(sim), "");
    buffer_clear(&part);
    mailraft_buffer_put(&part, body.bytes + first, body.size - first);
    answer_with(sim, 2, 1, &part);
    cr_assert_eq(strncmp(stage_reply(sim), "1 READ 0 xxxx", 13), 0);
    cr_assert_str_eq(stage_reply(sim), "");
    buffer_fini(&body);
    buffer_fini(&part);
    stage_close(sim);
}

Test(forward, when_a_connection_on_the_way_is_gone_a_command_is_uncertain_and_a_query_was_not_executed)
{
    for (int way = 0; way < 2; way++) {
        struct sim *sim = open_follower();
        stage_ask_command(sim, 1, "add 1");
        stage_ask_query(sim, 2, "get", true);
        forwarded_to(sim, 2);
        uint64_t command = numbers[0], view = stage_server(sim)->view;
        if (way == 0)
            sim_lose_peer(sim, 1, 2, CHANNEL_BULK);
        else
            sim_close_channel(sim, 1, 2, CHANNEL_BULK);
        cr_assert_str_eq(stage_reply(sim), "1 UNCERTAIN 0");
        cr_assert_str_eq(stage_reply(sim), "2 NOT_EXECUTED 0 leader=-1");
        cr_assert_not(stage_server(sim)->way.open);
        if (way == 0)
            sim_reach_peer(sim, 1, 2, CHANNEL_BULK);
        else
            sim_open_channel(sim, 1, 2, CHANNEL_BULK);
        cr_assert(stage_server(sim)->way.open);
        cr_assert_gt(stage_server(sim)->view, view);
        answer(sim, 2, 1, command, OUTCOME_APPLIED, 7, "5");
        cr_assert_str_eq(stage_reply(sim), "", "of the past");
        stage_close(sim);
    }
}

Test(forward, what_the_leader_did_not_take_was_not_executed_and_the_way_is_closed_until_it_changes)
{
    struct sim *sim = open_follower();
    stage_ask_command(sim, 1, "add 1");
    forwarded_to(sim, 2);
    answer(sim, 2, 1, numbers[0], OUTCOME_NOT_EXECUTED, 0, "");
    cr_assert_str_eq(stage_reply(sim), "1 NOT_EXECUTED 0 leader=-1");
    cr_assert_not(stage_server(sim)->way.open);
    stage_ask_command(sim, 2, "add 1");
    cr_assert_str_eq(stage_reply(sim), "2 NOT_EXECUTED 0 leader=2");
    stage_deliver(sim, REQUEST_APPEND_ENTRIES, 3, 2);
    cr_assert(stage_server(sim)->way.open, "another leads");
    stage_close(sim);
}

Test(forward, a_leader_that_refuses_what_was_meant_for_an_earlier_term_leaves_the_way_open)
{
    struct sim *sim = open_follower();
    stage_ask_command(sim, 1, "add 1");
    forwarded_to(sim, 2);
    stage_deliver(sim, REQUEST_APPEND_ENTRIES, 2, 2);
    cr_assert(stage_server(sim)->way.open);
    answer(sim, 2, 2, numbers[0], OUTCOME_NOT_EXECUTED, 0, "");
    cr_assert_str_eq(stage_reply(sim), "1 NOT_EXECUTED 0 leader=-1");
    cr_assert(stage_server(sim)->way.open, "2 leads again, and has refused nothing as such");
    stage_close(sim);
}

Test(forward, an_entry_that_another_took_the_place_of_leaves_the_way_open)
{
    struct sim *sim = open_follower();
    stage_ask_command(sim, 1, "add 1");
    forwarded_to(sim, 2);
    answer(sim, 2, 1, numbers[0], OUTCOME_NOT_EXECUTED, 7, "");
    cr_assert_str_eq(stage_reply(sim), "1 NOT_EXECUTED 7 leader=-1");
    cr_assert(stage_server(sim)->way.open);
    stage_close(sim);
}

Test(forward, an_old_leaders_word_on_a_command_counts_while_its_connection_stands)
{
    struct sim *sim = open_follower();
    stage_ask_command(sim, 1, "add 1");
    stage_ask_query(sim, 2, "get", true);
    forwarded_to(sim, 2);
    uint64_t command = numbers[0];
    stage_deliver(sim, REQUEST_APPEND_ENTRIES, 3, 2);
    cr_assert_str_eq(stage_reply(sim), "2 NOT_EXECUTED 0 leader=-1", "it may be asked anew");
    cr_assert_str_eq(stage_reply(sim), "");
    answer(sim, 2, 1, command, OUTCOME_NOT_EXECUTED, 3, "");
    cr_assert_str_eq(stage_reply(sim), "1 NOT_EXECUTED 3 leader=-1");
    cr_assert(stage_server(sim)->way.open, "what the old one refuses says nothing of the new one");
    stage_close(sim);
}

Test(forward, an_old_leader_that_says_nothing_is_not_waited_for)
{
    struct sim *sim = open_follower();
    stage_ask_command(sim, 1, "add 1");
    stage_deliver(sim, REQUEST_APPEND_ENTRIES, 3, 2);
    for (int i = 0; i < 5; i++) {
        cr_assert_str_eq(stage_reply(sim), "");
        sim_run_us(sim, 55 * US);
        stage_deliver(sim, REQUEST_APPEND_ENTRIES, 3, 2);
    }
    sim_run_us(sim, 55 * US);
    stage_deliver(sim, REQUEST_APPEND_ENTRIES, 3, 2);
    cr_assert_str_eq(stage_reply(sim), "1 UNCERTAIN 0");
    stage_close(sim);
}

Test(forward, a_view_of_the_past_is_refused)
{
    struct sim *sim = open_follower();
    uint64_t view = stage_server(sim)->view;
    stage_deliver(sim, REQUEST_APPEND_ENTRIES, 3, 2);
    cr_assert_gt(stage_server(sim)->view, view);
    stage_ask_over(sim, view, LETTER_PROPOSE, 1, "add 1");
    cr_assert_str_eq(stage_reply(sim), "1 NOT_EXECUTED 0 leader=3");
    cr_assert_str_eq(forwarded_to(sim, 3), "");
    stage_close(sim);
}

Test(forward, what_is_on_its_way_is_bounded)
{
    struct sim *sim = open_follower();
    static char large[1024 * 1024];
    memset(large, 'x', sizeof large - 1);
    stage_server(sim)->config.entry_bytes_max = 2 * sizeof large;
    for (uint64_t number = 1; number <= 8; number++)
        stage_ask_command(sim, number, large);
    cr_assert_gt(stage_server(sim)->forwarded_bytes, FORWARD_WINDOW_BYTES);
    cr_assert_lt(stage_server(sim)->forwarded_bytes, FORWARD_WINDOW_BYTES + 2 * sizeof large);
    sim_lose_peer(sim, 1, 2, CHANNEL_BULK);
    for (uint64_t number = 1; number <= 8; number++)
        cr_assert_str_neq(stage_reply(sim), "");
    cr_assert_eq(stage_server(sim)->forwarded_bytes, 0);
    stage_close(sim);
}

Test(forward, what_no_entry_can_hold_does_not_leave)
{
    struct sim *sim = open_follower();
    size_t most = stage_server(sim)->config.entry_bytes_max - ENTRY_HEAD_BYTES;
    char *large = memory_new(most + 2);
    memset(large, 'x', most + 1);
    stage_ask_command(sim, 1, large);
    cr_assert_str_eq(stage_reply(sim), "1 TOO_LARGE 0");
    cr_assert_eq(stage_server(sim)->forwarded_bytes, 0);
    large[most] = '\0';
    stage_ask_command(sim, 2, large);
    cr_assert_str_eq(stage_reply(sim), "");
    cr_assert_gt(stage_server(sim)->forwarded_bytes, most);
    memory_free(large);
    stage_close(sim);
}

/* ---- Answering ---- */

static void forward(struct sim *sim, raft_id peer, raft_term term, enum request_kind kind, uint64_t number,
                    const char *request)
{
    struct message message = stage_message(FORWARD, peer, term);
    struct mailraft_buffer body = {0};
    requests_put(&body, &(struct request){.kind = kind,
                                          .number = number,
                                          .index = kind == REQUEST_COUNT ? 1 : 0,
                                          .bytes = (const uint8_t *)request,
                                          .size = strlen(request)});
    sim_put_body(sim, 1, &message, &body);
    sim_settle(sim);
    buffer_fini(&body);
}

/* The next FORWARDED to a peer as text: "T1 7 APPLIED 2 5"; "" where there is none. */
static const char *answered_to(struct sim *sim, raft_id peer)
{
    static const char *const OUTCOMES[] = {"APPLIED",   "REFUSED", "NOT_EXECUTED", "UNCERTAIN",
                                           "TOO_LARGE", "READ",    "COUNTED"};
    static char text[400];
    struct message message = {0};
    struct mailraft_buffer body = {0};
    struct reply reply;
    size_t at = 0, used = 0;
    text[0] = '\0';
    while (sim_sent_body(sim, 1, peer, &message, &body) && message.type_of_message != FORWARDED)
        buffer_fini(&body);
    if (message.type_of_message == FORWARDED)
        used += (size_t)snprintf(text, sizeof text, "T%d", (int)message.curr_term);
    while (replies_next(&body, &at, &reply))
        used += (size_t)snprintf(text + used, sizeof text - used, " %d %s %d %.*s", (int)reply.number,
                                 OUTCOMES[reply.outcome], (int)reply.index, (int)reply.size, (const char *)reply.bytes);
    buffer_fini(&body);
    return text;
}

Test(forward, a_leader_logs_what_members_forward_and_answers_them)
{
    struct sim *sim = open_leader();
    forward(sim, 3, 1, REQUEST_COMMAND, 7, "add 5");
    cr_assert_str_eq(answered_to(sim, 3), "");
    stage_acknowledge(sim, 2, 1, 2);
    cr_assert_str_eq(answered_to(sim, 3), "T1 7 APPLIED 2 5");
    forward(sim, 3, 1, REQUEST_COUNT, 8, "");
    cr_assert_str_eq(answered_to(sim, 3), "T1 8 COUNTED 2 ");
    cr_assert_str_eq(answered_to(sim, 2), "");
    cr_assert_str_eq(stage_reply(sim), "");
    stage_close(sim);
}

Test(forward, who_does_not_lead_takes_nothing_and_sends_nothing_on)
{
    struct sim *sim = open_follower();
    forward(sim, 3, 1, REQUEST_COMMAND, 7, "add 5");
    cr_assert_str_eq(answered_to(sim, 3), "T1 7 NOT_EXECUTED 0 ");
    cr_assert_str_eq(forwarded_to(sim, 2), "");
    stage_close(sim);
}

Test(forward, what_was_meant_for_the_leader_of_an_earlier_term_is_not_taken_by_one_of_a_later)
{
    struct sim *sim = stage_open_with_log(3, 3, 1);
    stage_meet_all(sim);
    stage_elect(sim);
    stage_server(sim)->cluster_uuid.bytes[0] = 1;
    sim_forget_sent(sim, 1);
    forward(sim, 3, 1, REQUEST_COMMAND, 7, "add 5");
    cr_assert_str_eq(answered_to(sim, 3), "T2 7 NOT_EXECUTED 0 ");
    forward(sim, 3, 2, REQUEST_COMMAND, 8, "add 5");
    cr_assert_str_eq(answered_to(sim, 3), "", "it is logged");
    stage_close(sim);
}

/* Whoever forwards knows that: were one command refused, and one that left behind it taken, they would change places. */
Test(forward, a_new_leader_that_does_not_know_yet_that_the_cluster_is_born_takes_it)
{
    struct sim *sim = stage_open_with_log(3, 3, 1);
    stage_meet_all(sim);
    stage_elect(sim);
    sim_forget_sent(sim, 1);
    cr_assert_not(stage_server(sim)->way.open, "its own clients wait until an entry is committed");
    forward(sim, 3, 2, REQUEST_COMMAND, 7, "add 5");
    cr_assert_str_eq(answered_to(sim, 3), "", "it is logged");
    stage_acknowledge(sim, 2, 2, 5);
    cr_assert_str_eq(answered_to(sim, 3), "T2 7 APPLIED 5 5");
    stage_close(sim);
}

Test(forward, whose_birth_is_not_committed_takes_nothing)
{
    struct sim *sim = stage_open(3);
    stage_unborn_leader(sim);
    forward(sim, 3, 1, REQUEST_COMMAND, 7, "add 5");
    cr_assert_str_eq(answered_to(sim, 3), "T1 7 NOT_EXECUTED 0 ");
    stage_close(sim);
}

Test(forward, a_higher_term_in_it_ends_leadership)
{
    struct sim *sim = open_leader();
    forward(sim, 3, 2, REQUEST_COMMAND, 7, "add 5");
    cr_assert_eq(stage_server(sim)->role, FOLLOWER);
    cr_assert_eq(stage_server(sim)->current_term, 2);
    cr_assert_str_eq(answered_to(sim, 3), "T2 7 NOT_EXECUTED 0 ");
    stage_close(sim);
}

Test(forward, an_answer_whose_connection_is_gone_is_not_sent_over_another)
{
    struct sim *sim = open_leader();
    forward(sim, 3, 1, REQUEST_COMMAND, 7, "add 5");
    sim_close_channel(sim, 1, 3, CHANNEL_BULK);
    sim_open_channel(sim, 1, 3, CHANNEL_BULK);
    stage_acknowledge(sim, 2, 1, 2);
    cr_assert_str_eq(answered_to(sim, 3), "");
    stage_close(sim);
}

Test(forward, whoever_stops_waits_a_while_for_the_answers_and_says_when_it_gives_up)
{
    struct sim *sim = open_leader();
    forward(sim, 3, 1, REQUEST_COMMAND, 7, "add 5");
    sim_close_peer(sim, 1, 2);
    sim_close_peer(sim, 1, 3);
    sim_stop(sim, 1);
    sim_run_us(sim, 490 * US);
    cr_assert(sim_lives(sim, 1));
    sim_run_us(sim, 20 * US);
    cr_assert_not(sim_lives(sim, 1));
    cr_assert(sim_log_has(sim, 1, "Stopping cause=\"not all that was asked for was answered in time\""));
    stage_close(sim);
}

/* Its follower may have been told of the connection before it is told itself. */
Test(forward, an_answer_waits_until_its_sender_knows_of_its_own_connection)
{
    struct sim *sim = open_leader();
    sim_lose_peer(sim, 1, 3, CHANNEL_BULK);
    forward(sim, 3, 1, REQUEST_COUNT, 8, "");
    cr_assert_str_eq(answered_to(sim, 3), "");
    sim_reach_peer(sim, 1, 3, CHANNEL_BULK);
    cr_assert_str_eq(answered_to(sim, 3), "T1 8 COUNTED 2 ");
    stage_close(sim);
}

Test(forward, a_leader_that_was_deposed_tells_the_truth_when_it_knows_it)
{
    struct sim *sim = open_leader();
    forward(sim, 3, 1, REQUEST_COMMAND, 7, "add 5");
    struct message message = stage_message(REQUEST_APPEND_ENTRIES, 2, 2);
    message.prev_index = message.prev_term = 1;
    message.commit_index = 2;
    stage_append(sim, message, stage_terms(2, "2"));
    cr_assert_str_eq(answered_to(sim, 3), "T2 7 NOT_EXECUTED 2 ");
    stage_close(sim);
}

/* The outcome that the last FORWARDED to a peer tells of a request; -1: none does. */
static int last_outcome(struct sim *sim, raft_id peer, uint64_t number)
{
    struct message message;
    struct mailraft_buffer body = {0};
    struct reply reply;
    int outcome = -1;
    while (sim_sent_body(sim, 1, peer, &message, &body)) {
        for (size_t at = 0; replies_next(&body, &at, &reply);)
            outcome = reply.number == number ? (int)reply.outcome : outcome;
        buffer_fini(&body);
    }
    return outcome;
}

static void put_reply(struct sim *sim, uint64_t number, size_t size)
{
    const struct peer *peer = &stage_server(sim)->peers[2];
    struct letter *letter = letter_new(LETTER_REPLY);
    uint8_t *bytes = memory_new(size);
    letter->number = number;
    letter->reply.outcome = OUTCOME_READ;
    letter->reply.link = (struct link){.peer = peer->id,
                                       .channel = CHANNEL_BULK,
                                       .incarnation = peer->incarnation,
                                       .connection = peer->connection[CHANNEL_BULK]};
    mailraft_buffer_put(&letter->reply.bytes, bytes, size);
    pile_put(stage_server(sim)->pile, LANE_INNER, letter);
    memory_free(bytes);
    sim_settle(sim);
}

/* That a leader cannot answer does not mean that it does not lead: who asked may ask it again. */
Test(forward, an_answer_that_finds_no_room_is_uncertain_and_leaves_the_way_open)
{
    struct sim *sim = open_leader();
    put_reply(sim, 7, FORWARD_WAITING_MAX + 1);
    put_reply(sim, 8, FORWARD_SMALL_BYTES + 1);
    cr_assert_eq(last_outcome(sim, 3, 8), OUTCOME_UNCERTAIN);
    put_reply(sim, 7, FORWARD_WAITING_MAX + 1);
    put_reply(sim, 8, FORWARD_SMALL_BYTES);
    cr_assert_eq(last_outcome(sim, 3, 8), OUTCOME_READ, "a small one is sent");
    put_reply(sim, 9, FORWARD_WAITING_MAX + 1);
    cr_assert_eq(last_outcome(sim, 3, 9), OUTCOME_READ, "one of any size has its chance");
    sim_lose_peer(sim, 1, 3, CHANNEL_BULK);
    put_reply(sim, 10, FORWARD_WAITING_MAX + 1);
    put_reply(sim, 11, FORWARD_SMALL_BYTES + 1);
    sim_reach_peer(sim, 1, 3, CHANNEL_BULK);
    cr_assert_eq(last_outcome(sim, 3, 11), OUTCOME_UNCERTAIN, "also of what waits for a connection");
    stage_close(sim);

    sim = open_follower();
    stage_ask_query(sim, 1, "get", false);
    forwarded_to(sim, 2);
    answer(sim, 2, 1, numbers[0], OUTCOME_UNCERTAIN, 0, "");
    cr_assert(stage_server(sim)->way.open);
    stage_close(sim);
}
