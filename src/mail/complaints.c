#include "mail/complaints.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

void complaints_init(struct complaints *complaints, struct log *log)
{
    memset(complaints, 0, sizeof *complaints);
    complaints->log = log;
    mutex_init(&complaints->mutex);
}

void complaints_fini(struct complaints *complaints)
{
    mutex_fini(&complaints->mutex);
}

/* The entry of this cause; a new one in the place of an unused one or of the one told longest ago where it has none. */
static struct complaint *complaint_of(struct complaints *complaints, const struct mailraft_error *err)
{
    struct complaint *oldest = &complaints->list[0];

    for (struct complaint *complaint = complaints->list; complaint < complaints->list + COMPLAINTS_MAX; complaint++) {
        if (complaint->file == err->file && complaint->line == err->line)
            return complaint;
        if (complaint->told_us < oldest->told_us)
            oldest = complaint;
    }
    *oldest = (struct complaint){.file = err->file, .line = err->line, .told_us = -COMPLAINT_INTERVAL_US};
    return oldest;
}

/* Whether a complaint of this cause may be told now, and how many were not. */
static bool complaint_due(struct complaints *complaints, const struct mailraft_error *err, unsigned *held_back)
{
    int64_t now_us = clock_now_us();
    struct complaint *complaint;
    bool due;

    mutex_lock(&complaints->mutex);
    complaint = complaint_of(complaints, err);
    due = now_us - complaint->told_us >= COMPLAINT_INTERVAL_US;
    *held_back = complaint->held_back;
    complaint->held_back = due ? 0 : complaint->held_back + 1;
    if (due)
        complaint->told_us = now_us;
    mutex_unlock(&complaints->mutex);
    return due;
}

void complaints_put(struct complaints *complaints, enum log_level level, const struct mailraft_error *err,
                    const char *format, ...)
{
    char what[512];
    va_list arguments;
    unsigned held_back;

    if (!complaint_due(complaints, err, &held_back))
        return;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    if (held_back > 0)
        log_put(complaints->log, level, "%s: %s held_back=%u", what, err->message, held_back);
    else
        log_put(complaints->log, level, "%s: %s", what, err->message);
}
