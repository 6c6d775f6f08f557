#include "serve/connections.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "serve/output.h"

#define SCRATCH_BYTES    (64 * 1024)
#define READ_TIGHT_BYTES (4 * 1024)   /* of one that holds nothing, where all together hold too much */
#define SEND_EARLY_BYTES (256 * 1024) /* does not wait for the end of the round */
#define LEAVING_US       1000000      /* how long a client may take to close its end */

struct connection {
    struct connections *set;
    int socket;
    struct endpoint peer;
    void *session;  /* NULL: it has ended */
    uint32_t armed; /* what epoll watches */

    bool paused;  /* by its session */
    bool ended;   /* the client says nothing more */
    bool closing; /* by its session: when all has left */
    bool leaving; /* that has happened */
    bool broken;  /* closed at the end of the round */
    bool full;    /* does not read its replies, so it is not read from */
    bool drained; /* not full any more, which its session has not heard yet */
    bool stuck;   /* the socket takes no more until epoll says so; if it is not broken, it is in `slow` */
    bool is_partial, is_touched, is_resumed; /* in the lists of these names */

    /* What is left of a request that has not come whole, or of what came before it was paused. */
    uint8_t *input;
    size_t input_size, input_room;
    size_t wanted;      /* so many bytes it takes, at least, before any can be used; 0: not known */
    int64_t partial_us; /* since when it is in `partial` */

    struct output output;
    int64_t waiting_us; /* since when it is in `slow`, or in `leaving` */
    int unread;         /* bytes that the other end had not taken from the socket then */

    TAILQ_ENTRY(connection) in_all, in_partial, in_waiting; /* the last: in `slow` or `leaving` */
    STAILQ_ENTRY(connection) in_touched, in_resumed;
};

static const char TOO_MANY[] = "-ERR max number of clients reached\r\n";

void connections_init(struct connections *connections, const struct clients_config *config,
                      const struct clients_calls *calls, int epoll, struct log *log)
{
    *connections = (struct connections){.config = *config, .calls = *calls, .log = log, .epoll = epoll};
    complaints_init(&connections->complaints, log);
    connections->scratch = memory_new(SCRATCH_BYTES);
    TAILQ_INIT(&connections->all);
    TAILQ_INIT(&connections->partial);
    TAILQ_INIT(&connections->slow);
    TAILQ_INIT(&connections->leaving);
    STAILQ_INIT(&connections->touched);
    STAILQ_INIT(&connections->resumed);
}

void connections_fini(struct connections *connections)
{
    memory_free(connections->scratch);
    complaints_fini(&connections->complaints);
}

/* It is looked at again before the round ends. */
static void touch(struct connection *connection)
{
    if (connection->is_touched)
        return;
    connection->is_touched = true;
    STAILQ_INSERT_TAIL(&connection->set->touched, connection, in_touched);
}

/* ---- What has come, and cannot be used yet ---- */

/* Requests that have not come whole have to wait. */
static bool is_tight(const struct connections *set)
{
    return set->input_bytes > set->config.input_bytes_max;
}

/* Looks after `partial`, whose first may be read from in any case. */
static void note_partial(struct connection *connection)
{
    struct connections *set = connection->set;
    bool partial = connection->input_size > 0 && !connection->paused && !connection->broken && !connection->closing;

    if (partial == connection->is_partial)
        return;
    connection->is_partial = partial;
    if (partial) {
        connection->partial_us = set->now_us;
        TAILQ_INSERT_TAIL(&set->partial, connection, in_partial);
    } else {
        TAILQ_REMOVE(&set->partial, connection, in_partial);
        if (!TAILQ_EMPTY(&set->partial))
            touch(TAILQ_FIRST(&set->partial));
    }
}

/* What it holds stays, as far as it fits. */
static void input_resize(struct connection *connection, size_t room)
{
    struct connections *set = connection->set;
    bool was_tight = is_tight(set);
    struct connection *waiting;

    if (room > 0)
        connection->input = memory_resize(connection->input, room);
    else {
        memory_free(connection->input);
        connection->input = NULL;
    }
    set->input_bytes += room - connection->input_room;
    connection->input_room = room;
    if (was_tight && !is_tight(set))
        TAILQ_FOREACH(waiting, &set->partial, in_partial)
    touch(waiting);
}

/* Of what stands in its own buffer or in the scratch, these last ones are kept. */
static void input_keep(struct connection *connection, const uint8_t *bytes, size_t size)
{
    bool is_own =
        connection->input != NULL && bytes >= connection->input && bytes <= connection->input + connection->input_room;

    if (is_own && bytes != connection->input)
        memmove(connection->input, bytes, size);
    if (connection->input_room < size || connection->input_room > 2 * size)
        input_resize(connection, size);
    if (!is_own && size > 0)
        memcpy(connection->input, bytes, size);
    connection->input_size = size;
    note_partial(connection);
}

/* Where to read to, behind what it holds. A short rest is laid in front of the scratch; behind a long one its own buffer
 * grows, to as much as the request wants, but never to more than twice what has come. */
static uint8_t *reading_room(struct connection *connection, size_t *room)
{
    struct connections *set = connection->set;
    size_t held = connection->input_size;

    if (held <= SCRATCH_BYTES / 2) {
        if (held > 0)
            memcpy(set->scratch, connection->input, held);
        *room = is_tight(set) && held == 0 ? READ_TIGHT_BYTES : SCRATCH_BYTES;
        return set->scratch;
    }
    if (connection->input_room == held)
        input_resize(connection,
                     connection->wanted > held && connection->wanted < 2 * held ? connection->wanted : 2 * held);
    *room = connection->input_room;
    return connection->input;
}

/* ---- Ending ---- */

static const char *name_of(const struct connection *connection, char text[ENDPOINT_TEXT_MAX])
{
    return endpoint_format(&connection->peer, text, ENDPOINT_TEXT_MAX);
}

static void stop_waiting(struct connection *connection)
{
    if (connection->leaving)
        TAILQ_REMOVE(&connection->set->leaving, connection, in_waiting);
    else if (connection->stuck)
        TAILQ_REMOVE(&connection->set->slow, connection, in_waiting);
    connection->stuck = false;
}

static void output_drop(struct connection *connection)
{
    connection->set->output_bytes -= connection->output.bytes;
    output_clear(&connection->output);
}

/* Of no use any more. What it holds may be in its session's hands yet, and lasts until the round ends. */
static void give_up(struct connection *connection)
{
    if (connection->broken)
        return;
    stop_waiting(connection);
    connection->broken = true;
    output_drop(connection);
    note_partial(connection);
    touch(connection);
}

/* The client's doing, as clients come and go. */
static void has_gone(struct connection *connection, const char *reason)
{
    char name[ENDPOINT_TEXT_MAX];

    if (!connection->broken && !connection->leaving && log_enabled(connection->set->log, LOG_DEBUG))
        log_debug(connection->set->log, "Client %s has gone: %s", name_of(connection, name), reason);
    give_up(connection);
}

/* Our doing, because of how it behaves. */
static void throw_out(struct connection *connection, const struct mailraft_error *err)
{
    char name[ENDPOINT_TEXT_MAX];

    complaints_put(&connection->set->complaints, LOG_INFO, err, "Closed the connection of client %s",
                   name_of(connection, name));
    give_up(connection);
}

static void end_session(struct connection *connection)
{
    if (connection->session == NULL)
        return;
    connection->set->count--;
    connection->set->calls.closed(connection->session);
    connection->session = NULL;
}

/* What the client said and nobody reads would make the kernel reset the connection when it is closed. False: nothing more
 * can come. */
static bool discard(const struct connection *connection)
{
    ssize_t got = recv(connection->socket, connection->set->scratch, SCRATCH_BYTES, MSG_DONTWAIT);

    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR));
}

static void connection_free(struct connection *connection)
{
    struct connections *set = connection->set;

    give_up(connection); /* out of the lists, where it was not yet */
    end_session(connection);
    if (connection->is_touched)
        STAILQ_REMOVE(&set->touched, connection, connection, in_touched);
    if (connection->is_resumed)
        STAILQ_REMOVE(&set->resumed, connection, connection, in_resumed);
    TAILQ_REMOVE(&set->all, connection, in_all);
    input_resize(connection, 0);
    close(connection->socket);
    memory_free(connection);
}

/* All that was sent is in the socket. */
static void leave(struct connection *connection)
{
    struct connections *set = connection->set;

    end_session(connection);
    connection->input_size = 0;
    input_resize(connection, 0);
    shutdown(connection->socket, SHUT_WR);
    connection->leaving = true;
    connection->waiting_us = set->now_us;
    TAILQ_INSERT_TAIL(&set->leaving, connection, in_waiting);
}

/* ---- Sending ---- */

static int unread_bytes(const struct connection *connection)
{
    int unread = 0;

    ioctl(connection->socket, SIOCOUTQ, &unread);
    return unread;
}

static void wait_for_reader(struct connection *connection)
{
    connection->stuck = true;
    connection->waiting_us = connection->set->now_us;
    connection->unread = unread_bytes(connection);
    TAILQ_INSERT_TAIL(&connection->set->slow, connection, in_waiting);
}

/* Something is done about it before any event. */
static void resume(struct connection *connection)
{
    if (connection->is_resumed)
        return;
    connection->is_resumed = true;
    STAILQ_INSERT_TAIL(&connection->set->resumed, connection, in_resumed);
}

static void note_full(struct connection *connection)
{
    bool was_full = connection->full;

    if (connection->output.bytes >= OUTPUT_PAUSE_BYTES)
        connection->full = true;
    else if (connection->output.bytes <= OUTPUT_PAUSE_BYTES / 2)
        connection->full = false;
    if (!was_full || connection->full || connection->broken)
        return;
    connection->drained = true;
    resume(connection);
}

/* As much as the socket takes now. */
static void connection_write(struct connection *connection)
{
    size_t before = connection->output.bytes;
    struct mailraft_error err;
    bool good = output_send(&connection->output, connection->socket, &err);

    connection->set->output_bytes -= before - connection->output.bytes;
    if (!good)
        has_gone(connection, err.message);
    else if (connection->output.bytes > 0)
        wait_for_reader(connection);
    note_full(connection);
}

/* All together do not read too much: who reads least goes. */
static void throw_fullest_out(struct connections *set)
{
    struct connection *connection, *fullest = TAILQ_FIRST(&set->slow);
    struct mailraft_error err;

    TAILQ_FOREACH(connection, &set->slow, in_waiting)
    if (connection->output.bytes > fullest->output.bytes)
        fullest = connection;
    if (fullest == NULL)
        return; /* nothing but what leaves at the end of the round */
    error_raise(&err, &NETWORK_ERROR,
                "clients do not read more than %zu bytes of their replies, and this one most of them, %zu",
                set->config.output_total_max, fullest->output.bytes);
    throw_out(fullest, &err);
}

/* What waits already must be within the bounds; so a reply of any size has its chance. */
static void check_output(struct connection *connection)
{
    struct connections *set = connection->set;
    struct mailraft_error err;

    if (connection->output.bytes > set->config.output_bytes_max) {
        error_raise(&err, &NETWORK_ERROR, "it does not read more than %zu bytes of its replies",
                    set->config.output_bytes_max);
        throw_out(connection, &err);
    } else if (set->output_bytes > set->config.output_total_max)
        throw_fullest_out(set);
}

bool connection_send(struct connection *connection, const void *bytes, size_t size)
{
    if (connection->broken || connection->closing || size == 0)
        return true;
    check_output(connection);
    if (connection->broken)
        return true;
    output_put(&connection->output, bytes, size);
    connection->set->output_bytes += size;
    touch(connection);
    if (connection->output.bytes >= SEND_EARLY_BYTES && !connection->stuck)
        connection_write(connection);
    note_full(connection);
    return !connection->full;
}

void connection_close(struct connection *connection)
{
    connection->closing = true;
    note_partial(connection);
    touch(connection);
}

/* ---- Reading ---- */

static bool may_read(const struct connection *connection)
{
    const struct connections *set = connection->set;

    if (set->deaf || connection->paused || connection->ended || connection->closing || connection->broken ||
        connection->full)
        return false;
    return connection->input_size == 0 || !is_tight(set) || connection == TAILQ_FIRST(&set->partial);
}

/* Hands what it holds and what has come to its session, and keeps what that leaves. */
static void use(struct connection *connection, const uint8_t *bytes, size_t size)
{
    size_t used;

    connection->wanted = 0;
    used = connection->set->calls.bytes(connection->session, bytes, size, &connection->wanted);
    input_keep(connection, bytes + used, size - used);
}

static void connection_end(struct connection *connection)
{
    if (connection->set->calls.ended == NULL) {
        has_gone(connection, "it closed the connection");
        return;
    }
    connection->ended = true;
    input_keep(connection, connection->input, 0);
    connection->set->calls.ended(connection->session);
}

static void connection_read(struct connection *connection)
{
    size_t held = connection->input_size, room;
    uint8_t *bytes = reading_room(connection, &room);
    ssize_t got = recv(connection->socket, bytes + held, room - held, MSG_DONTWAIT);

    touch(connection);
    if (got > 0)
        use(connection, bytes, held + (size_t)got);
    else if (got == 0)
        connection_end(connection);
    else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
        has_gone(connection, strerror(errno));
}

void connection_pause(struct connection *connection, bool paused)
{
    if (connection->paused == paused || connection->broken)
        return;
    connection->paused = paused;
    note_partial(connection);
    touch(connection);
    if (!paused)
        resume(connection);
}

static void tell_drained(struct connection *connection)
{
    const struct clients_calls *calls = &connection->set->calls;

    if (connection->drained && !connection->full && connection->session != NULL && calls->drained != NULL)
        calls->drained(connection->session);
    connection->drained = false;
}

/* One pass: who is paused and unpaused again meanwhile comes in the next round. */
void connections_resume(struct connections *connections)
{
    struct connection_queue resumed = STAILQ_HEAD_INITIALIZER(resumed);
    struct connection *connection;

    STAILQ_CONCAT(&resumed, &connections->resumed);
    while ((connection = STAILQ_FIRST(&resumed)) != NULL) {
        STAILQ_REMOVE_HEAD(&resumed, in_resumed);
        connection->is_resumed = false;
        tell_drained(connection);
        if (connection->input_size > 0 && !connection->paused && !connection->closing && !connection->broken)
            use(connection, connection->input, connection->input_size);
    }
}

/* ---- Events ---- */

static void arm(struct connection *connection, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};

    if (connection->armed == events)
        return;
    connection->armed = events;
    epoll_ctl(connection->set->epoll, EPOLL_CTL_MOD, connection->socket, &event);
}

/* Adds what it can use, and takes away only what epoll has told of in vain (connections_take). */
static void arm_for_more(struct connection *connection)
{
    uint32_t events = connection->armed & EPOLLIN;

    if (connection->leaving || may_read(connection))
        events |= EPOLLIN;
    if (connection->stuck)
        events |= EPOLLOUT;
    arm(connection, events);
}

void connections_begin(struct connections *connections, int64_t now_us)
{
    connections->now_us = now_us;
}

void connections_take(struct connection *connection, uint32_t events)
{
    if ((events & EPOLLOUT) != 0 && connection->stuck) {
        stop_waiting(connection);
        touch(connection);
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0)
        return;
    if (connection->leaving) {
        if (!discard(connection))
            give_up(connection);
    } else if (may_read(connection))
        connection_read(connection);
    else if ((events & (EPOLLHUP | EPOLLERR)) != 0)
        has_gone(connection, "it broke");
    else
        arm(connection, connection->armed & ~(uint32_t)EPOLLIN);
}

/* ---- Rounds ---- */

/* The socket itself takes more only when much of what it holds has been read; a reader may be slower than that. */
static bool has_read(struct connection *connection)
{
    int unread = unread_bytes(connection);
    bool read = unread < connection->unread;

    connection->unread = unread;
    return read;
}

static void check_slow(struct connections *set)
{
    int64_t since_us = set->now_us - set->config.client_stall_us;
    struct connection *connection;
    struct mailraft_error err;

    while ((connection = TAILQ_FIRST(&set->slow)) != NULL && connection->waiting_us <= since_us)
        if (has_read(connection)) {
            TAILQ_REMOVE(&set->slow, connection, in_waiting);
            TAILQ_INSERT_TAIL(&set->slow, connection, in_waiting);
            connection->waiting_us = set->now_us;
        } else {
            error_raise(&err, &NETWORK_ERROR, "it has read nothing for %" PRId64 " ms, though %zu bytes wait for it",
                        set->config.client_stall_us / 1000, connection->output.bytes);
            throw_out(connection, &err);
        }
}

static void check_leaving(struct connections *set)
{
    struct connection *connection;

    while ((connection = TAILQ_FIRST(&set->leaving)) != NULL && connection->waiting_us <= set->now_us - LEAVING_US)
        give_up(connection);
}

static void check_partial(struct connections *set)
{
    int64_t since_us = set->now_us - set->config.client_stall_us;
    struct connection *connection;
    struct mailraft_error err;

    while (is_tight(set) && (connection = TAILQ_FIRST(&set->partial)) != NULL && connection->partial_us <= since_us) {
        error_raise(&err, &NETWORK_ERROR,
                    "its request has not come whole for %" PRId64 " ms, and such requests take more than %zu bytes",
                    set->config.client_stall_us / 1000, set->config.input_bytes_max);
        throw_out(connection, &err);
        connection->input_size = 0;
        input_resize(connection, 0);
    }
}

void connections_check(struct connections *connections)
{
    check_slow(connections);
    check_leaving(connections);
    check_partial(connections);
}

void connections_flush(struct connections *connections)
{
    struct connection *connection;

    while ((connection = STAILQ_FIRST(&connections->touched)) != NULL) {
        STAILQ_REMOVE_HEAD(&connections->touched, in_touched);
        connection->is_touched = false;
        if (!connection->broken && !connection->stuck && connection->output.bytes > 0)
            connection_write(connection);
        if (!connection->broken && connection->closing && !connection->leaving && connection->output.bytes == 0)
            leave(connection);
        if (connection->broken)
            connection_free(connection);
        else
            arm_for_more(connection);
    }
}

bool connections_busy(const struct connections *connections)
{
    return !STAILQ_EMPTY(&connections->resumed) || !STAILQ_EMPTY(&connections->touched);
}

static int64_t earlier(int64_t deadline_us, int64_t since_us, int64_t span_us)
{
    return since_us + span_us < deadline_us ? since_us + span_us : deadline_us;
}

int64_t connections_deadline_us(const struct connections *connections)
{
    const struct connection *slow = TAILQ_FIRST(&connections->slow);
    const struct connection *leaving = TAILQ_FIRST(&connections->leaving);
    const struct connection *partial = TAILQ_FIRST(&connections->partial);
    int64_t deadline_us = CLOCK_NEVER, stall_us = connections->config.client_stall_us;

    if (slow != NULL)
        deadline_us = earlier(deadline_us, slow->waiting_us, stall_us);
    if (leaving != NULL)
        deadline_us = earlier(deadline_us, leaving->waiting_us, LEAVING_US);
    if (partial != NULL && is_tight(connections))
        deadline_us = earlier(deadline_us, partial->partial_us, stall_us);
    return deadline_us;
}

/* ---- Coming and going ---- */

static const char *local_name(int socket, char text[ENDPOINT_TEXT_MAX])
{
    struct endpoint local = {.size = sizeof local.v6};

    if (getsockname(socket, &local.any, &local.size) != 0)
        local.any.sa_family = AF_UNSPEC;
    return endpoint_format(&local, text, ENDPOINT_TEXT_MAX);
}

static void refuse(struct connections *set, int socket, const struct endpoint *peer)
{
    char name[ENDPOINT_TEXT_MAX];
    struct mailraft_error err;

    error_raise(&err, &NETWORK_ERROR, "there are %zu, as many as may be (max_clients)", set->count);
    complaints_put(&set->complaints, LOG_INFO, &err, "Refused client %s", endpoint_format(peer, name, sizeof name));
    (void)send(socket, TOO_MANY, sizeof TOO_MANY - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(socket, SHUT_WR);
    (void)recv(socket, set->scratch, SCRATCH_BYTES, MSG_DONTWAIT); /* so that no reset overtakes the message */
    close(socket);
}

void connections_add(struct connections *connections, int socket, const struct endpoint *peer)
{
    struct connection *connection;
    struct epoll_event event = {.events = EPOLLIN};
    char name[ENDPOINT_TEXT_MAX], local[ENDPOINT_TEXT_MAX];
    struct mailraft_error err;

    if (connections->count >= connections->config.connections_max) {
        refuse(connections, socket, peer);
        return;
    }
    connection = memory_new(sizeof *connection);
    *connection = (struct connection){.set = connections, .socket = socket, .peer = *peer, .armed = EPOLLIN};
    name_of(connection, name);
    event.data.ptr = connection;
    if (epoll_ctl(connections->epoll, EPOLL_CTL_ADD, socket, &event) != 0) {
        error_raise_os(&err, &NETWORK_ERROR, "Couldn't wait for it");
        complaints_put(&connections->complaints, LOG_WARN, &err, "Refused client %s", name);
        close(socket);
        memory_free(connection);
        return;
    }
    TAILQ_INSERT_TAIL(&connections->all, connection, in_all);
    connections->count++;
    log_debug(connections->log, "Client %s has connected", name);
    connection->session =
        connections->calls.opened(connections->calls.context, connection, name, local_name(socket, local));
}

void connections_deafen(struct connections *connections)
{
    connections->deaf = true;
}

void connections_close(struct connections *connections)
{
    struct connection *connection;

    while ((connection = TAILQ_FIRST(&connections->all)) != NULL) {
        shutdown(connection->socket, SHUT_WR);
        discard(connection);
        connection_free(connection);
    }
}
