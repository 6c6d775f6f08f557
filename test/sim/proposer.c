/* The counter machine of each life, and its client: a thread that takes the answers to what sim_propose proposes. */
#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "sim/world.h"

#define NOT_ANSWERED_MAX 64 /* proposals of a life under way */

/* ---- The machine ---- */

static bool machine_prepare(void *context, const struct mailraft_proposal *proposal, struct mailraft_buffer *command)
{
    struct mailraft_machine counter = counter_machine(&((struct life *)context)->counter);

    return counter.prepare(counter.context, proposal, command);
}

/* One by one, so that the state is looked at after each entry. */
static void machine_apply(void *context, const struct mailraft_entry *entries, size_t count,
                          struct mailraft_standing *standing)
{
    struct life *life = context;
    struct mailraft_machine counter = counter_machine(&life->counter);

    for (size_t i = 0; i < count; i++) {
        check_applying(life->machine, &entries[i]);
        counter.apply(counter.context, &entries[i], 1, standing);
        check_applied(life->machine, &life->counter);
    }
}

static void machine_read(void *context, const void *query, size_t size, int64_t time_us, struct mailraft_buffer *reply)
{
    struct mailraft_machine counter = counter_machine(&((struct life *)context)->counter);

    counter.read(counter.context, query, size, time_us, reply);
}

static bool machine_write_snapshot(void *context, uint64_t portion, struct mailraft_buffer *bytes)
{
    struct mailraft_machine counter = counter_machine(&((struct life *)context)->counter);

    return counter.write_snapshot(counter.context, portion, bytes);
}

static bool machine_read_snapshot(void *context, uint64_t portion, const void *bytes, size_t size, bool last,
                                  struct mailraft_error *err)
{
    struct mailraft_machine counter = counter_machine(&((struct life *)context)->counter);

    return counter.read_snapshot(counter.context, portion, bytes, size, last, err);
}

/* ---- The client ---- */

static void client_main(void *context)
{
    struct life *life = context;
    struct letter *letter;
    int64_t now_us;

    while ((letter = pile_take(life->client_pile, LANE_CLIENTS, CLOCK_NEVER, &now_us)) != NULL) {
        assert(letter->kind == LETTER_REPLY);
        life->not_answered--;
        check_answer(life->machine, letter);
        letter_free(letter);
    }
}

void client_start(struct life *life)
{
    struct mailraft_error err;

    counter_init(&life->counter);
    life->counting = (struct mailraft_machine){life,         machine_prepare,        machine_apply,
                                               machine_read, machine_write_snapshot, machine_read_snapshot};
    life->machine->config.machine = &life->counting;
    life->client_pile = pile_new();
    thread_start(&life->client, "client", client_main, life, &err);
}

void client_stop(struct life *life)
{
    pile_close(life->client_pile);
    thread_join(&life->client);
    pile_free(life->client_pile);
}

/* ---- What tests ask ---- */

void sim_count(struct sim *sim)
{
    sim->counting = true;
}

bool sim_propose(struct sim *sim, raft_id id, const char *request)
{
    struct life *life = sim_machine(sim, id)->life;
    struct proposer proposer;

    if (life == NULL || life->node == NULL || life->client_pile == NULL || life->not_answered >= NOT_ANSWERED_MAX)
        return false;
    proposer = (struct proposer){.pile = life->client_pile, .number = check_proposed(sim)};
    life->not_answered++;
    sim_trace(sim, "proposal %llu at %d: %s", (unsigned long long)proposer.number, id, request);
    life_enter(sim, life);
    node_propose(life->node, request, strlen(request), &proposer, NULL);
    life_leave(sim);
    return true;
}

int sim_not_answered(const struct sim *sim, raft_id id)
{
    const struct life *life = sim_machine(sim, id)->life;

    return life != NULL ? life->not_answered : 0;
}

uint64_t sim_outcomes(const struct sim *sim, enum outcome outcome)
{
    return sim->outcomes[outcome];
}

const struct counter *sim_counter(const struct sim *sim, raft_id id)
{
    const struct life *life = sim_machine(sim, id)->life;

    return life != NULL && life->client_pile != NULL ? &life->counter : NULL;
}
