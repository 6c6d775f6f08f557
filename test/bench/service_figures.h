/* service_figures.h - the figures of the service: measured one after the other, told as the README has them. */
#ifndef BENCH_SERVICE_FIGURES_H
#define BENCH_SERVICE_FIGURES_H

#include "service_failover.h"
#include "service_load.h"
#include "service_memory.h"

struct service_figures {
    struct service_load load;
    struct service_failover failover;
    struct service_start start;
    struct service_memory memory;
};

void service_figures_measure(struct service_figures *figures, bool quick, const struct workplace *workplace);
void service_figures_print(struct service_figures *figures);

#endif
