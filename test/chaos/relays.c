#include "chaos/relays.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chaos/wires.h"
#include "check.h"

#define ORDER_MAX 200

struct relays {
    int count;
    struct process processes[CLUSTER_NODES_MAX]; /* node N's is at N - 1 */
};

const char *relays_host(int other)
{
    static const char *const HOSTS[] = {"127.0.1.1", "127.0.1.2", "127.0.1.3", "127.0.1.4",
                                        "127.0.1.5", "127.0.1.6", "127.0.1.7"};
    return HOSTS[other - 1];
}

/* To the relay of that node. */
__attribute__((format(printf, 3, 4))) static void order(struct relays *relays, int node, const char *format, ...)
{
    char line[ORDER_MAX];
    va_list values;
    va_start(values, format);
    vsnprintf(line, sizeof(line), format, values);
    va_end(values);
    process_write(&relays->processes[node - 1], line);
    process_expect(&relays->processes[node - 1], "ok");
}

struct relays *relays_new(const struct sandbox *sandbox, const struct cluster *cluster)
{
    struct relays *relays = calloc(1, sizeof(*relays));
    const char *program = getenv("MAILRAFT_RELAY");
    cr_assert_not_null(relays);
    cr_assert(program != NULL, "MAILRAFT_RELAY must name the relay");
    relays->count = cluster->count;
    for (int node = 1; node <= cluster->count; node++) {
        sandbox_go_to(sandbox, node);
        process_start(&relays->processes[node - 1], "a relay", (const char *[]){program, NULL}, NULL);
        sandbox_go_to(sandbox, 0);
        for (int other = 1; other <= cluster->count; other++) {
            int port = cluster->nodes[other - 1].port;
            if (other != node)
                order(relays, node, "wire %d %d %s:%d %s:%d\n", node, other, wires_host(other), port,
                      relays_host(other), port);
        }
    }
    return relays;
}

void relays_free(struct relays *relays)
{
    for (int i = 0; relays != NULL && i < relays->count; i++) {
        const char *errors = relays->processes[i].printed[1].text;
        cr_assert(errors == NULL || strstr(errors, "Sanitizer") == NULL, "a relay:\n%s", errors);
        process_fini(&relays->processes[i]);
    }
    free(relays);
}

void relays_delay(struct relays *relays, int from, int to, int ms, int jitter_ms)
{
    order(relays, from, "delay %d %d %d %d oneway\n", from, to, ms, jitter_ms);
}

void relays_stall(struct relays *relays, int from, int to, bool stalled)
{
    order(relays, from, "%s %d %d\n", stalled ? "stall" : "unstall", from, to);
}
