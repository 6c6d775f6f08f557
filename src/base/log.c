#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"

#define RING_BYTES    (1024 * 1024)
#define LAST_WORDS_US 200000 /* how long an ending process waits for a reader of its lines */
#define RETRY_US      100000 /* between writes that fail */

struct log {
    /* Fixed while it is open. */
    int fd;
    int32_t node_id;
    struct thread writer;

    atomic_int level; /* enum log_level; read without the mutex */

    struct mutex mutex; /* guards what follows; lines are formatted under it, so that time, state and order agree */
    struct wake wake;   /* something for the writer, or the writer's end for log_close */
    uint64_t term;
    const char *role;
    char *ring;                 /* pages of it that no line reached cost nothing */
    size_t start;               /* of the oldest byte that is not written yet */
    atomic_size_t used;         /* bytes from start on; changed under the mutex, also read without it by log_drain */
    unsigned long long dropped; /* lines since the ring was full, not told yet */
    bool closing;               /* the writer ends when the ring is empty */
    bool abandoned;             /* log_close has given up: the writer frees the log, should it ever come back */
    bool ended;                 /* the writer writes nothing more: closed, or the other end is gone */
};

static size_t log_room(const struct log *log)
{
    return RING_BYTES - log->used;
}

static void ring_put(struct log *log, const char *bytes, size_t size)
{
    size_t at = (log->start + log->used) % RING_BYTES;
    size_t before_end = RING_BYTES - at < size ? RING_BYTES - at : size;

    memcpy(log->ring + at, bytes, before_end);
    memcpy(log->ring, bytes + before_end, size - before_end);
    log->used += size;
}

/* Formats a line of now and puts it on the ring; false where it found no room. The mutex is held. */
static bool log_put_line(struct log *log, enum log_level level, const char *format, va_list arguments)
{
    char line[LINE_MAX_BYTES + 1];
    struct line_head head = {clock_wall_us(), log->node_id, log->term, log->role, level};
    size_t size = line_format(line, &head, format, arguments);

    if (log_room(log) < size)
        return false;
    ring_put(log, line, size);
    return true;
}

/* The mutex is held. */
__attribute__((format(printf, 3, 4))) static bool log_put_own(struct log *log, enum log_level level, const char *format,
                                                              ...)
{
    va_list arguments;
    bool put;

    va_start(arguments, format);
    put = log_put_line(log, level, format, arguments);
    va_end(arguments);
    return put;
}

void log_put(struct log *log, enum log_level level, const char *format, ...)
{
    va_list arguments;

    if (!log_enabled(log, level))
        return;
    va_start(arguments, format);
    mutex_lock(&log->mutex);
    if (!log->ended) {
        /* Lines after a dropped one are dropped too, until the writer has told of them at their place. */
        if (log->dropped > 0 || !log_put_line(log, level, format, arguments))
            log->dropped++;
        wake_one(&log->wake);
    }
    mutex_unlock(&log->mutex);
    va_end(arguments);
}

bool log_enabled(const struct log *log, enum log_level level)
{
    return (int)level <= atomic_load_explicit(&log->level, memory_order_relaxed);
}

enum log_level log_level(const struct log *log)
{
    return (enum log_level)atomic_load_explicit(&log->level, memory_order_relaxed);
}

void log_set_level(struct log *log, enum log_level level)
{
    atomic_store_explicit(&log->level, (int)level, memory_order_relaxed);
}

void log_set_state(struct log *log, uint64_t term, const char *role)
{
    mutex_lock(&log->mutex);
    log->term = term;
    log->role = role;
    mutex_unlock(&log->mutex);
}

/* Writes some of it, waiting as long as it takes for a reader. How many bytes; 0: none for now, for what is in the way
 * may pass, as a full disk does; -1: none ever again, since the other end is gone. */
static ssize_t log_write(int fd, const char *bytes, size_t size)
{
    for (;;) {
        struct pollfd ready = {.fd = fd, .events = POLLOUT};
        ssize_t written = write(fd, bytes, size);

        if (written >= 0)
            return written;
        if (errno == EPIPE || errno == EBADF)
            return -1;
        if (errno == EAGAIN)
            poll(&ready, 1, -1); /* for a descriptor that somebody made non-blocking */
        else if (errno != EINTR)
            return 0;
    }
}

/* The mutex is held, but not while waiting: the ring takes lines meanwhile, and drops and counts what it has no room
 * for. */
static void log_wait_to_retry(struct log *log)
{
    int64_t until_us = clock_now_us() + RETRY_US;

    while (!log->abandoned && wake_wait_until(&log->wake, &log->mutex, until_us))
        ;
}

/* Writes what can be written at once. The mutex is held, but not while writing: bytes that are on the ring stay as
 * they are until they are taken off, which only the writer does. */
static void log_write_some(struct log *log)
{
    size_t start = log->start;
    size_t size = log->used < RING_BYTES - start ? log->used : RING_BYTES - start;
    ssize_t written;

    mutex_unlock(&log->mutex);
    written = log_write(log->fd, log->ring + start, size);
    mutex_lock(&log->mutex);
    if (written == 0) {
        log_wait_to_retry(log);
        return;
    }
    if (written < 0) {
        log->ended = true;
        log->used = 0;
        return;
    }
    log->start = (start + (size_t)written) % RING_BYTES;
    log->used -= (size_t)written;
    if (log->dropped > 0 && log_put_own(log, LOG_WARN, "Dropped %llu lines", log->dropped))
        log->dropped = 0;
}

static void log_destroy(struct log *log)
{
    wake_fini(&log->wake);
    mutex_fini(&log->mutex);
    memory_free(log->ring);
    memory_free(log);
}

static void log_writer_main(void *context)
{
    struct log *log = context;
    bool abandoned;

    mutex_lock(&log->mutex);
    while (!log->ended && !log->abandoned) {
        if (log->used > 0)
            log_write_some(log);
        else if (log->closing)
            break;
        else
            wake_wait_until(&log->wake, &log->mutex, CLOCK_NEVER);
    }
    log->ended = true;
    abandoned = log->abandoned;
    wake_one(&log->wake);
    mutex_unlock(&log->mutex);
    if (abandoned)
        log_destroy(log);
}

struct log *log_open(int fd, int32_t node_id, enum log_level level, struct mailraft_error *err)
{
    struct log *log = memory_new(sizeof *log);

    log->fd = fd;
    log->node_id = node_id;
    atomic_init(&log->level, (int)level);
    log->role = "FOLLOWER";
    log->ring = memory_new(RING_BYTES);
    mutex_init(&log->mutex);
    wake_init(&log->wake);
    if (thread_start(&log->writer, "log", log_writer_main, log, err))
        return log;
    log_destroy(log);
    return NULL;
}

void log_close(struct log *log)
{
    int64_t deadline_us = clock_now_us() + LAST_WORDS_US;
    struct thread writer = log->writer; /* kept, as an abandoned writer may free the log at once */
    bool ended, waiting = true;

    mutex_lock(&log->mutex);
    log->closing = true;
    wake_one(&log->wake);
    while (!log->ended && waiting)
        waiting = wake_wait_until(&log->wake, &log->mutex, deadline_us);
    ended = log->ended;
    log->abandoned = !ended;
    mutex_unlock(&log->mutex);
    if (!ended) {
        /* It is stuck in write(2), with the ring in its hands, or about to try again: both are left behind. */
        thread_abandon(&writer);
        return;
    }
    thread_join(&writer);
    log_destroy(log);
}

/* The aborting thread may hold any lock, so this takes none: it sleeps and looks. */
void log_drain(struct log *log)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    int64_t deadline_us = clock_now_us() + LAST_WORDS_US;

    while (log->used > 0 && clock_now_us() < deadline_us)
        nanosleep(&pause, NULL);
}
