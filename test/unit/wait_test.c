#include "serve/wait.h"

#include "desk.h"

static struct client *client;

static void prepare(void)
{
    desk_open();
    client = client_open();
}

TestSuite(wait, .init = prepare, .fini = desk_close, .timeout = 60);

#define AGAIN_US (20 * 1000)

static void hears(const char *said, const char *heard)
{
    client_says(client, said);
    cr_assert_str_eq(client_hears(client), heard);
}

static void counts(size_t question, raft_index members)
{
    desk_reply(question, OUTCOME_COUNTED, members, "");
}

Test(wait, it_asks_about_the_entry_of_the_clients_last_command)
{
    client_says(client, "SET a 1\r\nSET a 2\r\n");
    desk_reply(0, OUTCOME_APPLIED, 41, "+OK\r\n");
    desk_reply(1, OUTCOME_APPLIED, 42, "+OK\r\n");
    client_says(client_open(), "SET b 1\r\n");
    desk_reply(2, OUTCOME_APPLIED, 43, "+OK\r\n");
    client_says(client, "GET a\r\n");
    desk_reads(3, "+2\r\n");
    desk_asked();
    client_says(client, "WAIT 1 0\r\n");
    cr_assert_str_eq(desk_asked(), "COUNT 42");
    counts(4, 2);
    cr_assert_str_eq(client_hears(client), "+OK\r\n+OK\r\n+2\r\n:2\r\n");
}

Test(wait, it_waits_for_its_turn_and_what_comes_later_for_it)
{
    client_says(client, "SET a 1\r\nWAIT 1 0\r\nSET b 1\r\n");
    cr_assert_str_eq(desk_asked(), "set a 1");
    desk_reply(0, OUTCOME_APPLIED, 42, "+OK\r\n");
    cr_assert_str_eq(desk_asked(), "COUNT 42");
    counts(1, 1);
    cr_assert_str_eq(desk_asked(), "set b 1");
    cr_assert_str_eq(client_hears(client), "+OK\r\n:1\r\n");
}

Test(wait, it_asks_again_until_there_are_enough)
{
    client_says(client, "WAIT 2 0\r\n");
    desk_asked();
    counts(0, 0);
    cr_assert_str_eq(desk_asked(), "");
    desk_pass(AGAIN_US);
    cr_assert_str_eq(desk_asked(), "COUNT 0");
    counts(1, 1);
    desk_pass(DESK_TIMEOUT_US * 10);
    cr_assert_str_eq(desk_asked(), "COUNT 0");
    cr_assert_str_eq(client_hears(client), "");
    counts(2, 2);
    cr_assert_str_eq(client_hears(client), ":2\r\n");
    cr_assert_not(client_is_paused(client));
}

Test(wait, when_its_time_is_over_it_answers_with_as_many_as_there_are)
{
    client_says(client, "WAIT 2 1000000\r\n");
    counts(0, 1);
    desk_pass(AGAIN_US);
    desk_asked();
    desk_pass(INT64_C(1000) * 1000 * 1000 + AGAIN_US);
    cr_assert_str_eq(client_hears(client), ":1\r\n");
    counts(1, 2);
    cr_assert_str_eq(client_hears(client), "");
    client_says(client, "INCR a\r\n");
    cr_assert_str_eq(desk_asked(), "incr a");
}

Test(wait, its_time_begins_with_its_turn)
{
    client_says(client, "SET a 1\r\nWAIT 1 1\r\n");
    desk_pass(AGAIN_US);
    cr_assert_str_eq(client_hears(client), "");
    desk_applies(0, "+OK\r\n");
    cr_assert_str_eq(desk_asked(), "set a 1; COUNT 100");
    desk_pass(AGAIN_US);
    cr_assert_str_eq(client_hears(client), "+OK\r\n:0\r\n");
}

Test(wait, it_has_its_turn_once)
{
    client_says(client, "WAIT 1 0\r\n");
    desk_asked();
    counts(0, 0);
    wait_take_turn(client_session(client)->first);
    cr_assert_str_eq(desk_asked(), "");
}

Test(wait, without_a_leader_it_waits_for_one)
{
    desk_status(1, false);
    client_says(client, "WAIT 1 0\r\n");
    cr_assert_str_eq(desk_asked(), "");
    desk_status(2, true);
    desk_pass(AGAIN_US);
    cr_assert_str_eq(desk_asked(), "COUNT 0");
    cr_assert_eq(desk_view_of(0), 2);
    desk_status(3, true);
    desk_reply(0, OUTCOME_NOT_EXECUTED, 0, "");
    desk_pass(AGAIN_US);
    cr_assert_str_eq(desk_asked(), "COUNT 0");
    counts(1, 1);
    cr_assert_str_eq(client_hears(client), ":1\r\n");
}

Test(wait, an_answer_that_is_no_count_is_none)
{
    client_says(client, "WAIT 1 0\r\n");
    desk_status(2, true);
    desk_reads(0, "+OK\r\n");
    cr_assert_str_eq(client_hears(client), "");
    desk_pass(AGAIN_US);
    cr_assert_str_eq(desk_asked(), "COUNT 0; COUNT 0");
}

Test(wait, others_do_not_wait)
{
    client_says(client, "WAIT 1 0\r\n");
    client_says(client_open(), "SET a 1\r\n");
    cr_assert_str_eq(desk_asked(), "COUNT 0; set a 1");
}

Test(wait, numbers_are_read_as_redis_reads_them)
{
    hears("WAIT a 0\r\nWAIT 0 a\r\nWAIT 0 -1\r\nWAIT 9223372036854775808 1\r\n",
          "-ERR value is not an integer or out of range\r\n-ERR timeout is not an integer or out of range\r\n"
          "-ERR timeout is negative\r\n-ERR value is not an integer or out of range\r\n");
    client_says(client, "WAIT -1 9223372036854775807\r\n");
    counts(0, 0);
    cr_assert_str_eq(client_hears(client), ":0\r\n");
}

Test(wait, a_client_may_go_while_it_waits)
{
    client_says(client, "WAIT 1 0\r\n");
    desk_asked();
    client_close(client);
    desk_pass(AGAIN_US);
    counts(0, 1);
    cr_assert_str_eq(desk_asked(), "");
}
