/* Tests of serve/config_commands.c: what settings the node has, as Redis names them. */
#include <stdlib.h>
#include <string.h>

#include "unit/beside_redis.h"

TestSuite(config_commands, .init = desk_open, .fini = desk_close, .timeout = 60);

static void check(const char *lines, const char *answer)
{
    cr_assert_str_eq(desk_answers(lines), answer, "%s", lines);
}

/* ---- GET ---- */

Test(config_commands, what_clients_ask_about_is_told)
{
    desk_sessions()->config.memory_bytes_max = 1048576;
    desk_sessions()->config.connections_max = 77;
    check("CONFIG GET save\r\nCONFIG GET appendonly\r\n",
          "*2\r\n$4\r\nsave\r\n$0\r\n\r\n*2\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n");
    check("CONFIG GET maxmemory\r\n", "*2\r\n$9\r\nmaxmemory\r\n$7\r\n1048576\r\n");
    check("CONFIG GET maxclients\r\n", "*2\r\n$10\r\nmaxclients\r\n$2\r\n77\r\n");
    check("CONFIG GET databases timeout\r\n", "*4\r\n$9\r\ndatabases\r\n$1\r\n1\r\n$7\r\ntimeout\r\n$1\r\n0\r\n");
    check("CONFIG GET port\r\nCONFIG GET bind\r\n",
          "*2\r\n$4\r\nport\r\n$4\r\n6401\r\n*2\r\n$4\r\nbind\r\n$9\r\n127.0.0.1\r\n");
    check("CONFIG GET proto-max-bulk-len\r\n", "*2\r\n$18\r\nproto-max-bulk-len\r\n$4\r\n4096\r\n");
    check("CONFIG GET enable-debug-command\r\n", "*2\r\n$20\r\nenable-debug-command\r\n$2\r\nno\r\n");
}

Test(config_commands, patterns_match_in_any_case_and_each_setting_is_told_once)
{
    check("CONFIG GET MAXMEM*\r\n",
          "*4\r\n$9\r\nmaxmemory\r\n$1\r\n0\r\n$16\r\nmaxmemory-policy\r\n$10\r\nnoeviction\r\n");
    check("CONFIG GET save s?ve sav*\r\n", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n");
    check("CONFIG GET nosuch\r\n", "*0\r\n");
    cr_assert_eq(strncmp(strstr(desk_answers("HELLO 3\r\nCONFIG GET *\r\n"), "*0\r\n") + 4, "%17\r\n", 5), 0);
}

/* ---- SET ---- */

Test(config_commands, a_setting_can_be_set_to_what_it_is)
{
    check("CONFIG SET save \"\" appendonly yes maxmemory 0\r\n", "+OK\r\n");
    check("CONFIG SET save \"900 1\"\r\n",
          "-ERR CONFIG SET failed (possibly related to argument 'save') - can't set immutable config\r\n");
    check("CONFIG SET PORT 1\r\n",
          "-ERR CONFIG SET failed (possibly related to argument 'port') - can't set immutable config\r\n");
}

Test(config_commands, the_level_of_the_log_can_be_changed)
{
    struct log *log = desk_sessions()->log;
    check("CONFIG GET loglevel\r\n", "*2\r\n$8\r\nloglevel\r\n$5\r\ndebug\r\n");
    check("CONFIG SET loglevel warn\r\nCONFIG GET loglevel\r\n", "+OK\r\n*2\r\n$8\r\nloglevel\r\n$4\r\nwarn\r\n");
    cr_assert_eq(log_level(log), LOG_WARN);
    check("CONFIG SET loglevel NOTICE\r\n", "+OK\r\n");
    cr_assert_eq(log_level(log), LOG_INFO);
    check(
        "CONFIG SET loglevel loud\r\n",
        "-ERR CONFIG SET failed (possibly related to argument 'loglevel') - argument(s) must be one of the following: "
        "error, warn, info, debug, trace\r\n");
}

Test(config_commands, how_long_clients_wait_for_a_leader_can_be_changed)
{
    check("CONFIG SET client-timeout-ms 1500\r\nCONFIG GET client-timeout-ms\r\n",
          "+OK\r\n*2\r\n$17\r\nclient-timeout-ms\r\n$4\r\n1500\r\n");
    cr_assert_eq(desk_sessions()->config.client_timeout_us, 1500000);
    check("CONFIG SET client-timeout-ms 0\r\n",
          "-ERR CONFIG SET failed (possibly related to argument 'client-timeout-ms') "
          "- argument must be between 1 and 3600000 inclusive\r\n");
    check("CONFIG SET client-timeout-ms x\r\n",
          "-ERR CONFIG SET failed (possibly related to argument 'client-timeout-ms') "
          "- argument couldn't be parsed into an integer\r\n");
}

Test(config_commands, all_that_is_named_is_set_or_nothing)
{
    cr_assert_eq(desk_answers("CONFIG SET client-timeout-ms 1500 port 1\r\n")[0], '-');
    cr_assert_eq(desk_sessions()->config.client_timeout_us, DESK_TIMEOUT_US);
}

Test(config_commands, mistakes_are_answered_as_redis_does)
{
    struct real_redis redis;
    real_redis_start(&redis);
    assert_same_as_redis(&redis, "CONFIG GET nosuch\r\nCONFIG GET\r\nCONFIG SET nosuch 1\r\nCONFIG SET save\r\n"
                                 "CONFIG SET timeout 0 timeout 0\r\nCONFIG SET timeout 0 nosuch\r\n"
                                 "CONFIG SET appendonly yes nosuch 1\r\nCONFIG REWRITE\r\nCONFIG RESETSTAT\r\n"
                                 "HELLO 3\r\nCONFIG GET save\r\n");
    real_redis_stop(&redis);
}

/* ---- RESETSTAT ---- */

Test(config_commands, resetstat_begins_to_count_anew)
{
    desk_answers("PING\r\nPING\r\n");
    cr_assert_eq(desk_sessions()->commands, 2);
    check("CONFIG RESETSTAT\r\n", "+OK\r\n");
    cr_assert_eq(desk_sessions()->commands, 0);
}
