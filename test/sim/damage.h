/* damage.h - machines whose disks no longer have what they had, and how many of them a cluster can bear. */
#ifndef SIM_DAMAGE_H
#define SIM_DAMAGE_H

#include "sim/world.h"

/* Whether the cluster can do without that machine's folder: a minority at most is damaged, has lost its folder, or is
 * not known to the others yet, and all others know of the cluster (README, "Limits"). None, before its birth. */
bool damage_can_be_borne(struct sim *sim, const struct machine *machine);
int damage_count_strangers(struct sim *sim); /* whose folders are new to the cluster, or unknown to it */

/* A bit of its log, ballot or identity flips. What cannot be told from a write in flight is left alone. False: so it
 * was here, and nothing has happened. */
bool damage_flip(struct sim *sim, struct machine *machine);

/* A file of its log, its ballot or its identity is gone; the same. It has no life. */
bool damage_vanish(struct sim *sim, struct machine *machine);

#endif
