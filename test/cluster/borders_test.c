/* Terms at the borders of what numbers of 31, 32, 53 and 62 bits can hold. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "cluster/serving.h"
#include "storage/ballot.h"

/* A node that does not run has been in this term, and voted for nobody in it. */
static void set_term(const struct cluster *cluster, int id, uint64_t term)
{
    char name[30], path[CLUSTER_PATH_MAX];
    struct ballot_file file;
    struct mailraft_error err;
    snprintf(name, sizeof(name), "data%d/ballot", id);
    cluster_path(cluster, name, path);
    cr_assert(ballot_open(&file, path, &err), "%s", err.message);
    cr_assert(ballot_save(&file, (struct ballot){.term = term, .voted_for = NO_ONE}, &err), "%s", err.message);
    cr_assert(ballot_copy(&file, &err), "%s", err.message);
    ballot_close(&file);
}

/* Returns what it tells of its log. */
static const char *start(struct cluster *cluster, int id)
{
    cluster_start_node(cluster, id, NULL);
    return cluster_expect(cluster, id, "Read the log ");
}

/* Which term the last entry of its log is of. */
static uint64_t start_in_term(struct cluster *cluster, int id)
{
    const char *line = start(cluster, id), *at = strchr(line, '@');
    cr_assert_not_null(at, "%s", line);
    return strtoull(at + 1, NULL, 10);
}

/* All of them die, the leader last, so that nobody else is elected meanwhile. Most have an entry of its term: one has
 * been committed. */
static void assert_most_have_logged(struct cluster *cluster, int leader)
{
    uint64_t term = cluster->leader_term;
    int count = 0;
    for (int n = 1; n <= 3; n++)
        cluster_kill(cluster, (leader + n - 1) % 3 + 1);
    for (int id = 1; id <= 3; id++)
        count += start_in_term(cluster, id) >= term;
    cr_assert_geq(count, 2, "only %d of 3 have an entry of term %" PRIu64, count, term);
}

/* Each term up to this one and beyond elects, is logged and read again like any other. */
static void cross(struct cluster *cluster, uint64_t border, int round)
{
    uint64_t before = border - 2;
    for (int id = 1; id <= 3; id++) {
        cluster_stop(cluster, id);
        set_term(cluster, id, before);
    }
    cluster->first_term = before;
    cluster->leader_term = before;
    memset(cluster->leader_of, 0, sizeof(cluster->leader_of));
    for (int id = 1; id <= 3; id++)
        start(cluster, id);
    for (int i = 1; cluster->leader_term <= border; i++) {
        char value[20];
        int leader = cluster_settle(cluster);
        snprintf(value, sizeof(value), "%d", i);
        assert_answer_of(cluster, leader % 3 + 1, value, "INCR a%d", round);
        assert_most_have_logged(cluster, cluster->leader);
        cluster_settle(cluster);
    }
}

Test(borders, terms_of_any_size_elect_and_are_logged_like_any_other)
{
    static const int BITS[] = {31, 32, 53, 62};
    struct cluster *cluster = serving_new(3, STEADY);
    for (int id = 1; id <= 3; id++)
        start(cluster, id);
    cluster_settle(cluster);
    for (int i = 0; i < 4; i++)
        cross(cluster, (uint64_t)1 << BITS[i], i);
    cluster_free(cluster);
}
