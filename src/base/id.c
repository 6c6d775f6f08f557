#include "base/id.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

bool data_id_is_none(const struct data_id *id)
{
    return bytes_are_zero(id->bytes, sizeof id->bytes);
}

bool data_id_equal(const struct data_id *left, const struct data_id *right)
{
    return memcmp(left->bytes, right->bytes, sizeof left->bytes) == 0;
}

bool cluster_uuid_is_none(const struct cluster_uuid *uuid)
{
    return bytes_are_zero(uuid->bytes, sizeof uuid->bytes);
}

bool cluster_uuid_fits(const struct cluster_uuid *left, const struct cluster_uuid *right)
{
    return cluster_uuid_is_none(left) || cluster_uuid_is_none(right) ||
           memcmp(left->bytes, right->bytes, sizeof left->bytes) == 0;
}

const char *id_format(const uint8_t bytes[16], char *text)
{
    for (int i = 0; i < 16; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    return text;
}
