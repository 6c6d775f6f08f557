#include "base/memory.h"

#include <stdlib.h>
#include <unistd.h>

/* Nothing here may need memory: neither stdio nor exit handlers. */
static void memory_out(void)
{
    static const char text[] = "mailraftd: out of memory\n";
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);

    (void)written;
    _exit(1);
}

void *memory_new(size_t size)
{
    void *memory = calloc(1, size > 0 ? size : 1);

    if (memory == NULL)
        memory_out();
    return memory;
}

void *memory_resize(void *memory, size_t size)
{
    void *resized = realloc(memory, size > 0 ? size : 1);

    if (resized == NULL)
        memory_out();
    return resized;
}

void memory_free(void *memory)
{
    free(memory);
}
