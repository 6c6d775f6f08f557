#include "mail/arrivals.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/memory.h"

struct arrivals {
    struct office *office;

    struct mutex mutex;   /* guards what follows, and shutdown of an open stream against its close */
    struct wake room;     /* somebody was admitted or left, or it was shut */
    struct arrival *open; /* those whose readers run */
    struct arrival *left; /* those whose readers have nothing more to do */
    int strangers;        /* open ones that are not admitted */
    bool shut;
    struct arrival *admitted[MEMBERS_MAX][CHANNEL_COUNT]; /* the open one that counts; NULL: none */
};

struct arrivals *arrivals_new(struct office *office)
{
    struct arrivals *arrivals = memory_new(sizeof *arrivals);

    arrivals->office = office;
    mutex_init(&arrivals->mutex);
    wake_init(&arrivals->room);
    return arrivals;
}

static void list_put(struct arrival **list, struct arrival *arrival)
{
    arrival->next = *list;
    *list = arrival;
}

static void list_remove(struct arrival **list, struct arrival *arrival)
{
    while (*list != arrival)
        list = &(*list)->next;
    *list = arrival->next;
}

static void join_all(struct arrival *list)
{
    while (list != NULL) {
        struct arrival *arrival = list;

        list = arrival->next;
        thread_join(&arrival->thread);
        memory_free(arrival);
    }
}

void arrivals_free(struct arrivals *arrivals)
{
    if (arrivals == NULL)
        return;
    mutex_lock(&arrivals->mutex);
    while (arrivals->open != NULL)
        wake_wait_until(&arrivals->room, &arrivals->mutex, CLOCK_NEVER);
    mutex_unlock(&arrivals->mutex);
    join_all(arrivals->left);
    wake_fini(&arrivals->room);
    mutex_fini(&arrivals->mutex);
    memory_free(arrivals);
}

/* The mutex is held, and there are strangers. from: who it was. */
static void shut_oldest_stranger(struct arrivals *arrivals, char from[ENDPOINT_TEXT_MAX])
{
    struct arrival *oldest = NULL;

    for (struct arrival *arrival = arrivals->open; arrival != NULL; arrival = arrival->next)
        if (!arrival->admitted)
            oldest = arrival; /* the list begins with the newest */
    assert(oldest != NULL);
    stream_shutdown(oldest->stream);
    snprintf(from, ENDPOINT_TEXT_MAX, "%s", stream_peer(oldest->stream));
}

static void tell_shut(struct arrivals *arrivals, const char *from)
{
    struct mailraft_error err;

    error_raise(&err, &PROTOCOL_ERROR, "no complete hello before %d others came", ARRIVALS_STRANGERS_MAX - 1);
    complaints_tell(&arrivals->office->complaints, &err, "Refused a connection from %s", from);
}

bool arrivals_await_room(struct arrivals *arrivals)
{
    char from[ENDPOINT_TEXT_MAX] = "";
    bool shut;

    mutex_lock(&arrivals->mutex);
    if (!arrivals->shut && arrivals->strangers >= ARRIVALS_STRANGERS_MAX)
        shut_oldest_stranger(arrivals, from);
    while (!arrivals->shut && arrivals->strangers >= ARRIVALS_STRANGERS_MAX)
        wake_wait_until(&arrivals->room, &arrivals->mutex, CLOCK_NEVER);
    shut = arrivals->shut;
    mutex_unlock(&arrivals->mutex);
    if (from[0] != '\0')
        tell_shut(arrivals, from);
    return !shut;
}

/* The mutex is held. */
static void shut_older(struct arrivals *arrivals, const struct arrival *than)
{
    for (struct arrival *arrival = arrivals->open; arrival != NULL; arrival = arrival->next)
        if (arrival->admitted && arrival->position == than->position && arrival->link.channel == than->link.channel &&
            arrival->link.connection < than->link.connection)
            stream_shutdown(arrival->stream);
}

static void enter(struct arrivals *arrivals, struct arrival *arrival)
{
    mutex_lock(&arrivals->mutex);
    list_put(&arrivals->open, arrival);
    arrivals->strangers++;
    if (arrivals->shut)
        stream_shutdown(arrival->stream);
    mutex_unlock(&arrivals->mutex);
}

/* Closes the stream. to: where the arrival goes, if anywhere. */
static void depart(struct arrivals *arrivals, struct arrival *arrival, struct arrival **to)
{
    mutex_lock(&arrivals->mutex);
    list_remove(&arrivals->open, arrival);
    if (arrival->admitted) {
        struct arrival **counts = &arrivals->admitted[arrival->position][arrival->link.channel];

        shut_older(arrivals, arrival); /* where it ends before it has replaced them */
        if (*counts == arrival)
            *counts = NULL;
    } else {
        arrivals->strangers--;
    }
    stream_close(arrival->stream);
    if (to != NULL)
        list_put(to, arrival);
    wake_all(&arrivals->room);
    mutex_unlock(&arrivals->mutex);
}

bool arrivals_start(struct arrivals *arrivals, struct stream *stream, void (*main)(void *arrival),
                    struct mailraft_error *err)
{
    struct arrival *arrival = memory_new(sizeof *arrival);

    arrival->arrivals = arrivals;
    arrival->office = arrivals->office;
    arrival->stream = stream;
    enter(arrivals, arrival);
    if (thread_start(&arrival->thread, "reader", main, arrival, err))
        return true;
    depart(arrivals, arrival, NULL);
    memory_free(arrival);
    return false;
}

void arrivals_sweep(struct arrivals *arrivals)
{
    struct arrival *left;

    mutex_lock(&arrivals->mutex);
    left = arrivals->left;
    arrivals->left = NULL;
    mutex_unlock(&arrivals->mutex);
    join_all(left);
}

/* The mutex is held. Only an open connection is compared with: a number that was seen once, whoever said it, keeps
 * nobody out when it is gone. */
static bool check_newest(struct arrival *const admitted[CHANNEL_COUNT], const struct hello *hello,
                         struct mailraft_error *err)
{
    const struct arrival *last = admitted[hello->channel];

    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        const struct arrival *open = admitted[channel];

        if (open != NULL && open->link.incarnation != hello->incarnation)
            return error_raise(err, &PROTOCOL_ERROR, "another process with the id %" PRId32 " is connected from %s",
                               hello->sender, stream_peer(open->stream));
    }
    if (last != NULL && hello->connection <= last->link.connection)
        return error_raise(err, &PROTOCOL_ERROR,
                           "the connection %" PRIu64 " of %" PRId32 " is not newer than the last, which was %" PRIu64,
                           hello->connection, hello->sender, last->link.connection);
    return true;
}

/* The mutex is held. */
static void settle(struct arrival **counts, struct arrival *arrival, const struct hello *hello)
{
    arrival->link = (struct link){
        .peer = hello->sender,
        .channel = hello->channel,
        .incarnation = hello->incarnation,
        .connection = hello->connection,
    };
    arrival->admitted = true;
    *counts = arrival;
}

bool arrivals_admit(struct arrival *arrival, const struct hello *hello, struct mailraft_error *err)
{
    struct arrivals *arrivals = arrival->arrivals;
    bool good;

    arrival->position = members_find(&arrivals->office->self.members, hello->sender);
    assert(arrival->position >= 0 && hello->channel < CHANNEL_COUNT);
    mutex_lock(&arrivals->mutex);
    good = check_newest(arrivals->admitted[arrival->position], hello, err);
    if (good) {
        settle(&arrivals->admitted[arrival->position][hello->channel], arrival, hello);
        arrivals->strangers--;
        wake_all(&arrivals->room);
    }
    mutex_unlock(&arrivals->mutex);
    return good;
}

void arrivals_replace(struct arrival *arrival)
{
    struct arrivals *arrivals = arrival->arrivals;

    mutex_lock(&arrivals->mutex);
    shut_older(arrivals, arrival);
    mutex_unlock(&arrivals->mutex);
}

void arrivals_leave(struct arrival *arrival)
{
    struct arrivals *arrivals = arrival->arrivals;

    depart(arrivals, arrival, &arrivals->left);
}

void arrivals_shut(struct arrivals *arrivals)
{
    mutex_lock(&arrivals->mutex);
    arrivals->shut = true;
    for (struct arrival *arrival = arrivals->open; arrival != NULL; arrival = arrival->next)
        stream_shutdown(arrival->stream);
    wake_all(&arrivals->room);
    mutex_unlock(&arrivals->mutex);
}
