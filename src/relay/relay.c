#include "relay/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/connection.h"

#define EVENTS_MAX      64
#define RESOLVE_NAME_US 5000000
#define ACCEPT_AGAIN_US 100000 /* after descriptors or memory were out */

struct wire {
    struct wire *next;
    struct relay *relay;
    raft_id from, to;
    struct resolved target;
    struct stream *listener;
    struct watch watch; /* of the listener */
    struct road roads[2];
};

struct relay {
    int epoll;
    struct wire *wires;
    struct connection *connections;
    int64_t accept_again_us; /* until then nobody is let in; CLOCK_NEVER: everybody is */
};

struct relay *relay_new(struct mailraft_error *err)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) {
        error_raise_os(err, &SERVER_ERROR, "Couldn't make an epoll");
        return NULL;
    }
    struct relay *relay = memory_new(sizeof(*relay));
    relay->epoll = epoll;
    relay->accept_again_us = CLOCK_NEVER;
    return relay;
}

/* ---- Wires ---- */

static void watch_listeners(struct relay *relay, uint32_t wanted)
{
    for (struct wire *wire = relay->wires; wire != NULL; wire = wire->next)
        watch_set(&wire->watch, wanted);
}

static void wire_accept(void *owner)
{
    struct wire *wire = owner;
    struct relay *relay = wire->relay;
    wire->watch.ready = 0;
    int near = accept4(wire->watch.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (near >= 0) {
        struct connection *connection = connection_new(near, relay->epoll, wire->roads, &wire->target);
        connection->wire = wire;
        connection->next = relay->connections;
        relay->connections = connection;
        connection_tend(connection);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        relay->accept_again_us = clock_now_us() + ACCEPT_AGAIN_US;
        watch_listeners(relay, 0);
    }
}

static bool resolve_in_time(const struct address *address, struct resolved *resolved, struct mailraft_error *err)
{
    const struct patience patience = {.deadline_us = clock_now_us() + RESOLVE_NAME_US};
    return resolve(address, &patience, resolved, err);
}

static struct stream *listen_at(const struct address *address, struct mailraft_error *err)
{
    const struct endpoint any = {.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
                                 .size = sizeof(any.v4)};
    if (address == NULL)
        return stream_listen(&any, "a port of 127.0.0.1", err);
    const struct patience patience = {.deadline_us = clock_now_us() + RESOLVE_NAME_US};
    return resolve_listen(address, &patience, err);
}

bool relay_add_wire(struct relay *relay, raft_id from, raft_id to, const struct address *target,
                    const struct address *listen, struct endpoint *at, struct mailraft_error *err)
{
    struct resolved resolved;
    for (struct wire *wire = relay->wires; wire != NULL; wire = wire->next)
        if (wire->from == from && wire->to == to)
            return error_raise(err, &CONFIG_ERROR, "there is a wire from %d to %d already", from, to);
    if (!resolve_in_time(target, &resolved, err))
        return false;
    struct stream *listener = listen_at(listen, err);
    if (listener == NULL)
        return false;
    at->size = sizeof(at->v6);
    int fd = stream_fd(listener);
    if (getsockname(fd, &at->any, &at->size) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        error_raise_os(err, &BIND_ERROR, "Couldn't listen");
        stream_close(listener);
        return false;
    }
    struct wire *wire = memory_new(sizeof(*wire));
    *wire = (struct wire){.next = relay->wires, .relay = relay, .from = from, .to = to, .target = resolved};
    wire->listener = listener;
    watch_init(&wire->watch, relay->epoll, fd, wire_accept, wire);
    relay->wires = wire;
    watch_set(&wire->watch, EPOLLIN);
    return true;
}

/* ---- Orders ---- */

static bool is(raft_id wanted, raft_id id)
{
    return wanted == RELAY_ANY || wanted == id;
}

/* Whether an order is about the road in one direction along a wire. */
static bool concerns(const struct relay_order *order, const struct wire *wire, enum direction direction)
{
    raft_id from = direction == FORTH ? wire->from : wire->to;
    raft_id to = direction == FORTH ? wire->to : wire->from;
    return (is(order->from, from) && is(order->to, to)) ||
           (order->both_ways && is(order->from, to) && is(order->to, from));
}

static void change_road(struct road *road, const struct relay_order *order)
{
    switch (order->verb) {
    case RELAY_CUT:
        road->cut = true;
        break;
    case RELAY_HEAL:
        *road = (struct road){.cut = false};
        break;
    case RELAY_DELAY:
        road->delay_us = order->delay_us;
        road->jitter_us = order->jitter_us;
        break;
    case RELAY_SLOW:
        road->bytes_per_second = order->bytes_per_second;
        break;
    default: /* it is about connections alone */
        break;
    }
}

static void change_connection(struct connection *connection, enum direction direction, const struct relay_order *order)
{
    if (connection->state == VANISHED || connection->state == CLOSED)
        return; /* whatever is done to the one, nobody may hear of it, and the other is about to be freed */
    if (order->verb == RELAY_BREAK)
        connection_break(connection);
    else if (order->verb == RELAY_VANISH)
        connection_vanish(connection);
    else if (order->verb == RELAY_STALL)
        connection->passages[direction].stalled = true;
    else if (order->verb == RELAY_UNSTALL || order->verb == RELAY_HEAL)
        connection->passages[direction].stalled = false;
}

int relay_obey(struct relay *relay, const struct relay_order *order)
{
    int count = 0;
    for (struct wire *wire = relay->wires; wire != NULL; wire = wire->next) {
        bool forth = concerns(order, wire, FORTH), back = concerns(order, wire, BACK);
        count += forth || back;
        for (int direction = FORTH; direction <= BACK; direction++)
            if (direction == FORTH ? forth : back)
                change_road(&wire->roads[direction], order);
    }
    for (struct connection *each = relay->connections; each != NULL; each = each->next) {
        for (int direction = FORTH; direction <= BACK; direction++)
            if (concerns(order, each->wire, (enum direction)direction))
                change_connection(each, (enum direction)direction, order);
        connection_tend(each);
    }
    return count;
}

/* ---- Turns ---- */

int relay_fd(const struct relay *relay)
{
    return relay->epoll;
}

int64_t relay_next_us(const struct relay *relay)
{
    int64_t next_us = relay->accept_again_us;
    for (const struct connection *each = relay->connections; each != NULL; each = each->next) {
        int64_t due_us = connection_next_us(each);
        if (due_us < next_us)
            next_us = due_us;
    }
    return next_us;
}

/* Tends those whose time has come, and frees those that are closed. */
static void look_after_all(struct relay *relay, int64_t now_us)
{
    for (struct connection **place = &relay->connections; *place != NULL;) {
        struct connection *connection = *place;
        if (connection_next_us(connection) <= now_us)
            connection_tend(connection);
        if (connection->state == CLOSED) {
            *place = connection->next;
            connection_free(connection);
        } else {
            place = &connection->next;
        }
    }
}

void relay_turn(struct relay *relay)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(relay->epoll, events, EVENTS_MAX, 0);
    /* Nobody is freed in between: an event may be about one that has been closed since. */
    for (int i = 0; i < count; i++) {
        struct watch *watch = events[i].data.ptr;
        watch->ready = watch->fd >= 0 ? events[i].events : 0;
        watch->wake(watch->owner);
    }
    int64_t now_us = clock_now_us();
    if (relay->accept_again_us <= now_us) {
        relay->accept_again_us = CLOCK_NEVER;
        watch_listeners(relay, EPOLLIN);
    }
    look_after_all(relay, now_us);
}

void relay_free(struct relay *relay)
{
    if (relay == NULL)
        return;
    while (relay->connections != NULL) {
        struct connection *connection = relay->connections;
        relay->connections = connection->next;
        connection_free(connection);
    }
    while (relay->wires != NULL) {
        struct wire *wire = relay->wires;
        relay->wires = wire->next;
        watch_set(&wire->watch, 0);
        stream_close(wire->listener);
        memory_free(wire);
    }
    close(relay->epoll);
    memory_free(relay);
}
