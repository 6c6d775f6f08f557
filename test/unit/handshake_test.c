#include "mail/handshake.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/memory.h"
#include "mail/wire.h"
#include "sockets.h"
#include "unit/post.h"

static struct mailraft_error err;

static struct stream *listener, *caller, *called;
static struct bell stop;

/* The two ends of one connection. */
static void connect_both(void)
{
    struct endpoint endpoint;

    post_open();
    endpoint = (struct endpoint){.v4 = loopback(post_port(1)), .size = sizeof endpoint.v4};
    listener = stream_listen(&endpoint, "here", &err);
    cr_assert_not_null(listener, "%s", err.message);
    cr_assert(bell_init(&stop, &err), "%s", err.message);
    caller = stream_connect(&endpoint, CLOCK_NEVER, &stop, &err);
    cr_assert_not_null(caller, "%s", err.message);
    called = stream_accept(listener, &err);
    cr_assert_not_null(called, "%s", err.message);
}

static void close_both(void)
{
    stream_close(caller);
    stream_close(called);
    stream_close(listener);
    bell_fini(&stop);
    post_close();
}

TestSuite(handshake, .init = connect_both, .fini = close_both, .timeout = 120);

Test(handshake, hears_hellos_as_they_were_said_one_by_one)
{
    for (uint64_t connection = 1; connection <= 2; connection++) {
        struct hello hello = post_hello(connection);

        cr_assert(handshake_say(caller, &hello, &err), "%s", err.message);
    }
    for (uint64_t connection = 1; connection <= 2; connection++) {
        struct hello said = post_hello(connection), heard;

        cr_assert(handshake_hear(called, &heard, CLOCK_NEVER, NULL, &err), "%s", err.message);
        cr_assert_str_eq(heard.cluster_name, said.cluster_name);
        cr_assert_eq(heard.sender, 2);
        cr_assert_eq(heard.receiver, 1);
        cr_assert_eq(heard.connection, connection);
        cr_assert_eq(heard.incarnation, said.incarnation);
        cr_assert_arr_eq(heard.data_id.bytes, said.data_id.bytes, DATA_ID_SIZE);
        cr_assert_eq(heard.members_checksum, said.members_checksum);
    }
}

/* Everything of a hello but its last byte. */
static void say_too_little(void)
{
    struct hello hello = post_hello(1);
    struct frame *frame = wire_write_hello(&hello);
    size_t written;

    cr_assert(stream_write_some(caller, frame->bytes, frame->size - 1, &written, &err), "%s", err.message);
    cr_assert_eq(written, frame->size - 1);
    frame_free(frame);
}

Test(handshake, waits_for_the_end_of_a_hello_no_longer_than_it_may)
{
    struct hello hello;

    say_too_little();
    cr_assert_not(handshake_hear(called, &hello, clock_now_us() + 20000, NULL, &err));
    cr_assert(error_is(&err, &PROTOCOL_ERROR));
    cr_assert_str_eq(err.message, "no complete hello within one second");
}

Test(handshake, the_bell_ends_the_wait)
{
    struct hello hello;

    bell_ring(&stop);
    cr_assert_not(handshake_hear(called, &hello, CLOCK_NEVER, &stop, &err));
}

Test(handshake, a_connection_that_ends_within_a_hello_is_no_breach_of_the_protocol)
{
    struct hello hello;

    say_too_little();
    stream_shutdown(caller);
    cr_assert_not(handshake_hear(called, &hello, CLOCK_NEVER, NULL, &err));
    cr_assert(error_is(&err, &NETWORK_ERROR));
    cr_assert_not(error_is(&err, &PROTOCOL_ERROR), "%s", err.message);
}

Test(handshake, hears_nothing_that_is_longer_than_a_hello)
{
    uint8_t head[WIRE_HEAD_BYTES] = {0};
    struct hello hello;
    size_t written;

    bytes_put_u32(head, WIRE_HELLO_BYTES_MAX); /* with its own four bytes that is too much */
    cr_assert(stream_write_some(caller, head, sizeof head, &written, &err), "%s", err.message);
    cr_assert_not(handshake_hear(called, &hello, CLOCK_NEVER, NULL, &err));
    cr_assert(error_is(&err, &PROTOCOL_ERROR));
    cr_assert_str_eq(err.message, "a frame of 4100 bytes is over the limit of 4096");
}
