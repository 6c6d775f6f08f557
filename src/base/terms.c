#include "base/terms.h"

#include <assert.h>

#include "base/memory.h"

void terms_init(struct terms *terms)
{
    *terms = (struct terms){.count = 0};
}

void terms_fini(struct terms *terms)
{
    memory_free(terms->list);
    terms_init(terms);
}

void terms_add(struct terms *terms, raft_index index, raft_term term)
{
    assert(index == terms->last_index + 1);         /* no gaps */
    assert(term > 0 && term >= terms_last(terms)); /* terms never go back */
    terms->last_index = index;
    if (term == terms_last(terms))
        return;
    if (terms->count == terms->room) {
        terms->room = terms->room == 0 ? 8 : 2 * terms->room;
        terms->list = memory_resize(terms->list, terms->room * sizeof *terms->list);
    }
    terms->list[terms->count++] = (struct term_start){term, index};
}

void terms_cut(struct terms *terms, raft_index last_index)
{
    if (last_index >= terms->last_index)
        return;
    terms->last_index = last_index;
    while (terms->count > 0 && terms->list[terms->count - 1].first > last_index)
        terms->count--;
}

/* How many of the records begin at or before index: the one before that place holds it. */
static size_t place_of(const struct terms *terms, raft_index index)
{
    size_t low = 0, high = terms->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (terms->list[middle].first <= index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

raft_term terms_at(const struct terms *terms, raft_index index)
{
    if (index == 0 || index > terms->last_index)
        return 0;
    return terms->list[place_of(terms, index) - 1].term;
}

raft_term terms_last(const struct terms *terms)
{
    return terms->count == 0 ? 0 : terms->list[terms->count - 1].term;
}

raft_index terms_first_of(const struct terms *terms, raft_index index)
{
    assert(index > 0 && index <= terms->last_index);
    return terms->list[place_of(terms, index) - 1].first;
}

raft_index terms_last_of(const struct terms *terms, raft_term term)
{
    for (size_t i = 0; i < terms->count; i++) /* few: one a term */
        if (terms->list[i].term > term)
            return terms->list[i].first - 1;
    return terms->last_index;
}
