#include "nodes.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"

#define STAMP_LENGTH 27 /* 2026-11-23T06:31:12.345678Z */

const struct settings DEFAULT_SETTINGS = {"default", 150, 300, 50, true, false};

/* ---- Ending: by an error or a signal, too ---- */

static struct nodes *left_at_exit; /* for atexit alone, which passes nothing */
static volatile sig_atomic_t interrupted;

static void leave(void)
{
    if (left_at_exit != NULL)
        nodes_close(left_at_exit);
}

static void on_signal(int signal)
{
    interrupted = signal;
}

static void prepare_end(struct nodes *nodes)
{
    static bool prepared;
    left_at_exit = nodes;
    if (prepared)
        return;
    prepared = true;
    atexit(leave);
    sigaction(SIGINT, &(struct sigaction){.sa_handler = on_signal}, NULL);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_signal}, NULL);
}

/* ---- Setting up ---- */

/* Clients' addresses only where clients are to come: without one, a node serves nobody. */
static void write_member(FILE *file, const struct nodes *nodes, const struct settings *settings, int id)
{
    const struct member *member = &nodes->members[id - 1];
    fprintf(file, "%s{\"id\": %d, \"peer\": \"127.0.0.1:%d\"", id > 1 ? ", " : "", id, member->port.number);
    if (settings->serves_clients)
        fprintf(file, ", \"client\": \"127.0.0.1:%d\"", member->client_port.number);
    fprintf(file, "}");
}

static void write_config(const struct nodes *nodes, const struct settings *settings)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/config.json", nodes->folder);
    FILE *file = fopen(path, "w");
    if (file == NULL)
        bench_die("Couldn't write %s: %s", path, strerror(errno));
    fprintf(file, "{\"data_dir\": \"{id}\", \"cluster\": {\"name\": \"bench\", \"members\": [");
    for (int id = 1; id <= nodes->count; id++)
        write_member(file, nodes, settings, id);
    fprintf(file, "]}, \"election_timeout_ms\": {\"min\": %d, \"max\": %d}, \"heartbeat_ms\": %d, ",
            settings->timeout_min_ms, settings->timeout_max_ms, settings->heartbeat_ms);
    fprintf(file, "\"fast_failover\": %s}\n", settings->fast_failover ? "true" : "false");
    if (fclose(file) != 0)
        bench_die("Couldn't write %s: %s", path, strerror(errno));
}

void nodes_open(struct nodes *nodes, const struct workplace *workplace, const struct settings *settings, int count)
{
    assert(count <= NODES_MAX);
    *nodes = (struct nodes){.count = count, .program = workplace->program};
    snprintf(nodes->folder, sizeof nodes->folder, "%.900s/%s", workplace->folder, settings->name);
    snprintf(nodes->stuck_path, sizeof nodes->stuck_path, "%s/%s-stuck.log", workplace->slowest, settings->name);
    prepare_end(nodes);
    folder_make(nodes->folder);
    for (int i = 0; i < count; i++) {
        nodes->members[i].input = nodes->members[i].output = -1;
        port_hold(&nodes->members[i].port);
        port_hold(&nodes->members[i].client_port);
    }
    write_config(nodes, settings);
}

void nodes_close(struct nodes *nodes)
{
    left_at_exit = NULL;
    for (int i = 0; i < nodes->count; i++) {
        if (nodes->members[i].pid != 0) {
            nodes_kill(nodes, i + 1);
            nodes_reap(nodes, i + 1);
        }
        port_release(&nodes->members[i].port);
        port_release(&nodes->members[i].client_port);
    }
    folder_remove(nodes->folder);
    memory_free(nodes->record);
}

/* ---- Processes ---- */

/* The child: nothing but system calls until it is another program. */
static void become_node(const struct nodes *nodes, int id, pid_t parent, int input, int output)
{
    char path[PATH_MAX], number[12];
    snprintf(path, sizeof path, "%s/config.json", nodes->folder);
    snprintf(number, sizeof number, "%d", id);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0)
        _exit(1);
    execl(nodes->program, nodes->program, "--id", number, path, (char *)NULL);
    fprintf(stderr, "bench: Couldn't run %s: %s\n", nodes->program, strerror(errno));
    _exit(1);
}

void nodes_start(struct nodes *nodes, int id)
{
    struct member *member = &nodes->members[id - 1];
    int ends[2], input[2];
    pid_t parent = getpid();
    assert(member->pid == 0);
    if (pipe2(input, O_CLOEXEC) != 0 || pipe2(ends, O_CLOEXEC) != 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0)
        bench_die("Couldn't make a pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid < 0)
        bench_die("Couldn't start node %d: %s", id, strerror(errno));
    if (pid == 0)
        become_node(nodes, id, parent, input[0], ends[1]);
    close(input[0]);
    close(ends[1]);
    *member = (struct member){.pid = pid,
                              .input = input[1],
                              .output = ends[0],
                              .port = member->port,
                              .client_port = member->client_port};
}

void nodes_start_all(struct nodes *nodes)
{
    for (int id = 1; id <= nodes->count; id++)
        nodes_start(nodes, id);
}

void nodes_kill(struct nodes *nodes, int id)
{
    struct member *member = &nodes->members[id - 1];
    member->ending = true;
    kill(member->pid, SIGKILL);
}

void nodes_reap(struct nodes *nodes, int id)
{
    struct member *member = &nodes->members[id - 1];
    while (waitpid(member->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    if (member->output >= 0)
        close(member->output);
    close(member->input);
    member->input = member->output = -1;
    member->pid = 0;
    member->leader = 0;
    member->following = false;
}

void nodes_tell(struct nodes *nodes, int id, const char *line)
{
    if (dprintf(nodes->members[id - 1].input, "%s\n", line) < 0)
        bench_die("Couldn't write to node %d: %s", id, strerror(errno));
}

/* ---- The record ---- */

void nodes_forget_record(struct nodes *nodes)
{
    nodes->record_size = 0;
}

static void record_line(struct nodes *nodes, const char *line, size_t size)
{
    if (nodes->record_size + size > nodes->record_room) {
        nodes->record_room = 2 * (nodes->record_size + size);
        nodes->record = memory_resize(nodes->record, nodes->record_room);
    }
    memcpy(nodes->record + nodes->record_size, line, size);
    nodes->record_size += size;
}

void nodes_note(struct nodes *nodes, int64_t wall_us, const char *text)
{
    char line[200], stamp[32];
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm utc;
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &utc));
    int size = snprintf(line, sizeof line, "%s.%06dZ bench %.100s\n", stamp, (int)(wall_us % 1000000), text);
    record_line(nodes, line, (size_t)size);
}

static int compare_lines(const void *left, const void *right)
{
    const char *a = *(const char *const *)left, *b = *(const char *const *)right;
    int order = strncmp(a, b, STAMP_LENGTH);
    return order != 0 ? order : (a > b) - (a < b);
}

void nodes_save_record(struct nodes *nodes, const char *path)
{
    FILE *file = fopen(path, "w");
    if (file == NULL)
        bench_die("Couldn't write %s: %s", path, strerror(errno));
    record_line(nodes, "", 1);
    const char **lines = memory_new(nodes->record_size * sizeof *lines);
    size_t count = 0;
    for (char *rest = nodes->record, *line; (line = strsep(&rest, "\n")) != NULL;)
        if (*line != '\0')
            lines[count++] = line;
    qsort(lines, count, sizeof *lines, compare_lines);
    for (size_t i = 0; i < count; i++)
        fprintf(file, "%s\n", lines[i]);
    memory_free(lines);
    nodes_forget_record(nodes); /* strsep has cut it up */
    if (fclose(file) != 0)
        bench_die("Couldn't write %s: %s", path, strerror(errno));
}

void nodes_die_stuck(struct nodes *nodes, const char *waited_for)
{
    nodes_save_record(nodes, nodes->stuck_path);
    bench_die("Waited %d seconds for %s; the nodes' state logs: %s", NODES_WAIT_US / 1000000, waited_for,
              nodes->stuck_path);
}

/* ---- What the lines tell ---- */

static int64_t parse_stamp(const char *stamp)
{
    struct tm utc = {0};
    const char *fraction = strptime(stamp, "%Y-%m-%dT%H:%M:%S.", &utc);
    return fraction == NULL ? 0 : (int64_t)timegm(&utc) * 1000000 + atoi(fraction);
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* Whether the event is this one, which names a node. */
static bool names(const char *event, const char *begin, int *id)
{
    if (!begins(event, begin))
        return false;
    *id = atoi(event + strlen(begin));
    return *id >= 1 && *id <= NODES_MAX;
}

static void understand_connection(struct member *member, const char *event)
{
    int id;
    if (names(event, "Connected to ", &id))
        member->connected |= 1U << id;
    else if (names(event, "Lost connection to ", &id) || names(event, "Closed the connection to ", &id))
        member->connected &= ~(1U << id);
}

static void understand_service(struct member *member, const char *event, int64_t now_us)
{
    if (begins(event, "Read the log "))
        member->log_read_us = now_us;
    else if (begins(event, "Flowing "))
        member->flowing_us = now_us;
    else if (begins(event, "Proposed ")) {
        snprintf(member->proposed, sizeof member->proposed, "%s", event);
        member->proposed_count++;
    }
}

static void understand(struct nodes *nodes, struct member *member, const char *line, int64_t now_us)
{
    char stamp[STAMP_LENGTH + 1], role[12];
    uint64_t term;
    int event_at = 0;
    if (sscanf(line, "%27s node=%*d term=%" SCNu64 " role=%11s %n", stamp, &term, role, &event_at) != 3)
        return;
    const char *event = line + event_at;
    if (term != member->term)
        member->leader = 0;
    member->term = term;
    member->following = strcmp(role, "FOLLOWER") == 0;
    understand_connection(member, event);
    understand_service(member, event, now_us);
    if (names(event, "Following leader ", &member->leader))
        return;
    if (strstr(event, "STATE: LEADER -> ") != NULL)
        member->leader = 0;
    else if (strstr(event, "STATE: FOLLOWER -> ") != NULL)
        member->stood_wall_us = parse_stamp(stamp);
    if (!begins(event, "Leader!"))
        return;
    member->leader = (int)(member - nodes->members) + 1;
    member->led_us = now_us;
    member->led_wall_us = parse_stamp(stamp);
    nodes->leaders++;
}

static void cut_into_lines(struct nodes *nodes, struct member *member, int64_t now_us)
{
    char *begin = member->text, *end;
    member->text[member->text_size] = '\0';
    while ((end = strchr(begin, '\n')) != NULL) {
        record_line(nodes, begin, (size_t)(end - begin) + 1);
        *end = '\0';
        understand(nodes, member, begin, now_us);
        begin = end + 1;
    }
    member->text_size -= (size_t)(begin - member->text);
    memmove(member->text, begin, member->text_size);
}

__attribute__((noreturn)) static void die_of_end(const struct nodes *nodes, struct member *member)
{
    int status = 0;
    waitpid(member->pid, &status, 0);
    member->pid = 0;
    bench_die("Node %d ended by itself, with %s %d", (int)(member - nodes->members) + 1,
              WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void read_member(struct nodes *nodes, struct member *member, int64_t now_us)
{
    size_t room = sizeof member->text - 1 - member->text_size;
    ssize_t got = read(member->output, member->text + member->text_size, room);
    if (got > 0) {
        member->text_size += (size_t)got;
        cut_into_lines(nodes, member, now_us);
        return;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (!member->ending)
        die_of_end(nodes, member);
    close(member->output);
    member->output = -1;
}

void nodes_read(struct nodes *nodes, int64_t deadline_us)
{
    struct pollfd polled[NODES_MAX];
    int64_t wait_us = deadline_us - clock_now_us();
    if (wait_us < 0)
        wait_us = 0;
    for (int i = 0; i < nodes->count; i++)
        polled[i] = (struct pollfd){.fd = nodes->members[i].output, .events = POLLIN};
    struct timespec wait = {.tv_sec = wait_us / 1000000, .tv_nsec = wait_us % 1000000 * 1000};
    int ready = ppoll(polled, (nfds_t)nodes->count, &wait, NULL);
    int64_t now_us = clock_now_us();
    if (interrupted)
        bench_die("Interrupted");
    if (ready < 0 && errno != EINTR)
        bench_die("Couldn't wait for the nodes: %s", strerror(errno));
    for (int i = 0; ready > 0 && i < nodes->count; i++)
        if (polled[i].revents != 0)
            read_member(nodes, &nodes->members[i], now_us);
}

void nodes_watch(struct nodes *nodes, int64_t deadline_us)
{
    while (clock_now_us() < deadline_us)
        nodes_read(nodes, deadline_us);
}

int nodes_settled_leader(const struct nodes *nodes)
{
    int leader = nodes->members[0].leader;
    unsigned everybody = (1U << (nodes->count + 1)) - 2;
    if (leader == 0)
        return 0;
    for (int i = 0; i < nodes->count; i++) {
        const struct member *member = &nodes->members[i];
        bool leads = i + 1 == leader;
        if (member->pid == 0 || member->leader != leader || member->term != nodes->members[0].term ||
            member->following == leads || (member->connected | 1U << (i + 1)) != everybody)
            return 0;
    }
    return leader;
}

int nodes_settle(struct nodes *nodes)
{
    int64_t deadline_us = clock_now_us() + NODES_WAIT_US;
    nodes_read(nodes, clock_now_us()); /* they may have told of another since */
    while (nodes_settled_leader(nodes) == 0) {
        if (clock_now_us() > deadline_us)
            nodes_die_stuck(nodes, "a leader that every node follows");
        nodes_read(nodes, deadline_us);
    }
    return nodes_settled_leader(nodes);
}
