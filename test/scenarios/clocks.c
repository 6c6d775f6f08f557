/* Scenarios of time: wall clocks that jump, nodes that are stopped for a while, and mail that comes too fast. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "scenarios/caller.h"
#include "scenarios/served.h"

#define HOUR (3600 * (int64_t)SECOND)

/* Wall clocks jump an hour ahead and back, of the leader, of a follower, of all: nobody stands, and what expires after
 * a while does so after that while. */
Test(clocks, a_wall_clock_that_jumps_changes_neither_leader_nor_what_is_left_of_a_key)
{
    static const int64_t JUMPS[] = {HOUR, -HOUR, 0, -HOUR, HOUR, 0};
    struct sim *sim = served_cluster(1, 3);
    raft_id leader = sim_leader(sim);
    raft_term term = sim_server(sim, leader)->current_term;
    struct caller *caller = caller_open(sim, leader % 3 + 1);
    for (int whose = 0; whose < 3; whose++)
        for (size_t i = 0; i < sizeof(JUMPS) / sizeof(*JUMPS); i++) {
            cr_assert_str_eq(caller_ask(caller, "SET a 1 PX 700"), "OK");
            for (int node = 0; node < 3; node++)
                if (whose == 2 || node == whose)
                    sim_set_wall_clock(sim, (leader - 1 + node) % 3 + 1, JUMPS[i]);
            sim_run_us(sim, 500 * MS);
            long left_ms = atol(caller_ask(caller, "PTTL a"));
            cr_assert(left_ms > 150 && left_ms <= 200, "%ld", left_ms);
            sim_run_us(sim, 200 * MS);
            cr_assert_str_eq(caller_ask(caller, "GET a"), "nil");
            cr_assert_eq(sim_leader(sim), leader);
            cr_assert_eq(sim_server(sim, leader)->current_term, term);
        }
    caller_close(caller);
    sim_free(sim);
}

/* A node that did not run for a second wakes far behind its deadline. What the leader had sent meanwhile waits in its
 * sockets: it is read before the node decides to stand. */
Test(clocks, a_follower_that_was_stopped_reads_its_mail_before_it_decides_to_stand)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct sim *sim = served_cluster(seed, 3);
        raft_id leader = sim_leader(sim), follower = leader % 3 + 1;
        sim_log_clear(sim, follower);
        for (int i = 0; i < 5; i++) {
            sim_pause(sim, follower);
            sim_run_us(sim, SECOND + sim_draw_us(sim, 100 * MS));
            sim_resume(sim, follower);
            sim_run_us(sim, 200 * MS);
        }
        cr_assert_not(sim_log_has(sim, follower, "STATE: "), "seed %d: %s", (int)seed, sim_log_text(sim, follower));
        cr_assert_eq(sim_leader(sim), leader);
        sim_free(sim);
    }
}
