/* The replicated log of real processes: counterd (cluster/counterd.c), whose counter shows what was applied and in
 * which order. Where much data is moved the deadlines are longer, and with a sanitizer there is less of it. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "cluster/cluster.h"
#include "storage/segment.h"

#define LONG_WAIT_MS 180000

#if defined(CHECK_PLAIN_RUNNER) || defined(CHECK_LEAKS)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* ---- Asking nodes ---- */

/* Whether each node that runs has said so much of this. */
static bool all_have_said(struct cluster *cluster, void *context)
{
    for (int id = 1; id <= cluster->count; id++) {
        const struct process *process = &cluster_node(cluster, id)->process;
        if (process->pid != 0 &&
            (process->printed[0].text == NULL || strstr(process->printed[0].text, context) == NULL))
            return false;
    }
    return true;
}

/* Nothing is proposed before the cluster is born. Returns the leader. */
static int await_birth(struct cluster *cluster)
{
    char born[] = " The cluster is born ";
    cluster_wait(cluster, "birth", all_have_said, born);
    return cluster_settle(cluster);
}

/* Three nodes that know each other. */
static struct cluster *start(const char *settings)
{
    struct cluster *cluster = cluster_new(3, settings);
    char known[] = " members=3 known=3";
    cluster->program = "COUNTERD";
    for (int id = 1; id <= 3; id++)
        cluster_start_node(cluster, id, NULL);
    await_birth(cluster);
    cluster_wait(cluster, "the data ids of all", all_have_said, known);
    return cluster;
}

/* Writes a line to a node, and returns the number by which the answer will be known. */
static uint64_t ask(struct cluster *cluster, int id, const char *line)
{
    struct node *node = cluster_node(cluster, id);
    process_write(&node->process, line);
    process_write(&node->process, "\n");
    return ++node->asked;
}

/* Waits for the line of the log that answers a question: "Reply line=7 ". */
static const char *await_answer(struct cluster *cluster, int id, const char *event, uint64_t number)
{
    char text[60];
    snprintf(text, sizeof(text), " %s line=%llu ", event, (unsigned long long)number);
    return cluster_expect(cluster, id, text);
}

static const char *ask_and_await(struct cluster *cluster, int id, const char *line)
{
    return await_answer(cluster, id, "Reply", ask(cluster, id, line));
}

struct request {
    const char *line;
    const char *reply;
};

static bool leader_takes(struct cluster *cluster, void *context)
{
    struct request *request = context;
    if (cluster_node(cluster, cluster->leader)->process.pid == 0)
        return false;
    request->reply = ask_and_await(cluster, cluster->leader, request->line);
    return strstr(request->reply, " outcome=NOT_EXECUTED ") == NULL;
}

/* Asks whoever leads until it takes the line: a new leader does not before it has committed an entry of its own. */
static const char *ask_leader(struct cluster *cluster, const char *line)
{
    struct request request = {.line = line};
    cluster_settle(cluster);
    cluster_wait(cluster, "a leader that takes proposals", leader_takes, &request);
    return request.reply;
}

static void assert_says(const char *line, const char *text)
{
    cr_assert(strstr(line, text) != NULL, "no \"%s\" in: %s", text, line);
}

/* Adds to the counter and returns the entry's index. value: of the counter then. */
static uint64_t add(struct cluster *cluster, int number, int value)
{
    char line[40], bytes[40];
    snprintf(line, sizeof(line), "add %d", number);
    snprintf(bytes, sizeof(bytes), " bytes=\"%d\"", value);
    const char *reply = ask_leader(cluster, line);
    assert_says(reply, " outcome=APPLIED ");
    assert_says(reply, bytes);
    return line_number(reply, "index");
}

/* Proposes a line many times, and waits until all of them have been applied. */
static void add_many(struct cluster *cluster, int id, int times, const char *line)
{
    char text[200], applied[40];
    snprintf(text, sizeof(text), "times %d %s", times, line);
    snprintf(applied, sizeof(applied), " applied=%d ", times);
    assert_says(await_answer(cluster, id, "Replies", ask(cluster, id, text)), applied);
}

struct standing {
    uint64_t index;
    long long value;
    char hash[17];
};

static struct standing show(struct cluster *cluster, int id)
{
    struct standing standing;
    const char *line = await_answer(cluster, id, "Counter", ask(cluster, id, "show"));
    standing.index = line_number(line, "index");
    cr_assert_eq(sscanf(strstr(line, " value="), " value=%lld hash=%16s", &standing.value, standing.hash), 2);
    return standing;
}

static bool is_up(struct cluster *cluster, int id)
{
    return cluster_node(cluster, id)->process.pid != 0 && !cluster_node(cluster, id)->paused;
}

/* Whether all that are up have applied equally much and have this value; those that have must have applied the same. */
static bool agree(struct cluster *cluster, void *context)
{
    struct standing first = {.index = 0};
    for (int id = 1; id <= cluster->count; id++) {
        if (!is_up(cluster, id))
            continue;
        struct standing standing = show(cluster, id);
        if (standing.value != *(long long *)context || (first.index != 0 && standing.index != first.index))
            return false;
        cr_assert(first.index == 0 || strcmp(first.hash, standing.hash) == 0,
                  "node %d has applied other entries up to %llu than another", id, (unsigned long long)standing.index);
        first = standing;
    }
    return true;
}

static void await_agreement(struct cluster *cluster, long long value)
{
    cluster_wait(cluster, "the same counter on all nodes", agree, &value);
}

/* ---- What is proposed ---- */

Test(log, lines_proposed_at_the_leader_are_applied_on_all_nodes_in_the_same_order)
{
    struct cluster *cluster = start(STEADY);
    uint64_t before = 0;
    int value = 0;
    for (int i = 1; i <= 50; i++) {
        uint64_t index = add(cluster, i, value += i);
        cr_assert_gt(index, before);
        before = index;
    }
    await_agreement(cluster, value);
    cluster_free(cluster);
}

Test(log, many_lines_at_once_are_answered_in_order_each_once)
{
    struct cluster *cluster = start(STEADY);
    int leader = cluster_settle(cluster);
    for (int i = 1; i <= 1000; i++)
        ask(cluster, leader, "add 1");
    for (int i = 1; i <= 1000; i++) {
        char bytes[40];
        snprintf(bytes, sizeof(bytes), " bytes=\"%d\"", i);
        assert_says(await_answer(cluster, leader, "Reply", (uint64_t)i), bytes);
    }
    await_agreement(cluster, 1000);
    cluster_free(cluster);
}

Test(log, what_the_machine_refuses_is_logged_nowhere)
{
    struct cluster *cluster = start(STEADY);
    add(cluster, 5, 5);
    const char *reply = ask_leader(cluster, "multiply 7");
    assert_says(reply, " outcome=REFUSED index=0 ");
    assert_says(reply, " bytes=\"ERR ");
    add(cluster, 5, 10);
    await_agreement(cluster, 10);
    cluster_free(cluster);
}

Test(log, a_follower_executes_nothing_and_says_who_leads)
{
    struct cluster *cluster = start(STEADY);
    int leader = cluster_settle(cluster);
    char expected[80];
    add(cluster, 5, 5);
    snprintf(expected, sizeof(expected), " outcome=NOT_EXECUTED index=0 leader=%d bytes=\"\"", leader);
    assert_says(ask_and_await(cluster, leader % 3 + 1, "add 1"), expected);
    add(cluster, 5, 10);
    await_agreement(cluster, 10);
    cluster_free(cluster);
}

/* ---- What survives ---- */

Test(log, what_was_answered_survives_the_death_of_each_node)
{
    struct cluster *cluster = start(STEADY);
    int value = 0;
    for (int id = 1; id <= 3; id++) {
        int leader = cluster_settle(cluster);
        add(cluster, 1, ++value);
        uint64_t term = cluster->leader_term;
        cluster_kill(cluster, id);
        if (id == leader)
            cluster_later_leader(cluster, term);
        add(cluster, 1, ++value);
        cluster_start_node(cluster, id, NULL);
        cluster_settle(cluster);
        await_agreement(cluster, value);
    }
    cluster_free(cluster);
}

/* Kills all of them while proposals are on their way. */
Test(log, what_was_answered_survives_the_death_of_all_nodes_at_once)
{
    struct cluster *cluster = start(STEADY);
    int leader = cluster_settle(cluster);
    int asked = 0;
    long long value = 0;
    for (int round = 1; round <= 3; round++) {
        uint64_t answered = ask(cluster, leader, "add 1") + 299;
        for (int i = 1; i < 2000; i++)
            ask(cluster, leader, "add 1");
        asked += 2000;
        await_answer(cluster, leader, "Reply", answered);
        for (int id = 1; id <= 3; id++)
            process_signal(&cluster_node(cluster, id)->process, SIGKILL);
        for (int id = 1; id <= 3; id++)
            cr_assert_eq(cluster_await_end(cluster, id), 128 + SIGKILL);
        uint64_t term = cluster->leader_term;
        value += 300;
        for (int id = 1; id <= 3; id++)
            cluster_start_node(cluster, id, NULL);
        cluster_later_leader(cluster, term);
        const char *reply = ask_leader(cluster, "get");
        assert_says(reply, " outcome=APPLIED ");
        long long found = atoll(strstr(reply, " bytes=\"") + strlen(" bytes=\""));
        cr_assert(found >= value && found <= asked, "%lld of %d were added, and at least %lld answered", found, asked,
                  value);
        value = found;
        await_agreement(cluster, value);
        leader = cluster_settle(cluster);
    }
    cluster_free(cluster);
}

/* ---- Much data ---- */

#define SMALL_CACHE ",\"log_cache_bytes\":262144,\"segment_bytes\":4194304"
#define MISSED      (SANITIZED ? 10000 : 100000)
#define HWM_KIB_MAX 16384
/* 100 bytes an entry: all that are missed take more memory than a node may have. */
#define LONG_ADD "add 0000000000000000000000000000000000000000000000000000001"

/* The most memory that a node has had, KiB. */
static long memory_high_water(struct cluster *cluster, int id)
{
    char path[40], line[200];
    long kib = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)cluster_node(cluster, id)->process.pid);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    while (kib == 0 && fgets(line, sizeof(line), file) != NULL)
        sscanf(line, "VmHWM: %ld", &kib);
    fclose(file);
    cr_assert_gt(kib, 0);
    return kib;
}

static void assert_small(struct cluster *cluster, int id)
{
    long kib = memory_high_water(cluster, id);
    cr_log_info("node %d had at most %ld KiB", id, kib);
    cr_assert(SANITIZED || kib < HWM_KIB_MAX, "node %d took %ld KiB", id, kib);
}

Test(log, a_follower_that_missed_very_much_catches_up_in_little_memory_and_disturbs_nobody)
{
    struct cluster *cluster = start(STEADY SMALL_CACHE);
    cluster->wait_ms = LONG_WAIT_MS;
    int leader = cluster_settle(cluster);
    uint64_t term = cluster->leader_term;
    int missing = leader % 3 + 1, other = missing % 3 + 1;
    cluster_kill(cluster, missing);
    add_many(cluster, leader, MISSED, LONG_ADD);
    cluster_start_node(cluster, missing, NULL);
    cr_assert_eq(cluster_settle(cluster), leader);
    await_agreement(cluster, MISSED);
    add(cluster, 1, MISSED + 1);
    await_agreement(cluster, MISSED + 1);
    cr_assert_eq(cluster->leader_term, term);
    cluster_assert_never(cluster, other, "cause=\"election timeout, leader");
    for (int id = 1; id <= 3; id++)
        assert_small(cluster, id);
    cluster_free(cluster);
}

#define MANY (SANITIZED ? 50000 : 1000000)

Test(log, a_million_entries_are_there_after_a_restart_of_all)
{
    struct cluster *cluster = start(STEADY);
    cluster->wait_ms = LONG_WAIT_MS;
    int leader = cluster_settle(cluster);
    uint64_t term = cluster->leader_term;
    add_many(cluster, leader, MANY, "add 1");
    await_agreement(cluster, MANY);
    for (int id = 1; id <= 3; id++)
        cluster_kill(cluster, id);
    for (int id = 1; id <= 3; id++)
        cluster_start_node(cluster, id, NULL);
    for (int id = 1; id <= 3; id++)
        cr_assert_gt(line_number(cluster_expect(cluster, id, " Read the log "), "entries"), MANY);
    cluster_later_leader(cluster, term);
    add(cluster, 1, MANY + 1);
    await_agreement(cluster, MANY + 1);
    cluster_free(cluster);
}

/* ---- A disk that is full ---- */

#define SMALL_FILES ",\"segment_bytes\":65536,\"max_entry_bytes\":32768"

/* A file system of its own, which nobody else sees and which is gone with the test. False where that is not permitted.
 * */
static bool mount_small(const char *path)
{
    cr_assert_eq(mkdir(path, 0700), 0);
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", path, "tmpfs", 0, "size=1m") == 0;
}

static void assert_one_line(const char *text, const char *beginning, const char *part)
{
    cr_assert_not_null(text);
    cr_assert_eq(strncmp(text, beginning, strlen(beginning)), 0, "%s", text);
    cr_assert(strstr(text, part) != NULL, "no \"%s\" in: %s", part, text);
    cr_assert_eq(strchr(text, '\n'), text + strlen(text) - 1, "%s", text);
}

Test(log, a_node_whose_disk_is_full_ends_and_runs_again_when_there_is_space)
{
    struct cluster *cluster = cluster_new(3, STEADY SMALL_FILES);
    char path[CLUSTER_PATH_MAX];
    cluster->program = "COUNTERD";
    cluster_path(cluster, "data3", path);
    if (!mount_small(path)) {
        int why = errno;
        cluster_free(cluster);
        cr_skip_test("skipped: may not mount a tmpfs: %s", strerror(why));
    }
    cluster_start_node(cluster, 1, NULL);
    cluster_start_node(cluster, 2, NULL);
    int leader = await_birth(cluster);
    uint64_t term = cluster->leader_term;
    cluster_start_node(cluster, 3, NULL);
    cr_assert_eq(cluster_settle(cluster), leader);
    add_many(cluster, leader, 40000, LONG_ADD);
    cr_assert_eq(cluster_await_end(cluster, 3), 4);
    assert_one_line(cluster_node(cluster, 3)->process.printed[1].text, "mailraftd: ", ": No space left on device");
    add(cluster, 1, 40001);
    cr_assert_eq(mount("tmpfs", path, "tmpfs", MS_REMOUNT, "size=64m"), 0);
    cluster_start_node(cluster, 3, NULL);
    cr_assert_eq(cluster_settle(cluster), leader);
    await_agreement(cluster, 40001);
    cr_assert_eq(cluster->leader_term, term);
    cluster_stop(cluster, 3);
    cr_assert_eq(umount(path), 0);
    cluster_free(cluster);
}

/* ---- Damage ---- */

static int other_node(const struct cluster *cluster)
{
    return cluster->leader % 3 + 1;
}

static void log_path(const struct cluster *cluster, int id, int number, char path[CLUSTER_PATH_MAX])
{
    char name[60];
    snprintf(name, sizeof(name), "data%d/log/%08d.seg", id, number);
    cluster_path(cluster, name, path);
}

/* Starts a node that must refuse its folder, and asserts that what it says names the path and has this text. */
static void assert_refuses(struct cluster *cluster, int id, const char *path, const char *text)
{
    struct process *process = &cluster_node(cluster, id)->process;
    cluster_start_node(cluster, id, NULL);
    cr_assert_eq(cluster_await_end(cluster, id), 3, "%s", process->printed[1].text);
    assert_one_line(process->printed[1].text, "mailraftd: ", path);
    assert_says(process->printed[1].text, text);
}

/* The offset of the frame with entries that stands in the middle of all in a file. */
static long middle_frame(int fd)
{
    static long offsets[SEGMENT_FIRST_BYTES / FRAME_BORDER];
    uint8_t bytes[FRAME_HEAD_BYTES];
    struct frame_head head;
    size_t count = 0;
    for (off_t at = SEGMENT_DATA_OFFSET; pread(fd, bytes, sizeof(bytes), at) == (ssize_t)sizeof(bytes);
         at += FRAME_BORDER)
        if (frame_head_decode(bytes, &head) && head.length > 0)
            offsets[count++] = at;
    cr_assert_gt(count, 2);
    return offsets[count / 2];
}

static void flip_bit(int fd, long at)
{
    uint8_t byte;
    cr_assert_eq(pread(fd, &byte, 1, at), 1);
    byte ^= 0x10;
    cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
}

Test(log, a_node_with_a_flipped_bit_in_its_log_is_refused_with_file_and_offset)
{
    struct cluster *cluster = start(STEADY);
    int leader = cluster_settle(cluster);
    for (int value = 1; value <= 20; value++)
        add(cluster, 1, value);
    await_agreement(cluster, 20);
    int damaged = other_node(cluster);
    char path[CLUSTER_PATH_MAX], offset[60];
    cluster_stop(cluster, damaged);
    log_path(cluster, damaged, 1, path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    cr_assert(fd >= 0);
    long frame = middle_frame(fd);
    flip_bit(fd, frame + FRAME_HEAD_BYTES + 30);
    snprintf(offset, sizeof(offset), "offset %ld", frame);
    assert_refuses(cluster, damaged, path, offset);
    add(cluster, 1, 21); /* the others go on */
    flip_bit(fd, frame + FRAME_HEAD_BYTES + 30);
    close(fd);
    cluster_start_node(cluster, damaged, NULL);
    cr_assert_eq(cluster_settle(cluster), leader);
    await_agreement(cluster, 21);
    cluster_free(cluster);
}

Test(log, a_node_that_lacks_a_file_of_its_log_is_refused_with_its_name)
{
    struct cluster *cluster = start(STEADY SMALL_FILES);
    int leader = cluster_settle(cluster);
    add_many(cluster, leader, 5000, LONG_ADD);
    await_agreement(cluster, 5000);
    int damaged = other_node(cluster);
    cluster_stop(cluster, damaged);
    for (int number = 1; number <= 3; number++) {
        char path[CLUSTER_PATH_MAX], away[CLUSTER_PATH_MAX];
        log_path(cluster, damaged, number, path);
        cluster_path(cluster, "away", away);
        cr_assert_eq(rename(path, away), 0);
        free(cluster_node(cluster, damaged)->process.printed[1].text);
        memset(&cluster_node(cluster, damaged)->process.printed[1], 0, sizeof(struct printed));
        assert_refuses(cluster, damaged, path, "missing");
        cr_assert_eq(rename(away, path), 0);
    }
    cluster_start_node(cluster, damaged, NULL);
    cr_assert_eq(cluster_settle(cluster), leader);
    await_agreement(cluster, 5000);
    cluster_free(cluster);
}

/* ---- A folder that is emptied ---- */

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status, (void)type, (void)walk;
    return remove(path);
}

static void empty_folder(struct cluster *cluster, int id)
{
    char name[20], path[CLUSTER_PATH_MAX];
    snprintf(name, sizeof(name), "data%d", id);
    cluster_path(cluster, name, path);
    cr_assert_eq(nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
    cluster_node(cluster, id)->term = 0; /* it is forgotten, too */
}

Test(log, a_node_that_comes_back_with_an_empty_folder_is_told_of_and_votes_for_nobody)
{
    struct cluster *cluster = start(STEADY);
    int leader = cluster_settle(cluster);
    int empty = other_node(cluster), other = empty % 3 + 1;
    char text[80];
    add(cluster, 1, 1);
    await_agreement(cluster, 1);
    cluster_stop(cluster, empty);
    empty_folder(cluster, empty);
    cluster_start_node(cluster, empty, NULL);
    cluster_expect(cluster, empty, "We came back with an empty folder: ");
    snprintf(text, sizeof(text), "Node %d came back with an empty folder: ", empty);
    cluster_expect(cluster, leader, text);
    add(cluster, 1, 2); /* with the other's acknowledgement */
    uint64_t term = cluster->leader_term;
    cluster_kill(cluster, leader);
    cluster_expect(cluster, other, "Still no leader");
    cr_assert_eq(cluster->leader_term, term);
    cluster_start_node(cluster, leader, NULL);
    leader = cluster_later_leader(cluster, term);
    cr_assert_neq(leader, empty);
    add(cluster, 1, 3);
    cluster_free(cluster);
}

Test(log, rejoin_empty_lets_a_node_back_and_it_counts_again)
{
    struct cluster *cluster = start(STEADY);
    int leader = cluster_settle(cluster);
    int empty = other_node(cluster), other = empty % 3 + 1;
    add(cluster, 1, 1);
    await_agreement(cluster, 1);
    cluster_stop(cluster, empty);
    empty_folder(cluster, empty);
    cluster_node(cluster, empty)->option = "--rejoin-empty";
    cluster_start_node(cluster, empty, NULL);
    cluster_settle(cluster);
    cluster_expect(cluster, empty, "The cluster lists our data folder");
    await_agreement(cluster, 1);
    uint64_t term = cluster->leader_term;
    cluster_kill(cluster, other);
    add(cluster, 1, 2); /* with its acknowledgement */
    cluster_kill(cluster, leader);
    cluster_start_node(cluster, other, NULL);
    cr_assert_eq(cluster_later_leader(cluster, term), empty, "the other lacks an entry that was answered");
    add(cluster, 1, 3);
    cluster_start_node(cluster, leader, NULL);
    cluster_settle(cluster);
    await_agreement(cluster, 3);
    cluster_free(cluster);
}
