#include "serve/kv_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "check.h"
#include "unit/store.h"

#define MANY 1000

TestSuite(kv_scan, .init = store_open, .fini = store_close);

static void put_many(void)
{
    char line[40];

    for (int i = 0; i < MANY; i++) {
        snprintf(line, sizeof line, "set key:%d %d", i, i);
        assert_answer(line, "+OK");
    }
}

/* How often the answer names each of the many keys is added; how many names there are in all. */
static int count_names(const char *answer, int *times)
{
    int all = 0;

    for (const char *name = strstr(answer, "key:"); name != NULL; name = strstr(name + 1, "key:")) {
        times[atoi(name + 4)]++;
        all++;
    }
    return all;
}

/* The cursor that an answer begins with; "" where it is an error. */
static const char *cursor_of(const char *answer)
{
    static char cursor[32];

    cursor[0] = '\0';
    sscanf(answer, "*2 $%*d %31s", cursor);
    return cursor;
}

/* Scans until the end, with these options behind the cursor. How many calls it took. */
static int scan_all(const char *options, int *times)
{
    char line[100], cursor[32] = "0";
    int calls = 0;

    memset(times, 0, MANY * sizeof *times);
    do {
        snprintf(line, sizeof line, "scan %s%s", cursor, options);
        const char *answer = store_ask(line);
        count_names(answer, times);
        snprintf(cursor, sizeof cursor, "%s", cursor_of(answer));
        calls++;
    } while (strcmp(cursor, "0") != 0 && calls < 10 * MANY);
    return calls;
}

/* ---- KEYS ---- */

Test(kv_scan, keys_tells_those_that_match)
{
    static int times[MANY];

    assert_answer("keys *", "*0");
    put_many();
    cr_assert_eq(count_names(store_ask("keys *"), times), MANY);
    for (int i = 0; i < MANY; i++)
        cr_assert_eq(times[i], 1);
    cr_assert_eq(count_names(store_ask("keys key:1?"), times), 10);
    assert_answer("keys key:42", "*1 $6 key:42");
    assert_answer("keys nothing*", "*0");
}

Test(kv_scan, a_key_without_a_name_is_found_by_one_star_alone)
{
    assert_answer("set '' 1", "+OK");
    assert_answer("keys *", "*1 $0 ");
    assert_answer("keys **", "*0");
    assert_answer("keys ''", "*1 $0 ");
    assert_answer("scan 0 match *", "*2 $1 0 *1 $0 ");
    assert_answer("scan 0 match **", "*2 $1 0 *0");
}

/* What is too large to be answered need not be put together first. */
Test(kv_scan, no_more_names_are_put_together_than_an_answer_may_have)
{
    struct mailraft_buffer large = {memory_resize(NULL, KV_ANSWER_BYTES_MAX + 4096), KV_ANSWER_BYTES_MAX - 10,
                                    KV_ANSWER_BYTES_MAX + 4096}; /* of which little is ever touched */
    struct text arguments[] = {store_text("*")}, all[] = {store_text("0"), store_text("count"), store_text("1000")};
    struct kv_call call = store;
    put_many();
    call.out = &large;
    call.arguments = arguments;
    call.count = 1;
    kv_keys(&call);
    cr_assert_gt(large.size, KV_ANSWER_BYTES_MAX, "so that it is thrown away");
    cr_assert_lt(large.size, KV_ANSWER_BYTES_MAX + 100);
    large.size = KV_ANSWER_BYTES_MAX - 10;
    call.arguments = all;
    call.count = 3;
    kv_scan(&call);
    cr_assert_gt(large.size, KV_ANSWER_BYTES_MAX);
    cr_assert_lt(large.size, KV_ANSWER_BYTES_MAX + 100);
    buffer_fini(&large);
}

/* ---- SCAN ---- */

Test(kv_scan, a_scan_tells_every_key_once)
{
    static int times[MANY];

    put_many();
    cr_assert_eq(scan_all("", times), MANY / 10);
    for (int i = 0; i < MANY; i++)
        cr_assert_eq(times[i], 1);
    cr_assert_eq(scan_all(" COUNT 7", times), (MANY + 6) / 7);
    cr_assert_eq(scan_all(" count 9223372036854775807", times), 1);
    for (int i = 0; i < MANY; i++)
        cr_assert_eq(times[i], 1);
}

Test(kv_scan, a_scan_tells_every_key_that_stays_while_others_come_and_go)
{
    static int times[MANY];
    char line[100], cursor[32] = "0";

    put_many();
    for (int i = 0; i < 10 * MANY; i++) {
        snprintf(line, sizeof line, "scan %s count 3", cursor);
        const char *answer = store_ask(line);
        count_names(answer, times);
        snprintf(cursor, sizeof cursor, "%s", cursor_of(answer));
        if (strcmp(cursor, "0") == 0)
            break;
        snprintf(line, sizeof line, i < 250 ? "del key:%d" : "set other:%d x", 2 * i);
        cr_assert_str_neq(store_ask(line), "");
    }
    for (int i = 0; i < MANY; i++)
        cr_assert(times[i] == 1 || (i < 500 && i % 2 == 0 && times[i] == 0), "%d", i);
}

Test(kv_scan, a_scan_looks_at_as_many_keys_as_it_was_asked_and_tells_those_that_match)
{
    static int times[MANY];

    put_many();
    cr_assert_eq(scan_all(" MATCH key:7* COUNT 100", times), MANY / 100);
    for (int i = 0; i < MANY; i++) {
        char digits[8];
        snprintf(digits, sizeof digits, "%d", i);
        cr_assert_eq(times[i], digits[0] == '7', "%d", i);
    }
}

Test(kv_scan, there_are_strings_and_nothing_else)
{
    assert_answer("set a 1", "+OK");
    assert_answer("scan 0 type string", "*2 $1 0 *1 $1 a");
    assert_answer("scan 0 TYPE String", "*2 $1 0 *1 $1 a");
    assert_answer("scan 0 type hash", "*2 $1 0 *0");
    assert_answer("scan 0 type what", "*2 $1 0 *0");
}

Test(kv_scan, a_cursor_fits_into_a_double)
{
    put_many();
    for (unsigned long long cursor = 0;;) {
        char line[40];
        snprintf(line, sizeof line, "scan %llu", cursor);
        cursor = strtoull(cursor_of(store_ask(line)), NULL, 10);
        cr_assert_lt(cursor, 1ull << 53);
        if (cursor == 0)
            break;
    }
}

Test(kv_scan, any_number_is_a_cursor)
{
    assert_answer("set a 1", "+OK");
    assert_answer("scan ''", "*2 $1 0 *1 $1 a");
    assert_answer("scan +00", "*2 $1 0 *1 $1 a");
    assert_answer("scan 18446744073709551615", "*2 $1 0 *0");
    assert_answer("scan -1", "*2 $1 0 *0");
    assert_answer("scan 0000000000000000000000000000000000000000000000000000000000000000000000", "*2 $1 0 *1 $1 a");
}

Test(kv_scan, what_is_no_number_is_no_cursor)
{
    assert_answer("scan x", "-ERR invalid cursor");
    assert_answer("scan 1x", "-ERR invalid cursor");
    assert_answer("scan 18446744073709551616", "-ERR invalid cursor");
    cr_assert_str_eq(store_ask_op(KV_SCAN, (struct text[]){store_text(" 0")}, 1), "-ERR invalid cursor");
    assert_answer("scan +", "-ERR invalid cursor");
    assert_answer("scan -", "-ERR invalid cursor");
    assert_answer("scan --1", "-ERR invalid cursor");
}

Test(kv_scan, options_that_are_none_are_a_syntax_error)
{
    assert_answer("scan 0 count 0", "-ERR syntax error");
    assert_answer("scan 0 count -5", "-ERR syntax error");
    assert_answer("scan 0 count x", "-ERR value is not an integer or out of range");
    assert_answer("scan 0 count", "-ERR syntax error");
    assert_answer("scan 0 match", "-ERR syntax error");
    assert_answer("scan 0 what 1", "-ERR syntax error");
    assert_answer("scan 0 count x match", "-ERR value is not an integer or out of range");
}

/* ---- RANDOMKEY ---- */

Test(kv_scan, there_is_no_random_key_of_none)
{
    assert_answer("randomkey", "$-1");
    store.resp3 = true;
    assert_answer("randomkey", "_");
}

Test(kv_scan, a_random_key_is_there_whatever_the_bits)
{
    static const uint64_t bits[] = {0, 1, UINT64_MAX, UINT64_MAX - 1, 1ull << 63};

    assert_answer("set a 1", "+OK");
    for (size_t i = 0; i < 5; i++) {
        store.random = bits[i];
        assert_answer("randomkey", "$1 a");
    }
}

Test(kv_scan, other_bits_find_other_keys)
{
    static int times[MANY];
    int found = 0;

    put_many();
    for (uint64_t i = 0; i < 20 * MANY; i++) {
        store.random = i * 0x9e3779b97f4a7c15;
        cr_assert_eq(count_names(store_ask("randomkey"), times), 1);
    }
    for (int i = 0; i < MANY; i++)
        found += times[i] > 0;
    cr_assert_gt(found, MANY * 9 / 10);
}
