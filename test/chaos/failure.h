/* failure.h - what happens when something does not hold: all of test/cluster that is linked here asserts, too. */
#ifndef CHAOS_FAILURE_H
#define CHAOS_FAILURE_H

struct chaos;

/* From here on a failed assertion tells the seed, keeps state logs, standard errors, configs and data of all nodes,
 * what was done to them, and the clients' history, in a folder below `folder`, and ends the process with status 1. */
void failure_keep(struct chaos *chaos, const char *folder);

#endif
