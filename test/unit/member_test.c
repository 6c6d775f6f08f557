#include "base/member.h"

#include <string.h>

#include "base/bytes.h"
#include "check.h"

static const struct members THREE = {.count = 3, .list = {{.id = 2}, {.id = 5}, {.id = 2147483647}}};

Test(member, a_member_is_found_by_its_id)
{
    cr_assert_eq(members_find(&THREE, 2), 0);
    cr_assert_eq(members_find(&THREE, 5), 1);
    cr_assert_eq(members_find(&THREE, 2147483647), 2);
}

Test(member, a_stranger_has_no_position)
{
    static const raft_id STRANGERS[] = {NO_ONE, 0, 1, 3, 6};

    for (size_t i = 0; i < sizeof STRANGERS / sizeof *STRANGERS; i++)
        cr_assert_eq(members_find(&THREE, STRANGERS[i]), -1);
}

Test(member, the_checksum_is_over_the_ids_as_little_endian_numbers_and_nothing_else)
{
    struct members others = THREE;

    cr_assert_eq(members_checksum(&THREE), bytes_checksum("\2\0\0\0\5\0\0\0\xff\xff\xff\x7f", 12));
    cr_assert(address_parse("elsewhere:1", &others.list[1].peer));
    cr_assert_eq(members_checksum(&others), members_checksum(&THREE));
    others.list[1].id = 6;
    cr_assert_neq(members_checksum(&others), members_checksum(&THREE));
    others = THREE;
    others.count = 2;
    cr_assert_neq(members_checksum(&others), members_checksum(&THREE));
}

Test(member, addresses_are_names_ipv4_or_bracketed_ipv6_with_a_port)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
    } good[] = {
        {"localhost:7101", "localhost", 7101},
        {"node-1.example.org:1", "node-1.example.org", 1},
        {"127.0.0.1:65535", "127.0.0.1", 65535},
        {"[::1]:7101", "::1", 7101},
        {"[fe80::1%eth0]:7101", "fe80::1%eth0", 7101},
        {"[2001:db8::7]:80", "2001:db8::7", 80},
    };

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct address address;
        char text[ADDRESS_TEXT_MAX];

        cr_assert(address_parse(good[i].text, &address), "%s", good[i].text);
        cr_assert_str_eq(address.host, good[i].host);
        cr_assert_eq(address.port, good[i].port);
        cr_assert_str_eq(address_format(&address, text, sizeof text), good[i].text);
    }
}

Test(member, what_is_no_address_is_refused_and_leaves_the_old_one_as_it_was)
{
    static const char *const BAD[] = {
        "",           ":",         ":7101",       "localhost",    "localhost:",     "localhost:0",
        "a:65536",    "a:99999",   "a:123456",    "a:-1",         "a:+1",           "a: 1",
        "a:1 ",       "a:0x10",    "a b:1",       " a:1",         "a\n:1",          "::1:7101",
        "[::1]",      "[::1]7101", "[::1]:",      "[]:7101",      "[localhost]:1",  "[127.0.0.1]:1",
        "[::1:7101",  "::1]:7101", "[%eth0]:1",   "http://a:1",   "[::1]:7101]:1",  "a:1:2",
    };
    struct address address = {.host = "before", .port = 1};

    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        cr_assert_not(address_parse(BAD[i], &address), "\"%s\"", BAD[i]);
    cr_assert_str_eq(address.host, "before");
    cr_assert_eq(address.port, 1);
}

Test(member, a_host_that_does_not_fit_is_refused)
{
    char text[ADDRESS_HOST_MAX + 3];
    struct address address;

    memset(text, 'a', sizeof text);
    strcpy(text + ADDRESS_HOST_MAX - 1, ":1");
    cr_assert(address_parse(text, &address));
    text[ADDRESS_HOST_MAX - 1] = 'a';
    strcpy(text + ADDRESS_HOST_MAX, ":1");
    cr_assert_not(address_parse(text, &address));
}
