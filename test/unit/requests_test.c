#include "base/requests.h"

#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/memory.h"
#include "check.h"

static struct mailraft_error err;
static struct mailraft_buffer body;

static void clear_body(void)
{
    buffer_fini(&body);
}

TestSuite(requests, .fini = clear_body);

static struct request some_request(enum request_kind kind)
{
    return (struct request){
        .kind = kind,
        .number = UINT64_MAX - kind,
        .index = kind == REQUEST_COUNT ? INT64_MAX - 1 : 0,
        .bytes = (const uint8_t *)"what it wants",
        .size = (size_t)kind, /* as many of them */
    };
}

static struct reply some_reply(enum outcome outcome)
{
    return (struct reply){
        .outcome = outcome,
        .number = UINT64_MAX - outcome,
        .index = INT64_MAX - 1,
        .leader_id = outcome % 2 == 0 ? NO_ONE : INT32_MAX,
        .bytes = (const uint8_t *)"what became of it",
        .size = (size_t)outcome,
    };
}

/* The bytes alone, in memory of exactly their size, where the sanitizer sees each one too far. */
static struct mailraft_buffer exact_copy(const uint8_t *bytes, size_t size)
{
    struct mailraft_buffer copy = {.bytes = memory_new(size + (size == 0)), .size = size, .room = size};

    if (size > 0)
        memcpy(copy.bytes, bytes, size);
    return copy;
}

Test(requests, every_kind_comes_back_as_it_was_put_and_in_order)
{
    struct request request;
    size_t at = 0;

    for (int kind = REQUEST_COMMAND; kind <= REQUEST_KIND_LAST; kind++) {
        request = some_request((enum request_kind)kind);
        requests_put(&body, &request);
    }
    for (int kind = REQUEST_COMMAND; kind <= REQUEST_KIND_LAST; kind++) {
        const struct request put = some_request((enum request_kind)kind);

        cr_assert(requests_next(&body, &at, &request));
        cr_assert_eq(request.kind, put.kind);
        cr_assert_eq(request.number, put.number);
        cr_assert_eq(request.index, put.index);
        cr_assert_eq(request.size, put.size);
        cr_assert_arr_eq(request.bytes, put.bytes, put.size);
    }
    cr_assert_not(requests_next(&body, &at, &request));
    cr_assert_eq(at, body.size);
    cr_assert(requests_check(&body, &err));
}

Test(requests, a_request_without_bytes_is_one)
{
    const struct request put = {.kind = REQUEST_COUNT, .number = 1, .index = 2};
    struct request request;
    size_t at = 0;

    requests_put(&body, &put);
    cr_assert_eq(body.size, (size_t)REQUEST_HEAD_BYTES);
    cr_assert(requests_next(&body, &at, &request));
    cr_assert_eq(request.size, 0u);
    cr_assert(requests_check(&body, &err));
}

Test(requests, the_bytes_of_a_request_stand_where_the_format_says)
{
    const struct request put = {.kind = REQUEST_QUERY, .number = 0x0102, .bytes = (const uint8_t *)"ab", .size = 2};
    static const uint8_t BYTES[] = {2, 0, 0, 0, 2, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 'a', 'b'};

    requests_put(&body, &put);
    cr_assert_eq(body.size, sizeof BYTES);
    cr_assert_arr_eq(body.bytes, BYTES, sizeof BYTES);
}

Test(requests, every_outcome_comes_back_as_it_was_put_and_in_order)
{
    struct reply reply;
    size_t at = 0;

    for (int outcome = 0; outcome <= OUTCOME_LAST; outcome++) {
        reply = some_reply((enum outcome)outcome);
        replies_put(&body, &reply);
    }
    for (int outcome = 0; outcome <= OUTCOME_LAST; outcome++) {
        const struct reply put = some_reply((enum outcome)outcome);

        cr_assert(replies_next(&body, &at, &reply));
        cr_assert_eq(reply.outcome, put.outcome);
        cr_assert_not(reply.more);
        cr_assert_eq(reply.number, put.number);
        cr_assert_eq(reply.index, put.index);
        cr_assert_eq(reply.leader_id, put.leader_id);
        cr_assert_eq(reply.size, put.size);
        cr_assert_arr_eq(reply.bytes, put.bytes, put.size);
    }
    cr_assert_not(replies_next(&body, &at, &reply));
    cr_assert_eq(at, body.size);
    cr_assert(replies_check(&body, &err));
}

Test(requests, the_bytes_of_a_reply_stand_where_the_format_says)
{
    const struct reply put = {
        .outcome = OUTCOME_REFUSED,
        .number = 3,
        .index = 4,
        .leader_id = NO_ONE,
        .bytes = (const uint8_t *)"a",
        .size = 1,
    };
    static const uint8_t BYTES[] = {1, 0, 0, 0, 1, 0, 0, 0,    3,    0,    0,    0, 0, 0, 0, 0,  4,
                                    0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 'a'};

    replies_put(&body, &put);
    cr_assert_eq(body.size, sizeof BYTES);
    cr_assert_arr_eq(body.bytes, BYTES, sizeof BYTES);
}

/* Puts an answer of so many bytes, and puts it together again. How many parts it came in. */
static int carry_answer(size_t size)
{
    struct mailraft_buffer answer = {0}, got = {0};
    struct reply reply = some_reply(OUTCOME_READ);
    size_t at = 0;
    int parts = 0;

    for (size_t i = 0; i < size; i++)
        mailraft_buffer_put(&answer, &(uint8_t){(uint8_t)(i * 31 % 251)}, 1);
    reply.bytes = answer.bytes;
    reply.size = size;
    buffer_clear(&body);
    replies_put(&body, &reply);
    cr_assert(replies_check(&body, &err));
    do {
        cr_assert(replies_next(&body, &at, &reply));
        cr_assert_eq(reply.outcome, OUTCOME_READ);
        cr_assert_eq(reply.number, some_reply(OUTCOME_READ).number);
        cr_assert_leq(reply.size, (size_t)REPLY_PART_BYTES);
        mailraft_buffer_put(&got, reply.bytes, reply.size);
        parts++;
    } while (reply.more);
    cr_assert_eq(at, body.size);
    cr_assert_eq(got.size, size);
    cr_assert(size == 0 || memcmp(got.bytes, answer.bytes, size) == 0);
    buffer_fini(&answer);
    buffer_fini(&got);
    return parts;
}

Test(requests, a_long_answer_comes_in_parts)
{
    cr_assert_eq(carry_answer(0), 1);
    cr_assert_eq(carry_answer(REPLY_PART_BYTES), 1);
    cr_assert_eq(carry_answer(REPLY_PART_BYTES + 1), 2);
    cr_assert_eq(carry_answer(2 * REPLY_PART_BYTES), 2);
    cr_assert_eq(carry_answer(1024 * 1024 + 7), 33);
}

/* ---- Portions ---- */

static void put_requests(const size_t *sizes, size_t count)
{
    uint8_t *bytes = memory_new(2 * BODY_PORTION_BYTES);

    buffer_clear(&body);
    for (size_t i = 0; i < count; i++) {
        const struct request request = {REQUEST_COMMAND, i, 0, bytes, sizes[i] - REQUEST_HEAD_BYTES};

        requests_put(&body, &request);
    }
    memory_free(bytes);
}

Test(requests, a_body_is_cut_between_records_into_portions_of_at_most_64_kib)
{
    static const size_t SIZES[] = {100, BODY_PORTION_BYTES - 100, 24, BODY_PORTION_BYTES - 23, 50};

    put_requests(SIZES, 5);
    cr_assert_eq(requests_portion_end(&body, 0), BODY_PORTION_BYTES);
    cr_assert_eq(requests_portion_end(&body, BODY_PORTION_BYTES), BODY_PORTION_BYTES + 24u);
    cr_assert_eq(requests_portion_end(&body, BODY_PORTION_BYTES + 24), 2 * BODY_PORTION_BYTES + 1u);
    cr_assert_eq(requests_portion_end(&body, 2 * BODY_PORTION_BYTES + 1), body.size);
}

Test(requests, a_record_that_is_larger_than_a_portion_is_one)
{
    static const size_t SIZES[] = {BODY_PORTION_BYTES + 1, 24};

    put_requests(SIZES, 2);
    cr_assert_eq(requests_portion_end(&body, 0), BODY_PORTION_BYTES + 1u);
    put_requests(SIZES, 1);
    cr_assert_eq(requests_portion_end(&body, 0), body.size);
}

Test(requests, an_answer_of_any_length_goes_in_portions)
{
    struct reply reply = some_reply(OUTCOME_READ);
    int portions = 0;

    reply.size = 1000000;
    reply.bytes = memory_new(reply.size);
    replies_put(&body, &reply);
    for (size_t at = 0, end; at < body.size; at = end, portions++) {
        struct mailraft_buffer portion;

        end = replies_portion_end(&body, at);
        cr_assert_leq(end - at, (size_t)BODY_PORTION_BYTES);
        portion = exact_copy(body.bytes + at, end - at);
        cr_assert(replies_check(&portion, &err));
        buffer_fini(&portion);
    }
    cr_assert_eq(portions, 16); /* 31 parts */
    memory_free((void *)reply.bytes);
}

/* ---- What is not sound ---- */

static bool check(const uint8_t *bytes, size_t size, bool replies)
{
    struct mailraft_buffer copy = exact_copy(bytes, size);
    bool good = replies ? replies_check(&copy, &err) : requests_check(&copy, &err);

    buffer_fini(&copy);
    return good;
}

Test(requests, nothing_is_sound)
{
    cr_assert(check(NULL, 0, false));
    cr_assert(check(NULL, 0, true));
}

/* Two records, cut everywhere: sound only between them. */
static void assert_cuts_are_refused(size_t first, bool replies)
{
    for (size_t size = 1; size < body.size; size++) {
        cr_assert_eq(check(body.bytes, size, replies), size == first, "%zu bytes", size);
        cr_assert(size == first || error_is(&err, &PROTOCOL_ERROR));
    }
}

Test(requests, cut_requests_are_refused_wherever_they_are_cut)
{
    const struct request first = some_request(REQUEST_QUERY), second = some_request(REQUEST_COUNT);

    requests_put(&body, &first);
    requests_put(&body, &second);
    assert_cuts_are_refused(REQUEST_HEAD_BYTES + first.size, false);
    cr_assert_not(check(body.bytes, body.size - 1, false));
    cr_assert_str_eq(err.message, "no sound request stands at 26 of 53 bytes");
}

Test(requests, cut_replies_are_refused_wherever_they_are_cut)
{
    const struct reply first = some_reply(OUTCOME_READ), second = some_reply(OUTCOME_COUNTED);

    replies_put(&body, &first);
    replies_put(&body, &second);
    assert_cuts_are_refused(REPLY_HEAD_BYTES + first.size, true);
    cr_assert_not(check(body.bytes, body.size - 1, true));
    cr_assert_str_eq(err.message, "no sound reply stands at 37 of 74 bytes");
}

static bool check_with_u32(size_t at, uint32_t value, bool replies)
{
    uint32_t before = bytes_get_u32(body.bytes + at);
    bool good;

    bytes_put_u32(body.bytes + at, value);
    good = check(body.bytes, body.size, replies);
    bytes_put_u32(body.bytes + at, before);
    return good;
}

static bool check_with_u64(size_t at, uint64_t value, bool replies)
{
    uint64_t before = bytes_get_u64(body.bytes + at);
    bool good;

    bytes_put_u64(body.bytes + at, value);
    good = check(body.bytes, body.size, replies);
    bytes_put_u64(body.bytes + at, before);
    return good;
}

Test(requests, a_request_whose_fields_are_out_of_range_is_refused)
{
    const struct request put = some_request(REQUEST_COUNT);

    requests_put(&body, &put);
    cr_assert_not(check_with_u32(0, 0, false));
    cr_assert_not(check_with_u32(0, REQUEST_KIND_LAST + 1, false));
    cr_assert_not(check_with_u32(0, UINT32_MAX, false));
    cr_assert_not(check_with_u32(4, UINT32_MAX, false)); /* longer than all that there is */
    cr_assert_not(check_with_u64(16, INT64_MAX, false));
    cr_assert_not(check_with_u64(16, UINT64_MAX, false));
    cr_assert_not(check_with_u32(0, REQUEST_COMMAND, false)); /* it has no use for an index */
    cr_assert(check_with_u64(16, 0, false));
    cr_assert(check_with_u64(8, 0, false));
}

Test(requests, a_reply_whose_fields_are_out_of_range_is_refused)
{
    const struct reply put = some_reply(OUTCOME_READ);

    replies_put(&body, &put);
    cr_assert_not(check_with_u32(0, OUTCOME_LAST + 1, true));
    cr_assert_not(check_with_u32(0, UINT32_MAX, true));
    cr_assert(check_with_u32(0, 1u << 31 | OUTCOME_LAST, true));
    cr_assert_not(check_with_u32(4, UINT32_MAX, true));
    cr_assert_not(check_with_u64(16, INT64_MAX, true));
    cr_assert_not(check_with_u32(24, (uint32_t)-2, true));
    cr_assert(check_with_u32(24, (uint32_t)NO_ONE, true));
    cr_assert_not(check_with_u32(28, 1, true));
}

/* The last sound record is the last one that is handed out. */
Test(requests, whoever_reads_on_stops_before_what_is_not_sound)
{
    const struct request put = some_request(REQUEST_COMMAND);
    struct request request;
    size_t at = 0;

    requests_put(&body, &put);
    requests_put(&body, &put);
    bytes_put_u32(body.bytes + REQUEST_HEAD_BYTES + put.size, 77);
    cr_assert(requests_next(&body, &at, &request));
    cr_assert_not(requests_next(&body, &at, &request));
    cr_assert_eq(at, REQUEST_HEAD_BYTES + put.size);
}

Test(requests, garbage_is_read_no_further_than_it_goes)
{
    uint64_t state = 1; /* the same garbage in every run */
    uint8_t bytes[200];

    for (int run = 0; run < 20000; run++) {
        size_t size = (size_t)run % sizeof bytes;

        for (size_t i = 0; i < size; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            bytes[i] = (uint8_t)((state >> 56) & (run % 2 == 0 ? 0x03 : 0xff)); /* small numbers come further */
        }
        check(bytes, size, false);
        check(bytes, size, true);
    }
}
