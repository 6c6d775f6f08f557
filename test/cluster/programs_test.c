/* The programs as people and other programs meet them: arguments, exit statuses, a bad machine, bin/cluster. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bad_configs.h"
#include "check.h"
#include "cluster/bad_machine.h"

/* ---- mailraftd: arguments ---- */

#define ARGUMENTS_MAX 8

/* Runs mailraftd to its end, which comes by itself. What it printed is in *process until process_fini. */
static int run(struct process *process, const char *const *arguments)
{
    const char *all[ARGUMENTS_MAX + 2] = {getenv("MAILRAFTD")};
    cr_assert_not_null(all[0]);
    for (int i = 0; arguments[i] != NULL; i++)
        all[1 + i] = arguments[i];
    process_start(process, "mailraftd", all, NULL);
    return process_await_end(process);
}

#define RUN(process, ...) run(process, (const char *[]){__VA_ARGS__, NULL})

static const char *printed(const struct process *process, int which)
{
    return process->printed[which].text != NULL ? process->printed[which].text : "";
}

/* A command line that is wrong: status 2 and one line. */
#define ASSERT_USAGE_ERROR(line, ...)                                                                                  \
    do {                                                                                                               \
        struct process process = {0};                                                                                  \
        cr_assert_eq(RUN(&process, __VA_ARGS__), 2);                                                                   \
        cr_assert_str_eq(printed(&process, 1), "mailraftd: " line "\n");                                               \
        cr_assert_str_eq(printed(&process, 0), "");                                                                    \
        process_fini(&process);                                                                                        \
    } while (0)

Test(programs, help_and_version_go_to_standard_output_with_status_0)
{
    struct process help = {0}, version = {0};
    cr_assert_eq(RUN(&help, "--help"), 0);
    cr_assert_eq(strncmp(printed(&help, 0), "usage: mailraftd ", 17), 0);
    cr_assert_eq(RUN(&version, "--version"), 0);
    cr_assert_str_eq(printed(&version, 0), "mailraftd " MAILRAFT_VERSION "\n");
    cr_assert_str_eq(printed(&help, 1), "");
    cr_assert_str_eq(printed(&version, 1), "");
    process_fini(&help);
    process_fini(&version);
}

Test(programs, a_wrong_command_line_is_told_in_one_line_with_status_2)
{
    ASSERT_USAGE_ERROR("which config? see mailraftd --help", "--check");
    ASSERT_USAGE_ERROR("--verbose is no option; see mailraftd --help", "--verbose");
    ASSERT_USAGE_ERROR("-x is no option; see mailraftd --help", "-x");
    ASSERT_USAGE_ERROR("-x is no option; see mailraftd --help", "-xy");
    ASSERT_USAGE_ERROR("-y is no option; see mailraftd --help", "--check", "-yx");
    ASSERT_USAGE_ERROR("--check=x takes no value; see mailraftd --help", "--check=x");
    ASSERT_USAGE_ERROR("--id needs a value; see mailraftd --help", "--id");
    ASSERT_USAGE_ERROR("--id \"0\" is not right; write a whole number from 1 to 2147483647", "--id", "0", "x");
    ASSERT_USAGE_ERROR("--id \"2x\" is not right; write a whole number from 1 to 2147483647", "--id", "2x", "x");
    ASSERT_USAGE_ERROR("--id \"2147483648\" is not right; write a whole number from 1 to 2147483647", "--id",
                       "2147483648", "x");
    for (int i = 0; i < 4; i++) {
        static const char *const WRONG[] = {"2", "=127.0.0.1:1", "2=127.0.0.1", "0=127.0.0.1:1"};
        struct process process = {0};
        char expected[120];
        cr_assert_eq(RUN(&process, "--reach", WRONG[i], "x"), 2);
        snprintf(expected, sizeof(expected),
                 "mailraftd: --reach \"%s\" is not right; write ID=HOST:PORT, or ID=[IPV6]:PORT\n", WRONG[i]);
        cr_assert_str_eq(printed(&process, 1), expected);
        process_fini(&process);
    }
    ASSERT_USAGE_ERROR("\"b\" is one config too many; see mailraftd --help", "a", "b");
    ASSERT_USAGE_ERROR("Couldn't open /nowhere/x.json: No such file or directory", "/nowhere/x.json");
}

Test(programs, check_tells_what_a_config_comes_to_and_touches_nothing)
{
    struct cluster *cluster = cluster_new(3, NULL);
    struct process process = {0};
    char path[CLUSTER_PATH_MAX], data_dir[CLUSTER_PATH_MAX], expected[3 * CLUSTER_PATH_MAX];
    cluster_path(cluster, "node1.json", path);
    cluster_path(cluster, "data2", data_dir);
    cr_assert_eq(RUN(&process, "--id", "2", "--check", path), 0);
    snprintf(expected, sizeof(expected),
             "%s: good id=2 cluster=test members=3 peer=127.0.0.1:%d client=none data_dir=%s\n", path,
             cluster_node(cluster, 2)->port, data_dir);
    cr_assert_str_eq(printed(&process, 0), expected);
    cr_assert_neq(access(data_dir, F_OK), 0);
    process_fini(&process);
    cluster_free(cluster);
}

Test(programs, every_bad_config_is_told_in_one_line_with_status_2)
{
    struct cluster *cluster = cluster_new(1, NULL);
    char path[CLUSTER_PATH_MAX];
    cluster_path(cluster, "node1.json", path);
    for (size_t i = 0; i < BAD_CONFIGS_COUNT; i++) {
        char json[4096], message[1200], expected[1600];
        struct process process = {0};
        FILE *file = fopen(path, "w");
        cr_assert_not_null(file);
        fputs(unquoted(BAD_CONFIGS[i].text, json, sizeof(json)), file);
        cr_assert_eq(fclose(file), 0);
        /* --check for one half, so that both ways are gone. */
        cr_assert_eq(i % 2 == 0 ? RUN(&process, path) : RUN(&process, "--check", path), 2, "%s", json);
        snprintf(expected, sizeof(expected), "mailraftd: %s: %s\n", path,
                 unquoted(BAD_CONFIGS[i].message, message, sizeof(message)));
        cr_assert_str_eq(printed(&process, 1), expected);
        cr_assert_str_eq(printed(&process, 0), "");
        process_fini(&process);
    }
    cluster_free(cluster);
}

Test(programs, one_config_serves_all_nodes_with_id)
{
    struct cluster *cluster = cluster_new(3, NULL);
    struct process processes[3] = {{0}};
    char path[CLUSTER_PATH_MAX];
    cluster_path(cluster, "node1.json", path);
    for (int i = 0; i < 3; i++) {
        const char *ids[] = {"1", "2", "3"};
        process_start(&processes[i], ids[i], (const char *[]){getenv("MAILRAFTD"), "--id", ids[i], path, NULL}, NULL);
    }
    for (int i = 0; i < 3; i++) {
        char started[40];
        snprintf(started, sizeof(started), "node=%d term=0 role=FOLLOWER Started ", i + 1);
        process_expect(&processes[i], started);
        process_expect(&processes[i], "Current Term: "); /* it has met the others */
    }
    for (int i = 0; i < 3; i++)
        process_fini(&processes[i]);
    cluster_free(cluster);
}

Test(programs, a_member_can_be_reached_elsewhere_than_the_config_says)
{
    struct cluster *cluster = cluster_new(2, NULL);
    struct process one = {0}, other = {0};
    char path[CLUSTER_PATH_MAX], reach[40];
    int nowhere, nowhere_holder;
    nowhere = port_hold(&nowhere_holder);
    /* To the first the config tells the second's port wrongly, and --reach rightly. */
    cluster_write_config(cluster, 1, (int[]){cluster_node(cluster, 1)->port, nowhere}, NULL);
    cluster_path(cluster, "node1.json", path);
    cr_assert_eq(RUN(&other, "--reach", "1=127.0.0.1:1", "--check", path), 2);
    cr_assert_str_eq(printed(&other, 1), "mailraftd: --reach names 1, which is no other member of the cluster\n");
    process_fini(&other);
    cr_assert_eq(RUN(&other, "--reach", "3=127.0.0.1:1", path), 2);
    cr_assert_str_eq(printed(&other, 1), "mailraftd: --reach names 3, which is no other member of the cluster\n");
    process_fini(&other);
    cr_assert_eq(RUN(&other, "--reach", "2=127.0.0.1:1", "--reach", "2=127.0.0.1:2", path), 2);
    cr_assert_str_eq(printed(&other, 1), "mailraftd: --reach names 2 twice\n");
    process_fini(&other);
    cluster_start_node(cluster, 2, NULL);
    snprintf(reach, sizeof(reach), "2=127.0.0.1:%d", cluster_node(cluster, 2)->port);
    process_start(&one, "node 1", (const char *[]){getenv("MAILRAFTD"), "--reach", reach, path, NULL}, NULL);
    process_expect(&one, "Connected to 2 at 127.0.0.1:");
    process_expect(&one, " cluster is born "); /* so both know the same members */
    process_fini(&one);
    close(nowhere_holder);
    cluster_free(cluster);
}

Test(programs, the_first_line_tells_where_a_node_has_its_config_and_data_in_quotes)
{
    struct cluster *cluster = cluster_new(1, NULL);
    struct process process = {0};
    char written[CLUSTER_PATH_MAX], path[CLUSTER_PATH_MAX], data_dir[CLUSTER_PATH_MAX];
    char expected[3 * CLUSTER_PATH_MAX];
    cluster_path(cluster, "node1.json", written);
    cluster_path(cluster, "a node.json", path);
    cluster_path(cluster, "data1", data_dir);
    cr_assert_eq(rename(written, path), 0);
    process_start(&process, "node", (const char *[]){getenv("MAILRAFTD"), path, NULL}, NULL);
    snprintf(expected, sizeof(expected), " config=\"%s\" data_dir=\"%s\" peer=127.0.0.1:%d", path, data_dir,
             cluster_node(cluster, 1)->port);
    process_expect(&process, expected);
    process_fini(&process);
    cluster_free(cluster);
}

Test(programs, peers_that_others_could_reach_are_warned_of_in_the_second_line)
{
    struct cluster *cluster = cluster_new(1, "\"listen\":{\"peer\":\"0.0.0.0:1\"}");
    char settings[80];
    snprintf(settings, sizeof(settings), "\"listen\":{\"peer\":\"0.0.0.0:%d\"}", cluster_node(cluster, 1)->port);
    cluster_write_config(cluster, 1, &cluster_node(cluster, 1)->port, settings);
    cluster_start_node(cluster, 1, NULL);
    cluster_expect(cluster, 1, "Started version=" MAILRAFT_VERSION " pid=");
    const char *line = cluster_expect(cluster, 1, "neither encrypted nor authenticated");
    cr_assert_not_null(strstr(line, " level=warn"));
    cluster_free(cluster);
}

/* ---- mailraftd: what keeps it from running ---- */

Test(programs, a_port_that_is_taken_ends_it_with_status_1)
{
    struct cluster *cluster = cluster_new(1, NULL);
    struct cluster *other = cluster_new(1, NULL);
    cluster_write_config(other, 1, &cluster_node(cluster, 1)->port, NULL);
    cluster_start_node(cluster, 1, NULL);
    cluster_settle(cluster);
    cluster_start_node(other, 1, NULL);
    char expected[80];
    snprintf(expected, sizeof(expected), "127.0.0.1:%d: Address already in use", cluster_node(cluster, 1)->port);
    const char *line = process_expect_error(&cluster_node(other, 1)->process, expected);
    cr_assert_eq(strncmp(line, "mailraftd: ", 11), 0);
    cr_assert_eq(process_await_end(&cluster_node(other, 1)->process), 1);
    cluster_free(other);
    cluster_free(cluster);
}

Test(programs, a_data_dir_in_use_names_the_other_process_with_status_3)
{
    struct cluster *cluster = cluster_start(1, NULL);
    struct process second = {0};
    char path[CLUSTER_PATH_MAX], data_dir[CLUSTER_PATH_MAX], expected[2 * CLUSTER_PATH_MAX];
    cluster_settle(cluster);
    cluster_path(cluster, "node1.json", path);
    cluster_path(cluster, "data1", data_dir);
    snprintf(expected, sizeof(expected), "mailraftd: data_dir %s is in use by process %d\n", data_dir,
             (int)cluster_node(cluster, 1)->process.pid);
    cr_assert_eq(RUN(&second, path), 3);
    cr_assert_str_eq(printed(&second, 1), expected);
    process_fini(&second);
    cluster_free(cluster);
}

Test(programs, a_data_dir_of_another_node_is_refused_with_status_3)
{
    struct cluster *cluster = cluster_start(2, NULL);
    struct process other = {0};
    char from[CLUSTER_PATH_MAX], to[CLUSTER_PATH_MAX], path[CLUSTER_PATH_MAX];
    cluster_settle(cluster);
    cluster_kill(cluster, 1);
    cluster_kill(cluster, 2);
    cluster_path(cluster, "data2", from);
    cluster_path(cluster, "data1-mine", to);
    cr_assert_eq(rename(from, to), 0);
    cluster_path(cluster, "data1", from);
    cluster_path(cluster, "data2", to);
    cr_assert_eq(rename(from, to), 0);
    cluster_path(cluster, "node2.json", path);
    cr_assert_eq(RUN(&other, path), 3);
    cr_assert_not_null(strstr(printed(&other, 1), to));
    process_fini(&other);
    cluster_free(cluster);
}

Test(programs, a_damaged_ballot_is_refused_with_status_3_and_stays_as_it_is)
{
    struct cluster *cluster = cluster_start(1, NULL);
    struct process again = {0};
    char path[CLUSTER_PATH_MAX], config[CLUSTER_PATH_MAX];
    char bytes[8192], after[8192];
    cluster_settle(cluster);
    cluster_stop(cluster, 1);
    cluster_path(cluster, "data1/ballot", path);
    cluster_path(cluster, "node1.json", config);
    memset(bytes, 'x', sizeof(bytes));
    FILE *file = fopen(path, "r+");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, sizeof(bytes), file), sizeof(bytes));
    cr_assert_eq(fclose(file), 0);
    cr_assert_eq(RUN(&again, config), 3);
    cr_assert_not_null(strstr(printed(&again, 1), path));
    file = fopen(path, "r");
    cr_assert_not_null(file);
    cr_assert_eq(fread(after, 1, sizeof(after), file), sizeof(after));
    cr_assert_eq(fclose(file), 0);
    cr_assert_arr_eq(bytes, after, sizeof(bytes));
    process_fini(&again);
    cluster_free(cluster);
}

/* ---- mailraftd: a bad disk or name server, from the moment on that the test says so ---- */

Test(programs, a_stop_is_heard_though_the_disk_hangs_at_the_start)
{
    struct cluster *cluster = cluster_new(1, NULL);
    struct bad_machine bad;
    bad_machine_init(&bad, cluster, "armed", "hang");
    bad_machine_arm(&bad);
    cluster_start_node(cluster, 1, bad.environment);
    bad_machine_await(&bad, cluster);
    cluster_stop(cluster, 1);
    cluster_assert_never(cluster, 1, "Candidate!");
    cluster_free(cluster);
}

/* Its config gives the node's address by name. */
static void name_host(const struct cluster *cluster)
{
    char path[CLUSTER_PATH_MAX], text[4096] = {0};
    cluster_path(cluster, "node1.json", path);
    FILE *file = fopen(path, "r+");
    cr_assert_not_null(file);
    size_t size = fread(text, 1, sizeof(text) - 1, file);
    char *host = strstr(text, "127.0.0.1");
    cr_assert_not_null(host);
    memcpy(host, "localhost", 9);
    rewind(file);
    cr_assert_eq(fwrite(text, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
}

Test(programs, a_stop_is_heard_though_the_name_server_hangs_at_the_start)
{
    struct cluster *cluster = cluster_new(1, NULL);
    struct bad_machine bad;
    bad_machine_init(&bad, cluster, "armed", "hang_names");
    bad_machine_arm(&bad);
    name_host(cluster);
    int64_t began_ms = process_now_ms();
    cluster_start_node(cluster, 1, bad.environment);
    bad_machine_await(&bad, cluster);
    cluster_stop(cluster, 1);
    cr_assert_lt(process_now_ms(), began_ms + 5000); /* not the lookup's own deadline */
    cr_assert_str_eq(printed(&cluster_node(cluster, 1)->process, 0), "");
    cr_assert_str_eq(printed(&cluster_node(cluster, 1)->process, 1), "");
    cluster_free(cluster);
}

Test(programs, a_node_whose_name_is_not_found_in_time_says_so)
{
    struct cluster *cluster = cluster_new(1, NULL);
    struct bad_machine bad;
    bad_machine_init(&bad, cluster, "armed", "hang_names");
    bad_machine_arm(&bad);
    name_host(cluster);
    cluster_start_node(cluster, 1, bad.environment);
    struct node *node = cluster_node(cluster, 1);
    cr_assert_eq(process_await_end(&node->process), 1);
    char expected[200];
    snprintf(expected, sizeof(expected),
             "mailraftd: Couldn't bind to localhost:%d: Couldn't resolve localhost: no answer in time\n", node->port);
    cr_assert_str_eq(printed(&node->process, 1), expected);
    cluster_free(cluster);
}

Test(programs, a_stop_is_heard_though_the_disk_hangs_with_a_vote)
{
    struct cluster *cluster = cluster_new(3, NULL);
    struct bad_machine bad;
    bad_machine_init(&bad, cluster, "armed", "hang");
    for (int id = 1; id <= 3; id++)
        cluster_start_node(cluster, id, bad.environment);
    int leader = cluster_settle(cluster);
    uint64_t term = cluster->leader_term;
    bad_machine_arm(&bad);
    cluster_kill(cluster, leader);
    bad_machine_await(&bad, cluster);
    for (int id = 1; id <= 3; id++)
        if (id != leader)
            cluster_stop(cluster, id);
    cr_assert_eq(cluster->leader_term, term); /* no vote was durable, so none counted */
    cluster_free(cluster);
}

/* Whether a node has told why it dies; *context becomes it. */
static bool one_gave_up(struct cluster *cluster, void *context)
{
    for (int i = 0; i < cluster->count; i++) {
        struct process *process = &cluster->nodes[i].process;
        if (process->pid == 0 || strchr(printed(process, 1), '\n') == NULL)
            continue;
        *(struct process **)context = process;
        return true;
    }
    return false;
}

/* One of two nodes stands and finds its disk broken. The other may have nobody left to ask it for a vote. */
static void assert_disk_ends_it(const char *trouble, const char *message)
{
    struct cluster *cluster = cluster_new(3, NULL);
    struct bad_machine bad;
    struct process *process = NULL;
    bad_machine_init(&bad, cluster, "armed", trouble);
    for (int id = 1; id <= 3; id++)
        cluster_start_node(cluster, id, bad.environment);
    int leader = cluster_settle(cluster);
    uint64_t term = cluster->leader_term;
    bad_machine_arm(&bad);
    cluster_kill(cluster, leader);
    cluster_wait(cluster, "a node that gives up", one_gave_up, &process);
    const char *line = process_expect_error(process, "mailraftd: ");
    cr_assert(strstr(line, "/data") != NULL && strstr(line, message) != NULL, "%s", line); /* its ballot or its log */
    cr_assert_eq(process_await_end(process), 4);
    cr_assert_eq(cluster->leader_term, term);
    cluster_free(cluster);
}

Test(programs, a_failed_sync_ends_a_node_with_status_4)
{
    assert_disk_ends_it("fail", "Input/output error");
}

Test(programs, a_full_disk_ends_a_node_with_status_4)
{
    assert_disk_ends_it("full", "No space left on device");
}

/* ---- bin/cluster ---- */

static void start_script(struct process *process, const char *const *arguments)
{
    const char *all[ARGUMENTS_MAX + 3] = {"bash", "bin/cluster"};
    char daemon[CLUSTER_PATH_MAX];
    snprintf(daemon, sizeof(daemon), "MAILRAFTD=%s", getenv("MAILRAFTD"));
    for (int i = 0; arguments[i] != NULL; i++)
        all[2 + i] = arguments[i];
    process_start(process, "bin/cluster", all, (const char *[]){daemon, NULL});
}

#define START_SCRIPT(process, ...) start_script(process, (const char *[]){__VA_ARGS__, NULL})

/* The number behind "key": in a line of JSON, from a text on. */
static int json_number(const char *json, const char *from, const char *key)
{
    char pattern[40];
    snprintf(pattern, sizeof(pattern), "\"%s\":", key);
    const char *at = strstr(json, from);
    at = at != NULL ? strstr(at, pattern) : NULL;
    cr_assert(at != NULL, "no %s behind %s in %s", pattern, from, json);
    return atoi(at + strlen(pattern));
}

static void log_path(const char *json, char path[CLUSTER_PATH_MAX])
{
    const char *at = strstr(json, "\"log\":\"");
    cr_assert_not_null(at);
    snprintf(path, CLUSTER_PATH_MAX, "%.*s", (int)strcspn(at + 7, "\""), at + 7);
}

Test(programs, cluster_tells_of_leaders_and_commands_in_json_and_ends_all_with_its_input)
{
    struct process script = {0};
    char command[40], expected[120], log[CLUSTER_PATH_MAX];
    START_SCRIPT(&script, "--json");
    const char *line = process_expect(&script, "{\"leader\":");
    int leader = json_number(line, "{", "leader");
    int pids[3] = {json_number(line, "\"id\":1", "pid"), json_number(line, "\"id\":2", "pid"),
                   json_number(line, "\"id\":3", "pid")};
    log_path(line, log);
    cr_assert_eq(access(log, F_OK), 0);
    snprintf(command, sizeof(command), "kill %d\n", leader);
    process_write(&script, command);
    snprintf(expected, sizeof(expected), "{\"command\":\"kill %d\",\"ok\":true}", leader);
    process_expect(&script, expected);
    cr_assert_neq(kill(pids[leader - 1], 0), 0);
    line = process_expect(&script, "{\"leader\":");
    int next = json_number(line, "{", "leader");
    cr_assert_neq(next, leader);
    cr_assert_gt(json_number(line, "{", "term"), 1);
    process_write(&script, "leader\n");
    snprintf(expected, sizeof(expected), "{\"command\":\"leader\",\"ok\":true,\"leader\":%d,\"term\":", next);
    process_expect(&script, expected);
    snprintf(command, sizeof(command), "restart %d\n", leader);
    process_write(&script, command);
    line = process_expect(&script, "{\"command\":\"restart ");
    pids[leader - 1] = json_number(line, "\"ok\":true", "pid");
    process_write(&script, "frobnicate\n");
    process_expect(&script, "{\"command\":\"frobnicate\",\"ok\":false,\"error\":\"unknown command; ");
    process_write(&script, "pause 9\n");
    process_expect(&script, "{\"command\":\"pause 9\",\"ok\":false,\"error\":\"there is no node 9\"}");
    cr_assert_eq(process_await_end(&script), 0, "%s", printed(&script, 1)); /* closes its input first */
    for (int i = 0; i < 3; i++)
        cr_assert_neq(kill(pids[i], 0), 0);
    cr_assert_neq(access(log, F_OK), 0); /* nothing failed, so nothing is kept */
    process_fini(&script);
}

Test(programs, cluster_ends_a_paused_node_too_when_it_is_told_to_quit)
{
    struct process script = {0};
    START_SCRIPT(&script, "--json", "1");
    const char *line = process_expect(&script, "{\"leader\":1,");
    int pid = json_number(line, "\"id\":1", "pid");
    process_write(&script, "pause 1\n");
    process_expect(&script, "{\"command\":\"pause 1\",\"ok\":true}");
    process_write(&script, "quit\n");
    process_expect(&script, "{\"command\":\"quit\",\"ok\":true}");
    cr_assert_eq(process_await_end(&script), 0, "%s", printed(&script, 1));
    cr_assert_neq(kill(pid, 0), 0);
    process_fini(&script);
}

/* Orphans come to us (see below), so their ends are ours to take. */
static bool all_gone(struct cluster *cluster, void *context)
{
    const int *pids = context;
    (void)cluster;
    for (int i = 0; i < 3; i++)
        waitpid(pids[i], NULL, WNOHANG);
    return kill(pids[0], 0) != 0 && kill(pids[1], 0) != 0 && kill(pids[2], 0) != 0;
}

Test(programs, the_nodes_of_a_cluster_that_is_killed_end_with_it)
{
    struct cluster *none = cluster_new(1, NULL); /* to wait with, and for its folder */
    struct process script = {0};
    char folder[CLUSTER_PATH_MAX];
    cluster_path(none, "cluster", folder);
    START_SCRIPT(&script, "--json", "--dir", folder, "3");
    const char *line = process_expect(&script, "{\"leader\":");
    int pids[3] = {json_number(line, "\"id\":1", "pid"), json_number(line, "\"id\":2", "pid"),
                   json_number(line, "\"id\":3", "pid")};
    /* As in a container whose init reaps nobody: the dead nodes still count as processes. Whatever else the script had
     * started, and so holds its output, must end nevertheless. */
    cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    process_signal(&script, SIGKILL);
    cr_assert_eq(process_await_end(&script), 128 + SIGKILL);
    cluster_wait(none, "the end of the nodes", all_gone, pids);
    process_fini(&script);
    cluster_free(none);
}

Test(programs, cluster_says_when_no_leader_comes_and_keeps_the_folder)
{
    struct cluster *cluster = cluster_new(2, NULL);
    struct process script = {0};
    char path[CLUSTER_PATH_MAX], folder[CLUSTER_PATH_MAX], log[CLUSTER_PATH_MAX];
    cluster_path(cluster, "node1.json", path);
    cluster_path(cluster, "kept", folder);
    cluster_path(cluster, "kept/node1.log", log);
    START_SCRIPT(&script, "--json", "--timeout", "1", "--dir", folder, "--conf", path); /* one of two */
    process_expect(&script, "{\"error\":\"no leader within 1 seconds\"}");
    cr_assert_eq(process_await_end(&script), 1);
    cr_assert_eq(access(log, F_OK), 0);
    process_fini(&script);
    cluster_free(cluster);
}

Test(programs, cluster_shows_the_logs_and_goes_on_when_its_input_ends)
{
    struct process script = {0};
    START_SCRIPT(&script, "1");
    process_expect(&script, "Logs and configs: /tmp/");
    process_close_input(&script);
    process_expect(&script, "[1] ");
    process_expect(&script, " Leader! STATE: CANDIDATE -> LEADER ");
    process_signal(&script, SIGINT);
    process_expect(&script, " Stopped");
    cr_assert_eq(process_await_end(&script), 0, "%s", printed(&script, 1));
    process_fini(&script);
}

Test(programs, cluster_cuts_off_a_leader_and_heals)
{
    struct cluster *cluster = cluster_new(3, STEADY);
    struct process script = {0};
    char path[CLUSTER_PATH_MAX], command[40], expected[80];
    cluster_path(cluster, "", path);
    START_SCRIPT(&script, "--json", "--conf", path);
    int leader = json_number(process_expect(&script, "{\"leader\":"), "{", "leader");
    snprintf(command, sizeof(command), "cut %d all\n", leader);
    process_write(&script, command);
    snprintf(expected, sizeof(expected), "{\"command\":\"cut %d all\",\"ok\":true}", leader);
    process_expect(&script, expected);
    const char *line = process_expect(&script, "{\"leader\":");
    int next = json_number(line, "{", "leader");
    int term = json_number(line, "{", "term");
    cr_assert_neq(next, leader);
    process_write(&script, "heal\n");
    process_expect(&script, "{\"command\":\"heal\",\"ok\":true}");
    /* What the healed one says would have deposed the other by the time that it has followed it through a restart. */
    snprintf(command, sizeof(command), "restart %d\n", leader);
    process_write(&script, command);
    process_expect(&script, "{\"command\":\"restart ");
    process_write(&script, "leader\n");
    snprintf(expected, sizeof(expected), "{\"command\":\"leader\",\"ok\":true,\"leader\":%d,\"term\":%d}", next, term);
    process_expect(&script, expected);
    cr_assert_eq(process_await_end(&script), 0, "%s", printed(&script, 1));
    process_fini(&script);
    cluster_free(cluster);
}

Test(programs, cluster_tells_in_one_line_what_is_wrong_about_a_link)
{
    struct process script = {0};
    START_SCRIPT(&script, "--json");
    process_expect(&script, "{\"leader\":");
    process_write(&script, "cut 1\ncut 1 9\ncut x 1\ncut 1 1\ndelay 1 2 soon\nbreak 1 2 3\nheal 1\n");
    process_expect(&script, "{\"command\":\"cut 1\",\"ok\":false,\"error\":\"write: cut A B [oneway]\"}");
    process_expect(&script, "{\"command\":\"cut 1 9\",\"ok\":false,\"error\":\"there is no node 9\"}");
    process_expect(&script, "{\"command\":\"cut x 1\",\"ok\":false,\"error\":\"\\\"x\\\" is no id: ");
    process_expect(&script, "{\"command\":\"cut 1 1\",\"ok\":false,\"error\":\"no wire leads from 1 to 1\"}");
    process_expect(&script, "{\"command\":\"delay 1 2 soon\",\"ok\":false,\"error\":\"\\\"soon\\\" is no delay: ");
    process_expect(&script, "{\"command\":\"break 1 2 3\",\"ok\":false,\"error\":\"write: break A B\"}");
    process_expect(&script, "{\"command\":\"heal 1\",\"ok\":false,\"error\":\"write: heal [A B]\"}");
    process_write(&script, "delay all all 1 1\nstall 1 2\nunstall 1 2\nbreak 1 2\ncut 1 2 oneway\nheal 1 2\n");
    process_expect(&script, "{\"command\":\"delay all all 1 1\",\"ok\":true}");
    process_expect(&script, "{\"command\":\"stall 1 2\",\"ok\":true}");
    process_expect(&script, "{\"command\":\"unstall 1 2\",\"ok\":true}");
    process_expect(&script, "{\"command\":\"break 1 2\",\"ok\":true}");
    process_expect(&script, "{\"command\":\"cut 1 2 oneway\",\"ok\":true}");
    process_expect(&script, "{\"command\":\"heal 1 2\",\"ok\":true}");
    cr_assert_eq(process_await_end(&script), 0, "%s", printed(&script, 1));
    process_fini(&script);
}

/* The configs say nothing of a relay, and are not written anew. */
Test(programs, cluster_cuts_nodes_of_any_config_and_says_why_not_where_they_are_direct)
{
    struct cluster *cluster = cluster_new(2, NULL);
    struct process script = {0};
    char path[CLUSTER_PATH_MAX];
    cluster_path(cluster, "", path);
    START_SCRIPT(&script, "--conf", path);
    process_expect(&script, " role=LEADER Leader! ");
    process_write(&script, "cut 1 2\n");
    process_expect(&script, "cut 1 2: done");
    process_expect(&script, "cause=\"no majority answered for ");
    process_write(&script, "heal\n");
    process_expect(&script, "heal: done");
    process_expect(&script, " Leader! ");
    process_write(&script, "quit\n");
    cr_assert_eq(process_await_end(&script), 0, "%s", printed(&script, 1));
    process_fini(&script);
    START_SCRIPT(&script, "--direct", "--json", "--conf", path);
    process_expect(&script, "{\"leader\":");
    process_write(&script, "cut 1 2\n");
    process_expect(&script, "{\"command\":\"cut 1 2\",\"ok\":false,\"error\":\"the nodes reach each other directly: "
                            "start without --direct\"}");
    cr_assert_eq(process_await_end(&script), 0, "%s", printed(&script, 1));
    process_fini(&script);
    cluster_free(cluster);
}

/* A relay that writes down its process id. */
static void wrap_relay(const struct cluster *cluster, char path[CLUSTER_PATH_MAX], char pid_path[CLUSTER_PATH_MAX])
{
    cluster_path(cluster, "relay", path);
    cluster_path(cluster, "relay.pid", pid_path);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fprintf(file, "#!/bin/sh\necho $$ >%s\nexec %s\n", pid_path, getenv("MAILRAFT_RELAY"));
    cr_assert_eq(fclose(file), 0);
    cr_assert_eq(chmod(path, 0755), 0);
}

static int read_pid(const char *path)
{
    int pid = 0;
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    cr_assert_eq(fscanf(file, "%d", &pid), 1);
    fclose(file);
    return pid;
}

Test(programs, cluster_ends_and_says_so_when_its_relay_ends_and_the_relay_ends_with_it)
{
    struct cluster *cluster = cluster_new(1, NULL);
    struct process script = {0};
    char path[CLUSTER_PATH_MAX], pid_path[CLUSTER_PATH_MAX];
    wrap_relay(cluster, path, pid_path);
    cr_assert_eq(setenv("MAILRAFT_RELAY", path, 1), 0);
    START_SCRIPT(&script, "--json");
    process_expect(&script, "{\"leader\":");
    cr_assert_eq(kill(read_pid(pid_path), SIGKILL), 0);
    process_expect(&script, "{\"error\":\"the relay between the nodes ended with status 137\"}");
    cr_assert_eq(process_await_end(&script), 1);
    process_fini(&script);
    START_SCRIPT(&script, "--json");
    process_expect(&script, "{\"leader\":");
    cr_assert_eq(process_await_end(&script), 0, "%s", printed(&script, 1));
    cr_assert_neq(kill(read_pid(pid_path), 0), 0);
    process_fini(&script);
    cluster_free(cluster);
}

Test(programs, cluster_takes_no_late_answer_of_a_paused_relay_for_another_and_quits_all_the_same)
{
    struct cluster *cluster = cluster_new(2, NULL);
    struct process script = {0};
    char path[CLUSTER_PATH_MAX], pid_path[CLUSTER_PATH_MAX];
    wrap_relay(cluster, path, pid_path);
    cr_assert_eq(setenv("MAILRAFT_RELAY", path, 1), 0);
    START_SCRIPT(&script, "--json", "2");
    process_expect(&script, "{\"leader\":");
    int relay = read_pid(pid_path);
    cr_assert_eq(kill(relay, SIGSTOP), 0);
    process_write(&script, "cut 1 2\n");
    process_expect(&script, "{\"command\":\"cut 1 2\",\"ok\":false,\"error\":\"the relay does not answer\"}");
    cr_assert_eq(kill(relay, SIGCONT), 0);
    process_write(&script, "cut 1 x\n");
    process_expect(&script, "{\"command\":\"cut 1 x\",\"ok\":false,\"error\":\"\\\"x\\\" is no id: ");
    cr_assert_eq(kill(relay, SIGSTOP), 0);
    cr_assert_eq(process_await_end(&script), 0, "%s", printed(&script, 1));
    cr_assert_neq(kill(relay, 0), 0);
    process_fini(&script);
    cluster_free(cluster);
}

/* ---- mailraft-relay ---- */

Test(programs, a_relay_answers_each_line_and_ends_with_its_input)
{
    struct process relay = {0};
    char line[3000];
    process_start(&relay, "mailraft-relay", (const char *[]){getenv("MAILRAFT_RELAY"), NULL}, NULL);
    process_write(&relay, "wire 1 2 127.0.0.1:1\nwire 2 1 127.0.0.1:1\n\ncut 1 2\ncut 1 3\nhe");
    process_expect(&relay, "ok 127.0.0.1:");
    process_expect(&relay, "ok 127.0.0.1:");
    cr_assert_str_eq(process_expect(&relay, ""), "ok");
    cr_assert_str_eq(process_expect(&relay, ""), "error no wire leads from 1 to 3");
    process_write(&relay, "al\n");
    cr_assert_str_eq(process_expect(&relay, ""), "ok");
    memset(line, 'x', sizeof(line) - 2);
    memcpy(line + sizeof(line) - 2, "\n", 2);
    process_write(&relay, line);
    cr_assert_str_eq(process_expect(&relay, ""), "error the line is too long");
    process_write(&relay, "heal"); /* cut off, and answered all the same */
    cr_assert_eq(process_await_end(&relay), 0);
    cr_assert_str_eq(process_expect(&relay, ""), "ok");
    cr_assert_str_eq(printed(&relay, 1), "");
    process_fini(&relay);
}

Test(programs, a_relay_that_has_no_input_ends)
{
    struct process relay = {0};
    process_start(&relay, "mailraft-relay",
                  (const char *[]){"/bin/sh", "-c", "exec \"$MAILRAFT_RELAY\" <&- >&- 2>&-", NULL}, NULL);
    cr_assert_eq(process_await_end(&relay), 0);
    process_fini(&relay);
}

Test(programs, a_relay_tells_what_it_takes)
{
    struct process relay = {0};
    const char *program = getenv("MAILRAFT_RELAY");
    process_start(&relay, "mailraft-relay", (const char *[]){program, "--help", NULL}, NULL);
    cr_assert_eq(process_await_end(&relay), 0);
    cr_assert_eq(strncmp(printed(&relay, 0), "usage: mailraft-relay\n", 22), 0);
    process_fini(&relay);
    process_start(&relay, "mailraft-relay", (const char *[]){program, "--version", NULL}, NULL);
    cr_assert_eq(process_await_end(&relay), 0);
    cr_assert_str_eq(printed(&relay, 0), "mailraft-relay " MAILRAFT_VERSION "\n");
    process_fini(&relay);
    process_start(&relay, "mailraft-relay", (const char *[]){program, "7101", NULL}, NULL);
    cr_assert_eq(process_await_end(&relay), 2);
    cr_assert_str_eq(printed(&relay, 1), "mailraft-relay: it takes no arguments; see mailraft-relay --help\n");
    process_fini(&relay);
}
