/* memory.h - the heap. One of the headers that the simulator replaces (it frees what a dead node leaves behind).
 *
 * Ownership: what memory_new gives is returned with memory_free, by whoever the letter, list or struct says.
 * Errors:    none reach the caller: when memory is out the process ends with status 1 and one line on stderr. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>

void *memory_new(size_t size);                   /* size bytes, zeroed */
void *memory_resize(void *memory, size_t size);  /* like realloc; what is added is not zeroed */
void memory_free(void *memory);                  /* NULL is fine */

#endif
