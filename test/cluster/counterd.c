/* counterd - mailraftd with a counter (test/counter.h) as its state machine: linked with this file in the place of
 * src/serve/service.c. Each line of its standard input is proposed, and told in the state log, in order:
 *
 *     Reply line=17 outcome=APPLIED index=20 leader=-1 bytes="42"
 *
 * Two words are its own, and none of the counter's:
 *
 *     times N LINE   proposes a line N times, and tells what became of all of them in one line of the log:
 *                    Replies line=18 applied=999 refused=0 not_executed=1 uncertain=0 too_large=0 index=1019
 *                    bytes="1041" index and bytes: of the last that was applied
 *     show           tells at once how far this node's own counter is: Counter line=19 index=1019 value=1041 hash=...
 *                    The hash is over all entries up to the index, so two nodes of the same index have the same hash.
 *
 * Nothing is read, and so nothing told, before the node has answered a first proposal, an empty one: it runs then.
 *
 * Threads:   the asker reads standard input and proposes; the teller takes the replies. A window and a credit bound
 *            what is on its way: a reader that waits for either reads no further.
 * Ownership: a question's place in its ring is the asker's until the proposal leaves, and the teller's from its reply
 *            until the window has it back. What the machine's thread changes, and show tells, is under the mutex. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/credit.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/pile.h"
#include "base/thread.h"
#include "counter.h"
#include "mail/bell.h"
#include "serve/service.h"

#define WINDOW       4096          /* proposals that have no reply yet */
#define CREDIT_BYTES (1024 * 1024) /* of requests that the server has not logged yet */
#define OUTCOMES     (OUTCOME_TOO_LARGE + 1)

static const char *const OUTCOME_NAMES[OUTCOMES] = {"APPLIED", "REFUSED", "NOT_EXECUTED", "UNCERTAIN", "TOO_LARGE"};

struct question {
    uint64_t line;  /* of standard input, from 1; 0: the first proposal */
    uint64_t place; /* among the `times` of this line, from 1 */
    uint64_t times;
};

/* What became of the proposals of one line, so far. */
struct tally {
    uint64_t count[OUTCOMES];
    raft_index index;
    struct mailraft_buffer bytes;
};

struct service {
    struct counter counter; /* first, so that the machine's context is the service, too */
    struct mutex mutex;     /* guards the counter: the machine's thread writes it, the asker reads it */
    struct mailraft_machine machine, unlocked; /* the second: without the mutex */

    struct node *node;
    struct log *log;
    bool started;
    struct thread asker, teller;
    struct bell bell;                  /* ends the asker, wherever it waits */
    struct pile *replies;              /* the teller's */
    struct credit *credit;             /* bytes, given back by the server */
    struct credit *window;             /* proposals, given by the teller, from the first reply on */
    struct question questions[WINDOW]; /* by number, as are: */
    struct letter *waiting[WINDOW];    /* the teller's: replies that have come before one of an earlier number */
};

/* ---- The machine ---- */

static void apply(void *context, const struct mailraft_entry *entries, size_t count, struct mailraft_standing *standing)
{
    struct service *service = context;
    mutex_lock(&service->mutex);
    service->unlocked.apply(&service->counter, entries, count, standing);
    mutex_unlock(&service->mutex);
}

static bool read_snapshot(void *context, uint64_t portion, const void *bytes, size_t size, bool last,
                          struct mailraft_error *err)
{
    struct service *service = context;
    mutex_lock(&service->mutex);
    bool good = service->unlocked.read_snapshot(&service->counter, portion, bytes, size, last, err);
    mutex_unlock(&service->mutex);
    return good;
}

static void show(struct service *service, uint64_t line)
{
    mutex_lock(&service->mutex);
    struct counter counter = service->counter;
    mutex_unlock(&service->mutex);
    log_info(service->log, "Counter line=%" PRIu64 " index=%" PRIu64 " value=%" PRId64 " hash=%016" PRIx64, line,
             counter.index, counter.value, counter.hash);
}

/* ---- The asker ---- */

/* Waits until the teller has the reply to a first proposal, and opens the window. False when the service stops. */
static bool await_node(struct service *service)
{
    service->questions[0] = (struct question){.times = 1};
    node_propose(service->node, "", 0, &(struct proposer){.pile = service->replies, .number = 0}, NULL);
    return credit_take(service->window, 1);
}

/* False when the service stops. */
static bool propose(struct service *service, uint64_t *number, const struct question *question, const char *request,
                    size_t size)
{
    if (!credit_take(service->window, 1) || !credit_take(service->credit, size))
        return false;
    service->questions[*number % WINDOW] = *question;
    node_propose(service->node, request, size, &(struct proposer){.pile = service->replies, .number = *number}, service->credit);
    ++*number;
    return true;
}

/* "times N LINE": moves behind it and returns N; 1 for any other line. */
static uint64_t parse_times(const char **line, size_t *size)
{
    static const char WORD[] = "times ";
    if (*size < strlen(WORD) || memcmp(*line, WORD, strlen(WORD)) != 0)
        return 1;
    const char *at = *line + strlen(WORD);
    uint64_t times = 0;
    for (; at < *line + *size && *at >= '0' && *at <= '9'; at++)
        times = 10 * times + (uint64_t)(*at - '0');
    at += at < *line + *size; /* the space */
    *size -= (size_t)(at - *line);
    *line = at;
    return times;
}

static bool ask_line(struct service *service, uint64_t *number, uint64_t line, const char *text, size_t size)
{
    if (size == strlen("show") && memcmp(text, "show", size) == 0) {
        show(service, line);
        return true;
    }
    struct question question = {.line = line, .times = parse_times(&text, &size)};
    while (question.place < question.times) {
        question.place++;
        if (!propose(service, number, &question, text, size))
            return false;
    }
    return true;
}

/* Waits for more of standard input and puts it. False at its end, or when the bell is rung. */
static bool read_more(struct service *service, struct mailraft_buffer *input)
{
    static const nfds_t COUNT = 2;
    struct pollfd fds[] = {{.fd = service->bell.fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    char bytes[16384];
    while (poll_until(fds, COUNT, CLOCK_NEVER) == 0)
        continue;
    if (fds[0].revents != 0)
        return false;
    ssize_t got = read(STDIN_FILENO, bytes, sizeof(bytes));
    if (got > 0)
        mailraft_buffer_put(input, bytes, (size_t)got);
    return got > 0 || (got < 0 && errno == EINTR);
}

/* Asks all whole lines of the input, and keeps what is left. False when the service stops. */
static bool ask_lines(struct service *service, uint64_t *number, uint64_t *line, struct mailraft_buffer *input)
{
    size_t done = 0;
    char *text = (char *)input->bytes;
    for (char *end; (end = memchr(text + done, '\n', input->size - done)) != NULL; done = (size_t)(end + 1 - text))
        if (!ask_line(service, number, ++*line, text + done, (size_t)(end - text) - done))
            return false;
    memmove(text, text + done, input->size - done);
    input->size -= done;
    return true;
}

static void ask(void *context)
{
    struct service *service = context;
    struct mailraft_buffer input = {0};
    uint64_t number = 1, line = 0;
    bool more = await_node(service);
    while (more && read_more(service, &input))
        more = ask_lines(service, &number, &line, &input);
    buffer_fini(&input);
    if (more && !bell_is_rung(&service->bell))
        log_info(service->log, "End of input lines=%" PRIu64, line);
}

/* ---- The teller ---- */

static void tell_reply(struct log *log, const struct question *question, const struct letter *letter)
{
    log_info(log, "Reply line=%" PRIu64 " outcome=%s index=%" PRIu64 " leader=%d bytes=\"%.*s\"", question->line,
             OUTCOME_NAMES[letter->reply.outcome], letter->reply.index, letter->reply.leader_id,
             (int)letter->reply.bytes.size, (const char *)letter->reply.bytes.bytes);
}

static void count_reply(struct tally *tally, const struct letter *letter)
{
    tally->count[letter->reply.outcome]++;
    if (letter->reply.outcome != OUTCOME_APPLIED)
        return;
    tally->index = letter->reply.index;
    buffer_clear(&tally->bytes);
    mailraft_buffer_put(&tally->bytes, letter->reply.bytes.bytes, letter->reply.bytes.size);
}

static void tell_tally(struct log *log, const struct question *question, struct tally *tally)
{
    const uint64_t *count = tally->count;
    log_info(log,
             "Replies line=%" PRIu64 " applied=%" PRIu64 " refused=%" PRIu64 " not_executed=%" PRIu64
             " uncertain=%" PRIu64 " too_large=%" PRIu64 " index=%" PRIu64 " bytes=\"%.*s\"",
             question->line, count[OUTCOME_APPLIED], count[OUTCOME_REFUSED], count[OUTCOME_NOT_EXECUTED],
             count[OUTCOME_UNCERTAIN], count[OUTCOME_TOO_LARGE], tally->index, (int)tally->bytes.size,
             (const char *)tally->bytes.bytes);
    buffer_fini(&tally->bytes);
    *tally = (struct tally){.index = 0};
}

static void tell_one(struct service *service, const struct question *question, const struct letter *letter,
                     struct tally *tally)
{
    if (question->line == 0)
        credit_give(service->window, WINDOW);
    else if (question->times == 1)
        tell_reply(service->log, question, letter);
    else
        count_reply(tally, letter);
    if (question->times > 1 && question->place == question->times)
        tell_tally(service->log, question, tally);
}

/* Tells what has come of the replies from number `next` on without a gap, and returns the number that is next then. */
static uint64_t tell_waiting(struct service *service, uint64_t next, struct tally *tally)
{
    for (struct letter **letter; *(letter = &service->waiting[next % WINDOW]) != NULL; next++) {
        tell_one(service, &service->questions[next % WINDOW], *letter, tally);
        letter_free(*letter);
        *letter = NULL;
        credit_give(service->window, 1);
    }
    return next;
}

/* Replies come as things end: what was refused at once before what was proposed earlier and is still on its way. */
static void tell(void *context)
{
    struct service *service = context;
    struct tally tally = {.index = 0};
    struct letter *letter;
    uint64_t next = 0;
    int64_t now_us;
    while ((letter = pile_take(service->replies, LANE_CLIENTS, CLOCK_NEVER, &now_us)) != NULL) {
        assert(letter->kind == LETTER_REPLY && letter->reply.outcome < OUTCOMES);
        assert(letter->number >= next && letter->number < next + WINDOW);
        assert(service->waiting[letter->number % WINDOW] == NULL); /* one reply each */
        service->waiting[letter->number % WINDOW] = letter;
        next = tell_waiting(service, next, &tally);
    }
    buffer_fini(&tally.bytes);
}

/* ---- The service ---- */

struct service *service_new(const struct service_config *config)
{
    (void)config;
    struct service *service = memory_new(sizeof *service);
    service->replies = pile_new();
    service->credit = credit_new(CREDIT_BYTES);
    service->window = credit_new(0);
    mutex_init(&service->mutex);
    counter_init(&service->counter);
    service->unlocked = service->machine = counter_machine(&service->counter);
    service->machine.apply = apply;
    service->machine.read_snapshot = read_snapshot;
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

static bool start_threads(struct service *service, struct mailraft_error *err)
{
    if (!thread_start(&service->teller, "teller", tell, service, err))
        return false;
    if (thread_start(&service->asker, "asker", ask, service, err))
        return true;
    pile_close(service->replies);
    thread_join(&service->teller);
    return false;
}

bool service_start(struct service *service, struct node *node, struct log *log, struct mailraft_error *err)
{
    service->node = node;
    service->log = log;
    if (!bell_init(&service->bell, err))
        return false;
    service->started = start_threads(service, err);
    if (!service->started)
        bell_fini(&service->bell);
    return service->started;
}

void service_stop(struct service *service)
{
    if (!service->started)
        return;
    bell_ring(&service->bell);
    credit_close(service->credit);
    credit_close(service->window);
    pile_close(service->replies);
    thread_join(&service->asker);
    thread_join(&service->teller);
    bell_fini(&service->bell);
    service->started = false;
}

void service_free(struct service *service)
{
    for (int i = 0; i < WINDOW; i++)
        letter_free(service->waiting[i]);
    pile_free(service->replies);
    credit_free(service->credit);
    credit_free(service->window);
    mutex_fini(&service->mutex);
    memory_free(service);
}
