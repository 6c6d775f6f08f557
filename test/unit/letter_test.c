#include "base/letter.h"

#include <string.h>

#include "base/credit.h"
#include "base/memory.h"
#include "check.h"

/* ---- Lists ---- */

static void add_numbered(struct letter_list *list, uint64_t number)
{
    struct letter *letter = letter_new(LETTER_STOP);

    letter->number = number;
    letter_list_add(list, letter);
}

/* 0: there was none. */
static uint64_t take_numbered(struct letter_list *list)
{
    struct letter *letter = letter_list_take(list);
    uint64_t number = 0;

    if (letter == NULL)
        return 0;
    cr_assert_null(letter->next);
    number = letter->number;
    letter_free(letter);
    return number;
}

Test(letter, a_list_gives_the_oldest_first)
{
    struct letter_list list = {0};

    for (uint64_t number = 1; number <= 5; number++)
        add_numbered(&list, number);
    for (uint64_t number = 1; number <= 3; number++)
        cr_assert_eq(take_numbered(&list), number);
    add_numbered(&list, 6);
    for (uint64_t number = 4; number <= 6; number++)
        cr_assert_eq(take_numbered(&list), number);
    cr_assert_eq(take_numbered(&list), 0u);
}

Test(letter, an_empty_list_can_be_filled_again)
{
    struct letter_list list = {0};

    cr_assert_null(letter_list_take(&list));
    for (uint64_t number = 1; number <= 3; number++) {
        add_numbered(&list, number);
        cr_assert_eq(take_numbered(&list), number);
        cr_assert_eq(take_numbered(&list), 0u);
    }
}

Test(letter, one_that_comes_from_another_list_ends_the_one_it_is_added_to)
{
    struct letter_list from = {0}, to = {0};

    add_numbered(&from, 1);
    add_numbered(&from, 2);
    letter_list_add(&to, letter_list_take(&from));
    cr_assert_eq(take_numbered(&to), 1u);
    cr_assert_eq(take_numbered(&to), 0u);
    cr_assert_eq(take_numbered(&from), 2u);
}

/* ---- Letters ---- */

Test(letter, a_new_letter_is_zeroed_but_for_its_kind)
{
    struct letter *letter = letter_new(LETTER_MESSAGE);
    struct message nothing;

    memset(&nothing, 0, sizeof nothing);
    cr_assert_eq(letter->kind, LETTER_MESSAGE);
    cr_assert_eq(letter->number, 0);
    cr_assert_null(letter->credit);
    cr_assert_null(letter->next);
    cr_assert_arr_eq(&letter->message, &nothing, sizeof nothing);
    letter_free(letter);
}

Test(letter, freeing_no_letter_is_fine)
{
    letter_free(NULL);
}

Test(letter, freeing_one_gives_its_credit_back, .timeout = 30)
{
    struct credit *credit = credit_new(10);
    struct letter *letter = letter_new(LETTER_MESSAGE);

    cr_assert(credit_take(credit, 10));
    letter->credit = credit;
    letter->credit_bytes = 10;
    letter_free(letter);
    cr_assert(credit_take(credit, 1)); /* would wait for ever otherwise */
    credit_free(credit);
}

/* ---- What letters own: the address sanitizer sees what is forgotten, or freed twice ---- */

static struct batch *batch_of_two(void)
{
    struct batch *batch = batch_new();
    batch_add(batch, entry_new(ENTRY_COMMAND, 1, 1, 0, "a", 1));
    batch_add(batch, entry_new(ENTRY_COMMAND, 1, 2, 0, "b", 1));
    return batch;
}

Test(letter, freeing_one_frees_its_entries_whatever_its_kind)
{
    static const enum letter_kind KINDS[] = {LETTER_MESSAGE, LETTER_SAVE_ENTRIES, LETTER_ENTRIES_READ, LETTER_APPLY};
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        struct letter *letter = letter_new(KINDS[i]);
        letter->entries = batch_of_two();
        letter_free(letter);
    }
}

Test(letter, what_somebody_else_holds_of_its_entries_stays)
{
    struct letter *letter = letter_new(LETTER_SAVE_ENTRIES);
    letter->entries = batch_of_two();
    struct entry *entry = entry_hold(letter->entries->list[1]);
    letter_free(letter);
    cr_assert_eq(entry->index, 2);
    entry_drop(entry);
}

Test(letter, freeing_one_frees_what_only_its_kind_owns)
{
    static const enum letter_kind ERRORS[] = {LETTER_STORAGE_WARNED, LETTER_STORAGE_FAILED, LETTER_FILE_MADE};
    for (size_t i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++) {
        struct letter *letter = letter_new(ERRORS[i]);
        letter->error = memory_new(sizeof *letter->error);
        letter_free(letter);
        letter_free(letter_new(ERRORS[i])); /* without one */
    }
    static const enum letter_kind REQUESTS[] = {LETTER_PROPOSE, LETTER_READ, LETTER_READ_EARLY, LETTER_QUERY};
    for (size_t i = 0; i < sizeof REQUESTS / sizeof *REQUESTS; i++) {
        struct letter *letter = letter_new(REQUESTS[i]);
        mailraft_buffer_put(&letter->request, "x", 1);
        letter_free(letter);
    }
    struct letter *message = letter_new(LETTER_MESSAGE);
    mailraft_buffer_put(&message->body, "x", 1);
    letter_free(message);
    struct letter *status = letter_new(LETTER_STATUS);
    status->status = memory_new(sizeof *status->status);
    letter_free(status);
    struct letter *apply = letter_new(LETTER_APPLY);
    apply->waits = memory_new(sizeof *apply->waits);
    apply->wait_count = 1;
    letter_free(apply);
    struct letter *reply = letter_new(LETTER_REPLY);
    mailraft_buffer_put(&reply->reply.bytes, "x", 1);
    letter_free(reply);
}

/* Whatever its contents say, one of any other kind owns no more than its entries. */
Test(letter, values_are_not_taken_for_what_is_owned)
{
    for (int kind = LETTER_STOP; kind <= LETTER_STATUS; kind++) {
        struct letter *letter = letter_new((enum letter_kind)kind);
        if (kind == LETTER_MESSAGE || kind == LETTER_CONNECTED || kind == LETTER_DISCONNECTED ||
            kind == LETTER_REACHED || kind == LETTER_LOST)
            memset(&letter->link, 0xab, sizeof letter->link);
        if (kind == LETTER_BALLOT_SAVED || kind == LETTER_SAVE_BALLOT)
            memset(&letter->ballot, 0xab, sizeof letter->ballot);
        if (kind == LETTER_UUID_SAVED || kind == LETTER_SAVE_UUID)
            memset(&letter->cluster_uuid, 0xab, sizeof letter->cluster_uuid);
        if (kind == LETTER_READ_ENTRIES)
            memset(&letter->range, 0xab, sizeof letter->range);
        if (kind == LETTER_APPLIED)
            memset(&letter->applied, 0xab, sizeof letter->applied);
        letter_free(letter);
    }
}

Test(letter, freeing_what_storage_holds_frees_all_of_it)
{
    struct letter *letter = letter_new(LETTER_STORAGE_OPENED);
    letter->opened = memory_new(sizeof *letter->opened);
    terms_add(&letter->opened->terms, 1, 1);
    catalog_add(&letter->opened->catalog,
                &(struct run){.first = 1, .last = 1, .file = 1, .offset = 8192, .bytes = 512});
    letter->opened->tail = batch_of_two();
    letter->opened->configs = memory_new(sizeof *letter->opened->configs);
    letter->opened->configs[letter->opened->config_count++] = entry_hold(letter->opened->tail->list[0]);
    letter_free(letter);
}

Test(letter, storage_that_holds_nothing_has_nothing_to_free)
{
    struct letter *letter = letter_new(LETTER_STORAGE_OPENED);
    letter_free(letter);
    letter = letter_new(LETTER_STORAGE_OPENED);
    letter->opened = memory_new(sizeof *letter->opened);
    letter_free(letter);
}
