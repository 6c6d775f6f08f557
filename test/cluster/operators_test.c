/* The programs as they are started by hand, by scripts and by service managers, which close, fill and pipe what they
 * like. Programs with descriptors of their own are started by a shell that becomes them. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "cluster/cluster.h"

/* Runs a line of shell, in which $0 is mailraftd and $1 is `argument`. */
static void start_shell(struct process *process, const char *line, const char *argument)
{
    const char *program = getenv("MAILRAFTD");
    cr_assert(program != NULL, "MAILRAFTD must name the program to test");
    process_start(process, "bash", (const char *[]){"bash", "-c", line, program, argument, NULL}, NULL);
}

static int run_shell(struct process *process, const char *line, const char *argument)
{
    start_shell(process, line, argument);
    return process_await_end(process);
}

static const char *printed(const struct process *process, int which)
{
    return process->printed[which].text != NULL ? process->printed[which].text : "";
}

/* ---- mailraftd: standard descriptors ---- */

/* Whether the ballot at this path holds a term: by then a node has much to tell. */
static bool has_saved_a_term(struct cluster *cluster, void *context)
{
    const char *path = context;
    const long AT_TERM = 16; /* storage/ballot.h */
    unsigned char term = 0;
    FILE *file = fopen(path, "r");
    (void)cluster;
    if (file == NULL)
        return false;
    bool saved = fseek(file, AT_TERM, SEEK_SET) == 0 && fread(&term, 1, 1, file) == 1 && term > 0;
    fclose(file);
    return saved;
}

static void assert_null_descriptor(pid_t pid, int fd)
{
    char path[40], target[CLUSTER_PATH_MAX];
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
    ssize_t length = readlink(path, target, sizeof(target) - 1);
    cr_assert_gt(length, 0, "%s is not open", path);
    target[length] = '\0';
    cr_assert_str_eq(target, "/dev/null");
}

Test(operators, a_node_without_standard_descriptors_writes_no_log_into_its_ballot)
{
    struct cluster *cluster = cluster_new(1, NULL);
    struct process process = {0};
    struct stat status;
    char config[CLUSTER_PATH_MAX], ballot[CLUSTER_PATH_MAX];
    cluster_path(cluster, "node1.json", config);
    cluster_path(cluster, "data1/ballot", ballot);
    start_shell(&process, "exec \"$0\" \"$1\" <&- >&- 2>&-", config);
    cluster_wait(cluster, "a term in the ballot", has_saved_a_term, ballot);
    for (int fd = 0; fd <= 2; fd++)
        assert_null_descriptor(process.pid, fd);
    cr_assert_eq(kill(process.pid, SIGKILL), 0);
    cr_assert_eq(process_await_end(&process), 128 + SIGKILL);
    cr_assert_eq(stat(ballot, &status), 0);
    cr_assert_eq(status.st_size, 8192);
    cluster_start_node(cluster, 1, NULL);
    cluster_settle(cluster);
    process_fini(&process);
    cluster_free(cluster);
}

/* A pipe that is full and stays so. Its ends are inherited; returns the one to write to. */
static int full_pipe(void)
{
    static const char BYTES[4096];
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    while (write(ends[1], BYTES, sizeof(BYTES)) > 0)
        continue;
    cr_assert_eq(fcntl(ends[1], F_SETFL, 0), 0);
    return ends[1];
}

Test(operators, a_node_dies_though_nobody_reads_why)
{
    struct process process = {0};
    char end[12];
    snprintf(end, sizeof(end), "%d", full_pipe());
    cr_assert_eq(run_shell(&process, "exec \"$0\" /nowhere/x.json 2>&\"$1\"", end), 2);
    process_fini(&process);
}

Test(operators, a_node_whose_errors_go_to_a_closed_pipe_ends_with_its_own_status)
{
    struct process process = {0};
    int ends[2];
    char end[12];
    cr_assert_eq(pipe(ends), 0);
    close(ends[0]);
    snprintf(end, sizeof(end), "%d", ends[1]);
    cr_assert_eq(run_shell(&process, "exec \"$0\" /nowhere/x.json 2>&\"$1\"", end), 2);
    process_fini(&process);
}

Test(operators, an_answer_that_cannot_be_written_is_no_good_answer)
{
    static const char *const LINES[] = {"exec \"$0\" --check \"$1\" >/dev/full", "exec \"$0\" --help >/dev/full",
                                        "exec \"$0\" --version >/dev/full"};
    struct cluster *cluster = cluster_new(1, NULL);
    char config[CLUSTER_PATH_MAX];
    cluster_path(cluster, "node1.json", config);
    for (int i = 0; i < 3; i++) {
        struct process process = {0};
        cr_assert_eq(run_shell(&process, LINES[i], config), 1, "%s", LINES[i]);
        cr_assert_str_eq(printed(&process, 1),
                         "mailraftd: Couldn't write to standard output: No space left on device\n");
        process_fini(&process);
    }
    cluster_free(cluster);
}

/* ---- mailraftd: the rest ---- */

Test(operators, a_node_that_may_open_too_few_files_could_not_start)
{
    struct cluster *cluster = cluster_new(1, NULL);
    struct process process = {0};
    char config[CLUSTER_PATH_MAX];
    cluster_path(cluster, "node1.json", config);
    cr_assert_eq(run_shell(&process, "ulimit -n 5; exec \"$0\" \"$1\"", config), 1, "%s", printed(&process, 1));
    cr_assert_not_null(strstr(printed(&process, 1), ": Too many open files\n"), "%s", printed(&process, 1));
    process_fini(&process);
    cluster_free(cluster);
}

Test(operators, a_config_from_a_pipe_is_refused)
{
    struct process process = {0};
    cr_assert_eq(run_shell(&process, "echo '{}' | \"$0\" --check /dev/stdin", ""), 2);
    cr_assert_str_eq(printed(&process, 1), "mailraftd: /dev/stdin is not a regular file\n");
    process_fini(&process);
}

/* ---- bin/cluster ---- */

/* Runs a line of shell that starts bin/cluster with $0 as its mailraftd; its folder is $1, that of `cluster`. */
static void start_script(struct process *process, const struct cluster *cluster, const char *line)
{
    char whole[400], folder[CLUSTER_PATH_MAX];
    cluster_path(cluster, "cluster", folder);
    snprintf(whole, sizeof(whole), "export MAILRAFTD=$0; %s", line);
    start_shell(process, whole, folder);
}

Test(operators, cluster_starts_its_nodes_without_a_standard_input)
{
    struct cluster *none = cluster_new(1, NULL);
    struct process script = {0};
    start_script(&script, none, "exec bin/cluster --dir \"$1\" 1 <&-");
    process_expect(&script, " Leader! STATE: CANDIDATE -> LEADER ");
    process_signal(&script, SIGINT);
    cr_assert_eq(process_await_end(&script), 0, "%s", printed(&script, 1));
    cr_assert_str_eq(printed(&script, 1), "");
    process_fini(&script);
    start_script(&script, none, "exec bin/cluster --json --dir \"$1\" 1 <&-"); /* its input has ended */
    cr_assert_eq(process_await_end(&script), 0, "%s", printed(&script, 1));
    cr_assert_str_eq(printed(&script, 1), "");
    process_fini(&script);
    cluster_free(none);
}

Test(operators, cluster_gives_up_at_once_when_its_nodes_have_ended_before_a_leader)
{
    struct cluster *cluster = cluster_start(1, NULL); /* it has the data folder */
    struct process script = {0};
    cluster_settle(cluster);
    start_script(&script, cluster, "exec bin/cluster --json --timeout 3600 --dir \"$1\" --conf \"${1%/*}/node1.json\"");
    const char *line = process_expect(&script, "{\"error\":\"no leader, and no node runs any more; node 1 ended with ");
    cr_assert_not_null(strstr(line, "status 3: mailraftd: data_dir "), "%s", line);
    cr_assert_eq(process_await_end(&script), 1);
    process_fini(&script);
    cluster_free(cluster);
}

Test(operators, cluster_says_at_the_start_which_tool_is_missing)
{
    struct cluster *none = cluster_new(1, NULL);
    struct process script = {0};
    start_script(&script, none, "PATH=/nowhere exec -- \"$BASH\" bin/cluster --json --dir \"$1\"");
    process_expect(&script, "{\"error\":\"setsid and setpriv --pdeathsig are needed; ");
    cr_assert_eq(process_await_end(&script), 1);
    process_fini(&script);
    cluster_free(none);
}

Test(operators, cluster_takes_no_words_that_mean_nothing)
{
    struct cluster *none = cluster_new(1, NULL);
    struct process script = {0};
    start_script(&script, none, "exec bin/cluster --json --dir \"$1\" 1");
    process_expect(&script, "{\"leader\":1,");
    process_write(&script, "quit now\n");
    process_expect(&script, "{\"command\":\"quit now\",\"ok\":false,\"error\":\"quit stands alone; ");
    process_write(&script, "leader 1\n");
    process_expect(&script, "{\"command\":\"leader 1\",\"ok\":false,\"error\":\"leader stands alone; ");
    process_write(&script, "leader\n");
    process_expect(&script, "{\"command\":\"leader\",\"ok\":true,\"leader\":1,");
    process_write(&script, "quit\n");
    process_expect(&script, "{\"command\":\"quit\",\"ok\":true}");
    cr_assert_eq(process_await_end(&script), 0, "%s", printed(&script, 1));
    process_fini(&script);
    cluster_free(none);
}

static void assert_stopped(const struct cluster *cluster, const char *name)
{
    char path[CLUSTER_PATH_MAX], text[8192];
    cluster_path(cluster, name, path);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    cr_assert_not_null(strstr(text, "Stopped\n"), "%s", text);
}

Test(operators, cluster_stops_its_nodes_once_nobody_reads_what_they_say)
{
    /* A node that is alone says nothing more once it leads: then the script is made to say something, or the node. */
    static const char *const COMMANDS[] = {"leader\n", "restart 1\n"};
    for (int i = 0; i < 2; i++) {
        struct cluster *none = cluster_new(1, NULL);
        struct process script = {0};
        start_script(&script, none, "exec bin/cluster --dir \"$1\" 1");
        process_expect(&script, " Leader! STATE: CANDIDATE -> LEADER ");
        process_close_output(&script);
        process_write(&script, COMMANDS[i]);
        process_await_silence(&script); /* though its input stays open */
        assert_stopped(none, "cluster/node1.log");
        cr_assert_eq(process_await_end(&script), 0, "%s", printed(&script, 1));
        cr_assert_str_eq(printed(&script, 1), "");
        process_fini(&script);
        cluster_free(none);
    }
}
