#include "relay/relay.h"

#include <stdio.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#include "turning.h"

/* Three nodes, each of which is a listening socket of the test's, and the six wires between them. */
#define NODES 3

static struct mailraft_error err;
static struct relay *relay;
static struct node {
    int holder, listener;
    uint16_t port, to[NODES]; /* where it reaches each of the others */
} nodes[NODES];               /* node N is at N - 1 */

static void turn(void)
{
    struct pollfd fd = {.fd = relay_fd(relay), .events = POLLIN};
    poll(&fd, 1, relay_next_us(relay) <= clock_now_us() ? 0 : 1);
    relay_turn(relay);
}

static void address_of(uint16_t port, struct address *address)
{
    *address = (struct address){.host = "127.0.0.1", .port = port};
}

static void add_wire(int from, int to)
{
    struct address target;
    struct endpoint at;
    address_of(nodes[to - 1].port, &target);
    cr_assert(relay_add_wire(relay, from, to, &target, NULL, &at, &err), "%s", err.message);
    nodes[from - 1].to[to - 1] = ntohs(at.v4.sin_port);
}

static void init(void)
{
    relay = relay_new(&err);
    cr_assert_not_null(relay);
    for (int i = 0; i < NODES; i++) {
        nodes[i].holder = hold_port(&nodes[i].port);
        nodes[i].listener = plain_listen(nodes[i].port, 16);
    }
    for (int from = 1; from <= NODES; from++)
        for (int to = 1; to <= NODES; to++)
            if (from != to)
                add_wire(from, to);
}

static void fini(void)
{
    relay_free(relay);
    for (int i = 0; i < NODES; i++) {
        close(nodes[i].listener);
        close(nodes[i].holder);
    }
}

TestSuite(relay, .init = init, .fini = fini, .timeout = 120);

struct pair {
    int near, far; /* of who opened it, and of the other */
};

static struct pair connect_nodes(int from, int to)
{
    struct pair pair = {.near = plain_connect(nodes[from - 1].to[to - 1])};
    pair.far = turn_accept(nodes[to - 1].listener, turn);
    plain_write(pair.near, "!", 1);
    turn_expect(pair.far, "!", turn);
    return pair;
}

static void close_pair(struct pair pair)
{
    close(pair.near);
    close(pair.far);
}

static int order(enum relay_verb verb, raft_id from, raft_id to, bool both_ways)
{
    const struct relay_order order = {.verb = verb, .from = from, .to = to, .both_ways = both_ways};
    return relay_obey(relay, &order);
}

/* Whether what one end says arrives at the other. */
static void assert_carried(int from, int to, bool carried)
{
    plain_write(from, "?", 1);
    if (carried)
        turn_expect(to, "?", turn);
    else
        turn_expect_nothing(to, turn);
}

Test(relay, each_wire_leads_to_its_node)
{
    for (int from = 1; from <= NODES; from++)
        for (int to = 1; to <= NODES; to++)
            if (from != to)
                close_pair(connect_nodes(from, to));
}

Test(relay, a_cut_is_between_two_nodes_whoever_opened_the_connection)
{
    struct pair one = connect_nodes(1, 2), other = connect_nodes(2, 1), third = connect_nodes(1, 3);
    cr_assert_eq(order(RELAY_CUT, 1, 2, true), 2);
    assert_carried(one.near, one.far, false);
    assert_carried(one.far, one.near, false);
    assert_carried(other.near, other.far, false);
    assert_carried(other.far, other.near, false);
    assert_carried(third.near, third.far, true);
    assert_carried(third.far, third.near, true);
    cr_assert_eq(order(RELAY_HEAL, 2, 1, true), 2);
    turn_expect(one.near, "?", turn);
    turn_expect(one.far, "?", turn);
    turn_expect(other.near, "?", turn);
    turn_expect(other.far, "?", turn);
    close_pair(one);
    close_pair(other);
    close_pair(third);
}

Test(relay, a_cut_one_way_is_of_what_one_says_over_any_connection)
{
    struct pair one = connect_nodes(1, 2), other = connect_nodes(2, 1);
    cr_assert_eq(order(RELAY_CUT, 1, 2, false), 2);
    assert_carried(one.near, one.far, false);
    assert_carried(one.far, one.near, true);
    assert_carried(other.near, other.far, true);
    assert_carried(other.far, other.near, false);
    close_pair(one);
    close_pair(other);
}

Test(relay, a_node_is_cut_off_from_all_and_healed)
{
    struct pair first = connect_nodes(1, 2), second = connect_nodes(3, 1), third = connect_nodes(2, 3);
    cr_assert_eq(order(RELAY_CUT, 1, RELAY_ANY, true), 4);
    assert_carried(first.near, first.far, false);
    assert_carried(second.near, second.far, false);
    assert_carried(third.near, third.far, true);
    cr_assert_eq(order(RELAY_HEAL, RELAY_ANY, RELAY_ANY, true), 6);
    turn_expect(first.far, "?", turn);
    turn_expect(second.far, "?", turn);
    close_pair(first);
    close_pair(second);
    close_pair(third);
}

Test(relay, a_node_that_is_not_there_is_nobody)
{
    cr_assert_eq(order(RELAY_CUT, 1, 4, true), 0);
    cr_assert_eq(order(RELAY_BREAK, 4, RELAY_ANY, true), 0);
    cr_assert_eq(order(RELAY_CUT, 1, 1, true), 0);
}

Test(relay, a_stall_is_of_the_connections_that_there_are)
{
    struct pair old = connect_nodes(1, 2);
    cr_assert_eq(order(RELAY_STALL, 1, 2, false), 2);
    struct pair young = connect_nodes(1, 2);
    assert_carried(old.near, old.far, false);
    assert_carried(old.far, old.near, true);
    assert_carried(young.near, young.far, true);
    cr_assert_eq(order(RELAY_UNSTALL, 2, 1, false), 2); /* the other way: that changes nothing */
    turn_expect_nothing(old.far, turn);
    cr_assert_eq(order(RELAY_UNSTALL, 1, 2, false), 2);
    turn_expect(old.far, "?", turn);
    cr_assert_eq(order(RELAY_STALL, 1, 2, false), 2);
    assert_carried(old.near, old.far, false);
    cr_assert_eq(order(RELAY_HEAL, 1, 2, true), 2);
    turn_expect(old.far, "?", turn);
    close_pair(old);
    close_pair(young);
}

Test(relay, a_break_ends_the_connections_that_there_are)
{
    struct pair one = connect_nodes(1, 2), other = connect_nodes(2, 1), third = connect_nodes(1, 3);
    cr_assert_eq(order(RELAY_BREAK, 1, 2, true), 2);
    turn_expect_reset(one.near, turn);
    turn_expect_reset(one.far, turn);
    turn_expect_reset(other.near, turn);
    turn_expect_reset(other.far, turn);
    assert_carried(third.near, third.far, true);
    close_pair(connect_nodes(1, 2));
    close_pair(one);
    close_pair(other);
    close_pair(third);
}

/* Not even an acknowledgement comes any more: what is said stays in the sender's socket. */
Test(relay, what_vanishes_is_never_heard_of_again)
{
    struct pair one = connect_nodes(1, 2), other = connect_nodes(2, 1);
    int unsent;
    cr_assert_eq(order(RELAY_VANISH, 2, 1, true), 2);
    assert_carried(one.near, one.far, false);
    assert_carried(one.far, one.near, false);
    assert_carried(other.near, other.far, false);
    assert_carried(other.far, other.near, false);
    cr_assert_eq(ioctl(one.near, SIOCOUTQ, &unsent), 0);
    cr_assert_eq(unsent, 1);
    cr_assert_eq(order(RELAY_BREAK, 1, 2, true), 2);
    cr_assert_eq(order(RELAY_HEAL, RELAY_ANY, RELAY_ANY, true), 6);
    turn_expect_nothing(one.near, turn);
    turn_expect_nothing(other.far, turn);
    close_pair(connect_nodes(1, 2));
    close_pair(one);
    close_pair(other);
}

Test(relay, what_vanishes_before_it_has_got_there_never_does)
{
    cr_assert_eq(order(RELAY_CUT, 1, 2, true), 2);
    int near = plain_connect(nodes[0].to[1]);
    turn_expect_nothing(nodes[1].listener, turn);
    cr_assert_eq(order(RELAY_VANISH, 1, 2, true), 2);
    cr_assert_eq(order(RELAY_HEAL, 1, 2, true), 2);
    turn_expect_nothing(nodes[1].listener, turn);
    turn_expect_nothing(near, turn);
    close(near);
}

Test(relay, a_slow_road_brings_a_portion_at_a_time)
{
    struct pair pair = connect_nodes(1, 2);
    const struct relay_order slow = {.verb = RELAY_SLOW, .from = 1, .to = 2, .bytes_per_second = 20};
    char bytes[4];
    cr_assert_eq(relay_obey(relay, &slow), 2);
    int64_t began_us = clock_now_us();
    plain_write(pair.near, "1234", 4);
    for (int i = 0; i < 4; i++) {
        turn_until_readable(pair.far, turn);
        cr_assert_eq(recv(pair.far, bytes, sizeof(bytes), 0), 1); /* a twentieth of a second's, and then it rests */
    }
    cr_assert_geq(clock_now_us(), began_us + 3 * 50000);
    assert_carried(pair.far, pair.near, true);
    const struct relay_order never = {.verb = RELAY_SLOW, .from = 1, .to = 2, .bytes_per_second = 1};
    cr_assert_eq(relay_obey(relay, &never), 2);
    plain_write(pair.near, "56", 2);
    turn_expect(pair.far, "5", turn);
    cr_assert_eq(order(RELAY_HEAL, 1, 2, true), 2);
    turn_expect(pair.far, "6", turn);
    close_pair(pair);
}

Test(relay, a_delay_ends_with_a_healing_for_what_is_said_then)
{
    struct pair pair = connect_nodes(1, 2);
    const struct relay_order slow = {
        .verb = RELAY_DELAY, .from = 1, .to = 2, .both_ways = true, .delay_us = 3600000000};
    cr_assert_eq(relay_obey(relay, &slow), 2);
    cr_assert_eq(relay_next_us(relay), CLOCK_NEVER);
    assert_carried(pair.near, pair.far, false);
    cr_assert_gt(relay_next_us(relay), clock_now_us() + 3000000000);
    cr_assert_lt(relay_next_us(relay), clock_now_us() + 3600000000);
    cr_assert_eq(order(RELAY_HEAL, RELAY_ANY, RELAY_ANY, true), 6);
    struct pair young = connect_nodes(1, 2);
    assert_carried(young.near, young.far, true);
    assert_carried(pair.far, pair.near, true);
    close_pair(young);
    close_pair(pair);
}

Test(relay, a_wire_is_refused_where_there_is_one_or_where_it_cannot_listen)
{
    struct address target, taken, nowhere = {.host = "nowhere.invalid", .port = 1};
    struct endpoint at;
    address_of(nodes[0].port, &target);
    address_of(nodes[1].to[0], &taken);
    cr_assert_not(relay_add_wire(relay, 2, 1, &target, NULL, &at, &err));
    cr_assert_str_eq(err.message, "there is a wire from 2 to 1 already");
    cr_assert_not(relay_add_wire(relay, 4, 1, &target, &taken, &at, &err));
    cr_assert(error_is(&err, &BIND_ERROR));
    cr_assert_not(relay_add_wire(relay, 4, 1, &nowhere, NULL, &at, &err));
    cr_assert(error_is(&err, &CONNECT_ERROR));
    close_pair(connect_nodes(2, 1));
}

Test(relay, a_wire_listens_where_it_is_told_to)
{
    struct address target, listen;
    struct endpoint at;
    uint16_t port;
    int holder = hold_port(&port);
    address_of(nodes[0].port, &target);
    address_of(port, &listen);
    cr_assert(relay_add_wire(relay, 4, 1, &target, &listen, &at, &err), "%s", err.message);
    cr_assert_eq(ntohs(at.v4.sin_port), port);
    close(plain_connect(port));
    close(turn_accept(nodes[0].listener, turn));
    close(holder);
}

Test(relay, who_comes_while_descriptors_are_out_waits)
{
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    int near = plain_connect(nodes[0].to[1]);
    int next = dup(near);
    close(next);
    const struct rlimit out = {.rlim_cur = (rlim_t)next, .rlim_max = limit.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &out), 0);
    turn_expect_nothing(nodes[1].listener, turn);
    relay_turn(relay);
    cr_assert_eq(poll(&(struct pollfd){.fd = relay_fd(relay), .events = POLLIN}, 1, 0),
                 0); /* it does not try on and on */
    cr_assert_neq(relay_next_us(relay), CLOCK_NEVER);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    close(turn_accept(nodes[1].listener, turn));
    close(near);
}
