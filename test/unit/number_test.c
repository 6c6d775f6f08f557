#include "serve/number.h"

#include <math.h>
#include <string.h>

#include "check.h"

static struct text text(const char *chars)
{
    return (struct text){(const uint8_t *)chars, strlen(chars)};
}

Test(number, integers_are_read_over_their_whole_range)
{
    static const struct {
        const char *text;
        int64_t number;
    } cases[] = {
        {"0", 0},
        {"7", 7},
        {"-1", -1},
        {"1000", 1000},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t number = 42;
        cr_assert(number_read(text(cases[i].text), &number), "%s", cases[i].text);
        cr_assert_eq(number, cases[i].number, "%s", cases[i].text);
    }
}

Test(number, what_is_written_in_another_way_is_no_integer)
{
    static const char *const cases[] = {
        "",
        "-",
        "+1",
        " 1",
        "1 ",
        "01",
        "-01",
        "-0",
        "00",
        "1.0",
        "0x1",
        "1e3",
        "x",
        "1x",
        "--1",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "99999999999999999999999999",
    };
    int64_t number;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_assert_not(number_read(text(cases[i]), &number), "%s", cases[i]);
    cr_assert_not(number_read((struct text){NULL, 0}, &number));
    cr_assert_not(number_read((struct text){(const uint8_t *)"1\0", 2}, &number));
}

Test(number, only_as_many_bytes_are_read_as_there_are)
{
    int64_t number;

    cr_assert(number_read((struct text){(const uint8_t *)"123456", 3}, &number));
    cr_assert_eq(number, 123);
}

Test(number, floats_are_read_as_strtold_does)
{
    static const struct {
        const char *text;
        long double number;
    } cases[] = {
        {"0", 0},  {"1.5", 1.5L}, {"-2.5e3", -2500}, {".5", .5L},
        {"5.", 5}, {"+1", 1},     {"0x1.8p1", 3},    {"1e-4940", 1e-4940L},
    };
    long double number;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_assert(number_read_float(text(cases[i].text), &number), "%s", cases[i].text);
        cr_assert(number == cases[i].number, "%s", cases[i].text);
    }
    cr_assert(number_read_float(text("inf"), &number) && isinf(number));
}

Test(number, what_is_no_float_or_out_of_range_is_refused)
{
    static const char *const cases[] = {
        "", " 1", "\t1", "1 ", "1e", "x", ".", "--1", "1,5", "nan", "1e4933", "-1e4933", "1e-5000",
    };
    long double number;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_assert_not(number_read_float(text(cases[i]), &number), "%s", cases[i]);
    cr_assert_not(number_read_float((struct text){(const uint8_t *)"1\0", 2}, &number));
    cr_assert_not(number_read_float((struct text){NULL, 0}, &number));
}

Test(number, a_float_has_as_many_characters_as_redis_takes_at_most)
{
    uint8_t zeros[NUMBER_FLOAT_MAX];
    long double number;

    memset(zeros, '0', sizeof zeros);
    cr_assert(number_read_float((struct text){zeros, sizeof zeros - 1}, &number));
    cr_assert_not(number_read_float((struct text){zeros, sizeof zeros}, &number));
}

Test(number, floats_are_written_without_zeros_behind)
{
    static const struct {
        long double number;
        const char *text;
    } cases[] = {
        {0, "0"},
        {-0.0L, "0"},
        {3, "3"},
        {42, "42"},
        {-5, "-5"},
        {100, "100"},
        {-1.5L, "-1.5"},
        {0.1L, "0.1"},
        {1e-17L, "0.00000000000000001"},
        {-1e-18L, "0"},
        {1e17L, "100000000000000000"},
        {3.3L + 0.1L, "3.4"},
    };
    char written[NUMBER_FLOAT_MAX];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        written[number_write_float(written, cases[i].number)] = '\0';
        cr_assert_str_eq(written, cases[i].text);
    }
}

Test(number, the_largest_float_fits)
{
    char written[NUMBER_FLOAT_MAX];
    size_t size = number_write_float(written, -__LDBL_MAX__);

    cr_assert_gt(size, (size_t)4000);
    cr_assert_lt(size, sizeof written);
}
