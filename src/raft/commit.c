#include "raft/commit.h"

#include <assert.h>

#include "raft/membership.h"
#include "raft/proposals.h"
#include "raft/reads.h"

/* Takes the batch. */
static void hand_over(struct server *server, struct batch *entries)
{
    size_t wait_count;
    assert(entries->list[0]->index == server->handed_index + 1);
    server->handed_index = entries->list[entries->count - 1]->index;
    server->applying_bytes += entries->bytes;
    struct wait *waits = proposals_settle(server, entries, &wait_count);
    if (wait_count > 0)
        server->awaited_index = waits[wait_count - 1].index;
    applier_apply(server->applier, entries, waits, wait_count);
}

static void read_old(struct server *server)
{
    struct run place = raft_log_place(&server->raft_log, server->handed_index + 1, server->commit_index);
    server->apply_read_number = ++server->read_number;
    log_reader_read(server->log_reader, server->apply_read_number, &place, COMMIT_BATCH_BYTES);
}

static void hand_over_all(struct server *server)
{
    struct raft_log *log = &server->raft_log;
    raft_index handed_index = server->handed_index;
    while (server->handed_index < server->commit_index && server->apply_read_number == 0 &&
           server->applying_bytes < COMMIT_AHEAD_BYTES) {
        raft_index next = server->handed_index + 1;
        if (raft_log_has(log, next))
            hand_over(server, raft_log_slice(log, next, server->commit_index, COMMIT_BATCH_BYTES));
        else
            read_old(server);
    }
    if (server->handed_index > handed_index)
        reads_hand_over(server);
}

void commit_advance(struct server *server, raft_index index)
{
    if (index <= server->commit_index)
        return;
    assert(index <= raft_log_last_index(&server->raft_log));
    server->commit_index = index;
    membership_committed(server);
    membership_tend(server);
    hand_over_all(server);
}

void commit_read(struct server *server)
{
    if (server->apply_read_number == 0 || server->letter->number != server->apply_read_number)
        return;
    server->apply_read_number = 0;
    struct batch *entries = server->letter->entries;
    server->letter->entries = NULL;
    hand_over(server, entries);
    reads_hand_over(server);
    hand_over_all(server);
}

void commit_applied(struct server *server)
{
    const struct letter *letter = server->letter;
    assert(letter->applied.index > server->applied_index && letter->applied.index <= server->handed_index);
    server->applied_index = letter->applied.index;
    server->applying_bytes -= letter->applied.entry_bytes;
    server->machine_deadline_us = letter->applied.deadline_us;
    server->machine_bytes = letter->applied.memory_bytes;
    hand_over_all(server);
}
