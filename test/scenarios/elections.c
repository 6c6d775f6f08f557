/* Faults of elections that other servers had, as scenarios that must end well here. Their sources stand above each. */
#include "scenarios/hands.h"
#include "unit/stage.h"

#include <string.h>

#include "sim/world.h"

/* ---- One vote a term, whatever dies ---- */

static const enum sim_end ENDS[] = {SIM_PROCESS_DEATH, SIM_POWER_CUT};

static bool gets_vote(struct sim *sim, raft_id candidate, raft_term term)
{
    struct message answer;
    sim_forget_sent(sim, 1);
    struct message request = stage_request_vote(sim, candidate, term);
    request.transfer = true; /* so that no living leader is a reason to refuse */
    sim_deliver(sim, 1, &request);
    return sim_lives(sim, 1) && sim_sent(sim, 1, candidate, &answer) && answer.vote_granted;
}

static void begin_again(struct sim *sim)
{
    sim_forget_sent(sim, 1);
    sim_restart(sim, 1);
    sim_settle(sim);
    cr_assert_not_null(stage_server(sim));
}

#define DRAWS 8 /* of what a call has done of its work when it is the last */

/* A voter that 2 asks for its vote in term 5 ends in each call of its disk, one after the other. */
static void each_death_of_a_voter(void (*check)(struct sim *sim, bool answered))
{
    int deaths = 0;
    for (size_t i = 0; i < 2; i++) {
        bool died = true;
        for (uint64_t nth = 1; died; nth++)
            for (int draw = 0; draw < DRAWS; draw++) {
                struct sim *sim = stage_open(3);
                for (int skipped = 0; skipped < draw; skipped++)
                    sim_random(sim);
                sim_end_at_call(sim, 1, nth, ENDS[i]);
                struct message request = stage_request_vote(sim, 2, 5), answer;
                sim_deliver(sim, 1, &request);
                bool answered = sim_sent(sim, 1, 2, &answer);
                cr_assert(!answered || answer.vote_granted);
                died = !sim_lives(sim, 1);
                if (died)
                    begin_again(sim);
                if (died)
                    check(sim, answered);
                deaths += died;
                stage_close(sim);
            }
    }
    cr_assert_geq(deaths, 2 * 4 * DRAWS, "a vote is written and synced twice");
}

static void check_votes_for_one(struct sim *sim, bool answered)
{
    bool another = gets_vote(sim, 3, 5);
    cr_assert_not(answered && another, "2 had the vote, and 3 gets it");
    sim_power_cut(sim, 1);
    begin_again(sim);
    cr_assert_eq(gets_vote(sim, 2, 5), !another, "one of them has it, for good");
}

/* hashicorp/raft 661, cornerstone 65, akka-raft 56. */
Test(elections, a_voter_that_dies_anywhere_in_its_vote_votes_for_one_alone)
{
    each_death_of_a_voter(check_votes_for_one);
}

static void check_term_has_its_vote(struct sim *sim, bool answered)
{
    const struct server *server = stage_server(sim);
    cr_assert(server->current_term == 0 || server->current_term == 5);
    cr_assert_eq(server->voted_for, server->current_term == 0 ? NO_ONE : 2);
    cr_assert(!answered || server->current_term == 5);
}

/* hashicorp/raft 661: the term was written first, the vote after it. */
Test(elections, no_death_leaves_the_term_of_a_vote_without_the_vote)
{
    each_death_of_a_voter(check_term_has_its_vote);
}

static bool has_asked_for_votes(struct sim *sim)
{
    struct message request;
    bool asked = false;
    while (sim_sent(sim, 1, 3, &request))
        asked = asked || request.type_of_message == REQUEST_VOTE;
    return asked;
}

/* nebula 3415. */
Test(elections, a_candidate_that_dies_anywhere_has_voted_for_itself_before_anybody_hears_of_it)
{
    int asked = 0, silent = 0;
    for (size_t i = 0; i < 2; i++)
        for (uint64_t nth = 1; nth <= 8; nth++) {
            struct sim *sim = stage_open(3);
            stage_pre_candidate(sim);
            sim_end_at_call(sim, 1, nth, ENDS[i]);
            struct message vote = stage_vote(sim, RESPONSE_PRE_VOTE, 2, 1, true);
            sim_deliver(sim, 1, &vote);
            bool has_asked = has_asked_for_votes(sim);
            if (!sim_lives(sim, 1)) {
                begin_again(sim);
                cr_assert_not(has_asked && gets_vote(sim, 2, 1), "it had asked for votes itself");
                asked += has_asked;
                silent += !has_asked;
            }
            stage_close(sim);
        }
    cr_assert_gt(asked, 0);
    cr_assert_gt(silent, 0);
}

/* CCF 8094: whoever steps down without a higher term has not forgotten whom it chose. */
Test(elections, who_chose_and_only_asked_for_pre_votes_when_a_leader_of_its_term_came_keeps_its_vote)
{
    struct sim *sim = stage_open(5);
    cr_assert(gets_vote(sim, 2, 1));
    stage_pre_candidate(sim);
    stage_deliver(sim, REQUEST_APPEND_ENTRIES, 3, 1);
    cr_assert_eq(stage_server(sim)->role, FOLLOWER);
    cr_assert_eq(stage_server(sim)->leader_id, 3);
    cr_assert_not(gets_vote(sim, 4, 1));
    sim_power_cut(sim, 1);
    begin_again(sim);
    cr_assert_not(gets_vote(sim, 4, 1));
    cr_assert(gets_vote(sim, 2, 1), "it still has it");
    stage_close(sim);
}

/* The same of a candidate, that chose itself. */
Test(elections, a_candidate_that_follows_the_winner_of_its_term_has_no_vote_left_to_give)
{
    struct sim *sim = stage_open(5);
    stage_candidate(sim);
    stage_deliver(sim, REQUEST_APPEND_ENTRIES, 3, 1);
    cr_assert_eq(stage_server(sim)->role, FOLLOWER);
    cr_assert_not(gets_vote(sim, 4, 1));
    sim_power_cut(sim, 1);
    begin_again(sim);
    cr_assert_not(gets_vote(sim, 4, 1));
    cr_assert_not(gets_vote(sim, 3, 1), "not even who won");
    stage_close(sim);
}

/* ---- Votes are a set of members ---- */

static void answer_thrice(struct sim *sim, enum message_type type, raft_id voter)
{
    struct message vote = stage_vote(sim, type, voter, 1, true);
    for (int i = 0; i < 3; i++)
        sim_deliver(sim, 1, &vote);
}

/* akka-raft 47, and naive loops: 2 * votes > n, counting messages. With three members it cannot show, since one
 * vote beside the own is a majority. */
Test(elections, of_four_and_of_five_one_voter_is_no_majority_however_often_it_answers)
{
    for (int count = 4; count <= 5; count++) {
        struct sim *sim = stage_open(count);
        stage_pre_candidate(sim);
        answer_thrice(sim, RESPONSE_PRE_VOTE, 2);
        cr_assert_eq(stage_server(sim)->phase, PRE_VOTING);
        cr_assert_eq(stage_server(sim)->current_term, 0);
        answer_thrice(sim, RESPONSE_PRE_VOTE, 4);
        cr_assert_eq(stage_server(sim)->phase, VOTING);
        answer_thrice(sim, RESPONSE_VOTE, 3);
        cr_assert_eq(stage_server(sim)->role, CANDIDATE);
        answer_thrice(sim, RESPONSE_VOTE, 4);
        cr_assert_eq(stage_server(sim)->role, LEADER);
        stage_close(sim);
    }
}

/* The same with a whole cluster: all messages come twice, and the vote of one alone arrives. */
Test(elections, of_four_and_of_five_whom_one_other_hears_never_leads_though_all_messages_come_twice)
{
    for (int count = 4; count <= 5; count++) {
        struct sim *sim = hands_open(1, count);
        raft_id dead = sim_leader(sim), candidate = hands_next(dead, 1, count), voter = hands_next(dead, 2, count);
        sim_network(sim)->duplication = 1;
        for (int i = 3; i < count; i++)
            hands_lose(hands_next(dead, i, count), ANYBODY, RESPONSE_VOTE);
        for (raft_id id = 1; id <= count; id++)
            if (id != candidate) {
                hands_lose(id, ANYBODY, REQUEST_PRE_VOTE);
                hands_lose(id, ANYBODY, REQUEST_VOTE);
            }
        raft_term term = hands_term(sim, dead);
        sim_kill(sim, dead);
        sim_run_us(sim, 6 * SECOND);
        cr_assert_gt(hands_term(sim, candidate), term, "it stood");
        cr_assert_eq(sim_server(sim, voter)->voted_for, candidate);
        for (raft_id id = 1; id <= count; id++)
            cr_assert(id == dead || sim_server(sim, id)->role != LEADER);
        hands_lose_nothing();
        cr_assert(hands_run_until_all_follow(sim, 6 * SECOND));
        hands_close(sim);
    }
}

/* ---- Terms ---- */

/* nebula 2405, nebula 685. */
Test(elections, whatever_comes_late_from_earlier_terms_takes_no_term_back_and_no_office)
{
    struct sim *sim = hands_open(2, 3);
    raft_term terms[4];
    hands_keep(ANYBODY, ANYBODY, ANYTHING);
    for (int i = 0; i < 3; i++) {
        raft_id dead = sim_leader(sim);
        sim_kill(sim, dead);
        cr_assert(sim_run_until_leader(sim, 6 * SECOND));
        hands_write(sim, sim_leader(sim), "add 1");
        sim_restart(sim, dead);
        cr_assert(hands_run_until_all_follow(sim, 6 * SECOND));
        sim_run_us(sim, SECOND);
    }
    raft_term kept_of = hands_term(sim, sim_leader(sim));
    hands_keep_nothing();
    sim_kill(sim, sim_leader(sim));
    cr_assert(sim_run_until_leader(sim, 6 * SECOND));
    for (raft_id id = 1; id <= 3; id++)
        if (!sim_lives(sim, id))
            sim_restart(sim, id);
    cr_assert(hands_run_until_all_follow(sim, 6 * SECOND));
    raft_id leader = sim_leader(sim);
    cr_assert_gt(hands_term(sim, leader), kept_of);
    cr_assert_gt(hands_kept(), 100);
    hands_deliver_kept(sim);
    sim_run_us(sim, SECOND);
    for (raft_id id = 1; id <= 3; id++) {
        terms[id] = hands_term(sim, id);
        cr_assert_eq(terms[id], hands_term(sim, leader));
    }
    cr_assert_eq(sim_leader(sim), leader);
    for (raft_id id = 1; id <= 3; id++)
        sim_power_cut(sim, id);
    for (raft_id id = 1; id <= 3; id++)
        sim_restart(sim, id);
    sim_settle(sim);
    for (raft_id id = 1; id <= 3; id++)
        cr_assert_geq(hands_term(sim, id), terms[id]);
    hands_close(sim);
}

/* etcd 8243, 8501, 9586, 10355. */
Test(elections, one_with_the_whole_log_wins_though_its_term_is_lower)
{
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct sim *sim = hands_open(seed, 3);
        raft_id leader = sim_leader(sim), whole = hands_next(leader, 1, 3), behind = hands_next(leader, 2, 3);
        hands_lose(ANYBODY, behind, ENTRIES);
        hands_write(sim, leader, "add 1");
        raft_term term = hands_term(sim, leader);
        sim_power_cut(sim, leader);
        sim_run_us(sim, 200 * US); /* until it has not been heard for the minimum timeout */
        struct message stray = {
            .type_of_message = RESPONSE_VOTE, .curr_term = term + 20, .server_id = leader, .refusal = REFUSAL_VOTED};
        hands_deliver(sim, behind, &stray);
        cr_assert_eq(hands_term(sim, behind), term + 20);
        cr_assert(sim_run_until_leader(sim, 20 * 300 * US));
        cr_assert_eq(sim_leader(sim), whole);
        cr_assert_gt(hands_term(sim, whole), term + 20);
        hands_close(sim);
    }
}

/* ClickHouse/NuRaft 134: pre-votes were granted whatever the log; so one that could never win raised the term, deposed
 * the leader, lost, and stood again. Here it hears heartbeats and never gets an entry, and leaders die. */
Test(elections, one_that_lacks_entries_raises_no_term_and_deposes_nobody_however_often_it_asks)
{
    for (uint64_t seed = 0; seed < 5; seed++) {
        struct sim *sim = hands_open(seed, 5);
        raft_id hopeless = hands_next(sim_leader(sim), 1, 5);
        hands_lose(ANYBODY, hopeless, ENTRIES);
        for (int i = 0; i < 10; i++) {
            raft_id leader = sim_leader(sim);
            cr_assert_neq(leader, hopeless);
            hands_write(sim, leader, "add 1");
            raft_term term = hands_term(sim, hopeless);
            sim_cut(sim, leader, hopeless); /* which asks for pre-votes then, and is heard by all */
            sim_run_us(sim, 3 * SECOND);
            cr_assert_eq(sim_server(sim, leader)->role, LEADER);
            cr_assert_eq(hands_term(sim, leader), term, "no pre-vote was won");
            sim_heal(sim);
            sim_kill(sim, leader);
            cr_assert(sim_run_until_leader(sim, 6 * SECOND));
            sim_restart(sim, leader);
            cr_assert(hands_run_until_all_follow(sim, 6 * SECOND));
        }
        cr_assert_not(sim_log_has(sim, hopeless, "Candidate!"), "it stood");
        hands_close(sim);
    }
}

/* ---- Nodes that were away, and partitions of every shape ---- */

/* etcd 14893. */
Test(elections, a_follower_that_was_alone_for_a_minute_comes_back_to_the_same_leader_in_the_same_term)
{
    static const int COUNTS[] = {3, 4, 5};
    for (uint64_t seed = 0; seed < 6; seed++) {
        int count = COUNTS[seed % 3];
        struct sim *sim = hands_open(seed, count);
        raft_id leader = sim_leader(sim), alone = hands_next(leader, 1, count);
        raft_term term = hands_term(sim, leader);
        sim_isolate(sim, alone);
        sim_run_us(sim, 60 * SECOND);
        cr_assert_eq(hands_term(sim, alone), term, "it asked, and raised nothing");
        sim_heal(sim);
        cr_assert(hands_run_until_all_follow(sim, 5 * SECOND));
        sim_run_us(sim, 5 * SECOND);
        cr_assert_eq(sim_leader(sim), leader);
        cr_assert_eq(hands_term(sim, leader), term);
        hands_close(sim);
    }
}

/* Who sees whom, by place: ids are dealt to places so that the leader stands in each of them. */
struct shape {
    const char *name;
    int count;
    const char *links; /* "01 12": between those places both ways; "0>1": one way */
};

/* In each, some place sees a majority both ways. */
static const struct shape SHAPES[] = {
    {"bridge of three", 3, "01 12"},
    {"ring of five", 5, "01 12 23 34 40"},
    {"two halves and a bridge", 5, "01 02 12 23 24 34"},
    {"star", 5, "01 02 03 04"},
    {"three that one way does not join", 3, "01 12 0>2"},
    {"five of which one hears and is not heard", 5, "01 02 03 12 13 23 0>4 1>4 2>4 3>4"},
    {"five of which one is heard and does not hear", 5, "01 02 03 12 13 23 4>0 4>1 4>2 4>3"},
};

static bool joins(const struct shape *shape, int from, int to)
{
    char both[3] = {(char)('0' + from), (char)('0' + to), '\0'}, back[3] = {both[1], both[0], '\0'};
    char one_way[4] = {both[0], '>', both[1], '\0'};
    return strstr(shape->links, both) != NULL || strstr(shape->links, back) != NULL ||
           strstr(shape->links, one_way) != NULL;
}

static bool sees_a_majority(const struct shape *shape, int place)
{
    int seen = 1;
    for (int other = 0; other < shape->count; other++)
        seen += other != place && joins(shape, place, other) && joins(shape, other, place);
    return 2 * seen > shape->count;
}

static void cut_to_shape(struct sim *sim, const struct shape *shape, raft_id first)
{
    for (int from = 0; from < shape->count; from++)
        for (int to = 0; to < shape->count; to++)
            if (from != to && !joins(shape, from, to))
                sim_cut(sim, hands_next(first, from, shape->count), hands_next(first, to, shape->count));
}

static raft_term highest_term(struct sim *sim, int count)
{
    raft_term term = 0;
    for (raft_id id = 1; id <= count; id++)
        term = hands_term(sim, id) > term ? hands_term(sim, id) : term;
    return term;
}

/* Whoever leads most: also where no majority of all follows it. */
static raft_id newest_leader(struct sim *sim, int count)
{
    raft_id leader = NO_ONE;
    for (raft_id id = 1; id <= count; id++)
        if (sim_server(sim, id)->role == LEADER && (leader == NO_ONE || hands_term(sim, id) > hands_term(sim, leader)))
            leader = id;
    return leader;
}

#define GAP_US (20 * 300 * US)

static bool writes_again(struct sim *sim, int count)
{
    uint64_t before = sim_outcomes(sim, OUTCOME_APPLIED);
    for (int64_t waited_us = 0; waited_us < GAP_US; waited_us += 50 * US) {
        raft_id leader = newest_leader(sim, count);
        if (leader != NO_ONE)
            sim_propose(sim, leader, "add 1");
        sim_run_us(sim, 50 * US);
        if (sim_outcomes(sim, OUTCOME_APPLIED) > before)
            return true;
    }
    return false;
}

/* Cloudflare, "A Byzantine failure in the real world" (2020): etcd lost its leader again and again while one node saw
 * both others, which did not see each other. */
Test(elections, whoever_sees_whom_a_leader_that_sees_a_majority_stays_and_writes_go_on, .timeout = 120)
{
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++)
        for (int place = 0; place < SHAPES[i].count; place++) {
            const struct shape *shape = &SHAPES[i];
            struct sim *sim = hands_open((uint64_t)place, shape->count);
            raft_term term = hands_term(sim, sim_leader(sim));
            cut_to_shape(sim, shape, hands_next(sim_leader(sim), shape->count - place, shape->count));
            sim_run_us(sim, 10 * SECOND); /* all logs are alike: nobody's is a reason to refuse */
            for (int write = 0; write < 10; write++)
                cr_assert(writes_again(sim, shape->count), "%s, leader in place %d: no write", shape->name, place);
            sim_run_us(sim, 10 * SECOND);
            raft_term terms = highest_term(sim, shape->count) - term, most = sees_a_majority(shape, place) ? 0 : 2;
            cr_assert_leq(terms, most, "%s, leader in place %d: %d terms", shape->name, place, (int)terms);
            sim_heal(sim);
            cr_assert(hands_run_until_all_follow(sim, 5 * SECOND));
            hands_close(sim);
        }
}

static bool leads_no_more(struct sim *sim, void *leader)
{
    return sim_server(sim, *(raft_id *)leader)->role != LEADER;
}

/* It steps down, another leads, and its clients learn what is known of what they asked for. */
static void expect_replaced(struct sim *sim, raft_id old)
{
    for (int i = 0; i < 5; i++)
        cr_assert(sim_propose(sim, old, "add 1"));
    cr_assert(sim_run_until(sim, 2 * 300 * US, leads_no_more, &old), "it leads on");
    cr_assert(sim_run_until_leader(sim, 6 * SECOND));
    cr_assert_neq(sim_leader(sim), old);
    sim_run_us(sim, SECOND);
    cr_assert_eq(sim_not_answered(sim, old), 0, "its clients wait still");
    hands_write(sim, sim_leader(sim), "add 1");
    raft_id leader = sim_leader(sim);
    raft_term term = hands_term(sim, leader);
    sim_heal(sim);
    cr_assert(hands_run_until_all_follow(sim, 6 * SECOND));
    sim_run_us(sim, 5 * SECOND);
    cr_assert_eq(sim_leader(sim), leader, "its return deposes nobody");
    cr_assert_eq(hands_term(sim, leader), term);
    cr_assert_eq(sim_counter(sim, old)->value, sim_counter(sim, leader)->value);
}

Test(elections, a_leader_that_hears_nobody_and_is_heard_by_all_steps_down_and_is_replaced)
{
    for (uint64_t seed = 0; seed < 6; seed++) {
        int count = seed % 2 == 0 ? 3 : 5;
        struct sim *sim = hands_open(seed, count);
        raft_id deaf = sim_leader(sim);
        for (int i = 1; i < count; i++)
            sim_cut(sim, hands_next(deaf, i, count), deaf);
        expect_replaced(sim, deaf);
        hands_close(sim);
    }
}

Test(elections, a_leader_that_hears_all_and_is_heard_by_nobody_steps_down_and_is_replaced)
{
    for (uint64_t seed = 0; seed < 6; seed++) {
        int count = seed % 2 == 0 ? 3 : 5;
        struct sim *sim = hands_open(seed, count);
        raft_id mute = sim_leader(sim);
        for (int i = 1; i < count; i++)
            sim_cut(sim, mute, hands_next(mute, i, count));
        expect_replaced(sim, mute);
        hands_close(sim);
    }
}

/* ---- Hand-overs ---- */

static bool has_lost_something(struct sim *sim, void *before)
{
    (void)sim;
    return hands_lost() > *(int *)before;
}

static bool has_ended(struct sim *sim, void *id)
{
    return !sim_lives(sim, *(raft_id *)id);
}

/* openraft 1839. Of five, the others elect without both; of three whose third is dead too, nobody can. */
Test(elections, a_hand_over_whose_target_dies_ends_and_writes_go_on_without_both)
{
    for (uint64_t seed = 0; seed < 10; seed++) {
        int count = seed % 2 == 0 ? 5 : 3;
        struct sim *sim = hands_open(seed, count);
        raft_id leader = sim_leader(sim);
        int before = hands_lost();
        hands_lose(leader, ANYBODY, TIMEOUT_NOW);
        sim_stop(sim, leader);
        cr_assert(sim_run_until(sim, SECOND, has_lost_something, &before));
        raft_id target = hands_last_lost_to();
        sim_power_cut(sim, target);
        for (raft_id id = 1; count == 3 && id <= 3; id++)
            if (id != leader && id != target)
                sim_power_cut(sim, id);
        cr_assert(sim_run_until(sim, SECOND, has_ended, &leader));
        cr_assert(sim_ended_well(sim, leader, NULL));
        for (raft_id id = 1; count == 3 && id <= 3; id++)
            if (id != leader)
                sim_restart(sim, id);
        cr_assert(sim_run_until_leader(sim, 6 * SECOND));
        hands_write(sim, sim_leader(sim), "add 1");
        hands_close(sim);
    }
}

Test(elections, a_hand_over_that_comes_late_changes_nothing)
{
    struct sim *sim = hands_open(3, 3);
    raft_id first = sim_leader(sim);
    hands_keep(ANYBODY, ANYBODY, TIMEOUT_NOW);
    sim_stop(sim, first);
    cr_assert(sim_run_until(sim, 2 * SECOND, has_ended, &first));
    cr_assert_eq(hands_kept(), 1);
    sim_restart(sim, first);
    cr_assert(hands_run_until_all_follow(sim, 6 * SECOND));
    raft_id successor = sim_leader(sim);
    raft_term term = hands_term(sim, successor);
    hands_deliver_kept(sim); /* it leads: by that message, long ago */
    sim_run_us(sim, SECOND);
    cr_assert_eq(sim_leader(sim), successor);
    cr_assert_eq(hands_term(sim, successor), term);
    sim_kill(sim, successor);
    cr_assert(sim_run_until_leader(sim, 6 * SECOND));
    sim_restart(sim, successor);
    cr_assert(hands_run_until_all_follow(sim, 6 * SECOND));
    raft_id last = sim_leader(sim);
    term = hands_term(sim, last);
    hands_deliver_kept(sim); /* it follows another */
    sim_run_us(sim, SECOND);
    cr_assert_eq(sim_leader(sim), last);
    cr_assert_eq(hands_term(sim, last), term);
    hands_close(sim);
}

/* ---- Timeouts ---- */

static void narrow(struct node_config *config)
{
    config->election_timeout_max_us = config->election_timeout_min_us + 1000;
    config->fast_failover = false;
}

/* All timeouts nearly alike: a draw of its own for each node and each attempt is all that tells nodes apart. */
Test(elections, nodes_whose_timeouts_are_nearly_equal_elect_a_leader_within_twenty)
{
    for (uint64_t seed = 0; seed < 30; seed++) {
        int count = seed % 3 == 0 ? 3 : seed % 3 == 1 ? 5 : 7;
        struct sim *sim = hands_open_with(seed, count, narrow);
        for (raft_id id = 1; id <= count; id++)
            sim_power_cut(sim, id);
        for (raft_id id = 1; id <= count; id++)
            sim_restart(sim, id);
        cr_assert(sim_run_until_leader(sim, 20 * 151 * US), "seed %d", (int)seed);
        hands_close(sim);
    }
}
