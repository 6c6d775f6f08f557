#include "transcript.h"

#include <assert.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/resp.h"

static void write_argument(FILE *out, struct text argument)
{
    fputc('[', out);
    for (size_t i = 0; i < argument.size; i++) {
        uint8_t byte = argument.bytes[i];
        if (isprint(byte) && strchr("[]\\", byte) == NULL)
            fputc(byte, out);
        else
            fprintf(out, "\\x%02x", byte);
    }
    fputc(']', out);
}

static void write_request(FILE *out, const struct resp_reader *reader)
{
    size_t count;
    const struct text *arguments = resp_arguments(reader, &count);
    for (size_t i = 0; i < count; i++)
        write_argument(out, arguments[i]);
    fputs(count > 0 ? "\n" : "nothing\n", out);
}

/* All that can be read of the bytes. Returns how many were used; *failed: an error ended it. */
static size_t read_requests(FILE *out, struct resp_reader *reader, const uint8_t *bytes, size_t size, bool *failed)
{
    size_t begin = 0;
    for (;;) {
        size_t used;
        enum resp_state state = resp_read(reader, bytes + begin, size - begin, &used);
        begin += used;
        *failed = state == RESP_ERROR;
        if (state != RESP_REQUEST) {
            assert(used == 0);
            assert(state == RESP_ERROR || resp_wanted(reader) > size - begin);
            return begin;
        }
        assert(used > 0);
        write_request(out, reader);
    }
}

static uint64_t draw(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

char *transcript_of(const void *stream, size_t size, size_t request_bytes_max, size_t piece_max, uint64_t seed)
{
    char *text;
    size_t text_size;
    FILE *out = open_memstream(&text, &text_size);
    struct resp_reader *reader = resp_reader_new(request_bytes_max);
    size_t used = 0;
    bool failed = false;
    for (size_t come = 0; come < size && !failed;) {
        size_t piece = piece_max > 0 ? 1 + draw(&seed) % piece_max : size;
        come = piece < size - come ? come + piece : size;
        uint8_t *bytes = malloc(come - used);
        memcpy(bytes, (const uint8_t *)stream + used, come - used);
        used += read_requests(out, reader, bytes, come - used, &failed);
        free(bytes);
    }
    if (failed)
        fprintf(out, "error: %s\n", resp_error(reader));
    else
        fprintf(out, "%zu bytes left\n", size - used);
    resp_reader_free(reader);
    fclose(out);
    return text;
}
