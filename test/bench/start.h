/* start.h - how long three nodes take, from the start of the first process on an empty folder, to the first Leader!. */
#ifndef BENCH_START_H
#define BENCH_START_H

#include "figures.h"
#include "nodes.h"

/* Adds so many samples, in milliseconds. */
void start_measure(struct figures *ms, int times, const struct workplace *workplace);

#endif
