#include "sim/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const FAULT_NAMES[FAULT_COUNT] = {
    [KILL] = "kill",
    [POWER_CUT] = "power_cut",
    [POWER_CUT_OF_ALL] = "power_cut_of_all",
    [END_IN_CALL] = "end_in_call",
    [END_AT_START] = "end_at_start",
    [FAIL_SYNC] = "fail_sync",
    [FAIL_WRITE] = "fail_write",
    [FILL] = "fill",
    [HANG] = "hang",
    [SLOW] = "slow",
    [SLOW_CALL] = "slow_call",
    [FLIP] = "flip",
    [VANISH] = "vanish",
    [EMPTY] = "empty",
    [PAUSE] = "pause",
    [STOP] = "stop",
    [ISOLATE] = "isolate",
    [PARTITION] = "partition",
    [BRIDGE] = "bridge",
    [RING] = "ring",
    [ONE_WAY] = "one_way",
    [FLAP] = "flap",
    [BREAK] = "break",
    [STRAGGLE] = "straggle",
    [HANG_UP] = "hang_up",
    [LOSS] = "loss",
    [DUPLICATION] = "duplication",
    [DELAY] = "delay",
    [REORDERING] = "reordering",
    [DRIFT] = "drift",
};

void plan_init(struct plan *plan)
{
    memset(plan, 0, sizeof *plan);
    plan->until_us = INT64_MAX;
}

bool plan_has(const struct plan *plan, enum fault fault, uint64_t number)
{
    return !plan->without_kind[fault] && (number == 0 || number > PLAN_NUMBERS_MAX || !plan->without[number - 1]);
}

/* ---- Reading ---- */

static bool leave_out_kind(struct plan *plan, const char *name)
{
    for (int i = 0; i < FAULT_COUNT; i++)
        if (strcmp(name, FAULT_NAMES[i]) == 0) {
            plan->without_kind[i] = true;
            return true;
        }
    return false;
}

static bool leave_out_numbers(struct plan *plan, const char *text)
{
    char *end;
    unsigned long first = strtoul(text, &end, 10), last = first;

    if (*end == '-')
        last = strtoul(end + 1, &end, 10);
    if (*end != '\0' || first < 1 || last < first || last > PLAN_NUMBERS_MAX)
        return false;
    for (unsigned long number = first; number <= last; number++)
        plan->without[number - 1] = true;
    return true;
}

bool plan_leave_out(struct plan *plan, const char *list)
{
    while (*list != '\0') {
        size_t length = strcspn(list, ",");
        char item[40];

        if (length >= sizeof item)
            return false;
        snprintf(item, sizeof item, "%.*s", (int)length, list);
        if (!leave_out_kind(plan, item) && !leave_out_numbers(plan, item))
            return false;
        list += length;
        if (*list == ',' && *++list == '\0')
            return false;
    }
    return true;
}

/* ---- Telling ---- */

static void put_item(char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Whole, or not at all. */
static void put_item(char *text, const char *format, ...)
{
    char item[60];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(item, sizeof item, format, arguments);
    va_end(arguments);
    if (strlen(text) + strlen(item) + 2 > PLAN_TEXT_MAX)
        return;
    if (text[0] != '\0')
        strcat(text, ",");
    strcat(text, item);
}

const char *plan_left_out(const struct plan *plan, char *text)
{
    text[0] = '\0';
    for (int i = 0; i < FAULT_COUNT; i++)
        if (plan->without_kind[i])
            put_item(text, "%s", FAULT_NAMES[i]);
    for (int first = 1; first <= PLAN_NUMBERS_MAX; first++) {
        int last = first;

        if (!plan->without[first - 1])
            continue;
        while (last < PLAN_NUMBERS_MAX && plan->without[last])
            last++;
        if (last == first)
            put_item(text, "%d", first);
        else
            put_item(text, "%d-%d", first, last);
        first = last;
    }
    return text;
}
