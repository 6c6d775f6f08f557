/* resp_fuzz.c - what clients send, given to the reader of requests (serve/resp.h): whatever it is, the reader stays
 * within it, and makes the same of it in one piece and in many.
 *
 * Input: u8 the limit of a request, none where it is below 128; u8 the pieces; the bytes. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "transcript.h"

FUZZ_MARK(requests, "a request");
FUZZ_MARK(under_way, "a request that has not come whole");
FUZZ_MARK(wrong, "what is no request");

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < 2)
        return 0;
    size_t request_bytes_max = bytes[0] < 128 ? (size_t)1 << 30 : bytes[0];
    char *whole = transcript_of(bytes + 2, size - 2, request_bytes_max, 0, 0);
    char *pieces = transcript_of(bytes + 2, size - 2, request_bytes_max, 1 + bytes[1] % 16u, bytes[1]);
    assert(strcmp(whole, pieces) == 0);
    if (whole[0] == '[')
        fuzz_reach(requests);
    if (strstr(whole, "error: ") != NULL)
        fuzz_reach(wrong);
    else if (strstr(whole, "\n0 bytes left") == NULL)
        fuzz_reach(under_way);
    free(whole);
    free(pieces);
    return 0;
}
