/* mailraft-relay - a network between nodes that one can break: delays, cuts, stalls, broken connections. It needs no
 * root.
 *
 * It is told on standard input what to do, a line an order (orders.h lists them), and answers on standard output, a
 * line each, in order: "ok", "ok ADDRESS" or "error REASON". Whoever tells it must read the answers: while they are not
 * read, nothing is carried. It ends, and with it all connections through it, when its standard input does. For three
 * nodes:
 *
 *     wire 1 2 127.0.0.1:7102     ok 127.0.0.1:41234     node 1 is to reach node 2 at port 41234
 *     wire 2 1 127.0.0.1:7101     ok 127.0.0.1:39876     mailraftd --reach 1=127.0.0.1:39876 node2.json
 *     ...                                                (six wires in all)
 *     cut 1 all                   ok                     node 1 is cut off
 *     delay 2 3 50 10             ok                     50 to 60 ms each way between 2 and 3
 *     break 2 3                   ok
 *     heal                        ok                     all is as at the start
 *
 * bin/cluster puts one between its nodes, and so do the tests with processes. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "relay/orders.h"

static const char USAGE[] =
    "usage: mailraft-relay\n"
    "       mailraft-relay --help | --version\n"
    "\n"
    "Carries connections between nodes, and breaks them as it is told on standard input:\n"
    "\n"
    "  wire A B TARGET [LISTEN]        A reaches B, which is at TARGET, at LISTEN, or at the\n"
    "                                  address that is answered\n"
    "  cut A B [oneway]                nothing is carried, and nothing closed\n"
    "  delay A B MS [JITTER] [oneway]  what is said takes so long, and up to JITTER longer\n"
    "  slow A B BYTES [oneway]         each connection carries so many bytes a second\n"
    "  stall A B                       what A says to B over its connections is not read any more\n"
    "  unstall A B                     it is\n"
    "  break A B                       their connections end with an RST\n"
    "  vanish A B                      on them, both ends seem gone without a word\n"
    "  heal [A B]                      no cut, delay, slowness or stall between them, or anywhere\n"
    "\n"
    "A and B are ids, or \"all\"; oneway: only what A says to B. Each line is answered with one:\n"
    "\"ok\", \"ok ADDRESS\" or \"error REASON\". It ends when its standard input does.\n";

struct input {
    char line[ORDERS_LINE_MAX + 2]; /* what has come of the next one */
    size_t size;
    bool ended;
};

__attribute__((format(printf, 1, 2))) static int die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("mailraft-relay: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return 1;
}

/* A standard descriptor that we were started without would become one of ours, and be waited at for orders for ever. */
static bool fill_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            return false;
    return true;
}

/* Each connection takes two descriptors. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* False where nobody can read it. */
static bool answer_line(struct relay *relay, struct input *input)
{
    char answer[ORDERS_ANSWER_MAX];
    input->line[input->size] = '\0';
    input->size = 0;
    fputs(orders_obey(relay, input->line, answer), stdout);
    return fflush(stdout) == 0;
}

/* Takes what has come, and answers every whole line; also one that the end cut off. */
static bool read_orders(struct relay *relay, struct input *input)
{
    char bytes[4096];
    ssize_t got = read(STDIN_FILENO, bytes, sizeof(bytes));
    if (got < 0)
        return errno == EINTR || errno == EAGAIN;
    input->ended = got == 0;
    for (ssize_t i = 0; i < got; i++) {
        if (bytes[i] == '\n') {
            if (!answer_line(relay, input))
                return false;
        } else if (input->size < sizeof(input->line) - 1) { /* one byte too many tells that it is too long */
            input->line[input->size++] = bytes[i] != '\0' ? bytes[i] : '?';
        }
    }
    return !input->ended || input->size == 0 || answer_line(relay, input);
}

/* Until the relay or whoever tells it wants something. */
static bool wait_for_something(const struct relay *relay)
{
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = relay_fd(relay), .events = POLLIN}};
    int64_t next_us = relay_next_us(relay), now_us = clock_now_us();
    int64_t left_us = next_us > now_us ? next_us - now_us : 0;
    struct timespec limit = {.tv_sec = left_us / 1000000, .tv_nsec = left_us % 1000000 * 1000};
    return ppoll(fds, 2, next_us == CLOCK_NEVER ? NULL : &limit, NULL) > 0 && fds[0].revents != 0;
}

static int run(struct relay *relay)
{
    struct input input = {.size = 0};
    while (!input.ended) {
        if (wait_for_something(relay) && !read_orders(relay, &input))
            return die("Couldn't read standard input or write to standard output: %s", strerror(errno));
        relay_turn(relay);
    }
    return 0;
}

int main(int count, char **arguments)
{
    struct mailraft_error err;
    if (!fill_standard_descriptors())
        return die("Couldn't open /dev/null in the place of a standard descriptor: %s", strerror(errno));
    if (count == 2 && strcmp(arguments[1], "--help") == 0)
        return fputs(USAGE, stdout) < 0 || fflush(stdout) != 0;
    if (count == 2 && strcmp(arguments[1], "--version") == 0)
        return puts("mailraft-relay " MAILRAFT_VERSION) < 0 || fflush(stdout) != 0;
    if (count > 1) {
        die("it takes no arguments; see mailraft-relay --help");
        return 2;
    }
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    raise_file_limit();
    struct relay *relay = relay_new(&err);
    if (relay == NULL)
        return die("%s", err.message);
    int status = run(relay);
    relay_free(relay);
    return status;
}
