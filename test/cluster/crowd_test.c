/* Clients that take what others need: memory, connections, the node's time. They must not get it. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "cluster/serving.h"

#define IDLE_COUNT  10000
#define OTHER_FILES 400 /* of a test or a node, beside the connections */
#define VALUE_BYTES 500000

#if defined(CHECK_PLAIN_RUNNER) || defined(CHECK_LEAKS)
#define BIG_READS      200
#define MEMORY_MIB_MAX 10000 /* a sanitizer has its own */
#else
#define BIG_READS      1000 /* of one client: 500 MB of answers */
#define MEMORY_MIB_MAX 250
#endif

/* Others are served by the same node. */
static void assert_served(struct cluster *cluster, int id)
{
    redisContext *context = serving_connect(cluster, id);
    long before = serving_number(cluster, id, "served");
    for (int i = 1; i <= 100; i++) {
        const char *answer = serving_ask(context, "INCR served");
        cr_assert_eq(atol(answer), before + i, "%s", answer);
    }
    redisFree(context);
}

static void set_big_value(struct cluster *cluster, int id, size_t size)
{
    char *value = malloc(size);
    redisContext *context = serving_connect(cluster, id);
    memset(value, 'v', size);
    redisReply *reply = redisCommand(context, "SET big %b", value, size);
    cr_assert_not_null(reply);
    cr_assert_str_eq(answer_text(reply), "OK");
    freeReplyObject(reply);
    redisFree(context);
    free(value);
}

/* Raw bytes over a connection. */
static void send_bytes(redisContext *context, const char *bytes)
{
    cr_assert_eq(write(context->fd, bytes, strlen(bytes)), (ssize_t)strlen(bytes));
}

/* The most memory that a node has taken, in MiB. */
static int peak_memory(struct cluster *cluster, int id)
{
    char path[40], line[200];
    long kib = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)cluster_node(cluster, id)->process.pid);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    while (kib == 0 && fgets(line, sizeof(line), file) != NULL)
        sscanf(line, "VmHWM: %ld kB", &kib);
    fclose(file);
    return (int)(kib / 1024);
}

/* How many answers come until the connection ends. */
static int count_answers(redisContext *context)
{
    void *reply;
    int count = 0;
    for (; redisGetReply(context, &reply) == REDIS_OK; count++)
        freeReplyObject(reply);
    return count;
}

Test(crowd, a_client_that_reads_no_replies_is_closed_and_one_that_is_silent_is_not)
{
    struct cluster *cluster = serving_start(3, "\"client_stall_ms\":1000,\"client_timeout_ms\":3600000," STEADY);
    set_big_value(cluster, 1, VALUE_BYTES);
    for (int id = 1; id <= 3; id++) {
        redisContext *silent = serving_connect(cluster, id);
        redisContext *stuck = serving_connect(cluster, id);
        redisContext *slow = serving_connect(cluster, id);
        assert_answer(silent, "PONG", "PING");
        send_bytes(stuck, "*2\r\n$4\r\nECHO\r\n$5\r\nha");
        for (int i = 0; i < BIG_READS; i++)
            redisAppendCommand(slow, "GET big");
        serving_flush(slow);
        assert_served(cluster, id);
        cluster_expect(cluster, id, " Closed the connection of client ");
        assert_served(cluster, id);
        cr_assert_lt(count_answers(slow), BIG_READS);
        for (int other = 1; other <= 3; other++)
            cr_assert_lt(peak_memory(cluster, other), MEMORY_MIB_MAX);
        assert_answer(silent, "PONG", "PING");
        send_bytes(stuck, "lf!\r\n");
        cr_assert_str_eq(serving_take(stuck), "\"half!\"");
        redisFree(silent);
        redisFree(stuck);
        redisFree(slow);
    }
    cluster_free(cluster);
}

Test(crowd, one_client_more_than_there_may_be_is_told_so)
{
    struct cluster *cluster = serving_start(3, "\"max_clients\":5," STEADY);
    redisContext *contexts[6];
    for (int i = 0; i < 5; i++) {
        contexts[i] = serving_connect(cluster, 1);
        assert_answer(contexts[i], "PONG", "PING");
    }
    contexts[5] = serving_connect(cluster, 1);
    cr_assert_str_eq(serving_take(contexts[5]), "-ERR max number of clients reached");
    cr_assert_eq(count_answers(contexts[5]), 0);
    for (int i = 0; i < 6; i++)
        redisFree(contexts[i]);
    cluster_free(cluster);
}

/* ---- Clients that vanish ---- */

static int connected_clients(struct cluster *cluster, int id)
{
    redisContext *context = serving_connect(cluster, id);
    redisReply *reply = redisCommand(context, "INFO clients");
    cr_assert(reply != NULL && reply->type == REDIS_REPLY_STRING);
    const char *line = strstr(reply->str, "connected_clients:");
    cr_assert_not_null(line);
    int count = atoi(line + strlen("connected_clients:"));
    freeReplyObject(reply);
    redisFree(context);
    return count;
}

static bool have_gone(struct cluster *cluster, void *context)
{
    return connected_clients(cluster, *(int *)context) <= 2;
}

/* In which moment a client goes: it says this, and closes or resets its connection without reading. */
static const char *const LAST_WORDS[] = {
    "",
    "*2\r\n$4\r\nINCR\r\n$8\r\nvan",
    "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$100000\r\nxxxxxxxx",
    "INCR vanished\r\nGET big\r\nGET big\r\nGET big\r\n",
    "WATCH vanished\r\nMULTI\r\nINCR vanished\r\n",
    "MULTI\r\nINCR vanished\r\nGET big\r\nEXEC\r\n",
    "SUBSCRIBE +switch-master\r\n",
    "WAIT 2 0\r\nGET big\r\n",
};

/* A gigabyte of answers nobody reads, and a sanitizer that looks at each byte of it twice, may take a slow machine some
 * seconds: no reason to change the leader, or to give up. */
#define PATIENT                                                                                                        \
    "\"election_timeout_ms\":{\"min\":5000,\"max\":6000},\"heartbeat_ms\":100,\"client_timeout_ms\":3600000"

#define WAYS_TO_GO (sizeof(LAST_WORDS) / sizeof(*LAST_WORDS))
#define VANISHING  1000

#define VANISHING_BYTES 20000 /* of the values that they ask for: not so many that answering takes its time */

static void vanish(redisContext *context, bool reset)
{
    const struct linger at_once = {.l_onoff = 1};
    if (reset)
        cr_assert_eq(setsockopt(context->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    redisFree(context);
}

/* They connect, ask for nothing, a half, or much, and go, while their answers are on the way: no node dies of it (of
 * SIGPIPE, say) or keeps anything for them, nobody else is held up, and what was asked for whole was done once at
 * most. */
Test(crowd, a_thousand_clients_that_connect_and_vanish_do_no_harm)
{
    static redisContext *contexts[VANISHING];
    struct cluster *cluster = serving_start(3, PATIENT);
    int leader = cluster_settle(cluster), whole = 0;
    uint64_t term = cluster->leader_term;
    set_big_value(cluster, 1, VANISHING_BYTES);
    for (int begin = 0; begin < VANISHING; begin += 100) {
        for (int i = begin; i < begin + 100; i++) {
            const char *words = LAST_WORDS[(size_t)i % WAYS_TO_GO];
            contexts[i] = serving_connect(cluster, i % 3 + 1);
            send_bytes(contexts[i], words);
            whole += strstr(words, "INCR vanished") != NULL && strstr(words, "WATCH") == NULL;
        }
        for (int i = begin; i < begin + 100; i++)
            vanish(contexts[i], i / 8 % 2 == 0);
    }
    for (int id = 1; id <= 3; id++) {
        assert_served(cluster, id);
        cluster_wait(cluster, "the clients' end", have_gone, &id);
        cr_assert_lt(peak_memory(cluster, id), MEMORY_MIB_MAX);
    }
    long done = serving_number(cluster, leader, "vanished");
    cr_assert(done <= whole, "%ld of %d", done, whole);
    cr_assert_eq(cluster_settle(cluster), leader);
    cr_assert_eq(cluster->leader_term, term);
    cluster_free(cluster);
}

/* ---- Descriptors that are used up ---- */

static int open_files(struct cluster *cluster, int id)
{
    char path[40];
    int count = 0;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)cluster_node(cluster, id)->process.pid);
    DIR *folder = opendir(path);
    cr_assert_not_null(folder);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count - 2; /* but "." and ".." */
}

/* A node may have so many files more than it has now. */
static void limit_files(struct cluster *cluster, int id, int more)
{
    struct rlimit limit;
    pid_t pid = cluster_node(cluster, id)->process.pid;
    cr_assert_eq(prlimit(pid, RLIMIT_NOFILE, NULL, &limit), 0);
    limit.rlim_cur = (rlim_t)(open_files(cluster, id) + more);
    cr_assert_eq(prlimit(pid, RLIMIT_NOFILE, &limit, NULL), 0);
}

#define CROWD 50

/* Its clients have used up what a node may open: those who were there are served, whoever comes later waits in the
 * socket, and comes in when others go. */
Test(crowd, a_node_without_descriptors_serves_those_it_has_and_later_the_others)
{
    redisContext *contexts[CROWD];
    struct cluster *cluster = serving_start(3, STEADY);
    int leader = cluster_settle(cluster), id = leader % 3 + 1;
    uint64_t term = cluster->leader_term;
    limit_files(cluster, id, CROWD / 2);
    for (int i = 0; i < CROWD; i++)
        contexts[i] = serving_connect(cluster, id);
    cluster_expect(cluster, id, "Clients have to wait: Couldn't accept a connection: Too many open files");
    for (int i = 0; i < CROWD / 4; i++)
        cr_assert_eq(atol(serving_ask(contexts[i], "INCR a")), i + 1);
    redisAppendCommand(contexts[CROWD - 1], "INCR b");
    serving_flush(contexts[CROWD - 1]);
    for (int i = 0; i < CROWD - 1; i++)
        redisFree(contexts[i]);
    cr_assert_str_eq(serving_take(contexts[CROWD - 1]), "1");
    redisFree(contexts[CROWD - 1]);
    cr_assert_eq(cluster_settle(cluster), leader);
    cr_assert_eq(cluster->leader_term, term);
    cluster_free(cluster);
}

/* The same by strangers at its port for peers: they are sent away after the second that a hello may take, and a peer
 * that comes meanwhile gets in. */
Test(crowd, a_node_without_descriptors_is_reached_by_its_peers_all_the_same)
{
    redisContext *strangers[CROWD];
    struct cluster *cluster = serving_start(3, STEADY);
    int leader = cluster_settle(cluster), id = leader % 3 + 1, other = id % 3 + 1;
    cluster_kill(cluster, other);
    limit_files(cluster, id, 5);
    for (int i = 0; i < CROWD; i++)
        strangers[i] = redisConnect("127.0.0.1", cluster_node(cluster, id)->port);
    cluster_expect(cluster, id, "Connections have to wait: Couldn't accept a connection: Too many open files");
    cluster_start_node(cluster, other, NULL);
    cluster_kill(cluster, leader); /* now the two need each other */
    cluster_settle(cluster);
    for (int i = 0; i < CROWD; i++)
        redisFree(strangers[i]);
    cluster_free(cluster);
}

#define FILES_ALLOWED 600

/* Nodes that begin from here on may have so few files. */
static void allow_few_files(struct cluster *cluster)
{
    char path[CLUSTER_PATH_MAX];
    cluster_path(cluster, "limited", path);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fprintf(file, "#!/bin/sh\nulimit -n %d\nexec \"$MAILRAFTD\" \"$@\"\n", FILES_ALLOWED);
    cr_assert(fchmod(fileno(file), 0700) == 0 && fclose(file) == 0);
    cr_assert_eq(setenv("LIMITED", path, 1), 0);
    cluster->program = "LIMITED";
}

/* As many clients as want to, where a process may have few files: some are told that there are too many, and those are
 * left that the node needs for its peers and its log. */
Test(crowd, clients_cannot_take_the_descriptors_that_a_node_needs_for_its_peers)
{
    static redisContext *contexts[FILES_ALLOWED];
    struct cluster *cluster = serving_new(3, "\"client_timeout_ms\":3600000," STEADY);
    int served = 0;
    allow_few_files(cluster);
    for (int id = 1; id <= 3; id++)
        cluster_start_node(cluster, id, NULL);
    int leader = cluster_settle(cluster), id = leader % 3 + 1, other = id % 3 + 1;
    cluster_expect(cluster, id, "No more than 344 clients can connect: ");
    for (int i = 0; i < FILES_ALLOWED; i++) {
        contexts[i] = serving_connect(cluster, id);
        served += strcmp(serving_ask(contexts[i], "PING"), "PONG") == 0; /* or told that there are too many */
    }
    cr_assert_eq(served, 344);
    cluster_kill(cluster, other);
    cluster_start_node(cluster, other, NULL);
    cluster_kill(cluster, leader); /* now the two need each other */
    cluster_settle(cluster);
    cr_assert_eq(atol(serving_ask(contexts[0], "INCR a")), 1);
    for (int i = 0; i < FILES_ALLOWED; i++)
        redisFree(contexts[i]);
    cluster_free(cluster);
}

/* ---- Idle connections ---- */

static void allow_files(void)
{
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < IDLE_COUNT + OTHER_FILES) {
        limit.rlim_max = IDLE_COUNT + OTHER_FILES; /* who may raise it can */
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            cr_skip_test("skipped: a process may not have %d files here", IDLE_COUNT + OTHER_FILES);
        return;
    }
    limit.rlim_cur = limit.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

Test(crowd, ten_thousand_connections_may_be_idle)
{
    static redisContext *contexts[IDLE_COUNT];
    allow_files();
    struct cluster *cluster = serving_start(3, "\"max_clients\":10100," STEADY);
    int id = cluster_settle(cluster) % 3 + 1;
    for (int i = 0; i < IDLE_COUNT; i++)
        contexts[i] = serving_connect(cluster, id);
    for (int i = 0; i < IDLE_COUNT; i += 100)
        assert_answer(contexts[i], "PONG", "PING");
    assert_answer(contexts[IDLE_COUNT - 1], "PONG", "PING");
    assert_served(cluster, id);
    cr_assert_geq(connected_clients(cluster, id), IDLE_COUNT + 1);
    for (int i = 0; i < IDLE_COUNT; i++)
        redisFree(contexts[i]);
    cluster_wait(cluster, "the clients' end", have_gone, &id);
    assert_served(cluster, id);
    cluster_free(cluster);
}
