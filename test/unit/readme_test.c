/* What the README says of the code, held against the code. Run from the top folder, as `make test` does. */
#include "check.h"

#include <ctype.h>
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

static bool readme_lists_event(const char *word)
{
    FILE *readme = fopen("README.md", "r");
    cr_assert_not_null(readme);
    char line[2048], cell[64], alternative[64];
    snprintf(cell, sizeof cell, "| `%s", word);
    snprintf(alternative, sizeof alternative, ", `%s", word);
    bool found = false;
    while (!found && fgets(line, sizeof line, readme) != NULL)
        found = strncmp(line, cell, strlen(cell)) == 0 || (line[0] == '|' && strstr(line, alternative) != NULL);
    fclose(readme);
    return found;
}

Test(readme, every_event_that_the_code_logs_is_listed)
{
    FILE *events = popen("grep -rhoE '(log_(info|warn|error|debug|trace)\\(|log_put\\([^\"]*)[^\"]*\"[A-Z][A-Za-z'\\'']*' src "
                         "| sed 's/.*\"//' | sort -u",
                         "r");
    cr_assert_not_null(events);
    char word[64];
    int count = 0;
    while (fscanf(events, "%63s", word) == 1) {
        cr_assert(readme_lists_event(word), "the README lists no event that begins with \"%s\"", word);
        count++;
    }
    pclose(events);
    cr_assert_geq(count, 15, "only %d events were found in the code", count);
}
