#include "base/letter.h"

#include <string.h>

#include "base/credit.h"
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
