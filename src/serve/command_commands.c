/* command_commands.c - COMMAND: what commands there are, told from the table; and the HELP of every container
 * (local_commands.h). */
#include "serve/local_commands.h"

#include <ctype.h>
#include <string.h>

#include "base/buffer.h"
#include "serve/glob.h"

#define NAMES_MAX 1024 /* of commands in one request: what is told of one is much longer than its name */

/* ---- What a command is ---- */

static size_t word_count(const char *words)
{
    size_t count = *words != 0;
    for (; *words; words++)
        count += *words == ' ';
    return count;
}

/* A set of words, those that are separated by spaces; simple strings or bulks. NULL: none. */
static void put_words(struct mailraft_buffer *reply, const char *words, bool bulks, bool resp3)
{
    words = words ? words : "";
    resp_put_set(reply, word_count(words), resp3);
    for (size_t size; *words; words += size + (words[size] == ' ')) {
        size = strcspn(words, " ");
        if (bulks) {
            resp_put_bulk(reply, words, size);
            continue;
        }
        mailraft_buffer_put(reply, "+", 1);
        mailraft_buffer_put(reply, words, size);
        mailraft_buffer_put(reply, "\r\n", 2);
    }
}

/* In the order in which Redis tells them. */
static const struct {
    unsigned flag;
    const char *name;
} FLAGS[] = {
    {COMMAND_WRITE, "write"},
    {COMMAND_READONLY, "readonly"},
    {COMMAND_DENYOOM, "denyoom"},
    {COMMAND_ADMIN, "admin"},
    {COMMAND_PUBSUB, "pubsub"},
    {COMMAND_NOSCRIPT, "noscript"},
    {COMMAND_BLOCKING, "blocking"},
    {COMMAND_LOADING, "loading"},
    {COMMAND_STALE, "stale"},
    {COMMAND_SKIP_MONITOR, "skip_monitor"},
    {COMMAND_SKIP_SLOWLOG, "skip_slowlog"},
    {COMMAND_FAST, "fast"},
    {COMMAND_NO_AUTH, "no_auth"},
    {COMMAND_MOVABLEKEYS, "movablekeys"},
    {COMMAND_ALLOW_BUSY, "allow_busy"},
    {COMMAND_NO_MULTI, "no_multi"},
};

#define FLAGS_COUNT (sizeof FLAGS / sizeof *FLAGS)

static void put_flags(struct mailraft_buffer *reply, unsigned flags, bool resp3)
{
    size_t count = 0;
    for (size_t i = 0; i < FLAGS_COUNT; i++)
        count += (flags & FLAGS[i].flag) != 0;
    resp_put_set(reply, count, resp3);
    for (size_t i = 0; i < FLAGS_COUNT; i++)
        if (flags & FLAGS[i].flag)
            resp_put_simple(reply, FLAGS[i].name);
}

static void put_number(struct mailraft_buffer *reply, const char *name, int64_t number)
{
    resp_put_text(reply, name);
    resp_put_integer(reply, number);
}

/* A key specification: keys from the argument `first` on, up to `last`, which counts from there or, where it is
 * negative, from the end. */
static void put_key_spec(struct mailraft_buffer *reply, const char *flags, int first, int last, int step, bool resp3)
{
    resp_put_map(reply, 3, resp3);
    resp_put_text(reply, "flags");
    put_words(reply, flags, false, resp3);
    resp_put_text(reply, "begin_search");
    resp_put_map(reply, 2, resp3);
    resp_put_text(reply, "type");
    resp_put_text(reply, "index");
    resp_put_text(reply, "spec");
    resp_put_map(reply, 1, resp3);
    put_number(reply, "index", first);
    resp_put_text(reply, "find_keys");
    resp_put_map(reply, 2, resp3);
    resp_put_text(reply, "type");
    resp_put_text(reply, "range");
    resp_put_text(reply, "spec");
    resp_put_map(reply, 3, resp3);
    put_number(reply, "lastkey", last);
    put_number(reply, "keystep", step);
    put_number(reply, "limit", 0);
}

static void put_key_specs(struct mailraft_buffer *reply, const struct command *command, bool resp3)
{
    if (command->key_flags[1]) { /* one for each of its two keys */
        resp_put_set(reply, 2, resp3);
        for (int i = 0; i < 2; i++)
            put_key_spec(reply, command->key_flags[i], command->first_key + i, 0, 1, resp3);
        return;
    }
    resp_put_set(reply, command->first_key > 0, resp3);
    int last = command->last_key < 0 ? command->last_key : command->last_key - command->first_key;
    if (command->first_key > 0)
        put_key_spec(reply, command->key_flags[0], command->first_key, last, command->key_step, resp3);
}

static size_t subcommand_count(const struct command *command)
{
    size_t count = 0;
    for (const struct command *each = command->subcommands; each && each->name; each++)
        count++;
    return count;
}

/* Nobody nests subcommands, so this goes one level deep. */
static void put_command(struct mailraft_buffer *reply, const struct command *command, bool resp3)
{
    char name[COMMAND_NAME_MAX];
    resp_put_array(reply, 10);
    resp_put_text(reply, command_full_name(command, name, sizeof name));
    resp_put_integer(reply, command->arity);
    put_flags(reply, command->flags, resp3);
    resp_put_integer(reply, command->first_key);
    resp_put_integer(reply, command->last_key);
    resp_put_integer(reply, command->key_step);
    put_words(reply, command->categories, false, resp3);
    put_words(reply, command->tips, true, resp3);
    put_key_specs(reply, command, resp3);
    if (!command->subcommands)
        resp_put_set(reply, 0, resp3);
    else
        resp_put_array(reply, subcommand_count(command));
    for (const struct command *each = command->subcommands; each && each->name; each++)
        put_command(reply, each, resp3);
}

static void put_all_commands(struct session *session)
{
    struct mailraft_buffer *reply = session_reply(session);
    resp_put_array(reply, COMMANDS_COUNT);
    for (const struct command *each = COMMANDS; each->name; each++)
        put_command(reply, each, session_is_resp3(session));
}

void run_command(struct session *session, const struct text *arguments, size_t count)
{
    (void)arguments, (void)count;
    put_all_commands(session);
}

void run_command_count(struct session *session, const struct text *arguments, size_t count)
{
    (void)arguments, (void)count;
    resp_put_integer(session_reply(session), (int64_t)COMMANDS_COUNT);
}

/* "get" or "client|getname". */
static const struct command *find_by_full_name(struct text name)
{
    const uint8_t *bar = name.size > 0 ? memchr(name.bytes, '|', name.size) : NULL;
    if (!bar)
        return command_find(name);
    struct text container = {name.bytes, (size_t)(bar - name.bytes)};
    struct text subcommand = {bar + 1, name.size - container.size - 1};
    const struct command *command = command_find(container);
    return command ? subcommand_find(command, subcommand) : NULL;
}

/* False: too many; an error was put. */
static bool check_name_count(struct session *session, size_t count)
{
    if (count <= NAMES_MAX)
        return true;
    resp_put_error(session_reply(session), "ERR too many commands are named");
    return false;
}

void run_command_info(struct session *session, const struct text *arguments, size_t count)
{
    if (count == 2) {
        put_all_commands(session);
        return;
    }
    if (!check_name_count(session, count - 2))
        return;
    struct mailraft_buffer *reply = session_reply(session);
    resp_put_array(reply, count - 2);
    for (size_t i = 2; i < count; i++) {
        const struct command *command = find_by_full_name(arguments[i]);
        if (command)
            put_command(reply, command, session_is_resp3(session));
        else
            resp_put_null(reply, session_is_resp3(session));
    }
}

/* ---- DOCS ---- */

static void put_fact(struct mailraft_buffer *reply, const char *name, const char *value)
{
    resp_put_text(reply, name);
    resp_put_text(reply, value);
}

struct argument {
    struct text token, name; /* without bytes: none */
    bool is_optional, is_multiple;
};

static struct text text_between(const char *from, const char *to)
{
    return (struct text){(const uint8_t *)from, (size_t)(to - from)};
}

/* The next argument of a syntax; returns what stands behind it. */
static const char *read_argument(const char *at, struct argument *argument)
{
    *argument = (struct argument){.is_optional = *at == '['};
    at += argument->is_optional;
    const char *end = at + strcspn(at, argument->is_optional ? "]" : " "), *name = at;
    const char *behind = end + argument->is_optional;
    if (isupper(*at)) {
        name = at + strcspn(at, " ]");
        argument->token = text_between(at, name);
        name += *name == ' ';
    }
    argument->is_multiple = end - name > 3 && memcmp(end - 3, "...", 3) == 0;
    argument->name = text_between(name, argument->is_multiple ? end - 3 : end);
    return behind + (*behind == ' ');
}

/* What kind of thing a name stands for. */
static const char *type_of(struct text name)
{
    static const struct {
        const char *type, *name;
    } TYPES[] = {
        {"key", "key"},
        {"key", "newkey"},
        {"key", "source"},
        {"key", "destination"},
        {"pattern", "pattern"},
        {"integer", "seconds"},
        {"integer", "milliseconds"},
        {"unix-time", "unix-time-seconds"},
        {"unix-time", "unix-time-milliseconds"},
        {"integer", "cursor"},
        {"integer", "count"},
        {"integer", "index"},
        {"integer", "offset"},
        {"integer", "start"},
        {"integer", "end"},
        {"integer", "timeout"},
    };
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        if (text_is(name, TYPES[i].name))
            return TYPES[i].type;
    return "string";
}

static void put_argument(struct mailraft_buffer *out, const struct argument *argument, bool resp3)
{
    bool is_token = argument->name.size == 0;
    struct text name = is_token ? argument->token : argument->name;
    bool has_token = argument->token.size > 0, has_flags = argument->is_optional || argument->is_multiple;
    resp_put_map(out, 2u + has_token + has_flags, resp3);
    resp_put_text(out, "name");
    resp_put_bulk(out, name.bytes, name.size);
    put_fact(out, "type", is_token ? "pure-token" : type_of(name));
    if (has_token) {
        resp_put_text(out, "token");
        resp_put_bulk(out, argument->token.bytes, argument->token.size);
    }
    if (!has_flags)
        return;
    resp_put_text(out, "flags");
    resp_put_set(out, 0u + argument->is_optional + argument->is_multiple, resp3);
    if (argument->is_optional)
        resp_put_simple(out, "optional");
    if (argument->is_multiple)
        resp_put_simple(out, "multiple");
}

static void put_arguments(struct mailraft_buffer *reply, const char *syntax, bool resp3)
{
    struct argument argument;
    size_t count = 0;
    for (const char *at = syntax; *at; count++)
        at = read_argument(at, &argument);
    resp_put_text(reply, "arguments");
    resp_put_array(reply, count);
    for (const char *at = syntax; *at;) {
        at = read_argument(at, &argument);
        put_argument(reply, &argument, resp3);
    }
}

static void put_docs(struct mailraft_buffer *reply, const struct command *command, bool resp3)
{
    char name[COMMAND_NAME_MAX];
    resp_put_text(reply, command_full_name(command, name, sizeof name));
    resp_put_map(reply, 4u + (command->syntax != NULL) + (command->subcommands != NULL), resp3);
    put_fact(reply, "summary", command->summary);
    put_fact(reply, "since", command->since);
    put_fact(reply, "group", command->group);
    put_fact(reply, "complexity", command->complexity);
    if (command->syntax)
        put_arguments(reply, command->syntax, resp3);
    if (!command->subcommands)
        return;
    resp_put_text(reply, "subcommands");
    resp_put_map(reply, subcommand_count(command), resp3);
    for (const struct command *each = command->subcommands; each->name; each++)
        put_docs(reply, each, resp3);
}

void run_command_docs(struct session *session, const struct text *arguments, size_t count)
{
    struct mailraft_buffer *reply = session_reply(session);
    bool resp3 = session_is_resp3(session);
    if (count == 2) {
        resp_put_map(reply, COMMANDS_COUNT, resp3);
        for (const struct command *each = COMMANDS; each->name; each++)
            put_docs(reply, each, resp3);
        return;
    }
    if (!check_name_count(session, count - 2))
        return;
    size_t known = 0; /* what is not is left out */
    for (size_t i = 2; i < count; i++)
        known += find_by_full_name(arguments[i]) != NULL;
    resp_put_map(reply, known, resp3);
    for (size_t i = 2; i < count; i++) {
        const struct command *command = find_by_full_name(arguments[i]);
        if (command)
            put_docs(reply, command, resp3);
    }
}

/* ---- LIST ---- */

enum filter_kind { FILTER_NONE, FILTER_MODULE, FILTER_CATEGORY, FILTER_PATTERN };

struct filter {
    enum filter_kind kind;
    struct text text;
};

static bool has_category(const struct command *command, struct text category)
{
    for (const char *words = command->categories; *words; words += strspn(words, " ")) {
        size_t size = strcspn(words, " ");
        char word[COMMAND_NAME_MAX] = "";
        memcpy(word, words + 1, size - 1); /* without the @ */
        if (text_is(category, word))
            return true;
        words += size;
    }
    return false;
}

bool name_matches(const char *name, struct text pattern)
{
    struct mailraft_buffer lower = {0};
    for (size_t i = 0; i < pattern.size; i++) {
        uint8_t byte = (uint8_t)tolower(pattern.bytes[i]);
        mailraft_buffer_put(&lower, &byte, 1);
    }
    bool yes = glob_match((struct text){lower.bytes, lower.size}, (struct text){(const uint8_t *)name, strlen(name)});
    buffer_fini(&lower);
    return yes;
}

static bool passes(const struct filter *filter, const struct command *command)
{
    char name[COMMAND_NAME_MAX];
    switch (filter->kind) {
    case FILTER_NONE:
        return true;
    case FILTER_MODULE: /* there are none */
        return false;
    case FILTER_CATEGORY:
        return has_category(command, filter->text);
    case FILTER_PATTERN:
        return name_matches(command_full_name(command, name, sizeof name), filter->text);
    }
    return false;
}

/* Puts the names of those that pass, subcommands too; returns how many. */
static size_t put_names(struct mailraft_buffer *names, const struct filter *filter, const struct command *commands)
{
    size_t count = 0;
    for (const struct command *each = commands; each && each->name; each++) {
        char name[COMMAND_NAME_MAX];
        if (passes(filter, each)) {
            resp_put_text(names, command_full_name(each, name, sizeof name));
            count++;
        }
        count += put_names(names, filter, each->subcommands);
    }
    return count;
}

static bool read_filter(const struct text *arguments, size_t count, struct filter *filter)
{
    if (count == 2)
        return true;
    if (count != 5 || !text_is(arguments[2], "filterby"))
        return false;
    filter->text = arguments[4];
    filter->kind = text_is(arguments[3], "module")    ? FILTER_MODULE
                   : text_is(arguments[3], "aclcat")  ? FILTER_CATEGORY
                   : text_is(arguments[3], "pattern") ? FILTER_PATTERN
                                                      : FILTER_NONE;
    return filter->kind != FILTER_NONE;
}

void run_command_list(struct session *session, const struct text *arguments, size_t count)
{
    struct filter filter = {0};
    if (!read_filter(arguments, count, &filter)) {
        resp_put_error(session_reply(session), "ERR syntax error");
        return;
    }
    struct mailraft_buffer names = {0};
    resp_put_array(session_reply(session), put_names(&names, &filter, COMMANDS));
    mailraft_buffer_put(session_reply(session), names.bytes, names.size);
    buffer_fini(&names);
}

/* ---- GETKEYS ---- */

/* The command whose arguments are looked at, which has keys. NULL: there is none; an error was put. */
static const struct command *with_keys(struct session *session, const struct text *arguments, size_t count)
{
    struct mailraft_buffer *reply = session_reply(session), ignored = {0};
    const struct command *command = command_find(arguments[0]);
    const struct command *subcommand = command && count > 1 ? subcommand_find(command, arguments[1]) : NULL;
    command = subcommand ? subcommand : command;
    bool suits = command && command_check_arity(command, count, &ignored);
    buffer_fini(&ignored);
    if (!command)
        resp_put_error(reply, "ERR Invalid command specified");
    else if (command->first_key == 0)
        resp_put_error(reply, "ERR The command has no key arguments");
    else if (!suits)
        resp_put_error(reply, "ERR Invalid number of arguments specified for command");
    else
        return command;
    return NULL;
}

static void put_keys(struct session *session, const struct text *arguments, size_t count, bool with_flags)
{
    const struct command *command = with_keys(session, arguments, count);
    if (!command)
        return;
    struct mailraft_buffer *reply = session_reply(session);
    size_t first = (size_t)command->first_key, step = (size_t)command->key_step;
    size_t last = command->last_key < 0 ? count - (size_t)-command->last_key : (size_t)command->last_key;
    resp_put_array(reply, (last - first) / step + 1);
    for (size_t i = first; i <= last; i += step) {
        if (with_flags)
            resp_put_array(reply, 2);
        resp_put_bulk(reply, arguments[i].bytes, arguments[i].size);
        if (with_flags)
            put_words(reply, command->key_flags[i > first && command->key_flags[1] ? 1 : 0], false,
                      session_is_resp3(session));
    }
}

void run_command_getkeys(struct session *session, const struct text *arguments, size_t count)
{
    put_keys(session, arguments + 2, count - 2, false);
}

void run_command_getkeysandflags(struct session *session, const struct text *arguments, size_t count)
{
    put_keys(session, arguments + 2, count - 2, true);
}

/* ---- HELP ---- */

static void put_line(struct mailraft_buffer *reply, const char *before, const char *text, bool upper,
                     const char *behind)
{
    mailraft_buffer_put(reply, "+", 1);
    mailraft_buffer_put(reply, before, strlen(before));
    for (; *text; text++) {
        char byte = (char)(upper ? toupper(*text) : *text);
        mailraft_buffer_put(reply, &byte, 1);
    }
    mailraft_buffer_put(reply, behind, strlen(behind));
    mailraft_buffer_put(reply, "\r\n", 2);
}

void run_help(struct session *session, const struct text *arguments, size_t count)
{
    (void)count;
    struct mailraft_buffer *reply = session_reply(session);
    const struct command *container = command_find(arguments[0]);
    resp_put_array(reply, 1 + 2 * subcommand_count(container));
    put_line(reply, "", container->name, true, " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    for (const struct command *each = container->subcommands; each->name; each++) {
        put_line(reply, "", each->name, true, "");
        put_line(reply, "    ", each->summary, false, ".");
    }
}
