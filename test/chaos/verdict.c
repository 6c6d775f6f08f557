#include "chaos/verdict.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "chaos/chaos.h"
#include "chaos/faults.h"
#include "check.h"

#define WRITES_AFTER 100
#define ASK_SECONDS  5
#define ELECTION_MS  (5000 * CHAOS_SLOWNESS)

/* ---- One leader ---- */

static bool all_follow_one(struct chaos *chaos, void *context)
{
    (void)context;
    for (int id = 1; id <= chaos->count; id++)
        if (!machine_runs(chaos, id))
            return false;
    return cluster_is_settled(chaos->cluster);
}

static void await_one_leader(struct chaos *chaos)
{
    chaos_wait(chaos, "a leader whom all follow", all_follow_one, NULL);
}

static bool has_written(struct chaos *chaos, void *context)
{
    return crowd_writes(chaos->crowd) >= *(unsigned long *)context;
}

static void await_writes(struct chaos *chaos)
{
    unsigned long enough = crowd_writes(chaos->crowd) + WRITES_AFTER;
    chaos_wait(chaos, "acknowledged writes", has_written, &enough);
}

/* ---- One state ---- */

/* The number behind a key of INFO's; 0: it does not say. */
static uint64_t number_of(const char *info, const char *key)
{
    const char *found = strstr(info, key);
    return found != NULL ? strtoull(found + strlen(key), NULL, 10) : 0;
}

/* The last entry of a node's log, if it has applied all of it; 0: it has not, or does not say. */
static uint64_t ask_index(struct chaos *chaos, int id)
{
    const struct node *node = cluster_node(chaos->cluster, id);
    const struct timeval patience = {.tv_sec = ASK_SECONDS};
    redisContext *context = redisConnectWithTimeout(node->host, node->client_port, patience);
    redisReply *reply = NULL;
    uint64_t index = 0;
    cr_assert_not_null(context);
    if (context->err == 0 && redisSetTimeout(context, patience) == REDIS_OK)
        reply = redisCommand(context, "INFO raft");
    if (reply != NULL && reply->type == REDIS_REPLY_STRING)
        index = number_of(reply->str, "raft_last_index:");
    if (index > 0 && number_of(reply->str, "raft_applied_index:") != index)
        index = 0;
    if (reply != NULL)
        freeReplyObject(reply);
    redisFree(context);
    return index;
}

static bool have_applied_the_same(struct chaos *chaos, void *context)
{
    uint64_t first = ask_index(chaos, 1);
    (void)context;
    for (int id = 2; id <= chaos->count; id++)
        if (ask_index(chaos, id) != first)
            return false;
    return first > 0;
}

static void await_one_state(struct chaos *chaos)
{
    await_one_leader(chaos);
    chaos_wait(chaos, "the same entries, applied at all nodes", have_applied_the_same, NULL);
}

static bool reads_all(struct chaos *chaos, void *context)
{
    return crowd_read(chaos->crowd, *(int *)context);
}

static void read_through(struct chaos *chaos, int id)
{
    chaos_wait(chaos, "answers to reading all keys", reads_all, &id);
}

/* ---- Each node's own state: it is read where that node leads ---- */

static bool nobody_leads(struct chaos *chaos, void *context)
{
    (void)context;
    for (int id = 1; id <= chaos->count; id++)
        if (cluster_node(chaos->cluster, id)->follows == id)
            return false;
    return true;
}

static bool somebody_leads(struct chaos *chaos, void *context)
{
    return chaos->cluster->leader_term > *(uint64_t *)context;
}

/* by: 1 cuts off all from all, but for that node, -1 undoes it. centre 0: there is none. */
static void cut_around(struct chaos *chaos, int centre, int by)
{
    for (int from = 1; from <= chaos->count; from++)
        for (int to = 1; to <= chaos->count; to++)
            if (from != to && from != centre && to != centre)
                wires_change(chaos->wires, WIRES_CUT, from, to, by);
}

/* Where only one sees all others, and nobody led before, nobody else of five finds a majority. Of three the others may
 * be faster; and where a leader had just logged an entry that this one has not, nobody wins. */
static void have_an_election_around(struct chaos *chaos, int centre)
{
    uint64_t term = chaos->cluster->leader_term;
    cut_around(chaos, 0, 1);
    wires_apply(chaos->wires);
    chaos_wait(chaos, "the end of the leader that is cut off", nobody_leads, NULL);
    cut_around(chaos, centre, 1);
    cut_around(chaos, 0, -1);
    wires_apply(chaos->wires);
    chaos_await(chaos, ELECTION_MS, somebody_leads, &term);
    cut_around(chaos, centre, -1);
    wires_apply(chaos->wires);
}

static void read_state_of(struct chaos *chaos, int id)
{
    const struct cluster *cluster = chaos->cluster;
    int64_t deadline_ms = process_now_ms() + 2 * CHAOS_WAIT_MS;
    for (;;) {
        await_one_state(chaos);
        uint64_t term = cluster->leader_term;
        if (cluster->leader == id) {
            read_through(chaos, id);
            chaos_pass(chaos, 0);
            if (cluster->leader_term == term)
                return;
        } else {
            cr_assert_lt(process_now_ms(), deadline_ms, "node %d does not come to lead", id);
            have_an_election_around(chaos, id);
        }
    }
}

/* ---- All of it ---- */

static void start_all_anew(struct chaos *chaos)
{
    chaos_tell(chaos, "all start anew");
    machines_kill(chaos, (1u << (chaos->count + 1)) - 2);
    machines_release(chaos, (1u << (chaos->count + 1)) - 2);
    chaos_pass(chaos, 0);
    await_one_leader(chaos);
}

void verdict(struct chaos *chaos)
{
    chaos_tell(chaos, "the end of all faults");
    faults_heal(chaos);
    await_one_leader(chaos);
    await_writes(chaos);
    crowd_rest(chaos->crowd);
    await_one_leader(chaos);
    chaos->dice = dice_for(chaos->seed, DICE_VERDICT, 0);
    if (dice_chance(&chaos->dice, 0.5))
        start_all_anew(chaos);
    await_one_state(chaos);
    for (int id = 1; id <= chaos->count; id++)
        read_through(chaos, id);
    for (int id = 1; id <= chaos->count; id++)
        read_state_of(chaos, id);
    chaos_pass(chaos, 0);
    cr_assert(crowd_check(chaos->crowd), "what clients were told cannot be");
    machines_stop(chaos);
}
