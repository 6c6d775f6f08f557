/* main.c - real nodes under everything that may happen to machines, and clients whose every call is judged.
 *
 *     chaos [--seconds N] [--seed S] [--keep FOLDER]
 *
 * The environment names the programs: MAILRAFTD, MAILRAFT_RELAY, and PRELOAD for preload.so. The seed decides what is
 * done; what comes of it depends on the machine too. Status 1: something that must hold did not (failure.h). */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "chaos/chaos.h"
#include "chaos/failure.h"
#include "chaos/faults.h"
#include "chaos/verdict.h"
#include "check.h"

#define STEP_MS     10
#define CLIENT_PORT 6379
#define NEVER_MS    (1LL << 40)
#define SECONDS_MAX 1000000

/* ---- Time ---- */

void chaos_tell(struct chaos *chaos, const char *format, ...)
{
    struct timespec now;
    struct tm utc;
    char text[40];
    va_list values;
    clock_gettime(CLOCK_REALTIME, &now);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", gmtime_r(&now.tv_sec, &utc));
    fprintf(chaos->story, "%s.%06ldZ ", text, now.tv_nsec / 1000);
    va_start(values, format);
    vfprintf(chaos->story, format, values);
    va_end(values);
    fputc('\n', chaos->story);
}

static bool is_past(struct cluster *cluster, void *context)
{
    (void)cluster;
    return process_now_ms() >= *(int64_t *)context;
}

void chaos_pass(struct chaos *chaos, int64_t ms)
{
    int64_t until_ms = process_now_ms() + ms;
    cluster_wait(chaos->cluster, "time to pass", is_past, &until_ms);
    machines_keep(chaos);
    const char *failure = crowd_failure(chaos->crowd);
    cr_assert(failure == NULL, "%s", failure);
}

bool chaos_await(struct chaos *chaos, int64_t ms, bool (*holds)(struct chaos *chaos, void *context), void *context)
{
    int64_t deadline_ms = process_now_ms() + ms;
    chaos_pass(chaos, 0);
    while (!holds(chaos, context)) {
        if (process_now_ms() >= deadline_ms)
            return false;
        chaos_pass(chaos, STEP_MS);
    }
    return true;
}

void chaos_wait(struct chaos *chaos, const char *what, bool (*holds)(struct chaos *chaos, void *context), void *context)
{
    cr_assert(chaos_await(chaos, CHAOS_WAIT_MS, holds, context), "waited in vain for %s", what);
}

/* ---- Setting up ---- */

static void draw_settings(struct chaos *chaos, char *settings, size_t size)
{
    struct dice *dice = &chaos->dice;
    int64_t min_ms = dice_between(dice, 100, 300) * CHAOS_SLOWNESS;
    snprintf(settings, size,
             "\"trusted_network\":true,\"election_timeout_ms\":{\"min\":%" PRId64 ",\"max\":%" PRId64
             "},\"heartbeat_ms\":%" PRId64 ",\"fast_failover\":%s,\"segment_bytes\":%d,\"log_cache_bytes\":%d,"
             "\"max_entry_bytes\":32768,\"disk_stall_ms\":%" PRId64 ",\"client_timeout_ms\":%" PRId64,
             min_ms, 2 * min_ms, min_ms / 4, dice_chance(dice, 0.8) ? "true" : "false",
             dice_chance(dice, 0.5) ? 65536 : 262144, dice_chance(dice, 0.5) ? 65536 : 8388608,
             dice_between(dice, 200, 2000) * CHAOS_SLOWNESS, dice_between(dice, 200, 3000) * CHAOS_SLOWNESS);
    chaos_tell(chaos, "settings: %s", settings);
}

/* What the others' hosts are depends on whether there is a relay. */
static void write_config(struct chaos *chaos, int id, const char *settings)
{
    struct cluster *cluster = chaos->cluster;
    int ports[CLUSTER_NODES_MAX];
    for (int other = 1; other <= chaos->count; other++) {
        struct node *node = cluster_node(cluster, other);
        node->host = chaos->is_relayed && other != id ? relays_host(other) : wires_host(other);
        ports[other - 1] = node->port;
    }
    cluster_write_config(cluster, id, ports, settings);
    for (int other = 1; other <= chaos->count; other++)
        cluster_node(cluster, other)->host = wires_host(other);
}

/* Each at a host of its own, with all that it writes in memory. */
static void set_up_cluster(struct chaos *chaos)
{
    char settings[600];
    struct cluster *cluster = chaos->cluster = cluster_new(chaos->count, NULL);
    strcpy(chaos->sandbox.folder, cluster->folder);
    cr_assert_eq(mount("tmpfs", cluster->folder, "tmpfs", 0, "mode=700"), 0);
    cluster->wait_ms = NEVER_MS; /* chaos_wait has its own deadline */
    for (int i = 0; i < chaos->count; i++) {
        cluster->nodes[i].client_port = CLIENT_PORT;
        cluster->nodes[i].client_port_holder = -1;
    }
    chaos->is_relayed = dice_chance(&chaos->dice, 0.5);
    draw_settings(chaos, settings, sizeof(settings));
    for (int id = 1; id <= chaos->count; id++)
        write_config(chaos, id, settings);
    if (chaos->is_relayed)
        chaos->relays = relays_new(&chaos->sandbox, cluster);
}

static void set_up(struct chaos *chaos, const char *keep)
{
    chaos->dice = dice_for(chaos->seed, DICE_SETTINGS, 0);
    chaos->count = dice_chance(&chaos->dice, 0.7) ? 5 : 3;
    sandbox_enter(&chaos->sandbox, chaos->count);
    chaos->wires = wires_new(&chaos->sandbox, chaos->count);
    if (chaos->wires == NULL) {
        puts("chaos: skipped: this kernel, or a tool, cannot do what the network needs");
        exit(EXIT_SUCCESS);
    }
    chaos->story = open_memstream(&chaos->story_text, &chaos->story_size);
    cr_assert_not_null(chaos->story);
    failure_keep(chaos, keep);
    set_up_cluster(chaos);
    chaos->crowd = crowd_new(chaos->cluster, chaos->seed, CHAOS_SLOWNESS);
    chaos->faults = faults_new(chaos);
}

static void clean_up(struct chaos *chaos)
{
    char folder[sizeof(chaos->cluster->folder)];
    strcpy(folder, chaos->cluster->folder);
    machines_end(chaos);
    cr_assert_eq(umount2(folder, MNT_DETACH), 0);
    cluster_free(chaos->cluster);
    crowd_free(chaos->crowd);
    faults_free(chaos->faults);
    relays_free(chaos->relays);
    wires_free(chaos->wires);
    fclose(chaos->story);
    free(chaos->story_text);
}

/* ---- The run ---- */

static int count_leaders(const struct cluster *cluster)
{
    int count = 0;
    for (int term = 0; term < CLUSTER_TERMS_MAX; term++)
        count += cluster->leader_of[term] != 0;
    return count;
}

static void sum_up(const struct chaos *chaos, long seconds, int leaders, int64_t took_ms)
{
    struct crowd_sums sums = crowd_sums(chaos->crowd);
    fputs("chaos: ", stdout);
    unsigned long faults = faults_sum(chaos->faults, stdout);
    printf("\nchaos: %lu calls over %lu connections: %lu answered, %lu refused, %lu uncertain, %lu lost with their "
           "connection, %lu given up\n",
           sums.calls, sums.connections, sums.acknowledged, sums.refused, sums.uncertain, sums.broken, sums.given_up);
    printf("chaos: %d leaders; at most %.1f s without an acknowledged write\n", leaders,
           (double)sums.longest_gap_us / 1e6);
    printf("chaos: seed %" PRIu64 " passed: %ld s of faults, %.1f s in all\n", chaos->seed, seconds,
           (double)took_ms / 1000);
    /* A run in which nothing went wrong, or nobody was served, shows nothing. */
    cr_assert(faults > 0 && sums.acknowledged >= (unsigned long)seconds, "%lu faults and %lu answers are too few", faults,
              sums.acknowledged);
}

static void run(struct chaos *chaos, long seconds)
{
    int64_t began_ms = process_now_ms();
    machines_begin(chaos);
    crowd_start(chaos->crowd);
    for (int64_t until_ms = process_now_ms() + seconds * 1000; process_now_ms() < until_ms;) {
        faults_step(chaos);
        chaos_pass(chaos, STEP_MS);
    }
    int leaders = count_leaders(chaos->cluster);
    verdict(chaos);
    sum_up(chaos, seconds, leaders, process_now_ms() - began_ms);
}

static _Noreturn void usage(int status)
{
    fputs("usage: chaos [--seconds N] [--seed S] [--keep FOLDER]\n", status == 0 ? stdout : stderr);
    exit(status);
}

/* What is no number is refused, not taken for another. */
static uint64_t number_of(const char *word, uint64_t max)
{
    char *end;
    errno = 0;
    uint64_t number = strtoull(word, &end, 10);
    if (word[0] < '0' || word[0] > '9' || *end != '\0' || errno != 0 || number > max)
        usage(2);
    return number;
}

int main(int argc, char **argv)
{
    static const struct option OPTIONS[] = {{"seconds", required_argument, NULL, 'n'},
                                            {"seed", required_argument, NULL, 's'},
                                            {"keep", required_argument, NULL, 'k'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    static struct chaos chaos;
    const char *keep = "chaos-kept";
    long seconds = 180;
    bool seeded = false;
    for (int option; (option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
        if (option == 'n')
            seconds = (long)number_of(optarg, SECONDS_MAX);
        else if (option == 's')
            chaos.seed = number_of(optarg, UINT64_MAX);
        else if (option == 'k')
            keep = optarg;
        else
            usage(option == 'h' ? 0 : 2);
        seeded |= option == 's';
    }
    if (seconds < 1 || optind < argc)
        usage(2);
    if (!seeded)
        cr_assert_eq(getrandom(&chaos.seed, 4, 0), 4);
    printf("chaos: seed %" PRIu64 "\n", chaos.seed);
    set_up(&chaos, keep);
    printf("chaos: %d nodes%s, %ld s\n", chaos.count, chaos.is_relayed ? " with relays" : "", seconds);
    fflush(stdout);
    run(&chaos, seconds);
    clean_up(&chaos);
    return EXIT_SUCCESS;
}
