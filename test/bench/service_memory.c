#include "service_memory.h"

#include <stdio.h>

#include "base/clock.h"
#include "load.h"
#include "nodes.h"
#include "process.h"
#include "redis.h"

#define NODES   3
#define REST_US 1000000 /* until the last connections stand, and all is applied everywhere */

static const struct settings SETTINGS = {"service-memory", 150, 300, 50, true, true};

static void note(struct holding *holding, pid_t pid)
{
    long resident_kib = process_status(pid, "VmRSS:"), anonymous_kib = process_status(pid, "RssAnon:");
    if (resident_kib > holding->resident_kib)
        holding->resident_kib = resident_kib;
    if (anonymous_kib > holding->anonymous_kib)
        holding->anonymous_kib = anonymous_kib;
}

static void note_nodes(struct holding *holding, struct nodes *nodes)
{
    nodes_watch(nodes, clock_now_us() + REST_US);
    for (int i = 0; i < NODES; i++)
        note(holding, nodes->members[i].pid);
}

static void measure_ours(struct service_memory *memory, const struct workplace *workplace)
{
    struct nodes nodes;
    nodes_open(&nodes, workplace, &SETTINGS, NODES);
    nodes_start_all(&nodes);
    int leader = nodes_settle(&nodes);
    note_nodes(&memory->ours_at_rest, &nodes);
    load_fill(memory->keys, nodes.members[leader - 1].client_port.number);
    note_nodes(&memory->ours_full, &nodes);
    nodes_close(&nodes);
}

static void measure_redis(struct service_memory *memory, const struct workplace *workplace)
{
    struct redis redis;
    redis_start(&redis, workplace);
    note(&memory->redis_at_rest, redis.pid);
    load_fill(memory->keys, redis.port.number);
    note(&memory->redis_full, redis.pid);
    redis_stop(&redis);
}

void service_memory_measure(struct service_memory *memory, const struct workplace *workplace)
{
    fprintf(stderr, "bench: memory with %ld keys\n", memory->keys);
    measure_ours(memory, workplace);
    measure_redis(memory, workplace);
}

static void print_holding(const char *name, const struct holding *ours, const struct holding *redis)
{
    printf("| %s | %.1f | %.1f | %.1f | %.1f | %.2f |\n", name, (double)ours->resident_kib / 1024,
           (double)ours->anonymous_kib / 1024, (double)redis->resident_kib / 1024, (double)redis->anonymous_kib / 1024,
           (double)ours->resident_kib / (double)redis->resident_kib);
}

void service_memory_print(const struct service_memory *memory)
{
    char name[60];
    snprintf(name, sizeof name, "%ld keys of 16 bytes, values of %d", memory->keys, LOAD_VALUE_BYTES);
    printf("\n| memory, MiB | a node: VmRSS | RssAnon | redis-server: VmRSS | RssAnon | node / redis-server, VmRSS "
           "|\n|---|---|---|---|---|---|\n");
    print_holding("at rest", &memory->ours_at_rest, &memory->redis_at_rest);
    print_holding(name, &memory->ours_full, &memory->redis_full);
}
