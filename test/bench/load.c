#include "load.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "child.h"
#include "figures.h"

#define KEY_BYTES       16
#define FILL_AT_ONCE    1000
#define PUT_BYTES_LEAST 5 /* gRPC's head: an answer that is an error has not even that */
#define OUTPUT_NAME     "load.out"
#define BODY_NAME       "load.body"

/* ---- redis-benchmark ---- */

/* The columns of its last line: test, requests a second, latencies: mean, least, median, ... */
static void parse_csv(struct loaded *loaded, const char *text)
{
    const char *line = strstr(text, "\n\"");
    if (line == NULL ||
        sscanf(line, "\n\"%*[^\"]\",\"%lf\",\"%*f\",\"%*f\",\"%lf\"", &loaded->per_second, &loaded->median_ms) != 2)
        bench_die("redis-benchmark said: %.500s", text);
}

bool load_redis(struct loaded *loaded, const struct load *load, int port, const struct workplace *workplace)
{
    char number[12], clients[12], pipeline[12], requests[24], keys[12], bytes[12];
    snprintf(number, sizeof number, "%d", port);
    snprintf(clients, sizeof clients, "%d", load->clients);
    snprintf(pipeline, sizeof pipeline, "%d", load->pipeline);
    snprintf(requests, sizeof requests, "%ld", load->requests);
    snprintf(keys, sizeof keys, "%d", LOAD_KEYS);
    snprintf(bytes, sizeof bytes, "%d", LOAD_VALUE_BYTES);
    const struct program program = {.file = "redis-benchmark",
                                    .folder = workplace->folder,
                                    .output = OUTPUT_NAME,
                                    .arguments = {"redis-benchmark", "-p", number, "-t", load->writes ? "set" : "get",
                                                  "-c", clients, "-P", pipeline, "-n", requests, "-r", keys, "-d",
                                                  bytes, "--csv"}};
    char *text = child_run(&program);
    if (text == NULL)
        return false;
    parse_csv(loaded, text);
    memory_free(text);
    return true;
}

static void ask_to_set(redisContext *context, long number, const char *value)
{
    char key[KEY_BYTES + 1];
    snprintf(key, sizeof key, "key:%012ld", number);
    redisAppendCommand(context, "SET %b %b", key, (size_t)KEY_BYTES, value, (size_t)LOAD_VALUE_BYTES);
}

static void await_set(redisContext *context)
{
    redisReply *reply;
    if (redisGetReply(context, (void **)&reply) != REDIS_OK)
        bench_die("Couldn't set a key: %s", context->errstr);
    if (reply->type != REDIS_REPLY_STATUS)
        bench_die("Couldn't set a key: %s", reply->str);
    freeReplyObject(reply);
}

void load_fill(long keys, int port)
{
    char value[LOAD_VALUE_BYTES];
    redisContext *context = redisConnect("127.0.0.1", port);
    if (context == NULL || context->err != 0)
        bench_die("Couldn't connect to port %d", port);
    memset(value, 'v', sizeof value);
    for (long asked = 0, done = 0; done < keys;) {
        while (asked < keys && asked < done + FILL_AT_ONCE)
            ask_to_set(context, asked++, value);
        while (done < asked) {
            await_set(context);
            done++;
        }
    }
    redisFree(context);
}

/* ---- h2load ---- */

/* gRPC's head (0: not compressed, and the length), then protobuf: key and value are the fields 1 and 2 of PutRequest,
 * the key is field 1 of RangeRequest. Each field: its number and kind, its length, its bytes. */
#define KEY_FIELD                                                                                                      \
    "\x0a\x10"                                                                                                         \
    "key:000000000000"
#define VALUE_FIELD "\x12\x80\x02" /* and 256 bytes */

static void write_body(bool writes, const struct workplace *workplace)
{
    char path[PATH_MAX], value[LOAD_VALUE_BYTES];
    uint8_t size = sizeof KEY_FIELD - 1;
    snprintf(path, sizeof path, "%s/%s", workplace->folder, BODY_NAME);
    FILE *file = fopen(path, "w");
    if (file == NULL)
        bench_die("Couldn't write %s: %s", path, strerror(errno));
    memset(value, 'v', sizeof value);
    if (writes) {
        const uint8_t PUT_HEAD[] = {0, 0, 0, 1, size + sizeof VALUE_FIELD - 1}; /* 256 and the rest */
        fwrite(PUT_HEAD, 1, sizeof PUT_HEAD, file);
        fwrite(KEY_FIELD VALUE_FIELD, 1, sizeof(KEY_FIELD VALUE_FIELD) - 1, file);
        fwrite(value, 1, sizeof value, file);
    } else {
        const uint8_t RANGE_HEAD[] = {0, 0, 0, 0, size};
        fwrite(RANGE_HEAD, 1, sizeof RANGE_HEAD, file);
        fwrite(KEY_FIELD, 1, size, file);
    }
    if (fclose(file) != 0)
        bench_die("Couldn't write %s: %s", path, strerror(errno));
}

/* All were answered, and each answer had a body, which errors have not: a read's has the value. */
static bool check_answers(const struct load *load, const char *text)
{
    const char *requests = strstr(text, "\nrequests: "), *traffic = strstr(text, "\ntraffic: ");
    long succeeded, bytes, least = load->writes ? PUT_BYTES_LEAST : LOAD_VALUE_BYTES;
    if (requests != NULL && traffic != NULL &&
        sscanf(requests, "\nrequests: %*d total, %*d started, %*d done, %ld succeeded", &succeeded) == 1 &&
        sscanf(traffic, "\ntraffic: %*[^(](%*d) total, %*[^(](%*d) headers (space savings %*[^)]), %*[^(](%ld) data",
               &bytes) == 1 &&
        succeeded == load->requests && bytes >= least * load->requests)
        return true;
    fprintf(stderr, "bench: h2load did not get %ld good answers: %.1500s\n", load->requests, text);
    return false;
}

/* Each line tells when a request began, its status, and how many microseconds it took. */
static double read_median_ms(const char *path)
{
    struct figures us = {0};
    double took_us;
    FILE *file = fopen(path, "r");
    if (file == NULL)
        bench_die("Couldn't read %s: %s", path, strerror(errno));
    while (fscanf(file, "%*d %*d %lf", &took_us) == 1)
        figures_add(&us, took_us);
    fclose(file);
    unlink(path); /* h2load would add to it */
    double median_ms = figures_rank(&us, 500) / 1000;
    figures_fini(&us);
    return median_ms;
}

static double parse_per_second(const char *text)
{
    double per_second = 0;
    const char *finished = strstr(text, "\nfinished in ");
    if (finished == NULL || sscanf(finished, "\nfinished in %*[^,], %lf req/s", &per_second) != 1)
        bench_die("h2load said: %.1500s", text);
    return per_second;
}

bool load_etcd(struct loaded *loaded, const struct load *load, int port, const struct workplace *workplace)
{
    char clients[12], streams[12], requests[24], times[PATH_MAX], address[100];
    snprintf(clients, sizeof clients, "%d", load->clients);
    snprintf(streams, sizeof streams, "%d", load->pipeline);
    snprintf(requests, sizeof requests, "%ld", load->requests);
    snprintf(times, sizeof times, "%s/load.times", workplace->folder);
    snprintf(address, sizeof address, "http://127.0.0.1:%d/etcdserverpb.KV/%s", port, load->writes ? "Put" : "Range");
    write_body(load->writes, workplace);
    const struct program program = {.file = "h2load",
                                    .folder = workplace->folder,
                                    .output = OUTPUT_NAME,
                                    .arguments = {"h2load", "-c", clients, "-m", streams, "-n", requests, "-d",
                                                  BODY_NAME, "-H", "content-type: application/grpc", "-H",
                                                  "te: trailers", "--log-file", times, address}};
    char *text = child_run(&program);
    if (text == NULL)
        return false;
    bool good = check_answers(load, text);
    *loaded = (struct loaded){.per_second = parse_per_second(text), .median_ms = read_median_ms(times)};
    memory_free(text);
    return good;
}
