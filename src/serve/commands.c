/* commands.c - see commands.h. */
#include "serve/commands.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define WORD_MAX 32 /* bytes of the longest name, the final zero included */

/* Redis tells at most so many bytes of what it does not know. */
#define UNKNOWN_MAX 128

bool text_is(struct text text, const char *word)
{
    for (size_t i = 0; i < text.size; i++) /* which also ends where the word does: no byte is equal to its zero */
        if (word[i] == 0 || tolower(text.bytes[i]) != word[i])
            return false;
    return word[text.size] == 0;
}

/* In lower case. False: it is longer than any name, or no text. */
static bool lower(struct text name, char word[WORD_MAX])
{
    if (name.size >= WORD_MAX || memchr(name.bytes, 0, name.size))
        return false;
    for (size_t i = 0; i < name.size; i++)
        word[i] = (char)tolower(name.bytes[i]);
    word[name.size] = 0;
    return true;
}

const struct command *command_find(struct text name)
{
    char word[WORD_MAX];
    if (!lower(name, word))
        return NULL;
    size_t low = 0, high = COMMANDS_COUNT;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(word, COMMANDS[middle].name);
        if (order == 0)
            return &COMMANDS[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const struct command *subcommand_find(const struct command *container, struct text name)
{
    for (const struct command *each = container->subcommands; each && each->name; each++)
        if (text_is(name, each->name))
            return each;
    return NULL;
}

const char *command_full_name(const struct command *command, char *text, size_t size)
{
    if (command->container)
        snprintf(text, size, "%s|%s", command->container, command->name);
    else
        snprintf(text, size, "%s", command->name);
    return text;
}

bool command_check_arity(const struct command *command, size_t count, struct mailraft_buffer *error)
{
    size_t wanted = (size_t)(command->arity < 0 ? -command->arity : command->arity);
    if (command->arity < 0 ? count >= wanted : count == wanted)
        return true;
    char name[COMMAND_NAME_MAX];
    resp_put_error(error, "ERR wrong number of arguments for '%s' command",
                   command_full_name(command, name, sizeof name));
    return false;
}

/* What C calls the text: Redis shows what it does not know up to its first zero. */
static int shown(struct text text, size_t max)
{
    return (int)strnlen((const char *)text.bytes, text.size < max ? text.size : max);
}

static void put_unknown_command(const struct text *arguments, size_t count, struct mailraft_buffer *error)
{
    char list[2 * UNKNOWN_MAX] = ""; /* of arguments, each in quotes, until there are UNKNOWN_MAX bytes of them */
    size_t size = 0;
    for (size_t i = 1; i < count && size < UNKNOWN_MAX; i++)
        size += (size_t)snprintf(list + size, sizeof list - size, "'%.*s' ", shown(arguments[i], UNKNOWN_MAX - size),
                                 (const char *)arguments[i].bytes);
    resp_put_error(error, "ERR unknown command '%.*s', with args beginning with: %s", shown(arguments[0], UNKNOWN_MAX),
                   (const char *)arguments[0].bytes, list);
}

static void put_unknown_subcommand(const struct command *container, struct text name, struct mailraft_buffer *error)
{
    char upper[WORD_MAX] = "";
    for (size_t i = 0; container->name[i]; i++)
        upper[i] = (char)toupper(container->name[i]);
    resp_put_error(error, "ERR unknown subcommand '%.*s'. Try %s HELP.", shown(name, UNKNOWN_MAX),
                   (const char *)name.bytes, upper);
}

const struct command *command_of(const struct text *arguments, size_t count, struct mailraft_buffer *error)
{
    assert(count > 0);
    const struct command *command = command_find(arguments[0]);
    if (!command) {
        put_unknown_command(arguments, count, error);
        return NULL;
    }
    if (command->subcommands && count > 1) {
        const struct command *subcommand = subcommand_find(command, arguments[1]);
        if (!subcommand) {
            put_unknown_subcommand(command, arguments[1], error);
            return NULL;
        }
        command = subcommand;
    }
    return command_check_arity(command, count, error) ? command : NULL;
}
