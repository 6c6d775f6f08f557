/* mail/mailbox.h: the network between machines. No sockets and no bytes: a message is an event that arrives.
 *
 * From each node to each other there is a path, on which it keeps a connection open while it can: to a machine that has
 * a mailbox, while neither way is cut. What is sent while a way is cut, or while there is no connection, is lost or
 * held, as sockets and outboxes do; the newest HELD_MAX messages come through late. A process that dies is noticed at
 * once by those it was connected to, unless the way is cut or the power went: then after the time of a keepalive. */
#include "mail/mailbox.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "sim/world.h"

#define HELD_MAX       4
#define NOTICE_US_MAX  1000 /* how late a peer notices that a socket was closed */
#define RETRY_US_MIN   2000 /* between tries to connect */
#define RETRY_US_MAX   40000
#define KEEPALIVE_US   3500000 /* after so long, or up to a second more, a dead way closes its connections */
#define AFTER_PAUSE_US 3000    /* a resumed process reads what has gathered within so long */

struct mailbox {
    struct life *life;
    struct mailbox_config config;
    uint64_t incarnation;
    struct pile *pile;
};

/* Of one machine to another; each has two events of its own. */
struct path {
    struct event retry; /* try to connect */
    struct machine *from, *to;
    bool cut;
    bool open;                /* as the sender sees it */
    uint64_t to_life;         /* whose process it is open to */
    struct link link;         /* the present or the last one */
    struct delivery *closing; /* on its way: the receiver is told that the last one has closed; NULL: none */
    int64_t latest_us;        /* when the last of what was sent so far arrives */
    struct message held[HELD_MAX];
    int held_count;
};

struct keepalive {
    struct event event;
    struct path *path;
};

struct network {
    struct path paths[MEMBERS_MAX][MEMBERS_MAX]; /* from, to: by place in sim->machines */
    struct keepalive keepalives[MEMBERS_MAX][MEMBERS_MAX];
};

struct delivery {
    struct event event;
    struct path *path; /* whose closing it is; NULL: another kind of letter */
    struct machine *to;
    uint64_t to_life;
    enum letter_kind kind;
    struct link link;
    struct message message;
    struct data_id data_id;
};

static struct path *path_between(struct sim *sim, const struct machine *from, const struct machine *to)
{
    return &sim->paths->paths[from->position][to->position];
}

static struct path *path_back(struct sim *sim, const struct path *path)
{
    return path_between(sim, path->to, path->from);
}

static bool is_cut_off(struct sim *sim, const struct path *path)
{
    return path->cut || path_back(sim, path)->cut;
}

/* ---- Arriving ---- */

static void trace_arrival(struct sim *sim, raft_id to, enum letter_kind kind, const struct link *link,
                          const struct message *message)
{
    char text[MESSAGE_TEXT_MAX];

    if (sim->trace == NULL)
        return;
    if (kind == LETTER_MESSAGE)
        message_describe(message, text, sizeof text);
    else
        snprintf(text, sizeof text, "%s", kind == LETTER_CONNECTED ? "connected" : "disconnected");
    sim_trace(sim, "%d -> %d #%llu %s", link->peer, to, (unsigned long long)link->connection, text);
}

void mailbox_arrive(struct sim *sim, struct life *life, enum letter_kind kind, const struct link *link,
                    const struct message *message, const struct data_id *data_id)
{
    struct letter *letter;

    trace_arrival(sim, life->machine->id, kind, link, message);
    life_enter(sim, life);
    letter = letter_new(kind);
    letter->link = *link;
    if (kind == LETTER_MESSAGE)
        letter->message = *message;
    if (kind == LETTER_CONNECTED)
        letter->hello.data_id = *data_id;
    pile_put(life->mailbox->pile, LANE_INNER, letter);
    life_leave(sim);
}

static void delivery_fire(struct event *event)
{
    struct delivery *delivery = (struct delivery *)event;
    struct machine *to = delivery->to;
    struct life *life = to->life;
    bool reached = life != NULL && life->number == delivery->to_life && life->mailbox != NULL;

    if (reached && life->paused) {
        events_postpone(&life->postponed_mail, event);
        return;
    }
    if (delivery->path != NULL && delivery->path->closing == delivery)
        delivery->path->closing = NULL;
    if (reached) {
        mailbox_arrive(the_sim, life, delivery->kind, &delivery->link, &delivery->message, &delivery->data_id);
        if (delivery->kind == LETTER_MESSAGE && delivery->message.type_of_message == RESPONSE_APPEND_ENTRIES)
            check_answer_arrived(to, delivery->link.peer);
    }
    free(delivery);
}

void network_resume(struct sim *sim, struct life *life)
{
    int64_t due_us = sim->now_us;
    struct event *event;

    while ((event = events_take(&life->postponed_mail)) != NULL) {
        due_us += sim_draw(sim, 0, (sim->now_us + AFTER_PAUSE_US - due_us) / 2);
        event_schedule(sim, event, due_us);
    }
}

/* ---- Sending ---- */

static struct delivery *delivery_new(const struct path *path, enum letter_kind kind)
{
    struct delivery *delivery = calloc(1, sizeof *delivery);

    assert(delivery != NULL);
    delivery->event.fire = delivery_fire;
    delivery->to = path->to;
    delivery->to_life = path->to_life;
    delivery->kind = kind;
    delivery->link = path->link;
    return delivery;
}

static int64_t draw_delay(struct sim *sim)
{
    const struct sim_network *network = &sim->network;

    if (sim_chance(sim, network->tail))
        return sim_draw(sim, network->delay_min_us, network->tail_max_us);
    return sim_draw(sim, network->delay_min_us, network->delay_max_us);
}

static void path_carry(struct sim *sim, struct path *path, const struct message *message)
{
    struct delivery *delivery = delivery_new(path, LETTER_MESSAGE);
    int64_t due_us = sim->now_us + draw_delay(sim);

    delivery->message = *message;
    if (!sim->network.reordering && due_us < path->latest_us)
        due_us = path->latest_us;
    if (due_us > path->latest_us)
        path->latest_us = due_us;
    event_schedule(sim, &delivery->event, due_us);
}

static void path_hold(struct path *path, const struct message *message)
{
    if (path->held_count == HELD_MAX) {
        memmove(path->held, path->held + 1, (HELD_MAX - 1) * sizeof path->held[0]);
        path->held_count--;
    }
    path->held[path->held_count++] = *message;
}

static void path_release_held(struct sim *sim, struct path *path)
{
    for (int i = 0; i < path->held_count; i++)
        path_carry(sim, path, &path->held[i]);
    path->held_count = 0;
}

static void path_send(struct sim *sim, struct path *path, const struct message *message)
{
    if (sim_chance(sim, sim->network.loss))
        return;
    if (!path->open || path->cut) {
        path_hold(path, message);
        return;
    }
    path_carry(sim, path, message);
    if (sim_chance(sim, sim->network.duplication))
        path_carry(sim, path, message);
}

static void keep_for_test(struct machine *from, raft_id to, const struct message *message)
{
    struct sent *sent = calloc(1, sizeof *sent);

    assert(sent != NULL);
    sent->to = to;
    sent->message = *message;
    if (from->sent_first == NULL)
        from->sent_first = sent;
    else
        from->sent_last->next = sent;
    from->sent_last = sent;
}

void mailbox_send(struct mailbox *mailbox, raft_id to, enum channel channel, const struct message *message,
                  const struct batch *entries, bool droppable)
{
    struct sim *sim = the_sim;
    struct machine *from = mailbox->life->machine;
    const struct machine *receiver;

    (void)channel, (void)entries, (void)droppable;
    check_sending(from, to, message);
    if (sim->scripted) {
        keep_for_test(from, to, message);
        return;
    }
    receiver = sim_find_machine(sim, to);
    if (receiver != NULL)
        path_send(sim, path_between(sim, from, receiver), message);
}

/* ---- Connecting and disconnecting ---- */

static void path_close(struct sim *sim, struct path *path, int64_t noticed_us)
{
    if (!path->open)
        return;
    path->open = false;
    path->closing = delivery_new(path, LETTER_DISCONNECTED);
    path->closing->path = path;
    event_schedule(sim, &path->closing->event, noticed_us > path->latest_us ? noticed_us : path->latest_us);
}

static int64_t notice_us(struct sim *sim, const struct path *path, bool silently)
{
    if (silently || path->cut)
        return sim->now_us + KEEPALIVE_US + sim_draw(sim, 0, 1000000);
    return sim->now_us + sim_draw(sim, 10, NOTICE_US_MAX);
}

static void path_retry(struct sim *sim, struct path *path, int64_t min_us, int64_t max_us)
{
    event_schedule(sim, &path->retry, sim->now_us + sim_draw(sim, min_us, max_us));
}

/* A dead connection is noticed at the next byte of either end. */
static void path_hasten_closing(struct sim *sim, const struct path *path)
{
    int64_t soon_us = sim->now_us + NOTICE_US_MAX;

    if (path->closing != NULL && path->closing->event.place != 0 && path->closing->event.due_us > soon_us)
        event_schedule(sim, &path->closing->event, soon_us > path->latest_us ? soon_us : path->latest_us);
}

/* While the receiver still holds a socket of an earlier process, a new one is a second node of the same id to it. */
static bool is_refused_as_duplicate(const struct path *path)
{
    return path->closing != NULL && path->link.incarnation != path->from->life->mailbox->incarnation;
}

static void path_connect(struct sim *sim, struct path *path)
{
    struct mailbox *mailbox = path->from->life->mailbox;
    struct delivery *delivery;

    path->link.connection = path->link.incarnation == mailbox->incarnation ? path->link.connection + 1 : 1;
    path->link.incarnation = mailbox->incarnation;
    path->link.peer = path->from->id;
    path->link.channel = CHANNEL_URGENT;
    path->open = true;
    path->to_life = path->to->life->number;
    path->latest_us = sim->now_us + draw_delay(sim);
    path->closing = NULL; /* of an older one: it is told late, which a newer connection makes harmless */
    delivery = delivery_new(path, LETTER_CONNECTED);
    delivery->data_id = mailbox->config.data_id;
    event_schedule(sim, &delivery->event, path->latest_us);
    path_release_held(sim, path);
}

static void retry_fire(struct event *event)
{
    struct path *path = (struct path *)event;
    const struct life *from = path->from->life, *to = path->to->life;

    if (path->open || from == NULL || from->mailbox == NULL)
        return;
    if (to != NULL && to->mailbox != NULL && !to->paused && !from->paused && !is_cut_off(the_sim, path)) {
        path_hasten_closing(the_sim, path);
        if (!is_refused_as_duplicate(path)) {
            path_connect(the_sim, path);
            return;
        }
    }
    path_retry(the_sim, path, RETRY_US_MIN, RETRY_US_MAX);
}

static void keepalive_fire(struct event *event)
{
    struct path *path = ((struct keepalive *)event)->path;

    if (!is_cut_off(the_sim, path))
        return;
    path_close(the_sim, path, the_sim->now_us);
    path->held_count = 0;
    path_retry(the_sim, path, RETRY_US_MIN, RETRY_US_MAX);
}

static void paths_of_life_close(struct sim *sim, struct machine *machine, bool silently)
{
    for (int i = 0; i < sim->machine_count; i++) {
        struct path *out = path_between(sim, machine, sim->machines[i]);
        struct path *in = path_back(sim, out);

        if (i == machine->position)
            continue;
        path_close(sim, out, notice_us(sim, out, silently));
        out->held_count = 0;
        if (in->open) {
            in->open = false;
            path_retry(sim, in, RETRY_US_MIN, RETRY_US_MAX);
        }
    }
}

static void mail_forget(struct events *events)
{
    struct event *event;

    while ((event = events_take(events)) != NULL)
        delivery_fire(event);
}

void network_life_ended(struct sim *sim, struct life *life, bool silently)
{
    struct machine *machine = life->machine;

    if (life->mailbox != NULL && !sim->scripted)
        paths_of_life_close(sim, machine, silently);
    life->mailbox = NULL;
    life->paused = false;
    mail_forget(&life->postponed_mail); /* nobody is there to get it */
}

/* ---- The mailbox ---- */

struct mailbox *mailbox_open(const struct mailbox_config *config, struct pile *pile, struct log *log,
                             struct mailraft_error *err)
{
    struct sim *sim = the_sim;
    struct mailbox *mailbox = memory_new(sizeof *mailbox);

    (void)log, (void)err;
    mailbox->life = sim->life;
    mailbox->config = *config;
    mailbox->pile = pile;
    random_bytes(&mailbox->incarnation, sizeof mailbox->incarnation);
    sim->life->mailbox = mailbox;
    return mailbox;
}

bool mailbox_start(struct mailbox *mailbox, struct mailraft_error *err)
{
    struct sim *sim = the_sim;

    (void)mailbox, (void)err;
    for (int i = 0; i < sim->machine_count && !sim->scripted; i++)
        if (i != sim->life->machine->position)
            path_retry(sim, path_between(sim, sim->life->machine, sim->machines[i]), 100, RETRY_US_MIN);
    return true;
}

void mailbox_stop(struct mailbox *mailbox)
{
    struct life *life = mailbox->life;

    if (!the_sim->scripted)
        paths_of_life_close(the_sim, life->machine, false);
    life->mailbox = NULL;
}

void mailbox_free(struct mailbox *mailbox)
{
    memory_free(mailbox);
}

/* ---- The network as a whole ---- */

void network_init(struct sim *sim)
{
    sim->paths = calloc(1, sizeof *sim->paths);
    assert(sim->paths != NULL);
}

/* Once all lives are over, every delivery on its way ends by itself. */
void network_fini(struct sim *sim)
{
    while (sim->heap_count > 0) {
        struct event *event = sim->heap[1];

        event_cancel(sim, event);
        if (event->fire == delivery_fire)
            free(event);
    }
    free(sim->paths);
}

void network_add_machine(struct sim *sim, struct machine *machine)
{
    for (int i = 0; i < sim->machine_count; i++)
        for (int way = 0; way < 2; way++) {
            struct machine *from = way == 0 ? machine : sim->machines[i];
            struct machine *to = way == 0 ? sim->machines[i] : machine;
            struct path *path = path_between(sim, from, to);
            struct keepalive *keepalive = &sim->paths->keepalives[from->position][to->position];

            path->from = from;
            path->to = to;
            path->retry.fire = retry_fire;
            keepalive->path = path;
            keepalive->event.fire = keepalive_fire;
        }
}

struct sim_network *sim_network(struct sim *sim)
{
    return &sim->network;
}

static void path_cut(struct sim *sim, struct path *path)
{
    int64_t dead_us = sim->now_us + KEEPALIVE_US + sim_draw(sim, 0, 1000000);

    if (path->cut || path->from == path->to)
        return;
    sim_trace(sim, "cut %d -> %d", path->from->id, path->to->id);
    path->cut = true;
    event_schedule(sim, &sim->paths->keepalives[path->from->position][path->to->position].event, dead_us);
    event_schedule(sim, &sim->paths->keepalives[path->to->position][path->from->position].event, dead_us);
}

void sim_cut(struct sim *sim, raft_id from, raft_id to)
{
    path_cut(sim, path_between(sim, sim_machine(sim, from), sim_machine(sim, to)));
}

void sim_isolate(struct sim *sim, raft_id id)
{
    for (int i = 0; i < sim->machine_count; i++) {
        struct path *path = path_between(sim, sim_machine(sim, id), sim->machines[i]);

        path_cut(sim, path);
        path_cut(sim, path_back(sim, path));
    }
}

static void path_heal(struct sim *sim, struct path *path)
{
    if (!path->cut)
        return;
    path->cut = false;
    if (path->open)
        path_release_held(sim, path);
    path_hasten_closing(sim, path);
}

void sim_heal(struct sim *sim)
{
    sim_trace(sim, "healed");
    for (int i = 0; i < sim->machine_count; i++)
        for (int j = 0; j < sim->machine_count; j++)
            path_heal(sim, path_between(sim, sim->machines[i], sim->machines[j]));
}

void sim_break_connection(struct sim *sim, raft_id from, raft_id to)
{
    struct path *path = path_between(sim, sim_machine(sim, from), sim_machine(sim, to));

    if (!path->open)
        return;
    sim_trace(sim, "connection %d -> %d breaks", from, to);
    path_close(sim, path, notice_us(sim, path, false));
    path_retry(sim, path, 0, RETRY_US_MIN);
}
