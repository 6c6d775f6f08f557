/* machine.h - what figures of time depend on: the cores, the kernel, and how long a sync takes. */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <stddef.h>

#include "bench.h"
#include "figures.h"

/* Adds so many samples, in milliseconds: one sector of a file written over and fdatasync, as the scribe does it. */
void machine_sample_syncs(struct figures *ms, int times, const struct workplace *workplace);

/* "Linux 6.1.0 on x86_64, 2 cores (Intel ...)", written to text. */
const char *machine_describe(char *text, size_t size);

#endif
