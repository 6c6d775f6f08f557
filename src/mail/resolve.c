#include "mail/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"

/* A lookup, which belongs to the one who asked and to its thread; whoever lets go of it last frees it. */
struct lookup {
    struct address address;
    struct bell done; /* rung when the answer is there */

    struct mutex mutex; /* guards what follows */
    int users;
    struct answer {
        int outcome; /* of getaddrinfo */
        int os_errno;
        struct resolved resolved;
    } answer;
};

/* getaddrinfo's outcome. */
static int look_up(const struct address *address, int flags, struct resolved *resolved)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    struct addrinfo *found;
    char port[8];
    int outcome;

    snprintf(port, sizeof port, "%u", (unsigned)address->port);
    outcome = getaddrinfo(address->host, port, &hints, &found);
    if (outcome != 0)
        return outcome;
    resolved->count = 0;
    for (struct addrinfo *each = found; each != NULL && resolved->count < RESOLVED_MAX; each = each->ai_next) {
        struct endpoint *endpoint = &resolved->list[resolved->count];

        if (each->ai_addrlen > sizeof endpoint->v6)
            continue; /* no kind of ours */
        memcpy(&endpoint->any, each->ai_addr, each->ai_addrlen);
        endpoint->size = each->ai_addrlen;
        resolved->count++;
    }
    freeaddrinfo(found);
    return resolved->count > 0 ? 0 : EAI_NONAME;
}

static void lookup_release(struct lookup *lookup)
{
    bool last;

    mutex_lock(&lookup->mutex);
    last = --lookup->users == 0;
    mutex_unlock(&lookup->mutex);
    if (!last)
        return;
    mutex_fini(&lookup->mutex);
    bell_fini(&lookup->done);
    memory_free(lookup);
}

static void lookup_main(void *context)
{
    struct lookup *lookup = context;
    struct answer answer = {0};

    answer.outcome = look_up(&lookup->address, 0, &answer.resolved);
    answer.os_errno = errno;
    mutex_lock(&lookup->mutex);
    lookup->answer = answer;
    mutex_unlock(&lookup->mutex);
    bell_ring(&lookup->done);
    lookup_release(lookup);
}

static struct lookup *lookup_start(const struct address *address, struct mailraft_error *err)
{
    struct lookup *lookup = memory_new(sizeof *lookup);
    struct thread thread;

    lookup->address = *address;
    lookup->users = 2;
    if (!bell_init(&lookup->done, err))
        goto free;
    mutex_init(&lookup->mutex);
    if (!thread_start(&thread, "resolver", lookup_main, lookup, err))
        goto fini;
    thread_abandon(&thread);
    return lookup;

fini:
    mutex_fini(&lookup->mutex);
    bell_fini(&lookup->done);
free:
    memory_free(lookup);
    return NULL;
}

/* When the deadline, or the next question whether to go on, is due. */
static int64_t due_us(const struct patience *patience)
{
    int64_t ask_us = patience->interrupted != NULL ? clock_now_us() + PATIENCE_ASK_US : CLOCK_NEVER;

    return ask_us < patience->deadline_us ? ask_us : patience->deadline_us;
}

static bool lookup_await(struct lookup *lookup, const struct patience *patience, struct mailraft_error *err)
{
    struct pollfd fds[] = {{.fd = lookup->done.fd, .events = POLLIN},
                           {.fd = patience->stop != NULL ? patience->stop->fd : -1, .events = POLLIN}};
    bool stopping = false;

    while (!stopping && poll_until(fds, 2, due_us(patience)) == 0) {
        if (clock_now_us() >= patience->deadline_us)
            return error_raise(err, &CONNECT_ERROR, "Couldn't resolve %s: no answer in time", lookup->address.host);
        stopping = patience->interrupted != NULL && patience->interrupted(patience->context);
    }
    if (stopping || fds[0].revents == 0)
        return error_raise(err, &CONNECT_ERROR, "Couldn't resolve %s: we are stopping", lookup->address.host);
    return true;
}

/* Takes the answer, once it is there. */
static bool lookup_take(struct lookup *lookup, struct resolved *resolved, struct mailraft_error *err)
{
    struct answer answer;

    mutex_lock(&lookup->mutex);
    answer = lookup->answer;
    mutex_unlock(&lookup->mutex);
    *resolved = answer.resolved;
    errno = answer.os_errno;
    if (answer.outcome == EAI_SYSTEM)
        return error_raise_os(err, &CONNECT_ERROR, "Couldn't resolve %s", lookup->address.host);
    if (answer.outcome != 0)
        return error_raise(err, &CONNECT_ERROR, "Couldn't resolve %s: %s", lookup->address.host,
                           gai_strerror(answer.outcome));
    return true;
}

bool resolve(const struct address *address, const struct patience *patience, struct resolved *resolved,
             struct mailraft_error *err)
{
    struct lookup *lookup;
    bool found;

    if (look_up(address, AI_NUMERICHOST, resolved) == 0)
        return true;
    lookup = lookup_start(address, err);
    if (lookup == NULL)
        return false;
    found = lookup_await(lookup, patience, err) && lookup_take(lookup, resolved, err);
    lookup_release(lookup);
    return found;
}

/* Where another of a host's addresses may do, since this machine does not have this one. */
static bool is_not_here(const struct mailraft_error *err)
{
    return err->os_errno == EADDRNOTAVAIL || err->os_errno == EAFNOSUPPORT;
}

struct stream *resolve_listen(const struct address *address, const struct patience *patience,
                              struct mailraft_error *err)
{
    char name[ADDRESS_TEXT_MAX];
    struct resolved resolved;
    struct stream *stream = NULL;

    address_format(address, name, sizeof name);
    if (!resolve(address, patience, &resolved, err)) {
        error_prefix(err, "Couldn't bind to %s", name);
        return NULL;
    }
    for (int i = 0; i < resolved.count && stream == NULL; i++) {
        stream = stream_listen(&resolved.list[i], name, err);
        if (stream == NULL && !is_not_here(err))
            break;
    }
    return stream;
}
