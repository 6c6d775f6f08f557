/* resp_fuzz.c - bytes that a fuzzer (libFuzzer) thinks of, given to the reader of requests: whatever they are, it stays
 * within them, and makes the same of them in one piece and in many. `make fuzz`; CC is clang, whatever was asked for. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "transcript.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* The first two bytes choose the limit and the pieces. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < 2)
        return 0;
    size_t request_bytes_max = bytes[0] < 128 ? (size_t)1 << 30 : bytes[0];
    char *whole = transcript_of(bytes + 2, size - 2, request_bytes_max, 0, 0);
    char *pieces = transcript_of(bytes + 2, size - 2, request_bytes_max, 1 + bytes[1] % 16u, bytes[1]);
    assert(strcmp(whole, pieces) == 0);
    free(whole);
    free(pieces);
    return 0;
}
