/* transcript.h - what the reader of requests (serve/resp.h) makes of a stream of bytes, as text to compare. */
#ifndef TEST_TRANSCRIPT_H
#define TEST_TRANSCRIPT_H

#include <stddef.h>
#include <stdint.h>

/* One line a request ("[SET][a][\x00]"; "nothing" for an empty one), then how it ended: "error: " and the words, or how
 * many bytes are left of a request under way.
 *
 * piece_max: the stream comes in pieces of 1 to so many bytes, drawn by the seed, the unused ones each time at another
 * place that ends with the last byte; 0: in one piece. The caller frees the text. */
char *transcript_of(const void *stream, size_t size, size_t request_bytes_max, size_t piece_max, uint64_t seed);

#endif
