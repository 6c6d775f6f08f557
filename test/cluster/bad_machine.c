#include "cluster/bad_machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

void bad_machine_init(struct bad_machine *bad, const struct cluster *cluster, const char *name, const char *trouble)
{
    const char *library = getenv("PRELOAD");
    const char *options = getenv("ASAN_OPTIONS");
    cr_assert(library != NULL, "PRELOAD must name preload.so");
    char *absolute = realpath(library, NULL);
    cr_assert_not_null(absolute);
    cluster_path(cluster, name, bad->armed);
    cr_assert_lt(snprintf(bad->hit, sizeof(bad->hit), "%s.hit", bad->armed), (int)sizeof(bad->hit));
    snprintf(bad->preload, sizeof(bad->preload), "LD_PRELOAD=%s", absolute);
    snprintf(bad->trouble, sizeof(bad->trouble), "PRELOAD_TROUBLE=%s", trouble);
    snprintf(bad->armed_variable, sizeof(bad->armed_variable), "PRELOAD_ARMED=%s", bad->armed);
    /* The sanitizer wants to be the first library: here it need not be. */
    snprintf(bad->asan_options, sizeof(bad->asan_options), "ASAN_OPTIONS=%s%sverify_asan_link_order=0",
             options != NULL ? options : "", options != NULL ? ":" : "");
    const char *environment[] = {bad->preload, bad->trouble, bad->armed_variable, bad->asan_options, NULL};
    memcpy(bad->environment, environment, sizeof(environment));
    free(absolute);
}

void bad_machine_arm(const struct bad_machine *bad)
{
    FILE *file = fopen(bad->armed, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fclose(file), 0);
}

void bad_machine_disarm(const struct bad_machine *bad)
{
    cr_assert(unlink(bad->armed) == 0 || errno == ENOENT);
}

static bool was_hit(struct cluster *cluster, void *context)
{
    (void)cluster;
    return access(((const struct bad_machine *)context)->hit, F_OK) == 0;
}

void bad_machine_await(const struct bad_machine *bad, struct cluster *cluster)
{
    struct bad_machine copy = *bad;
    cluster_wait(cluster, "the trouble that was armed", was_hit, &copy);
}
