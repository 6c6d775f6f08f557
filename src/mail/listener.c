#include "mail/listener.h"

#include <errno.h>

#include "base/clock.h"
#include "mail/reader.h"
#include "mail/resolve.h"

#define ACCEPT_RETRY_US 100000  /* without descriptors or memory: until somebody may have given some back */

static struct stream *listen_as(const struct mailbox_config *config, struct mailraft_error *err)
{
    const struct patience patience = {
        .deadline_us = clock_now_us() + RESOLVE_US,
        .interrupted = config->interrupted,
        .context = config->context,
    };

    return resolve_listen(&config->listen, &patience, err);
}

/* Some errors are those of the connection that was to be accepted, which is gone with them. Others stay until something
 * is given back; they would make us spin. */
static void wait_after(struct listener *listener, const struct mailraft_error *err)
{
    struct pollfd stop = {.fd = listener->office->stop.fd, .events = POLLIN};

    if (err->os_errno == ECONNABORTED || err->os_errno == EPROTO)
        return;
    complaints_tell(&listener->office->complaints, err, "Connections have to wait");
    poll_until(&stop, 1, clock_now_us() + ACCEPT_RETRY_US);
}

static void listener_main(void *context)
{
    struct listener *listener = context;
    struct mailraft_error err;

    while (arrivals_await_room(listener->arrivals)) {
        struct stream *stream = stream_accept(listener->stream, &err);

        arrivals_sweep(listener->arrivals);
        if (bell_is_rung(&listener->office->stop))
            stream_close(stream);
        else if (stream == NULL || !arrivals_start(listener->arrivals, stream, reader_main, &err))
            wait_after(listener, &err);
    }
}

bool listener_open(struct listener *listener, struct office *office, struct arrivals *arrivals,
                   const struct mailbox_config *config, struct mailraft_error *err)
{
    *listener = (struct listener){.office = office, .arrivals = arrivals};
    listener->stream = listen_as(config, err);
    return listener->stream != NULL;
}

bool listener_start(struct listener *listener, struct mailraft_error *err)
{
    listener->runs = thread_start(&listener->thread, "listener", listener_main, listener, err);
    return listener->runs;
}

void listener_stop(struct listener *listener)
{
    stream_shutdown(listener->stream);
    if (listener->runs)
        thread_join(&listener->thread);
    stream_close(listener->stream);
}
