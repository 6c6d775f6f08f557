/* id.h - the random ids by which a data folder and a cluster are known for good, whatever their names and places.
 *
 * Each is a type of its own, so that one is never taken for the other; all zeros: none. */
#ifndef BASE_ID_H
#define BASE_ID_H

#include <stdbool.h>
#include <stdint.h>

#define DATA_ID_SIZE      16
#define CLUSTER_UUID_SIZE 16

struct data_id { /* made with a data folder */
    uint8_t bytes[DATA_ID_SIZE];
};

struct cluster_uuid { /* made when a cluster is born */
    uint8_t bytes[CLUSTER_UUID_SIZE];
};

bool data_id_is_none(const struct data_id *id);
bool data_id_equal(const struct data_id *left, const struct data_id *right);

bool cluster_uuid_is_none(const struct cluster_uuid *uuid);

/* Whether both may be of one cluster: they are equal, or one is none, since not every member has heard of the birth. */
bool cluster_uuid_fits(const struct cluster_uuid *left, const struct cluster_uuid *right);

/* As 32 hexadecimal digits. Returns text. */
#define ID_TEXT_MAX 33
const char *id_format(const uint8_t bytes[16], char *text);

#endif
