#include "raft/configuration.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "check.h"

static struct configuration configuration;
static struct mailraft_buffer payload;

static void address(struct address *to, const char *text)
{
    cr_assert(address_parse(text, to), "%s", text);
}

/* Three members, of whom one has not been met, and addresses of all sorts. */
static void begin(void)
{
    struct member *members = configuration.members.list;
    configuration = (struct configuration){.index = 7, .term = 3, .members = {.count = 3}};
    memset(configuration.uuid.bytes, 0xc5, CLUSTER_UUID_SIZE);
    members[0].id = 1;
    address(&members[0].peer, "127.0.0.1:7101");
    address(&members[0].client, "one.example:6401");
    address(&members[0].admin, "[::1]:8001");
    members[1].id = 4;
    address(&members[1].peer, "[2001:db8::4]:7101");
    members[2].id = INT32_MAX;
    address(&members[2].peer, "three.example:65535");
    address(&members[2].admin, "3:1");
    memset(configuration.data_ids[0].bytes, 0xd1, DATA_ID_SIZE);
    memset(configuration.data_ids[2].bytes, 0xd3, DATA_ID_SIZE);
    configuration_encode(&configuration, &payload);
}

static void end(void)
{
    buffer_fini(&payload);
}

TestSuite(configuration, .init = begin, .fini = end);

static bool decode(const void *bytes, size_t size, struct configuration *decoded)
{
    struct mailraft_error err = {.class = NULL};
    struct entry *entry = entry_new(ENTRY_CONFIG, 3, 7, 0, bytes, size);
    bool good = configuration_decode(entry, decoded, &err);
    entry_drop(entry);
    cr_assert(good || error_is(&err, &PROTOCOL_ERROR));
    return good;
}

static void expect_address(const struct address *is, const struct address *was)
{
    cr_assert_str_eq(is->host, was->host);
    cr_assert_eq(is->port, was->port);
}

Test(configuration, what_is_encoded_is_decoded)
{
    struct configuration decoded;
    cr_assert(decode(payload.bytes, payload.size, &decoded));
    cr_assert_eq(decoded.index, 7);
    cr_assert_eq(decoded.term, 3);
    cr_assert_arr_eq(decoded.uuid.bytes, configuration.uuid.bytes, CLUSTER_UUID_SIZE);
    cr_assert_eq(decoded.members.count, 3);
    for (int i = 0; i < 3; i++) {
        const struct member *is = &decoded.members.list[i], *was = &configuration.members.list[i];
        cr_assert_eq(is->id, was->id);
        expect_address(&is->peer, &was->peer);
        expect_address(&is->client, &was->client);
        expect_address(&is->admin, &was->admin);
        cr_assert(data_id_equal(&decoded.data_ids[i], &configuration.data_ids[i]));
    }
    cr_assert(data_id_is_none(&decoded.data_ids[1]));
}

Test(configuration, stands_byte_by_byte_as_its_header_says)
{
    cr_assert_eq(payload.bytes[0], 0xc5);
    cr_assert_eq(bytes_get_u32(payload.bytes + 16), 3);
    cr_assert_eq(bytes_get_u32(payload.bytes + 20), 1);
    cr_assert_eq(payload.bytes[24], 0xd1);
    cr_assert_eq(payload.bytes[40], strlen("127.0.0.1:7101"));
    cr_assert_eq(payload.bytes[41], 0);
    cr_assert_arr_eq(payload.bytes + 42, "127.0.0.1:7101", strlen("127.0.0.1:7101"));
}

Test(configuration, one_of_as_many_members_as_there_may_be_fits)
{
    struct configuration decoded;
    configuration.members.count = MEMBERS_MAX;
    for (int i = 0; i < MEMBERS_MAX; i++) {
        struct member *member = &configuration.members.list[i];
        member->id = i + 1;
        memset(member->peer.host, 'a', ADDRESS_HOST_MAX - 1);
        member->peer.host[ADDRESS_HOST_MAX - 1] = '\0';
        member->peer.port = 65535;
        member->client = member->admin = member->peer;
    }
    buffer_clear(&payload);
    configuration_encode(&configuration, &payload);
    cr_assert(decode(payload.bytes, payload.size, &decoded));
    cr_assert_eq(decoded.members.count, MEMBERS_MAX);
    expect_address(&decoded.members.list[MEMBERS_MAX - 1].admin, &configuration.members.list[0].peer);
}

Test(configuration, every_truncation_is_refused)
{
    struct configuration decoded;
    for (size_t size = 0; size < payload.size; size++)
        cr_assert_not(decode(payload.bytes, size, &decoded), "%zu bytes", size);
}

Test(configuration, more_bytes_than_it_needs_are_refused)
{
    struct configuration decoded;
    mailraft_buffer_put(&payload, "", 1);
    cr_assert_not(decode(payload.bytes, payload.size, &decoded));
}

/* Whatever passes can be used: it is encoded again, and is what it was. */
Test(configuration, whatever_byte_is_changed_it_is_refused_or_sound)
{
    struct configuration decoded, again;
    for (size_t at = 0; at < payload.size; at++)
        for (int value = 0; value < 256; value++) {
            uint8_t old = payload.bytes[at];
            payload.bytes[at] = (uint8_t)value;
            if (decode(payload.bytes, payload.size, &decoded)) {
                struct mailraft_buffer encoded = {.bytes = NULL};
                cr_assert_geq(decoded.members.count, 1);
                cr_assert_leq(decoded.members.count, MEMBERS_MAX);
                configuration_encode(&decoded, &encoded);
                cr_assert(decode(encoded.bytes, encoded.size, &again));
                cr_assert_arr_eq(&again, &decoded, sizeof again);
                buffer_fini(&encoded);
            }
            payload.bytes[at] = old;
        }
}

static void expect_refused(void)
{
    struct configuration decoded;
    buffer_clear(&payload);
    configuration_encode(&configuration, &payload);
    cr_assert_not(decode(payload.bytes, payload.size, &decoded));
}

Test(configuration, one_without_a_uuid_is_refused)
{
    memset(configuration.uuid.bytes, 0, CLUSTER_UUID_SIZE);
    expect_refused();
}

Test(configuration, one_without_members_is_refused)
{
    configuration.members.count = 0;
    expect_refused();
}

Test(configuration, ids_that_do_not_grow_are_refused)
{
    configuration.members.list[1].id = 1;
    expect_refused();
    configuration.members.list[1].id = INT32_MAX;
    expect_refused();
}

Test(configuration, the_id_of_no_member_is_refused)
{
    configuration.members.list[0].id = 0;
    expect_refused();
    configuration.members.list[0].id = -1;
    expect_refused();
}

static void put_u32(uint32_t value)
{
    uint8_t bytes[4];
    bytes_put_u32(bytes, value);
    mailraft_buffer_put(&payload, bytes, sizeof bytes);
}

/* A payload by hand: so many members, with this text as each one's address for peers. */
static void put_members(uint32_t count, const char *text, size_t length)
{
    static const uint8_t NO_ADDRESSES[4];
    uint8_t bytes[2] = {(uint8_t)(length & 0xff), (uint8_t)(length >> 8)};
    buffer_clear(&payload);
    mailraft_buffer_put(&payload, configuration.uuid.bytes, CLUSTER_UUID_SIZE);
    put_u32(count);
    for (uint32_t id = 1; id <= count; id++) {
        put_u32(id);
        mailraft_buffer_put(&payload, configuration.data_ids[0].bytes, DATA_ID_SIZE);
        mailraft_buffer_put(&payload, bytes, sizeof bytes);
        mailraft_buffer_put(&payload, text, length);
        mailraft_buffer_put(&payload, NO_ADDRESSES, sizeof NO_ADDRESSES);
    }
}

Test(configuration, more_members_than_there_may_be_are_refused)
{
    struct configuration decoded;
    put_members(MEMBERS_MAX, "a:1", 3);
    cr_assert(decode(payload.bytes, payload.size, &decoded));
    put_members(MEMBERS_MAX + 1, "a:1", 3);
    cr_assert_not(decode(payload.bytes, payload.size, &decoded));
}

Test(configuration, what_is_no_address_is_refused)
{
    struct configuration decoded;
    char text[65535];
    memset(text, 'a', sizeof text);
    for (size_t length = 200; length <= sizeof text; length += length < 300 ? 1 : 5435) {
        put_members(3, text, length);
        cr_assert_not(decode(payload.bytes, payload.size, &decoded), "without a port");
    }
    put_members(3, "a:1\0b", 5);
    cr_assert_not(decode(payload.bytes, payload.size, &decoded), "with a zero in it");
    put_members(3, "a:0", 3);
    cr_assert_not(decode(payload.bytes, payload.size, &decoded), "with a port that is none");
}

Test(configuration, the_error_names_the_entry)
{
    struct configuration decoded;
    struct mailraft_error err;
    struct entry *entry = entry_new(ENTRY_CONFIG, 3, 7, 0, NULL, 0);
    cr_assert_not(configuration_decode(entry, &decoded, &err));
    cr_assert(error_is(&err, &PROTOCOL_ERROR));
    cr_assert_not_null(strstr(err.message, "entry 7"));
    entry_drop(entry);
}
