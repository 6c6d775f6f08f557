/* bytes.h - numbers as bytes, little-endian, and the checksum over bytes (XXH3-64). All that goes over the wire or
 * to the disk is written with these. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void bytes_put_u32(uint8_t *at, uint32_t value);
void bytes_put_u64(uint8_t *at, uint64_t value);
uint32_t bytes_get_u32(const uint8_t *at);
uint64_t bytes_get_u64(const uint8_t *at);
uint64_t bytes_checksum(const void *bytes, size_t size);
bool bytes_are_zero(const void *bytes, size_t size);

#endif
