/* What the README says of the code, held against the code. Run from the top folder, as `make test` does. */
#include "check.h"

#include <ctype.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Whether a line of the file begins a definition of the function: flush left, its name, an opening bracket, and no
 * semicolon at the end. */
static bool file_defines(const char *path, const char *function)
{
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "the README names %s, which is not there", path);
    char line[1024], call[128];
    snprintf(call, sizeof call, "%s(", function);
    bool found = false;
    while (!found && fgets(line, sizeof line, file) != NULL) {
        const char *at = strstr(line, call);
        found = at != NULL && at > line && (at[-1] == ' ' || at[-1] == '*') && isalpha((unsigned char)line[0]) &&
                strchr(line, ';') == NULL;
    }
    fclose(file);
    return found;
}

Test(readme, every_function_that_the_reading_order_names_is_defined_where_it_says)
{
    FILE *readme = fopen("README.md", "r");
    cr_assert_not_null(readme, "tests run from the top folder");
    char line[2048];
    int named = 0;
    while (fgets(line, sizeof line, readme) != NULL) {
        char function[64], path[128];
        const char *cell = strstr(line, "| `");
        const char *in = strstr(line, "` in src/");
        if (line[0] != '|' || in == NULL)
            continue;
        for (const char *next = cell; next != NULL && next < in; next = strstr(next + 1, "| `"))
            cell = next; /* the last cell is the function's */
        cr_assert_eq(sscanf(cell, "| `%63[a-z_]` in %127[a-z_/.]", function, path), 2, "unreadable: %s", line);
        cr_assert(file_defines(path, function), "%s does not define %s", path, function);
        named++;
    }
    fclose(readme);
    cr_assert_geq(named, 15, "only %d functions are named", named);
}

/* What is the same in every line of a format, up to the first fact: of "Voted for %d in current term %d" it is
 * "Voted for ", and of "Opened storage data_id=%s" it is "Opened storage ". */
static void fixed_part(const char *format, char fixed[128])
{
    size_t size = strcspn(format, "%=\"");
    if (format[size] == '=')
        while (size > 0 && format[size - 1] != ' ') /* the key is the fact's */
            size--;
    cr_assert(size > 0, "an event without a name: %.40s", format);
    snprintf(fixed, 128, "%.*s", (int)size, format);
}

/* Whether a row of the tables begins with this event, or names it as another of the same row. */
static bool readme_lists_event(const char *readme, const char *fixed)
{
    char first[140], further[140];
    snprintf(first, sizeof first, "\n| `%s", fixed);
    snprintf(further, sizeof further, "`, `%s", fixed);
    return strstr(readme, first) != NULL || strstr(readme, further) != NULL;
}

/* The format of the call whose arguments begin here; NULL where it has none that tells the event: a declaration, or one
 * that begins with a fact. */
static const char *format_of_call(const char *arguments)
{
    const char *quote = arguments + strcspn(arguments, "\";{");
    return *quote == '"' && isupper((unsigned char)quote[1]) ? quote + 1 : NULL;
}

/* Looks up all events that a file logs with one function. How many there are. */
static int look_up_events(const char *readme, const char *path, const char *text, const char *function)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, function)) != NULL; at++) {
        const char *format = format_of_call(at + strlen(function));
        char fixed[128];
        if (format == NULL)
            continue;
        fixed_part(format, fixed);
        cr_assert(readme_lists_event(readme, fixed), "the README lists no \"%s\", which %s logs", fixed, path);
        count++;
    }
    return count;
}

static char *read_whole(const char *path)
{
    static char texts[2][200000]; /* the README, and one file of the code */
    char *text = texts[strcmp(path, "README.md") != 0];
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "tests run from the top folder");
    size_t size = fread(text, 1, sizeof texts[0] - 1, file);
    cr_assert(size < sizeof texts[0] - 1, "%s is too long for this test", path);
    text[size] = '\0';
    fclose(file);
    return text;
}

Test(readme, every_event_that_the_code_logs_is_listed)
{
    static const char *const FUNCTIONS[] = {"log_info(",  "log_warn(", "log_error(",      "log_debug(",
                                            "log_trace(", "log_put(",  "complaints_tell(",
                                            "complaints_put("};
    const char *readme = read_whole("README.md");
    glob_t files;
    int count = 0;
    cr_assert_eq(glob("src/*/*.c", 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        const char *text = read_whole(files.gl_pathv[i]);
        for (size_t j = 0; j < sizeof FUNCTIONS / sizeof FUNCTIONS[0]; j++)
            count += look_up_events(readme, files.gl_pathv[i], text, FUNCTIONS[j]);
    }
    globfree(&files);
    cr_assert_geq(count, 35, "only %d events were found in the code", count);
}

/* The first target of the Makefile is what `make` alone makes; those that begin with a dot do not count. */
Test(readme, make_alone_builds_as_it_says)
{
    FILE *makefile = fopen("Makefile", "r");
    cr_assert_not_null(makefile, "tests run from the top folder");
    char line[1024], target[64] = "", after = ' ';
    while (fgets(line, sizeof line, makefile) != NULL)
        if (sscanf(line, "%63[a-z-]:%c", target, &after) == 2 && after != '=')
            break;
    fclose(makefile);
    cr_assert_str_eq(target, "all", "make alone makes \"%s\"", target);
}
