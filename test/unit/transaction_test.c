#include "serve/transaction.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "desk.h"

static struct client *client;

static void prepare(void)
{
    desk_open();
    client = client_open();
}

TestSuite(transaction, .init = prepare, .fini = desk_close, .timeout = 60);

#define QUEUED "+QUEUED\r\n"
#define OK     "+OK\r\n"
#define ABORT  "-EXECABORT Transaction discarded because of previous errors.\r\n"

static void hears(const char *said, const char *heard)
{
    client_says(client, said);
    cr_assert_str_eq(client_hears(client), heard);
}

static void tells_version(size_t question, uint64_t version)
{
    uint8_t bytes[8];
    bytes_put_u64(bytes, version);
    desk_reply_bytes(question, OUTCOME_READ, 0, bytes, sizeof bytes);
}

/* ---- Watches ---- */

Test(transaction, a_watched_key_goes_with_exec_in_the_version_that_it_had)
{
    client_says(client, "WATCH a b\r\n");
    cr_assert_str_eq(desk_asked(), "VERSIONS a b");
    uint8_t versions[16];
    bytes_put_u64(versions, 7);
    bytes_put_u64(versions + 8, 9);
    desk_reply_bytes(0, OUTCOME_READ, 0, versions, sizeof versions);
    cr_assert_str_eq(client_hears(client), OK);
    hears("MULTI\r\nSET a 1\r\n", OK QUEUED);
    client_says(client, "EXEC\r\n");
    cr_assert_str_eq(desk_asked(), "[a=7 b=9 set a 1]");
    desk_applies(1, "*-1\r\n");
    cr_assert_str_eq(client_hears(client), "*-1\r\n");
}

Test(transaction, exec_forgets_the_watches)
{
    client_says(client, "WATCH a\r\nMULTI\r\nEXEC\r\n");
    tells_version(0, 7);
    cr_assert_str_eq(desk_asked(), "VERSIONS a; [a=7 ]");
    desk_applies(1, "*0\r\n");
    cr_assert_str_eq(client_hears(client), OK OK "*0\r\n");
    hears("MULTI\r\nEXEC\r\n", OK "*0\r\n");
    cr_assert_str_eq(desk_asked(), "");
}

Test(transaction, so_do_unwatch_and_discard_also_while_a_watch_is_on_its_way)
{
    client_says(client, "WATCH a\r\nUNWATCH\r\nWATCH b\r\nMULTI\r\nDISCARD\r\nMULTI\r\nSET c 1\r\nEXEC\r\n");
    tells_version(0, 7);
    tells_version(1, 7);
    cr_assert_str_eq(client_hears(client), OK OK OK OK OK OK QUEUED);
    cr_assert_str_eq(desk_asked(), "VERSIONS a; VERSIONS b; [set c 1]");
    cr_assert_eq(session_watch_count(client_session(client)), 0);
}

Test(transaction, exec_waits_for_the_versions_of_a_watch_on_its_way)
{
    client_says(client, "WATCH a\r\nMULTI\r\nSET a 1\r\nEXEC\r\n");
    cr_assert_str_eq(desk_asked(), "VERSIONS a");
    tells_version(0, 12);
    cr_assert_str_eq(desk_asked(), "[a=12 set a 1]");
}

Test(transaction, a_key_is_watched_once_and_keeps_its_first_version)
{
    client_says(client, "WATCH a\r\n");
    tells_version(0, 7);
    client_says(client, "WATCH a b a\r\n");
    tells_version(1, 8);
    client_says(client, "WATCH b a\r\nMULTI\r\nEXEC\r\n");
    cr_assert_str_eq(desk_asked(), "VERSIONS a; VERSIONS b; [a=7 b=8 ]");
    cr_assert_str_eq(client_hears(client), OK OK OK OK);
}

Test(transaction, a_watch_outlives_a_change_of_leader)
{
    client_says(client, "WATCH a\r\n");
    tells_version(0, 7);
    desk_status(2, true);
    client_says(client, "MULTI\r\nSET a 1\r\nEXEC\r\n");
    cr_assert_str_eq(desk_asked(), "VERSIONS a; [a=7 set a 1]");
}

Test(transaction, exec_is_null_after_a_watch_that_had_no_answer)
{
    desk_status(1, false);
    client_says(client, "WATCH a\r\n");
    desk_pass(DESK_TIMEOUT_US);
    client_hears(client);
    desk_status(2, true);
    client_says(client, "MULTI\r\nSET a 1\r\nEXEC\r\n");
    cr_assert_str_eq(client_hears(client), OK QUEUED "*-1\r\n");
    cr_assert_str_eq(desk_asked(), "");
    client_says(client, "MULTI\r\nSET a 1\r\nEXEC\r\n");
    cr_assert_str_eq(desk_asked(), "[set a 1]");
}

Test(transaction, versions_that_are_not_as_many_as_were_asked_for_are_none)
{
    client_says(client, "WATCH a\r\n");
    desk_reads(0, "1234");
    cr_assert_str_eq(client_hears(client), "-ERR the keys cannot be watched\r\n");
    hears("MULTI\r\nSET a 1\r\nEXEC\r\n", OK QUEUED "*-1\r\n");
}

Test(transaction, what_is_watched_is_bounded)
{
    char line[200];
    int count = 0;
    bool refused = false;
    while (!refused) {
        snprintf(line, sizeof line, "WATCH key%d\r\n", count);
        client_says(client, line);
        refused = client_hears(client)[0] == '-';
        if (!refused)
            tells_version((size_t)count++, 1);
        client_hears(client);
    }
    cr_assert_gt(count, 20);
    cr_assert_lt(count, DESK_REQUEST_MAX / 8);
    hears("UNWATCH\r\n", OK);
    cr_assert_eq(desk_sessions()->gathered, 0);
}

Test(transaction, a_client_may_go_while_its_watch_is_on_its_way)
{
    client_says(client, "WATCH a\r\nMULTI\r\nSET a 1\r\nEXEC\r\n");
    client_close(client);
    desk_asked();
    tells_version(0, 7);
    cr_assert_str_eq(desk_asked(), "");
    cr_assert_eq(desk_sessions()->gathered, 0);
}

/* ---- From MULTI to EXEC ---- */

Test(transaction, commands_are_queued_and_executed_as_one)
{
    hears("MULTI\r\nSET a 1\r\nINCR a\r\nGET a\r\n", OK QUEUED QUEUED QUEUED);
    cr_assert_str_eq(desk_asked(), "");
    cr_assert_eq(session_multi_count(client_session(client)), 3);
    client_says(client, "EXEC\r\n");
    cr_assert_str_eq(desk_asked(), "[set a 1, incr a, get a]");
    cr_assert_eq(session_multi_count(client_session(client)), -1);
    desk_applies(0, "*3\r\n+OK\r\n:2\r\n$1\r\n2\r\n");
    cr_assert_str_eq(client_hears(client), "*3\r\n+OK\r\n:2\r\n$1\r\n2\r\n");
    cr_assert_eq(desk_sessions()->gathered, 0);
}

Test(transaction, what_came_before_multi_is_answered_before_it)
{
    client_says(client, "SET a 1\r\nMULTI\r\nSET b 1\r\nEXEC\r\n");
    cr_assert_str_eq(desk_asked(), "set a 1; [set b 1]");
    cr_assert_str_eq(client_hears(client), "");
    desk_applies(0, OK);
    cr_assert_str_eq(client_hears(client), OK OK QUEUED);
}

Test(transaction, discard_forgets_what_was_queued)
{
    hears("MULTI\r\nSET a 1\r\nDISCARD\r\nEXEC\r\n", OK QUEUED OK "-ERR EXEC without MULTI\r\n");
    cr_assert_str_eq(desk_asked(), "");
    cr_assert_eq(desk_sessions()->gathered, 0);
}

Test(transaction, exec_and_discard_want_multi)
{
    hears("EXEC\r\nDISCARD\r\n", "-ERR EXEC without MULTI\r\n-ERR DISCARD without MULTI\r\n");
}

Test(transaction, multi_and_watch_within_multi_are_refused_and_it_goes_on)
{
    hears("MULTI\r\nMULTI\r\nWATCH a\r\nEXEC\r\n",
          OK "-ERR MULTI calls can not be nested\r\n-ERR WATCH inside MULTI is not allowed\r\n*0\r\n");
}

Test(transaction, an_unknown_command_or_a_wrong_arity_aborts_it)
{
    hears("MULTI\r\nFOO bar\r\nSET a 1\r\nEXEC\r\n",
          OK "-ERR unknown command 'FOO', with args beginning with: 'bar' \r\n" QUEUED ABORT);
    hears("MULTI\r\nGET\r\nEXEC\r\n", OK "-ERR wrong number of arguments for 'get' command\r\n" ABORT);
    hears("MULTI\r\nEXEC 1\r\nEXEC\r\n",
          OK "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command\r\n"
             "-ERR EXEC without MULTI\r\n");
    cr_assert_str_eq(desk_asked(), "");
}

Test(transaction, a_transaction_is_bounded)
{
    char line[1200];
    snprintf(line, sizeof line, "SET a %01000d\r\n", 1);
    hears("MULTI\r\n", OK);
    for (int i = 0; i < 3; i++)
        hears(line, QUEUED);
    hears(line, "-ERR the transaction is too large; max_request_bytes is 4096\r\n");
    hears("EXEC\r\n", ABORT);
    cr_assert_eq(desk_sessions()->gathered, 0);
}

Test(transaction, all_transactions_that_are_open_are_bounded_together)
{
    char line[4000];
    snprintf(line, sizeof line, "SET a %03900d\r\n", 1);
    const char *heard = QUEUED;
    int count = 0;
    while (strcmp(heard, QUEUED) == 0) {
        client = client_open();
        hears("MULTI\r\n", OK);
        client_says(client, line);
        heard = client_hears(client);
        count++;
        if (count == 60)
            break;
    }
    cr_assert_eq(count, 60); /* as many as there are clients: all of them have room */
    cr_assert_lt(desk_sessions()->gathered, DESK_FLIGHT_MAX);
    desk_sessions()->config.flight_bytes_max = desk_sessions()->gathered + 3000;
    client = client_open();
    hears("MULTI\r\n", OK);
    hears(line, "-ERR the transaction is too large; max_request_bytes is 4096\r\n");
}

/* ---- EXEC ---- */

Test(transaction, exec_is_held_sent_again_and_uncertain_like_any_command)
{
    client_says(client, "MULTI\r\nSET a 1\r\nEXEC\r\n");
    desk_status(2, true);
    desk_reply(0, OUTCOME_NOT_EXECUTED, 0, "");
    cr_assert_str_eq(desk_asked(), "[set a 1]; [set a 1]");
    desk_status(3, true);
    desk_reply(1, OUTCOME_UNCERTAIN, 0, "");
    cr_assert_str_eq(client_hears(client),
                     OK QUEUED "-UNCERTAIN the way to the leader broke with the command on it: it "
                               "may or may not be executed\r\n");
}

Test(transaction, an_exec_that_was_held_for_too_long_is_not_executed)
{
    desk_status(1, false);
    client_says(client, "MULTI\r\nSET a 1\r\nEXEC\r\n");
    desk_pass(DESK_TIMEOUT_US);
    cr_assert_str_eq(client_hears(client), OK QUEUED "-CLUSTERDOWN no leader within 3600000 ms; not executed\r\n");
    cr_assert_eq(desk_sessions()->gathered, 0);
}

Test(transaction, what_the_session_answers_by_itself_is_a_literal)
{
    client_says(client, "MULTI\r\nPING\r\nSET a 1\r\nECHO hello\r\nUNWATCH\r\nEXEC\r\n");
    cr_assert_str_eq(desk_asked(), "[LITERAL +PONG, set a 1, LITERAL $5\r\nhello, LITERAL +OK]");
    cr_assert_str_eq(client_hears(client), OK QUEUED QUEUED QUEUED QUEUED);
}

Test(transaction, what_has_no_answer_has_one_in_the_array)
{
    client_says(client, "MULTI\r\nCLIENT REPLY OFF\r\nPING\r\nEXEC\r\n");
    cr_assert_str_eq(desk_asked(), "[LITERAL +OK, LITERAL +PONG]");
}

Test(transaction, what_has_to_ask_is_asked_before_and_nothing_is_read_until_then)
{
    client_says(client, "MULTI\r\nWAIT 1 0\r\nSET a 1\r\nWAIT 2 0\r\nEXEC\r\nSET b 1\r\n");
    cr_assert_str_eq(desk_asked(), "COUNT 0");
    cr_assert(client_is_paused(client));
    desk_reply(0, OUTCOME_COUNTED, 0, "");
    cr_assert_str_eq(desk_asked(), "COUNT 0");
    desk_reply(1, OUTCOME_COUNTED, 2, "");
    cr_assert_str_eq(desk_asked(), "[LITERAL :0, set a 1, LITERAL :2]; set b 1");
    cr_assert_not(client_is_paused(client));
}

Test(transaction, what_comes_behind_exec_is_not_sent_before_it)
{
    client_says(client, "MULTI\r\nINFO server\r\nSET a 1\r\nEXEC\r\nSET b 1\r\n");
    cr_assert_str_eq(desk_asked(), "STATUS");
    cr_assert(client_is_paused(client));
    desk_status(1, true);
    cr_assert_str_eq(desk_asked(), "[LITERAL , set a 1]; set b 1");
}

Test(transaction, what_cannot_be_asked_ends_it_unexecuted)
{
    desk_status(1, false);
    client_says(client, "MULTI\r\nSENTINEL MASTERS\r\nSET a 1\r\nEXEC\r\n");
    cr_assert_str_eq(desk_asked(), "");
    desk_pass(DESK_TIMEOUT_US);
    cr_assert_str_eq(client_hears(client),
                     OK QUEUED QUEUED "-CLUSTERDOWN no leader within 3600000 ms; not executed\r\n");
    client_says(client, "PING\r\n");
    cr_assert_str_eq(client_hears(client), "+PONG\r\n");
}

Test(transaction, the_answers_of_a_transactions_own_commands_are_bounded)
{
    client_says(client, "MULTI\r\nCOMMAND\r\nEXEC\r\nPING\r\n");
    cr_assert_str_eq(client_hears(client),
                     OK QUEUED "-EXECABORT Transaction discarded because of the size of its answers.\r\n+PONG\r\n");
    cr_assert_eq(desk_sessions()->gathered, 0);
}

Test(transaction, a_transaction_of_a_client_that_speaks_resp3_is_answered_so)
{
    client_says(client, "HELLO 3\r\nMULTI\r\nGET a\r\nEXEC\r\n");
    cr_assert_str_eq(desk_asked(), "3:[get a]");
}
