#include "serve/kv_request.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "check.h"
#include "serve/kv_ops.h"

static struct mailraft_buffer request, command;
static struct kv_contents contents;

static void close_buffers(void)
{
    buffer_fini(&request);
    buffer_fini(&command);
}

TestSuite(kv_request, .fini = close_buffers);

static struct text text(const char *chars)
{
    return (struct text){(const uint8_t *)chars, strlen(chars)};
}

static void build_set(unsigned flags)
{
    struct kv_request building;
    struct text arguments[] = {text("key"), text("")};

    kv_request_begin(&building, &request, flags);
    kv_request_ops(&building);
    kv_request_op(&building, KV_SET, arguments, 2);
}

/* Two watches, three operations. */
static void build_transaction(void)
{
    struct kv_request building;
    struct text arguments[] = {text("a"), text("bb"), text("ccc")};

    kv_request_begin(&building, &request, KV_TRANSACTION | KV_RESP3);
    kv_request_watch(&building, text("watched"), 77);
    kv_request_watch(&building, text(""), UINT64_MAX);
    kv_request_ops(&building);
    kv_request_op(&building, KV_DEL, arguments, 3);
    kv_request_op(&building, KV_DBSIZE, NULL, 0);
    kv_request_op(&building, KV_GET, arguments + 1, 1);
}

static bool reads(void)
{
    return kv_contents_read(&contents, request.bytes, request.size, false);
}

static bool is(struct text a, const char *b)
{
    return a.size == strlen(b) && memcmp(a.bytes, b, a.size) == 0;
}

/* ---- Building ---- */

Test(kv_request, stands_as_the_format_says)
{
    static const uint8_t expected[] = {0, 0, 0, 0, 0, 1, 0,   0,   0,   2, 0, 2, 0,
                                       0, 0, 3, 0, 0, 0, 'k', 'e', 'y', 0, 0, 0, 0};

    build_set(0);
    cr_assert_eq(request.size, sizeof expected);
    cr_assert_arr_eq(request.bytes, expected, sizeof expected);
}

Test(kv_request, is_put_behind_what_is_there)
{
    mailraft_buffer_put(&request, "before", 6);
    build_transaction();
    cr_assert(kv_contents_read(&contents, request.bytes + 6, request.size - 6, false));
    cr_assert_eq(contents.watches, 2);
    cr_assert_eq(contents.ops, 3);
}

/* ---- Checking and taking ---- */

Test(kv_request, what_was_built_is_taken)
{
    struct text arguments[3];
    uint64_t version;
    size_t count;

    build_transaction();
    cr_assert(reads());
    cr_assert_eq(contents.flags, KV_TRANSACTION | KV_RESP3);
    cr_assert_eq(contents.watches, 2);
    cr_assert_eq(contents.ops, 3);
    cr_assert_eq(contents.arguments_max, 3);
    cr_assert(is(kv_contents_take_watch(&contents, &version), "watched"));
    cr_assert_eq(version, 77);
    cr_assert(is(kv_contents_take_watch(&contents, &version), ""));
    cr_assert_eq(version, UINT64_MAX);
    cr_assert_eq(kv_contents_take_op(&contents, arguments, &count), KV_DEL);
    cr_assert_eq(count, 3);
    cr_assert(is(arguments[0], "a") && is(arguments[1], "bb") && is(arguments[2], "ccc"));
    cr_assert_eq(kv_contents_take_op(&contents, arguments, &count), KV_DBSIZE);
    cr_assert_eq(count, 0);
    cr_assert_eq(kv_contents_take_op(&contents, arguments, &count), KV_GET);
    cr_assert_eq(count, 1);
    cr_assert(is(arguments[0], "bb"));
}

Test(kv_request, tells_what_its_operations_do)
{
    build_set(0);
    cr_assert(reads());
    cr_assert(contents.grows && contents.changes);
    buffer_clear(&request);
    build_transaction();
    cr_assert(reads());
    cr_assert(!contents.grows && contents.changes);
}

Test(kv_request, one_that_is_cut_anywhere_is_refused)
{
    build_transaction();
    for (size_t size = 0; size < request.size; size++)
        cr_assert_not(kv_contents_read(&contents, request.bytes, size, false), "%zu", size);
}

Test(kv_request, one_with_more_behind_it_is_refused)
{
    build_set(0);
    mailraft_buffer_put(&request, "", 1);
    cr_assert_not(reads());
}

Test(kv_request, unknown_flags_are_refused)
{
    build_set(0);
    for (int flag = 8; flag < 256; flag *= 2) {
        request.bytes[0] = (uint8_t)flag;
        cr_assert_not(reads());
    }
}

Test(kv_request, operations_that_do_not_exist_are_refused)
{
    build_set(0);
    for (unsigned op = 0; op <= UINT16_MAX; op += op <= KV_OP_LAST ? 1 : 41) {
        request.bytes[9] = (uint8_t)op;
        request.bytes[10] = (uint8_t)(op >> 8);
        cr_assert_eq(reads(), op >= 1 && op <= KV_OP_LAST, "%u", op);
    }
}

Test(kv_request, only_a_transaction_has_watches_or_another_number_of_operations)
{
    struct kv_request building;

    build_transaction();
    request.bytes[0] = KV_RESP3;
    cr_assert_not(reads());
    for (unsigned flags = 0; flags <= KV_TRANSACTION; flags += KV_TRANSACTION) {
        buffer_clear(&request);
        kv_request_begin(&building, &request, flags);
        kv_request_ops(&building);
        cr_assert_eq(reads(), flags == KV_TRANSACTION);
    }
    buffer_clear(&request);
    kv_request_begin(&building, &request, 0);
    kv_request_watch(&building, text("watched"), 1);
    kv_request_ops(&building);
    kv_request_op(&building, KV_DBSIZE, NULL, 0);
    cr_assert_not(reads());
}

Test(kv_request, counts_and_sizes_beyond_its_end_are_refused)
{
    static const size_t counts_at[] = {1, 5, 11, 15, 22};

    build_set(KV_RESP3);
    for (size_t i = 0; i < sizeof counts_at / sizeof counts_at[0]; i++) {
        uint8_t *count = request.bytes + counts_at[i];
        uint32_t was = bytes_get_u32(count);
        bytes_put_u32(count, UINT32_MAX);
        cr_assert_not(reads(), "%zu", counts_at[i]);
        bytes_put_u32(count, was + 1);
        cr_assert_not(reads(), "%zu", counts_at[i]);
        bytes_put_u32(count, was);
        cr_assert(reads());
    }
}

Test(kv_request, more_arguments_than_a_command_may_have_are_refused)
{
    struct kv_request building;
    struct text *arguments = calloc(RESP_ARGUMENTS_MAX + 1, sizeof *arguments);

    for (size_t more = 0; more <= 1; more++) {
        buffer_clear(&request);
        kv_request_begin(&building, &request, 0);
        kv_request_ops(&building);
        kv_request_op(&building, KV_DEL, arguments, RESP_ARGUMENTS_MAX + more);
        cr_assert_eq(reads(), more == 0);
    }
    free(arguments);
}

Test(kv_request, bytes_that_are_wrong_anywhere_are_refused_or_taken_whole)
{
    struct text arguments[32];
    uint64_t version, taken = 0;
    size_t count;

    build_transaction();
    for (size_t i = 0; i < 256 * request.size; i++) {
        uint8_t was = request.bytes[i / 256];
        request.bytes[i / 256] = (uint8_t)i;
        if (reads() && contents.arguments_max <= 32) {
            for (size_t watch = 0; watch < contents.watches; watch++)
                taken += kv_contents_take_watch(&contents, &version).size;
            for (size_t op = 0; op < contents.ops; op++)
                taken += (uint64_t)kv_contents_take_op(&contents, arguments, &count);
        }
        request.bytes[i / 256] = was;
    }
    cr_assert_gt(taken, 0);
}

/* ---- Settling ---- */

static void settle(void)
{
    struct kv_settled settled = {1000, 2000, (const uint8_t *)"sixteen letters!"};

    kv_request_settle(request.bytes, request.size, &settled, &command);
}

Test(kv_request, one_that_is_settled_tells_what_was_settled)
{
    struct text arguments[3];
    uint64_t version;
    size_t count;

    build_transaction();
    settle();
    cr_assert(kv_contents_read(&contents, command.bytes, command.size, true));
    cr_assert_eq(contents.flags, KV_TRANSACTION | KV_RESP3 | KV_SETTLED);
    cr_assert_eq(contents.settled.limit, 1000);
    cr_assert_eq(contents.settled.random, 2000);
    cr_assert_arr_eq(contents.settled.secret, "sixteen letters!", KEYSPACE_SECRET_BYTES);
    cr_assert(is(kv_contents_take_watch(&contents, &version), "watched"));
    cr_assert_eq(kv_contents_take_op(&contents, arguments, &count), KV_DEL);
}

Test(kv_request, whether_it_is_settled_must_be_as_expected)
{
    build_set(0);
    settle();
    cr_assert_not(kv_contents_read(&contents, request.bytes, request.size, true));
    cr_assert_not(kv_contents_read(&contents, command.bytes, command.size, false));
    for (size_t size = 0; size < command.size; size++)
        cr_assert_not(kv_contents_read(&contents, command.bytes, size, true), "%zu", size);
}
