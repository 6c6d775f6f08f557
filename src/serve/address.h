/* address.h - what can be told of an address by looking at it. Names are not looked up: they may mean something else at
 * another time or on another machine. */
#ifndef SERVE_ADDRESS_H
#define SERVE_ADDRESS_H

#include <stdbool.h>

#include "base/member.h"

/* Whether two are the same, however they are written: an IPv6 address, an IPv4 address in IPv6, a name in capitals. */
bool address_same(const struct address *one, const struct address *other);

/* Whether no other machine can reach it: "localhost" and every address of the loopback interface. */
bool address_is_loopback(const struct address *address);

/* Whether it can be that of one machine: not 0.0.0.0 or ::, which mean all addresses of whoever uses them, and neither
 * multicast nor broadcast. */
bool address_is_one_machine(const struct address *address);

#endif
