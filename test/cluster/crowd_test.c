/* Clients that take what others need: memory, connections, the node's time. They must not get it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
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

static void set_big_value(struct cluster *cluster, int id)
{
    char *value = malloc(VALUE_BYTES);
    redisContext *context = serving_connect(cluster, id);
    memset(value, 'v', VALUE_BYTES);
    redisReply *reply = redisCommand(context, "SET big %b", value, (size_t)VALUE_BYTES);
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
    set_big_value(cluster, 1);
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
