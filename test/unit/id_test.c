#include "check.h"

#include "base/id.h"

Test(id, ids_are_none_when_they_are_all_zeros)
{
    struct data_id id = {{0}};
    struct cluster_uuid uuid = {{0}};
    cr_assert(data_id_is_none(&id));
    cr_assert(cluster_uuid_is_none(&uuid));
    id.bytes[DATA_ID_SIZE - 1] = 1;
    uuid.bytes[CLUSTER_UUID_SIZE - 1] = 1;
    cr_assert_not(data_id_is_none(&id));
    cr_assert_not(cluster_uuid_is_none(&uuid));
}

Test(id, data_ids_are_equal_when_all_their_bytes_are)
{
    struct data_id id = {{1, 2, 3}}, other = id;
    cr_assert(data_id_equal(&id, &other));
    for (int i = 0; i < DATA_ID_SIZE; i++) {
        other.bytes[i]++;
        cr_assert_not(data_id_equal(&id, &other), "%d", i);
        other.bytes[i]--;
    }
}

Test(id, clusters_fit_where_their_uuids_are_equal_or_one_has_none)
{
    struct cluster_uuid none = {{0}}, one = {{1}}, other = {{1, 0, 0, 1}};
    cr_assert(cluster_uuid_fits(&one, &one));
    cr_assert(cluster_uuid_fits(&one, &none));
    cr_assert(cluster_uuid_fits(&none, &one));
    cr_assert(cluster_uuid_fits(&none, &none));
    cr_assert_not(cluster_uuid_fits(&one, &other));
}

Test(id, ids_are_told_as_hexadecimal_digits)
{
    char text[ID_TEXT_MAX];
    uint8_t id[16] = {0x00, 0x01, 0xfe};
    cr_assert_str_eq(id_format(id, text), "0001fe00000000000000000000000000");
}
