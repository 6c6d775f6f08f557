#include "base/letter.h"

#include <string.h>

#include "base/credit.h"
#include "base/memory.h"
#include "check.h"

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
    struct letter *propose = letter_new(LETTER_PROPOSE);
    mailraft_buffer_put(&propose->request, "x", 1);
    letter_free(propose);
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
    for (int kind = LETTER_STOP; kind <= LETTER_REPLY; kind++) {
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
