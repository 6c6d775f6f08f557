#include "serve/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

/* The bytes of an IPv4 or IPv6 address, IPv4 as IPv6 tells it; false for a name. */
static bool address_bytes(const struct address *address, struct in6_addr *bytes)
{
    struct in_addr four;
    if (inet_pton(AF_INET, address->host, &four) != 1)
        return inet_pton(AF_INET6, address->host, bytes) == 1;
    memset(bytes, 0, sizeof(*bytes));
    bytes->s6_addr[10] = 0xff;
    bytes->s6_addr[11] = 0xff;
    memcpy(&bytes->s6_addr[12], &four, sizeof(four));
    return true;
}

bool address_same(const struct address *one, const struct address *other)
{
    if (one->port != other->port)
        return false;
    struct in6_addr one_bytes, other_bytes;
    if (address_bytes(one, &one_bytes) && address_bytes(other, &other_bytes))
        return memcmp(&one_bytes, &other_bytes, sizeof(one_bytes)) == 0;
    return strcasecmp(one->host, other->host) == 0;
}

bool address_is_loopback(const struct address *address)
{
    struct in6_addr bytes;
    if (!address_bytes(address, &bytes))
        return strcasecmp(address->host, "localhost") == 0;
    return IN6_IS_ADDR_LOOPBACK(&bytes) || (IN6_IS_ADDR_V4MAPPED(&bytes) && bytes.s6_addr[12] == 127);
}

bool address_is_one_machine(const struct address *address)
{
    struct in6_addr bytes;
    if (!address_bytes(address, &bytes))
        return true;
    if (!IN6_IS_ADDR_V4MAPPED(&bytes))
        return !IN6_IS_ADDR_UNSPECIFIED(&bytes) && !IN6_IS_ADDR_MULTICAST(&bytes);
    in_addr_t four;
    memcpy(&four, &bytes.s6_addr[12], sizeof(four));
    four = ntohl(four);
    return four != INADDR_ANY && four != INADDR_BROADCAST && !IN_MULTICAST(four);
}
