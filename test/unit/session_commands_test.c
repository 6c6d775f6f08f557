/* Tests of serve/session_commands.c: the commands about the connection itself. */
#include <stdlib.h>
#include <string.h>

#include "unit/beside_redis.h"

TestSuite(session_commands, .init = desk_open, .fini = desk_close, .timeout = 60);

static void check(const char *lines, const char *answer)
{
    cr_assert_str_eq(desk_answers(lines), answer, "%s", lines);
}

Test(session_commands, ping_and_echo_answer)
{
    check("PING\r\n", "+PONG\r\n");
    check("ping hi\r\n", "$2\r\nhi\r\n");
    check("PING a b\r\n", "-ERR wrong number of arguments for 'ping' command\r\n");
    check("ECHO hi\r\n", "$2\r\nhi\r\n");
}

Test(session_commands, there_is_one_database)
{
    check("SELECT 0\r\n", "+OK\r\n");
    check("SELECT 1\r\n", "-ERR DB index is out of range\r\n");
    check("SELECT x\r\n", "-ERR value is not an integer or out of range\r\n");
}

Test(session_commands, quit_answers_and_closes)
{
    struct client *client = client_open();
    client_says(client, "QUIT\r\nPING\r\n");
    cr_assert_str_eq(client_hears(client), "+OK\r\n");
    cr_assert(client_is_closing(client));
}

Test(session_commands, reset_makes_a_connection_as_it_was)
{
    struct client *client = client_open();
    client_says(client, "HELLO 3 SETNAME me\r\nMULTI\r\nSET a 1\r\nCLIENT REPLY OFF\r\n");
    client_hears(client);
    client_says(client, "RESET\r\n");
    cr_assert_str_eq(client_hears(client), "+RESET\r\n");
    client_says(client, "CLIENT GETNAME\r\nEXEC\r\n");
    cr_assert_str_eq(client_hears(client), "$-1\r\n-ERR EXEC without MULTI\r\n");
}

#define HELLO_FACTS(proto)                                                                                             \
    "$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:" proto "\r\n$2\r\nid\r\n:1\r\n"  \
    "$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n"

Test(session_commands, hello_agrees_upon_a_version_and_answers_in_it)
{
    struct client *client = client_open();
    client_says(client, "HELLO\r\n");
    cr_assert_str_eq(client_hears(client), "*14\r\n" HELLO_FACTS("2"));
    client_says(client, "HELLO 3\r\n");
    cr_assert_str_eq(client_hears(client), "%7\r\n" HELLO_FACTS("3"));
    client_says(client, "HELLO\r\n");
    cr_assert_str_eq(client_hears(client), "%7\r\n" HELLO_FACTS("3"));
    client_says(client, "HELLO 2\r\n");
    cr_assert_str_eq(client_hears(client), "*14\r\n" HELLO_FACTS("2"));
}

Test(session_commands, a_hello_that_fails_leaves_the_version_as_it_was)
{
    check("HELLO 4\r\nCLIENT GETNAME\r\n", "-NOPROTO unsupported protocol version\r\n$-1\r\n");
    check("HELLO 3 AUTH other x\r\nCLIENT GETNAME\r\n",
          "-WRONGPASS invalid username-password pair or user is disabled.\r\n$-1\r\n");
    check("HELLO 3 SETNAME a FOO\r\nCLIENT GETNAME\r\n", "-ERR Syntax error in HELLO option 'FOO'\r\n$1\r\na\r\n");
}

Test(session_commands, the_connection_is_answered_as_redis_does)
{
    struct real_redis redis;
    desk_sessions()->config.debug_commands = true;
    real_redis_start(&redis);
    assert_same_as_redis(&redis, "PING\r\nPING a\r\nPING a b\r\nECHO a\r\nECHO\r\nRESET\r\nRESET a\r\n");
    assert_same_as_redis(&redis, "SELECT 0\r\nSELECT -1\r\nSELECT 99\r\nSELECT x\r\nSELECT 3000000000\r\n"
                                 "SELECT 99999999999999999999\r\nSELECT\r\n");
    assert_same_as_redis(&redis, "AUTH a\r\nAUTH default x\r\nAUTH DEFAULT x\r\nAUTH foo x\r\nAUTH a b c\r\nAUTH\r\n");
    assert_same_as_redis(&redis, "HELLO\r\nHELLO 3\r\nHELLO\r\nHELLO 2\r\nHELLO 1\r\nHELLO 4\r\nHELLO x\r\nHELLO 02\r\n"
                                 "HELLO 2 FOO\r\nHELLO 2 AUTH a\r\nHELLO 2 AUTH a b\r\nHELLO 2 SETNAME\r\n");
    assert_same_as_redis(&redis, "HELLO 3 AUTH default b SETNAME c\r\nCLIENT GETNAME\r\nHELLO 2 SETNAME x FOO\r\n"
                                 "CLIENT GETNAME\r\nHELLO 3 AUTH foo bar FOO\r\nHELLO 2 SETNAME \"a b\"\r\n");
    assert_same_as_redis(&redis, "NOSUCH\r\nnosuch a b\r\nCLIENT\r\nCLIENT NOSUCH\r\nOBJECT NOSUCH a\r\nGET\r\n"
                                 "DEBUG SLEEP\r\n");
    real_redis_stop(&redis);
}

/* ---- DEBUG ---- */

Test(session_commands, debug_is_refused_unless_the_config_allows_it)
{
    desk_sessions()->config.debug_commands = false;
    cr_assert(strstr(desk_answers("DEBUG SLEEP 0\r\n"), "-ERR DEBUG command not allowed") != NULL);
}

Test(session_commands, a_client_that_sleeps_is_not_read_from_until_it_wakes)
{
    struct client *client = client_open(), *other = client_open();
    desk_sessions()->config.debug_commands = true;
    client_says(client, "DEBUG SLEEP 0.5\r\nPING\r\n");
    client_says(other, "PING\r\n");
    cr_assert_str_eq(client_hears(client), "");
    cr_assert_str_eq(client_hears(other), "+PONG\r\n");
    desk_pass(499 * 1000);
    desk_pass(501 * 1000);
    cr_assert_str_eq(client_hears(client), "+OK\r\n+PONG\r\n");
}

Test(session_commands, what_is_no_time_to_sleep_is_none)
{
    struct client *client = client_open();
    desk_sessions()->config.debug_commands = true;
    client_says(client, "DEBUG SLEEP x\r\nDEBUG SLEEP -1\r\n");
    desk_pass(0);
    desk_pass(0);
    cr_assert_str_eq(client_hears(client), "+OK\r\n+OK\r\n");
    client_says(client, "DEBUG FOO\r\n");
    cr_assert_str_eq(client_hears(client),
                     "-ERR unknown subcommand or wrong number of arguments for 'FOO'. Try DEBUG HELP.\r\n");
    client_says(client, "DEBUG HELP\r\n");
    cr_assert_eq(strncmp(client_hears(client), "*5\r\n+DEBUG <subcommand>", 23), 0);
}
