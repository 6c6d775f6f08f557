#include "cluster/load.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "cluster/serving.h"

#define CLIENTS_MAX 256

enum outcome { DONE, NOT_DONE, UNKNOWN, BROKEN };

struct client {
    struct load *load;
    int number, node;
    pthread_t thread;
    redisContext *context; /* NULL: not connected */
    long set;              /* keys that it has tried to set: 1 to so many */
    uint8_t *outcomes;     /* by key: what it was told (enum outcome) */
    size_t room;
    atomic_long added;  /* additions that were acknowledged */
    long count;         /* its counter, as the last of them told it */
    long uncertain;     /* of those since, that may have been done */
    long late;          /* additions that may be done yet: their connection broke */
    atomic_bool failed; /* it ends then */
    char failure[300];  /* what was wrong; for after its end */
};

struct load {
    struct cluster *cluster;
    int count;
    atomic_bool ending;
    struct client clients[CLIENTS_MAX];
};

/* ---- One client ---- */

static void client_disconnect(struct client *client)
{
    if (client->context != NULL)
        redisFree(client->context);
    client->context = NULL;
}

/* At the next node; false: it cannot be reached. */
static bool client_connect(struct client *client)
{
    const struct timeval patience = {.tv_sec = PROCESS_WAIT_MS / 1000};
    const struct timespec moment = {.tv_nsec = 5000000}; /* others may run before all nodes have been tried again */
    client->node = client->node % client->load->cluster->count + 1;
    client->context = redisConnect("127.0.0.1", client->load->cluster->nodes[client->node - 1].client_port);
    if (client->context != NULL && client->context->err == 0 &&
        redisSetTimeout(client->context, patience) == REDIS_OK &&
        fcntl(client->context->fd, F_SETFD, FD_CLOEXEC) == 0) /* no node that is started later holds it open */
        return true;
    client_disconnect(client);
    nanosleep(&moment, NULL);
    return false;
}

static void fail(struct client *client, const char *command, const char *answer)
{
    snprintf(client->failure, sizeof(client->failure), "client %d at node %d: %s was answered %s", client->number,
             client->node, command, answer);
    atomic_store(&client->failed, true);
}

/* What became of an answer that is an error or none; DONE: it is another one. */
static enum outcome outcome_of(struct client *client, const redisReply *reply)
{
    char error[200];
    if (reply == NULL) {
        client_disconnect(client);
        return BROKEN;
    }
    snprintf(error, sizeof(error), "-%s", reply->type == REDIS_REPLY_ERROR ? reply->str : "");
    return is_uncertain(error) ? UNKNOWN : is_clusterdown(error) ? NOT_DONE : DONE;
}

static enum outcome client_ask(struct client *client, const char *command, const char *expected)
{
    redisReply *reply = redisCommand(client->context, command);
    enum outcome outcome = outcome_of(client, reply);
    if (outcome == DONE && (reply->str == NULL || strcmp(reply->str, expected) != 0))
        fail(client, command, reply->str != NULL ? reply->str : "something else");
    freeReplyObject(reply);
    return outcome;
}

static void client_set(struct client *client)
{
    char command[80];
    size_t key = (size_t)++client->set;
    if (key >= client->room) {
        client->room = client->room > 0 ? 2 * client->room : 1024;
        client->outcomes = realloc(client->outcomes, client->room);
    }
    snprintf(command, sizeof(command), "SET load:%d:%zu value:%zu", client->number, key, key);
    client->outcomes[key] = (uint8_t)client_ask(client, command, "OK");
}

static void client_read_back(struct client *client)
{
    char command[80], value[40];
    if (client->context == NULL || client->outcomes[client->set] != DONE)
        return;
    snprintf(command, sizeof(command), "GET load:%d:%ld", client->number, client->set);
    snprintf(value, sizeof(value), "value:%ld", client->set);
    client_ask(client, command, value);
}

/* A counter that nobody else adds to tells how many of its earlier additions were done: those of which nobody knew, and
 * that were decided before this one, and those that a node which has died had sent on. */
static void check_count(struct client *client, long count)
{
    char text[100];
    long unexpected = count - (client->count + 1);
    long late = unexpected > client->uncertain ? unexpected - client->uncertain : 0;
    snprintf(text, sizeof(text), "%ld after %ld, %ld uncertain, %ld late", count, client->count, client->uncertain,
             client->late);
    if (unexpected < 0 || late > client->late)
        fail(client, "INCR", text);
    client->count = count;
    client->uncertain = 0;
    client->late -= late;
}

static void client_add(struct client *client)
{
    if (client->context == NULL)
        return;
    redisReply *reply = redisCommand(client->context, "INCR load:%d:count", client->number);
    enum outcome outcome = outcome_of(client, reply);
    client->uncertain += outcome == UNKNOWN;
    client->late += outcome == BROKEN;
    if (outcome == DONE) {
        check_count(client, (long)reply->integer);
        atomic_fetch_add(&client->added, 1);
    }
    freeReplyObject(reply);
}

static void *client_run(void *context)
{
    struct client *client = context;
    while (!atomic_load(&client->load->ending) && !atomic_load(&client->failed)) {
        if (client->context == NULL && !client_connect(client))
            continue;
        client_set(client);
        client_read_back(client);
        client_add(client);
    }
    client_disconnect(client);
    return NULL;
}

/* ---- All of them ---- */

struct load *load_start(struct cluster *cluster, int clients)
{
    struct load *load = calloc(1, sizeof(*load));
    cr_assert(load != NULL && clients <= CLIENTS_MAX);
    load->cluster = cluster;
    load->count = clients;
    for (int i = 0; i < clients; i++) {
        struct client *client = &load->clients[i];
        client->load = load;
        client->number = i + 1;
        client->node = i % cluster->count + 1;
        cr_assert_eq(pthread_create(&client->thread, NULL, client_run, client), 0);
    }
    return load;
}

struct wanted {
    struct load *load;
    long additions[CLIENTS_MAX];
};

static bool have_added(struct cluster *cluster, void *context)
{
    const struct wanted *wanted = context;
    (void)cluster;
    for (int i = 0; i < wanted->load->count; i++) {
        struct client *client = &wanted->load->clients[i];
        if (!atomic_load(&client->failed) && atomic_load(&client->added) < wanted->additions[i])
            return false;
    }
    return true;
}

void load_await(struct load *load, long additions)
{
    struct wanted wanted = {.load = load};
    for (int i = 0; i < load->count; i++)
        wanted.additions[i] = atomic_load(&load->clients[i].added) + additions;
    cluster_wait(load->cluster, "acknowledged additions", have_added, &wanted);
}

/* What was acknowledged is there; what was certainly not executed is not. */
static void check_keys(const struct client *client, redisContext *context)
{
    char value[40];
    for (long key = 1; key <= client->set; key++)
        redisAppendCommand(context, "GET load:%d:%ld", client->number, key);
    for (long key = 1; key <= client->set; key++) {
        const char *answer = serving_take(context);
        snprintf(value, sizeof(value), "\"value:%ld\"", key);
        if (client->outcomes[key] == DONE)
            cr_assert_str_eq(answer, value, "client %d was told that it has set key %ld", client->number, key);
        if (client->outcomes[key] == NOT_DONE)
            cr_assert_str_eq(answer, "nil", "client %d was told that it has not set key %ld", client->number, key);
    }
}

static void check_counter(const struct client *client, int id)
{
    char key[40];
    snprintf(key, sizeof(key), "load:%d:count", client->number);
    long count = serving_number(client->load->cluster, id, key);
    cr_assert(count >= client->count && count <= client->count + client->uncertain + client->late,
              "client %d finds %ld; it was told %ld, %ld are uncertain, %ld late", client->number, count, client->count,
              client->uncertain, client->late);
}

void load_end(struct load *load, int id)
{
    atomic_store(&load->ending, true);
    for (int i = 0; i < load->count; i++)
        pthread_join(load->clients[i].thread, NULL);
    redisContext *context = serving_connect(load->cluster, id);
    for (int i = 0; i < load->count; i++) {
        cr_assert_str_empty(load->clients[i].failure);
        check_keys(&load->clients[i], context);
        check_counter(&load->clients[i], id);
        free(load->clients[i].outcomes);
    }
    redisFree(context);
    free(load);
}
