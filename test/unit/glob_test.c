#include "serve/glob.h"

#include <string.h>

#include "check.h"

static struct text text(const char *chars)
{
    return (struct text){(const uint8_t *)chars, strlen(chars)};
}

/* pairs: a pattern and a string each, ended by NULL. */
static void assert_all(const char *const *pairs, bool match)
{
    for (; *pairs != NULL; pairs += 2)
        cr_assert_eq(glob_match(text(pairs[0]), text(pairs[1])), match, "'%s' and '%s'", pairs[0], pairs[1]);
}

#define assert_matches(...) assert_all((const char *const[]){__VA_ARGS__, NULL}, true)
#define assert_misses(...)  assert_all((const char *const[]){__VA_ARGS__, NULL}, false)

Test(glob, plain_bytes_match_themselves)
{
    assert_matches("a", "a", "abc", "abc", "]", "]", "a-b^", "a-b^");
    assert_misses("a", "b", "a", "", "a", "aa", "aa", "a", "abc", "abd", "a", "A", "", "a");
}

Test(glob, bytes_are_bytes)
{
    struct text zeros = {(const uint8_t *)"a\0b", 3};

    cr_assert(glob_match(zeros, zeros));
    cr_assert(glob_match(text("a?b"), zeros));
    cr_assert_not(glob_match(text("a"), zeros));
    cr_assert_not(glob_match(zeros, text("a")));
}

Test(glob, a_question_mark_is_one_byte)
{
    assert_matches("?", "a", "a?c", "abc", "???", "abc", "?", "?");
    assert_misses("?", "", "?", "ab", "a?", "a", "???", "ab");
}

Test(glob, a_star_is_any_bytes)
{
    assert_matches("*", "a", "*", "abc", "a*", "a", "a*", "abc", "*c", "abc", "*c", "c", "a*c", "ac", "a*c", "abbc",
                   "a*b*c", "aXbYc", "*b*", "abc", "**", "abc", "a***c", "abc", "a**", "a");
    assert_misses("a*", "b", "*c", "cb", "a*c", "ab", "a*b*c", "acb", "*?", "", "*a", "b");
}

Test(glob, a_star_takes_more_where_less_does_not_do)
{
    assert_matches("*ab", "aab", "*ab", "abab", "a*bc", "abbc", "*a*ab", "abaab", "*[ab]c", "abac", "*aab*aab",
                   "aabaaab");
    assert_misses("*ab", "aba", "*aa", "a", "*aab*aab", "aabab");
}

/* Of a string without bytes Redis does not ask what a star could be. */
Test(glob, no_star_matches_nothing_at_all)
{
    assert_matches("", "");
    assert_misses("*", "", "**", "");
}

Test(glob, a_set_is_one_of_its_bytes)
{
    assert_matches("[abc]", "b", "[a-c]", "b", "x[a-cX]y", "xXy", "[a-]", "a", "[^a]", "b", "[^a-c]", "d");
}

Test(glob, a_set_that_does_not_have_the_byte_does_not_match)
{
    assert_misses("[abc]", "d", "[a-c]", "d", "[^a]", "a", "[^a-c]", "b", "[abc]", "", "[abc]", "ab", "[a^]", "b");
}

Test(glob, ranges_may_be_backwards)
{
    assert_matches("[c-a]", "b", "[z-x]", "x");
    assert_misses("[c-a]", "d");
}

Test(glob, ranges_compare_signed_bytes)
{
    assert_matches("[\x80-\xff]", "\x90", "[a-\xff]", "\x01", "[a-\xff]", "A");
    assert_misses("[a-\xff]", "b", "[a-\xff]", "\xfe", "[\x80-\xff]", "a");
}

Test(glob, a_dash_at_either_end_of_a_set_is_a_dash)
{
    assert_matches("[-a]", "-", "[-a]", "a");
    assert_misses("[-a]", "b");
}

/* "[a-]" is a range from a to ], and the set is never closed. */
Test(glob, a_set_that_is_never_closed_ends_with_the_pattern)
{
    assert_matches("[a", "a", "[^", "a", "[^a", "b", "x[ab", "xb", "[a-]", "_");
    assert_misses("[", "a", "[", "[", "[a", "b", "[^a", "a", "[a", "a]", "[a-]", "-");
}

Test(glob, an_empty_set_matches_nothing_and_its_negation_anything)
{
    assert_matches("[^]", "a", "[^]b", "ab");
    assert_misses("[]", "a", "[]", "]", "[]a", "a");
}

Test(glob, a_backslash_makes_the_next_byte_plain)
{
    assert_matches("\\*", "*", "\\?", "?", "\\[a]", "[a]", "\\\\", "\\", "a\\bc", "abc", "[\\]]", "]", "[\\^a]", "^",
                   "[a\\-c]", "-", "\\", "\\", "[\\", "\\");
    assert_misses("\\*", "a", "\\?", "a", "[a\\-c]", "b", "\\a", "\\a", "[\\]]", "\\");
}

/* Each star is a place to go back to for those who go back to all. */
Test(glob, many_stars_cost_no_more_than_the_product_of_the_sizes)
{
    char pattern[2001], string[50001];

    for (size_t i = 0; i < 2000; i += 2)
        memcpy(pattern + i, "*a", 2);
    pattern[1999] = 'b';
    pattern[2000] = '\0';
    memset(string, 'a', 50000);
    string[50000] = '\0';
    cr_assert_not(glob_match(text(pattern), text(string)));
    pattern[1999] = 'a';
    cr_assert(glob_match(text(pattern), text(string)));
}

Test(glob, a_thousand_stars_are_enough)
{
    char pattern[2003], string[3001];

    for (size_t i = 0; i < 2002; i += 2)
        memcpy(pattern + i, "*a", 2);
    memset(string, 'a', 3000);
    string[3000] = '\0';
    pattern[2002] = '\0';
    cr_assert_not(glob_match(text(pattern), text(string)));
    pattern[2001] = '\0'; /* the last one has nothing behind it */
    cr_assert(glob_match(text(pattern), text(string)));
}
