#include "base/letter.h"

#include "base/credit.h"
#include "base/memory.h"

struct letter *letter_new(enum letter_kind kind)
{
    struct letter *letter = memory_new(sizeof *letter);

    letter->kind = kind;
    return letter;
}

void storage_opened_free(struct storage_opened *opened)
{
    if (opened == NULL)
        return;
    terms_fini(&opened->terms);
    catalog_fini(&opened->catalog);
    batch_free(opened->tail);
    for (size_t i = 0; i < opened->config_count; i++)
        entry_drop(opened->configs[i]);
    memory_free(opened->configs);
    memory_free(opened);
}

/* What only letters of this kind own. */
static void free_contents(struct letter *letter)
{
    switch (letter->kind) {
    case LETTER_STORAGE_OPENED:
        storage_opened_free(letter->opened);
        break;
    case LETTER_STORAGE_WARNED:
    case LETTER_STORAGE_FAILED:
    case LETTER_FILE_MADE:
        memory_free(letter->error);
        break;
    case LETTER_PROPOSE:
        buffer_fini(&letter->request);
        break;
    case LETTER_APPLY:
        memory_free(letter->waits);
        break;
    case LETTER_REPLY:
        buffer_fini(&letter->reply.bytes);
        break;
    default: /* values only */
        break;
    }
}

void letter_free(struct letter *letter)
{
    if (letter == NULL)
        return;
    if (letter->credit != NULL)
        credit_give(letter->credit, letter->credit_bytes);
    batch_free(letter->entries);
    free_contents(letter);
    memory_free(letter);
}
