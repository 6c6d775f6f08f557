/* tables - memory and speed of what could hold the store's records, as the Markdown that stands in the README.
 *
 * Each measurement has a process of its own, whose heap nobody has used before; the kinds take turns. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "figures.h"
#include "table.h"

#define TIMES 5

static const char USAGE[] = "usage: tables [--quick]\n"
                            "\n"
                            "Fills the keyspace and other tables with records of 16 bytes of key and 256 of value, "
                            "finds them and removes them.\n"
                            "\n"
                            "  --quick   a tenth of the records, once: to see that it works, not for the README\n";

static const struct table_kind *const KINDS[] = {&TABLE_KEYSPACE, &TABLE_UTHASH, &TABLE_GHASH};
#define KIND_COUNT (int)(sizeof KINDS / sizeof KINDS[0])

struct sample {
    double bytes_per_key;           /* that the process grew by */
    double inserts, finds, removes; /* a second */
    double longest_us;              /* of one insertion */
};

struct columns {
    struct figures bytes_per_key, inserts, finds, removes, longest_us;
};

/* ---- Keys, in an order that no table knows ---- */

static uint8_t (*keys)[TABLE_KEY_BYTES];
static size_t count;

static void make_keys(void)
{
    char text[40];
    keys = memory_new(count * sizeof *keys);
    for (size_t i = 0; i < count; i++) {
        snprintf(text, sizeof text, "key:%012zu", i);
        memcpy(keys[i], text, TABLE_KEY_BYTES);
    }
}

/* Fisher and Yates, with a generator that is always begun alike. */
static void shuffle_keys(void)
{
    uint64_t state = 1;
    for (size_t i = count - 1; i > 0; i--) {
        uint8_t kept[TABLE_KEY_BYTES];
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
        size_t other = (size_t)(state >> 20) % (i + 1);
        memcpy(kept, keys[i], TABLE_KEY_BYTES);
        memcpy(keys[i], keys[other], TABLE_KEY_BYTES);
        memcpy(keys[other], kept, TABLE_KEY_BYTES);
    }
}

/* ---- Measuring, in a process of its own ---- */

static uint8_t value[TABLE_VALUE_BYTES];

static void fail(const char *what)
{
    fprintf(stderr, "tables: %s\n", what);
    exit(1);
}

static double resident_bytes(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%*d %ld", &pages) != 1)
        fail("/proc/self/statm cannot be read");
    fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* What else runs on the machine does not count. */
static double own_time_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static double a_second(double began_us)
{
    return (double)count * 1e6 / (own_time_us() - began_us);
}

static double run_inserts(const struct table_kind *kind, void *table)
{
    double began_us = own_time_us();
    for (size_t i = 0; i < count; i++)
        kind->insert(table, keys[i], value);
    return a_second(began_us);
}

static double run_all(bool (*operation)(void *table, const uint8_t *key), void *table)
{
    size_t done = 0;
    double began_us = own_time_us();
    for (size_t i = 0; i < count; i++)
        done += operation(table, keys[i]);
    if (done != count)
        fail("a key is missing");
    return a_second(began_us);
}

static const struct table_kind *finding; /* whose `find` run_all calls */

static bool find_one(void *table, const uint8_t *key)
{
    return finding->find(table, key);
}

static struct sample measure_speed(const struct table_kind *kind)
{
    struct sample sample = {0};
    double before = resident_bytes();
    void *table = kind->open();
    shuffle_keys();
    sample.inserts = run_inserts(kind, table);
    sample.bytes_per_key = (resident_bytes() - before) / (double)count;
    shuffle_keys();
    finding = kind;
    sample.finds = run_all(find_one, table);
    shuffle_keys();
    sample.removes = run_all(kind->remove, table);
    return sample;
}

static struct sample measure_longest(const struct table_kind *kind)
{
    struct sample sample = {0};
    void *table = kind->open();
    double before_us = own_time_us();
    for (size_t i = 0; i < count; i++) {
        kind->insert(table, keys[i], value);
        double now_us = own_time_us();
        if (now_us - before_us > sample.longest_us)
            sample.longest_us = now_us - before_us;
        before_us = now_us;
    }
    return sample;
}

static struct sample in_a_process(struct sample (*measure)(const struct table_kind *kind),
                                  const struct table_kind *kind)
{
    struct sample sample;
    int ends[2], status;
    if (pipe(ends) != 0)
        fail("no pipe can be made");
    pid_t child = fork();
    if (child < 0)
        fail("no process can be started");
    if (child == 0) {
        sample = measure(kind);
        _exit(write(ends[1], &sample, sizeof sample) == sizeof sample ? 0 : 1);
    }
    close(ends[1]);
    if (read(ends[0], &sample, sizeof sample) != sizeof sample || waitpid(child, &status, 0) != child || status != 0)
        fail("a measurement has failed");
    close(ends[0]);
    return sample;
}

static void measure_once(const struct table_kind *kind, struct columns *columns)
{
    struct sample sample = in_a_process(measure_speed, kind);
    figures_add(&columns->bytes_per_key, sample.bytes_per_key);
    figures_add(&columns->inserts, sample.inserts);
    figures_add(&columns->finds, sample.finds);
    figures_add(&columns->removes, sample.removes);
    figures_add(&columns->longest_us, in_a_process(measure_longest, kind).longest_us);
}

/* ---- Telling ---- */

static double median(struct figures *figures)
{
    return figures_rank(figures, 500);
}

static void print_row(const struct table_kind *kind, struct columns *columns)
{
    printf("| %s | %.0f | %.0f | %.2f | %.2f | %.2f | %.2f |\n", kind->name, median(&columns->bytes_per_key),
           median(&columns->bytes_per_key) - TABLE_KEY_BYTES - TABLE_VALUE_BYTES, median(&columns->inserts) / 1e6,
           median(&columns->finds) / 1e6, median(&columns->removes) / 1e6, median(&columns->longest_us) / 1e3);
}

static void print_table(struct columns *columns, int times)
{
    printf("%zu records, keys of %d bytes, values of %d, in random order, in the thread's own time; medians of %d.\n\n",
           count, TABLE_KEY_BYTES, TABLE_VALUE_BYTES, times);
    printf("| | bytes a key, all in all | beside key and value | millions a second: insert | find | remove | longest "
           "insertion, ms |\n"
           "|---|---|---|---|---|---|---|\n");
    for (int i = 0; i < KIND_COUNT; i++)
        print_row(KINDS[i], &columns[i]);
}

int main(int argument_count, char **arguments)
{
    static struct columns columns[KIND_COUNT];
    bool quick = argument_count == 2 && strcmp(arguments[1], "--quick") == 0;
    if (argument_count != 1 && !quick) {
        fputs(USAGE, stderr);
        return 2;
    }
    int times = quick ? 1 : TIMES;
    count = quick ? 100000 : 1000000;
    memset(value, 'v', sizeof value);
    make_keys();
    for (int i = 0; i < times; i++)
        for (int kind = 0; kind < KIND_COUNT; kind++)
            measure_once(KINDS[kind], &columns[kind]);
    print_table(columns, times);
    return 0;
}
