/* log.h - the state log: one line an event on stdout, made to be tailed and grepped. One of the headers that the
 * simulator replaces; line.h, which lays a line out, is shared with it.
 *
 *     2026-11-23T06:31:12.345678Z node=1 term=2 role=CANDIDATE Candidate! cause="..."
 *
 * Threads:   any thread puts lines. They go over a ring of 1 MiB to a thread of the log's own, which writes them, so
 *            a stdout that blocks never blocks anyone: lines that find the ring full are dropped, counted and told.
 * Trouble:   a write that fails is tried again, every 100 ms: a disk may be full for a while. When the other end is
 *            gone (EPIPE), nothing is printed any more.
 * Order:     lines appear in the order in which they were put.
 * Ownership: log_open's result is closed with log_close, after every thread that puts lines has been joined. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/line.h"

struct log;

/* fd: where lines go, borrowed. node_id: told in every line. */
struct log *log_open(int fd, int32_t node_id, enum log_level level, struct mailraft_error *err);

/* Writes what the ring holds, for at most 200 ms where nobody reads the other end or writes fail, and frees the log. */
void log_close(struct log *log);

/* For a process that is about to abort: gives the log's thread up to 200 ms to write what the ring holds. Takes no
 * lock and allocates nothing, so that a handler of SIGABRT may call it, whatever was interrupted. */
void log_drain(struct log *log);

/* The term and role that lines tell from now on. role: a string that lasts. Called by the server's thread alone; kept
 * under the ring's mutex. */
void log_set_state(struct log *log, uint64_t term, const char *role);

/* Whether lines of this level are printed: ask before you work for one. */
bool log_enabled(const struct log *log, enum log_level level);

enum log_level log_level(const struct log *log);
void log_set_level(struct log *log, enum log_level level); /* from now on; from any thread */

void log_put(struct log *log, enum log_level level, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define log_error(log, ...) log_put(log, LOG_ERROR, __VA_ARGS__)
#define log_warn(log, ...) log_put(log, LOG_WARN, __VA_ARGS__)
#define log_info(log, ...) log_put(log, LOG_INFO, __VA_ARGS__)
#define log_debug(log, ...) log_put(log, LOG_DEBUG, __VA_ARGS__)
#define log_trace(log, ...) log_put(log, LOG_TRACE, __VA_ARGS__)

#endif
