/* figures.h - samples, and what a table says of them. */
#ifndef BENCH_FIGURES_H
#define BENCH_FIGURES_H

struct figures {
    double *samples;
    int count, room;
};

void figures_add(struct figures *figures, double sample);
void figures_fini(struct figures *figures);

double figures_mean(const struct figures *figures);
/* The smallest sample that so many of a thousand do not exceed (nearest rank): 500 is the median, 1000 the largest. */
double figures_rank(struct figures *figures, int of_thousand);

#endif
