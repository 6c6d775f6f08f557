#include "start.h"

#include "base/clock.h"

#define START_NODES 3

static int64_t first_led_us(const struct nodes *nodes)
{
    for (int i = 0; i < nodes->count; i++)
        if (nodes->members[i].led_us != 0)
            return nodes->members[i].led_us;
    return 0;
}

static double start_once(const struct workplace *workplace)
{
    struct nodes nodes;
    nodes_open(&nodes, workplace, &DEFAULT_SETTINGS, START_NODES);
    int64_t began_us = clock_now_us();
    nodes_start_all(&nodes);
    while (first_led_us(&nodes) == 0) {
        if (clock_now_us() > began_us + NODES_WAIT_US)
            nodes_die_stuck(&nodes, "the first leader");
        nodes_read(&nodes, began_us + NODES_WAIT_US);
    }
    double ms = (double)(first_led_us(&nodes) - began_us) / 1000;
    nodes_close(&nodes);
    return ms;
}

void start_measure(struct figures *ms, int times, const struct workplace *workplace)
{
    for (int i = 0; i < times; i++)
        figures_add(ms, start_once(workplace));
}
