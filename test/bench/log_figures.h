/* log_figures.h - the figures of the replicated log: measured one after the other, told as the README has them. */
#ifndef BENCH_LOG_FIGURES_H
#define BENCH_LOG_FIGURES_H

#include "commits.h"
#include "restart.h"
#include "scribe_speed.h"

#define SPEED_COUNT 9
#define LOAD_COUNT  2

struct log_figures {
    struct scribe_speed speeds[SPEED_COUNT];
    struct commit_latency latency;
    struct commit_load loads[LOAD_COUNT];
    struct restart restart;
};

void log_figures_measure(struct log_figures *figures, bool quick, const struct workplace *workplace);
void log_figures_print(struct log_figures *figures);

#endif
