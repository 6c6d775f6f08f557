#include "base/random.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

Test(random, bytes_fill_the_whole_buffer_and_no_more)
{
    uint8_t bytes[64] = {0}, seen[64] = {0};

    /* A byte stays zero in 40 draws with a probability of 256^-40. */
    for (int i = 0; i < 40; i++) {
        random_bytes(bytes, 63);
        for (int j = 0; j < 64; j++)
            seen[j] |= bytes[j];
    }
    cr_assert_null(memchr(seen, 0, 63));
    cr_assert_eq(seen[63], 0);
}

/* In a process of its own, which has everything that this one had. */
static void draw_in_child(uint8_t bytes[16])
{
    int ends[2], status;
    pid_t child;

    cr_assert_eq(pipe(ends), 0);
    child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        random_bytes(bytes, 16);
        _exit(write(ends[1], bytes, 16) == 16 ? 0 : 1);
    }
    cr_assert_eq(read(ends[0], bytes, 16), 16);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    close(ends[0]);
    close(ends[1]);
}

/* By chance, they do once in 2^128 times. */
Test(random, two_processes_never_draw_the_same)
{
    uint8_t one[16], other[16];

    draw_in_child(one);
    draw_in_child(other);
    cr_assert_arr_neq(one, other, sizeof one);
}

Test(random, numbers_stay_within_their_range_and_reach_both_ends)
{
    int counts[3] = {0};

    /* An end is missed with a probability of (2/3)^1000. */
    for (int i = 0; i < 1000; i++) {
        int64_t drawn = random_between(-1, 2);

        cr_assert(drawn >= -1 && drawn < 2);
        counts[drawn + 1]++;
    }
    cr_assert(counts[0] > 0 && counts[1] > 0 && counts[2] > 0);
}

Test(random, an_empty_range_gives_its_low_end)
{
    cr_assert_eq(random_between(7, 7), 7);
    cr_assert_eq(random_between(7, 3), 7);
}

Test(random, the_widest_range_overflows_nothing)
{
    bool negative = false, positive = false;

    /* One sign stays away with a probability of 2^-199. */
    for (int i = 0; i < 200; i++) {
        int64_t drawn = random_between(INT64_MIN, INT64_MAX);

        negative = negative || drawn < 0;
        positive = positive || drawn >= 0;
    }
    cr_assert(negative && positive);
}
