#include "sim/store_model.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

#define UNKNOWN LINEARIZABLE_UNKNOWN

static const struct store_call *calls[1];
static struct store_history history = {calls, 1};
static struct linearizable_model model;
static void *state;
static int64_t now_us;

static void begin(void)
{
    model = store_model(&history);
    state = calloc(1, model.state_size);
    model.begin(model.context, state);
    now_us = 1000;
}

static void end(void)
{
    free(state);
}

TestSuite(store_model, .init = begin, .fini = end);

/* Whether it can happen next, with these keys gone by themselves before. */
static bool happens_when(const struct store_call *call, unsigned gone)
{
    bool good;
    void *before = malloc(model.state_size);

    calls[0] = call;
    memcpy(before, state, model.state_size);
    good = model.step(model.context, state, 0, gone);
    if (!good)
        memcpy(state, before, model.state_size);
    free(before);
    return good;
}

static bool happens(const struct store_call *call)
{
    return happens_when(call, 0);
}

static struct store_call call_of(enum store_call_kind kind)
{
    now_us += 10;
    return (struct store_call){.called_us = now_us, .returned_us = now_us + 5, .kind = kind, .gone_by_us = STORE_NEVER};
}

static void add(struct store_call *call, enum store_verb verb, int key, const char *word, struct store_answer answer)
{
    size_t i = call->deed_count++;

    call->deeds[i].verb = verb;
    call->deeds[i].key = key;
    strcpy(call->deeds[i].word, word);
    call->answers[i] = answer;
}

static struct store_call plain(enum store_verb verb, int key, const char *word, struct store_answer answer)
{
    struct store_call call = call_of(STORE_PLAIN);

    add(&call, verb, key, word, answer);
    return call;
}

static struct store_answer text(const char *bytes)
{
    struct store_answer answer = {.kind = STORE_TEXT};

    answer.text.size = strlen(bytes);
    memcpy(answer.text.bytes, bytes, answer.text.size);
    return answer;
}

static struct store_answer number(int64_t number)
{
    return (struct store_answer){.kind = STORE_NUMBER, .number = number};
}

static const struct store_answer NIL = {.kind = STORE_NIL}, FINE = {.kind = STORE_FINE}, WRONG = {.kind = STORE_WRONG};

#define HAPPENS(...) cr_assert(happens(&(struct store_call[]){plain(__VA_ARGS__)}[0]))
#define CANNOT(...)  cr_assert_not(happens(&(struct store_call[]){plain(__VA_ARGS__)}[0]))

Test(store_model, a_key_holds_what_was_set)
{
    HAPPENS(STORE_GET, 0, "", NIL);
    HAPPENS(STORE_SET, 0, "a", FINE);
    CANNOT(STORE_GET, 0, "", NIL);
    CANNOT(STORE_GET, 0, "", text("b"));
    CANNOT(STORE_GET, 0, "", text("ab"));
    HAPPENS(STORE_GET, 0, "", text("a"));
    HAPPENS(STORE_GET, 1, "", NIL);
}

Test(store_model, setnx_sets_what_is_absent)
{
    CANNOT(STORE_SETNX, 0, "a", number(0));
    HAPPENS(STORE_SETNX, 0, "a", number(1));
    CANNOT(STORE_SETNX, 0, "b", number(1));
    HAPPENS(STORE_SETNX, 0, "b", number(0));
    HAPPENS(STORE_GET, 0, "", text("a"));
}

Test(store_model, incr_counts_from_zero_and_takes_only_numbers)
{
    static const char *const NO_NUMBERS[] = {"a", "01", "+1", " 1", "1 ", "-0", "1a", "123456789012345678901234"};

    HAPPENS(STORE_INCR, 0, "", number(1));
    CANNOT(STORE_INCR, 0, "", number(3));
    HAPPENS(STORE_INCR, 0, "", number(2));
    HAPPENS(STORE_GET, 0, "", text("2"));
    HAPPENS(STORE_SET, 0, "-1", FINE);
    HAPPENS(STORE_INCR, 0, "", number(0));
    for (size_t i = 0; i < sizeof NO_NUMBERS / sizeof *NO_NUMBERS; i++) {
        struct store_call call = plain(STORE_SET, 0, "", FINE);

        strncpy(call.deeds[0].word, NO_NUMBERS[i], STORE_WORD_MAX - 1);
        cr_assert(happens(&call));
        CANNOT(STORE_INCR, 0, "", number(2));
        HAPPENS(STORE_INCR, 0, "", WRONG);
    }
}

Test(store_model, append_makes_longer)
{
    HAPPENS(STORE_APPEND, 1, "1", number(1));
    CANNOT(STORE_APPEND, 1, "2", number(1));
    HAPPENS(STORE_APPEND, 1, "2", number(2));
    HAPPENS(STORE_INCR, 1, "", number(13));
}

Test(store_model, del_and_getdel_take_away)
{
    HAPPENS(STORE_DEL, 0, "", number(0));
    HAPPENS(STORE_GETDEL, 0, "", NIL);
    HAPPENS(STORE_SET, 0, "a", FINE);
    CANNOT(STORE_DEL, 0, "", number(0));
    HAPPENS(STORE_DEL, 0, "", number(1));
    HAPPENS(STORE_SET, 0, "b", FINE);
    CANNOT(STORE_GETDEL, 0, "", text("a"));
    HAPPENS(STORE_GETDEL, 0, "", text("b"));
    HAPPENS(STORE_GET, 0, "", NIL);
}

Test(store_model, what_nobody_was_told_of_fits_any_state)
{
    struct store_call call = plain(STORE_INCR, 0, "", number(77));

    call.returned_us = UNKNOWN;
    cr_assert(happens(&call));
    HAPPENS(STORE_GET, 0, "", text("1"));
}

Test(store_model, equal_states_have_equal_bytes)
{
    void *empty = malloc(model.state_size);

    memcpy(empty, state, model.state_size);
    HAPPENS(STORE_SET, 0, "long", FINE);
    HAPPENS(STORE_SET, 0, "a", FINE);
    HAPPENS(STORE_APPEND, 0, "bc", number(3));
    HAPPENS(STORE_DEL, 0, "", number(1));
    cr_assert_arr_eq(state, empty, model.state_size);
    free(empty);
}

/* ---- Transactions ---- */

Test(store_model, a_transaction_happens_at_once)
{
    struct store_call call = call_of(STORE_TRANSACTION);

    add(&call, STORE_INCR, 0, "", number(1));
    add(&call, STORE_GET, 0, "", text("1"));
    add(&call, STORE_SET, 1, "a", FINE);
    cr_assert(happens(&call));
    cr_assert_not(happens(&call)); /* INCR would say 2 */
    HAPPENS(STORE_GET, 1, "", text("a"));
}

static struct store_call watch_of(unsigned slot, unsigned watched)
{
    struct store_call call = call_of(STORE_WATCH);

    call.slot = slot;
    call.watched = watched;
    return call;
}

static struct store_call transaction_of(unsigned slot, unsigned watched, bool aborted)
{
    struct store_call call = call_of(STORE_TRANSACTION);

    call.slot = slot;
    call.watched = watched;
    call.aborted = aborted;
    add(&call, STORE_SET, 1, "t", FINE);
    return call;
}

Test(store_model, a_transaction_is_carried_out_only_if_what_it_watches_has_not_changed)
{
    struct store_call watch = watch_of(3, 1), done = transaction_of(3, 1, false), aborted = transaction_of(3, 1, true);

    cr_assert_not(happens(&done)); /* nothing is watched */
    HAPPENS(STORE_SET, 0, "a", FINE);
    cr_assert(happens(&watch));
    HAPPENS(STORE_GET, 0, "", text("a"));
    HAPPENS(STORE_SET, 1, "b", FINE); /* another key */
    cr_assert_not(happens(&aborted));
    cr_assert(happens(&done));
    cr_assert_not(happens(&done)); /* the watch is used up */
    cr_assert(happens(&watch));
    HAPPENS(STORE_SET, 0, "a", FINE); /* the same bytes, and yet a change */
    cr_assert_not(happens(&done));
    cr_assert(happens(&aborted));
    HAPPENS(STORE_GET, 1, "", text("t"));
}

Test(store_model, each_slot_watches_for_itself)
{
    struct store_call one = watch_of(1, 3), two = watch_of(2, 2);
    struct store_call one_done = transaction_of(1, 3, false), two_done = transaction_of(2, 2, false);

    HAPPENS(STORE_SET, 0, "a", FINE);
    HAPPENS(STORE_SET, 1, "b", FINE);
    cr_assert(happens(&one));
    cr_assert(happens(&two));
    cr_assert(happens(&one_done)); /* it changes what the other watches */
    cr_assert_not(happens(&two_done));
}

Test(store_model, every_slot_has_watches_of_its_own)
{
    HAPPENS(STORE_SET, 0, "a", FINE);
    for (unsigned slot = 0; slot < STORE_SLOTS; slot++) {
        struct store_call watch = watch_of(slot, 1);

        cr_assert(happens(&watch));
    }
    for (unsigned slot = 0; slot < STORE_SLOTS; slot++) {
        struct store_call done = transaction_of(slot, 1, false);

        cr_assert(happens(&done));
        cr_assert_not(happens(&done));
    }
}

Test(store_model, a_key_that_is_absent_may_seem_changed)
{
    struct store_call watch = watch_of(1, 1), aborted = transaction_of(1, 1, true), done = transaction_of(1, 1, false);

    cr_assert(happens(&watch));
    cr_assert(happens(&aborted));
    cr_assert(happens(&watch));
    cr_assert(happens(&done));
}

Test(store_model, a_transaction_whose_watch_failed_is_never_carried_out)
{
    struct store_call aborted = transaction_of(1, 1, true), done = transaction_of(1, 1, false);

    HAPPENS(STORE_SET, 0, "a", FINE);
    aborted.watch_failed = done.watch_failed = true;
    cr_assert_not(happens(&done));
    cr_assert(happens(&aborted));
}

/* ---- Time ---- */

static struct store_call set_for(int64_t span_us, int64_t gone_by_us)
{
    struct store_call call = plain(STORE_SET, 0, "a", FINE);

    call.deeds[0].span_us = span_us;
    call.gone_by_us = gone_by_us;
    return call;
}

static bool is_read_at(int64_t called_us, struct store_answer answer, unsigned gone)
{
    struct store_call call = plain(STORE_GET, 0, "", answer);

    call.called_us = called_us;
    call.returned_us = called_us + 100;
    return happens_when(&call, gone);
}

Test(store_model, a_key_that_expires_is_gone_neither_too_early_nor_too_late)
{
    struct store_call set = set_for(100000, 300000);
    int64_t from_us = set.called_us + 90000; /* by the fastest clock */

    cr_assert(happens(&set));
    cr_assert_not(is_read_at(from_us - 101, NIL, 1));
    cr_assert_not(is_read_at(from_us, NIL, 0)); /* it is there, then */
    cr_assert(is_read_at(300000, text("a"), 0));
    cr_assert_not(is_read_at(300001, text("a"), 0));
    cr_assert(is_read_at(from_us - 100, NIL, 1));
    cr_assert_not(is_read_at(from_us, NIL, 1)); /* once */
    cr_assert(is_read_at(from_us, NIL, 0));
}

Test(store_model, one_that_was_set_without_an_end_does_not_expire)
{
    struct store_call set = set_for(100000, 300000);

    cr_assert(happens(&set));
    HAPPENS(STORE_SET, 0, "b", FINE);
    cr_assert_not(is_read_at(10000000, NIL, 1));
    cr_assert(is_read_at(10000000, text("b"), 0));
}

Test(store_model, what_is_appended_or_counted_leaves_the_end_as_it_is)
{
    struct store_call set = set_for(100000, 300000);

    strcpy(set.deeds[0].word, "1");
    cr_assert(happens(&set));
    HAPPENS(STORE_APPEND, 0, "2", number(2));
    HAPPENS(STORE_INCR, 0, "", number(13));
    cr_assert_not(is_read_at(300001, text("13"), 0));
    cr_assert(is_read_at(300001, NIL, 1));
}

Test(store_model, time_makes_no_difference_to_keys_that_a_call_is_not_about)
{
    struct store_call set = set_for(100000, 300000), other = plain(STORE_GET, 1, "", NIL);

    cr_assert(happens(&set));
    other.called_us = 400000;
    other.returned_us = 400001;
    cr_assert_not(happens_when(&other, 1));
    cr_assert(happens_when(&other, 0));
}

/* ---- Telling ---- */

Test(store_model, a_call_tells_all_of_itself)
{
    struct store_call call = call_of(STORE_TRANSACTION);
    char told[STORE_CALL_TEXT_MAX];

    add(&call, STORE_SET, 1, "<7>", FINE);
    call.deeds[0].span_us = 5000;
    add(&call, STORE_GET, 1, "", text("<7>"));
    add(&call, STORE_INCR, 0, "", WRONG);
    add(&call, STORE_DEL, 0, "", number(1));
    call.client = 4;
    call.slot = 63;
    call.watched = 2;
    cr_assert_str_eq(store_call_describe(&call, told, sizeof told),
                     "1010 to 1015 transaction of 4 watched=2 in slot 63 SET 1 <7> for 5000 us GET 1 INCR 0 DEL 0 -> OK "
                     "\"<7>\" error 1");
    call.aborted = true;
    cr_assert_not_null(strstr(store_call_describe(&call, told, sizeof told), " -> aborted"));
    call.returned_us = UNKNOWN;
    cr_assert_not_null(strstr(store_call_describe(&call, told, sizeof told), "1010 to ? "));
    cr_assert_not_null(strstr(told, " -> unknown"));
    store_call_describe(&call, told, 20);
    cr_assert_eq(strlen(told), 19u);
}
