#include "base/bytes.h"

#include <string.h>
#include <xxhash.h>

void bytes_put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

void bytes_put_u64(uint8_t *at, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

uint32_t bytes_get_u32(const uint8_t *at)
{
    uint32_t value = 0;

    for (int i = 0; i < 4; i++)
        value |= (uint32_t)at[i] << (8 * i);
    return value;
}

uint64_t bytes_get_u64(const uint8_t *at)
{
    uint64_t value = 0;

    for (int i = 0; i < 8; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

uint64_t bytes_checksum(const void *bytes, size_t size)
{
    return XXH3_64bits(bytes, size);
}

bool bytes_are_zero(const void *bytes, size_t size)
{
    const uint8_t *first = bytes;
    return size == 0 || (*first == 0 && memcmp(first, first + 1, size - 1) == 0);
}
