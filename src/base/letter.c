#include "base/letter.h"

#include "base/credit.h"
#include "base/memory.h"

struct letter *letter_new(enum letter_kind kind)
{
    struct letter *letter = memory_new(sizeof *letter);

    letter->kind = kind;
    return letter;
}

void letter_free(struct letter *letter)
{
    if (letter == NULL)
        return;
    if (letter->credit != NULL)
        credit_give(letter->credit, letter->credit_bytes);
    if (letter->kind == LETTER_STORAGE_FAILED)
        memory_free(letter->error);
    memory_free(letter);
}
