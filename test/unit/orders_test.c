#include "relay/orders.h"

#include <stdio.h>

#include "turning.h"

static struct mailraft_error err;
static struct relay *relay;
static char answer[ORDERS_ANSWER_MAX];

static void init(void)
{
    relay = relay_new(&err);
    cr_assert_not_null(relay);
}

static void fini(void)
{
    relay_free(relay);
}

TestSuite(orders, .init = init, .fini = fini, .timeout = 120);

static void assert_answer(const char *line, const char *expected)
{
    char with_end[200];
    snprintf(with_end, sizeof(with_end), "%s\n", expected);
    cr_assert_str_eq(orders_obey(relay, line, answer), with_end, "%s was answered %s", line, answer);
}

/* Two nodes that nobody connects to. */
static void add_wires(void)
{
    cr_assert_eq(strncmp(orders_obey(relay, "wire 1 2 127.0.0.1:1", answer), "ok 127.0.0.1:", 13), 0, "%s", answer);
    cr_assert_eq(strncmp(orders_obey(relay, "wire 2 1 [::1]:1", answer), "ok 127.0.0.1:", 13), 0, "%s", answer);
}

Test(orders, what_is_right_is_answered_ok)
{
    add_wires();
    assert_answer("cut 1 2", "ok");
    assert_answer("cut 2 1 oneway", "ok");
    assert_answer("  cut \t 2 all\r", "ok");
    assert_answer("delay 1 2 10", "ok");
    assert_answer("delay 1 2 10 5", "ok");
    assert_answer("delay 1 2 0.25 oneway", "ok");
    assert_answer("delay all all 600000 600000 oneway", "ok");
    assert_answer("slow 1 2 0", "ok");
    assert_answer("slow 1 2 999999999 oneway", "ok");
    assert_answer("stall 1 2", "ok");
    assert_answer("unstall 1 all", "ok");
    assert_answer("break all 2", "ok");
    assert_answer("vanish 2 1", "ok");
    assert_answer("heal 1 2", "ok");
    assert_answer("heal", "ok");
}

Test(orders, a_line_without_a_word_is_not_answered)
{
    cr_assert_str_eq(orders_obey(relay, "", answer), "");
    cr_assert_str_eq(orders_obey(relay, " \t ", answer), "");
}

Test(orders, what_is_wrong_is_answered_with_the_reason_and_changes_nothing)
{
    add_wires();
    assert_answer("frobnicate",
                  "error \"frobnicate\" is no order: wire, cut, delay, slow, stall, unstall, break, vanish, heal");
    assert_answer("oneway",
                  "error \"oneway\" is no order: wire, cut, delay, slow, stall, unstall, break, vanish, heal");
    assert_answer("cut", "error write: cut A B [oneway]");
    assert_answer("cut 1", "error write: cut A B [oneway]");
    assert_answer("cut oneway", "error write: cut A B [oneway]");
    assert_answer("cut 1 2 3", "error write: cut A B [oneway]");
    assert_answer("cut 1 2 oneway oneway", "error write: cut A B [oneway]");
    assert_answer("break 1 2 oneway", "error write: break A B");
    assert_answer("stall 1 2 oneway", "error write: stall A B");
    assert_answer("heal 1", "error write: heal [A B]");
    assert_answer("heal 1 2 3", "error write: heal [A B]");
    assert_answer("heal oneway", "error write: heal [A B]");
    assert_answer("delay 1 2", "error write: delay A B MS [JITTER] [oneway]");
    assert_answer("delay 1 2 oneway", "error write: delay A B MS [JITTER] [oneway]");
    assert_answer("delay 1 2 3 4 5", "error write: delay A B MS [JITTER] [oneway]");
    assert_answer("delay 1 2 x", "error \"x\" is no delay: milliseconds from 0 to 600000");
    assert_answer("delay 1 2 -1", "error \"-1\" is no delay: milliseconds from 0 to 600000");
    assert_answer("delay 1 2 1e5", "error \"1e5\" is no delay: milliseconds from 0 to 600000");
    assert_answer("delay 1 2 nan", "error \"nan\" is no delay: milliseconds from 0 to 600000");
    assert_answer("delay 1 2 .", "error \".\" is no delay: milliseconds from 0 to 600000");
    assert_answer("delay 1 2 1.2.3", "error \"1.2.3\" is no delay: milliseconds from 0 to 600000");
    assert_answer("delay 1 2 1 600001", "error \"600001\" is no delay: milliseconds from 0 to 600000");
    assert_answer("slow 1 2", "error write: slow A B BYTES [oneway]");
    assert_answer("slow 1 2 -1", "error \"-1\" is no number of bytes a second, 0 to 999999999");
    assert_answer("slow 1 2 1000000000", "error \"1000000000\" is no number of bytes a second, 0 to 999999999");
    assert_answer("vanish 1 2 oneway", "error write: vanish A B");
    assert_answer("cut 0 1", "error \"0\" is no id: a whole number from 1 to 2147483647");
    assert_answer("cut 1 2147483648", "error \"2147483648\" is no id: a whole number from 1 to 2147483647");
    assert_answer("cut 1x 2", "error \"1x\" is no id: a whole number from 1 to 2147483647");
    assert_answer("cut 1 3", "error no wire leads from 1 to 3");
    assert_answer("cut 1 1", "error no wire leads from 1 to 1");
    assert_answer("heal 3 all", "error no wire leads from 3 to all");
    assert_answer("wire 1 2", "error write: wire A B TARGET [LISTEN]");
    assert_answer("wire 1 2 127.0.0.1:1 127.0.0.1:1 5", "error write: wire A B TARGET [LISTEN]");
    assert_answer("wire all 2 127.0.0.1:1", "error \"all\" is no id: a whole number from 1 to 2147483647");
    assert_answer("wire 1 3 127.0.0.1", "error \"127.0.0.1\" is no address: \"host:port\" or \"[ipv6]:port\"");
    assert_answer("wire 1 3 127.0.0.1:1 127.0.0.1:0",
                  "error \"127.0.0.1:0\" is no address: \"host:port\" or \"[ipv6]:port\"");
    assert_answer("wire 1 2 127.0.0.1:1", "error there is a wire from 1 to 2 already");
    assert_answer("a b c d e f g h i j", "error too many words");
    cr_assert_eq(relay_next_us(relay), CLOCK_NEVER);
}

Test(orders, a_line_that_is_too_long_is_refused_whole)
{
    char line[ORDERS_LINE_MAX + 100] = "heal";
    memset(line + 4, ' ', ORDERS_LINE_MAX - 4);
    assert_answer(line, "ok");
    line[ORDERS_LINE_MAX] = ' ';
    assert_answer(line, "error the line is too long");
}

static void turn(void)
{
    struct pollfd fd = {.fd = relay_fd(relay), .events = POLLIN};
    poll(&fd, 1, 1);
    relay_turn(relay);
}

Test(orders, a_wire_carries_from_where_it_is_said_to_listen)
{
    uint16_t port;
    int holder = hold_port(&port), listener = plain_listen(port, 1);
    char line[60];
    snprintf(line, sizeof(line), "wire 7 8 127.0.0.1:%u", (unsigned)port);
    unsigned at = 0;
    cr_assert_eq(sscanf(orders_obey(relay, line, answer), "ok 127.0.0.1:%u", &at), 1, "%s", answer);
    int near = plain_connect((uint16_t)at);
    int far = turn_accept(listener, turn);
    assert_answer("cut 8 7 oneway", "ok");
    plain_write(near, "one", 3);
    turn_expect(far, "one", turn);
    plain_write(far, "two", 3);
    turn_expect_nothing(near, turn);
    close(near);
    close(far);
    close(listener);
    close(holder);
}
