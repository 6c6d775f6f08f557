/* serving.h - the service of real nodes, as clients meet it: connections (hiredis) and what is answered over them.
 *
 * Threads:   from the test's. Deadlines: whoever is not answered for PROCESS_WAIT_MS fails the test. */
#ifndef CLUSTER_SERVING_H
#define CLUSTER_SERVING_H

#include <hiredis/hiredis.h>

#include "cluster/cluster.h"

/* As cluster_new, with a port for clients at each node. */
struct cluster *serving_new(int count, const char *settings);
/* The same, started; a leader whom all follow has taken a first command. */
struct cluster *serving_start(int count, const char *settings);

redisContext *serving_connect(struct cluster *cluster, int id);

/* The answer as text: OK, 5, "bulk", nil, -ERR words, [1, "a", nil]. Only until the next call. */
const char *answer_text(const redisReply *reply);

/* A command, and the answer to it, as text. The connection must not break. */
__attribute__((format(printf, 2, 3))) const char *serving_ask(redisContext *context, const char *format, ...);
const char *serving_take(redisContext *context); /* that to the oldest command that was sent with redisAppendCommand */
void serving_flush(redisContext *context);       /* sends all such commands */

/* Asks, and compares the answer. The format is hiredis's, which has %b, too. */
#define assert_answer(Context, Expected, ...) cr_assert_str_eq(serving_ask(Context, __VA_ARGS__), Expected)

/* The same once through the node of that id. */
__attribute__((format(printf, 3, 4))) const char *serving_ask_node(struct cluster *cluster, int id, const char *format,
                                                                   ...);
#define assert_answer_of(Cluster, Id, Expected, ...)                                                                   \
    cr_assert_str_eq(serving_ask_node(Cluster, Id, __VA_ARGS__), Expected)

/* A number that a key holds, asked through the node of that id; 0: there is no such key. */
long serving_number(struct cluster *cluster, int id, const char *key);

/* Whether an error says that the command was certainly not executed, or that nobody knows. */
bool is_clusterdown(const char *answer);
bool is_uncertain(const char *answer);

#endif
