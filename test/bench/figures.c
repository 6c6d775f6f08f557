#include "figures.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/memory.h"

void figures_add(struct figures *figures, double sample)
{
    if (figures->count == figures->room) {
        figures->room = figures->room > 0 ? 2 * figures->room : 128;
        figures->samples = memory_resize(figures->samples, (size_t)figures->room * sizeof *figures->samples);
    }
    figures->samples[figures->count++] = sample;
}

void figures_fini(struct figures *figures)
{
    memory_free(figures->samples);
    *figures = (struct figures){0};
}

double figures_mean(const struct figures *figures)
{
    assert(figures->count > 0);
    double sum = 0;
    for (int i = 0; i < figures->count; i++)
        sum += figures->samples[i];
    return sum / figures->count;
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

double figures_rank(struct figures *figures, int of_thousand)
{
    assert(figures->count > 0 && of_thousand > 0 && of_thousand <= 1000);
    qsort(figures->samples, (size_t)figures->count, sizeof *figures->samples, compare);
    int64_t rank = ((int64_t)figures->count * of_thousand + 999) / 1000; /* of millions, too */
    return figures->samples[rank - 1];
}
