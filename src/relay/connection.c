#include "relay/connection.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"

#define READ_BYTES       65536
#define RESTS_PER_SECOND 20

static enum direction opposite(enum direction direction)
{
    return direction == FORTH ? BACK : FORTH;
}

static struct watch *source_of(struct connection *connection, enum direction direction)
{
    return &connection->sides[direction];
}

static struct watch *sink_of(struct connection *connection, enum direction direction)
{
    return &connection->sides[opposite(direction)];
}

static void wake(void *owner)
{
    connection_tend(owner);
}

struct connection *connection_new(int near, int epoll, const struct road roads[2], const struct resolved *target)
{
    struct connection *connection = memory_new(sizeof(*connection));
    connection->state = WAITING;
    connection->roads = roads;
    connection->target = target;
    watch_init(&connection->sides[FORTH], epoll, near, wake, connection);
    watch_init(&connection->sides[BACK], epoll, -1, wake, connection);
    stream_set_options(near);
    return connection;
}

/* ---- Ends ---- */

static void close_all(struct connection *connection)
{
    for (int direction = FORTH; direction <= BACK; direction++) {
        watch_close(&connection->sides[direction]);
        flow_fini(&connection->passages[direction].flow);
    }
    connection->state = CLOSED;
}

void connection_free(struct connection *connection)
{
    close_all(connection);
    memory_free(connection);
}

/* What is sent is an RST, whether or not something is still unsent or unread. */
static void reset(struct watch *side)
{
    static const struct linger NOW = {.l_onoff = 1, .l_linger = 0};
    if (side->fd >= 0)
        (void)setsockopt(side->fd, SOL_SOCKET, SO_LINGER, &NOW, sizeof(NOW));
    watch_close(side);
}

void connection_break(struct connection *connection)
{
    reset(&connection->sides[FORTH]);
    reset(&connection->sides[BACK]);
    close_all(connection);
}

/* From here on the kernel drops what comes before it looks at it, and sends nothing of its own accord: neither a probe
 * whether the other end is there, nor a reset because it is not. */
static void fall_silent(struct watch *side)
{
    struct sock_filter nothing = {.code = BPF_RET | BPF_K, .k = 0};
    const struct sock_fprog filter = {.len = 1, .filter = &nothing};
    watch_set(side, 0);
    (void)setsockopt(side->fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter));
    (void)setsockopt(side->fd, SOL_SOCKET, SO_KEEPALIVE, &(int){0}, sizeof(int));
    (void)setsockopt(side->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &(int){0}, sizeof(int));
}

void connection_vanish(struct connection *connection)
{
    if (connection->state == CONNECTING)
        watch_close(&connection->sides[BACK]);
    for (int direction = FORTH; direction <= BACK; direction++) {
        fall_silent(&connection->sides[direction]);
        flow_fini(&connection->passages[direction].flow);
    }
    connection->state = VANISHED;
}

/* When what is said now arrives. */
static int64_t arrival_us(const struct connection *connection, enum direction direction, int64_t now_us)
{
    const struct road *road = &connection->roads[direction];
    if (road->delay_us == 0 && road->jitter_us == 0)
        return now_us;
    return now_us + random_between(road->delay_us, road->delay_us + road->jitter_us + 1);
}

/* What one direction is read from is gone, without a farewell. So is the way back; the other end is told. */
static void break_off(struct connection *connection, enum direction direction, int64_t now_us)
{
    watch_close(source_of(connection, direction));
    flow_fini(&connection->passages[opposite(direction)].flow);
    flow_put_end(&connection->passages[direction].flow, FLOW_BROKEN, arrival_us(connection, direction, now_us));
}

/* ---- The far socket ---- */

/* Whoever connects to a port of its own range that nobody listens at may meet itself there. */
static bool met_itself(int fd)
{
    struct endpoint here = {.size = sizeof(here.v6)}, there = {.size = sizeof(there.v6)};
    return getsockname(fd, &here.any, &here.size) == 0 && getpeername(fd, &there.any, &there.size) == 0 &&
           here.size == there.size && memcmp(&here.any, &there.any, here.size) == 0;
}

/* Tries the target's addresses from connection->attempt on. */
static void dial(struct connection *connection, int64_t now_us)
{
    for (; connection->attempt < connection->target->count; connection->attempt++) {
        const struct endpoint *to = &connection->target->list[connection->attempt];
        struct watch *far = &connection->sides[BACK];
        int fd = socket(to->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
            continue;
        stream_set_options(fd);
        watch_init(far, far->epoll, fd, wake, connection);
        connection->state = CONNECTING;
        if (connect(fd, &to->any, to->size) == 0 || errno == EINPROGRESS)
            return;
        watch_close(far);
    }
    connection->state = CARRYING; /* that nobody is there */
    break_off(connection, BACK, now_us);
}

/* Nothing has been heard of it at the far end yet, so nothing has to be told there. */
static void begin(struct connection *connection, int64_t now_us)
{
    if (!connection->roads[FORTH].cut && !connection->roads[BACK].cut)
        dial(connection, now_us);
    else if (connection->sides[FORTH].ready != 0)
        close_all(connection);
}

static void finish_connecting(struct connection *connection, int64_t now_us)
{
    struct watch *far = &connection->sides[BACK];
    int outcome = 0;
    socklen_t size = sizeof(outcome);
    if (far->ready == 0)
        return;
    getsockopt(far->fd, SOL_SOCKET, SO_ERROR, &outcome, &size);
    far->ready = 0;
    if (outcome == 0 && !met_itself(far->fd)) {
        connection->state = CARRYING;
        return;
    }
    reset(far);
    connection->attempt++;
    dial(connection, now_us);
}

/* ---- Carrying ---- */

/* Sends what the sink takes, and returns how much that was. */
static size_t send_some(struct connection *connection, enum direction direction, const uint8_t *bytes, size_t size,
                        int64_t now_us)
{
    ssize_t sent = send(sink_of(connection, direction)->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
        connection->passages[direction].blocked = (size_t)sent < size;
        return (size_t)sent;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
        connection->passages[direction].blocked = true; /* a signal's, too: the socket wakes us at once */
    else
        break_off(connection, opposite(direction), now_us);
    return 0;
}

static void deliver(struct connection *connection, enum direction direction, int64_t now_us)
{
    struct passage *passage = &connection->passages[direction];
    struct watch *sink = sink_of(connection, direction);
    const uint8_t *bytes;
    size_t size;
    if ((sink->ready & ~(uint32_t)(EPOLLIN | EPOLLRDHUP)) != 0)
        passage->blocked = false;
    while (sink->fd >= 0 && !passage->blocked && (size = flow_due(&passage->flow, now_us, &bytes)) > 0) {
        size_t sent = send_some(connection, direction, bytes, size, now_us);
        if (sink->fd >= 0)
            flow_take(&passage->flow, sent);
    }
}

static bool wants_reading(const struct connection *connection, enum direction direction)
{
    const struct passage *passage = &connection->passages[direction];
    return !connection->roads[direction].cut && !passage->stalled && passage->rest_until_us == 0 &&
           passage->flow.end == FLOW_OPEN && !flow_is_full(&passage->flow) && connection->sides[direction].fd >= 0 &&
           connection->sides[opposite(direction)].fd >= 0;
}

/* What was read: at once where nothing is before it, and on its way where that is not so. */
static void pass_on(struct connection *connection, enum direction direction, const uint8_t *bytes, size_t size,
                    int64_t now_us)
{
    struct passage *passage = &connection->passages[direction];
    int64_t due_us = arrival_us(connection, direction, now_us);
    size_t sent = 0;
    if (due_us <= now_us && flow_is_empty(&passage->flow) && !passage->blocked)
        sent = send_some(connection, direction, bytes, size, now_us);
    if (sink_of(connection, direction)->fd >= 0)
        flow_put(&passage->flow, bytes + sent, size - sent, due_us);
}

/* How much is read at once: of a slow road so little that it rests for a moment alone. */
static size_t portion(const struct road *road)
{
    int64_t bytes = road->bytes_per_second / RESTS_PER_SECOND;
    return road->bytes_per_second == 0 || bytes > READ_BYTES ? READ_BYTES : bytes == 0 ? 1 : (size_t)bytes;
}

static void end_rest(struct connection *connection, enum direction direction, int64_t now_us)
{
    struct passage *passage = &connection->passages[direction];
    if (now_us >= passage->rest_until_us || connection->roads[direction].bytes_per_second == 0)
        passage->rest_until_us = 0;
}

static void read_once(struct connection *connection, enum direction direction, int64_t now_us)
{
    uint8_t bytes[READ_BYTES];
    struct watch *source = source_of(connection, direction);
    const struct road *road = &connection->roads[direction];
    if (!wants_reading(connection, direction) || (source->ready & ~(uint32_t)EPOLLOUT) == 0)
        return;
    ssize_t got = recv(source->fd, bytes, portion(road), MSG_DONTWAIT);
    if (got > 0 && road->bytes_per_second > 0)
        connection->passages[direction].rest_until_us = now_us + got * 1000000 / road->bytes_per_second;
    if (got > 0)
        pass_on(connection, direction, bytes, (size_t)got, now_us);
    else if (got == 0)
        flow_put_end(&connection->passages[direction].flow, FLOW_FINISHED, arrival_us(connection, direction, now_us));
    else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
        break_off(connection, direction, now_us);
}

/* Whether an RST may still come from whom one direction is read from, though it has said its last word: it may be gone
 * for all that is said to it. */
static bool may_break(const struct connection *connection, enum direction direction)
{
    return !connection->roads[direction].cut && connection->passages[direction].flow.end == FLOW_FINISHED &&
           !connection->passages[opposite(direction)].over;
}

static void notice_break(struct connection *connection, enum direction direction, int64_t now_us)
{
    if (may_break(connection, direction) && (source_of(connection, direction)->ready & EPOLLERR) != 0)
        break_off(connection, direction, now_us);
}

static void pass_end_on(struct connection *connection, enum direction direction, int64_t now_us)
{
    struct passage *passage = &connection->passages[direction];
    switch (flow_ended(&passage->flow, now_us)) {
    case FLOW_OPEN:
        break;
    case FLOW_FINISHED:
        if (!passage->over)
            (void)shutdown(sink_of(connection, direction)->fd, SHUT_WR); /* if it is gone, reading there tells */
        passage->over = true;
        if (connection->passages[opposite(direction)].over)
            close_all(connection);
        break;
    case FLOW_BROKEN:
        connection_break(connection);
        break;
    }
}

static void carry(struct connection *connection, enum direction direction, int64_t now_us)
{
    if (connection->roads[direction].cut)
        return;
    deliver(connection, direction, now_us);
    end_rest(connection, direction, now_us);
    read_once(connection, direction, now_us);
    notice_break(connection, direction, now_us);
    pass_end_on(connection, direction, now_us);
}

/* ---- What to be woken for ---- */

static uint32_t wanted_of(const struct connection *connection, enum direction side)
{
    const struct passage *to_here = &connection->passages[opposite(side)];
    switch (connection->state) {
    case WAITING:
        return side == FORTH ? EPOLLRDHUP : 0;
    case CONNECTING:
        return side == BACK ? EPOLLOUT : 0;
    case CARRYING:
        return (wants_reading(connection, side) ? (uint32_t)EPOLLIN : 0) |
               (may_break(connection, side) ? (uint32_t)EPOLLERR : 0) |
               (to_here->blocked && !connection->roads[opposite(side)].cut ? (uint32_t)EPOLLOUT : 0);
    default:
        return 0;
    }
}

void connection_tend(struct connection *connection)
{
    int64_t now_us = clock_now_us();
    if (connection->state == WAITING)
        begin(connection, now_us);
    if (connection->state == CONNECTING)
        finish_connecting(connection, now_us);
    for (int direction = FORTH; direction <= BACK && connection->state == CARRYING; direction++)
        carry(connection, (enum direction)direction, now_us);
    for (int side = FORTH; side <= BACK; side++) {
        connection->sides[side].ready = 0;
        watch_set(&connection->sides[side], wanted_of(connection, (enum direction)side));
    }
}

/* When there is something to do in one direction. */
static int64_t next_us(const struct connection *connection, enum direction direction)
{
    const struct passage *passage = &connection->passages[direction];
    if (connection->roads[direction].cut || (passage->over && passage->flow.end != FLOW_BROKEN))
        return CLOCK_NEVER;
    int64_t due_us = flow_next_us(&passage->flow, passage->blocked);
    return passage->rest_until_us != 0 && passage->rest_until_us < due_us ? passage->rest_until_us : due_us;
}

int64_t connection_next_us(const struct connection *connection)
{
    if (connection->state != CARRYING)
        return CLOCK_NEVER;
    int64_t forth_us = next_us(connection, FORTH), back_us = next_us(connection, BACK);
    return forth_us < back_us ? forth_us : back_us;
}
