#include "raft/progress.h"

#include <assert.h>

void progress_begin(struct progress *progress, raft_index last_index, int64_t now_us)
{
    *progress = (struct progress){.next_index = last_index + 1, .probing = true, .moved_us = now_us};
}

bool progress_has_room(const struct progress *progress)
{
    if (progress->probing)
        return progress->count == 0;
    return progress->count < PROGRESS_MESSAGES_MAX && progress->in_flight_bytes < PROGRESS_WINDOW_BYTES;
}

void progress_sent(struct progress *progress, raft_index last, size_t bytes, int64_t now_us)
{
    unsigned place = (progress->first + progress->count) % PROGRESS_MESSAGES_MAX;
    if (progress->count == 0)
        progress->moved_us = now_us;
    progress->in_flight[place].last = last;
    progress->in_flight[place].bytes = bytes;
    progress->count++;
    progress->in_flight_bytes += bytes;
    progress->next_index = last + 1;
}

/* An acknowledgement covers all messages whose entries it reaches, whichever it answers: each comes in its order. */
static void land(struct progress *progress, raft_index match_index)
{
    while (progress->count > 0 && progress->in_flight[progress->first].last <= match_index) {
        progress->in_flight_bytes -= progress->in_flight[progress->first].bytes;
        progress->first = (progress->first + 1) % PROGRESS_MESSAGES_MAX;
        progress->count--;
    }
}

bool progress_acknowledged(struct progress *progress, raft_index match_index, int64_t now_us)
{
    bool news = match_index > progress->match_index;
    if (news) {
        progress->match_index = match_index;
        progress->moved_us = now_us;
        progress->probing = false;
        progress->resent = 0;
    }
    land(progress, match_index);
    if (progress->next_index <= progress->match_index)
        progress->next_index = progress->match_index + 1;
    return news;
}

void progress_probe(struct progress *progress, raft_index next_index, int64_t now_us)
{
    if (next_index <= progress->match_index)
        next_index = progress->match_index + 1;
    progress->next_index = next_index;
    progress->probing = true;
    progress->moved_us = now_us;
    progress->first = progress->count = 0;
    progress->in_flight_bytes = 0;
    progress->read_number = 0;
}

void progress_check(const struct progress *progress, raft_index last_index)
{
    assert(progress->match_index < progress->next_index);
    assert(progress->next_index <= last_index + 1);
    assert(progress->count <= (progress->probing ? 1 : PROGRESS_MESSAGES_MAX));
    if (progress->count == 0) {
        assert(progress->in_flight_bytes == 0);
        return;
    }
    unsigned newest = (progress->first + progress->count - 1) % PROGRESS_MESSAGES_MAX;
    assert(progress->in_flight[progress->first].last >= progress->match_index);
    assert(progress->in_flight[newest].last + 1 == progress->next_index);
}
