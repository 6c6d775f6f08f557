#include "resp_speed.h"

#include <hiredis/read.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "bench.h"
#include "serve/resp.h"

#define STREAM_BYTES_MIN (8u * 1024 * 1024) /* more than the caches near a core have */
#define SLICE_US         50000
#define BUFFER_LEAST     (16u * 1024)

static const struct resp_speed SPEEDS[RESP_SPEEDS] = {
    {.name = "one request at a time", .value_bytes = 256, .piece_bytes = 0},
    {.name = "pipelined, 16 KiB a read", .value_bytes = 256, .piece_bytes = 16 * 1024},
    {.name = "pipelined, 64 KiB a read", .value_bytes = 256, .piece_bytes = 64 * 1024},
    {.name = "pipelined, 100 bytes a read", .value_bytes = 256, .piece_bytes = 100},
    {.name = "1 MiB values, 4 KiB a read", .value_bytes = 1024 * 1024, .piece_bytes = 4 * 1024},
};

/* What is read again and again. */
struct stream {
    struct mailraft_buffer bytes;
    long requests;
    size_t piece_bytes;
};

static void put_set(struct stream *stream, const uint8_t *value, size_t value_bytes)
{
    char key[24];
    snprintf(key, sizeof key, "key:%012ld", stream->requests++);
    resp_put_array(&stream->bytes, 3);
    resp_put_text(&stream->bytes, "SET");
    resp_put_text(&stream->bytes, key);
    resp_put_bulk(&stream->bytes, value, value_bytes);
}

static void stream_make(struct stream *stream, struct resp_speed *speed)
{
    uint8_t *value = memory_new(speed->value_bytes);
    memset(value, 'v', speed->value_bytes);
    *stream = (struct stream){.requests = 0};
    while (stream->bytes.size < STREAM_BYTES_MIN)
        put_set(stream, value, speed->value_bytes);
    speed->request_bytes = stream->bytes.size / (size_t)stream->requests;
    stream->piece_bytes = speed->piece_bytes > 0 ? speed->piece_bytes : speed->request_bytes;
    memory_free(value);
}

/* Gives the stream to a reader, again and again, piece by piece; `take` returns how many requests it has read by then.
 * Returns requests a second. */
static double run(const struct stream *stream, long (*take)(void *reader, const uint8_t *piece, size_t size),
                  void *reader)
{
    int64_t began_us = clock_now_us();
    int64_t now_us = began_us;
    long read = 0;
    long sent = 0;
    while (now_us - began_us < SLICE_US) {
        for (size_t at = 0; at < stream->bytes.size; at += stream->piece_bytes) {
            size_t left = stream->bytes.size - at;
            size_t size = left < stream->piece_bytes ? left : stream->piece_bytes;
            read += take(reader, stream->bytes.bytes + at, size);
        }
        sent += stream->requests;
        if (read != sent)
            bench_die("%ld requests were read of %ld", read, sent);
        now_us = clock_now_us();
    }
    return (double)read / ((double)(now_us - began_us) / 1e6);
}

/* ---- Ours ---- */

/* As a connection has it: bytes that have come, of which the first have been used. */
struct input {
    struct resp_reader *reader;
    uint8_t *bytes;
    size_t used, size, room;
};

/* What is left of the bytes moves to the front, where that is not much work: so it is a small part of the memory that is
 * written again and again. */
static void input_tidy(struct input *input)
{
    size_t left = input->size - input->used;
    if (left > input->used)
        return;
    memmove(input->bytes, input->bytes + input->used, left);
    input->size = left;
    input->used = 0;
}

static void input_put(struct input *input, const uint8_t *piece, size_t size)
{
    while (input->room < input->size + size)
        input->bytes = memory_resize(input->bytes, input->room = input->room > 0 ? 2 * input->room : BUFFER_LEAST);
    memcpy(input->bytes + input->size, piece, size);
    input->size += size;
}

static long input_read(struct input *input)
{
    size_t used;
    enum resp_state state;
    long requests = 0;
    while ((state = resp_read(input->reader, input->bytes + input->used, input->size - input->used, &used)) ==
           RESP_REQUEST) {
        size_t count;
        resp_arguments(input->reader, &count);
        if (count != 3)
            bench_die("A request has %zu arguments instead of 3", count);
        input->used += used;
        requests++;
    }
    if (state == RESP_ERROR)
        bench_die("Our reader says %s", resp_error(input->reader));
    return requests;
}

static long ours_take(void *input_, const uint8_t *piece, size_t size)
{
    struct input *input = input_;
    input_tidy(input);
    input_put(input, piece, size);
    return input_read(input);
}

static double run_ours(const struct stream *stream)
{
    struct input input = {.reader = resp_reader_new(SIZE_MAX / 4)};
    double speed = run(stream, ours_take, &input);
    resp_reader_free(input.reader);
    memory_free(input.bytes);
    return speed;
}

/* ---- hiredis's ---- */

static long hiredis_take(void *reader_, const uint8_t *piece, size_t size)
{
    redisReader *reader = reader_;
    long requests = 0;
    void *reply;
    if (redisReaderFeed(reader, (const char *)piece, size) != REDIS_OK)
        bench_die("hiredis says %s", reader->errstr);
    while (redisReaderGetReply(reader, &reply) == REDIS_OK && reply != NULL) {
        if (reader->fn != NULL)
            freeReplyObject(reply);
        requests++;
    }
    if (reader->err != 0)
        bench_die("hiredis says %s", reader->errstr);
    return requests;
}

static double run_hiredis(const struct stream *stream, bool objects)
{
    redisReader *reader = redisReaderCreate();
    if (!objects)
        reader->fn = NULL;
    double speed = run(stream, hiredis_take, reader);
    redisReaderFree(reader);
    return speed;
}

/* ---- All three ---- */

void resp_speeds_measure(struct resp_speeds *speeds, bool quick)
{
    int slices = quick ? 3 : 21;
    for (int i = 0; i < RESP_SPEEDS; i++) {
        struct resp_speed *speed = &speeds->speeds[i];
        struct stream stream;
        *speed = SPEEDS[i];
        fprintf(stderr, "bench: requests read, %s\n", speed->name);
        stream_make(&stream, speed);
        for (int slice = 0; slice < slices; slice++) {
            double ours = run_ours(&stream);
            double hiredis = run_hiredis(&stream, true);
            double objectless = run_hiredis(&stream, false);
            figures_add(&speed->ours, ours);
            figures_add(&speed->hiredis, hiredis);
            figures_add(&speed->objectless, objectless);
            figures_add(&speed->ratio, ours / hiredis);
            figures_add(&speed->objectless_ratio, ours / objectless);
        }
        buffer_fini(&stream.bytes);
    }
}

static void print_speed(struct resp_speed *speed)
{
    double ours = figures_rank(&speed->ours, 500);
    printf("| %s | %zu | %.0f | %.0f | %.0f | %.2f | %.0f | %.2f |\n", speed->name, speed->request_bytes, ours / 1000,
           ours * (double)speed->request_bytes / 1e6, figures_rank(&speed->hiredis, 500) / 1000,
           figures_rank(&speed->ratio, 500), figures_rank(&speed->objectless, 500) / 1000,
           figures_rank(&speed->objectless_ratio, 500));
}

void resp_speeds_print(struct resp_speeds *speeds)
{
    printf(
        "\n| SET requests read on one core | bytes each | thousands a second | MB a second | hiredis, thousands | ours "
        "/ its | hiredis without objects | ours / its |\n|---|---|---|---|---|---|---|---|\n");
    for (int i = 0; i < RESP_SPEEDS; i++)
        print_speed(&speeds->speeds[i]);
}
