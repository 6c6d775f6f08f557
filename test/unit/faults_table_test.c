/* The tables of test/README.md, held against the tests. Run from the top folder, as `make test` does. */
#include "check.h"

#include <ctype.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define README    "test/README.md"
#define FAULTS    77
#define TEXT_MAX  400000
#define FOLDER    "test/"
#define SCENARIOS "test/scenarios/*.c"

static const char *read_whole(const char *path, char text[TEXT_MAX])
{
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s is not there; tests run from the top folder", path);
    size_t size = fread(text, 1, TEXT_MAX - 1, file);
    cr_assert(size < TEXT_MAX - 1, "%s is too long for this test", path);
    text[size] = '\0';
    fclose(file);
    return text;
}

/* Whether a file's text defines a test of that name: "Test(suite, name)" or "Test(suite, name, ...". */
static bool defines(const char *text, const char *name)
{
    size_t size = strlen(name);
    for (const char *test = text; (test = strstr(test, "\nTest(")) != NULL; test++) {
        const char *comma = test + strcspn(test, ",");
        if (strncmp(comma, ", ", 2) == 0 && strncmp(comma + 2, name, size) == 0 &&
            (comma[2 + size] == ')' || comma[2 + size] == ','))
            return true;
    }
    return false;
}

/* The next text in backquotes, up to the line's end. NULL: there is none. */
static const char *next_quoted(const char *at, char quoted[200])
{
    const char *begin = strpbrk(at, "`\n");
    if (begin == NULL || *begin == '\n')
        return NULL;
    size_t size = strcspn(begin + 1, "`\n");
    cr_assert(begin[1 + size] == '`' && size < 200, "a backquote without its end: %.60s", begin);
    snprintf(quoted, 200, "%.*s", (int)size, begin + 1);
    return begin + size + 2;
}

static bool is_row(const char *line)
{
    return strncmp(line, "| ", 2) == 0;
}

/* The last cell of a row of these tables names tests: `file`: `name`, `name`; `file`: `name`. */
static const char *tests_of_row(const char *line)
{
    const char *end = line + strcspn(line, "\n"), *cell = line;
    for (const char *at = line; at < end - 2; at++)
        if (strncmp(at, " | ", 3) == 0)
            cell = at + 3;
    return cell;
}

static int check_row(const char *line, char text[TEXT_MAX])
{
    char quoted[200], path[250] = "";
    int named = 0;
    for (const char *at = tests_of_row(line); (at = next_quoted(at, quoted)) != NULL;) {
        if (strchr(quoted, '.') != NULL) {
            snprintf(path, sizeof path, FOLDER "%s", quoted);
            read_whole(path, text);
            continue;
        }
        cr_assert(path[0] != '\0', "no file is named before %s", quoted);
        cr_assert(defines(text, quoted), "%s names the test %s, which %s does not have", README, quoted, path);
        named++;
    }
    return named;
}

static char readme[TEXT_MAX], tests[TEXT_MAX];

/* Of the tables, only those whose last column is headed so. */
static bool is_head(const char *line)
{
    static const char HEAD[] = " | tests |";
    size_t size = strcspn(line, "\n");
    return size > sizeof HEAD && strncmp(line + size - (sizeof HEAD - 1), HEAD, sizeof HEAD - 1) == 0;
}

Test(faults_table, every_test_that_it_names_is_there)
{
    bool names_tests = false;
    int named = 0;
    for (const char *line = read_whole(README, readme); line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        names_tests = is_head(line) || (names_tests && line[0] == '|');
        if (names_tests && is_row(line))
            named += check_row(line, tests);
    }
    cr_assert_geq(named, 60, "only %d tests are named", named);
}

/* A row of numbers begins "| 14 |" or "| 32-38 |". */
static void note_numbers(const char *line, bool seen[FAULTS + 1])
{
    int first, last, used = 0;
    if (sscanf(line, "| %d-%d |%n", &first, &last, &used) != 2 || used == 0) {
        used = 0;
        if (sscanf(line, "| %d |%n", &first, &used) != 1 || used == 0)
            return;
        last = first;
    }
    cr_assert(1 <= first && first <= last && last <= FAULTS, "%.30s", line);
    for (int number = first; number <= last; number++) {
        cr_assert_not(seen[number], "%d has two rows", number);
        seen[number] = true;
    }
}

Test(faults_table, every_number_has_a_row)
{
    bool seen[FAULTS + 1] = {false};
    const char *line = read_whole(README, readme);
    for (; line != NULL; line = strchr(line + 1, '\n'))
        note_numbers(line + (*line == '\n'), seen);
    for (int number = 1; number <= FAULTS; number++)
        cr_assert(seen[number], "%d has no row", number);
}

Test(faults_table, every_scenario_has_a_row)
{
    glob_t files;
    int count = 0;
    read_whole(README, readme);
    cr_assert_eq(glob(SCENARIOS, 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        read_whole(files.gl_pathv[i], tests);
        for (const char *test = tests; (test = strstr(test, "\nTest(")) != NULL; test++) {
            char quoted[220], name[200];
            cr_assert_eq(sscanf(test, "\nTest(%*[a-z_], %199[a-z0-9_]", name), 1, "unreadable: %.60s", test);
            snprintf(quoted, sizeof quoted, "`%s`", name);
            cr_assert_not_null(strstr(readme, quoted), "%s of %s has no row in %s", name, files.gl_pathv[i], README);
            count++;
        }
    }
    globfree(&files);
    cr_assert_geq(count, 20);
}
