/* listener.h - accepts the connections of others, and starts a reader for each. */
#ifndef MAIL_LISTENER_H
#define MAIL_LISTENER_H

#include "mail/arrivals.h"

struct listener {
    struct office *office;
    struct arrivals *arrivals;
    struct stream *stream;
    struct thread thread;
    bool runs;
};

/* Binds, so that from here on others can connect, though nobody speaks to them yet. BIND_ERROR and other
 * NETWORK_ERRORs. */
bool listener_open(struct listener *listener, struct office *office, struct arrivals *arrivals,
                   const struct mailbox_config *config, struct mailraft_error *err);

/* Starts its thread. SERVER_ERROR. */
bool listener_start(struct listener *listener, struct mailraft_error *err);

/* After the office's stop bell has rung and the arrivals were shut: joins the thread, if it runs, and closes the
 * socket. */
void listener_stop(struct listener *listener);

#endif
