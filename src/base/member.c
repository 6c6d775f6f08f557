#include "base/member.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

int members_find(const struct members *members, raft_id id)
{
    for (int i = 0; i < members->count; i++)
        if (members->list[i].id == id)
            return i;
    return -1;
}

uint64_t members_checksum(const struct members *members)
{
    uint8_t ids[MEMBERS_MAX * 4];

    for (int i = 0; i < members->count; i++)
        bytes_put_u32(ids + 4 * i, (uint32_t)members->list[i].id);
    return bytes_checksum(ids, 4 * (size_t)members->count);
}

/* Digits alone: strtoul would also take signs and spaces. */
static bool port_parse(const char *text, uint16_t *port)
{
    size_t length = strlen(text);
    unsigned long value;

    if (length == 0 || length > 5 || strspn(text, "0123456789") != length)
        return false;
    value = strtoul(text, NULL, 10);
    if (value < 1 || value > UINT16_MAX)
        return false;
    *port = (uint16_t)value;
    return true;
}

/* An IPv6 address, perhaps with a zone ("fe80::1%eth0"). */
static bool host_is_ipv6(const char *host)
{
    char address[ADDRESS_HOST_MAX];
    struct in6_addr parsed;
    size_t length = strcspn(host, "%");

    memcpy(address, host, length);
    address[length] = '\0';
    return inet_pton(AF_INET6, address, &parsed) == 1;
}

/* A name or an IPv4 address. Whether a name resolves, only the network can tell. */
static bool host_is_name(const char *host)
{
    for (const char *at = host; *at != '\0'; at++)
        if (!isalnum((unsigned char)*at) && strchr("-._", *at) == NULL)
            return false;
    return *host != '\0';
}

bool address_parse(const char *text, struct address *address)
{
    struct address parsed = {.port = 0};
    bool bracket = text[0] == '[';
    const char *host = bracket ? text + 1 : text;
    const char *end = bracket ? strstr(host, "]:") : strrchr(host, ':');

    if (end == NULL || (size_t)(end - host) >= sizeof parsed.host)
        return false;
    memcpy(parsed.host, host, (size_t)(end - host));
    if (bracket ? !host_is_ipv6(parsed.host) : !host_is_name(parsed.host))
        return false;
    if (!port_parse(bracket ? end + 2 : end + 1, &parsed.port))
        return false;
    *address = parsed;
    return true;
}

const char *address_format(const struct address *address, char *text, size_t size)
{
    bool bracket = strchr(address->host, ':') != NULL;

    snprintf(text, size, bracket ? "[%s]:%u" : "%s:%u", address->host, (unsigned)address->port);
    return text;
}
