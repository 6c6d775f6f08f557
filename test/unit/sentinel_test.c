/* Tests of serve/sentinel.c: where the leader and the other members are. */
#include <stdio.h>
#include <string.h>

#include "serve/local_commands.h"
#include "unit/desk.h"

static struct client *client;

/* Three members, of whom the third serves no clients. */
static void prepare(void)
{
    desk_open_unconnected();
    struct sessions_config *config = &desk_sessions()->config;
    config->members.count = 3;
    for (int i = 0; i < 3; i++)
        config->members.list[i] = (struct member){.id = i + 1, .client = {"10.0.0.1", (uint16_t)(6401 + i)}};
    config->client_timeout_us = INT64_C(5000) * 1000;
    client = client_open();
}

TestSuite(sentinel, .init = prepare, .fini = desk_close, .timeout = 60);

static struct status led_by(raft_id leader_id)
{
    return (struct status){.view = 1 + (uint64_t)leader_id,
                           .open = leader_id != NO_ONE,
                           .role = "FOLLOWER",
                           .term = 7,
                           .leader_id = leader_id,
                           .commit_index = 41,
                           .member_count = 3,
                           .members = {{1, false, 0}, {2, true, 0}, {3, false, 0}}};
}

static void tell(raft_id leader_id)
{
    struct status status = led_by(leader_id);
    desk_tells(&status);
}

static void check(const char *line, const char *answer)
{
    client_says(client, line);
    cr_assert_str_eq(client_hears(client), answer, "%s", line);
}

/* An answer's words, without what Redis has around them: "%20 name test ip ...". */
static const char *words_of(const char *answer)
{
    static char words[8192];
    size_t size = 0;
    while (*answer && size + 1 < sizeof words) {
        size_t length = strcspn(answer, "\r");
        if (*answer != '$') {
            if (size > 0)
                words[size++] = ' ';
            memcpy(words + size, answer, length);
            size += length;
        }
        answer += length + 2;
    }
    words[size] = '\0';
    return words;
}

static const char *identity(raft_id id)
{
    static char texts[4][IDENTITY_TEXT_BYTES];
    return identity_of(desk_sessions(), id, texts[id % 4]);
}

/* ---- Members ---- */

Test(sentinel, an_identity_has_forty_digits_and_is_its_members_alone)
{
    cr_assert_eq(strlen(identity(1)), 40);
    cr_assert_eq(strspn(identity(1), "0123456789abcdef"), 40);
    cr_assert_str_neq(identity(1), identity(2));
    client_says(client, "SENTINEL MYID\r\n");
    cr_assert_str_eq(words_of(client_hears(client)), identity(1));
}

/* ---- The master ---- */

Test(sentinel, the_master_is_where_the_leader_serves_clients)
{
    tell(2);
    check("SENTINEL GET-MASTER-ADDR-BY-NAME test\r\n", "*2\r\n$8\r\n10.0.0.1\r\n$4\r\n6402\r\n");
    tell(1);
    check("sentinel get-master-addr-by-name test\r\n", "*2\r\n$8\r\n10.0.0.1\r\n$4\r\n6401\r\n");
}

Test(sentinel, a_leader_that_serves_no_clients_is_reached_through_this_node)
{
    desk_sessions()->config.members.list[1].client = (struct address){.port = 0};
    tell(2);
    check("SENTINEL GET-MASTER-ADDR-BY-NAME test\r\n", "*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6401\r\n");
}

Test(sentinel, questions_about_the_master_are_held_until_there_is_a_leader)
{
    check("SENTINEL GET-MASTER-ADDR-BY-NAME test\r\n", "");
    tell(NO_ONE);
    cr_assert_str_eq(client_hears(client), "");
    tell(2);
    cr_assert_str_eq(client_hears(client), "*2\r\n$8\r\n10.0.0.1\r\n$4\r\n6402\r\n");
}

Test(sentinel, without_a_leader_they_end_as_commands_do)
{
    client_says(client, "SENTINEL MASTERS\r\n");
    desk_pass(5001 * 1000);
    cr_assert_eq(strncmp(client_hears(client), "-CLUSTERDOWN ", 13), 0);
}

Test(sentinel, no_other_master_is_known)
{
    check("SENTINEL GET-MASTER-ADDR-BY-NAME other\r\n", "*-1\r\n");
    check("SENTINEL MASTER other\r\n", "-ERR No such master with that name\r\n");
    check("SENTINEL REPLICAS tes\r\n", "-ERR No such master with that name\r\n");
    check("SENTINEL SLAVES other\r\n", "-ERR No such master with that name\r\n");
    check("SENTINEL SENTINELS TEST\r\n", "-ERR No such master with that name\r\n");
    check("SENTINEL CKQUORUM other\r\n", "-ERR No such master with that name\r\n");
    client_says(client, "HELLO 3\r\n");
    client_hears(client);
    check("SENTINEL GET-MASTER-ADDR-BY-NAME other\r\n", "_\r\n");
}

#define MASTER_FACTS                                                                                                   \
    "name test ip 10.0.0.1 port 6402 runid %s flags master link-pending-commands 0 link-refcount 1 last-ping-sent 0 "  \
    "last-ok-ping-reply 0 last-ping-reply 0 down-after-milliseconds 5000 info-refresh 0 role-reported master "         \
    "role-reported-time 0 config-epoch 7 num-slaves 2 num-other-sentinels 2 quorum 2 failover-timeout 180000 "         \
    "parallel-syncs 1"

Test(sentinel, the_master_has_the_facts_of_redis_sentinel_in_their_order)
{
    char wanted[1024];
    tell(2);
    client_says(client, "SENTINEL MASTER test\r\n");
    snprintf(wanted, sizeof wanted, "*40 " MASTER_FACTS, identity(2));
    cr_assert_str_eq(words_of(client_hears(client)), wanted);
    client_says(client, "HELLO 3\r\n");
    client_hears(client);
    client_says(client, "SENTINEL MASTERS\r\n");
    snprintf(wanted, sizeof wanted, "*1 %%20 " MASTER_FACTS, identity(2));
    cr_assert_str_eq(words_of(client_hears(client)), wanted);
}

/* ---- Replicas and sentinels ---- */

Test(sentinel, those_that_do_not_lead_are_replicas_and_who_is_not_connected_is_down)
{
    char wanted[2048];
    tell(2);
    client_says(client, "HELLO 3\r\nSENTINEL REPLICAS test\r\n");
    client_hears(client);
    tell(2);
    const char *facts = "runid %s flags %s link-pending-commands 0 link-refcount 1 last-ping-sent 0 "
                        "last-ok-ping-reply 0 last-ping-reply 0 %sdown-after-milliseconds 5000 info-refresh 0 "
                        "role-reported slave role-reported-time 0 master-link-down-time 0 master-link-status %s "
                        "master-host 10.0.0.1 master-port 6402 slave-priority 100 slave-repl-offset 41 "
                        "replica-announced 1";
    int size = snprintf(wanted, sizeof wanted, "*2 %%21 name 10.0.0.1:6401 ip 10.0.0.1 port 6401 ");
    size += snprintf(wanted + size, sizeof wanted - (size_t)size, facts, identity(1), "slave", "", "ok");
    size += snprintf(wanted + size, sizeof wanted - (size_t)size, " %%22 name 10.0.0.1:6403 ip 10.0.0.1 port 6403 ");
    snprintf(wanted + size, sizeof wanted - (size_t)size, facts, identity(3), "s_down,slave,disconnected",
             "s-down-time 0 ", "err");
    cr_assert_str_eq(words_of(client_hears(client)), wanted);
}

Test(sentinel, the_other_members_that_serve_clients_are_sentinels)
{
    char wanted[1024];
    desk_sessions()->config.members.list[2].client = (struct address){.port = 0};
    client_says(client, "SENTINEL SENTINELS test\r\n");
    cr_assert_str_eq(desk_asked(), "STATUS");
    tell(NO_ONE);
    snprintf(
        wanted, sizeof wanted,
        "*1 *28 name %s ip 10.0.0.1 port 6402 runid %s flags sentinel link-pending-commands 0 link-refcount 1 "
        "last-ping-sent 0 last-ok-ping-reply 0 last-ping-reply 0 down-after-milliseconds 5000 last-hello-message 0 "
        "voted-leader ? voted-leader-epoch 0",
        identity(2), identity(2));
    cr_assert_str_eq(words_of(client_hears(client)), wanted);
}

/* ---- CKQUORUM ---- */

Test(sentinel, a_majority_that_is_reached_is_a_quorum)
{
    client_says(client, "SENTINEL CKQUORUM test\r\n");
    tell(NO_ONE);
    cr_assert_str_eq(client_hears(client),
                     "+OK 2 usable Sentinels. Quorum and failover authorization can be reached\r\n");
    client_says(client, "SENTINEL CKQUORUM test\r\n");
    struct status alone = led_by(NO_ONE);
    alone.members[1].connected = false;
    desk_tells(&alone);
    cr_assert_eq(strncmp(client_hears(client), "-NOQUORUM 1 usable Sentinels. ", 30), 0);
}
