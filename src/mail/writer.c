#include "mail/writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "mail/handshake.h"
#include "mail/resolve.h"

/* A connection to the first of the peer's addresses that answers. */
static struct stream *dial(struct writer *writer, struct mailraft_error *err)
{
    const struct bell *stop = &writer->office->stop;
    const struct patience patience = {.deadline_us = CLOCK_NEVER, .stop = stop};
    struct resolved resolved;
    struct stream *stream = NULL;

    if (!resolve(&writer->peer->peer, &patience, &resolved, err))
        return NULL;
    for (int i = 0; i < resolved.count && stream == NULL && !bell_is_rung(stop); i++)
        stream = stream_connect(&resolved.list[i], clock_now_us() + WRITER_CONNECT_US, stop, err);
    return stream;
}

static bool shake_hands(struct writer *writer, struct stream *stream, struct hello *theirs, struct mailraft_error *err)
{
    struct office *office = writer->office;
    int64_t deadline_us = clock_now_us() + HANDSHAKE_US;
    struct hello ours;
    uint32_t version;

    hello_make(&ours, &office->self, writer->peer->id, writer->channel, ++writer->connection);
    if (!handshake_say(stream, &ours, err))
        return false;
    if (!handshake_hear(stream, theirs, deadline_us, &office->stop, err))
        return error_prefix(err, "no answer to our hello");
    return hello_check(theirs, &office->self, &version, err) && hello_check_answer(theirs, &ours, err);
}

/* A connection on which the peer has said its hello, theirs. */
static struct stream *reach(struct writer *writer, struct hello *theirs, struct mailraft_error *err)
{
    struct stream *stream;

    err->class = NULL;
    stream = dial(writer, err);
    if (stream == NULL || shake_hands(writer, stream, theirs, err))
        return stream;
    stream_close(stream);
    return NULL;
}

/* One turn: waits until there is room for what waits, or news, and sends. False when the connection has ended or the
 * mailbox stops; err is of no class then. */
static bool serve_once(struct writer *writer, struct stream *stream, bool *waiting, struct mailraft_error *err)
{
    const struct bell *bell = outbox_bell(writer->outbox);
    short wanted = *waiting ? POLLIN | POLLOUT : POLLIN;
    struct pollfd fds[] = {
        {.fd = stream_fd(stream), .events = wanted},
        {.fd = bell->fd, .events = POLLIN},
        {.fd = writer->office->stop.fd, .events = POLLIN},
    };

    poll_until(fds, 3, CLOCK_NEVER);
    if (fds[1].revents != 0)
        bell_silence(bell); /* before the outbox is looked at: what comes later rings again */
    if (!outbox_flush(writer->outbox, waiting, err))
        return false;
    if ((fds[0].revents & ~POLLOUT) != 0 && !stream_check_silent(stream, err))
        return false;
    return fds[2].revents == 0;
}

/* About the connection that is open, or was until now. theirs: NULL where the kind has no hello. */
static void put_letter(struct writer *writer, enum letter_kind kind, const struct hello *theirs)
{
    struct letter *letter = letter_new(kind);

    letter->link = (struct link){
        .peer = writer->peer->id,
        .channel = writer->channel,
        .incarnation = writer->office->self.incarnation,
        .connection = writer->connection,
    };
    if (theirs != NULL)
        letter->hello = hello_introduction(theirs);
    pile_put(writer->office->pile, LANE_INNER, letter);
}

/* "Connected to 2 at host:port", and for what ended or failed ": " and the reason. Of the bulk channel at debug. */
static void tell(const struct writer *writer, enum log_level level, const char *what, const struct mailraft_error *err)
{
    bool bulk = writer->channel == CHANNEL_BULK;

    log_put(writer->office->log, bulk ? LOG_DEBUG : level, "%s %" PRId32 " at %s%s%s%s", what, writer->peer->id,
            writer->name, err != NULL ? ": " : "", err != NULL ? err->message : "", bulk ? " channel=bulk" : "");
}

/* Serves a connection to its end. */
static void serve(struct writer *writer, struct stream *stream, const struct hello *theirs, struct mailraft_error *err)
{
    bool waiting = true; /* what came while there was no connection */

    err->class = NULL;
    outbox_open(writer->outbox, stream); /* first: whoever has been told may send what is not kept without it */
    put_letter(writer, LETTER_REACHED, theirs);
    tell(writer, LOG_INFO, "Connected to", NULL);
    while (serve_once(writer, stream, &waiting, err))
        ;
    outbox_close(writer->outbox);
    put_letter(writer, LETTER_LOST, NULL);
}

/* At info or warn when it is news, and at debug when it is the same as before. */
static void tell_unreached(struct writer *writer, const struct mailraft_error *err)
{
    bool news = writer->told_file != err->file || writer->told_line != err->line || writer->told_errno != err->os_errno;
    enum log_level level = !news ? LOG_DEBUG : error_is(err, &PROTOCOL_ERROR) ? LOG_WARN : LOG_INFO;

    writer->told_file = err->file;
    writer->told_line = err->line;
    writer->told_errno = err->os_errno;
    tell(writer, level, "Can't reach", err);
}

static void tell_lost(struct writer *writer, const struct mailraft_error *err)
{
    if (error_is(err, &PROTOCOL_ERROR))
        complaints_tell(&writer->office->complaints, err, "Closed the connection to %" PRId32 " at %s",
                        writer->peer->id, writer->name);
    else
        tell(writer, LOG_INFO, "Lost connection to", err);
}

/* Connects, and serves the connection until it ends. */
static void attempt(struct writer *writer)
{
    struct mailraft_error err;
    struct hello theirs;
    struct stream *stream = reach(writer, &theirs, &err);
    int64_t reached_us = clock_now_us();

    if (stream == NULL) {
        if (!bell_is_rung(&writer->office->stop))
            tell_unreached(writer, &err);
        return;
    }
    writer->told_file = NULL;
    serve(writer, stream, &theirs, &err);
    stream_close(stream);
    if (err.class != NULL)
        tell_lost(writer, &err);
    if (clock_now_us() - reached_us >= WRITER_BACKOFF_MAX_US) /* a peer that throws us out each time is not hurried */
        writer->backoff_us = WRITER_BACKOFF_MIN_US;
}

/* Waits for the next attempt's time, a nudge or the stop. Random, so that peers which lost each other at the same
 * moment do not try at the same moment. */
static void pause_between(struct writer *writer)
{
    const struct bell *bell = outbox_bell(writer->outbox);
    struct pollfd fds[] = {{.fd = bell->fd, .events = POLLIN}, {.fd = writer->office->stop.fd, .events = POLLIN}};
    int64_t pause_us = random_between(writer->backoff_us / 2, writer->backoff_us);

    poll_until(fds, 2, clock_now_us() + pause_us);
    bell_silence(bell);
    writer->backoff_us *= 2;
    if (writer->backoff_us > WRITER_BACKOFF_MAX_US)
        writer->backoff_us = WRITER_BACKOFF_MAX_US;
}

static void writer_main(void *context)
{
    struct writer *writer = context;

    while (!bell_is_rung(&writer->office->stop)) {
        attempt(writer);
        pause_between(writer);
    }
}

bool writer_start(struct writer *writer, struct office *office, int position, enum channel channel,
                  struct mailraft_error *err)
{
    char name[16];

    *writer = (struct writer){
        .office = office,
        .peer = &office->self.members.list[position],
        .channel = channel,
        .outbox = office->outboxes[position][channel],
        .backoff_us = WRITER_BACKOFF_MIN_US,
    };
    address_format(&writer->peer->peer, writer->name, sizeof writer->name);
    snprintf(name, sizeof name, "to %" PRId32, writer->peer->id);
    return thread_start(&writer->thread, name, writer_main, writer, err);
}
