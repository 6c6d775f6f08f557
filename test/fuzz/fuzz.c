#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/entry.h"
#include "base/memory.h"

static struct fuzz_mark *marks;

uint64_t fuzz_take(struct fuzz_input *input, size_t bytes)
{
    uint64_t number = 0;

    for (size_t i = 0; i < bytes && input->left > 0; i++) {
        number |= (uint64_t)*input->at++ << (8 * i);
        input->left--;
    }
    return number;
}

const uint8_t *fuzz_take_bytes(struct fuzz_input *input, size_t *size)
{
    const uint8_t *at = input->at;

    *size = *size < input->left ? *size : input->left;
    input->at += *size;
    input->left -= *size;
    return at;
}

uint8_t *fuzz_copy(const void *bytes, size_t size)
{
    uint8_t *copy = memory_resize(NULL, size);

    if (size > 0)
        memcpy(copy, bytes, size);
    return copy;
}

/* ---- Marks ---- */

static void tell_marks(void)
{
    bool missed = false;

    for (const struct fuzz_mark *mark = marks; mark != NULL; mark = mark->next) {
        fprintf(stderr, "reached %llu times: %s\n", (unsigned long long)mark->times, mark->what);
        missed |= mark->times == 0;
    }
    if (missed && getenv("FUZZ_ALL_REACHED") != NULL)
        _exit(EXIT_FAILURE);
}

void fuzz_mark_register(struct fuzz_mark *mark)
{
    if (marks == NULL)
        atexit(tell_marks);
    mark->next = marks;
    marks = mark;
}

/* ---- Mending ---- */

void fuzz_mend_entries(uint8_t *bytes, size_t size, bool lengths)
{
    while (size >= ENTRY_HEAD_BYTES) {
        uint32_t length = bytes_get_u32(bytes + 8);
        if (length < ENTRY_HEAD_BYTES || length > size) {
            if (!lengths)
                return;
            length = (uint32_t)size;
            bytes_put_u32(bytes + 8, length);
        }
        bytes_put_u64(bytes, bytes_checksum(bytes + 8, length - 8));
        bytes += length;
        size -= length;
    }
}
