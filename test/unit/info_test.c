/* Tests of serve/info.c: how the node is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "unit/beside_redis.h"

static struct client *client;

static void prepare(void)
{
    desk_open_unconnected();
    struct members *members = &desk_sessions()->config.members;
    members->count = 3;
    for (int i = 0; i < 3; i++)
        members->list[i] = (struct member){
            .id = i + 1, .peer = {"127.0.0.1", (uint16_t)(7101 + i)}, .client = {"127.0.0.1", (uint16_t)(6401 + i)}};
    client = client_open();
}

TestSuite(info, .init = prepare, .fini = desk_close, .timeout = 60);

static const struct status LED = {.view = 4,
                                  .open = true,
                                  .role = "FOLLOWER",
                                  .term = 7,
                                  .leader_id = 2,
                                  .commit_index = 41,
                                  .applied_index = 40,
                                  .last_index = 42,
                                  .memory_bytes = 1572864,
                                  .member_count = 2,
                                  .members = {{2, true, 0}, {3, false, 17}}};

static const struct status UNLED = {.view = 5, .role = "CANDIDATE", .term = 8, .leader_id = NO_ONE};

static void check_fact(const char *answer, const char *fact)
{
    char line[256];
    snprintf(line, sizeof line, "\r\n%s\r\n", fact);
    cr_assert(strstr(answer, line) != NULL, "%s in %s", fact, answer);
}

static void answer_keys(size_t question, uint64_t keys, uint64_t expiring)
{
    uint8_t bytes[24] = {0};
    bytes_put_u64(bytes, keys);
    bytes_put_u64(bytes + 8, expiring);
    desk_reply_bytes(question, OUTCOME_READ, 0, bytes, sizeof bytes);
}

Test(info, a_section_is_told_from_the_present_status)
{
    client_says(client, "INFO RAFT\r\n");
    cr_assert_str_eq(desk_asked(), "STATUS");
    desk_tells(&LED);
    cr_assert_str_eq(
        client_hears(client),
        "$451\r\n# Raft\r\nraft_node_id:1\r\nraft_role:FOLLOWER\r\nraft_term:7\r\nraft_leader_id:2\r\n"
        "raft_leader_addr:127.0.0.1:6402\r\nraft_last_index:42\r\nraft_commit_index:41\r\nraft_applied_index:40\r\n"
        "raft_members:3\r\n"
        "raft_member0:id=1,peer=127.0.0.1:7101,client=127.0.0.1:6401,connected=1,match_index=0\r\n"
        "raft_member1:id=2,peer=127.0.0.1:7102,client=127.0.0.1:6402,connected=1,match_index=0\r\n"
        "raft_member2:id=3,peer=127.0.0.1:7103,client=127.0.0.1:6403,connected=0,match_index=17\r\n\r\n");
}

Test(info, sections_come_in_their_order_and_unknown_ones_are_nothing)
{
    client_says(client, "INFO cluster foo persistence\r\n");
    desk_tells(&LED);
    const char *answer = client_hears(client);
    const char *persistence = strstr(answer, "\r\n# Persistence\r\nloading:0\r\n");
    const char *cluster = strstr(answer, "\r\n\r\n# Cluster\r\ncluster_enabled:0\r\n");
    cr_assert(persistence && cluster && persistence < cluster, "%s", answer);
    client_says(client, "INFO foo\r\n");
    desk_tells(&LED);
    cr_assert_str_eq(client_hears(client), "$0\r\n\r\n");
}

Test(info, all_is_told_with_the_numbers_of_keys_that_the_leader_tells)
{
    desk_tells(&LED);
    client_says(client, "INFO\r\n");
    desk_tells(&LED);
    cr_assert_str_eq(client_hears(client), "");
    answer_keys(0, 12, 3);
    const char *answer = client_hears(client);
    check_fact(answer, "redis_version:7.0.15");
    check_fact(answer, "mailraft_version:" MAILRAFT_VERSION);
    check_fact(answer, "redis_mode:standalone");
    check_fact(answer, "tcp_port:6401");
    check_fact(answer, "connected_clients:1");
    check_fact(answer, "used_memory:1572864");
    check_fact(answer, "used_memory_human:1.50M");
    check_fact(answer, "loading:0");
    check_fact(answer, "role:master");
    check_fact(answer, "connected_slaves:0");
    check_fact(answer, "master_repl_offset:41");
    check_fact(answer, "cluster_enabled:0");
    check_fact(answer, "db0:keys=12,expires=3,avg_ttl=0");
    check_fact(answer, "raft_term:7");
}

Test(info, a_database_without_keys_has_no_line)
{
    desk_tells(&LED);
    client_says(client, "INFO keyspace\r\n");
    desk_tells(&LED);
    answer_keys(0, 0, 0);
    cr_assert_str_eq(client_hears(client), "$12\r\n# Keyspace\r\n\r\n");
}

Test(info, without_a_leader_it_is_told_at_once_and_without_numbers_of_keys)
{
    client_says(client, "INFO\r\n");
    cr_assert_str_eq(desk_asked(), "STATUS");
    desk_tells(&UNLED);
    cr_assert_str_eq(desk_asked(), "");
    const char *answer = client_hears(client);
    check_fact(answer, "loading:0");
    check_fact(answer, "raft_role:CANDIDATE");
    check_fact(answer, "raft_leader_id:-1");
    check_fact(answer, "raft_leader_addr:");
    check_fact(answer, "# Keyspace\r\n\r\n# Raft");
}

Test(info, when_the_leader_goes_before_it_has_told_the_numbers_they_are_left_out)
{
    desk_tells(&LED);
    client_says(client, "INFO keyspace\r\n");
    desk_tells(&LED);
    desk_reply(0, OUTCOME_NOT_EXECUTED, 0, "");
    cr_assert_str_eq(client_hears(client), "$12\r\n# Keyspace\r\n\r\n");
}

Test(info, it_is_a_verbatim_string_in_resp3)
{
    client_says(client, "HELLO 3\r\n");
    client_hears(client);
    client_says(client, "INFO cluster\r\n");
    desk_tells(&LED);
    cr_assert_str_eq(client_hears(client), "=34\r\ntxt:# Cluster\r\ncluster_enabled:0\r\n\r\n");
}

/* Each section's title and each name of a fact, in order. */
static void shape_of(const char *answer, char *shape, size_t room)
{
    size_t size = 0;
    const char *at = strstr(answer, "# ");
    cr_assert_not_null(at, "%s", answer);
    while (*at && size + 1 < room) {
        size_t length = strcspn(at, ":\r");
        if (length > 0 && size + length + 1 < room) {
            memcpy(shape + size, at, length);
            size += length;
            shape[size++] = '\n';
        }
        at = strchr(at, '\n') + 1;
    }
    shape[size] = '\0';
}

Test(info, its_sections_have_no_facts_but_those_of_redis)
{
    static const char *const SECTIONS[] = {"server", "clients", "memory",      "persistence",
                                           "stats",  "cpu",     "replication", "cluster"};
    struct real_redis redis;
    real_redis_start(&redis);
    for (size_t i = 0; i < sizeof SECTIONS / sizeof *SECTIONS; i++) {
        char lines[64], ours[4096], theirs[4096];
        snprintf(lines, sizeof lines, "INFO %s\r\n", SECTIONS[i]);
        char *answer = redis_answers(&redis, lines);
        shape_of(answer, theirs, sizeof theirs);
        free(answer);
        client_says(client, lines);
        desk_tells(&LED);
        shape_of(client_hears(client), ours, sizeof ours);
        for (char *rest = ours, *name; (name = strtok_r(rest, "\n", &rest));)
            cr_assert(strstr(theirs, name) != NULL || strcmp(name, "mailraft_version") == 0, "%s", name);
    }
    real_redis_stop(&redis);
}

/* ---- ROLE ---- */

Test(info, role_is_that_of_a_master_without_replicas)
{
    client_says(client, "ROLE\r\n");
    desk_tells(&LED);
    cr_assert_str_eq(client_hears(client), "*3\r\n$6\r\nmaster\r\n:41\r\n*0\r\n");
}
