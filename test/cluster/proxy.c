#include "cluster/proxy.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

struct proxy {
    struct process relay;
};

/* The answer to an order: what stands behind "ok". */
static const char *ask(struct proxy *proxy, const char *order)
{
    process_write(&proxy->relay, order);
    process_write(&proxy->relay, "\n");
    const char *answer = process_expect(&proxy->relay, ""); /* the next line, whatever it says */
    cr_assert_eq(strncmp(answer, "ok", 2), 0, "%s: %s", order, answer);
    return answer + 2;
}

static int add_wire(struct proxy *proxy, int from, int to, int target_port)
{
    char order[60];
    snprintf(order, sizeof(order), "wire %d %d 127.0.0.1:%d", from, to, target_port);
    const char *port = strrchr(ask(proxy, order), ':');
    cr_assert_not_null(port);
    return atoi(port + 1);
}

struct proxy *proxy_start(struct cluster *cluster, const char *settings)
{
    struct proxy *proxy = calloc(1, sizeof(*proxy));
    const char *program = getenv("MAILRAFT_RELAY");
    cr_assert_not_null(proxy);
    cr_assert(program != NULL, "MAILRAFT_RELAY must name mailraft-relay");
    process_start(&proxy->relay, "mailraft-relay", (const char *[]){program, NULL}, NULL);
    for (int from = 1; from <= cluster->count; from++) {
        int ports[CLUSTER_NODES_MAX];
        for (int to = 1; to <= cluster->count; to++) {
            int port = cluster_node(cluster, to)->port;
            ports[to - 1] = to == from ? port : add_wire(proxy, from, to, port);
        }
        cluster_write_config(cluster, from, ports, settings);
    }
    return proxy;
}

void proxy_order(struct proxy *proxy, const char *format, ...)
{
    char order[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(order, sizeof(order), format, arguments);
    va_end(arguments);
    ask(proxy, order);
}

void proxy_cut(struct proxy *proxy, int id, int other)
{
    proxy_order(proxy, "cut %d %d", id, other);
}

void proxy_mend(struct proxy *proxy, int id, int other)
{
    proxy_order(proxy, "heal %d %d", id, other);
}

void proxy_isolate(struct proxy *proxy, int id, bool isolated)
{
    proxy_order(proxy, "%s %d all", isolated ? "cut" : "heal", id);
}

void proxy_vanish(struct proxy *proxy, int id, int other)
{
    proxy_order(proxy, "vanish %d %d", id, other);
}

void proxy_slow(struct proxy *proxy, int id, bool slow)
{
    proxy_order(proxy, "slow %d all %d", id, slow);
}

void proxy_stop(struct proxy *proxy)
{
    int status = process_await_end(&proxy->relay); /* closes its input first */
    const char *errors = proxy->relay.printed[1].text;
    cr_assert_eq(status, 0, "mailraft-relay ended with status %d: %s", status, errors != NULL ? errors : "");
    process_fini(&proxy->relay);
    free(proxy);
}
