/* check.h - what every test includes: Criterion, or a plain runner of the same macros where Criterion cannot run
 * (under the thread sanitizer it places its arena where the sanitizer keeps its shadow). Same sources, same names,
 * one process a test, the same closing line.
 *
 *     Test(suite, a_sentence_as_name, .timeout = 30, .init = before, .fini = after) { cr_assert_eq(1 + 1, 2); }
 *
 * Under the address sanitizer a test also fails when it has leaked: Criterion alone would count it as passed. */
#ifndef TEST_CHECK_H
#define TEST_CHECK_H

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CHECK_PLAIN_RUNNER 1
#endif
#if __has_feature(address_sanitizer)
#define CHECK_LEAKS 1
#endif
#endif
#if defined(__SANITIZE_THREAD__) && !defined(CHECK_PLAIN_RUNNER)
#define CHECK_PLAIN_RUNNER 1
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(CHECK_LEAKS)
#define CHECK_LEAKS 1
#endif

/* Of tests that try very many cases of one kind: how many, and how far from one to the next. The thread sanitizer takes
 * some ten times as long, and has little to say of a simulator that is one thread: there, a part of them. */
#ifdef CHECK_PLAIN_RUNNER
#define CHECK_MANY(Count) ((Count) / 5)
#define CHECK_STRIDE 5
#else
#define CHECK_MANY(Count) (Count)
#define CHECK_STRIDE 1
#endif

#ifndef CHECK_PLAIN_RUNNER

#include <criterion/criterion.h>

#ifdef CHECK_LEAKS
#include <sanitizer/lsan_interface.h>

/* Criterion's own process leaks when the tests of two suites overlap. Only those of tests, one each, are looked at;
 * weak, since each test file has these. */
__attribute__((weak)) int check_runs_test;

__attribute__((weak)) int __lsan_is_turned_off(void)
{
    return !check_runs_test;
}

/* The body becomes a function of its own, so that the check comes after all of it, and is never inlined: a pointer
 * left in the frame of the caller would count as a reference. */
#define CHECK_LEAKS_TEST(Suite, Name, ...)                                                                             \
    __attribute__((noinline)) static void Suite##_##Name##_body(void);                                                 \
    CR_TEST_BASE(Suite, Name, __VA_ARGS__)                                                                             \
    {                                                                                                                  \
        check_runs_test = 1;                                                                                           \
        Suite##_##Name##_body();                                                                                       \
        if (__lsan_do_recoverable_leak_check())                                                                        \
            cr_assert_fail("the test leaks: see LeakSanitizer's report");                                              \
    }                                                                                                                  \
    static void Suite##_##Name##_body(void)

#undef Test
#define Test(...) CHECK_LEAKS_TEST(__VA_ARGS__, .sentinel_ = 0)
#endif

#else /* CHECK_PLAIN_RUNNER: see check.c */

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct check_options {
    void (*init)(void);
    void (*fini)(void);
    double timeout; /* seconds; 0: the suite's, or 60 */
    int signal;     /* the one that is to end the test; 0: none */
    int exit_code;
    bool disabled;
    const char *description;
    int sentinel_; /* so that there is always one to list */
};

/* A test, or a suite, whose options are those of its tests where they have none of their own (run: NULL). */
struct check_entry {
    const char *suite, *name;
    void (*run)(void);
    struct check_options options;
    struct check_entry *next;
};

void check_register(struct check_entry *entry);
/* format is printf-style. It bears no attribute, because the macros end its arguments with one that it never uses. */
void check_fail(bool fatal, const char *file, int line, const char *what, const char *format, ...);
bool check_same_text(const char *left, const char *right); /* tells both where they differ */
void check_skip(const char *format, ...);
void check_say(const char *format, ...);

#define CHECK_TEST(Suite, Name, ...)                                                                                   \
    static void Suite##_##Name##_body(void);                                                                           \
    __attribute__((constructor)) static void Suite##_##Name##_register(void)                                           \
    {                                                                                                                  \
        static struct check_entry entry = {#Suite, #Name, Suite##_##Name##_body, {__VA_ARGS__}, NULL};                 \
        check_register(&entry);                                                                                        \
    }                                                                                                                  \
    static void Suite##_##Name##_body(void)

#define CHECK_SUITE(Suite, ...)                                                                                        \
    __attribute__((constructor)) static void Suite##_register(void)                                                    \
    {                                                                                                                  \
        static struct check_entry entry = {#Suite, NULL, NULL, {__VA_ARGS__}, NULL};                                   \
        check_register(&entry);                                                                                        \
    }                                                                                                                  \
    struct check_entry /* takes the semicolon */

#define Test(...) CHECK_TEST(__VA_ARGS__, .sentinel_ = 0)
#define TestSuite(...) CHECK_SUITE(__VA_ARGS__, .sentinel_ = 0)

#define CHECK_THAT(Fatal, Holds, What, ...)                                                                            \
    do {                                                                                                               \
        if (!(Holds))                                                                                                  \
            check_fail(Fatal, __FILE__, __LINE__, What, __VA_ARGS__);                                                  \
    } while (0)

#define CHECK_TRUE(Fatal, Value, ...) CHECK_THAT(Fatal, Value, #Value, __VA_ARGS__)
#define CHECK_FALSE(Fatal, Value, ...) CHECK_THAT(Fatal, !(Value), "!(" #Value ")", __VA_ARGS__)
#define CHECK_NULL(Fatal, Value, ...) CHECK_THAT(Fatal, (Value) == NULL, #Value " == NULL", __VA_ARGS__)
#define CHECK_NOT_NULL(Fatal, Value, ...) CHECK_THAT(Fatal, (Value) != NULL, #Value " != NULL", __VA_ARGS__)
#define CHECK_ORDER(Fatal, Operator, Left, Right, ...)                                                                 \
    CHECK_THAT(Fatal, (Left)Operator(Right), #Left " " #Operator " " #Right, __VA_ARGS__)
#define CHECK_TEXT(Fatal, Left, Right, ...)                                                                            \
    CHECK_THAT(Fatal, check_same_text(Left, Right), #Left " is the text " #Right, __VA_ARGS__)
#define CHECK_OTHER_TEXT(Fatal, Left, Right, ...)                                                                      \
    CHECK_THAT(Fatal, strcmp(Left, Right) != 0, #Left " is not the text " #Right, __VA_ARGS__)
#define CHECK_BYTES(Fatal, Operator, Left, Right, Size, ...)                                                           \
    CHECK_THAT(Fatal, memcmp(Left, Right, Size) Operator 0, #Left " " #Operator " " #Right, __VA_ARGS__)

#define cr_assert(...) CHECK_TRUE(true, __VA_ARGS__, "")
#define cr_assert_not(...) CHECK_FALSE(true, __VA_ARGS__, "")
#define cr_assert_null(...) CHECK_NULL(true, __VA_ARGS__, "")
#define cr_assert_not_null(...) CHECK_NOT_NULL(true, __VA_ARGS__, "")
#define cr_assert_eq(...) CHECK_ORDER(true, ==, __VA_ARGS__, "")
#define cr_assert_neq(...) CHECK_ORDER(true, !=, __VA_ARGS__, "")
#define cr_assert_lt(...) CHECK_ORDER(true, <, __VA_ARGS__, "")
#define cr_assert_leq(...) CHECK_ORDER(true, <=, __VA_ARGS__, "")
#define cr_assert_gt(...) CHECK_ORDER(true, >, __VA_ARGS__, "")
#define cr_assert_geq(...) CHECK_ORDER(true, >=, __VA_ARGS__, "")
#define cr_assert_str_eq(...) CHECK_TEXT(true, __VA_ARGS__, "")
#define cr_assert_str_neq(...) CHECK_OTHER_TEXT(true, __VA_ARGS__, "")
#define cr_assert_str_empty(Text) CHECK_TEXT(true, Text, "", "")
#define cr_assert_arr_eq(...) CHECK_BYTES(true, ==, __VA_ARGS__, "")
#define cr_assert_arr_neq(...) CHECK_BYTES(true, !=, __VA_ARGS__, "")
#define cr_assert_fail(...) check_fail(true, __FILE__, __LINE__, "fails", "" __VA_ARGS__)

#define cr_expect(...) CHECK_TRUE(false, __VA_ARGS__, "")
#define cr_expect_not(...) CHECK_FALSE(false, __VA_ARGS__, "")
#define cr_expect_eq(...) CHECK_ORDER(false, ==, __VA_ARGS__, "")
#define cr_expect_str_eq(...) CHECK_TEXT(false, __VA_ARGS__, "")

#define cr_skip_test(...) check_skip("" __VA_ARGS__)
#define cr_log_info(...) check_say(__VA_ARGS__)
#define cr_log_warn(...) check_say(__VA_ARGS__)
#define cr_log_error(...) check_say(__VA_ARGS__)

#endif
#endif
