/* Clock, random numbers and log, in the place of the real ones: the time stands still unless a target moves it, and
 * what is random is the same in every run. */
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "fuzz.h"

#define STARTED_US  INT64_C(1000000000)
#define WALL_US     INT64_C(1800000000000000) /* the wall clock's lead */
#define RANDOM_SEED UINT64_C(88172645463325252)

int64_t fuzz_now_us = STARTED_US;

static uint64_t state = RANDOM_SEED;

void fuzz_seam_reset(void)
{
    fuzz_now_us = STARTED_US;
    state = RANDOM_SEED;
}

int64_t clock_now_us(void)
{
    return fuzz_now_us;
}

int64_t clock_wall_us(void)
{
    return WALL_US + fuzz_now_us;
}

void clock_cpu_us(int64_t *user_us, int64_t *system_us)
{
    *user_us = *system_us = 0;
}

/* Xorshift (Marsaglia). */
static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

void random_bytes(void *bytes, size_t size)
{
    uint8_t *at = bytes;

    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)next();
}

int64_t random_between(int64_t low, int64_t high)
{
    return low < high ? low + (int64_t)(next() % (uint64_t)(high - low)) : low;
}

/* ---- The log: lines are laid out, for the sanitizers to look on, and thrown away ---- */

struct log {
    enum log_level level;
};

struct log *log_open(int fd, int32_t node_id, enum log_level level, struct mailraft_error *err)
{
    struct log *log = memory_new(sizeof *log);

    (void)fd;
    (void)node_id;
    (void)err;
    log->level = level;
    return log;
}

void log_close(struct log *log)
{
    memory_free(log);
}

void log_drain(struct log *log)
{
    (void)log;
}

void log_set_state(struct log *log, uint64_t term, const char *role)
{
    (void)log;
    (void)term;
    (void)role;
}

bool log_enabled(const struct log *log, enum log_level level)
{
    return level <= log->level;
}

enum log_level log_level(const struct log *log)
{
    return log->level;
}

void log_set_level(struct log *log, enum log_level level)
{
    log->level = level;
}

void log_put(struct log *log, enum log_level level, const char *format, ...)
{
    struct line_head head = {.wall_us = clock_wall_us(), .node_id = 1, .role = "FOLLOWER", .level = level};
    char line[LINE_MAX_BYTES + 1];
    va_list arguments;

    if (!log_enabled(log, level))
        return;
    va_start(arguments, format);
    line_format(line, &head, format, arguments);
    va_end(arguments);
}
