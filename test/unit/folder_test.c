#include "check.h"

#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "sim/sim.h"
#include "storage/folder.h"
#include "storage/segment.h"

#define PATH  "/var/mailraft/1"
#define LOG   PATH "/log/00000001.seg"
#define SEEDS 3

/* What one life on the machine does with the folder, and finds. */
struct life {
    struct identity owner;
    struct ballot saves;      /* term 0: nothing */
    struct cluster_uuid uuid; /* zeros: none is saved */

    bool good;
    struct mailraft_error err;
    bool made;
    struct identity found;
    struct ballot ballot;
};

static struct life life_of(raft_id id, const char *cluster)
{
    struct life life = {.owner.node_id = id};
    strcpy(life.owner.cluster_name, cluster);
    return life;
}

static bool has_uuid(const struct identity *identity)
{
    return !bytes_are_zero(&identity->cluster_uuid, sizeof identity->cluster_uuid);
}

static bool open_as(struct folder *folder, const struct identity *owner, int32_t pid, struct mailraft_error *err)
{
    struct folder_config config = {
        .path = PATH, .owner = *owner, .pid = pid, .segment_bytes = 16384, .entry_bytes_max = 1000};
    return folder_open(folder, &config, err);
}

static void live(void *context)
{
    struct life *life = context;
    struct folder *folder = memory_new(sizeof *folder);
    life->good = open_as(folder, &life->owner, 4711, &life->err);
    if (life->good) {
        life->made = folder->made;
        life->found = folder->identity;
        life->ballot = folder->ballot.ballot;
        if (life->saves.term > 0)
            life->good =
                ballot_save(&folder->ballot, life->saves, &life->err) && ballot_copy(&folder->ballot, &life->err);
        if (!bytes_are_zero(&life->uuid, sizeof life->uuid))
            life->good = life->good && folder_save_uuid(folder, &life->uuid, &life->err);
    }
    folder_close(folder);
    memory_free(folder);
}

static struct sim *machine(uint64_t seed)
{
    struct sim *sim = sim_new(seed);
    sim_add_machine(sim, 1);
    return sim;
}

static struct life run(struct sim *sim, struct life life)
{
    cr_assert(sim_run_on(sim, 1, live, &life));
    return life;
}

static struct life expect_opened(struct sim *sim)
{
    struct life life = run(sim, life_of(1, "orders"));
    cr_assert(life.good, "%s", life.err.message);
    cr_assert_eq(life.found.node_id, 1);
    cr_assert_str_eq(life.found.cluster_name, "orders");
    return life;
}

static void expect_refused(struct sim *sim, const struct mailraft_error_class *class, const char *message)
{
    struct life life = run(sim, life_of(1, "orders"));
    cr_assert_not(life.good);
    cr_assert_eq(life.err.class, class, "%s: %s", life.err.class->name, life.err.message);
    cr_assert_not_null(strstr(life.err.message, message), "%s", life.err.message);
}

static bool same_data_id(const struct life *left, const struct life *right)
{
    return data_id_equal(&left->found.data_id, &right->found.data_id);
}

/* ---- Making and opening ---- */

Test(folder, a_missing_folder_is_made_with_its_parents)
{
    struct sim *sim = machine(0);
    struct life life = expect_opened(sim);
    cr_assert(life.made);
    cr_assert_eq(life.ballot.term, 0);
    cr_assert_eq(life.ballot.voted_for, NO_ONE);
    cr_assert(sim_disk_exists(sim, 1, PATH "/identity"));
    cr_assert(sim_disk_exists(sim, 1, PATH "/ballot"));
    cr_assert(sim_disk_exists(sim, 1, PATH "/log"));
    cr_assert(sim_disk_exists(sim, 1, PATH "/snapshot"));
    cr_assert_not(sim_disk_exists(sim, 1, PATH "/identity.tmp"));
    cr_assert_not(sim_disk_exists(sim, 1, PATH "/ballot.tmp"));
    cr_assert_not(sim_disk_exists(sim, 1, LOG ".tmp"));
    sim_free(sim);
}

static struct segment_header header_of_log(struct sim *sim)
{
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    struct segment_header header;
    struct mailraft_error err;
    cr_assert_eq(sim_disk_read(sim, 1, LOG, 0, bytes, sizeof bytes), sizeof bytes);
    cr_assert(segment_header_decode(bytes, &header, &err), "%s", err.message);
    return header;
}

static bool log_is_of(struct sim *sim, const struct life *life)
{
    struct segment_header header = header_of_log(sim);
    return data_id_equal(&header.data_id, &life->found.data_id);
}

Test(folder, a_new_folder_has_the_logs_first_file_with_its_data_id)
{
    struct sim *sim = machine(0);
    struct life life = expect_opened(sim);
    struct segment_header header = header_of_log(sim);
    cr_assert(log_is_of(sim, &life));
    cr_assert_eq(header.number, 1);
    cr_assert_eq(header.size, 16384);
    sim_free(sim);
}

Test(folder, a_folder_keeps_its_data_id_and_its_ballot)
{
    struct sim *sim = machine(0);
    struct life saves = life_of(1, "orders");
    saves.saves = (struct ballot){.term = 9, .voted_for = 2};
    struct life first = run(sim, saves), second = expect_opened(sim);
    cr_assert(first.made);
    cr_assert_not(second.made);
    cr_assert(same_data_id(&first, &second));
    cr_assert_eq(second.ballot.term, 9);
    cr_assert_eq(second.ballot.voted_for, 2);
    sim_free(sim);
}

Test(folder, two_folders_have_different_data_ids)
{
    struct sim *one = machine(0);
    struct life first = expect_opened(one);
    sim_free(one);
    struct sim *other = machine(1);
    struct life second = expect_opened(other);
    sim_free(other);
    cr_assert_not(same_data_id(&first, &second));
}

static void make_folder(void *path)
{
    struct mailraft_error err;
    cr_assert(disk_make_folder(path, &err), "%s", err.message);
}

static void make_file(void *path)
{
    struct mailraft_error err;
    struct disk_file *file = disk_open(path, DISK_CREATE, &err);
    cr_assert_not_null(file, "%s", err.message);
    disk_close(file);
}

static void make(struct sim *sim, void (*maker)(void *), const char *path)
{
    char copy[100];
    cr_assert(sim_run_on(sim, 1, maker, strcpy(copy, path)));
}

Test(folder, an_empty_folder_is_made_ours_and_so_is_a_fresh_file_system)
{
    struct sim *sim = machine(0);
    make(sim, make_folder, PATH);
    make(sim, make_folder, PATH "/lost+found");
    cr_assert(expect_opened(sim).made);
    sim_free(sim);
}

/* ---- Whose it is ---- */

static void expect_other_refused(struct sim *sim, raft_id id, const char *cluster, const char *message)
{
    struct life life = run(sim, life_of(id, cluster));
    cr_assert_not(life.good);
    cr_assert(error_is(&life.err, &LOCKED_ERROR));
    cr_assert_str_eq(life.err.message, message);
}

Test(folder, another_node_or_cluster_is_refused)
{
    struct sim *sim = machine(0);
    struct life first = expect_opened(sim);
    expect_other_refused(sim, 2, "orders",
                         "data_dir " PATH
                         " belongs to node 1 of cluster \"orders\", not to node 2 of cluster \"orders\"");
    expect_other_refused(sim, 1, "order",
                         "data_dir " PATH
                         " belongs to node 1 of cluster \"orders\", not to node 1 of cluster \"order\"");
    struct life last = expect_opened(sim);
    cr_assert(same_data_id(&first, &last));
    sim_free(sim);
}

/* One process opens it twice: the second one is told the pid that the first one gave. */
static void live_twice(void *context)
{
    struct life *life = context;
    struct folder *folder = memory_new(sizeof *folder);
    cr_assert(open_as(folder, &life->owner, 123456, &life->err), "%s", life->err.message);
    folder_close(folder);
    cr_assert(open_as(folder, &life->owner, 4711, &life->err), "%s", life->err.message);
    live(life);
    folder_close(folder);
    folder_close(folder);
    memory_free(folder);
}

Test(folder, a_folder_in_use_is_refused_and_the_other_process_named)
{
    struct sim *sim = machine(0);
    struct life life = life_of(1, "orders");
    cr_assert(sim_run_on(sim, 1, live_twice, &life));
    cr_assert_not(life.good);
    cr_assert(error_is(&life.err, &LOCKED_ERROR));
    cr_assert_str_eq(life.err.message, "data_dir " PATH " is in use by process 4711");
    expect_opened(sim);
    sim_free(sim);
}

Test(folder, a_folder_with_the_files_of_others_is_left_alone)
{
    struct sim *sim = machine(0);
    make(sim, make_folder, PATH);
    make(sim, make_file, PATH "/photo.jpg");
    expect_refused(sim, &LOCKED_ERROR, "data_dir " PATH " holds photo.jpg and no identity");
    cr_assert_not(sim_disk_exists(sim, 1, PATH "/lock"));
    cr_assert_not(sim_disk_exists(sim, 1, PATH "/identity"));
    sim_free(sim);
}

Test(folder, beside_an_identity_other_files_are_the_operators_business)
{
    struct sim *sim = machine(0);
    expect_opened(sim);
    make(sim, make_file, PATH "/README");
    cr_assert_not(expect_opened(sim).made);
    sim_free(sim);
}

Test(folder, a_file_in_its_place_is_no_fault_of_the_disk)
{
    struct sim *sim = machine(0);
    make(sim, make_folder, "/var/mailraft");
    make(sim, make_file, PATH);
    expect_refused(sim, &LOCKED_ERROR, PATH);
    sim_free(sim);
}

/* ---- Damage ---- */

static struct sim *machine_in_term(raft_term term)
{
    struct sim *sim = machine(0);
    struct life life = life_of(1, "orders");
    life.saves = (struct ballot){.term = term, .voted_for = 1};
    cr_assert(run(sim, life).good);
    return sim;
}

Test(folder, a_ballot_that_is_missing_beside_an_identity_is_not_replaced)
{
    struct sim *sim = machine(0);
    expect_opened(sim);
    sim_disk_remove(sim, 1, PATH "/ballot");
    expect_refused(sim, &DAMAGED_ERROR, PATH "/ballot is missing beside an identity");
    cr_assert_not(sim_disk_exists(sim, 1, PATH "/ballot"));
    sim_free(sim);
}

Test(folder, a_ballot_that_is_damaged_in_both_slots_is_not_replaced)
{
    struct sim *sim = machine_in_term(5);
    sim_disk_flip(sim, 1, PATH "/ballot", 20);
    sim_disk_flip(sim, 1, PATH "/ballot", BALLOT_SLOT_BYTES + 20);
    expect_refused(sim, &DAMAGED_ERROR, PATH "/ballot is damaged");
    sim_disk_flip(sim, 1, PATH "/ballot", 20); /* nothing had been changed */
    cr_assert_eq(expect_opened(sim).ballot.term, 5);
    sim_free(sim);
}

Test(folder, a_damaged_identity_is_refused)
{
    struct sim *sim = machine(0);
    expect_opened(sim);
    sim_disk_flip(sim, 1, PATH "/identity", 17);
    expect_refused(sim, &DAMAGED_ERROR, PATH "/identity is damaged");
    sim_free(sim);
}

Test(folder, an_identity_that_is_missing_beside_a_used_ballot_is_not_replaced)
{
    struct sim *sim = machine_in_term(5);
    sim_disk_remove(sim, 1, PATH "/identity");
    expect_refused(sim, &DAMAGED_ERROR, "lost its identity: its ballot is of term 5");
    sim_disk_flip(sim, 1, PATH "/ballot", 20);
    sim_disk_flip(sim, 1, PATH "/ballot", BALLOT_SLOT_BYTES + 20);
    expect_refused(sim, &DAMAGED_ERROR, PATH "/ballot is damaged");
    cr_assert_not(sim_disk_exists(sim, 1, PATH "/identity"));
    sim_free(sim);
}

Test(folder, an_identity_that_is_missing_beside_a_log_is_not_replaced)
{
    struct sim *sim = machine(0);
    expect_opened(sim);
    sim_disk_remove(sim, 1, PATH "/identity");
    sim_disk_put(sim, 1, LOG, SEGMENT_DATA_OFFSET, "FRME", 4);
    expect_refused(sim, &DAMAGED_ERROR, "lost its identity: its folder log is in use");
    cr_assert_not(sim_disk_exists(sim, 1, PATH "/identity"));
    sim_free(sim);
}

Test(folder, an_identity_that_is_missing_beside_other_files_in_its_folders_is_not_replaced)
{
    static const char *const FILES[] = {PATH "/log/00000002.seg", PATH "/log/00000002.seg.tmp", PATH "/log/notes",
                                        PATH "/snapshot/1"};
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        struct sim *sim = machine(0);
        expect_opened(sim);
        sim_disk_remove(sim, 1, PATH "/identity");
        make(sim, make_file, FILES[i]);
        expect_refused(sim, &DAMAGED_ERROR, "lost its identity");
        cr_assert_not(sim_disk_exists(sim, 1, PATH "/identity"));
        sim_free(sim);
    }
}

Test(folder, a_folder_whose_making_broke_off_is_made_again)
{
    struct sim *sim = machine(0);
    struct life first = expect_opened(sim);
    sim_disk_remove(sim, 1, PATH "/identity");
    make(sim, make_file, PATH "/identity.tmp");
    make(sim, make_file, LOG ".tmp");
    struct life second = expect_opened(sim);
    cr_assert(second.made);
    cr_assert_not(same_data_id(&first, &second));
    cr_assert(log_is_of(sim, &second));
    cr_assert_not(sim_disk_exists(sim, 1, PATH "/identity.tmp"));
    cr_assert_not(sim_disk_exists(sim, 1, LOG ".tmp"));
    sim_free(sim);
}

/* ---- Crashes and failures ---- */

/* After a life that ended early the folder opens; and what that open found, the next one finds after a power cut. */
static void expect_whole(struct sim *sim, const char *what, uint64_t call)
{
    struct life first = run(sim, life_of(1, "orders"));
    cr_assert(first.good, "%s at call %d: %s", what, (int)call, first.err.message);
    sim_power_cut(sim, 1);
    struct life second = run(sim, life_of(1, "orders"));
    cr_assert(second.good, "%s at call %d, then a power cut: %s", what, (int)call, second.err.message);
    cr_assert_not(second.made);
    cr_assert(same_data_id(&first, &second));
    cr_assert(log_is_of(sim, &second));
}

/* Whether a life that opens the folder ends early, in that call: false where it makes fewer calls. */
static bool ends_early(struct sim *sim, uint64_t call, enum sim_end end)
{
    struct life life = life_of(1, "orders");
    sim_end_at_call(sim, 1, call, end);
    bool ended_early = !sim_run_on(sim, 1, live, &life);
    cr_assert(ended_early || life.good, "%s", life.err.message);
    return ended_early;
}

/* Two lives end early, one after the other: the second while it deals with what the first one left. A second call of
 * 0: there is but one. False where the last of them makes fewer calls. */
static bool survives_ends_at(uint64_t seed, uint64_t first_call, uint64_t second_call, enum sim_end end)
{
    struct sim *sim = machine(seed);
    bool ended_early = ends_early(sim, first_call, end);
    if (ended_early && second_call > 0)
        ended_early = ends_early(sim, second_call, end);
    if (ended_early)
        expect_whole(sim, end == SIM_POWER_CUT ? "power cut" : "process death", first_call);
    sim_free(sim);
    return ended_early;
}

Test(folder, a_crash_at_any_call_of_its_making_leaves_what_can_be_made_again, .timeout = 60)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++)
        for (int end = SIM_PROCESS_DEATH; end <= SIM_POWER_CUT; end++) {
            uint64_t calls = 0;
            while (survives_ends_at(seed, calls + 1, 0, (enum sim_end)end))
                calls++;
            cr_assert_geq(calls, 20);
        }
}

Test(folder, a_crash_while_it_is_made_again_does_no_harm_either, .timeout = 60)
{
    for (int end = SIM_PROCESS_DEATH; end <= SIM_POWER_CUT; end++)
        for (uint64_t first = 1; survives_ends_at(first, first, 0, (enum sim_end)end); first++) {
            uint64_t calls = 0;
            while (survives_ends_at(first, first, calls + 1, (enum sim_end)end))
                calls++;
            cr_assert_geq(calls, 10);
        }
}

static bool survives_end_while_opening(uint64_t seed, uint64_t call, enum sim_end end)
{
    struct sim *sim = machine(seed);
    struct life makes = life_of(1, "orders");
    makes.saves = (struct ballot){.term = 6, .voted_for = 3};
    struct life made = run(sim, makes);
    bool ended_early = ends_early(sim, call, end);
    if (ended_early) {
        struct life last = expect_opened(sim);
        cr_assert(same_data_id(&made, &last));
        cr_assert_eq(last.ballot.term, 6);
        cr_assert_eq(last.ballot.voted_for, 3);
    }
    sim_free(sim);
    return ended_early;
}

Test(folder, a_crash_at_any_call_of_its_opening_changes_nothing, .timeout = 60)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++)
        for (int end = SIM_PROCESS_DEATH; end <= SIM_POWER_CUT; end++) {
            uint64_t calls = 0;
            while (survives_end_while_opening(seed, calls + 1, (enum sim_end)end))
                calls++;
            cr_assert_geq(calls, 10);
        }
}

Test(folder, a_failed_sync_or_write_is_the_disks_fault_and_the_folder_is_made_again)
{
    struct sim *sim = machine(0);
    sim_disk_fail_sync(sim, 1);
    expect_refused(sim, &STORAGE_ERROR, "");
    sim_disk_fail_write(sim, 1, false);
    expect_refused(sim, &STORAGE_ERROR, "");
    sim_disk_fail_write(sim, 1, true);
    expect_refused(sim, &FULL_ERROR, "");
    expect_whole(sim, "failures", 0);
    sim_free(sim);
}

/* ---- The cluster's uuid ---- */

static const struct cluster_uuid UUID = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

Test(folder, the_clusters_uuid_is_durable_in_the_identity_and_all_else_there_stays)
{
    struct sim *sim = machine(0);
    struct life saves = life_of(1, "orders");
    saves.uuid = UUID;
    struct life first = run(sim, saves);
    cr_assert(first.good, "%s", first.err.message);
    cr_assert_not(has_uuid(&first.found));
    cr_assert_not(sim_disk_exists(sim, 1, PATH "/identity.tmp"));
    sim_power_cut(sim, 1);
    struct life second = expect_opened(sim);
    cr_assert_arr_eq(&second.found.cluster_uuid, &UUID, sizeof UUID);
    cr_assert(same_data_id(&first, &second));
    sim_free(sim);
}

Test(folder, a_new_folder_knows_no_uuid_whoever_asks_for_it)
{
    struct sim *sim = machine(0);
    struct life life = life_of(1, "orders");
    life.owner.cluster_uuid = UUID;
    life = run(sim, life);
    cr_assert(life.good, "%s", life.err.message);
    cr_assert_not(has_uuid(&life.found));
    sim_free(sim);
}

/* The identity is the old or the new one. False where the life makes fewer calls. */
static bool survives_end_while_saving_uuid(uint64_t call, enum sim_end end)
{
    struct sim *sim = machine(call);
    struct life before = expect_opened(sim), saves = life_of(1, "orders");
    saves.uuid = UUID;
    sim_end_at_call(sim, 1, call, end);
    bool ended_early = !sim_run_on(sim, 1, live, &saves);
    cr_assert(ended_early || saves.good, "%s", saves.err.message);
    if (ended_early) {
        struct life after = expect_opened(sim);
        cr_assert(same_data_id(&before, &after));
        if (has_uuid(&after.found))
            cr_assert_arr_eq(&after.found.cluster_uuid, &UUID, sizeof UUID);
    }
    sim_free(sim);
    return ended_early;
}

Test(folder, a_crash_at_any_call_of_saving_the_uuid_leaves_an_identity)
{
    for (int end = SIM_PROCESS_DEATH; end <= SIM_POWER_CUT; end++) {
        uint64_t calls = 0;
        while (survives_end_while_saving_uuid(calls + 1, (enum sim_end)end))
            calls++;
        cr_assert_geq(calls, 20);
    }
}
