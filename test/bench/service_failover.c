#include "service_failover.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "etcd.h"
#include "nodes.h"
#include "writer.h"

#define NODES          3
#define WRITES         50 /* before the kill */
#define PAUSE_US       1000
#define KILL_WITHIN_US 500 /* about as long as a write takes */

static const struct settings SETTINGS = {"service-failover", 150, 300, 50, true, true};
static const struct etcd_settings ETCD_SETTINGS = {"etcd-failover", 10, 100}; /* the least that it takes */

/* A cluster of either kind. */
struct cluster {
    void *context;
    void (*kill)(void *context, int id);
};

static void kill_node(void *context, int id)
{
    nodes_kill(context, id);
}

static void kill_etcd(void *context, int id)
{
    etcd_kill(context, id);
}

/* Returns how long there was nobody to write to, in milliseconds. */
static double write_over_kill(struct writer *writer, const struct cluster *cluster, int leader)
{
    for (int i = 0; i < WRITES; i++) {
        writer_persist(writer);
        usleep(PAUSE_US);
    }
    writer_begin(writer);
    usleep((useconds_t)random_between(0, KILL_WITHIN_US));
    int64_t killed_us = clock_now_us();
    cluster->kill(cluster->context, leader);
    writer_end(writer); /* it began before the kill: whatever is said about it does not count */
    double ms = (double)(writer_persist(writer) - killed_us) / 1000;
    writer_fini(writer);
    return ms;
}

/* ---- Ours ---- */

/* The ports of all nodes, beginning with this one's. */
static void list_ports(const struct nodes *nodes, int first, int ports[NODES])
{
    for (int i = 0; i < NODES; i++)
        ports[i] = nodes->members[(first - 1 + i) % NODES].client_port.number;
}

static double fail_over(struct nodes *nodes, bool at_leader)
{
    const struct cluster cluster = {nodes, kill_node};
    struct writer writer;
    int ports[NODES], leader = nodes_settle(nodes);
    list_ports(nodes, at_leader ? leader : leader % NODES + 1, ports);
    writer_init(&writer, &RESP_DIALECT, ports, NODES);
    double ms = write_over_kill(&writer, &cluster, leader);
    nodes_reap(nodes, leader);
    nodes_start(nodes, leader);
    nodes_settle(nodes);
    nodes_forget_record(nodes);
    return ms;
}

static void measure_ours(struct service_failover *failover, const struct workplace *workplace)
{
    struct nodes nodes;
    nodes_open(&nodes, workplace, &SETTINGS, NODES);
    nodes_start_all(&nodes);
    for (int i = 0; i < failover->times; i++) {
        figures_add(&failover->elsewhere_ms, fail_over(&nodes, false));
        figures_add(&failover->at_leader_ms, fail_over(&nodes, true));
    }
    nodes_close(&nodes);
}

/* ---- etcd's ---- */

static double fail_over_etcd(struct etcd *etcd)
{
    const struct cluster cluster = {etcd, kill_etcd};
    struct writer writer;
    int leader = etcd_settle(etcd);
    const int ports[] = {etcd->nodes[leader % ETCD_NODES].client.number,
                         etcd->nodes[(leader + 1) % ETCD_NODES].client.number};
    writer_init(&writer, &ETCD_DIALECT, ports, ETCD_NODES - 1);
    double ms = write_over_kill(&writer, &cluster, leader);
    etcd_reap(etcd, leader);
    etcd_start(etcd, leader);
    etcd_settle(etcd);
    return ms;
}

static void measure_etcd(struct service_failover *failover, const struct workplace *workplace)
{
    struct etcd etcd;
    etcd_open(&etcd, workplace, &ETCD_SETTINGS);
    etcd_start_all(&etcd);
    for (int i = 0; i < failover->etcd_times; i++)
        figures_add(&failover->etcd_ms, fail_over_etcd(&etcd));
    etcd_close(&etcd);
}

void service_failover_measure(struct service_failover *failover, const struct workplace *workplace)
{
    fprintf(stderr, "bench: failover as clients see it: 2 x %d times, etcd %d times\n", failover->times,
            failover->etcd_times);
    measure_ours(failover, workplace);
    measure_etcd(failover, workplace);
}

static void print_failover(const char *name, struct figures *ms)
{
    printf("| %s | %d | %.1f | %.1f | %.1f | %.1f |\n", name, ms->count, figures_rank(ms, 500), figures_mean(ms),
           figures_rank(ms, 990), figures_rank(ms, 1000));
}

void service_failover_print(struct service_failover *failover)
{
    printf("\nFrom the SIGKILL of the leader until the next write is acknowledged, in milliseconds; three nodes, one "
           "client "
           "that writes all the time,\na millisecond between two writes.\n\n"
           "| | times | median | mean | p99 | longest |\n|---|---|---|---|---|---|\n");
    print_failover("mailraft, the client is with another node", &failover->elsewhere_ms);
    print_failover("mailraft, the client is with the leader, and goes to the next address", &failover->at_leader_ms);
    print_failover("etcd, heartbeats each 10 ms, election timeout 100 ms; with another node", &failover->etcd_ms);
}

/* ---- The start ---- */

static double await_write(const struct dialect *dialect, const int *ports, int64_t began_us)
{
    struct writer writer;
    writer_init(&writer, dialect, ports, NODES);
    double ms = (double)(writer_persist(&writer) - began_us) / 1000;
    writer_fini(&writer);
    return ms;
}

static double start_nodes(const struct workplace *workplace)
{
    struct nodes nodes;
    int ports[NODES];
    nodes_open(&nodes, workplace, &SETTINGS, NODES);
    list_ports(&nodes, 1, ports);
    int64_t began_us = clock_now_us();
    nodes_start_all(&nodes);
    double ms = await_write(&RESP_DIALECT, ports, began_us);
    nodes_close(&nodes);
    return ms;
}

static double start_etcd(const struct workplace *workplace)
{
    struct etcd etcd;
    int ports[ETCD_NODES];
    etcd_open(&etcd, workplace, &ETCD_SETTINGS);
    for (int i = 0; i < ETCD_NODES; i++)
        ports[i] = etcd.nodes[i].client.number;
    int64_t began_us = clock_now_us();
    etcd_start_all(&etcd);
    double ms = await_write(&ETCD_DIALECT, ports, began_us);
    etcd_close(&etcd);
    return ms;
}

void service_start_measure(struct service_start *start, const struct workplace *workplace)
{
    fprintf(stderr, "bench: start until the first write: %d times\n", start->times);
    for (int i = 0; i < start->times; i++)
        figures_add(&start->ms, start_nodes(workplace));
    for (int i = 0; i < start->etcd_times; i++)
        figures_add(&start->etcd_ms, start_etcd(workplace));
}

void service_start_print(struct service_start *start)
{
    printf("\nStart of three nodes on empty folders until the first write is acknowledged, %d times: median %.0f ms, "
           "longest %.0f ms.\nEtcd, with the timeouts above, %d times: median %.0f ms.\n",
           start->ms.count, figures_rank(&start->ms, 500), figures_rank(&start->ms, 1000), start->etcd_ms.count,
           figures_rank(&start->etcd_ms, 500));
}
