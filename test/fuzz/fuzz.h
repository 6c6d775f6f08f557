/* fuzz.h - what the fuzz targets (libFuzzer) have in common. A target is one x_fuzz.c, whose LLVMFuzzerTestOneInput
 * takes bytes that a fuzzer thinks of, gives them to what reads bytes from outside, and asserts what must hold of the
 * outcome. The same bytes do the same each time: whatever a target needs beside them comes from here.
 *
 * Checksums: a fuzzer does not guess them. So a target mends those of its input before it is read, unless a byte of the
 *            input says that they are to be left as they are.
 * Depth:     a target marks the places that it must get to behind all checks. With FUZZ_ALL_REACHED in the environment
 *            it fails at its end where it has not been at one of them: seeds that no longer fit are noticed.
 * The seam:  seam.c stands in the place of clock, random numbers and log, memory_disk.c in that of the disk, and
 *            memory_stream.c in that of sockets. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* ---- The input, from its beginning ---- */

struct fuzz_input {
    const uint8_t *at;
    size_t left;
};

uint64_t fuzz_take(struct fuzz_input *input, size_t bytes); /* a number of 1 to 8 bytes; what is not there is 0 */
/* size: cut to what is left. */
const uint8_t *fuzz_take_bytes(struct fuzz_input *input, size_t *size);

/* A copy of just this size on the heap, so that the sanitizer sees who reads beyond it. Freed with memory_free. */
uint8_t *fuzz_copy(const void *bytes, size_t size);

/* ---- Marks ---- */

struct fuzz_mark {
    const char *what;
    uint64_t times;
    struct fuzz_mark *next;
};

void fuzz_mark_register(struct fuzz_mark *mark);

#define FUZZ_MARK(Name, What)                                                                                          \
    static struct fuzz_mark Name = {What, 0, NULL};                                                                    \
    __attribute__((constructor)) static void Name##_register(void)                                                     \
    {                                                                                                                  \
        fuzz_mark_register(&Name);                                                                                     \
    }                                                                                                                  \
    struct fuzz_mark /* takes the semicolon */

#define fuzz_reach(Name) ((void)(Name).times++)

/* ---- Mending ---- */

/* The checksums, and where `lengths` the lengths that lead out of the bytes, of entries that stand one behind the
 * other. */
void fuzz_mend_entries(uint8_t *bytes, size_t size, bool lengths);

/* ---- The seam ---- */

extern int64_t fuzz_now_us; /* what the clock says */
void fuzz_seam_reset(void); /* the time and the random numbers begin anew */

#endif
