/* replies.h - whether bytes are replies as a client may get them: RESP2 and RESP3, as far as this server speaks it. */
#ifndef FUZZ_REPLIES_H
#define FUZZ_REPLIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many whole replies the bytes are; -1: they are not replies, or end within one. */
long replies_count(const uint8_t *bytes, size_t size);

#endif
