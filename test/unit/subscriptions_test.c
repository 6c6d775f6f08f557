/* Tests of serve/subscriptions.c: who listens, and what they are told. */
#include "serve/subscriptions.h"

#include <stdio.h>
#include <string.h>

#include "unit/beside_redis.h"

static void prepare(void)
{
    desk_open_unconnected();
    struct members *members = &desk_sessions()->config.members;
    members->count = 3;
    for (int i = 0; i < 3; i++)
        members->list[i] = (struct member){.id = i + 1, .client = {"10.0.0.1", (uint16_t)(6401 + i)}};
}

TestSuite(subscriptions, .init = prepare, .fini = desk_close, .timeout = 60);

static void lead(uint64_t view, raft_id leader_id)
{
    desk_tells(&(struct status){.view = view, .open = leader_id != NO_ONE, .role = "FOLLOWER", .leader_id = leader_id});
}

static struct client *subscriber(const char *lines)
{
    struct client *client = client_open();
    client_says(client, lines);
    client_hears(client);
    return client;
}

/* ---- The commands ---- */

Test(subscriptions, each_subscription_is_confirmed_with_how_many_there_are)
{
    cr_assert_str_eq(desk_answers("SUBSCRIBE a b a\r\nPSUBSCRIBE c*\r\n"),
                     "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n"
                     "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:2\r\n*3\r\n$10\r\npsubscribe\r\n$2\r\nc*\r\n:3\r\n");
    cr_assert_str_eq(strstr(desk_answers("HELLO 3\r\nSUBSCRIBE a\r\n"), ">"),
                     ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
}

Test(subscriptions, a_client_has_no_more_than_it_may)
{
    struct client *client = client_open();
    char line[SUBSCRIPTION_BYTES_MAX + 32];
    for (int i = 0; i < SUBSCRIPTIONS_MAX; i++) {
        snprintf(line, sizeof line, "SUBSCRIBE c%d\r\n", i);
        client_says(client, line);
    }
    client_hears(client);
    client_says(client, "PSUBSCRIBE x\r\n");
    cr_assert_str_eq(client_hears(client), "-ERR too many subscriptions, or too long a name\r\n");
    cr_assert_eq(subscriptions_count(client_session(client), SUBSCRIPTION_CHANNEL), SUBSCRIPTIONS_MAX);
    client_says(client, "SUBSCRIBE c0\r\n");
    cr_assert_str_eq(client_hears(client), "*3\r\n$9\r\nsubscribe\r\n$2\r\nc0\r\n:64\r\n");
    snprintf(line, sizeof line, "SUBSCRIBE %0*d\r\n", SUBSCRIPTION_BYTES_MAX + 1, 0);
    cr_assert_str_eq(desk_answers(line), "-ERR too many subscriptions, or too long a name\r\n");
}

Test(subscriptions, subscribers_are_answered_as_redis_does)
{
    struct real_redis redis;
    real_redis_start(&redis);
    assert_same_as_redis(&redis,
                         "SUBSCRIBE a b a\r\nGET x\r\nPING\r\nPING hi\r\nPING a b\r\nCLIENT INFO\r\n"
                         "PSUBSCRIBE n*\r\nPUNSUBSCRIBE x y\r\nUNSUBSCRIBE a\r\nSUBSCRIBE\r\nNOSUCH\r\nRESET\r\n"
                         "PING\r\nUNSUBSCRIBE\r\nPUNSUBSCRIBE\r\nUNSUBSCRIBE a\r\n");
    assert_same_as_redis(&redis, "SUBSCRIBE a\r\nPSUBSCRIBE b\r\nUNSUBSCRIBE\r\nPING\r\nPUNSUBSCRIBE\r\nPING\r\n");
    assert_same_as_redis(&redis, "HELLO 3\r\nSUBSCRIBE a\r\nPING\r\nECHO a\r\nUNSUBSCRIBE\r\nUNSUBSCRIBE\r\n");
    real_redis_stop(&redis);
}

/* ---- News ---- */

Test(subscriptions, subscribers_hear_when_another_member_leads)
{
    lead(1, 2);
    struct client *client = subscriber("SUBSCRIBE +switch-master\r\n"), *other = subscriber("SUBSCRIBE else\r\n");
    lead(2, NO_ONE);
    cr_assert_str_eq(client_hears(client), "");
    lead(3, 3);
    cr_assert_str_eq(client_hears(client), "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$32\r\n"
                                           "test 10.0.0.1 6402 10.0.0.1 6403\r\n");
    cr_assert_str_eq(client_hears(other), "");
    lead(4, NO_ONE);
    lead(5, 3);
    cr_assert_str_eq(client_hears(client), "");
}

Test(subscriptions, patterns_hear_of_the_channels_that_they_match)
{
    lead(1, 2);
    struct client *client = subscriber("HELLO 3\r\nPSUBSCRIBE +sl* [-+]sdown\r\n");
    lead(2, 3);
    cr_assert_str_eq(client_hears(client), ">4\r\n$8\r\npmessage\r\n$4\r\n+sl*\r\n$6\r\n+slave\r\n$54\r\n"
                                           "slave 10.0.0.1:6402 10.0.0.1 6402 @ test 10.0.0.1 6403\r\n");
}

Test(subscriptions, news_come_behind_the_answers_that_a_client_waits_for)
{
    lead(1, 2);
    struct client *client = subscriber("HELLO 3\r\nSUBSCRIBE +switch-master\r\n");
    client_says(client, "GET a\r\n");
    lead(2, 3);
    cr_assert_str_eq(client_hears(client), "");
    desk_reads(0, "$1\r\n1\r\n");
    cr_assert_eq(strncmp(client_hears(client), "$1\r\n1\r\n>3\r\n$7\r\nmessage\r\n", 24), 0);
}

Test(subscriptions, the_first_leader_is_no_news)
{
    struct client *client = subscriber("PSUBSCRIBE *\r\n");
    lead(1, 2);
    cr_assert_str_eq(client_hears(client), "");
}
