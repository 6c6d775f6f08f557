#include "sim/cable.h"

#include <string.h>

#include "check.h"

#define SECOND 1000000

/* A client that keeps what it hears. */
struct client {
    struct cable *cable;
    char heard[4000];
    size_t size;
    int closed;
};

static struct sim *sim;

static void begin(void)
{
    sim = sim_new(7);
    sim_serve(sim, 2 * SECOND);
    sim_add_cluster(sim, 3);
    cr_assert(sim_run_until_leader(sim, 10 * SECOND));
    sim_run_us(sim, SECOND);
}

static void end(void)
{
    sim_free(sim);
}

TestSuite(cable, .init = begin, .fini = end, .timeout = 60);

static void hear(void *context, const uint8_t *bytes, size_t size)
{
    struct client *client = context;

    cr_assert_lt(client->size + size, sizeof client->heard);
    memcpy(client->heard + client->size, bytes, size);
    client->size += size;
}

static void closed(void *context)
{
    struct client *client = context;

    client->closed++;
    client->cable = NULL;
}

static void open_to(struct client *client, raft_id id)
{
    static const struct cable_calls CALLS = {hear, closed};

    *client = (struct client){.cable = cable_open(sim, id, &CALLS, client)};
}

static void say(const struct client *client, const char *text)
{
    cable_send(client->cable, text, strlen(text));
}

static void assert_heard(const struct client *client, const char *text)
{
    cr_assert_str_eq(client->heard, text);
}

Test(cable, carries_bytes_both_ways_in_order_and_whole_however_they_are_cut)
{
    struct client client;
    char text[20], all[2000] = "";

    open_to(&client, 1);
    for (int i = 100; i < 200; i++) { /* before it is open, too */
        snprintf(text, sizeof text, "ECHO %d\r\n", i);
        say(&client, text);
        snprintf(text, sizeof text, "$3\r\n%d\r\n", i);
        strcat(all, text);
    }
    sim_run_us(sim, SECOND);
    assert_heard(&client, all);
    cr_assert_eq(client.closed, 0);
    cable_close(client.cable);
}

Test(cable, brings_commands_to_the_log_through_every_node)
{
    struct client clients[3];

    for (int i = 0; i < 3; i++) {
        open_to(&clients[i], i + 1);
        say(&clients[i], "INCR a\r\n");
        sim_run_us(sim, SECOND);
        cr_assert_eq(clients[i].heard[1], '1' + i);
    }
    for (int i = 0; i < 3; i++) {
        say(&clients[i], "GET a\r\n");
        sim_run_us(sim, SECOND);
        cr_assert_str_eq(clients[i].heard + 4, "$1\r\n3\r\n");
        cable_close(clients[i].cable);
    }
}

Test(cable, is_closed_by_a_node_that_has_said_all_that_it_wanted_to)
{
    struct client client;

    open_to(&client, 2);
    say(&client, "PING\r\nQUIT\r\nPING\r\n");
    sim_run_us(sim, SECOND);
    assert_heard(&client, "+PONG\r\n+OK\r\n");
    cr_assert_eq(client.closed, 1);
}

Test(cable, is_closed_when_the_process_dies_and_not_when_the_power_goes)
{
    struct client one, other;

    open_to(&one, 1);
    open_to(&other, 2);
    sim_run_us(sim, SECOND);
    sim_kill(sim, 1);
    sim_power_cut(sim, 2);
    sim_run_us(sim, 10 * SECOND);
    cr_assert_eq(one.closed, 1);
    cr_assert_eq(other.closed, 0);
    say(&other, "PING\r\n");
    sim_restart(sim, 2);
    sim_run_us(sim, SECOND);
    assert_heard(&other, ""); /* another process has nothing to do with it */
    cable_close(other.cable);
}

Test(cable, to_nobody_is_refused)
{
    struct client client;

    sim_kill(sim, 1);
    open_to(&client, 1);
    say(&client, "PING\r\n");
    sim_run_us(sim, SECOND);
    cr_assert_eq(client.closed, 1);
    assert_heard(&client, "");
}

Test(cable, that_the_client_closes_ends_its_session)
{
    struct client client, other;

    open_to(&client, 1);
    sim_run_us(sim, SECOND);
    open_to(&other, 1);
    sim_run_us(sim, SECOND);
    cable_close(client.cable);
    sim_run_us(sim, SECOND);
    cr_assert_eq(client.closed, 0); /* it knows */
    say(&other, "CLIENT LIST\r\n");
    sim_run_us(sim, SECOND);
    cr_assert_null(strstr(other.heard, "id=1 "));
    cr_assert_not_null(strstr(other.heard, "id=2 "));
    cable_close(other.cable);
}

Test(cable, of_a_paused_node_waits_for_it)
{
    struct client client;

    open_to(&client, 1);
    sim_run_us(sim, SECOND);
    sim_pause(sim, 1);
    say(&client, "PING\r\n");
    sim_run_us(sim, SECOND);
    assert_heard(&client, "");
    sim_resume(sim, 1);
    sim_run_us(sim, SECOND);
    assert_heard(&client, "+PONG\r\n");
    cable_close(client.cable);
}

Test(cable, of_a_node_that_stops_hears_its_last_words)
{
    struct client client;
    raft_id follower = sim_leader(sim) == 1 ? 2 : 1;

    for (raft_id id = 1; id <= 3; id++)
        if (id != follower)
            sim_kill(sim, id);
    open_to(&client, follower);
    sim_run_us(sim, SECOND);
    say(&client, "SET a 1\r\n");
    sim_run_us(sim, SECOND / 10);
    sim_stop(sim, follower);
    sim_run_us(sim, 2 * SECOND);
    cr_assert_not_null(strstr(client.heard, "-CLUSTERDOWN "));
    cr_assert_eq(client.closed, 1);
    cr_assert(sim_ended_well(sim, follower, NULL));
}
