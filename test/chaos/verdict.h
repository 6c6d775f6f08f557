/* verdict.h - what must hold when all is healed: soon one leader, whom all follow, writes that are acknowledged, the
 * same state at all nodes, and in it all that was acknowledged and nothing that was refused. */
#ifndef CHAOS_VERDICT_H
#define CHAOS_VERDICT_H

struct chaos;

/* Ends all faults, then the clients' calls, then the nodes. Fails the run where something is not so. */
void verdict(struct chaos *chaos);

#endif
