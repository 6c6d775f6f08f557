#include "unit/store.h"

#include <string.h>

#include "base/buffer.h"
#include "check.h"
#include "serve/commands.h"

#define WORDS_MAX 64

struct kv_call store;

static struct mailraft_buffer out;
static char answer[1024 * 1024];

void store_open(void)
{
    static const uint8_t secret[KEYSPACE_SECRET_BYTES] = "sixteen letters";

    store = (struct kv_call){
        .keyspace = keyspace_new(),
        .out = &out,
        .index = 1,
        .time_us = STORE_NOW_US,
        .wall_offset_us = STORE_LEAD_US,
        .limit = UINT64_MAX,
    };
    keyspace_set_secret(store.keyspace, secret);
}

void store_close(void)
{
    keyspace_free(store.keyspace);
    buffer_fini(&out);
}

struct text store_text(const char *chars)
{
    return (struct text){(const uint8_t *)chars, strlen(chars)};
}

enum kv_op store_op(struct text name)
{
    const struct command *command = command_find(name);

    return command != NULL ? command->op : 0;
}

void store_run(enum kv_op op, const struct text *arguments, size_t count)
{
    const struct kv_function *function = &KV_FUNCTIONS[op];
    struct kv_call call = store;

    cr_assert(op > 0 && function->run != NULL);
    keyspace_expire(store.keyspace, store.time_us, store.wall_offset_us, store.index);
    size_t keys = keyspace_count(store.keyspace), bytes = keyspace_bytes(store.keyspace);
    call.index = function->read ? 0 : ++store.index;
    call.arguments = arguments;
    call.count = count;
    buffer_clear(&out);
    function->run(&call);
    cr_assert(!function->read || (keyspace_count(store.keyspace) == keys && keyspace_bytes(store.keyspace) == bytes));
    cr_assert(function->grows || keyspace_count(store.keyspace) <= keys);
}

const char *store_ask_op(enum kv_op op, const struct text *arguments, size_t count)
{
    size_t size = 0;

    store_run(op, arguments, count);
    cr_assert_lt(out.size, sizeof answer);
    for (size_t i = 0; i < out.size; i++)
        if (out.bytes[i] != '\r')
            answer[size++] = out.bytes[i] != '\n' ? (char)out.bytes[i] : ' ';
    answer[size > 0 ? size - 1 : 0] = '\0';
    return answer;
}

const char *store_ask(const char *words)
{
    struct text arguments[WORDS_MAX];
    size_t count = 0;

    for (const char *word = words, *end; word != NULL; word = *end == ' ' ? end + 1 : NULL) {
        end = strchrnul(word, ' ');
        cr_assert_lt(count, (size_t)WORDS_MAX);
        arguments[count++] = (struct text){(const uint8_t *)word, (size_t)(end - word)};
        if (end - word == 2 && memcmp(word, "''", 2) == 0)
            arguments[count - 1] = (struct text){NULL, 0};
    }
    return store_ask_op(store_op(arguments[0]), arguments + 1, count - 1);
}
