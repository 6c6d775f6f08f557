#include "serve/kv_request.h"

#include <assert.h>

#include "base/bytes.h"
#include "serve/kv_ops.h"

/* ---- Building ---- */

static void put_u16(struct mailraft_buffer *bytes, uint16_t value)
{
    mailraft_buffer_put(bytes, (uint8_t[]){(uint8_t)value, (uint8_t)(value >> 8)}, 2);
}

static void put_u32(struct mailraft_buffer *bytes, uint32_t value)
{
    uint8_t room[4];

    bytes_put_u32(room, value);
    mailraft_buffer_put(bytes, room, sizeof room);
}

static void put_u64(struct mailraft_buffer *bytes, uint64_t value)
{
    uint8_t room[8];

    bytes_put_u64(room, value);
    mailraft_buffer_put(bytes, room, sizeof room);
}

static void put_size(struct mailraft_buffer *bytes, size_t size)
{
    assert(size <= UINT32_MAX);
    put_u32(bytes, (uint32_t)size);
}

static void count_one(struct mailraft_buffer *bytes, size_t at)
{
    bytes_put_u32(bytes->bytes + at, bytes_get_u32(bytes->bytes + at) + 1);
}

void kv_request_begin(struct kv_request *request, struct mailraft_buffer *bytes, unsigned flags)
{
    uint8_t byte = (uint8_t)flags;

    assert((flags & ~(unsigned)(KV_RESP3 | KV_TRANSACTION)) == 0);
    mailraft_buffer_put(bytes, &byte, 1);
    *request = (struct kv_request){.bytes = bytes, .watches_at = bytes->size};
    put_u32(bytes, 0);
}

void kv_request_watch(struct kv_request *request, struct text key, uint64_t version)
{
    assert(request->ops_at == 0);
    count_one(request->bytes, request->watches_at);
    put_size(request->bytes, key.size);
    put_u64(request->bytes, version);
    mailraft_buffer_put(request->bytes, key.bytes, key.size);
}

void kv_request_ops(struct kv_request *request)
{
    assert(request->ops_at == 0);
    request->ops_at = request->bytes->size;
    put_u32(request->bytes, 0);
}

void kv_request_op(struct kv_request *request, enum kv_op op, const struct text *arguments, size_t count)
{
    assert(request->ops_at > 0);
    count_one(request->bytes, request->ops_at);
    put_u16(request->bytes, (uint16_t)op);
    put_size(request->bytes, count);
    for (size_t i = 0; i < count; i++) {
        put_size(request->bytes, arguments[i].size);
        mailraft_buffer_put(request->bytes, arguments[i].bytes, arguments[i].size);
    }
}

/* ---- Checking ---- */

/* Takes bytes that may not be there: then it is broken, for good. */
struct cursor {
    const uint8_t *at;
    size_t left;
    bool broken;
};

static const uint8_t *take(struct cursor *cursor, size_t size)
{
    const uint8_t *taken = cursor->at;

    if (size > cursor->left) {
        cursor->broken = true;
        return NULL;
    }
    cursor->at += size;
    cursor->left -= size;
    return taken;
}

static uint32_t take_u32(struct cursor *cursor)
{
    const uint8_t *taken = take(cursor, 4);

    return taken != NULL ? bytes_get_u32(taken) : 0;
}

static uint16_t get_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

static void check_watches(struct kv_contents *contents, struct cursor *cursor)
{
    contents->watches = take_u32(cursor);
    contents->watch_at = cursor->at;
    for (size_t i = 0; i < contents->watches && !cursor->broken; i++) {
        size_t key_size = take_u32(cursor);
        take(cursor, 8);
        take(cursor, key_size);
    }
}

static bool op_exists(uint16_t op)
{
    return op <= KV_OP_LAST && KV_FUNCTIONS[op].run != NULL;
}

static void check_op(struct kv_contents *contents, struct cursor *cursor)
{
    const uint8_t *op = take(cursor, 2);
    size_t count = take_u32(cursor);

    if (op == NULL || !op_exists(get_u16(op)) || count > RESP_ARGUMENTS_MAX) {
        cursor->broken = true;
        return;
    }
    for (size_t i = 0; i < count && !cursor->broken; i++)
        take(cursor, take_u32(cursor));
    contents->grows |= KV_FUNCTIONS[get_u16(op)].grows;
    contents->changes |= !KV_FUNCTIONS[get_u16(op)].read;
    if (count > contents->arguments_max)
        contents->arguments_max = count;
}

static void check_ops(struct kv_contents *contents, struct cursor *cursor)
{
    contents->ops = take_u32(cursor);
    contents->op_at = cursor->at;
    for (size_t i = 0; i < contents->ops && !cursor->broken; i++)
        check_op(contents, cursor);
}

static void check_settled(struct kv_contents *contents, struct cursor *cursor)
{
    const uint8_t *settled = take(cursor, KV_SETTLED_BYTES);

    if (settled != NULL)
        contents->settled = (struct kv_settled){bytes_get_u64(settled), bytes_get_u64(settled + 8), settled + 16};
}

bool kv_contents_read(struct kv_contents *contents, const void *bytes, size_t size, bool settled)
{
    struct cursor cursor = {bytes, size, false};
    const uint8_t *flags = take(&cursor, 1);

    *contents = (struct kv_contents){.flags = flags != NULL ? *flags : 0};
    if ((contents->flags & ~(unsigned)(KV_RESP3 | KV_TRANSACTION)) != (settled ? KV_SETTLED : 0))
        return false;
    if (settled)
        check_settled(contents, &cursor);
    check_watches(contents, &cursor);
    check_ops(contents, &cursor);
    if (cursor.broken || cursor.left > 0)
        return false;
    return (contents->flags & KV_TRANSACTION) != 0 || (contents->watches == 0 && contents->ops == 1);
}

/* ---- Taking what was checked ---- */

struct text kv_contents_take_watch(struct kv_contents *contents, uint64_t *version)
{
    const uint8_t *at = contents->watch_at;
    struct text key = {at + 12, bytes_get_u32(at)};

    *version = bytes_get_u64(at + 4);
    contents->watch_at = key.bytes + key.size;
    return key;
}

enum kv_op kv_contents_take_op(struct kv_contents *contents, struct text *arguments, size_t *count)
{
    const uint8_t *at = contents->op_at;
    enum kv_op op = (enum kv_op)get_u16(at);

    *count = bytes_get_u32(at + 2);
    assert(*count <= contents->arguments_max);
    at += 6;
    for (size_t i = 0; i < *count; i++) {
        arguments[i] = (struct text){at + 4, bytes_get_u32(at)};
        at = arguments[i].bytes + arguments[i].size;
    }
    contents->op_at = at;
    return op;
}

/* ---- Settling ---- */

void kv_request_settle(const void *bytes, size_t size, const struct kv_settled *settled,
                       struct mailraft_buffer *command)
{
    const uint8_t *from = bytes;
    uint8_t flags = (uint8_t)(from[0] | KV_SETTLED);

    mailraft_buffer_put(command, &flags, 1);
    put_u64(command, settled->limit);
    put_u64(command, settled->random);
    mailraft_buffer_put(command, settled->secret, KEYSPACE_SECRET_BYTES);
    mailraft_buffer_put(command, from + 1, size - 1);
}
