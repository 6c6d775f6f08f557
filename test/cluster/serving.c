#include "cluster/serving.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define ANSWER_SHOWN_MAX 4000

/* ---- Nodes ---- */

struct cluster *serving_new(int count, const char *settings)
{
    struct cluster *cluster = cluster_new(count, settings);
    int ports[CLUSTER_NODES_MAX];
    for (int i = 0; i < count; i++) {
        struct node *node = &cluster->nodes[i];
        ports[i] = node->port;
        node->client_port = port_hold(&node->client_port_holder);
    }
    for (int id = 1; id <= count; id++)
        cluster_write_config(cluster, id, ports, settings);
    return cluster;
}

struct cluster *serving_start(int count, const char *settings)
{
    struct cluster *cluster = serving_new(count, settings);
    for (int id = 1; id <= count; id++)
        cluster_start_node(cluster, id, NULL);
    assert_answer_of(cluster, cluster_settle(cluster), "OK", "SET began 1");
    return cluster;
}

/* ---- Connections ---- */

redisContext *serving_connect(struct cluster *cluster, int id)
{
    const struct timeval patience = {.tv_sec = PROCESS_WAIT_MS / 1000};
    redisContext *context = redisConnect("127.0.0.1", cluster_node(cluster, id)->client_port);
    cr_assert(context != NULL && context->err == 0, "node %d: %s", id, context != NULL ? context->errstr : "no memory");
    cr_assert_eq(redisSetTimeout(context, patience), REDIS_OK);
    cr_assert_eq(fcntl(context->fd, F_SETFD, FD_CLOEXEC), 0); /* no node that is started later holds it open */
    return context;
}

static void write_answer(FILE *out, const redisReply *reply)
{
    switch (reply->type) {
    case REDIS_REPLY_STRING:
        fprintf(out, "\"%s\"", reply->str);
        break;
    case REDIS_REPLY_INTEGER:
        fprintf(out, "%lld", reply->integer);
        break;
    case REDIS_REPLY_STATUS:
        fputs(reply->str, out);
        break;
    case REDIS_REPLY_ERROR:
        fprintf(out, "-%s", reply->str);
        break;
    case REDIS_REPLY_ARRAY:
        fputc('[', out);
        for (size_t i = 0; i < reply->elements; i++) {
            fputs(i > 0 ? ", " : "", out);
            write_answer(out, reply->element[i]);
        }
        fputc(']', out);
        break;
    default:
        fputs("nil", out);
    }
}

const char *answer_text(const redisReply *reply)
{
    static char text[ANSWER_SHOWN_MAX];
    FILE *out = fmemopen(text, sizeof(text), "w");
    cr_assert_not_null(out);
    write_answer(out, reply);
    fclose(out);
    text[sizeof(text) - 1] = '\0';
    return text;
}

void serving_flush(redisContext *context)
{
    int done = 0;
    while (!done)
        cr_assert_eq(redisBufferWrite(context, &done), REDIS_OK, "%s", context->errstr);
}

const char *serving_take(redisContext *context)
{
    void *reply = NULL;
    cr_assert_eq(redisGetReply(context, &reply), REDIS_OK, "no answer: %s", context->errstr);
    const char *text = answer_text(reply);
    freeReplyObject(reply);
    return text;
}

const char *serving_ask(redisContext *context, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    cr_assert_eq(redisvAppendCommand(context, format, values), REDIS_OK);
    va_end(values);
    return serving_take(context);
}

const char *serving_ask_node(struct cluster *cluster, int id, const char *format, ...)
{
    redisContext *context = serving_connect(cluster, id);
    va_list values;
    va_start(values, format);
    cr_assert_eq(redisvAppendCommand(context, format, values), REDIS_OK);
    va_end(values);
    const char *text = serving_take(context);
    redisFree(context);
    return text;
}

long serving_number(struct cluster *cluster, int id, const char *key)
{
    const char *text = serving_ask_node(cluster, id, "GET %s", key);
    if (strcmp(text, "nil") == 0)
        return 0;
    cr_assert_eq(text[0], '"', "%s holds %s", key, text);
    return strtol(text + 1, NULL, 10);
}

bool is_clusterdown(const char *answer)
{
    return strncmp(answer, "-CLUSTERDOWN ", 13) == 0;
}

bool is_uncertain(const char *answer)
{
    return strncmp(answer, "-UNCERTAIN ", 11) == 0;
}
