#include "raft/applier.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/memory.h"
#include "check.h"
#include "counter.h"
#include "sim/sim.h"

/* A life on a machine of the simulator: an applier, the server's pile and a client's, and the part that is played. */
struct scene {
    struct sim *sim;
    void (*play)(struct scene *scene);
    const struct mailraft_machine *machine;
    struct applier *applier;
    struct pile *server, *client;
    struct counter counter;
};

static void live(void *context)
{
    struct scene *scene = context;
    struct mailraft_error err;
    scene->server = pile_new();
    scene->client = pile_new();
    scene->applier = applier_start(scene->machine, scene->server, sim_log(scene->sim, 1), &err);
    scene->play(scene);
    if (scene->applier != NULL) {
        applier_close(scene->applier);
        applier_join(scene->applier);
    }
    pile_free(scene->server);
    pile_free(scene->client);
}

static void play_with(const struct mailraft_machine *machine, void (*part)(struct scene *))
{
    static struct scene scene;
    struct mailraft_machine counter = counter_machine(&scene.counter);
    scene = (struct scene){.sim = sim_new(0), .play = part, .machine = machine};
    if (machine == NULL)
        scene.machine = &counter;
    counter_init(&scene.counter);
    sim_log_keep(scene.sim);
    sim_add_machine(scene.sim, 1);
    cr_assert(sim_run_on(scene.sim, 1, live, &scene));
    sim_free(scene.sim);
}

static void play(void (*part)(struct scene *))
{
    play_with(NULL, part);
}

/* Commands, one each, from an index on; "" is a no-op. */
static struct batch *batch(raft_index first, const char *const *commands, size_t count)
{
    static const uint8_t LEAD[8] = {44};
    struct batch *entries = batch_new();
    for (size_t i = 0; i < count; i++) {
        bool command = commands[i][0] != '\0';
        batch_add(entries,
                  entry_new(command ? ENTRY_COMMAND : ENTRY_NO_OP, 3, first + i, (int64_t)(1000 * (first + i)),
                            command ? (const void *)commands[i] : LEAD, command ? strlen(commands[i]) : sizeof LEAD));
    }
    return entries;
}

#define BATCH(first, ...)                                                                                              \
    batch(first, (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static struct wait *wait_for(struct scene *scene, raft_index first, size_t count)
{
    struct wait *waits = memory_new(count * sizeof *waits);
    for (size_t i = 0; i < count; i++)
        waits[i] = (struct wait){first + i, {.pile = scene->client, .number = 100 + first + i}};
    return waits;
}

/* The next letter to the server, which is LETTER_APPLIED. */
static void expect_applied(struct scene *scene, raft_index index, size_t entry_bytes)
{
    int64_t now_us;
    struct letter *letter = pile_take(scene->server, LANE_CLIENTS, clock_now_us() + 1000000, &now_us);
    cr_assert_not_null(letter);
    cr_assert_eq(letter->kind, LETTER_APPLIED);
    cr_assert_eq(letter->applied.index, index);
    cr_assert_eq(letter->applied.entry_bytes, entry_bytes);
    letter_free(letter);
}

static void expect_reply(struct scene *scene, uint64_t number, raft_index index, const char *text)
{
    int64_t now_us;
    struct letter *letter = pile_take(scene->client, LANE_CLIENTS, clock_now_us() + 1000000, &now_us);
    cr_assert_not_null(letter);
    cr_assert_eq(letter->kind, LETTER_REPLY);
    cr_assert_eq(letter->number, number);
    cr_assert_eq(letter->reply.outcome, OUTCOME_APPLIED);
    cr_assert_eq(letter->reply.index, index);
    cr_assert_eq(letter->reply.bytes.size, strlen(text));
    cr_assert_arr_eq(letter->reply.bytes.bytes, text, strlen(text));
    letter_free(letter);
}

static void expect_no_reply(struct scene *scene)
{
    int64_t now_us;
    cr_assert_null(pile_try(scene->client, LANE_CLIENTS, &now_us));
}

static void apply_one_batch(struct scene *scene)
{
    struct batch *entries = BATCH(1, "", "add 2", "add 3");
    size_t bytes = entries->bytes;
    applier_apply(scene->applier, entries, NULL, 0);
    expect_applied(scene, 3, bytes);
    expect_no_reply(scene);
    cr_assert_eq(scene->counter.value, 5);
    cr_assert_eq(scene->counter.index, 3);
}

Test(applier, applies_entries_and_says_how_far_it_is)
{
    play(apply_one_batch);
}

static void apply_for_some(struct scene *scene)
{
    applier_apply(scene->applier, BATCH(1, "", "add 2", "add 3", "add 4"), wait_for(scene, 2, 2), 2);
    expect_reply(scene, 102, 2, "2");
    expect_reply(scene, 103, 3, "5");
    applier_apply(scene->applier, BATCH(5, "add 1"), wait_for(scene, 5, 1), 1);
    expect_reply(scene, 105, 5, "10");
    expect_no_reply(scene);
}

Test(applier, answers_those_who_wait_and_nobody_else)
{
    play(apply_for_some);
}

static void apply_together(struct scene *scene)
{
    size_t bytes = 0;
    for (raft_index i = 1; i <= 50; i++) { /* none of its thread's turns comes between */
        struct batch *entries = BATCH(i, "add 1");
        bytes += entries->bytes;
        applier_apply(scene->applier, entries, NULL, 0);
    }
    expect_applied(scene, 50, bytes);
    cr_assert_eq(scene->counter.value, 50);
}

Test(applier, says_once_how_far_it_is_for_all_that_had_gathered)
{
    play(apply_together);
}

static void apply_and_close(struct scene *scene)
{
    for (raft_index i = 1; i <= 20; i++)
        applier_apply(scene->applier, BATCH(i, "add 1"), i == 20 ? wait_for(scene, 20, 1) : NULL, i == 20);
    applier_close(scene->applier);
    applier_join(scene->applier);
    scene->applier = NULL;
    int64_t now_us;
    struct letter *letter = pile_take(scene->client, LANE_INNER, CLOCK_NEVER, &now_us);
    cr_assert_eq(letter->number, 120);
    cr_assert_eq(letter->reply.outcome, OUTCOME_UNCERTAIN);
    cr_assert_eq(letter->reply.index, 20);
    letter_free(letter);
    letter = pile_take(scene->server, LANE_CONTROL, CLOCK_NEVER, &now_us);
    cr_assert_eq(letter->kind, LETTER_APPLIER_ENDED);
    letter_free(letter);
    cr_assert_eq(scene->counter.value, 0);
}

Test(applier, that_is_told_to_end_applies_nothing_more_and_says_so)
{
    play(apply_and_close);
}

/* ---- What a machine is shown ---- */

static struct mailraft_entry shown[10];
static char commands[10][20];
static size_t shown_count;

static void note(void *context, const struct mailraft_entry *entries, size_t count, struct mailraft_standing *standing)
{
    (void)context;
    for (size_t i = 0; i < count; i++) {
        snprintf(commands[shown_count], sizeof commands[0], "%.*s", (int)entries[i].size,
                 entries[i].command == NULL ? "" : (const char *)entries[i].command);
        shown[shown_count++] = entries[i];
    }
    *standing = (struct mailraft_standing){.deadline_us = 777, .memory_bytes = 4711};
}

static const struct mailraft_machine NOTES = {.apply = note};

static void show_entries(struct scene *scene)
{
    int64_t now_us;
    struct batch *entries = BATCH(1, "add 1", "", "add 22");
    batch_add(entries, entry_new(ENTRY_CONFIG, 3, 4, 4000, "who belongs", 11));
    batch_add(entries, entry_new(ENTRY_TIME, 3, 5, 5000, NULL, 0));
    applier_apply(scene->applier, entries, wait_for(scene, 3, 1), 1);
    struct letter *letter = pile_take(scene->server, LANE_CLIENTS, clock_now_us() + 1000000, &now_us);
    cr_assert_eq(letter->applied.deadline_us, 777, "what it says of itself is told");
    cr_assert_eq(letter->applied.memory_bytes, 4711);
    letter_free(letter);

    static const char *const COMMANDS[] = {"add 1", "", "add 22", "", ""};
    cr_assert_eq(shown_count, 5);
    for (size_t i = 0; i < 5; i++) {
        cr_assert_eq(shown[i].index, i + 1);
        cr_assert_eq(shown[i].time_us, 1000 * (int64_t)(i + 1));
        cr_assert_str_eq(commands[i], COMMANDS[i]);
        cr_assert_eq(shown[i].command != NULL, COMMANDS[i][0] != '\0', "of a CONFIG only that time passes");
        cr_assert_eq(shown[i].wall_offset_us, i == 0 ? 0 : 44, "as the last entry that tells it has it");
        cr_assert_eq(shown[i].reply != NULL, i == 2);
    }
}

Test(applier, a_machine_is_shown_every_entry_with_its_time)
{
    play_with(&NOTES, show_entries);
}

static void tell_deadline(struct scene *scene)
{
    int64_t now_us;
    applier_apply(scene->applier, BATCH(1, "add 2", "deadline 777"), NULL, 0);
    struct letter *letter = pile_take(scene->server, LANE_CLIENTS, clock_now_us() + 1000000, &now_us);
    cr_assert_eq(letter->applied.deadline_us, 777);
    cr_assert_eq(letter->applied.memory_bytes, sizeof(struct counter));
    letter_free(letter);
    applier_apply(scene->applier, BATCH(3, "deadline 777000"), NULL, 0);
    letter = pile_take(scene->server, LANE_CLIENTS, clock_now_us() + 1000000, &now_us);
    cr_assert_eq(letter->applied.deadline_us, 777000);
    letter_free(letter);
}

Test(applier, tells_the_machines_next_deadline)
{
    play(tell_deadline);
}

/* ---- Queries ---- */

/* early_count: how many that were given back its sender had taken. */
static void query(struct scene *scene, uint64_t number, int64_t time_us, uint64_t early_count)
{
    struct letter_list queries = {0};
    struct letter *letter = letter_new(LETTER_QUERY);
    mailraft_buffer_put(&letter->request, "get", 3);
    letter->proposer = (struct proposer){.pile = scene->client, .number = number};
    letter->time_us = time_us;
    letter->number = early_count;
    letter_list_add(&queries, letter);
    applier_query(scene->applier, &queries);
}

static void expect_given_back(struct scene *scene, uint64_t number)
{
    int64_t now_us;
    struct letter *letter = pile_take(scene->server, LANE_CLIENTS, clock_now_us() + 1000000, &now_us);
    cr_assert_not_null(letter);
    cr_assert_eq(letter->kind, LETTER_READ_EARLY);
    cr_assert_eq(letter->proposer.number, number);
    letter_free(letter);
}

static void expect_read(struct scene *scene, uint64_t number)
{
    int64_t now_us;
    struct letter *letter = pile_take(scene->client, LANE_CLIENTS, clock_now_us() + 1000000, &now_us);
    cr_assert_not_null(letter);
    cr_assert_eq(letter->number, number);
    cr_assert_eq(letter->reply.outcome, OUTCOME_READ);
    letter_free(letter);
}

static void give_back(struct scene *scene)
{
    applier_apply(scene->applier, BATCH(1, "deadline 5000"), NULL, 0);
    expect_applied(scene, 1, ENTRY_HEAD_BYTES + strlen("deadline 5000"));
    query(scene, 1, 4000, 0);
    expect_read(scene, 1);
    query(scene, 2, 6000, 0);
    expect_given_back(scene, 2);
    applier_apply(scene->applier, BATCH(2, "", "", "", ""), NULL, 0); /* the last of them is of 5000: nothing is due */
    expect_applied(scene, 5, 4 * (ENTRY_HEAD_BYTES + 8));
    query(scene, 3, 7000, 0);
    expect_given_back(scene, 3);
    expect_no_reply(scene);
    query(scene, 2, 6000, 2);
    query(scene, 3, 7000, 2);
    expect_read(scene, 2);
    expect_read(scene, 3);
}

Test(applier, gives_queries_back_that_come_too_early_and_those_that_would_overtake_them)
{
    play(give_back);
}

/* ---- What leaves together ---- */

static struct scene *the_scene;
static size_t waiting_max; /* answers that the machine has given, and that nobody can have seen */
static size_t given, seen;

/* Answers so large that none should wait for the next. */
static void answer_large(struct mailraft_buffer *reply)
{
    static const uint8_t LARGE[100 * 1024];
    struct letter *letter;
    int64_t now_us;
    while ((letter = pile_try(the_scene->client, LANE_CLIENTS, &now_us)) != NULL) {
        seen++;
        letter_free(letter);
    }
    if (given - seen > waiting_max)
        waiting_max = given - seen;
    given++;
    mailraft_buffer_put(reply, LARGE, sizeof LARGE);
}

static void apply_large(void *context, const struct mailraft_entry *entries, size_t count,
                        struct mailraft_standing *standing)
{
    (void)context;
    for (size_t i = 0; i < count; i++)
        if (entries[i].reply != NULL)
            answer_large(entries[i].reply);
    *standing = (struct mailraft_standing){.deadline_us = MAILRAFT_NO_DEADLINE};
}

static void read_large(void *context, const void *query, size_t size, int64_t time_us, struct mailraft_buffer *reply)
{
    (void)context, (void)query, (void)size, (void)time_us;
    answer_large(reply);
}

static void answer_many(struct scene *scene)
{
    struct letter_list queries = {0};
    the_scene = scene;
    applier_apply(scene->applier, BATCH(1, "a", "b", "c", "d", "e", "f", "g", "h"), wait_for(scene, 2, 6), 6);
    for (uint64_t i = 1; i <= 6; i++) {
        struct letter *query = letter_new(LETTER_QUERY);
        query->proposer = (struct proposer){.pile = scene->client, .number = i};
        letter_list_add(&queries, query);
    }
    applier_query(scene->applier, &queries);
    expect_applied(scene, 8, 8 * (ENTRY_HEAD_BYTES + 1));
    cr_assert_eq(given, 12);
    cr_assert_eq(waiting_max, 0, "%zu answers were put together before they left", waiting_max);
}

Test(applier, large_answers_leave_one_by_one)
{
    static const struct mailraft_machine LARGE = {.apply = apply_large, .read = read_large};
    play_with(&LARGE, answer_many);
}

#define HUGE_BYTES (1024 * 1024)
#define HUGE_COUNT 40

static void read_huge(void *context, const void *query, size_t size, int64_t time_us, struct mailraft_buffer *reply)
{
    static const uint8_t HUGE[HUGE_BYTES];
    (void)context, (void)query, (void)size, (void)time_us;
    mailraft_buffer_put(reply, HUGE, HUGE_BYTES);
    given++;
}

static const struct mailraft_machine HUGE_ANSWERS = {.apply = apply_large, .read = read_huge};

static void ask_for_much(struct scene *scene)
{
    struct letter_list queries = {0};
    the_scene = scene;
    given = 0;
    for (uint64_t i = 1; i <= HUGE_COUNT; i++) {
        struct letter *query = letter_new(LETTER_QUERY);
        query->proposer = (struct proposer){.pile = scene->client, .number = i};
        letter_list_add(&queries, query);
    }
    applier_query(scene->applier, &queries);
}

static void answer_with_much(struct scene *scene)
{
    int64_t now_us;
    ask_for_much(scene);
    for (uint64_t i = 1; i <= HUGE_COUNT; i++) {
        struct letter *letter = pile_take(scene->client, LANE_CLIENTS, clock_now_us() + 1000000, &now_us);
        cr_assert_not_null(letter);
        cr_assert_eq(letter->number, i);
        cr_assert_leq(given, i + 16, "%zu answers were made, and %zu handled", (size_t)given, (size_t)i - 1);
        letter_free(letter);
    }
}

Test(applier, waits_where_nobody_handles_its_answers)
{
    play_with(&HUGE_ANSWERS, answer_with_much);
}

static void ask_and_take_nothing(struct scene *scene)
{
    int64_t now_us;
    ask_for_much(scene);
    cr_assert_null(pile_take(scene->server, LANE_CLIENTS, clock_now_us() + 1000, &now_us));
    cr_assert_gt(given, 0);
    cr_assert_lt(given, HUGE_COUNT);
}

/* What it has made is there when it has gone. */
Test(applier, ends_also_where_it_waits)
{
    play_with(&HUGE_ANSWERS, ask_and_take_nothing);
}

/* ---- Replies by hand ---- */

static void reply_by_hand(struct scene *scene)
{
    int64_t now_us;
    struct mailraft_buffer bytes = {.bytes = NULL};
    mailraft_buffer_put(&bytes, "no", 2);
    applier_reply(&(struct proposer){.pile = scene->client, .number = 9}, OUTCOME_REFUSED, 0, NO_ONE, &bytes);
    cr_assert_null(bytes.bytes, "they are the letter's now");
    struct letter *letter = pile_try(scene->client, LANE_INNER, &now_us);
    cr_assert_eq(letter->number, 9);
    cr_assert_eq(letter->reply.outcome, OUTCOME_REFUSED);
    cr_assert_arr_eq(letter->reply.bytes.bytes, "no", 2);
    letter_free(letter);
    mailraft_buffer_put(&bytes, "no", 2);
    applier_reply(&(struct proposer){.pile = NULL, .number = 9}, OUTCOME_REFUSED, 0, NO_ONE, &bytes);
    cr_assert_not_null(bytes.bytes, "nobody waits: they stay the caller's");
    buffer_fini(&bytes);
    expect_no_reply(scene);
}

Test(applier, a_reply_takes_its_bytes_along)
{
    play(reply_by_hand);
}
