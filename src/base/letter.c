#include "base/letter.h"

#include "base/credit.h"
#include "base/memory.h"

void letter_list_add(struct letter_list *list, struct letter *letter)
{
    letter->next = NULL;
    if (list->first == NULL)
        list->first = letter;
    else
        list->last->next = letter;
    list->last = letter;
}

struct letter *letter_list_take(struct letter_list *list)
{
    struct letter *letter = list->first;

    if (letter == NULL)
        return NULL;
    list->first = letter->next;
    letter->next = NULL;
    return letter;
}

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
    case LETTER_MESSAGE:
        buffer_fini(&letter->body);
        break;
    case LETTER_PROPOSE:
    case LETTER_READ:
    case LETTER_READ_EARLY:
    case LETTER_QUERY:
        buffer_fini(&letter->request);
        break;
    case LETTER_APPLY:
        memory_free(letter->waits);
        break;
    case LETTER_REPLY:
        buffer_fini(&letter->reply.bytes);
        break;
    case LETTER_STATUS:
        memory_free(letter->status);
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
