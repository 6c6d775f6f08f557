#include "raft/applier.h"

#include <assert.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/credit.h"
#include "base/memory.h"
#include "base/thread.h"

#define GATHER_BYTES        (64 * 1024)        /* of answers that leave together; a larger one leaves at once */
#define UNHANDLED_BYTES_MAX (16 * 1024 * 1024) /* of large answers that have left and that nobody has handled yet */
#define LARGE_BYTES         1024               /* smaller ones are bounded by what asks for them */

struct applier {
    const struct mailraft_machine *machine; /* NULL: none */
    struct pile *pile;
    struct pile *answers; /* the server's */
    struct log *log;
    struct thread thread;

    /* Its own thread's. */
    raft_index applied_index;
    int64_t wall_offset_us;
    bool ends; /* it was told to */
    struct mailraft_standing standing;
    struct mailraft_entry *entries; /* the batch as the machine sees it; room for `room` */
    size_t room;
    struct mailraft_buffer answer; /* that is being put together */
    struct sack {                  /* what leaves for one pile together */
        struct pile *pile;
        struct letter_list letters;
    } * sacks;
    size_t sack_count;
    struct credit *credit; /* for the large answers that leave */
    size_t gathered_bytes; /* of all that is in them */
    uint64_t given_back;   /* queries, as LETTER_READ_EARLY */
};

static struct letter *reply_new(const struct proposer *proposer, enum outcome outcome, raft_index index,
                                raft_id leader_id, struct mailraft_buffer *bytes)
{
    struct letter *letter = letter_new(LETTER_REPLY);
    letter->number = proposer->number;
    letter->reply.link = proposer->link;
    letter->reply.outcome = outcome;
    letter->reply.index = index;
    letter->reply.leader_id = leader_id;
    if (bytes != NULL) {
        letter->reply.bytes = *bytes;
        *bytes = (struct mailraft_buffer){.bytes = NULL};
    }
    return letter;
}

void applier_reply(const struct proposer *proposer, enum outcome outcome, raft_index index, raft_id leader_id,
                   struct mailraft_buffer *bytes)
{
    if (proposer->pile != NULL)
        pile_put(proposer->pile, LANE_INNER, reply_new(proposer, outcome, index, leader_id, bytes));
}

/* ---- What leaves ---- */

/* One for each pile that ever wanted something: a handful. */
static struct letter_list *sack_for(struct applier *applier, struct pile *pile)
{
    for (size_t i = 0; i < applier->sack_count; i++)
        if (applier->sacks[i].pile == pile)
            return &applier->sacks[i].letters;
    applier->sacks = memory_resize(applier->sacks, (applier->sack_count + 1) * sizeof *applier->sacks);
    applier->sacks[applier->sack_count] = (struct sack){.pile = pile};
    return &applier->sacks[applier->sack_count++].letters;
}

static void send(struct applier *applier, struct pile *pile, struct letter *letter)
{
    letter_list_add(sack_for(applier, pile), letter);
}

/* Many replies are one wake-up. */
static void send_off(struct applier *applier)
{
    for (size_t i = 0; i < applier->sack_count; i++)
        pile_put_all(applier->sacks[i].pile, LANE_INNER, &applier->sacks[i].letters);
    applier->gathered_bytes = 0;
}

static void charge(struct applier *applier, struct letter *reply)
{
    size_t size = reply->reply.bytes.size;
    if (size < LARGE_BYTES)
        return;
    reply->credit = applier->credit;
    reply->credit_bytes = size;
    credit_charge(applier->credit, size);
}

/* Takes the answer that was put together. Many small questions may have large answers: they must not take all memory
 * before anybody can look at them. Whoever gets them never waits for us, so they are soon handled, also where a client
 * does not read. */
static void send_reply(struct applier *applier, const struct proposer *proposer, enum outcome outcome, raft_index index)
{
    applier->gathered_bytes += sizeof(struct letter) + applier->answer.size;
    if (proposer->pile != NULL) {
        struct letter *reply = reply_new(proposer, outcome, index, NO_ONE, &applier->answer);
        charge(applier, reply);
        send(applier, proposer->pile, reply);
    }
    buffer_clear(&applier->answer);
    if (applier->gathered_bytes < GATHER_BYTES)
        return;
    send_off(applier);
    credit_await(applier->credit);
}

/* ---- One batch ---- */

static void make_room(struct applier *applier, size_t count)
{
    if (count <= applier->room)
        return;
    applier->entries = memory_resize(applier->entries, count * sizeof *applier->entries);
    applier->room = count;
}

static void show(struct applier *applier, const struct entry *entry, struct mailraft_entry *shown)
{
    assert(entry->index == applier->applied_index + 1);
    applier->applied_index = entry->index;
    entry_wall_offset(entry, &applier->wall_offset_us);
    *shown = (struct mailraft_entry){
        .index = entry->index, .time_us = entry->time_us, .wall_offset_us = applier->wall_offset_us};
    if (entry->kind == ENTRY_COMMAND) {
        shown->command = entry_payload(entry);
        shown->size = entry_payload_size(entry);
    }
    if (log_enabled(applier->log, LOG_TRACE))
        log_trace(applier->log, "Applied index=%llu term=%llu checksum=%016llx", (unsigned long long)entry->index,
                  (unsigned long long)entry->term, (unsigned long long)entry_checksum(entry));
}

static void run(struct applier *applier, size_t from, size_t to)
{
    const struct mailraft_machine *machine = applier->machine;
    if (machine != NULL && from < to)
        machine->apply(machine->context, applier->entries + from, to - from, &applier->standing);
}

/* Up to the next entry that somebody waits for at a time: so the answers of a whole batch, which may be large, need not
 * be there together. */
static void apply(struct applier *applier, struct letter *letter)
{
    const struct batch *batch = letter->entries;
    size_t done = 0;
    make_room(applier, batch->count);
    for (size_t i = 0; i < batch->count; i++)
        show(applier, batch->list[i], &applier->entries[i]);
    for (size_t i = 0; i < letter->wait_count; i++) {
        size_t place = letter->waits[i].index - batch->list[0]->index;
        applier->entries[place].reply = &applier->answer;
        run(applier, done, place + 1);
        send_reply(applier, &letter->waits[i].proposer, OUTCOME_APPLIED, letter->waits[i].index);
        done = place + 1;
    }
    run(applier, done, batch->count);
    send_off(applier);
}

/* ---- Queries ---- */

/* Takes the letter. Those who ask at once are answered at once. */
static void answer(struct applier *applier, struct letter *query)
{
    bool early = applier->standing.deadline_us <= query->time_us;
    if (early || query->number < applier->given_back) {
        query->kind = LETTER_READ_EARLY;
        applier->given_back++;
        send(applier, applier->answers, query);
        return;
    }
    const struct mailraft_machine *machine = applier->machine;
    machine->read(machine->context, query->request.bytes, query->request.size, query->time_us, &applier->answer);
    send_reply(applier, &query->proposer, OUTCOME_READ, 0);
    letter_free(query);
}

/* ---- The thread ---- */

static void say_applied(struct applier *applier, size_t entry_bytes)
{
    struct letter *letter = letter_new(LETTER_APPLIED);
    letter->applied.index = applier->applied_index;
    letter->applied.entry_bytes = entry_bytes;
    letter->applied.deadline_us = applier->standing.deadline_us;
    letter->applied.memory_bytes = applier->standing.memory_bytes;
    pile_put(applier->answers, LANE_INNER, letter);
}

/* The next letter that is there; NULL for none, and when it was told to end: that goes before all batches. */
static struct letter *try_next(struct applier *applier)
{
    int64_t now_us;
    struct letter *end = pile_try(applier->pile, LANE_CONTROL, &now_us);
    if (end == NULL)
        return pile_try(applier->pile, LANE_INNER, &now_us);
    letter_free(end);
    applier->ends = true;
    return NULL;
}

static struct letter *await_next(struct applier *applier)
{
    int64_t now_us;
    send_off(applier);
    struct letter *letter = pile_take(applier->pile, LANE_INNER, CLOCK_NEVER, &now_us);
    if (letter->kind != LETTER_NO_MORE)
        return letter;
    letter_free(letter);
    applier->ends = true;
    return NULL;
}

/* What it will not apply any more has been committed, and others may answer for it. */
static void give_up(const struct letter *letter)
{
    if (letter->kind == LETTER_QUERY)
        applier_reply(&letter->proposer, OUTCOME_NOT_EXECUTED, 0, NO_ONE, NULL);
    for (size_t i = 0; letter->kind == LETTER_APPLY && i < letter->wait_count; i++)
        applier_reply(&letter->waits[i].proposer, OUTCOME_UNCERTAIN, letter->waits[i].index, NO_ONE, NULL);
}

static void applier_main(void *context)
{
    struct applier *applier = context;
    struct letter *letter;
    int64_t now_us;

    while (!applier->ends) {
        size_t entry_bytes = 0;
        for (letter = await_next(applier); letter != NULL; letter = try_next(applier)) {
            if (letter->kind == LETTER_QUERY) {
                answer(applier, letter);
                continue;
            }
            apply(applier, letter);
            entry_bytes += letter->entries->bytes;
            letter_free(letter);
        }
        if (entry_bytes > 0)
            say_applied(applier, entry_bytes);
    }
    send_off(applier);
    while ((letter = pile_try(applier->pile, LANE_INNER, &now_us)) != NULL) {
        give_up(letter);
        letter_free(letter);
    }
    pile_put(applier->answers, LANE_CONTROL, letter_new(LETTER_APPLIER_ENDED));
}

static void applier_free(struct applier *applier)
{
    pile_free(applier->pile);
    memory_free(applier->entries);
    memory_free(applier->sacks);
    buffer_fini(&applier->answer);
    credit_abandon(applier->credit);
    memory_free(applier);
}

struct applier *applier_start(const struct mailraft_machine *machine, struct pile *answers, struct log *log,
                              struct mailraft_error *err)
{
    struct applier *applier = memory_new(sizeof *applier);
    applier->machine = machine;
    applier->pile = pile_new();
    applier->credit = credit_new(UNHANDLED_BYTES_MAX);
    applier->answers = answers;
    applier->log = log;
    applier->standing.deadline_us = MAILRAFT_NO_DEADLINE;
    if (thread_start(&applier->thread, "applier", applier_main, applier, err))
        return applier;
    applier_free(applier);
    return NULL;
}

void applier_apply(struct applier *applier, struct batch *entries, struct wait *waits, size_t wait_count)
{
    struct letter *letter = letter_new(LETTER_APPLY);
    letter->entries = entries;
    letter->waits = waits;
    letter->wait_count = wait_count;
    pile_put(applier->pile, LANE_INNER, letter);
}

void applier_query(struct applier *applier, struct letter_list *queries)
{
    pile_put_all(applier->pile, LANE_INNER, queries);
}

void applier_close(struct applier *applier)
{
    pile_put(applier->pile, LANE_CONTROL, letter_new(LETTER_NO_MORE));
    credit_close(applier->credit);
}

void applier_join(struct applier *applier)
{
    thread_join(&applier->thread);
    applier_free(applier);
}

void applier_abandon(struct applier *applier)
{
    thread_abandon(&applier->thread);
    /* The struct and its pile stay for good: the thread may come back from the machine and use them. */
}
