/* The service of real nodes, asked by real clients (hiredis): what it acknowledges is true, whatever happens to nodes. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "cluster/load.h"
#include "cluster/proxy.h"
#include "cluster/serving.h"

/* Some node that does not lead. */
static int a_follower(struct cluster *cluster)
{
    return cluster_settle(cluster) % cluster->count + 1;
}

static void restart(struct cluster *cluster, int id)
{
    cluster_start_node(cluster, id, NULL);
    cluster_settle(cluster);
}

/* ---- Any node ---- */

Test(service, what_is_written_through_one_node_is_read_through_every_other_at_once)
{
    struct cluster *cluster = serving_start(3, STEADY);
    redisContext *contexts[3];
    char value[40];
    for (int id = 1; id <= 3; id++)
        contexts[id - 1] = serving_connect(cluster, id);
    for (int i = 0; i < 90; i++) {
        assert_answer(contexts[i % 3], "OK", "SET a %d", i);
        snprintf(value, sizeof(value), "\"%d\"", i);
        assert_answer(contexts[(i + 1) % 3], value, "GET a");
        assert_answer(contexts[(i + 2) % 3], value, "GET a");
    }
    for (int i = 0; i < 3; i++)
        redisFree(contexts[i]);
    cluster_free(cluster);
}

Test(service, commands_that_are_sent_without_waiting_are_answered_in_order)
{
    struct cluster *cluster = serving_start(3, STEADY);
    for (int id = 1; id <= 3; id++) {
        redisContext *context = serving_connect(cluster, id);
        char expected[40];
        assert_answer(context, "OK", "SET a 0");
        for (int i = 1; i <= 500; i++) {
            redisAppendCommand(context, "INCR a");
            redisAppendCommand(context, "GET a");
            redisAppendCommand(context, "ECHO %d", i);
        }
        for (int i = 1; i <= 500; i++) {
            snprintf(expected, sizeof(expected), "\"%d\"", i);
            cr_assert_eq(atoi(serving_take(context)), i);
            cr_assert_str_eq(serving_take(context), expected);
            cr_assert_str_eq(serving_take(context), expected);
        }
        redisFree(context);
    }
    cluster_free(cluster);
}

Test(service, what_expires_is_gone_through_every_node)
{
    struct cluster *cluster = serving_start(3, STEADY);
    redisContext *contexts[3];
    for (int id = 1; id <= 3; id++)
        contexts[id - 1] = serving_connect(cluster, id);
    for (int i = 0; i < 12; i++) {
        redisContext *other = contexts[(i + 1) % 3];
        assert_answer(contexts[i % 3], "OK", "SET a 1 PX 30");
        while (strcmp(serving_ask(contexts[i % 3], "GET a"), "nil") != 0)
            ;
        assert_answer(other, "nil", "GET a");
        assert_answer(other, "-2", "PTTL a");
    }
    for (int i = 0; i < 3; i++)
        redisFree(contexts[i]);
    cluster_free(cluster);
}

Test(service, what_is_no_request_is_answered_in_words_and_with_the_end_of_the_connection)
{
    struct cluster *cluster = serving_start(3, STEADY);
    for (int id = 1; id <= 3; id++) {
        redisContext *context = serving_connect(cluster, id);
        void *reply;
        redisAppendCommand(context, "INCR a");
        redisAppendFormattedCommand(context, "*1\r\n:4\r\n", 8);
        cr_assert_eq(atoi(serving_take(context)), id);
        cr_assert_str_eq(serving_take(context), "-ERR Protocol error: expected '$', got ':'");
        cr_assert_eq(redisGetReply(context, &reply), REDIS_ERR);
        cr_assert_eq(context->err, REDIS_ERR_EOF);
        redisFree(context);
    }
    cluster_free(cluster);
}

/* ---- Many at once ---- */

Test(service, two_hundred_clients_count_exactly)
{
    struct cluster *cluster = serving_start(3, STEADY);
    static redisContext *contexts[200];
    static bool seen[200 * 20 + 1];
    for (int i = 0; i < 200; i++)
        contexts[i] = serving_connect(cluster, i % 3 + 1);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 200; i++) {
            redisAppendCommand(contexts[i], "INCR a");
            serving_flush(contexts[i]);
        }
        for (int i = 0; i < 200; i++) {
            int value = atoi(serving_take(contexts[i]));
            cr_assert(value > 200 * round && value <= 200 * (round + 1), "round %d: %d", round, value);
            cr_assert_not(seen[value], "%d was told twice", value);
            seen[value] = true;
        }
    }
    for (int i = 0; i < 200; i++)
        redisFree(contexts[i]);
    cluster_free(cluster);
}

/* ---- Transactions ---- */

Test(service, of_those_who_watch_the_same_key_the_first_to_write_wins)
{
    struct cluster *cluster = serving_start(3, STEADY);
    redisContext *contexts[6];
    for (int i = 0; i < 6; i++)
        contexts[i] = serving_connect(cluster, i % 3 + 1);
    assert_answer(contexts[0], "OK", "SET a 0");
    for (int round = 1; round <= 30; round++) {
        char expected[40];
        int won = 0;
        for (int i = 0; i < 6; i++) {
            snprintf(expected, sizeof(expected), "\"%d\"", round - 1);
            assert_answer(contexts[i], "OK", "WATCH a");
            assert_answer(contexts[i], expected, "GET a");
        }
        for (int i = 0; i < 6; i++) {
            redisAppendCommand(contexts[i], "MULTI");
            redisAppendCommand(contexts[i], "SET a %d", round);
            redisAppendCommand(contexts[i], "INCR wins");
            redisAppendCommand(contexts[i], "EXEC");
            serving_flush(contexts[i]);
        }
        snprintf(expected, sizeof(expected), "[OK, %d]", round);
        for (int i = 0; i < 6; i++) {
            cr_assert_str_eq(serving_take(contexts[i]), "OK");
            cr_assert_str_eq(serving_take(contexts[i]), "QUEUED");
            cr_assert_str_eq(serving_take(contexts[i]), "QUEUED");
            const char *answer = serving_take(contexts[i]);
            cr_assert(strcmp(answer, "nil") == 0 || strcmp(answer, expected) == 0, "%s", answer);
            won += strcmp(answer, "nil") != 0;
        }
        cr_assert_eq(won, 1);
    }
    for (int i = 0; i < 6; i++)
        redisFree(contexts[i]);
    cluster_free(cluster);
}

Test(service, what_is_watched_is_watched_beyond_the_death_of_the_leader)
{
    struct cluster *cluster = serving_start(3, STEADY);
    for (int written = 0; written < 2; written++) {
        int leader = cluster_settle(cluster);
        redisContext *context = serving_connect(cluster, a_follower(cluster));
        assert_answer(context, "OK", "SET a before");
        assert_answer(context, "OK", "WATCH a b");
        cluster_kill(cluster, leader);
        cluster_settle(cluster);
        if (written == 1)
            assert_answer_of(cluster, cluster_settle(cluster), "OK", "SET a between");
        assert_answer(context, "OK", "MULTI");
        assert_answer(context, "QUEUED", "SET a after");
        assert_answer(context, written == 1 ? "nil" : "[OK]", "EXEC");
        assert_answer(context, written == 1 ? "\"between\"" : "\"after\"", "GET a");
        redisFree(context);
        restart(cluster, leader);
    }
    cluster_free(cluster);
}

/* ---- Deaths ---- */

Test(service, what_was_acknowledged_survives_the_death_of_each_node)
{
    struct cluster *cluster = serving_start(3, STEADY);
    struct load *load = load_start(cluster, 6);
    load_await(load, 20);
    for (int id = 1; id <= 3; id++) {
        cluster_kill(cluster, id);
        load_await(load, 20);
        restart(cluster, id);
        load_await(load, 20);
    }
    load_end(load, 1);
    cluster_free(cluster);
}

Test(service, what_was_acknowledged_survives_the_death_of_the_leader_again_and_again)
{
    struct cluster *cluster = serving_start(3, STEADY);
    struct load *load = load_start(cluster, 6);
    for (int round = 0; round < 5; round++) {
        int leader = cluster_settle(cluster);
        load_await(load, 20);
        cluster_kill(cluster, leader);
        load_await(load, 20);
        restart(cluster, leader);
    }
    load_end(load, a_follower(cluster));
    cluster_free(cluster);
}

Test(service, what_was_acknowledged_survives_the_death_of_all_nodes)
{
    struct cluster *cluster = serving_start(3, STEADY);
    struct load *load = load_start(cluster, 6);
    for (int round = 0; round < 3; round++) {
        load_await(load, 20);
        for (int id = 1; id <= 3; id++)
            cluster_kill(cluster, id);
        for (int id = 1; id <= 3; id++)
            cluster_start_node(cluster, id, NULL);
        load_await(load, 20);
    }
    load_end(load, cluster_settle(cluster));
    cluster_free(cluster);
}

Test(service, a_node_that_was_away_serves_what_was_written_meanwhile)
{
    struct cluster *cluster = serving_start(3, STEADY);
    int away = a_follower(cluster);
    cluster_kill(cluster, away);
    struct load *load = load_start(cluster, 3);
    load_await(load, 100);
    restart(cluster, away);
    load_end(load, away);
    cluster_free(cluster);
}

/* ---- What nodes have applied, as they tell it at level trace ---- */

#define TRACE       ",\"log\":{\"level\":\"trace\"}"
#define APPLIED_MAX 100000

struct applied {
    unsigned long long term, checksum; /* zeros: nothing is known */
};

/* Compares what a node tells with what is known, and adds to it. Returns the last index. */
static unsigned long long compare_applied(struct cluster *cluster, int id, struct applied *known)
{
    static const char EVENT[] = " Applied index=";
    unsigned long long index = 0;
    const char *at = cluster_node(cluster, id)->process.printed[0].text;
    for (; (at = strstr(at, EVENT)) != NULL && strchr(at, '\n') != NULL; at++) {
        struct applied applied;
        cr_assert_eq(
            sscanf(at, " Applied index=%llu term=%llu checksum=%llx", &index, &applied.term, &applied.checksum), 3);
        cr_assert_lt(index, APPLIED_MAX);
        if (known[index].term == 0)
            known[index] = applied;
        cr_assert(known[index].term == applied.term && known[index].checksum == applied.checksum,
                  "node %d has applied another entry %llu", id, index);
    }
    return index;
}

Test(service, all_nodes_apply_the_same_entries_whoever_dies)
{
    static struct applied known[APPLIED_MAX];
    struct cluster *cluster = serving_start(3, STEADY TRACE);
    struct load *load = load_start(cluster, 6);
    for (int id = 1; id <= 3; id++) {
        load_await(load, 20);
        cluster_kill(cluster, id);
        load_await(load, 20);
        restart(cluster, id);
    }
    int leader = cluster_settle(cluster);
    load_end(load, leader);
    unsigned long long last = compare_applied(cluster, leader, known);
    for (int id = 1; id <= 3; id++) {
        char event[40];
        snprintf(event, sizeof(event), " Applied index=%llu ", last);
        cluster_expect(cluster, id, event);
        cr_assert_geq(compare_applied(cluster, id, known), last);
    }
    cluster_free(cluster);
}

/* ---- Without a leader ---- */

Test(service, without_a_leader_a_command_waits_and_then_is_certainly_not_executed)
{
    struct cluster *cluster = serving_new(3, "\"client_timeout_ms\":500," STEADY);
    cluster_start_node(cluster, 1, NULL);
    cluster_expect(cluster, 1, " Clients connect to ");
    redisContext *context = serving_connect(cluster, 1);
    assert_answer(context, "PONG", "PING");
    cr_assert(is_clusterdown(serving_ask(context, "SET a 1")));
    cr_assert(is_clusterdown(serving_ask(context, "GET a")));
    cluster_start_node(cluster, 2, NULL);
    cluster_settle(cluster);
    assert_answer(context, "nil", "GET a");
    redisFree(context);
    cluster_free(cluster);
}

Test(service, a_command_that_waits_is_executed_when_there_is_a_leader)
{
    struct cluster *cluster = serving_new(3, "\"client_timeout_ms\":3600000," STEADY);
    cluster_start_node(cluster, 1, NULL);
    cluster_expect(cluster, 1, " Clients connect to ");
    redisContext *context = serving_connect(cluster, 1);
    redisAppendCommand(context, "SET a 1");
    redisAppendCommand(context, "INCR a");
    redisAppendCommand(context, "GET a");
    redisAppendCommand(context, "PING");
    serving_flush(context);
    cluster_start_node(cluster, 2, NULL);
    cr_assert_str_eq(serving_take(context), "OK");
    cr_assert_str_eq(serving_take(context), "2");
    cr_assert_str_eq(serving_take(context), "\"2\"");
    cr_assert_str_eq(serving_take(context), "PONG");
    redisFree(context);
    cluster_free(cluster);
}

Test(service, wait_counts_the_nodes_that_have_it_on_disk)
{
    struct cluster *cluster = serving_start(3, STEADY);
    int leader = cluster_settle(cluster);
    int other = a_follower(cluster);
    for (int id = 1; id <= 3; id++) {
        redisContext *context = serving_connect(cluster, id);
        assert_answer(context, "OK", "SET a %d", id);
        assert_answer(context, "2", "WAIT 2 0");
        redisFree(context);
    }
    cluster_kill(cluster, other);
    redisContext *context = serving_connect(cluster, leader);
    assert_answer(context, "OK", "SET a 4");
    assert_answer(context, "1", "WAIT 2 100");
    redisAppendCommand(context, "WAIT 2 0");
    serving_flush(context);
    cluster_start_node(cluster, other, NULL);
    cr_assert_str_eq(serving_take(context), "2");
    redisFree(context);
    cluster_free(cluster);
}

/* ---- Pauses and cuts ---- */

Test(service, a_leader_that_was_paused_answers_no_success_for_what_a_newer_one_has_overwritten)
{
    struct cluster *cluster = serving_start(3, STEADY);
    for (int round = 0; round < 3; round++) {
        int paused = cluster_settle(cluster);
        int other = a_follower(cluster);
        redisContext *context = serving_connect(cluster, paused);
        uint64_t term = cluster->leader_term;
        assert_answer(context, "OK", "SET a before");
        cluster_pause(cluster, paused);
        redisAppendCommand(context, "GET a");
        redisAppendCommand(context, "SET a late");
        serving_flush(context);
        cluster_later_leader(cluster, term);
        assert_answer_of(cluster, other, "OK", "SET a after");
        cluster_resume(cluster, paused);

        const char *answer = serving_take(context);
        cr_assert(strcmp(answer, "\"after\"") == 0 || is_clusterdown(answer), "GET was answered %s", answer);
        answer = serving_take(context);
        cr_assert(strcmp(answer, "OK") == 0 || is_clusterdown(answer) || is_uncertain(answer), "SET was answered %s",
                  answer);
        const char *expected = strcmp(answer, "OK") == 0 ? "\"late\"" : is_clusterdown(answer) ? "\"after\"" : NULL;
        if (expected != NULL)
            assert_answer_of(cluster, other, expected, "GET a");
        redisFree(context);
    }
    cluster_free(cluster);
}

Test(service, what_was_acknowledged_survives_the_pause_of_the_leader)
{
    struct cluster *cluster = serving_start(3, STEADY);
    struct load *load = load_start(cluster, 6);
    for (int round = 0; round < 3; round++) {
        int paused = cluster_settle(cluster);
        int other = a_follower(cluster);
        uint64_t term = cluster->leader_term;
        load_await(load, 20);
        cluster_pause(cluster, paused);
        cluster_later_leader(cluster, term);
        cr_assert_gt(atoi(serving_ask_node(cluster, other, "INCR meanwhile")), round);
        cluster_resume(cluster, paused);
        load_await(load, 20);
    }
    load_end(load, cluster_settle(cluster));
    cluster_free(cluster);
}

Test(service, a_leader_that_is_cut_off_answers_no_success_and_says_why)
{
    struct cluster *cluster = serving_new(3, STEADY);
    struct proxy *proxy = proxy_start(cluster, STEADY);
    for (int id = 1; id <= 3; id++)
        cluster_start_node(cluster, id, NULL);
    int cut_off = cluster_settle(cluster);
    int other = a_follower(cluster);
    uint64_t term = cluster->leader_term;
    redisContext *writer = serving_connect(cluster, cut_off);
    redisContext *reader = serving_connect(cluster, cut_off);
    assert_answer(writer, "OK", "SET a before");
    proxy_isolate(proxy, cut_off, true);
    redisAppendCommand(writer, "SET a lost");
    redisAppendCommand(reader, "GET a");
    serving_flush(writer);
    serving_flush(reader);
    cluster_later_leader(cluster, term);
    assert_answer_of(cluster, other, "OK", "SET a after");
    cr_assert(is_clusterdown(serving_take(reader)));
    const char *answer = serving_take(writer);
    cr_assert(is_clusterdown(answer) || is_uncertain(answer), "SET was answered %s", answer);
    assert_answer_of(cluster, other, "\"after\"", "GET a");
    proxy_isolate(proxy, cut_off, false);
    cluster_settle(cluster);
    assert_answer(reader, "\"after\"", "GET a");
    redisFree(writer);
    redisFree(reader);
    cluster_free(cluster);
    proxy_stop(proxy);
}

/* ---- Stops ---- */

struct answers {
    long done, uncertain;
};

/* Takes all that comes until the connection ends. */
static struct answers take_until_end(redisContext *context)
{
    struct answers answers = {0};
    void *reply;
    while (redisGetReply(context, &reply) == REDIS_OK) {
        const char *answer = answer_text(reply);
        answers.done += answer[0] != '-';
        answers.uncertain += is_uncertain(answer);
        cr_assert(answer[0] != '-' || is_uncertain(answer) || is_clusterdown(answer), "%s", answer);
        freeReplyObject(reply);
    }
    return answers;
}

/* Many clients do a command again whose connection closes without an answer: so it must not have been done. */
static void stop_amid_commands(struct cluster *cluster, int id, int signal)
{
    redisContext *context = serving_connect(cluster, id);
    int other = id % cluster->count + 1;
    long before = serving_number(cluster, id, "stops");
    for (int i = 0; i < 2000; i++)
        redisAppendCommand(context, "INCR stops");
    serving_flush(context);
    cr_assert_eq(atol(serving_take(context)), before + 1);
    process_signal(&cluster_node(cluster, id)->process, signal);
    struct answers answers = take_until_end(context);
    cr_assert_eq(cluster_await_end(cluster, id), 0);
    long done = serving_number(cluster, other, "stops") - before - 1;
    cr_assert(done >= answers.done && done <= answers.done + answers.uncertain,
              "%ld were done; %ld answered so, %ld uncertain", done, answers.done, answers.uncertain);
    redisFree(context);
    restart(cluster, id);
}

Test(service, a_node_that_stops_answers_what_it_has_done)
{
    struct cluster *cluster = serving_start(3, STEADY);
    stop_amid_commands(cluster, a_follower(cluster), SIGTERM);
    stop_amid_commands(cluster, cluster_settle(cluster), SIGTERM);
    stop_amid_commands(cluster, a_follower(cluster), SIGINT);
    stop_amid_commands(cluster, cluster_settle(cluster), SIGINT);
    cluster_free(cluster);
}

/* What is held for want of a leader was not executed; what only the leader's own disk has may be, one day. */
Test(service, a_node_that_stops_without_a_majority_says_what_is_known_of_each_command)
{
    struct cluster *cluster = serving_start(3, "\"client_timeout_ms\":3600000," STEADY);
    int leader = cluster_settle(cluster);
    for (int id = 1; id <= 3; id++)
        if (id != leader)
            cluster_kill(cluster, id);
    redisContext *writer = serving_connect(cluster, leader);
    redisContext *reader = serving_connect(cluster, leader);
    redisAppendCommand(writer, "SET a 1");
    serving_flush(writer);
    cluster_expect(cluster, leader, "STATE: LEADER -> ");
    redisAppendCommand(reader, "GET a");
    redisAppendCommand(reader, "SET b 1");
    redisAppendCommand(reader, "PING");
    serving_flush(reader);
    assert_answer_of(cluster, leader, "PONG", "PING"); /* what came before that has been read */
    process_signal(&cluster_node(cluster, leader)->process, SIGTERM);
    const char *answer = serving_take(writer);
    cr_assert(is_uncertain(answer) || is_clusterdown(answer), "%s", answer);
    cr_assert(is_clusterdown(serving_take(reader)));
    cr_assert(is_clusterdown(serving_take(reader)));
    cr_assert_str_eq(serving_take(reader), "PONG");
    cr_assert_eq(take_until_end(writer).done + take_until_end(reader).done, 0);
    cr_assert_eq(cluster_await_end(cluster, leader), 0);
    redisFree(writer);
    redisFree(reader);
    cluster_free(cluster);
}

/* A planned change of leader costs the clients of the other nodes nothing. */
Test(service, clients_of_the_other_nodes_are_answered_while_a_leader_stops)
{
    struct cluster *cluster = serving_start(3, STEADY);
    for (int round = 0; round < 3; round++) {
        int leader = cluster_settle(cluster);
        redisContext *context = serving_connect(cluster, a_follower(cluster));
        long before = serving_number(cluster, leader, "changes");
        process_signal(&cluster_node(cluster, leader)->process, SIGTERM);
        for (int i = 1; i <= 100; i++) {
            const char *answer = serving_ask(context, "INCR changes");
            cr_assert(is_clusterdown(answer) || is_uncertain(answer) || atol(answer) > before, "%s", answer);
        }
        cr_assert_eq(cluster_await_end(cluster, leader), 0);
        redisFree(context);
        restart(cluster, leader);
    }
    cluster_free(cluster);
}

/* ---- Who leads ---- */

static void assert_leader_told(struct cluster *cluster, int leader)
{
    char expected[80];
    snprintf(expected, sizeof(expected), "[\"127.0.0.1\", \"%d\"]", cluster_node(cluster, leader)->client_port);
    for (int id = 1; id <= cluster->count; id++)
        if (cluster_node(cluster, id)->process.pid != 0)
            assert_answer_of(cluster, id, expected, "SENTINEL GET-MASTER-ADDR-BY-NAME test");
}

Test(service, every_node_tells_where_the_leader_serves_clients)
{
    struct cluster *cluster = serving_start(3, STEADY);
    int leader = cluster_settle(cluster);
    assert_leader_told(cluster, leader);
    cluster_kill(cluster, leader);
    int next = cluster_settle(cluster);
    cr_assert_neq(next, leader);
    assert_leader_told(cluster, next);
    assert_answer_of(cluster, next, "nil", "SENTINEL GET-MASTER-ADDR-BY-NAME other");
    cluster_free(cluster);
}
