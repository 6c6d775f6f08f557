#include "raft/timer.h"

#include "base/random.h"

static void set_deadline(struct server *server, int64_t wait_us)
{
    server->election_deadline_us = server->now_us + wait_us;
    log_debug(server->log, "Restarted the election timeout milliseconds: %.1f", (double)wait_us / 1000);
}

void timer_tell(struct server *server)
{
    int64_t left_us = server->election_deadline_us - server->now_us;
    log_info(server->log, "Election timeout milliseconds: %.1f", (double)(left_us > 0 ? left_us : 0) / 1000);
}

static int64_t draw_timeout(const struct server *server)
{
    return random_between(server->config.election_timeout_min_us, server->config.election_timeout_max_us);
}

void timer_restart(struct server *server)
{
    set_deadline(server, draw_timeout(server));
}

/* Four times what one step of an election costs: long enough that the first to draw has mostly won before the second
 * stands, short beside any timeout. */
static int64_t first_span(const struct server *server)
{
    int64_t step_us = server->ballot_sync_us + server->leader_round_trip_us;
    int64_t step_us_max = server->config.election_timeout_min_us / 4;
    if (step_us < 1000)
        step_us = 1000;
    if (step_us > step_us_max)
        step_us = step_us_max;
    return 4 * step_us;
}

void timer_leader_closed(struct server *server)
{
    if (!server->config.fast_failover)
        return;
    server->leader_silent = true;
    server->hint_span_us = first_span(server);
    int64_t wait_us = random_between(0, server->hint_span_us);
    log_info(server->log, "Leader %d closed its connection wait_ms=%.1f", server->leader_id, (double)wait_us / 1000);
    if (server->now_us + wait_us < server->election_deadline_us)
        set_deadline(server, wait_us);
}

void timer_leader_spoke(struct server *server)
{
    server->heard_us = server->now_us;
    server->leader_silent = false;
    server->hint_span_us = 0;
    timer_restart(server);
}

void timer_start_round(struct server *server)
{
    int64_t span_us = server->hint_span_us;
    if (span_us == 0)
        set_deadline(server, draw_timeout(server));
    else /* the answers need the better part of a span; then as much again as twice the span, at random */
        set_deadline(server, span_us + random_between(0, 2 * span_us));
}

void timer_round_failed(struct server *server)
{
    server->hint_span_us *= 2;
    if (server->hint_span_us > server->config.election_timeout_min_us)
        server->hint_span_us = 0; /* the ordinary timeout is no longer than this */
}

void timer_round_lost(struct server *server)
{
    if (server->hint_span_us > 0)
        set_deadline(server, random_between(0, 2 * server->hint_span_us));
}

void timer_yield(struct server *server)
{
    if (server->role != FOLLOWER || server->hint_span_us == 0)
        return;
    int64_t wait_us = server->hint_span_us + random_between(0, server->hint_span_us);
    if (server->now_us + wait_us > server->election_deadline_us)
        set_deadline(server, wait_us);
}

void timer_false_alarm(struct server *server)
{
    if (server->hint_span_us == 0)
        return;
    server->hint_span_us = 0;
    timer_restart(server);
}
