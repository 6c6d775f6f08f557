#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/thread.h"
#include "check.h"

static int reading, writing; /* the ends of a pipe */
static struct log *log_;
static struct mailraft_error err;

static void make_pipe(void)
{
    int fds[2];

    cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
    reading = fds[0];
    writing = fds[1];
}

static void start(enum log_level level)
{
    log_ = log_open(writing, 7, level, &err);
    cr_assert_not_null(log_);
}

/* Closes the log and the pipe behind it. */
static void end(void)
{
    log_close(log_);
    close(writing);
}

/* The next line, from its role on and without its newline; NULL at the end. */
static const char *next_line(void)
{
    static FILE *lines;
    static char line[LINE_MAX_BYTES + 2];

    if (lines == NULL)
        lines = fdopen(reading, "r");
    if (fgets(line, sizeof line, lines) == NULL)
        return NULL;
    cr_assert_eq(line[strlen(line) - 1], '\n');
    line[strlen(line) - 1] = '\0';
    cr_assert_not_null(strstr(line, "Z node=7 term="));
    return strstr(line, "term=");
}

static void assert_line(const char *expected)
{
    const char *line = next_line();

    cr_assert_not_null(line, "no line, but not %s", expected);
    cr_assert_str_eq(line, expected);
}

TestSuite(log, .init = make_pipe, .timeout = 60);

Test(log, lines_come_in_the_order_they_were_put_with_the_state_of_that_moment)
{
    start(LOG_INFO);
    log_info(log_, "Listening on port %d", 7101);
    log_set_state(log_, 2, "CANDIDATE");
    log_info(log_, "Candidate!");
    log_set_state(log_, 3, "LEADER");
    log_warn(log_, "Leader!");
    end();
    assert_line("term=0 role=FOLLOWER Listening on port 7101");
    assert_line("term=2 role=CANDIDATE Candidate!");
    assert_line("term=3 role=LEADER Leader! level=warn");
    cr_assert_null(next_line());
}

Test(log, lines_above_the_level_are_not_printed)
{
    start(LOG_WARN);
    cr_assert(log_enabled(log_, LOG_ERROR));
    cr_assert(log_enabled(log_, LOG_WARN));
    cr_assert_not(log_enabled(log_, LOG_INFO));
    log_trace(log_, "trace");
    log_debug(log_, "debug");
    log_info(log_, "info");
    log_error(log_, "error");
    end();
    assert_line("term=0 role=FOLLOWER error level=error");
    cr_assert_null(next_line());
}

Test(log, the_level_can_be_changed_while_it_is_open)
{
    start(LOG_INFO);
    cr_assert_eq(log_level(log_), LOG_INFO);
    log_debug(log_, "before");
    log_set_level(log_, LOG_DEBUG);
    cr_assert_eq(log_level(log_), LOG_DEBUG);
    log_debug(log_, "between");
    log_set_level(log_, LOG_ERROR);
    log_warn(log_, "after");
    log_error(log_, "at the end");
    end();
    assert_line("term=0 role=FOLLOWER between level=debug");
    assert_line("term=0 role=FOLLOWER at the end level=error");
    cr_assert_null(next_line());
}

Test(log, an_event_is_one_line_whatever_it_tells)
{
    start(LOG_INFO);
    log_info(log_, "name=\"%s\"", "a\nb");
    end();
    assert_line("term=0 role=FOLLOWER name=\"a\\x0ab\"");
    cr_assert_null(next_line());
}

Test(log, more_than_the_ring_holds_comes_through_while_somebody_reads)
{
    char expected[100];

    start(LOG_INFO);
    for (int i = 0; i < 30000; i++) {
        log_info(log_, "line %d", i);
        snprintf(expected, sizeof expected, "term=0 role=FOLLOWER line %d", i);
        assert_line(expected);
    }
    end();
    cr_assert_null(next_line());
}

#define MANY 30000 /* lines, more than ring and pipe together hold */

static void put_many(int first, int count, int width)
{
    for (int i = first; i < first + count; i++)
        log_info(log_, "line %d %0*d", i, width, 0);
}

/* Reads numbered lines from 0 until `count` have come or been told as dropped, each at its place. */
static void read_with_gaps(int count)
{
    int came = 0, dropped = 0, number;

    while (came + dropped < count) {
        const char *line = next_line();

        cr_assert_not_null(line);
        if (sscanf(line, "term=0 role=FOLLOWER Dropped %d lines", &number) == 1) {
            dropped += number;
        } else {
            cr_assert_eq(sscanf(line, "term=0 role=FOLLOWER line %d", &number), 1, "%s", line);
            cr_assert_eq(number, came + dropped, "%d came, %d dropped, then line %d", came, dropped, number);
            came++;
        }
    }
    cr_assert_gt(came, 500);
    cr_assert_gt(dropped, 0);
}

Test(log, a_reader_that_sleeps_blocks_nobody_and_what_it_missed_is_told_in_its_place)
{
    start(LOG_INFO);
    put_many(0, MANY, 1);
    read_with_gaps(MANY);
    log_info(log_, "afterwards");
    end();
    assert_line("term=0 role=FOLLOWER afterwards");
    cr_assert_null(next_line());
}

Test(log, a_short_line_does_not_slip_in_where_a_longer_one_was_dropped)
{
    start(LOG_INFO);
    put_many(0, MANY, 1000);
    put_many(MANY, 100, 1);
    read_with_gaps(MANY + 100);
    end();
    cr_assert_null(next_line());
}

Test(log, a_non_blocking_descriptor_is_written_like_any_other)
{
    cr_assert_eq(fcntl(writing, F_SETFL, O_NONBLOCK), 0);
    start(LOG_INFO);
    put_many(0, MANY, 1);
    read_with_gaps(MANY);
    end();
    cr_assert_null(next_line());
}

Test(log, the_end_of_its_reader_ends_the_printing_and_nothing_else)
{
    start(LOG_INFO);
    close(reading);
    put_many(0, MANY, 1);
    end();
}

Test(log, closing_does_not_wait_for_a_reader_that_sleeps)
{
    start(LOG_INFO);
    put_many(0, MANY, 1);
    log_close(log_);
}

static bool read_file(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "r");

    if (file == NULL)
        return false;
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
    return true;
}

/* What /proc tells of this process's thread of that name; NULL: there is none. */
static const char *status_of_thread(const char *name)
{
    static char text[4096];
    char path[300], first[32];
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *task;
    bool found = false;

    cr_assert_not_null(tasks);
    snprintf(first, sizeof first, "Name:\t%s\n", name);
    while (!found && (task = readdir(tasks)) != NULL) {
        snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
        found = read_file(path, text, sizeof text) && strncmp(text, first, strlen(first)) == 0;
    }
    closedir(tasks);
    return found ? text : NULL;
}

/* Of SIGXFSZ, which goes to the thread whose write was beyond the limit; it has all signals blocked. */
static bool writer_met_the_limit(void)
{
    unsigned long long pending = 0;
    const char *status = status_of_thread("log");
    const char *line = status != NULL ? strstr(status, "\nSigPnd:") : NULL;

    return line != NULL && sscanf(line, "\nSigPnd: %llx", &pending) == 1 && (pending >> (SIGXFSZ - 1) & 1) != 0;
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;

    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

Test(log, what_a_file_has_no_room_for_is_written_when_it_has_again)
{
    char path[] = "/tmp/mailraft-log-XXXXXX";
    struct stat file = {0};

    writing = mkstemp(path);
    reading = open(path, O_RDONLY);
    cr_assert(writing >= 0 && reading >= 0);
    unlink(path);
    limit_files(20); /* part of a line */
    start(LOG_INFO);
    log_info(log_, "before");
    while (!writer_met_the_limit())
        sched_yield();
    log_info(log_, "meanwhile");
    limit_files(RLIM_INFINITY);
    while (file.st_size < 100) /* until both are there: whoever closes waits for no more than 200 ms */
        cr_assert_eq(fstat(reading, &file), 0);
    end();
    assert_line("term=0 role=FOLLOWER before");
    assert_line("term=0 role=FOLLOWER meanwhile");
    cr_assert_null(next_line());
}

Test(log, closing_does_not_wait_for_a_disk_that_is_full)
{
    writing = open("/dev/full", O_WRONLY);
    cr_assert(writing >= 0);
    start(LOG_INFO);
    log_info(log_, "never");
    end();
    while (status_of_thread("log") != NULL)
        sched_yield();
}

/* By then the number of its descriptor may name something of somebody else's: here, another pipe. */
Test(log, an_abandoned_writer_writes_no_more_when_it_comes_back)
{
    char bytes[4096];
    int stuck_at, descriptor;

    start(LOG_INFO);
    put_many(0, MANY, 1);
    log_close(log_);
    log_ = NULL; /* the writer's to free now */
    stuck_at = reading;
    descriptor = writing;
    make_pipe();
    cr_assert_eq(dup2(writing, descriptor), descriptor);
    while (read(stuck_at, bytes, sizeof bytes) > 0) /* until its write, the last to hold the old pipe, is done */
        ;
    while (status_of_thread("log") != NULL)
        sched_yield();
    cr_assert_eq(fcntl(reading, F_SETFL, O_NONBLOCK), 0);
    cr_assert_eq(read(reading, bytes, sizeof bytes), -1);
    cr_assert_eq(errno, EAGAIN);
}

Test(log, draining_gives_the_writer_time_and_returns_though_nobody_reads)
{
    start(LOG_INFO);
    log_info(log_, "Assertion failed");
    log_drain(log_);
    assert_line("term=0 role=FOLLOWER Assertion failed");
    put_many(0, MANY, 1);
    log_drain(log_);
    log_close(log_);
}

#define PUTTERS 4
#define LINES_EACH 1000

static void put_lines(void *context)
{
    const int *putter = context;

    for (int i = 0; i < LINES_EACH; i++)
        log_info(log_, "putter %d line %d", *putter, i);
}

Test(log, lines_of_many_threads_come_whole_and_in_each_ones_order)
{
    struct thread threads[PUTTERS];
    int numbers[PUTTERS], next[PUTTERS] = {0};

    start(LOG_INFO);
    for (int i = 0; i < PUTTERS; i++) {
        numbers[i] = i;
        cr_assert(thread_start(&threads[i], "putter", put_lines, &numbers[i], &err));
    }
    for (int i = 0; i < PUTTERS * LINES_EACH; i++) {
        const char *line = next_line();
        int putter, number;

        cr_assert_not_null(line);
        cr_assert_eq(sscanf(line, "term=0 role=FOLLOWER putter %d line %d", &putter, &number), 2, "%s", line);
        cr_assert_eq(number, next[putter]++);
    }
    for (int i = 0; i < PUTTERS; i++)
        thread_join(&threads[i]);
    end();
    cr_assert_null(next_line());
}
