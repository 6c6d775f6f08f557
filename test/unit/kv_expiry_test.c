#include "serve/kv_expiry.h"

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "check.h"
#include "unit/store.h"

#define NOW_MS  (STORE_NOW_US / 1000)
#define LEAD_MS (STORE_LEAD_US / 1000)

static void set_a(void)
{
    store_open();
    assert_answer("set a 1", "+OK");
}

TestSuite(kv_expiry, .init = set_a, .fini = store_close);

static void pass_us(int64_t us)
{
    store.time_us += us;
}

static const char *ask_number(const char *words, int64_t number)
{
    char line[200];

    snprintf(line, sizeof line, "%s %lld", words, (long long)number);
    return store_ask(line);
}

static const char *integer(int64_t number)
{
    static char text[32];

    snprintf(text, sizeof text, ":%lld", (long long)number);
    return text;
}

/* ---- Which time ---- */

Test(kv_expiry, a_relative_time_counts_from_the_entrys)
{
    assert_answer("pexpire a 30", ":1");
    cr_assert_eq(keyspace_deadline_us(store.keyspace, 12345), STORE_NOW_US + 30000);
    pass_us(29999);
    assert_answer("exists a", ":1");
    pass_us(1);
    assert_answer("exists a", ":0");
}

Test(kv_expiry, an_absolute_time_is_the_wall_clocks)
{
    cr_assert_str_eq(ask_number("pexpireat a", NOW_MS + LEAD_MS + 30), ":1");
    cr_assert_eq(keyspace_deadline_us(store.keyspace, STORE_LEAD_US), STORE_NOW_US + 30000);
    store.wall_offset_us += 29999;
    assert_answer("exists a", ":1");
    store.wall_offset_us += 1;
    assert_answer("exists a", ":0");
}

Test(kv_expiry, a_time_that_has_come_removes_the_key_at_once)
{
    cr_assert_str_eq(ask_number("pexpireat a", NOW_MS + LEAD_MS), ":1");
    assert_answer("dbsize", ":0");
    assert_answer("set a 1", "+OK");
    assert_answer("expire a 0", ":1");
    assert_answer("dbsize", ":0");
    assert_answer("set a 1", "+OK");
    assert_answer("pexpire a -9223372036854775808", ":1");
    assert_answer("dbsize", ":0");
    assert_answer("set a 1", "+OK");
    assert_answer("pexpireat a -9223372036854775808", ":1");
    assert_answer("dbsize", ":0");
}

Test(kv_expiry, a_time_that_milliseconds_cannot_tell_is_invalid)
{
    assert_answer("expire a 9223372036854776", "-ERR invalid expire time in 'expire' command");
    assert_answer("expire a -9223372036854776", "-ERR invalid expire time in 'expire' command");
    assert_answer("expire a 9223372036854775", "-ERR invalid expire time in 'expire' command");
    assert_answer("pexpire a 9223372036854775807", "-ERR invalid expire time in 'pexpire' command");
    assert_answer("expireat a 9223372036854776", "-ERR invalid expire time in 'expireat' command");
    assert_answer("expire none 9223372036854776", "-ERR invalid expire time in 'expire' command");
    assert_answer("expire a 9223372036854775808", "-ERR value is not an integer or out of range");
    assert_answer("ttl a", ":-1");
}

Test(kv_expiry, a_time_that_microseconds_cannot_tell_is_kept_to_the_millisecond)
{
    assert_answer("pexpireat a 9223372036854775807", ":1");
    assert_answer("pexpiretime a", ":9223372036854775807");
    assert_answer("expiretime a", ":9223372036854776");
    cr_assert_str_eq(store_ask("pttl a"), integer(INT64_MAX - NOW_MS - LEAD_MS));
    assert_answer("pexpire a 9220000000000000000", ":1");
    cr_assert_str_eq(store_ask("pexpiretime a"), integer(9220000000000000000 + NOW_MS + LEAD_MS));
    assert_answer("pttl a", ":9220000000000000000");
    cr_assert_eq(keyspace_deadline_us(store.keyspace, 0), MAILRAFT_NO_DEADLINE);
    pass_us(1000000000000000);
    assert_answer("exists a", ":1");
}

Test(kv_expiry, the_edge_between_microseconds_and_milliseconds_does_not_show)
{
    for (int64_t ms = INT64_MAX / 1000 - 1; ms <= INT64_MAX / 1000 + 1; ms++) {
        cr_assert_str_eq(ask_number("pexpireat a", ms), ":1");
        cr_assert_str_eq(store_ask("pexpiretime a"), integer(ms));
        cr_assert_str_eq(ask_number("pexpire a", ms - NOW_MS), ":1");
        cr_assert_str_eq(store_ask("pexpiretime a"), integer(ms + LEAD_MS));
        cr_assert_str_eq(store_ask("pttl a"), integer(ms - NOW_MS));
    }
}

/* ---- EXPIRE and its like ---- */

Test(kv_expiry, a_key_that_is_absent_does_not_expire)
{
    assert_answer("expire none 10", ":0");
    assert_answer("pexpireat none 1", ":0");
    assert_answer("persist none", ":0");
}

Test(kv_expiry, nx_wants_none_before_and_xx_one)
{
    assert_answer("expire a 10 xx", ":0");
    assert_answer("expire a 10 nx", ":1");
    assert_answer("expire a 20 nx", ":0");
    assert_answer("expire a 30 XX", ":1");
    assert_answer("ttl a", ":30");
}

Test(kv_expiry, gt_wants_a_later_time_and_lt_an_earlier_one)
{
    assert_answer("expire a 10 gt", ":0");
    assert_answer("expire a 10 lt", ":1");
    assert_answer("expire a 10 gt", ":0");
    assert_answer("expire a 10 lt", ":0");
    assert_answer("expire a 11 gt", ":1");
    assert_answer("expire a 9 Lt", ":1");
    assert_answer("expire a 10 lt xx", ":0");
    assert_answer("expire a 10 gt xx", ":1");
    assert_answer("ttl a", ":10");
}

Test(kv_expiry, times_of_both_clocks_are_compared)
{
    assert_answer("pexpire a 1000", ":1");
    cr_assert_str_eq(ask_number("pexpireat a", NOW_MS + LEAD_MS + 999), ":1");
    assert_answer("pexpire a 999 gt", ":0");
    assert_answer("pexpire a 999 lt", ":0");
    assert_answer("pexpire a 1000 gt", ":1");
    assert_answer("pexpireat a 9223372036854775806 gt", ":1");
    assert_answer("pexpireat a 9223372036854775806 gt", ":0");
    assert_answer("pexpireat a 9223372036854775807 gt", ":1");
    assert_answer("pexpireat a 1 gt", ":0");
    assert_answer("pexpireat a 1 lt", ":1");
    assert_answer("exists a", ":0");
}

Test(kv_expiry, conditions_that_exclude_each_other_are_refused)
{
    static const char nx[] = "-ERR NX and XX, GT or LT options at the same time are not compatible";

    assert_answer("expire a 10 nx xx", nx);
    assert_answer("expire a 10 gt nx", nx);
    assert_answer("expire a 10 nx lt gt", nx);
    assert_answer("expire a 10 gt lt", "-ERR GT and LT options at the same time are not compatible");
    assert_answer("expire a x gt lt", "-ERR GT and LT options at the same time are not compatible");
    assert_answer("expire a x soon", "-ERR Unsupported option soon");
    assert_answer("expire a 10 ''", "-ERR Unsupported option ");
    assert_answer("ttl a", ":-1");
}

Test(kv_expiry, an_expiry_needs_room)
{
    assert_answer("set b 1 ex 10", "+OK");
    store.limit = keyspace_bytes(store.keyspace);
    assert_answer("expire a 10", "-OOM command not allowed when used memory > 'maxmemory'.");
    assert_answer("ttl a", ":-1");
    assert_answer("expire b 20", ":1");
    assert_answer("expire a 0", ":1");
}

Test(kv_expiry, an_expiry_is_a_change)
{
    uint64_t before = keyspace_version(store.keyspace, store_text("a"));

    assert_answer("expire a 10 xx", ":0");
    cr_assert_eq(keyspace_version(store.keyspace, store_text("a")), before);
    assert_answer("expire a 10", ":1");
    cr_assert_eq(keyspace_version(store.keyspace, store_text("a")), store.index);
    assert_answer("persist a", ":1");
    cr_assert_eq(keyspace_version(store.keyspace, store_text("a")), store.index);
}

/* ---- Asking ---- */

Test(kv_expiry, without_an_expiry_or_a_key_there_is_nothing_to_tell)
{
    static const char *const names[] = {"ttl", "pttl", "expiretime", "pexpiretime"};
    char line[40];

    for (size_t i = 0; i < 4; i++) {
        snprintf(line, sizeof line, "%s a", names[i]);
        assert_answer(line, ":-1");
        snprintf(line, sizeof line, "%s none", names[i]);
        assert_answer(line, ":-2");
    }
}

Test(kv_expiry, an_absolute_time_is_told_as_it_was_given_whatever_the_clocks)
{
    assert_answer("pexpireat a 4000000000499", ":1");
    store.wall_offset_us += 777777;
    pass_us(5555);
    assert_answer("pexpiretime a", ":4000000000499");
    assert_answer("expiretime a", ":4000000000");
    assert_answer("pexpireat a 4000000000500", ":1");
    assert_answer("expiretime a", ":4000000001");
    assert_answer("expireat a 4000000000", ":1");
    assert_answer("pexpiretime a", ":4000000000000");
}

Test(kv_expiry, a_relative_time_is_told_by_the_present_wall_clock)
{
    assert_answer("expire a 100", ":1");
    cr_assert_str_eq(store_ask("pexpiretime a"), integer(NOW_MS + LEAD_MS + 100000));
    store.wall_offset_us += 7000;
    cr_assert_str_eq(store_ask("pexpiretime a"), integer(NOW_MS + LEAD_MS + 100007));
    assert_answer("pttl a", ":100000");
}

Test(kv_expiry, what_is_left_is_rounded_up_to_milliseconds_and_then_to_the_nearest_second)
{
    assert_answer("pexpire a 2500", ":1");
    assert_answer("ttl a", ":3");
    pass_us(1);
    assert_answer("pttl a", ":2500");
    pass_us(999);
    assert_answer("pttl a", ":2499");
    assert_answer("ttl a", ":2");
    pass_us(2498999);
    assert_answer("pttl a", ":1");
    assert_answer("ttl a", ":0");
}

Test(kv_expiry, persist_takes_the_expiry_away)
{
    assert_answer("persist a", ":0");
    assert_answer("expire a 10", ":1");
    assert_answer("persist a", ":1");
    assert_answer("persist a", ":0");
    assert_answer("ttl a", ":-1");
}

Test(kv_expiry, a_time_before_1970_is_rounded_down_too)
{
    store.time_us = 0;
    store.wall_offset_us = -3500;
    assert_answer("pexpire a 1", ":1");
    assert_answer("pexpiretime a", ":-3");
}

/* Numbers that no clock shows, but a peer could send. */
Test(kv_expiry, clocks_at_their_ends_are_endured)
{
    static const int64_t ends[] = {INT64_MIN, -1, 0, INT64_MAX};
    static const char *const lines[] = {
        "set b 1 px 9223372036854775807",
        "set b 1 px 9223372036854775",
        "set b 1 pxat 9223372036854775807",
        "ttl b",
        "pexpire a 9223372036854775",
        "ttl a",
        "pexpire a 9223372036854776 gt",
        "pttl a",
        "pexpiretime a",
        "pexpireat a 9223372036854775807",
        "pttl a",
        "pexpire a -9223372036854775808 lt",
        "time",
        "set a 1 ex 1",
        "expiretime a",
        "pttl a",
    };

    for (size_t i = 0; i < 16 * sizeof lines / sizeof *lines; i++) {
        store.time_us = ends[i % 4];
        store.wall_offset_us = ends[i / 4 % 4];
        cr_assert_gt(strlen(store_ask(lines[i / 16])), (size_t)1);
    }
}
