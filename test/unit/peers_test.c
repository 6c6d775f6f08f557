/* Which connections stand, and what the other ends said of themselves. */
#include "stage.h"

static const struct peer *peer_of(struct sim *sim, raft_id id)
{
    return &stage_server(sim)->peers[id - 1];
}

Test(peers, what_a_peer_said_of_itself_is_known_with_its_connection)
{
    struct sim *sim = stage_open(3);
    cr_assert_eq(peer_of(sim, 2)->incarnation, 0);
    sim_introduction(sim, 1, 2)->rejoin_empty = true;
    sim_connect_peer(sim, 1, 2, 77, 4);
    cr_assert_eq(peer_of(sim, 2)->incarnation, 77);
    cr_assert(peer_of(sim, 2)->connected[CHANNEL_URGENT]);
    cr_assert_not(peer_of(sim, 2)->connected[CHANNEL_BULK]);
    cr_assert_eq(peer_of(sim, 2)->connection[CHANNEL_URGENT], 4);
    cr_assert_eq(peer_of(sim, 2)->hello.data_id.bytes[0], 2);
    cr_assert(peer_of(sim, 2)->hello.rejoin_empty);
    stage_close(sim);
}

Test(peers, a_newer_connection_takes_the_place_of_the_older_one)
{
    struct sim *sim = stage_open(3);
    sim_connect_peer(sim, 1, 2, 77, 4);
    sim_connect_peer(sim, 1, 2, 77, 6);
    sim_connect_peer(sim, 1, 2, 77, 5); /* late */
    cr_assert_eq(peer_of(sim, 2)->connection[CHANNEL_URGENT], 6);
    sim_disconnect_peer(sim, 1, 2, 77, 4);
    sim_disconnect_peer(sim, 1, 2, 77, 5);
    cr_assert(peer_of(sim, 2)->connected[CHANNEL_URGENT]);
    sim_disconnect_peer(sim, 1, 2, 77, 6);
    cr_assert_not(peer_of(sim, 2)->connected[CHANNEL_URGENT]);
    stage_close(sim);
}

Test(peers, the_channels_are_counted_apart)
{
    struct sim *sim = stage_open(3);
    stage_meet_all(sim);
    for (int channel = 0; channel < 2; channel++)
        cr_assert(peer_of(sim, 2)->connected[channel] && peer_of(sim, 2)->reached[channel] == 1);
    sim_close_channel(sim, 1, 2, CHANNEL_BULK);
    cr_assert(peer_of(sim, 2)->connected[CHANNEL_URGENT]);
    cr_assert_not(peer_of(sim, 2)->connected[CHANNEL_BULK]);
    sim_lose_peer(sim, 1, 2, CHANNEL_URGENT);
    cr_assert_eq(peer_of(sim, 2)->reached[CHANNEL_URGENT], 0);
    cr_assert_eq(peer_of(sim, 2)->reached[CHANNEL_BULK], 1);
    stage_close(sim);
}

Test(peers, a_new_process_of_a_peer_begins_without_connections)
{
    struct sim *sim = stage_open(3);
    stage_meet_all(sim);
    sim_connect_peer(sim, 1, 2, 99, 1);
    cr_assert_eq(peer_of(sim, 2)->incarnation, 99);
    cr_assert(peer_of(sim, 2)->connected[CHANNEL_URGENT]);
    cr_assert_not(peer_of(sim, 2)->connected[CHANNEL_BULK], "that was the earlier one's");
    sim_disconnect_peer(sim, 1, 2, 1, 1); /* the earlier one's last connection closes only now */
    cr_assert(peer_of(sim, 2)->connected[CHANNEL_URGENT]);
    stage_close(sim);
}

Test(peers, the_connection_that_we_reached_last_counts)
{
    struct sim *sim = stage_open(3);
    stage_meet_all(sim);
    sim_lose_peer(sim, 1, 2, CHANNEL_BULK);
    sim_reach_peer(sim, 1, 2, CHANNEL_BULK);
    cr_assert_eq(peer_of(sim, 2)->reached[CHANNEL_BULK], 2);
    cr_assert_not(peer_of(sim, 2)->reached_born);
    sim_introduction(sim, 1, 2)->cluster_uuid.bytes[3] = 1;
    sim_lose_peer(sim, 1, 2, CHANNEL_BULK);
    sim_reach_peer(sim, 1, 2, CHANNEL_BULK);
    cr_assert(peer_of(sim, 2)->reached_born);
    stage_close(sim);
}

Test(peers, entries_leave_as_soon_as_a_follower_is_reached)
{
    struct sim *sim = stage_open(3);
    stage_elect(sim); /* by 2; nothing is known of 3 */
    sim_reach_peer(sim, 1, 3, CHANNEL_URGENT);
    stage_expect_no_append(sim, 3);
    sim_reach_peer(sim, 1, 3, CHANNEL_BULK);
    cr_assert_eq(stage_expect_append(sim, 3).prev_index, 0);
    stage_close(sim);
}

Test(peers, what_a_folder_has_acknowledged_is_forgotten_with_it)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    sim_connect_peer(sim, 1, 3, 99, 1); /* a new process, with the same folder */
    cr_assert_eq(peer_of(sim, 3)->progress.match_index, 1);
    sim_introduction(sim, 1, 3)->data_id.bytes[1] = 7;
    sim_connect_peer(sim, 1, 3, 100, 1);
    cr_assert_eq(peer_of(sim, 3)->progress.match_index, 0);
    cr_assert_eq(stage_expect_append(sim, 3).prev_index, 0, "it may have nothing");
    stage_close(sim);
}

/* Its entry was acknowledged by a folder that is not listed: with the one that is, it counts. */
Test(peers, a_connection_may_make_acknowledgements_count)
{
    struct sim *sim = stage_open(3);
    stage_leader(sim);
    sim_introduction(sim, 1, 3)->data_id.bytes[1] = 7;
    sim_connect_peer(sim, 1, 3, 99, 1);
    stage_propose_line(sim, 1, "add 1");
    stage_acknowledge(sim, 3, 1, 2);
    cr_assert_eq(stage_server(sim)->commit_index, 1);
    sim_introduction(sim, 1, 3)->data_id.bytes[1] = 0; /* the operator has restored the folder */
    sim_connect_peer(sim, 1, 3, 100, 1);
    stage_acknowledge(sim, 3, 1, 2);
    cr_assert_eq(stage_server(sim)->commit_index, 2);
    stage_close(sim);
}

Test(peers, a_closed_connection_of_the_leader_is_news_for_its_followers_alone)
{
    struct sim *sim = stage_open(3);
    stage_meet_all(sim);
    stage_follower(sim);
    sim_close_channel(sim, 1, 2, CHANNEL_BULK);
    sim_close_channel(sim, 1, 3, CHANNEL_URGENT);
    cr_assert_not(stage_server(sim)->leader_silent);
    sim_close_channel(sim, 1, 2, CHANNEL_URGENT);
    cr_assert(stage_server(sim)->leader_silent);
    stage_close(sim);
}
