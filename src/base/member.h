/* member.h - a cluster: its name, who belongs to it and where they are reached, as a config gives them. */
#ifndef BASE_MEMBER_H
#define BASE_MEMBER_H

#include "base/message.h"

#define CLUSTER_NAME_MAX 65 /* bytes, the final zero included */

#define ADDRESS_HOST_MAX 256 /* bytes, the final zero included */

struct address { /* a host name, an IPv4 or an IPv6 address (without brackets); host "" and port 0: none */
    char host[ADDRESS_HOST_MAX];
    uint16_t port;
};

struct member {
    raft_id id;
    struct address peer, client, admin; /* as others reach them; client and admin may be none */
};

struct members {
    int count;                          /* 1 to MEMBERS_MAX */
    struct member list[MEMBERS_MAX];    /* sorted by id, ids distinct */
};

/* The position of an id in the list; -1 for one that is no member. */
int members_find(const struct members *members, raft_id id);

/* XXH3-64 over the sorted ids, as each hello tells it. */
uint64_t members_checksum(const struct members *members);

/* Parses "host:port" or "[ipv6]:port"; false where it is neither (port 1 to 65535, host not empty, no spaces). */
bool address_parse(const char *text, struct address *address);

/* "host:port", with brackets round an IPv6 address. Returns text. */
#define ADDRESS_TEXT_MAX (ADDRESS_HOST_MAX + 10)
const char *address_format(const struct address *address, char *text, size_t size);

#endif
