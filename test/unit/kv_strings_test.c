#include "serve/kv_strings.h"

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "check.h"
#include "unit/store.h"

#define OOM "-OOM command not allowed when used memory > 'maxmemory'."

TestSuite(kv_strings, .init = store_open, .fini = store_close);

/* ---- Options ---- */

Test(kv_strings, options_come_in_any_case_and_order)
{
    assert_answer("set a 1 Px 100000 nX gEt", "$-1");
    assert_answer("pttl a", ":100000");
    assert_answer("set a 2 get KeepTtl xx", "$1 1");
    assert_answer("pttl a", ":100000");
    assert_answer("get a", "$1 2");
}

Test(kv_strings, options_that_exclude_each_other_are_a_syntax_error)
{
    static const char *const lines[] = {
        "set a 1 nx xx",
        "set a 1 xx nx",
        "set a 1 keepttl ex 10",
        "set a 1 px 10 keepttl",
        "set a 1 ex 10 px 10",
        "set a 1 exat 10 pxat 10",
        "set a 1 persist",
        "set a 1 ex",
        "set a 1 ex 10 pxat",
        "set a 1 what",
        "set a 1 ''",
        "getex a nx",
        "getex a keepttl",
        "getex a persist ex 10",
        "getex a px 10 persist",
        "getex a ex",
        "getex a get",
    };

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_answer(lines[i], "-ERR syntax error");
    assert_answer("exists a", ":0");
}

Test(kv_strings, an_option_may_be_given_again)
{
    assert_answer("set a 1 nx nx", "+OK");
    assert_answer("set a 1 ex 10 ex 20", "+OK");
    assert_answer("ttl a", ":20");
    assert_answer("getex a persist persist", "$1 1");
}

Test(kv_strings, a_time_that_is_none_changes_nothing)
{
    assert_answer("set a 1", "+OK");
    assert_answer("set a 2 ex 0", "-ERR invalid expire time in 'set' command");
    assert_answer("set a 2 px -1 get", "-ERR invalid expire time in 'set' command");
    assert_answer("set a 2 exat 9223372036854776", "-ERR invalid expire time in 'set' command");
}

/* ---- Whole values ---- */

Test(kv_strings, get_tells_what_was_set)
{
    assert_answer("get a", "$-1");
    assert_answer("set a xyz", "+OK");
    assert_answer("get a", "$3 xyz");
    assert_answer("set a ''", "+OK");
    assert_answer("get a", "$0 ");
    assert_answer("set '' empty", "+OK");
    assert_answer("get ''", "$5 empty");
}

Test(kv_strings, set_takes_an_expiry_away)
{
    assert_answer("set a 1 ex 10", "+OK");
    assert_answer("set a 2", "+OK");
    assert_answer("ttl a", ":-1");
}

Test(kv_strings, set_nx_sets_only_what_is_absent_and_xx_only_what_is_there)
{
    assert_answer("set a 1 xx", "$-1");
    assert_answer("set a 1 nx", "+OK");
    assert_answer("set a 2 nx", "$-1");
    assert_answer("set a 3 xx", "+OK");
    assert_answer("set a 4 nx get", "$1 3");
    assert_answer("get a", "$1 3");
    assert_answer("set b 4 xx get", "$-1");
    assert_answer("exists b", ":0");
}

Test(kv_strings, set_with_a_time_in_the_past_leaves_nothing)
{
    assert_answer("set a 1", "+OK");
    assert_answer("set a 2 pxat 1", "+OK");
    assert_answer("exists a", ":0");
    assert_answer("dbsize", ":0");
}

Test(kv_strings, null_is_resp3s_where_that_is_spoken)
{
    store.resp3 = true;
    assert_answer("get a", "_");
    assert_answer("set a 1 xx", "_");
    assert_answer("mget a", "*1 _");
    assert_answer("getset a 1", "_");
}

Test(kv_strings, setnx_says_whether_it_has_set)
{
    assert_answer("setnx a 1", ":1");
    assert_answer("setnx a 2", ":0");
    assert_answer("get a", "$1 1");
}

Test(kv_strings, setex_and_psetex_set_with_a_time)
{
    assert_answer("setex a 10 x", "+OK");
    assert_answer("pttl a", ":10000");
    assert_answer("psetex a 10 y", "+OK");
    assert_answer("pttl a", ":10");
    assert_answer("get a", "$1 y");
    assert_answer("setex a 0 z", "-ERR invalid expire time in 'setex' command");
    assert_answer("psetex a -1 z", "-ERR invalid expire time in 'psetex' command");
    assert_answer("setex a x z", "-ERR value is not an integer or out of range");
}

Test(kv_strings, getset_tells_the_old_value_and_takes_the_expiry_away)
{
    assert_answer("getset a 1", "$-1");
    assert_answer("expire a 10", ":1");
    assert_answer("getset a 2", "$1 1");
    assert_answer("ttl a", ":-1");
    assert_answer("get a", "$1 2");
}

Test(kv_strings, getdel_tells_the_value_and_removes_it)
{
    assert_answer("getdel a", "$-1");
    assert_answer("set a 1", "+OK");
    assert_answer("getdel a", "$1 1");
    assert_answer("exists a", ":0");
}

Test(kv_strings, getex_changes_when_a_value_expires)
{
    assert_answer("getex a ex none", "$-1");
    assert_answer("set a 1", "+OK");
    assert_answer("getex a ex none", "-ERR value is not an integer or out of range");
    assert_answer("getex a ex 0", "-ERR invalid expire time in 'getex' command");
    assert_answer("getex a ex 10", "$1 1");
    assert_answer("getex a", "$1 1");
    assert_answer("ttl a", ":10");
    assert_answer("getex a persist", "$1 1");
    assert_answer("ttl a", ":-1");
    assert_answer("getex a pxat 4000000000123", "$1 1");
    assert_answer("pexpiretime a", ":4000000000123");
    assert_answer("getex a exat 1", "$1 1");
    assert_answer("exists a", ":0");
}

/* ---- Parts of values ---- */

Test(kv_strings, append_adds_and_keeps_the_expiry)
{
    assert_answer("append a xyz", ":3");
    assert_answer("expire a 10", ":1");
    assert_answer("append a 123", ":6");
    assert_answer("append a ''", ":6");
    assert_answer("get a", "$6 xyz123");
    assert_answer("ttl a", ":10");
    assert_answer("append b ''", ":0");
    assert_answer("exists b", ":1");
}

Test(kv_strings, strlen_counts_bytes)
{
    assert_answer("strlen a", ":0");
    assert_answer("set a 12345", "+OK");
    assert_answer("strlen a", ":5");
}

Test(kv_strings, getrange_counts_from_either_end)
{
    assert_answer("getrange a 0 -1", "$0 ");
    assert_answer("set a abcdef", "+OK");
    assert_answer("getrange a 0 -1", "$6 abcdef");
    assert_answer("getrange a 1 2", "$2 bc");
    assert_answer("getrange a -2 -1", "$2 ef");
    assert_answer("getrange a 4 100", "$2 ef");
    assert_answer("getrange a 6 100", "$0 ");
    assert_answer("getrange a -100 1", "$2 ab");
    assert_answer("getrange a 3 2", "$0 ");
    assert_answer("getrange a -1 -2", "$0 ");
    assert_answer("getrange a -100 -100", "$1 a");
    assert_answer("getrange a -9223372036854775808 9223372036854775807", "$6 abcdef");
    assert_answer("getrange a x 1", "-ERR value is not an integer or out of range");
}

Test(kv_strings, setrange_overwrites_and_fills_up_with_zeros)
{
    static const uint8_t filled[] = "$5\r\n\0\0xyz\r\n";

    assert_answer("setrange a 2 ''", ":0");
    assert_answer("exists a", ":0");
    assert_answer("setrange a 2 xyz", ":5");
    store_run(KV_GET, &(struct text){(const uint8_t *)"a", 1}, 1);
    cr_assert_eq(store.out->size, sizeof filled - 1);
    cr_assert_arr_eq(store.out->bytes, filled, sizeof filled - 1);
    assert_answer("setrange a 0 AB", ":5");
    assert_answer("get a", "$5 ABxyz");
    assert_answer("expire a 10", ":1");
    assert_answer("setrange a 4 12", ":6");
    assert_answer("setrange a 100 ''", ":6");
    assert_answer("get a", "$6 ABxy12");
    assert_answer("ttl a", ":10");
    assert_answer("setrange a -1 x", "-ERR offset is out of range");
    assert_answer("setrange a -1 ''", "-ERR offset is out of range");
}

#define TOO_LARGE "-ERR string exceeds maximum allowed size (proto-max-bulk-len)"

Test(kv_strings, a_value_has_half_a_gibibyte_at_most)
{
    assert_answer("setrange a 536870912 x", TOO_LARGE);
    assert_answer("setrange a 9223372036854775807 x", TOO_LARGE);
    assert_answer("set a 1", "+OK");
    assert_answer("setrange a 536870911 xy", TOO_LARGE);
    assert_answer("get a", "$1 1");
}

/* The largest one is made, of zeros that nobody reads: it takes address space, and little memory. */
Test(kv_strings, append_goes_up_to_half_a_gibibyte)
{
    struct text arguments[] = {store_text("a"), {memory_new(KEYSPACE_VALUE_MAX), KEYSPACE_VALUE_MAX}};

    assert_answer("set a x", "+OK");
    cr_assert_str_eq(store_ask_op(KV_APPEND, arguments, 2), TOO_LARGE);
    arguments[1].size--;
    cr_assert_str_eq(store_ask_op(KV_APPEND, arguments, 2), ":536870912");
    memory_free((void *)(uintptr_t)arguments[1].bytes);
}

/* ---- Numbers ---- */

Test(kv_strings, numbers_go_up_and_down)
{
    assert_answer("incr a", ":1");
    assert_answer("incrby a 41", ":42");
    assert_answer("decr a", ":41");
    assert_answer("decrby a 100", ":-59");
    assert_answer("decrby a -9", ":-50");
    assert_answer("get a", "$3 -50");
    assert_answer("decr b", ":-1");
}

Test(kv_strings, numbers_keep_their_expiry)
{
    assert_answer("set a 1 ex 10", "+OK");
    assert_answer("incr a", ":2");
    assert_answer("incrbyfloat a 0.5", "$3 2.5");
    assert_answer("ttl a", ":10");
}

Test(kv_strings, numbers_do_not_overflow)
{
    assert_answer("set a 9223372036854775806", "+OK");
    assert_answer("incr a", ":9223372036854775807");
    assert_answer("incr a", "-ERR increment or decrement would overflow");
    assert_answer("incrby a 9223372036854775807", "-ERR increment or decrement would overflow");
    assert_answer("set a -9223372036854775808", "+OK");
    assert_answer("decr a", "-ERR increment or decrement would overflow");
    assert_answer("decrby a -9223372036854775808", "-ERR decrement would overflow");
    assert_answer("incrby a 9223372036854775807", ":-1");
}

Test(kv_strings, what_is_no_number_is_not_counted)
{
    assert_answer("set a 1x", "+OK");
    assert_answer("incr a", "-ERR value is not an integer or out of range");
    assert_answer("set a 1", "+OK");
    assert_answer("incrby a 1.5", "-ERR value is not an integer or out of range");
    assert_answer("incrby a ''", "-ERR value is not an integer or out of range");
    assert_answer("incrbyfloat a 1x", "-ERR value is not a valid float");
    assert_answer("set a ''", "+OK");
    assert_answer("incr a", "-ERR value is not an integer or out of range");
    assert_answer("incrbyfloat a 1", "-ERR value is not a valid float");
}

Test(kv_strings, floats_are_added)
{
    assert_answer("set a 10.50", "+OK");
    assert_answer("incrbyfloat a 0.1", "$4 10.6");
    assert_answer("incrbyfloat a -5", "$3 5.6");
    assert_answer("set a 5.0e3", "+OK");
    assert_answer("incrbyfloat a 2.0e2", "$4 5200");
    assert_answer("incrbyfloat b -0.000", "$1 0");
    assert_answer("incrbyfloat a inf", "-ERR increment would produce NaN or Infinity");
    assert_answer("set a 1e4932", "+OK");
    assert_answer("incrbyfloat a 1e4932", "-ERR increment would produce NaN or Infinity");
    assert_answer("get a", "$6 1e4932");
}

/* ---- Several keys ---- */

Test(kv_strings, mget_tells_each)
{
    assert_answer("mset a 1 b 2", "+OK");
    assert_answer("mget a none b a", "*4 $1 1 $-1 $1 2 $1 1");
}

Test(kv_strings, mset_sets_all_without_expiry)
{
    assert_answer("set a 0 ex 10", "+OK");
    assert_answer("mset a 1 b 2 a 3", "+OK");
    assert_answer("mget a b", "*2 $1 3 $1 2");
    assert_answer("ttl a", ":-1");
    assert_answer("mset a 1 b", "-ERR wrong number of arguments for 'mset' command");
}

Test(kv_strings, msetnx_sets_all_or_none)
{
    assert_answer("msetnx a 1 b 2", ":1");
    assert_answer("msetnx c 1 b 3", ":0");
    assert_answer("mget a b c", "*3 $1 1 $1 2 $-1");
    assert_answer("msetnx c 1 d", "-ERR wrong number of arguments for 'msetnx' command");
}

/* ---- Room ---- */

Test(kv_strings, what_grows_is_refused_where_there_is_no_room)
{
    static const char *const lines[] = {
        "set b 1",
        "set b 1 nx",
        "setnx b 1",
        "setex b 10 1",
        "psetex b 10 1",
        "getset b 1",
        "append b 1",
        "append a 12345678901234567890",
        "setrange b 1 x",
        "setrange a 20 x",
        "incr b",
        "incrby b 1",
        "decr b",
        "incrbyfloat b 1",
        "incrbyfloat a 1e40",
        "mset a 1 b 2",
        "msetnx b 1",
        "set a 12345678901234567890 get",
        "set a 1 ex 10",
        "getex a ex 10",
    };

    assert_answer("set a 1", "+OK");
    store.limit = keyspace_bytes(store.keyspace);
    size_t held = keyspace_bytes(store.keyspace);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        assert_answer(lines[i], OOM);
        cr_assert_eq(keyspace_bytes(store.keyspace), held, "%s", lines[i]);
    }
    assert_answer("get a", "$1 1");
    assert_answer("ttl a", ":-1");
}

Test(kv_strings, what_does_not_grow_is_done_where_there_is_no_room)
{
    assert_answer("set a 1 ex 10", "+OK");
    assert_answer("set b 1", "+OK");
    store.limit = 0;
    assert_answer("set a 2 ex 20", "+OK");
    assert_answer("set a 2 keepttl", "+OK");
    assert_answer("incr a", ":3");
    assert_answer("getex a ex 30", "$1 3");
    assert_answer("getex b exat 1", "$1 1");
    assert_answer("set a 4", "+OK");
    assert_answer("mset a 5", "+OK");
    assert_answer("getdel a", "$1 5");
}
