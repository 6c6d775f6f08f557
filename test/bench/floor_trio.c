#include "floor_trio.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "floor_file.h"

#define ENTRY_ROOM 4096

struct answer {
    uint64_t number;
    int64_t took_us;
};

/* What each of the processes knows. */
struct part {
    struct floor_file file;
    size_t entry_bytes, frame_bytes;
    int up;       /* towards the client */
    int below[2]; /* the leader's, to its followers */
};

/* ---- Connections ---- */

/* Two ends of a TCP connection over loopback. */
static void connect_ends(int ends[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0 ||
        connect(ends[0], (struct sockaddr *)&address, size) != 0 || (ends[1] = accept(listener, NULL, NULL)) < 0)
        bench_die("Couldn't connect over loopback: %s", strerror(errno));
    close(listener);
    for (int i = 0; i < 2; i++)
        setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
}

static bool send_all(int fd, const void *bytes, size_t size)
{
    return send(fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size; /* small: it fits into the socket */
}

static bool receive_all(int fd, void *bytes, size_t size)
{
    return recv(fd, bytes, size, MSG_WAITALL) == (ssize_t)size;
}

/* ---- The processes: each ends when the one above it has gone ---- */

static void run_follower(struct part *part)
{
    uint8_t entry[ENTRY_ROOM];
    struct answer answer;
    while (receive_all(part->up, entry, part->entry_bytes)) {
        memcpy(&answer.number, entry, sizeof answer.number);
        if (!floor_file_write(&part->file, part->frame_bytes) || !send_all(part->up, &answer, sizeof answer))
            return;
    }
}

/* Until one follower has answered this number; the slower one's answer to an earlier one is read and forgotten. */
static bool await_follower(const struct part *part, uint64_t number)
{
    struct pollfd polled[2] = {{.fd = part->below[0], .events = POLLIN}, {.fd = part->below[1], .events = POLLIN}};
    struct answer answer = {0};
    while (answer.number != number) {
        if (poll(polled, 2, -1) < 0)
            return false;
        for (int i = 0; i < 2 && answer.number != number; i++)
            if (polled[i].revents != 0 && !receive_all(part->below[i], &answer, sizeof answer))
                return false;
    }
    return true;
}

static void run_leader(struct part *part)
{
    uint8_t entry[ENTRY_ROOM];
    struct answer answer;
    while (receive_all(part->up, entry, part->entry_bytes)) {
        int64_t began_us = clock_now_us();
        memcpy(&answer.number, entry, sizeof answer.number);
        if (!send_all(part->below[0], entry, part->entry_bytes) ||
            !send_all(part->below[1], entry, part->entry_bytes) || !floor_file_write(&part->file, part->frame_bytes) ||
            !await_follower(part, answer.number))
            return;
        answer.took_us = clock_now_us() - began_us;
        if (!send_all(part->up, &answer, sizeof answer))
            return;
    }
}

/* The child must not return: what this process does at its end is not the child's to do. */
static pid_t start_part(struct part *part, void (*run)(struct part *part))
{
    pid_t parent = getpid(), pid = fork();
    if (pid < 0)
        bench_die("Couldn't start a process: %s", strerror(errno));
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent)
        run(part);
    _exit(1);
}

void floor_trio_start(struct floor_trio *trio, const struct workplace *workplace, size_t entry_bytes,
                      size_t frame_bytes)
{
    int client[2], follower[2][2];
    struct part parts[3];
    assert(entry_bytes >= sizeof trio->number && entry_bytes <= ENTRY_ROOM);
    connect_ends(client);
    for (int i = 0; i < 2; i++)
        connect_ends(follower[i]);
    for (int i = 0; i < 3; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/floor-%d", workplace->folder, i);
        parts[i] = (struct part){.entry_bytes = entry_bytes,
                                 .frame_bytes = frame_bytes,
                                 .up = i == 0 ? client[1] : follower[i - 1][1],
                                 .below = {follower[0][0], follower[1][0]}};
        floor_file_make(&parts[i].file, path);
        unlink(path);
    }
    *trio = (struct floor_trio){.client = client[0], .entry_bytes = entry_bytes};
    for (int i = 0; i < 3; i++)
        trio->pids[i] = start_part(&parts[i], i == 0 ? run_leader : run_follower);
    for (int i = 0; i < 3; i++)
        floor_file_close(&parts[i].file);
    close(client[1]);
    for (int i = 0; i < 4; i++)
        close(follower[i / 2][i % 2]);
}

void floor_trio_stop(struct floor_trio *trio)
{
    close(trio->client);
    for (int i = 0; i < 3; i++) {
        kill(trio->pids[i], SIGKILL);
        waitpid(trio->pids[i], NULL, 0);
    }
}

int64_t floor_trio_commit(struct floor_trio *trio)
{
    uint8_t entry[ENTRY_ROOM] = {0};
    struct answer answer;
    trio->number++;
    memcpy(entry, &trio->number, sizeof trio->number);
    if (!send_all(trio->client, entry, trio->entry_bytes) || !receive_all(trio->client, &answer, sizeof answer))
        bench_die("The floor's three processes have ended");
    assert(answer.number == trio->number);
    return answer.took_us;
}
