/* faults.h - what goes wrong: which kinds of it, when, where and for how long, as the seed has drawn.
 *
 * A seed has some kinds only. Storms, in which several faults hold at once, take turns with lulls, in which nothing is
 * wrong. */
#ifndef CHAOS_FAULTS_H
#define CHAOS_FAULTS_H

#include <stdio.h>

struct chaos;
struct faults;

struct faults *faults_new(struct chaos *chaos);
void faults_free(struct faults *faults);

void faults_step(struct chaos *chaos); /* begins and ends what is due */
void faults_heal(struct chaos *chaos); /* ends all */

/* Tells "kind number, ...", and returns how many there were in all. */
unsigned long faults_sum(const struct faults *faults, FILE *out);

#endif
