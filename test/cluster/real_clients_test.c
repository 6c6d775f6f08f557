/* The programs and libraries that people reach Redis with, as they come: each must just work, and go on when the leader
 * is killed. What is written in other languages stands in cluster/clients/.
 *
 * CLIENTS names the folder where the libraries for Node.js are (test/cluster/clients/install). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"
#include "cluster/serving.h"

#define PORT_TEXT 8

static const char *printed(const struct process *process, int which)
{
    return process->printed[which].text != NULL ? process->printed[which].text : "";
}

static void port_text(struct cluster *cluster, int id, char text[PORT_TEXT])
{
    snprintf(text, PORT_TEXT, "%d", cluster_node(cluster, id)->client_port);
}

/* ---- redis-cli ---- */

/* Runs it against a node, with this on its standard input (NULL: nothing) and so many arguments; what it printed. */
static void assert_cli(struct cluster *cluster, int id, const char *input, const char *expected,
                       const char *const *arguments)
{
    struct process process = {0};
    char port[PORT_TEXT];
    const char *all[16] = {"redis-cli", "-p", port};
    port_text(cluster, id, port);
    for (int i = 0; arguments[i] != NULL; i++)
        all[3 + i] = arguments[i];
    process_start(&process, "redis-cli", all, NULL);
    if (input != NULL)
        process_write(&process, input);
    cr_assert_eq(process_await_end(&process), 0, "%s", printed(&process, 1));
    cr_assert_str_eq(printed(&process, 0), expected);
    cr_assert_str_empty(printed(&process, 1));
    process_fini(&process);
}

#define ASSERT_CLI(cluster, id, input, expected, ...)                                                                  \
    assert_cli(cluster, id, input, expected, (const char *[]){__VA_ARGS__, NULL})

Test(real_clients, redis_cli_asks_what_it_is_told_to)
{
    struct cluster *cluster = serving_start(3, STEADY);
    for (int id = 1; id <= 3; id++) {
        ASSERT_CLI(cluster, id, NULL, "PONG\n", "PING");
        ASSERT_CLI(cluster, id, NULL, "OK\n", "SET", "a b", "one two");
        ASSERT_CLI(cluster, id % 3 + 1, NULL, "one two\n", "GET", "a b");
        ASSERT_CLI(cluster, id, NULL, "(nil)\n", "--no-raw", "GET", "absent");
        ASSERT_CLI(cluster, id, "three\n", "OK\n", "-x", "SET", "b");
        ASSERT_CLI(cluster, id, NULL, "1) \"one two\"\n2) \"three\\n\"\n3) (nil)\n", "--no-raw", "MGET", "a b", "b",
                   "c");
        ASSERT_CLI(cluster, id, NULL, "(integer) 2\n", "--no-raw", "DEL", "a b", "b");
        ASSERT_CLI(cluster, id, NULL, "PONG\nPONG\nPONG\n", "-r", "3", "PING");
    }
    cluster_free(cluster);
}

Test(real_clients, redis_cli_takes_commands_from_its_input)
{
    static const char INPUT[] =
        "set a 1\nincr a\nmulti\nincr a\nget \"a\"\nexec\nget 'no such'\nnosuch\necho \"a\\x41\"\n";
    struct cluster *cluster = serving_start(3, STEADY);
    for (int id = 1; id <= 3; id++)
        ASSERT_CLI(
            cluster, id, INPUT,
            "OK\n2\nOK\nQUEUED\nQUEUED\n3\n3\n\nERR unknown command 'nosuch', with args beginning with: \n\naA\n", "-n",
            "0");
    cluster_free(cluster);
}

Test(real_clients, redis_cli_speaks_resp3)
{
    struct cluster *cluster = serving_start(3, STEADY);
    for (int id = 1; id <= 3; id++) {
        ASSERT_CLI(cluster, id, NULL, "OK\n", "-3", "SET", "a", "1");
        ASSERT_CLI(cluster, id, NULL, "(nil)\n", "-3", "--no-raw", "GET", "absent");
        ASSERT_CLI(cluster, id, NULL, "1# \"maxmemory-policy\" => \"noeviction\"\n", "-3", "--no-raw", "CONFIG", "GET",
                   "maxmemory-policy");
        ASSERT_CLI(cluster, id, "incr a\nget a\n", "2\n2\n", "-3");
        ASSERT_CLI(cluster, id, NULL, "1\n", "-3", "DEL", "a");
    }
    cluster_free(cluster);
}

/* ---- redis-benchmark ---- */

Test(real_clients, redis_benchmark_runs_through_every_node)
{
    struct cluster *cluster = serving_start(3, STEADY);
    for (int id = 1; id <= 3; id++) {
        struct process process = {0};
        char port[PORT_TEXT];
        port_text(cluster, id, port);
        process_start(&process, "redis-benchmark",
                      (const char *[]){"redis-benchmark", "-p", port, "-t", "ping,set,get,incr,mset", "-n", "2000",
                                       "-c", "20", "-P", id == 3 ? "16" : "1", "-r", "100", "--csv", NULL},
                      NULL);
        cr_assert_eq(process_await_end(&process), 0, "%s%s", printed(&process, 0), printed(&process, 1));
        static const char *const TESTS[] = {"PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"};
        for (int i = 0; i < 6; i++) {
            char line[32];
            snprintf(line, sizeof(line), "\"%s\",\"", TESTS[i]);
            cr_assert(strstr(printed(&process, 0), line) != NULL, "no %s in: %s", TESTS[i], printed(&process, 0));
        }
        process_fini(&process);
    }
    cluster_free(cluster);
}

/* ---- Libraries ---- */

/* How a library is started: what comes in front of plain|sentinel, the cluster's name, and the ports. */
struct library {
    const char *name;
    const char *arguments[4];
    bool repeats; /* by itself, what was not answered when its connection broke */
    bool waits;   /* for whichever node it was told of, until that is there */
};

static const char *clients_folder(void)
{
    const char *folder = getenv("CLIENTS");
    return folder != NULL ? folder : "";
}

static struct library node_library(const char *name)
{
    struct library library = {.name = name,
                              .arguments = {"node", "test/cluster/clients/client.js", clients_folder(), name}};
    return library;
}

static void skip_without_library(const char *name)
{
    char path[CLUSTER_PATH_MAX];
    struct stat status;
    snprintf(path, sizeof(path), "%s/node_modules/%s/package.json", clients_folder(), name);
    if (stat(path, &status) != 0)
        cr_skip_test("skipped: %s is not installed (Node.js, or the registry of npm, was not there)", name);
}

/* ports: of the nodes that it is told of. */
static void library_start(struct process *process, const struct library *library, const char *mode,
                          struct cluster *cluster, const int *ids)
{
    const char *all[12];
    char ports[CLUSTER_NODES_MAX][PORT_TEXT];
    int count = 0;
    for (int i = 0; i < 4 && library->arguments[i] != NULL; i++)
        all[count++] = library->arguments[i];
    all[count++] = mode;
    all[count++] = "test";
    for (int i = 0; ids[i] != 0; i++) {
        port_text(cluster, ids[i], ports[i]);
        all[count++] = ports[i];
    }
    all[count] = NULL;
    process_start(process, library->name, all, NULL);
    const char *state = process_expect(process, "state: ");
    if (strcmp(state, "state: ready") == 0)
        return;
    cluster_free(cluster);
    cr_skip_test("skipped: %s", state + strlen("state: "));
}

/* Waits until it has done so many more rounds. */
static void await_rounds(struct process *process, long more)
{
    char text[40];
    long now;
    cr_assert_eq(sscanf(process_expect(process, "round "), "round %ld", &now), 1);
    snprintf(text, sizeof(text), "round %ld", now + more);
    process_expect(process, text);
}

/* Ends it, and compares what it was told with what the cluster knows. */
static void library_end(struct process *process, const struct library *library, const char *mode,
                        struct cluster *cluster)
{
    char key[60];
    long done, acked, uncertain;
    process_close_input(process);
    const char *line = process_expect(process, "done ");
    cr_assert_eq(sscanf(line, "done rounds=%ld acked=%ld uncertain=%ld", &done, &acked, &uncertain), 3, "%s", line);
    cr_assert_eq(process_await_end(process), 0, "%s", printed(process, 1));
    snprintf(key, sizeof(key), "%s:%s:count", library->name, mode);
    long count = serving_number(cluster, cluster_settle(cluster), key);
    cr_assert_geq(count, acked, "%s was told of %ld additions, and %ld are there", library->name, acked, count);
    cr_assert(library->repeats || count <= acked + uncertain, "%s counted %ld; acknowledged %ld, uncertain %ld",
              library->name, count, acked, uncertain);
    process_fini(process);
}

/* Connected to one node, while another, which leads, is killed. */
static void run_plain(const struct library *library)
{
    struct cluster *cluster = serving_start(3, STEADY);
    struct process process = {0};
    int leader = cluster_settle(cluster);
    library_start(&process, library, "plain", cluster, (const int[]){leader % 3 + 1, 0});
    await_rounds(&process, 20);
    cluster_kill(cluster, leader);
    await_rounds(&process, 50);
    library_end(&process, library, "plain", cluster);
    cluster_free(cluster);
}

/* Connected to the node that leads, of which it was told by any of them, and which is killed. */
static void run_sentinel(const struct library *library)
{
    struct cluster *cluster = serving_start(3, STEADY);
    struct process process = {0};
    for (int round = 0; round < 2; round++) {
        int leader = cluster_settle(cluster);
        if (round == 0)
            library_start(&process, library, "sentinel", cluster, (const int[]){1, 2, 3, 0});
        await_rounds(&process, 20);
        cluster_kill(cluster, leader);
        if (!library->waits)
            await_rounds(&process, 50);
        cluster_start_node(cluster, leader, NULL);
        if (library->waits)
            await_rounds(&process, 50);
        cluster_settle(cluster);
    }
    struct library repeating = *library;
    repeating.repeats = true; /* where the connection broke */
    library_end(&process, &repeating, "sentinel", cluster);
    cluster_free(cluster);
}

static const struct library REDIS_PY = {.name = "redis-py", .arguments = {"test/cluster/clients/client.py"}};

Test(real_clients, redis_py_goes_on_when_the_leader_is_killed)
{
    run_plain(&REDIS_PY);
}

Test(real_clients, redis_py_finds_the_next_leader)
{
    run_sentinel(&REDIS_PY);
}

#define NODE_TEST(Name, Library, Run)                                                                                  \
    Test(real_clients, Name)                                                                                           \
    {                                                                                                                  \
        struct library library = node_library(Library);                                                                \
        skip_without_library(Library);                                                                                 \
        Run(&library);                                                                                                 \
    }                                                                                                                  \
    struct library /* takes the semicolon */

NODE_TEST(ioredis_4_goes_on_when_the_leader_is_killed, "ioredis-4", run_plain);
NODE_TEST(ioredis_5_goes_on_when_the_leader_is_killed, "ioredis-5", run_plain);
NODE_TEST(ioredis_6_goes_on_when_the_leader_is_killed, "ioredis-6", run_plain);
NODE_TEST(node_redis_3_goes_on_when_the_leader_is_killed, "redis-3", run_plain);
NODE_TEST(node_redis_4_goes_on_when_the_leader_is_killed, "redis-4", run_plain);
NODE_TEST(node_redis_5_goes_on_when_the_leader_is_killed, "redis-5", run_plain);
NODE_TEST(node_redis_6_goes_on_when_the_leader_is_killed, "redis-6", run_plain);

NODE_TEST(ioredis_4_finds_the_next_leader, "ioredis-4", run_sentinel);
NODE_TEST(ioredis_5_finds_the_next_leader, "ioredis-5", run_sentinel);
NODE_TEST(ioredis_6_finds_the_next_leader, "ioredis-6", run_sentinel);
/* It asks so soon that it may be told of the node that has just died, and tries to reach that one alone. */
static void run_waiting_sentinel(const struct library *library)
{
    struct library waiting = *library;
    waiting.waits = true;
    run_sentinel(&waiting);
}

NODE_TEST(node_redis_5_finds_the_next_leader, "redis-5", run_waiting_sentinel);
NODE_TEST(node_redis_6_finds_the_next_leader, "redis-6", run_sentinel);
