#include "check.h"

#include <string.h>

#include "base/bytes.h"
#include "sim/sim.h"
#include "storage/identity.h"

#define PATH  "/identity"
#define BYTES 120

/* What one life on the machine does with the file, and finds. */
struct life {
    const struct identity *writes; /* NULL: it reads */
    bool good;
    struct identity found;
    struct mailraft_error err;
};

static void live(void *context)
{
    struct life *life = context;
    life->good = life->writes != NULL ? identity_write(PATH, life->writes, &life->err)
                                      : identity_read(PATH, &life->found, &life->err);
}

static const struct identity OURS = {
    .node_id = 0x12345678,
    .cluster_name = "orders",
    .data_id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}},
    .cluster_uuid = {{21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36}},
};

static struct sim *machine_with(const struct identity *identity)
{
    struct sim *sim = sim_new(0);
    struct life life = {.writes = identity};
    sim_add_machine(sim, 1);
    cr_assert(sim_run_on(sim, 1, live, &life));
    cr_assert(life.good, "%s", life.err.message);
    return sim;
}

static struct life look(struct sim *sim)
{
    struct life life = {0};
    cr_assert(sim_run_on(sim, 1, live, &life));
    return life;
}

static void expect_damaged(struct sim *sim, const char *message)
{
    struct life life = look(sim);
    cr_assert_not(life.good);
    cr_assert(error_is(&life.err, &DAMAGED_ERROR));
    cr_assert_not_null(strstr(life.err.message, PATH));
    cr_assert_not_null(strstr(life.err.message, message), "%s", life.err.message);
}

Test(identity, what_is_written_is_read_again)
{
    struct sim *sim = machine_with(&OURS);
    struct life life = look(sim);
    cr_assert(life.good, "%s", life.err.message);
    cr_assert_eq(life.found.node_id, OURS.node_id);
    cr_assert_str_eq(life.found.cluster_name, OURS.cluster_name);
    cr_assert_arr_eq(life.found.data_id.bytes, OURS.data_id.bytes, DATA_ID_SIZE);
    cr_assert_arr_eq(life.found.cluster_uuid.bytes, OURS.cluster_uuid.bytes, CLUSTER_UUID_SIZE);
    sim_free(sim);
}

Test(identity, it_has_the_bytes_that_the_header_tells)
{
    static const uint8_t HEAD[54] = {
        'I',  'D',  'N',  'T',  1,   0,   0,  0,                                  /* magic, version */
        0x78, 0x56, 0x34, 0x12, 6,   0,   0,  0,                                  /* node id, length of the name */
        1,    2,    3,    4,    5,   6,   7,  8,  9,  10, 11, 12, 13, 14, 15, 16, /* data id */
        21,   22,   23,   24,   25,  26,  27, 28, 29, 30, 31, 32, 33, 34, 35, 36, /* cluster's uuid */
        'o',  'r',  'd',  'e',  'r', 's',
    };
    struct sim *sim = machine_with(&OURS);
    uint8_t bytes[BYTES + 1];
    cr_assert_eq(sim_disk_read(sim, 1, PATH, 0, bytes, sizeof bytes), BYTES);
    cr_assert_arr_eq(bytes, HEAD, sizeof HEAD);
    cr_assert_eq(bytes_get_u64(bytes + 112), bytes_checksum(bytes, 112));
    sim_free(sim);
}

Test(identity, a_name_may_have_64_bytes)
{
    struct identity longest = OURS;
    memset(longest.cluster_name, 'x', 64);
    struct sim *sim = machine_with(&longest);
    struct life life = look(sim);
    cr_assert(life.good, "%s", life.err.message);
    cr_assert_str_eq(life.found.cluster_name, longest.cluster_name);
    sim_free(sim);
}

Test(identity, a_damaged_byte_anywhere_is_noticed)
{
    struct sim *sim = machine_with(&OURS);
    for (uint64_t offset = 0; offset < BYTES; offset++) {
        sim_disk_flip(sim, 1, PATH, offset);
        expect_damaged(sim, "is damaged");
        sim_disk_flip(sim, 1, PATH, offset);
    }
    cr_assert(look(sim).good);
    sim_free(sim);
}

/* Changes bytes of the file, and its checksum with them. */
static void forge(struct sim *sim, uint64_t offset, const void *change, size_t size)
{
    uint8_t bytes[BYTES];
    sim_disk_put(sim, 1, PATH, offset, change, size);
    cr_assert_eq(sim_disk_read(sim, 1, PATH, 0, bytes, sizeof bytes), BYTES);
    bytes_put_u64(bytes + BYTES - 8, bytes_checksum(bytes, BYTES - 8));
    sim_disk_put(sim, 1, PATH, 0, bytes, sizeof bytes);
}

Test(identity, what_cannot_have_been_written_is_damaged_though_its_checksum_fits)
{
    static const struct {
        uint64_t offset;
        size_t size;
        uint8_t change[4];
    } CASES[] = {
        {4, 4, {0}},                  /* a version before the first */
        {8, 4, {0}},                  /* nobody's */
        {8, 4, {0, 0, 0, 0x80}},      /* an id that no node has */
        {12, 4, {65}},                /* a name longer than it may be */
        {50, 1, {0}},                 /* one that ends within itself */
        {48 + 6, 1, {'x'}},           /* or goes on behind its end */
        {48 + 63, 1, {'x'}},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct sim *sim = machine_with(&OURS);
        forge(sim, CASES[i].offset, CASES[i].change, CASES[i].size);
        expect_damaged(sim, "is damaged");
        sim_free(sim);
    }
}

static void resize(void *context)
{
    const uint64_t *size = context;
    struct mailraft_error err;
    struct disk_file *file = disk_open(PATH, DISK_OPEN, &err);
    cr_assert_not_null(file);
    cr_assert(disk_truncate(file, *size, &err));
    disk_close(file);
}

Test(identity, a_file_of_another_size_is_damaged)
{
    static const uint64_t SIZES[] = {0, 4, 15, 16, BYTES - 1, BYTES + 1, 4096, 10000};
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        struct sim *sim = machine_with(&OURS);
        uint64_t size = SIZES[i];
        cr_assert(sim_run_on(sim, 1, resize, &size));
        expect_damaged(sim, "is damaged");
        sim_free(sim);
    }
}

Test(identity, a_newer_version_is_refused_and_not_taken_for_damage)
{
    struct sim *sim = machine_with(&OURS);
    uint8_t bytes[200] = {'I', 'D', 'N', 'T', 2};
    bytes_put_u64(bytes + 192, bytes_checksum(bytes, 192));
    sim_disk_put(sim, 1, PATH, 0, bytes, sizeof bytes);
    expect_damaged(sim, "newer mailraft");
    sim_free(sim);
}
