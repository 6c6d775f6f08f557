#include "raft/route.h"

#include <stdio.h>

#include "base/pile.h"
#include "stage.h"

static struct pile *watcher;

static struct sim *open_watched(int count)
{
    static struct node_config config;
    sim_configure(&config, 1, count);
    watcher = pile_new();
    config.watcher = watcher;
    return stage_open_with(&config);
}

static void close_watched(struct sim *sim)
{
    pile_free(watcher);
    stage_close(sim);
}

/* The next that the watcher is told, as text: "LEADER in 1, leader 1, open"; "" where it is nothing. To be taken while
 * the node lives. *view: of that. */
static const char *told(uint64_t *view)
{
    static char text[100];
    int64_t now_us;
    struct letter *letter = pile_try(watcher, LANE_CLIENTS, &now_us);
    if (letter == NULL)
        return "";
    const struct status *status = letter->status;
    cr_assert_eq(letter->kind, LETTER_STATUS);
    *view = status->view;
    snprintf(text, sizeof text, "%s in %d, leader %d%s", status->role, (int)status->term, status->leader_id,
             status->open ? ", open" : "");
    letter_free(letter);
    return text;
}

/* The newest, whatever came before. */
static const char *told_last(uint64_t *view)
{
    static char last[100];
    const char *next;
    last[0] = '\0';
    while ((next = told(view))[0] != '\0')
        snprintf(last, sizeof last, "%s", next);
    return last;
}

/* A follower of member 2 in term 1 that knows of the birth. */
static struct sim *open_follower(uint64_t *view)
{
    struct sim *sim = open_watched(3);
    stage_meet_all(sim);
    stage_server(sim)->cluster_uuid.bytes[0] = 1;
    stage_deliver(sim, REQUEST_APPEND_ENTRIES, 2, 1);
    cr_assert_str_eq(told_last(view), "FOLLOWER in 1, leader 2, open");
    return sim;
}

Test(route, the_watcher_is_told_of_the_way_from_the_start)
{
    uint64_t view;
    struct sim *sim = open_watched(3);
    cr_assert_str_eq(told(&view), "FOLLOWER in 0, leader -1");
    cr_assert_eq(view, 1);
    cr_assert_str_eq(told(&view), "");
    close_watched(sim);
}

Test(route, leads_here_once_the_cluster_is_born)
{
    uint64_t view;
    struct sim *sim = open_watched(3);
    stage_unborn_leader(sim);
    cr_assert_str_eq(told_last(&view), "LEADER in 1, leader 1");
    stage_acknowledge(sim, 2, 1, 1);
    cr_assert_str_eq(told_last(&view), "LEADER in 1, leader 1, open");
    close_watched(sim);
}

Test(route, needs_both_bulk_connections_with_the_leader)
{
    uint64_t view, open;
    struct sim *sim = open_follower(&open);
    sim_lose_peer(sim, 1, 2, CHANNEL_BULK);
    cr_assert_str_eq(told_last(&view), "FOLLOWER in 1, leader 2");
    sim_reach_peer(sim, 1, 2, CHANNEL_BULK);
    cr_assert_str_eq(told_last(&view), "FOLLOWER in 1, leader 2, open");
    cr_assert_eq(view, open + 2, "each change has a number of its own");
    sim_close_channel(sim, 1, 2, CHANNEL_BULK);
    cr_assert_str_eq(told_last(&view), "FOLLOWER in 1, leader 2");
    sim_open_channel(sim, 1, 2, CHANNEL_BULK);
    cr_assert_str_eq(told_last(&view), "FOLLOWER in 1, leader 2, open");
    cr_assert_eq(view, open + 4);
    close_watched(sim);
}

Test(route, what_others_than_the_leader_do_changes_nothing)
{
    uint64_t view;
    struct sim *sim = open_follower(&view);
    sim_lose_peer(sim, 1, 3, CHANNEL_BULK);
    sim_close_channel(sim, 1, 3, CHANNEL_BULK);
    stage_deliver(sim, REQUEST_APPEND_ENTRIES, 2, 1);
    cr_assert_str_eq(told(&view), "");
    close_watched(sim);
}

Test(route, is_closed_while_the_leader_may_be_dead)
{
    uint64_t view;
    struct sim *sim = open_follower(&view);
    sim_close_peer(sim, 1, 2);
    cr_assert_str_eq(told(&view), "FOLLOWER in 1, leader 2");
    close_watched(sim);
}

Test(route, another_term_is_another_way_though_the_leader_is_the_same)
{
    uint64_t view, before;
    struct sim *sim = open_follower(&before);
    stage_deliver(sim, REQUEST_APPEND_ENTRIES, 2, 2);
    cr_assert_str_eq(told_last(&view), "FOLLOWER in 2, leader 2, open");
    cr_assert_gt(view, before);
    close_watched(sim);
}

Test(route, a_candidate_has_none)
{
    uint64_t view;
    struct sim *sim = open_follower(&view);
    stage_pre_candidate(sim);
    cr_assert_str_eq(told_last(&view), "CANDIDATE in 1, leader 2");
    close_watched(sim);
}

Test(route, whoever_stops_takes_nothing_more)
{
    uint64_t view;
    struct sim *sim = open_watched(3);
    stage_leader(sim);
    stage_ask_command(sim, 1, "add 1"); /* which it waits for */
    told_last(&view);
    sim_stop(sim, 1);
    sim_settle(sim);
    cr_assert(sim_lives(sim, 1));
    cr_assert_str_eq(told_last(&view), "LEADER in 1, leader 1");
    close_watched(sim);
}
