/* proposerd - mailraftd with a counter of commands to serve, linked with this file in the place of src/serve/service.c.
 * It proposes to its own node what lines of its standard input ask for, with so many proposals on their way at once: as
 * soon as one is answered, the next is proposed. One thread does that for all of them, as a node's thread for clients
 * would.
 *
 *     propose COUNT MS PATH    for so many milliseconds, then waits for what is on its way, and says
 *                              Proposed count=1 applied=N lost=M took_us=T first=INDEX last=INDEX
 *                              How long each took from node_propose to its reply, in microseconds, stands in the file
 *                              PATH, a uint32_t each
 *     flow COUNT               for ever, and tries again what was not applied. Says Flowing index=INDEX whenever
 *                              proposals are applied again, or for the first time */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/pile.h"
#include "base/thread.h"
#include "mail/bell.h"
#include "serve/service.h"

#define REQUEST_BYTES  256
#define AT_ONCE_MAX    1024
#define RETRY_US       5000
#define SNAPSHOT_BYTES 8

/* What a line asks for, and what has become of it so far. */
struct task {
    int count;        /* on their way at once */
    int64_t until_us; /* CLOCK_NEVER: for ever */
    FILE *times;      /* NULL: nobody wants to know */

    int64_t retry_us; /* nothing is proposed before */
    bool flowing;     /* the last reply was good */
    uint64_t applied, lost;
    raft_index first, last; /* of those that were applied */
};

struct service {
    struct node *node;
    struct log *log;
    bool started;
    struct thread thread;
    struct bell bell;                 /* ends the thread while it waits for a line */
    struct pile *replies;             /* closed, it ends the thread while it waits for replies */
    int64_t proposed_us[AT_ONCE_MAX]; /* by number */
    int idle[AT_ONCE_MAX];            /* the numbers that are free */
    int idle_count;

    uint64_t commands; /* the machine's state: how many were applied. Its thread's alone */
    struct mailraft_machine machine;
};

/* ---- The machine ---- */

static bool prepare(void *context, const struct mailraft_proposal *proposal, struct mailraft_buffer *command)
{
    (void)context;
    mailraft_buffer_put(command, proposal->request, proposal->size);
    return true;
}

static void put_count(const struct service *service, struct mailraft_buffer *buffer)
{
    uint8_t bytes[SNAPSHOT_BYTES];
    bytes_put_u64(bytes, service->commands);
    mailraft_buffer_put(buffer, bytes, sizeof bytes);
}

static void apply(void *context, const struct mailraft_entry *entries, size_t count, struct mailraft_standing *standing)
{
    struct service *service = context;
    for (size_t i = 0; i < count; i++) {
        service->commands += entries[i].command != NULL;
        if (entries[i].reply != NULL)
            put_count(service, entries[i].reply);
    }
    *standing =
        (struct mailraft_standing){.deadline_us = MAILRAFT_NO_DEADLINE, .memory_bytes = sizeof service->commands};
}

static void answer(void *context, const void *query, size_t size, int64_t time_us, struct mailraft_buffer *reply)
{
    (void)query, (void)size, (void)time_us;
    put_count(context, reply);
}

static bool write_snapshot(void *context, uint64_t portion, struct mailraft_buffer *bytes)
{
    (void)portion; /* the first is the last */
    put_count(context, bytes);
    return false;
}

static bool read_snapshot(void *context, uint64_t portion, const void *bytes, size_t size, bool last,
                          struct mailraft_error *err)
{
    struct service *service = context;
    if (portion != 0 || size != SNAPSHOT_BYTES || !last)
        return error_raise(err, &DAMAGED_ERROR, "a snapshot of proposerd has one portion of %d bytes", SNAPSHOT_BYTES);
    service->commands = bytes_get_u64(bytes);
    return true;
}

/* ---- Proposing ---- */

static void propose(struct service *service, int64_t now_us)
{
    static const uint8_t REQUEST[REQUEST_BYTES];
    int number = service->idle[--service->idle_count];
    struct proposer proposer = {.pile = service->replies, .number = (uint64_t)number};
    service->proposed_us[number] = now_us;
    node_propose(service->node, REQUEST, sizeof REQUEST, &proposer, NULL);
}

static void note_applied(struct service *service, struct task *task, const struct letter *reply, int64_t now_us)
{
    uint32_t took_us = (uint32_t)(now_us - service->proposed_us[reply->number]);
    if (task->times != NULL)
        fwrite(&took_us, sizeof took_us, 1, task->times);
    if (!task->flowing && task->times == NULL)
        log_info(service->log, "Flowing index=%" PRIu64, reply->reply.index);
    task->flowing = true;
    task->last = reply->reply.index;
    if (task->applied++ == 0)
        task->first = task->last;
}

static void note_reply(struct service *service, struct task *task, struct letter *reply, int64_t now_us)
{
    service->idle[service->idle_count++] = (int)reply->number;
    if (reply->reply.outcome == OUTCOME_APPLIED)
        note_applied(service, task, reply, now_us);
    else {
        task->flowing = false;
        task->lost++;
        task->retry_us = now_us + RETRY_US;
    }
    letter_free(reply);
}

/* False when the service stops. */
static bool do_task(struct service *service, struct task *task)
{
    int64_t now_us = clock_now_us();
    bool more = true;
    service->idle_count = task->count;
    for (int i = 0; i < task->count; i++)
        service->idle[i] = i;
    while (more || service->idle_count < task->count) {
        while (more && service->idle_count > 0 && now_us >= task->retry_us)
            propose(service, now_us);
        int64_t deadline_us = more && service->idle_count > 0 ? task->retry_us : CLOCK_NEVER;
        struct letter *reply = pile_take(service->replies, LANE_CLIENTS, deadline_us, &now_us);
        if (reply != NULL)
            note_reply(service, task, reply, now_us);
        else if (deadline_us == CLOCK_NEVER)
            return false; /* closed */
        more = now_us < task->until_us;
    }
    return true;
}

/* ---- Lines ---- */

static bool do_propose(struct service *service, int count, int ms, const char *path)
{
    int64_t began_us = clock_now_us();
    struct task task = {.count = count, .until_us = began_us + ms * 1000LL, .times = fopen(path, "w")};
    if (task.times == NULL) {
        log_error(service->log, "Couldn't open %s: %s", path, strerror(errno));
        return false;
    }
    bool done = do_task(service, &task);
    int64_t took_us = clock_now_us() - began_us;
    fclose(task.times);
    if (done)
        log_info(service->log,
                 "Proposed count=%d applied=%" PRIu64 " lost=%" PRIu64 " took_us=%" PRId64 " first=%" PRIu64
                 " last=%" PRIu64,
                 count, task.applied, task.lost, took_us, task.first, task.last);
    return done;
}

/* False when the service stops, or the line is none. */
static bool do_line(struct service *service, const char *line)
{
    int count, ms;
    char path[1024];
    if (sscanf(line, "propose %d %d %1023[^\n]", &count, &ms, path) == 3 && count > 0 && count <= AT_ONCE_MAX)
        return do_propose(service, count, ms, path);
    if (sscanf(line, "flow %d", &count) == 1 && count > 0 && count <= AT_ONCE_MAX)
        return do_task(service, &(struct task){.count = count, .until_us = CLOCK_NEVER});
    log_error(service->log, "Not understood: %.100s", line);
    return false;
}

static bool wait_for_line(struct service *service)
{
    struct pollfd polled[2] = {{.fd = service->bell.fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    while (poll(polled, 2, -1) < 0 && errno == EINTR)
        ;
    return polled[0].revents == 0;
}

/* Lines come one at a time: the next after this one has been answered. */
static void run_lines(void *context)
{
    struct service *service = context;
    char line[1200];
    while (wait_for_line(service)) {
        ssize_t got = read(STDIN_FILENO, line, sizeof line - 1);
        if (got <= 0)
            return;
        line[got] = '\0';
        if (!do_line(service, line))
            return;
    }
}

/* ---- The service ---- */

struct service *service_new(const struct service_config *config)
{
    (void)config;
    struct service *service = memory_new(sizeof *service);
    service->replies = pile_new();
    service->machine = (struct mailraft_machine){service, prepare, apply, answer, write_snapshot, read_snapshot};
    return service;
}

struct pile *service_pile(const struct service *service)
{
    (void)service;
    return NULL;
}

const struct mailraft_machine *service_machine(const struct service *service)
{
    return &service->machine;
}

bool service_start(struct service *service, struct node *node, struct log *log, struct mailraft_error *err)
{
    service->node = node;
    service->log = log;
    if (!bell_init(&service->bell, err))
        return false;
    service->started = thread_start(&service->thread, "proposers", run_lines, service, err);
    if (!service->started)
        bell_fini(&service->bell);
    return service->started;
}

void service_stop(struct service *service)
{
    if (!service->started)
        return;
    bell_ring(&service->bell);
    pile_close(service->replies);
    thread_join(&service->thread);
    bell_fini(&service->bell);
    service->started = false;
}

void service_free(struct service *service)
{
    pile_free(service->replies);
    memory_free(service);
}
