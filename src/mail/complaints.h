/* complaints.h - lines about what others do, at most one a second for each cause, so that nobody fills our log from
 * outside. The cause is the place in the code where the error was raised.
 *
 * Threads:   any. */
#ifndef MAIL_COMPLAINTS_H
#define MAIL_COMPLAINTS_H

#include "base/log.h"
#include "base/thread.h"

#define COMPLAINTS_MAX 48 /* causes that are told apart; with more of them, the one told longest ago is forgotten */
#define COMPLAINT_INTERVAL_US 1000000

struct complaint {
    const char *file; /* where the error was raised; NULL: unused */
    int line;
    int64_t told_us;
    unsigned held_back; /* how many came since then and were not told */
};

struct complaints {
    struct log *log;
    struct mutex mutex; /* guards what follows */
    struct complaint list[COMPLAINTS_MAX];
};

void complaints_init(struct complaints *complaints, struct log *log);
void complaints_fini(struct complaints *complaints);

/* One line: the printf-style text, ": " and the error's message; how many like it were held back before, if any; or
 * nothing, where less than a second has passed since the last one of its cause. */
void complaints_put(struct complaints *complaints, enum log_level level, const struct mailraft_error *err,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));

#define complaints_tell(complaints, err, ...) complaints_put(complaints, LOG_WARN, err, __VA_ARGS__)

#endif
