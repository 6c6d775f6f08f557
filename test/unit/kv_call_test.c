#include "serve/kv_call.h"

#include <string.h>

#include "base/buffer.h"
#include "check.h"
#include "unit/store.h"

TestSuite(kv_call, .init = store_open, .fini = store_close);

static void assert_put(const char *answer)
{
    mailraft_buffer_put(store.out, "", 1);
    cr_assert_str_eq((const char *)store.out->bytes, answer);
    buffer_clear(store.out);
}

Test(kv_call, a_count_outside_its_bounds_is_an_error)
{
    store.count = 2;
    cr_assert(kv_check_count(&store, "some", 2, 2));
    cr_assert(kv_check_count(&store, "some", 0, SIZE_MAX));
    assert_put("");
    cr_assert_not(kv_check_count(&store, "some", 3, SIZE_MAX));
    assert_put("-ERR wrong number of arguments for 'some' command\r\n");
    cr_assert_not(kv_check_count(&store, "other", 0, 1));
    assert_put("-ERR wrong number of arguments for 'other' command\r\n");
}

Test(kv_call, what_is_no_integer_is_an_error)
{
    int64_t number;

    cr_assert(kv_read_integer(&store, store_text("-12"), &number));
    cr_assert_eq(number, -12);
    assert_put("");
    cr_assert_not(kv_read_integer(&store, store_text("12.0"), &number));
    assert_put("-ERR value is not an integer or out of range\r\n");
}

Test(kv_call, options_are_read_in_any_case_and_up_to_a_zero_byte)
{
    cr_assert(kv_is_option(store_text("keepttl"), "KEEPTTL"));
    cr_assert(kv_is_option(store_text("KeepTTL"), "KEEPTTL"));
    cr_assert(kv_is_option((struct text){(const uint8_t *)"NX\0Y", 4}, "NX"));
    cr_assert_not(kv_is_option(store_text("KEEPTT"), "KEEPTTL"));
    cr_assert_not(kv_is_option(store_text("KEEPTTLS"), "KEEPTTL"));
    cr_assert_not(kv_is_option((struct text){NULL, 0}, "NX"));
}

Test(kv_call, a_value_that_is_not_there_is_null)
{
    kv_put_value(&store, NULL);
    assert_put("$-1\r\n");
    store.resp3 = true;
    kv_put_value(&store, NULL);
    assert_put("_\r\n");
    assert_answer("set a xyz", "+OK");
    buffer_clear(store.out);
    kv_put_value(&store, keyspace_find(store.keyspace, store_text("a")));
    assert_put("$3\r\nxyz\r\n");
}

Test(kv_call, a_key_takes_what_the_keyspace_says)
{
    size_t empty = keyspace_bytes(store.keyspace);

    cr_assert_eq(kv_bytes(NULL), 0);
    cr_assert_not(kv_expires(NULL));
    assert_answer("set a xyz", "+OK");
    cr_assert_eq(kv_bytes(keyspace_find(store.keyspace, store_text("a"))), keyspace_bytes(store.keyspace) - empty);
    cr_assert_not(kv_expires(keyspace_find(store.keyspace, store_text("a"))));
    assert_answer("expire a 10", ":1");
    cr_assert_eq(kv_bytes(keyspace_find(store.keyspace, store_text("a"))), keyspace_bytes(store.keyspace) - empty);
    cr_assert(kv_expires(keyspace_find(store.keyspace, store_text("a"))));
}

Test(kv_call, a_value_may_grow_up_to_the_limit_and_shrink_above_it)
{
    assert_answer("set a 0123456789012345678901234567890123456789", "+OK");
    store.limit = keyspace_bytes(store.keyspace) + keyspace_bytes_of(1, 100, false);
    cr_assert(kv_may_hold(&store, store_text("b"), 100, false));
    cr_assert(kv_may_hold(&store, store_text("a"), 100, false));
    store.limit--;
    buffer_clear(store.out);
    cr_assert(kv_may_hold(&store, store_text("a"), 100, false));
    assert_put("");
    cr_assert_not(kv_may_hold(&store, store_text("b"), 100, false));
    assert_put("-OOM command not allowed when used memory > 'maxmemory'.\r\n");
    cr_assert_not(kv_may_hold(&store, store_text("b"), 90, true));
    store.limit = 0;
    cr_assert_not(kv_may_hold(&store, store_text("a"), 100, false));
    buffer_clear(store.out);
    cr_assert(kv_may_hold(&store, store_text("a"), 40, false));
    cr_assert(kv_may_hold(&store, store_text("a"), 1, false));
    assert_put("");
}
