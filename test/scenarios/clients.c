/* Scenarios of what clients are told of their commands, and of what becomes of those. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "scenarios/caller.h"
#include "scenarios/served.h"

/* ---- Repeated commands ---- */

/* What a client does that must count once and has no answer: the number of what it does goes with it. */
static bool is_done_already(struct caller *caller, int number)
{
    char expected[20];
    snprintf(expected, sizeof(expected), "\"%d\"", number);
    if (strcmp(caller_ask(caller, "WATCH done"), "OK") != 0)
        return false;
    return strcmp(caller_ask(caller, "GET done"), expected) == 0;
}

static void say_transaction(struct caller *caller, int number)
{
    caller_say(caller, "MULTI");
    caller_say(caller, "INCR total");
    caller_say(caller, "SET done %d", number);
    caller_say(caller, "EXEC");
}

/* Whether EXEC was answered with what it did. */
static bool hear_transaction(struct caller *caller)
{
    for (int i = 0; i < 3; i++)
        caller_wait(caller);
    return caller_wait(caller)[0] == '[';
}

/* The client's node or the leader dies with its transaction on the way. */
static raft_id kill_one(struct sim *sim, raft_id node)
{
    raft_id victim = sim_draw_us(sim, 2) == 0 || sim_leader(sim) == NO_ONE ? node : sim_leader(sim);
    sim_run_us(sim, sim_draw_us(sim, 20 * MS));
    sim_kill(sim, victim);
    return victim;
}

/* The answer is lost and the client repeats what it did at once, at the next node, while its first attempt may be on
 * the way yet. Redis's protocol has no numbers of clients and commands, so no node can tell that it is the same; with
 * WATCH and MULTI it is done once all the same. */
static void repeat_until_done(uint64_t seed)
{
    struct sim *sim = served_cluster(seed, 3);
    raft_id node = 1 + (raft_id)(seed % 3);
    struct caller *caller = caller_open(sim, node);
    sim_network(sim)->delay_max_us = 20 * MS;
    for (int number = 1; number <= 8; number++) {
        raft_id victim = NO_ONE;
        for (bool done = false; !done;) {
            done = is_done_already(caller, number);
            if (!done && !caller_is_lost(caller)) {
                say_transaction(caller, number);
                if (victim == NO_ONE)
                    victim = kill_one(sim, node);
                done = hear_transaction(caller);
            }
            if (caller_is_lost(caller)) {
                caller_close(caller);
                node = node % 3 + 1;
                caller = caller_open(sim, node);
            }
        }
        if (victim != NO_ONE)
            sim_restart(sim, victim);
        served_settle(sim);
    }
    caller_close(caller);
    cr_assert_eq(served_count(sim, "total"), 8);
    sim_free(sim);
}

Test(clients, what_is_repeated_with_its_number_in_a_transaction_is_done_once, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= 30; seed++)
        repeat_until_done(seed);
}

/* ---- Forwarding ---- */

#define COMMANDS 20

struct tally {
    long done, uncertain, refused;
};

/* The answers to INCR, each of which must be told once at most. */
static void take_counts(struct caller *caller, bool *told, struct tally *tally)
{
    while (caller_waits(caller) > 0) {
        const char *answer = caller_wait(caller);
        if (strcmp(answer, "lost") == 0) {
            tally->uncertain += caller_waits(caller);
            return;
        }
        if (answer[0] == '-') {
            cr_assert(is_uncertain(answer) || is_clusterdown(answer), "%s", answer);
            tally->uncertain += is_uncertain(answer);
            tally->refused += is_clusterdown(answer);
            continue;
        }
        long count = atol(answer);
        cr_assert(count > 0 && count <= 3 * COMMANDS && !told[count], "%s", answer);
        told[count] = true;
        tally->done++;
    }
}

/* A follower becomes the leader while what its clients want is on its way to the old one: none of it goes round in
 * circles, none is done twice (redisraft 13). Returns whether the follower did become the leader. */
static bool forward_to_one_that_dies(uint64_t seed)
{
    struct sim *sim = served_cluster(seed, 3);
    raft_id old = sim_leader(sim), node = old % 3 + 1;
    struct caller *callers[3];
    bool told[3 * COMMANDS + 1] = {false};
    struct tally tally = {0};
    for (int i = 0; i < 3; i++) {
        callers[i] = caller_open(sim, node);
        for (int j = 0; j < COMMANDS; j++)
            caller_say(callers[i], "INCR a");
    }
    sim_run_us(sim, sim_draw_us(sim, 2 * MS));
    sim_kill(sim, old);
    for (int i = 0; i < 3; i++) {
        take_counts(callers[i], told, &tally);
        caller_close(callers[i]);
    }
    cr_assert_eq(tally.done + tally.uncertain + tally.refused, 3 * COMMANDS);
    long count = served_count(sim, "a");
    cr_assert(count >= tally.done && count <= tally.done + tally.uncertain, "%ld were done; %ld told so, %ld uncertain",
              count, tally.done, tally.uncertain);
    bool leads = sim_leader(sim) == node;
    sim_restart(sim, old); /* what the dead one alone had is gone for good */
    cr_assert_eq(served_count(sim, "a"), count);
    sim_free(sim);
    return leads;
}

Test(clients, a_follower_that_becomes_the_leader_does_nothing_twice_that_it_had_forwarded, .timeout = 120)
{
    int led = 0;
    for (uint64_t seed = 1; seed <= 30; seed++)
        led += forward_to_one_that_dies(seed);
    cr_assert_gt(led, 5, "it became the leader");
}

#define CALLERS 8

/* What a client of a forwarding follower asks for, and what it may hear: its own. */
struct asker {
    struct caller *caller;
    int number, asked;
};

/* A counter and a text of its own, by turns; texts are of all lengths. */
static void ask_for_own(struct asker *asker)
{
    static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
    int turn = asker->asked++;
    if (turn % 2 == 0)
        caller_say(asker->caller, "INCRBY count:%d %d", asker->number, CALLERS + 1);
    else if (turn % 4 == 1)
        caller_say(asker->caller, "GETSET text:%d <%d:%.*s>", asker->number, asker->number, turn % 70, LETTERS);
    else
        caller_say(asker->caller, "GET text:%d", asker->number);
}

static void hear_own(struct asker *asker, int turn, const char *answer)
{
    char begin[20];
    if (is_uncertain(answer) || is_clusterdown(answer))
        return;
    snprintf(begin, sizeof(begin), "\"<%d:", asker->number);
    if (turn % 2 == 0)
        cr_assert_eq(atol(answer) % (CALLERS + 1), asker->number, "client %d hears %s", asker->number, answer);
    else
        cr_assert(strcmp(answer, "nil") == 0 || strncmp(answer, begin, strlen(begin)) == 0, "client %d hears %s",
                  asker->number, answer);
}

static void take_own(struct asker *asker)
{
    const char *answer;
    while ((answer = caller_take(asker->caller)) != NULL)
        hear_own(asker, asker->asked - caller_waits(asker->caller) - 1, answer);
    cr_assert_not(caller_is_lost(asker->caller));
}

/* What is between a follower and its leader breaks, again and again, and leaders change. */
static void disturb(struct sim *sim, raft_id node)
{
    raft_id leader = sim_leader(sim);
    switch (sim_draw_us(sim, 6)) {
    case 0:
        sim_break_channel(sim, node, leader != NO_ONE ? leader : 1, CHANNEL_BULK);
        break;
    case 1:
        sim_break_channel(sim, leader != NO_ONE ? leader : 1, node, CHANNEL_BULK);
        break;
    case 2:
        sim_isolate(sim, leader != NO_ONE && leader != node ? leader : node % 3 + 1);
        break;
    default:
        sim_heal(sim);
    }
}

/* Replies crossed in a forwarding follower: each client hears the answers to what it asked, whatever is sent again
 * (redisraft 26). */
static void forward_for_many(uint64_t seed)
{
    struct sim *sim = served_cluster(seed, 3);
    raft_id node = sim_leader(sim) % 3 + 1;
    struct asker askers[CALLERS] = {0};
    sim_network(sim)->delay_max_us = 5 * MS;
    for (int i = 0; i < CALLERS; i++) {
        askers[i] = (struct asker){.caller = caller_open(sim, node), .number = i + 1};
        caller_say(askers[i].caller, "INCRBY count:%d %d", i + 1, i + 1); /* of which all its counts tell */
    }
    for (int i = 0; i < CALLERS; i++) {
        char expected[20];
        snprintf(expected, sizeof(expected), "%d", i + 1);
        cr_assert_str_eq(caller_wait(askers[i].caller), expected);
    }
    for (int round = 0; round < 300; round++) {
        struct asker *asker = &askers[sim_draw_us(sim, CALLERS)];
        ask_for_own(asker);
        sim_run_us(sim, sim_draw_us(sim, 2 * MS));
        take_own(asker);
        if (round % 10 == 9)
            disturb(sim, node);
    }
    sim_heal(sim);
    served_settle(sim);
    for (int i = 0; i < CALLERS; i++) {
        while (caller_waits(askers[i].caller) > 0) {
            int turn = askers[i].asked - caller_waits(askers[i].caller);
            hear_own(&askers[i], turn, caller_wait(askers[i].caller));
        }
        caller_close(askers[i].caller);
    }
    sim_free(sim);
}

Test(clients, nobody_hears_what_another_client_of_its_node_asked_for, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= 30; seed++)
        forward_for_many(seed);
}

/* ---- Transactions ---- */

/* Starts a node again that was killed, once another one leads. */
static void replace(struct sim *sim, raft_id id)
{
    sim_run_us(sim, 400 * MS);
    sim_restart(sim, id);
    served_settle(sim);
}

/* A change of leader between MULTI and EXEC, or while EXEC is on its way: all or nothing of it is done. */
static void transact_across_a_change(uint64_t seed)
{
    struct sim *sim = served_cluster(seed, 3);
    raft_id old = sim_leader(sim);
    raft_id node = old % 3 + 1;
    struct caller *caller = caller_open(sim, node);
    bool between = seed % 2 == 0;
    cr_assert_str_eq(caller_ask(caller, "MSET x 0 y 0 z 0"), "OK");
    cr_assert_str_eq(caller_ask(caller, "MULTI"), "OK");
    cr_assert_str_eq(caller_ask(caller, "SET x %d", (int)seed), "QUEUED");
    cr_assert_str_eq(caller_ask(caller, "APPEND y 1"), "QUEUED");
    if (between) {
        sim_kill(sim, old);
        sim_run_us(sim, sim_draw_us(sim, 500 * MS));
    }
    caller_say(caller, "INCR z");
    caller_say(caller, "EXEC");
    if (!between) {
        sim_run_us(sim, sim_draw_us(sim, 2 * MS));
        sim_kill(sim, old);
    }
    cr_assert_str_eq(caller_wait(caller), "QUEUED");
    char answer[200], done[40];
    snprintf(answer, sizeof(answer), "%s", caller_wait(caller));
    snprintf(done, sizeof(done), "[\"%d\", \"01\", \"1\"]", (int)seed);
    replace(sim, old);
    for (raft_id id = 1; id <= 3; id++) {
        struct caller *reader = caller_open(sim, id);
        const char *found = caller_ask(reader, "MGET x y z");
        bool is_done = strcmp(found, done) == 0;
        cr_assert(is_done || strcmp(found, "[\"0\", \"0\", \"0\"]") == 0, "half of it was done: %s", found);
        cr_assert(is_done ? !is_clusterdown(answer) : answer[0] == '-', "%s, and there is %s", answer, found);
        caller_close(reader);
    }
    caller_close(caller);
    sim_free(sim);
}

Test(clients, a_transaction_is_done_whole_or_not_at_all_whoever_leads, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= 40; seed++)
        transact_across_a_change(seed);
}

/* ---- Errors of the state machine ---- */

/* INCR on a text, and what a transaction cannot do: each node, asked or not, finds the same, and the entry counts as
 * applied; also for those who read it from their disk. */
Test(clients, an_error_of_the_state_machine_is_the_same_on_every_node_and_counts_as_applied)
{
    static const char NO_INTEGER[] = "-ERR value is not an integer or out of range";
    struct sim *sim = served_cluster(1, 3);
    struct caller *callers[3];
    for (raft_id id = 1; id <= 3; id++)
        callers[id - 1] = caller_open(sim, id);
    cr_assert_str_eq(caller_ask(callers[0], "SET a text"), "OK");
    for (int i = 0; i < 3; i++) {
        raft_index before = sim_server(sim, sim_leader(sim))->commit_index;
        cr_assert_str_eq(caller_ask(callers[i], "INCR a"), NO_INTEGER);
        cr_assert_str_eq(caller_ask(callers[i], "MULTI"), "OK");
        cr_assert_str_eq(caller_ask(callers[i], "INCR b"), "QUEUED");
        cr_assert_str_eq(caller_ask(callers[i], "INCR a"), "QUEUED");
        char expected[80];
        snprintf(expected, sizeof(expected), "[%d, %s]", i + 1, NO_INTEGER);
        cr_assert_str_eq(caller_ask(callers[i], "EXEC"), expected);
        cr_assert_geq(sim_server(sim, sim_leader(sim))->commit_index, before + 2, "each is an entry");
    }
    for (int round = 0; round < 2; round++) {
        cr_assert_eq(served_count(sim, "b"), 3);
        sim_run_us(sim, 10 * MS); /* appliers say how far they are */
        for (raft_id id = 1; id <= 3; id++) {
            cr_assert_eq(sim_server(sim, id)->applied_index, sim_server(sim, id)->commit_index);
            caller_close(callers[id - 1]);
            callers[id - 1] = NULL;
        }
        for (raft_id id = 1; id <= 3 && round == 0; id++)
            sim_kill(sim, id);
        for (raft_id id = 1; id <= 3 && round == 0; id++)
            sim_restart(sim, id);
    }
    sim_free(sim);
}
