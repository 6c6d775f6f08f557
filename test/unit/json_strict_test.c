#include "serve/json_strict.h"

#include <string.h>

#include "check.h"

/* What is refused stands in bad_configs.h; here is what passes. */

static const char *check(const char *text)
{
    static struct mailraft_error err;
    return json_strict_check(text, strlen(text), &err) ? "good" : err.message;
}

Test(json_strict, every_kind_of_value_passes)
{
    cr_assert_str_eq(check(" { \"a\" : [ 1 , -2.5e+10, 0, -0, 0.5, 1E5 ] ,\t\"b\":{},\r\n\"c\":[] } "), "good");
    cr_assert_str_eq(check("[true,false,null,\"\"]"), "good");
    cr_assert_str_eq(check("7"), "good");
    cr_assert_str_eq(check("\"text\""), "good");
}

Test(json_strict, every_escape_and_every_length_of_utf8_pass)
{
    cr_assert_str_eq(check("\"\\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u00e4 \\uD83D\\uDE00\""), "good");
    cr_assert_str_eq(check("\"a \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80\""), "good");
}

Test(json_strict, the_same_key_may_stand_in_two_objects)
{
    cr_assert_str_eq(check("{\"a\":{\"a\":1},\"b\":{\"a\":1},\"ab\":1}"), "good");
}

Test(json_strict, a_number_of_eighteen_digits_passes_and_one_of_nineteen_does_not)
{
    cr_assert_str_eq(check("999999999999999999"), "good");
    cr_assert_str_eq(check("-999999999999999999"), "good");
    cr_assert_str_eq(check("1000000000000000000"), "line 1, column 1: this number is too large");
}

Test(json_strict, sixteen_levels_pass_and_seventeen_do_not)
{
    cr_assert_str_eq(check("[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]"), "good");
    cr_assert_str_eq(check("[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]"),
                     "line 1, column 17: too many arrays and objects within each other");
}

Test(json_strict, lines_are_counted_and_columns_are_characters)
{
    cr_assert_str_eq(check("{\n\"\xc3\xa4\": x}"), "line 2, column 6: x where a value should be");
}

Test(json_strict, bytes_behind_the_size_are_not_looked_at)
{
    struct mailraft_error err;
    cr_assert(json_strict_check("[1]]", 3, &err));
    cr_assert_not(json_strict_check("true", 3, &err));
    cr_assert_not(json_strict_check("\"\xf0\x9f\x98\x80\"", 4, &err));
    cr_assert_not(json_strict_check("\"\\u0041\"", 6, &err));
}
