#include "sim/cable.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define DELAY_US_MIN 20
#define DELAY_US_MAX 300
#define NOTICE_US    500 /* a closed socket is noticed within so long */
#define WHOLE_SHARE  0.7 /* of what is sent at once, that comes at once */

enum load_kind { LOAD_OPEN, LOAD_BYTES, LOAD_CLOSE };

/* What travels. */
struct load {
    struct load *next;
    enum load_kind kind;
    int64_t due_us;
    size_t size;
    uint8_t bytes[];
};

/* One direction. */
struct strand {
    struct event event; /* the first load arrives */
    struct load *first, *last;
    struct cable *cable;
    int64_t latest_us;
};

struct cable {
    struct cable *next;     /* of the simulation */
    struct strand up, down; /* to the node, and to the client */
    raft_id to;
    uint64_t life;                 /* that it leads to; 0: nobody has taken it yet */
    struct connection *connection; /* in that life; NULL: it has no use for it any more, or not yet */
    struct cable_calls calls;
    void *client; /* NULL: it has closed the cable, or knows that it is closed */
};

/* ---- Loads ---- */

static void strand_add(struct strand *strand, enum load_kind kind, const void *bytes, size_t size, int64_t delay_us)
{
    struct load *load = calloc(1, sizeof *load + size);
    int64_t due_us = the_sim->now_us + delay_us;

    assert(load != NULL);
    if (strand->latest_us < due_us)
        strand->latest_us = due_us;
    load->kind = kind;
    load->due_us = strand->latest_us;
    load->size = size;
    if (size > 0)
        memcpy(load->bytes, bytes, size);
    if (strand->first == NULL)
        strand->first = load;
    else
        strand->last->next = load;
    strand->last = load;
    if (strand->first == load)
        event_schedule(the_sim, &strand->event, load->due_us);
}

static int64_t draw_delay(void)
{
    return sim_draw(the_sim, DELAY_US_MIN, DELAY_US_MAX);
}

static void strand_add_bytes(struct strand *strand, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        size_t part = sim_chance(the_sim, WHOLE_SHARE) ? size : (size_t)sim_draw(the_sim, 1, (int64_t)size + 1);

        strand_add(strand, LOAD_BYTES, bytes, part, draw_delay());
        bytes += part;
        size -= part;
    }
}

static struct load *strand_take(struct strand *strand)
{
    struct load *load = strand->first;

    strand->first = load->next;
    if (strand->first != NULL)
        event_schedule(the_sim, &strand->event, strand->first->due_us);
    return load;
}

static void strand_empty(struct strand *strand)
{
    event_cancel(the_sim, &strand->event);
    while (strand->first != NULL)
        free(strand_take(strand));
    event_cancel(the_sim, &strand->event);
}

/* ---- Arriving ---- */

static void cable_free(struct cable *cable)
{
    struct cable **at = &the_sim->cables;

    while (*at != cable)
        at = &(*at)->next;
    *at = cable->next;
    strand_empty(&cable->up);
    strand_empty(&cable->down);
    free(cable);
}

static void free_if_idle(struct cable *cable)
{
    if (cable->client == NULL && cable->connection == NULL && cable->up.first == NULL && cable->down.first == NULL)
        cable_free(cable);
}

static struct life *life_of(const struct cable *cable)
{
    struct life *life = sim_machine(the_sim, cable->to)->life;

    return life != NULL && life->number == cable->life ? life : NULL;
}

/* Whoever listens on the node's side, by whatever process there is now, takes it. */
static void open_up(struct cable *cable)
{
    struct life *life = sim_machine(the_sim, cable->to)->life;

    if (life == NULL || life->clients == NULL) {
        strand_add(&cable->down, LOAD_CLOSE, NULL, 0, draw_delay());
        return;
    }
    cable->life = life->number;
    life_enter(the_sim, life);
    clients_ring(life->clients, cable);
    life_leave(the_sim);
}

static void arrive_at_node(struct cable *cable, const struct load *load)
{
    struct life *life = life_of(cable);

    if (load->kind == LOAD_OPEN) {
        open_up(cable);
        return;
    }
    if (life == NULL || cable->connection == NULL)
        return;
    life_enter(the_sim, life);
    if (load->kind == LOAD_BYTES)
        connection_hear(cable->connection, load->bytes, load->size);
    else
        connection_end(cable->connection);
    life_leave(the_sim);
}

static void arrive_at_client(struct cable *cable, const struct load *load)
{
    void *client = cable->client;

    if (client == NULL)
        return;
    if (load->kind == LOAD_CLOSE) {
        cable->client = NULL;
        cable->calls.closed(client);
    } else {
        cable->calls.bytes(client, load->bytes, load->size);
    }
}

static void strand_fire(struct event *event)
{
    struct strand *strand = (struct strand *)event;
    struct cable *cable = strand->cable;
    struct load *load = strand_take(strand);

    if (strand == &cable->up)
        arrive_at_node(cable, load);
    else
        arrive_at_client(cable, load);
    free(load);
    free_if_idle(cable);
}

/* ---- The client's end ---- */

struct cable *cable_open(struct sim *sim, raft_id to, const struct cable_calls *calls, void *client)
{
    struct cable *cable = calloc(1, sizeof *cable);

    assert(cable != NULL);
    cable->to = to;
    cable->calls = *calls;
    cable->client = client;
    cable->up.cable = cable->down.cable = cable;
    cable->up.event.fire = cable->down.event.fire = strand_fire;
    cable->next = sim->cables;
    sim->cables = cable;
    strand_add(&cable->up, LOAD_OPEN, NULL, 0, draw_delay());
    return cable;
}

void cable_send(struct cable *cable, const void *bytes, size_t size)
{
    strand_add_bytes(&cable->up, bytes, size);
}

void cable_close(struct cable *cable)
{
    cable->client = NULL;
    strand_add(&cable->up, LOAD_CLOSE, NULL, 0, draw_delay());
}

/* ---- The node's end ---- */

void cable_answer(struct cable *cable, struct connection *connection)
{
    cable->connection = connection;
}

void cable_reply(struct cable *cable, const void *bytes, size_t size)
{
    strand_add_bytes(&cable->down, bytes, size);
}

void cable_hang_up(struct cable *cable)
{
    cable->connection = NULL;
    strand_add(&cable->down, LOAD_CLOSE, NULL, 0, draw_delay());
}

/* ---- The ends ---- */

void cables_life_ended(struct sim *sim, const struct life *life, bool silently)
{
    for (struct cable *cable = sim->cables; cable != NULL; cable = cable->next) {
        if (cable->life != life->number)
            continue;
        cable->connection = NULL;
        if (!silently)
            strand_add(&cable->down, LOAD_CLOSE, NULL, 0, sim_draw(sim, 0, NOTICE_US));
    }
}

void cables_fini(struct sim *sim)
{
    while (sim->cables != NULL)
        cable_free(sim->cables);
}
