#include "serve/kv_ops.h"

#include <string.h>

#include "base/buffer.h"
#include "check.h"
#include "serve/commands.h"
#include "unit/store.h"

TestSuite(kv_ops, .init = store_open, .fini = store_close);

Test(kv_ops, every_operation_is_there)
{
    cr_assert_null(KV_FUNCTIONS[0].run);
    for (size_t op = 1; op <= KV_OP_LAST; op++)
        cr_assert_not_null(KV_FUNCTIONS[op].run, "%zu", op);
}

Test(kv_ops, what_reads_does_not_grow)
{
    for (size_t op = 1; op <= KV_OP_LAST; op++)
        cr_assert_not(KV_FUNCTIONS[op].read && KV_FUNCTIONS[op].grows, "%zu", op);
}

/* As COMMAND tells them. */
Test(kv_ops, what_reads_and_what_grows_is_what_the_table_of_commands_says)
{
    for (size_t i = 0; i < COMMANDS_COUNT; i++) {
        const struct command *command = &COMMANDS[i];
        if (command->op == 0)
            continue;
        cr_assert_eq(KV_FUNCTIONS[command->op].read, (command->flags & COMMAND_WRITE) == 0, "%s", command->name);
        cr_assert_eq(KV_FUNCTIONS[command->op].grows, (command->flags & COMMAND_DENYOOM) != 0, "%s", command->name);
    }
}

static bool is_resp(enum kv_op op)
{
    return op != KV_LITERAL && op != KV_VERSIONS && op != KV_STATE;
}

/* Nobody has looked at requests that come from other nodes. */
Test(kv_ops, any_number_of_any_arguments_is_answered)
{
    static const struct text words[] = {
        {NULL, 0},
        {(const uint8_t *)"", 0},
        {(const uint8_t *)"a", 1},
        {(const uint8_t *)"1", 1},
        {(const uint8_t *)"-1", 2},
        {(const uint8_t *)"\0\r\n", 3},
        {(const uint8_t *)"EX", 2},
        {(const uint8_t *)"COUNT", 5},
    };
    struct text arguments[6];

    for (size_t op = 1; op <= KV_OP_LAST; op++)
        for (size_t i = 0; i < 8 * 8 * 8 * 7; i++) {
            for (size_t j = 0; j < 6; j++)
                arguments[j] = words[(i >> (3 * (j % 3)) & 7) ^ (j / 3)];
            store_run((enum kv_op)op, arguments, i / (8 * 8 * 8));
            cr_assert(!is_resp((enum kv_op)op) || store.out->size >= 3, "%zu", op);
        }
}

Test(kv_ops, the_same_calls_make_the_same_answers_and_data)
{
    static const char *const lines[] = {
        "set a 1 px 100", "incrbyfloat a 0.1", "append b xyz",  "setrange b 10 q",
        "copy b c",       "randomkey",         "expire c 5",    "scan 0",
        "keys *",         "object encoding b", "pexpiretime a",
    };
    struct mailraft_buffer first = {.bytes = NULL}, second = {.bytes = NULL};

    for (struct mailraft_buffer *all = &first; all != NULL; all = all == &first ? &second : NULL) {
        for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
            const char *answer = store_ask(lines[i]);
            mailraft_buffer_put(all, answer, strlen(answer) + 1);
        }
        store_close();
        store_open();
    }
    cr_assert_eq(first.size, second.size);
    cr_assert_arr_eq(first.bytes, second.bytes, first.size);
    buffer_fini(&first);
    buffer_fini(&second);
}

Test(kv_ops, there_is_room_up_to_the_limit)
{
    store.limit = keyspace_bytes(store.keyspace) + 10;
    cr_assert(kv_may_grow(&store, 10));
    cr_assert_eq(store.out->size, 0);
    cr_assert_not(kv_may_grow(&store, 11));
    cr_assert_gt(store.out->size, 0);
    cr_assert_not(kv_may_grow(&store, SIZE_MAX));
    store.limit = 0;
    cr_assert_not(kv_may_grow(&store, 0));
}
