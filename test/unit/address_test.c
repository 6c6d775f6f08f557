#include "serve/address.h"

#include "check.h"

static struct address address(const char *text)
{
    struct address parsed;
    cr_assert(address_parse(text, &parsed), "%s", text);
    return parsed;
}

static bool same(const char *one, const char *other)
{
    struct address a = address(one), b = address(other);
    cr_assert_eq(address_same(&a, &b), address_same(&b, &a));
    return address_same(&a, &b);
}

static bool loopback(const char *text)
{
    struct address parsed = address(text);
    return address_is_loopback(&parsed);
}

Test(address, the_same_address_written_in_two_ways_is_the_same)
{
    cr_assert(same("127.0.0.1:1", "127.0.0.1:1"));
    cr_assert(same("[::1]:1", "[0:0::0:1]:1"));
    cr_assert(same("[2001:DB8::1]:1", "[2001:db8::1]:1"));
    cr_assert(same("127.0.0.1:1", "[::ffff:127.0.0.1]:1"));
    cr_assert(same("Host.example:1", "host.EXAMPLE:1"));
}

Test(address, another_host_or_port_is_another_address)
{
    cr_assert_not(same("127.0.0.1:1", "127.0.0.1:2"));
    cr_assert_not(same("127.0.0.1:1", "127.0.0.2:1"));
    cr_assert_not(same("[::1]:1", "[::2]:1"));
    cr_assert_not(same("127.0.0.1:1", "[::1]:1"));
    cr_assert_not(same("a.example:1", "b.example:1"));
    cr_assert_not(same("localhost:1", "127.0.0.1:1")); /* as far as can be told without looking it up */
}

Test(address, the_loopback_interface_has_many_addresses_and_one_name)
{
    cr_assert(loopback("127.0.0.1:1"));
    cr_assert(loopback("127.255.0.9:1"));
    cr_assert(loopback("[::1]:1"));
    cr_assert(loopback("[::ffff:127.0.0.1]:1"));
    cr_assert(loopback("LocalHost:1"));
}

static bool one_machine(const char *text)
{
    struct address parsed = address(text);
    return address_is_one_machine(&parsed);
}

Test(address, what_means_many_machines_or_whichever_one_it_is_used_on_is_told_from_one_machine)
{
    cr_assert_not(one_machine("0.0.0.0:1"));
    cr_assert_not(one_machine("[::]:1"));
    cr_assert_not(one_machine("[::ffff:0.0.0.0]:1"));
    cr_assert_not(one_machine("224.0.0.1:1"));
    cr_assert_not(one_machine("239.255.255.255:1"));
    cr_assert_not(one_machine("[ff02::1]:1"));
    cr_assert_not(one_machine("255.255.255.255:1"));
    cr_assert(one_machine("10.0.0.0:1"));
    cr_assert(one_machine("223.255.255.255:1"));
    cr_assert(one_machine("[2001:db8::1]:1"));
    cr_assert(one_machine("[::1]:1"));
    cr_assert(one_machine("0.example:1"));
}

Test(address, all_else_may_be_reached_from_outside)
{
    cr_assert_not(loopback("0.0.0.0:1"));
    cr_assert_not(loopback("[::]:1"));
    cr_assert_not(loopback("10.0.0.1:1"));
    cr_assert_not(loopback("[::ffff:10.0.0.1]:1"));
    cr_assert_not(loopback("localhost.example:1"));
}
