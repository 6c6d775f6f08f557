/* judy_memory.c - where Judy arrays (libJudy) take their memory: base/memory.h instead of malloc(3), so that a memory
 * that is out ends the process in one place, and a simulated node that dies leaves nothing behind.
 *
 * Judy calls these four by their public names, shared or static: whoever links with it may define his own. */
#include <Judy.h>

#include "base/memory.h"

/* The number of words given: as many as asked for, which is not zeroed. */
Word_t JudyMalloc(Word_t words)
{
    return (Word_t)memory_resize(NULL, words * sizeof(Word_t));
}

void JudyFree(Pvoid_t memory, Word_t words)
{
    (void)words;
    memory_free(memory);
}

/* Virtual: what is large, and may be slow to reach. No difference here. */
Word_t JudyMallocVirtual(Word_t words)
{
    return JudyMalloc(words);
}

void JudyFreeVirtual(Pvoid_t memory, Word_t words)
{
    JudyFree(memory, words);
}
