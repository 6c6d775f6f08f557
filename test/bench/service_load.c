#include "service_load.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/entry.h"
#include "etcd.h"
#include "floor_trio.h"
#include "nodes.h"
#include "process.h"
#include "redis.h"
#include "storage/segment.h"

#define NODES           3
#define TRIES_MAX       3
#define FLOOR_US        1000000
#define REQUEST_BYTES   300 /* a SET of such a key and value, as a client says it */
#define ENTRY_BYTES     (ENTRY_HEAD_BYTES + REQUEST_BYTES)
#define WARM_UP_COUNT   600000 /* writes, so that hardly a key is not there when they are read */
#define WARM_UP_AT_ONCE 16

static const struct service_row ROWS[SERVICE_ROWS] = {
    {.name = "SET", .load = {true, 1, 1, 10000}, .etcd_requests = 3000, .with_floor = true},
    {.name = "SET", .load = {true, 50, 1, 100000}, .etcd_requests = 10000},
    {.name = "SET", .load = {true, 256, 1, 150000}, .etcd_requests = 15000},
    {.name = "SET, pipelined", .load = {true, 50, 16, 400000}, .etcd_requests = 20000},
    {.name = "SET, through a follower", .load = {true, 50, 1, 80000}, .through_follower = true},
    {.name = "GET", .load = {false, 1, 1, 15000}, .etcd_requests = 3000},
    {.name = "GET", .load = {false, 50, 1, 150000}, .etcd_requests = 15000},
    {.name = "GET", .load = {false, 256, 1, 150000}, .etcd_requests = 15000},
    {.name = "GET, pipelined", .load = {false, 50, 16, 800000}, .etcd_requests = 30000},
    {.name = "GET, through a follower", .load = {false, 50, 1, 80000}, .through_follower = true},
};

static const struct settings SETTINGS = {"service", 150, 300, 50, true, true};

/* Who is loaded. */
struct field {
    const struct workplace *workplace;
    struct nodes nodes;
    int leader;
    struct redis redis;
    struct etcd etcd;
    int etcd_leader;
    int repeated; /* loads that failed */
    struct floor_trio floor;
};

/* ---- One load on one of them ---- */

static int port_of(const struct field *field, enum side side, bool through_follower)
{
    int id = through_follower ? field->leader % NODES + 1 : field->leader;
    switch (side) {
    case OURS:
        return field->nodes.members[id - 1].client_port.number;
    case REDIS:
        return field->redis.port.number;
    default:
        return field->etcd.nodes[field->etcd_leader - 1].client.number;
    }
}

static double cpu_seconds_of(const struct field *field, enum side side)
{
    double seconds = 0;
    if (side == REDIS)
        return process_cpu_seconds(field->redis.pid);
    for (int i = 0; i < NODES; i++)
        seconds += process_cpu_seconds(side == OURS ? field->nodes.members[i].pid : field->etcd.nodes[i].pid);
    return seconds;
}

/* The nodes' lines may tell why. */
__attribute__((noreturn)) static void die_of_load(struct field *field)
{
    nodes_read(&field->nodes, clock_now_us());
    nodes_save_record(&field->nodes, field->nodes.stuck_path);
    bench_die("A request failed under load; the nodes' state logs: %s", field->nodes.stuck_path);
}

static bool put_under_load(struct loaded *loaded, const struct load *load, enum side side, bool through_follower,
                           const struct field *field)
{
    int port = port_of(field, side, through_follower);
    return side == ETCD ? load_etcd(loaded, load, port, field->workplace)
                        : load_redis(loaded, load, port, field->workplace);
}

static void find_leaders(struct field *field)
{
    field->leader = nodes_settle(&field->nodes);
    field->etcd_leader = etcd_settle(&field->etcd);
}

/* A load is put again where a leader changed under it: its clients take that for an error. */
static struct loaded load_until_good(const struct load *load, enum side side, bool through_follower,
                                     double *cpu_seconds, struct field *field)
{
    struct loaded loaded;
    for (int tries = 0; tries < TRIES_MAX; tries++) {
        find_leaders(field);
        double before = cpu_seconds_of(field, side);
        bool good = put_under_load(&loaded, load, side, through_follower, field);
        *cpu_seconds = cpu_seconds_of(field, side) - before;
        if (good)
            return loaded;
        field->repeated++;
    }
    die_of_load(field);
}

static void load_side(struct service_row *row, const struct load *load, enum side side, struct field *field)
{
    double cpu_seconds;
    struct loaded loaded = load_until_good(load, side, row->through_follower, &cpu_seconds, field);
    figures_add(&row->cpu_seconds[side], cpu_seconds * 1e5 / (double)load->requests);
    figures_add(&row->per_second[side], loaded.per_second);
    figures_add(&row->median_ms[side], loaded.median_ms);
}

static double last(const struct figures *figures)
{
    return figures->samples[figures->count - 1];
}

/* ---- Rows, run by run ---- */

static void run_floor(struct floor_trio *floor, struct figures *us)
{
    for (int64_t now_us = clock_now_us(), until_us = now_us + FLOOR_US; now_us < until_us;) {
        int64_t before_us = now_us;
        floor_trio_commit(floor);
        now_us = clock_now_us();
        figures_add(us, (double)(now_us - before_us));
    }
}

/* The floor has its turns right before and right after ours. */
static void run_beside_floor(struct service_row *row, const struct load *load, struct field *field)
{
    struct figures floor_us = {0};
    run_floor(&field->floor, &floor_us);
    load_side(row, load, OURS, field);
    run_floor(&field->floor, &floor_us);
    figures_add(&row->floor_ms, figures_rank(&floor_us, 500) / 1000);
    figures_add(&row->floor_ratio, last(&row->median_ms[OURS]) / last(&row->floor_ms));
    figures_fini(&floor_us);
}

static void run_row(struct service_row *row, int share, struct field *field)
{
    for (enum side side = OURS; side < SIDE_COUNT; side++) {
        struct load load = row->load;
        if (side == ETCD)
            load.requests = row->etcd_requests;
        load.requests /= share;
        if (load.requests == 0)
            continue;
        if (side == OURS && row->with_floor)
            run_beside_floor(row, &load, field);
        else
            load_side(row, &load, side, field);
        figures_add(&row->ratio[side], last(&row->per_second[OURS]) / last(&row->per_second[side]));
    }
}

static void warm_up(struct field *field, int share)
{
    const struct load writes = {true, 50, WARM_UP_AT_ONCE, WARM_UP_COUNT}, etcd_writes = {true, 50, 1, 2000 / share};
    double cpu_seconds;
    load_until_good(&writes, OURS, false, &cpu_seconds, field);
    load_until_good(&writes, REDIS, false, &cpu_seconds, field);
    load_until_good(&etcd_writes, ETCD, false, &cpu_seconds, field);
}

static void open_field(struct field *field, const struct workplace *workplace)
{
    field->workplace = workplace;
    redis_start(&field->redis, workplace);
    etcd_open(&field->etcd, workplace, &ETCD_DEFAULTS);
    etcd_start_all(&field->etcd);
    nodes_open(&field->nodes, workplace, &SETTINGS, NODES);
    nodes_start_all(&field->nodes);
    floor_trio_start(&field->floor, workplace, ENTRY_BYTES, (size_t)frame_bytes(ENTRY_BYTES));
}

static void close_field(struct field *field)
{
    floor_trio_stop(&field->floor);
    nodes_close(&field->nodes);
    etcd_close(&field->etcd);
    redis_stop(&field->redis);
}

void service_load_measure(struct service_load *service, const struct workplace *workplace)
{
    struct field field = {.repeated = 0};
    for (int i = 0; i < SERVICE_ROWS; i++)
        service->rows[i] = ROWS[i];
    open_field(&field, workplace);
    fprintf(stderr, "bench: the service under load: warming up\n");
    warm_up(&field, service->share);
    for (int run = 1; run <= service->runs; run++) {
        fprintf(stderr, "bench: the service under load: run %d of %d\n", run, service->runs);
        for (int i = 0; i < SERVICE_ROWS; i++) {
            struct service_row *row = &service->rows[i];
            run_row(row, service->share, &field);
            fprintf(stderr, "bench:   %s, %d clients: %.0f a second, %.2f of redis-server's\n", row->name,
                    row->load.clients, last(&row->per_second[OURS]), last(&row->ratio[REDIS]));
        }
    }
    service->repeated = field.repeated;
    close_field(&field);
}

/* ---- Telling ---- */

static double median(struct figures *figures)
{
    return figures_rank(figures, 500);
}

static void print_side(struct service_row *row, enum side side)
{
    if (row->per_second[side].count > 0)
        printf(" %.0f | %.3f |", median(&row->per_second[side]), median(&row->median_ms[side]));
    else
        printf(" | |");
}

static void print_ratio(struct service_row *row, enum side side)
{
    if (row->ratio[side].count > 0)
        printf(" %.2f |", median(&row->ratio[side]));
    else
        printf(" |");
}

static void print_cpu(struct service_row *row)
{
    printf("| %s | %d |", row->name, row->load.clients);
    for (enum side side = OURS; side < SIDE_COUNT; side++)
        if (row->cpu_seconds[side].count > 0)
            printf(" %.2f |", median(&row->cpu_seconds[side]));
        else
            printf(" |");
    printf("\n");
}

static void print_floor(struct service_row *row)
{
    if (row->with_floor)
        printf("\nOne client, one SET at a time: a median of %.3f ms, the floor's %.3f ms: %.2f of it.\n",
               median(&row->median_ms[OURS]), median(&row->floor_ms), median(&row->floor_ratio));
}

void service_load_print(struct service_load *service)
{
    printf("\n| | clients | mailraft, 3 nodes: a second | median, ms | redis-server: a second | median, ms | etcd, 3 "
           "nodes: a second | median, ms | mailraft / redis-server | mailraft / etcd "
           "|\n|---|---|---|---|---|---|---|---|---|---|\n");
    for (int i = 0; i < SERVICE_ROWS; i++) {
        struct service_row *row = &service->rows[i];
        printf("| %s | %d |", row->name, row->load.clients);
        for (enum side side = OURS; side < SIDE_COUNT; side++)
            print_side(row, side);
        print_ratio(row, REDIS);
        print_ratio(row, ETCD);
        printf("\n");
    }
    if (service->repeated > 0)
        printf("\n%d loads were put again, since a request had failed in them.\n", service->repeated);
    for (int i = 0; i < SERVICE_ROWS; i++)
        print_floor(&service->rows[i]);
    printf(
        "\n| CPU seconds for 100,000, all nodes | clients | mailraft | redis-server | etcd |\n|---|---|---|---|---|\n");
    for (int i = 0; i < SERVICE_ROWS; i++)
        print_cpu(&service->rows[i]);
}
