#include "sim/history.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

#define CALM   100000000
#define GROUPS 2

static struct history *history;

static void begin(void)
{
    history = history_new(GROUPS);
}

static void end(void)
{
    history_free(history);
}

TestSuite(history, .init = begin, .fini = end, .timeout = 60);

static struct record *add(int group, enum store_verb verb, const char *word, int64_t called_us)
{
    struct record *record = history_add(history, group, called_us, NULL);
    struct store_deed *deed = &record->call.deeds[record->call.deed_count++];

    deed->verb = verb;
    strcpy(deed->word, word);
    return record;
}

static void told(struct record *record, enum store_answer_kind kind, int64_t number, int64_t returned_us)
{
    record->call.answers[0].kind = kind;
    record->call.answers[0].number = number;
    record->call.returned_us = returned_us;
}

static void read_text(struct record *record, const char *text, int64_t returned_us)
{
    told(record, STORE_TEXT, 0, returned_us);
    record->call.answers[0].text.size = strlen(text);
    memcpy(record->call.answers[0].text.bytes, text, strlen(text));
}

Test(history, what_can_be_so_passes_and_what_cannot_does_not)
{
    told(add(0, STORE_SET, "<1>", 10), STORE_FINE, 0, 20);
    told(add(1, STORE_GET, "", 30), STORE_NIL, 0, 40); /* other keys */
    cr_assert(history_check(history, CALM));
    cr_assert_eq(history_count(history), 2u);
    told(add(0, STORE_GET, "", 50), STORE_NIL, 0, 60);
    cr_assert_not(history_check(history, CALM), "an acknowledged write is lost");
}

Test(history, what_was_refused_was_not_carried_out)
{
    struct record *refused = add(0, STORE_SET, "<1>", 10), *read = add(0, STORE_GET, "", 30);

    refused->refused = true;
    told(read, STORE_NIL, 0, 40);
    cr_assert(history_check(history, CALM));
    read_text(read, "<1>", 40);
    cr_assert_not(history_check(history, CALM));
}

Test(history, what_nobody_knows_may_have_been_carried_out_once)
{
    struct record *read;

    add(0, STORE_INCR, "", 10);
    read = add(0, STORE_GET, "", 30);
    told(read, STORE_NIL, 0, 40);
    cr_assert(history_check(history, CALM));
    read_text(read, "1", 40);
    cr_assert(history_check(history, CALM));
    read_text(read, "2", 40);
    cr_assert_not(history_check(history, CALM), "it was carried out twice");
}

Test(history, a_transaction_that_was_lost_with_its_watch_may_have_been_carried_out)
{
    struct record *watch = history_add(history, 0, 10, NULL), *transaction = add(0, STORE_SET, "<1>", 10), *read;

    watch->call.kind = STORE_WATCH;
    watch->call.watched = transaction->call.watched = 1;
    transaction->call.kind = STORE_TRANSACTION;
    transaction->watch = watch;
    read = add(0, STORE_GET, "", 30);
    read_text(read, "<1>", 40);
    cr_assert(history_check(history, CALM));
}

Test(history, an_answer_that_is_anothers_does_not_pass)
{
    told(add(0, STORE_INCR, "", 10), STORE_NUMBER, 1, 20);
    told(add(0, STORE_INCR, "", 30), STORE_NUMBER, 1, 40);
    cr_assert_not(history_check(history, CALM));
}

Test(history, over_one_connection_all_happens_in_order)
{
    struct record *set = add(0, STORE_SET, "<1>", 10), *read = add(0, STORE_GET, "", 10);

    told(set, STORE_FINE, 0, 20);
    told(read, STORE_NIL, 0, 20);
    cr_assert(history_check(history, CALM));
    read->before = set;
    cr_assert_not(history_check(history, CALM));
    read->before = add(0, STORE_GET, "", 10); /* of which nothing is known: the one before that counts */
    ((struct record *)read->before)->before = set;
    cr_assert_not(history_check(history, CALM));
}

Test(history, in_the_calm_a_key_is_gone_when_its_time_is_over)
{
    struct record *set = add(0, STORE_SET, "<1>", 10), *read = add(0, STORE_GET, "", CALM + 3000000);

    set->call.deeds[0].span_us = 300000;
    told(set, STORE_FINE, 0, 20);
    read_text(read, "<1>", CALM + 3000001);
    cr_assert_not(history_check(history, CALM));
    cr_assert(history_check(history, CALM + 3000000), "before the calm, who knows");
    told(read, STORE_NIL, 0, CALM + 3000001);
    read->call.answers[0].text.size = 0;
    cr_assert(history_check(history, CALM));
}

Test(history, a_group_is_full_when_too_much_of_it_is_lost_or_there_is_too_much)
{
    for (int i = 0; i < 7; i++)
        history_lose(history, add(0, STORE_INCR, "", 10));
    for (int i = 0; i < 20; i++)
        history_lose(history, add(0, STORE_GET, "", 10)); /* that it was lost makes no difference */
    cr_assert_not(history_is_full(history, 0));
    history_lose(history, add(0, STORE_DEL, "", 10));
    cr_assert(history_is_full(history, 0));
    cr_assert_not(history_is_full(history, 1));
    for (int i = 0; i < 300; i++)
        add(1, STORE_GET, "", 10);
    cr_assert(history_is_full(history, 1));
}

Test(history, a_group_is_busy_while_much_of_it_has_no_answer_yet)
{
    const struct record *records[8];

    for (int i = 0; i < 8; i++) {
        cr_assert_not(history_is_busy(history, 0));
        records[i] = add(0, STORE_INCR, "", 10);
    }
    cr_assert(history_is_busy(history, 0));
    cr_assert_not(history_is_full(history, 0));
    history_end(history, records[0]);
    cr_assert_not(history_is_busy(history, 0));
}

Test(history, it_is_written_a_line_a_call)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    told(add(0, STORE_INCR, "", 10), STORE_NUMBER, 1, 20);
    add(1, STORE_SET, "<1>", 30)->refused = true;
    history_write(history, out);
    fclose(out);
    cr_assert_str_eq(text, "0: 10 to 20 plain of 0 INCR 0 -> 1\n1: 30 to ? plain of 0 SET 0 <1> -> unknown, refused\n");
    free(text);
}
