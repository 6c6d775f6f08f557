#include "base/line.h"

#include <string.h>

#include "check.h"

static char line[LINE_MAX_BYTES + 1];

static struct line_head head = {
    .wall_us = 1795415472345678, /* 2026-11-23T06:31:12.345678Z */
    .node_id = 1,
    .term = 3,
    .role = "CANDIDATE",
    .level = LOG_INFO,
};

__attribute__((format(printf, 1, 2))) static size_t format(const char *text, ...)
{
    va_list arguments;
    size_t size;

    va_start(arguments, text);
    size = line_format(line, &head, text, arguments);
    va_end(arguments);
    cr_assert_eq(size, strlen(line));
    return size;
}

Test(line, levels_have_names)
{
    enum log_level level = LOG_INFO;

    cr_assert(log_level_from_name("error", &level));
    cr_assert_eq(level, LOG_ERROR);
    cr_assert(log_level_from_name("trace", &level));
    cr_assert_eq(level, LOG_TRACE);
    cr_assert_str_eq(LOG_LEVEL_NAMES[LOG_DEBUG], "debug");
    cr_assert_not(log_level_from_name("loud", &level));
    cr_assert_not(log_level_from_name("", &level));
    cr_assert_eq(level, LOG_TRACE);
}

Test(line, time_node_term_and_role_come_first_then_the_event)
{
    format("Candidate! cause=\"%s\" last_log=%d@%d", "pre-vote won 2/3", 17, 2);
    cr_assert_str_eq(line, "2026-11-23T06:31:12.345678Z node=1 term=3 role=CANDIDATE "
                           "Candidate! cause=\"pre-vote won 2/3\" last_log=17@2\n");
}

Test(line, the_time_is_utc_with_leading_zeros)
{
    head.wall_us = 1000000LL * 86399 + 7;
    format("x");
    cr_assert_eq(strncmp(line, "1970-01-01T23:59:59.000007Z ", 28), 0);
}

Test(line, what_is_not_info_ends_with_its_level)
{
    head.level = LOG_WARN;
    format("Dropped %d lines", 3);
    cr_assert_str_eq(line, "2026-11-23T06:31:12.345678Z node=1 term=3 role=CANDIDATE Dropped 3 lines level=warn\n");
}

Test(line, the_largest_numbers_fit)
{
    head.node_id = INT32_MAX;
    head.term = UINT64_MAX;
    format("x");
    cr_assert_not_null(strstr(line, " node=2147483647 term=18446744073709551615 role=CANDIDATE x\n"));
}

Test(line, control_characters_are_escaped_so_that_an_event_is_one_line)
{
    format("from=\"a\nb\tc\x1b[0m\x7f\" caf\xc3\xa9");
    cr_assert_not_null(strstr(line, "from=\"a\\x0ab\\x09c\\x1b[0m\\x7f\" caf\xc3\xa9\n"));
    cr_assert_eq(strchr(line, '\n'), line + strlen(line) - 1);
}

Test(line, a_longer_line_is_cut_before_its_level)
{
    char longest[3 * LINE_MAX_BYTES];
    static const char END[] = "xx level=error\n";

    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    head.level = LOG_ERROR;
    cr_assert_eq(format("%s", longest), LINE_MAX_BYTES);
    cr_assert_str_eq(line + LINE_MAX_BYTES - strlen(END), END);
}

Test(line, an_escape_is_never_cut_in_two)
{
    char newlines[LINE_MAX_BYTES];
    size_t event;

    memset(newlines, '\n', sizeof newlines - 1);
    newlines[sizeof newlines - 1] = '\0';
    for (size_t before = 0; before < 4; before++) {
        size_t size = format("%.*s%s", (int)before, "yyyy", newlines);

        event = strlen("2026-11-23T06:31:12.345678Z node=1 term=3 role=CANDIDATE ") + before;
        cr_assert_leq(size, LINE_MAX_BYTES);
        cr_assert_gt(size, LINE_MAX_BYTES - 4);
        cr_assert_eq((size - 1 - event) % 4, 0);
    }
}

Test(line, a_line_without_an_event_is_still_a_line)
{
    format("%s", "");
    cr_assert_str_eq(line, "2026-11-23T06:31:12.345678Z node=1 term=3 role=CANDIDATE \n");
}
