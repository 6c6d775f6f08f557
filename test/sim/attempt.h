/* attempt.h - one run of a seed in a process of its own, so that a violated invariant, a failed assertion or a loop
 * ends that process alone; and what such an end was about. */
#ifndef SIM_ATTEMPT_H
#define SIM_ATTEMPT_H

#include <stdbool.h>
#include <time.h>

#include "sim/swarm.h"

#define INVARIANT_TEXT_MAX 1000

#define SEED_SECONDS 60 /* of the processor, for one seed, before it counts as caught in a loop */

struct attempt {
    bool failed;
    char invariant[INVARIANT_TEXT_MAX]; /* one line: what did not hold */
    struct swarm_result result;         /* as far as it came */
};

/* trace: as swarm_run has it; what the run has to say on stderr comes there, too. NULL: none, and nowhere. seconds: of
 * the processor, after which it counts as caught in a loop. */
void attempt_run(struct attempt *attempt, uint64_t seed, const struct plan *plan, FILE *trace, time_t seconds);

/* What a run said on stderr, and how it ended (wait(2)), as one line. */
void invariant_read(FILE *said, int status, char text[INVARIANT_TEXT_MAX]);

/* Whether two of them tell of the same thing, whatever their numbers are. */
bool invariants_are_alike(const char *left, const char *right);

/* The process ends by a signal after so many seconds of the processor. Where others take the processor, that is no
 * loop. */
void limit_seconds(time_t seconds);

#endif
