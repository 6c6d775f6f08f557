/* terms.h - which term each entry of a log has: one record a term, since terms never go back along a log.
 *
 * Threads:   its owner's alone. */
#ifndef BASE_TERMS_H
#define BASE_TERMS_H

#include "base/message.h"

struct term_start {
    raft_term term;
    raft_index first; /* of its entries */
};

struct terms {
    size_t count, room;
    struct term_start *list; /* both fields grow along it */
    raft_index last_index;   /* 0: no entries */
};

void terms_init(struct terms *terms);
void terms_fini(struct terms *terms);

/* index: last_index + 1; term: not below the last one's. */
void terms_add(struct terms *terms, raft_index index, raft_term term);
void terms_cut(struct terms *terms, raft_index last_index); /* forgets all after it; beyond the end: nothing */

/* The term of an entry; 0 for index 0 and for one beyond the last. */
raft_term terms_at(const struct terms *terms, raft_index index);
raft_term terms_last(const struct terms *terms); /* of the last entry; 0: none */

/* The first entry of the term that the entry at index, which is there, has. */
raft_index terms_first_of(const struct terms *terms, raft_index index);

/* The last entry whose term is not above term; 0: none. */
raft_index terms_last_of(const struct terms *terms, raft_term term);

#endif
