/* mail/mailbox.h: the network between machines. No sockets: a message is an event that arrives, and its entries are
 * bytes that the receiver decodes for itself.
 *
 * From each node to each other there are two paths, one a channel, on each of which it keeps a connection open while it
 * can: to a machine that has a mailbox, while neither way is cut. What is sent while a way is cut, or while there is no
 * connection, is lost or held, as sockets and outboxes do: the newest HELD_MAX messages come through late, and over a
 * bulk connection that stands, MAILBOX_BULK_BYTES of them and whatever is forwarded. A process that dies is noticed at
 * once by those it was connected to, unless the way is cut or the power went: then after the time of a keepalive, or
 * when it is there again. Of an urgent connection that stands, single messages are lost (an outbox drops them); of a
 * bulk one, none is but with the connection itself. What is forwarded comes at most once and in order, as mailbox.h
 * promises; other messages, which must not mind, are doubled and overtake each other, too. */
#include "mail/mailbox.h"

#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/requests.h"
#include "base/random.h"
#include "sim/world.h"

#define HELD_MAX       4
#define NOTICE_US_MAX  1000 /* how late a peer notices that a socket was closed */
#define RETRY_US_MIN   2000 /* between tries to connect */
#define RETRY_US_MAX   40000
#define KEEPALIVE_US   3500000 /* after so long, or up to a second more, a dead way closes its connections */
#define AFTER_PAUSE_US 3000    /* a resumed process reads what has gathered within so long */
#define BREAK_SHARE    0.1     /* of the losses, those that a bulk connection breaks of */

struct mailbox {
    struct life *life;
    struct mailbox_config config;
    uint64_t incarnation;
    struct pile *pile;
};

/* Of one machine to another over one channel. */
struct path {
    struct event retry;  /* try to connect */
    struct event notice; /* the sender finds that the connection has closed at its other end */
    struct machine *from, *to;
    bool cut;
    bool open;                /* as the sender sees it */
    uint64_t to_life;         /* whose process it is open to */
    struct link link;         /* the present or the last one */
    struct delivery *closing; /* on its way: the receiver is told that the last one has closed; NULL: none */
    int64_t opened_us;        /* when the receiver is told of the connection */
    int64_t latest_us;        /* when the last of what was sent so far arrives */
    int64_t latest_forward_us; /* the same of what was forwarded */
    struct parcels held;
};

struct keepalive {
    struct event event;
    struct machine *from, *to;
};

struct network {
    struct path paths[MEMBERS_MAX][MEMBERS_MAX][CHANNELS]; /* from, to: by place in sim->machines */
    struct keepalive keepalives[MEMBERS_MAX][MEMBERS_MAX];
};

struct delivery {
    struct event event;
    struct path *path; /* whose closing it is; NULL: another kind of letter */
    bool waited;       /* while its receiver was paused */
    bool lost;         /* with the connection that it was sent over */
    struct machine *to;
    uint64_t to_life;
    enum letter_kind kind;
    struct link link;
    struct parcel *parcel; /* owned; NULL: none */
    struct introduction hello;
};

static struct path *path_between(struct sim *sim, const struct machine *from, const struct machine *to,
                                 enum channel channel)
{
    return &sim->paths->paths[from->position][to->position][channel];
}

static struct path *path_back(struct sim *sim, const struct path *path)
{
    return path_between(sim, path->to, path->from, (enum channel)path->link.channel);
}

static bool is_cut_off(struct sim *sim, const struct path *path)
{
    return path->cut || path_back(sim, path)->cut;
}

static bool is_process(const struct machine *machine, uint64_t life)
{
    return machine->life != NULL && machine->life->number == life && machine->life->mailbox != NULL;
}

/* ---- Arriving ---- */

static void trace_arrival(struct sim *sim, raft_id to, enum letter_kind kind, const struct link *link,
                          const struct parcel *parcel)
{
    static const char *const CHANNEL_NAMES[CHANNELS] = {"urgent", "bulk"};
    char text[MESSAGE_TEXT_MAX];
    bool own = kind == LETTER_REACHED || kind == LETTER_LOST; /* link: its receiver's own */

    if (sim->trace == NULL)
        return;
    if (kind == LETTER_MESSAGE)
        message_describe(&parcel->message, text, sizeof text);
    else
        snprintf(text, sizeof text, "%s",
                 kind == LETTER_CONNECTED      ? "connected"
                 : kind == LETTER_DISCONNECTED ? "disconnected"
                 : kind == LETTER_REACHED      ? "reached"
                                               : "lost");
    sim_trace(sim, "%d -> %d %s#%llu %s", own ? to : link->peer, own ? link->peer : to, CHANNEL_NAMES[link->channel],
              (unsigned long long)link->connection, text);
}

void mailbox_arrive(struct sim *sim, struct life *life, enum letter_kind kind, const struct link *link,
                    const struct parcel *parcel, const struct introduction *hello)
{
    struct letter *letter;

    trace_arrival(sim, life->machine->id, kind, link, parcel);
    life_enter(sim, life);
    letter = letter_new(kind);
    letter->link = *link;
    if (parcel != NULL) {
        letter->message = parcel->message;
        letter->entries = parcel_entries(parcel);
        letter->body = parcel_body(parcel);
    } else if (hello != NULL) {
        letter->hello = *hello;
    }
    pile_put(life->mailbox->pile, LANE_INNER, letter);
    life_leave(sim);
}

static void delivery_free(struct delivery *delivery)
{
    free(delivery->parcel);
    free(delivery);
}

/* Whether it has to wait: for the end of a pause, or for what has gathered in one. */
static bool is_held_up(struct delivery *delivery, struct life *life)
{
    if (life->paused) {
        delivery->waited = true;
        events_postpone(&life->postponed_mail, &delivery->event);
        return true;
    }
    if (delivery->waited || the_sim->now_us >= life->mail_in_us)
        return false;
    event_schedule(the_sim, &delivery->event, life->mail_in_us);
    return true;
}

static void delivery_fire(struct event *event)
{
    struct delivery *delivery = (struct delivery *)event;
    struct machine *to = delivery->to;
    bool reached = is_process(to, delivery->to_life) && !delivery->lost;

    if (reached && is_held_up(delivery, to->life))
        return;
    if (delivery->path != NULL && delivery->path->closing == delivery)
        delivery->path->closing = NULL;
    if (reached) {
        mailbox_arrive(the_sim, to->life, delivery->kind, &delivery->link, delivery->parcel, &delivery->hello);
        if (delivery->parcel != NULL && delivery->parcel->message.type_of_message == RESPONSE_APPEND_ENTRIES)
            check_answer_arrived(to, delivery->link.peer);
    }
    delivery_free(delivery);
}

void network_resume(struct sim *sim, struct life *life)
{
    int64_t due_us = sim->now_us;
    struct event *event;

    while ((event = events_take(&life->postponed_mail)) != NULL) {
        due_us += sim_draw(sim, 0, (sim->now_us + AFTER_PAUSE_US - due_us) / 2);
        event_schedule(sim, event, due_us);
    }
    life->mail_in_us = due_us;
}

/* ---- Sending ---- */

static struct delivery *delivery_new(struct machine *to, uint64_t to_life, enum letter_kind kind,
                                     const struct link *link)
{
    struct delivery *delivery = calloc(1, sizeof *delivery);

    assert(delivery != NULL);
    delivery->event.fire = delivery_fire;
    delivery->to = to;
    delivery->to_life = to_life;
    delivery->kind = kind;
    delivery->link = *link;
    return delivery;
}

/* To whoever opened the path: what has become of it. */
static void tell_opener(struct sim *sim, const struct path *path, enum letter_kind kind,
                        const struct introduction *hello)
{
    struct link link = path->link;
    struct delivery *delivery;

    if (path->from->life == NULL)
        return;
    link.peer = path->to->id;
    delivery = delivery_new(path->from, path->from->life->number, kind, &link);
    if (hello != NULL)
        delivery->hello = *hello;
    event_schedule(sim, &delivery->event, sim->now_us);
}

static int64_t draw_delay(struct sim *sim)
{
    const struct sim_network *network = &sim->network;

    if (sim_chance(sim, network->tail))
        return sim_draw(sim, network->delay_min_us, network->tail_max_us);
    return sim_draw(sim, network->delay_min_us, network->delay_max_us);
}

static int64_t latest(int64_t left_us, int64_t right_us)
{
    return left_us > right_us ? left_us : right_us;
}

/* Behind what it must not overtake. */
static int64_t not_before_us(const struct sim *sim, const struct path *path, const struct parcel *parcel)
{
    if (!sim->network.reordering)
        return path->latest_us;
    return parcel_is_forward(parcel) ? path->latest_forward_us : path->opened_us;
}

/* Takes the parcel. */
static void path_carry(struct sim *sim, struct path *path, struct parcel *parcel)
{
    struct delivery *delivery = delivery_new(path->to, path->to_life, LETTER_MESSAGE, &path->link);
    int64_t due_us = latest(sim->now_us + draw_delay(sim), not_before_us(sim, path, parcel));

    delivery->parcel = parcel;
    path->latest_us = latest(path->latest_us, due_us);
    if (parcel_is_forward(parcel))
        path->latest_forward_us = due_us;
    event_schedule(sim, &delivery->event, due_us);
}

static bool has_too_much(const struct path *path)
{
    if (path->open && path->link.channel == CHANNEL_BULK)
        return path->held.size > MAILBOX_BULK_BYTES;
    return path->held.count > HELD_MAX;
}

static void path_hold(struct path *path, struct parcel *parcel)
{
    struct parcel *dropped = parcel;

    if (!parcel->droppable && !path->open) {
        free(parcel);
        return;
    }
    parcels_put(&path->held, parcel);
    while (dropped != NULL && has_too_much(path)) {
        dropped = parcels_take_droppable(&path->held);
        free(dropped);
    }
}

static void path_release_held(struct sim *sim, struct path *path)
{
    struct parcel *parcel;

    while ((parcel = parcels_take(&path->held)) != NULL)
        path_carry(sim, path, parcel);
}

static void path_break(struct sim *sim, struct path *path);

/* Whether the network loses what is sent just now. */
static bool is_lost(struct sim *sim, struct path *path, const struct parcel *parcel)
{
    if (!sim_chance(sim, sim->network.loss))
        return false;
    if (path->link.channel == CHANNEL_URGENT)
        return parcel->droppable;
    if (path->open && sim_chance(sim, BREAK_SHARE)) {
        path_break(sim, path);
        return true;
    }
    return false;
}

/* Takes the parcel. */
static void path_send(struct sim *sim, struct path *path, struct parcel *parcel)
{
    if (is_lost(sim, path, parcel)) {
        free(parcel);
        return;
    }
    if (!path->open || path->cut) {
        path_hold(path, parcel);
        return;
    }
    if (!parcel_is_forward(parcel) && sim_chance(sim, sim->network.duplication))
        path_carry(sim, path, parcel_copy(parcel));
    path_carry(sim, path, parcel);
}

/* Takes the parcel. */
static void mailbox_post(const struct mailbox *mailbox, raft_id to, struct parcel *parcel)
{
    struct sim *sim = the_sim;
    struct machine *from = mailbox->life->machine;
    const struct machine *receiver = sim_find_machine(sim, to);

    check_sending(from, to, &parcel->message);
    parcel->to = to;
    if (sim->scripted)
        parcels_put(&from->sent, parcel);
    else if (receiver != NULL && (sim->lets_pass == NULL || sim->lets_pass(sim, from, parcel)))
        path_send(sim, path_between(sim, from, receiver, parcel->channel), parcel);
    else
        free(parcel);
}

void mailbox_send(struct mailbox *mailbox, raft_id to, enum channel channel, const struct message *message,
                  const struct batch *entries, bool droppable)
{
    struct parcel *parcel = parcel_new(channel, message, entries);

    assert(entries == NULL || channel == CHANNEL_BULK);
    assert(!parcel_is_forward(parcel));
    parcel->droppable = droppable;
    mailbox_post(mailbox, to, parcel);
}

void mailbox_forward(struct mailbox *mailbox, raft_id to, const struct message *message,
                     const struct mailraft_buffer *body)
{
    bool requests = message->type_of_message == FORWARD;

    assert(requests || message->type_of_message == FORWARDED);
    for (size_t at = 0, end; at < body->size; at = end) {
        end = requests ? requests_portion_end(body, at) : replies_portion_end(body, at);
        mailbox_post(mailbox, to, parcel_new_body(message, body->bytes + at, end - at));
    }
}

size_t mailbox_waiting_bytes(struct mailbox *mailbox, raft_id to, enum channel channel)
{
    struct sim *sim = the_sim;
    const struct machine *from = mailbox->life->machine, *receiver = sim_find_machine(sim, to);
    size_t bytes = 0;

    if (!sim->scripted)
        return receiver != NULL ? path_between(sim, from, receiver, channel)->held.size : 0;
    for (const struct parcel *parcel = from->sent.first; parcel != NULL; parcel = parcel->next)
        bytes += parcel->to == to && parcel->channel == channel ? parcel->size : 0;
    return bytes;
}

/* ---- Connecting and disconnecting ---- */

static void path_retry(struct sim *sim, struct path *path, int64_t min_us, int64_t max_us)
{
    event_schedule(sim, &path->retry, sim->now_us + sim_draw(sim, min_us, max_us));
}

/* noticed_us: when the receiver does, where its process is still there. The sender has noticed. */
static void path_close(struct sim *sim, struct path *path, int64_t noticed_us)
{
    if (!path->open)
        return;
    path->open = false;
    event_cancel(sim, &path->notice);
    parcels_empty(&path->held);
    tell_opener(sim, path, LETTER_LOST, NULL);
    if (!is_process(path->to, path->to_life))
        return;
    path->closing = delivery_new(path->to, path->to_life, LETTER_DISCONNECTED, &path->link);
    path->closing->path = path;
    event_schedule(sim, &path->closing->event, noticed_us > path->latest_us ? noticed_us : path->latest_us);
}

static int64_t notice_us(struct sim *sim, const struct path *path, bool silently)
{
    if (silently || path->cut)
        return sim->now_us + KEEPALIVE_US + sim_draw(sim, 0, 1000000);
    return sim->now_us + sim_draw(sim, 10, NOTICE_US_MAX);
}

static bool is_of(const struct delivery *delivery, const struct path *path)
{
    const struct link *link = &delivery->link;

    return delivery->kind == LETTER_MESSAGE && delivery->to == path->to && link->peer == path->from->id &&
           link->channel == path->link.channel && link->incarnation == path->link.incarnation &&
           link->connection == path->link.connection;
}

static int compare_deliveries(const void *left, const void *right)
{
    const struct event *a = &(*(struct delivery *const *)left)->event, *b = &(*(struct delivery *const *)right)->event;

    if (a->due_us != b->due_us)
        return a->due_us < b->due_us ? -1 : 1;
    return a->sequence < b->sequence ? -1 : a->sequence > b->sequence;
}

/* From some moment on nothing arrives any more of what is on its way over a connection that is reset. Often that is
 * after all has arrived. */
static void path_lose_late(struct sim *sim, const struct path *path)
{
    int64_t from_us = sim_draw(sim, sim->now_us, 2 * path->latest_us - sim->now_us);

    for (size_t i = 1; i <= sim->heap_count; i++) {
        struct delivery *delivery = (struct delivery *)sim->heap[i];

        if (delivery->event.fire == delivery_fire && is_of(delivery, path) && delivery->event.due_us >= from_us)
            delivery->lost = true;
    }
}

/* All of it in its order, as a reader does that has not run for a while. */
static void path_delay_late(struct sim *sim, struct path *path, int64_t late_us)
{
    size_t count = 0;
    struct delivery **late = calloc(sim->heap_count + 1, sizeof(struct delivery *));

    assert(late != NULL);
    for (size_t i = 1; i <= sim->heap_count; i++) {
        struct delivery *delivery = (struct delivery *)sim->heap[i];

        if (delivery->event.fire == delivery_fire && is_of(delivery, path))
            late[count++] = delivery;
    }
    qsort(late, count, sizeof(struct delivery *), compare_deliveries);
    for (size_t i = 0; i < count; i++)
        event_schedule(sim, &late[i]->event, late[i]->event.due_us + late_us);
    if (count > 0)
        path->latest_us += late_us;
    free(late);
}

static void path_break(struct sim *sim, struct path *path)
{
    if (!path->open)
        return;
    sim_trace(sim, "connection %d -> %d breaks", path->from->id, path->to->id);
    path_lose_late(sim, path);
    path_close(sim, path, notice_us(sim, path, false));
    path_retry(sim, path, 0, RETRY_US_MIN);
}

static void notice_fire(struct event *event)
{
    struct path *path = (struct path *)((char *)event - offsetof(struct path, notice)); // NOLINT

    path_close(the_sim, path, the_sim->now_us);
    path_retry(the_sim, path, RETRY_US_MIN, RETRY_US_MAX);
}

/* A dead connection is noticed at the next byte of either end. */
static void path_hasten_closing(struct sim *sim, const struct path *path)
{
    int64_t soon_us = sim->now_us + NOTICE_US_MAX;

    if (path->closing != NULL && path->closing->event.place != 0 && path->closing->event.due_us > soon_us)
        event_schedule(sim, &path->closing->event, soon_us > path->latest_us ? soon_us : path->latest_us);
}

/* While the receiver still holds a socket of an earlier process, a new one is a second node of the same id to it. */
static bool is_refused_as_duplicate(struct sim *sim, const struct path *path)
{
    for (int channel = 0; channel < CHANNELS; channel++) {
        const struct path *other = path_between(sim, path->from, path->to, (enum channel)channel);

        if (other->closing != NULL && other->link.incarnation != path->from->life->mailbox->incarnation)
            return true;
    }
    return false;
}

static bool belong_together(const struct mailbox *mailbox, const struct mailbox *other)
{
    return cluster_uuid_fits(&mailbox->config.cluster_uuid, &other->config.cluster_uuid);
}

static struct introduction introduce(const struct mailbox *mailbox)
{
    const struct mailbox_config *config = &mailbox->config;

    return (struct introduction){config->data_id, config->cluster_uuid, config->rejoin_empty};
}

static void path_connect(struct sim *sim, struct path *path)
{
    const struct mailbox *mailbox = path->from->life->mailbox;
    struct introduction answer = introduce(path->to->life->mailbox);
    struct delivery *delivery;

    path->link.connection = path->link.incarnation == mailbox->incarnation ? path->link.connection + 1 : 1;
    path->link.incarnation = mailbox->incarnation;
    path->open = true;
    path->to_life = path->to->life->number;
    path->opened_us = path->latest_us = sim->now_us + draw_delay(sim);
    path->latest_forward_us = path->opened_us;
    path->closing = NULL; /* of an older one: it is told late, which a newer connection makes harmless */
    delivery = delivery_new(path->to, path->to_life, LETTER_CONNECTED, &path->link);
    delivery->hello = introduce(mailbox);
    event_schedule(sim, &delivery->event, path->latest_us);
    tell_opener(sim, path, LETTER_REACHED, &answer);
    path_release_held(sim, path);
}

static bool can_connect(struct sim *sim, const struct path *path)
{
    const struct life *from = path->from->life, *to = path->to->life;

    return to != NULL && to->mailbox != NULL && !to->paused && !from->paused && !is_cut_off(sim, path) &&
           belong_together(from->mailbox, to->mailbox);
}

static void retry_fire(struct event *event)
{
    struct path *path = (struct path *)event;

    if (path->open || path->from->life == NULL || path->from->life->mailbox == NULL)
        return;
    if (can_connect(the_sim, path)) {
        path_hasten_closing(the_sim, path);
        if (!is_refused_as_duplicate(the_sim, path)) {
            path_connect(the_sim, path);
            return;
        }
    }
    path_retry(the_sim, path, RETRY_US_MIN, RETRY_US_MAX);
}

static void keepalive_fire(struct event *event)
{
    const struct keepalive *keepalive = (const struct keepalive *)event;

    for (int channel = 0; channel < CHANNELS; channel++) {
        struct path *path = path_between(the_sim, keepalive->from, keepalive->to, (enum channel)channel);

        if (!is_cut_off(the_sim, path))
            continue;
        path_close(the_sim, path, the_sim->now_us);
        parcels_empty(&path->held);
        path_retry(the_sim, path, RETRY_US_MIN, RETRY_US_MAX);
    }
}

/* The process at the other end of a path has ended: its sender has yet to find out. */
static void path_end_died(struct sim *sim, struct path *path, bool silently)
{
    if (path->open)
        event_schedule(sim, &path->notice, notice_us(sim, path_back(sim, path), silently));
}

static void paths_of_life_close(struct sim *sim, struct machine *machine, bool silently)
{
    for (int i = 0; i < sim->machine_count; i++)
        for (int channel = 0; channel < CHANNELS && i != machine->position; channel++) {
            struct path *out = path_between(sim, machine, sim->machines[i], (enum channel)channel);

            path_close(sim, out, notice_us(sim, out, silently));
            parcels_empty(&out->held);
            path_end_died(sim, path_back(sim, out), silently);
        }
}

/* A machine that lives again answers what is sent over a connection of its former life with a reset. */
static void path_reset(struct sim *sim, struct path *path)
{
    const struct life *life = path->to->life;

    if (path->open && life != NULL && life->mailbox != NULL && life->number != path->to_life)
        event_schedule(sim, &path->notice, sim->now_us + sim_draw(sim, 10, NOTICE_US_MAX));
}

static void mail_forget(struct events *events)
{
    struct event *event;

    while ((event = events_take(events)) != NULL)
        delivery_fire(event);
}

void network_life_ended(struct sim *sim, struct life *life, bool silently)
{
    if (life->mailbox != NULL && !sim->scripted)
        paths_of_life_close(sim, life->machine, silently);
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
    mailbox->incarnation |= 1; /* never 0 */
    sim->life->mailbox = mailbox;
    return mailbox;
}

bool mailbox_start(struct mailbox *mailbox, struct mailraft_error *err)
{
    struct sim *sim = the_sim;
    const struct machine *machine = mailbox->life->machine;

    (void)err;
    if (sim->scripted)
        return true;
    for (int i = 0; i < sim->machine_count; i++)
        for (int channel = 0; channel < CHANNELS && i != machine->position; channel++) {
            struct path *out = path_between(sim, machine, sim->machines[i], (enum channel)channel);

            path_retry(sim, out, 100, RETRY_US_MIN);
            if (!is_cut_off(sim, out))
                path_reset(sim, path_back(sim, out));
        }
    return true;
}

uint64_t mailbox_incarnation(const struct mailbox *mailbox)
{
    return mailbox->incarnation;
}

void mailbox_set_uuid(struct mailbox *mailbox, const struct cluster_uuid *uuid)
{
    mailbox->config.cluster_uuid = *uuid;
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
            delivery_free((struct delivery *)event);
    }
    for (int i = 0; i < sim->machine_count; i++)
        for (int j = 0; j < sim->machine_count; j++)
            for (int channel = 0; channel < CHANNELS; channel++)
                parcels_empty(&sim->paths->paths[i][j][channel].held);
    free(sim->paths);
}

static void path_init(struct sim *sim, struct machine *from, struct machine *to, enum channel channel)
{
    struct path *path = path_between(sim, from, to, channel);

    path->from = from;
    path->to = to;
    path->link = (struct link){.peer = from->id, .channel = channel};
    path->retry.fire = retry_fire;
    path->notice.fire = notice_fire;
}

static void add_way(struct sim *sim, struct machine *from, struct machine *to)
{
    struct keepalive *keepalive = &sim->paths->keepalives[from->position][to->position];

    keepalive->from = from;
    keepalive->to = to;
    keepalive->event.fire = keepalive_fire;
    for (int channel = 0; channel < CHANNELS; channel++)
        path_init(sim, from, to, (enum channel)channel);
}

void network_add_machine(struct sim *sim, struct machine *machine)
{
    for (int i = 0; i < sim->machine_count; i++) {
        add_way(sim, machine, sim->machines[i]);
        add_way(sim, sim->machines[i], machine);
    }
}

struct sim_network *sim_network(struct sim *sim)
{
    return &sim->network;
}

/* One way, both channels: it is the machines that do not reach each other. */
static void way_cut(struct sim *sim, const struct machine *from, const struct machine *to)
{
    int64_t dead_us = sim->now_us + KEEPALIVE_US + sim_draw(sim, 0, 1000000);

    if (from == to || path_between(sim, from, to, CHANNEL_URGENT)->cut)
        return;
    sim_trace(sim, "cut %d -> %d", from->id, to->id);
    for (int channel = 0; channel < CHANNELS; channel++)
        path_between(sim, from, to, (enum channel)channel)->cut = true;
    event_schedule(sim, &sim->paths->keepalives[from->position][to->position].event, dead_us);
    event_schedule(sim, &sim->paths->keepalives[to->position][from->position].event, dead_us);
}

void sim_cut(struct sim *sim, raft_id from, raft_id to)
{
    way_cut(sim, sim_machine(sim, from), sim_machine(sim, to));
}

void sim_isolate(struct sim *sim, raft_id id)
{
    const struct machine *machine = sim_machine(sim, id);

    for (int i = 0; i < sim->machine_count; i++) {
        way_cut(sim, machine, sim->machines[i]);
        way_cut(sim, sim->machines[i], machine);
    }
}

static void path_heal(struct sim *sim, struct path *path)
{
    path_reset(sim, path); /* also where only the way back was cut */
    if (!path->cut)
        return;
    path->cut = false;
    if (path->open)
        path_release_held(sim, path);
    path_hasten_closing(sim, path);
}

void sim_heal_way(struct sim *sim, raft_id from, raft_id to)
{
    sim_trace(sim, "healed %d -> %d", from, to);
    for (int channel = 0; channel < CHANNELS; channel++)
        path_heal(sim, path_between(sim, sim_machine(sim, from), sim_machine(sim, to), (enum channel)channel));
}

void sim_heal(struct sim *sim)
{
    sim_trace(sim, "healed");
    for (int i = 0; i < sim->machine_count; i++)
        for (int j = 0; j < sim->machine_count; j++)
            for (int channel = 0; channel < CHANNELS; channel++)
                path_heal(sim, path_between(sim, sim->machines[i], sim->machines[j], (enum channel)channel));
}

void sim_break_channel(struct sim *sim, raft_id from, raft_id to, enum channel channel)
{
    path_break(sim, path_between(sim, sim_machine(sim, from), sim_machine(sim, to), channel));
}

void sim_straggle(struct sim *sim, raft_id from, raft_id to, enum channel channel, int64_t late_us)
{
    struct path *path = path_between(sim, sim_machine(sim, from), sim_machine(sim, to), channel);

    if (!path->open)
        return;
    sim_trace(sim, "connection %d -> %d breaks, and what is on its way comes %lld us late", from, to,
              (long long)late_us);
    path_delay_late(sim, path, late_us);
    path_close(sim, path, notice_us(sim, path, false));
    path_retry(sim, path, 0, RETRY_US_MIN);
}

void sim_break_connection(struct sim *sim, raft_id from, raft_id to)
{
    for (int channel = 0; channel < CHANNELS; channel++)
        sim_break_channel(sim, from, to, (enum channel)channel);
}
