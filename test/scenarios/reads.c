/* Scenarios of reads: what is read is what was last written, whoever leads or believes to. */
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "scenarios/caller.h"
#include "scenarios/served.h"
#include "unit/stage.h"

/* ---- Leaders that are cut off ---- */

enum cut_shape { CUT_BOTH_WAYS, CUT_DEAF, CUT_MUTE, CUT_SHAPES };

static void cut_off(struct sim *sim, raft_id id, enum cut_shape shape)
{
    for (raft_id other = 1; other <= 3; other++) {
        if (other != id && shape != CUT_MUTE)
            sim_cut(sim, other, id);
        if (other != id && shape != CUT_DEAF)
            sim_cut(sim, id, other);
    }
}

/* An isolated leader is read while the majority writes: no stale answer (redisraft 19, consul 54). Deaf, it is followed
 * until it gives up by itself; mute, it hears of its successor. In none of the three shapes can it prove that it leads,
 * so it answers none of what it is asked from then on. */
static void read_from_one_that_is_cut_off(uint64_t seed, enum cut_shape shape)
{
    struct sim *sim = served_cluster(seed, 3);
    raft_id old = sim_leader(sim);
    struct caller *reader = caller_open(sim, old);
    struct caller *writer = caller_open(sim, old % 3 + 1);
    cr_assert_str_eq(caller_ask(writer, "SET a old"), "OK");
    cr_assert_str_eq(caller_ask(reader, "GET a"), "\"old\"");
    sim_run_us(sim, sim_draw_us(sim, 100 * MS));
    cut_off(sim, old, shape);
    sim_run_us(sim, 1 * MS); /* answers that had left come in */
    caller_say(writer, "SET a new");
    int asked = 0;
    for (; !caller_has_answer(writer) || asked < 200; asked++) {
        cr_assert_lt(asked, 2000, "the others write");
        caller_say(reader, "GET a");
        sim_run_us(sim, 10 * MS);
    }
    /* SET may have been refused, where the deaf one's followers sent it there. */
    const char *answer = caller_take(writer);
    bool written = strcmp(answer, "OK") == 0;
    cr_assert(written || is_clusterdown(answer) || is_uncertain(answer), "%s", answer);
    for (; caller_has_answer(reader); asked--) {
        answer = caller_take(reader);
        cr_assert(is_clusterdown(answer), "%s", answer);
    }
    bool late = !written;
    sim_heal(sim);
    while (!written)
        written = strcmp(caller_ask(writer, "SET a new"), "OK") == 0;
    caller_say(reader, "GET a");
    while (asked-- > 0) {
        answer = caller_wait(reader); /* what it held for want of a leader */
        cr_assert(is_clusterdown(answer) || strcmp(answer, "\"new\"") == 0 || (late && strcmp(answer, "\"old\"") == 0),
                  "%s", answer);
    }
    cr_assert_str_eq(caller_wait(reader), "\"new\"");
    caller_close(reader);
    caller_close(writer);
    sim_free(sim);
}

Test(reads, a_leader_that_is_cut_off_answers_nobody_while_the_others_write, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= 8; seed++)
        for (int shape = 0; shape < CUT_SHAPES; shape++)
            read_from_one_that_is_cut_off(seed, (enum cut_shape)shape);
}

/* ---- New leaders ---- */

static bool has_leader_of_others(struct sim *sim, void *context)
{
    return sim_leader(sim) != NO_ONE && sim_leader(sim) != *(raft_id *)context;
}

/* A new leader has the acknowledged write in its log and does not know that it is committed; until an entry of its own
 * term is, it does not answer (etcd 7331, tikv 9239, redisraft 22). Its followers' disks are so slow that rounds of
 * heartbeats are answered long before. */
static void read_from_a_new_leader(uint64_t seed)
{
    struct sim *sim = served_cluster(seed, 3);
    raft_id old = sim_leader(sim);
    struct caller *writer = caller_open(sim, old), *readers[2];
    cr_assert_str_eq(caller_ask(writer, "SET a old"), "OK");
    sim_run_us(sim, 200 * MS);
    for (int i = 0; i < 2; i++) {
        readers[i] = caller_open(sim, (old + i) % 3 + 1);
        cr_assert_str_eq(caller_ask(readers[i], "GET a"), "\"old\"");
    }
    caller_say(writer, "SET a new");
    cr_assert(served_run_until_committed_further(sim, old));
    cut_off(sim, old, CUT_MUTE); /* nobody hears of it any more */
    cr_assert_str_eq(caller_wait(writer), "OK");
    sim_kill(sim, old);
    for (int i = 0; i < 2; i++)
        sim_disk_sync_us(sim, (old + i) % 3 + 1, 30 * MS, 40 * MS);
    for (int i = 0; i < 2; i++)
        caller_say(readers[i], "GET a");
    cr_assert(sim_run_until(sim, 60 * SECOND, has_leader_of_others, &old));
    for (int i = 0; i < 2; i++) {
        cr_assert_str_eq(caller_wait(readers[i]), "\"new\"");
        caller_close(readers[i]);
    }
    caller_close(writer);
    sim_free(sim);
}

Test(reads, a_new_leader_answers_nobody_before_it_knows_what_was_committed_before_it, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= 20; seed++)
        read_from_a_new_leader(seed);
}

/* ---- Reads that are asked again ---- */

static struct sim *stage_follower_of_2(void)
{
    struct sim *sim = stage_open(3);
    stage_meet_all(sim);
    stage_follower(sim);
    stage_server(sim)->cluster_uuid.bytes[0] = 1; /* it knows that the cluster is born */
    sim_run_us(sim, 1 * MS);
    stage_deliver(sim, REQUEST_APPEND_ENTRIES, 2, 1);
    sim_forget_sent(sim, 1);
    return sim;
}

/* The number under which the node has sent a read on to a peer. */
static uint64_t forwarded_read(struct sim *sim, raft_id to)
{
    struct message message;
    struct mailraft_buffer body = {0};
    struct request request = {0};
    size_t at = 0;
    while (sim_sent_body(sim, 1, to, &message, &body) && message.type_of_message != FORWARD)
        buffer_fini(&body);
    cr_assert(requests_next(&body, &at, &request), "nothing was sent on to %d", to);
    buffer_fini(&body);
    return request.number;
}

static void answer_read(struct sim *sim, raft_id peer, uint64_t number, const char *value)
{
    struct mailraft_buffer body = {0};
    struct link link = sim_reached(sim, 1, peer, CHANNEL_BULK);
    struct message message = stage_message(FORWARDED, peer, stage_server(sim)->current_term);
    message.request_incarnation = link.incarnation;
    message.request_connection = link.connection;
    message.request_channel = CHANNEL_BULK;
    replies_put(&body, &(struct reply){.outcome = OUTCOME_READ,
                                       .number = number,
                                       .leader_id = NO_ONE,
                                       .bytes = (const uint8_t *)value,
                                       .size = strlen(value)});
    sim_deliver_body(sim, 1, &message, &body);
    buffer_fini(&body);
}

/* A read is asked again, since no answer came: what comes late to the first attempt, with the state of then, is no
 * answer to the second, whether the leader is the same or another one (etcd 20418). */
static void ask_read_again(raft_id next, raft_term term)
{
    struct sim *sim = stage_follower_of_2();
    stage_ask_query(sim, 1, "get", false);
    uint64_t first = forwarded_read(sim, 2);
    sim_close_channel(sim, 1, 2, CHANNEL_BULK); /* the way of answers */
    cr_assert_str_eq(stage_reply(sim), "1 NOT_EXECUTED 0 leader=-1");
    sim_open_channel(sim, 1, 2, CHANNEL_BULK);
    stage_deliver(sim, REQUEST_APPEND_ENTRIES, next, term);
    sim_forget_sent(sim, 1);
    stage_ask_query(sim, 2, "get", false);
    uint64_t second = forwarded_read(sim, next);
    answer_read(sim, 2, first, "old");
    answer_read(sim, next, first, "old");
    cr_assert_str_eq(stage_reply(sim), "");
    answer_read(sim, next, second, "new");
    cr_assert_str_eq(stage_reply(sim), "2 READ 0 new");
    stage_close(sim);
}

Test(reads, a_late_answer_to_the_first_attempt_is_none_to_the_second)
{
    ask_read_again(2, 1);
    ask_read_again(2, 2);
    ask_read_again(3, 2);
}

/* The answer of a peer that is in the present term to a round of heartbeats of an earlier one, which it has read
 * late. */
static struct message refusal_of_round(struct sim *sim, raft_id peer, uint64_t round)
{
    struct message answer = stage_rejection(sim, peer, CHANNEL_URGENT, 0, 0, 0);
    answer.round = round;
    return answer;
}

/* A leader was deposed with a read waiting, and has won again. What comes late to its earlier rounds proves nothing
 * now, though it bears the present term (a follower that has heard of that from others refuses an old heartbeat so),
 * and the read that is asked again is answered by what is committed now (etcd 20418). */
Test(reads, a_late_answer_to_a_round_of_an_earlier_term_confirms_no_read_of_a_later_one)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    sim_run_us(sim, 120 * MS);
    stage_ask_query(sim, 1, "get", false);
    uint64_t rounds = stage_server(sim)->heartbeat_round;
    stage_append(sim, (struct message){.server_id = 2, .curr_term = 2, .prev_index = 1, .prev_term = 1},
                 stage_terms(2, "2"));
    cr_assert_str_eq(stage_reply(sim), "1 NOT_EXECUTED 0 leader=-1");
    stage_elect(sim);
    stage_acknowledge(sim, 3, 3, 3);
    stage_ask_command(sim, 2, "add 5");
    stage_acknowledge(sim, 3, 3, 4);
    cr_assert_str_eq(stage_reply(sim), "2 APPLIED 4 5");
    stage_ask_query(sim, 3, "get", false);
    for (uint64_t round = 1; round <= rounds; round++) {
        struct message late = refusal_of_round(sim, 3, round);
        sim_deliver(sim, 1, &late);
    }
    cr_assert_str_eq(stage_reply(sim), "");
    struct message answer = stage_acknowledgement(sim, 3, CHANNEL_URGENT, 4);
    answer.round = stage_server(sim)->heartbeat_round;
    sim_deliver(sim, 1, &answer);
    cr_assert_str_eq(stage_reply(sim), "3 READ 0 5");
    stage_close(sim);
}
