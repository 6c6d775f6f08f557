#include "serve/output.h"

#include <fcntl.h>
#include <stdlib.h>

#include "sockets.h"

static struct mailraft_error err;
static struct output output;
static int ends[2]; /* we send into the first */

static void make_sockets(void)
{
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
}

static void close_sockets(void)
{
    output_clear(&output);
    close(ends[0]);
    close(ends[1]);
}

TestSuite(output, .init = make_sockets, .fini = close_sockets);

/* The byte that stands at a place of all that is put. */
static uint8_t byte_at(size_t at)
{
    return (uint8_t)(at * 31 + at / 251);
}

/* Puts the next so many bytes. */
static void put(size_t *at, size_t size)
{
    uint8_t *bytes = malloc(size);

    for (size_t i = 0; i < size; i++)
        bytes[i] = byte_at(*at + i);
    output_put(&output, bytes, size);
    free(bytes);
    *at += size;
}

/* Reads so many, and looks whether they are the next ones. */
static void get(size_t *at, size_t size)
{
    uint8_t *bytes = malloc(size);

    cr_assert_eq(plain_read(ends[1], bytes, size), size);
    for (size_t i = 0; i < size; i++)
        cr_assert_eq(bytes[i], byte_at(*at + i), "byte %zu", *at + i);
    free(bytes);
    *at += size;
}

Test(output, what_is_put_leaves_in_order)
{
    size_t put_so_far = 0, got = 0;

    for (size_t size = 1; size < 3000; size += 7)
        put(&put_so_far, size);
    cr_assert_eq(output.bytes, put_so_far);
    while (got < put_so_far) {
        size_t before = output.bytes;

        cr_assert(output_send(&output, ends[0], &err));
        get(&got, before - output.bytes);
    }
    cr_assert_eq(output.bytes, 0u);
    cr_assert_null(output.first);
}

Test(output, what_the_socket_does_not_take_waits_and_more_can_be_put_behind_it)
{
    size_t put_so_far = 0, got = 0;

    put(&put_so_far, 3 * 1024 * 1024);
    cr_assert(output_send(&output, ends[0], &err));
    cr_assert_gt(output.bytes, 0u);
    put(&put_so_far, 1);
    put(&put_so_far, 100000);
    while (got < put_so_far) {
        get(&got, put_so_far - output.bytes - got);
        cr_assert(output_send(&output, ends[0], &err));
    }
    cr_assert_null(output.first);
}

Test(output, a_broken_socket_is_told)
{
    size_t put_so_far = 0;

    close(ends[1]);
    ends[1] = -1;
    put(&put_so_far, 10);
    cr_assert_not(output_send(&output, ends[0], &err));
    cr_assert(error_is(&err, &NETWORK_ERROR));
    cr_assert_eq(output.bytes, 10u);
}

Test(output, an_empty_one_sends_nothing)
{
    cr_assert(output_send(&output, -1, &err));
}
