/* complaints.h - warnings about what others do, at most one a second for each cause, so that nobody fills our log from
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

/* One line of level warn: the printf-style text, ": " and the error's message; how many like it were held back before,
 * if any; or nothing, where less than a second has passed since the last one of its cause. */
void complaints_tell(struct complaints *complaints, const struct mailraft_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
