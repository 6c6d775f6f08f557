#include "service_figures.h"

void service_figures_measure(struct service_figures *figures, bool quick, const struct workplace *workplace)
{
    *figures = (struct service_figures){
        .load = {.runs = quick ? 1 : 3, .share = quick ? 4 : 1},
        .failover = {.times = quick ? 10 : 100, .etcd_times = quick ? 3 : 15},
        .start = {.times = quick ? 3 : 20, .etcd_times = quick ? 1 : 5},
        .memory = {.keys = quick ? 100000 : 1000000},
    };
    service_load_measure(&figures->load, workplace);
    service_failover_measure(&figures->failover, workplace);
    service_start_measure(&figures->start, workplace);
    service_memory_measure(&figures->memory, workplace);
}

void service_figures_print(struct service_figures *figures)
{
    service_load_print(&figures->load);
    service_failover_print(&figures->failover);
    service_start_print(&figures->start);
    service_memory_print(&figures->memory);
}
