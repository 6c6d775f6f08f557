/* caller.h - a client as scenarios need one: it says commands to one node's service (sim_serve), over a cable, and what
 * it is told is text.
 *
 * Ownership: callers are the test's; all must be closed before sim_free. */
#ifndef SCENARIOS_CALLER_H
#define SCENARIOS_CALLER_H

#include "sim/sim.h"

struct caller;

struct caller *caller_open(struct sim *sim, raft_id node);
void caller_close(struct caller *caller); /* hangs up, whatever it waits for; NULL is fine */

/* A command, its words on one line, which leaves at once. */
__attribute__((format(printf, 2, 3))) void caller_say(struct caller *caller, const char *format, ...);
int caller_waits(const struct caller *caller); /* for so many answers: those that have come and were not taken, too */

/* The oldest answer, once it has come whole: OK, 5, "bulk", nil, -ERR words, [1, "a", nil]. NULL: it has not. What it
 * returns lasts until the next call for this caller. */
const char *caller_take(struct caller *caller);
bool caller_has_answer(const struct caller *caller);
bool caller_is_lost(const struct caller *caller); /* the node has closed the cable: no more answers come */

/* Lets time pass until the answer is there, and takes it; "lost" where the cable was closed before. Fails the test
 * where nothing comes for a simulated minute. */
const char *caller_wait(struct caller *caller);
__attribute__((format(printf, 2, 3))) const char *caller_ask(struct caller *caller, const char *format, ...);

/* Whether an answer says that the command was certainly not executed, or that nobody knows. */
bool is_clusterdown(const char *answer);
bool is_uncertain(const char *answer);

#endif
