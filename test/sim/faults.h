/* faults.h - what goes wrong in a run of the swarm, and how it is put right.
 *
 * Draws:     every fault has a number, and draws from numbers of its own, which begin with the seed and that number:
 *            what it is, whom it hits, for how long, and when the next one comes. So a fault that is left out (plan.h)
 *            changes neither the others nor what anybody else draws, but for what follows from it.
 * Limits:    what no cluster survives is not done. A minority of the machines at most is damaged, has lost its folder
 *            or is not known to the others yet; damage that cannot be told from a write in flight (README, "The log
 *            on disk") is left out. Whoever refuses a damaged folder gets an empty one, as its operator is told. */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include "sim/plan.h"
#include "sim/users.h"

struct faults;
struct machine;

struct faults_config {
    struct users *users;              /* borrowed; NULL: there are none */
    int64_t timeout_us;               /* the maximum election timeout: the unit of all times here */
    int64_t sync_max_us[MEMBERS_MAX]; /* of each disk, while nothing is wrong with it */
};

/* Draws which kinds there are, and how often something happens. plan: borrowed. */
struct faults *faults_new(struct sim *sim, const struct plan *plan);
void faults_free(struct faults *faults);

bool faults_include(const struct faults *faults, enum fault fault); /* a kind, in this run */

/* Once there are machines: from now on things go wrong. */
void faults_begin(struct faults *faults, const struct faults_config *config);
int64_t faults_next_us(const struct faults *faults); /* when something may go wrong next */
/* They no longer do; all ways are open. Machines stay as they are, until they are mended. */
void faults_end(struct faults *faults);
/* The machine lives and runs, and its disk works. One that is damaged or has lost its folder begins anew. */
void faults_mend(struct faults *faults, struct machine *machine);

struct faults_count {
    uint64_t done;   /* that have happened */
    uint64_t number; /* of the last one, with those that did not */
};
struct faults_count faults_count(const struct faults *faults);

void faults_trace(const struct faults *faults); /* what was drawn */

#endif
