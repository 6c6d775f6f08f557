#include "serve/kv_keys.h"

#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "check.h"
#include "unit/store.h"

TestSuite(kv_keys, .init = store_open, .fini = store_close);

/* ---- Any number of keys ---- */

Test(kv_keys, del_and_unlink_count_what_they_remove)
{
    assert_answer("mset a 1 b 2 c 3", "+OK");
    assert_answer("del a none a", ":1");
    assert_answer("unlink b c", ":2");
    assert_answer("dbsize", ":0");
}

Test(kv_keys, exists_and_touch_count_each_time_a_key_is_named)
{
    assert_answer("mset a 1 b 2", "+OK");
    assert_answer("exists a none b a", ":3");
    assert_answer("touch a none b a", ":3");
}

Test(kv_keys, every_value_is_a_string)
{
    assert_answer("type a", "+none");
    assert_answer("incr a", ":1");
    assert_answer("type a", "+string");
}

/* ---- From one key to another ---- */

Test(kv_keys, rename_takes_the_value_and_its_expiry_along)
{
    assert_answer("set a 1 pxat 4000000000000", "+OK");
    assert_answer("set b 2", "+OK");
    assert_answer("rename a b", "+OK");
    assert_answer("exists a", ":0");
    assert_answer("get b", "$1 1");
    assert_answer("pexpiretime b", ":4000000000000");
    assert_answer("set c 3", "+OK");
    assert_answer("rename c b", "+OK");
    assert_answer("ttl b", ":-1");
}

Test(kv_keys, rename_of_nothing_is_an_error)
{
    assert_answer("rename a b", "-ERR no such key");
    assert_answer("rename a a", "-ERR no such key");
    assert_answer("renamenx a b", "-ERR no such key");
}

Test(kv_keys, rename_to_itself_changes_nothing)
{
    assert_answer("set a 1", "+OK");
    uint64_t version = keyspace_version(store.keyspace, store_text("a"));
    assert_answer("rename a a", "+OK");
    assert_answer("renamenx a a", ":0");
    cr_assert_eq(keyspace_version(store.keyspace, store_text("a")), version);
    assert_answer("get a", "$1 1");
}

Test(kv_keys, renamenx_takes_no_name_that_is_taken)
{
    assert_answer("mset a 1 b 2", "+OK");
    assert_answer("renamenx a b", ":0");
    assert_answer("mget a b", "*2 $1 1 $1 2");
    assert_answer("renamenx a c", ":1");
    assert_answer("mget a b c", "*3 $-1 $1 2 $1 1");
}

Test(kv_keys, copy_leaves_the_source_as_it_is)
{
    assert_answer("set a 1 pxat 4000000000000", "+OK");
    assert_answer("copy a b", ":1");
    assert_answer("mget a b", "*2 $1 1 $1 1");
    assert_answer("pexpiretime a", ":4000000000000");
    assert_answer("pexpiretime b", ":4000000000000");
    assert_answer("copy none c", ":0");
    assert_answer("set a 2", "+OK");
    assert_answer("copy a b", ":0");
    assert_answer("copy a b replace", ":1");
    assert_answer("get b", "$1 2");
    assert_answer("ttl b", ":-1");
}

Test(kv_keys, copy_knows_database_0_alone)
{
    assert_answer("set a 1", "+OK");
    assert_answer("copy a b db 0", ":1");
    assert_answer("copy a c DB 1", "-ERR DB index is out of range");
    assert_answer("copy a c db -1", "-ERR DB index is out of range");
    assert_answer("copy a c db x", "-ERR value is not an integer or out of range");
    assert_answer("copy a c db 2147483648",
                  "-ERR value is out of range, value must between -2147483648 and 2147483647");
    assert_answer("copy a c db", "-ERR syntax error");
    assert_answer("copy a c what", "-ERR syntax error");
    assert_answer("copy a a", "-ERR source and destination objects are the same");
    assert_answer("copy none none", "-ERR source and destination objects are the same");
    assert_answer("exists c", ":0");
}

Test(kv_keys, a_value_that_was_built_in_place_stays_so)
{
    assert_answer("append a 1", ":1");
    assert_answer("append a 2", ":2");
    assert_answer("object encoding a", "$3 raw");
    assert_answer("copy a b", ":1");
    assert_answer("rename a c", "+OK");
    assert_answer("object encoding b", "$3 raw");
    assert_answer("object encoding c", "$3 raw");
    assert_answer("get c", "$2 12");
}

Test(kv_keys, a_copy_and_a_longer_name_need_room)
{
    static const char oom[] = "-OOM command not allowed when used memory > 'maxmemory'.";

    assert_answer("mset a 1 b 2", "+OK");
    store.limit = keyspace_bytes(store.keyspace);
    assert_answer("copy a c", oom);
    assert_answer("rename a a-name-of-more-than-sixteen-bytes", oom);
    assert_answer("renamenx a a-name-of-more-than-sixteen-bytes", oom);
    store.limit = 0;
    assert_answer("rename a c", "+OK");
    assert_answer("copy b c replace", ":1");
    assert_answer("mget a b c", "*3 $-1 $1 2 $1 2");
    store.limit = keyspace_bytes(store.keyspace) + keyspace_bytes_of(1, 1, false);
    assert_answer("copy b d", ":1");
    assert_answer("expire b 10", oom);
}

/* ---- All keys ---- */

Test(kv_keys, dbsize_counts_keys)
{
    assert_answer("dbsize", ":0");
    assert_answer("mset a 1 b 2", "+OK");
    assert_answer("dbsize", ":2");
    assert_answer("dbsize x", "-ERR wrong number of arguments for 'dbsize' command");
}

Test(kv_keys, flushing_leaves_nothing)
{
    static const char *const lines[] = {"flushdb", "flushall", "flushdb async", "flushall SYNC"};

    for (size_t i = 0; i < 4; i++) {
        assert_answer("mset a 1 b 2", "+OK");
        assert_answer(lines[i], "+OK");
        assert_answer("dbsize", ":0");
    }
}

Test(kv_keys, flushing_in_another_way_is_a_syntax_error)
{
    assert_answer("set a 1", "+OK");
    assert_answer("flushdb now", "-ERR syntax error");
    assert_answer("flushall async sync", "-ERR syntax error");
    assert_answer("dbsize", ":1");
}

/* ---- OBJECT ---- */

Test(kv_keys, the_encoding_is_redis_s)
{
    assert_answer("set a 123", "+OK");
    assert_answer("object encoding a", "$3 int");
    assert_answer("set a 0123", "+OK");
    assert_answer("object encoding a", "$6 embstr");
    assert_answer("set a 9223372036854775808", "+OK");
    assert_answer("object ENCODING a", "$6 embstr");
    assert_answer("set a 44444444444444444444444444444444444444444444", "+OK");
    assert_answer("object encoding a", "$6 embstr");
    assert_answer("set a 555555555555555555555555555555555555555555555", "+OK");
    assert_answer("object encoding a", "$3 raw");
    assert_answer("setrange b 0 1", ":1");
    assert_answer("object encoding b", "$3 raw");
    assert_answer("incr b", ":2");
    assert_answer("object encoding b", "$3 int");
}

Test(kv_keys, object_tells_what_it_can)
{
    assert_answer("set a 1", "+OK");
    assert_answer("object refcount a", ":1");
    assert_answer("object idletime a", ":0");
    cr_assert_not_null(strstr(store_ask("object freq a"), "-ERR An LFU maxmemory policy is not selected"));
    cr_assert_not_null(strstr(store_ask("object help"), "+ENCODING <key> "));
    assert_answer("object encoding none", "$-1");
    store.resp3 = true;
    assert_answer("object freq none", "_");
}

Test(kv_keys, object_with_the_wrong_words_is_an_error)
{
    assert_answer("object", "-ERR wrong number of arguments for 'object' command");
    assert_answer("object encoding", "-ERR wrong number of arguments for 'object|encoding' command");
    assert_answer("object help a", "-ERR wrong number of arguments for 'object|help' command");
    assert_answer("object shape a", "-ERR unknown subcommand 'shape'. Try OBJECT HELP.");
    assert_answer("object '' a", "-ERR unknown subcommand ''. Try OBJECT HELP.");
}

/* ---- For sessions ---- */

Test(kv_keys, the_time_is_the_wall_clocks)
{
    store.time_us = 1800000000000042;
    store.wall_offset_us = 1000000;
    assert_answer("time", "*2 $10 1800000001 $2 42");
}

Test(kv_keys, a_literal_is_the_answer)
{
    struct text arguments[] = {store_text("+PONG\r\n"), store_text("x")};

    cr_assert_str_eq(store_ask_op(KV_LITERAL, arguments, 1), "+PONG");
    cr_assert_str_eq(store_ask_op(KV_LITERAL, arguments, 2), "-ERR wrong number of arguments for 'literal' command");
}

Test(kv_keys, versions_are_those_of_the_keyspace)
{
    struct text arguments[] = {store_text("none"), store_text("a"), store_text("b")};

    assert_answer("set a 1", "+OK");
    assert_answer("set b 1", "+OK");
    store_run(KV_VERSIONS, arguments, 3);
    cr_assert_eq(store.out->size, 24);
    cr_assert_eq(bytes_get_u64(store.out->bytes), 0);
    cr_assert_eq(bytes_get_u64(store.out->bytes + 8), store.index - 1);
    cr_assert_eq(bytes_get_u64(store.out->bytes + 16), store.index);
    store_run(KV_VERSIONS, arguments, 0);
    cr_assert_eq(store.out->size, 0);
}

Test(kv_keys, the_state_is_told_in_numbers)
{
    assert_answer("mset a 1 b 2", "+OK");
    assert_answer("expire a 10", ":1");
    store_run(KV_STATE, NULL, 0);
    cr_assert_eq(store.out->size, 24);
    cr_assert_eq(bytes_get_u64(store.out->bytes), 2);
    cr_assert_eq(bytes_get_u64(store.out->bytes + 8), 1);
    cr_assert_eq(bytes_get_u64(store.out->bytes + 16), keyspace_bytes(store.keyspace));
}
