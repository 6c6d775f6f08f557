/* Tests of serve/command_commands.c and of the table that it tells, serve/command_table.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/beside_redis.h"

TestSuite(command_commands, .init = desk_open, .fini = desk_close, .timeout = 60);

static void check(const char *lines, const char *answer)
{
    cr_assert_str_eq(desk_answers(lines), answer, "%s", lines);
}

Test(command_commands, each_command_is_carried_out_by_the_store_or_by_the_session_or_is_a_container)
{
    for (const struct command *each = COMMANDS; each->name; each++) {
        cr_assert((each->op != 0) + (each->run != NULL) <= 1, "%s", each->name);
        cr_assert(each->op != 0 || each->run || each->arity == -2, "%s", each->name);
        cr_assert(each->op != 0 || each->run || each->subcommands, "%s", each->name);
        for (const struct command *sub = each->subcommands; sub && sub->name; sub++)
            cr_assert((sub->op != 0) + (sub->run != NULL) == 1, "%s %s", each->name, sub->name);
    }
}

Test(command_commands, the_store_has_each_of_its_operations_named_by_a_command)
{
    for (int op = 1; op <= KV_OP_LAST; op++) {
        bool found = op == KV_LITERAL || op == KV_VERSIONS || op == KV_STATE; /* what sessions ask by themselves */
        for (const struct command *each = COMMANDS; each->name; each++)
            found |= each->op == (enum kv_op)op;
        cr_assert(found, "%d", op);
    }
}

/* ---- INFO ---- */

Test(command_commands, info_tells_a_command_in_either_version_of_the_protocol)
{
    check(
        "COMMAND INFO get\r\n",
        "*1\r\n*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n*3\r\n+@read\r\n+@string\r\n"
        "+@fast\r\n*0\r\n*1\r\n*6\r\n$5\r\nflags\r\n*2\r\n+RO\r\n+access\r\n$12\r\nbegin_search\r\n*4\r\n$4\r\ntype\r\n"
        "$5\r\nindex\r\n$4\r\nspec\r\n*2\r\n$5\r\nindex\r\n:1\r\n$9\r\nfind_keys\r\n*4\r\n$4\r\ntype\r\n$5\r\nrange\r\n"
        "$4\r\nspec\r\n*6\r\n$7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n*0\r\n");
    check("COMMAND INFO nosuch client|id client|nosuch nosuch|id\r\n",
          "*4\r\n$-1\r\n*10\r\n$9\r\nclient|id\r\n:2\r\n*3\r\n+noscript\r\n+loading\r\n+stale\r\n:0\r\n:0\r\n:0\r\n"
          "*2\r\n+@slow\r\n+@connection\r\n*0\r\n*0\r\n*0\r\n$-1\r\n$-1\r\n");
}

Test(command_commands, command_tells_them_all)
{
    char count[32];
    snprintf(count, sizeof count, ":%zu\r\n", COMMANDS_COUNT);
    check("COMMAND COUNT\r\n", count);
    char *all = strdup(desk_answers("COMMAND\r\n"));
    cr_assert_eq(strncmp(all + 1, count + 1, strlen(count) - 1), 0);
    check("COMMAND INFO\r\n", all);
    free(all);
}

Test(command_commands, no_more_names_are_taken_than_an_answer_may_tell_of)
{
    static char line[32 + 1100 * 2];
    struct client *client = client_open();
    for (size_t count = 1024; count <= 1025; count++) {
        strcpy(line, "COMMAND INFO");
        for (size_t i = 0; i < count; i++)
            strcat(line, " x");
        client_says(client, strcat(line, "\r\n"));
        const char *answer = client_hears(client);
        cr_assert_eq(strncmp(answer, count == 1024 ? "*1024\r\n" : "-ERR too many", 7), 0, "%s", answer);
        memcpy(line, "COMMAND DOCS", 12);
        client_says(client, line);
        cr_assert_str_eq(client_hears(client), count == 1024 ? "*0\r\n" : "-ERR too many commands are named\r\n");
    }
}

/* A key specification's notes, which ours have not, out of an answer in RESP3. */
static void drop_notes(char *answer)
{
    static const char MAP[] = "%4\r\n$5\r\nnotes\r\n$";
    char *at = strstr(answer, MAP);
    if (!at)
        return;
    char *end = strstr(strstr(at + strlen(MAP), "\r\n") + 2, "\r\n") + 2;
    at[1] = '3';
    memmove(at + 4, end, strlen(end) + 1);
}

/* Facts of a container end where the list of its subcommands begins, of which Redis has more. */
static void drop_subcommands(char *answer)
{
    char *list = strstr(answer + strlen("*1\r\n*10\r\n"), "\r\n*");
    if (list)
        *list = '\0';
}

static char *facts_of(char *answer)
{
    cr_assert_eq(answer[0], '%'); /* HELLO's */
    char *facts = strstr(answer, "modules\r\n*0\r\n") + strlen("modules\r\n*0\r\n");
    drop_notes(facts);
    drop_subcommands(facts);
    return facts;
}

static void check_facts(const struct real_redis *redis, struct client *client, const struct command *command)
{
    char name[COMMAND_NAME_MAX], lines[128];
    snprintf(lines, sizeof lines, "HELLO 3\r\nCOMMAND INFO %s\r\n", command_full_name(command, name, sizeof name));
    client_says(client, lines);
    char *ours = strdup(client_hears(client)), *theirs = redis_answers(redis, lines);
    cr_assert_str_eq(facts_of(ours), facts_of(theirs), "%s", name);
    free(ours);
    free(theirs);
}

/* Of a redis-server 7.0: SENTINEL is another program's, and two are of 7.2. */
static bool is_of_redis(const struct command *command)
{
    char name[COMMAND_NAME_MAX];
    command_full_name(command, name, sizeof name);
    return strncmp(name, "sentinel", 8) != 0 && strcmp(name, "client|setinfo") != 0 &&
           strcmp(name, "client|no-touch") != 0;
}

Test(command_commands, every_fact_of_a_command_is_that_of_redis)
{
    struct real_redis redis;
    struct client *client = client_open();
    real_redis_start(&redis);
    for (const struct command *each = COMMANDS; each->name; each++) {
        if (is_of_redis(each))
            check_facts(&redis, client, each);
        for (const struct command *sub = each->subcommands; sub && sub->name; sub++)
            if (is_of_redis(sub))
                check_facts(&redis, client, sub);
    }
    real_redis_stop(&redis);
}

/* ---- DOCS ---- */

Test(command_commands, docs_explain_what_is_known)
{
    check("COMMAND DOCS select nosuch\r\n",
          "*2\r\n$6\r\nselect\r\n*10\r\n$7\r\nsummary\r\n$43\r\nChooses the database, of which there is one\r\n$5\r\n"
          "since\r\n$5\r\n1.0.0\r\n$5\r\ngroup\r\n$10\r\nconnection\r\n$10\r\ncomplexity\r\n$4\r\nO(1)\r\n"
          "$9\r\narguments\r\n*1\r\n*4\r\n$4\r\nname\r\n$5\r\nindex\r\n$4\r\ntype\r\n$7\r\ninteger\r\n");
    check("COMMAND DOCS nosuch\r\n", "*0\r\n");
    const char *all = desk_answers("HELLO 3\r\nCOMMAND DOCS\r\n");
    cr_assert_not_null(strstr(all, "$11\r\nsubcommands\r\n%5\r\n$15\r\nobject|encoding\r\n%5\r\n$7\r\nsummary\r\n"));
}

Test(command_commands, docs_tell_arguments_with_their_tokens_and_how_often_they_may_come)
{
    const char *answer = desk_answers("HELLO 3\r\nCOMMAND DOCS scan del\r\n");
    cr_assert_not_null(strstr(answer, "*4\r\n%2\r\n$4\r\nname\r\n$6\r\ncursor\r\n$4\r\ntype\r\n$7\r\ninteger\r\n"
                                      "%4\r\n$4\r\nname\r\n$7\r\npattern\r\n$4\r\ntype\r\n$7\r\npattern\r\n"
                                      "$5\r\ntoken\r\n$5\r\nMATCH\r\n$5\r\nflags\r\n~1\r\n+optional\r\n"));
    cr_assert_not_null(strstr(answer, "*1\r\n%3\r\n$4\r\nname\r\n$3\r\nkey\r\n$4\r\ntype\r\n$3\r\nkey\r\n"
                                      "$5\r\nflags\r\n~1\r\n+multiple\r\n"));
    answer = desk_answers("COMMAND DOCS flushall mget\r\n");
    cr_assert_not_null(strstr(answer, "*8\r\n$4\r\nname\r\n$5\r\nASYNC\r\n$4\r\ntype\r\n$10\r\npure-token\r\n"
                                      "$5\r\ntoken\r\n$5\r\nASYNC\r\n$5\r\nflags\r\n*1\r\n+optional\r\n"));
}

/* As many as the arity asks for must come. */
Test(command_commands, the_syntax_of_a_command_suits_its_arity)
{
    for (const struct command *each = COMMANDS; each->name; each++) {
        int required = 1;
        for (const char *at = each->syntax ? each->syntax : ""; *at; at += strcspn(at, " "), at += *at == ' ')
            if (*at == '[')
                at += strcspn(at, "]");
            else
                required++;
        int arity = each->arity < 0 ? -each->arity : each->arity;
        cr_assert(each->subcommands || required == arity, "%s %s", each->name, each->syntax);
    }
}

Test(command_commands, docs_tell_the_group_and_the_first_version_as_redis_does)
{
    struct real_redis redis;
    struct client *client = client_open();
    real_redis_start(&redis);
    for (const struct command *each = COMMANDS; each->name; each++) {
        char lines[128], since[128];
        if (!is_of_redis(each))
            continue;
        snprintf(lines, sizeof lines, "COMMAND DOCS %s\r\n", each->name);
        char *theirs = redis_answers(&redis, lines);
        snprintf(since, sizeof since, "$5\r\nsince\r\n$%zu\r\n%s\r\n$5\r\ngroup\r\n$%zu\r\n%s\r\n", strlen(each->since),
                 each->since, strlen(each->group), each->group);
        cr_assert_not_null(strstr(theirs, since), "%s: %s", each->name, theirs);
        client_says(client, lines);
        cr_assert_not_null(strstr(client_hears(client), since), "%s", each->name);
        free(theirs);
    }
    real_redis_stop(&redis);
}

/* ---- LIST ---- */

Test(command_commands, list_tells_names_that_pass_a_filter)
{
    check("COMMAND LIST FILTERBY PATTERN SE?nx\r\n", "*1\r\n$5\r\nsetnx\r\n");
    check("COMMAND LIST FILTERBY PATTERN client|set*\r\n", "*2\r\n$14\r\nclient|setinfo\r\n$14\r\nclient|setname\r\n");
    check("COMMAND LIST FILTERBY ACLCAT TRANSACTION\r\n",
          "*5\r\n$7\r\ndiscard\r\n$4\r\nexec\r\n$5\r\nmulti\r\n$7\r\nunwatch\r\n$5\r\nwatch\r\n");
    check("COMMAND LIST FILTERBY ACLCAT trans\r\n", "*0\r\n");
    check("COMMAND LIST FILTERBY MODULE x\r\n", "*0\r\n");
    check("COMMAND LIST FILTERBY FOO x\r\nCOMMAND LIST x\r\n", "-ERR syntax error\r\n-ERR syntax error\r\n");
    cr_assert_not_null(strstr(desk_answers("COMMAND LIST\r\n"), "\r\n$3\r\nget\r\n"));
}

/* ---- GETKEYS ---- */

Test(command_commands, keys_are_picked_out_as_redis_does)
{
    struct real_redis redis;
    real_redis_start(&redis);
    assert_same_as_redis(&redis,
                         "COMMAND GETKEYS get a\r\nCOMMAND GETKEYS mset a 1 b 2\r\nCOMMAND GETKEYS mset a 1 b\r\n"
                         "COMMAND GETKEYS rename a b\r\nCOMMAND GETKEYS object encoding a\r\n"
                         "COMMAND GETKEYS watch a b c\r\nCOMMAND GETKEYS del a\r\n");
    assert_same_as_redis(&redis,
                         "COMMAND GETKEYS nosuch a\r\nCOMMAND GETKEYS ping a\r\nCOMMAND GETKEYS get a b\r\n"
                         "COMMAND GETKEYS get\r\nCOMMAND GETKEYS object encoding\r\nCOMMAND GETKEYS select 0\r\n");
    assert_same_as_redis(&redis,
                         "HELLO 3\r\nCOMMAND GETKEYSANDFLAGS rename a b\r\nCOMMAND GETKEYSANDFLAGS mset a 1 b 2\r\n"
                         "COMMAND INFO nosuch\r\nCOMMAND LIST FILTERBY PATTERN getse?\r\nCOMMAND DOCS nosuch\r\n"
                         "COMMAND LIST FILTERBY FOO x\r\nCOMMAND LIST FILTERBY MODULE x\r\n");
    real_redis_stop(&redis);
}

/* ---- HELP ---- */

Test(command_commands, each_container_tells_its_subcommands)
{
    const char *answer = desk_answers("CONFIG HELP\r\n");
    cr_assert_eq(
        strncmp(answer, "*11\r\n+CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n+GET\r\n", 76), 0,
        "%s", answer);
    cr_assert_not_null(strstr(answer, "\r\n+HELP\r\n+    Tells the subcommands of CONFIG.\r\n"));
    for (const struct command *each = COMMANDS; each->name; each++) {
        char lines[64], error[64];
        if (!each->subcommands || each->op != 0)
            continue;
        snprintf(lines, sizeof lines, "%s help\r\n", each->name);
        cr_assert_eq(desk_answers(lines)[0], '*');
        snprintf(error, sizeof error, "-ERR wrong number of arguments for '%s|help' command\r\n", each->name);
        snprintf(lines, sizeof lines, "%s help x\r\n", each->name);
        check(lines, error);
    }
}
