#include "serve/queue.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "desk.h"

static struct client *client;

static void prepare(void)
{
    desk_open();
    client = client_open();
}

TestSuite(queue, .init = prepare, .fini = desk_close, .timeout = 60);

#define NO_LEADER    "-CLUSTERDOWN no leader within 3600000 ms; not executed\r\n"
#define NO_ANSWER    "-UNCERTAIN no answer within 3600000 ms: the command may or may not be executed\r\n"
#define BROKEN       "-UNCERTAIN the way to the leader broke with the command on it: it may or may not be executed\r\n"
#define NOT_EXECUTED OUTCOME_NOT_EXECUTED, 0, ""
#define UNCERTAIN    OUTCOME_UNCERTAIN, 0, ""

/* ---- Order ---- */

Test(queue, a_command_is_asked_for_over_the_present_view_and_its_answer_sent)
{
    client_says(client, "SET a 1\r\n");
    cr_assert_str_eq(desk_asked(), "set a 1");
    cr_assert_eq(desk_view_of(0), 1);
    cr_assert_str_eq(client_hears(client), "");
    desk_applies(0, "+OK\r\n");
    cr_assert_str_eq(client_hears(client), "+OK\r\n");
}

Test(queue, all_commands_of_a_client_are_on_their_way_at_once)
{
    client_says(client, "SET a 1\r\nSET b 2\r\nINCR c\r\n");
    cr_assert_str_eq(desk_asked(), "set a 1; set b 2; incr c");
}

Test(queue, answers_leave_in_the_order_of_their_requests)
{
    client_says(client, "SET a 1\r\nINCR b\r\nINCR c\r\n");
    desk_applies(2, ":3\r\n");
    desk_applies(1, ":2\r\n");
    cr_assert_str_eq(client_hears(client), "");
    desk_applies(0, "+OK\r\n");
    cr_assert_str_eq(client_hears(client), "+OK\r\n:2\r\n:3\r\n");
}

Test(queue, what_a_session_answers_by_itself_waits_for_its_turn)
{
    client_says(client, "SET a 1\r\nFOO\r\nGET a\r\nGET\r\n");
    cr_assert_str_eq(client_hears(client), "");
    desk_reads(1, "$1\r\n1\r\n");
    cr_assert_str_eq(client_hears(client), "");
    desk_applies(0, "+OK\r\n");
    cr_assert_str_eq(client_hears(client),
                     "+OK\r\n-ERR unknown command 'FOO', with args beginning with: \r\n$1\r\n1\r\n"
                     "-ERR wrong number of arguments for 'get' command\r\n");
}

Test(queue, a_query_is_sent_behind_commands_and_says_so)
{
    client_says(client, "GET a\r\n");
    cr_assert_str_eq(desk_asked(), "get a");
    desk_reads(0, "$-1\r\n");
    client_says(client, "SET a 1\r\nGET a\r\nGET b\r\n");
    cr_assert_str_eq(desk_asked(), "set a 1; get a behind; get b behind");
}

Test(queue, a_query_behind_one_that_waits_for_commands_waits_for_them_too)
{
    client_says(client, "SET a 1\r\nGET a\r\n");
    cr_assert_str_eq(desk_asked(), "set a 1; get a behind");
    desk_applies(0, "+OK\r\n");
    client_says(client, "GET a\r\n");
    cr_assert_str_eq(desk_asked(), "get a behind");
    desk_reads(1, "$1\r\n1\r\n");
    desk_reads(2, "$1\r\n1\r\n");
    client_says(client, "GET a\r\n");
    cr_assert_str_eq(desk_asked(), "get a");
}

Test(queue, a_command_waits_until_the_queries_before_it_are_answered)
{
    client_says(client, "GET a\r\nGET b\r\nSET a 1\r\nGET a\r\n");
    cr_assert_str_eq(desk_asked(), "get a; get b");
    desk_reads(1, "$-1\r\n");
    cr_assert_str_eq(desk_asked(), "");
    desk_reads(0, "$-1\r\n");
    cr_assert_str_eq(desk_asked(), "set a 1; get a behind");
}

Test(queue, clients_do_not_wait_for_each_other)
{
    struct client *other = client_open();
    client_says(client, "GET a\r\nSET a 1\r\n");
    client_says(other, "SET b 1\r\n");
    cr_assert_str_eq(desk_asked(), "get a; set b 1");
    desk_applies(1, "+OK\r\n");
    cr_assert_str_eq(client_hears(other), "+OK\r\n");
    cr_assert_str_eq(client_hears(client), "");
}

/* ---- The way to the leader ---- */

Test(queue, what_comes_while_there_is_no_way_is_held_and_sent_when_there_is_one)
{
    struct client *other = client_open();
    desk_status(1, false);
    client_says(client, "SET a 1\r\nGET a\r\n");
    client_says(other, "SET b 1\r\n");
    cr_assert_str_eq(desk_asked(), "");
    desk_status(2, true);
    cr_assert_str_eq(desk_asked(), "set a 1; get a behind; set b 1");
    cr_assert_eq(desk_view_of(0), 2);
}

Test(queue, nothing_is_sent_over_a_new_view_before_all_is_answered_of_the_old_one)
{
    client_says(client, "SET a 1\r\nSET b 2\r\n");
    desk_status(2, true);
    client_says(client, "SET c 3\r\n");
    cr_assert_str_eq(desk_asked(), "set a 1; set b 2");
    desk_applies(0, "+OK\r\n");
    cr_assert_str_eq(desk_asked(), "");
    desk_applies(1, "+OK\r\n");
    cr_assert_str_eq(desk_asked(), "set c 3");
    cr_assert_eq(desk_view_of(2), 2);
}

Test(queue, what_was_not_executed_is_sent_again_in_its_order)
{
    client_says(client, "SET a 1\r\nSET b 2\r\nSET c 3\r\n");
    desk_status(2, true);
    client_says(client, "SET d 4\r\n");
    desk_asked();
    desk_applies(0, "+OK\r\n");
    desk_reply(2, NOT_EXECUTED);
    cr_assert_str_eq(desk_asked(), "");
    desk_reply(1, NOT_EXECUTED);
    cr_assert_str_eq(desk_asked(), "set b 2; set c 3; set d 4");
    cr_assert_str_eq(client_hears(client), "+OK\r\n");
    desk_applies(3, "+2\r\n");
    desk_applies(4, "+3\r\n");
    desk_applies(5, "+4\r\n");
    cr_assert_str_eq(client_hears(client), "+2\r\n+3\r\n+4\r\n");
}

Test(queue, nothing_overtakes_what_is_to_be_sent_again_within_a_view)
{
    client_says(client, "SET a 1\r\nSET b 2\r\n");
    desk_reply(0, NOT_EXECUTED);
    desk_pass(20 * 1000);
    desk_asked();
    client_says(client, "SET c 3\r\n");
    cr_assert_str_eq(desk_asked(), "");
    desk_reply(1, NOT_EXECUTED);
    desk_pass(20 * 1000);
    cr_assert_str_eq(desk_asked(), "set a 1; set b 2; set c 3");
}

Test(queue, after_a_refusal_over_the_present_view_nothing_is_sent_for_a_while)
{
    client_says(client, "SET a 1\r\n");
    desk_asked();
    desk_reply(0, NOT_EXECUTED);
    client_says(client_open(), "SET b 2\r\n");
    cr_assert_str_eq(desk_asked(), "");
    cr_assert_neq(desk_deadline_us(), INT64_MAX);
    desk_pass(20 * 1000);
    cr_assert_str_eq(desk_asked(), "set a 1; set b 2");
}

Test(queue, a_new_view_ends_that_while)
{
    client_says(client, "SET a 1\r\n");
    desk_asked();
    desk_reply(0, NOT_EXECUTED);
    desk_status(1, true);
    cr_assert_str_eq(desk_asked(), "");
    desk_status(2, true);
    cr_assert_str_eq(desk_asked(), "set a 1");
}

Test(queue, a_query_that_is_answered_without_what_came_before_it_is_asked_again)
{
    client_says(client, "SET a 1\r\nGET a\r\n");
    desk_status(2, true);
    desk_asked();
    desk_reply(0, NOT_EXECUTED);
    desk_reads(1, "$-1\r\n");
    cr_assert_str_eq(desk_asked(), "set a 1; get a behind");
    desk_applies(2, "+OK\r\n");
    desk_reads(3, "$1\r\n1\r\n");
    cr_assert_str_eq(client_hears(client), "+OK\r\n$1\r\n1\r\n");
}

/* ---- Certainty ---- */

Test(queue, a_command_of_which_nobody_is_certain_is_answered_so_and_a_query_sent_again)
{
    client_says(client, "SET a 1\r\nGET a\r\n");
    desk_status(2, true);
    desk_asked();
    desk_reply(0, UNCERTAIN);
    cr_assert_str_eq(client_hears(client), BROKEN);
    desk_reply(1, UNCERTAIN);
    cr_assert_str_eq(desk_asked(), "get a");
    desk_reads(2, "$-1\r\n");
    cr_assert_str_eq(client_hears(client), "$-1\r\n");
}

Test(queue, what_is_too_large_or_refused_is_answered_so)
{
    client_says(client, "SET a 1\r\nSET b 1\r\n");
    desk_reply(0, OUTCOME_TOO_LARGE, 0, "");
    desk_reply(1, OUTCOME_REFUSED, 0, "-OOM command not allowed\r\n");
    cr_assert_str_eq(client_hears(client), "-ERR the request is larger than an entry of the log may be; "
                                           "max_request_bytes is 4096\r\n-OOM command not allowed\r\n");
}

Test(queue, an_outcome_that_does_not_suit_tells_nothing)
{
    client_says(client, "SET a 1\r\nSET b 1\r\nGET a\r\n");
    desk_status(2, true);
    desk_asked();
    desk_reads(0, "+OK\r\n");
    desk_applies(1, "");
    desk_applies(2, "$1\r\n1\r\n");
    cr_assert_str_eq(client_hears(client), BROKEN BROKEN);
    cr_assert_str_eq(desk_asked(), "get a");
}

/* ---- Large answers ---- */

static void read_large(size_t question, size_t size)
{
    char *bytes = memory_new(size);
    memset(bytes, 'v', size);
    desk_reply_bytes(question, OUTCOME_READ, 0, bytes, size);
    memory_free(bytes);
}

Test(queue, the_larger_the_latest_answers_the_fewer_are_asked_for_at_once)
{
    client_says(client, "GET a\r\n");
    read_large(0, 2 * 1024 * 1024);
    desk_asked();
    client_says(client, "GET b\r\nGET c\r\nGET d\r\nSET e 1\r\n");
    cr_assert_str_eq(desk_asked(), "get b; get c");
    desk_reads(1, "$-1\r\n");
    cr_assert_str_eq(desk_asked(), "get d");
    desk_reads(2, "$-1\r\n");
    desk_reads(3, "$-1\r\n");
    cr_assert_str_eq(desk_asked(), "set e 1");
    desk_applies(4, "+OK\r\n");
    for (size_t i = 5; i < 40; i++) {
        client_says(client, "GET b\r\n");
        desk_reads(i, "$-1\r\n");
    }
    desk_asked();
    client_says(client, "GET b\r\nGET c\r\nGET d\r\n");
    cr_assert_str_eq(desk_asked(), "get b; get c; get d", "they have long been small");
}

Test(queue, nothing_is_asked_for_while_the_client_does_not_read)
{
    client_says(client, "GET a\r\nGET b\r\n");
    client_reads_nothing(client);
    desk_reads(0, "$1\r\n1\r\n");
    desk_asked();
    client_says(client, "GET c\r\nSET d 1\r\n");
    cr_assert_str_eq(desk_asked(), "");
    client_reads_on(client);
    cr_assert_str_eq(desk_asked(), "get c");
    desk_reads(1, "$1\r\n2\r\n");
    desk_reads(2, "$1\r\n3\r\n");
    cr_assert_str_eq(desk_asked(), "set d 1");
    cr_assert_str_eq(client_hears(client), "$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n");
}

Test(queue, a_large_answer_that_the_client_would_not_read_is_asked_for_again)
{
    client_says(client, "GET a\r\nGET b\r\nGET c\r\n");
    desk_asked();
    client_reads_nothing(client);
    desk_reads(0, "$1\r\n1\r\n");
    read_large(1, 17 * 1024);
    desk_reads(2, "$1\r\n3\r\n");
    cr_assert_str_eq(desk_asked(), "");
    cr_assert_str_eq(client_hears(client), "$1\r\n1\r\n");
    client_reads_on(client);
    cr_assert_str_eq(desk_asked(), "get b; get c", "in their order");
}

Test(queue, what_waits_for_the_client_or_for_answers_that_come_does_not_time_out)
{
    client_reads_nothing(client);
    client_says(client, "GET a\r\n");
    desk_reads(0, "$1\r\n1\r\n");
    client_hears(client);
    client_says(client, "GET b\r\nSET c 1\r\n");
    desk_pass(3 * DESK_TIMEOUT_US);
    cr_assert_str_eq(client_hears(client), "");
    client_reads_on(client);
    desk_reads(1, "$1\r\n2\r\n");
    cr_assert_str_eq(client_hears(client), "$1\r\n2\r\n");
    desk_status(1, false);
    desk_pass(7 * DESK_TIMEOUT_US);
    cr_assert_str_eq(client_hears(client), NO_ANSWER, "nobody leads");
}

/* ---- Time-outs ---- */

Test(queue, what_was_held_for_too_long_is_answered_as_not_executed)
{
    desk_status(1, false);
    client_says(client, "SET a 1\r\nGET a\r\n");
    desk_pass(DESK_TIMEOUT_US / 2);
    cr_assert_str_eq(client_hears(client), "");
    desk_pass(DESK_TIMEOUT_US);
    cr_assert_str_eq(client_hears(client), NO_LEADER NO_LEADER);
    cr_assert_eq(desk_deadline_us(), INT64_MAX);
    desk_status(2, true);
    cr_assert_str_eq(desk_asked(), "");
}

Test(queue, so_is_what_came_back_unexecuted)
{
    client_says(client, "SET a 1\r\n");
    desk_status(1, false);
    desk_reply(0, NOT_EXECUTED);
    desk_pass(DESK_TIMEOUT_US);
    cr_assert_str_eq(client_hears(client), NO_LEADER);
}

Test(queue, a_command_on_its_way_is_then_uncertain_and_a_query_not)
{
    client_says(client, "SET a 1\r\nGET a\r\n");
    desk_pass(DESK_TIMEOUT_US);
    cr_assert_str_eq(client_hears(client), NO_ANSWER NO_LEADER);
}

Test(queue, a_reply_that_is_late_is_nobodys)
{
    client_says(client, "INCR a\r\n");
    desk_pass(DESK_TIMEOUT_US);
    client_hears(client);
    client_says(client, "INCR b\r\n");
    cr_assert_str_eq(desk_asked(), "incr a; incr b");
    desk_applies(0, ":1\r\n");
    cr_assert_str_eq(client_hears(client), "");
    desk_applies(1, ":2\r\n");
    cr_assert_str_eq(client_hears(client), ":2\r\n");
    desk_applies(1, ":2\r\n");
    cr_assert_str_eq(client_hears(client), "");
}

Test(queue, what_waited_behind_a_query_goes_on_when_that_has_timed_out)
{
    client_says(client, "GET a\r\n");
    desk_pass(DESK_TIMEOUT_US);
    client_says(client, "SET a 1\r\n");
    cr_assert_str_eq(desk_asked(), "get a; set a 1");
}

Test(queue, a_client_that_has_gone_gets_no_replies)
{
    client_says(client, "SET a 1\r\nGET a\r\n");
    client_close(client);
    struct client *next = client_open();
    client_says(next, "INCR b\r\n");
    desk_asked();
    desk_applies(0, "+OK\r\n");
    desk_reads(1, "$1\r\n1\r\n");
    cr_assert_str_eq(client_hears(next), "");
    desk_applies(2, ":1\r\n");
    cr_assert_str_eq(client_hears(next), ":1\r\n");
}

Test(queue, a_client_may_go_while_its_requests_are_held)
{
    desk_status(1, false);
    client_says(client, "SET a 1\r\n");
    client_close(client);
    desk_status(2, true);
    cr_assert_str_eq(desk_asked(), "");
    cr_assert_eq(desk_sessions()->counted, 0);
}

/* ---- Bounds ---- */

Test(queue, a_client_with_many_requests_under_way_is_not_read_from_until_half_are_answered)
{
    for (int i = 0; i < 1030; i++)
        client_says(client, "INCR a\r\n");
    cr_assert(client_is_paused(client));
    cr_assert_eq(client_left(client), 6 * sizeof "INCR a\r\n" - 6);
    for (size_t i = 0; i < 511; i++)
        desk_applies(i, ":1\r\n");
    cr_assert(client_is_paused(client));
    desk_applies(511, ":1\r\n");
    cr_assert_not(client_is_paused(client));
    cr_assert_eq(client_left(client), 0);
}

/* A command of so many bytes. */
static void say_large(struct client *to, size_t size)
{
    char *text = memory_new(size + 100);
    int head = snprintf(text, size + 100, "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$%zu\r\n", size);
    memset(text + head, 'x', size);
    memcpy(text + head + size, "\r\n", 2);
    client_says_bytes(to, text, (size_t)head + size + 2);
    memory_free(text);
}

Test(queue, when_all_requests_together_take_too_much_nobody_is_read_from_and_then_all_in_their_order)
{
    struct client *others[4];
    size_t sent = 0;
    for (int i = 0; i < 4; i++)
        others[i] = client_open();
    while (!client_is_paused(client)) {
        say_large(client, 4000);
        sent++;
    }
    for (int i = 0; i < 4; i++)
        say_large(others[i], 4000);
    for (int i = 0; i < 4; i++)
        cr_assert(client_is_paused(others[i]));
    desk_asked();
    desk_applies(0, "+OK\r\n"); /* room for one, which is the client's own that has waited longest */
    cr_assert_eq(client_left(client), 0);
    cr_assert_neq(client_left(others[0]), 0);
    desk_applies(1, "+OK\r\n");
    cr_assert_eq(client_left(others[0]), 0);
    cr_assert_neq(client_left(others[1]), 0);
    for (size_t i = 2; i < sent + 3; i++)
        desk_applies(i, "+OK\r\n");
    for (int i = 0; i < 4; i++)
        cr_assert_not(client_is_paused(others[i]));
}

/* Clients that wait for room, with a command of so many bytes each; `client` has taken it all. */
static void wait_for_room(struct client *others[], int count, size_t size)
{
    while (!client_is_paused(client))
        say_large(client, 4000);
    cr_assert_neq(client_left(client), 0);
    for (int i = 0; i < count; i++) {
        others[i] = client_open();
        say_large(others[i], size);
        cr_assert_neq(client_left(others[i]), 0);
    }
    desk_asked();
}

Test(queue, who_comes_later_waits_behind_those_who_wait_already)
{
    struct client *others[4];
    wait_for_room(others, 4, 1);
    desk_applies(0, "+OK\r\n"); /* room for the client's own last one, ... */
    desk_applies(1, "+OK\r\n"); /* ... and for more than one small one: the first is let go on */
    cr_assert_eq(client_left(others[0]), 0);
    cr_assert_neq(client_left(others[1]), 0);
    struct client *late = client_open();
    client_says(late, "PING\r\n");
    client_says(others[0], "PING\r\n");
    cr_assert(client_is_paused(late));
    cr_assert(client_is_paused(others[0]));
    for (size_t i = 2; i < 5; i++) {
        cr_assert_neq(client_left(others[i - 1]), 0);
        desk_applies(i, "+OK\r\n");
        cr_assert_eq(client_left(others[i - 1]), 0);
    }
    desk_applies(5, "+OK\r\n");
    cr_assert_eq(client_left(late), 0);
    cr_assert_neq(client_left(others[0]), 0);
}

Test(queue, whoever_finds_the_room_taken_in_its_turn_keeps_its_place)
{
    struct client *others[4];
    wait_for_room(others, 4, 4000);
    for (int i = 0; i < 50; i++) /* far more than there will be room for */
        client_says_bytes(client, "SET b 1\r\n", 9);
    for (int i = 0; i < 40; i++)
        say_large(others[0], 4000);
    /* Room for several turns at once, which the client's and the first one's requests take. */
    size_t most = desk_sessions()->config.flight_bytes_max;
    desk_sessions()->config.flight_bytes_max = 1;
    for (size_t i = 0; i < 40; i++)
        desk_applies(i, "+OK\r\n");
    desk_sessions()->config.flight_bytes_max = most;
    desk_applies(40, "+OK\r\n");
    cr_assert_eq(client_left(client), 0);
    cr_assert_neq(client_left(others[0]), 0);
    for (int i = 1; i < 4; i++)
        cr_assert_neq(client_left(others[i]), 0);
    desk_applies(41, "+OK\r\n"); /* one at a time: the second and the third are before the first's rest */
    desk_applies(42, "+OK\r\n");
    cr_assert_eq(client_left(others[1]), 0);
    cr_assert_neq(client_left(others[3]), 0);
    desk_applies(43, "+OK\r\n");
    desk_applies(44, "+OK\r\n");
    cr_assert_eq(client_left(others[2]), 0);
}

Test(queue, a_client_that_goes_with_what_was_held_for_it_leaves_room_for_others)
{
    struct client *others[2];
    desk_status(1, false);
    wait_for_room(others, 2, 4000);
    client_close(client);
    cr_assert_eq(client_left(others[0]), 0);
    cr_assert_eq(client_left(others[1]), 0);
}

Test(queue, what_is_on_its_way_for_clients_that_have_gone_counts_until_it_is_answered)
{
    say_large(client, 4000);
    client_close(client);
    cr_assert_gt(desk_sessions()->counted, 4000);
    desk_applies(0, "+OK\r\n");
    cr_assert_eq(desk_sessions()->counted, 0);
}

/* ---- Places that are free ---- */

Test(queue, a_place_that_nobody_needs_any_more_lasts_until_the_round_ends)
{
    struct sessions *sessions = desk_sessions();
    struct session *session = client_session(client);
    size_t many = 0;
    for (; many < 10000; many++)
        queue_put(session);
    queue_clear(session);
    cr_assert_eq(sessions->free_count, many);
    client_says(client, "PING\r\n");
    cr_assert_lt(sessions->free_count, many / 2, "then most of them go");
    cr_assert_gt(sessions->free_count, 0);
}
