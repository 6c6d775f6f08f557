#include "serve/resp.h"

#include <string.h>

#include "base/buffer.h"
#include "check.h"

/* ---- Replies ---- */

#define assert_put(Out, Text)                                                                                          \
    do {                                                                                                               \
        mailraft_buffer_put(Out, "", 1);                                                                               \
        cr_assert_str_eq((const char *)(Out)->bytes, Text);                                                            \
        buffer_clear(Out);                                                                                             \
    } while (0)

Test(resp_put, a_simple_string_is_a_line)
{
    struct mailraft_buffer out = {0};
    resp_put_simple(&out, "OK");
    assert_put(&out, "+OK\r\n");
    resp_put_simple(&out, "");
    assert_put(&out, "+\r\n");
    buffer_fini(&out);
}

Test(resp_put, an_error_is_formatted)
{
    struct mailraft_buffer out = {0};
    resp_put_error(&out, "ERR unknown command '%s', %d", "NOSUCH", 7);
    assert_put(&out, "-ERR unknown command 'NOSUCH', 7\r\n");
    buffer_fini(&out);
}

Test(resp_put, an_error_stays_one_line_whatever_is_in_it)
{
    struct mailraft_buffer out = {0};
    resp_put_error(&out, "ERR no '%s'", "a\r\nb\nc\rd");
    assert_put(&out, "-ERR no 'a  b c d'\r\n");
    resp_put_error(&out, "\r\n\nERR x\n\r\n");
    assert_put(&out, "-ERR x\r\n");
    resp_put_error(&out, "%s", "\r\n");
    assert_put(&out, "-\r\n");
    buffer_fini(&out);
}

Test(resp_put, an_error_is_never_cut)
{
    for (size_t size = 250; size < 260; size++) {
        struct mailraft_buffer out = {0};
        char text[300] = "";
        memset(text, 'e', size);
        resp_put_error(&out, "%s", text);
        cr_assert_eq(out.size, 1 + size + 2);
        cr_assert_arr_eq(out.bytes + 1, text, size);
        cr_assert_arr_eq(out.bytes + 1 + size, "\r\n", 2);
        buffer_fini(&out);
    }
}

Test(resp_put, integers_of_every_size_and_sign)
{
    struct mailraft_buffer out = {0};
    resp_put_integer(&out, 0);
    resp_put_integer(&out, 10);
    resp_put_integer(&out, -1);
    resp_put_integer(&out, INT64_MAX);
    resp_put_integer(&out, INT64_MIN);
    assert_put(&out, ":0\r\n:10\r\n:-1\r\n:9223372036854775807\r\n:-9223372036854775808\r\n");
    buffer_fini(&out);
}

Test(resp_put, a_bulk_may_hold_any_bytes_and_none)
{
    struct mailraft_buffer out = {0};
    resp_put_bulk(&out, "a\0\r\n", 4);
    resp_put_bulk(&out, NULL, 0);
    cr_assert_eq(out.size, 16);
    cr_assert_arr_eq(out.bytes, "$4\r\na\0\r\n\r\n$0\r\n\r\n", 16);
    buffer_clear(&out);
    resp_put_text(&out, "twelve bytes");
    assert_put(&out, "$12\r\ntwelve bytes\r\n");
    buffer_fini(&out);
}

Test(resp_put, nothing_is_told_apart_as_bulk_and_array_only_in_resp2)
{
    struct mailraft_buffer out = {0};
    resp_put_null(&out, false);
    resp_put_null_array(&out, false);
    assert_put(&out, "$-1\r\n*-1\r\n");
    resp_put_null(&out, true);
    resp_put_null_array(&out, true);
    assert_put(&out, "_\r\n_\r\n");
    buffer_fini(&out);
}

Test(resp_put, a_map_is_an_array_of_twice_as_many_and_a_set_an_array_in_resp2)
{
    struct mailraft_buffer out = {0};
    resp_put_array(&out, 3);
    resp_put_map(&out, 3, false);
    resp_put_set(&out, 3, false);
    assert_put(&out, "*3\r\n*6\r\n*3\r\n");
    resp_put_array(&out, 0);
    resp_put_map(&out, 3, true);
    resp_put_set(&out, 3, true);
    assert_put(&out, "*0\r\n%3\r\n~3\r\n");
    buffer_fini(&out);
}

Test(resp_put, a_verbatim_string_counts_its_format)
{
    struct mailraft_buffer out = {0};
    resp_put_verbatim(&out, "# Raft", 6, false);
    assert_put(&out, "$6\r\n# Raft\r\n");
    resp_put_verbatim(&out, "# Raft", 6, true);
    assert_put(&out, "=10\r\ntxt:# Raft\r\n");
    buffer_fini(&out);
}

Test(resp_put, a_truth_is_a_number_in_resp2)
{
    struct mailraft_buffer out = {0};
    resp_put_bool(&out, true, false);
    resp_put_bool(&out, false, false);
    resp_put_bool(&out, true, true);
    resp_put_bool(&out, false, true);
    assert_put(&out, ":1\r\n:0\r\n#t\r\n#f\r\n");
    buffer_fini(&out);
}
