/* Tests of serve/commands.c: which command a request is. */
#include "serve/commands.h"

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "check.h"

static struct text text_of(const char *word)
{
    return (struct text){(const uint8_t *)word, strlen(word)};
}

/* The command of a line whose words are separated by spaces, or the error that was put. */
static const struct command *command_of_line(const char *line, char *error, size_t error_size)
{
    static char words[512];
    struct text arguments[16];
    size_t count = 0;
    snprintf(words, sizeof words, "%s", line);
    for (char *rest = words, *word; (word = strtok_r(rest, " ", &rest));)
        arguments[count++] = text_of(word);
    struct mailraft_buffer out = {0};
    const struct command *command = command_of(arguments, count, &out);
    snprintf(error, error_size, "%.*s", (int)out.size, out.bytes ? (const char *)out.bytes : "");
    buffer_fini(&out);
    return command;
}

static void check_found(const char *line, const char *full_name)
{
    char error[512], name[COMMAND_NAME_MAX];
    const struct command *command = command_of_line(line, error, sizeof error);
    cr_assert_not_null(command, "%s: %s", line, error);
    cr_assert_str_eq(command_full_name(command, name, sizeof name), full_name);
    cr_assert_str_eq(error, "");
}

static void check_error(const char *line, const char *wanted)
{
    char error[512];
    cr_assert_null(command_of_line(line, error, sizeof error), "%s", line);
    cr_assert_str_eq(error, wanted);
}

Test(commands, a_word_is_told_in_any_case_and_whole)
{
    cr_assert(text_is(text_of("ReSet"), "reset"));
    cr_assert_not(text_is(text_of("rese"), "reset"));
    cr_assert_not(text_is(text_of("resett"), "reset"));
    cr_assert_not(text_is((struct text){(const uint8_t *)"reset\0", 6}, "reset"));
}

Test(commands, every_command_is_found_by_its_name_and_they_stand_in_order)
{
    size_t count = 0;
    for (const struct command *each = COMMANDS; each->name; each++, count++) {
        cr_assert_eq(command_find(text_of(each->name)), each, "%s", each->name);
        cr_assert(count == 0 || strcmp(each[-1].name, each->name) < 0, "%s", each->name);
        for (const struct command *sub = each->subcommands; sub && sub->name; sub++) {
            cr_assert_eq(subcommand_find(each, text_of(sub->name)), sub);
            cr_assert_str_eq(sub->container, each->name);
        }
    }
    cr_assert_eq(count, COMMANDS_COUNT);
}

Test(commands, a_name_may_be_written_in_any_case)
{
    check_found("GeT a", "get");
    check_found("client GETname", "client|getname");
    check_found("OBJECT Encoding a", "object|encoding");
}

Test(commands, a_name_that_is_longer_or_has_a_zero_in_it_is_no_command)
{
    cr_assert_null(command_find(text_of("")));
    cr_assert_null(command_find(text_of("ge")));
    cr_assert_null(command_find(text_of("gets")));
    cr_assert_null(command_find((struct text){(const uint8_t *)"get\0", 4}));
    cr_assert_null(command_find(text_of("getgetgetgetgetgetgetgetgetgetgetgetgetgetgetgetgetgetget")));
}

Test(commands, a_container_alone_is_a_command_where_its_arity_allows)
{
    check_found("COMMAND", "command");
    check_error("CLIENT", "-ERR wrong number of arguments for 'client' command\r\n");
}

Test(commands, a_wrong_number_of_arguments_is_told_with_the_full_name)
{
    check_error("GET", "-ERR wrong number of arguments for 'get' command\r\n");
    check_error("get a b", "-ERR wrong number of arguments for 'get' command\r\n");
    check_error("MSET a", "-ERR wrong number of arguments for 'mset' command\r\n");
    check_found("MSET a b c d", "mset");
    check_error("CLIENT GETNAME a", "-ERR wrong number of arguments for 'client|getname' command\r\n");
}

Test(commands, an_unknown_command_is_told_with_what_its_arguments_begin_with)
{
    check_error("LPUSH a b", "-ERR unknown command 'LPUSH', with args beginning with: 'a' 'b' \r\n");
    check_error("foo", "-ERR unknown command 'foo', with args beginning with: \r\n");
    char line[300] = "foo ", wanted[400];
    memset(line + 4, 'x', 200);
    snprintf(wanted, sizeof wanted, "-ERR unknown command 'foo', with args beginning with: '%.128s' \r\n", line + 4);
    strcpy(line + 204, " y");
    check_error(line, wanted);
}

Test(commands, an_unknown_subcommand_is_told_with_where_to_find_help)
{
    check_error("OBJECT foo a", "-ERR unknown subcommand 'foo'. Try OBJECT HELP.\r\n");
    check_error("command foo", "-ERR unknown subcommand 'foo'. Try COMMAND HELP.\r\n");
}
