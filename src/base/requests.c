#include "base/requests.h"

#include <assert.h>

#include "base/bytes.h"
#include "base/error.h"

#define MORE (1u << 31) /* in a reply's outcome */

static void put_record(struct mailraft_buffer *body, const uint8_t *head, size_t head_size, const uint8_t *bytes,
                       size_t size)
{
    mailraft_buffer_put(body, head, head_size);
    mailraft_buffer_put(body, bytes, size);
}

void requests_put(struct mailraft_buffer *body, const struct request *request)
{
    uint8_t head[REQUEST_HEAD_BYTES];

    assert(request->size <= UINT32_MAX);
    bytes_put_u32(head, request->kind);
    bytes_put_u32(head + 4, (uint32_t)request->size);
    bytes_put_u64(head + 8, request->number);
    bytes_put_u64(head + 16, request->index);
    put_record(body, head, sizeof head, request->bytes, request->size);
}

static void put_part(struct mailraft_buffer *body, const struct reply *reply, const uint8_t *bytes, size_t size,
                     bool more)
{
    uint8_t head[REPLY_HEAD_BYTES] = {0};

    bytes_put_u32(head, (uint32_t)reply->outcome | (more ? MORE : 0));
    bytes_put_u32(head + 4, (uint32_t)size);
    bytes_put_u64(head + 8, reply->number);
    bytes_put_u64(head + 16, reply->index);
    bytes_put_u32(head + 24, (uint32_t)reply->leader_id);
    put_record(body, head, sizeof head, bytes, size);
}

void replies_put(struct mailraft_buffer *body, const struct reply *reply)
{
    size_t at = 0;

    for (; reply->size - at > REPLY_PART_BYTES; at += REPLY_PART_BYTES)
        put_part(body, reply, reply->bytes + at, REPLY_PART_BYTES, true);
    put_part(body, reply, at > 0 ? reply->bytes + at : reply->bytes, reply->size - at, false);
}

/* The head of the record at `at`, where all of the record is there. NULL otherwise. */
static const uint8_t *find_record(const struct mailraft_buffer *body, size_t at, size_t head_size)
{
    const uint8_t *head;

    if (at >= body->size || body->size - at < head_size)
        return NULL;
    head = body->bytes + at;
    return bytes_get_u32(head + 4) <= body->size - at - head_size ? head : NULL;
}

/* Indexes end where one more still fits into 63 bits, as everywhere on the wire. */
static bool is_index(uint64_t index)
{
    return index < INT64_MAX;
}

bool requests_next(const struct mailraft_buffer *body, size_t *at, struct request *request)
{
    const uint8_t *head = find_record(body, *at, REQUEST_HEAD_BYTES);
    uint32_t kind;
    uint64_t index;

    if (head == NULL)
        return false;
    kind = bytes_get_u32(head);
    index = bytes_get_u64(head + 16);
    if (kind < REQUEST_COMMAND || kind > REQUEST_KIND_LAST || !is_index(index) || (kind != REQUEST_COUNT && index != 0))
        return false;
    *request = (struct request){
        .kind = (enum request_kind)kind,
        .number = bytes_get_u64(head + 8),
        .index = index,
        .bytes = head + REQUEST_HEAD_BYTES,
        .size = bytes_get_u32(head + 4),
    };
    *at += REQUEST_HEAD_BYTES + request->size;
    return true;
}

bool replies_next(const struct mailraft_buffer *body, size_t *at, struct reply *reply)
{
    const uint8_t *head = find_record(body, *at, REPLY_HEAD_BYTES);
    uint32_t outcome;
    raft_id leader_id;

    if (head == NULL)
        return false;
    outcome = bytes_get_u32(head) & ~MORE;
    leader_id = (raft_id)bytes_get_u32(head + 24);
    if (outcome > OUTCOME_LAST || !is_index(bytes_get_u64(head + 16)) || bytes_get_u32(head + 28) != 0 ||
        (leader_id != NO_ONE && leader_id < 0))
        return false;
    *reply = (struct reply){
        .outcome = (enum outcome)outcome,
        .more = (bytes_get_u32(head) & MORE) != 0,
        .number = bytes_get_u64(head + 8),
        .index = bytes_get_u64(head + 16),
        .leader_id = leader_id,
        .bytes = head + REPLY_HEAD_BYTES,
        .size = bytes_get_u32(head + 4),
    };
    *at += REPLY_HEAD_BYTES + reply->size;
    return true;
}

size_t requests_portion_end(const struct mailraft_buffer *body, size_t at)
{
    size_t begin = at, end = begin;
    struct request request;

    while (requests_next(body, &at, &request)) {
        if (end > begin && at - begin > BODY_PORTION_BYTES)
            return end;
        end = at;
    }
    return body->size;
}

size_t replies_portion_end(const struct mailraft_buffer *body, size_t at)
{
    size_t begin = at, end = begin;
    struct reply reply;

    while (replies_next(body, &at, &reply)) {
        if (end > begin && at - begin > BODY_PORTION_BYTES)
            return end;
        end = at;
    }
    return body->size;
}

bool requests_check(const struct mailraft_buffer *body, struct mailraft_error *err)
{
    struct request request;
    size_t at = 0;

    while (requests_next(body, &at, &request))
        ;
    return at == body->size ||
           error_raise(err, &PROTOCOL_ERROR, "no sound request stands at %zu of %zu bytes", at, body->size);
}

bool replies_check(const struct mailraft_buffer *body, struct mailraft_error *err)
{
    struct reply reply;
    size_t at = 0;

    while (replies_next(body, &at, &reply))
        ;
    return at == body->size ||
           error_raise(err, &PROTOCOL_ERROR, "no sound reply stands at %zu of %zu bytes", at, body->size);
}
