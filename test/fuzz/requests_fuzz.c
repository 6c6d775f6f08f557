/* requests_fuzz.c - the bodies of FORWARD and FORWARDED (base/requests.h). What is sound encodes to the same bytes
 * again, and the portions that it is cut into are sound, no larger than they may be, and all of it.
 *
 * Input: u8: in bit 0, whether it is replies or requests; u8 how many large records of ours are behind it; the body. */
#include "fuzz.h"

#include <string.h>

#include "base/memory.h"
#include "base/requests.h"

FUZZ_MARK(requested, "requests that are sound");
FUZZ_MARK(replied, "replies that are sound");
FUZZ_MARK(in_portions, "a body in portions");
FUZZ_MARK(unsound, "a body that is not sound");

static void check_same(const struct mailraft_buffer *body, const struct mailraft_buffer *again)
{
    assert(body->size == again->size);
    assert(body->size == 0 || memcmp(body->bytes, again->bytes, body->size) == 0);
}

/* ---- Requests ---- */

static void check_request(const struct request *request, const struct mailraft_buffer *body)
{
    assert(request->kind >= REQUEST_COMMAND && request->kind <= REQUEST_KIND_LAST);
    assert(request->index < INT64_MAX);
    assert(request->kind == REQUEST_COUNT || request->index == 0);
    assert(request->bytes + request->size <= body->bytes + body->size);
}

static bool read_requests(const struct mailraft_buffer *body)
{
    struct mailraft_buffer again = {.bytes = NULL};
    struct request request;
    size_t at = 0;

    while (requests_next(body, &at, &request)) {
        check_request(&request, body);
        requests_put(&again, &request);
        assert(again.size == at);
        fuzz_reach(requested);
    }
    bool sound = at == body->size;
    if (sound)
        check_same(body, &again);
    buffer_fini(&again);
    return sound;
}

/* ---- Replies ---- */

static void check_reply(const struct reply *reply, const struct mailraft_buffer *body)
{
    assert(reply->outcome <= OUTCOME_LAST);
    assert(reply->index < INT64_MAX);
    assert(reply->leader_id == NO_ONE || reply->leader_id >= 0);
    assert(reply->bytes + reply->size <= body->bytes + body->size);
}

/* Each record by itself: where it is larger than a part may be, in parts. */
static void put_reply(struct mailraft_buffer *again, const struct reply *reply)
{
    size_t at = again->size, begin = 0;
    struct reply part;

    replies_put(again, reply);
    while (replies_next(again, &at, &part)) {
        assert(part.outcome == reply->outcome && part.number == reply->number && part.index == reply->index &&
               part.leader_id == reply->leader_id);
        assert(part.size <= REPLY_PART_BYTES);
        assert(begin + part.size <= reply->size);
        assert(part.size == 0 || memcmp(part.bytes, reply->bytes + begin, part.size) == 0);
        begin += part.size;
        assert(part.more == (begin < reply->size));
    }
    assert(at == again->size && begin == reply->size);
}

static bool read_replies(const struct mailraft_buffer *body)
{
    struct mailraft_buffer again = {.bytes = NULL};
    struct reply reply;
    bool same = true;
    size_t at = 0;

    while (replies_next(body, &at, &reply)) {
        check_reply(&reply, body);
        put_reply(&again, &reply);
        same = same && !reply.more && reply.size <= REPLY_PART_BYTES; /* a part of an answer, or put in parts */
        assert(!same || again.size == at);
        fuzz_reach(replied);
    }
    bool sound = at == body->size;
    if (sound && same)
        check_same(body, &again);
    buffer_fini(&again);
    return sound;
}

/* ---- Portions ---- */

static size_t count_records(const struct mailraft_buffer *portion, bool replies)
{
    struct request request;
    struct reply reply;
    size_t at = 0, count = 0;

    while (replies ? replies_next(portion, &at, &reply) : requests_next(portion, &at, &request))
        count++;
    assert(at == portion->size);
    return count;
}

static void check_portions(struct mailraft_buffer *body, bool replies)
{
    size_t at = 0;

    while (at < body->size) {
        size_t end = replies ? replies_portion_end(body, at) : requests_portion_end(body, at);
        assert(end > at && end <= body->size);
        struct mailraft_buffer portion = {body->bytes + at, end - at, end - at};
        size_t count = count_records(&portion, replies);
        assert(count == 1 || portion.size <= BODY_PORTION_BYTES);
        if (end < body->size)
            fuzz_reach(in_portions);
        at = end;
    }
}

static void put_large(struct mailraft_buffer *body, bool replies)
{
    static const uint8_t BYTES[REPLY_PART_BYTES + 4096];

    if (replies)
        replies_put(body, &(struct reply){.outcome = OUTCOME_READ, .bytes = BYTES, .size = sizeof BYTES});
    else
        requests_put(body, &(struct request){.kind = REQUEST_COMMAND, .bytes = BYTES, .size = sizeof BYTES});
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fuzz_input input = {bytes, size};
    bool replies = fuzz_take(&input, 1) & 1;
    size_t large = (size_t)fuzz_take(&input, 1) % 8;
    struct mailraft_buffer body = {fuzz_copy(input.at, input.left), input.left, input.left};
    struct mailraft_error err;

    for (size_t i = 0; i < large; i++)
        put_large(&body, replies);

    bool sound = replies ? read_replies(&body) : read_requests(&body);
    assert(sound == (replies ? replies_check(&body, &err) : requests_check(&body, &err)));
    if (sound)
        check_portions(&body, replies);
    else
        fuzz_reach(unsound);
    assert(sound || error_is(&err, &PROTOCOL_ERROR));
    memory_free(body.bytes);
    return 0;
}
